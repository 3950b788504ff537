"""What an upgrade carries over, as plain data."""

from __future__ import annotations

from tests.server.upgrade.test_state_format import SMALL


def test_state_names_each_descriptor_it_speaks_of() -> None:
    """Only the descriptors in the state are kept open over execve."""
    assert SMALL.kept_fds == (5, 6, 7)
    assert SMALL._replace(request_fd=-1, waiter_fds=()).kept_fds == (7,)


def test_connection_is_moved_to_another_clock() -> None:
    """Times that are set are shifted; times of 0 stay 0."""
    connection = SMALL.connections[0]
    moved = connection.shifted(10.0)
    assert (moved.frame_began_s, moved.progress_s) == (12.5, 13.5)
    assert moved.shifted(-10.0) == connection
    quiet = connection._replace(frame_began_s=0.0, progress_s=0.0)
    assert quiet.shifted(10.0) == quiet
