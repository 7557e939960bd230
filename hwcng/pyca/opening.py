"""Private keys of `cryptography` by their URI, and out of a caller's hands into a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from hwcng import named_keys
from hwcng.cng import naming
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.material import (
    DhPublicKey,
    DsaPublicKey,
    EcPublicKey,
    MlDsaPublicKey,
    MlKemPublicKey,
    PublicKeyMaterial,
    RsaPublicKey,
)
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.hostcrypto.host_keys import private_material
from hwcng.ksp.handles import NCryptKey
from hwcng.pyca.failures import as_cryptography_raises
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hwcng.providers.uri import Pin

__all__ = ["import_private_key", "private_key"]


def private_key(uri_or_key: str | KeyPair | SymmetricKey | NCryptKey, *, pin: Pin | None = None) -> PrivateKeyTypes:
    """A token's key as a private key of `cryptography`: an instance of its abstract class.

    uri_or_key: a key's URI, or a pair of bcrypt.h, of ncrypt.h or of `hwcng.open_key`. pin: as `hwcng.open_key` has it,
    with a URI alone.

    Raises CngError as `hwcng.open_key` does, TypeError for what is no key, UnsupportedAlgorithm for a secret key and
    where `cryptography` has no such keys, ValueError for a pair without a private half.
    """
    if isinstance(uri_or_key, str):
        key: object = named_keys.open_key(uri_or_key, pin=pin)
    else:
        key = uri_or_key
        if pin is not None:
            raise TypeError("pin goes with a URI: a key is open already")
    if not hasattr(key, "as_cryptography"):
        raise TypeError(f"a URI or a key of hwcng expected, not {type(key).__name__}")
    with as_cryptography_raises():
        made: PrivateKeyTypes = key.as_cryptography()
    return made


_KINDS: Mapping[type, tuple[str, Usage]] = {
    RsaPublicKey: ("RSA", Usage.SIGN | Usage.DECRYPT),
    EcPublicKey: ("EC", Usage.SIGN),
    DhPublicKey: ("DH", Usage.DERIVE),
    DsaPublicKey: ("DSA", Usage.SIGN),
    MlDsaPublicKey: ("ML-DSA", Usage.SIGN),
    MlKemPublicKey: ("ML-KEM", Usage.DECAPSULATE),
}
"""The numbers of a public key -> PairSpec.kind, and what its private half may do where nobody says it."""


def import_private_key(
    provider: Provider, key: PrivateKeyTypes, name: str | None = None, *, usage: Usage | None = None
) -> KeyPair:
    """Puts a private key of `cryptography` into a token. The library keeps no copy; the caller's own is the caller's.

    name: under which the token keeps it; None: it ends with the process. usage: what it may do there, None for RSA's
    SIGN | DECRYPT, and of a key on a curve SIGN, save for X25519; a key that agrees on secrets has DERIVE.

    Raises UnsupportedAlgorithm for a kind of key, a curve or a usage that the token does not take, ValueError for a key
    that is not sound, a name that is taken, and what the token answers.
    """
    with as_cryptography_raises():
        material = private_material(key)
        spec = _spec(material.public, usage)
        pair = naming.handle_of(provider, provider.import_pair(spec, material), None)
        assert isinstance(pair, KeyPair)  # noqa: S101 - a private key was imported
        if name is None:
            return pair
        with pair:
            return pair.persist(name)


def _spec(public: PublicKeyMaterial, usage: Usage | None) -> PairSpec:
    kind, usual = _KINDS[type(public)]
    if isinstance(public, EcPublicKey) and CURVES[public.curve].montgomery:
        usual = Usage.DERIVE
    spec = PairSpec(kind, usual if usage is None else usage)
    if isinstance(public, RsaPublicKey):
        return replace(spec, bits=public.modulus.bit_length())
    if isinstance(public, EcPublicKey):
        return replace(spec, curve=public.curve)
    if isinstance(public, (DhPublicKey, DsaPublicKey)):
        return replace(spec, bits=public.domain.prime.bit_length(), domain=public.domain)
    return replace(spec, parameter_set=public.parameter_set)
