"""Tests of pacemaker.wire.binary: what it accepts, and what it costs."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any, ClassVar, Final

import pytest
from thriftpy2.thrift import TType

from pacemaker.errors import MalformedError
from pacemaker.wire import binary as reader
from pacemaker.wire import idl
from pacemaker.wire.binary import INTEGER, MAX_NESTING, MAX_VALUES, read_struct
from tests.wire.by_hand import STOP, Type, binary, boolean, i32, struct_field

IDL = idl.load("pacemaker.thrift")
UNIONS = idl.unions(IDL)
HUGE: Final = 2**31 - 1

BOOL, BYTE, DOUBLE, I16, I32, I64 = 2, 3, 4, 6, 8, 10
STRING, STRUCT, MAP, SET, LIST, UUID = 11, 12, 13, 14, 15, 16
FIXED = {BOOL: 1, BYTE: 1, DOUBLE: 8, I16: 2, I32: 4, I64: 8, UUID: 16}


def head(wire_type: int, field_id: int = 9) -> bytes:
    """Return the head of a field; by default one that no struct knows."""
    return struct.pack(">bh", wire_type, field_id)


def elements(wire_type: int, count: int, values: bytes = b"") -> bytes:
    """Return a list or set of so many elements."""
    return struct.pack(">bi", wire_type, count) + values


def pairs(key_type: int, value_type: int, count: int, values: bytes = b"") -> bytes:
    """Return a map of so many pairs."""
    return struct.pack(">bbi", key_type, value_type, count) + values


def text(value: bytes) -> bytes:
    """Return a string as an element."""
    return struct.pack(">i", len(value)) + value


# As many as no test of another bound has.
MANY_VALUES = 10_000


def message(*fields: bytes, data: bytes = b"") -> bytes:
    """Return the body of an EXISTS with these fields behind its type."""
    return i32(1, Type.EXISTS) + data + b"".join(fields) + STOP


def decode(body: bytes, **limits: int) -> Any:
    """Read one HBMessage."""
    return read_struct(body, IDL.HBMessage, UNIONS, **limits)


def refused(body: bytes, **limits: int) -> str:
    """Return for what reason a body is refused."""
    with pytest.raises(MalformedError) as caught:
        decode(body, **limits)
    return caught.value.reason


# --- lengths and counts -----------------------------------------------------

HOSTILE = {
    "string": head(STRING) + struct.pack(">i", HUGE),
    "string, negative": head(STRING) + struct.pack(">i", -1),
    "string, most negative": head(STRING) + struct.pack(">i", -(2**31)),
    "string, one too long": head(STRING) + struct.pack(">i", 2),
    "path": struct_field(2, head(STRING, 1) + struct.pack(">i", HUGE)),
    "path, negative": struct_field(2, head(STRING, 1) + struct.pack(">i", -1)),
    "blob of 20,000 bytes": struct_field(2, head(STRING, 7) + struct.pack(">i", 20000)),
    "records": struct_field(2, struct_field(4, head(LIST, 1) + elements(STRUCT, HUGE))),
    "nodes": struct_field(2, struct_field(5, head(LIST, 1) + elements(STRING, HUGE))),
    "nodes, negative": struct_field(
        2, struct_field(5, head(LIST, 1) + elements(STRING, -1))
    ),
    **{
        f"{name} of {count} elements of type {kind}": head(wire_type)
        + elements(kind, count)
        for name, wire_type in (("list", LIST), ("set", SET))
        for kind in (*FIXED, STRING, STRUCT, MAP, SET, LIST)
        for count in (HUGE, -1, -(2**31), 4)
    },
    **{
        f"map of {count} pairs of {key} and {value}": head(MAP)
        + pairs(key, value, count)
        for key, value in ((BOOL, BOOL), (STRUCT, STRUCT), (STRING, I64), (MAP, LIST))
        for count in (HUGE, -1, -(2**31), 2)
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_stated_size_is_held_against_what_is_there(name: str) -> None:
    """A length or count that the bytes cannot fill is refused where it is read."""
    assert refused(message(HOSTILE[name])) == "length does not fit in the message"


def test_no_memory_is_taken_for_a_stated_size() -> None:
    """No hostile size takes more memory than a few pages."""
    bodies = [message(field) for field in HOSTILE.values()]
    tracemalloc.start()
    try:
        for body in bodies:
            with contextlib.suppress(MalformedError):
                decode(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * 1024


@pytest.mark.parametrize("kind", [0, 1, 5, 7, 9, 17, 18, 127, 128, 255])
def test_unknown_wire_type_is_refused(kind: int) -> None:
    """A field or an element of a type that Thrift does not have cannot be skipped."""
    raw = bytes([kind])
    if kind:
        assert refused(message(raw + b"\0\x09" + bytes(20))) == "unknown wire type"
    for field in (
        head(LIST) + raw + b"\0\0\0\x01" + bytes(20),
        head(MAP) + raw + b"\x02\0\0\0\x01" + bytes(20),
        head(MAP) + b"\x02" + raw + b"\0\0\0\x01" + bytes(20),
    ):
        assert refused(message(field)) == "unknown wire type"


def test_empty_containers_may_be_of_any_type() -> None:
    """No element has the type, so it does not matter; Java writes 0 there."""
    fields = [head(LIST) + b"\0\0\0\0\0", head(MAP) + b"\0\0\0\0\0\0"]
    fields += [struct_field(2, struct_field(5, head(LIST, 1) + b"\0\0\0\0\0"))]
    assert decode(message(*fields)).data.nodes.pulseIds == []


# --- skipping ---------------------------------------------------------------

VALUES = {
    **{f"type {kind}": (kind, bytes(size)) for kind, size in FIXED.items()},
    "string": (STRING, text(b"abc")),
    "string that is not UTF-8": (STRING, text(b"\xff")),
    "empty struct": (STRUCT, STOP),
    "struct": (STRUCT, i32(1, 7) + binary(2, "x") + struct_field(3) + STOP),
    "list of i32": (LIST, elements(I32, 2, bytes(8))),
    "set of strings": (SET, elements(STRING, 2, text(b"a") + text(b""))),
    "list of lists": (LIST, elements(LIST, 2, elements(BYTE, 1, b"x") * 2)),
    "list of structs": (LIST, elements(STRUCT, 2, i32(1, 7) + STOP + STOP)),
    "map of i32 to i64": (MAP, pairs(I32, I64, 2, bytes(24))),
    "map of string to i16": (MAP, pairs(STRING, I16, 2, (text(b"a") + bytes(2)) * 2)),
    "map of bool to struct": (MAP, pairs(BOOL, STRUCT, 2, (b"\1" + STOP) * 2)),
    "map of struct to list": (
        MAP,
        pairs(STRUCT, LIST, 2, (STOP + elements(STRING, 1, text(b"a"))) * 2),
    ),
    "map of maps": (MAP, pairs(BYTE, MAP, 1, b"\0" + pairs(MAP, SET, 0))),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("place", ["message", "data", "pulse"])
def test_unknown_field_is_skipped(name: str, place: str) -> None:
    """A field that no struct knows is walked past, to the byte, wherever it lies."""
    wire_type, value = VALUES[name]
    unknown = dict.fromkeys(("message", "data", "pulse"), b"")
    unknown[place] = head(wire_type) + value
    if place == "data":
        data = struct_field(2, unknown["data"])
        assert decode(message(i32(3, 5), data=data)).data is not None
        return
    pulse = struct_field(2, unknown["pulse"], binary(1, "/a"), binary(2, b"x"))
    body = message(unknown["message"], i32(3, 5), data=struct_field(2, pulse))
    read = decode(body)
    assert (read.data.pulse.id, read.data.pulse.details) == ("/a", b"x")
    assert (read.type, read.message_id) == (Type.EXISTS, 5)


@pytest.mark.parametrize("name", VALUES)
def test_unknown_field_that_is_cut_is_refused(name: str) -> None:
    """A skipped value that ends too early is malformed, wherever it is cut."""
    wire_type, value = VALUES[name]
    body = i32(1, Type.EXISTS) + head(wire_type) + value
    for end in range(len(body) + 1):
        refused(body[:end])


@pytest.mark.parametrize("name", VALUES)
def test_field_of_another_type_is_skipped(name: str) -> None:
    """A known id with another type than the IDL's is no value of that field."""
    wire_type, value = VALUES[name]
    if wire_type != I32:
        assert decode(message(head(wire_type, 3) + value)).message_id is None
    if wire_type != STRUCT:
        assert decode(message(head(wire_type, 2) + value)).data is None


