"""Uses `cryptography` once, when it is imported: a first use takes locks (PyO3's PyOnceLock), which a child that is
forked meanwhile finds locked for ever.

The keys are base points, Mersenne primes and zeros, nobody's; what comes of their use does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from hwcng.contract.material import DsaDomain, DsaPublicKey, EcPrivateKey, EcPublicKey, MlDsaPublicKey, MlKemPublicKey
from hwcng.contract.specs import EcdsaSpec, MlDsaSpec
from hwcng.errors import CngError
from hwcng.forking import foreign_work
from hwcng.hostcrypto import ecc, finite_field, mlkem_mldsa, x25519
from hwcng.standards.curves import DOMAINS
from hwcng.standards.dh_groups import GENERATOR, safe_prime
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS

__all__: list[str] = []

_DIGEST = bytes(range(1, 33))
_MERSENNE_PRIMES = (1 << 607) - 1, (1 << 521) - 1
_RSA_EXPONENT = 65537
_X25519_BASE = 9


def _ecdsa() -> None:
    base = EcPublicKey("nistP256", DOMAINS["nistP256"].gx, DOMAINS["nistP256"].gy)
    ecc.check_private(EcPrivateKey(base, 1))
    ecc.verify(base, EcdsaSpec(), _DIGEST, 2 * _DIGEST)


def _x25519() -> None:
    x25519.checked(EcPrivateKey(EcPublicKey("curve25519", 0, 0), 1))
    x25519.checked(EcPublicKey("curve25519", _X25519_BASE, 0))


def _dsa() -> None:
    domain = DsaDomain(safe_prime(1024), (1 << 159) + 1, GENERATOR)
    finite_field.verify_dsa(DsaPublicKey(domain, GENERATOR), _DIGEST, _DIGEST[:20] * 2)


def _ml_dsa() -> None:
    row = ML_DSA_SETS["44"]
    mlkem_mldsa.verify_ml_dsa(MlDsaPublicKey(row.name, bytes(row.public)), MlDsaSpec(), _DIGEST, bytes(row.signature))


def _ml_kem() -> None:
    row = ML_KEM_SETS["768"]
    mlkem_mldsa.encapsulate(MlKemPublicKey(row.name, bytes(row.public)))


def _pkcs8() -> None:
    p, q = _MERSENNE_PRIMES
    d = pow(_RSA_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_RSA_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    # The check of the primes takes 20 ms.
    own = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    for key in (own, ec.derive_private_key(1, ec.SECP256R1())):
        encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        loaded = load_der_private_key(encoded, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(loaded, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
            loaded.private_numbers()


@foreign_work()
def _use(steps: Iterable[Callable[[], None]]) -> None:
    for step in steps:
        with suppress(CngError, ValueError, UnsupportedAlgorithm):
            step()


_use((_ecdsa, _x25519, _dsa, _ml_dsa, _ml_kem, _pkcs8))
