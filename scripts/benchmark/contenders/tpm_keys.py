"""Public areas and schemes of the keys that are measured on a TPM. None has an authorization value."""

from __future__ import annotations

from typing import Any

import tpm2_pytss as tss

__all__ = ["aes", "ecdsa", "ecdsa_scheme", "hmac", "rsa", "rsa_scheme", "salting"]

_ALG = tss.TPM2_ALG
_MADE_HERE = (
    tss.TPMA_OBJECT.FIXEDTPM
    | tss.TPMA_OBJECT.FIXEDPARENT
    | tss.TPMA_OBJECT.SENSITIVEDATAORIGIN
    | tss.TPMA_OBJECT.USERWITHAUTH
    | tss.TPMA_OBJECT.NODA
)
_SIGN, _DECRYPT = tss.TPMA_OBJECT.SIGN_ENCRYPT, tss.TPMA_OBJECT.DECRYPT


def _public(algorithm: str, attributes: int) -> Any:
    return tss.TPM2B_PUBLIC.parse(algorithm, objectAttributes=_MADE_HERE | attributes)


def ecdsa() -> Any:
    return _public("ecc256:ecdsa-sha256:null", _SIGN)


def rsa() -> Any:
    return _public("rsa2048:rsassa-sha256:null", _SIGN)


def aes() -> Any:
    return _public("aes256cbc", _SIGN | _DECRYPT)


def hmac() -> Any:
    return _public("hmac:sha256", _SIGN)


def salting() -> Any:
    return _public("ecc256:null:aes128cfb", _DECRYPT | tss.TPMA_OBJECT.RESTRICTED)


def _scheme(algorithm: int) -> Any:
    details = tss.TPMU_SIG_SCHEME(any=tss.TPMS_SCHEME_HASH(hashAlg=_ALG.SHA256))
    return tss.TPMT_SIG_SCHEME(scheme=algorithm, details=details)


def ecdsa_scheme() -> Any:
    return _scheme(_ALG.ECDSA)


def rsa_scheme() -> Any:
    return _scheme(_ALG.RSASSA)
