"""The records that hwcng's verbs take, from the one place where they are."""

from hwcng.contract import (
    AeadSpec,
    CipherMode,
    CipherSpec,
    DigestKdfSpec,
    EcdsaSpec,
    HmacSpec,
    MlDsaSpec,
    PairSpec,
    Provider,
    RsaOaepSpec,
    RsaPkcs1SignSpec,
    SecretFamily,
    SecretSpec,
    Usage,
)

__all__ = [
    "AeadSpec",
    "CipherMode",
    "CipherSpec",
    "DigestKdfSpec",
    "EcdsaSpec",
    "HmacSpec",
    "MlDsaSpec",
    "PairSpec",
    "Provider",
    "RsaOaepSpec",
    "RsaPkcs1SignSpec",
    "SecretFamily",
    "SecretSpec",
    "Usage",
]
