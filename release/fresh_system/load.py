"""Send pulses over many connections until a line comes on stdin; print the outcome.

    load.py CONNECTIONS [PORT]

The package's own Python runs it on the system under trial.  At the end, it sends one
more pulse over each connection, so that a connection that was reset after its last
reply is noticed too, and reads each key back: a pulse that was acknowledged must be
stored.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import time

from pacemaker.client.requests import Request, get_pulse, send_pulse
from pacemaker.wire import messages

TIMEOUT_S = 30
PAUSE_S = 0.1
OUTCOMES = ("rounds", "answered", "unanswered", "broken", "lost")


def reply(link: socket.socket) -> bytes | None:
    """Read one reply; return None if the connection ended before."""
    head = link.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    size: int = struct.unpack(">i", head)[0]
    body = link.recv(size, socket.MSG_WAITALL)
    return body if len(body) == size else None


class Load:
    """The connections, and what was seen on them."""

    def __init__(self, count: int, port: int) -> None:
        address = ("127.0.0.1", port)
        self._links = [socket.create_connection(address, 5) for _ in range(count)]
        for link in self._links:
            link.settimeout(TIMEOUT_S)
        self._stored: dict[int, bytes] = {}  # by connection: what was acknowledged
        self.seen = dict.fromkeys(OUTCOMES, 0)
        self.slowest_s = 0.0

    def send_pulses(self) -> None:
        """Send one pulse over each connection, and wait for all replies."""
        self.seen["rounds"] += 1
        number = self.seen["rounds"]
        values = [b"pulse %d of %d" % (number, n) for n in range(len(self._links))]
        began_s = time.monotonic()
        for index, value in enumerate(values):
            self._send(index, send_pulse(_path(index), value))
        for index, value in enumerate(values):
            if self._reply(index) is not None:
                self.seen["answered"] += 1
                self._stored[index] = value
        self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)

    def read_back(self) -> None:
        """Count the keys whose last acknowledged pulse is not stored."""
        for index, value in self._stored.items():
            request = get_pulse(_path(index))
            self._send(index, request)
            body = self._reply(index)
            if body is not None:
                found = request.read(messages.decode(body).data)
                self.seen["lost"] += found != value

    def close(self) -> None:
        """Close the connections."""
        for link in self._links:
            link.close()

    def _send(self, index: int, request: Request[object]) -> None:
        with contextlib.suppress(OSError):  # then the missing reply is counted
            self._links[index].sendall(request.frame(index))

    def _reply(self, index: int) -> bytes | None:
        try:
            body = reply(self._links[index])
        except TimeoutError:
            self.seen["unanswered"] += 1
            return None
        except OSError:
            body = None
        self.seen["broken"] += body is None
        return body


def _path(index: int) -> str:
    return f"/workerbeats/load/{index}"


def main() -> None:
    """Send pulses in rounds until a line comes."""
    load = Load(int(sys.argv[1]), int((sys.argv[2:] or ["6699"])[0]))
    print("connected", flush=True)  # noqa: T201
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        load.send_pulses()
    load.send_pulses()
    load.read_back()
    load.close()
    print(json.dumps(load.seen | {"slowest_s": load.slowest_s}))  # noqa: T201


if __name__ == "__main__":
    main()
