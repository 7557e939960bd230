"""Blobs of NCryptImportKey, which says no algorithm: the blob's type and magic do.

Standards: bcrypt.h and ncrypt.h (blobs), RFC 5958 (PKCS #8), RFC 8018 (its encryption).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from hwcng.arguments import Octets, text
from hwcng.cng import cipher_keys, wrapped_key
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_curve
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.blobs.blob_type import PAIR, SYMMETRIC
from hwcng.cng.blobs.symmetric import parse_key_data
from hwcng.cng.blobs.wrapped import WRAPPED_BLOBS, WRAPPED_PAIR_BLOBS
from hwcng.cng.families import BLOB_TYPES, FAMILIES, MAGICS, family_of
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.material import PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import BCRYPT_OPAQUE_KEY_BLOB, BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB
from hwcng.headers.ncrypt_h import (
    NCRYPT_CIPHER_KEY_BLOB,
    NCRYPT_CIPHER_KEY_BLOB_MAGIC,
    NCRYPT_OPAQUETRANSPORT_BLOB,
    NCRYPT_PKCS8_PRIVATE_KEY_BLOB,
    NCRYPTBUFFER_ECC_CURVE_NAME,
    NCRYPTBUFFER_PKCS_ALG_ID,
    NCRYPTBUFFER_PKCS_SECRET,
)
from hwcng.headers.records import NCRYPT_KEY_BLOB_HEADER, BCryptBuffer, BCryptBufferDesc
from hwcng.hostcrypto.host_keys import private_material
from hwcng.ksp.drafts import Draft, LoadedDraft, PairDraft, SecretDraft, WrappedPairDraft
from hwcng.ksp.handles import StorageProvider, storable_algorithm
from hwcng.ksp.status import refuse
from hwcng.loading import host_work

if TYPE_CHECKING:
    pass

__all__ = ["Parameters", "parameter", "read_blob", "text_parameter"]

Parameters: TypeAlias = Sequence[tuple[int, Octets | str]] | Sequence[BCryptBuffer] | BCryptBufferDesc | None
"""What a caller gives."""
ReadList: TypeAlias = Sequence[tuple[int, object]]
"""What `hwcng.arguments.pairs` makes of it."""

_KEY_BLOB_HEADER = NCRYPT_KEY_BLOB_HEADER.layout()


def parameter(parameters: ReadList, kind: int) -> object:
    """The value of one buffer type of a parameter list, None where it is not there."""
    found = [value for buffer_type, value in parameters if buffer_type == kind]
    return found[-1] if found else None


def text_parameter(parameters: ReadList, kind: int) -> str | None:
    """A string of a parameter list, as str or as UTF-16."""
    value = parameter(parameters, kind)
    return None if value is None else text(value, f"the parameter of type {kind}")


def read_blob(
    storage: StorageProvider, import_key: object, blob_type: str, parameters: ReadList, blob: bytes
) -> Draft | KeyPair:
    """What a blob holds: a key that is still to go into the token, or a public key, which never does.

    Raises NTE_NOT_SUPPORTED for a type that is not imported, NTE_BAD_DATA and STATUS_INVALID_PARAMETER for a malformed
    blob.
    """
    provider = storage.provider
    if blob_type == NCRYPT_PKCS8_PRIVATE_KEY_BLOB:
        return _pkcs8(provider, parameters, blob)
    if blob_type in (BCRYPT_OPAQUE_KEY_BLOB, NCRYPT_OPAQUETRANSPORT_BLOB):
        secret = text_parameter(parameters, NCRYPTBUFFER_PKCS_SECRET)
        # An empty one that was given is an empty authorization value.
        pin = storage.pin if secret is None else secret
        return LoadedDraft(provider, blob, pin)
    if blob_type == NCRYPT_CIPHER_KEY_BLOB:
        return _cipher_key(provider, blob)
    if blob_type in WRAPPED_BLOBS:
        return _wrapped(provider, import_key, blob_type, parameters, blob)
    row = BLOB_TYPES.get(blob_type)
    if row is None:
        raise not_supported(f"{told(blob_type)} is not a blob type of key import")
    if row.kind == SYMMETRIC:
        return _secret(provider, "AES", parse_key_data(blob).key)
    pair = KeyPair(_pair_handle(provider, _algorithm_of(row.kind, blob_type, blob), parameters))
    return _pair(pair, pair.parse(blob_type, blob))


def _pair(pair: KeyPair, material: PublicKeyMaterial | PrivateKeyMaterial) -> PairDraft | KeyPair:
    if isinstance(material, PublicKeyMaterial):
        return pair.adopt(material, None)
    pair.know(material.public)
    return PairDraft(pair, material)


def _algorithm_of(kind: str, blob_type: str, blob: bytes) -> str:
    named = MAGICS.get(int.from_bytes(blob[:4], "little"))
    fitting = FAMILIES[kind].algorithms if kind in FAMILIES else ()
    if named is not None and (kind == PAIR or named in {row.name for row in fitting}):
        return named
    # One algorithm needs no telling, and then its own reader finds what is wrong with the magic.
    if fitting and not fitting[0].elliptic:
        return fitting[0].name
    raise invalid_parameter(f"{blob_type}: wrong magic {blob[:4].hex()}")


def _pair_handle(provider: Provider, name: str, parameters: ReadList) -> AlgorithmHandle:
    algorithm = storable_algorithm(name, provider)
    handle = AlgorithmHandle(algorithm, provider)
    curve = text_parameter(parameters, NCRYPTBUFFER_ECC_CURVE_NAME)
    if curve is not None and algorithm.generic_curve:
        handle.curve, handle.curve_name = check_curve(curve, algorithm), curve
    return handle


def _wrapped(
    provider: Provider, import_key: object, blob_type: str, parameters: ReadList, blob: bytes
) -> SecretDraft | WrappedPairDraft:
    """NCRYPTBUFFER_PKCS_ALG_ID: what is wrapped, which no such blob says."""
    usual = "RSA" if blob_type == BCRYPT_PKCS11_RSA_AES_WRAP_KEY_BLOB else "AES"
    name = text_parameter(parameters, NCRYPTBUFFER_PKCS_ALG_ID) or usual
    handle = _pair_handle(provider, name, parameters)
    if handle.algorithm.asymmetric and blob_type not in WRAPPED_PAIR_BLOBS:
        raise not_supported(
            f"{blob_type} holds no {name} key: RFC 3394 wraps whole blocks alone, private keys have others"
        )
    wrapped = wrapped_key.read(import_key, blob_type, blob, provider)
    if handle.algorithm.asymmetric:
        return WrappedPairDraft(KeyPair(handle), wrapped)
    return SecretDraft(
        handle,
        wrapped_key.key_bits(handle.algorithm, wrapped),
        lambda handle, maker: cipher_keys.import_wrapped(handle, wrapped, None, maker),
    )


def _secret(provider: Provider, name: str, secret: bytes) -> SecretDraft:
    algorithm = storable_algorithm(name, provider)
    if algorithm.key_lengths is None or 8 * len(secret) not in algorithm.key_lengths:
        raise invalid_parameter(f"{name} has no keys of {8 * len(secret)} bits")
    return SecretDraft(
        AlgorithmHandle(algorithm, provider),
        8 * len(secret),
        lambda handle, maker: cipher_keys.import_secret(handle, secret, None, maker),
    )


def _cipher_key(provider: Provider, blob: bytes) -> SecretDraft:
    """NCRYPT_KEY_BLOB_HEADER, the algorithm's name in UTF-16 with its NUL, the key."""
    if len(blob) < _KEY_BLOB_HEADER.size:
        refuse(HRESULT.NTE_BAD_DATA, f"CipherKeyBlob: a header of {_KEY_BLOB_HEADER.size} bytes expected")
    size, magic, name_size, key_size = _KEY_BLOB_HEADER.unpack_from(blob)
    if magic != NCRYPT_CIPHER_KEY_BLOB_MAGIC:
        raise invalid_parameter(f"CipherKeyBlob: wrong magic {magic:#010x}")
    if size != _KEY_BLOB_HEADER.size or len(blob) != size + name_size + key_size:
        refuse(HRESULT.NTE_BAD_DATA, f"CipherKeyBlob: its header does not describe {len(blob)} bytes")
    name = blob[size : size + name_size].decode("utf-16-le", "replace").rstrip("\0")
    algorithm = ALGORITHMS.get(name)
    if algorithm is None or not algorithm.chaining_modes:
        raise not_supported(f"CipherKeyBlob: {told(name)} is no cipher")
    return _secret(provider, name, blob[size + name_size :])


