"""The command line: it takes arguments, prints text and returns an exit code."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import sys
from collections.abc import Callable
from typing import IO, Any, Final, cast

import click

from pacemaker._version import __version__
from pacemaker.cli.completion import PROGRAM, completion_command
from pacemaker.cli.config import config_command
from pacemaker.cli.doctor import doctor_command
from pacemaker.cli.exists import exists_command
from pacemaker.cli.get import get_command
from pacemaker.cli.health import health_command
from pacemaker.cli.ls import ls_command
from pacemaker.cli.observe import observe_command
from pacemaker.cli.output import exit_codes, streams
from pacemaker.cli.output.logs import JournalErrors, is_journal
from pacemaker.cli.output.printing import output_lost, printable
from pacemaker.cli.ping import ping_command
from pacemaker.cli.put import put_command
from pacemaker.cli.relay import relay_command
from pacemaker.cli.reload import reload_command
from pacemaker.cli.rm import rm_command
from pacemaker.cli.serve import serve_command
from pacemaker.cli.simulate import simulate_command
from pacemaker.cli.status import status_command
from pacemaker.cli.top import top_command
from pacemaker.cli.why import why_command
from pacemaker.errors import (
    AdminError,
    ClientError,
    ConfigError,
    ListenError,
    NotAuthorizedError,
    PacemakerError,
    StartError,
    StatusError,
    UpgradeError,
)

__all__ = ["main"]

_logger: Final = logging.getLogger("pacemaker.cli")


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


# The errors of a standard output that can no longer be written.
_OUTPUT_ERRNOS: Final = (
    errno.EPIPE,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
)

# The first entry that matches an error decides how the program ends.
_EXCEPTION_TYPES: Final[dict[type[PacemakerError], type[click.ClickException]]] = {
    ConfigError: _WrongConfigurationError,
    ListenError: _CannotListenError,
    StartError: _SystemRefusedError,
    NotAuthorizedError: _NotAuthorizedError,
    ClientError: _NoAnswerError,
    StatusError: _NoAnswerError,
    AdminError: _NoAnswerError,
    UpgradeError: _RefusedError,
}


def _check_interpreter() -> None:
    """Refuse an interpreter without docstrings, which thriftpy2 reads at run time."""
    if sys.flags.optimize > 1:
        raise _WrongConfigurationError(
            "PYTHONOPTIMIZE=2 (python -OO) removes the docstrings that thriftpy2"
            " needs; use PYTHONOPTIMIZE=1, or leave it unset"
        )


class _Program(click.Group):
    """The group of commands: the one place where errors become exit codes."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line and exit, as click does, but with our exit codes."""
        main: Callable[..., Any] = super().main
        if not standalone_mode:
            return main(*args, standalone_mode=False, **extra)
        streams.open_missing()
        try:
            code = self._run(functools.partial(main, *args, **extra))
        finally:
            streams.flush_or_drop()
        sys.exit(code)

    def _run(self, main: Callable[..., Any]) -> int:
        try:
            code = main(standalone_mode=False)
        except click.ClickException as exc:
            return _shown(exc)
        except OSError as exc:  # of --help and --version
            return _shown(output_lost(exc))
        except click.Abort as exc:
            # click raises it for an interrupt, and for a question without an answer.
            if isinstance(exc.__context__, KeyboardInterrupt):
                return exit_codes.INTERRUPTED
            return _shown(_RefusedError("aborted"))
        return code if isinstance(code, int) else exit_codes.OK

    def invoke(self, ctx: click.Context) -> Any:
        _check_interpreter()
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own way to end
        except tuple(_EXCEPTION_TYPES) as exc:
            end = next(
                end for kind, end in _EXCEPTION_TYPES.items() if isinstance(exc, kind)
            )
            raise end(printable(str(exc))) from exc
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno in _OUTPUT_ERRNOS:
                raise output_lost(exc) from exc  # of a command's --help
            _logger.critical(
                "unexpected failure (a bug): please report it", exc_info=True
            )
            ctx.exit(exit_codes.UNEXPECTED)


def _shown(error: click.ClickException) -> int:
    """Print an error, if stderr can be written, and return its exit code."""
    journal = cast("IO[str]", JournalErrors(sys.stderr)) if is_journal() else None
    with contextlib.suppress(OSError):
        error.show(journal)
    return error.exit_code


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  storm-pacemaker-py serve            run the daemon with Storm's own storm.yaml
  storm-pacemaker-py relay            run a relay on this host to other Pacemakers
  storm-pacemaker-py reload PID       upgrade it in place, and wait for the outcome
  storm-pacemaker-py config --check   would it start?
  storm-pacemaker-py config           each value, and where it came from
  storm-pacemaker-py ping             do all servers answer?
  storm-pacemaker-py ls -l /workerbeats/words-1-1700000000

Each command has its own --help.""",
)
@click.version_option(__version__, prog_name=PROGRAM)
def main() -> None:
    """Pacemaker, Apache Storm's heartbeat daemon, in Python.

    Workers write their heartbeats to it and Nimbus reads them from it, which takes
    this load off ZooKeeper. It reads Storm's configuration and serves the clients
    of every release from 1.0 on.
    """


for _command in (
    serve_command,
    relay_command,
    reload_command,
    status_command,
    config_command,
    completion_command,
    ping_command,
    ls_command,
    get_command,
    exists_command,
    put_command,
    rm_command,
    simulate_command,
    health_command,
    observe_command,
    top_command,
    why_command,
    doctor_command,
):
    main.add_command(_command)
