"""An owner of a protocol object that only records what each call returned."""

from __future__ import annotations

from typing import Any

from pacemaker.core.protocol.contract import Output, Wait
from pacemaker.core.protocol.server_protocol import ServerProtocol
from pacemaker.errors import PeerError


class Collecting(ServerProtocol):
    """A protocol that collects its output, so that a test can look at it later."""

    __slots__ = ("_collected", "wait")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._collected: tuple[bytes, ...] = ()
        self.wait = Wait.REQUEST

    def receive_data(self, data: bytes) -> Output:
        """Receive data as a connection does: the fast path is tried first."""
        if self.fast_path is not None:
            try:
                reply = self.fast_path.answer_one(data)
            except PeerError as exc:
                return self.fail(exc)
            if reply is not None:
                return self._collect(((reply,), Wait.REQUEST))
        return super().receive_data(data)

    def _output(self) -> Output:
        return self._collect(super()._output())

    def _collect(self, output: Output) -> Output:
        chunks, self.wait = output
        self._collected += tuple(chunks)
        return output

    @property
    def is_blocked(self) -> bool:
        """Whether the protocol waits until everything is sent."""
        return self.wait is Wait.ROOM

    @property
    def has_more(self) -> bool:
        """Whether the protocol continues without the peer."""
        return self.wait in (Wait.TURN, Wait.CREDIT)

    def sent(self) -> bytes:
        """Return what was to be sent since the last call."""
        collected, self._collected = self._collected, ()
        return b"".join(collected)

    def settle(self) -> bytes:
        """Act as the owner until the protocol waits for the peer.

        Returns:
            All that was to be sent.
        """
        sent = self.sent()
        while self.sasl_step is not None or self.is_blocked or self.has_more:
            if self.sasl_step is not None:
                self.finish_step(self.sasl_step.run())
            else:
                self.resume()
            sent += self.sent()
        return sent
