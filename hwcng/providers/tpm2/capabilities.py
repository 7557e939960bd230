"""What this TPM really does: TPM2_GetCapability and TPM2_TestParms (TPM 2.0 Library, Part 3), asked once at open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.platform import Platform
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.providers.tpm2.line.esys import LIBRARY, Esys
from hwcng.providers.tpm2.wire.constants import ALG, CAP, CC, CURVE_IDS, HASH_IDS, PT
from hwcng.providers.tpm2.wire.public_area import pair_parameters, secret_parameters
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["Facts", "Offers", "probe", "token_of"]

_AES_BITS = (128, 192, 256)
_RSA_BITS = (1024, 2048, 3072, 4096)
_FIRST_FIXED_PROPERTY = 0x100
# The vendor string of libtpms, which swtpm runs.
_SOFTWARE_MODEL = "SW "
_DEFAULT_BUFFER = 1024
_MODES: Mapping[CipherMode, ALG] = MappingProxyType(
    {CipherMode.ECB: ALG.ECB, CipherMode.CBC: ALG.CBC, CipherMode.CFB128: ALG.CFB}
)


@dataclass(frozen=True, slots=True)
class Facts:
    """buffer: bytes that one command takes (TPM_PT_INPUT_BUFFER). hashes, curves: by CNG's names."""

    token: TokenInfo
    platform: Platform
    algorithms: frozenset[int]
    commands: frozenset[int]
    hashes: frozenset[str]
    curves: frozenset[str]
    aes_bits: tuple[int, ...]
    rsa_bits: tuple[int, ...]
    hmac: frozenset[str]
    cmac: bool
    buffer: int


def _characters(word: int) -> str:
    return word.to_bytes(4, "big").replace(b"\0", b" ").decode("ascii", "replace")


def _platform(properties: Mapping[int, int]) -> Platform:
    return Platform(
        _characters(properties.get(PT.FAMILY_INDICATOR, 0)).strip(),
        properties.get(PT.LEVEL, 0),
        properties.get(PT.REVISION, 0),
        _characters(properties.get(PT.MANUFACTURER, 0)),
        (properties.get(PT.FIRMWARE_VERSION_1, 0), properties.get(PT.FIRMWARE_VERSION_2, 0)),
    )


def _token(properties: Mapping[int, int]) -> TokenInfo:
    platform = _platform(properties)
    vendor = b"".join(properties.get(PT.VENDOR_STRING_1 + number, 0).to_bytes(4, "big") for number in range(4))
    model = vendor.replace(b"\0", b"").decode("ascii", "replace").strip()
    high, low = platform.firmware
    firmware = f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
    label = f"TPM {platform.family} revision {platform.revision // 100}.{platform.revision % 100:02}"
    hardware = not model.startswith(_SOFTWARE_MODEL)
    return TokenInfo(label, platform.manufacturer.strip(), model, "", firmware, LIBRARY, hardware=hardware)


def token_of(esys: Esys) -> TokenInfo:
    """What the TPM says of itself. Raises TpmError, TransportError."""
    return _token(esys.properties(_FIRST_FIXED_PROPERTY))


def probe(esys: Esys) -> Facts:
    """Asks everything that `Offers` needs, in about two dozen commands. Raises TpmError, TransportError."""
    properties = esys.properties(_FIRST_FIXED_PROPERTY)
    algorithms = frozenset(esys.numbers(CAP.ALGS))
    curve_ids = frozenset(esys.numbers(CAP.ECC_CURVES)) if ALG.ECC in algorithms else frozenset()
    hashes = frozenset(name for name, number in HASH_IDS.items() if number in algorithms)
    aes = ALG.AES in algorithms and ALG.SYMCIPHER in algorithms
    keyed_hash = {ALG.HMAC, ALG.KEYEDHASH} <= algorithms

    def takes_secret(family: SecretFamily, bits: int, hash_name: str | None = None) -> bool:
        return esys.takes(secret_parameters(SecretSpec(family, bits, Usage.SIGN, hash_name=hash_name)))

    def takes_rsa(bits: int) -> bool:
        return esys.takes(pair_parameters(PairSpec("RSA", Usage.SIGN, bits=bits)))

    aes_bits = tuple(bits for bits in _AES_BITS if aes and takes_secret(SecretFamily.AES, bits))
    return Facts(
        token=_token(properties),
        platform=_platform(properties),
        algorithms=algorithms,
        commands=frozenset(esys.numbers(CAP.COMMANDS)),
        hashes=hashes,
        curves=frozenset(name for name, number in CURVE_IDS.items() if number in curve_ids),
        aes_bits=aes_bits,
        rsa_bits=tuple(bits for bits in _RSA_BITS if ALG.RSA in algorithms and takes_rsa(bits)),
        hmac=frozenset(name for name in hashes if keyed_hash and takes_secret(SecretFamily.HMAC, 256, name)),
        cmac=bool(aes_bits) and ALG.CMAC in algorithms and takes_secret(SecretFamily.CMAC, aes_bits[0]),
        buffer=properties.get(PT.INPUT_BUFFER, _DEFAULT_BUFFER),
    )


_KDFS = {
    "PBKDF2": "one TPM2_HMAC per iteration",
    "SP800_108_CTR_HMAC": "one TPM2_HMAC per block",
    "TLS1_2_KDF": "two TPM2_HMACs per block",
}


