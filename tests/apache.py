"""HBMessage as Apache's own Thrift package reads it, to check our reader against.

The structs are written as Apache's compiler would write them.  If Storm's Java, and
therefore our reader, reads something differently from Apache's Python, `_AsJava` and
the structs below follow Java, with the reason beside it.  Everything else is Apache's.
Its limits on nesting and on the number of values differ, and are not compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException, TType
from thrift.transport.TTransport import TMemoryBuffer

from pacemaker.wire.messages import Data, Message, Nodes, Pulse, Records
from tests.wire.by_hand import Type


class RefusedError(Exception):
    """Apache's reader, or Java's rule, refuses the bytes."""


def read(body: bytes) -> Message:
    """Read the body of a frame.

    Raises:
        RefusedError: it is no HBMessage.
    """
    protocol = _AsJava(
        TMemoryBuffer(body),
        strictRead=True,
        string_length_limit=len(body),
        container_length_limit=len(body),
    )
    message = _HBMessage()
    try:
        message.read(protocol)
    except (TException, EOFError, UnicodeDecodeError) as exc:
        raise RefusedError(str(exc)) from exc
    # Apache's Python gives any number for an enum, and None where it is absent;
    # Java gives null for both, on which Storm ends.
    if message.type not in list(Type):
        _refuse("type missing or unknown")
    data = None if message.data is None else message.data.value()
    return Message(message.type, data, message.message_id)


class _AsJava(TBinaryProtocol):  # type: ignore[misc]  # untyped
    def readBool(self) -> bool:  # noqa: N802  (Apache's name)
        # Java takes only 1 for true, Apache's Python any byte but 0.
        return bool(self.readByte() == 1)

    def skip(self, ttype: int, max_depth: int = 64) -> None:
        # Java skips a string as bytes; Apache's Python decodes it.
        if ttype == TType.STRING:
            self.readBinary()
        else:
            super().skip(ttype, max_depth)


class _Struct:
    # The id of each field: its name, type and reader.
    fields: ClassVar[dict[int, tuple[str, int, Callable[[Any], Any]]]]

    def __init__(self) -> None:
        for name, _, _ in self.fields.values():
            setattr(self, name, None)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def read(self, protocol: Any) -> None:
        """Read all fields to the STOP."""
        while self.read_field(protocol):
            pass
        self.validate()

    def read_field(self, protocol: Any) -> bool:
        """Read one field; False at the STOP."""
        _, wire_type, field_id = protocol.readFieldBegin()
        if wire_type == TType.STOP:
            return False
        name, due_type, read_value = self.fields.get(field_id, ("", -1, _refuse))
        if wire_type == due_type:
            setattr(self, name, read_value(protocol))
        else:
            protocol.skip(wire_type)
        return True

    def validate(self) -> None:
        """Refuse a struct that lacks what is required."""


def _refuse(reason: object) -> NoReturn:
    raise RefusedError(reason)


def _struct(kind: type[_Struct]) -> Callable[[Any], Any]:
    def read_value(protocol: Any) -> _Struct:
        value = kind()
        value.read(protocol)
        return value

    return read_value


def _list_of(
    element_type: int, read_value: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    def read_list(protocol: Any) -> list[Any]:
        wire_type, count = protocol.readListBegin()
        # Apache's readers read on as if the type were the due one.
        if count and wire_type != element_type:
            _refuse("list of another type")
        return [read_value(protocol) for _ in range(count)]

    return read_list


class _HBPulse(_Struct):
    fields: ClassVar = {
        1: ("id", TType.STRING, TBinaryProtocol.readString),
        2: ("details", TType.STRING, TBinaryProtocol.readBinary),
    }

    def validate(self) -> None:
        """Refuse a pulse without its id."""
        if self.id is None:
            _refuse("required field id is unset")

    def value(self) -> Pulse:
        """Return what it says."""
        return Pulse(self.id, self.details)


class _HBRecords(_Struct):
    fields: ClassVar = {
        1: ("pulses", TType.LIST, _list_of(TType.STRUCT, _struct(_HBPulse)))
    }

    def value(self) -> Records:
        """Return what it says."""
        if self.pulses is None:
            return Records(None)
        return Records([pulse.value() for pulse in self.pulses])


class _HBNodes(_Struct):
    fields: ClassVar = {
        1: ("names", TType.LIST, _list_of(TType.STRING, TBinaryProtocol.readString))
    }

    def value(self) -> Nodes:
        """Return what it says."""
        return Nodes(self.names)


class _HBMessageData(_Struct):
    fields: ClassVar = {
        1: ("path", TType.STRING, TBinaryProtocol.readString),
        2: ("pulse", TType.STRUCT, _struct(_HBPulse)),
        3: ("boolval", TType.BOOL, _AsJava.readBool),
        4: ("records", TType.STRUCT, _struct(_HBRecords)),
        5: ("nodes", TType.STRUCT, _struct(_HBNodes)),
        7: ("message_blob", TType.STRING, TBinaryProtocol.readBinary),
    }

    def read(self, protocol: Any) -> None:
        """Read one field and the STOP: Apache's Python takes a union for a struct."""
        if not self.read_field(protocol) or self.read_field(protocol):
            _refuse("union with no field, or more than one")

    def value(self) -> Data:
        """Return the value of the one field, or None where it was skipped."""
        for name, _, _ in self.fields.values():
            held = getattr(self, name)
            if held is not None:
                value: Data = held.value() if isinstance(held, _Struct) else held
                return value
        return None


class _HBMessage(_Struct):
    fields: ClassVar = {
        1: ("type", TType.I32, TBinaryProtocol.readI32),
        2: ("data", TType.STRUCT, _struct(_HBMessageData)),
        3: ("message_id", TType.I32, TBinaryProtocol.readI32),
    }
