"""Compression of stored values, bounded: what is stored may be anybody's.

Each decompression stops at `DECOMPRESSED_MAX_BYTES`, so that a value of a few
kilobytes cannot fill the memory.
"""

from __future__ import annotations

import contextlib
import enum
import importlib
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from pacemaker.errors import ValueDecodeError, how_to_install


def _find_zstd() -> ModuleType | None:
    """Return the standard library's zstd of Python 3.14, or its backport, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


_zstd: Final = _find_zstd()

# A heartbeat of 50 executors with 20 streams each takes 1.3 MB before its
# compression.  Storm 3 stops at 100 MiB.
DECOMPRESSED_MAX_BYTES: Final = 16 * 1024 * 1024

_WINDOW_LOG_MAX: Final = DECOMPRESSED_MAX_BYTES.bit_length() - 1

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# What Storm 3 compresses with unless it is told otherwise.
ZSTD_LEVEL: Final = 3

ZSTD_MISSING: Final = f"zstd needs Python 3.14, or a package: {how_to_install('zstd')}"

# zlib's sign for a gzip header and trailer around the data, not zlib's own.
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


class Compression(enum.Enum):
    """How a value is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


def compression_of(data: bytes) -> Compression:
    """Tell by its first bytes how a value is packed, as Storm 3 does."""
    if data.startswith(GZIP_MAGIC):
        return Compression.GZIP
    if data.startswith(ZSTD_MAGIC):
        return Compression.ZSTD
    return Compression.NONE


def compress(data: bytes, compression: Compression) -> bytes:
    """Pack a value.

    Raises:
        RuntimeError: zstd is asked for where there is none.
    """
    if compression is Compression.NONE:
        return data
    if compression is Compression.GZIP:
        packer = zlib.compressobj(wbits=_GZIP_WBITS)
        return packer.compress(data) + packer.flush()
    if _zstd is None:
        raise RuntimeError(ZSTD_MISSING)
    packed: bytes = _zstd.compress(data, level=ZSTD_LEVEL)
    return packed


def decompress(data: bytes) -> bytes:
    """Unpack a value, whichever way it is packed.

    Returns:
        At most `DECOMPRESSED_MAX_BYTES` bytes; of a plain value the value itself.

    Raises:
        ValueDecodeError: it is damaged or cut short, it would become too large,
            or it is packed with zstd and there is none.
    """
    return _UNPACKERS[compression_of(data)](data)


def _plain(data: bytes) -> bytes:
    return data


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        plain = unpacker.decompress(data, DECOMPRESSED_MAX_BYTES + 1)
    except zlib.error as exc:
        raise ValueDecodeError("damaged gzip", str(exc)) from exc
    return _checked(plain, unpacker)


def _unzstd(data: bytes) -> bytes:
    if _zstd is None:
        raise ValueDecodeError("zstd cannot be read here", ZSTD_MISSING)
    # A frame states how much memory its unpacking takes: no more than we would keep.
    window = {_zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    try:
        unpacker = _zstd.ZstdDecompressor(options=window)
        plain = unpacker.decompress(data, DECOMPRESSED_MAX_BYTES + 1)
    except _zstd.ZstdError as exc:
        raise ValueDecodeError("damaged zstd", str(exc)) from exc
    return _checked(plain, unpacker)


def _checked(plain: bytes, unpacker: Any) -> bytes:
    """Return what came of a bounded decompression, if that is all there is."""
    if len(plain) > DECOMPRESSED_MAX_BYTES:
        raise ValueDecodeError(
            "too large when decompressed", f"more than {DECOMPRESSED_MAX_BYTES} bytes"
        )
    if not unpacker.eof:
        raise ValueDecodeError("compressed data are cut short")
    return plain


_UNPACKERS: Final[dict[Compression, Callable[[bytes], bytes]]] = {
    Compression.NONE: _plain,
    Compression.GZIP: _gunzip,
    Compression.ZSTD: _unzstd,
}
