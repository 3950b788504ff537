"""Random requests, valid and odd, as bytes; and the lists that two rules give.

An "odd" request is one that no client of Storm sends, but that Storm's Pacemaker
answers: fields in another order, repeated, unknown or of another type; bytes after the
message; message ids at the limits of an i32.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.wire.by_hand import STOP, Type, binary, framed, i32, struct_field

SEGMENTS = (
    *("a", "b", "ab", "", "topo-1-100", "topo-1-1000", "7a4e-6700"),
    *("a+b", "t.1", "$", "\x00", "é", "名", "😀", "x" * 200),
)
"""Segments of paths: few, so that keys meet; some mean more to a regex."""

MESSAGE_IDS = (None, -1, 0, 1, 99, 100, 2**31 - 1, -(2**31))

ROOMY = 12
"""One request in so many is odd in one more way."""

REQUESTS = (
    Type.CREATE_PATH,
    Type.EXISTS,
    Type.SEND_PULSE,
    Type.SEND_PULSE,
    Type.SEND_PULSE,
    Type.GET_ALL_PULSE_FOR_PATH,
    Type.GET_ALL_NODES_FOR_PATH,
    Type.GET_ALL_NODES_FOR_PATH,
    Type.GET_PULSE,
    Type.GET_PULSE,
    Type.DELETE_PATH,
    Type.DELETE_PULSE_ID,
)
NO_REQUESTS = (*(type_ for type_ in Type if type_ % 2 and type_ < 16), Type(18))
"""The types that are no requests: they are read, and not answered."""


@dataclass(frozen=True)
class Request:
    """One request: its bytes, and what a model needs to know of it."""

    type: Type
    path: str
    frame: bytes


class Requests:
    """A source of random requests.

    Args:
        seed: what they depend on, and nothing else.

    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  (no secret)

    def take(self, count: int) -> list[Request]:
        """Return the next requests."""
        return [self._request() for _ in range(count)]

    def _request(self) -> Request:
        pick = self._random.choice
        type_ = pick(NO_REQUESTS if self._odd() else REQUESTS)
        path = self._path()
        data = self._pulse(path) if type_ is Type.SEND_PULSE else binary(1, path)
        fields = [i32(1, type_), struct_field(2, data)]
        message_id = pick((*MESSAGE_IDS, self._random.randint(-(2**31), 2**31 - 1)))
        if message_id is not None:
            fields.append(i32(3, message_id))
        body = self._struct(fields, decoys=[i32(1, 0), i32(3, 7)])
        behind = self._bytes(20) if self._odd() else b""
        return Request(type_, path, framed(body + behind))

    def _odd(self) -> bool:
        return self._random.randrange(ROOMY) == 0

    def _bytes(self, most: int) -> bytes:
        return self._random.randbytes(self._random.randint(0, most))

    def _path(self) -> str:
        segments = self._random.choices(SEGMENTS, k=self._random.randint(0, 4))
        root = "" if self._odd() else "/"
        return root + "/".join(segments)

    def _pulse(self, path: str) -> bytes:
        most = 70_000 if self._odd() else 300
        fields = [binary(1, path), binary(2, self._bytes(most))]
        decoys = [binary(1, "/decoy"), binary(2, b"decoy")]
        return struct_field(2, self._struct(fields, decoys)[:-1])

    def _struct(self, fields: list[bytes], decoys: list[bytes]) -> bytes:
        """Return a struct of these fields, perhaps in an odd shape.

        Args:
            fields: what it says, in order.
            decoys: fields of the same ids; where an id comes twice, the last counts.

        """
        if self._odd():
            self._random.shuffle(fields)
        if self._odd():
            fields = [self._random.choice(decoys), *fields]
        if self._odd():
            at = self._random.randint(0, len(fields))
            fields = [*fields[:at], self._unknown_field(), *fields[at:]]
        return b"".join(fields) + STOP

    def _unknown_field(self) -> bytes:
        """Return a field that no reader knows: of another id, or of another type."""
        field_id = self._random.choice((0, 4, 6, 100, -1, -(2**15), 2**15 - 1))
        kind = self._random.choice(list(self._values()))
        if self._odd():
            field_id, kind = 3, 10  # an i64 in the place of the id, which is an i32
        return struct.pack(">bh", kind, field_id) + self._values()[kind](0)

    def _values(self) -> dict[int, Callable[[int], bytes]]:
        """Return what makes a value of each of Thrift's types, by its number."""
        plain = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 10: 8}
        sized = {
            kind: lambda depth, size=size: self._random.randbytes(size)
            for kind, size in plain.items()
        }
        return {
            **sized,
            11: lambda depth: binary(0, self._bytes(20))[3:],
            12: self._struct_value,
            13: self._map_value,
            14: self._list_value,
            15: self._list_value,
        }

    def _kind(self, depth: int) -> int:
        """Choose a type; deeper down only plain ones, so that there is an end."""
        return self._random.choice(list(self._values())[: 7 if depth > 2 else None])

    def _struct_value(self, depth: int) -> bytes:
        kinds = [self._kind(depth) for _ in range(self._random.randint(0, 3))]
        heads = (struct.pack(">bh", kind, self._random.randint(0, 9)) for kind in kinds)
        values = (self._values()[kind](depth + 1) for kind in kinds)
        return b"".join(map(b"".join, zip(heads, values, strict=True))) + STOP

    def _list_value(self, depth: int) -> bytes:
        kind, count = self._kind(depth), self._random.randint(0, 3)
        values = (self._values()[kind](depth + 1) for _ in range(count))
        return struct.pack(">bi", kind, count) + b"".join(values)

    def _map_value(self, depth: int) -> bytes:
        kinds, count = (
            (self._kind(depth), self._kind(depth)),
            self._random.randint(0, 3),
        )
        values = (
            self._values()[kind](depth + 1) for _ in range(count) for kind in kinds
        )
        return struct.pack(">bbi", *kinds, count) + b"".join(values)


class Keys:
    """The keys that are stored after some requests: a model of nothing else."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def follow(self, request: Request) -> None:
        """Do to the model what a request does to the store."""
        if request.type is Type.SEND_PULSE:
            self.keys.add(request.path)
        elif request.type is Type.DELETE_PULSE_ID:
            self.keys.discard(request.path)
        elif request.type is Type.DELETE_PATH:
            prefix = directory(request.path)
            self.keys = {key for key in self.keys if not f"{key}/".startswith(prefix)}


def directory(path: str) -> str:
    """Return a path with one slash at its end more, unless it has one."""
    return path if path.endswith("/") else f"{path}/"


def first_names(tails: Iterable[str]) -> frozenset[bytes]:
    """Return the distinct first segments that are not empty."""
    names = (next(filter(None, tail.split("/")), "") for tail in tails)
    return frozenset(name.encode() for name in names if name)


def our_list(keys: Iterable[str], path: str) -> frozenset[bytes]:
    """List by the rule of ours: what lies in the directory."""
    prefix = directory(path)
    return first_names(key[len(prefix) :] for key in keys if key.startswith(prefix))


def storm_list(keys: Iterable[str], path: str) -> frozenset[bytes]:
    """List by Storm's rule: a plain prefix tells which, a regex takes it off."""
    pattern = re.compile(path)
    return first_names(
        pattern.sub("", key, count=1) for key in keys if key.startswith(path)
    )
