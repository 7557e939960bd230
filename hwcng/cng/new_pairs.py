"""Where key pairs come from: BCryptGenerateKeyPair and BCryptImportKeyPair (bcrypt.h)."""

from __future__ import annotations

from hwcng.cng import wrapped_key
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.blobs.wrapped import WRAPPED_PAIR_BLOBS
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.wrapped_key import Wrapped
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec, describe
from hwcng.errors import invalid_parameter, not_supported, told
from hwcng.headers.bcrypt_h import BCRYPT_OPAQUE_KEY_BLOB
from hwcng.standards.curves import CURVES

__all__ = ["create", "import_blob", "unwrapped"]


def create(handle: AlgorithmHandle, bits: int, flags: int = 0) -> KeyPair:
    """BCryptGenerateKeyPair: an empty pair. Nothing reaches the token before `finalize`."""
    pair = KeyPair(handle, bits)
    if flags & ~pair.family.generation_flags:
        raise invalid_parameter(f"dwFlags {told(flags)} is not for {handle.name}")
    pair.family.check_length(handle.algorithm, handle.curve, bits)
    return pair


def import_blob(handle: AlgorithmHandle, blob_type: str, blob: bytes, import_key: object = None) -> KeyPair:
    """BCryptImportKeyPair: a public key of the host, or a pair whose private half goes into the token.

    import_key: what unwraps a private key that comes wrapped.
    """
    if not handle.algorithm.asymmetric:
        raise not_supported(f"{handle.name} does not use key pairs")
    pair = KeyPair(handle)
    if blob_type in WRAPPED_PAIR_BLOBS:
        wrapped = wrapped_key.read(import_key, blob_type, blob, handle.provider)
        private = unwrapped(pair, wrapped, handle.provider)
        return pair.adopt(private.public, private)
    if blob_type == BCRYPT_OPAQUE_KEY_BLOB:
        return _reload(pair, blob)
    material = pair.parse(blob_type, blob)
    if isinstance(material, PublicKeyMaterial):
        return pair.adopt(material, None)
    private = handle.provider.import_pair(pair.spec_of(material.public), material)
    return pair.adopt(private.public, private)


def unwrapped(pair: KeyPair, wrapped: Wrapped, maker: KeyMaker) -> PrivateKey:
    """Has the token unwrap the private key that the empty `pair` is to be. Its curve, set or length is the key's."""
    known = pair.curve.name if pair.curve is not None else ""
    spec = PairSpec(pair.family.kind, pair.usage, curve=known, exportable=pair.exportable)
    private = maker.unwrap_pair(spec, wrapped.key, wrapped.octets, wrapped.wrap)
    if private.spec.parameter_set not in ("", *pair.algorithm.parameter_sets):
        private.destroy()
        raise invalid_parameter(f"the wrapped key is {describe(private.spec)}, none of {pair.algorithm.name}")
    return private


def _reload(pair: KeyPair, blob: bytes) -> KeyPair:
    key = pair.algorithm_handle.provider.reload_opaque(blob, pin=pair.algorithm_handle.pin)
    if isinstance(key, SecretKey) or not _serves(pair, key):
        key.destroy()
        raise invalid_parameter(f"the opaque blob holds no {pair.algorithm.name} key")
    return pair.adopt(key.public, key)


def _serves(pair: KeyPair, key: PrivateKey) -> bool:
    """Whether a token's key is one of the algorithm of the empty `pair`."""
    return (
        key.spec.kind == pair.family.kind
        and not pair.family.usage(pair.algorithm) & ~key.spec.usage
        and pair.curve in (None, CURVES.get(key.spec.curve))
        and key.spec.parameter_set in ("", *pair.algorithm.parameter_sets)
    )
