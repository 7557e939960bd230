"""The salted HMAC session that hides parameters on the bus: TPM 2.0 Library, Part 1, sections 11.4.10, 19 and 21.

SHA-256 and AES-128-CFB. The salt goes to the storage root key, so a wire tap that cannot use that key sees nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.providers.tpm2.line.transport import Exchange
from hwcng.providers.tpm2.wire.constants import AES_128_CFB, ALG, CC, RC, RH
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.marshal import Reader, command, sized, u8, u16, u32
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

__all__ = ["Parent", "Session", "kdfa", "protect", "share_secret", "start_session"]

_NONCE = 16
_DIGEST = 32
_CONTINUE, _DECRYPT, _ENCRYPT = 0x01, 0x20, 0x40
_HMAC_SESSION = 0


@dataclass(frozen=True, slots=True)
class Parent:
    """A storage key: its handle, its name, its public half, and the CNG name of its nameAlg.

    counted: whether the TPM counts wrong authorization values of it against its lockout.
    """

    handle: int
    name: bytes
    public: EcPublicKey | RsaPublicKey
    hash_name: str
    counted: bool = False


def kdfa(hash_name: str, key: bytes, label: bytes, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """KDFa (Part 1, section 11.4.10.2): SP 800-108 in counter mode with HMAC. label: without its final NUL."""
    hash_function = HASHES[hash_name]
    fixed = label + b"\0" + context_u + context_v + u32(bits)
    length = (bits + 7) // 8
    blocks = -(-length // hash_function.digest_size)
    return b"".join(hash_function.hmac(key, u32(count) + fixed) for count in range(1, blocks + 1))[:length]


def share_secret(parent: Parent, label: bytes) -> tuple[bytes, bytes]:
    """A secret that only `parent` can recover, and its TPM2B_ENCRYPTED_SECRET content (Part 1, sections B.10 and C.6).

    label: "SECRET" or "DUPLICATE", without its final NUL.
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


def _cfb(key_and_iv: bytes, data: bytes, encrypt: bool) -> bytes:
    cipher = Cipher(AES(key_and_iv[:16]), CFB(key_and_iv[16:]))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()


def protect(key: bytes, data: bytes) -> bytes:
    """AES-128-CFB with an IV of zeros, under a key that is used once: the wrapper of Part 1, section 22.4."""
    return _cfb(key + bytes(16), data, encrypt=True)


@dataclass(slots=True)
class Session:
    """A session that is open in the TPM; nonces roll with every command, so one command at a time."""

    handle: int
    key: bytes = field(repr=False)
    nonce_tpm: bytes = field(repr=False)

    def run(
        self,
        exchange: Exchange,
        code: int,
        handles: Sequence[int],
        names: Sequence[bytes],
        parameters: bytes,
        *,
        auth: bytes | None,
        hide_request: bool,
        hide_response: bool,
        answers_handle: bool = False,
    ) -> tuple[int, bytes]:
        """Runs a command in this session and returns the response's handle, 0 where it has none, and its parameters.

        auth: the authorization value of the first handle; None: the command needs none, the session only hides.
        hide_request, hide_response: whether to encrypt the first parameter, which must be a TPM2B.

        Raises TpmError for the TPM's refusal, TransportError where the answer does not carry the session's HMAC.
        """
        key = self.key + (auth or b"").rstrip(b"\0")
        nonce_caller = os.urandom(_NONCE)
        if hide_request:
            length = int.from_bytes(parameters[:2], "big")
            mask = kdfa("SHA256", key, b"CFB", nonce_caller, self.nonce_tpm, 256)
            hidden = _cfb(mask, parameters[2 : 2 + length], encrypt=True)
            parameters = parameters[:2] + hidden + parameters[2 + length :]
        attributes = u8(_CONTINUE | (_DECRYPT if hide_request else 0) | (_ENCRYPT if hide_response else 0))
        digest = hashlib.sha256(b"".join([u32(code), *names, parameters])).digest()
        mac = hmac.digest(key, digest + nonce_caller + self.nonce_tpm + attributes, "sha256")
        area = u32(self.handle) + sized(nonce_caller) + attributes + sized(mac)
        response = exchange(command(code, handles, area, parameters))
        reader = Reader(response)
        reader.take(6)
        rc = reader.u32()
        if rc != RC.SUCCESS:
            raise TpmError(rc, code)
        handle = reader.u32() if answers_handle else 0
        answer = reader.take(reader.u32())
        nonce_tpm, answer_attributes, answer_mac = reader.sized(), reader.take(1), reader.sized()
        digest = hashlib.sha256(u32(0) + u32(code) + answer).digest()
        expected = hmac.digest(key, digest + nonce_tpm + nonce_caller + answer_attributes, "sha256")
        if not hmac.compare_digest(expected, answer_mac):
            raise TransportError("the TPM's answer was altered on its way")
        self.nonce_tpm = nonce_tpm
        if hide_response:
            length = int.from_bytes(answer[:2], "big")
            mask = kdfa("SHA256", key, b"CFB", nonce_tpm, nonce_caller, 256)
            answer = answer[:2] + _cfb(mask, answer[2 : 2 + length], encrypt=False) + answer[2 + length :]
        return handle, answer


def start_session(exchange: Exchange, parent: Parent) -> Session:
    """TPM2_StartAuthSession: unbound, salted to `parent`. Raises TpmError and TransportError."""
    nonce_caller = os.urandom(_NONCE)
    salt, encrypted_salt = share_secret(parent, b"SECRET")
    parameters = sized(nonce_caller) + sized(encrypted_salt) + u8(_HMAC_SESSION) + AES_128_CFB + u16(ALG.SHA256)
    request = command(CC.StartAuthSession, (parent.handle, RH.NULL), b"", parameters)
    reader = Reader(exchange(request))
    reader.take(6)
    rc = reader.u32()
    if rc != RC.SUCCESS:
        raise TpmError(rc, CC.StartAuthSession)
    handle, nonce_tpm = reader.u32(), reader.sized()
    return Session(handle, kdfa("SHA256", salt, b"ATH", nonce_tpm, nonce_caller, 8 * _DIGEST), nonce_tpm)
