"""Structures of bcrypt.h, ncrypt.h and wincrypt.h by their documented names and fields.

Headers of blobs pack and unpack themselves: little-endian, without padding, as they stand before the numbers or keys.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

__all__ = [
    "BCRYPT_AUTH_TAG_LENGTHS_STRUCT",
    "BCRYPT_KEY_LENGTHS_STRUCT",
    "BCRYPT_DH_KEY_BLOB",
    "BCRYPT_DH_PARAMETER_HEADER",
    "BCRYPT_DSA_KEY_BLOB",
    "BCRYPT_DSA_KEY_BLOB_V2",
    "BCRYPT_DSA_PARAMETER_HEADER",
    "BCRYPT_DSA_PARAMETER_HEADER_V2",
    "BCRYPT_ECCFULLKEY_BLOB",
    "BCRYPT_ECCKEY_BLOB",
    "BCRYPT_KEY_BLOB",
    "BCRYPT_KEY_DATA_BLOB_HEADER",
    "BCRYPT_MLKEM_KEY_BLOB",
    "BCRYPT_MULTI_HASH_OPERATION",
    "BCRYPT_MULTI_OBJECT_LENGTH_STRUCT",
    "BCRYPT_PKCS11_RSA_AES_WRAP_BLOB",
    "BCRYPT_PQDSA_KEY_BLOB",
    "BCRYPT_PROVIDER_NAME",
    "BCRYPT_RSAKEY_BLOB",
    "BCryptBuffer",
    "BCryptBufferDesc",
    "BLOBHEADER",
    "CRYPT_PROVIDER_REF",
    "DHPRIVKEY_VER3",
    "DHPUBKEY",
    "DHPUBKEY_VER3",
    "DSSPRIVKEY_VER3",
    "DSSPUBKEY",
    "DSSPUBKEY_VER3",
    "DSSSEED",
    "KEAPUBKEY",
    "NCRYPT_KEY_BLOB_HEADER",
    "NCryptBuffer",
    "NCryptBufferDesc",
    "PRIVKEYVER3",
    "PUBKEY",
    "PUBKEYVER3",
    "PUBLICKEYSTRUC",
    "RSAPUBKEY",
    "TEKPUBKEY",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

R = TypeVar("R", bound="_Record")

_BYTE, _WORD, _DWORD = "B", "H", "I"


def _field(code: str) -> Any:
    """A number, or of "20s" and the like octets. code: struct's."""
    return dataclasses.field(default=b"" if code.endswith("s") else 0, metadata={"code": code})


class _Record:
    """A structure that is a run of numbers and octets."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @classmethod
    def _codes(cls) -> str:
        return "".join(
            field.metadata["record"]._codes() if "record" in field.metadata else field.metadata["code"]
            for field in dataclasses.fields(cls)
        )

    @classmethod
    def layout(cls) -> struct.Struct:
        """How it lies in memory; its size is the structure's."""
        return _layout(cls._codes())

    @classmethod
    def unpack(cls: type[R], blob: Buffer, offset: int = 0) -> R:
        """The structure at an offset of a blob, whatever follows. Raises ValueError where the blob is too short."""
        layout = cls.layout()
        if len(blob) - offset < layout.size:
            raise ValueError(f"{cls.__name__} has {layout.size} bytes, {max(len(blob) - offset, 0)} are there")
        return cls._taken(iter(layout.unpack_from(blob, offset)))

    @classmethod
    def _taken(cls: type[R], values: Iterator[Any]) -> R:
        return cls(
            *(
                field.metadata["record"]._taken(values) if "record" in field.metadata else next(values)
                for field in dataclasses.fields(cls)
            )
        )

    def _values(self) -> Iterator[Any]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, _Record):
                yield from value._values()
            else:
                yield value

    def pack(self) -> bytes:
        """Its bytes. Raises ValueError for a number that its field has no room for."""
        try:
            return self.layout().pack(*self._values())
        except struct.error as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    __bytes__ = pack


@cache
def _layout(codes: str) -> struct.Struct:
    return struct.Struct(f"<{codes}")


# bcrypt.h.


