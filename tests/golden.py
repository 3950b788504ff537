"""The bytes that Storm 2.8.3 writes, each with the message that they are.

One table for both directions: what is read from the bytes is the message, and
what is written of the message are the bytes.
"""

from __future__ import annotations

from pacemaker.wire import messages
from pacemaker.wire.messages import Message, Nodes, Pulse

GOLDEN: dict[str, tuple[Message, bytes]] = {
    name: (message, bytes.fromhex(text))
    for name, message, text in (
        (
            "SEND_PULSE",
            Message(messages.SEND_PULSE, Pulse("/a", b"xy"), 5),
            "00000029080001000000040c00020c00020b0001000000022f610b000200000002787900"
            "000800030000000500",
        ),
        (
            "SEND_PULSE_RESPONSE",
            Message(messages.SEND_PULSE_RESPONSE, None, 5),
            "0000000f080001000000050800030000000500",
        ),
        (
            "CREATE_PATH_RESPONSE to a request without id",
            Message(messages.CREATE_PATH_RESPONSE, None, -1),
            "0000000f08000100000001080003ffffffff00",
        ),
        (
            "GET_PULSE",
            Message(messages.GET_PULSE, "/a", 7),
            "0000001c0800010000000a0c00020b0001000000022f61000800030000000700",
        ),
        (
            "GET_PULSE_RESPONSE, hit",
            Message(messages.GET_PULSE_RESPONSE, Pulse("/a", b"xy"), 7),
            "000000290800010000000b0c00020c00020b0001000000022f610b000200000002787900"
            "000800030000000700",
        ),
        (
            "GET_PULSE_RESPONSE, miss",
            Message(messages.GET_PULSE_RESPONSE, Pulse("/a", None), 7),
            "000000200800010000000b0c00020c00020b0001000000022f6100000800030000000700",
        ),
        (
            "EXISTS_RESPONSE, true",
            Message(messages.EXISTS_RESPONSE, True, 1),
            "00000017080001000000030c000202000301000800030000000100",
        ),
        (
            "EXISTS_RESPONSE, false",
            Message(messages.EXISTS_RESPONSE, False, 1),
            "00000017080001000000030c000202000300000800030000000100",
        ),
        (
            "GET_ALL_NODES_FOR_PATH_RESPONSE, empty",
            Message(messages.GET_ALL_NODES_FOR_PATH_RESPONSE, Nodes([]), 2),
            "0000001f080001000000090c00020c00050f00010b0000000000000800030000000200",
        ),
        (
            "GET_ALL_NODES_FOR_PATH_RESPONSE",
            Message(messages.GET_ALL_NODES_FOR_PATH_RESPONSE, Nodes(["t1"]), 2),
            "00000025080001000000090c00020c00050f00010b000000010000000274310000"
            "0800030000000200",
        ),
        (
            "NOT_AUTHORIZED",
            Message(messages.NOT_AUTHORIZED, None, 9),
            "0000000f080001000000120800030000000900",
        ),
        (
            "control: token request",
            Message(messages.CONTROL_MESSAGE, b"\xff\x36"),
            "00000015080001000000100c00020b000700000002ff360000",
        ),
        (
            "control: SASL complete",
            Message(messages.CONTROL_MESSAGE, b"\xff\x35"),
            "00000015080001000000100c00020b000700000002ff350000",
        ),
        (
            "SASL token",
            Message(messages.SASL_MESSAGE_TOKEN, b"\xfe\x0c\0\0\0\x03abc"),
            "0000001c080001000000110c00020b000700000009fe0c000000036162630000",
        ),
    )
}

# What fast_codec.decode knows of the table, and what fast_codec.encode does.
FAST_REQUESTS = frozenset(("SEND_PULSE", "GET_PULSE"))
FAST_REPLIES = frozenset(
    (
        "SEND_PULSE_RESPONSE",
        "CREATE_PATH_RESPONSE to a request without id",
        "GET_PULSE_RESPONSE, hit",
        "GET_PULSE_RESPONSE, miss",
        "NOT_AUTHORIZED",
    )
)
