"""Man pages and completions: one for each command, in valid roff, from the help."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from pacemaker.cli import main
from release import man, roff

PAGES = man.pages()


def test_every_command_has_a_page() -> None:
    """Each command that users see has its page; those that serve are in section 8."""
    for name, command in man.visible_commands():
        number = man.section(command)
        assert f"man/man{number}/storm-pacemaker-py-{name}.{number}" in PAGES
    assert "man/man8/storm-pacemaker-py-serve.8" in PAGES
    assert "man/man1/storm-pacemaker-py-ping.1" in PAGES
    assert "man/man5/storm-pacemaker-py.5" in PAGES


@pytest.mark.parametrize("name", dict(man.visible_commands()))
def test_page_has_every_option_that_the_help_has(name: str) -> None:
    """No option is missing, and hidden ones are."""
    command = main.commands[name]
    (page,) = (text for file, text in PAGES.items() if f"-{name}." in file)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            shown = roff.bold(parameter.opts[0])
            assert (shown in page) is not parameter.hidden, parameter.opts


@pytest.mark.parametrize("file", PAGES)
def test_page_begins_with_its_own_name_and_section(file: str) -> None:
    """The title is that of the file, so `man` and `apropos` agree."""
    title, _, number = Path(file).name.rpartition(".")
    first, nh, ad, heading, name = PAGES[file].splitlines()[:5]
    assert first.startswith(f'.TH "{roff.escape(title.upper())}" {number} ')
    assert (nh, ad, heading) == (".nh", ".ad l", ".SH NAME")
    assert name.startswith(f"{roff.escape(title)} \\- ")


def test_page_of_serve_has_the_sections_of_a_page() -> None:
    """Sections come in the usual order, and examples are shown as they are."""
    page = PAGES["man/man8/storm-pacemaker-py-serve.8"]
    found = [line[4:] for line in page.splitlines() if line.startswith(".SH ")]
    assert found == [
        *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT"),
        *("FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"),
    ]
    assert "storm\\-pacemaker\\-py serve \\-\\-bind 10.0.0.5" in page


def test_options_of_a_page_are_explained() -> None:
    """An argument has no help of its own; the description is about it."""
    page = PAGES["man/man1/storm-pacemaker-py-status.1"]
    assert "PID" in page
    assert "\n.TP\n\\fI[PID]\\fR" not in page


@pytest.mark.io
@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_no_name_is_split_between_lines(tmp_path: Path) -> None:
    """A reader who searches for a variable or an option finds it."""
    page = tmp_path / "serve.8"
    page.write_text(PAGES["man/man8/storm-pacemaker-py-serve.8"])
    done = subprocess.run(
        ["man", "--local-file", page],
        env={"PATH": os.defpath, "MANWIDTH": "72", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = set(re.findall(r"STORM_PACEMAKER_\w+", done.stdout))
    assert shown == set(re.findall(r"STORM_PACEMAKER_\w+", page.read_text()))


def test_configuration_page_has_the_keys_and_their_defaults() -> None:
    """Section 5 is the page on the configuration: tables have become lists."""
    page = PAGES["man/man5/storm-pacemaker-py.5"]
    assert ".SH KEYS" in page
    assert "\\fBpacemaker.port\\fR\ndefault: 6699; allowed: 0 to 65535" in page
    assert "](" not in page


def test_main_page_lists_the_exit_codes() -> None:
    """Each exit code is there with its meaning."""
    page = PAGES["man/man1/storm-pacemaker-py.1"]
    for code in ("0", "2", "69", "78", "130"):
        assert f".TP\n\\fB{code}\\fR\n" in page


def test_text_is_protected_from_roff() -> None:
    """Lines that begin like requests, backslashes and hyphens stay what they are."""
    assert roff.prose(".profile of `a-b`") == "\\&.profile of \\fBa\\-b\\fR"
    assert roff.prose("C:\\dir") == "C:\\edir"
    assert list(roff.verbatim("'quoted'"))[3] == "\\&'quoted'"


def test_option_values_are_in_italics() -> None:
    """What the user replaces is told from what is typed as it is."""
    assert roff.option_name("-c, --config FILE") == (
        "\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR"
    )


@pytest.mark.io  # click asks bash for its version
@pytest.mark.parametrize("shell", man.COMPLETIONS)
def test_completion_is_at_the_place_of_its_shell(shell: str) -> None:
    """Each script asks the program for completions, and ends with a line break."""
    script = man.completions()[man.COMPLETIONS[shell]]
    assert f"_STORM_PACEMAKER_PY_COMPLETE={shell}_complete" in script
    assert script.endswith("\n")


@pytest.mark.io
@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_finds_no_fault(tmp_path: Path) -> None:
    """The pages are valid roff to mandoc, which is stricter than groff."""
    man.write(tmp_path)
    files = [str(tmp_path / file) for file in PAGES]
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
