"""Which new connections are accepted when descriptors run short."""

from __future__ import annotations

from pacemaker.core.accounts.account import BURST_S, AddressLimits
from pacemaker.core.accounts.admission import AdmissionControl, AdmissionDecision
from pacemaker.core.accounts.registry import AccountRegistry


def _connect(
    accounts: AccountRegistry, admission: AdmissionControl, host: str, port: int
) -> AdmissionDecision:
    """Connect, and close the connection again unless it is accepted."""
    account = accounts.add_connection(host, port)
    decision = admission.decide(account, 0.0)
    if decision is not AdmissionDecision.ACCEPT:
        accounts.remove_connection(account)
    return decision


def test_address_may_have_three_quarters_of_all_and_no_more() -> None:
    """A single address gets most of the connections, but leaves room for others."""
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 100)
    _connect(accounts, admission, "10.0.0.2", 1)
    decisions = [_connect(accounts, admission, "10.0.0.1", port) for port in range(90)]
    assert (
        decisions
        == [AdmissionDecision.ACCEPT] * 74 + [AdmissionDecision.REPLACE_OWN] * 16
    )
    others = [_connect(accounts, admission, f"10.0.1.{host}", 1) for host in range(25)]
    assert others == [AdmissionDecision.ACCEPT] * 25


def test_full_house_makes_room_for_one_of_an_address() -> None:
    """The first connection of an address is accepted even if all are in use."""
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 100)
    for port in range(100):
        assert (
            _connect(accounts, admission, "127.0.0.1", port) is AdmissionDecision.ACCEPT
        )
    assert (
        _connect(accounts, admission, "127.0.0.1", 100) is AdmissionDecision.MAKE_ROOM
    )
    assert _connect(accounts, admission, "10.0.0.1", 1) is AdmissionDecision.MAKE_ROOM


def test_limit_of_an_address_holds_at_any_time() -> None:
    """A configured limit applies even while there is plenty of room."""
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 100, AddressLimits(connections=2))
    decisions = [_connect(accounts, admission, "10.0.0.1", port) for port in range(3)]
    assert decisions == [
        AdmissionDecision.ACCEPT,
        AdmissionDecision.ACCEPT,
        AdmissionDecision.REFUSE,
    ]


def test_an_address_that_has_all_connections_is_not_limited() -> None:
    """All workers may be behind one address, and there is nobody to protect from it."""
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 100, AddressLimits(connections_per_s=2))
    decisions = [_connect(accounts, admission, "10.0.0.1", port) for port in range(101)]
    assert decisions == [AdmissionDecision.ACCEPT] * 100 + [AdmissionDecision.MAKE_ROOM]


def test_connections_that_come_too_fast_make_room_under_pressure_alone() -> None:
    """Many connections at once are accepted as long as there is room."""
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 100, AddressLimits(connections_per_s=2))
    burst = int(BURST_S * 2)
    others = [
        _connect(accounts, admission, f"10.0.1.{host % 2}", host) for host in range(65)
    ]
    crowd = [_connect(accounts, admission, "10.0.0.1", port) for port in range(20)]
    assert set(others) == {AdmissionDecision.ACCEPT}
    assert crowd == [AdmissionDecision.ACCEPT] * burst + [
        AdmissionDecision.MAKE_OWN_ROOM
    ] * (20 - burst)
    accounts = AccountRegistry()
    admission = AdmissionControl(accounts, 10_000, AddressLimits(connections_per_s=2))
    crowd = [_connect(accounts, admission, "10.0.0.1", port) for port in range(99)]
    assert set(crowd) == {AdmissionDecision.ACCEPT}
