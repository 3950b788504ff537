"""Tests of pacemaker.wire.idl."""

from __future__ import annotations

from pacemaker.wire import idl
from tests.wire.by_hand import Type

IDL = idl.load("pacemaker.thrift")


def test_idl_is_loaded_once() -> None:
    """A file is read and parsed once, however often it is asked for."""
    assert idl.load("pacemaker.thrift") is IDL


def test_idl_numbers_the_types_as_storm_does() -> None:
    """The enum has Storm's 19 types, with Storm's numbers."""
    numbers = IDL.HBServerMessageType._NAMES_TO_VALUES
    assert numbers == {kind.name: kind.value for kind in Type}


def test_idl_numbers_the_fields_as_storm_does() -> None:
    """Each struct has Storm's field ids; the union leaves out 6."""
    fields = {
        kind.__name__: {number: spec[1] for number, spec in kind.thrift_spec.items()}
        for kind in IDL.__thrift_meta__["structs"] + IDL.__thrift_meta__["unions"]
    }
    assert fields == {
        "HBPulse": {1: "id", 2: "details"},
        "HBRecords": {1: "pulses"},
        "HBNodes": {1: "pulseIds"},
        "HBMessageData": {
            1: "path",
            2: "pulse",
            3: "boolval",
            4: "records",
            5: "nodes",
            7: "message_blob",
        },
        "HBMessage": {1: "type", 2: "data", 3: "message_id"},
    }


def test_unions_are_told_from_structs() -> None:
    """The one union of the file is known as such."""
    assert idl.unions(IDL) == {IDL.HBMessageData}
