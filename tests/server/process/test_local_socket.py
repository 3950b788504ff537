"""The sockets by which commands reach a daemon: their names, and how they are found."""

from __future__ import annotations

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