# --- structs and unions -----------------------------------------------------


def test_fields_come_in_any_order() -> None:
    """The order of fields has no meaning."""
    data = struct_field(2, struct_field(2, binary(2, b"xy"), binary(1, "/a")))
    read = decode(i32(3, 5) + data + i32(1, Type.SEND_PULSE) + STOP)
    assert (read.type, read.message_id) == (Type.SEND_PULSE, 5)
    assert (read.data.pulse.id, read.data.pulse.details) == ("/a", b"xy")


def test_last_of_repeated_fields_counts() -> None:
    """A field that is given twice has its last value, also where that is a struct."""
    first, second = (struct_field(2, binary(1, path)) for path in ("/a", "/b"))
    read = decode(message(first, i32(3, 5), i32(3, 6), second, i32(1, 10)))
    assert (read.type, read.data.path, read.message_id) == (10, "/b", 6)


def test_repeated_field_of_another_type_does_not_count() -> None:
    """A second field that is skipped leaves the value of the first."""
    assert decode(message(i32(3, 5), boolean(3, True))).message_id == 5


def test_absent_fields_are_none() -> None:
    """What is absent is None, and not the default of the IDL."""
    read = decode(STOP)
    assert (read.type, read.data, read.message_id) == (None, None, None)


def test_bytes_behind_the_struct_are_ignored() -> None:
    """What follows the last STOP is nobody's."""
    assert decode(message() + b"\xff" * 9).type == Type.EXISTS


