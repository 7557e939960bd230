"""What a token offers: its mechanism list read by rules, and the probe that tries every operation once.

The mechanism list is a hint (OASIS PKCS#11 3.2, section 5.5): it decides what may be asked, the probe what is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from pkcs11 import Mechanism

from hwcng.curves import CURVES
from hwcng.errors import CngError
from hwcng.forking import ProcessLock
from hwcng.hashes import HASHES
from hwcng.providers.base import (
    AeadSpec,
    AesMode,
    Capabilities,
    CipherSpec,
    CmacSpec,
    DecryptSpec,
    EcdsaSpec,
    GmacSpec,
    HmacSpec,
    PairSpec,
    PrivateKey,
    Provider,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaPublicKey,
    RsaRawSpec,
    SecretFamily,
    SecretSpec,
    Support,
    Usage,
)
from hwcng.providers.compose import eme_oaep_encode, eme_pkcs1_encode
from hwcng.providers.pkcs11.mechanisms import HMAC_MECHANISMS
from hwcng.providers.pkcs11.quirks import Quirks

__all__ = ["MechanismInfo", "MechanismSet", "probe"]


@dataclass(frozen=True, slots=True)
class MechanismInfo:
    """CK_MECHANISM_INFO: key sizes in the mechanism's own unit, and its CKF_ flags."""

    min_key_size: int
    max_key_size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Rule:
    """An operation: the mechanisms that serve it natively, or else those that compose it soundly."""

    algorithm: str
    operation: str | None
    native: tuple[Mechanism, ...] = ()
    composed: tuple[Mechanism, ...] = ()
    composition: str = ""


_RULES: tuple[Rule, ...] = (
    Rule("AES", "ECB", (Mechanism.AES_ECB,)),
    Rule("AES", "CBC", (Mechanism.AES_CBC,)),
    Rule("AES", "CFB8", (Mechanism.AES_CFB8,), (Mechanism.AES_ECB,), "one AES-ECB call per byte encrypted"),
    Rule("AES", "CFB128", (Mechanism.AES_CFB128,), (Mechanism.AES_ECB,), "one AES-ECB call per block encrypted"),
    Rule("AES", "GCM", (Mechanism.AES_GCM,)),
    Rule("AES", "CCM", (), (Mechanism.AES_ECB, Mechanism.AES_CBC), "AES-CBC for the tag, AES-ECB for the key stream"),
    Rule("AES", "WRAP", (Mechanism.AES_KEY_WRAP,)),
    Rule("AES-CMAC", None, (Mechanism.AES_CMAC,)),
    Rule("AES-GMAC", None, (), (Mechanism.AES_GCM,), "AES-GCM of an empty plaintext"),
    *(Rule(f"HMAC-{name}", None, (Mechanism(mechanism),)) for name, mechanism in HMAC_MECHANISMS.items()),
    Rule("RSA", None, (Mechanism.RSA_PKCS,)),
    Rule("RSA", "PKCS1", (Mechanism.RSA_PKCS,)),
    Rule("RSA", "PSS", (Mechanism.RSA_PKCS_PSS,), (Mechanism.RSA_X_509,), "EMSA-PSS on the host, raw RSA in the token"),
    Rule(
        "RSA", "OAEP", (Mechanism.RSA_PKCS_OAEP,), (Mechanism.RSA_X_509,), "raw RSA in the token, unpadded on the host"
    ),
    Rule("RSA", "RAW", (Mechanism.RSA_X_509,)),
    Rule("ECDSA", None, (Mechanism.ECDSA,)),
    Rule("ECDH", None, (Mechanism.ECDH1_DERIVE,)),
)

_COMPOSITIONS = {rule.operation: rule.composition for rule in _RULES if rule.algorithm == "RSA"}

RELEVANT_MECHANISMS = frozenset(
    {int(mechanism) for rule in _RULES for mechanism in (*rule.native, *rule.composed)}
    | {
        int(mechanism)
        for mechanism in (
            Mechanism.AES_KEY_GEN,
            Mechanism.GENERIC_SECRET_KEY_GEN,
            Mechanism.RSA_PKCS_KEY_PAIR_GEN,
            Mechanism.EC_KEY_PAIR_GEN,
            Mechanism.EXTRACT_KEY_FROM_KEY,
            Mechanism.AES_KEY_WRAP_KWP,
            Mechanism.AES_KEY_WRAP_PAD,
            Mechanism.AES_CBC_PAD,
        )
    }
)


