"""Agreed secrets: what BCryptSecretAgreement returns and BCryptDeriveKey works on (SP 800-56A r3)."""

from __future__ import annotations

from hwcng.arguments import string
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.derivation_key import resident_key, whole_bytes
from hwcng.cng.derive import functions
from hwcng.cng.derive.functions import concat_hash, hkdf_spec, other_info
from hwcng.cng.derive.hkdf import HkdfState
from hwcng.cng.derive.parameters import ParameterList, Parameters, require_hash
from hwcng.cng.handles import Handle, in_use
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import AgreedSecret, KeyingMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import DigestKdfSpec, KdfSpec
from hwcng.errors import not_supported, told
from hwcng.headers.bcrypt_h import BCRYPT_KDF_HASH, BCRYPT_KDF_HKDF, BCRYPT_SP80056A_CONCAT_KDF, BufferType
from hwcng.standards.hashes import HASHES

__all__ = ["Secret"]

_FIRST = (1).to_bytes(4, "big")


class Secret(Handle):
    """A secret that two keys agreed on. It outlives both keys.

    group: the name of the curve, or "DH". bits: the length of its field in bits; of DH, that of a curve of the same
    strength.
    """

    called = "an agreed secret"

    def __init__(self, handle: AlgorithmHandle, agreed: AgreedSecret, group: str, bits: int) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.agreed = agreed
        self.group = group
        self.bits = bits
        self.hkdf = HkdfState()

    def __repr__(self) -> str:
        return f"<Secret {self.algorithm_handle.name} {self.group}{'' if self.alive else ' destroyed'}>"

    @in_use
    def derive(self, function: str, parameters: ParameterList | None, length: int | None, flags: int = 0) -> bytes:
        """Key material for the caller. length: bytes at most, None for the function's natural length."""
        return functions.derive(self.agreed, self.bits, self.hkdf, function, parameters, length, flags)

    @in_use
    def derive_to_key(
        self, handle: AlgorithmHandle, function: str, parameters: ParameterList | None, bits: int
    ) -> SymmetricKey:
        """A key of the algorithm `handle`, `bits` long, derived into the token.

        This call brings neither secret nor key to the host; BCryptDeriveKey with the same parameters gives the same
        bytes to whoever has the secret's handle.

        function: BCRYPT_KDF_HASH, BCRYPT_SP80056A_CONCAT_KDF or BCRYPT_KDF_HKDF, with the parameters of
        BCryptDeriveKey. Raises STATUS_NOT_SUPPORTED for another function, for fewer bits than 112, for more than one
        digest where the function makes but one, and where the token has no mechanism for it; STATUS_INVALID_PARAMETER
        for a length that the algorithm does not have.
        """
        provider = self.algorithm_handle.provider
        return _from_secret(self.agreed, provider, self.bits, self.hkdf, function, parameters, handle, bits)

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self.agreed.destroy()


def _from_secret(
    material: KeyingMaterial,
    provider: Provider,
    group_bits: int,
    hkdf: HkdfState,
    function: str,
    pairs: ParameterList | None,
    handle: AlgorithmHandle,
    bits: int,
) -> SymmetricKey:
    """A key of an agreed secret, by HASH, SP800_56A_CONCAT or HKDF."""
    bits, function = whole_bytes(bits), string(function, "function")
    parameters = Parameters(pairs)
    kdf: KdfSpec
    if function == BCRYPT_KDF_HASH:
        hash_name = require_hash(parameters.hash_function("SHA1")).name
        prefix = parameters.octets(BufferType.KDF_SECRET_PREPEND)
        kdf = _one_digest(DigestKdfSpec(hash_name, prefix, parameters.octets(BufferType.KDF_SECRET_APPEND)), bits)
    elif function == BCRYPT_SP80056A_CONCAT_KDF:
        hash_name = concat_hash(parameters, group_bits)
        kdf = _one_digest(DigestKdfSpec(hash_name, _FIRST, other_info(parameters)), bits)
    elif function == BCRYPT_KDF_HKDF:
        kdf = hkdf_spec(parameters, hkdf)
    else:
        raise not_supported(
            f"no token makes a key of {told(function)} inside: use {BCRYPT_KDF_HASH}, {BCRYPT_SP80056A_CONCAT_KDF} or "
            f"{BCRYPT_KDF_HKDF}"
        )
    return resident_key(handle, bits, provider, lambda spec: material.derive_key(kdf, spec))


def _one_digest(kdf: DigestKdfSpec, bits: int) -> DigestKdfSpec:
    size = HASHES[kdf.hash_name].digest_size
    if bits > 8 * size:
        raise not_supported(f"a key inside the token has at most the {8 * size} bits of one {kdf.hash_name} digest")
    return kdf
