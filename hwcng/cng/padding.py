"""Block padding and the padding records of bcrypt.h.

Standards: RFC 5652, section 6.3 (PKCS #7 padding); bcrypt.h (the records, with their documented names).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwcng.arguments import Octets, number
from hwcng.errors import NTSTATUS, CngError, invalid_parameter

__all__ = [
    "BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO",
    "BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG",
    "BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG",
    "BCRYPT_OAEP_PADDING_INFO",
    "BCRYPT_PKCS1_PADDING_INFO",
    "BCRYPT_PQDSA_PADDING_INFO",
    "BCRYPT_PSS_PADDING_INFO",
    "Octets",
    "pad",
    "unpad",
]

BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG = 0x1
BCRYPT_AUTH_MODE_IN_PROGRESS_FLAG = 0x2

_DEFAULT_TAG_LENGTH = 16
_UNSET = -1


def pad(data: bytes, block_size: int = 16) -> bytes:
    """`data` filled up to whole blocks by PKCS #7: always 1 to `block_size` more bytes."""
    count = block_size - len(data) % block_size
    return data + bytes([count]) * count


def unpad(data: bytes, block_size: int = 16) -> bytes:
    """`data` without its PKCS #7 padding. The whole last block is looked at before the one verdict.

    Raises STATUS_INVALID_BUFFER_SIZE where `data` is not whole blocks, STATUS_DATA_ERROR where it is empty or the
    padding is malformed.
    """
    if len(data) % block_size:
        raise CngError(
            NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"{len(data)} bytes are not whole blocks of {block_size} bytes"
        )
    last = data[-block_size:]
    count = last[-1] if last else 0
    bad = int(count == 0) | int(count > block_size)
    for distance, octet in enumerate(reversed(last)):
        bad |= int(distance < count) & int(octet != count)
    if bad:
        raise CngError(NTSTATUS.STATUS_DATA_ERROR, "the block padding is malformed")
    return data[: len(data) - count]


@dataclass(frozen=True, slots=True)
class BCRYPT_PKCS1_PADDING_INFO:
    """PKCS #1 v1.5 signature. pszAlgId: the digest's hash, such as "SHA256"; None: no DigestInfo, any bytes."""

    pszAlgId: str | None


@dataclass(frozen=True, slots=True)
class BCRYPT_PSS_PADDING_INFO:
    """PSS signature. pszAlgId: the hash of digest and MGF1. cbSalt: bytes of salt, on verification exactly."""

    pszAlgId: str
    cbSalt: int


@dataclass(frozen=True, slots=True)
class BCRYPT_OAEP_PADDING_INFO:
    """OAEP encryption. pszAlgId: the hash of label and MGF1. pbLabel: empty for none."""

    pszAlgId: str
    pbLabel: bytes = b""


@dataclass(frozen=True, slots=True)
class BCRYPT_PQDSA_PADDING_INFO:
    """ML-DSA signature. pbCtx: the context, 0 to 255 bytes. pszPrehashAlgId: None: pure, the input is the message;
    "SHA512" and the like: HashML-DSA, the input is the digest.

    deterministic: beyond CNG: sign without fresh randomness (FIPS 204, section 3.4); verification does not care.
    """

    pbCtx: Octets | None = b""
    pszPrehashAlgId: str | None = None
    deterministic: bool = False


@dataclass(slots=True)
class BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO:
    """GCM or CCM. Keep one record across chained calls.

    pbTag: on decryption the tag; on encryption a writable buffer that receives it, or None, and then the record's
    pbTag becomes the tag as bytes. cbTag: bytes of the tag; unless given, the length of a writable pbTag, else 16, so
    that a tag cut short on its way is not taken for a short tag. pbMacContext: any buffer of at least 16 bytes, where
    calls are chained; never written. cbAAD, cbData: bytes so far in chained calls, kept by the provider.
    """

    pbNonce: Octets
    pbAuthData: Octets = b""
    pbTag: Octets | None = None
    cbTag: int = _UNSET
    pbMacContext: Octets | None = None
    dwFlags: int = 0
    cbAAD: int = 0
    cbData: int = 0
    _chain: object | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if type(self.cbTag) is int and self.cbTag == _UNSET:
            tag = self._writable_tag()
            self.cbTag = _DEFAULT_TAG_LENGTH if tag is None else len(tag)

    def _tag(self) -> memoryview:
        try:
            return memoryview(b"" if self.pbTag is None else self.pbTag).cast("B")
        except (TypeError, ValueError):
            raise invalid_parameter(f"pbTag must be one buffer of bytes, not {type(self.pbTag).__name__}") from None

    @property
    def tag_length(self) -> int:
        """cbTag. Raises STATUS_INVALID_PARAMETER where it is no length."""
        return number(self.cbTag, "cbTag")

    def _writable_tag(self) -> memoryview | None:
        view = self._tag()
        return None if view.readonly else view

    def expected_tag(self) -> bytes:
        """The first cbTag bytes of pbTag, for decryption. Raises STATUS_INVALID_PARAMETER where they are not there."""
        tag = bytes(self._tag())
        if not 0 < self.tag_length <= len(tag):
            raise invalid_parameter(f"pbTag has {len(tag)} bytes, cbTag asks for {self.tag_length}")
        return tag[: self.tag_length]

    def check_tag_buffer(self) -> None:
        """Raises STATUS_INVALID_PARAMETER where a writable pbTag is shorter than cbTag. For use before encryption."""
        tag = self._writable_tag()
        if tag is not None and len(tag) < self.tag_length:
            raise invalid_parameter(f"pbTag has room for {len(tag)} bytes, cbTag asks for {self.tag_length}")

    def store_tag(self, tag: bytes) -> None:
        """Hands over the tag of an encryption: into a writable pbTag, else as bytes in pbTag.

        Raises STATUS_INVALID_PARAMETER where a writable pbTag is shorter than cbTag.
        """
        self.check_tag_buffer()
        buffer = self._writable_tag()
        if buffer is None:
            self.pbTag = tag
        else:
            buffer[: len(tag)] = tag
