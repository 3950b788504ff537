"""Which new connections are accepted when descriptors run short."""

from __future__ import annotations

from pacemaker.core.accounts.account import BURST_S, AddressLimits
from pacemaker.core.accounts.admission import Admission, Verdict
from pacemaker.core.accounts.registry import AccountRegistry


def _connect(
    accounts: AccountRegistry, admission: Admission, host: str, port: int
) -> Verdict:
    """Connect, and close the connection again unless it is accepted."""
    account = accounts.open(host, port)
    verdict = admission.judge(account, 0.0)
    if verdict is not Verdict.TAKE:
        accounts.close(account)
    return verdict


def test_address_may_have_three_quarters_of_all_and_no_more() -> None:
    """A single address gets most of the connections, but leaves room for others."""
    accounts = AccountRegistry()
    admission = Admission(accounts, 100)
    _connect(accounts, admission, "10.0.0.2", 1)
    verdicts = [_connect(accounts, admission, "10.0.0.1", port) for port in range(90)]
    assert verdicts == [Verdict.TAKE] * 74 + [Verdict.REPLACE] * 16
    others = [_connect(accounts, admission, f"10.0.1.{host}", 1) for host in range(25)]
    assert others == [Verdict.TAKE] * 25


def test_full_house_makes_room_for_one_of_an_address() -> None:
    """The first connection of an address is accepted even if all are in use."""
    accounts = AccountRegistry()
    admission = Admission(accounts, 100)
    for port in range(100):
        assert _connect(accounts, admission, "127.0.0.1", port) is Verdict.TAKE
    assert _connect(accounts, admission, "127.0.0.1", 100) is Verdict.MAKE_ROOM
    assert _connect(accounts, admission, "10.0.0.1", 1) is Verdict.MAKE_ROOM


def test_limit_of_an_address_holds_at_any_time() -> None:
    """A configured limit applies even while there is plenty of room."""
    accounts = AccountRegistry()
    admission = Admission(accounts, 100, AddressLimits(connections=2))
    verdicts = [_connect(accounts, admission, "10.0.0.1", port) for port in range(3)]
    assert verdicts == [Verdict.TAKE, Verdict.TAKE, Verdict.REFUSE]


def test_an_address_that_has_all_connections_is_not_limited() -> None:
    """All workers may be behind one address, and there is nobody to protect from it."""
    accounts = AccountRegistry()
    admission = Admission(accounts, 100, AddressLimits(connections_per_s=2))
    verdicts = [_connect(accounts, admission, "10.0.0.1", port) for port in range(101)]
    assert verdicts == [Verdict.TAKE] * 100 + [Verdict.MAKE_ROOM]


def test_connections_that_come_too_fast_make_room_under_pressure_alone() -> None:
    """Many connections at once are accepted as long as there is room."""
    accounts = AccountRegistry()
    admission = Admission(accounts, 100, AddressLimits(connections_per_s=2))
    burst = int(BURST_S * 2)
    others = [
        _connect(accounts, admission, f"10.0.1.{host % 2}", host) for host in range(65)
    ]
    crowd = [_connect(accounts, admission, "10.0.0.1", port) for port in range(20)]
    assert set(others) == {Verdict.TAKE}
    assert crowd == [Verdict.TAKE] * burst + [Verdict.MAKE_OWN_ROOM] * (20 - burst)
    accounts = AccountRegistry()
    admission = Admission(accounts, 10_000, AddressLimits(connections_per_s=2))
    crowd = [_connect(accounts, admission, "10.0.0.1", port) for port in range(99)]
    assert set(crowd) == {Verdict.TAKE}
