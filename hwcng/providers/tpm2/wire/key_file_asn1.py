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
from hwcng.providers.tpm2.wire.other_files import described
from hwcng.providers.tpm2.wire.policies import Policy, Step

__all__ = ["PEM_LABEL", "TssKey", "build", "der_of", "parse"]

PEM_LABEL = "TSS2 PRIVATE KEY"

_LOADABLE = "2.23.133.10.1.3"
_IMPORTABLE = "2.23.133.10.1.4"
_TYPES: Mapping[str, str] = MappingProxyType({"2.23.133.10.1.5": "sealed data, not a key"})


def _optional(tag: int) -> dict[str, object]:
    return {"explicit": tag, "optional": True}


_Policy: Any = type(
    "TPMPolicy",
    (core.Sequence,),
    {"_fields": [("code", core.Integer, {"explicit": 0}), ("body", core.OctetString, {"explicit": 1})]},
)
_Policies: Any = type("Policies", (core.SequenceOf,), {"_child_spec": _Policy})
_AuthPolicies: Any = type("AuthPolicies", (core.SequenceOf,), {"_child_spec": core.Any})
_TPMKey: Any = type(
    "TPMKey",
    (core.Sequence,),
    {
        "_fields": [
            ("type", core.ObjectIdentifier),
            ("emptyAuth", core.Boolean, _optional(0)),
            ("policy", _Policies, _optional(1)),
            ("secret", core.OctetString, _optional(2)),
            ("authPolicy", _AuthPolicies, _optional(3)),
            ("description", core.UTF8String, _optional(4)),
            ("rsaParent", core.Boolean, _optional(5)),
            ("parent", core.Integer),
            ("pubkey", core.OctetString),
            ("privkey", core.OctetString),
        ]
    },
)
_READ = ("type", "emptyAuth", "policy", "secret", "description", "rsaParent", "parent", "pubkey", "privkey")
"""Fields that a key may have; description means nothing to the TPM."""
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "authPolicy": "it is used by signed policies (field authPolicy), which are not served here",
    }
)
_TRUE = {"emptyAuth": bytes.fromhex("a0030101ff"), "rsaParent": bytes.fromhex("a5030101ff")}

_LINE = 64
_PERSISTENT = 0x80000000
_SEQUENCE, _LONG_LENGTH = 0x30, 0x80
_PEM = re.compile(
    rb"(?:\A|(?<=[\r\n])|(?<=\A\xef\xbb\xbf))[ \t]*-----BEGIN TSS2 PRIVATE KEY-----[ \t]*[\r\n]"
    rb"((?:[A-Za-z0-9+/= \t]*[\r\n])+?)[ \t]*-----END TSS2 PRIVATE KEY-----[ \t]*(?=[\r\n]|\Z)"
)


@dataclass(frozen=True, slots=True)
class TssKey:
    """parent: a persistent handle or a hierarchy; public: TPMT_PUBLIC; private: TPM2B_PRIVATE's content.

    rsa_parent: whether the primary key of that hierarchy is an RSA key. secret: TPM2B_ENCRYPTED_SECRET's content, of a
    key that must be imported first, whose private part is TPM2_Import's duplicate; empty for all others.

    policy: the steps by which the key is used, in their order.

    empty_auth: whether the key is used without an authorization value; None: not said, which means that it is not.
    """

    parent: int
    public: bytes
    private: bytes = field(repr=False)
    empty_auth: bool | None = True
    rsa_parent: bool = False
    secret: bytes = b""
    policy: Policy = ()


def der_of(key: TssKey) -> bytes:
    fields = {
        "type": _IMPORTABLE if key.secret else _LOADABLE,
        "emptyAuth": key.empty_auth,
        "policy": key.policy or None,
        "secret": sized(key.secret) if key.secret else None,
        "rsaParent": key.rsa_parent or None,
        "parent": key.parent,
    }
    return _der(fields, key.public, key.private)


def _der(fields: Mapping[str, Any], public: bytes, private: bytes) -> bytes:
    given = {name: value for name, value in fields.items() if value is not None}
    if "policy" in given:
        given["policy"] = [{"code": step.code, "body": step.body} for step in fields["policy"]]
    der: bytes = _TPMKey({**given, "pubkey": sized(public), "privkey": sized(private)}).dump()
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
    """DER or PEM. Raises STATUS_INVALID_PARAMETER for anything else, and for keys with signed policies."""
    content = blob.encode(errors="replace") if isinstance(blob, str) else octets(blob, "a key file")
    der = content if _is_der(content) else _unarmoured(content)
    try:
        fields = _fields(der)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise _foreign("damaged") from None
    public, private = fields.pop("pubkey"), fields.pop("privkey")
    if max(len(public), len(private)) > len(sized(b"")) + 0xFFFF or not _is_canonical(der, fields, public, private):
        raise _foreign("damaged or not canonical DER")
    parent, secret = _handle(fields["parent"]), fields["secret"] or sized(b"")
    # Of a persistent parent the TPM says itself what it is.
    rsa = bool(fields["rsaParent"]) and not parent & _PERSISTENT
    return TssKey(parent, public[2:], private[2:], fields["emptyAuth"], rsa, secret[2:], fields["policy"] or ())


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
    kind, secret = key["type"].native, key["secret"].native
    if kind not in (_LOADABLE, _IMPORTABLE):
        raise _foreign(_TYPES.get(kind, "another type of key"))
    if kind == _LOADABLE and secret is not None:
        raise _foreign("it says to be loadable, and has a field secret, as importable keys have")
    if kind == _IMPORTABLE and (len(secret or b"") <= 2 or secret != sized(secret[2:])):
        raise _foreign("an importable key whose field secret is missing or damaged")
    for name, reason in _REFUSED.items():
        if not isinstance(key[name], core.Void):
            raise _foreign(reason)
    return {**{name: key[name].native for name in _READ if name != "policy"}, "policy": _steps(key["policy"])}


def _steps(policy: Any) -> Policy | None:
    """The steps of a policy, None where the field is absent."""
    if isinstance(policy, core.Void):
        return None
    try:
        steps = tuple(Step(step["code"].native, step["body"].native) for step in policy)
    except (ValueError, TypeError):
        raise _foreign("its field policy is damaged") from None
    if not steps:
        raise _foreign("its field policy has no step")
    return steps


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
        if PEM_LABEL.encode() in blob:
            raise _foreign("damaged PEM")
        raise _foreign(described(blob) or "neither DER nor PEM of that kind")
    text = b"".join(found[1].split())
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _foreign("damaged PEM") from None
    if base64.b64encode(der) != text:
        raise _foreign("damaged PEM")
    return der
