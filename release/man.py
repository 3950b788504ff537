"""Generate the man pages and the shell completions from the commands.

    python -m release.man FOLDER

FOLDER is laid out like ``share`` below a prefix: ``man``, ``bash-completion``, ``zsh``
and ``fish``.  SOURCE_DATE_EPOCH is the date of the pages.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from pacemaker._version import __version__
from pacemaker.cli import main
from pacemaker.cli.completion import COMPLETE_VARIABLE, PROGRAM
from pacemaker.cli.output import exit_codes
from release import roff

ROOT: Final = Path(__file__).parents[1]
CONFIGURATION: Final = ROOT / "docs" / "configuration.md"

DAEMONS: Final = 8
"""The section of commands that run until they are stopped."""

# Where distributions look for each shell's completions, below share.
COMPLETIONS: Final = {
    "bash": f"bash-completion/completions/{PROGRAM}",
    "zsh": f"zsh/site-functions/_{PROGRAM}",
    "fish": f"fish/vendor_completions.d/{PROGRAM}.fish",
}


def date() -> str:
    """Return the date of the pages."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def section(command: click.Command) -> int:
    """Return the section of a command's page: 8 for a daemon, 1 for all others.

    A daemon is recognized by its summary, such as "Run the daemon in the foreground."
    """
    return DAEMONS if (command.short_help or "").startswith("Run ") else 1


def pages() -> dict[str, str]:
    """Return all pages, by their names below ``share``."""
    top = click.Context(main, info_name=PROGRAM, **main.context_settings)
    written = {f"man/man1/{PROGRAM}.1": _page(top, PROGRAM, 1)}
    for name, command in visible_commands():
        ctx = click.Context(command, info_name=name, parent=top)
        number = section(command)
        title = f"{PROGRAM}-{name}"
        written[f"man/man{number}/{title}.{number}"] = _page(ctx, title, number)
    written[f"man/man5/{PROGRAM}.5"] = _configuration_page()
    return written


def visible_commands() -> list[tuple[str, click.Command]]:
    """Return the commands that users see, by name."""
    return [(name, each) for name, each in main.commands.items() if not each.hidden]


def completions() -> dict[str, str]:
    """Return the completion scripts, by their names below ``share``."""
    scripts = {}
    for shell, name in COMPLETIONS.items():
        kind = get_completion_class(shell)
        assert kind is not None, shell  # noqa: S101
        scripts[name] = kind(main, {}, PROGRAM, COMPLETE_VARIABLE).source().strip()
    return {name: f"{text}\n" for name, text in scripts.items()}


def _page(ctx: click.Context, title: str, number: int) -> str:
    return _joined(
        roff.header(title, number, date(), __version__),
        ".SH NAME",
        f"{roff.escape(title)} \\- {_summary(ctx.command)}",
        ".SH SYNOPSIS",
        f"{roff.bold(ctx.command_path)} {_usage(ctx)}",
        ".SH DESCRIPTION",
        *_paragraphs(ctx.command.help or ""),
        *_notes(ctx.command),
        *_commands(ctx.command),
        *_options(ctx),
        *_environment(ctx),
        *(_files() if number == DAEMONS else ()),
        *(_exit_status() if ctx.parent is None else _exit_reference()),
        *_examples(ctx.command),
        *_see_also(title),
    )


def _joined(*lines: str) -> str:
    """Join lines, without a paragraph request that has no text before it."""
    kept = [
        line
        for before, line in zip(("", *lines), lines, strict=False)
        if line != ".PP" or not before.startswith((".SH", ".SS", ".PP"))
    ]
    return "\n".join(kept) + "\n"


def _summary(command: click.Command) -> str:
    text = command.short_help or (command.help or "").split("\n\n")[0]
    text = " ".join(text.split()).rstrip(".")
    return text[0].lower() + text[1:] if text[1:2].islower() else text


def _usage(ctx: click.Context) -> str:
    pieces = ctx.command.collect_usage_pieces(ctx)
    return " ".join(f"\\fI{roff.escape(piece)}\\fR" for piece in pieces)


def _blocks(text: str) -> list[str]:
    return [block for block in inspect.cleandoc(text).split("\n\n") if block.strip()]


def _paragraphs(text: str) -> Iterator[str]:
    for number, block in enumerate(_blocks(text)):
        if block.startswith("\b"):
            yield from roff.verbatim(block.removeprefix("\b").strip("\n"))
            continue
        if number:
            yield ".PP"
        yield roff.prose(" ".join(block.split()))


