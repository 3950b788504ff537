"""Carries the tokens of an exchange between two mechanisms, as Storm's wire does."""

from __future__ import annotations

from pacemaker.sasl.mechanism import ClientMechanism, ServerMechanism

MAX_STEPS = 20


def run_exchange(client: ClientMechanism, server: ServerMechanism) -> list[bytes]:
    """Run an exchange to the server's completion; return the client's tokens.

    Raises:
        AuthenticationError: one of the two refuses the other's token.
    """
    tokens = [b""] if server.begins_with_request else [client.step(b"") or b""]
    for _ in range(MAX_STEPS):
        reply = server.step(tokens[-1])
        token = None if reply is None else client.step(reply)
        if server.complete:
            return tokens
        tokens.append(token or b"")
    raise AssertionError("the exchange does not end")
