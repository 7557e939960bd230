"""Keys of a TPM 2.0 for OpenSSL, by tpm2-openssl."""

from __future__ import annotations

from hwcng.contract.openssl import OpensslProvider

__all__ = ["provider_of"]

# A TPM would hash and encrypt for all of TLS, slowly, and cannot do what TLS needs of it.
_PROPERTIES = "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes"


def provider_of(tcti: str) -> OpensslProvider:
    """tcti: the name of the transport and its configuration (TPM 2.0 TCTI), "" for the system's default."""
    environ = {"TPM2OPENSSL_TCTI": tcti} if tcti else {}
    return OpensslProvider("tpm2", "tpm2-openssl", properties=_PROPERTIES, environ=environ)
