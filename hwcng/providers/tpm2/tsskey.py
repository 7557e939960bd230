"""TSS2 PRIVATE KEY files: ASN.1 Specification for TPM 2.0 Key Files (draft-bottomley), OID 2.23.133.10.1.3.

What tpm2-openssl, go-tpm-keyfiles and others read and write. DER, or PEM around it (RFC 7468, strict). DER is written
canonically, and only canonical DER is read, so that no bit of a file is without meaning.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.wire import sized

__all__ = ["PEM_LABEL", "TssKey", "build", "der_of", "parse"]

PEM_LABEL = "TSS2 PRIVATE KEY"

# OID 2.23.133.10.1.3, TPM loadable key.
_OID = bytes.fromhex("0606678105 0a0103".replace(" ", ""))
_EMPTY_AUTH = {True: bytes.fromhex("a0030101ff"), False: bytes.fromhex("a003010100"), None: b""}
_EMPTY_AUTH_TAG = 0xA0
# tpm2-openssl writes TRUE as 01, which is BER.
_FOREIGN_TRUE = bytes.fromhex("a003010101")
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_LINE = 64
_PEM = re.compile(
    rb"-----BEGIN TSS2 PRIVATE KEY-----\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)-----END TSS2 PRIVATE KEY-----\r?\n"
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


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def der_of(key: TssKey) -> bytes:
    return _der(key, _EMPTY_AUTH[key.empty_auth])


def _der(key: TssKey, empty_auth: bytes) -> bytes:
    parent = key.parent.to_bytes(key.parent.bit_length() // 8 + 1, "big")
    fields = _OID + empty_auth + _tlv(_INTEGER, parent)
    return _tlv(_SEQUENCE, fields + _tlv(_OCTETS, sized(key.public)) + _tlv(_OCTETS, sized(key.private)))


def build(key: TssKey) -> bytes:
    """The PEM file, ASCII, as OpenSSL writes it."""
    text = base64.b64encode(der_of(key))
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    label = PEM_LABEL.encode()
    return b"\n".join([b"-----BEGIN " + label + b"-----", *lines, b"-----END " + label + b"-----", b""])


def _foreign(reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"not a TSS2 PRIVATE KEY that can be loaded: {reason}")


class _Der:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def tag(self) -> int:
        return self.data[self.position] if self.position < len(self.data) else -1

    def content(self, tag: int) -> bytes:
        if self.tag() != tag or self.position + 2 > len(self.data):
            raise _foreign("damaged")
        length, start = self.data[self.position + 1], self.position + 2
        if length >= 0x80:
            octets = length & 0x7F
            length = int.from_bytes(self.data[start : start + octets], "big")
            start += octets
        end = start + length
        if end > len(self.data):
            raise _foreign("damaged")
        self.position = end
        return self.data[start:end]


def parse(blob: bytes) -> TssKey:
    """DER or PEM. Raises CngError (STATUS_INVALID_PARAMETER) for anything else and for keys with a policy."""
    der = _unarmoured(blob) if blob.startswith(b"-") else blob
    outer = _Der(der)
    fields = _Der(outer.content(_SEQUENCE))
    if not fields.data.startswith(_OID):
        raise _foreign("another type of key")
    fields.position = len(_OID)
    empty_auth, stated = None, b""
    if fields.tag() == _EMPTY_AUTH_TAG:
        stated = _tlv(_EMPTY_AUTH_TAG, fields.content(_EMPTY_AUTH_TAG))
        empty_auth = stated in (_EMPTY_AUTH[True], _FOREIGN_TRUE)
    if fields.tag() & 0xE0 == 0xA0:
        raise _foreign("it has a policy, which is not served here")
    parent = int.from_bytes(fields.content(_INTEGER), "big")
    public, private = fields.content(_OCTETS), fields.content(_OCTETS)
    key = TssKey(parent, public[2:], private[2:], empty_auth)
    known = stated in (_EMPTY_AUTH[empty_auth], _FOREIGN_TRUE)
    if not known or len(key.public) > 0xFFFF or len(key.private) > 0xFFFF or _der(key, stated) != der:
        raise _foreign("damaged or not canonical DER")
    return key


def _unarmoured(blob: bytes) -> bytes:
    found = _PEM.fullmatch(blob)
    if found is None:
        raise _foreign("damaged PEM")
    text = b"".join(found[1].split())
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _foreign("damaged PEM") from None
    if base64.b64encode(der) != text:
        raise _foreign("damaged PEM")
    return der
