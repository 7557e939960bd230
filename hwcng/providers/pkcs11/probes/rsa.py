"""RSA, tried once."""

from __future__ import annotations

from functools import partial

from pkcs11 import Mechanism

from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
)
from hwcng.contract.usage import Support, Usage
from hwcng.errors import CngError
from hwcng.hostcrypto.rsa import encrypt
from hwcng.hostcrypto.rsa_encodings import emsa_pkcs1_encode, emsa_pss_verify
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe
from hwcng.standards.hashes import HASHES

__all__ = ["rsa"]

RSA_SIZES = (512, 1024, 1536, 2048, 3072, 4096, 8192, 16384)
PROBED_RSA_BITS = 2048


def rsa(probe: Probe) -> None:
    sizes = probe.offered.key_range(Mechanism.RSA_PKCS_KEY_PAIR_GEN)
    probe.key_bits["RSA"] = tuple(bits for bits in RSA_SIZES if sizes and sizes[0] <= bits <= sizes[1])
    pair: PrivateKey | None = None
    reason = "the token makes no RSA keys"
    try:
        if probe.offered.offers("RSA") is not Support.REFUSED:
            usage = Usage.SIGN | Usage.DECRYPT
            pair = probe.provider.generate_pair(PairSpec("RSA", usage, bits=PROBED_RSA_BITS))
    except CngError as error:
        reason = str(error)
    if pair is None:
        for operation in ("PKCS1", "PSS", "OAEP", "RAW"):
            probe.operations["RSA", operation] = Support.REFUSED
            probe.reasons["RSA", operation] = reason
        return
    try:
        _rsa_operations(probe, pair)
    finally:
        pair.destroy()


def _rsa_operations(probe: Probe, pair: PrivateKey) -> None:
    offers = probe.offered.offers
    for name in HASHES:
        digest = bytes(HASHES[name].digest_size)
        pkcs1, pss, oaep = RsaPkcs1SignSpec(name), RsaPssSpec(name, len(digest)), RsaOaepSpec(name)
        native_pss = Support.NATIVE if probe.offered.native_pss(pss) else _composed(probe)
        native_oaep = Support.NATIVE if probe.offered.native_oaep(oaep) else _composed(probe)
        probe.attempt("RSA", f"PKCS1 {name}", offers("RSA", "PKCS1"), partial(_signs, pair, pkcs1, digest))
        probe.attempt("RSA", f"PSS {name}", native_pss, partial(_signs, pair, pss, digest))
        probe.attempt("RSA", f"OAEP {name}", native_oaep, partial(_decrypts, pair, oaep))
    pkcs1_decryption = partial(_decrypts, pair, RsaPkcs1DecryptSpec())
    probe.attempt("RSA", "PKCS1 decrypt", offers("RSA", "PKCS1"), pkcs1_decryption)
    probe.attempt("RSA", "RAW", offers("RSA", "RAW"), partial(_decrypts, pair, RsaRawSpec()))


def _composed(probe: Probe) -> Support:
    return Support.COMPOSED if probe.offered.has(Mechanism.RSA_X_509) else Support.REFUSED


def _signs(pair: PrivateKey, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes) -> bool:
    if not isinstance(pair.public, RsaPublicKey):
        return False
    size, signature = PROBED_RSA_BITS // 8, pair.sign_digest(spec, digest)
    number = pow(int.from_bytes(signature, "big"), pair.public.public_exponent, pair.public.modulus)
    encoded = number.to_bytes(size, "big")
    if isinstance(spec, RsaPssSpec):
        good = emsa_pss_verify(digest, encoded, spec.hash_name, spec.salt_length, PROBED_RSA_BITS - 1)
    else:
        good = encoded == emsa_pkcs1_encode(digest, spec.hash_name, size)
    return good and len(signature) == size


def _decrypts(pair: PrivateKey, spec: DecryptSpec) -> bool:
    if not isinstance(pair.public, RsaPublicKey):
        return False
    if not isinstance(spec, RsaRawSpec):
        return pair.decrypt(spec, encrypt(pair.public, spec, SAMPLE)) == SAMPLE
    size = PROBED_RSA_BITS // 8
    number = pow(int.from_bytes(SAMPLE, "big"), pair.public.public_exponent, pair.public.modulus)
    return pair.decrypt(spec, number.to_bytes(size, "big")) == SAMPLE.rjust(size, b"\0")
