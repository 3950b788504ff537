"""The Thrift IDL of this package, loaded at run time by thriftpy2.

The files are package data (``pacemaker/thrift``), so they are found both in the source
tree and in an installed wheel.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Any

import thriftpy2


@cache
def load(name: str) -> Any:
    """Load one IDL file of the package.

    Args:
        name: the file's name, as in ``thrift/``: ``"pacemaker.thrift"``.

    Returns:
        thriftpy2's module of the file.  `pacemaker.wire.binary` reads by the
        ``thrift_spec`` of its structs.
    """
    with as_file(files("pacemaker") / "thrift" / name) as path:
        return thriftpy2.load(str(path))


def unions(module: Any) -> frozenset[type]:
    """Return the classes that a loaded IDL file declares as unions."""
    return frozenset(module.__thrift_meta__["unions"])
