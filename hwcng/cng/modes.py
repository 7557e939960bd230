"""What each mode of a cipher takes, and a key's verbs in the mode that it is set to.

Standards: SP 800-38A (modes), SP 800-38C and D (CCM, GCM), RFC 8439, IEEE 1619 (XTS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.cng.algorithm import Algorithm
from hwcng.contract.keys import AeadVerb, CipherVerb, SecretKey
from hwcng.contract.usage import CipherMode
from hwcng.errors import CngError, invalid_parameter
from hwcng.headers.bcrypt_h import (
    BCRYPT_CHAIN_MODE_CBC,
    BCRYPT_CHAIN_MODE_CCM,
    BCRYPT_CHAIN_MODE_ECB,
    BCRYPT_CHAIN_MODE_GCM,
)

__all__ = ["CFB8_UNIT", "MODES", "KeyMode", "Mode", "cfb_mode", "cipher_mode"]

CFB8_UNIT = 1
"""Bytes of a segment."""


@dataclass(frozen=True, slots=True)
class Mode:
    """chaining_mode: by which keys are set to it, where one name tells it. algorithm: whose only mode it is. block: of
    CFB in segments of whole blocks, their bytes. nonces, tags: the lengths in bytes that a
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO may have, empty where the mode takes no record. iv: whether it takes a pbIV,
    padding: BCRYPT_BLOCK_PADDING; whole_blocks: nothing else without that.
    """

    chaining_mode: str = ""
    algorithm: str = ""
    block: int = 0
    nonces: range = range(0)
    tags: range = range(0)
    iv: bool = False
    padding: bool = False
    whole_blocks: bool = False

    @property
    def record(self) -> bool:
        return bool(self.tags)


MODES: Mapping[CipherMode, Mode] = MappingProxyType(
    {
        CipherMode.ECB: Mode(BCRYPT_CHAIN_MODE_ECB, padding=True, whole_blocks=True),
        CipherMode.CBC: Mode(BCRYPT_CHAIN_MODE_CBC, iv=True, padding=True, whole_blocks=True),
        CipherMode.CFB8: Mode(iv=True, padding=True),
        CipherMode.CFB64: Mode(block=8, iv=True, padding=True),
        CipherMode.CFB128: Mode(block=16, iv=True, padding=True),
        CipherMode.GCM: Mode(BCRYPT_CHAIN_MODE_GCM, nonces=range(12, 13), tags=range(12, 17)),
        CipherMode.CCM: Mode(BCRYPT_CHAIN_MODE_CCM, nonces=range(7, 14), tags=range(4, 17, 2)),
        CipherMode.POLY1305: Mode(algorithm="CHACHA20_POLY1305", nonces=range(12, 13), tags=range(16, 17)),
        CipherMode.XTS: Mode(algorithm="XTS-AES", iv=True),
        CipherMode.STREAM: Mode(algorithm="RC4"),
    }
)
_BY_CHAINING_MODE = {row.chaining_mode: mode for mode, row in MODES.items() if row.chaining_mode}
_BY_ALGORITHM = {row.algorithm: mode for mode, row in MODES.items() if row.algorithm}
_BY_BLOCK = {row.block: mode for mode, row in MODES.items() if row.block}


def cipher_mode(algorithm: Algorithm, chaining_mode: str | None) -> CipherMode | None:
    """The mode that a chaining mode is; None for CFB, whose segment is a property of the key, and for no cipher."""
    return _BY_ALGORITHM.get(algorithm.name) or _BY_CHAINING_MODE.get(chaining_mode or "")


def cfb_mode(segment: int, block: int) -> CipherMode:
    """CFB in segments of one byte or of a whole block, in bytes."""
    return CipherMode.CFB8 if segment == CFB8_UNIT else _BY_BLOCK[block]


class KeyMode:
    """A token's key in one mode. Its verbs are worked out at their first use.

    chaining_mode, segment: what of the handle it was made of. chains: whether a block of the ciphertext is the next IV.
    encipher, decipher: the verbs of a mode without a record, None before they are used. sealings, openings: those of a
    mode with a record, by the length of the tag in bytes.
    """

    __slots__ = (
        "chaining_mode",
        "chains",
        "decipher",
        "encipher",
        "key",
        "mode",
        "nonces",
        "openings",
        "sealings",
        "segment",
        "tags",
        "takes_iv",
        "takes_padding",
        "takes_record",
        "whole_blocks",
    )

    def __init__(self, key: SecretKey, mode: CipherMode, chaining_mode: str | None, segment: int) -> None:
        takes = MODES[mode]
        self.key = key
        self.mode = mode
        self.chaining_mode = chaining_mode
        self.segment = segment
        self.takes_record = takes.record
        self.takes_iv = takes.iv
        self.chains = takes.iv and mode is not CipherMode.XTS
        self.takes_padding = takes.padding
        self.whole_blocks = takes.whole_blocks
        self.nonces = takes.nonces
        self.tags = takes.tags
        self.encipher: CipherVerb | None = None
        self.decipher: CipherVerb | None = None
        self.sealings: dict[int, AeadVerb] = {}
        self.openings: dict[int, AeadVerb] = {}

    def refusal(self, algorithm: str, auth_info: object, iv: object) -> CngError:
        """Of what the mode does not take: a pPaddingInfo, a pbIV, or else padding."""
        mode = self.mode.value
        if auth_info is not None:
            return invalid_parameter(f"{mode} takes no pPaddingInfo")
        if iv is not None and not self.takes_iv:
            return invalid_parameter(f"{algorithm} takes no pbIV in {mode}")
        return invalid_parameter(f"{algorithm} takes no BCRYPT_BLOCK_PADDING")

    def cipher(self, encrypting: bool) -> CipherVerb:
        """`encipher` or `decipher`, which is there from now on."""
        verb = self.encipher if encrypting else self.decipher
        if verb is None and encrypting:
            verb = self.encipher = self.key.enciphering(self.mode)
        elif verb is None:
            verb = self.decipher = self.key.deciphering(self.mode)
        return verb

    def aead(self, encrypting: bool, tag_length: int) -> AeadVerb:
        """The verb for tags of that length, which is among `sealings` or `openings` from now on."""
        if encrypting:
            verb = self.sealings[tag_length] = self.key.sealing(self.mode, tag_length)
        else:
            verb = self.openings[tag_length] = self.key.opening(self.mode, tag_length)
        return verb
