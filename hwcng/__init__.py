"""hwcng: CNG's key interface over keys that live in a PKCS#11 token or a TPM 2.0. Nothing loads before it is used."""

from __future__ import annotations

# As typing's, whose import would take longer than all of this one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwcng import aio as aio
    from hwcng import attestation as attestation
    from hwcng import bcrypt as bcrypt
    from hwcng import many as many
    from hwcng import ncrypt as ncrypt
    from hwcng import pyca as pyca
    from hwcng import wincrypt as wincrypt
    from hwcng.cng.blobs.wrapped import AES_KWP_KEY_BLOB
    from hwcng.cng.keys import AlgorithmHandle, HashObject, KeyPair, Secret, SymmetricKey
    from hwcng.contract.provider import KeyRecord, Provider
    from hwcng.contract.specs import PairSpec, SecretSpec
    from hwcng.contract.usage import SecretFamily, Support, Usage
    from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error
    from hwcng.ksp.handles import NCryptKey, StorageProvider
    from hwcng.named_keys import open_certificate, open_key
    from hwcng.providers.registry import open_provider, set_default_provider

__all__ = [
    "AES_KWP_KEY_BLOB",
    "AlgorithmHandle",
    "CngError",
    "HRESULT",
    "HashObject",
    "KeyPair",
    "KeyRecord",
    "NCryptKey",
    "NTSTATUS",
    "PairSpec",
    "Provider",
    "Secret",
    "SecretFamily",
    "SecretSpec",
    "StorageProvider",
    "Support",
    "SymmetricKey",
    "Usage",
    "Win32Error",
    "__version__",
    "open_certificate",
    "open_key",
    "open_provider",
    "set_default_provider",
]

__version__ = "0.1.0"

_HOMES = {
    name: home
    for home, names in {
        "hwcng.cng.blobs.wrapped": ("AES_KWP_KEY_BLOB",),
        "hwcng.cng.keys": ("AlgorithmHandle", "HashObject", "KeyPair", "Secret", "SymmetricKey"),
        "hwcng.contract.provider": ("KeyRecord", "Provider"),
        "hwcng.contract.specs": ("PairSpec", "SecretSpec"),
        "hwcng.contract.usage": ("SecretFamily", "Support", "Usage"),
        "hwcng.errors": ("CngError", "HRESULT", "NTSTATUS", "Win32Error"),
        "hwcng.ksp.handles": ("NCryptKey", "StorageProvider"),
        "hwcng.named_keys": ("open_certificate", "open_key"),
        "hwcng.providers.registry": ("open_provider", "set_default_provider"),
    }.items()
    for name in names
}

_FACES = frozenset({"aio", "attestation", "bcrypt", "many", "ncrypt", "pyca", "wincrypt"})
"""Modules that are there without an import of their own."""

# A type checker that saw this function would take every misspelt name for an attribute.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES and name not in _FACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from hwcng.loading import load

        if name in _FACES:
            return load(f"{__name__}.{name}")
        value = globals()[name] = getattr(load(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_FACES})
