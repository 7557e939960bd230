"""What a TPM states and signs, taken apart and checked on the host: TPMS_ATTEST and TPMT_SIGNATURE (TPM 2.0 Library,
Part 2, sections 10.12 and 11.3).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto.host_keys import host_key
from hwcng.providers.tpm2.wire.constants import ALG, HASH_NAMES, ST, Attributes
from hwcng.providers.tpm2.wire.marshal import Reader
from hwcng.providers.tpm2.wire.public_area import Public

__all__ = ["FIXED", "Statement", "check_signature", "read_statement", "refused", "require_attestation_key"]

_GENERATED = 0xFF544347
FIXED = Attributes.FIXEDTPM | Attributes.FIXEDPARENT
_NEEDED = Attributes.RESTRICTED | Attributes.SIGN | FIXED | Attributes.SENSITIVEDATAORIGIN

Verifier: TypeAlias = Callable[[Any, Reader, bytes, hashes.HashAlgorithm], None]
"""Given the host's public key, what stands in the signature, and what was signed. Raises InvalidSignature."""


def refused(reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, f"the attestation does not hold: {reason}")


@dataclass(frozen=True, slots=True)
class Statement:
    """A TPMS_ATTEST. about: what depends on its kind, to be read."""

    about: Reader
    reset_count: int
    firmware: int


def read_statement(statement: bytes, kind: ST, nonce: bytes) -> Statement:
    """Raises STATUS_INVALID_SIGNATURE for a statement of another kind and for another nonce, MalformedError."""
    reader = Reader(statement)
    if reader.u32() != _GENERATED or reader.u16() != kind:
        raise refused("no such statement of a TPM")
    reader.sized()
    if not hmac.compare_digest(reader.sized(), nonce):
        raise refused("the nonce is another one")
    reader.u64()
    reset_count = reader.u32()
    reader.take(5)
    return Statement(reader, reset_count, reader.u64())


def require_attestation_key(signer: Public, name: bytes, trusted: bytes | None) -> None:
    """Raises STATUS_INVALID_SIGNATURE for a key that signs other things than what its TPM states.

    name: the signer's; trusted: the one that it must be, None for any.
    """
    if trusted is not None and not hmac.compare_digest(trusted, name):
        raise refused("another attestation key signed it")
    if signer.attributes & _NEEDED != _NEEDED or Attributes.DECRYPT in signer.attributes:
        raise refused("the signer is no restricted signing key of a TPM")


def _ecdsa(key: Any, reader: Reader, statement: bytes, algorithm: hashes.HashAlgorithm) -> None:
    r, s = int.from_bytes(reader.sized(), "big"), int.from_bytes(reader.sized(), "big")
    reader.end()
    key.verify(encode_dss_signature(r, s), statement, ec.ECDSA(algorithm))


def _pkcs1(key: Any, reader: Reader, statement: bytes, algorithm: hashes.HashAlgorithm) -> None:
    signature = reader.sized()
    reader.end()
    key.verify(signature, statement, padding.PKCS1v15(), algorithm)


def _pss(key: Any, reader: Reader, statement: bytes, algorithm: hashes.HashAlgorithm) -> None:
    signature = reader.sized()
    reader.end()
    key.verify(signature, statement, padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO), algorithm)


_VERIFIERS: Mapping[int, tuple[type, Verifier]] = MappingProxyType(
    {
        ALG.ECDSA: (EcPublicKey, _ecdsa),
        ALG.RSASSA: (RsaPublicKey, _pkcs1),
        ALG.RSAPSS: (RsaPublicKey, _pss),
    }
)
_HASHES: Mapping[int, hashes.HashAlgorithm] = MappingProxyType(
    {ALG.SHA256: hashes.SHA256(), ALG.SHA384: hashes.SHA384(), ALG.SHA512: hashes.SHA512()}
)


def check_signature(signer: Public, statement: bytes, signature: bytes) -> str:
    """Checks a TPMT_SIGNATURE by the scheme that the signer is held to; returns the CNG name of its hash.

    Raises STATUS_INVALID_SIGNATURE, also for schemes without SHA-2; MalformedError.
    """
    scheme, number = signer.scheme or (0, 0)
    kind, verify = _VERIFIERS.get(scheme, (type(None), _ecdsa))
    if signer.material is None or not isinstance(signer.material, kind) or number not in _HASHES:
        raise refused("the signer is no ECDSA or RSA key for SHA-256, SHA-384 or SHA-512")
    reader = Reader(signature)
    if (reader.u16(), reader.u16()) != (scheme, number):
        raise refused("the signature is of another scheme")
    try:
        verify(host_key(signer.material), reader, statement, _HASHES[number])
    except (InvalidSignature, ValueError):
        raise refused("the signature is wrong") from None
    except CngError:
        raise refused("the signer's public key is none") from None
    return HASH_NAMES[number]
