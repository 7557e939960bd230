"""Keys of DH and DSA on the host: the checks of what is imported, and the verification of DSA signatures.

Standards: SP 800-56A r3, section 5.6.2.3.1 (public values of DH); SP 800-89, section 5.3.1 (public keys of DSA);
FIPS 186-4, section 4.7 (verification). No token sees a number that has not passed here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey, DsaDomain, DsaPrivateKey, DsaPublicKey
from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.hostcrypto.domains import check_dh_domain, check_dsa_domain
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.loading import host_work
from hwcng.standards.dh_groups import GENERATOR, safe_prime

__all__ = ["HOST_KINDS", "check_dh", "check_dsa", "dh_private", "dsa_private", "group_size", "verify_dsa"]

# The lengths of p and q in bits that `cryptography` takes.
_LIBRARY_LENGTHS = frozenset({(1024, 160), (2048, 224), (2048, 256), (3072, 256)})


def group_size(domain: DsaDomain) -> int:
    """Bytes of the subprime: of the private exponent, of a digest as it counts, and of half a signature."""
    return (domain.subprime.bit_length() + 7) // 8


def dh_private(domain: DhDomain, exponent: int) -> DhPrivateKey:
    """The pair of a private exponent. Raises STATUS_INVALID_PARAMETER for one that is out of range."""
    if not 0 < exponent < domain.prime - 1:
        raise invalid_parameter("DH: the private exponent is out of range")
    return DhPrivateKey(DhPublicKey(domain, pow(domain.generator, exponent, domain.prime)), exponent)


def dsa_private(domain: DsaDomain, exponent: int) -> DsaPrivateKey:
    """The pair of a private exponent. Raises STATUS_INVALID_PARAMETER for one that is out of range."""
    if not 0 < exponent < domain.subprime:
        raise invalid_parameter("DSA: the private exponent is out of range")
    return DsaPrivateKey(DsaPublicKey(domain, pow(domain.generator, exponent, domain.prime)), exponent)


def check_dh(key: DhPublicKey | DhPrivateKey) -> None:
    """Raises STATUS_INVALID_PARAMETER for bad domain parameters, a public value that is not in 2 .. p - 2, and a
    private exponent that is out of range or of another public value.
    """
    public = key if isinstance(key, DhPublicKey) else key.public
    check_dh_domain(public.domain, public.domain.prime.bit_length())
    if not 1 < public.value < public.domain.prime - 1:
        raise invalid_parameter("DH: the public value is not in 2 .. p - 2")
    if isinstance(key, DhPrivateKey) and dh_private(public.domain, key.exponent) != key:
        raise invalid_parameter("DH: the public value is not that of the private exponent")


def check_dsa(key: DsaPublicKey | DsaPrivateKey) -> None:
    """Raises STATUS_INVALID_PARAMETER for bad domain parameters, a public value that is not of order q, and a private
    exponent that is out of range or of another public value.
    """
    public = key if isinstance(key, DsaPublicKey) else key.public
    domain = public.domain
    check_dsa_domain(domain, domain.prime.bit_length())
    if not 1 < public.value < domain.prime - 1 or pow(public.value, domain.subprime, domain.prime) != 1:
        raise invalid_parameter("DSA: the public value is not of order q")
    if isinstance(key, DsaPrivateKey) and dsa_private(domain, key.exponent) != key:
        raise invalid_parameter("DSA: the public value is not that of the private exponent")


def verify_dsa(public: DsaPublicKey, digest: bytes, signature: bytes) -> None:
    """Returns where r || s is good; of a digest longer than the subprime the leftmost bits count.

    Raises STATUS_INVALID_SIGNATURE, STATUS_INVALID_PARAMETER for an empty digest and a signature of wrong length.
    """
    size = group_size(public.domain)
    if len(signature) != 2 * size:
        raise invalid_parameter(f"DSA: a signature of {2 * size} bytes expected, {len(signature)} given")
    if not digest:
        raise invalid_parameter("DSA: the digest is empty")
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    lengths = public.domain.prime.bit_length(), public.domain.subprime.bit_length()
    good = _library_verifies if lengths in _LIBRARY_LENGTHS else _verifies
    if not good(public, digest[:size], r, s):
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


@host_work
def _library_verifies(public: DsaPublicKey, digest: bytes, r: int, s: int) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.dsa import DSAParameterNumbers, DSAPublicNumbers
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHAKE256

    domain = public.domain
    numbers = DSAParameterNumbers(domain.prime, domain.subprime, domain.generator)
    key = DSAPublicNumbers(public.value, numbers).public_key()
    # Prehashed wants a hash for its length only, and SHAKE256 can have any.
    try:
        key.verify(encode_dss_signature(r, s), digest, Prehashed(SHAKE256(len(digest))))
    except InvalidSignature:
        return False
    return True


def _verifies(public: DsaPublicKey, digest: bytes, r: int, s: int) -> bool:
    """FIPS 186-4, section 4.7."""
    p, q, g = public.domain.prime, public.domain.subprime, public.domain.generator
    if not (0 < r < q and 0 < s < q):
        return False
    w = pow(s, -1, q)
    u1, u2 = int.from_bytes(digest, "big") * w % q, r * w % q
    return pow(g, u1, p) * pow(public.value, u2, p) % p % q == r


def _dsa_to_host(public: DsaPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.dsa import DSAParameterNumbers, DSAPublicNumbers

    domain = DSAParameterNumbers(public.domain.prime, public.domain.subprime, public.domain.generator)
    return DSAPublicNumbers(public.value, domain).public_key()


def _dsa_to_public(key: Any) -> DsaPublicKey:
    numbers = key.public_numbers()
    domain = numbers.parameter_numbers
    return DsaPublicKey(DsaDomain(domain.p, domain.q, domain.g), numbers.y)


def _dsa_to_private(key: Any) -> DsaPrivateKey:
    material = DsaPrivateKey(_dsa_to_public(key.public_key()), key.private_numbers().x)
    check_dsa(material)
    return material


def _first_use_of_dsa() -> None:
    domain = DsaDomain(safe_prime(1024), (1 << 159) + 1, GENERATOR)
    digest = bytes(range(1, 21))
    with suppress(CngError, ValueError):
        verify_dsa(DsaPublicKey(domain, GENERATOR), digest, 2 * digest)


def _dh_to_host(public: DhPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers, DHPublicNumbers

    return DHPublicNumbers(public.value, DHParameterNumbers(public.domain.prime, public.domain.generator)).public_key()


def _dh_to_public(key: Any) -> DhPublicKey:
    numbers = key.public_numbers()
    return DhPublicKey(DhDomain(numbers.parameter_numbers.p, numbers.parameter_numbers.g), numbers.y)


def _dh_to_private(key: Any) -> DhPrivateKey:
    material = DhPrivateKey(_dh_to_public(key.public_key()), key.private_numbers().x)
    check_dh(material)
    return material


HOST_KINDS = (
    HostKind(
        "dsa",
        "DSA",
        DsaPublicKey,
        _dsa_to_host,
        _dsa_to_public,
        _dsa_to_private,
        _first_use_of_dsa,
        check_dsa,
        spki=True,
    ),
    HostKind("dh", "DH", DhPublicKey, _dh_to_host, _dh_to_public, _dh_to_private, check=check_dh),
)
