"""Tests of pacemaker.heartbeats.compression."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacemaker.errors import ValueDecodeError
from pacemaker.heartbeats import compression
from pacemaker.heartbeats.compression import (
    Compression,
    compress,
    compression_of,
    decompress,
)


@given(st.binary(), st.sampled_from([Compression.GZIP, Compression.ZSTD]))
def test_bytes_come_back(data: bytes, packing: Compression) -> None:
    """What is packed is known by its first bytes, and comes back."""
    packed = compress(data, packing)
    assert compression_of(packed) is packing
    assert decompress(packed) == data


def test_plain_bytes_stay() -> None:
    """What is packed in neither way is taken for plain."""
    assert compress(b"plain", Compression.NONE) == decompress(b"plain") == b"plain"


def test_gzip_is_that_of_others() -> None:
    """Others' gzip is read, and ours by others."""
    assert decompress(gzip.compress(b"data")) == b"data"
    assert gzip.decompress(compress(b"data", Compression.GZIP)) == b"data"
    assert zlib.decompress(compress(b"data", Compression.GZIP), wbits=31) == b"data"


def test_missing_zstd_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without zstd a value costs a reason that says what to install, gzip nothing."""
    packed = compress(b"data", Compression.ZSTD)
    monkeypatch.setattr(compression, "_zstd", None)
    with pytest.raises(ValueDecodeError, match=r"pip install '\.\[zstd\]'"):
        decompress(packed)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[zstd\]'"):
        compress(b"data", Compression.ZSTD)
    assert decompress(compress(b"data", Compression.GZIP)) == b"data"


def test_zstd_frame_does_not_choose_the_memory() -> None:
    """One that states a window beyond what we would keep is refused unread."""
    zstd = compression._zstd
    assert zstd is not None
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = packer.compress(b"data") + packer.flush()
    with pytest.raises(ValueDecodeError, match="damaged zstd"):
        decompress(packed)
