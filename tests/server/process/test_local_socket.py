"""The sockets by which commands reach a daemon: their names, and how they are found."""

from __future__ import annotations

import os
import socket

import pytest

from pacemaker.server.process.local_socket import address_of, running_daemons

LINE = "0000000000000000: 00000002 00000000 00010000 0001 01 4711 {}\n"


def _listed(*addresses: str) -> str:
    shown = (address.replace("\0", "@") for address in addresses)
    return "Num RefCount Protocol Flags Type St Inode Path\n" + "".join(
        LINE.format(each) for each in shown
    )


def test_daemons_are_found_by_their_sockets() -> None:
    """Each daemon is found once, however many connections there are to its socket."""
    listed = _listed(
        *[address_of(71, "status"), address_of(71, "status"), address_of(5, "status")],
        *[address_of(9), address_of(9, "other"), "/run/dbus"],
    )
    assert running_daemons("status", listed) == [5, 71]


def test_daemons_of_other_process_namespaces_are_not_found() -> None:
    """A container's process ids mean nothing here."""
    foreign = address_of(71, "status").replace("pid:[", "pid:[9")
    assert running_daemons("status", _listed(foreign)) == []


@pytest.mark.io
def test_names_of_other_programs_may_be_any_bytes() -> None:
    """A name that is not UTF-8 does not keep a daemon from being found."""
    own = f"test-{os.getpid()}"
    other = b"\0storm-pacemaker-py-test-caf\xe9-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX) as odd, socket.socket(socket.AF_UNIX) as ours:
        odd.bind(other)
        ours.bind(address_of(os.getpid(), own))
        assert running_daemons(own) == [os.getpid()]
