"""The properties of key pairs that all kinds may have; a kind's own are `PairFamily.properties`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwcng.arguments import dword, octets, text
from hwcng.cng.families.ec import build_ecc_parameters, parse_ecc_parameters
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.key_usages import key_usage
from hwcng.errors import invalid_handle
from hwcng.headers import bcrypt_h
from hwcng.headers.ncrypt_h import NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_KEY_USAGE_PROPERTY

__all__ = ["GETTERS", "SETTERS", "of_its_kind"]


def _finalized(pair: KeyPair) -> KeyPair:
    if not pair.finalized:
        raise invalid_handle("the key pair is not finalized")
    return pair


def of_its_kind(pair: KeyPair, name: str) -> Any:
    """A property that pairs of its kind alone have."""
    own = pair.family.properties.get(name)
    return own(pair.public) if own else None


def _signature_length(pair: KeyPair) -> int | None:
    return None if _finalized(pair).algorithm.agrees else pair.family.signature_length(pair.public)


def _pair_block_length(pair: KeyPair) -> int | None:
    return _finalized(pair).family.block_length(pair.public)


def _key_strength(pair: KeyPair) -> int:
    if pair.finalized:
        return pair.family.strength(pair.public)
    # Not the public half's business: it follows from the algorithm, the curve and the length.
    return pair.family.planned_strength(pair.request()) or _finalized(pair).bits


def _refuse_pair_iv(_pair: KeyPair, _value: object) -> None:
    raise invalid_handle("a key pair has no IV")


def _ecc_parameters(pair: KeyPair) -> bytes | None:
    curve = _finalized(pair).curve
    return build_ecc_parameters(curve.name) if curve is not None else None


GETTERS: Mapping[str, Callable[[KeyPair], Any]] = MappingProxyType(
    {
        bcrypt_h.BCRYPT_ALGORITHM_NAME: lambda pair: pair.algorithm.name,
        bcrypt_h.BCRYPT_PROVIDER_HANDLE: lambda pair: _finalized(pair).algorithm_handle,
        bcrypt_h.BCRYPT_KEY_LENGTH: lambda pair: pair.bits,
        bcrypt_h.BCRYPT_KEY_STRENGTH: _key_strength,
        bcrypt_h.BCRYPT_PUBLIC_KEY_LENGTH: lambda pair: _finalized(pair).bits,
        bcrypt_h.BCRYPT_SIGNATURE_LENGTH: _signature_length,
        bcrypt_h.BCRYPT_BLOCK_LENGTH: _pair_block_length,
        bcrypt_h.BCRYPT_ECC_CURVE_NAME: lambda pair: _finalized(pair).curve_name,
        bcrypt_h.BCRYPT_ECC_PARAMETERS: _ecc_parameters,
        bcrypt_h.BCRYPT_PARAMETER_SET_NAME: lambda pair: _finalized(pair).parameter_set,
        bcrypt_h.BCRYPT_KEM_SHARED_SECRET_LENGTH: lambda pair: _finalized(pair).algorithm.shared_secret_length,
        bcrypt_h.BCRYPT_IS_IFX_TPM_WEAK_KEY: lambda pair: of_its_kind(
            _finalized(pair), bcrypt_h.BCRYPT_IS_IFX_TPM_WEAK_KEY
        ),
        bcrypt_h.BCRYPT_KEM_CIPHERTEXT_LENGTH: lambda pair: _finalized(pair).family.ciphertext_length(pair.public),
        NCRYPT_EXPORT_POLICY_PROPERTY: lambda pair: _finalized(pair).export_policy,
        NCRYPT_KEY_USAGE_PROPERTY: lambda pair: key_usage(pair.algorithm, _finalized(pair).usage),
    }
)

SETTERS: Mapping[str, Callable[[KeyPair, Any], None]] = MappingProxyType(
    {
        bcrypt_h.BCRYPT_KEY_LENGTH: lambda pair, value: pair.set_bits(dword(value, bcrypt_h.BCRYPT_KEY_LENGTH)),
        bcrypt_h.BCRYPT_ECC_CURVE_NAME: lambda pair, value: pair.set_curve(text(value, bcrypt_h.BCRYPT_ECC_CURVE_NAME)),
        bcrypt_h.BCRYPT_ECC_PARAMETERS: lambda pair, value: pair.set_curve(
            parse_ecc_parameters(octets(value, bcrypt_h.BCRYPT_ECC_PARAMETERS))
        ),
        bcrypt_h.BCRYPT_DH_PARAMETERS: lambda pair, value: pair.set_domain(
            bcrypt_h.BCRYPT_DH_PARAMETERS, octets(value, bcrypt_h.BCRYPT_DH_PARAMETERS)
        ),
        bcrypt_h.BCRYPT_DSA_PARAMETERS: lambda pair, value: pair.set_domain(
            bcrypt_h.BCRYPT_DSA_PARAMETERS, octets(value, bcrypt_h.BCRYPT_DSA_PARAMETERS)
        ),
        bcrypt_h.BCRYPT_PRIVATE_KEY: lambda pair, value: pair.set_private_value(
            octets(value, bcrypt_h.BCRYPT_PRIVATE_KEY)
        ),
        bcrypt_h.BCRYPT_PARAMETER_SET_NAME: lambda pair, value: pair.set_parameter_set(
            text(value, bcrypt_h.BCRYPT_PARAMETER_SET_NAME)
        ),
        bcrypt_h.BCRYPT_INITIALIZATION_VECTOR: _refuse_pair_iv,
        NCRYPT_EXPORT_POLICY_PROPERTY: lambda pair, value: pair.set_export_policy(
            dword(value, NCRYPT_EXPORT_POLICY_PROPERTY)
        ),
        NCRYPT_KEY_USAGE_PROPERTY: lambda pair, value: pair.set_key_usage(dword(value, NCRYPT_KEY_USAGE_PROPERTY)),
    }
)