@host_work
def _pkcs8(provider: Provider, parameters: ReadList, blob: bytes) -> Draft | KeyPair:
    """PrivateKeyInfo or, with NCRYPTBUFFER_PKCS_SECRET, EncryptedPrivateKeyInfo.

    NCRYPTBUFFER_PKCS_ALG_ID: the algorithm where the format leaves it open; without it an EC key is one of ECDSA.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    password = text_parameter(parameters, NCRYPTBUFFER_PKCS_SECRET)
    key = None
    # The refusal comes after the block: an error that is handled would go along as its context.
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_der_private_key(blob, None if password is None else password.encode())
    if key is None:
        refuse(HRESULT.NTE_BAD_DATA, "PKCS8_PRIVATEKEY: no PKCS #8 key, an unknown algorithm, or the password is wrong")
    material = private_material(key)
    family = family_of(material.public)
    usual = family.algorithm_of_pkcs8(material.public)
    if usual is None:
        raise not_supported(f"PKCS8_PRIVATEKEY: {type(key).__name__} is of a kind that is not imported so")
    name = text_parameter(parameters, NCRYPTBUFFER_PKCS_ALG_ID) or usual
    handle = AlgorithmHandle(storable_algorithm(name, provider), provider)
    curve = family.traits(material.public).curve
    if handle.algorithm.family != family.kind or handle.curve not in (None, curve):
        raise invalid_parameter(f"PKCS8_PRIVATEKEY: the key is not one of {name}")
    return _pair(KeyPair(handle), material)
