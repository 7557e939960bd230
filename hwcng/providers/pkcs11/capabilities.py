"""What a token offers by its mechanism list, read by rules (OASIS PKCS#11 3.2, section 5.5).

The list is a hint: it decides what may be asked, `hwcng.providers.pkcs11.probes` what is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pkcs11 import Mechanism

from hwcng.contract.specs import RsaOaepSpec, RsaPssSpec
from hwcng.contract.usage import CipherMode, Support
from hwcng.providers.pkcs11.mechanisms import CKM, DIGEST_MECHANISMS, EC_MONTGOMERY_KEY_PAIR_GEN, HMAC_MECHANISMS
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.standards.curves import CURVES
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS

__all__ = ["RELEVANT_MECHANISMS", "MechanismInfo", "MechanismSet"]


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
    native: tuple[Mechanism | CKM, ...] = ()
    composed: tuple[Mechanism | CKM, ...] = ()
    composition: str = ""
    """How, or where there are no mechanisms at all, why not."""


_RULES: tuple[Rule, ...] = (
    Rule("AES", "ECB", (Mechanism.AES_ECB,)),
    Rule("AES", "CBC", (Mechanism.AES_CBC,)),
    Rule("AES", "CFB8", (Mechanism.AES_CFB8,), (Mechanism.AES_ECB,), "one AES-ECB call per byte encrypted"),
    Rule("AES", "CFB128", (Mechanism.AES_CFB128,), (Mechanism.AES_ECB,), "one AES-ECB call per block encrypted"),
    Rule("AES", "GCM", (Mechanism.AES_GCM,)),
    Rule("AES", "CCM", (), (Mechanism.AES_ECB, Mechanism.AES_CBC), "AES-CBC for the tag, AES-ECB for the key stream"),
    Rule("AES", "WRAP", (Mechanism.AES_KEY_WRAP,)),
    *(
        rule
        for name, ecb, cbc in (
            ("DES", Mechanism._DES_ECB, Mechanism._DES_CBC),
            ("3DES", Mechanism.DES3_ECB, Mechanism.DES3_CBC),
            ("3DES_112", Mechanism.DES3_ECB, Mechanism.DES3_CBC),
            ("RC2", Mechanism._RC2_ECB, Mechanism._RC2_CBC),
        )
        for rule in (
            Rule(name, "ECB", (ecb,)),
            Rule(name, "CBC", (cbc,)),
            Rule(name, "CFB8", (), (ecb,), "one ECB call per byte encrypted"),
            Rule(name, "CFB64", (), (ecb,), "one ECB call per block encrypted"),
        )
    ),
    Rule("RC4", "STREAM", (Mechanism._RC4,)),
    Rule(
        "XTS-AES",
        "XTS",
        (CKM.AES_XTS,),
        (Mechanism.AES_ECB,),
        "AES-ECB under two keys: the tweaks are on the host, no key byte is",
    ),
    *(
        Rule("DESX", mode, (), (), "PKCS #11 has no DESX, and composing it would put its whitening keys on the host")
        for mode in ("ECB", "CBC", "CFB8", "CFB64")
    ),
    Rule("CHACHA20_POLY1305", "POLY1305", (CKM.CHACHA20_POLY1305,)),
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
    Rule("KDF", None, (Mechanism.SHA256_HMAC,)),
    Rule("KDF", "JOIN", (Mechanism.CONCATENATE_BASE_AND_DATA,)),
    Rule("PBKDF2", None, (), (Mechanism.SHA256_HMAC,), "one HMAC per iteration"),
    Rule("SP800_108_CTR_HMAC", None, (), (Mechanism.SHA256_HMAC,), "one HMAC per block"),
    Rule("SP800_56A_CONCAT", None, (), (Mechanism.SHA256,), "C_DigestKey once per block"),
    Rule("CAPI_KDF", None, (), (Mechanism.SHA256,), "C_DigestKey, and the expansion on the host"),
    Rule(
        "TLS1_1_KDF",
        None,
        (),
        (Mechanism.EXTRACT_KEY_FROM_KEY, Mechanism._MD5_HMAC, Mechanism.SHA_1_HMAC),
        "one HMAC per block of each half",
    ),
    Rule("TLS1_2_KDF", None, (), (Mechanism.SHA256_HMAC,), "two HMACs per block"),
    Rule("HKDF", None, (CKM.HKDF_DERIVE,), (Mechanism.SHA256_HMAC,), "HkdfPrkAndFinalize only, one HMAC per block"),
    Rule("HKDF", "KEY", (CKM.HKDF_DERIVE,)),
    Rule("SP800_108_CTR_HMAC", "KEY", (CKM.SP800_108_COUNTER_KDF,)),
    Rule(
        "HASH",
        "KEY",
        (
            Mechanism.SHA256_KEY_DERIVATION,
            Mechanism.CONCATENATE_BASE_AND_DATA,
            Mechanism.CONCATENATE_DATA_AND_BASE,
        ),
    ),
    Rule("DH", None, (Mechanism.DH_PKCS_DERIVE,)),
    Rule("DSA", None, (Mechanism.DSA,)),
    *(Rule("ML-DSA", name, (Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA)) for name in (None, *ML_DSA_SETS)),
    *(Rule("ML-KEM", name, (Mechanism.ML_KEM_KEY_PAIR_GEN, Mechanism.ML_KEM)) for name in (None, *ML_KEM_SETS)),
)

RSA_COMPOSITIONS = {rule.operation: rule.composition for rule in _RULES if rule.algorithm == "RSA"}
CIPHERS = ("AES", "DES", "DESX", "3DES", "3DES_112", "RC2", "RC4", "XTS-AES", "CHACHA20_POLY1305")
"""The algorithms that a token offers where it offers one of their modes."""

RELEVANT_MECHANISMS = frozenset(
    {int(mechanism) for rule in _RULES for mechanism in (*rule.native, *rule.composed)}
    | {
        int(mechanism)
        for mechanism in (
            Mechanism.AES_KEY_GEN,
            Mechanism.GENERIC_SECRET_KEY_GEN,
            Mechanism.RSA_PKCS_KEY_PAIR_GEN,
            Mechanism.EC_KEY_PAIR_GEN,
            Mechanism.DH_PKCS_KEY_PAIR_GEN,
            Mechanism.DSA_KEY_PAIR_GEN,
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
        self.listed = frozenset(listed) - quirks.unusable_mechanisms
        self._offers: dict[tuple[str, str | None], Support] = {}
        self.reasons: dict[tuple[str, str | None], str] = {}
        for rule in _RULES:
            self._apply(rule)
        for algorithm in CIPHERS:
            modes = {self.offers(algorithm, mode.value) for mode in CipherMode}
            best = (support for support in (Support.NATIVE, Support.COMPOSED) if support in modes)
            self._offers[algorithm, None] = next(best, Support.REFUSED)
            if self._offers[algorithm, None] is not Support.NATIVE:
                reasons = (self.reasons.get((algorithm, mode.value)) for mode in CipherMode)
                self.reasons[algorithm, None] = next(filter(None, reasons))
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
            missing = [m.name.lstrip("_") for m in (rule.native or rule.composed) if not self.has(m)]
            self.reasons[key] = f"the token has no CKM_{', CKM_'.join(missing)}" if missing else rule.composition

    def _curve(self, algorithm: str, curve: str) -> Support:
        """Which curves exist is in no mechanism list: sizes and quirks decide what may be tried."""
        support = self._offers[algorithm, None]
        if CURVES[curve].montgomery:
            if algorithm != "ECDH" or not self.has(EC_MONTGOMERY_KEY_PAIR_GEN):
                support = Support.REFUSED
                self.reasons[algorithm, curve] = f"the token has no {algorithm} on {curve}"
            return support
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
        # NSS lists no digests in its database's slot; whoever has SHA-3 lists it.
        listed = not spec.hash_name.startswith("SHA3") or self.has(DIGEST_MECHANISMS[spec.hash_name])
        return self.has(Mechanism.RSA_PKCS_PSS) and spec.hash_name in self.quirks.pss_hashes and listed

    def native_oaep(self, spec: RsaOaepSpec) -> bool:
        return (
            self.has(Mechanism.RSA_PKCS_OAEP)
            and spec.hash_name in self.quirks.oaep_hashes
            and (not spec.label or self.quirks.oaep_label)
        )

    def key_range(self, mechanism: Mechanism) -> tuple[int, int] | None:
        if (measured := self.quirks.key_ranges.get(int(mechanism))) is not None and self.has(mechanism):
            return measured
        info = self.infos.get(int(mechanism))
        if info is None:
            return None
        longest = info.max_key_size
        if mechanism is Mechanism.DH_PKCS_KEY_PAIR_GEN and self.quirks.agreed_secrets_end:
            secrets = self.infos.get(int(Mechanism.GENERIC_SECRET_KEY_GEN))
            longest = min(longest, secrets.max_key_size) if secrets else longest
        return info.min_key_size, longest
