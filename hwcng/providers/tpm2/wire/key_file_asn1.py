"""TSS2 PRIVATE KEY files: ASN.1 Specification for TPM 2.0 Key Files (draft-bottomley), OID 2.23.133.10.1.3.

What tpm2-openssl, go-tpm-keyfiles and others read and write. DER, or PEM around it, with text before and after it and
white space as RFC 7468, sections 2 and 3, asks of readers. DER is written canonically, and only canonical DER is read,
so that no bit of a key is without meaning.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from asn1crypto import core

from hwcng.arguments import octets
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.wire.marshal import sized

__all__ = ["PEM_LABEL", "TssKey", "build", "der_of", "parse"]

PEM_LABEL = "TSS2 PRIVATE KEY"

_LOADABLE = "2.23.133.10.1.3"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "2.23.133.10.1.4": "an importable key, which tpm2_import turns into one of this TPM",
        "2.23.133.10.1.5": "sealed data, not a key",
    }
)


def _optional(tag: int) -> dict[str, object]:
    return {"explicit": tag, "optional": True}


_Policies: Any = type("Policies", (core.SequenceOf,), {"_child_spec": core.Any})
_TPMKey: Any = type(
    "TPMKey",
    (core.Sequence,),
    {
        "_fields": [
            ("type", core.ObjectIdentifier),
            ("emptyAuth", core.Boolean, _optional(0)),
            ("policy", _Policies, _optional(1)),
            ("secret", core.OctetString, _optional(2)),
            ("authPolicy", _Policies, _optional(3)),
            ("description", core.UTF8String, _optional(4)),
            ("rsaParent", core.Boolean, _optional(5)),
            ("parent", core.Integer),
            ("pubkey", core.OctetString),
            ("privkey", core.OctetString),
        ]
    },
)
_READ = ("emptyAuth", "description", "rsaParent", "parent", "pubkey", "privkey")
"""Fields that a loadable key may have; description and rsaParent mean nothing to the TPM."""
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "policy": "it is used by a policy (field policy), which is not served here",
        "secret": "it is wrapped for import (field secret): tpm2_import turns it into a key of this TPM",
        "authPolicy": "it is used by signed policies (field authPolicy), which are not served here",
    }
)
_TRUE = {"emptyAuth": bytes.fromhex("a0030101ff"), "rsaParent": bytes.fromhex("a5030101ff")}

_LINE = 64
_SEQUENCE, _LONG_LENGTH = 0x30, 0x80
_PEM = re.compile(
    rb"(?:\A|(?<=[\r\n])|(?<=\A\xef\xbb\xbf))[ \t]*-----BEGIN TSS2 PRIVATE KEY-----[ \t]*[\r\n]"
    rb"((?:[A-Za-z0-9+/= \t]*[\r\n])+?)[ \t]*-----END TSS2 PRIVATE KEY-----[ \t]*(?=[\r\n]|\Z)"
)


@dataclass(frozen=True, slots=True)
class TssKey:
    """parent: a persistent handle or a hierarchy; public: TPMT_PUBLIC; private: TPM2B_PRIVATE's content.

    empty_auth: whether the key is used without an authorization value; None: not said, which means that it is not.
    """

    parent: int
    public: bytes
    private: bytes = field(repr=False)
    empty_auth: bool | None = True


def der_of(key: TssKey) -> bytes:
    return _der({"emptyAuth": key.empty_auth, "parent": key.parent}, key.public, key.private)


def _der(fields: Mapping[str, object], public: bytes, private: bytes) -> bytes:
    given = {name: value for name, value in fields.items() if value is not None}
    der: bytes = _TPMKey({"type": _LOADABLE, **given, "pubkey": sized(public), "privkey": sized(private)}).dump()
    return der


def build(key: TssKey) -> bytes:
    """The PEM file, ASCII, as OpenSSL writes it."""
    text = base64.b64encode(der_of(key))
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    label = PEM_LABEL.encode()
    return b"\n".join([b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""])


def _foreign(reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"not a TSS2 PRIVATE KEY that can be loaded: {reason}")


def parse(blob: bytes | str) -> TssKey:
    """DER or PEM. Raises STATUS_INVALID_PARAMETER for anything else, and for keys with a policy or a secret."""
    content = blob.encode(errors="replace") if isinstance(blob, str) else octets(blob, "a key file")
    der = content if _is_der(content) else _unarmoured(content)
    try:
        fields = _fields(der)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise _foreign("damaged") from None
    public, private = fields.pop("pubkey"), fields.pop("privkey")
    if max(len(public), len(private)) > len(sized(b"")) + 0xFFFF or not _is_canonical(der, fields, public, private):
        raise _foreign("damaged or not canonical DER")
    return TssKey(_handle(fields["parent"]), public[2:], private[2:], fields["emptyAuth"])


def _is_canonical(der: bytes, fields: Mapping[str, Any], public: bytes, private: bytes) -> bool:
    canonical = bytearray(_der(fields, public[2:], private[2:]))
    for name, field_ in _TRUE.items():
        position = canonical.find(field_) + len(field_) - 1
        # tpm2-openssl writes TRUE as 01, which is BER.
        if fields[name] and der[position : position + 1] == b"\x01":
            canonical[position] = 1
    return canonical == der


def _fields(der: bytes) -> dict[str, Any]:
    """The values of a loadable key's fields, None for those that are absent. Raises ValueError, TypeError."""
    key = _TPMKey.load(der, strict=True)
    kind = key["type"].native
    if kind != _LOADABLE:
        raise _foreign(_TYPES.get(kind, "another type of key"))
    for name, reason in _REFUSED.items():
        if not isinstance(key[name], core.Void):
            raise _foreign(reason)
    return {name: key[name].native for name in _READ}


def _handle(parent: int) -> int:
    """Programs of 32 bits write a handle as the negative number of the same bits."""
    if not -(1 << 31) <= parent < 1 << 32:
        raise _foreign("its parent is no handle")
    return parent & 0xFFFFFFFF


def _is_der(blob: bytes) -> bool:
    """Whether the octets are one SEQUENCE: text begins with a 0 too."""
    if len(blob) < 2 or blob[0] != _SEQUENCE:
        return False
    more = blob[1] - _LONG_LENGTH if blob[1] >= _LONG_LENGTH else 0
    length = int.from_bytes(blob[2 : 2 + more], "big") if more else blob[1]
    return len(blob) == 2 + more + length


def _unarmoured(blob: bytes) -> bytes:
    found = _PEM.search(blob)
    if found is None:
        raise _foreign("damaged PEM" if PEM_LABEL.encode() in blob else "neither DER nor PEM of that kind")
    text = b"".join(found[1].split())
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _foreign("damaged PEM") from None
    if base64.b64encode(der) != text:
        raise _foreign("damaged PEM")
    return der
