"""Read storm.yaml as Storm does: YAML 1.1 in the dialect of SnakeYAML.

PyYAML and SnakeYAML descend from one parser, but they disagree about some plain words.
``1e3`` is a number to SnakeYAML and a string to PyYAML; ``=`` is a string to SnakeYAML
and an error to PyYAML; ``2024-13-45`` is a date to SnakeYAML and a traceback in PyYAML.
The loader here follows SnakeYAML, including its limits, so that it refuses the files
that Storm refuses, and YAML bombs are harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import yaml

from pacemaker.config.yaml_errors import explain, missing_blank
from pacemaker.errors import ConfigError

# The limits of SnakeYAML's LoaderOptions, as Storm uses them.
MAX_CHARACTERS: Final = 3 * 1024 * 1024
MAX_DEPTH: Final = 50
MAX_COLLECTION_ALIASES: Final = 50

# Merge keys copy what they merge, so a few aliases could produce billions of pairs.
MAX_MERGED_PAIRS: Final = 10_000

# SnakeYAML reads a longer run of digits as a string; it would be slow to convert.
MAX_NUMBER_CHARACTERS: Final = 1024

_PREFIX: Final = "tag:yaml.org,2002:"
_INT_TAG: Final = _PREFIX + "int"
_MERGE_TAG: Final = _PREFIX + "merge"

# (tag, first characters, pattern).  The first match wins, so INT comes before
# FLOAT.  There is no "=", and nothing of YAML 1.2.
_PLAIN_SCALARS: Final = (
    (
        "bool",
        "yYnNtTfFoO",
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
    ),
    (
        "int",
        "-+0123456789",
        r"[-+]?0b_*[01][01_]*"
        r"|[-+]?0_*[0-7][0-7_]*"
        r"|[-+]?(?:0|[1-9][0-9_]*)"
        r"|[-+]?0x_*[0-9a-fA-F][0-9a-fA-F_]*"
        r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+",
    ),
    (
        "float",
        "-+0123456789.",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    ),
    ("merge", "<", r"<<"),
    # An empty scalar has no first character: PyYAML looks it up under "".
    ("null", ["~", "n", "N", ""], r"~|null|Null|NULL|"),
    (
        "timestamp",
        "0123456789",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}"
        r"(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
    ),
)


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A date or time in storm.yaml: a separate type, which no key accepts."""

    text: str


