"""Keys of a TPM 2.0 for OpenSSL, by tpm2-openssl."""

from __future__ import annotations

from hwcng.contract.openssl import OpensslProvider
from hwcng.errors import CngError, not_supported

__all__ = ["no_file_of", "provider_of"]

# A TPM would hash and encrypt for all of TLS, slowly, and cannot do what TLS needs of it.
_PROPERTIES = "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes"


def provider_of(tcti: str) -> OpensslProvider:
    """tcti: the name of the transport and its configuration (TPM 2.0 TCTI), "" for the system's default."""
    environ = {"TPM2OPENSSL_TCTI": tcti} if tcti else {}
    return OpensslProvider("tpm2", "tpm2-openssl", properties=_PROPERTIES, environ=environ)


def no_file_of(handle: int) -> CngError:
    """A TSS2 PRIVATE KEY is a blob, and a TPM gives none of what is at a persistent handle."""
    return not_supported(
        f"the key at {handle:#x} is in the TPM's own memory, and no file stands for it: where OpenSSL takes URIs it is "
        f'"handle:{handle:#x}", with a PIN "handle:{handle:#x}?pass"; what takes files alone needs a key of the store'
    )
