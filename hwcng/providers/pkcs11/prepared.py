"""Verbs of one key that are worked out once and then done with any data (OASIS PKCS#11 3.2, sections 5.8, 5.9, 5.13).

What a call writes, nonce or initialisation vector, belongs to that call while it runs: each of several threads has one
of its own.
"""

from __future__ import annotations

from hwcng.contract.keys import CipherVerb, Message
from hwcng.contract.usage import CipherMode, SecretFamily
from hwcng.providers.pkcs11.families.ciphers import CIPHER_MECHANISMS, GCM_NONCE, GcmCall, IvCall, gcm
from hwcng.providers.pkcs11.keys.base import HeldObject
from hwcng.providers.pkcs11.mechanisms import MechanismCall, call
from hwcng.providers.pkcs11.operations import Operation

__all__ = ["PREPARED_MODES", "PreparedGcm", "PreparedSignature", "prepared_cipher"]

PREPARED_MODES = frozenset((CipherMode.ECB, CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB128, CipherMode.GCM))
_AES_BLOCK, _DES_BLOCK = 16, 8
_BLOCKS = {SecretFamily.DES: _DES_BLOCK, SecretFamily.DES3: _DES_BLOCK, SecretFamily.DES3_112: _DES_BLOCK}


class PreparedSignature:
    """A signature or a MAC by a mechanism whose parameter stays as it is. room: bytes of the longest result."""

    __slots__ = ("_call", "_held", "_operation", "_room")

    def __init__(self, held: HeldObject, operation: Operation, call: MechanismCall, room: int) -> None:
        self._held = held
        self._operation = operation
        self._call = call
        self._room = room

    def __call__(self, data: bytes) -> bytes:
        held = self._held
        return held.connection.crypt(self._operation, self._call, held.handle, data, self._room)


class PreparedEcb:
    """A cipher that chains nothing."""

    __slots__ = ("_call", "_held", "_operation")

    def __init__(self, held: HeldObject, operation: Operation, call: MechanismCall) -> None:
        self._held = held
        self._operation = operation
        self._call = call

    def __call__(self, iv: bytes, data: Message) -> bytes:
        held = self._held
        return held.connection.crypt(self._operation, self._call, held.handle, data, len(data))


class PreparedCipher:
    """A cipher in a mode whose initialisation vector is one block."""

    __slots__ = ("_block", "_free", "_held", "_mechanism", "_operation")

    def __init__(self, held: HeldObject, operation: Operation, mechanism: int, block: int) -> None:
        self._held = held
        self._operation = operation
        self._mechanism = mechanism
        self._block = block
        self._free: list[IvCall] = []

    def __call__(self, iv: bytes, data: Message) -> bytes:
        held, free = self._held, self._free
        try:
            call = free.pop()
        except IndexError:
            call = IvCall(self._mechanism, self._block)
        call.iv[:] = iv
        size = len(data)
        result = held.connection.crypt(self._operation, call, held.handle, data, size)
        free.append(call)
        # opencryptoki reports the buffer's size as CFB's output length.
        return result[:size]


class PreparedGcm:
    """GCM in one direction with tags of one length. added: how many bytes longer than the data the result may be."""

    __slots__ = ("_added", "_free", "_held", "_mechanism", "_operation", "_tag_length")

    def __init__(
        self, held: HeldObject, operation: Operation, family: SecretFamily, tag_length: int, added: int
    ) -> None:
        self._held = held
        self._operation = operation
        self._mechanism = CIPHER_MECHANISMS[family][CipherMode.GCM]
        self._tag_length = tag_length
        self._added = added
        self._free: list[GcmCall] = []

    def __call__(self, nonce: bytes, aad: bytes, data: Message) -> bytes:
        held, free, room = self._held, self._free, len(data) + self._added
        if len(nonce) != GCM_NONCE:
            once = gcm(self._mechanism, nonce, aad, self._tag_length)
            return held.connection.crypt(self._operation, once, held.handle, data, room)
        try:
            call = free.pop()
        except IndexError:
            call = GcmCall(self._mechanism, self._tag_length)
        call.begin(nonce, aad)
        result = held.connection.crypt(self._operation, call, held.handle, data, room)
        if aad:
            call.end()
        free.append(call)
        return result


def prepared_cipher(held: HeldObject, operation: Operation, family: SecretFamily, mode: CipherMode) -> CipherVerb:
    mechanism = CIPHER_MECHANISMS[family][mode]
    if mode is CipherMode.ECB:
        return PreparedEcb(held, operation, call(mechanism))
    return PreparedCipher(held, operation, mechanism, _BLOCKS.get(family, _AES_BLOCK))
