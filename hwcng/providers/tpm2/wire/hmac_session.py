"""The salted HMAC session that hides parameters on the bus: TPM 2.0 Library, Part 1, sections 11.4.10, 19 and 21.

SHA-256 and AES-128-CFB. The salt goes to the storage root key, so a wire tap that cannot use that key sees nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES, AES128

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.providers.tpm2.wire.constants import AES_128_CFB, ALG, CC, RC, RH, ST
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.marshal import Exchange, MalformedError, Reader, command, sized, u8, u16, u32
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

__all__ = ["Parent", "Session", "kdfa", "protect", "share_secret", "start_session", "wrapped"]

Keyed: TypeAlias = Callable[[bytes], bytes]
"""HMAC-SHA256 under one key."""

_NONCE = 16
_DIGEST = 32
_CONTINUE, _DECRYPT, _ENCRYPT = 0x01, 0x20, 0x40
_HMAC_SESSION, _POLICY_SESSION = 0, 1
_SUCCESS = u32(RC.SUCCESS)
_AREA = Struct(f">HIIII H{_NONCE}sBH{_DIGEST}s")
_AREA_WITH_HANDLE = Struct(f">HIIIII H{_NONCE}sBH{_DIGEST}s")
_HEADER = 10
_AREA_SIZE = _AREA.size - _HEADER - 4
"""A command in a session: tag, size, code, handle where there is one, then the authorization area and its size."""
_MASK, _MASK_BITS = u32(1) + b"CFB\0", u32(256)
"""What KDFa puts around the nonces for key and IV of AES-128-CFB: one block of HMAC-SHA256."""
_MOST_KEYS = 16
_EMPTY_PASSWORD = u32(RH.PW) + sized(b"") + u8(1) + sized(b"")
"""The authorization of an object whose value is empty."""
_PASSWORD_ANSWERED = 5
"""What a response has for it: no nonce, attributes, no HMAC."""
_BLOCK = 64
_INNER, _OUTER = (bytes(octet ^ pad for octet in range(256)) for pad in (0x36, 0x5C))


@dataclass(frozen=True, slots=True)
class Parent:
    """A storage key: its handle, its name, its public half, and the CNG name of its nameAlg.

    bits: of the AES key that protects what is below it. counted: whether the TPM counts wrong authorization values of
    it against its lockout.
    """

    handle: int
    name: bytes
    public: EcPublicKey | RsaPublicKey
    hash_name: str
    counted: bool = False
    bits: int = 128


def kdfa(hash_name: str, key: bytes, label: bytes, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """KDFa (Part 1, section 11.4.10.2): SP 800-108 in counter mode with HMAC. label: without its final NUL."""
    hash_function = HASHES[hash_name]
    fixed = label + b"\0" + context_u + context_v + u32(bits)
    length = (bits + 7) // 8
    blocks = -(-length // hash_function.digest_size)
    return b"".join(hash_function.hmac(key, u32(count) + fixed) for count in range(1, blocks + 1))[:length]


def share_secret(parent: Parent, label: bytes) -> tuple[bytes, bytes]:
    """A secret that only `parent` can recover, and its TPM2B_ENCRYPTED_SECRET content (Part 1, sections B.10 and C.6).

    label: "SECRET", "DUPLICATE" or "IDENTITY", without its final NUL.
    """
    hash_function = HASHES[parent.hash_name]
    if isinstance(parent.public, RsaPublicKey):
        secret = os.urandom(hash_function.digest_size)
        algorithm = getattr(hashes, parent.hash_name)()
        scheme = padding.OAEP(padding.MGF1(algorithm), algorithm, label + b"\0")
        key = rsa.RSAPublicNumbers(parent.public.public_exponent, parent.public.modulus).public_key()
        return secret, key.encrypt(secret, scheme)
    curve = CURVES[parent.public.curve]
    width = curve.coordinate_size
    ephemeral = ec.generate_private_key(curve.host())
    point = ephemeral.public_key().public_numbers()
    peer = ec.EllipticCurvePublicNumbers(parent.public.x, parent.public.y, curve.host()).public_key()
    agreed = ephemeral.exchange(ec.ECDH(), peer)
    x, y = point.x.to_bytes(width, "big"), point.y.to_bytes(width, "big")
    party_v = parent.public.x.to_bytes(width, "big")
    # KDFe (Part 1, section 11.4.10.3); one block is enough, because the secret has the digest's size.
    secret = hash_function.digest(u32(1) + agreed + label + b"\0" + x + party_v)
    return secret, sized(x) + sized(y)


def _hidden(parameters: bytes, mask: bytes) -> bytes:
    """With the first one, a TPM2B, encrypted. mask: AES key and IV."""
    end = 2 + int.from_bytes(parameters[:2], "big")
    first = Cipher(AES128(mask[:16]), CFB(mask[16:])).encryptor().update(parameters[2:end])
    return b"".join((parameters[:2], first, parameters[end:]))


def _shown(answer: bytes, mask: bytes) -> bytes:
    """`_hidden` undone."""
    end = 2 + int.from_bytes(answer[:2], "big")
    first = Cipher(AES128(mask[:16]), CFB(mask[16:])).decryptor().update(answer[2:end])
    return b"".join((answer[:2], first, answer[end:]))


def protect(key: bytes, data: bytes) -> bytes:
    """AES-CFB with an IV of zeros, under a key that is used once: the wrapper of Part 1, section 22.4."""
    return Cipher(AES(key), CFB(bytes(16))).encryptor().update(data)


def wrapped(parent: Parent, label: bytes, name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """`content` for the object of that name, so that only `parent`'s TPM can unwrap it: the outer wrapper of Part 1,
    sections 23.3 and 24. Returns it with its integrity in front, and the seed as TPM2B_ENCRYPTED_SECRET's content.

    label: "DUPLICATE" or "IDENTITY", without its final NUL.
    """
    seed, encrypted_seed = share_secret(parent, label)
    hash_function = HASHES[parent.hash_name]
    hidden = protect(kdfa(parent.hash_name, seed, b"STORAGE", name, b"", parent.bits), content)
    hmac_key = kdfa(parent.hash_name, seed, b"INTEGRITY", b"", b"", 8 * hash_function.digest_size)
    return sized(hash_function.hmac(hmac_key, hidden + name)) + hidden, encrypted_seed


def _keyed(key: bytes) -> Keyed:
    """HMAC-SHA256 (RFC 2104) with the key's two blocks done: a fraction of what the key costs each time."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner, outer = hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))

    def digest(data: bytes) -> bytes:
        within, around = inner.copy(), outer.copy()
        within.update(data)
        around.update(within.digest())
        return around.digest()

    return digest


