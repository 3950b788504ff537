"""The command line: arguments in, words and an exit code out."""

from __future__ import annotations

import errno
import logging
import sys
from typing import IO, Any, cast

import click

from pacemaker._version import __version__
from pacemaker.cli import exit_codes
from pacemaker.cli.completion import PROGRAM, completion_command
from pacemaker.cli.config import config_command
from pacemaker.cli.exists import exists_command
from pacemaker.cli.get import get_command
from pacemaker.cli.logs import JournalErrors, is_journal
from pacemaker.cli.ls import ls_command
from pacemaker.cli.output import printable
from pacemaker.cli.ping import ping_command
from pacemaker.cli.put import put_command
from pacemaker.cli.reload import reload_command
from pacemaker.cli.rm import rm_command
from pacemaker.cli.serve import serve_command
from pacemaker.cli.simulate import simulate_command
from pacemaker.errors import (
    ClientError,
    ConfigError,
    ListenError,
    NotAuthorizedError,
    PacemakerError,
    StartError,
    UpgradeError,
)

__all__ = ["main"]

logger = logging.getLogger("pacemaker.cli")


class _WrongConfigurationError(click.ClickException):
    exit_code = exit_codes.WRONG_CONFIGURATION


class _CannotListenError(click.ClickException):
    exit_code = exit_codes.CANNOT_LISTEN


class _SystemRefusedError(click.ClickException):
    exit_code = exit_codes.SYSTEM_REFUSED


class _NotAuthorizedError(click.ClickException):
    exit_code = exit_codes.NOT_AUTHORIZED


class _RefusedError(click.ClickException):
    exit_code = exit_codes.NO


class _NoAnswerError(click.ClickException):
    exit_code = exit_codes.NO_ANSWER


# The first that an error is one of says how the program ends.
_ENDS: dict[type[PacemakerError], type[click.ClickException]] = {
    ConfigError: _WrongConfigurationError,
    ListenError: _CannotListenError,
    StartError: _SystemRefusedError,
    NotAuthorizedError: _NotAuthorizedError,
    ClientError: _NoAnswerError,
    UpgradeError: _RefusedError,
}


def _check_interpreter() -> None:
    """Refuse an interpreter that leaves out what a library reads at run time."""
    if sys.flags.optimize > 1:
        raise _WrongConfigurationError(
            "PYTHONOPTIMIZE=2 (python -OO) removes the docstrings that thriftpy2"
            " needs; use PYTHONOPTIMIZE=1, or leave it unset"
        )


class _Program(click.Group):
    """The group of commands: the one place where errors become exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._invoke(ctx)
        except click.ClickException as exc:
            if not is_journal():
                raise
            exc.show(cast("IO[str]", JournalErrors(sys.stderr)))
            ctx.exit(exc.exit_code)

    def _invoke(self, ctx: click.Context) -> Any:
        _check_interpreter()
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own way to end
        except tuple(_ENDS) as exc:
            end = next(end for kind, end in _ENDS.items() if isinstance(exc, kind))
            raise end(printable(str(exc))) from exc
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
                raise  # whom we print to has gone: click ends quietly
            logger.critical("unexpected failure, please report it", exc_info=True)
            ctx.exit(exit_codes.UNEXPECTED)


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  storm-pacemaker-py serve            run the daemon with Storm's own storm.yaml
  storm-pacemaker-py reload PID       upgrade it in place, and wait for the outcome
  storm-pacemaker-py config --check   would it start?
  storm-pacemaker-py config           each value, and where it came from
  storm-pacemaker-py ping             do all servers answer?
  storm-pacemaker-py ls -l /workerbeats/words-1-1700000000

Each command has a --help of its own.""",
)
@click.version_option(__version__, prog_name=PROGRAM)
def main() -> None:
    """Pacemaker, Apache Storm's daemon for heartbeats, in Python.

    Workers write their heartbeats to it and Nimbus reads them there, which takes
    that load from ZooKeeper. It reads Storm's configuration and serves the
    clients of every release from 1.0 on.
    """


for _command in (
    *(serve_command, reload_command, config_command, completion_command),
    *(ping_command, ls_command, get_command, exists_command, put_command, rm_command),
    simulate_command,
):
    main.add_command(_command)
