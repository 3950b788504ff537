"""The honest peers (workers, Nimbus, new workers), in a process of their own.

    python -m benchmarks.isolation.honest LOAD RECORDS

LOAD is a `HonestLoad` as JSON; RECORDS is the file to which the outcome is written.
The process prints "ready" once every key is stored, and then four times a second the
age of the oldest unanswered request.  A line on stdin ends the load: unanswered
requests get 11 s more, and then the records are written.

The load is open-loop: each request is sent at its scheduled time, whether or not
earlier ones have been answered, and its latency counts from that time.  Nimbus sends
one request after another, as Storm's does, so a late reply delays its next request.

Every reply is checked.  It must be the reply to the oldest request of its connection,
byte by byte.  A value must not be older than what was acknowledged before the read was
sent, and it must have been written at some time.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.isolation import wire
from benchmarks.isolation.figures import Record
from benchmarks.isolation.history import (
    OK,
    RESET,
    UNANSWERED,
    WRONG,
    History,
)
from benchmarks.isolation.load import HonestLoad
from benchmarks.isolation.peer import Peer, Request, connect
from pacemaker.client.protocol import ClientProtocol
from pacemaker.descriptor_limit import raise_descriptor_limit
from pacemaker.errors import PeerError
from pacemaker.sasl.digest import DigestClient
from pacemaker.sasl.secret import Secret

TOPOLOGY: Final = b"honest-1-1700000000"

_ROOT: Final = b"/workerbeats"
_RECONNECT_S: Final = 0.1
_STATUS_EVERY_S: Final = 0.25
_READY_WITHIN_S: Final = 20.0
_LATE_S: Final = 1.0
_LARGE_EVERY_S: Final = 1.0
_LARGE_PARTS: Final = 8
_LARGE_TAKES_S: Final = 0.2
# Higher than the priority of the attackers, which share the core.
_PRIORITY: Final = 10
_EVENTS: Final = 64


def key_of(kind: str, number: int) -> bytes:
    """Return a key of the same length as Storm's."""
    name = f"{kind}-{number:08x}-9e6e-4b6e-8a53-1a2b3c4d5e6f-{6700 + number % 10}"
    return b"/".join((_ROOT, TOPOLOGY, name.encode()))


