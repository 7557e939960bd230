"""Blobs of NCryptImportKey, which says no algorithm: the blob's type and magic do.

Standards: bcrypt.h and ncrypt.h (blobs), RFC 5958 (PKCS #8), RFC 8018 (its encryption).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from hwcng.arguments import Octets, text
from hwcng.cng import blobs, naming, symmetric_key
from hwcng.cng.algorithm_handle import AlgorithmHandle, check_curve
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.blobs import BLOB_TYPES, BlobFamily
from hwcng.cng.families import FAMILIES
from hwcng.cng.handles import invalid_parameter, not_supported
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.ncrypt_constants import (
    NCRYPT_CIPHER_KEY_BLOB,
    NCRYPT_CIPHER_KEY_BLOB_MAGIC,
    NCRYPT_OPAQUETRANSPORT_BLOB,
    NCRYPT_PKCS8_PRIVATE_KEY_BLOB,
    NCRYPTBUFFER_ECC_CURVE_NAME,
    NCRYPTBUFFER_PKCS_ALG_ID,
    NCRYPTBUFFER_PKCS_SECRET,
)
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.material import EcPrivateKey, EcPublicKey, PrivateKeyMaterial, PublicKeyMaterial, RsaPrivateKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, told
from hwcng.forking import foreign_work
from hwcng.headers.records import NCRYPT_KEY_BLOB_HEADER, BCryptBuffer, BCryptBufferDesc
from hwcng.hostcrypto import ecc, rsa
from hwcng.ksp.drafts import Draft, LoadedDraft, PairDraft, SecretDraft
from hwcng.ksp.handles import StorageProvider, storable_algorithm
from hwcng.ksp.status import refuse
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["Parameters", "parameter", "read_blob", "text_parameter"]

Parameters: TypeAlias = Sequence[tuple[int, Octets | str]] | Sequence[BCryptBuffer] | BCryptBufferDesc | None
"""What a caller gives."""
ReadList: TypeAlias = Sequence[tuple[int, object]]
"""What `hwcng.arguments.pairs` makes of it."""

_KEY_BLOB_HEADER = NCRYPT_KEY_BLOB_HEADER.layout()
_CURVE_DIGITS = {b"1": "256", b"2": "256", b"3": "384", b"4": "384", b"5": "521", b"6": "521"}
_MAGICS: Mapping[bytes, str] = MappingProxyType(
    {
        **dict.fromkeys((b"RSA1", b"RSA2", b"RSA3"), "RSA"),
        **{b"ECS" + digit: f"ECDSA_P{bits}" for digit, bits in _CURVE_DIGITS.items()},
        **{b"ECK" + digit: f"ECDH_P{bits}" for digit, bits in _CURVE_DIGITS.items()},
        **dict.fromkeys((b"ECDP", b"ECDV"), "ECDSA"),
        **dict.fromkeys((b"ECKP", b"ECKV"), "ECDH"),
        **dict.fromkeys((b"DHPB", b"DHPV"), "DH"),
        **dict.fromkeys((b"DSPB", b"DSPV", b"DPB2", b"DPV2"), "DSA"),
        **dict.fromkeys((b"DSPK", b"DSSK", b"DSSS"), "ML-DSA"),
        **dict.fromkeys((b"MLKP", b"MLKR", b"MLKS"), "ML-KEM"),
    }
)
"""The first four bytes of a blob of a pair -> the algorithm of the key in it."""


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
    if blob_type in (blobs.BCRYPT_OPAQUE_KEY_BLOB, NCRYPT_OPAQUETRANSPORT_BLOB):
        secret = text_parameter(parameters, NCRYPTBUFFER_PKCS_SECRET)
        # An empty one that was given is an empty authorization value.
        pin = storage.pin if secret is None else secret
        return LoadedDraft(naming.handle_of(provider, provider.reload_opaque(blob, pin=pin), None))
    if blob_type == NCRYPT_CIPHER_KEY_BLOB:
        return _cipher_key(provider, blob)
    row = BLOB_TYPES.get(blob_type)
    if row is None:
        raise not_supported(f"{told(blob_type)} is not a blob type of key import")
    if row.family is BlobFamily.SYMMETRIC:
        return _symmetric(provider, import_key, blob_type, blob)
    algorithm = storable_algorithm(_algorithm_of(row.family, blob_type, blob), provider)
    handle = AlgorithmHandle(algorithm, provider)
    curve = text_parameter(parameters, NCRYPTBUFFER_ECC_CURVE_NAME)
    if curve is not None and algorithm.generic_curve:
        handle.curve, handle.curve_name = check_curve(curve, algorithm), curve
    pair = KeyPair(handle)
    pair.family.blob_type(algorithm, blob_type)
    return _pair(pair, pair.family.parse(pair, blob_type, blob))


def _pair(pair: KeyPair, material: PublicKeyMaterial | PrivateKeyMaterial) -> PairDraft | KeyPair:
    if isinstance(material, PublicKeyMaterial):
        return pair.adopt(material, None)
    pair.family.adopt(pair, material.public)
    return PairDraft(pair, material)


def _algorithm_of(family: BlobFamily, blob_type: str, blob: bytes) -> str:
    named = _MAGICS.get(blob[:4])
    fitting = [row for row in ALGORITHMS.values() if row.family in FAMILIES and FAMILIES[row.family].blobs is family]
    if named is not None and (family is BlobFamily.PAIR or named in {row.name for row in fitting}):
        return named
    # One algorithm needs no telling, and then its own reader finds what is wrong with the magic.
    if fitting and not fitting[0].elliptic:
        return fitting[0].name
    raise invalid_parameter(f"{blob_type}: wrong magic {blob[:4].hex()}")


def _symmetric(provider: Provider, import_key: object, blob_type: str, blob: bytes) -> SecretDraft:
    if blob_type == blobs.BCRYPT_KEY_DATA_BLOB:
        return _secret(provider, "AES", blobs.parse_key_data(blob).key)

    def unwrap(handle: AlgorithmHandle) -> SymmetricKey:
        return symmetric_key.import_blob(handle, import_key, blob_type, blob, None)

    # What AES key wrap adds is one block of 8 bytes; whether the rest is a key is seen when it is unwrapped.
    bits = 8 * max(len(blob) - symmetric_key.WRAP_OVERHEAD, 0)
    return SecretDraft(AlgorithmHandle(storable_algorithm("AES", provider), provider), bits, unwrap)


def _secret(provider: Provider, name: str, secret: bytes) -> SecretDraft:
    algorithm = storable_algorithm(name, provider)
    if algorithm.key_lengths is None or 8 * len(secret) not in algorithm.key_lengths:
        raise invalid_parameter(f"{name} has no keys of {8 * len(secret)} bits")
    return SecretDraft(
        AlgorithmHandle(algorithm, provider),
        8 * len(secret),
        lambda handle: symmetric_key.import_secret(handle, secret, None),
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


@foreign_work()
def _pkcs8(provider: Provider, parameters: ReadList, blob: bytes) -> Draft | KeyPair:
    """PrivateKeyInfo or, with NCRYPTBUFFER_PKCS_SECRET, EncryptedPrivateKeyInfo, of an RSA or EC key.

    NCRYPTBUFFER_PKCS_ALG_ID: the algorithm where the format leaves it open; without it an EC key is one of ECDSA.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    password = text_parameter(parameters, NCRYPTBUFFER_PKCS_SECRET)
    key = None
    # The refusal comes after the block: an error that is handled would go along as its context.
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_der_private_key(blob, None if password is None else password.encode())
    if key is None:
        refuse(HRESULT.NTE_BAD_DATA, "PKCS8_PRIVATEKEY: no PKCS #8 key, an unknown algorithm, or the password is wrong")
    material: PrivateKeyMaterial
    if isinstance(key, RSAPrivateKey):
        name, material = "RSA", _rsa_numbers(key)
        rsa.check_public(material.public)
    elif isinstance(key, EllipticCurvePrivateKey):
        ours = next((curve for curve in CURVES.values() if curve.host().name == key.curve.name), None)
        if ours is None:
            raise not_supported(f"curve {key.curve.name!r} is not one of {', '.join(CURVES)}")
        numbers = key.private_numbers()
        point = numbers.public_numbers
        material = EcPrivateKey(EcPublicKey(ours.name, point.x, point.y), numbers.private_value)
        ecc.check_private(material)
        name = naming.algorithm_name(PairSpec("EC", Usage.SIGN, curve=ours.name))
    else:
        raise not_supported("PKCS8_PRIVATEKEY: only RSA and EC keys are imported")
    name = text_parameter(parameters, NCRYPTBUFFER_PKCS_ALG_ID) or name
    handle = AlgorithmHandle(storable_algorithm(name, provider), provider)
    if isinstance(material, EcPrivateKey) and handle.algorithm.generic_curve:
        handle.curve, handle.curve_name = CURVES[material.public.curve], material.public.curve
    curve = material.public.curve if isinstance(material, EcPrivateKey) else None
    if handle.curve_name != curve or (handle.algorithm.family != "RSA") != bool(curve):
        raise invalid_parameter(f"PKCS8_PRIVATEKEY: the key is not one of {name}")
    return _pair(KeyPair(handle), material)


def _rsa_numbers(key: RSAPrivateKey) -> RsaPrivateKey:
    numbers = key.private_numbers()
    return RsaPrivateKey(
        modulus=numbers.public_numbers.n,
        public_exponent=numbers.public_numbers.e,
        private_exponent=numbers.d,
        prime1=numbers.p,
        prime2=numbers.q,
        exponent1=numbers.dmp1,
        exponent2=numbers.dmq1,
        coefficient=numbers.iqmp,
    )