@dataclasses.dataclass
class BCRYPT_KEY_BLOB(_Record):
    """What every blob of a pair begins with."""

    Magic: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_KEY_DATA_BLOB_HEADER(_Record):
    """BCRYPT_KEY_DATA_BLOB; the key follows."""

    dwMagic: int = _field(_DWORD)
    dwVersion: int = _field(_DWORD)
    cbKeyData: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_PKCS11_RSA_AES_WRAP_BLOB(_Record):
    """The wrapped key, the name of OAEP's hash in UTF-16 with its NUL, and OAEP's label follow."""

    dwMagic: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)
    cbPaddingAlgId: int = _field(_DWORD)
    cbPaddingLabel: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_RSAKEY_BLOB(_Record):
    """Exponent, modulus and, of private blobs, the primes and the rest follow, big-endian."""

    Magic: int = _field(_DWORD)
    BitLength: int = _field(_DWORD)
    cbPublicExp: int = _field(_DWORD)
    cbModulus: int = _field(_DWORD)
    cbPrime1: int = _field(_DWORD)
    cbPrime2: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_ECCKEY_BLOB(_Record):
    """X, Y and, of a private blob, d follow, cbKey bytes each."""

    dwMagic: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_ECCFULLKEY_BLOB(_Record):
    """The curve and the key follow."""

    dwMagic: int = _field(_DWORD)
    dwVersion: int = _field(_DWORD)
    dwCurveType: int = _field(_DWORD)
    dwCurveGenerationAlgId: int = _field(_DWORD)
    cbFieldLength: int = _field(_DWORD)
    cbSubgroupOrder: int = _field(_DWORD)
    cbCofactor: int = _field(_DWORD)
    cbSeed: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_DH_KEY_BLOB(_Record):
    """Modulus, generator, public value and, of a private blob, the exponent follow, cbKey bytes each."""

    dwMagic: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_DH_PARAMETER_HEADER(_Record):
    """DHParameters; modulus and generator follow."""

    cbLength: int = _field(_DWORD)
    dwMagic: int = _field(_DWORD)
    cbKeyLength: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_DSA_KEY_BLOB(_Record):
    """DSA of up to 1024 bits; p, g, y and, of a private blob, x follow. Count, Seed and q are big-endian."""

    dwMagic: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)
    Count: bytes = _field("4s")
    Seed: bytes = _field("20s")
    q: bytes = _field("20s")


@dataclasses.dataclass
class BCRYPT_DSA_KEY_BLOB_V2(_Record):
    """DSA of more than 1024 bits; seed, q, p, g, y and, of a private blob, x follow."""

    dwMagic: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)
    hashAlgorithm: int = _field(_DWORD)
    standardVersion: int = _field(_DWORD)
    cbSeedLength: int = _field(_DWORD)
    cbGroupSize: int = _field(_DWORD)
    Count: bytes = _field("4s")


@dataclasses.dataclass
class BCRYPT_DSA_PARAMETER_HEADER(_Record):
    """DSAParameters of up to 1024 bits; p and g follow."""

    cbLength: int = _field(_DWORD)
    dwMagic: int = _field(_DWORD)
    cbKeyLength: int = _field(_DWORD)
    Count: bytes = _field("4s")
    Seed: bytes = _field("20s")
    q: bytes = _field("20s")


@dataclasses.dataclass
class BCRYPT_DSA_PARAMETER_HEADER_V2(_Record):
    """DSAParameters of more than 1024 bits; seed, q, p and g follow."""

    cbLength: int = _field(_DWORD)
    dwMagic: int = _field(_DWORD)
    cbKeyLength: int = _field(_DWORD)
    hashAlgorithm: int = _field(_DWORD)
    standardVersion: int = _field(_DWORD)
    cbSeedLength: int = _field(_DWORD)
    cbGroupSize: int = _field(_DWORD)
    Count: bytes = _field("4s")


@dataclasses.dataclass
class BCRYPT_MLKEM_KEY_BLOB(_Record):
    """The name of the parameter set, in UTF-16 with its NUL, and the key follow."""

    dwMagic: int = _field(_DWORD)
    cbParameterSet: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)


@dataclasses.dataclass
class BCRYPT_PQDSA_KEY_BLOB(_Record):
    """As BCRYPT_MLKEM_KEY_BLOB, of ML-DSA."""

    dwMagic: int = _field(_DWORD)
    cbParameterSet: int = _field(_DWORD)
    cbKey: int = _field(_DWORD)


class BCRYPT_MULTI_OBJECT_LENGTH_STRUCT(NamedTuple):
    """MultiObjectLength: an object of n hashes has cbPerObject + n * cbPerElement bytes."""

    cbPerObject: int
    cbPerElement: int


@dataclasses.dataclass
class BCRYPT_MULTI_HASH_OPERATION:
    """One step of BCryptProcessMultiOperations. iHash: which hash. pbBuffer: the data, or where the digest goes: a
    writable buffer, or None, and then pbBuffer becomes the digest. cbBuffer: bytes of pbBuffer, None for all.
    """

    iHash: int = 0
    hashOperation: int = 0
    pbBuffer: Buffer | None = None
    cbBuffer: int | None = None


class BCRYPT_PROVIDER_NAME(NamedTuple):
    """A provider as BCryptEnumProviders lists it."""

    pszProviderName: str