@pytest.mark.parametrize("details", [None, b"", b"\xff\0"])
def test_pulse_may_lack_details_but_not_its_id(details: bytes | None) -> None:
    """`id` is required and `details` are not."""
    fields = [] if details is None else [binary(2, details)]
    whole = struct_field(2, struct_field(2, binary(1, ""), *fields))
    assert decode(message(data=whole)).data.pulse.details == details
    without_id = struct_field(2, struct_field(2, *fields))
    assert refused(message(data=without_id)) == "required field is missing"


def test_required_field_of_another_type_is_missing() -> None:
    """A field that was skipped does not count as given."""
    pulse = struct_field(2, i32(1, 7), binary(2, b"x"))
    assert refused(message(data=struct_field(2, pulse))) == "required field is missing"


def test_union_without_a_value_is_refused() -> None:
    """A union is one field; a STOP alone is none."""
    assert refused(message(data=struct_field(2))) == "union without a value"


@pytest.mark.parametrize("second", [binary(1, "/b"), boolean(3, True), i32(9, 9)])
@pytest.mark.parametrize("first", [binary(1, "/a"), i32(9, 9)])
def test_union_with_two_fields_is_refused(first: bytes, second: bytes) -> None:
    """A union is one field and a STOP, known or not."""
    data = struct_field(2, first, second)
    assert refused(message(data=data)) == "union with more than one value"


@pytest.mark.parametrize(
    ("raw", "value"), [(0, False), (1, True), (2, False), (255, False)]
)
def test_only_one_is_true(raw: int, value: bool) -> None:
    """Java's reader takes a bool for true only where its byte is 1."""
    data = struct_field(2, head(BOOL, 3) + bytes([raw]))
    assert decode(message(data=data)).data.boolval is value


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xc3"])
def test_text_is_utf8(raw: bytes) -> None:
    """A string of the IDL is UTF-8, of the strict kind: no surrogates, nothing cut."""
    assert refused(message(data=struct_field(2, binary(1, raw)))) == "text is not UTF-8"
    names = struct_field(5, head(LIST, 1) + elements(STRING, 1, text(raw)))
    assert refused(message(data=struct_field(2, names))) == "text is not UTF-8"


def test_binary_is_any_bytes() -> None:
    """A blob of the IDL is taken as it is."""
    data = struct_field(2, binary(7, b"\xff\xc0\x80"))
    assert decode(message(data=data)).data.message_blob == b"\xff\xc0\x80"


