"""Blobs of symmetric keys (bcrypt.h: BCRYPT_KEY_DATA_BLOB_HEADER). They are read, never written."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwcng.cng.blobs.blob_type import SYMMETRIC, BlobType
from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.headers.bcrypt_h import (
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_KEY_DATA_BLOB_MAGIC,
    BCRYPT_KEY_DATA_BLOB_VERSION1,
    BCRYPT_OPAQUE_KEY_BLOB,
)
from hwcng.headers.records import BCRYPT_KEY_DATA_BLOB_HEADER

__all__ = ["SYMMETRIC_BLOBS", "KeyDataBlob", "parse_key_data"]

SYMMETRIC_BLOBS = tuple(
    BlobType(name, SYMMETRIC, True) for name in (BCRYPT_KEY_DATA_BLOB, BCRYPT_AES_WRAP_KEY_BLOB, BCRYPT_OPAQUE_KEY_BLOB)
)

_KEY_DATA_HEADER = BCRYPT_KEY_DATA_BLOB_HEADER.layout()


@dataclass(frozen=True, slots=True)
class KeyDataBlob:
    """A symmetric key handed over by the caller. key: its octets, never shown in repr."""

    key: bytes = field(repr=False)


def parse_key_data(blob: bytes) -> KeyDataBlob:
    """Reads BCRYPT_KEY_DATA_BLOB. Bytes after the key are ignored; whether the key length suits is for the algorithm.

    Raises STATUS_BUFFER_TOO_SMALL under 12 bytes, STATUS_INVALID_PARAMETER for a wrong magic, version or cbKeyData.
    """
    if len(blob) < _KEY_DATA_HEADER.size:
        raise CngError(
            NTSTATUS.STATUS_BUFFER_TOO_SMALL,
            f"KeyDataBlob: a header of {_KEY_DATA_HEADER.size} bytes expected, {len(blob)} bytes given",
        )
    magic, version, size = _KEY_DATA_HEADER.unpack_from(blob)
    if (magic, version) != (BCRYPT_KEY_DATA_BLOB_MAGIC, BCRYPT_KEY_DATA_BLOB_VERSION1):
        raise invalid_parameter(
            f"KeyDataBlob: magic {magic:#010x} version {version} is not a key data blob of version 1"
        )
    end = _KEY_DATA_HEADER.size + size
    if end > len(blob):
        raise invalid_parameter(
            f"KeyDataBlob: cbKeyData announces {size} bytes, {len(blob) - _KEY_DATA_HEADER.size} follow"
        )
    return KeyDataBlob(bytes(blob[_KEY_DATA_HEADER.size : end]))
