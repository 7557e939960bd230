"""Endorsement keys as the TCG lays them down: TCG EK Credential Profile for TPM Family 2.0, section 2.2.1 (NV indices)
and annex B (templates and policies); Registry of Reserved TPM 2.0 Handles, section 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.providers.tpm2.wire.constants import ALG, CURVE_IDS, HASH_NAMES, RH, Attributes
from hwcng.providers.tpm2.wire.marshal import Reader, sized, u16, u32
from hwcng.providers.tpm2.wire.policies import either, secret_of
from hwcng.providers.tpm2.wire.public_area import Template, marshal_public, split_template

__all__ = [
    "ENDORSEMENT_KEYS",
    "FIRST_HANDLE",
    "FIRST_INDEX",
    "FIRST_ISSUER",
    "LAST_HANDLE",
    "LAST_ISSUER",
    "EndorsementTemplate",
]

FIRST_INDEX = 0x01C00002
"""The NV index of the first certificate."""
FIRST_ISSUER, LAST_ISSUER = 0x01C00100, 0x01C001FF
"""NV indices of certificates that stand above it."""
FIRST_HANDLE, LAST_HANDLE = 0x81010000, 0x8101FFFF
"""Persistent handles of endorsement keys."""

_A = Attributes
_LOW = _A.FIXEDTPM | _A.FIXEDPARENT | _A.SENSITIVEDATAORIGIN | _A.ADMINWITHPOLICY | _A.RESTRICTED | _A.DECRYPT
_HIGH = _LOW | _A.USERWITHAUTH
_NULL = u16(ALG.NULL)

_BY_NV_INDEX: Mapping[str, bytes] = MappingProxyType(
    {
        "SHA256": bytes.fromhex("3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde"),
        "SHA384": bytes.fromhex(
            "d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165"
        ),
        "SHA512": bytes.fromhex(
            "589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef9"
            "1393a49a38c3f73fc8"
        ),
    }
)
"""PolicyC of the profile: PolicyAuthorizeNV by an index that is laid down for each hash."""


@dataclass(frozen=True, slots=True)
class EndorsementTemplate:
    """A row of the profile. kind: "RSA" or "EC". certificate, nonce, template: NV indices, 0 for none. primary: what is
    made where no nonce and no template is in the TPM.
    """

    title: str
    kind: str
    certificate: int
    nonce: int
    template: int
    primary: Template

    def varied(self, template: bytes, nonce: bytes) -> Template:
        """The template as the TPM has it at these indices: a nonce stands at the beginning of the unique field. Raises
        MalformedError.
        """
        primary = split_template(template) if template else self.primary
        if not nonce:
            return primary
        # A point's second coordinate stays.
        unique = Reader(primary.unique)
        first, size = unique.sized(), len(Reader(self.primary.unique).sized())
        return Template(primary.area, sized((nonce + first[len(nonce) :])[:size].ljust(size, b"\0")) + unique.rest())


def _policy(hash_name: str, high: bool) -> bytes:
    by_secret = secret_of(u32(RH.ENDORSEMENT), hash_name)
    return either((by_secret, _BY_NV_INDEX[hash_name]), hash_name) if high else by_secret


def _primary(
    kind: ALG, attributes: Attributes, name_hash: ALG, cipher_bits: int, size: bytes, unique: bytes
) -> Template:
    symmetric = u16(ALG.AES) + u16(cipher_bits) + u16(ALG.CFB)
    policy = _policy(HASH_NAMES[name_hash], attributes == _HIGH)
    area = marshal_public(kind, attributes, policy, symmetric + _NULL + size, b"", name_hash=name_hash)
    return Template(area, unique)


def _rsa(bits: int, attributes: Attributes, name_hash: ALG, cipher_bits: int, unique: bytes) -> Template:
    return _primary(ALG.RSA, attributes, name_hash, cipher_bits, u16(bits) + u32(0), sized(unique))


def _ecc(curve: str, attributes: Attributes, name_hash: ALG, cipher_bits: int, unique: bytes) -> Template:
    size = u16(CURVE_IDS[curve]) + _NULL
    return _primary(ALG.ECC, attributes, name_hash, cipher_bits, size, sized(unique) + sized(unique))


ENDORSEMENT_KEYS = (
    EndorsementTemplate(
        "RSA-2048", "RSA", 0x01C00002, 0x01C00003, 0x01C00004, _rsa(2048, _LOW, ALG.SHA256, 128, bytes(256))
    ),
    EndorsementTemplate(
        "P-256", "EC", 0x01C0000A, 0x01C0000B, 0x01C0000C, _ecc("nistP256", _LOW, ALG.SHA256, 128, bytes(32))
    ),
    EndorsementTemplate("RSA-2048 (H-1)", "RSA", 0x01C00012, 0, 0x01C00013, _rsa(2048, _HIGH, ALG.SHA256, 128, b"")),
    EndorsementTemplate("P-256 (H-2)", "EC", 0x01C00014, 0, 0x01C00015, _ecc("nistP256", _HIGH, ALG.SHA256, 128, b"")),
    EndorsementTemplate("P-384 (H-3)", "EC", 0x01C00016, 0, 0x01C00017, _ecc("nistP384", _HIGH, ALG.SHA384, 256, b"")),
    EndorsementTemplate("P-521 (H-4)", "EC", 0x01C00018, 0, 0x01C00019, _ecc("nistP521", _HIGH, ALG.SHA512, 256, b"")),
    EndorsementTemplate("RSA-3072 (H-6)", "RSA", 0x01C0001C, 0, 0x01C0001D, _rsa(3072, _HIGH, ALG.SHA384, 256, b"")),
    EndorsementTemplate("RSA-4096 (H-7)", "RSA", 0x01C0001E, 0, 0x01C0001F, _rsa(4096, _HIGH, ALG.SHA384, 256, b"")),
)
"""In the order in which a TPM's certificates are looked for."""