class MechanismSet:
    """A token's mechanism list, read by the rules. has_rng: CKF_RNG of the token."""

    def __init__(
        self, infos: Mapping[int, MechanismInfo], listed: Iterable[int], quirks: Quirks, has_rng: bool
    ) -> None:
        self.infos = infos
        self.quirks = quirks
        self.listed = frozenset(listed)
        self._offers: dict[tuple[str, str | None], Support] = {}
        self.reasons: dict[tuple[str, str | None], str] = {}
        for rule in _RULES:
            self._apply(rule)
        modes = [self._offers["AES", mode.value] for mode in AesMode]
        self._offers["AES", None] = Support.NATIVE if Support.NATIVE in modes else Support.REFUSED
        self._offers["RNG", None] = Support.NATIVE if has_rng else Support.REFUSED
        for algorithm in ("ECDSA", "ECDH"):
            for curve in CURVES:
                self._offers[algorithm, curve] = self._curve(algorithm, curve)

    def _apply(self, rule: Rule) -> None:
        key = rule.algorithm, rule.operation
        if rule.native and all(self.has(mechanism) for mechanism in rule.native):
            self._offers[key] = Support.NATIVE
        elif rule.composed and all(self.has(mechanism) for mechanism in rule.composed):
            self._offers[key] = Support.COMPOSED
            self.reasons[key] = rule.composition
        else:
            self._offers[key] = Support.REFUSED
            missing = [m.name for m in (rule.native or rule.composed) if not self.has(m)]
            self.reasons[key] = f"the token has no CKM_{', CKM_'.join(missing)}"

    def _curve(self, algorithm: str, curve: str) -> Support:
        """Which curves exist is in no mechanism list: sizes and quirks decide what may be tried."""
        support = self._offers[algorithm, None]
        generation = self.infos.get(int(Mechanism.EC_KEY_PAIR_GEN))
        named = self.quirks.named_curves
        bits = CURVES[curve].bits
        if generation is None or not generation.min_key_size <= bits <= generation.max_key_size:
            support = Support.REFUSED
        if named is not None and curve not in named:
            support = Support.REFUSED
        if support is Support.REFUSED:
            reason = self.reasons.get((algorithm, None), f"the token makes no keys on {curve}")
            self.reasons[algorithm, curve] = reason
        return support

    def has(self, mechanism: int) -> bool:
        return int(mechanism) in self.listed

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offers.get((algorithm, operation), Support.REFUSED)

    def native_pss(self, spec: RsaPssSpec) -> bool:
        return self.has(Mechanism.RSA_PKCS_PSS) and spec.hash_name in self.quirks.pss_hashes

    def native_oaep(self, spec: RsaOaepSpec) -> bool:
        return (
            self.has(Mechanism.RSA_PKCS_OAEP)
            and spec.hash_name in self.quirks.oaep_hashes
            and (not spec.label or self.quirks.oaep_label)
        )

    def key_range(self, mechanism: Mechanism) -> tuple[int, int] | None:
        info = self.infos.get(int(mechanism))
        return (info.min_key_size, info.max_key_size) if info else None


RSA_SIZES = (512, 1024, 1536, 2048, 3072, 4096, 8192, 16384)
AES_SIZES = (128, 192, 256)
PROBED_RSA_BITS = 2048

_AES_USAGE = Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP
_SAMPLE = bytes(range(32))
_MODE_SPECS: Mapping[AesMode, CipherSpec | AeadSpec] = MappingProxyType(
    {
        AesMode.ECB: CipherSpec(AesMode.ECB),
        **{mode: CipherSpec(mode, bytes(16)) for mode in (AesMode.CBC, AesMode.CFB8, AesMode.CFB128)},
        **{mode: AeadSpec(mode, bytes(12), b"aad", 16) for mode in (AesMode.GCM, AesMode.CCM)},
    }
)


