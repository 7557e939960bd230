"""Secret keys under a TPM's storage root key: TPM 2.0 Library, Part 3, sections 15 and 17.

What the host adds around the TPM's commands: SP 800-38A (chaining over 1,024-byte commands, CFB8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from hwcng.arguments import octets
from hwcng.contract import keys, specs
from hwcng.contract.attestation import Origin
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    CmacSpec,
    GmacSpec,
    MacSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.hostcrypto import modes
from hwcng.providers.tpm2.keys.base import Realm, TpmKey
from hwcng.providers.tpm2.keys.derivation import TpmKeyingMaterial
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import KeyHandle
from hwcng.providers.tpm2.wire.constants import ALG, HASH_IDS
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError

__all__ = ["Tpm2SecretKey"]

_BLOCK = modes.BLOCK
_MODES: Mapping[CipherMode, ALG] = MappingProxyType(
    {CipherMode.ECB: ALG.ECB, CipherMode.CBC: ALG.CBC, CipherMode.CFB128: ALG.CFB}
)


class Tpm2SecretKey(TpmKey, keys.SecretKey):
    """An AES, HMAC or AES-CMAC key. On the bus its data is hidden in the connection's session."""

    def __init__(self, realm: Realm, held: TpmObject, spec: SecretSpec, origin: Origin | None = None) -> None:
        super().__init__(realm, held, origin)
        self.spec = spec

    def __repr__(self) -> str:
        state = " destroyed" if self._destroyed else ""
        return f"<Tpm2SecretKey {self.spec.family.value} {self.spec.bits} bits{state}>"

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        cipher = self._cipher(spec)
        if cipher.mode is CipherMode.CFB8:
            return modes.cfb8_encrypt(self._ecb(), cipher.iv, data)
        return self._ciphering(cipher.mode, decrypt=False)(cipher.iv, octets(data, "the data"))

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        cipher = self._cipher(spec)
        if cipher.mode is CipherMode.CFB8:
            return modes.cfb8_decrypt(self._ecb(), cipher.iv, data)
        return self._ciphering(cipher.mode, decrypt=True)(cipher.iv, octets(data, "the data"))

    def enciphering(self, mode: CipherMode) -> keys.CipherVerb:
        self._require_mode(mode)
        return self._ciphering(mode, decrypt=False) if mode in _MODES else super().enciphering(mode)

    def deciphering(self, mode: CipherMode) -> keys.CipherVerb:
        self._require_mode(mode)
        return self._ciphering(mode, decrypt=True) if mode in _MODES else super().deciphering(mode)

    def _require_mode(self, mode: CipherMode) -> None:
        if self.spec.family is not SecretFamily.AES:
            raise not_supported(f"encryption with a key made for {self.spec.family.value}: a TPM key has one use")
        if self._offers.offers("AES", mode.value) is Support.REFUSED:
            raise not_supported(f"AES-{mode.value}: {self._offers.reason('AES', mode.value)}")

    def _cipher(self, spec: CipherSpec | AeadSpec) -> CipherSpec:
        """`spec`, where this key and this TPM serve it."""
        self._require_mode(spec.mode)
        if isinstance(spec, AeadSpec):
            raise not_supported(f"AES-{spec.mode.value}: {self._offers.reason('AES', spec.mode.value)}")
        if len(spec.iv) != (0 if spec.mode is CipherMode.ECB else _BLOCK):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"AES-{spec.mode.value}: an IV of {len(spec.iv)} bytes")
        return spec

    def _ecb(self) -> Callable[[bytes], bytes]:
        return partial(self._ciphering(CipherMode.ECB, decrypt=False), b"")

    def _ciphering(self, mode: CipherMode, *, decrypt: bool) -> keys.CipherVerb:
        """Of a mode that was looked at."""
        number = _MODES[mode]
        # A chunk that ends inside a block would spoil the chaining.
        size = self._offers.facts.buffer // _BLOCK * _BLOCK
        unit = 1 if number is ALG.CFB else _BLOCK
        asked = f"AES-{mode.value} {'de' if decrypt else 'en'}cryption"

        def crypt(iv: bytes, data: keys.Message) -> bytes:
            length = len(data)
            if length % unit:
                raise CngError(
                    NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"AES-{mode.value}: {length} bytes are no whole blocks"
                )
            command = commands.encrypt_decrypt if 0 < length <= size else partial(_in_pieces, size)
            return self._use(asked, partial(command, decrypt=decrypt, mode=number, iv=iv, data=data))[0]

        return crypt

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        return self._authenticating(spec)(octets(data, "the data"))

    def authenticating(self, spec: specs.HmacSpec | CmacSpec) -> Callable[[bytes], bytes]:
        return self._authenticating(spec)

    def _authenticating(self, spec: MacSpec) -> Callable[[bytes], bytes]:
        asked = self._require_mac(spec)
        # A key without a hash of its own takes it from the command; a CMAC key has no hash.
        algorithm = HASH_IDS[spec.hash_name] if isinstance(spec, specs.HmacSpec) else ALG.NULL
        size = self._offers.facts.buffer

        def authenticate(data: bytes) -> bytes:
            command = commands.mac if len(data) <= size else partial(_mac_in_pieces, size)
            return self._use(asked, partial(command, data=data, algorithm=algorithm))

        return authenticate

    def _require_mac(self, spec: MacSpec) -> str:
        if isinstance(spec, GmacSpec):
            raise not_supported("AES-GMAC: a TPM has no AES-GCM")
        if isinstance(spec, CmacSpec):
            if self.spec.family is not SecretFamily.CMAC:
                raise not_supported(f"AES-CMAC with a key made for {self.spec.family.value}: a TPM key has one use")
            return "AES-CMAC"
        if self.spec.family is not SecretFamily.HMAC or self.spec.hash_name not in (None, spec.hash_name):
            made_for = self.spec.hash_name or self.spec.family.value
            raise not_supported(f"HMAC-{spec.hash_name} with a key made for {made_for}: a TPM key has one use")
        if spec.hash_name not in self._offers.facts.hmac:
            raise not_supported(f"HMAC-{spec.hash_name}: {self._offers.reason(f'HMAC-{spec.hash_name}')}")
        return f"HMAC-{spec.hash_name}"

    def keying_material(self) -> TpmKeyingMaterial:
        if self.spec.family is not SecretFamily.HMAC or self.spec.hash_name is not None:
            raise not_supported(f"a {self.spec.hash_name or self.spec.family.value} key of a TPM derives no keys")
        return TpmKeyingMaterial(self.mac, self.spec.bits // 8)

    def duplicate(self) -> Tpm2SecretKey:
        """The same blob as an object of its own: it comes and goes without the other."""
        self._check()
        held = replace(self._held, handle=0)
        return Tpm2SecretKey(self._realm, held, self.spec, self._origin)

    def wrap_key(self, key: keys.SecretKey) -> bytes:
        """Raises STATUS_NOT_SUPPORTED: a TPM has no AES key wrap, and its keys have no value that the host may see."""
        raise not_supported(self._offers.reason("AES", "WRAP"))


def _in_pieces(
    size: int, connection: Connection, key: KeyHandle, decrypt: bool, mode: int, iv: bytes, data: keys.Message
) -> tuple[bytes, bytes]:
    """As `commands.encrypt_decrypt`, for any length. size: bytes that one command takes."""
    output = []
    for start in range(0, len(data), size):
        piece, iv = commands.encrypt_decrypt(connection, key, decrypt, mode, iv, data[start : start + size])
        output.append(piece)
    return b"".join(output), iv


def _mac_in_pieces(size: int, connection: Connection, key: KeyHandle, data: bytes, algorithm: int) -> bytes:
    """As `commands.mac`, for data that one command does not take. size: bytes that it does."""
    sequence = commands.mac_start(connection, key, algorithm)
    try:
        last = (len(data) - 1) // size * size
        for start in range(0, last, size):
            commands.sequence_update(connection, sequence, data[start : start + size])
        return commands.sequence_complete(connection, sequence, data[last:])
    except TpmError:
        _flush_quietly(connection, sequence)
        raise


def _flush_quietly(connection: Connection, sequence: KeyHandle) -> None:
    try:
        commands.flush(connection, sequence.handle)
    except (TpmError, TransportError):
        # It went with the reset that made the command fail.
        return
