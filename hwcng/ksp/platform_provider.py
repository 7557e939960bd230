"""What the Platform Crypto Provider tells of its platform (ncrypt.h: NCRYPT_PCP_ properties of a provider handle).

A certificate store is a tuple of certificates in DER.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwcng.cng.families.ec import build_ecc_public
from hwcng.cng.families.rsa import build_rsa_public
from hwcng.cng.platform import platform_type, provider_version
from hwcng.contract.attestation import Endorsement
from hwcng.contract.material import EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import HRESULT, NTSTATUS, CngError, not_supported
from hwcng.headers import ncrypt_h
from hwcng.headers.ncrypt_h import NCRYPT_PCP_TPM_FW_VERSION_INFO
from hwcng.ksp.binding import BANKS, PCRS, TPM_HASHES
from hwcng.ksp.handles import StorageProvider
from hwcng.ksp.status import refuse
from hwcng.loading import load

__all__ = ["GETTERS", "pss_salt_size"]


def _blob(public: PublicKeyMaterial) -> bytes:
    """RSAPUBLICBLOB, or ECCPUBLICBLOB of an ECDH key: an endorsement or storage key signs nothing."""
    if isinstance(public, RsaPublicKey):
        return build_rsa_public(public)
    if isinstance(public, EcPublicKey):
        return build_ecc_public(public, "ECDH", False)
    raise not_supported("such a key has no blob")


def _endorsement(provider: Provider, kind: str | None) -> Endorsement:
    """kind: None: RSA, as Windows has it, or what there is on a TPM without."""
    rsa = provider.offers("RSA") is not Support.REFUSED
    return provider.endorsement(kind or ("RSA" if rsa else "EC"))


def _endorsement_key(kind: str | None = None) -> Callable[[StorageProvider], bytes]:
    def read(storage: StorageProvider) -> bytes:
        load("hwcng.attestation")
        from hwcng.attestation import public_key

        return _blob(public_key(_endorsement(storage.provider, kind).public))

    return read


def _endorsement_certificate(kind: str | None = None) -> Callable[[StorageProvider], tuple[bytes, ...]]:
    def read(storage: StorageProvider) -> tuple[bytes, ...]:
        certificate = _endorsement(storage.provider, kind).certificate
        if not certificate:
            refuse(HRESULT.NTE_NOT_FOUND, "the TPM keeps no certificate of this endorsement key: its maker may have it")
        return (certificate,)

    return read


def _issuers(storage: StorageProvider) -> tuple[bytes, ...]:
    found = storage.provider.endorsement().issuers
    if not found:
        refuse(HRESULT.NTE_NOT_FOUND, "the TPM keeps no certificates of its endorsement certificate's issuers")
    return found


def _pcr_table(provider: Provider) -> tuple[str, bytes]:
    """The first of the banks that the TPM has, and its PCRs."""
    for bank in BANKS:
        try:
            values = provider.pcr_values(range(PCRS), bank)
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_NOT_SUPPORTED:
                raise
            refused = error
        else:
            return bank, b"".join(values[pcr] for pcr in range(PCRS))
    raise refused


def pss_salt_size(provider: Provider) -> int:
    hashed = provider.platform().pss_salt_is_the_hash
    return ncrypt_h.NCRYPT_TPM_PSS_SALT_SIZE_HASHSIZE if hashed else ncrypt_h.NCRYPT_TPM_PSS_SALT_SIZE_MAXIMUM


def _version(storage: StorageProvider) -> int:
    """The major number in the upper 16 bits, the minor one in the lower."""
    major, _, minor = storage.provider.platform().family.partition(".")
    return int(major) << 16 | int(minor or 0)


def _firmware(storage: StorageProvider) -> NCRYPT_PCP_TPM_FW_VERSION_INFO:
    high, low = storage.provider.platform().firmware
    return NCRYPT_PCP_TPM_FW_VERSION_INFO(high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF)


GETTERS: Mapping[str, Callable[[StorageProvider], Any]] = MappingProxyType(
    {
        ncrypt_h.NCRYPT_PCP_PLATFORM_TYPE_PROPERTY: lambda storage: platform_type(storage.provider),
        ncrypt_h.NCRYPT_PCP_PROVIDER_VERSION_PROPERTY: lambda storage: provider_version(storage.provider),
        ncrypt_h.NCRYPT_PCP_TPM_VERSION_PROPERTY: _version,
        ncrypt_h.NCRYPT_PCP_TPM_FW_VERSION_PROPERTY: _firmware,
        ncrypt_h.NCRYPT_PCP_TPM_MANUFACTURER_ID_PROPERTY: lambda storage: storage.provider.platform().manufacturer,
        ncrypt_h.NCRYPT_PCP_PSS_SALT_SIZE_PROPERTY: lambda storage: pss_salt_size(storage.provider),
        ncrypt_h.NCRYPT_PCP_SRKPUB_PROPERTY: lambda storage: _blob(storage.provider.storage_root()),
        ncrypt_h.NCRYPT_PCP_EKPUB_PROPERTY: _endorsement_key(),
        ncrypt_h.NCRYPT_PCP_RSA_EKPUB_PROPERTY: _endorsement_key("RSA"),
        ncrypt_h.NCRYPT_PCP_ECC_EKPUB_PROPERTY: _endorsement_key("EC"),
        ncrypt_h.NCRYPT_PCP_EKCERT_PROPERTY: _endorsement_certificate(),
        ncrypt_h.NCRYPT_PCP_EKNVCERT_PROPERTY: _endorsement_certificate(),
        ncrypt_h.NCRYPT_PCP_RSA_EKCERT_PROPERTY: _endorsement_certificate("RSA"),
        ncrypt_h.NCRYPT_PCP_RSA_EKNVCERT_PROPERTY: _endorsement_certificate("RSA"),
        ncrypt_h.NCRYPT_PCP_ECC_EKCERT_PROPERTY: _endorsement_certificate("EC"),
        ncrypt_h.NCRYPT_PCP_ECC_EKNVCERT_PROPERTY: _endorsement_certificate("EC"),
        ncrypt_h.NCRYPT_PCP_INTERMEDIATE_CA_EKCERT_PROPERTY: _issuers,
        ncrypt_h.NCRYPT_PCP_PCRTABLE_PROPERTY: lambda storage: _pcr_table(storage.provider)[1],
        ncrypt_h.NCRYPT_PCP_PCRTABLE_ALGORITHM_PROPERTY: lambda storage: TPM_HASHES[_pcr_table(storage.provider)[0]],
    }
)
