"""What a backend promises: the only thing that cng and a backend both know.

A backend knows keys and verbs on typed specs, and nothing of CNG's state machine.
"""

from __future__ import annotations

from hwcng.contract import material, specs
from hwcng.contract.attestation import Attestable, Attestation, AttestedKey, Origin
from hwcng.contract.backend import Backend
from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.effective_length import EffectiveLength
from hwcng.contract.key_names import LONGEST_NAME, LONGEST_NAME_OCTETS, check_key_name, is_key_name, no_such_key
from hwcng.contract.keys import NOT_EXPORTABLE, AgreedSecret, KeyingMaterial, OfThisProcess, PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker, NamedMaker
from hwcng.contract.material import *  # noqa: F403
from hwcng.contract.pins import Pin, checked_pin, pin_value
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.contract.specs import *  # noqa: F403
from hwcng.contract.usage import WEAK_ALGORITHMS, CipherMode, SecretFamily, Support, Usage

__all__ = [
    "AgreedSecret",
    "Attestable",
    "Attestation",
    "AttestedKey",
    "Backend",
    "Capabilities",
    "CipherMode",
    "EffectiveLength",
    "KeyMaker",
    "KeyRecord",
    "KeyingMaterial",
    "LONGEST_NAME",
    "LONGEST_NAME_OCTETS",
    "NOT_EXPORTABLE",
    "NamedMaker",
    "OfThisProcess",
    "Origin",
    "Pin",
    "PrivateKey",
    "Provider",
    "ProviderUri",
    "SecretFamily",
    "SecretKey",
    "Support",
    "TokenInfo",
    "Usage",
    "WEAK_ALGORITHMS",
    "check_key_name",
    "checked_pin",
    "is_key_name",
    "no_such_key",
    "pin_value",
]
__all__ += material.__all__
__all__ += specs.__all__
