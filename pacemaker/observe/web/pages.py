"""The pages: the cluster, a topology, a component, a worker; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pacemaker.observe.decoding.executor_figures import WINDOWS
from pacemaker.observe.views import tables
from pacemaker.observe.views.cluster_view import (
    WINDOW_NAMES,
    ClusterView,
    ComponentView,
    ExecutorView,
    TopologyView,
    Totals,
    Trouble,
    WorkerView,
)
from pacemaker.observe.views.sparklines import Sparklines
from pacemaker.observe.views.troubles import sentence
from pacemaker.observe.web import html
from pacemaker.observe.web.html import Html, escaped, joined, link, path_of

# The most entries in a list of troubles.
MAX_WORST_ROWS: Final = 8

# The most rows of a table: anyone can store keys.
MAX_ROWS: Final = 500

# The lists of the first page, and the kinds of trouble in each.
LISTS: Final = (
    (
        "Pacemaker, ZooKeeper and Nimbus",
        ("no_server", "old_data", "server", "no_leader", "zookeeper", "too_many_keys"),
    ),
    ("Late or missing workers", ("missing", "late", "gone", "unreadable")),
    ("Restarts and moves", ("restarted", "moved")),
    ("Full bolts", ("full",)),
    ("Failures", ("failures",)),
    ("Last errors", ("error",)),
    ("Clocks and leftovers", ("skew", "stale_topology")),
)


def cluster_page(view: ClusterView, sparklines: Sparklines) -> Html:
    """Return the first page."""
    columns = tables.topology_columns(view)
    by_name = {column.name: column for column in columns}
    rows = tables.sorted_rows(view.topologies, by_name["name"])
    rows = tables.sorted_rows(rows, by_name["state"])
    shown = html.table(
        _counted("Topologies", len(rows)),
        columns,
        rows[:MAX_ROWS],
        {
            "state": lambda t: html.severity_letter(by_name["state"].text(t)),
            "name": lambda t: link(path_of(t.id), t.name),
        },
        [("10 MINUTES", lambda t: _line(sparklines.of(t.id), t.name))],
    )
    lists = [_list_of(view, title, kinds) for title, kinds in LISTS]
    body = joined(Html('<div class="g">'), *lists, Html("</div>"), shown)
    return _page(view, "Storm cluster", Html("Storm cluster"), body)


def _counted(title: str, count: int) -> str:
    return f"{title} (the first {MAX_ROWS} of {count})" if count > MAX_ROWS else title


def _list_of(view: ClusterView, title: str, kinds: Sequence[str]) -> Html:
    found = [each for each in view.troubles if each.kind in kinds]
    items = [_item(view, trouble) for trouble in found[:MAX_WORST_ROWS]]
    return html.titled_list(title, items, max(0, len(found) - MAX_WORST_ROWS))


def _item(view: ClusterView, trouble: Trouble) -> Html:
    severity = tables.BAD if trouble.is_bad else tables.WARNING
    text = escaped(trouble.text, html.MAX_ERROR_CHARACTERS)
    path = _path_of(view, trouble)
    if path is not None:
        text = Html(f'<a href="{escaped(path, 10_000)}">{text}</a>')
    return joined(html.severity_letter(severity), " ", text)


def _path_of(view: ClusterView, trouble: Trouble) -> str | None:
    topology = None
    if trouble.topology_id is not None:
        topology = view.topology(trouble.topology_id)
    if topology is None:
        return None
    if any(trouble.subject == each.name for each in topology.components):
        return path_of(topology.id, "component", trouble.subject)
    if any(trouble.subject == each.name for each in topology.workers):
        return path_of(topology.id, "worker", trouble.subject)
    return path_of(topology.id)


def topology_page(
    view: ClusterView, topology: TopologyView, sparklines: Sparklines
) -> Html:
    """Return the page of a topology."""

    def line(component: ComponentView) -> Html:
        return _line(sparklines.of(topology.id, component.name), component.name)

    components = html.table(
        _counted("Components", len(topology.components)),
        tables.component_columns(),
        topology.components[:MAX_ROWS],
        {"name": lambda c: _component_link(topology, c)},
        [
            (
                "TUPLES/S, 10 MIN",
                lambda c: _line(sparklines.of(topology.id, c.name), c.name),
            )
        ],
    )
    workers = _worker_table(topology, topology.workers)
    body = joined(
        _facts(
            ("id", topology.id),
            ("status", topology.status or tables.UNKNOWN),
            ("owner", topology.owner or tables.UNKNOWN),
            ("uptime", tables.duration_text(topology.uptime_secs)),
            (
                "workers",
                tables.present_of_expected(
                    topology.workers_present, topology.workers_expected
                ),
            ),
            (
                "executors",
                tables.present_of_expected(
                    topology.executors, topology.executors_expected
                ),
            ),
            ("emitted/s", tables.rate_text(topology.rates.emitted)),
            ("acked/s", tables.rate_text(topology.rates.acked)),
        ),
        _own_troubles(view, topology),
        components,
        workers,
        _windows(topology.totals),
    )
    heading = joined(Html('<a href="/">Storm cluster</a> / '), topology.name)
    return _page(view, topology.name, heading, body)


def component_page(
    view: ClusterView,
    topology: TopologyView,
    component: ComponentView,
    executors: Sequence[ExecutorView],
    sparklines: Sparklines,
) -> Html:
    """Return the page of a component."""
    error: Html | str = ""
    if component.error is not None:
        age = tables.duration_text(view.time_s - component.error.time_secs)
        at = f"{component.error.host}:{component.error.port}"
        error = joined(
            Html("<section><h2>"),
            f"Last error, {age} ago at {at}",
            Html("</h2><pre>"),
            # Line by line, because line ends are control characters.
            Html("\n".join(escaped(x) for x in component.error.text.split("\n")[:30])),
            Html("</pre></section>"),
        )
    body = joined(
        _facts(
            ("kind", "spout" if component.is_spout else "bolt"),
            (
                "executors",
                tables.present_of_expected(component.executors, component.expected),
            ),
            ("tasks", str(component.tasks)),
            ("capacity", tables.decimal_text(component.load)),
            ("name", "guessed" if component.is_guess else "from ZooKeeper"),
        ),
        _line(sparklines.of(topology.id, component.name), component.name),
        error,
        _executor_table(topology, executors),
        _windows(component.totals),
    )
    return _page(view, component.name, _heading(topology, component.name), body)


def worker_page(
    view: ClusterView,
    topology: TopologyView,
    worker: WorkerView,
    executors: Sequence[ExecutorView],
) -> Html:
    """Return the page of a worker."""
    body = joined(
        _facts(("key", worker.name), ("problem", worker.problem or "none")),
        _worker_table(topology, [worker]),
        _executor_table(topology, executors),
    )
    return _page(view, worker.place, _heading(topology, worker.place), body)


def missing_page(view: ClusterView, what: str) -> Html:
    """Return the page for something that does not exist."""
    body = joined(Html("<p>"), f"There is no {what}, or it no longer exists.")
    return _page(view, "not found", Html('<a href="/">Storm cluster</a>'), body)


def _heading(topology: TopologyView, name: str) -> Html:
    above = link(path_of(topology.id), topology.name)
    return joined(Html('<a href="/">Storm cluster</a> / '), above, " / ", name)


def _component_link(topology: TopologyView, component: ComponentView) -> Html:
    text = f"{component.name} (guess)" if component.is_guess else component.name
    return link(path_of(topology.id, "component", component.name), text)


def _worker_table(topology: TopologyView, workers: Sequence[WorkerView]) -> Html:
    columns = tables.worker_columns()
    rows = tables.sorted_rows(workers, columns[0])
    return html.table(
        _counted("Workers", len(workers)),
        columns,
        rows[:MAX_ROWS],
        {
            "state": lambda w: html.severity_letter(tables.severity_of_state(w.state)),
            "worker": lambda w: link(path_of(topology.id, "worker", w.name), w.place),
        },
    )


def _executor_table(topology: TopologyView, executors: Sequence[ExecutorView]) -> Html:
    places = {worker.name: worker.place for worker in topology.workers}

    def worker(executor: ExecutorView) -> Html:
        name = executor.worker
        return link(path_of(topology.id, "worker", name), places.get(name, name))

    return html.table(
        _counted("Executors", len(executors)),
        tables.executor_columns(),
        executors[:MAX_ROWS],
        {
            "worker": worker,
            "component": lambda e: link(
                path_of(topology.id, "component", e.component), e.component
            ),
        },
    )


def _windows(totals: Totals) -> Html:
    """Return the table of Storm's four windows."""
    figures = totals.as_json()

    def column(name: str) -> tables.Column[str]:
        title = name.replace("_", " ").upper()
        return tables.Column(name, title, lambda w: _figure(figures[w][name]), str)

    first: tables.Column[str] = tables.Column(
        "window", "WINDOW", lambda w: WINDOW_NAMES[w], str, False
    )
    columns = [first, *map(column, figures[WINDOWS[0]])]
    return html.table("Storm's windows", columns, WINDOWS, {})


