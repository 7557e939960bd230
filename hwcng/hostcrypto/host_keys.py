"""Keys between the contract's numbers and the objects of the `cryptography` package: public ones both ways, private
ones, which a caller hands over for import, one way.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from hwcng.contract.material import (
    DhDomain,
    DhPrivateKey,
    DhPublicKey,
    DsaDomain,
    DsaPrivateKey,
    DsaPublicKey,
    EcPrivateKey,
    EcPublicKey,
    MlDsaPrivateKey,
    MlDsaPublicKey,
    MlKemPrivateKey,
    MlKemPublicKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
    RsaPrivateKey,
    RsaPublicKey,
)
from hwcng.errors import not_supported
from hwcng.forking import foreign_work
from hwcng.hostcrypto import mlkem_mldsa, x25519
from hwcng.hostcrypto.ecc import completed
from hwcng.hostcrypto.finite_field import check_dh, check_dsa
from hwcng.hostcrypto.rsa import check_public
from hwcng.standards.curves import CURVES
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["host_class", "host_key", "private_material", "public_material"]

_CURVE25519 = "curve25519"


def _host_rsa(public: RsaPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    return RSAPublicNumbers(public.public_exponent, public.modulus).public_key()


def _host_ec(public: EcPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicNumbers
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    curve = CURVES[public.curve]
    if curve.montgomery:
        return X25519PublicKey.from_public_bytes(x25519.octets(public.x))
    return EllipticCurvePublicNumbers(public.x, public.y, curve.host()).public_key()


def _host_dsa(public: DsaPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.dsa import DSAParameterNumbers, DSAPublicNumbers

    domain = DSAParameterNumbers(public.domain.prime, public.domain.subprime, public.domain.generator)
    return DSAPublicNumbers(public.value, domain).public_key()


def _host_dh(public: DhPublicKey) -> object:
    from cryptography.hazmat.primitives.asymmetric.dh import DHParameterNumbers, DHPublicNumbers

    return DHPublicNumbers(public.value, DHParameterNumbers(public.domain.prime, public.domain.generator)).public_key()


_HOST_KEYS: Mapping[type, Callable[[Any], object]] = {
    RsaPublicKey: _host_rsa,
    EcPublicKey: _host_ec,
    DsaPublicKey: _host_dsa,
    DhPublicKey: _host_dh,
    MlDsaPublicKey: mlkem_mldsa.ml_dsa_host_key,
    MlKemPublicKey: mlkem_mldsa.ml_kem_host_key,
}


@foreign_work()
def host_key(public: PublicKeyMaterial) -> PublicKeyTypes:
    """The built-in object of a public key. Raises STATUS_NOT_SUPPORTED for a kind, a curve or a length that the
    installed `cryptography` lacks.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return cast("PublicKeyTypes", _HOST_KEYS[type(public)](public))
    except (UnsupportedAlgorithm, AttributeError, ValueError) as error:
        curve = f" on {public.curve}" if isinstance(public, EcPublicKey) else ""
        kind = type(public).__name__.removesuffix("PublicKey").upper()
        raise not_supported(f"the installed `cryptography` does not take this {kind} key{curve}: {error}") from error


def _curve_of(key: Any) -> str:
    known = (curve for curve in CURVES.values() if not curve.montgomery)
    ours = next((curve for curve in known if curve.class_name.lower() == key.curve.name.lower()), None)
    if ours is None:
        raise not_supported(f"curve {key.curve.name!r} is not one of {', '.join(CURVES)}")
    return ours.name


def _rsa(key: Any) -> RsaPublicKey:
    numbers = key.public_numbers()
    return RsaPublicKey(numbers.n, numbers.e)


def _ec(key: Any) -> EcPublicKey:
    curve, point = _curve_of(key), key.public_numbers()
    return EcPublicKey(curve, point.x, point.y)


def _x25519(key: Any) -> EcPublicKey:
    return EcPublicKey(_CURVE25519, int.from_bytes(key.public_bytes_raw(), "little"), 0)


def _dsa(key: Any) -> DsaPublicKey:
    numbers = key.public_numbers()
    domain = numbers.parameter_numbers
    return DsaPublicKey(DsaDomain(domain.p, domain.q, domain.g), numbers.y)


