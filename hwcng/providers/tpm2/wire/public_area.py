"""Public areas: TPMT_PUBLIC from key specs and back. TPM 2.0 Library, Part 2, section 12.2; TCG TPM v2.0 Provisioning
Guidance, section 7.5 and TCG EK Credential Profile, annex B (storage root key).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.contract.material import EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.providers.tpm2.wire.constants import AES_128_CFB, ALG, CURVE_IDS, HASH_IDS, HASH_NAMES, Attributes
from hwcng.providers.tpm2.wire.hmac_session import Parent
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader, sized, u16, u32
from hwcng.providers.tpm2.wire.schemes import Fixed
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = [
    "ATTESTATION_KEY",
    "ECC_PRIMARIES",
    "Guard",
    "HMAC_BITS_MARK",
    "Public",
    "RSA_PRIMARIES",
    "STORAGE_ROOT_AREA",
    "UNGUARDED",
    "STORAGE_ROOT_KEY",
    "STORAGE_ROOT_HANDLE",
    "Template",
    "marshal_public",
    "name_of",
    "pair_parameters",
    "pair_template",
    "parse_public",
    "secret_parameters",
    "secret_template",
    "spec_of",
    "split_template",
    "storage_parent",
]

STORAGE_ROOT_HANDLE = 0x81000001
"""Where the TCG's provisioning guidance puts the storage root key."""

_CURVE_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in CURVE_IDS.items()})
_A = Attributes
_OURS = _A.USERWITHAUTH | _A.NODA
_FIXED = _A.FIXEDTPM | _A.FIXEDPARENT
_NULL = u16(ALG.NULL)


@dataclass(frozen=True, slots=True)
class Guard:
    """How a new key is used. counted: whether the TPM counts wrong authorization values. policy: the digest of the
    policy that its use needs, empty where its authorization value is enough. scheme: the algorithm that it is held to
    and its hash, 0 for no hash; None: any.
    """

    counted: bool = False
    policy: bytes = b""
    scheme: Fixed = None

    @property
    def attributes(self) -> Attributes:
        by_value = Attributes(0) if self.policy else Attributes.USERWITHAUTH
        return by_value | (Attributes(0) if self.counted else Attributes.NODA)


UNGUARDED = Guard()
_DEFAULT_EXPONENT = 65537

HMAC_BITS_MARK = hashlib.sha256(b"hwcng: length of an HMAC key").digest()[:28]
"""Begins the authPolicy of our HMAC keys, which ends with the key's length in bits.

A public area has no place for that length. No policy digest can have this value, so it grants nothing, and the TPM
protects it like the rest of the public area.
"""


def marshal_public(
    kind: int, attributes: int, policy: bytes, parameters: bytes, unique: bytes, *, name_hash: int = ALG.SHA256
) -> bytes:
    """TPMT_PUBLIC."""
    return u16(kind) + u16(name_hash) + u32(attributes) + sized(policy) + parameters + unique


_SRK_ATTRIBUTES = _OURS | _FIXED | _A.SENSITIVEDATAORIGIN | _A.RESTRICTED | _A.DECRYPT

STORAGE_ROOT_KEY = marshal_public(
    ALG.ECC,
    _SRK_ATTRIBUTES,
    b"",
    AES_128_CFB + _NULL + u16(CURVE_IDS["nistP256"]) + _NULL,
    sized(bytes(32)) + sized(bytes(32)),
)
"""TPMT_PUBLIC of the TCG's ECC P-256 template, whose unique field is zeros."""

_STORAGE_CIPHERS = frozenset((ALG.AES, bits, ALG.CFB) for bits in (128, 192, 256))

STORAGE_ROOT_AREA = STORAGE_ROOT_KEY[: -2 * len(sized(bytes(32)))]
"""How the public area of a primary key of that template begins: all but its point."""


@dataclass(frozen=True, slots=True)
class Template:
    """TPMT_PUBLIC of a primary key. area: how its public area begins: all but its unique field."""

    area: bytes
    unique: bytes

    @property
    def public(self) -> bytes:
        return self.area + self.unique


