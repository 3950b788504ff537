"""Compare the security settings before and after an upgrade, without storing them."""

from __future__ import annotations

import hmac

from pacemaker.sasl.secret import Secret
from pacemaker.server.upgrade.state_format import DIGEST_NAME


def security_digest(key: bytes, identity: Secret) -> bytes:
    """Return a digest that is equal if two daemons let the same clients read."""
    return hmac.digest(key, identity.reveal().encode(), DIGEST_NAME)