class Slot:
    """A place for a connection, which is opened again after a reset."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.peer: Peer | None = None
        self.is_ordered = True
        self.needs_login = False


class Honest:
    """All honest peers, run by one thread."""

    def __init__(self, load: HonestLoad) -> None:
        self.load = load
        self.records: list[Record] = []
        self.resets = 0
        self._epoll = select.epoll()
        self._slots: dict[int, Slot] = {}
        self._ids = itertools.count()
        self._numbers = itertools.count(load.workers)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        # What Nimbus is still to ask: at most one round.  If it falls further behind,
        # the oldest drop out: Storm's Nimbus makes no second round for a late one.
        self._nimbus_due: deque[tuple[float, Callable[[], None]]] = deque(
            maxlen=load.workers
        )
        self._workers = [self._slot(number) for number in range(load.workers)]
        self._histories = [
            History(number, load.value_bytes) for number in range(load.workers)
        ]
        self._nimbus = self._slot(0, needs_login=bool(load.secret))
        self._reader = self._slot(0, needs_login=bool(load.secret))
        self._reader.is_ordered = False
        self._relay = self._slot(1)
        # These are opened again after a reset; all others serve for one request.
        self._standing = {*self._workers, self._nimbus}
        if load.late_per_s:
            self._standing.add(self._reader)
        if load.large_bytes:
            self._standing.add(self._relay)
        self._stopped_s: float | None = None

    # Connections.

    def _slot(self, number: int, needs_login: bool = False) -> Slot:
        slot = Slot(self.load.addresses[number % len(self.load.addresses)])
        slot.needs_login = needs_login
        return slot

    def _open(self, slot: Slot) -> None:
        try:
            sock = connect(self.load.host, self.load.port, slot.address)
        except OSError:
            if slot in self._standing:
                self.at(time.monotonic() + _RECONNECT_S, partial(self._open, slot))
            return
        login = self._login() if slot.needs_login else None
        slot.peer = Peer(self._epoll, sock, login)
        self._slots[slot.peer.fd] = slot

    def _login(self) -> ClientProtocol:
        mechanism = DigestClient(Secret(self.load.secret), "pacemaker-client")
        return ClientProtocol(wire.MAX_BODY_BYTES, mechanism)

    def _lose(self, slot: Slot) -> None:
        """Count a connection that ended although this process did not close it."""
        peer, slot.peer = slot.peer, None
        if peer is None:
            return
        # Do not count a connection that was refused as one that was reset.
        self.resets += peer.is_connected
        now_s = time.monotonic()
        for request in peer.waiting.values():
            self._record(request, now_s, RESET)
        del self._slots[peer.fd]
        peer.close()
        if slot in self._standing:
            self.at(now_s + _RECONNECT_S, partial(self._open, slot))

    # Requests.

    def _record(self, request: Request, now_s: float, outcome: str) -> None:
        self.records.append(
            (request.kind, request.due_s, request.sent_s, now_s, outcome)
        )

    def _send(
        self,
        slot: Slot,
        kind: str,
        due_s: float,
        make: Callable[[int], bytes],
        judge: Callable[[int, bytes], str],
    ) -> None:
        message_id = next(self._ids) & 0x7FFFFFFF
        request = Request(kind, due_s, time.monotonic(), partial(judge, message_id))
        if slot.peer is None:
            self._record(request, request.sent_s, RESET)
            return
        try:
            slot.peer.send(make(message_id), message_id, request)
        except OSError:
            self._lose(slot)

    def _send_pulse(
        self, slot: Slot, kind: str, due_s: float, key: bytes, history: History
    ) -> None:
        value = history.next_value()
        sequence = history.sent

        def judge(message_id: int, reply: bytes) -> str:
            if reply != wire.message(wire.SEND_PULSE_RESPONSE, b"", message_id):
                return WRONG
            history.acknowledged = max(history.acknowledged, sequence)
            return OK

        self._send(slot, kind, due_s, partial(wire.pulse, key, value), judge)

    def _send_read(
        self, slot: Slot, kind: str, due_s: float, key: bytes, history: History
    ) -> None:
        # The read must return at least what is acknowledged by now.  A held read must
        # return the first value, whenever that is written.
        least = 0 if kind == "held" else history.acknowledged

        def judge(message_id: int, reply: bytes) -> str:
            if reply == wire.get_pulse_reply(key, None, message_id):
                return history.judge(None, least)
            size = history.size_bytes
            value = reply[-size - _READ_TAIL_BYTES : -_READ_TAIL_BYTES]
            if reply != wire.get_pulse_reply(key, value, message_id):
                return WRONG
            return history.judge(value, least)

        make = partial(wire.path_request, wire.GET_PULSE, key)
        self._send(slot, kind, due_s, make, judge)

    def _send_list(self, due_s: float) -> None:
        make = partial(wire.path_request, wire.LIST_NODES, _ROOT)
        self._send(self._nimbus, "list", due_s, make, _judge_list)

    # Scheduled events.

    def at(self, due_s: float, function: Callable[[], None]) -> None:
        """Schedule a call for a given time."""
        heapq.heappush(self._timers, (due_s, next(self._timer_numbers), function))

    def every(
        self, period_s: float, first_s: float, function: Callable[[float], None]
    ) -> None:
        """Call a function periodically, passing it each scheduled time."""

        def call(due_s: float) -> None:
            self.every(period_s, due_s + period_s, function)
            if self._stopped_s is None:
                function(due_s)

        self.at(first_s, partial(call, first_s))

    def _pulse(self, number: int, due_s: float) -> None:
        history = self._histories[number]
        key = key_of("worker", number)
        self._send_pulse(self._workers[number], "pulse", due_s, key, history)

    def _read(self, number: int, due_s: float) -> None:
        history = self._histories[number]
        key = key_of("worker", number)
        self._send_read(self._nimbus, "read", due_s, key, history)

    def _ask_nimbus(self, due_s: float, ask: Callable[[float], None]) -> None:
        self._nimbus_due.append((due_s, partial(ask, due_s)))
        self._nimbus_turn()

    def _nimbus_turn(self) -> None:
        peer = self._nimbus.peer
        while peer is not None and not peer.waiting and self._nimbus_due:
            self._nimbus_due.popleft()[1]()
            peer = self._nimbus.peer

    def _join(self, due_s: float) -> None:
        number = next(self._numbers)
        slot = self._slot(number)
        self._open(slot)
        history = History(number, self.load.value_bytes)
        self._send_pulse(slot, "join", due_s, key_of("joined", number), history)
        self._leave(slot, key_of("joined", number))

    def _leave(self, slot: Slot, key: bytes) -> None:
        """Delete the key, as a stopping worker does, and close the connection."""

        def judge(message_id: int, reply: bytes) -> str:
            self.at(0.0, partial(self._close, slot))
            expected = wire.message(wire.DELETE_PATH_RESPONSE, b"", message_id)
            return OK if reply == expected else WRONG

        make = partial(wire.path_request, wire.DELETE_PATH, key)
        self._send(slot, "delete", time.monotonic(), make, judge)

    def _close(self, slot: Slot) -> None:
        if slot.peer is not None:
            del self._slots[slot.peer.fd]
            slot.peer.close()
            slot.peer = None

    def _late(self, due_s: float) -> None:
        number = next(self._numbers)
        key, history = key_of("late", number), History(number, self.load.value_bytes)
        written_s = due_s + _LATE_S
        self._send_read(self._reader, "held", written_s, key, history)
        slot = self._workers[number % len(self._workers)]
        write = partial(self._send_pulse, slot, "pulse", written_s, key, history)
        self.at(written_s, write)

    def _log_in(self, due_s: float) -> None:
        slot = self._slot(next(self._numbers), needs_login=True)
        self._open(slot)

        def judge(message_id: int, reply: bytes) -> str:
            self.at(0.0, partial(self._close, slot))
            return OK if wire.read_kind(reply) == wire.LIST_NODES_RESPONSE else WRONG

        make = partial(wire.path_request, wire.LIST_NODES, _ROOT + b"/nothing")
        self._send(slot, "login", due_s, make, judge)

    def _large(self, history: History, due_s: float) -> None:
        """Send a large pulse in parts, as a relay on a slow link would."""
        key = key_of("relay", history.number)
        frames: list[bytes] = []

        def make(message_id: int) -> bytes:
            frames.append(wire.pulse(key, history.next_value(), message_id))
            return b""

        def judge(message_id: int, reply: bytes) -> str:
            expected = wire.message(wire.SEND_PULSE_RESPONSE, b"", message_id)
            return OK if reply == expected else WRONG

        self._send(self._relay, "large", due_s + _LARGE_TAKES_S, make, judge)
        size = -(-len(frames[0]) // _LARGE_PARTS) if frames else 1
        for number in range(_LARGE_PARTS if frames else 0):
            part = frames[0][number * size : (number + 1) * size]
            at_s = due_s + _LARGE_TAKES_S * number / (_LARGE_PARTS - 1)
            self.at(at_s, partial(self._send_part, self._relay.peer, part))

    def _send_part(self, peer: Peer | None, part: bytes) -> None:
        slot = self._relay
        if peer is not None and slot.peer is peer:
            try:
                peer.send_part(part)
            except OSError:
                self._lose(slot)

    # The loop.

    def run(self, records: Path) -> None:
        """Run the load until a line on stdin ends it; then write the records."""
        self._begin()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        self._schedule(time.monotonic())
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        while not self._is_over():
            self._turn()
        self._give_up()
        content = {"records": self.records, "resets": self.resets}
        records.write_text(json.dumps(content))

    def _begin(self) -> None:
        """Connect all peers, and store every key."""
        for slot in self._standing:
            self._open(slot)
        for number in range(self.load.workers):
            self._pulse(number, time.monotonic())
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while any(slot.peer and slot.peer.waiting for slot in self._workers):
            if time.monotonic() > deadline_s:
                raise RuntimeError("the daemon does not take the honest keys")
            self._turn()
        self.records.clear()

    def _schedule(self, now_s: float) -> None:
        load = self.load
        for number in range(load.workers):
            first_s = now_s + load.period_s * number / load.workers
            self.every(load.period_s, first_s, partial(self._pulse, number))
        numbers = itertools.cycle(range(load.workers))
        self.every(
            1 / load.reads_per_s,
            now_s,
            lambda due_s: self._ask_nimbus(due_s, partial(self._read, next(numbers))),
        )
        self.every(
            load.list_every_s,
            now_s + load.list_every_s / 2,
            lambda due_s: self._ask_nimbus(due_s, self._send_list),
        )
        for rate, function in (
            (load.joins_per_s, self._join),
            (load.late_per_s, self._late),
            (load.logins_per_s, self._log_in),
        ):
            if rate:
                self.every(1 / rate, now_s + 0.5 / rate, function)
        if load.large_bytes:
            history = History(next(self._numbers), load.large_bytes)
            self.every(_LARGE_EVERY_S, now_s, partial(self._large, history))
        self.every(_STATUS_EVERY_S, now_s, self._say_status)

    def _say_status(self, due_s: float) -> None:
        oldest_s = min(
            (
                request.due_s
                for slot in self._slots.values()
                if slot.peer is not None
                for request in slot.peer.waiting.values()
                if request.kind != "held"
            ),
            default=due_s,
        )
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"{max(0.0, time.monotonic() - oldest_s):.3f}\n")
            sys.stdout.flush()

    def _turn(self) -> None:
        self._run_timers()
        wait_s = self._timers[0][0] - time.monotonic() if self._timers else 0.1
        # Wait in select, because epoll's own timeout is in whole milliseconds.
        select.select([self._epoll], [], [], min(0.1, max(0.0, wait_s)))
        for fd, events in self._epoll.poll(0, _EVENTS):
            if fd == sys.stdin.fileno():
                self._take_command()
            elif fd in self._slots:
                self._serve(self._slots[fd], events)

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _take_command(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            sys.exit(1)
        self._stopped_s = time.monotonic()

    def _serve(self, slot: Slot, events: int) -> None:
        peer = slot.peer
        if peer is None:
            return
        try:
            if events & select.EPOLLOUT:
                peer.is_connected |= not events & (select.EPOLLERR | select.EPOLLHUP)
                peer.flush()
            frames = peer.receive() if events & ~select.EPOLLOUT else []
        except (OSError, PeerError):
            frames = None
        if frames is None:
            self._lose(slot)
            return
        now_s = time.monotonic()
        for frame in frames:
            self._take_reply(slot, peer, frame, now_s)
        if slot is self._nimbus:
            self._nimbus_turn()

    def _take_reply(self, slot: Slot, peer: Peer, frame: bytes, now_s: float) -> None:
        oldest = next(iter(peer.waiting.values()), None)
        request = peer.take(frame)
        if request is None:
            # Nobody sent this request, or it was already answered.
            self.records.append(("nobody's", now_s, now_s, now_s, WRONG))
        elif slot.is_ordered and request is not oldest:
            self._record(request, now_s, WRONG)
        else:
            self._record(request, now_s, request.judge(frame))

    def _is_over(self) -> bool:
        if self._stopped_s is None:
            return False
        is_idle = not any(
            slot.peer is not None and slot.peer.waiting for slot in self._slots.values()
        )
        if is_idle and not self._nimbus_due:
            return True
        return time.monotonic() >= self._stopped_s + self.load.patience_s

    def _give_up(self) -> None:
        now_s = time.monotonic()
        for slot in self._slots.values():
            if slot.peer is not None:
                for request in slot.peer.waiting.values():
                    self._record(request, now_s, UNANSWERED)
        for due_s, _ in self._nimbus_due:
            self.records.append(("read", due_s, now_s, now_s, UNANSWERED))


# After the value come two STOPs, the message id and a STOP.
_READ_TAIL_BYTES: Final = 2 + 7 + 1


def _judge_list(message_id: int, reply: bytes) -> str:
    is_list = wire.read_kind(reply) == wire.LIST_NODES_RESPONSE
    fits = len(reply) - 4 <= wire.MAX_BODY_BYTES
    return OK if is_list and fits and TOPOLOGY in reply else WRONG


def _be_prompt() -> None:
    """Take precedence over others on this core, and avoid pauses of the collector."""
    gc.collect()
    gc.freeze()
    gc.disable()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    raise_descriptor_limit()


def main() -> None:
    """Run the load described by the command line."""
    load = HonestLoad.from_json(sys.argv[1])
    _be_prompt()
    Honest(load).run(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
