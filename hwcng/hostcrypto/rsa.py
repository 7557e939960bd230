"""Verification and encryption with public RSA keys, and the checks on them (RFC 8017, sections 7 and 8).

One modular power and an encoding of `hwcng.hostcrypto.rsa_encodings`, for every size, hash, salt and exponent alike:
`cryptography` refuses some of these and gives no raw public operation.
"""

from __future__ import annotations

from typing import Any

from hwcng.contract.material import RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SignSpec,
)
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.hostcrypto.rsa_encodings import (
    eme_oaep_encode,
    eme_pkcs1_encode,
    emsa_pkcs1_encode,
    emsa_pss_verify,
    hash_of_digest,
)

__all__ = ["HOST_KINDS", "check_public", "encrypt", "is_roca", "verify"]

# The primes below 168: keys of the flawed generator are powers of 65537 modulo each (CVE-2017-15361, "ROCA").
_ROCA_PRIMES = tuple(n for n in range(3, 168, 2) if all(n % p for p in range(3, int(n**0.5) + 1, 2)))
_ROCA_GENERATOR = 65537


def is_roca(public: RsaPublicKey) -> bool:
    """Whether the key looks like one of the flawed generator of CVE-2017-15361."""
    return all(
        public.modulus % prime in {pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime)}
        for prime in _ROCA_PRIMES
    )


def _size(public: RsaPublicKey) -> int:
    return (public.modulus.bit_length() + 7) // 8


def _recover(public: RsaPublicKey, signature: bytes) -> bytes | None:
    """RSAVP1 (RFC 8017, section 5.2.2) on exactly modulus-length input below the modulus, else None."""
    value = int.from_bytes(signature, "big")
    if len(signature) != _size(public) or value >= public.modulus:
        return None
    return pow(value, public.public_exponent, public.modulus).to_bytes(len(signature), "big")


def _pkcs1_is_good(
    public: RsaPublicKey, spec: RsaPkcs1SignSpec, digest: bytes, signature: bytes, optional_oid: bool
) -> bool:
    """RFC 8017, section 8.2.2: the encoding is made and compared, never parsed."""
    forms = (None, spec.hash_name) if optional_oid and spec.hash_name is not None else (spec.hash_name,)
    if spec.hash_name is not None:
        hash_of_digest(spec.hash_name, digest)
    recovered = _recover(public, signature)
    return any(recovered == emsa_pkcs1_encode(digest, form, _size(public)) for form in forms)


def _pss_is_good(public: RsaPublicKey, spec: RsaPssSpec, digest: bytes, signature: bytes) -> bool:
    """RFC 8017, section 8.1.2. Where modulus bits are 8k + 1, the encoding is one byte shorter than the modulus."""
    hash_of_digest(spec.hash_name, digest)
    bits = public.modulus.bit_length() - 1
    recovered = _recover(public, signature)
    if recovered is None:
        return False
    spare = len(recovered) - (bits + 7) // 8
    return not any(recovered[:spare]) and emsa_pss_verify(
        digest, recovered[spare:], spec.hash_name, spec.salt_length, bits
    )


def verify(
    public: RsaPublicKey, spec: SignSpec, digest: bytes, signature: bytes, *, optional_oid: bool = False
) -> None:
    """Returns where `signature`, big-endian, is good.

    optional_oid: a PKCS #1 signature without DigestInfo is good as well (BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID).
    The salt of PSS must have exactly the length that the spec gives.

    Raises STATUS_INVALID_SIGNATURE; STATUS_INVALID_PARAMETER for a digest that is not of the hash's size or does not
    fit; STATUS_NOT_SUPPORTED for an unknown hash and for a spec of another kind of key.
    """
    if isinstance(spec, RsaPkcs1SignSpec):
        good = _pkcs1_is_good(public, spec, digest, signature, optional_oid)
    elif isinstance(spec, RsaPssSpec):
        good = _pss_is_good(public, spec, digest, signature)
    else:
        raise not_supported(f"{type(spec).__name__} is not for a {type(public).__name__}")
    if not good:
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


def encrypt(public: RsaPublicKey, spec: DecryptSpec, plaintext: bytes) -> bytes:
    """The ciphertext, modulus-length and big-endian, that `spec` decrypts.

    Raises STATUS_INVALID_PARAMETER for a plaintext over k - 11 bytes (PKCS #1) or k - 2h - 2 bytes (OAEP), or that is
    not exactly k bytes and below the modulus (no padding), k being the bytes of the modulus and h those of the hash;
    STATUS_NOT_SUPPORTED for an unknown hash.
    """
    size = _size(public)
    if isinstance(spec, RsaOaepSpec):
        encoded = eme_oaep_encode(plaintext, size, spec.hash_name, spec.label)
    elif isinstance(spec, RsaPkcs1DecryptSpec):
        encoded = eme_pkcs1_encode(plaintext, size)
    else:
        encoded = plaintext
    value = int.from_bytes(encoded, "big")
    if len(encoded) != size or value >= public.modulus:
        raise invalid_parameter(f"RSA: a number of {size} bytes below the modulus expected, {len(encoded)} bytes given")
    return pow(value, public.public_exponent, public.modulus).to_bytes(size, "big")


def check_public(public: RsaPublicKey) -> None:
    """What a public key must be before it is used.

    Raises STATUS_INVALID_PARAMETER for a modulus that is even or zero, an exponent that is even, under 3 or not below
    the modulus.
    """
    if public.modulus % 2 == 0 or public.public_exponent % 2 == 0:
        raise invalid_parameter("RSA: modulus and public exponent must be odd")
    if not 3 <= public.public_exponent < public.modulus:
        raise invalid_parameter("RSA: the public exponent must be at least 3 and below the modulus")


def _to_host(public: RsaPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    return RSAPublicNumbers(public.public_exponent, public.modulus).public_key()


def _to_public(key: Any) -> RsaPublicKey:
    numbers = key.public_numbers()
    return RsaPublicKey(numbers.n, numbers.e)


def _to_private(key: Any) -> RsaPrivateKey:
    own, public = key.private_numbers(), _to_public(key.public_key())
    check_public(public)
    numbers = (own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp)
    return RsaPrivateKey(public.modulus, public.public_exponent, *numbers)


_PRIMES = (1 << 607) - 1, (1 << 521) - 1
"""Mersenne's: nobody's key."""
_EXPONENT = 65537


def _first_use() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

    p, q = _PRIMES
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    # The check of the primes takes 20 ms.
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    _to_private(load_der_private_key(encoded, None, unsafe_skip_rsa_key_validation=True))


HOST_KINDS = (
    HostKind("rsa", "RSA", RsaPublicKey, _to_host, _to_public, _to_private, _first_use, check_public, spki=True),
)
