"""ML-DSA and ML-KEM on the host: verification, encapsulation, and the checks on keys before a token sees them.

Standards: FIPS 204, sections 5.3 and 5.4; FIPS 203, sections 7.2 and 7.3. The arithmetic is `cryptography`'s, where it
has the parameter set.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey, MlKemPrivateKey, MlKemPublicKey
from hwcng.contract.specs import MlDsaSpec
from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.hostcrypto.host_kind import HostKind, digits_of_class, nothing
from hwcng.hostcrypto.lattice_expand import (
    ML_KEM_Q,
    ml_dsa_expanded,
    ml_dsa_public,
    ml_kem_coefficients,
    ml_kem_expanded,
    ml_kem_public,
)
from hwcng.loading import host_work
from hwcng.standards.hashes import HASHES
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS, MU_SIZE

__all__ = [
    "HOST_KINDS",
    "check_ml_kem_public",
    "encapsulate",
    "encapsulates",
    "ml_dsa_private",
    "ml_kem_private",
    "verify_ml_dsa",
]

_USED = {"ML-DSA": "44", "ML-KEM": "768"}
"""The set that is used first stands for all."""
_PREHASHED = b"\x01"
_HASH_SIZE = _EK_SEED_SIZE = 32


def _missing(what: str) -> CngError:
    return CngError(
        NTSTATUS.STATUS_NOT_SUPPORTED,
        f"the host's `cryptography` has no {what}: its OpenSSL lacks it",
    )


def _host_class(module: str, name: str) -> Any:
    """A key class of `cryptography`. Raises STATUS_NOT_SUPPORTED where it has none."""
    try:
        return getattr(importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{module}"), name)
    except (ImportError, AttributeError):
        raise _missing(name) from None


def _loaded(load: Callable[[bytes], Any], octets: bytes, what: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(octets)
    except UnsupportedAlgorithm:
        raise _missing(what) from None
    except ValueError:
        raise invalid_parameter(f"the {what} key is not one") from None


def _ml_dsa_to_host(public: MlDsaPublicKey) -> Any:
    host_class = _host_class("mldsa", f"MLDSA{public.parameter_set}PublicKey")
    return _loaded(host_class.from_public_bytes, public.value, f"ML-DSA-{public.parameter_set}")


def _ml_kem_to_host(public: MlKemPublicKey) -> Any:
    host_class = _host_class("mlkem", f"MLKEM{public.parameter_set}PublicKey")
    return _loaded(host_class.from_public_bytes, public.value, f"ML-KEM-{public.parameter_set}")


def prehashed_mu(public: MlDsaPublicKey, context: bytes, hash_name: str, digest: bytes) -> bytes:
    """mu of HashML-DSA (FIPS 204, algorithm 5, and algorithm 8, line 7)."""
    prefix = HASHES[hash_name].digest_info_prefix
    oid = prefix[4 : 6 + prefix[5]]
    message = _PREHASHED + bytes((len(context),)) + context + oid + digest
    return hashlib.shake_256(hashlib.shake_256(public.value).digest(64) + message).digest(MU_SIZE)


@host_work
def verify_ml_dsa(public: MlDsaPublicKey, spec: MlDsaSpec, message: bytes, signature: bytes) -> None:
    """Returns where the signature is good. message: mu where the spec says so, the digest where it names a hash.

    Raises STATUS_INVALID_SIGNATURE, also for a signature of wrong length; STATUS_NOT_SUPPORTED where the host's
    `cryptography` is too old.
    """
    from cryptography.exceptions import InvalidSignature

    key = _ml_dsa_to_host(public)
    good = len(signature) == ML_DSA_SETS[public.parameter_set].signature
    try:
        if good and (spec.external_mu or spec.prehash is not None):
            mu = message if spec.prehash is None else prehashed_mu(public, spec.context, spec.prehash, message)
            if not hasattr(key, "verify_mu"):
                raise _missing("verification of a message representative (verify_mu)")
            key.verify_mu(signature, mu)
        elif good:
            key.verify(signature, message, spec.context)
    except InvalidSignature:
        good = False
    if not good:
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the signature is not valid")


@host_work
def ml_dsa_private(parameter_set: str, value: bytes | None, seed: bytes | None) -> MlDsaPrivateKey:
    """A private key with its public half, which a seed makes and an expanded key implies. A seed makes the expanded key
    too, which some tokens want beside it.

    Raises STATUS_INVALID_PARAMETER for an expanded key whose parts do not belong together.
    """
    if seed is not None:
        host_class = _host_class("mldsa", f"MLDSA{parameter_set}PrivateKey")
        key = _loaded(host_class.from_seed_bytes, seed, f"ML-DSA-{parameter_set}")
        public: bytes | None = key.public_key().public_bytes_raw()
        value = ml_dsa_expanded(ML_DSA_SETS[parameter_set], seed)
    else:
        public = ml_dsa_public(ML_DSA_SETS[parameter_set], value or b"")
    if public is None:
        raise invalid_parameter(f"ML-DSA-{parameter_set}: the parts of the private key do not belong together")
    return MlDsaPrivateKey(MlDsaPublicKey(parameter_set, public), value, seed)


@host_work
def check_ml_kem_public(public: MlKemPublicKey) -> None:
    """The modulus check of FIPS 203, section 7.2; the size is checked already."""
    if any(value >= ML_KEM_Q for value in ml_kem_coefficients(public.value[:-_EK_SEED_SIZE])):
        raise invalid_parameter(
            f"ML-KEM-{public.parameter_set}: the encapsulation key has numbers that are not below the modulus"
        )


@host_work
def ml_kem_private(parameter_set: str, value: bytes | None, seed: bytes | None) -> MlKemPrivateKey:
    """A private key with its public half, which a seed makes and an expanded key holds. A seed makes the expanded key
    too.

    Raises STATUS_INVALID_PARAMETER for an expanded key that fails the hash check of FIPS 203, section 7.3, or whose
    public half fails the modulus check.
    """
    row = ML_KEM_SETS[parameter_set]
    if value is not None:
        start = row.private - row.public - 2 * _HASH_SIZE
        end = start + row.public
        encoded = value[start:end]
        if hashlib.sha3_256(encoded).digest() != value[end : end + _HASH_SIZE]:
            raise invalid_parameter(
                f"ML-KEM-{parameter_set}: the hash in the private key is not that of its public half"
            )
    elif encapsulates(parameter_set):
        host_class = _host_class("mlkem", f"MLKEM{parameter_set}PrivateKey")
        encoded = (
            _loaded(host_class.from_seed_bytes, seed or b"", f"ML-KEM-{parameter_set}").public_key().public_bytes_raw()
        )
    else:
        encoded = ml_kem_public(row, seed or b"")
    public = MlKemPublicKey(parameter_set, encoded)
    check_ml_kem_public(public)
    if value is None:
        value = ml_kem_expanded(row, seed or b"")
    return MlKemPrivateKey(public, value, seed)


@host_work
def encapsulates(parameter_set: str) -> bool:
    """Whether the host's `cryptography` has the set."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        with contextlib.suppress(ValueError):
            _host_class("mlkem", f"MLKEM{parameter_set}PublicKey").from_public_bytes(b"")
    except (CngError, UnsupportedAlgorithm):
        return False
    return True