class CRYPT_PROVIDER_REF(NamedTuple):
    """An algorithm of a provider as BCryptResolveProviders lists it."""

    dwInterface: int
    pszFunction: str
    pszProvider: str


@dataclasses.dataclass
class BCryptBuffer:
    """An entry of a parameter list. pvBuffer: octets, a str for what is a string, an int for a DWORD. cbBuffer: bytes
    of pvBuffer that count, None for all.
    """

    cbBuffer: int | None = None
    BufferType: int = 0
    pvBuffer: Buffer | str | int | None = None


@dataclasses.dataclass
class BCryptBufferDesc:
    """A parameter list. cBuffers: how many of pBuffers count, None for all."""

    ulVersion: int = 0
    cBuffers: int | None = None
    pBuffers: Sequence[BCryptBuffer] = ()


# ncrypt.h.

NCryptBuffer = BCryptBuffer
NCryptBufferDesc = BCryptBufferDesc


@dataclasses.dataclass
class NCRYPT_KEY_BLOB_HEADER(_Record):
    """NCRYPT_CIPHER_KEY_BLOB; the algorithm's name, in UTF-16 with its NUL, and the key follow."""

    cbSize: int = _field(_DWORD)
    dwMagic: int = _field(_DWORD)
    cbAlgName: int = _field(_DWORD)
    cbKeyData: int = _field(_DWORD)


# wincrypt.h.


@dataclasses.dataclass
class BLOBHEADER(_Record):
    """What every key blob of CryptoAPI begins with."""

    bType: int = _field(_BYTE)
    bVersion: int = _field(_BYTE)
    reserved: int = _field(_WORD)
    aiKeyAlg: int = _field(_DWORD)


PUBLICKEYSTRUC = BLOBHEADER


@dataclasses.dataclass
class RSAPUBKEY(_Record):
    """Behind BLOBHEADER; modulus and, of a PRIVATEKEYBLOB, the rest follow, little-endian."""

    magic: int = _field(_DWORD)
    bitlen: int = _field(_DWORD)
    pubexp: int = _field(_DWORD)


@dataclasses.dataclass
class PUBKEY(_Record):
    """Behind BLOBHEADER, of DSS and Diffie-Hellman in version 2."""

    magic: int = _field(_DWORD)
    bitlen: int = _field(_DWORD)


DHPUBKEY = DSSPUBKEY = KEAPUBKEY = TEKPUBKEY = PUBKEY


@dataclasses.dataclass
class DSSSEED(_Record):
    """How the primes were made; counter 0xFFFFFFFF where nobody knows. seed: little-endian."""

    counter: int = _field(_DWORD)
    seed: bytes = _field("20s")


@dataclasses.dataclass
class PUBKEYVER3(_Record):
    """Behind BLOBHEADER, of DSS and Diffie-Hellman in version 3; lengths in bits."""

    magic: int = _field(_DWORD)
    bitlenP: int = _field(_DWORD)
    bitlenQ: int = _field(_DWORD)
    bitlenJ: int = _field(_DWORD)
    DSSSeed: DSSSEED = dataclasses.field(default_factory=DSSSEED, metadata={"record": DSSSEED})


DHPUBKEY_VER3 = DSSPUBKEY_VER3 = PUBKEYVER3


@dataclasses.dataclass
class PRIVKEYVER3(_Record):
    """As PUBKEYVER3, of a PRIVATEKEYBLOB."""

    magic: int = _field(_DWORD)
    bitlenP: int = _field(_DWORD)
    bitlenQ: int = _field(_DWORD)
    bitlenJ: int = _field(_DWORD)
    bitlenX: int = _field(_DWORD)
    DSSSeed: DSSSEED = dataclasses.field(default_factory=DSSSEED, metadata={"record": DSSSEED})


DHPRIVKEY_VER3 = DSSPRIVKEY_VER3 = PRIVKEYVER3


class KeyLengths(NamedTuple):
    """BCRYPT_KEY_LENGTHS_STRUCT, in bits."""

    dwMinLength: int
    dwMaxLength: int
    dwIncrement: int

    def __contains__(self, bits: object) -> bool:
        if not isinstance(bits, int) or not self.dwMinLength <= bits <= self.dwMaxLength:
            return False
        return not self.dwIncrement or (bits - self.dwMinLength) % self.dwIncrement == 0


class AuthTagLengths(NamedTuple):
    """BCRYPT_AUTH_TAG_LENGTHS_STRUCT, in bytes."""

    dwMinLength: int
    dwMaxLength: int
    dwIncrement: int


BCRYPT_KEY_LENGTHS_STRUCT = KeyLengths
BCRYPT_AUTH_TAG_LENGTHS_STRUCT = AuthTagLengths
