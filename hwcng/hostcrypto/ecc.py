"""ECDSA verification, and checks on points of curves (FIPS 186-5, section 6; SP 800-56A r3, section 5.6.2.3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import EcdsaSpec, SignSpec
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.hostcrypto import points
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.loading import host_work
from hwcng.standards.curves import CURVES, DOMAINS, Domain

__all__ = ["HOST_KINDS", "check_private", "check_public", "completed", "signer", "verify"]


@host_work
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
        raise invalid_parameter(f"ECDSA: a signature of {2 * size} bytes expected, {len(signature)} given")
    if not digest:
        raise invalid_parameter("ECDSA: the digest is empty")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    key = EllipticCurvePublicNumbers(public.x, public.y, curve.host()).public_key()
    # Prehashed wants a hash for its length only, and SHAKE256 can have any.
    try:
        key.verify(encode_dss_signature(r, s), digest, ECDSA(Prehashed(SHAKE256(len(digest)))))
    except InvalidSignature:
        return False
    return True


def verify(public: EcPublicKey, spec: SignSpec, digest: bytes, signature: bytes) -> None:
    """Returns where `signature`, r || s, is good.

    Raises STATUS_INVALID_SIGNATURE; STATUS_INVALID_PARAMETER for an empty digest, a signature of wrong length and a
    point off its curve; STATUS_NOT_SUPPORTED for an unknown curve and for a spec of another kind of key.
    """
    if not isinstance(spec, EcdsaSpec):
        raise not_supported(f"{type(spec).__name__} is not for a {type(public).__name__}")
    if not _ecdsa_is_good(public, digest, signature):
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


def check_public(public: EcPublicKey) -> None:
    """What a public key must be before it is used.

    Raises STATUS_INVALID_PARAMETER for a point that is not on its curve or has coordinates out of range (the point at
    infinity has none); STATUS_NOT_SUPPORTED for an unknown curve.
    """
    domain = DOMAINS.get(public.curve)
    if domain is None:
        raise not_supported(f"{public.curve!r} is not a known curve")
    x, y = public.x, public.y
    if not (0 <= x < domain.p and 0 <= y < domain.p):
        raise invalid_parameter(f"{public.curve}: the coordinates are out of range")
    # The cofactor is 1: a point on the curve has the order n.
    if (y * y - (x * x + domain.a) * x - domain.b) % domain.p:
        raise invalid_parameter(f"{public.curve}: the point is not on the curve")


@host_work
def check_private(material: EcPrivateKey) -> None:
    """What a private key handed over for import must be: a sound public half, and a scalar in range that makes it.

    Raises as `check_public` does.
    """
    check_public(material.public)
    if _point_of(material) != material.public:
        raise invalid_parameter(f"{material.public.curve}: the public point is not that of the private scalar")


@host_work
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
        raise invalid_parameter(f"{curve}: the private scalar is out of range")
    point = None
    # The refusal comes after the block: an error that is handled would go along as its context.
    with suppress(UnsupportedAlgorithm):
        point = derive_private_key(material.scalar, CURVES[curve].host()).public_key().public_numbers()
    if point is None:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{curve}: the host's OpenSSL lacks the curve")
    return EcPublicKey(curve, point.x, point.y)


def signer(curve: str, signed: Iterable[tuple[bytes, bytes]]) -> EcPublicKey | None:
    """The public key under which these signatures, r || s, of these digests are good (SEC 1, section 4.1.6). Two are
    enough; None where more than one key is left, and for a curve whose field has no simple square roots (P-224).
    """
    domain, width = DOMAINS[curve], CURVES[curve].coordinate_size
    if domain.p % 4 != 3:
        return None
    left: set[tuple[int, int]] | None = None
    for digest, signature in signed:
        r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
        number = int.from_bytes(digest, "big") >> max(8 * len(digest) - domain.n.bit_length(), 0)
        found = set(_signers(domain, number, r, s))
        left = found if left is None else left & found
    return EcPublicKey(curve, *left.pop()) if left is not None and len(left) == 1 else None


def _signers(domain: Domain, digest: int, r: int, s: int) -> Iterator[tuple[int, int]]:
    """All points Q = (s R - e G) / r, for each R whose x is r modulo n."""
    inverse = pow(r, -1, domain.n)
    for x in (r, r + domain.n):
        square = (x**3 + domain.a * x + domain.b) % domain.p
        y = pow(square, (domain.p + 1) // 4, domain.p)
        if x >= domain.p or y * y % domain.p != square:
            continue
        for own in (y, domain.p - y):
            ours = points.product(domain, -digest * inverse % domain.n, (domain.gx, domain.gy, 1))
            point = points.added(domain, ours, points.product(domain, s * inverse % domain.n, (x, own, 1)))
            if point[2]:
                yield points.affine(domain, point)


def _to_host(public: EcPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicNumbers

    return EllipticCurvePublicNumbers(public.x, public.y, CURVES[public.curve].host()).public_key()


def _curve_of(key: Any) -> str:
    known = (curve for curve in CURVES.values() if not curve.montgomery)
    ours = next((curve for curve in known if curve.class_name.lower() == key.curve.name.lower()), None)
    if ours is None:
        raise not_supported(f"curve {key.curve.name!r} is not one of {', '.join(CURVES)}")
    return ours.name


def _to_public(key: Any) -> EcPublicKey:
    curve, point = _curve_of(key), key.public_numbers()
    return EcPublicKey(curve, point.x, point.y)


def _to_private(key: Any) -> EcPrivateKey:
    return completed(EcPrivateKey(_to_public(key.public_key()), key.private_numbers().private_value))


def _first_use() -> None:
    """With the base point: nobody's key."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

    base, digest = EcPublicKey("nistP256", DOMAINS["nistP256"].gx, DOMAINS["nistP256"].gy), bytes(range(1, 33))
    encoded = derive_private_key(1, SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    _to_private(load_der_private_key(encoded, None))
    with suppress(CngError):
        verify(base, EcdsaSpec(), digest, 2 * digest)


HOST_KINDS = (
    HostKind(
        "ec",
        "EllipticCurve",
        EcPublicKey,
        _to_host,
        _to_public,
        _to_private,
        _first_use,
        check_public,
        of=lambda public: not CURVES[public.curve].montgomery,
        spki=True,
    ),
)
