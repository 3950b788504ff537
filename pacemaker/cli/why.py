"""``why``: tell why a worker was moved, restarted, or taken for dead."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pacemaker.admin.address import AdminAddress
from pacemaker.cli import exit_codes
from pacemaker.cli.admin_options import METAVAR, parse_admin, read_token
from pacemaker.cli.output import (
    exit_code_answers,
    note,
    print_json,
    print_text,
    printable,
    warn,
)
from pacemaker.cli.targets import Target, client_command, json_option
from pacemaker.cli.top import zookeeper_option
from pacemaker.config import Settings
from pacemaker.errors import AdminError, ZooKeeperError

if TYPE_CHECKING:
    from pacemaker.observe.nodes import ClusterNodes
    from pacemaker.why.facts import DaemonFacts
    from pacemaker.why.verdicts import Case

# Where the endpoint of a Pacemaker is, if the command line does not say.
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
      every worker of the topology, by the Pacemakers of pacemaker.servers and their
      endpoints at port {ADMIN_PORT}; with relays, those of pacemaker.relay.servers
      and the relays on the hosts of its workers
  storm-pacemaker-py why words-1-1700000000 6700
  storm-pacemaker-py why words --admin pm1:6698 --admin pm2:6698 --json
  storm-pacemaker-py why words --admin unix:/run/storm-pacemaker-py/admin

The Pacemakers must run with --admin. The exit code is 0 if there is a story to
tell, 1 if nothing is known of the topology or the worker, and 75 if no Pacemaker
answers.""",
)
@click.argument("topology")
@click.argument("worker", required=False)
@click.option(
    "--admin",
    "endpoints",
    metavar=METAVAR,
    multiple=True,
    callback=lambda ctx, param, texts: [parse_admin(ctx, param, t) for t in texts],
    help="Ask this endpoint instead of those of pacemaker.servers: of a Pacemaker, or"
    " of the relay on the worker's host. Repeatable.",
)
@click.option(
    "--admin-port",
    type=click.IntRange(1, 65535),
    default=ADMIN_PORT,
    show_default=True,
    help="The port of the endpoints of pacemaker.servers.",
)
@click.option(
    "--admin-token-file",
    "token",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=read_token,
    help="Send the token in FILE, as the Pacemakers' --admin-token-file has it.",
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

    TOPOLOGY is a name or an id; WORKER is a port, HOST:PORT, or a part of the last
    segment of the key.
    """
    from pacemaker.why.story import as_json as finding_json
    from pacemaker.why.story import tell
    from pacemaker.why.verdicts import Case, judge

    settings = target.settings()
    nodes = _read_nodes(settings) if with_zookeeper else None
    addresses = [each for each in endpoints if each is not None]
    if not addresses:
        addresses += _pacemakers(settings, admin_port)
        addresses += _relays(settings, nodes, topology, admin_port)
    daemons = _ask_all(addresses, target.timeout_s, token)
    case = Case(daemons, nodes, has_relays=bool(settings.relay_servers))
    wanted = _wanted(case, topology, worker)
    if not wanted:
        raise _NothingFoundError(_nothing(case, topology, worker))
    stories = [(each, judge(case, each)) for each in wanted]
    with exit_code_answers():
        if as_json:
            print_json([finding_json(each, found) for each, found in stories])
            return
        for each, found in stories:
            for line in tell(case, each, found):
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
        AdminError: none has answered.
    """
    daemons = []
    problem: AdminError | None = None
    # At once: there may be a relay on each of many hosts, and some may be away.
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        answers = [
            pool.submit(_ask, address, timeout_s, token) for address in addresses
        ]
    for answer in answers:
        try:
            daemons.append(answer.result())
        except AdminError as exc:
            problem = exc
            warn(printable(str(exc)))
    if problem is not None and not daemons:
        raise problem
    return daemons


def _ask(address: AdminAddress, timeout_s: float, token: str | None) -> DaemonFacts:
    from pacemaker.admin.client import ask
    from pacemaker.why.facts import HistoryFormatError, parse_history

    # All topologies: what met other workers at the same time matters.
    answer = ask(address, "/history", timeout_s, token)
    if answer.status != _OK:
        raise AdminError(str(address), answer.text.strip())
    try:
        return parse_history(str(address), answer.text)
    except HistoryFormatError as exc:
        raise AdminError(str(address), str(exc)) from exc


def _read_nodes(settings: Settings) -> ClusterNodes | None:
    """Read what ZooKeeper says; if it does not answer, a line says so."""
    from pacemaker.cluster_state.zookeeper_state import ZooKeeperState
    from pacemaker.observe.zookeeper import read_nodes

    try:
        with ZooKeeperState(settings) as state:
            state.start(creates_root=False)
            return read_nodes(state, time.time())
    except ZooKeeperError as exc:
        note(f"without ZooKeeper, some verdicts cannot be told apart: {exc}")
        return None


def _wanted(case: Case, topology: str, worker: str | None) -> list[tuple[str, str]]:
    """Return the workers that were asked for."""
    return [
        each
        for each in case.workers
        if _is_topology(each[0], topology)
        and (worker is None or _is_it(case, each, worker))
    ]


def _is_it(case: Case, known: tuple[str, str], wanted: str) -> bool:
    from pacemaker.observe.nodes import slot_of

    slot = slot_of(known[1])
    if slot is None:
        return wanted == known[1]
    if wanted in (known[1], str(slot.port)):
        return True
    host, colon, port = wanted.rpartition(":")
    if colon and port == str(slot.port) and case.nodes is not None:
        return host == case.nodes.host_of(known[0], slot.node)
    return len(wanted) > 5 and wanted in known[1]


def _nothing(case: Case, topology: str, worker: str | None) -> str:
    what = f"worker {worker} of {topology}" if worker else f"topology {topology}"
    names = ", ".join(each.name for each in case.daemons)
    known = sorted({topology_id for topology_id, _ in case.workers})
    return printable(
        f"no heartbeat of {what} is remembered by {names}; they remember"
        f" {', '.join(known[:10]) or 'no topology'}"
    )
