"""What NCryptGetProperty tells of a pair that NCryptFinalizeKey has not made: what follows from what is set by now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from hwcng.cng.families.ec import build_ecc_parameters
from hwcng.cng.key_pair import KeyPair
from hwcng.errors import HRESULT
from hwcng.headers.bcrypt_h import BCRYPT_DH_PARAMETERS, BCRYPT_DSA_PARAMETERS
from hwcng.ksp.status import refuse

__all__ = ["planned"]


def _unknown() -> NoReturn:
    refuse(HRESULT.NTE_BAD_KEY_STATE, "the key is not finalized: call NCryptFinalizeKey first")


def _domain(name: str) -> Callable[[KeyPair], None]:
    return lambda pair: _unknown() if pair.family.domain_property == name else None


# bcrypt.h's name of a property -> its value, None where such pairs never have it.
_PLANNED: Mapping[str, Callable[[KeyPair], Any]] = MappingProxyType(
    {
        "BlockLength": lambda pair: pair.family.planned_block_length(pair.request()),
        "PublicKeyLength": lambda pair: pair.family.planned_bits(pair.request()) or _unknown(),
        "SignatureLength": lambda pair: (
            (pair.family.planned_signature_length(pair.request()) or _unknown()) if pair.algorithm.signs else None
        ),
        "ECCCurveName": lambda pair: (pair.curve_name or _unknown()) if pair.algorithm.elliptic else None,
        "ECCParameters": lambda pair: (
            (build_ecc_parameters(pair.curve.name) if pair.curve else _unknown()) if pair.algorithm.elliptic else None
        ),
        "ParameterSetName": lambda pair: (pair.parameter_set or _unknown()) if pair.algorithm.parameter_sets else None,
        "KEMSharedSecretLength": lambda pair: pair.algorithm.shared_secret_length,
        "KEMCiphertextLength": lambda pair: (
            (pair.family.planned_ciphertext_length(pair.request()) or _unknown())
            if pair.algorithm.shared_secret_length
            else None
        ),
        **{name: _domain(name) for name in (BCRYPT_DH_PARAMETERS, BCRYPT_DSA_PARAMETERS)},
    }
)


def planned(pair: KeyPair, name: str) -> Any:
    """The value of a property by bcrypt.h's name, None for one that such pairs never have.

    Raises NTE_BAD_KEY_STATE for one that only the finished pair has.
    """
    value = _PLANNED.get(name)
    return value(pair) if value is not None else None
