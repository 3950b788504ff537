"""A request of one of Storm's clients that other Pacemakers have to answer."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias

from pacemaker.relay.core.outbox import OutgoingDelete


class QuestionKind(Enum):
    """What a question asks for, and the type of its answer."""

    PULSE = "pulse"  # bytes, or None for a miss
    EXISTS = "exists"  # bool
    NODES = "nodes"  # list[str]
    DELETE = "delete"  # None; everything at and below the path
    DELETE_ONE = "delete one"  # None; exactly this key

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self in _READS


_READS: Final = (QuestionKind.PULSE, QuestionKind.EXISTS, QuestionKind.NODES)

Answer: TypeAlias = "bytes | bool | list[str] | None"


class Question:
    """One request, until it is answered or dropped.  Compared by identity.

    Args:
        kind: what it asks for.
        path: the key or the directory.
        deliver: called with the answer, once.

    Attributes:
        began_s: when it was asked.
        round_s: when the Pacemakers were last asked.
        next_s: when to look at it again.
        answers: the answers of this round, by the index of the Pacemaker.
        awaited: the Pacemakers that this round still waits for.
        unanswered_by: the Pacemakers that were asked, in any round, and have not
            answered.
        is_held: whether it waits for its next round.
        was_held: whether it has ever done so.
        delete: the delete that it asks for, if it does.
    """

    __slots__ = (
        "answers",
        "awaited",
        "began_s",
        "delete",
        "deliver",
        "is_held",
        "kind",
        "next_s",
        "path",
        "round_s",
        "unanswered_by",
        "was_held",
    )

    def __init__(
        self, kind: QuestionKind, path: str, deliver: Callable[[Answer], None]
    ) -> None:
        self.kind = kind
        self.path = path
        self.deliver = deliver
        self.began_s = 0.0
        self.round_s = 0.0
        self.next_s = 0.0
        self.answers: dict[int, Answer] = {}
        self.awaited: set[int] = set()
        self.unanswered_by: set[int] = set()
        self.is_held = self.was_held = False
        self.delete: OutgoingDelete | None = None

    def __repr__(self) -> str:
        return f"<Question {self.kind.value} {self.path!r} awaited={self.awaited}>"

    @property
    def has_hit(self) -> bool:
        """Whether any Pacemaker has the heartbeat."""
        return any(answer is not None for answer in self.answers.values())
