"""``why``: tell why a worker was moved, restarted, or taken for dead."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pacemaker.admin.address import AdminAddress
from pacemaker.cli.options.admin_options import METAVAR, parse_admin, read_token
from pacemaker.cli.options.targets import Target, client_command, json_option
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import (
    exit_code_answers,
    note,
    print_json,
    print_text,
    printable,
    warn,
)
from pacemaker.cli.top import zookeeper_option
from pacemaker.config import Settings
from pacemaker.errors import AdminError, ZooKeeperError

if TYPE_CHECKING:
    from pacemaker.observe.zookeeper.storm_nodes import ClusterNodes
    from pacemaker.why.evidence import Evidence
    from pacemaker.why.facts import DaemonFacts, WorkerId

# The port of an endpoint, unless the command line says otherwise.
ADMIN_PORT: Final = 6698

_OK: Final = 200
_ASKED_AT_ONCE: Final = 16


class _NothingFoundError(click.ClickException):
    exit_code = exit_codes.NO


@click.command(
    "why",
    short_help="Tell why a worker was moved or restarted.",
    epilog=f"""\b
Examples:
  storm-pacemaker-py why words
      every worker of the topology; asks port {ADMIN_PORT} of pacemaker.servers, or
      of pacemaker.relay.servers and the relays on the hosts of the workers
  storm-pacemaker-py why words-1-1700000000 6700
  storm-pacemaker-py why words --admin pm1:6698 --admin pm2:6698 --json
  storm-pacemaker-py why words --admin unix:/run/storm-pacemaker-py/admin

The Pacemakers and relays must run with --admin. The exit code is 0 if something is
known of the topology or the worker, 1 if nothing is, and 75 if nothing answers.""",
)
@click.argument("topology")
@click.argument("worker", required=False)
@click.option(
    "--admin",
    "endpoints",
    metavar=METAVAR,
    multiple=True,
    callback=lambda ctx, param, texts: [parse_admin(ctx, param, t) for t in texts],
    help="Ask this endpoint of a Pacemaker or a relay instead of those that the"
    " configuration and ZooKeeper name. Repeatable.",
)
@click.option(
    "--admin-port",
    type=click.IntRange(1, 65535),
    default=ADMIN_PORT,
    show_default=True,
    help="The port of the admin endpoints of Pacemakers and relays.",
)
@click.option(
    "--admin-token-file",
    "token",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=read_token,
    help="Send the token in FILE: that of the daemons' --admin-token-file.",
)
@zookeeper_option
@client_command
@json_option
def why_command(
    target: Target,
    topology: str,
    worker: str | None,
    endpoints: Sequence[AdminAddress | None],
    admin_port: int,
    token: str | None,
    with_zookeeper: bool,
    as_json: bool,
) -> None:
    """Tell why the workers of TOPOLOGY were moved, restarted or taken for dead.

    TOPOLOGY is a name or an id. WORKER is a port, HOST:PORT, or at least six
    characters of the worker's key.
    """
    from pacemaker.why.evidence import Evidence
    from pacemaker.why.story import as_json as finding_json
    from pacemaker.why.story import story_lines
    from pacemaker.why.verdicts import findings_of

    settings = target.settings()
    # First, because it names the hosts of the relays.
    nodes = _read_nodes(settings) if with_zookeeper else None
    addresses = [each for each in endpoints if each is not None]
    if not addresses:
        addresses += _pacemakers(settings, admin_port)
        addresses += _relays(settings, nodes, topology, admin_port)
    daemons = _ask_all(addresses, target.timeout_s, token)
    evidence = Evidence(daemons, nodes, has_relays=bool(settings.relay_servers))
    wanted = _wanted(evidence, topology, worker)
    if not wanted:
        raise _NothingFoundError(_nothing_known(evidence, topology, worker))
    stories = [(each, findings_of(evidence, each)) for each in wanted]
    with exit_code_answers():
        if as_json:
            print_json([finding_json(each, found) for each, found in stories])
            return
        for each, found in stories:
            for line in story_lines(evidence, each, found):
                print_text(printable(line))


def _pacemakers(settings: Settings, port: int) -> Iterator[AdminAddress]:
    from pacemaker.client.address import parse_server

    for server in settings.relay_servers or settings.servers:
        yield AdminAddress(parse_server(server, settings.port).host, port)


def _relays(
    settings: Settings, nodes: ClusterNodes | None, topology: str, port: int
) -> Iterator[AdminAddress]:
    """Yield the endpoints of the relays on the hosts of a topology's workers."""
    if not settings.relay_servers or nodes is None:
        return
    hosts = {
        host
        for topology_id, assignment in nodes.assignments.items()
        if _is_topology(topology_id, topology)
        for host in assignment.hosts.values()
    }
    for host in sorted(hosts):
        yield AdminAddress(host, port)


