"""Public-key work on the host: verification, encryption and the checks on public keys.

Standards: RFC 8017, sections 7 and 8 (RSA); FIPS 186-5, section 6 (ECDSA); SP 800-56A r3, section 5.6.2.3.3 (points).

RSA is one modular power and an encoding of `hwcng.providers.compose`, for every size, hash, salt and exponent alike:
`cryptography` refuses some of these and gives no raw public operation. ECDSA is `cryptography`'s.
"""

from __future__ import annotations

from contextlib import suppress

from hwcng.contract.material import EcPrivateKey, EcPublicKey, PublicKeyMaterial, RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    EcdsaSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SignSpec,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import foreign_work
from hwcng.providers.compose import (
    eme_oaep_encode,
    eme_pkcs1_encode,
    emsa_pkcs1_encode,
    emsa_pss_verify,
    hash_of_digest,
)
from hwcng.standards.curves import CURVES, DOMAINS

__all__ = ["check_private", "check_public", "completed", "rsa_encrypt", "verify"]


def _invalid(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)


def verify(
    public: PublicKeyMaterial, spec: SignSpec, digest: bytes, signature: bytes, *, optional_oid: bool = False
) -> None:
    """Returns where `signature` is good. RSA signatures are big-endian, ECDSA's are r || s.

    optional_oid: an RSA PKCS #1 signature without DigestInfo is good as well (BCRYPT_PAD_PKCS1_OPTIONAL_HASH_OID).
    The salt of PSS must have exactly the length that the spec gives.

    Raises STATUS_INVALID_SIGNATURE; STATUS_INVALID_PARAMETER for a digest that is not of the hash's size or does not
    fit, and in ECDSA for an empty digest, a signature of wrong length or a point off its curve; STATUS_NOT_SUPPORTED
    for an unknown hash or curve and for a spec of another kind of key.
    """
    if isinstance(public, EcPublicKey) and isinstance(spec, EcdsaSpec):
        good = _ecdsa_is_good(public, digest, signature)
    elif isinstance(public, RsaPublicKey) and isinstance(spec, RsaPkcs1SignSpec):
        good = _pkcs1_is_good(public, spec, digest, signature, optional_oid)
    elif isinstance(public, RsaPublicKey) and isinstance(spec, RsaPssSpec):
        good = _pss_is_good(public, spec, digest, signature)
    else:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{type(spec).__name__} is not for a {type(public).__name__}")
    if not good:
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


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


@foreign_work()
def _ecdsa_is_good(public: EcPublicKey, digest: bytes, signature: bytes) -> bool:
    """FIPS 186-5, section 6.4.2; a digest longer than the order counts with its leftmost bits."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicNumbers
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHAKE256

    check_public(public)
    curve = CURVES[public.curve]
    size = curve.coordinate_size
    if len(signature) != 2 * size:
        raise _invalid(f"ECDSA: a signature of {2 * size} bytes expected, {len(signature)} given")
    if not digest:
        raise _invalid("ECDSA: the digest is empty")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    key = EllipticCurvePublicNumbers(public.x, public.y, curve.host()).public_key()
    # Prehashed wants a hash for its length only, and SHAKE256 can have any.
    try:
        key.verify(encode_dss_signature(r, s), digest, ECDSA(Prehashed(SHAKE256(len(digest)))))
    except InvalidSignature:
        return False
    return True


def rsa_encrypt(public: RsaPublicKey, spec: DecryptSpec, plaintext: bytes) -> bytes:
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
        raise _invalid(f"RSA: a number of {size} bytes below the modulus expected, {len(encoded)} bytes given")
    return pow(value, public.public_exponent, public.modulus).to_bytes(size, "big")


def check_public(material: RsaPublicKey | EcPublicKey) -> None:
    """What a public key must be before it is used.

    Raises STATUS_INVALID_PARAMETER for a point that is not on its curve or has coordinates out of range (the point at
    infinity has none), an RSA modulus that is even or zero, an exponent that is even, under 3 or not below the modulus;
    STATUS_NOT_SUPPORTED for an unknown curve.
    """
    if isinstance(material, RsaPublicKey):
        if material.modulus % 2 == 0 or material.public_exponent % 2 == 0:
            raise _invalid("RSA: modulus and public exponent must be odd")
        if not 3 <= material.public_exponent < material.modulus:
            raise _invalid("RSA: the public exponent must be at least 3 and below the modulus")
        return
    domain = DOMAINS.get(material.curve)
    if domain is None:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{material.curve!r} is not a known curve")
    x, y = material.x, material.y
    if not (0 <= x < domain.p and 0 <= y < domain.p):
        raise _invalid(f"{material.curve}: the coordinates are out of range")
    # The cofactor is 1: a point on the curve has the order n.
    if (y * y - (x * x + domain.a) * x - domain.b) % domain.p:
        raise _invalid(f"{material.curve}: the point is not on the curve")


@foreign_work()
def check_private(material: RsaPrivateKey | EcPrivateKey) -> None:
    """What a private key handed over for import must be: a sound public half, and an EC scalar in range that makes it.

    Raises as `check_public` does. RSA numbers belong together already, because `hwcng.cng.blobs` computes them.
    """
    check_public(material.public)
    if isinstance(material, EcPrivateKey) and _point_of(material) != material.public:
        raise _invalid(f"{material.public.curve}: the public point is not that of the private scalar")


@foreign_work()
def completed(material: EcPrivateKey) -> EcPrivateKey:
    """A private key handed over for import, checked. One whose X and Y are zero gets its point: Q = dG (SEC 1, 3.2.1).

    Raises as `check_private` does.
    """
    curve = material.public.curve
    if material.public == EcPublicKey(curve, 0, 0) and curve in DOMAINS:
        return EcPrivateKey(_point_of(material), material.scalar)
    check_private(material)
    return material


def _point_of(material: EcPrivateKey) -> EcPublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key

    curve = material.public.curve
    if not 0 < material.scalar < DOMAINS[curve].n:
        raise _invalid(f"{curve}: the private scalar is out of range")
    point = None
    # The refusal comes after the block: an error that is handled would go along as its context.
    with suppress(UnsupportedAlgorithm):
        point = derive_private_key(material.scalar, CURVES[curve].host()).public_key().public_numbers()
    if point is None:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{curve}: the host's OpenSSL lacks the curve")
    return EcPublicKey(curve, point.x, point.y)
