"""The attackers of one attack, in a process of their own.

    python -m benchmarks.isolation.attacker NAME HOST PORT ADDRESSES CONNECTIONS

The process prints "ready" and then takes commands from stdin, one byte each:

    b   begin the attack
    g   resume the connections that wait for something
    s   stop sending; the connections stay open, so that the daemon has to process
        everything that it was sent

It ends at the end of stdin.  A connection that the daemon ends is reopened at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.isolation.attack import Attack, Talk
from benchmarks.isolation.attacks import ATTACKS
from benchmarks.isolation.peer import connect
from pacemaker.descriptor_limit import raise_descriptor_limit

_READ_BYTES: Final = 256 * 1024
_RESET: Final = struct.pack("ii", 1, 0)
_EVENTS: Final = 256
# The kernel limits the memory of all sockets together (net.ipv4.tcp_mem).  The send
# buffers of real attackers are on other machines.  Here they must not use up what the
# daemon's machine has, or the kernel would drop what honest peers send.
_SEND_BUFFER_BYTES: Final = 32 * 1024
# The pause between two attempts to connect, if none is possible.
_PAUSE_S: Final = 0.01


class Attackers:
    """All connections of an attack.

    Args:
        attack: the attack.
        server: the daemon's host and port.
        addresses: the addresses from which the connections come, in turn.
        connections: the number of connections.
    """

    def __init__(
        self,
        attack: Attack,
        server: tuple[str, int],
        addresses: Sequence[str],
        connections: int,
    ) -> None:
        self.opened = self.ended = self.sent_bytes = self.received_bytes = 0
        self._attack = attack
        self._server = server
        self._addresses = addresses
        self._talk: Callable[[int], Talk]
        self._epoll = select.epoll()
        self._speakers: dict[int, Speaker] = {}
        self._to_open = list(range(connections))[::-1]
        self._next_open_s = 0.0
        self._has_stopped = False

    def run(self) -> None:
        """Attack until stdin ends."""
        self._talk = self._attack.start()
        command = sys.stdin.fileno()
        self._epoll.register(command, select.EPOLLIN)
        while True:
            if self._to_open and not self._has_stopped:
                self._open_some()
            timeout_s = _PAUSE_S if self._to_open and not self._has_stopped else 1.0
            for fd, events in self._epoll.poll(timeout_s, _EVENTS):
                if fd == command:
                    letter = os.read(command, 1)
                    if not letter:
                        self._reset_all()
                        return
                    self._take_command(letter)
                elif fd in self._speakers:
                    self._serve(self._speakers[fd], events)

    def _open_some(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_open_s:
            return
        # Open only a few at a time, so that the open ones continue meanwhile.
        for _ in range(min(_EVENTS, len(self._to_open))):
            number = self._to_open.pop()
            address = self._addresses[number % len(self._addresses)]
            try:
                sock = connect(*self._server, address)
            except OSError:
                self._to_open.append(number)
                self._next_open_s = now_s + _PAUSE_S
                return
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self.opened += 1
            speaker = Speaker(number, sock, self._talk(number))
            self._speakers[sock.fileno()] = speaker
            self._epoll.register(sock.fileno(), self._interest(speaker))

    def _interest(self, speaker: Speaker) -> int:
        reads = self._attack.takes_replies or speaker.is_listening
        return (select.EPOLLIN if reads or self._has_stopped else 0) | (
            select.EPOLLOUT
            if not (speaker.is_silent or speaker.is_listening or self._has_stopped)
            else 0
        )

    def _serve(self, speaker: Speaker, events: int) -> None:
        before = self._interest(speaker)
        try:
            if events & select.EPOLLIN:
                data = speaker.sock.recv(_READ_BYTES)
                if not data:
                    raise ConnectionResetError
                self.received_bytes += len(data)
                if speaker.is_listening and not self._has_stopped:
                    speaker.hear(data)
            elif events & (select.EPOLLERR | select.EPOLLHUP):
                raise ConnectionResetError
            if events & select.EPOLLOUT and not self._has_stopped:
                self.sent_bytes += speaker.speak()
        except BlockingIOError:
            return
        except OSError:
            self.ended += not self._has_stopped
            self._close(speaker)
            return
        if speaker.is_silent and self._attack.churns and not self._has_stopped:
            speaker.reset_on_close()
            self._close(speaker)
        elif self._interest(speaker) != before:
            self._epoll.modify(speaker.sock.fileno(), self._interest(speaker))

    def _close(self, speaker: Speaker) -> None:
        fd = speaker.sock.fileno()
        del self._speakers[fd]
        self._epoll.unregister(fd)
        speaker.sock.close()
        self._to_open.append(speaker.number)

    def _reset_all(self) -> None:
        """Leave nothing in the kernel that would disturb the next attack.

        Without a reset, it would keep hundreds of MiB that could not be delivered, for
        tens of seconds, and so drop packets of honest peers.
        """
        for speaker in self._speakers.values():
            speaker.reset_on_close()
            speaker.sock.close()

    def _take_command(self, letter: bytes) -> None:
        self._has_stopped = letter == b"s"
        for speaker in self._speakers.values():
            if letter == b"g" and speaker.is_listening:
                speaker.hear(b"")
            self._epoll.modify(speaker.sock.fileno(), self._interest(speaker))


class Speaker:
    """One connection of an attacker."""

    def __init__(self, number: int, sock: socket.socket, talk: Talk) -> None:
        self.number = number
        self.sock = sock
        self._talk = talk
        self._unsent = memoryview(b"")
        self.is_silent = False
        self.is_listening = False
        self._advance(lambda: next(talk))

    def reset_on_close(self) -> None:
        """Choose a reset as the end of the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def hear(self, data: bytes) -> None:
        """Resume the talk with the received bytes."""
        self._advance(lambda: self._talk.send(data))

    def speak(self) -> int:
        """Send some of the bytes; return how many were sent."""
        if not self._unsent:
            return 0
        sent_bytes = self.sock.send(self._unsent)
        self._unsent = self._unsent[sent_bytes:]
        if not self._unsent:
            self._advance(lambda: self._talk.send(b""))
        return sent_bytes

    def _advance(self, step: Callable[[], bytes]) -> None:
        try:
            data = step()
        except StopIteration:
            self.is_silent, self.is_listening = True, False
            return
        self.is_listening = not data
        self._unsent = memoryview(data)


def main() -> None:
    """Attack as the command line says."""
    name, host, port, addresses, connections = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_descriptor_limit()
    attackers = Attackers(
        ATTACKS[name], (host, int(port)), addresses.split(","), int(connections)
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if os.read(sys.stdin.fileno(), 1):
        attackers.run()
    figures = {
        "opened": attackers.opened,
        "ended": attackers.ended,
        "sent_bytes": attackers.sent_bytes,
        "received_bytes": attackers.received_bytes,
    }
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
