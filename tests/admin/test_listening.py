"""The listening socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pacemaker.admin.address import AdminAddress
from pacemaker.admin.listening import (
    address_of,
    adopt_listener,
    listen,
    release_listener,
)
from pacemaker.errors import ListenError

pytestmark = pytest.mark.io


def test_descriptor_is_above_those_of_an_upgrade() -> None:
    """The daemon's own listeners are handed over at 3, 4, ..."""
    listener = listen(AdminAddress("127.0.0.1", 0))
    assert listener.fileno() >= 32
    assert not listener.get_inheritable()
    release_listener(listener)


def test_listener_of_the_process_before_is_the_same() -> None:
    """It is known by its descriptor."""
    listener = listen(AdminAddress("127.0.0.1", 0))
    os.set_inheritable(listener.fileno(), True)
    address = address_of(listener)
    adopted = adopt_listener(listener.detach())
    assert address_of(adopted) == address
    assert not adopted.get_inheritable()
    release_listener(adopted)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_any_kind_of_address_will_do(host: str) -> None:
    """IPv4, IPv6 and names."""
    listener = listen(AdminAddress(host, 0))
    assert address_of(listener).port > 0
    release_listener(listener)


def test_address_of_another_is_an_error() -> None:
    """It says which option names it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = AdminAddress("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ListenError, match=r"--admin.*[Ii]n use"):
            listen(address)


def test_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    """Nobody listens on it any more."""
    path = tmp_path / "admin"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    release_listener(listen(AdminAddress(path=str(path))))
    assert not path.exists()


def test_socket_of_a_running_daemon_stays(tmp_path: Path) -> None:
    """Two daemons with one path: the second does not start."""
    address = AdminAddress(path=str(tmp_path / "admin"))
    first = listen(address)
    with pytest.raises(ListenError, match="in use"):
        listen(address)
    release_listener(first)


def test_file_of_another_kind_stays(tmp_path: Path) -> None:
    """A path that is mistyped must not cost a file."""
    path = tmp_path / "storm.yaml"
    path.write_text("nimbus.seeds: [a]\n")
    with pytest.raises(ListenError, match="in use"):
        listen(AdminAddress(path=str(path)))
    assert path.read_text() == "nimbus.seeds: [a]\n"


def test_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """It names the folder: `/run` is empty after a boot."""
    folder = tmp_path / "missing"
    with pytest.raises(ListenError, match=f"--admin.*no folder {folder}; create"):
        listen(AdminAddress(path=str(folder / "admin")))
