"""Key blobs of ML-DSA and ML-KEM (bcrypt.h: BCRYPT_PQDSA_KEY_BLOB, BCRYPT_MLKEM_KEY_BLOB).

Magic, cbParameterSet and cbKey, 32 bits each, little-endian; the parameter set's name in UTF-16LE with its NUL; the key
as FIPS 204 and FIPS 203 encode it. Nothing between them, nothing behind. Only public blobs are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwcng.errors import NTSTATUS, CngError
from hwcng.headers.records import BCRYPT_PQDSA_KEY_BLOB
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS, MlDsaSet, MlKemSet

__all__ = [
    "BCRYPT_MLDSA_PRIVATE_MAGIC",
    "BCRYPT_MLDSA_PRIVATE_SEED_MAGIC",
    "BCRYPT_MLDSA_PUBLIC_MAGIC",
    "BCRYPT_MLKEM_PRIVATE_BLOB",
    "BCRYPT_MLKEM_PRIVATE_MAGIC",
    "BCRYPT_MLKEM_PRIVATE_SEED_BLOB",
    "BCRYPT_MLKEM_PRIVATE_SEED_MAGIC",
    "BCRYPT_MLKEM_PUBLIC_BLOB",
    "BCRYPT_MLKEM_PUBLIC_MAGIC",
    "BCRYPT_PQDSA_PRIVATE_BLOB",
    "BCRYPT_PQDSA_PRIVATE_SEED_BLOB",
    "BCRYPT_PQDSA_PUBLIC_BLOB",
    "PRIVATE",
    "PUBLIC",
    "SEED",
    "PqBlob",
    "build_ml_dsa_public",
    "build_ml_kem_public",
    "parse_ml_dsa",
    "parse_ml_kem",
]

BCRYPT_PQDSA_PUBLIC_BLOB = "PQDSAPUBLICBLOB"
BCRYPT_PQDSA_PRIVATE_BLOB = "PQDSAPRIVATEBLOB"
BCRYPT_PQDSA_PRIVATE_SEED_BLOB = "PQDSAPRIVATESEEDBLOB"
BCRYPT_MLKEM_PUBLIC_BLOB = "MLKEMPUBLICBLOB"
BCRYPT_MLKEM_PRIVATE_BLOB = "MLKEMPRIVATEBLOB"
BCRYPT_MLKEM_PRIVATE_SEED_BLOB = "MLKEMPRIVATESEEDBLOB"
_GENERIC_PUBLIC_BLOB = "PUBLICBLOB"
_GENERIC_PRIVATE_BLOB = "PRIVATEBLOB"

BCRYPT_MLDSA_PUBLIC_MAGIC = 0x4B505344
BCRYPT_MLDSA_PRIVATE_MAGIC = 0x4B535344
BCRYPT_MLDSA_PRIVATE_SEED_MAGIC = 0x53535344
BCRYPT_MLKEM_PUBLIC_MAGIC = 0x504B4C4D
BCRYPT_MLKEM_PRIVATE_MAGIC = 0x524B4C4D
BCRYPT_MLKEM_PRIVATE_SEED_MAGIC = 0x534B4C4D

PUBLIC, PRIVATE, SEED = "public", "private", "seed"

_HEADER = BCRYPT_PQDSA_KEY_BLOB.layout()
# "1024" with its NUL; a longer name is no set's, and is not decoded.
_LONGEST_NAME = 10


@dataclass(frozen=True, slots=True)
class PqBlob:
    """What a blob holds. form: PUBLIC, PRIVATE (expanded) or SEED. key: octets, secret in the last two."""

    parameter_set: str
    form: str
    key: bytes = field(repr=False)


_ML_DSA_FORMS: Mapping[int, str] = MappingProxyType(
    {
        BCRYPT_MLDSA_PUBLIC_MAGIC: PUBLIC,
        BCRYPT_MLDSA_PRIVATE_MAGIC: PRIVATE,
        BCRYPT_MLDSA_PRIVATE_SEED_MAGIC: SEED,
    }
)
_ML_KEM_FORMS: Mapping[int, str] = MappingProxyType(
    {
        BCRYPT_MLKEM_PUBLIC_MAGIC: PUBLIC,
        BCRYPT_MLKEM_PRIVATE_MAGIC: PRIVATE,
        BCRYPT_MLKEM_PRIVATE_SEED_MAGIC: SEED,
    }
)
_FORMS_OF_BLOBS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        BCRYPT_PQDSA_PUBLIC_BLOB: (PUBLIC,),
        BCRYPT_PQDSA_PRIVATE_BLOB: (PRIVATE,),
        BCRYPT_PQDSA_PRIVATE_SEED_BLOB: (SEED,),
        BCRYPT_MLKEM_PUBLIC_BLOB: (PUBLIC,),
        BCRYPT_MLKEM_PRIVATE_BLOB: (PRIVATE,),
        BCRYPT_MLKEM_PRIVATE_SEED_BLOB: (SEED,),
        _GENERIC_PUBLIC_BLOB: (PUBLIC,),
        _GENERIC_PRIVATE_BLOB: (PRIVATE, SEED),
    }
)


def _refuse(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)


def _encoded(name: str) -> bytes:
    return f"{name}\0".encode("utf-16-le")


def _parse(
    blob: bytes, blob_type: str, magics: Mapping[int, str], sets: Mapping[str, MlDsaSet] | Mapping[str, MlKemSet]
) -> PqBlob:
    if len(blob) < _HEADER.size:
        raise _refuse(f"{blob_type}: a header of {_HEADER.size} bytes expected, {len(blob)} bytes given")
    magic, name_size, key_size = _HEADER.unpack_from(blob)
    form = magics.get(magic)
    if form is None or form not in _FORMS_OF_BLOBS[blob_type]:
        raise _refuse(f"{blob_type}: wrong magic {magic:#010x}")
    end = _HEADER.size + name_size
    if name_size > _LONGEST_NAME or len(blob) != end + key_size:
        raise _refuse(
            f"{blob_type}: a name of {name_size} and a key of {key_size} bytes are announced in {len(blob)} bytes"
        )
    name = blob[_HEADER.size : end]
    row = next((row for row in sets.values() if _encoded(row.name) == name), None)
    if row is None:
        raise _refuse(f"{blob_type}: its parameter set is none of {', '.join(sets)}")
    expected = {PUBLIC: row.public, PRIVATE: row.private, SEED: row.seed}[form]
    if key_size != expected:
        raise _refuse(f"{blob_type}: set {row.name} has a {form} key of {expected} bytes, {key_size} given")
    return PqBlob(row.name, form, bytes(blob[end:]))


def parse_ml_dsa(blob: bytes, blob_type: str) -> PqBlob:
    """Reads PQDSAPUBLICBLOB, PQDSAPRIVATEBLOB and PQDSAPRIVATESEEDBLOB; PUBLICBLOB and PRIVATEBLOB by their magic.

    Raises STATUS_INVALID_PARAMETER for a wrong magic, parameter set or size.
    """
    return _parse(blob, blob_type, _ML_DSA_FORMS, ML_DSA_SETS)


def parse_ml_kem(blob: bytes, blob_type: str) -> PqBlob:
    """Reads MLKEMPUBLICBLOB, MLKEMPRIVATEBLOB and MLKEMPRIVATESEEDBLOB; PUBLICBLOB and PRIVATEBLOB by their magic.

    Raises STATUS_INVALID_PARAMETER for a wrong magic, parameter set or size.
    """
    return _parse(blob, blob_type, _ML_KEM_FORMS, ML_KEM_SETS)


def _build(magic: int, parameter_set: str, key: bytes) -> bytes:
    name = _encoded(parameter_set)
    return _HEADER.pack(magic, len(name), len(key)) + name + key


def build_ml_dsa_public(parameter_set: str, key: bytes) -> bytes:
    """PQDSAPUBLICBLOB."""
    return _build(BCRYPT_MLDSA_PUBLIC_MAGIC, parameter_set, key)


def build_ml_kem_public(parameter_set: str, key: bytes) -> bytes:
    """MLKEMPUBLICBLOB."""
    return _build(BCRYPT_MLKEM_PUBLIC_MAGIC, parameter_set, key)
