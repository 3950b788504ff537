"""When a silent link sends a probe, and when it gives up."""

from __future__ import annotations

from pacemaker.client.connection_limits import PROOF_TIMEOUT_S
from pacemaker.relay.link_probes import PROBE_AFTER_S, PROBE_TIMEOUT_S, LinkProbes

BEGAN_S = 1000.0


def answered_at(now_s: float) -> LinkProbes:
    """Return the probes of a link whose announcement was answered at a time."""
    probes = LinkProbes(BEGAN_S)
    probes.on_data(now_s)
    probes.on_reply()
    probes.on_up()
    return probes


def test_announcement_has_the_time_of_a_first_request() -> None:
    """It is overdue after the same time as with any client."""
    probes = LinkProbes(BEGAN_S)
    overdue_s = BEGAN_S + PROOF_TIMEOUT_S
    assert probes.next_s == overdue_s
    assert not probes.is_overdue(overdue_s - 0.01)
    assert probes.is_overdue(overdue_s)


def test_unanswered_announcement_is_not_sent_twice() -> None:
    """No probe is added to one that is not answered yet."""
    assert not LinkProbes(BEGAN_S).is_needed(BEGAN_S + PROOF_TIMEOUT_S)


def test_silence_needs_a_probe() -> None:
    """A link that received nothing for a while has to ask."""
    probes = answered_at(BEGAN_S)
    assert probes.next_s == BEGAN_S + PROBE_AFTER_S
    assert not probes.is_needed(BEGAN_S + PROBE_AFTER_S - 0.01)
    assert probes.is_needed(BEGAN_S + PROBE_AFTER_S)


def test_later_probe_is_overdue_sooner() -> None:
    """A Pacemaker that has answered before gets less time."""
    probes = answered_at(BEGAN_S)
    probes.on_sent(BEGAN_S + 10)
    assert probes.next_s == BEGAN_S + 10 + PROBE_TIMEOUT_S
    assert not probes.is_overdue(BEGAN_S + 10 + PROBE_TIMEOUT_S - 0.01)
    assert probes.is_overdue(BEGAN_S + 10 + PROBE_TIMEOUT_S)


def test_bytes_alone_do_not_answer_a_probe() -> None:
    """Half a reply may be all that ever comes: only a whole one counts."""
    probes = answered_at(BEGAN_S)
    probes.on_sent(BEGAN_S)
    probes.on_data(BEGAN_S + 1)
    assert probes.is_overdue(BEGAN_S + PROBE_TIMEOUT_S)
    probes.on_reply()
    assert not probes.is_overdue(BEGAN_S + PROBE_TIMEOUT_S)
    assert probes.next_s == BEGAN_S + 1 + PROBE_AFTER_S


def test_sasl_step_of_ours_costs_the_pacemaker_no_time() -> None:
    """After a step that took long, the announcement has its full time."""
    probes = LinkProbes(BEGAN_S)
    probes.on_sasl_step(BEGAN_S + 60)
    assert probes.next_s == BEGAN_S + 60 + PROOF_TIMEOUT_S


def test_pause_of_this_process_is_no_silence() -> None:
    """Both time limits move by the seconds in which nothing ran."""
    waiting, silent = LinkProbes(BEGAN_S), answered_at(BEGAN_S)
    waiting.postpone(30)
    silent.postpone(30)
    assert waiting.next_s == BEGAN_S + 30 + PROOF_TIMEOUT_S
    assert silent.next_s == BEGAN_S + 30 + PROBE_AFTER_S
