"""Send pulses over many connections until a line comes on stdin; print the outcome.

The package's own Python runs it on the system under trial: ``load.py CONNECTIONS``.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import time

from pacemaker.client.requests import send_pulse

TIMEOUT_S = 30


def answered(link: socket.socket) -> bool:
    """Read one reply; return whether it came before the connection ended."""
    head = link.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return False
    size: int = struct.unpack(">i", head)[0]
    return len(link.recv(size, socket.MSG_WAITALL)) == size


def main() -> None:
    """Send a pulse on each connection, in rounds."""
    count = int(sys.argv[1])
    links = [socket.create_connection(("127.0.0.1", 6699), 5) for _ in range(count)]
    seen = {"answered": 0, "unanswered": 0, "broken": 0, "slowest_s": 0.0}
    print("connected", flush=True)  # noqa: T201
    number = 0
    # Storm's workers send a pulse every three seconds; these are a little faster.
    while not select.select([sys.stdin], [], [], 1)[0]:
        number += 1
        began_s = time.monotonic()
        for index, link in enumerate(links):
            request = send_pulse(f"/workerbeats/load/{index}", b"%d" % number)
            link.settimeout(TIMEOUT_S)
            with contextlib.suppress(OSError):  # then the missing reply is counted
                link.sendall(request.frame(number))
        for link in links:
            try:
                seen["answered" if answered(link) else "broken"] += 1
            except TimeoutError:
                seen["unanswered"] += 1
            except OSError:
                seen["broken"] += 1
            slowest_s = max(seen["slowest_s"], time.monotonic() - began_s)
            seen["slowest_s"] = slowest_s
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    main()