def _epilog(command: click.Command) -> Iterator[tuple[bool, str]]:
    """Yield the blocks of an epilog, each with whether it contains the examples."""
    for block in _blocks(command.epilog or ""):
        yield block.lstrip("\b\n").startswith("Examples:"), block


def _notes(command: click.Command) -> Iterator[str]:
    for is_examples, block in _epilog(command):
        if not is_examples:
            yield ".PP"
            yield from _paragraphs(block)


def _examples(command: click.Command) -> Iterator[str]:
    for is_examples, block in _epilog(command):
        if is_examples:
            yield ".SH EXAMPLES"
            rows = block.lstrip("\b\n").splitlines()[1:]
            yield from roff.verbatim(inspect.cleandoc("\n".join(["", *rows])))


def _commands(command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name, each in visible_commands():
            yield ".TP"
            yield f"\\fB{roff.escape(f'{PROGRAM}-{name}')}\\fR({section(each)})"
            yield roff.prose(each.get_short_help_str(200))


def _options(ctx: click.Context) -> Iterator[str]:
    yield ".SH OPTIONS"
    for parameter in ctx.command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and record[1]:  # arguments have only a name
            declared, text = record
            yield from (".TP", roff.option_name(declared))
            yield roff.prose(text.replace("  [", " ["))


def _environment(ctx: click.Context) -> Iterator[str]:
    names = {parameter.name for parameter in ctx.command.params}
    if "config_file" not in names and ctx.parent is not None:
        return
    yield from (".SH ENVIRONMENT", ".TP", roff.bold("STORM_CONF_DIR"))
    yield "The folder of storm.yaml.  It must exist."
    for parameter in ctx.command.params:
        if isinstance(parameter.envvar, str) and not getattr(parameter, "hidden", 0):
            yield ".TP"
            yield roff.bold(parameter.envvar)
            yield f"The same as {roff.bold(parameter.opts[0])}, which overrides it."


def _files() -> Iterator[str]:
    yield from (".SH FILES", ".TP", roff.bold("/etc/storm/storm.yaml"))
    yield "The configuration, unless STORM_CONF_DIR or an installed Storm has another:"
    yield f"{roff.bold(PROGRAM)}(5) says which file is read."
    yield from (".TP", roff.bold(f"/etc/default/{PROGRAM}"))
    yield "Variables for the systemd units, if a package has installed them."


def _exit_codes() -> Iterator[tuple[int, str]]:
    """Yield each exit code and the comment above it, from the module's source."""
    comment: list[str] = []
    for line in inspect.getsource(exit_codes).splitlines():
        constant = re.match(r"(\w+): Final = ", line)
        if constant and comment:
            yield getattr(exit_codes, constant[1]), " ".join(comment)
        comment = [*comment, line.lstrip("# ")] if line.startswith("#") else []


def _exit_status() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, meaning in _exit_codes():
        if meaning.startswith("Added to"):
            continue
        yield from (".TP", roff.bold(str(code)), roff.prose(meaning))


def _exit_reference() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield f"{roff.bold(PROGRAM)}(1) lists the exit codes of all commands."


def _see_also(title: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    names = [(PROGRAM, 1), (PROGRAM, 5)]
    names += [(f"{PROGRAM}-{name}", section(each)) for name, each in visible_commands()]
    others = [pair for pair in names if pair[0] != title]
    if title == PROGRAM:
        others.insert(0, (PROGRAM, 5))
    yield ",\n".join(f"{roff.bold(name)}({number})" for name, number in others)


def _configuration_page() -> str:
    text = CONFIGURATION.read_text(encoding="utf-8")
    introduction, _, rest = re.sub(r"^# .*\n+", "", text).partition("\n## ")
    return _joined(
        roff.header(PROGRAM, 5, date(), __version__),
        ".SH NAME",
        f"{roff.escape(PROGRAM)} \\- configuration of the Pacemaker daemon",
        ".SH DESCRIPTION",
        roff.prose(" ".join(introduction.split())),
        *roff.page(f"## {rest}"),
        ".SH SEE ALSO",
        f"{roff.bold(PROGRAM)}(1)",
    )


def write(folder: Path) -> None:
    """Write all files below a folder."""
    for name, text in {**pages(), **completions()}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
