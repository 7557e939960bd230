"""Block padding and the padding records of bcrypt.h.

Standards: RFC 5652, section 6.3 (PKCS #7 padding); bcrypt.h (the records, with their documented names).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwcng.arguments import LARGEST_DWORD, Octets, number, optional_octets
from hwcng.errors import invalid_parameter
from hwcng.headers.bcrypt_h import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO_VERSION

__all__ = [
    "BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO",
    "BCRYPT_INIT_AUTH_MODE_INFO",
    "BCRYPT_OAEP_PADDING_INFO",
    "BCRYPT_PKCS1_PADDING_INFO",
    "BCRYPT_PQDSA_PADDING_INFO",
    "BCRYPT_PSS_PADDING_INFO",
    "NCRYPT_CIPHER_PADDING_INFO",
    "SIZE_OF_INFO",
]


_DEFAULT_TAG_LENGTH = 16
SIZE_OF_INFO = 88
"""Bytes of a BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO, its cbSize."""
_FIELDS_OF_INFO = ("pbNonce", "pbAuthData", "pbTag", "cbTag", "pbMacContext", "dwFlags", "cbAAD", "cbData")


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

    @property
    def cbLabel(self) -> int:
        return _length(self.pbLabel)


@dataclass(frozen=True, slots=True)
class BCRYPT_PQDSA_PADDING_INFO:
    """ML-DSA signature. pbCtx: the context, 0 to 255 bytes. pszPrehashAlgId: None: pure, the input is the message;
    "SHA512" and the like: HashML-DSA, the input is the digest.

    deterministic: beyond CNG: sign without fresh randomness (FIPS 204, section 3.4); verification does not care.
    """

    pbCtx: Octets | None = b""
    pszPrehashAlgId: str | None = None
    deterministic: bool = False

    @property
    def cbCtx(self) -> int:
        return _length(self.pbCtx)


def _length(value: Octets | None) -> int:
    return 0 if value is None else memoryview(value).nbytes


def _counted(value: object, size: int | None, name: str) -> bytes:
    """The first `size` bytes of a buffer, all where it is None."""
    data = optional_octets(value, f"pb{name}")
    return data if size is None else data[: number(size, f"cb{name}", largest=len(data))]


class BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO:
    """GCM, CCM or ChaCha20-Poly1305. Made at once, or empty and filled field by field. Keep one record across chained
    calls.

    pbTag: on decryption the tag; on encryption a writable buffer that receives it, or None, and then the record's
    pbTag becomes the tag as bytes. cbTag: bytes of the tag; unless given, the length of a writable pbTag, else 16, so
    that a tag cut short on its way is not taken for a short tag. pbMacContext: any buffer of at least 16 bytes, where
    calls are chained; never written. cbNonce, cbAuthData, cbMacContext: bytes of their buffers that count, all unless
    given. cbAAD, cbData: bytes so far in chained calls, kept by the provider.
    """

    __slots__ = (
        "_cbAuthData",
        "_cbMacContext",
        "_cbNonce",
        "_cbTag",
        "_chain",
        "cbAAD",
        "cbData",
        "cbSize",
        "dwFlags",
        "dwInfoVersion",
        "pbAuthData",
        "pbMacContext",
        "pbNonce",
        "pbTag",
    )

    def __init__(
        self,
        pbNonce: Octets | None = None,
        pbAuthData: Octets | None = b"",
        pbTag: Octets | None = None,
        cbTag: int | None = None,
        pbMacContext: Octets | None = None,
        dwFlags: int = 0,
        cbAAD: int = 0,
        cbData: int = 0,
        *,
        cbNonce: int | None = None,
        cbAuthData: int | None = None,
        cbMacContext: int | None = None,
        dwInfoVersion: int = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO_VERSION,
    ) -> None:
        self.cbSize = SIZE_OF_INFO
        self.dwInfoVersion = dwInfoVersion
        self.pbNonce, self._cbNonce = pbNonce, cbNonce
        self.pbAuthData, self._cbAuthData = pbAuthData, cbAuthData
        self.pbTag, self._cbTag = pbTag, cbTag
        self.pbMacContext, self._cbMacContext = pbMacContext, cbMacContext
        self.dwFlags, self.cbAAD, self.cbData = dwFlags, cbAAD, cbData
        self._chain: object | None = None
        if pbTag is not None and cbTag is None:
            self._cbTag = self.cbTag

    @property
    def cbNonce(self) -> int:
        return _length(self.pbNonce) if self._cbNonce is None else self._cbNonce

    @cbNonce.setter
    def cbNonce(self, value: int) -> None:
        self._cbNonce = value

    @property
    def cbAuthData(self) -> int:
        return _length(self.pbAuthData) if self._cbAuthData is None else self._cbAuthData

    @cbAuthData.setter
    def cbAuthData(self, value: int) -> None:
        self._cbAuthData = value

    @property
    def cbMacContext(self) -> int:
        return _length(self.pbMacContext) if self._cbMacContext is None else self._cbMacContext

    @cbMacContext.setter
    def cbMacContext(self, value: int) -> None:
        self._cbMacContext = value

    @property
    def cbTag(self) -> int:
        if self._cbTag is not None:
            return self._cbTag
        tag = self._writable_tag()
        return _DEFAULT_TAG_LENGTH if tag is None else len(tag)

    @cbTag.setter
    def cbTag(self, value: int) -> None:
        self._cbTag = value

    def _fields(self) -> tuple[tuple[str, object], ...]:
        return tuple((name, getattr(self, name)) for name in _FIELDS_OF_INFO)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._fields())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO):
            return NotImplemented
        return self._fields() == other._fields()

    def given(self) -> tuple[bytes, bytes, int]:
        """pbNonce, pbAuthData and cbTag. Raises STATUS_INVALID_PARAMETER where one is no buffer or shorter than its
        length says, or the length of the tag is none, as those below do.
        """
        nonce, data, tag = self.pbNonce, self.pbAuthData, self._cbTag
        if type(nonce) is not bytes or self._cbNonce is not None:
            nonce = _counted(nonce, self._cbNonce, "Nonce")
        if type(data) is not bytes or self._cbAuthData is not None or len(data) > LARGEST_DWORD:
            data = _counted(data, self._cbAuthData, "AuthData")
        if tag is None and self.pbTag is None:
            return nonce, data, _DEFAULT_TAG_LENGTH
        return nonce, data, self.tag_length

    def mac_context(self) -> bytes:
        """pbMacContext."""
        return _counted(self.pbMacContext, self._cbMacContext, "MacContext")

    def _tag(self) -> memoryview:
        try:
            return memoryview(b"" if self.pbTag is None else self.pbTag).cast("B")
        except (TypeError, ValueError):
            raise invalid_parameter(f"pbTag must be one buffer of bytes, not {type(self.pbTag).__name__}") from None

    @property
    def tag_length(self) -> int:
        """cbTag. Raises STATUS_INVALID_PARAMETER where it is no length."""
        given = self._cbTag
        if given is None and (self.pbTag is None or type(self.pbTag) is bytes):
            return _DEFAULT_TAG_LENGTH
        if type(given) is int and 0 <= given <= LARGEST_DWORD:
            return given
        return number(self.cbTag if given is None else given, "cbTag")

    def _writable_tag(self) -> memoryview | None:
        if self.pbTag is None:
            return None
        view = self._tag()
        return None if view.readonly else view

    def expected_tag(self) -> bytes:
        """The first cbTag bytes of pbTag, for decryption. Raises STATUS_INVALID_PARAMETER where they are not there."""
        tag = bytes(self._tag())
        if not 0 < self.tag_length <= len(tag):
            raise invalid_parameter(f"pbTag has {len(tag)} bytes, cbTag asks for {self.tag_length}")
        return tag[: self.tag_length]

    def check_tag_buffer(self) -> memoryview | None:
        """A writable pbTag, None where the tag of an encryption is handed over as bytes. For use before it.

        Raises STATUS_INVALID_PARAMETER where it is shorter than cbTag.
        """
        given = self.pbTag
        if given is None or type(given) is bytes:
            return None
        tag = memoryview(given) if type(given) is bytearray else self._tag()
        if tag.readonly:
            return None
        if len(tag) < self.tag_length:
            raise invalid_parameter(f"pbTag has room for {len(tag)} bytes, cbTag asks for {self.tag_length}")
        return tag

    def store_tag(self, tag: bytes) -> None:
        """Hands over the tag of an encryption: into a writable pbTag, else as bytes in pbTag.

        Raises STATUS_INVALID_PARAMETER where a writable pbTag is shorter than cbTag.
        """
        buffer = self.check_tag_buffer()
        if buffer is None:
            self.pbTag = tag
        else:
            buffer[: len(tag)] = tag


def BCRYPT_INIT_AUTH_MODE_INFO(
    info: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO | None = None,
) -> BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO:
    """Makes a record fresh, as the macro of bcrypt.h does, and returns it; without one, a new one."""
    if info is None:
        return BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()
    if not isinstance(info, BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO):
        raise invalid_parameter(f"a BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO expected, not {type(info).__name__}")
    for name in BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO.__slots__:
        setattr(info, name, getattr(_FRESH, name))
    return info


_FRESH = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO()


@dataclass(slots=True)
class NCRYPT_CIPHER_PADDING_INFO:
    """How a symmetric key encrypts, with NCRYPT_PAD_CIPHER_FLAG.

    dwFlags: NCRYPT_CIPHER_NO_PADDING_FLAG; NCRYPT_CIPHER_BLOCK_PADDING_FLAG; NCRYPT_CIPHER_OTHER_PADDING_FLAG for GCM
    and CCM, whose record is pbOtherInfo. pbIV: one block, updated in place where it is writable; None for the running
    IV of the key.
    """

    dwFlags: int = 0
    pbIV: Octets | None = None
    pbOtherInfo: BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO | None = None
