"""Whether two daemons let the same clients read."""

from __future__ import annotations

from pacemaker.sasl.secret import Secret
from pacemaker.server.upgrade.security import security_digest


def test_digest_tells_whether_the_same_may_read() -> None:
    """The digest changes with the secret and the key, and hides the secret."""
    digest = security_digest(b"k", Secret("DIGEST secret"))
    assert digest == security_digest(b"k", Secret("DIGEST secret"))
    assert digest != security_digest(b"k", Secret("DIGEST other"))
    assert digest != security_digest(b"K", Secret("DIGEST secret"))
    assert b"secret" not in digest