_RSA_AREA = marshal_public(ALG.RSA, _SRK_ATTRIBUTES, b"", AES_128_CFB + _NULL + u16(2048) + u32(0), b"")

ECC_PRIMARIES = tuple(Template(STORAGE_ROOT_AREA, sized(octets) * 2) for octets in (b"", bytes(32)))
RSA_PRIMARIES = tuple(Template(_RSA_AREA, sized(octets)) for octets in (b"", bytes(256)))
"""Storage keys on P-256 and of RSA-2048 that programs make for each call: with an empty unique field, or with zeros."""

ATTESTATION_KEY = marshal_public(
    ALG.ECC,
    _OURS | _FIXED | _A.SENSITIVEDATAORIGIN | _A.RESTRICTED | _A.SIGN,
    b"",
    _NULL + u16(ALG.ECDSA) + u16(ALG.SHA256) + u16(CURVE_IDS["nistP256"]) + _NULL,
    sized(b"") + sized(b""),
)
"""TPMT_PUBLIC of a restricted ECDSA P-256 key: it signs what the TPM itself states, and nothing else of that form."""


def secret_parameters(spec: SecretSpec) -> bytes:
    """TPMT_PUBLIC_PARMS, as TPM2_TestParms takes them."""
    if spec.family is SecretFamily.HMAC:
        scheme = _NULL if spec.hash_name is None else u16(ALG.HMAC) + u16(HASH_IDS[spec.hash_name])
        return u16(ALG.KEYEDHASH) + scheme
    mode = ALG.CMAC if spec.family is SecretFamily.CMAC else ALG.NULL
    return u16(ALG.SYMCIPHER) + u16(ALG.AES) + u16(spec.bits) + u16(mode)


def secret_template(spec: SecretSpec, *, imported: bool, guard: Guard = UNGUARDED) -> bytes:
    """TPMT_PUBLIC. imported: whether the caller brings the value. Raises STATUS_NOT_SUPPORTED for an HMAC key with a
    policy.
    """
    attributes = guard.attributes | _FIXED | (_A(0) if imported else _A.SENSITIVEDATAORIGIN)
    policy = guard.policy
    if spec.family is SecretFamily.HMAC:
        # Without a scheme of its own a key must be able to do everything (Part 3, TPM2_Create).
        attributes |= _A.SIGN if spec.hash_name is not None else _A.SIGN | _A.DECRYPT
        if policy:
            raise not_supported("HMAC keys are not bound to PCRs: their public area has the key's length in that place")
        policy = HMAC_BITS_MARK + u32(spec.bits)
    elif spec.family is SecretFamily.CMAC:
        attributes |= _A.SIGN
    else:
        # Of a symmetric key SIGN is the right to encrypt.
        attributes |= _A.SIGN if spec.usage & Usage.ENCRYPT else _A(0)
        attributes |= _A.DECRYPT if spec.usage & Usage.DECRYPT else _A(0)
    parameters = secret_parameters(spec)
    return marshal_public(int.from_bytes(parameters[:2], "big"), attributes, policy, parameters[2:], sized(b""))


def pair_parameters(spec: PairSpec, fixed: Fixed = None) -> bytes:
    """TPMT_PUBLIC_PARMS. An RSA exponent of 0 means 65537. fixed: a scheme; a key that attests must have one."""
    if fixed is None and spec.usage & Usage.ATTEST:
        fixed = (ALG.RSASSA if spec.kind == "RSA" else ALG.ECDSA, ALG.SHA256)
    scheme = _NULL if fixed is None else b"".join(u16(number) for number in fixed if number)
    if spec.kind == "RSA":
        return u16(ALG.RSA) + _NULL + scheme + u16(spec.bits) + u32(0)
    return u16(ALG.ECC) + _NULL + scheme + u16(CURVE_IDS[spec.curve]) + _NULL


