"""Compress and decompress stored values, within bounds: anyone can store a value.

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
    """Return zstd from Python 3.14's standard library, or its backport, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


_zstd: Final = _find_zstd()

# A heartbeat of 50 executors with 20 streams each has 1.3 MB before compression.
# Storm 3 stops at 100 MiB.
DECOMPRESSED_MAX_BYTES: Final = 16 * 1024 * 1024

_WINDOW_LOG_MAX: Final = DECOMPRESSED_MAX_BYTES.bit_length() - 1

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# Storm 3's default.
ZSTD_LEVEL: Final = 3

ZSTD_MISSING: Final = f"zstd needs Python 3.14, or a package: {how_to_install('zstd')}"

# Tells zlib to use gzip's header and trailer instead of its own.
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


class Compression(enum.Enum):
    """How a value is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


def compression_of(data: bytes) -> Compression:
    """Detect by its first bytes how a value is compressed, as Storm 3 does."""
    if data.startswith(GZIP_MAGIC):
        return Compression.GZIP
    if data.startswith(ZSTD_MAGIC):
        return Compression.ZSTD
    return Compression.NONE


def compress(data: bytes, compression: Compression) -> bytes:
    """Compress a value.

    Raises:
        RuntimeError: zstd is requested but not installed.
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


def decompress(data: bytes, most_bytes: int = DECOMPRESSED_MAX_BYTES) -> bytes:
    """Decompress a value with the detected compression.

    Returns:
        At most `most_bytes` bytes.  An uncompressed value is returned
        unchanged.

    Raises:
        ValueDecodeError: the value is damaged, truncated or too large, or it needs zstd
            and that is not installed.
    """
    return _UNPACKERS[compression_of(data)](data, most_bytes)


def _plain(data: bytes, most_bytes: int) -> bytes:
    return data


def _gunzip(data: bytes, most_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        plain = unpacker.decompress(data, most_bytes + 1)
    except zlib.error as exc:
        raise ValueDecodeError("damaged gzip", str(exc)) from exc
    return _checked(plain, unpacker, most_bytes)


def _unzstd(data: bytes, most_bytes: int) -> bytes:
    if _zstd is None:
        raise ValueDecodeError("zstd is not installed", ZSTD_MISSING)
    # A zstd frame states how much memory its decompression needs.  The output limit
    # below does not bound that, so a frame that asks for more is refused here.
    window = {_zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    try:
        unpacker = _zstd.ZstdDecompressor(options=window)
        plain = unpacker.decompress(data, most_bytes + 1)
    except _zstd.ZstdError as exc:
        raise ValueDecodeError("damaged zstd", str(exc)) from exc
    return _checked(plain, unpacker, most_bytes)


def _checked(plain: bytes, unpacker: Any, most_bytes: int) -> bytes:
    """Return the result of a bounded decompression if it is complete."""
    if len(plain) > most_bytes:
        raise ValueDecodeError(
            "too large when decompressed", f"more than {most_bytes} bytes"
        )
    if not unpacker.eof:
        raise ValueDecodeError("the compressed data are truncated")
    return plain


_UNPACKERS: Final[dict[Compression, Callable[[bytes, int], bytes]]] = {
    Compression.NONE: _plain,
    Compression.GZIP: _gunzip,
    Compression.ZSTD: _unzstd,
}