def _is_topology(topology_id: str, wanted: str) -> bool:
    return wanted in (topology_id, topology_id.rsplit("-", 2)[0])


def _ask_all(
    addresses: Sequence[AdminAddress], timeout_s: float, token: str | None
) -> list[DaemonFacts]:
    """Ask every endpoint for its history.

    Raises:
        AdminError: no endpoint answered.
    """
    # Imported here, because the daemon imports this module too, but never asks.
    from concurrent.futures import ThreadPoolExecutor

    from pacemaker.why.facts import corrected_to_one_clock

    answers: list[tuple[DaemonFacts, float]] = []
    problem: AdminError | None = None
    # At once, because there may be many relays, and some may not answer.
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        asked = [pool.submit(_ask, each, timeout_s, token) for each in addresses]
    for future in asked:
        try:
            answers.append(future.result())
        except AdminError as exc:
            problem = exc
            warn(printable(str(exc)))
    if problem is not None and not answers:
        raise problem
    daemons = corrected_to_one_clock(answers)
    for daemon in daemons:
        if daemon.corrected_s:
            _note_clock(daemon, daemons[0])
    return daemons


def _ask(
    address: AdminAddress, timeout_s: float, token: str | None
) -> tuple[DaemonFacts, float]:
    """Return what a Pacemaker or a relay remembers, and when it answered."""
    from pacemaker.admin.client import fetch_page
    from pacemaker.why.facts import HistoryFormatError, parse_history

    # All topologies: what happened to other workers at the same time matters.
    answer = fetch_page(address, "/history", timeout_s, token)
    answered_s = time.time()
    if answer.status != _OK:
        raise AdminError(str(address), answer.text.strip())
    try:
        return parse_history(str(address), answer.text), answered_s
    except HistoryFormatError as exc:
        raise AdminError(str(address), str(exc)) from exc


def _note_clock(daemon: DaemonFacts, first: DaemonFacts) -> None:
    off_s = daemon.corrected_s
    direction = "behind" if off_s > 0 else "ahead of"
    note(
        f"the clock of {daemon.name} is {abs(off_s):.0f} s {direction} that of"
        f" {first.name}; all times below are by the latter"
    )


def _read_nodes(settings: Settings) -> ClusterNodes | None:
    """Read what ZooKeeper says; None, with a note, if it does not answer."""
    from pacemaker.cluster_state.zookeeper_state import ZooKeeperState
    from pacemaker.observe.zookeeper.reading import read_nodes

    try:
        with ZooKeeperState(settings) as state:
            state.start(creates_root=False)
            return read_nodes(state, time.time())
    except ZooKeeperError as exc:
        note(f"ZooKeeper cannot be read, so some causes stay unclear: {exc}")
        return None


def _wanted(evidence: Evidence, topology: str, worker: str | None) -> list[WorkerId]:
    """Return the workers that were asked for: with heartbeats, or assigned."""
    return [
        each
        for each in sorted({*evidence.workers, *evidence.assigned})
        if _is_topology(each.topology_id, topology)
        and (worker is None or _is_worker(evidence, each, worker))
    ]


def _is_worker(evidence: Evidence, known: WorkerId, wanted: str) -> bool:
    from pacemaker.observe.zookeeper.storm_nodes import slot_of

    slot = slot_of(known.name)
    if slot is None:
        return wanted == known.name
    if wanted in (known.name, str(slot.port)):
        return True
    host, colon, port = wanted.rpartition(":")
    if colon and port == str(slot.port) and evidence.nodes is not None:
        return host == evidence.nodes.host_of(known.topology_id, slot.node)
    return len(wanted) > 5 and wanted in known.name


def _nothing_known(evidence: Evidence, topology: str, worker: str | None) -> str:
    what = f"worker {worker} of {topology}" if worker else f"topology {topology}"
    names = ", ".join(each.name for each in evidence.daemons)
    known = sorted({topology_id for topology_id, _ in evidence.workers})
    if not known:
        return printable(
            f"nothing is known of {what}: {names} remembers no worker at all"
        )
    listed = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    return printable(
        f"nothing is known of {what}; {names} remembers these topologies: {listed}"
    )