def _dh(key: Any) -> DhPublicKey:
    numbers = key.public_numbers()
    return DhPublicKey(DhDomain(numbers.parameter_numbers.p, numbers.parameter_numbers.g), numbers.y)


def _parameter_set(key: Any) -> str:
    return "".join(filter(str.isdigit, type(key).__name__))


def _ml_dsa(key: Any) -> MlDsaPublicKey:
    return MlDsaPublicKey(_parameter_set(key), key.public_bytes_raw())


def _ml_kem(key: Any) -> MlKemPublicKey:
    return MlKemPublicKey(_parameter_set(key), key.public_bytes_raw())


def _private_rsa(key: Any) -> RsaPrivateKey:
    own, public = key.private_numbers(), _rsa(key.public_key())
    check_public(public)
    numbers = (own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp)
    return RsaPrivateKey(public.modulus, public.public_exponent, *numbers)


def _private_ec(key: Any) -> EcPrivateKey:
    return completed(EcPrivateKey(_ec(key.public_key()), key.private_numbers().private_value))


def _private_x25519(key: Any) -> EcPrivateKey:
    return EcPrivateKey(_x25519(key.public_key()), int.from_bytes(key.private_bytes_raw(), "little"))


def _private_dsa(key: Any) -> DsaPrivateKey:
    material = DsaPrivateKey(_dsa(key.public_key()), key.private_numbers().x)
    check_dsa(material)
    return material


def _private_dh(key: Any) -> DhPrivateKey:
    material = DhPrivateKey(_dh(key.public_key()), key.private_numbers().x)
    check_dh(material)
    return material


def _private_ml_dsa(key: Any) -> MlDsaPrivateKey:
    return mlkem_mldsa.ml_dsa_private(_ml_dsa(key.public_key()).parameter_set, None, key.private_bytes_raw())


def _private_ml_kem(key: Any) -> MlKemPrivateKey:
    return mlkem_mldsa.ml_kem_private(_ml_kem(key.public_key()).parameter_set, None, key.private_bytes_raw())


_ToPublic: TypeAlias = Callable[[Any], PublicKeyMaterial]
_ToPrivate: TypeAlias = Callable[[Any], PrivateKeyMaterial]
_KINDS: tuple[tuple[str, str, _ToPublic, _ToPrivate], ...] = (
    ("rsa", "RSA", _rsa, _private_rsa),
    ("ec", "EllipticCurve", _ec, _private_ec),
    ("x25519", "X25519", _x25519, _private_x25519),
    ("dsa", "DSA", _dsa, _private_dsa),
    ("dh", "DH", _dh, _private_dh),
    *(("mldsa", f"MLDSA{name}", _ml_dsa, _private_ml_dsa) for name in ML_DSA_SETS),
    *(("mlkem", f"MLKEM{name}", _ml_kem, _private_ml_kem) for name in ML_KEM_SETS),
)
"""A module of `cryptography`, what its classes of keys begin with, and what reads such keys."""


def host_class(module: str, name: str) -> type[Any] | None:
    """A class of `cryptography`, None where the installed release has none such."""
    home = importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{module}")
    # Classes that are deprecated have a second name, which warns of nothing.
    found: type[Any] | None = getattr(home, f"_{name}", None) or getattr(home, name, None)
    return found


def _readers_of(key: object, half: str) -> tuple[_ToPublic, _ToPrivate]:
    for module, prefix, to_public, to_private in _KINDS:
        kind = host_class(module, prefix + half)
        if kind is not None and isinstance(key, kind):
            return to_public, to_private
    raise not_supported(f"a {type(key).__name__} is no {half} of a kind that goes into tokens here")


@foreign_work()
def public_material(key: object) -> PublicKeyMaterial:
    """The numbers of a public key. Raises STATUS_NOT_SUPPORTED for a kind or a curve that is not known here."""
    return _readers_of(key, "PublicKey")[0](key)


@foreign_work()
def private_material(key: object) -> PrivateKeyMaterial:
    """The checked numbers of a private key that its owner hands over. Raises as `public_material`, and
    STATUS_INVALID_PARAMETER for a key that is not sound.
    """
    return _readers_of(key, "PrivateKey")[1](key)
