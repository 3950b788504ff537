"""Pieces of HTML: text that is escaped, links, tables, sparklines; pure.

Anyone may have written the texts that are shown.  `Html` marks text that is markup;
`joined`, which puts the pieces together, escapes all other text.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

from pacemaker.observe.views.tables import BAD, WARNING, Column
from pacemaker.texts import clipped

# The most characters of a name that are shown; the rest is cut off.
MAX_TEXT_CHARACTERS: Final = 120

MAX_ERROR_CHARACTERS: Final = 300

_CLASSES: Final = {BAD: "b", WARNING: "w"}
_WIDTH, _HEIGHT = 90, 18


class Html(str):
    """Markup, which is not escaped again."""

    __slots__ = ()


def escaped(text: str, most: int = MAX_TEXT_CHARACTERS) -> Html:
    """Return text as HTML: short, and without characters that change the direction.

    Control characters, and the marks that turn the direction of the text round, are
    replaced by U+FFFD.  Letters of languages that are written from right to left stay.
    """
    shown = "".join(map(_harmless, clipped(text[: most + 1], most)))
    return Html(html.escape(shown))


def _harmless(char: str) -> str:
    return char if unicodedata.category(char) not in ("Cc", "Cf", "Cs") else "\ufffd"


def joined(*pieces: str) -> Html:
    """Join pieces; those that are not markup are escaped."""
    return Html(
        "".join(
            piece if isinstance(piece, Html) else escaped(piece) for piece in pieces
        )
    )


def path_of(topology_id: str, kind: str = "", name: str = "") -> str:
    """Return the path of a topology's page, or of a component or a worker in it."""
    parts = ["topology", topology_id, *([kind, name] if kind else [])]
    # Forged names may have lone surrogates, which UTF-8 cannot encode; Storm's cannot.
    return "/" + "/".join(quote(each, safe="", errors="replace") for each in parts)


def link(path: str, text: str) -> Html:
    """Return a link within the pages."""
    return Html(f'<a href="{html.escape(path)}">{escaped(text)}</a>')


def severity_letter(severity: str) -> Html:
    """Return the letter of a severity, with its colour and its meaning."""
    name = {BAD: "bad", WARNING: "warning"}.get(severity)
    if name is None:
        return Html("-")
    return Html(f'<b class="{_CLASSES[severity]}" title="{name}">{severity}</b>')


def sparkline(values: Sequence[float], label: str) -> Html:
    """Return a line of the values as an inline SVG, with a label for screen readers."""
    if len(values) < 2:
        return Html("")
    top = max(values) or 1.0
    step = _WIDTH / (len(values) - 1)
    points = [
        (round(number * step), round((_HEIGHT - 2) * (1 - value / top)) + 1)
        for number, value in enumerate(values)
    ]
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    return Html(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="'
        f'{escaped(label)}"><path d="{path}"/></svg>'
    )


def table(
    caption: str,
    columns: Sequence[Column[Any]],
    rows: Iterable[Any],
    special: dict[str, Callable[[Any], str]],
    further: Sequence[tuple[str, Callable[[Any], str]]] = (),
) -> Html:
    """Return a table.

    Args:
        caption: its heading.
        columns: its columns.
        rows: its rows.
        special: cells, by the name of their column, that are not plain text.
        further: further columns: their titles and cells.
    """
    heads = [
        f'<th scope="col"{_hint(column)}>{escaped(column.title)}' for column in columns
    ]
    heads += [f'<th scope="col">{escaped(title)}' for title, _ in further]
    lines = []
    for row in rows:
        cells = [_cell(column, row, special.get(column.name)) for column in columns]
        cells += [f"<td>{joined(show(row))}" for _, show in further]
        lines.append("<tr>" + "".join(cells))
    return Html(
        f'<div class="t" role="region" tabindex="0" aria-label="{escaped(caption)}">'
        f"<table><caption>{escaped(caption)}</caption><thead><tr>{''.join(heads)}"
        f"<tbody>{''.join(lines)}</table></div>"
    )


def _hint(column: Column[Any]) -> str:
    return f' title="{escaped(column.help)}"' if column.help else ""


def _cell(column: Column[Any], row: Any, show: Callable[[Any], str] | None) -> str:
    text = joined((show or column.text)(row))
    return f'<td class="n">{text}' if column.is_number else f"<td>{text}"


def titled_list(title: str, items: Sequence[str], more: int = 0) -> Html:
    """Return a list with a title; nothing if it is empty."""
    if not items:
        return Html("")
    lines = [f"<li>{joined(item)}" for item in items]
    if more:
        lines.append(f"<li>and {more} more")
    return Html(
        f"<section><h2>{escaped(title)}</h2><ul>{''.join(lines)}</ul></section>"
    )
