"""Access control lists of ZooKeeper nodes, as in Storm's calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

READ: Final = 1
WRITE: Final = 2
CREATE: Final = 4
DELETE: Final = 8
ADMIN: Final = 16
ALL: Final = READ | WRITE | CREATE | DELETE | ADMIN


class Acl(NamedTuple):
    """What one identity may do with a node.

    Attributes:
        permissions: READ, WRITE, CREATE, DELETE and ADMIN, or-ed; or ALL.
        scheme: ZooKeeper's scheme: ``world``, ``auth``, ``digest``, ``sasl``, ...
        id: the identity in that scheme.
    """

    permissions: int
    scheme: str
    id: str


Acls: TypeAlias = Sequence[Acl]

# Anyone may do anything: Storm's default without authentication.
OPEN: Final[Acls] = (Acl(ALL, "world", "anyone"),)

# Only the node's creator has access: Storm's default with authentication.
CREATOR_ALL: Final[Acls] = (Acl(ALL, "auth", ""),)
