"""Find the component of each executor, without the topology's code.

Storm numbers tasks from 1 over the sorted names of all components, including system
components.  So with ZooKeeper the names are certain: the sorted executors are assigned
to the sorted components.  Without ZooKeeper, names are guessed from the heartbeats:
consecutive executors of one shape are a component, and each source that a heartbeat
mentions is the name of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pacemaker.heartbeats.model import ExecutorInfo
from pacemaker.observe.decoding.executor_figures import Shape

_ACKER: Final = "__acker"
_ACK_INIT: Final = "__ack_init"
_SYSTEM: Final = "__system"

# One event in twenty is counted.  Ticks come once a second, and these streams are used
# now and then, so one executor of a component may show them a minute before another.
_RARE_STREAMS: Final = frozenset(
    ("__ack_fail", "__ack_reset_timeout", "__metrics", "__eventlog", _SYSTEM)
)


class ComponentName(NamedTuple):
    """The component of an executor.

    Attributes:
        name: its name; if that is unknown, its kind and its first task.
        is_guess: whether it was guessed from heartbeats.
    """

    name: str
    is_guess: bool = False


class _Run(NamedTuple):
    """Neighbouring executors of one shape."""

    shape: Shape
    infos: list[ExecutorInfo]


def names_from_nodes(
    component_executors: Mapping[str, int], executors: Iterable[ExecutorInfo]
) -> dict[ExecutorInfo, ComponentName] | None:
    """Assign the executors to the components, in the order of Storm's task numbers.

    Args:
        component_executors: how many executors each component has.
        executors: those of the topology's assignment.

    Returns:
        None if the numbers do not match, as during a rebalance.
    """
    counts = {name: count for name, count in component_executors.items() if count > 0}
    infos = sorted(info for info in executors if info.task_start >= 0)
    if sum(counts.values()) != len(infos):
        return None
    components = [
        name for name in sorted(counts, key=_java) for _ in range(counts[name])
    ]
    return {
        info: ComponentName(name) for info, name in zip(infos, components, strict=True)
    }


def guessed_names(
    shapes: Mapping[ExecutorInfo, Shape],
) -> dict[ExecutorInfo, ComponentName]:
    """Guess the names of components from the shapes of a topology's executors."""
    frequent = {info: _without_rare(shape) for info, shape in shapes.items()}
    runs = _runs(frequent)
    emitters = _emitters(frequent.values())
    names = sorted(emitters, key=_java)
    found: dict[ExecutorInfo, ComponentName] = {}
    for run, name in zip(runs, _matched(runs, names, emitters), strict=True):
        for info in run.infos:
            found[info] = ComponentName(name or _nameless(run), True)
    return found


def _java(text: str) -> bytes:
    """Order texts as Java does: by their UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def _runs(shapes: Mapping[ExecutorInfo, Shape]) -> list[_Run]:
    runs: list[_Run] = []
    for info in sorted(shapes):
        shape = shapes[info]
        if runs and runs[-1].shape == shape:
            runs[-1].infos.append(info)
        else:
            runs.append(_Run(shape, [info]))
    return runs


def _without_rare(shape: Shape) -> Shape:
    """Return what all executors of a component show within seconds."""
    sources = frozenset(
        source
        for source in shape.sources
        if source.component_id != _SYSTEM and source.stream_id not in _RARE_STREAMS
    )
    return Shape(shape.is_spout, shape.streams - _RARE_STREAMS, sources)


def _nameless(run: _Run) -> str:
    kind = "spout" if run.shape.is_spout else "bolt"
    return f"{kind}@{run.infos[0].task_start}"


def _emitters(shapes: Iterable[Shape]) -> dict[str, set[str]]:
    """Return the names that are mentioned, and the streams that each one emits to."""
    emitters: dict[str, set[str]] = {}
    for shape in set(shapes):
        for component, stream in shape.sources:
            emitters.setdefault(component, set()).add(stream)
        if any(stream == _ACK_INIT for _, stream in shape.sources):
            emitters.setdefault(_ACKER, set())
    return emitters


def _is_acker(run: _Run) -> bool:
    return any(stream == _ACK_INIT for _, stream in run.shape.sources)


def _fits(run: _Run, name: str, streams: set[str]) -> bool:
    shape = run.shape
    if name == _ACKER or _is_acker(run):
        return name == _ACKER and _is_acker(run)
    # Whoever emits __ack_init is a spout; a spout never emits __ack_ack.
    if _ACK_INIT in streams and not shape.is_spout:
        return False
    if "__ack_ack" in streams and shape.is_spout:
        return False
    return bool(streams & shape.streams)


def _matched(
    runs: Sequence[_Run], names: Sequence[str], emitters: Mapping[str, set[str]]
) -> list[str | None]:
    """Match sorted names to runs in order; None for a run that has no certain match.

    Both are in the order of the tasks, so a name before another is at a run before.  A
    name fits a run between the earliest and the latest that leave room for the others.
    """
    earliest = _first_fit(runs, names, emitters)
    backwards = _first_fit(runs[::-1], names[::-1], emitters)
    # The acker is certain in any case.
    found: list[str | None] = [_ACKER if _is_acker(run) else None for run in runs]
    if earliest is None or backwards is None:
        return found
    latest = [len(runs) - 1 - place for place in reversed(backwards)]
    for name, first, last in zip(names, earliest, latest, strict=True):
        fitting = [
            place
            for place in range(first, last + 1)
            if _fits(runs[place], name, emitters[name])
        ]
        if len(fitting) == 1:
            found[fitting[0]] = name
    return found


def _first_fit(
    runs: Sequence[_Run], names: Sequence[str], emitters: Mapping[str, set[str]]
) -> list[int] | None:
    """Return the earliest run for each name; None if they do not all fit."""
    places: list[int] = []
    place = 0
    for name in names:
        while place < len(runs) and not _fits(runs[place], name, emitters[name]):
            place += 1
        if place == len(runs):
            return None
        places.append(place)
        place += 1
    return places
