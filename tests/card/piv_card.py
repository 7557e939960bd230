"""A PIV card (NIST SP 800-73-4) in a virtual reader: what a smart card in a pocket is like.

It makes no keys and takes none in, and its PIN locks after three wrong ones. The commands are those that OpenSC sends,
on ISO/IEC 7816-4; vpcd, the reader, speaks frames of two octets of length and the content.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import struct
import threading
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["PIN", "TRIES", "PivCard"]

PIN = "123456"
TRIES = 3

_ATR = bytes.fromhex("3B80800101")
_APPLICATION = bytes.fromhex("A000000308000010000100")
_AUTHENTICATION, _SIGNATURE, _MANAGEMENT, _CARD = 0x9A, 0x9C, 0x9D, 0x9E
_CERTIFICATES = {_AUTHENTICATION: "5FC105", _SIGNATURE: "5FC10A", _MANAGEMENT: "5FC10B", _CARD: "5FC101"}
_OK, _NOT_FOUND, _NO_KEY, _NOT_VERIFIED, _NO_INSTRUCTION = b"\x90\0", b"\x6a\x82", b"\x6a\x88", b"\x69\x82", b"\x6d\0"


def _tlv(tag: str, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes.fromhex(tag) + length + value


def _parse(data: bytes) -> dict[int, bytes]:
    """Objects of one-octet tags."""
    found: dict[int, bytes] = {}
    while data:
        more = data[1] - 0x80 if data[1] > 0x80 else 0
        size = int.from_bytes(data[2 : 2 + more], "big") if more else data[1]
        found[data[0]] = data[2 + more : 2 + more + size]
        data = data[2 + more + size :]
    return found


def _certificate(key: rsa.RSAPrivateKey, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, start, start.replace(year=2046))
    encrypts = name in ("authentication", "management")
    usage = x509.KeyUsage(name != "management", False, encrypts, False, False, False, False, False, False)
    signed = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    return _tlv("70", signed.public_bytes(serialization.Encoding.DER)) + _tlv("71", b"\0") + _tlv("FE", b"")


class PivCard:
    """reader: the address at which the virtual reader waits for a card. keys: by the octet that SP 800-73-4 gives the
    slot. tries: wrong PINs that are left. verifications: how often a PIN was given.
    """

    def __init__(self, reader: tuple[str, int]) -> None:
        self._reader = reader
        self.keys = {slot: rsa.generate_private_key(65537, 2048) for slot in _CERTIFICATES}
        self.tries = TRIES
        self.verifications = 0
        self._verified = self._just_verified = False
        self._chain = self._rest = b""
        self._line: socket.socket | None = None
        names = {_AUTHENTICATION: "authentication", _SIGNATURE: "signature", _MANAGEMENT: "management", _CARD: "card"}
        self._objects = {_CERTIFICATES[slot]: _certificate(key, names[slot]) for slot, key in self.keys.items()}
        holder = (("30", bytes(25)), ("34", os.urandom(16)), ("35", b"20460101"), ("3E", b""), ("FE", b""))
        self._objects["5FC102"] = b"".join(_tlv(tag, value) for tag, value in holder)
        self._instructions: dict[int, Callable[[int, bytes], bytes]] = {
            0x20: self._verify,
            0x87: self._authenticate,
            0xA4: self._select,
            0xC0: lambda _, __: self._answer(self._rest),
            0xCB: self._get_data,
        }

    # In the reader.

    def insert(self) -> None:
        """Puts the card into the reader. Raises OSError where there is none."""
        self._line = socket.create_connection(self._reader)
        threading.Thread(target=self._serve, args=(self._line,), daemon=True).start()

    def remove(self) -> None:
        """Takes it out; without its power it forgets that a PIN was given."""
        if self._line is not None:
            self._line.shutdown(socket.SHUT_RDWR)
            self._line = None
        self._verified = self._just_verified = False

    def _serve(self, line: socket.socket) -> None:
        # Reset: it was taken out while the reader asked for something.
        with contextlib.suppress(ConnectionError), line, line.makefile("rb") as incoming:
            while len(header := incoming.read(2)) == 2:
                message = incoming.read(int.from_bytes(header, "big"))
                if len(message) > 1:
                    answer = self.command(message)
                elif message == b"\4":
                    answer = _ATR
                else:
                    # Power off, power on, reset.
                    self._verified = self._just_verified = False
                    self._chain = self._rest = b""
                    continue
                line.sendall(struct.pack("!H", len(answer)) + answer)

    # Commands.

    def command(self, apdu: bytes) -> bytes:
        """The answer to a command, with its status word."""
        (chained, instruction, parameter), body = (apdu[0] & 0x10, apdu[1], apdu[3]), b""
        if len(apdu) > 5:
            extended = apdu[4] == 0 and len(apdu) > 7
            body = apdu[7 : 7 + int.from_bytes(apdu[5:7], "big")] if extended else apdu[5 : 5 + apdu[4]]
        if chained:
            self._chain += body
            return _OK
        body, self._chain = self._chain + body, b""
        just_verified = self._just_verified
        answer = self._instructions.get(instruction, lambda _, __: _NO_INSTRUCTION)(parameter, body)
        # "PIN always": the next command may use the key, no other.
        self._just_verified = self._just_verified and not just_verified
        return answer

    def _answer(self, data: bytes) -> bytes:
        self._rest = data[256:]
        return data[:256] + (bytes([0x61, min(len(self._rest), 256) % 256]) if self._rest else _OK)

    def _select(self, _: int, body: bytes) -> bytes:
        if not body.startswith(_APPLICATION[:5]):
            return _NOT_FOUND
        described = _tlv("4F", _APPLICATION[5:]) + _tlv("79", _tlv("4F", _APPLICATION[:5])) + _tlv("50", b"test")
        return self._answer(_tlv("61", described))

    def _get_data(self, _: int, body: bytes) -> bytes:
        tag = _parse(body).get(0x5C, b"").hex().upper()
        if tag == "7E":
            return self._answer(_tlv("7E", _tlv("4F", _APPLICATION) + _tlv("5F2F", b"\x40\0")))
        return self._answer(_tlv("53", self._objects[tag])) if tag in self._objects else _NOT_FOUND

    def _verify(self, _: int, body: bytes) -> bytes:
        if not body:
            return _OK if self._verified else bytes([0x63, 0xC0 | self.tries])
        self.verifications += 1
        self._verified = self._just_verified = self.tries > 0 and body.rstrip(b"\xff") == PIN.encode()
        self.tries = TRIES if self._verified else max(self.tries - 1, 0)
        return _OK if self._verified else bytes([0x63, 0xC0 | self.tries])

    def _authenticate(self, slot: int, body: bytes) -> bytes:
        key = self.keys.get(slot)
        if key is None:
            return _NO_KEY
        allowed = {_CARD: True, _SIGNATURE: self._just_verified}.get(slot, self._verified)
        if not allowed:
            return _NOT_VERIFIED
        challenge = _parse(_parse(body)[0x7C])[0x81]
        numbers = key.private_numbers()
        power = pow(int.from_bytes(challenge, "big"), numbers.d, numbers.public_numbers.n)
        return self._answer(_tlv("7C", _tlv("82", power.to_bytes(256, "big"))))
