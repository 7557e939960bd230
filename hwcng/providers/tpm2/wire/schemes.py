"""Schemes of asymmetric keys: TPMT_SIG_SCHEME and TPMT_RSA_DECRYPT (TPM 2.0 Library, Part 2, section 11.2).

Other software makes keys with a scheme of their own, which the TPM holds them to.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType

from hwcng.contract.protection import KeyScheme
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, told
from hwcng.providers.tpm2.wire.constants import ALG, HASH_IDS, HASH_NAMES
from hwcng.providers.tpm2.wire.marshal import u16
from hwcng.standards.hashes import HASHES

__all__ = ["Fixed", "check", "ecdsa", "numbered", "require"]

Fixed = tuple[int, int] | None
"""What a key's public area holds it to: algorithm and hash, as TPM_ALG_ID; None for nothing."""

_USES: Mapping[int, Usage] = MappingProxyType(
    {
        ALG.RSASSA: Usage.SIGN | Usage.ATTEST,
        ALG.RSAPSS: Usage.SIGN | Usage.ATTEST,
        ALG.RSAES: Usage.DECRYPT,
        ALG.OAEP: Usage.DECRYPT,
    }
)
"""Schemes of RSA keys, and what a key that is held to one is for."""


def numbered(scheme: KeyScheme | None) -> Fixed:
    """Raises STATUS_NOT_SUPPORTED for a scheme or a hash that no TPM has."""
    if scheme is None:
        return None
    algorithm = ALG.__members__.get(scheme.algorithm)
    if algorithm is None or algorithm not in _USES or bool(scheme.hash_name) is (algorithm == ALG.RSAES):
        raise _unsupported(f"{told(scheme.algorithm)} is no scheme of RSA keys, or not with this hash")
    if scheme.hash_name and scheme.hash_name not in HASH_IDS:
        raise _unsupported(f"{told(scheme.hash_name)} is no hash of a TPM's")
    return algorithm, HASH_IDS[scheme.hash_name] if scheme.hash_name else 0


def check(fixed: Fixed, spec: PairSpec) -> None:
    """Raises STATUS_INVALID_PARAMETER where a key of `spec` cannot be held to a scheme."""
    if fixed is None:
        return
    if spec.kind != "RSA" or spec.usage & ~_USES[fixed[0]]:
        raise invalid_parameter(f"a key that is held to {_shown(fixed)} is an RSA key for that alone")


_HASHES = ("SHA1", "SHA256", "SHA384", "SHA512")


def ecdsa(fixed: Fixed, length: int, hashes: Container[str]) -> tuple[int, bytes]:
    """The size of the shortest hash that holds `length` bytes, and the TPMT_SIG_SCHEME that names it.

    hashes: the TPM's. Raises STATUS_NOT_SUPPORTED, and names the hash where the key has only one.
    """
    if fixed is not None:
        return _fixed_ecdsa(fixed, length)
    for name in _HASHES:
        if HASHES[name].digest_size >= length and name in hashes:
            return HASHES[name].digest_size, u16(ALG.ECDSA) + u16(HASH_IDS[name])
    raise _unsupported(f"ECDSA: the TPM has no hash for a digest of {length} bytes")


def _fixed_ecdsa(fixed: tuple[int, int], length: int) -> tuple[int, bytes]:
    algorithm, number = fixed
    name = HASH_NAMES.get(number)
    if algorithm != ALG.ECDSA or name is None:
        raise _unsupported(f"ECDSA: the key is held to {_shown(fixed)}")
    size = HASHES[name].digest_size
    if length > size:
        raise _unsupported(f"ECDSA: the key is held to {_shown(fixed)}, so to digests of {size} bytes, not of {length}")
    return size, u16(algorithm) + u16(number)


def require(fixed: Fixed, algorithm: ALG, hash_name: str | None) -> None:
    """Raises STATUS_NOT_SUPPORTED where an RSA key is held to another scheme than the one that is asked for."""
    asked = algorithm, HASH_IDS.get(hash_name or "", 0)
    if fixed is not None and fixed != asked:
        raise _unsupported(f"the key is held to {_shown(fixed)}, and does not serve {_shown(asked)}")


def _shown(scheme: tuple[int, int]) -> str:
    algorithm, number = scheme
    name = ALG(algorithm).name if algorithm in ALG._value2member_map_ else f"scheme {algorithm:#x}"
    return f"{name} with {HASH_NAMES.get(number, f'hash {number:#x}')}" if number else name


def _unsupported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)
