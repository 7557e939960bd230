"""The certificates that a token keeps beside a named pair: its own, then its issuers' (NCRYPT_CERTIFICATE_PROPERTY)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hwcng.arguments import octets
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, CngError, invalid_parameter, not_supported
from hwcng.hostcrypto.certificates import checked_chain, loaded, stands_under
from hwcng.loading import load

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["read", "store", "store_own", "stored"]

_PEM = b"-----BEGIN CERTIFICATE-----"


def _named(name: str | None) -> str:
    if name is None:
        raise not_supported(
            "a token keeps certificates beside keys that it keeps: store the key under a name first, with "
            "NCryptCreatePersistedKey or key.persist(name)"
        )
    return name


def stored(provider: Provider, name: str | None) -> list[bytes]:
    """As `read`, in DER; empty for a key without a name too."""
    return provider.certificates(name) if name is not None else []


def read(provider: Provider, name: str | None) -> tuple[Certificate, ...]:
    """Empty where there is none. Raises STATUS_NOT_SUPPORTED for a key without a name."""
    return tuple(map(loaded, provider.certificates(_named(name))))


def store(
    provider: Provider, name: str | None, public: PublicKeyMaterial, certificates: Iterable[Certificate | bytes]
) -> None:
    """In the place of those that there are. certificates: in DER or of `cryptography`.

    Raises STATUS_INVALID_PARAMETER for what is no chain of this key's, STATUS_NOT_SUPPORTED for one without a name.
    """
    name = _named(name)
    if isinstance(certificates, (bytes, str)):
        raise invalid_parameter("several certificates expected: put one into a list")
    chain = [_certificate(given) for given in certificates]
    provider.store_certificates(name, checked_chain(chain, public))


def store_own(provider: Provider, name: str | None, public: PublicKeyMaterial, der: bytes) -> None:
    """In the place of the pair's own; its issuers' stay where they are the new one's too. Raises as `store`."""
    own, issuers = _certificate(der), _issuers(provider, name)
    store(provider, name, public, [own, *issuers] if issuers and stands_under(own, issuers[0]) else [own])


def _issuers(provider: Provider, name: str | None) -> tuple[Certificate, ...]:
    try:
        return read(provider, name)[1:]
    except CngError as error:
        # What cannot be read is what the new one takes the place of.
        if error.status is HRESULT.NTE_KEYSET_ENTRY_BAD:
            return ()
        raise


def _certificate(given: object) -> Certificate:
    load("cryptography.x509")
    from cryptography.x509 import Certificate

    if isinstance(given, Certificate):
        return given
    der = octets(given, "a certificate")
    if _PEM in der:
        raise invalid_parameter("this is PEM, DER expected: x509.load_pem_x509_certificates makes a list of it")
    return loaded(der)
