"""Convert Markdown to roff for man pages: single paragraphs and whole pages.

No package on PyPI does what is needed.  click-man puts every page into section 1,
leaves out the epilogs, which contain the examples, and does not read Markdown.  Sphinx
could write section 5 from the Markdown, but not the other pages from click.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN: Final = MarkdownIt("commonmark").enable("table")


def escape(text: str) -> str:
    """Escape text so that it appears unchanged, with hyphens that can be copied."""
    return text.replace("\\", "\\e").replace("-", "\\-")


def line(text: str) -> str:
    """Escape the beginning of a line of text that looks like a request."""
    return f"\\&{text}" if text.startswith((".", "'")) else text


def bold(text: str) -> str:
    """Return text in bold."""
    return f"\\fB{escape(text)}\\fR"


def verbatim(text: str) -> Iterator[str]:
    """Yield an example, unchanged and indented."""
    yield from (".PP", ".RS 4", ".nf")
    yield from (line(escape(row)) for row in text.splitlines())
    yield from (".fi", ".RE")


def prose(text: str) -> str:
    """Return one line of roff for a paragraph with Markdown's inline marks."""
    (paragraph,) = _MARKDOWN.parseInline(text)
    return line("".join(_inline(paragraph.children or ())))


def _inline(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "code_inline":
            yield bold(token.content)
        elif token.type == "text":
            yield token.content.replace("\\", "\\e")
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type in ("strong_open", "em_open"):
            yield "\\fI"
        elif token.type in ("strong_close", "em_close"):
            yield "\\fR"


def page(text: str) -> Iterator[str]:
    """Yield a Markdown page as roff, from its first section on.

    Headings of the second level are sections.  A table becomes a list: each row is its
    first cell, followed by the other cells, each with the title of its column.
    """
    tokens = iter(_MARKDOWN.parse(text))
    for token in tokens:
        if token.type == "heading_open":
            content = next(tokens).content
            if token.tag != "h1":
                yield (
                    f".SH {content.upper()}" if token.tag == "h2" else f".SS {content}"
                )
        elif token.type == "table_open":
            yield from _table(tokens)
        else:
            yield from _block(token)


def _block(token: Token) -> Iterator[str]:
    if token.type in ("bullet_list_open", "ordered_list_open"):
        yield ".RS 4"
    elif token.type in ("bullet_list_close", "ordered_list_close"):
        yield ".RE"
    elif token.type == "list_item_open":
        yield f".IP {token.info + '.' if token.info else chr(92) + '(bu'} 4"
    elif token.type == "paragraph_open" and token.level == 0:
        yield ".PP"
    elif token.type == "inline":
        yield line("".join(_inline(token.children or ())))
    elif token.type in ("code_block", "fence"):
        yield from verbatim(token.content)


def _table(tokens: Iterator[Token]) -> Iterator[str]:
    titles: list[str] = []
    row: list[str] = []
    for token in tokens:
        if token.type == "inline":
            row.append("".join(_inline(token.children or ())))
        elif token.type == "tr_close":
            if titles:
                yield from _row(titles, row)
            titles, row = titles or row, []
        elif token.type == "table_close":
            return


def _row(titles: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    yield ".TP"
    yield line(cells[0])
    rest = [
        f"{title}: {cell}" if title and len(cells) > 2 else cell
        for title, cell in zip(titles[1:], cells[1:], strict=True)
        if cell
    ]
    yield line("; ".join(rest)) or "\\&"


def header(name: str, section: int, date: str, version: str) -> str:
    """Return the lines before the first section: the title, and how to fill lines.

    Without hyphenation and justification, the name of a variable is never split, so it
    can be searched for and copied.
    """
    title = name.upper().replace(" ", "-")
    about = f'"{date}" "storm-pacemaker-py {version}"'
    return f'.TH "{escape(title)}" {section} {about}\n.nh\n.ad l'


def option_name(declared: str) -> str:
    """Mark up ``-c, --config FILE``: options bold, their values in italics."""
    return re.sub(
        r"-[-\w]+|[^\s,]+",
        lambda found: (
            bold(found[0])
            if found[0].startswith("-")
            else f"\\fI{escape(found[0])}\\fR"
        ),
        declared,
    )