def test_list_of_another_type_is_refused() -> None:
    """Elements that are not what the IDL says cannot be read as if they were."""
    nodes = struct_field(5, head(LIST, 1) + elements(I32, 1, bytes(4)))
    assert refused(message(data=struct_field(2, nodes))) == "list of the wrong type"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            message(head(STRING) + struct.pack(">i", 100)),
            "length does not fit in the message: 100, allowed is 0 to 1,"
            " after 14 of 15 bytes",
        ),
        (
            message(
                data=struct_field(
                    2, struct_field(5, head(LIST, 1) + elements(I32, 1, bytes(4)))
                )
            ),
            "list of the wrong type: 8, expected 11, after 21 of 28 bytes",
        ),
        (
            message(data=struct_field(2, binary(1, b"\xff"))),
            "text is not UTF-8: invalid start byte, after 18 of 20 bytes",
        ),
        (
            b"\x08\0\1\0",
            "message ends too early: 4 bytes expected, 1 left, after 3 of 4 bytes",
        ),
    ],
)
def test_error_says_what_is_wrong_and_allowed_and_where(body: bytes, text: str) -> None:
    """The text has the offending value, what is allowed, and how far it was read."""
    with pytest.raises(MalformedError) as caught:
        decode(body)
    assert str(caught.value) == text


# --- nesting ----------------------------------------------------------------


def nested_structs(levels: int) -> bytes:
    """Return an unknown field of structs inside each other."""
    return head(STRUCT) * levels + STOP * levels


def nested_elements(wire_type: int, levels: int) -> bytes:
    """Return an unknown field of containers of one container each; one int inside."""
    value = elements(wire_type, 1) * (levels - 1) + elements(BYTE, 1, b"x")
    return head(wire_type) + value


def nested_maps(levels: int) -> bytes:
    """Return an unknown field of maps of one pair each, the value a map."""
    return head(MAP) + (pairs(BYTE, MAP, 1, b"x")) * levels + pairs(BYTE, BYTE, 0)


def nested_keys(levels: int) -> bytes:
    """Return an unknown field of maps of one pair each, the key a map."""
    inner = pairs(BYTE, BYTE, 0)
    return head(MAP) + pairs(MAP, BYTE, 1) * levels + inner + b"x" * levels


NESTED: dict[str, tuple[Callable[[int], bytes], int]] = {
    "structs": (nested_structs, 0),
    # The innermost container holds plain values, or none, and nests nothing.
    "lists": (lambda levels: nested_elements(LIST, levels), 1),
    "sets": (lambda levels: nested_elements(SET, levels), 1),
    "maps": (nested_maps, 0),
    "keys of maps": (nested_keys, 0),
}


@pytest.mark.parametrize("kind", NESTED)
def test_nesting_has_a_bound(kind: str) -> None:
    """Up to MAX_NESTING levels, the message being one, are skipped; no more."""
    nest, plain_levels = NESTED[kind]
    most = MAX_NESTING - 1 + plain_levels
    allowed, refused_ = (message(nest(n), i32(3, 5)) for n in (most, most + 1))
    assert decode(allowed, max_values=MANY_VALUES).message_id == 5
    assert refused(refused_, max_values=MANY_VALUES) == "nested too deeply"


@pytest.mark.parametrize("kind", NESTED)
def test_a_hundred_thousand_levels_are_refused_soon(kind: str) -> None:
    """However deep the input is, the walk ends at the bound: nothing recurses."""
    nest, _ = NESTED[kind]
    counted = CountingReader(message(nest(100_000)), MANY_VALUES)
    with pytest.raises(MalformedError, match="nested too deeply"):
        counted.read_struct(IDL.HBMessage, 1)
    assert counted.takes < 10 * MAX_NESTING


def test_nesting_counts_from_the_struct_it_is_in() -> None:
    """An unknown field deep in a message has fewer levels left."""
    for levels, is_allowed in ((MAX_NESTING - 3, True), (MAX_NESTING - 2, False)):
        pulse = struct_field(2, nested_structs(levels), binary(1, "/a"))
        body = message(data=struct_field(2, pulse))
        if is_allowed:
            assert decode(body, max_values=MANY_VALUES).data.pulse.id == "/a"
        else:
            assert refused(body, max_values=MANY_VALUES) == "nested too deeply"


# --- the number of values, and what reading costs -----------------------------


class CountingReader(reader._Reader):
    """A reader that counts its steps: each moves past some bytes."""

    def __init__(self, body: bytes, max_values: int = MAX_VALUES) -> None:
        super().__init__(body, UNIONS, max_values)
        self.takes = 0

    def _pass(self, size_bytes: int) -> None:
        self.takes += 1
        super()._pass(size_bytes)


def nodes_of(count: int) -> bytes:
    """Return the data of a list of so many empty names."""
    return struct_field(
        2, struct_field(5, head(LIST, 1) + elements(STRING, count, text(b"") * count))
    )