def pair_template(spec: PairSpec, material: PublicKeyMaterial | None = None, guard: Guard = UNGUARDED) -> bytes:
    """TPMT_PUBLIC. material: the public half of a key that is imported; None: the TPM makes one."""
    attributes = guard.attributes
    if material is None:
        attributes |= _FIXED | _A.SENSITIVEDATAORIGIN
    if spec.usage & Usage.SIGN:
        attributes |= _A.SIGN
    if spec.usage & Usage.ATTEST:
        attributes |= _A.SIGN | _A.RESTRICTED
    if spec.usage & (Usage.DECRYPT | Usage.DERIVE):
        attributes |= _A.DECRYPT
    parameters = pair_parameters(spec, guard.scheme)
    if isinstance(material, RsaPublicKey):
        unique = sized(material.modulus.to_bytes((material.modulus.bit_length() + 7) // 8, "big"))
    elif isinstance(material, EcPublicKey):
        width = CURVES[material.curve].coordinate_size
        unique = sized(material.x.to_bytes(width, "big")) + sized(material.y.to_bytes(width, "big"))
    else:
        unique = sized(b"") if spec.kind == "RSA" else sized(b"") + sized(b"")
    return marshal_public(int.from_bytes(parameters[:2], "big"), attributes, guard.policy, parameters[2:], unique)


@dataclass(frozen=True, slots=True)
class Public:
    """A TPMT_PUBLIC taken apart. symmetric: (algorithm, bits, mode), None for none. material: of RSA and ECC keys."""

    kind: int
    name_hash: int
    attributes: Attributes
    policy: bytes
    symmetric: tuple[int, int, int] | None
    scheme: tuple[int, int] | None
    bits: int
    material: PublicKeyMaterial | None


def _scheme(reader: Reader) -> tuple[int, int] | None:
    algorithm = reader.u16()
    if algorithm == ALG.NULL:
        return None
    # RSAES alone among the schemes of Part 2, section 11.2 has no hash.
    return algorithm, 0 if algorithm == ALG.RSAES else reader.u16()


def _symmetric(reader: Reader) -> tuple[int, int, int] | None:
    algorithm = reader.u16()
    return None if algorithm == ALG.NULL else (algorithm, reader.u16(), reader.u16())


def parse_public(data: bytes) -> Public:
    """Takes a TPMT_PUBLIC apart. Raises MalformedError, also for kinds of objects that are no keys of ours."""
    reader = Reader(data)
    kind, name_hash, attributes, policy = reader.u16(), reader.u16(), Attributes(reader.u32()), reader.sized()
    symmetric = scheme = None
    material: PublicKeyMaterial | None = None
    bits = 0
    if kind == ALG.RSA:
        symmetric, scheme, bits = _symmetric(reader), _scheme(reader), reader.u16()
        exponent, modulus = reader.u32(), reader.sized()
        material = RsaPublicKey(int.from_bytes(modulus, "big"), exponent or _DEFAULT_EXPONENT)
    elif kind == ALG.ECC:
        symmetric, scheme, curve = _symmetric(reader), _scheme(reader), reader.u16()
        if reader.u16() != ALG.NULL or curve not in _CURVE_NAMES:
            raise MalformedError("not a key on a known curve")
        x, y = reader.sized(), reader.sized()
        material = EcPublicKey(_CURVE_NAMES[curve], int.from_bytes(x, "big"), int.from_bytes(y, "big"))
        bits = CURVES[_CURVE_NAMES[curve]].bits
    elif kind == ALG.SYMCIPHER:
        symmetric = _symmetric(reader)
        if symmetric is None or symmetric[0] != ALG.AES:
            raise MalformedError("not an AES key")
        bits = symmetric[1]
        reader.sized()
    elif kind == ALG.KEYEDHASH:
        scheme = _scheme(reader)
        reader.sized()
    else:
        raise MalformedError("not a key")
    reader.end()
    return Public(kind, name_hash, attributes, policy, symmetric, scheme, bits, material)


def split_template(data: bytes) -> Template:
    """A TPMT_PUBLIC of an RSA or ECC key as a template. Raises MalformedError."""
    reader = Reader(data)
    kind = reader.u16()
    reader.take(6)
    reader.sized()
    _symmetric(reader)
    _scheme(reader)
    if kind not in (ALG.RSA, ALG.ECC):
        raise MalformedError("not a template of an RSA or ECC key")
    # Key size and exponent, or curve and derivation: none is known that has parameters.
    reader.take(6 if kind == ALG.RSA else 4)
    return Template(data[: reader.position], data[reader.position :])


_STATING = frozenset({ALG.ECDSA, ALG.RSASSA, ALG.RSAPSS})
"""Schemes of restricted keys whose statements are verified here."""


def spec_of(public: Public) -> SecretSpec | PairSpec:
    """The spec that a loaded key serves. Raises MalformedError for a key that none describes, such as a storage key."""
    sign, decrypt = _A.SIGN in public.attributes, _A.DECRYPT in public.attributes
    restricted = _A.RESTRICTED in public.attributes
    attests = restricted and not decrypt and public.scheme is not None and public.scheme[0] in _STATING
    if not (sign or decrypt) or (restricted and not attests):
        raise MalformedError("a key for other uses")
    signing = Usage.ATTEST if restricted else Usage.SIGN if sign else Usage.NONE
    if public.kind == ALG.RSA:
        return PairSpec("RSA", signing | (Usage.DECRYPT if decrypt else Usage.NONE), bits=public.bits)
    if isinstance(public.material, EcPublicKey):
        usage = signing | (Usage.DERIVE if decrypt else Usage.NONE)
        return PairSpec("EC", usage, curve=public.material.curve)
    if public.symmetric is not None:
        if public.symmetric[2] == ALG.CMAC:
            return SecretSpec(SecretFamily.CMAC, public.bits, Usage.SIGN)
        usage = (Usage.ENCRYPT if sign else Usage.NONE) | (Usage.DECRYPT if decrypt else Usage.NONE)
        return SecretSpec(SecretFamily.AES, public.bits, usage)
    if public.policy[:-4] != HMAC_BITS_MARK:
        raise MalformedError("an HMAC key of another maker")
    bits = int.from_bytes(public.policy[-4:], "big")
    if public.scheme is None:
        return SecretSpec(SecretFamily.HMAC, bits, Usage.SIGN)
    if public.scheme[0] != ALG.HMAC or public.scheme[1] not in HASH_NAMES:
        raise MalformedError("not an HMAC key")
    return SecretSpec(SecretFamily.HMAC, bits, Usage.SIGN, hash_name=HASH_NAMES[public.scheme[1]])


def name_of(public: bytes) -> bytes:
    """An object's name (Part 1, section 16): its nameAlg, then that hash of its TPMT_PUBLIC. Raises MalformedError."""
    name_hash = HASH_NAMES.get(int.from_bytes(public[2:4], "big"))
    if name_hash is None:
        raise MalformedError("an object of an unknown name algorithm")
    return public[2:4] + HASHES[name_hash].digest(public)


def storage_parent(handle: int, data: bytes) -> Parent:
    """A storage key that was found in the TPM, checked: restricted, decrypting, never leaving, AES-CFB inside.

    Raises CngError (STATUS_INVALID_DEVICE_STATE) for any other object.
    """
    needed = _A.RESTRICTED | _A.DECRYPT | _FIXED | _A.SENSITIVEDATAORIGIN | _A.USERWITHAUTH
    try:
        public = parse_public(data)
        name = name_of(data)
    except MalformedError:
        public = None
    if (
        public is None
        or not isinstance(public.material, (RsaPublicKey, EcPublicKey))
        or public.attributes & needed != needed
        or _A.SIGN in public.attributes
        or public.symmetric is None
        or public.symmetric not in _STORAGE_CIPHERS
    ):
        raise CngError(
            NTSTATUS.STATUS_INVALID_DEVICE_STATE,
            f"the object at {handle:#x} is no storage root key (fixed to the TPM, restricted, decrypting, "
            f"AES-CFB); remove it with tpm2_evictcontrol -c {handle:#x} if nothing needs it",
        )
    counted = _A.NODA not in public.attributes
    return Parent(handle, name, public.material, HASH_NAMES[public.name_hash], counted, public.symmetric[1])
