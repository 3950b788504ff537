"""``doctor``: check a cluster against the traps of Storm and of this daemon."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pacemaker.cli.options.seconds import TIMEOUT
from pacemaker.cli.options.targets import DEFAULT_TIMEOUT_S, json_option
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.logs import configure_logs
from pacemaker.cli.output.printing import exit_code_answers, print_json, print_line
from pacemaker.texts import counted

if TYPE_CHECKING:
    from pacemaker.doctor.facts import Finding


@click.command(
    "doctor",
    short_help="Check the cluster and its storm.yaml for traps.",
    epilog="""\b
Examples:
  storm-pacemaker-py doctor
  storm-pacemaker-py doctor nimbus/storm.yaml worker-1/storm.yaml
  storm-pacemaker-py doctor --json | jq -r '.findings[] | .key'

The exit code is 0 if nothing is wrong, 1 if there are only warnings, and 2 if there
are failures.""",
)
@click.argument("files", nargs=-1, type=click.Path())
@click.option(
    "-c",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a key of the first file. Repeatable.",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=TIMEOUT,
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="How long to wait for the answer to each request.",
)
@json_option
@click.pass_context
def doctor_command(
    ctx: click.Context,
    files: Sequence[str],
    overrides: Sequence[str],
    timeout_s: float,
    as_json: bool,
) -> None:
    """Check storm.yaml, the Pacemakers, ZooKeeper and this machine.

    FILES are storm.yaml files of several hosts of the cluster, to compare them; the
    default is this host's own. The first file says where the cluster is. Each finding
    names the key, the file, the value, the consequence and the remedy. Nothing is
    changed.
    """
    from pacemaker.config.layers import option_layers
    from pacemaker.doctor.checks.findings import findings
    from pacemaker.doctor.gather import gather

    configure_logs("error")
    layers, _ = option_layers(overrides)
    found = findings(gather(files, os.environ, timeout_s, overrides=layers))
    with exit_code_answers():
        _print(found, as_json)
    if found:
        is_failure = any(finding.is_failure for finding in found)
        ctx.exit(exit_codes.FAILURES if is_failure else exit_codes.NO)


def _print(found: Sequence[Finding], as_json: bool) -> None:
    failures = sum(finding.is_failure for finding in found)
    if as_json:
        print_json(
            {
                "failures": failures,
                "warnings": len(found) - failures,
                "findings": [dataclasses.asdict(finding) for finding in found],
            }
        )
        return
    for finding in found:
        print_line(f"{'FAILURE' if finding.is_failure else 'WARNING'} {finding.key}")
        print_line(f"  where:   {finding.file}")
        print_line(f"  value:   {finding.value}")
        print_line(f"  because: {finding.because}")
        print_line(f"  remedy:  {finding.remedy}")
        print_line("")
    if found:
        warnings = counted(len(found) - failures, "warning")
        print_line(f"{counted(failures, 'failure')}, {warnings}")
    else:
        print_line("nothing is wrong")