@dataclass(slots=True)
class Session:
    """A session that is open in the TPM; nonces roll with every command, so one command at a time."""

    handle: int
    key: bytes = field(repr=False)
    nonce_tpm: bytes = field(repr=False)
    _keyed: dict[bytes, Keyed] = field(default_factory=dict, repr=False)

    def _begun(self, auth: bytes) -> Keyed:
        """HMAC under the session's key and an authorization value, begun once for all commands that take it."""
        if len(self._keyed) >= _MOST_KEYS:
            self._keyed.clear()
        keyed = self._keyed[auth] = _keyed(self.key + auth.rstrip(b"\0"))
        return keyed

    def mac(self, data: bytes, auth: bytes) -> bytes:
        """HMAC-SHA256 of `data` under the session's key and an authorization value."""
        return (self._keyed.get(auth) or self._begun(auth))(data)

    def authorization(self, said: bytes, auth: bytes, *, encrypted: bool) -> tuple[bytes, bytes]:
        """A fresh nonce and what an authorization area has for this session. said: the command's digest (cpHash).

        auth: as of `run`. encrypted: whether the response's first parameter is to be hidden.
        """
        nonce, attributes = os.urandom(_NONCE), u8(_CONTINUE | (_ENCRYPT if encrypted else 0))
        mac = self.mac(said + nonce + self.nonce_tpm + attributes, auth)
        return nonce, u32(self.handle) + sized(nonce) + attributes + sized(mac)

    def shown(self, answer: bytes, nonce: bytes, auth: bytes) -> bytes:
        """An answer's parameters, the first of which was hidden. nonce: the command's; the TPM's is the session's."""
        return _shown(answer, self.mac(_MASK + self.nonce_tpm + nonce + _MASK_BITS, auth))

    def run(
        self,
        exchange: Exchange,
        code: int,
        handle: int,
        name: bytes,
        parameters: bytes,
        *,
        auth: bytes = b"",
        hide_request: bool,
        hide_response: bool,
        answers_handle: bool = False,
        beside: tuple[tuple[int, bytes], ...] = (),
        ahead: tuple[int, bytes] | None = None,
        behind: bool = False,
    ) -> tuple[int, bytes]:
        """Runs a command in this session and returns the response's handle, 0 where it has none, and its parameters.

        handle, name: of the object that the command is on, 0 for none. auth: its authorization value; without an object
        the session only hides. hide_request, hide_response: whether to encrypt the first parameter, which must be a
        TPM2B. beside: handles and names of the objects after the first, which need no authorization. ahead: of an
        object before it, whose authorization value is empty. behind: whether that of `beside` has an empty one too.

        Raises TpmError for the TPM's refusal, TransportError where the answer does not carry the session's HMAC.
        """
        keyed, ours, theirs = self._keyed.get(auth) or self._begun(auth), os.urandom(_NONCE), self.nonce_tpm
        nonces, asked = ours + theirs, code.to_bytes(4, "big")
        attributes = _CONTINUE
        if hide_response:
            attributes |= _ENCRYPT
        if hide_request:
            attributes |= _DECRYPT
            parameters = _hidden(parameters, keyed(_MASK + nonces + _MASK_BITS))
        if beside or ahead is not None:
            name = (b"" if ahead is None else ahead[1]) + name + b"".join(other for _, other in beside)
        mac = keyed(hashlib.sha256(asked + name + parameters).digest() + nonces + attributes.to_bytes(1, "big"))
        area = _AREA_SIZE, self.handle, _NONCE, ours, attributes, _DIGEST, mac
        if beside or ahead is not None:
            first = () if ahead is None else (ahead[0],)
            handles = b"".join(u32(one) for one in (*first, handle, *(other for other, _ in beside)))
            before, after = _EMPTY_PASSWORD * (ahead is not None), _EMPTY_PASSWORD * behind
            passwords = len(before) + len(after)
            size = _AREA.size + len(handles) + passwords + len(parameters)
            plain = _AREA.pack(ST.SESSIONS, size, code, _AREA_SIZE + passwords, *area[1:])
            head = plain[:_HEADER] + handles + plain[_HEADER : _HEADER + 4] + before + plain[_HEADER + 4 :] + after
        elif handle:
            size = _AREA_WITH_HANDLE.size + len(parameters)
            head = _AREA_WITH_HANDLE.pack(ST.SESSIONS, size, code, handle, *area)
        else:
            head = _AREA.pack(ST.SESSIONS, _AREA.size + len(parameters), code, *area)
        response = exchange(head + parameters)
        if response[6:10] != _SUCCESS:
            raise TpmError(int.from_bytes(response[6:10], "big"), code)
        start = 18 if answers_handle else 14
        end = start + int.from_bytes(response[start - 4 : start], "big")
        answer = response[start:end]
        if ahead is not None:
            end += _PASSWORD_ANSWERED
        nonce_end = end + 2 + int.from_bytes(response[end : end + 2], "big")
        if len(response) != nonce_end + 3 + _DIGEST + _PASSWORD_ANSWERED * behind:
            raise MalformedError("an answer without the session's nonce and HMAC")
        nonces = response[end + 2 : nonce_end] + ours
        said = hashlib.sha256(_SUCCESS + asked + answer).digest()
        expected = keyed(said + nonces + response[nonce_end : nonce_end + 1])
        if not hmac.compare_digest(expected, response[nonce_end + 3 : nonce_end + 3 + _DIGEST]):
            raise TransportError("the TPM's answer was altered on its way")
        self.nonce_tpm = response[end + 2 : nonce_end]
        if hide_response:
            answer = _shown(answer, keyed(_MASK + nonces + _MASK_BITS))
        return int.from_bytes(response[10:14], "big") if answers_handle else 0, answer


def start_session(exchange: Exchange, parent: Parent, *, policy: bool = False) -> Session:
    """TPM2_StartAuthSession: unbound, salted to `parent`. policy: for policies, which the key's use then needs.

    Raises TpmError and TransportError.
    """
    nonce_caller = os.urandom(_NONCE)
    salt, encrypted_salt = share_secret(parent, b"SECRET")
    kind = u8(_POLICY_SESSION if policy else _HMAC_SESSION)
    parameters = sized(nonce_caller) + sized(encrypted_salt) + kind + AES_128_CFB + u16(ALG.SHA256)
    request = command(CC.StartAuthSession, (parent.handle, RH.NULL), b"", parameters)
    reader = Reader(exchange(request))
    reader.take(6)
    rc = reader.u32()
    if rc != RC.SUCCESS:
        raise TpmError(rc, CC.StartAuthSession)
    handle, nonce_tpm = reader.u32(), reader.sized()
    return Session(handle, kdfa("SHA256", salt, b"ATH", nonce_tpm, nonce_caller, 8 * _DIGEST), nonce_tpm)
