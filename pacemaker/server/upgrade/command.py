"""The command that started this process, so that it can be executed again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """A program and its arguments, the first of which is its name.

    The path is not resolved.  A link or a virtual environment may lead to another
    version by now, and that version is the one to execute.
    """

    path: str
    argv: tuple[str, ...]

    def with_arguments(self, *arguments: str) -> Command:
        """Return the command with more arguments after the ones it has."""
        return self._replace(argv=(*self.argv, *arguments))


def own_command(
    argv: Sequence[str] | None = None, orig_argv: Sequence[str] | None = None
) -> Command:
    """Return the command that started this process.

    A script with an interpreter line is executed directly, because its next version
    may name another interpreter in that line.

    Args:
        argv: `sys.argv`.
        orig_argv: `sys.orig_argv`, including the interpreter and its options.
    """
    argv = sys.argv if argv is None else argv
    orig_argv = sys.orig_argv if orig_argv is None else orig_argv
    if tuple(orig_argv[1:]) == tuple(argv) and _is_script(argv[0]):
        return Command(argv[0], tuple(argv))
    interpreter = orig_argv[0]
    path = interpreter if "/" in interpreter else shutil.which(interpreter)
    return Command(path or sys.executable, tuple(orig_argv))


def _is_script(path: str) -> bool:
    if "/" not in path or not os.access(path, os.X_OK):
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        # It can be executed but not read, so its interpreter was named explicitly.
        return False
