"""``top``: the topologies of a cluster, live or once, as text or JSON."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from pacemaker.cli.options.seconds import Seconds
from pacemaker.cli.options.targets import Target, client_command, json_option
from pacemaker.cli.output import exit_codes
from pacemaker.cli.output.printing import print_json, print_line, print_table
from pacemaker.errors import how_to_install

if TYPE_CHECKING:
    from pacemaker.config import Settings
    from pacemaker.observe.observer import Observer
    from pacemaker.observe.views.cluster_view import ClusterView

# The names of the columns; a test compares them with those of the table.
COLUMNS: Final = (
    "state",
    "name",
    "status",
    "workers",
    "executors",
    "oldest",
    "restarts",
    "emitted",
    "acked",
    "failed",
    "latency",
    "capacity",
    "where",
)

WITHOUT_ZOOKEEPER: Final = (
    "Read only the Pacemakers. Names of components are then guesses."
)

# Whether ZooKeeper is read as well.
zookeeper_option = click.option(
    "--no-zookeeper",
    "with_zookeeper",
    flag_value=False,
    default=True,
    help=WITHOUT_ZOOKEEPER,
)


class _NoExtraError(click.ClickException):
    exit_code = exit_codes.USAGE


class _UnreadError(click.ClickException):
    exit_code = exit_codes.NO_ANSWER


@click.command(
    "top",
    short_help="Show the cluster's topologies live: trouble first.",
    epilog="""\b
Examples:
  storm-pacemaker-py top
  storm-pacemaker-py top --once --sort capacity
  storm-pacemaker-py top --json | jq '.troubles[].text'
  storm-pacemaker-py top --once --server pm1.example.com --no-zookeeper

\b
Keys: arrows move, Enter opens, Escape goes back, s and S choose the column to sort by,
r reverses, / filters, q quits.""",
)
@client_command
@click.option("--once", is_flag=True, help="Print the present state as text and exit.")
@json_option
@click.option(
    "--sort",
    type=click.Choice(COLUMNS),
    default="state",
    show_default=True,
    help="The column to sort topologies by.",
)
@click.option(
    "--filter",
    "filter_text",
    metavar="TEXT",
    default="",
    help="Show only topologies that contain TEXT in a column.",
)
@click.option(
    "--columns",
    metavar="NAME,...",
    callback=lambda ctx, parameter, value: _checked_columns(value),
    help=f"Show only these columns. All: {', '.join(COLUMNS)}.",
)
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    type=Seconds(0.5, 60),
    default=2.0,
    show_default=True,
    help="How often the screen is refreshed.",
)
@click.option(
    "--for",
    "for_s",
    metavar="SECONDS",
    type=Seconds(0, 3600),
    default=0.0,
    help="With --once and --json: watch this long first. From 36 s on, rates cover the"
    " last 30 s, otherwise Storm's window of 10 minutes.",
)
@zookeeper_option
def top_command(
    target: Target,
    once: bool,
    as_json: bool,
    sort: str,
    filter_text: str,
    columns: tuple[str, ...],
    interval_s: float,
    for_s: float,
    with_zookeeper: bool,
) -> None:
    """Show the cluster's topologies: their workers, their load, and what is wrong.

    It reads all Pacemakers and, for names and assignments, ZooKeeper. It changes
    nothing.
    """
    if not (once or as_json):
        _check_extra()
    with make_observer(target, with_zookeeper) as observing:
        if once or as_json:
            _watch(observing, for_s)
            view = observing.view()
            if as_json:
                print_json(_as_json(observing, view))
            else:
                _print(view, sort, filter_text, columns)
            _check_read(view)
            return
        from pacemaker.observe.top.app import TopApp

        observing.start()
        TopApp(observing, sort, filter_text, columns, interval_s).run()


def make_observer(target: Target, with_zookeeper: bool) -> Observer:
    """Return an observer of the cluster that the options name.

    Raises:
        ConfigError: the configuration is wrong.
    """
    from pacemaker.observe.observer import Observer

    settings = _with_short_timeouts(target.settings(), target.timeout_s)
    return Observer(settings, target.timeout_s, with_zookeeper=with_zookeeper)


def _with_short_timeouts(settings: Settings, timeout_s: float) -> Settings:
    """Limit the wait for ZooKeeper to that for a Pacemaker: a person is waiting."""
    limit_ms = max(1, round(1000 * timeout_s))
    wait_ms = min(limit_ms, settings.zookeeper_connection_timeout_ms)
    return dataclasses.replace(settings, zookeeper_connection_timeout_ms=wait_ms)


def _checked_columns(value: str | None) -> tuple[str, ...]:
    names = tuple(each.strip() for each in (value or ",".join(COLUMNS)).split(","))
    for name in names:
        if name not in COLUMNS:
            raise click.BadParameter(
                f"there is no column {name!r}; the columns are {', '.join(COLUMNS)}"
            )
    return names


def _check_extra() -> None:
    try:
        import textual  # noqa: F401
    except ImportError as exc:
        raise _NoExtraError(
            f"top needs Textual: {how_to_install('top')}. --once and --json work"
            " without it."
        ) from exc


def _watch(observing: Observer, for_s: float) -> None:
    observing.read_once()
    if for_s:
        observing.start()
        time.sleep(for_s)


def _check_read(view: ClusterView) -> None:
    if view.listed_s is None:
        problem = next((each.text for each in view.troubles), "nothing was read")
        raise _UnreadError(problem)


def _as_json(observing: Observer, view: ClusterView) -> dict[str, Any]:
    shown = view.as_json()
    for topology in shown["topologies"]:
        details = observing.executors(topology["id"])
        topology["executor_details"] = [each.as_json() for each in details]
    return shown


def _print(
    view: ClusterView, sort: str, filter_text: str, columns: Sequence[str]
) -> None:
    from pacemaker.observe.views import tables
    from pacemaker.observe.views.troubles import sentence

    print_line(sentence(view))
    for trouble in view.troubles:
        print_line(
            f"  {tables.BAD if trouble.is_bad else tables.WARNING} {trouble.text}"
        )
    print_line("")
    every = tables.topology_columns(view)
    by_name = {column.name: column for column in every}
    rows = tables.sorted_rows(view.topologies, by_name["name"])
    rows = tables.sorted_rows(tables.matching(rows, every, filter_text), by_name[sort])
    shown = [by_name[name] for name in columns]
    print_table(
        [
            [column.title for column in shown],
            *([column.text(row) for column in shown] for row in rows),
        ],
        right=[place for place, column in enumerate(shown) if column.is_number],
    )