class Offers:
    """The answers of `Provider.offers` and `Provider.capabilities`, worked out from the facts."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._offers: dict[tuple[str, str | None], Support] = {}
        self.reasons: dict[tuple[str, str | None], str] = {}
        self._symmetric()
        self._rsa()
        self._curves()
        self._put("RNG", None, CC.GetRandom in facts.commands, "the TPM has no TPM2_GetRandom")

    def _put(
        self, algorithm: str, operation: str | None, served: bool, reason: str, composed: str | None = None
    ) -> None:
        support = (Support.COMPOSED if composed else Support.NATIVE) if served else Support.REFUSED
        self._offers[algorithm, operation] = support
        if support is not Support.NATIVE:
            self.reasons[algorithm, operation] = composed if served and composed else reason

    def _symmetric(self) -> None:
        facts = self.facts
        bulk = bool(facts.aes_bits) and CC.EncryptDecrypt2 in facts.commands
        no_bulk = "the TPM has no TPM2_EncryptDecrypt2 for AES, which is optional"
        self._put("AES", None, bulk, no_bulk)
        for mode, number in _MODES.items():
            self._put("AES", mode.value, bulk and number in facts.algorithms, no_bulk)
        ecb = bulk and ALG.ECB in facts.algorithms
        self._put("AES", "CFB8", ecb, no_bulk, "one AES-ECB command per byte encrypted")
        self._put("AES", "GCM", False, "a TPM has no AES-GCM; composing it would put GHASH's key on the host")
        self._put("AES", "CCM", False, "a TPM has no AES-CCM, and it is not composed for one")
        for algorithm, operation in (("AES", "WRAP"), ("AES", "KWP"), ("RSA", "AES_KEY_WRAP")):
            self._put(
                algorithm, operation, False, "a TPM has no AES key wrap; unwrapping on the host would show the key"
            )
        has_tdes = ALG.TDES in facts.algorithms
        tdes = "libtss2 does not marshal TDES, which this TPM has" if has_tdes else "the TPM has no TDES"
        for name, modes, reason in (
            ("3DES", ("ECB", "CBC", "CFB8", "CFB64"), tdes),
            ("3DES_112", ("ECB", "CBC", "CFB8", "CFB64"), tdes),
            ("XTS-AES", ("XTS",), "a TPM has no XTS, and it is not composed for one"),
            ("CHACHA20_POLY1305", ("POLY1305",), "a TPM has no ChaCha20"),
        ):
            for mode in (None, *modes):
                self._put(name, mode, False, reason)
        self._put("AES-CMAC", None, facts.cmac, "the TPM does not take AES-CMAC keys")
        self._put("AES-GMAC", None, False, "a TPM has no AES-GCM")
        for name in HASHES:
            self._put(f"HMAC-{name}", None, name in facts.hmac, f"the TPM does not do HMAC with {name}")

        hmac = "SHA256" in facts.hmac
        for name, cost in _KDFS.items():
            self._put(name, None, hmac, "the TPM does not do HMAC with SHA256", cost)

    def _rsa(self) -> None:
        facts = self.facts
        rsa = bool(facts.rsa_bits)
        reason = "the TPM makes no RSA keys"
        for operation in (None, "PKCS1", "PSS", "OAEP", "RAW"):
            self._put("RSA", operation, rsa, reason)
        for name in HASHES:
            native = name in facts.hashes
            composed = None if native else "the host pads, the TPM does raw RSA: on keys that may decrypt"
            for operation in ("PKCS1", "PSS", "OAEP"):
                self._put("RSA", f"{operation} {name}", rsa, reason, composed)
        self._put("RSA", "PKCS1 decrypt", rsa, reason)

    def _curves(self) -> None:
        facts = self.facts
        for algorithm, number in (("ECDSA", ALG.ECDSA), ("ECDH", ALG.ECDH)):
            served = number in facts.algorithms and ALG.ECC in facts.algorithms and bool(facts.curves)
            self._put(algorithm, None, served, f"the TPM does not do {algorithm}")
            for curve in CURVES:
                self._put(algorithm, curve, served and curve in facts.curves, f"the TPM makes no keys on {curve}")

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offers.get((algorithm, operation), Support.REFUSED)

    def reason(self, algorithm: str, operation: str | None = None) -> str:
        return self.reasons.get((algorithm, operation), "a TPM does not do it")

    def capabilities(self) -> Capabilities:
        operations: dict[tuple[str, str], Support] = {}
        reasons: dict[tuple[str, str], str] = {}
        whole = (
            {"RNG": "random", "AES-CMAC": "MAC", "AES-GMAC": "MAC"}
            | dict.fromkeys(_KDFS, "derive")
            | {f"HMAC-{name}": "MAC" for name in HASHES}
        )
        for (algorithm, operation), support in self._offers.items():
            shown = operation if operation is not None else whole.get(algorithm)
            if shown is None or (algorithm == "RSA" and shown in ("PKCS1", "PSS", "OAEP")):
                continue
            operations[algorithm, shown] = support
            if support is not Support.NATIVE:
                reasons[algorithm, shown] = self.reasons[algorithm, operation]
        for bits in _AES_BITS:
            key = "AES", f"generate {bits}"
            operations[key] = Support.NATIVE if bits in self.facts.aes_bits else Support.REFUSED
            if bits not in self.facts.aes_bits:
                reasons[key] = f"the TPM takes no AES keys of {bits} bits"
        return Capabilities(
            self.facts.token,
            MappingProxyType(operations),
            MappingProxyType({"AES": self.facts.aes_bits, "RSA": self.facts.rsa_bits}),
            MappingProxyType(reasons),
        )
