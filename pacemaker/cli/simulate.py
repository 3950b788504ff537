"""``simulate``: put a cluster's load on a Pacemaker; can it carry the cluster?"""

from __future__ import annotations

import logging
import random
import signal
import sys
from typing import TYPE_CHECKING, Final

import click

from pacemaker.cli.options.seconds import Seconds
from pacemaker.cli.options.targets import Target, client_command, json_option
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import (
    exit_code_answers,
    print_json,
    print_line,
    printable,
    warn,
)
from pacemaker.errors import ServerInUseError
from pacemaker.texts import counted

if TYPE_CHECKING:
    from pacemaker.client import ServerAddress
    from pacemaker.config import Settings
    from pacemaker.sasl.mechanism import ClientMechanismFactory
    from pacemaker.simulate.report import Report
    from pacemaker.simulate.run import SimulatedCluster, Simulation
    from pacemaker.simulate.shape import ClusterShape

_logger: Final = logging.getLogger("pacemaker.cli")

# Random numbers here decide who sends when; runs differ as clusters do.
_RNG: Final = random.Random()  # noqa: S311  (no secret)


class _InUseError(click.ClickException):
    exit_code = exit_codes.IN_USE


@click.command(
    "simulate",
    short_help="Check whether a Pacemaker can carry a cluster's load.",
    epilog="""\b
Examples:
  storm-pacemaker-py simulate --supervisors 270 --workers 10
  storm-pacemaker-py simulate --server pm1.example.com --duration 600 --json
  storm-pacemaker-py simulate --supervisors 1500 --workers 10 --executors 4

\b
The exit code is 0 if every request is answered within a second, and 1 if one is
not. It is 3 if this program itself fell behind its schedule, so that there is no
answer, and 4 if the server already has heartbeats.""",
)
@client_command
@click.option(
    "--supervisors",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many hosts run workers.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="How many workers each host runs. Each worker has a connection of its own.",
)
@click.option(
    "--executors",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many executors each worker has. Each adds half a KB to its heartbeat.",
)
@click.option(
    "--topologies",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many topologies the workers belong to.",
)
@click.option(
    "--interval",
    "interval_s",
    type=Seconds(min=0.1, max=3600),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two heartbeats of a worker; Storm 2.0 to 2.2 use 60.",
)
@click.option(
    "--duration",
    "duration_s",
    type=Seconds(min=1, max=7 * 86400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the simulation sends heartbeats.",
)
@click.option(
    "--relays",
    "has_relays",
    is_flag=True,
    help="Send the pulses of each host over one connection, as the relay of the host "
    "does. No relay is started.",
)
@click.option(
    "--force", is_flag=True, help="Run even if the server has heartbeats of others."
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
    has_relays: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Put the pulses and reads of a cluster on one server, ours or the JVM's.

    Each worker sends real heartbeats over a connection of its own (with --relays,
    over that of its host), and a Nimbus reads all of them every 10 s. A latency
    counts from the moment at which the pulse was scheduled. The heartbeats are
    removed at the end, even after Ctrl-C.

    Progress goes to stderr, the report to stdout.
    """
    from pacemaker.simulate.run import Simulation, make_cluster
    from pacemaker.simulate.shape import ClusterShape

    settings = target.settings()
    address = _only_server(settings)
    topologies = min(topologies, supervisors * workers)
    shape = ClusterShape(
        supervisors, workers, executors, topologies, interval_s, has_relays
    )
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
        text = f"{exc}. Use --force to run the simulation anyway."
        if any(TOPOLOGY_NAME in path for path in exc.paths):
            text += " (`storm-pacemaker-py rm PATH` removes leftovers of a simulation.)"
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
            " Remove them later with `storm-pacemaker-py rm PATH`."
        )
    if simulation.signal_number is not None:
        return exit_codes.SIGNALLED + simulation.signal_number
    code = _exit_code(report)
    if code == exit_codes.OK and simulation.problem:
        return exit_codes.NO_ANSWER
    return code


def _exit_code(report: Report) -> int:
    from pacemaker.simulate.report import RunVerdict

    return {
        RunVerdict.CARRIES: exit_codes.OK,
        RunVerdict.DOES_NOT: exit_codes.NO,
        RunVerdict.UNKNOWN: exit_codes.GENERATOR_BEHIND,
        RunVerdict.INTERRUPTED: exit_codes.SIGNALLED + signal.SIGINT,
    }[report.verdict]


def _only_server(settings: Settings) -> ServerAddress:
    from pacemaker.client.pool import server_addresses

    addresses = server_addresses(settings)
    if len(addresses) > 1:
        names = ", ".join(map(str, addresses))
        raise click.UsageError(
            f"pacemaker.servers names more than one server: {names}. Choose one with"
            " --server."
        )
    return addresses[0]


def _check_descriptors(shape: ClusterShape) -> None:
    from pacemaker.simulate.descriptors import SPARE_DESCRIPTORS, raise_limit_for

    needed = shape.connections
    room = raise_limit_for(needed)
    what = "relay" if shape.has_relays else "worker"
    if room < needed:
        raise click.UsageError(
            f"{needed:,} {what}s need {needed + SPARE_DESCRIPTORS:,} descriptors, but"
            f" this process may open {room + SPARE_DESCRIPTORS:,} (ulimit -Hn), enough"
            f" for {counted(room, what, ',')}"
        )


def _check_size(cluster: SimulatedCluster, settings: Settings) -> None:
    allowed_bytes = settings.message_size_max_bytes
    if cluster.most_message_bytes > allowed_bytes:
        raise click.BadParameter(
            f"a heartbeat of {counted(cluster.shape.executors, 'executor', ',')}"
            " makes a message of"
            f" {cluster.most_message_bytes:,} bytes, but"
            f" pacemaker.thrift.message.size.max allows {allowed_bytes:,}",
            param_hint="'--executors'",
        )


def _mechanism_factory(settings: Settings) -> ClientMechanismFactory | None:
    from pacemaker.sasl.setup import set_up_client

    sasl = set_up_client(settings)
    for note in sasl.notes:
        _logger.warning(note)
    return sasl.factory
