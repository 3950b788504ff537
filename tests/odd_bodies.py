"""Bodies of frames that no client of Storm writes, and malformed ones.

`bodies` are messages whose fields are in any order, repeated, of other types, unknown,
or nested in each other; some of them are damaged as well.
"""

from __future__ import annotations

import struct
from random import Random

from hypothesis import strategies as st

from tests.wire.by_hand import STOP, Type

_PLAIN = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 10: 8, 16: 16}
_STRING, _STRUCT, _MAP, _SET, _LIST = 11, 12, 13, 14, 15
_STRINGS = st.one_of(
    st.sampled_from((b"", b"/", b"/a", "/é".encode(), b"\xff", b"\xed\xa0\x80")),
    st.binary(max_size=6),
).map(lambda raw: struct.pack(">i", len(raw)) + raw)

# A value with its type.
_Value = tuple[int, bytes]


def _fixed(kind: int) -> st.SearchStrategy[_Value]:
    size = _PLAIN[kind]
    return st.binary(min_size=size, max_size=size).map(lambda raw: (kind, raw))


def _field(field_id: int, value: _Value) -> bytes:
    return struct.pack(">bh", value[0], field_id) + value[1]


def _structs(fields: st.SearchStrategy[bytes]) -> st.SearchStrategy[_Value]:
    return st.lists(fields, max_size=3).map(lambda f: (_STRUCT, b"".join(f) + STOP))


def _containers(values: st.SearchStrategy[_Value]) -> st.SearchStrategy[_Value]:
    """Lists, sets and maps; their elements are one value some times over."""
    counts = st.integers(0, 3)
    lists = st.builds(
        lambda kind, value, count: (
            kind,
            struct.pack(">bi", value[0], count) + value[1] * count,
        ),
        st.sampled_from((_LIST, _SET)),
        values,
        counts,
    )
    maps = st.builds(
        lambda key, value, count: (
            _MAP,
            struct.pack(">bbi", key[0], value[0], count) + (key[1] + value[1]) * count,
        ),
        values,
        values,
        counts,
    )
    return lists | maps


_ids = st.sampled_from((1, 2, 3, 4, 5, 6, 7, 0, 9, -1, -2, 2**15 - 1, -(2**15)))
_values: st.SearchStrategy[_Value] = st.recursive(
    st.sampled_from(tuple(_PLAIN)).flatmap(_fixed)
    | _STRINGS.map(lambda raw: (_STRING, raw)),
    lambda inner: _structs(st.builds(_field, _ids, inner)) | _containers(inner),
    max_leaves=5,
)
_any_field = st.builds(_field, _ids, _values)


def _known(
    field_id: int, values: st.SearchStrategy[_Value]
) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: _field(field_id, value))


def _struct_of(*fields: st.SearchStrategy[bytes]) -> st.SearchStrategy[_Value]:
    """Structs of some of these fields, in any order, with others among them."""
    usual = st.lists(st.one_of(*fields), min_size=1, max_size=3)
    odd = st.lists(st.one_of(*fields, _any_field), max_size=4)
    return (usual | odd).map(lambda parts: (_STRUCT, b"".join(parts) + STOP))


_strings = _STRINGS.map(lambda raw: (_STRING, raw))
_pulse = _struct_of(_known(1, _strings), _known(2, _strings))


def _lists_of(values: st.SearchStrategy[_Value]) -> st.SearchStrategy[_Value]:
    return st.lists(values, max_size=3).map(
        lambda all_: (
            _LIST,
            struct.pack(">bi", all_[0][0] if all_ else 0, len(all_))
            + b"".join(raw for _, raw in all_),
        )
    )


_data_field = st.one_of(
    _known(1, _strings),
    _known(2, _pulse),
    _known(3, _fixed(2)),
    _known(4, _struct_of(_known(1, _lists_of(_pulse)))),
    _known(5, _struct_of(_known(1, _lists_of(_strings)))),
    _known(7, _strings),
)
_data = _data_field.map(lambda field: (_STRUCT, field + STOP)) | _struct_of(_data_field)
_type = st.sampled_from(list(Type)).map(lambda t: (8, struct.pack(">i", t)))

well_meant = st.builds(
    lambda type_, fields: type_ + fields[1],
    _known(1, _type),
    _struct_of(_known(1, _type), _known(2, _data), _known(3, _fixed(8))),
)
"""Bodies that have a type and end with a STOP, if not always as a message does."""


def harm(body: bytes, random: Random) -> bytes:
    """Change a few bytes of a body, put some in, take some out, or alter a length."""
    harmed = bytearray(body)
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(harmed))
        match random.randrange(4):
            case 0:
                harmed[at : at + 1] = random.randbytes(1)
            case 1:
                harmed[at:at] = random.randbytes(random.randint(1, 8))
            case 2:
                del harmed[at : at + random.randint(1, 8)]
            case _:
                number = random.choice((-(2**31), -1, 0, 1, 2, 9, 40, 2**31 - 1))
                harmed[at : at + 4] = struct.pack(">i", number)
    return bytes(harmed)


bodies = st.one_of(
    well_meant,
    st.builds(harm, well_meant, st.randoms(use_true_random=False)),
    st.binary(max_size=40),
)
"""Bodies of all sorts."""
