"""Exits with 0 where the daemon of this container answers a request.

CREATE_PATH stores nothing, and every method of authentication lets it through.
"""

import os
import socket
from pathlib import Path

import yaml

CONFIG = Path(os.environ.get("STORM_CONF_DIR", "/conf"), "storm.yaml")
REQUEST = bytes.fromhex(
    "0000001b 080001 00000000 0c0002 0b0001 00000001 2f 00 080003 00000001 00"
)
REPLY = bytes.fromhex("0000000f 080001 00000001 080003 00000001 00")
TIMEOUT_S = 4


def main() -> None:
    """Ask once."""
    conf = yaml.safe_load(CONFIG.read_text()) if CONFIG.exists() else None
    port = (conf or {}).get("pacemaker.port", 6699)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(REQUEST)
        reply = connection.recv(len(REPLY), socket.MSG_WAITALL)
    if reply != REPLY:
        raise SystemExit(f"unexpected reply: {reply.hex()}")


if __name__ == "__main__":
    main()