# Each: its values beside those that are counted, and a body of so many values.
MANY: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "fields": (1, lambda count: message(i32(9, 9) * count)),
    "fields of a struct": (
        2,
        lambda count: message(struct_field(9, i32(9, 9) * count)),
    ),
    "names": (4, lambda count: message(data=nodes_of(count))),
    "structs in a list": (
        2,
        lambda count: message(head(LIST) + elements(STRUCT, count, STOP * count)),
    ),
    "strings in a set": (
        2,
        lambda count: message(head(SET) + elements(STRING, count, text(b"") * count)),
    ),
}


@pytest.mark.parametrize("kind", MANY)
def test_number_of_values_has_a_bound(kind: str) -> None:
    """Fields and elements count wherever they are; MAX_VALUES of them are allowed."""
    others, body = MANY[kind]
    most = MAX_VALUES - others
    assert decode(body(most)).type == Type.EXISTS
    assert refused(body(most + 1)) == "too many fields or elements"


def test_ten_kilobytes_cost_no_more_than_a_few_steps() -> None:
    """A small frame of a thousand fields, one in another even, is given up at once."""
    for piece in (i32(9, 9), head(STRUCT), head(LIST) + b"\x0c\0\0\0\1"):
        counted = CountingReader(message(piece * (10_000 // len(piece))))
        with pytest.raises(MalformedError):
            counted.read_struct(IDL.HBMessage, 1)
        assert counted.takes < 150


def test_bound_on_values_can_be_chosen() -> None:
    """Who reads replies may allow more than who reads requests."""
    assert decode(message(data=nodes_of(20_000)), max_values=20_004) is not None
    reason = refused(message(data=nodes_of(20_000)), max_values=20_003)
    assert reason == "too many fields or elements"


def test_plain_elements_are_passed_in_one_step() -> None:
    """Ten million numbers cost as much as ten: they are one step, and no values."""
    body = message(head(LIST) + elements(BYTE, 10_000_000, bytes(10_000_000)))
    counted = CountingReader(body)
    assert counted.read_struct(IDL.HBMessage, 1).type == Type.EXISTS
    assert counted.takes < 20


COSTLY = {
    "empty structs": message(head(LIST) + elements(STRUCT, 2**20, bytes(2**20))),
    "one-byte fields": message((head(BYTE) + b"x") * 2**18),
    "lists of empty structs": message(
        (head(LIST) + elements(STRUCT, 1000, bytes(1000))) * 1000
    ),
    "empty maps": message(head(LIST) + elements(MAP, 2**17, bytes(6 * 2**17))),
    "maps of strings": message(head(MAP) + pairs(STRING, STRING, 2**16, bytes(2**19))),
    "pulses": message(
        data=struct_field(
            2, struct_field(4, head(LIST, 1) + elements(STRUCT, 2**18, bytes(2**18)))
        )
    ),
}


@pytest.mark.parametrize("name", COSTLY)
def test_reading_is_bounded_by_the_number_of_values(name: str) -> None:
    """A value takes a few steps and each step some bytes once, so time is linear."""
    counted = CountingReader(COSTLY[name])
    with pytest.raises(MalformedError):
        counted.read_struct(IDL.HBMessage, 1)
    assert counted.takes < 5 * MAX_VALUES


# --- any IDL ----------------------------------------------------------------


class Inner:
    """A struct with one field of each plain type."""

    thrift_spec: Final = {
        1: (TType.BOOL, "a_bool", False),
        2: (TType.BYTE, "a_byte", False),
        3: (TType.DOUBLE, "a_double", False),
        4: (TType.I16, "an_i16", False),
        5: (TType.I64, "an_i64", False),
    }

    def __init__(self, **values: Any) -> None:
        self.values = values


class Outer:
    """A struct with containers, as heartbeats have them."""

    thrift_spec: Final = {
        1: (TType.STRUCT, "inner", Inner, True),
        2: (TType.MAP, "counts", (TType.STRING, TType.I64), False),
        3: (
            TType.MAP,
            "by_struct",
            ((TType.STRUCT, Inner), (TType.LIST, TType.I16)),
            False,
        ),
        4: (TType.SET, "names", TType.STRING, False),
        5: (TType.LIST, "lists", (TType.LIST, TType.BYTE), False),
    }

    def __init__(self, **values: Any) -> None:
        self.values = values


def read_outer(*fields: bytes, max_values: int = MAX_VALUES) -> dict[str, Any]:
    """Read an Outer."""
    body = struct_field(1) + b"".join(fields) + STOP
    outer = read_struct(body, Outer, frozenset(), max_values)
    values: dict[str, Any] = outer.values
    return values


def test_plain_types_are_read() -> None:
    """Each plain type of Thrift has its value."""
    inner = struct_field(
        1,
        boolean(1, True),
        head(BYTE, 2) + b"\xff",
        head(DOUBLE, 3) + struct.pack(">d", 0.5),
        head(I16, 4) + b"\xff\xfe",
        head(I64, 5) + struct.pack(">q", -(2**63)),
    )
    assert read_outer(inner)["inner"].values == {
        "a_bool": True,
        "a_byte": -1,
        "a_double": 0.5,
        "an_i16": -2,
        "an_i64": -(2**63),
    }


def test_containers_are_read() -> None:
    """Maps are read as pairs, since a struct may be a key; sets as lists."""
    values = read_outer(
        head(MAP, 2) + pairs(STRING, I64, 1, text(b"k") + bytes(7) + b"\x09"),
        head(MAP, 3)
        + pairs(STRUCT, LIST, 1, boolean(1, True) + STOP + elements(I16, 1, b"\0\7")),
        head(SET, 4) + elements(STRING, 2, text(b"a") + text(b"b")),
        head(LIST, 5) + elements(LIST, 2, elements(BYTE, 1, b"\1") + elements(0, 0)),
    )
    assert values["counts"] == [("k", 9)]
    ((key, value),) = values["by_struct"]
    assert (key.values["a_bool"], value) == (True, [7])
    assert values["names"] == ["a", "b"]
    assert values["lists"] == [[1], []]


@pytest.mark.parametrize(
    "field",
    [
        head(MAP, 2) + pairs(STRING, I32, 1, text(b"k") + bytes(4)),
        head(MAP, 2) + pairs(I32, I64, 1, bytes(12)),
    ],
)
def test_map_of_other_types_is_refused(field: bytes) -> None:
    """Pairs that are not what the IDL says cannot be read as if they were."""
    with pytest.raises(MalformedError, match="map of the wrong types"):
        read_outer(field)


def test_keys_and_values_of_a_map_count() -> None:
    """A pair is two values; the fields beside it count as ever."""
    field = head(MAP, 2) + pairs(STRING, I64, 10, (text(b"k") + bytes(8)) * 10)
    assert len(read_outer(field, max_values=22)["counts"]) == 10
    with pytest.raises(MalformedError, match="too many fields or elements"):
        read_outer(field, max_values=21)


class Chain:
    """A struct that may hold another of its kind; no IDL of ours has one."""

    thrift_spec: ClassVar[dict[int, tuple[Any, ...]]] = {}

    def __init__(self, below: Chain | None) -> None:
        self.below = below


Chain.thrift_spec[1] = (TType.STRUCT, "below", Chain, False)


def test_known_structs_nest_no_deeper_than_unknown_ones() -> None:
    """An IDL with a struct in itself is not a way to a full stack."""
    deepest = head(STRUCT, 1) * (MAX_NESTING - 1) + STOP * MAX_NESTING
    chain, levels = read_struct(deepest, Chain, frozenset(), MANY_VALUES), 1
    while chain.below is not None:
        chain, levels = chain.below, levels + 1
    assert levels == MAX_NESTING
    deeper = head(STRUCT, 1) * MAX_NESTING + STOP * (MAX_NESTING + 1)
    with pytest.raises(MalformedError, match="nested too deeply"):
        read_struct(deeper, Chain, frozenset(), MANY_VALUES)


class Count:
    """A struct whose only field is an integer of either width."""

    thrift_spec: ClassVar[dict[int, tuple[Any, ...]]] = {
        1: (INTEGER, "number", False),
    }

    def __init__(self, number: int | None) -> None:
        self.number = number


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (head(I32, 1) + struct.pack(">i", -7), -7),
        (head(I64, 1) + struct.pack(">q", 2**40), 2**40),
        (head(I16, 1) + struct.pack(">h", 7), None),
    ],
)
def test_integer_of_either_width_is_read(field: bytes, number: int | None) -> None:
    """Storm's releases differ in one field; a type of neither width is passed over."""
    assert read_struct(field + STOP, Count, frozenset()).number == number
