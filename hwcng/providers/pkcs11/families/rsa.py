"""RSA pairs (PKCS#11 3.2, section 6.1; RFC 8017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from pkcs11 import MGF, Attribute, KeyType, Mechanism

from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import RsaPrivateKey, RsaPublicKey, untold
from hwcng.contract.specs import (
    CipherSpec,
    DecryptSpec,
    PairSpec,
    RsaAesKeyWrapSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
    SecretSpec,
    SignSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.hostcrypto import rsa, rsa_encodings
from hwcng.providers.pkcs11 import mechanisms
from hwcng.providers.pkcs11.capabilities import MechanismSet, Rule
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM, CKZ
from hwcng.providers.pkcs11.families.base import Attributes, PairKind, Reader, TokenPrivateKey, unsigned
from hwcng.providers.pkcs11.families.values import NUMBER, Values, integer
from hwcng.providers.pkcs11.probes.answers import WRAPPED_KEY, WRAPPED_PADDED, key_value
from hwcng.providers.pkcs11.probes.base import MAKES_NONE, SAMPLE, Probe
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.hashes import HASHES

__all__ = ["RsaKind", "oaep", "oaep_is_native", "pss_is_native", "rsa_aes_key_wrap"]

PUBLIC_EXPONENT = b"\x01\x00\x01"
_RAW = int(Mechanism.RSA_X_509)
_Using: TypeAlias = Callable[[Usage, Callable[[PrivateKey], bool]], Callable[[], bool]]
_ASKED_DECRYPTION = "RSA decryption"
_COMPOSED_PSS = "EMSA-PSS on the host, raw RSA in the token"
_COMPOSED_OAEP = "raw RSA in the token, unpadded on the host"
_SIZES = (512, 1024, 1536, 2048, 3072, 4096, 8192, 16384)
_PROBED_BITS = 2048
_OAEP_OF_ALL = RsaOaepSpec("SHA1")
"""What every token has."""


_MGF1: Mapping[str, int] = MappingProxyType(
    {
        "SHA1": int(MGF.SHA1),
        "SHA256": int(MGF.SHA256),
        "SHA384": int(MGF.SHA384),
        "SHA512": int(MGF.SHA512),
        "SHA3-256": int(MGF.SHA3_256),
        "SHA3-384": int(MGF.SHA3_384),
        "SHA3-512": int(MGF.SHA3_512),
    }
)


def _pss(spec: RsaPssSpec) -> mechanisms.MechanismCall:
    parameters = ffi.new("CK_RSA_PKCS_PSS_PARAMS *")
    parameters.hashAlg, parameters.mgf = mechanisms.DIGEST_MECHANISMS[spec.hash_name], _MGF1[spec.hash_name]
    parameters.sLen = spec.salt_length
    return mechanisms.structured(int(Mechanism.RSA_PKCS_PSS), parameters)


def oaep(spec: RsaOaepSpec) -> mechanisms.MechanismCall:
    label = ffi.from_buffer(spec.label)
    parameters = ffi.new("CK_RSA_PKCS_OAEP_PARAMS *")
    parameters.hashAlg, parameters.mgf = mechanisms.DIGEST_MECHANISMS[spec.hash_name], _MGF1[spec.hash_name]
    parameters.source = CKZ.DATA_SPECIFIED
    parameters.pSourceData, parameters.ulSourceDataLen = (label, len(spec.label)) if spec.label else (ffi.NULL, 0)
    return mechanisms.structured(int(Mechanism.RSA_PKCS_OAEP), parameters, label)


def rsa_aes_key_wrap(spec: RsaOaepSpec, aes_bits: int) -> mechanisms.MechanismCall:
    """CKM_RSA_AES_KEY_WRAP. aes_bits: length of the AES key between the two."""
    encryption = oaep(spec)
    parameters = ffi.new("CK_RSA_AES_KEY_WRAP_PARAMS *")
    parameters.ulAESKeyBits = aes_bits
    parameters.pOAEPParams = encryption.parameter
    return mechanisms.structured(CKM.RSA_AES_KEY_WRAP, parameters, encryption.parameter, *encryption.alive)


def pss_is_native(offered: MechanismSet, spec: RsaPssSpec) -> bool:
    # NSS lists no digests in its database's slot; whoever has SHA-3 lists it.
    digest = mechanisms.DIGEST_MECHANISMS[spec.hash_name]
    listed = not spec.hash_name.startswith("SHA3") or offered.has(digest)
    return offered.has(Mechanism.RSA_PKCS_PSS) and spec.hash_name in offered.quirks.pss_hashes and listed


def oaep_is_native(offered: MechanismSet, spec: RsaOaepSpec) -> bool:
    return (
        offered.has(Mechanism.RSA_PKCS_OAEP)
        and spec.hash_name in offered.quirks.oaep_hashes
        and (not spec.label or offered.quirks.oaep_label)
    )


def _bits(key: TokenPrivateKey) -> int:
    if not isinstance(key.public, RsaPublicKey):
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "only an RSA key does RSA")
    return key.public.modulus.bit_length()


class RsaKind(PairKind[RsaPublicKey, RsaPrivateKey]):
    kind = "RSA"
    key_type = KeyType.RSA
    material = RsaPublicKey
    usages = Usage.SIGN | Usage.DECRYPT | Usage.UNWRAP
    stored = MappingProxyType({Attribute.MODULUS: NUMBER, Attribute.PUBLIC_EXPONENT: NUMBER})
    rules = (
        Rule("RSA", None, (Mechanism.RSA_PKCS,)),
        Rule("RSA", "PKCS1", (Mechanism.RSA_PKCS,)),
        Rule("RSA", "PSS", (Mechanism.RSA_PKCS_PSS,), (Mechanism.RSA_X_509,), _COMPOSED_PSS),
        Rule("RSA", "OAEP", (Mechanism.RSA_PKCS_OAEP,), (Mechanism.RSA_X_509,), _COMPOSED_OAEP),
        Rule("RSA", "RAW", (Mechanism.RSA_X_509,)),
        Rule(
            "RSA",
            "AES_KEY_WRAP",
            (CKM.RSA_AES_KEY_WRAP,),
            (Mechanism.RSA_PKCS_OAEP, Mechanism.AES_KEY_WRAP_KWP),
            "two unwrappings in the token: of the AES key by OAEP, and of the key under that",
        ),
    )
    sized = (Mechanism.RSA_PKCS_KEY_PAIR_GEN,)

    def probe(self, probe: Probe) -> None:
        sizes = probe.offered.key_range(Mechanism.RSA_PKCS_KEY_PAIR_GEN)
        probe.key_bits["RSA"] = tuple(bits for bits in _SIZES if sizes and sizes[0] <= bits <= sizes[1])
        made: PrivateKey | None = None
        try:
            if probe.offered.offers("RSA") is not Support.REFUSED:
                made = probe.provider.generate_pair(PairSpec("RSA", _usage(probe), bits=_PROBED_BITS))
        except CngError as error:
            refusal = error
        else:
            refusal = not_supported("the token makes no RSA keys")

        def using(usage: Usage, works: Callable[[PrivateKey], bool]) -> Callable[[], bool]:
            """Whether it works with the pair that was made, else with one that is there and may do this."""

            def tried() -> bool:
                pair = made or (probe.held_pair("RSA", usage) if refusal.status in MAKES_NONE else None)
                if pair is None:
                    raise refusal
                return works(pair)

            return tried

        try:
            _operations(probe, using)
        finally:
            if made is not None:
                made.destroy()

    def generation(self, spec: PairSpec) -> Mechanism:
        return Mechanism.RSA_PKCS_KEY_PAIR_GEN

    def describe(self, spec: PairSpec) -> str:
        return f"a {spec.bits}-bit RSA pair"

    def offered_as(self, spec: PairSpec) -> tuple[str, str | None]:
        return "RSA", None

    def sized_by(self, spec: PairSpec) -> Mechanism:
        return Mechanism.RSA_PKCS_KEY_PAIR_GEN

    def public_attributes(self, spec: PairSpec) -> Attributes:
        return {Attribute.MODULUS_BITS: spec.bits, Attribute.PUBLIC_EXPONENT: PUBLIC_EXPONENT}

    def private_values(self, material: RsaPrivateKey) -> Attributes:
        numbers = {
            Attribute.MODULUS: material.modulus,
            Attribute.PUBLIC_EXPONENT: material.public_exponent,
            Attribute.PRIVATE_EXPONENT: material.private_exponent,
            Attribute.PRIME_1: material.prime1,
            Attribute.PRIME_2: material.prime2,
            Attribute.EXPONENT_1: material.exponent1,
            Attribute.EXPONENT_2: material.exponent2,
            Attribute.COEFFICIENT: material.coefficient,
        }
        return {attribute: unsigned(value) for attribute, value in numbers.items()}

    def public_values(self, public: RsaPublicKey, quirks: Quirks) -> Attributes:
        return {
            Attribute.MODULUS: unsigned(public.modulus),
            Attribute.PUBLIC_EXPONENT: unsigned(public.public_exponent),
        }

    def traits(self, values: Values) -> dict[str, Any]:
        return {"bits": integer(values, Attribute.MODULUS).bit_length()}

    def of_private(self, values: Values) -> RsaPublicKey | None:
        """PKCS#11 3.2, section 6.1.3: a private object has it too."""
        modulus, exponent = integer(values, Attribute.MODULUS), integer(values, Attribute.PUBLIC_EXPONENT)
        return RsaPublicKey(modulus, exponent) if modulus and exponent else None

    def untold(self, values: Values, spec: PairSpec) -> RsaPublicKey | None:
        """CKA_PUBLIC_EXPONENT is optional in a private object."""
        modulus = integer(values, Attribute.MODULUS)
        return untold(RsaPublicKey, modulus=modulus) if modulus else None

    def fits(self, public: object, spec: PairSpec) -> bool:
        return isinstance(public, RsaPublicKey) and public.modulus.bit_length() == spec.bits

    def read_public(self, read: Reader, spec: PairSpec, token_name: str) -> RsaPublicKey:
        kinds = [Attribute.MODULUS, Attribute.PUBLIC_EXPONENT]
        values = read(kinds, spec.bits // 8 + 8)
        modulus, exponent = (int.from_bytes(values[kind] or b"", "big") for kind in kinds)
        return RsaPublicKey(modulus, exponent)

    def to_json(self, public: RsaPublicKey) -> dict[str, Any]:
        return {"modulus": hex(public.modulus), "exponent": hex(public.public_exponent)}

    def from_json(self, spec: PairSpec, described: Mapping[str, Any]) -> RsaPublicKey:
        return RsaPublicKey(int(described["modulus"], 16), int(described["exponent"], 16))

    def sign(self, key: TokenPrivateKey, spec: SignSpec, digest: bytes) -> bytes:
        bits = _bits(key)
        size = (bits + 7) // 8
        if isinstance(spec, RsaPkcs1SignSpec):
            encoded = HASHES[spec.hash_name].digest_info_prefix + digest if spec.hash_name else digest
            call = mechanisms.call(int(Mechanism.RSA_PKCS))
            return key.sign_with(call, encoded, size, "an RSA PKCS #1 signature")
        if not isinstance(spec, RsaPssSpec):
            return super().sign(key, spec, digest)
        asked = "an RSA PSS signature"
        # Tokens have been measured that miscount where the modulus has one bit more than whole octets.
        by_raw = bits % 8 == 1 and key.offered.has(_RAW)
        if pss_is_native(key.offered, spec) and not by_raw:
            return key.sign_with(_pss(spec), digest, size, asked)
        raw = mechanisms.call(_RAW)
        return rsa_encodings.rsa_sign(
            lambda block: key.sign_with(raw, block, size, asked).rjust(size, b"\0"), spec, digest, bits
        )

    def decrypt(self, key: TokenPrivateKey, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        bits = _bits(key)
        size = (bits + 7) // 8
        by_raw = key.offered.quirks.pkcs1_is_lax and key.offered.has(_RAW)
        if isinstance(spec, RsaPkcs1DecryptSpec) and not by_raw:
            return key.decrypt_with(mechanisms.call(int(Mechanism.RSA_PKCS)), ciphertext, size, _ASKED_DECRYPTION)
        if isinstance(spec, RsaOaepSpec):
            rsa_encodings.check_oaep_room(size, spec.hash_name)
        if isinstance(spec, RsaOaepSpec) and oaep_is_native(key.offered, spec):
            return key.decrypt_with(oaep(spec), ciphertext, size, _ASKED_DECRYPTION)
        raw = mechanisms.call(_RAW)
        return rsa_encodings.rsa_decrypt(
            lambda block: key.decrypt_with(raw, block, size, _ASKED_DECRYPTION), spec, ciphertext, bits
        )


def _operations(probe: Probe, using: _Using) -> None:
    offers = probe.offered.offers
    for name in HASHES:
        digest = bytes(HASHES[name].digest_size)
        pkcs1, signed, sealed = RsaPkcs1SignSpec(name), RsaPssSpec(name, len(digest)), RsaOaepSpec(name)
        native_pss = Support.NATIVE if pss_is_native(probe.offered, signed) else _composed(probe)
        native_oaep = Support.NATIVE if oaep_is_native(probe.offered, sealed) else _composed(probe)
        signs = (using(Usage.SIGN, partial(_signs, spec=spec, digest=digest)) for spec in (pkcs1, signed))
        probe.attempt("RSA", f"PKCS1 {name}", offers("RSA", "PKCS1"), next(signs))
        probe.attempt("RSA", f"PSS {name}", native_pss, next(signs), _COMPOSED_PSS)
        decrypts = using(Usage.DECRYPT, partial(_decrypts, spec=sealed))
        probe.attempt("RSA", f"OAEP {name}", native_oaep, decrypts, _COMPOSED_OAEP)
    pkcs1_decryption = using(Usage.DECRYPT, partial(_decrypts, spec=RsaPkcs1DecryptSpec()))
    probe.attempt("RSA", "PKCS1 decrypt", offers("RSA", "PKCS1"), pkcs1_decryption)
    raw = using(Usage.DECRYPT, partial(_decrypts, spec=RsaRawSpec()))
    probe.attempt("RSA", "RAW", offers("RSA", "RAW"), raw)
    unwraps = using(Usage.UNWRAP, partial(_unwraps, probe))
    probe.attempt("RSA", "AES_KEY_WRAP", offers("RSA", "AES_KEY_WRAP"), unwraps)


def _usage(probe: Probe) -> Usage:
    unwraps = probe.offered.offers("RSA", "AES_KEY_WRAP") is not Support.REFUSED
    return Usage.SIGN | Usage.DECRYPT | (Usage.UNWRAP if unwraps else Usage.NONE)


def _unwraps(probe: Probe, pair: PrivateKey) -> bool:
    """Whether the known key comes out of what the host made for the pair."""
    if not isinstance(pair.public, RsaPublicKey):
        return False
    wrapped = rsa.encrypt(pair.public, _OAEP_OF_ALL, key_value(256)) + WRAPPED_PADDED
    spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT)
    key = probe.provider.unwrap_secret(spec, pair, wrapped, RsaAesKeyWrapSpec(_OAEP_OF_ALL))
    try:
        expected = probe.provider.import_secret(spec, WRAPPED_KEY)
        try:
            ecb = CipherSpec(CipherMode.ECB)
            return key.encrypt(ecb, SAMPLE) == expected.encrypt(ecb, SAMPLE)
        finally:
            expected.destroy()
    finally:
        key.destroy()


def _composed(probe: Probe) -> Support:
    return Support.COMPOSED if probe.offered.has(Mechanism.RSA_X_509) else Support.REFUSED


def _signs(pair: PrivateKey, *, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes) -> bool:
    if not isinstance(pair.public, RsaPublicKey):
        return False
    bits = pair.public.modulus.bit_length()
    size, signature = (bits + 7) // 8, pair.sign_digest(spec, digest)
    number = pow(int.from_bytes(signature, "big"), pair.public.public_exponent, pair.public.modulus)
    encoded = number.to_bytes(size, "big")
    if isinstance(spec, RsaPssSpec):
        good = rsa_encodings.emsa_pss_verify(digest, encoded, spec.hash_name, spec.salt_length, bits - 1)
    else:
        good = encoded == rsa_encodings.emsa_pkcs1_encode(digest, spec.hash_name, size)
    return good and len(signature) == size


def _decrypts(pair: PrivateKey, *, spec: DecryptSpec) -> bool:
    if not isinstance(pair.public, RsaPublicKey):
        return False
    if not isinstance(spec, RsaRawSpec):
        return pair.decrypt(spec, rsa.encrypt(pair.public, spec, SAMPLE)) == SAMPLE
    size = (pair.public.modulus.bit_length() + 7) // 8
    number = pow(int.from_bytes(SAMPLE, "big"), pair.public.public_exponent, pair.public.modulus)
    return pair.decrypt(spec, number.to_bytes(size, "big")) == SAMPLE.rjust(size, b"\0")
