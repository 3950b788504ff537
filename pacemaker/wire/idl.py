"""The Thrift IDL of this package, loaded at run time by thriftpy2.

The files are data of the package (``pacemaker/thrift``), so that they are
found from the source tree and from an installed wheel alike.
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
        thriftpy2's module of the file; its structs carry ``thrift_spec``, by
        which `pacemaker.wire.binary` reads.
    """
    with as_file(files("pacemaker") / "thrift" / name) as path:
        return thriftpy2.load(str(path))


def unions(module: Any) -> frozenset[type]:
    """Return those classes of a loaded IDL file that it declares as unions."""
    return frozenset(module.__thrift_meta__["unions"])
