"""A child process whose lines a test waits for, and which is always ended.

Both output streams are read by a thread each from the start, so that the child
never blocks on a full pipe and a test waits for a line, never for a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar, cast

T = TypeVar("T")
AnyChild = TypeVar("AnyChild", bound="Child")

STOP_TIMEOUT_S = 10.0
"""How long a child may take to end after SIGTERM before it gets SIGKILL."""

SHOWN_LINES = 60
"""How many of its last lines the report of a failure shows."""


SMALL_PIPE_BYTES = 4096
"""How much a child that is to be held up writes ahead."""


class ChildError(AssertionError):
    """A child process did not do what the test waited for."""


class Lines:
    """The lines of one output stream; any thread may wait for the next ones."""

    def __init__(self, stream: IO[bytes], pause_s: float = 0) -> None:
        self._stream = stream
        self._pause_s = pause_s
        if pause_s:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, SMALL_PIPE_BYTES)
        self._changed = threading.Condition()  # guards the three below
        self._lines: list[str] = []
        self._taken = 0
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for raw in self._stream:
            with self._changed:
                self._lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
                self._changed.notify_all()
            if self._pause_s:
                time.sleep(self._pause_s)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def all(self) -> list[str]:
        """Return every line so far."""
        with self._changed:
            return list(self._lines)

    def take(self, timeout_s: float) -> str | None:
        """Return the next line not yet taken; None at the end or the timeout."""
        return self._wait(self._take, timeout_s)

    def find(self, pattern: str, timeout_s: float) -> re.Match[str] | None:
        """Return the first match in a line not yet taken, and take up to it."""
        return self._wait(lambda: self._find(re.compile(pattern)), timeout_s)

    def join(self) -> None:
        """Wait for the end of the stream, which the child's end brings, and close."""
        self._reader.join(STOP_TIMEOUT_S)
        self._stream.close()

    def _take(self) -> str | None:
        if self._taken == len(self._lines):
            return None
        self._taken += 1
        return self._lines[self._taken - 1]

    def _find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        while (line := self._take()) is not None:
            if match := pattern.search(line):
                return match
        return None

    def _wait(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while (found := look()) is None:
                left_s = deadline_s - time.monotonic()
                if self._ended or left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return found


class Child:
    """One child process; leaving the `with` block ends it.

    Args:
        argv: the program and its arguments.
        env: variables on top of the test's own; None takes one away.
        cwd: the working directory.
        pass_fds: descriptors that stay open in the child.
        line_pause_s: how long each line of its output waits to be read, where it
            is to be held up by that.

    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        line_pause_s: float = 0,
    ) -> None:
        self.argv = list(argv)
        environment = {**os.environ, **(env or {})}
        self._process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={key: value for key, value in environment.items() if value is not None},
            cwd=cwd,
            pass_fds=pass_fds,
        )
        # Of pipes, as they are above, Popen makes streams: never None.
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self.stdout = Lines(cast("IO[bytes]", self._process.stdout), line_pause_s)
        self.stderr = Lines(cast("IO[bytes]", self._process.stderr))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._process.poll() is None

    def ask(self, command: str, timeout_s: float = 60) -> str:
        """Send one line and return the line that answers it."""
        self.tell(command)
        return self.line(timeout_s)

    def tell(self, command: str) -> None:
        """Send one line."""
        try:
            self._stdin.write(command.encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError as exc:
            raise self.error(f"ended before it took {command!r}") from exc

    def line(self, timeout_s: float = 60) -> str:
        """Return the next line of standard output."""
        line = self.stdout.take(timeout_s)
        if line is None:
            raise self.error(f"no line on stdout within {timeout_s} s")
        return line

    def logged(self, pattern: str, timeout_s: float = 60) -> re.Match[str]:
        """Wait until a line of standard error matches, and return the match."""
        match = self.stderr.find(pattern, timeout_s)
        if match is None:
            raise self.error(f"nothing like {pattern!r} on stderr in {timeout_s} s")
        return match

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the process to end by itself and return its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise self.error(f"still runs after {timeout_s} s") from exc

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """End the process, by force where SIGTERM does not, and free its pipes."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.close()
        return self._process.returncode

    def close(self) -> None:
        """Free the pipes of a process that has ended."""
        self.stdout.join()
        self.stderr.join()
        with contextlib.suppress(BrokenPipeError):  # a command that was never read
            self._stdin.close()

    def error(self, problem: str) -> ChildError:
        """Return an error that shows the problem and the last lines of output."""
        lines = [*self.stdout.all()[-SHOWN_LINES:], *self.stderr.all()[-SHOWN_LINES:]]
        name = " ".join(self.argv)[-200:]
        state = f"exit code {self._process.poll()}" if not self.running() else "running"
        return ChildError("\n".join([f"{name} ({state}): {problem}", *lines]))

    def __enter__(self: AnyChild) -> AnyChild:
        """Return the child itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the child."""
        self.stop()
