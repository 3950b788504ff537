"""``simulate``: a cluster's load on a Pacemaker, and whether it carries it."""

from __future__ import annotations

import logging
import random
import signal
import sys
from typing import TYPE_CHECKING

import click

from pacemaker.cli import exit_codes
from pacemaker.cli.output import (
    exit_code_answers,
    print_json,
    print_line,
    printable,
    warn,
)
from pacemaker.cli.targets import Target, client_command, json_option
from pacemaker.errors import ServerInUseError
from pacemaker.words import counted

if TYPE_CHECKING:
    from pacemaker.client import ServerAddress
    from pacemaker.config import Settings
    from pacemaker.sasl.mechanism import ClientMechanismFactory
    from pacemaker.simulate.report import Report
    from pacemaker.simulate.run import Cluster, Simulation
    from pacemaker.simulate.shape import ClusterShape

logger = logging.getLogger("pacemaker.cli")

# Random numbers here decide who sends when; runs differ as clusters do.
_RNG = random.Random()  # noqa: S311  (no secret)


class _InUseError(click.ClickException):
    exit_code = exit_codes.IN_USE


@click.command(
    "simulate",
    short_help="Load a Pacemaker as a cluster would, and say whether it carries it.",
    epilog="""\b
Examples:
  storm-pacemaker-py simulate --supervisors 270 --workers 10
  storm-pacemaker-py simulate --server pm1.example.com --duration 600 --json
  storm-pacemaker-py simulate --supervisors 1500 --workers 10 --executors 4

\b
The exit code is 0 where every request is answered within a second, 1 where one
is not, 3 where this program itself fell behind, so that there is no answer, and
4 where the server holds heartbeats already.""",
)
@client_command
@click.option(
    "--supervisors",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="The hosts that run workers.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="The workers on each: a connection and a pulse every 3 s from each.",
)
@click.option(
    "--executors",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="The executors in each worker: half a KB of its heartbeat each.",
)
@click.option(
    "--topologies",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="The topologies that the workers belong to.",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1, max=3600),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How often each worker sends its heartbeat; Storm 2.0 to 2.2: 60.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=1, max=7 * 86400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to send.",
)
@click.option(
    "--force", is_flag=True, help="Go on where the server holds heartbeats of others."
)
@json_option
@click.pass_context
def simulate_command(
    ctx: click.Context,
    target: Target,
    supervisors: int,
    workers: int,
    executors: int,
    topologies: int,
    interval_s: float,
    duration_s: float,
    force: bool,
    as_json: bool,
) -> None:
    """Load one server, ours or the JVM's, with the pulses and reads of a cluster.

    Each worker sends real heartbeats over a connection of its own, and a Nimbus
    reads all of them every 10 s. A latency counts from the moment a pulse was
    due. What is stored meanwhile is removed at the end, also after Ctrl-C.

    Progress goes to stderr, the report to stdout.
    """
    from pacemaker.simulate.run import Simulation, make_cluster
    from pacemaker.simulate.shape import ClusterShape

    settings = target.settings()
    address = _the_server(settings)
    topologies = min(topologies, supervisors * workers)
    shape = ClusterShape(supervisors, workers, executors, topologies, interval_s)
    _check_descriptors(shape)
    cluster = make_cluster(shape, _RNG)
    _check_size(cluster, settings)
    simulation = Simulation(
        cluster,
        duration_s,
        address,
        settings,
        _mechanism_factory(settings),
        target.timeout_s,
        _RNG,
    )
    if not force:
        _refuse_others(simulation)
    ctx.exit(_run(simulation, as_json))


def _refuse_others(simulation: Simulation) -> None:
    from pacemaker.simulate.shape import TOPOLOGY_NAME

    try:
        simulation.refuse_others()
    except ServerInUseError as exc:
        text = f"{exc}. With --force the simulation writes beside them."
        if any(TOPOLOGY_NAME in path for path in exc.paths):
            text += " (`storm-pacemaker-py rm PATH` removes what one has left.)"
        raise _InUseError(printable(text)) from exc


def _run(simulation: Simulation, as_json: bool) -> int:
    from pacemaker.simulate.display import Display

    report = simulation.run(Display(sys.stderr))
    with exit_code_answers():
        if as_json:
            print_json(report.as_json())
        else:
            for line in report.lines():
                print_line(line)
    if simulation.problem:
        warn(
            f"{simulation.left} could not be removed: {simulation.problem}."
            " `storm-pacemaker-py rm PATH` does it another time."
        )
    if simulation.signal_number is not None:
        return exit_codes.SIGNALLED + simulation.signal_number
    code = _exit_code(report)
    if code == exit_codes.OK and simulation.problem:
        return exit_codes.NO_ANSWER
    return code


def _exit_code(report: Report) -> int:
    from pacemaker.simulate.report import Verdict

    return {
        Verdict.CARRIES: exit_codes.OK,
        Verdict.DOES_NOT: exit_codes.NO,
        Verdict.UNKNOWN: exit_codes.GENERATOR_BEHIND,
        Verdict.INTERRUPTED: exit_codes.SIGNALLED + signal.SIGINT,
    }[report.verdict]


def _the_server(settings: Settings) -> ServerAddress:
    from pacemaker.client.pool import server_addresses

    addresses = server_addresses(settings)
    if len(addresses) > 1:
        names = ", ".join(map(str, addresses))
        raise click.UsageError(
            f"pacemaker.servers has more than one: {names}. Name the one to load"
            " with --server."
        )
    return addresses[0]


def _check_descriptors(shape: ClusterShape) -> None:
    from pacemaker.simulate.descriptors import SPARE, make_room

    needed = shape.workers_in_all
    room = make_room(needed)
    if room < needed:
        raise click.UsageError(
            f"{needed:,} workers need {needed + SPARE:,} descriptors, and this"
            f" process is allowed {room + SPARE:,} (ulimit -Hn):"
            f" {counted(room, 'worker', ',')} at most"
        )


def _check_size(cluster: Cluster, settings: Settings) -> None:
    allowed_bytes = settings.message_size_max_bytes
    if cluster.most_message_bytes > allowed_bytes:
        raise click.BadParameter(
            f"a heartbeat of {counted(cluster.shape.executors, 'executor', ',')}"
            " makes a message of"
            f" {cluster.most_message_bytes:,} bytes, and"
            f" pacemaker.thrift.message.size.max allows {allowed_bytes:,}",
            param_hint="'--executors'",
        )


def _mechanism_factory(settings: Settings) -> ClientMechanismFactory | None:
    from pacemaker.sasl.registry import client_mechanism_factory

    sasl = client_mechanism_factory(settings)
    for note in sasl.notes:
        logger.warning(note)
    return sasl.factory