def _figure(value: float | None) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return tables.decimal_text(value)


def _own_troubles(view: ClusterView, topology: TopologyView) -> Html:
    found = [t for t in view.troubles if t.topology_id == topology.id]
    items = [_item(view, trouble) for trouble in found[: 3 * MAX_WORST_ROWS]]
    return html.titled_list(
        "What is wrong", items, max(0, len(found) - 3 * MAX_WORST_ROWS)
    )


def _facts(*facts: tuple[str, str]) -> Html:
    shown = [
        joined(f"{name}: ", Html("<b>"), value, Html("</b>")) for name, value in facts
    ]
    return joined(Html('<p class="m">'), Html("; ".join(shown)), Html("</p>"))


def _line(values: Sequence[float], name: str) -> Html:
    latest = tables.rate_text(values[-1]) if values else tables.UNKNOWN
    return html.sparkline(values, f"{name}: {latest} a second now")


def _page(view: ClusterView, title: str, heading: Html, body: Html) -> Html:
    severity = "b" if any(each.is_bad for each in view.troubles) else "w"
    if not view.troubles:
        severity = ""
    return joined(
        Html('<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'),
        title,
        Html(
            '</title><meta name="viewport" content="width=device-width">'
            '<link rel="stylesheet" href="/style.css">'
            '<script src="/script.js" defer></script></head><body>'
            '<a class="skip" href="#main">Skip to the content</a><main id="main"><h1>'
        ),
        heading,
        Html(f'</h1><p class="s {severity}">'),
        escaped(sentence(view), html.MAX_ERROR_CHARACTERS),
        Html('</p><p class="m">'),
        _freshness(view),
        Html("</p>"),
        body,
        Html(
            '</main><footer><span id="live" role="status"></span> '
            '<a href="?format=json">JSON</a> <a href="/metrics">metrics</a></footer>'
            "</body></html>"
        ),
    )


def _freshness(view: ClusterView) -> Html:
    return escaped(tables.freshness(view), html.MAX_ERROR_CHARACTERS)