class _StormLoader(yaml.SafeLoader):
    """SafeLoader with SnakeYAML's plain scalars and limits."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's way to own the table

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.spanning: yaml.ScalarToken | None = None  # the last multi-line scalar
        self._depth = 0
        self._collection_aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark
            )
        if not is_alias:
            # With equal anchors, an alias refers to the last one before it, as in
            # SnakeYAML; PyYAML would refuse the second anchor.
            self.anchors.pop(event.anchor, None)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and isinstance(node, yaml.CollectionNode):
            self._collection_aliases += 1
            if self._collection_aliases > MAX_COLLECTION_ALIASES:
                raise yaml.MarkedYAMLError(
                    problem=f"more than {MAX_COLLECTION_ALIASES} aliases of lists "
                    "and mappings",
                    problem_mark=mark,
                )
        return node

    def scan_plain(self) -> yaml.ScalarToken:
        return self._noted(super().scan_plain())

    def scan_flow_scalar(self, style: str) -> yaml.ScalarToken:
        return self._noted(super().scan_flow_scalar(style))

    def _noted(self, token: yaml.ScalarToken) -> yaml.ScalarToken:
        if token.end_mark.line > token.start_mark.line:
            self.spanning = token
        return token

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        """Scan what follows a word of a plain scalar, treating a tab as a blank.

        PyYAML ends the scalar at a tab and then refuses the tab, even after the last
        word of a line; SnakeYAML's scanPlainSpaces accepts both.
        """
        length = 0
        while self.peek(length) in " \t":
            length += 1
        blanks = self.prefix(length)
        self.forward(length)
        # The blanks are skipped by now, so PyYAML's own method returns what a line
        # break stands for, or nothing if there is none.
        rest: list[str] | None = super().scan_plain_spaces(indent, start_mark)
        return [blanks] if rest == [] and blanks else rest

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # The limit is for copies: a file may have any number of pairs of its own.
        own_pairs = sum(key.tag != _MERGE_TAG for key, _ in node.value)
        super().flatten_mapping(node)
        if len(node.value) - own_pairs > MAX_MERGED_PAIRS:
            raise yaml.MarkedYAMLError(
                problem=f"merge keys (<<) give more than {MAX_MERGED_PAIRS} pairs",
                problem_mark=node.start_mark,
            )

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            if node.tag == _INT_TAG and len(node.value) > MAX_NUMBER_CHARACTERS:
                raise ValueError  # an explicit !!int: the pattern was not applied
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as exc:
            # PyYAML's constructors raise these for `!!int x`, `!!bool x`, `._`, ...
            raise yaml.MarkedYAMLError(
                problem=f"not a value of the type {node.tag.replace(_PREFIX, '!!')}",
                problem_mark=node.start_mark,
            ) from exc

    def construct_timestamp(self, node: yaml.ScalarNode) -> Timestamp:
        return Timestamp(str(self.construct_scalar(node)))


for _tag, _first, _pattern in _PLAIN_SCALARS:
    _bounded = rf"(?s:(?=.{{0,{MAX_NUMBER_CHARACTERS}}}\Z))(?:{_pattern})\Z"
    _StormLoader.add_implicit_resolver(
        _PREFIX + _tag, re.compile(_bounded), list(_first)
    )
_StormLoader.add_constructor(_PREFIX + "timestamp", _StormLoader.construct_timestamp)


def parse_yaml(text: str, source: str) -> dict[str, object]:
    """Return the values of one configuration file, by key.

    Args:
        text: the content of the file.
        source: the name of the file, for the error.

    Returns:
        The top-level mapping; empty if the file contains only comments.  Keys that
        are not strings are left out: Storm has no such keys.

    Raises:
        ConfigError: the text is not YAML, exceeds the limits of Storm's own parser,
            or is not a mapping.  The error names the file and the line.

    """
    if len(text) > MAX_CHARACTERS:
        problem = f"is longer than {MAX_CHARACTERS} characters"
        raise ConfigError(problem, source=source)
    document = _load(text, source)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _no_mapping(document, text, source)
    return {key: value for key, value in document.items() if isinstance(key, str)}


def _load(text: str, source: str) -> object:
    try:
        loader = _StormLoader(text)
    except yaml.reader.ReaderError as exc:
        raise _character_error(exc, text, source) from exc
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as exc:
        opened = loader.marks[-1] if loader.marks else None
        place = explain(exc, text, loader.spanning, opened)
        where = f", line {place.line}, column {place.column}" if place else ""
        problem = place.problem if place else exc.problem
        raise ConfigError(
            f"cannot be read as YAML: {problem}", source=source + where
        ) from exc
    finally:
        loader.dispose()


def _no_mapping(document: object, text: str, source: str) -> ConfigError:
    kind = "a list" if isinstance(document, list) else "a single value"
    problem = f"must consist of lines of the form 'key: value', not {kind}"
    # List items or keys without their blanks make one string of all lines.
    for number, line in enumerate(text.splitlines(), 1):
        lacks = isinstance(document, str) and missing_blank(line.lstrip())
        if lacks:
            return ConfigError(f"{problem}: {lacks}", source=f"{source}, line {number}")
    return ConfigError(problem, source=source)


def _character_error(
    exc: yaml.reader.ReaderError, text: str, source: str
) -> ConfigError:
    position = int(exc.position)
    line = text.count("\n", 0, position) + 1
    problem = f"cannot be read as YAML: the character U+{ord(text[position]):04X}"
    return ConfigError(f"{problem} is not allowed", source=f"{source}, line {line}")
