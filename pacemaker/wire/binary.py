"""The checked reader: TBinaryProtocol bytes to structs of a loaded IDL.

thriftpy2's own decoder trusts the lengths that it reads: a frame of 30 bytes can make
it allocate gigabytes, or return memory that it has freed.  This reader follows the same
``thrift_spec`` with one additional rule: **every length and count is checked against
the remaining bytes before anything is read or allocated**.  Time and memory are
therefore proportional to the size of the input, whatever lengths it states.

The reader accepts what Storm's Java accepts.  Fields may come in any order.  If a field
is repeated, its last value counts.  Unknown fields, and fields of a type other than the
IDL's, are skipped.  Bytes after the struct are ignored.  A union is one field and a
STOP.  The reader is stricter about UTF-8, the nesting (`MAX_NESTING`) and the number of
values (`MAX_VALUES`).

The input cannot make the reader recurse: structs are read to the depth of the IDL, and
skipped values are walked with an explicit stack.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from pacemaker.errors import MalformedError
from pacemaker.texts import counted

# How deep structs and containers may be nested.  Storm's own messages have four levels.
# 64 is where Apache Thrift's libraries stop skipping.
MAX_NESTING: Final = 64
# The fields and elements that one request may have.  Storm's largest request has six:
# type, data and id, and in the data the pulse with its key and its details.  The rest
# is room for fields of a later Storm.  Skipping a value takes as long as a whole pulse,
# and the value may be a single byte: 10 KB of empty structs would occupy a thread for
# milliseconds.  Readers of replies, which may be lists, allow more values.
MAX_VALUES: Final = 32

_STOP, _BOOL, _BYTE, _DOUBLE = 0, 2, 3, 4
_I16, _I32, _I64, _STRING = 6, 8, 10, 11
_STRUCT, _MAP, _SET, _LIST = 12, 13, 14, 15
_UUID: Final = 16
# thriftpy2's mark for `binary` in a thrift_spec; a string on the wire.
_BINARY: Final = 18

# Our own mark in a thrift_spec: an i32 or an i64, whichever the peer wrote.
INTEGER: Final = 100

_NUMBERS: Final = {
    _BYTE: struct.Struct(">b"),
    _DOUBLE: struct.Struct(">d"),
    _I16: struct.Struct(">h"),
    _I32: struct.Struct(">i"),
    _I64: struct.Struct(">q"),
}
_FIXED_SIZES: Final = {_BOOL: 1, _UUID: 16} | {
    kind: number.size for kind, number in _NUMBERS.items()
}
# The fewest bytes that a value of each type takes.  Counts are checked against it.
_SMALLEST: Final = _FIXED_SIZES | {_STRING: 4, _STRUCT: 1, _MAP: 6, _SET: 5, _LIST: 5}


def read_struct(
    data: bytes,
    kind: type,
    unions: frozenset[type],
    max_values: int = MAX_VALUES,
) -> Any:
    """Read one struct from the beginning of some bytes.

    Args:
        data: the struct in TBinaryProtocol; bytes after it are ignored.
        kind: the class of the struct, from a loaded IDL.
        unions: which classes of that IDL are unions.
        max_values: the most fields and elements that it may have.

    Returns:
        An instance of ``kind``.  Absent fields are None, even if they have a default
        in the IDL, so that "absent" differs from any value.

    Raises:
        MalformedError: the bytes are not such a struct.
    """
    return _Reader(data, unions, max_values).read_struct(kind, 1)


class _Reader:
    """A position in some bytes, which moves past each value that is read."""

    __slots__ = ("_data", "_max_values", "_position", "_unions", "_values_left")

    def __init__(self, data: bytes, unions: frozenset[type], max_values: int) -> None:
        self._data = data
        self._position = 0
        self._unions = unions
        self._max_values = self._values_left = max_values

    def read_struct(self, kind: Any, depth: int) -> Any:
        self._check_depth(depth)
        values = dict.fromkeys(field[1] for field in kind.thrift_spec.values())
        if kind in self._unions:
            self._read_union(kind, values, depth)
        else:
            while self._read_field(kind, values, depth):
                pass
        self._check_required(kind, values)
        return kind(**values)

    def _read_union(self, kind: Any, values: dict[str, Any], depth: int) -> None:
        if not self._read_field(kind, values, depth):
            raise self._malformed("union without a value", kind.__name__)
        if self._read_byte() != _STOP:
            raise self._malformed("union with more than one value", kind.__name__)

    def _read_field(self, kind: Any, values: dict[str, Any], depth: int) -> bool:
        """Read one field into ``values``; return False at the STOP."""
        wire_type = self._read_byte()
        if wire_type == _STOP:
            return False
        self._charge(1)
        field_id = self._read_number(_I16)
        field = kind.thrift_spec.get(field_id)
        kind_read: int = _STOP if field is None else field[0]
        if kind_read == INTEGER and wire_type in (_I32, _I64):
            kind_read = wire_type
        if field is None or _wire_type(kind_read) != wire_type:
            self._skip(wire_type, depth)
            return True
        spec = field[2] if len(field) == 4 else None
        values[field[1]] = self._read_value(kind_read, spec, depth)
        return True

    def _check_required(self, kind: Any, values: dict[str, Any]) -> None:
        for field in kind.thrift_spec.values():
            if field[-1] and values[field[1]] is None:
                raise self._malformed(
                    "required field is missing", f"{kind.__name__}.{field[1]}"
                )

    def _read_value(self, kind: int, spec: Any, depth: int) -> Any:
        if kind in _NUMBERS:
            return self._read_number(kind)
        if kind == _BOOL:
            # As in Java, where only 1 is true.
            return self._read_byte() == 1
        if kind == _STRING:
            return self._read_text()
        if kind == _BINARY:
            return self._read_bytes(self._read_length())
        if kind == _STRUCT:
            return self.read_struct(spec, depth + 1)
        if kind == _MAP:
            return self._read_map(spec, depth)
        return self._read_elements(spec, depth)

    def _read_elements(self, spec: Any, depth: int) -> list[Any]:
        element_kind, element_spec = _split(spec)
        wire_type, count = self._read_container_head()
        expected = _wire_type(element_kind)
        if count and wire_type != expected:
            raise self._malformed(
                "list of the wrong type", f"{wire_type}, expected {expected}"
            )
        self._charge(count)
        return [
            self._read_value(element_kind, element_spec, depth) for _ in range(count)
        ]

    def _read_map(self, spec: Any, depth: int) -> list[tuple[Any, Any]]:
        """Read a map as a list of pairs, because a struct may be a key."""
        (key_kind, key_spec), (value_kind, value_spec) = map(_split, spec)
        key_type, value_type, count = self._read_map_head()
        expected = _wire_type(key_kind), _wire_type(value_kind)
        if count and (key_type, value_type) != expected:
            raise self._malformed(
                "map of the wrong types",
                f"{key_type} and {value_type}, expected {expected[0]} and"
                f" {expected[1]}",
            )
        self._charge(2 * count)
        return [
            (
                self._read_value(key_kind, key_spec, depth),
                self._read_value(value_kind, value_spec, depth),
            )
            for _ in range(count)
        ]

    def _skip(self, wire_type: int, depth: int) -> None:
        """Walk past one value of any type.

        The stack has an entry for each open struct or container.  A struct's entry is
        None.  A container's entry is the number of its remaining values, and their
        types in rotation.
        """
        stack: list[tuple[int, tuple[int, ...]] | None] = []
        self._skip_one(wire_type, stack)
        while stack:
            self._check_depth(depth + len(stack))
            top = stack.pop()
            if top is None:
                wire_type = self._read_byte()
                if wire_type != _STOP:
                    self._charge(1)
                    self._pass(2)
                    stack.append(None)
                    self._skip_one(wire_type, stack)
                continue
            count, kinds = top
            if count:
                # Pushed back even for the last element, because the nesting is the
                # length of the stack and that element is inside the container too.
                stack.append((count - 1, kinds))
                self._skip_one(kinds[count % len(kinds)], stack)

    def _skip_one(
        self, wire_type: int, stack: list[tuple[int, tuple[int, ...]] | None]
    ) -> None:
        """Walk past a plain value, or open a struct or container on the stack."""
        if wire_type in _FIXED_SIZES:
            self._pass(_FIXED_SIZES[wire_type])
        elif wire_type == _STRING:
            self._pass(self._read_length())
        elif wire_type == _STRUCT:
            stack.append(None)
        elif wire_type in (_LIST, _SET):
            element_type, count = self._read_container_head()
            self._open(stack, count, (element_type,))
        elif wire_type == _MAP:
            key_type, value_type, count = self._read_map_head()
            # The count goes down from an even number, so even counts are keys and odd
            # counts are values.
            self._open(stack, 2 * count, (key_type, value_type))
        else:
            raise self._malformed("unknown wire type", str(wire_type))

    def _open(
        self,
        stack: list[tuple[int, tuple[int, ...]] | None],
        count: int,
        kinds: tuple[int, ...],
    ) -> None:
        """Push a container on the stack, or pass it at once if its values are plain."""
        if all(kind in _FIXED_SIZES for kind in kinds):
            sizes = sum(_FIXED_SIZES[kind] for kind in kinds)
            self._pass(count // len(kinds) * sizes)
        elif count:
            self._charge(count)
            stack.append((count, kinds))

    def _read_container_head(self) -> tuple[int, int]:
        element_type = self._read_byte()
        return element_type, self._read_count(element_type)

    def _read_map_head(self) -> tuple[int, int, int]:
        key_type, value_type = self._read_byte(), self._read_byte()
        return key_type, value_type, self._read_count(key_type, value_type)

    def _read_count(self, *kinds: int) -> int:
        count: int = self._read_number(_I32)
        if count == 0:
            return 0
        for kind in kinds:
            if kind not in _SMALLEST:
                raise self._malformed("unknown wire type", str(kind))
        self._check_fits(count, sum(_SMALLEST[kind] for kind in kinds))
        return count

    def _read_length(self) -> int:
        length: int = self._read_number(_I32)
        self._check_fits(length, 1)
        return length

    def _check_fits(self, count: int, least_bytes: int) -> None:
        """Check that the remaining bytes can hold some values of a least size."""
        most = (len(self._data) - self._position) // least_bytes
        if not 0 <= count <= most:
            raise self._malformed(
                "length does not fit in the message", f"{count}, allowed is 0 to {most}"
            )

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_NESTING:
            raise self._malformed(
                "nested too deeply", f"at most {MAX_NESTING} levels are allowed"
            )

    def _read_text(self) -> str:
        try:
            return self._read_bytes(self._read_length()).decode()
        except UnicodeDecodeError as exc:
            raise self._malformed("text is not UTF-8", exc.reason) from exc

    def _read_number(self, kind: int) -> Any:
        number = _NUMBERS[kind]
        return number.unpack(self._read_bytes(number.size))[0]

    def _read_byte(self) -> int:
        return self._read_bytes(1)[0]

    def _read_bytes(self, size_bytes: int) -> bytes:
        start = self._position
        self._pass(size_bytes)
        return self._data[start : self._position]

    def _pass(self, size_bytes: int) -> None:
        end = self._position + size_bytes
        if end > len(self._data):
            left = len(self._data) - self._position
            raise self._malformed(
                "message ends too early",
                f"{counted(size_bytes, 'byte')} expected, {left} left",
            )
        self._position = end

    def _charge(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            raise self._malformed(
                "too many fields or elements", f"at most {self._max_values} are allowed"
            )

    def _malformed(self, reason: str, detail: str) -> MalformedError:
        """Return an error that also says how far the message was read."""
        where = f"after {self._position} of {len(self._data)} bytes"
        return MalformedError(reason, f"{detail}, {where}")


def _wire_type(kind: int) -> int:
    return _STRING if kind == _BINARY else kind


def _split(spec: Any) -> tuple[int, Any]:
    """Split an element of a thrift_spec into its type and its spec, None if plain."""
    return spec if isinstance(spec, tuple) else (spec, None)
