"""Options and addresses of sockets."""

from __future__ import annotations

import pytest

from pacemaker.server.io.sockets import join_address


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "127.0.0.1:6699"),
        ("::ffff:127.0.0.1", "127.0.0.1:6699"),
        ("::1", "[::1]:6699"),
        ("::", "[::]:6699"),
    ],
)
def test_address_is_written_as_people_write_it(host: str, text: str) -> None:
    """IPv6 in brackets; an IPv4 address is the same one when mapped into IPv6."""
    assert join_address(host, 6699) == text
