"""Verbs of one key that are worked out once and then done with any data (OASIS PKCS#11 3.2, sections 5.8, 5.9, 5.13).

What a call writes, nonce or initialisation vector, belongs to that call while it runs: each of several threads has one
of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from hwcng.contract.keys import AeadVerb, CipherVerb, Message
from hwcng.contract.usage import CipherMode, SecretFamily
from hwcng.providers.pkcs11.families.ciphers import CIPHER_MECHANISMS, GCM_NONCE, GcmCall, IvCall, gcm
from hwcng.providers.pkcs11.keys.base import HeldObject
from hwcng.providers.pkcs11.mechanisms import MechanismCall, call
from hwcng.providers.pkcs11.operations import Operation

__all__ = ["PREPARED_MODES", "prepared_cipher", "prepared_gcm", "prepared_signature"]

PREPARED_MODES = frozenset((CipherMode.ECB, CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB128, CipherMode.GCM))
_AES_BLOCK, _DES_BLOCK = 16, 8
_BLOCKS = {SecretFamily.DES: _DES_BLOCK, SecretFamily.DES3: _DES_BLOCK, SecretFamily.DES3_112: _DES_BLOCK}


def prepared_signature(
    held: HeldObject, operation: Operation, call: MechanismCall, room: int
) -> Callable[[bytes], bytes]:
    """A signature or a MAC by a mechanism whose parameter stays as it is. room: bytes of the longest result."""

    def sign(data: bytes) -> bytes:
        connection, key = held.at
        return connection.crypt(operation, call, key, data, room)

    return sign


def prepared_cipher(held: HeldObject, operation: Operation, family: SecretFamily, mode: CipherMode) -> CipherVerb:
    mechanism = CIPHER_MECHANISMS[family][mode]
    if mode is CipherMode.ECB:
        return _ecb(held, operation, call(mechanism))
    return _chaining(held, operation, mechanism, _BLOCKS.get(family, _AES_BLOCK))


def _ecb(held: HeldObject, operation: Operation, call: MechanismCall) -> CipherVerb:
    """A cipher that chains nothing."""

    def apply(_iv: bytes, data: Message) -> bytes:
        connection, key = held.at
        return connection.crypt(operation, call, key, data, len(data))

    return apply


def _chaining(held: HeldObject, operation: Operation, mechanism: int, block: int) -> CipherVerb:
    """A cipher in a mode whose initialisation vector is one block."""
    free: list[IvCall] = []

    def apply(iv: bytes, data: Message) -> bytes:
        connection, key = held.at
        try:
            call = free.pop()
        except IndexError:
            call = IvCall(mechanism, block)
        call.iv[:] = iv
        size = len(data)
        result = connection.crypt(operation, call, key, data, size)
        free.append(call)
        # opencryptoki reports the buffer's size as CFB's output length.
        return result if len(result) == size else result[:size]

    return apply


def prepared_gcm(held: HeldObject, operation: Operation, family: SecretFamily, tag_length: int, added: int) -> AeadVerb:
    """GCM in one direction with tags of one length. added: how many bytes longer than the data the result may be."""
    mechanism = CIPHER_MECHANISMS[family][CipherMode.GCM]
    free: list[GcmCall] = []

    def apply(nonce: bytes, aad: bytes, data: Message) -> bytes:
        connection, key = held.at
        room = len(data) + added
        if len(nonce) != GCM_NONCE:
            return connection.crypt(operation, gcm(mechanism, nonce, aad, tag_length), key, data, room)
        try:
            call = free.pop()
        except IndexError:
            call = GcmCall(mechanism, tag_length)
        call.nonce[:] = nonce
        if not aad:
            result = connection.crypt(operation, call, key, data, room)
        else:
            call.add(aad)
            result = connection.crypt(operation, call, key, data, room)
            call.add_nothing()
        free.append(call)
        return result

    return apply