class _Probe:
    """One pass over a token."""

    def __init__(self, provider: Provider, offered: MechanismSet) -> None:
        self.provider = provider
        self.offered = offered
        self.operations: dict[tuple[str, str], Support] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.key_bits: dict[str, tuple[int, ...]] = {}

    def _try(self, algorithm: str, operation: str, support: Support, attempt: Callable[[], bool]) -> None:
        key = algorithm, operation
        reasons = self.offered.reasons
        scheme = operation.split()[0]
        reason = reasons.get((algorithm, scheme)) or reasons.get((algorithm, None)) or _COMPOSITIONS.get(scheme, "")
        if support is not Support.REFUSED:
            try:
                if not attempt():
                    support, reason = Support.REFUSED, "the token's result was wrong"
            except CngError as error:
                support, reason = Support.REFUSED, str(error)
        self.operations[key] = support
        if support is not Support.NATIVE:
            self.reasons[key] = reason

    def _secret(self, family: SecretFamily, bits: int, usage: Usage, hash_name: str | None = None) -> SecretSpec:
        return SecretSpec(family, bits, usage, exportable=family is SecretFamily.AES, hash_name=hash_name)

    def aes(self) -> None:
        made = []
        for bits in AES_SIZES:
            self._try("AES", f"generate {bits}", self.offered.offers("AES"), partial(self._aes_key, bits))
            if self.operations["AES", f"generate {bits}"] is not Support.REFUSED:
                made.append(bits)
        self.key_bits["AES"] = tuple(made)
        for mode, spec in _MODE_SPECS.items():
            self._try("AES", mode.value, self.offered.offers("AES", mode.value), partial(self._round_trip, spec))
        self._try("AES", "WRAP", self.offered.offers("AES", "WRAP"), self._wrap)

    def _aes_key(self, bits: int) -> bool:
        self.provider.generate_secret(self._secret(SecretFamily.AES, bits, _AES_USAGE)).destroy()
        return True

    def _round_trip(self, spec: CipherSpec | AeadSpec) -> bool:
        key = self.provider.generate_secret(self._secret(SecretFamily.AES, 256, _AES_USAGE))
        try:
            return key.decrypt(spec, key.encrypt(spec, _SAMPLE)) == _SAMPLE
        finally:
            key.destroy()

    def _wrap(self) -> bool:
        spec = self._secret(SecretFamily.AES, 256, _AES_USAGE)
        wrapping_key, key = self.provider.generate_secret(spec), self.provider.generate_secret(spec)
        try:
            again = self.provider.unwrap_secret(spec, wrapping_key, wrapping_key.wrap_key(key))
            ecb = CipherSpec(AesMode.ECB)
            same = again.encrypt(ecb, _SAMPLE) == key.encrypt(ecb, _SAMPLE)
            again.destroy()
            return same
        finally:
            wrapping_key.destroy()
            key.destroy()

    def macs(self) -> None:
        self._try("AES-CMAC", "MAC", self.offered.offers("AES-CMAC"), self._cmac)
        self._try("AES-GMAC", "MAC", self.offered.offers("AES-GMAC"), self._gmac)
        for name in HASHES:
            self._try(f"HMAC-{name}", "MAC", self.offered.offers(f"HMAC-{name}"), partial(self._hmac, name))

    def _cmac(self) -> bool:
        key = self.provider.generate_secret(self._secret(SecretFamily.CMAC, 128, Usage.SIGN))
        try:
            return len(key.mac(CmacSpec(), _SAMPLE)) == 16
        finally:
            key.destroy()

    def _gmac(self) -> bool:
        key = self.provider.generate_secret(self._secret(SecretFamily.GMAC, 128, Usage.ENCRYPT))
        try:
            return len(key.mac(GmacSpec(bytes(12)), _SAMPLE)) == 16
        finally:
            key.destroy()

    def _hmac(self, hash_name: str) -> bool:
        hash_function = HASHES[hash_name]
        value = bytes(range(hash_function.digest_size))
        spec = self._secret(SecretFamily.HMAC, 8 * len(value), Usage.SIGN, hash_name)
        key = self.provider.import_secret(spec, value)
        try:
            return key.mac(HmacSpec(hash_name), _SAMPLE) == hash_function.hmac(value, _SAMPLE)
        finally:
            key.destroy()

    def rsa(self) -> None:
        sizes = self.offered.key_range(Mechanism.RSA_PKCS_KEY_PAIR_GEN)
        self.key_bits["RSA"] = tuple(bits for bits in RSA_SIZES if sizes and sizes[0] <= bits <= sizes[1])
        pair: PrivateKey | None = None
        reason = "the token makes no RSA keys"
        try:
            if self.offered.offers("RSA") is not Support.REFUSED:
                usage = Usage.SIGN | Usage.DECRYPT
                pair = self.provider.generate_pair(PairSpec("RSA", usage, bits=PROBED_RSA_BITS))
        except CngError as error:
            reason = str(error)
        if pair is None:
            for operation in ("PKCS1", "PSS", "OAEP", "RAW"):
                self.operations["RSA", operation] = Support.REFUSED
                self.reasons["RSA", operation] = reason
            return
        try:
            self._rsa_operations(pair)
        finally:
            pair.destroy()

    def _rsa_operations(self, pair: PrivateKey) -> None:
        offers = self.offered.offers
        for name in HASHES:
            digest = bytes(HASHES[name].digest_size)
            pkcs1, pss, oaep = RsaPkcs1SignSpec(name), RsaPssSpec(name, len(digest)), RsaOaepSpec(name)
            native_pss = Support.NATIVE if self.offered.native_pss(pss) else self._composed()
            native_oaep = Support.NATIVE if self.offered.native_oaep(oaep) else self._composed()
            self._try("RSA", f"PKCS1 {name}", offers("RSA", "PKCS1"), partial(self._signs, pair, pkcs1, digest))
            self._try("RSA", f"PSS {name}", native_pss, partial(self._signs, pair, pss, digest))
            self._try("RSA", f"OAEP {name}", native_oaep, partial(self._decrypts, pair, oaep))
        pkcs1_decryption = partial(self._decrypts, pair, RsaPkcs1DecryptSpec())
        self._try("RSA", "PKCS1 decrypt", offers("RSA", "PKCS1"), pkcs1_decryption)
        self._try("RSA", "RAW", offers("RSA", "RAW"), partial(self._decrypts, pair, RsaRawSpec()))

    def _composed(self) -> Support:
        return Support.COMPOSED if self.offered.has(Mechanism.RSA_X_509) else Support.REFUSED

    @staticmethod
    def _signs(pair: PrivateKey, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes) -> bool:
        return len(pair.sign_digest(spec, digest)) == PROBED_RSA_BITS // 8

    @staticmethod
    def _decrypts(pair: PrivateKey, spec: DecryptSpec) -> bool:
        if not isinstance(pair.public, RsaPublicKey):
            return False
        size = PROBED_RSA_BITS // 8
        message = _SAMPLE
        if isinstance(spec, RsaOaepSpec):
            block = eme_oaep_encode(message, size, spec.hash_name, spec.label)
        elif isinstance(spec, RsaPkcs1DecryptSpec):
            block = eme_pkcs1_encode(message, size)
        else:
            block = message = _SAMPLE.rjust(size, b"\0")
        number = pow(int.from_bytes(block, "big"), pair.public.public_exponent, pair.public.modulus)
        return pair.decrypt(spec, number.to_bytes(size, "big")) == message

    def curves(self) -> None:
        for curve in CURVES:
            self._try("ECDSA", curve, self.offered.offers("ECDSA", curve), partial(self._ecdsa, curve))
            self._try("ECDH", curve, self.offered.offers("ECDH", curve), partial(self._ecdh, curve))

    def _ecdsa(self, curve: str) -> bool:
        pair = self.provider.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
        try:
            return len(pair.sign_digest(EcdsaSpec(), bytes(range(32)))) == 2 * CURVES[curve].coordinate_size
        finally:
            pair.destroy()

    def _ecdh(self, curve: str) -> bool:
        spec = PairSpec("EC", Usage.DERIVE, curve=curve)
        ours, theirs = self.provider.generate_pair(spec), self.provider.generate_pair(spec)
        try:
            one, other = ours.agree(theirs.public), theirs.agree(ours.public)
            same = one.digest("SHA256", b"", b"") == other.digest("SHA256", b"", b"")
            one.destroy()
            other.destroy()
            return same
        finally:
            ours.destroy()
            theirs.destroy()

    def random(self) -> None:
        self._try("RNG", "random", self.offered.offers("RNG"), lambda: len(self.provider.random(32)) == 32)


_probed: dict[tuple[object, ...], Capabilities] = {}
_probing = ProcessLock()


def probe(provider: Provider, offered: MechanismSet) -> Capabilities:
    """Tries everything once; remembered per kind of token for the life of the process."""
    token = provider.token
    kind = (token.manufacturer, token.model, token.firmware, token.library, offered.listed)
    with _probing.held():
        if kind not in _probed:
            run = _Probe(provider, offered)
            run.random()
            run.aes()
            run.macs()
            run.rsa()
            run.curves()
            _probed[kind] = Capabilities(
                token,
                MappingProxyType(run.operations),
                MappingProxyType(run.key_bits),
                MappingProxyType(run.reasons),
            )
    found = _probed[kind]
    return Capabilities(token, found.operations, found.key_bits, found.reasons)