@host_work
def encapsulate(public: MlKemPublicKey) -> tuple[bytes, bytes]:
    """A shared secret and its ciphertext (FIPS 203, algorithm 20)."""
    secret, ciphertext = _ml_kem_to_host(public).encapsulate()
    return secret, ciphertext


def _ml_dsa_to_public(key: Any) -> MlDsaPublicKey:
    return MlDsaPublicKey(digits_of_class(key), key.public_bytes_raw())


def _ml_dsa_to_private(key: Any) -> MlDsaPrivateKey:
    return ml_dsa_private(digits_of_class(key), None, key.private_bytes_raw())


def _ml_kem_to_public(key: Any) -> MlKemPublicKey:
    return MlKemPublicKey(digits_of_class(key), key.public_bytes_raw())


def _ml_kem_to_private(key: Any) -> MlKemPrivateKey:
    return ml_kem_private(digits_of_class(key), None, key.private_bytes_raw())


def _first_use_of_ml_dsa() -> None:
    row = ML_DSA_SETS[_USED["ML-DSA"]]
    with contextlib.suppress(CngError):
        verify_ml_dsa(MlDsaPublicKey(row.name, bytes(row.public)), MlDsaSpec(), b"data", bytes(row.signature))


def _first_use_of_ml_kem() -> None:
    row = ML_KEM_SETS[_USED["ML-KEM"]]
    with contextlib.suppress(CngError):
        encapsulate(MlKemPublicKey(row.name, bytes(row.public)))


def _is_of(parameter_set: str, public: MlDsaPublicKey | MlKemPublicKey) -> bool:
    return public.parameter_set == parameter_set


HOST_KINDS = (
    *(
        HostKind(
            "mldsa",
            f"MLDSA{name}",
            MlDsaPublicKey,
            _ml_dsa_to_host,
            _ml_dsa_to_public,
            _ml_dsa_to_private,
            _first_use_of_ml_dsa if name == _USED["ML-DSA"] else nothing,
            of=partial(_is_of, name),
        )
        for name in ML_DSA_SETS
    ),
    *(
        HostKind(
            "mlkem",
            f"MLKEM{name}",
            MlKemPublicKey,
            _ml_kem_to_host,
            _ml_kem_to_public,
            _ml_kem_to_private,
            _first_use_of_ml_kem if name == _USED["ML-KEM"] else nothing,
            of=partial(_is_of, name),
        )
        for name in ML_KEM_SETS
    ),
)
