"""What each mode of a cipher takes, and a key's verbs in the mode that it is set to.

Standards: SP 800-38A (modes), SP 800-38C and D (CCM, GCM), RFC 8439, IEEE 1619 (XTS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwcng.contract.keys import AeadVerb, CipherVerb, SecretKey
from hwcng.contract.usage import CipherMode
from hwcng.errors import CngError, invalid_parameter

__all__ = ["KeyMode"]


@dataclass(frozen=True, slots=True)
class _Takes:
    """record: a BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO. iv: a pbIV. padding: BCRYPT_BLOCK_PADDING. whole_blocks: nothing
    else without that.
    """

    record: bool = False
    iv: bool = False
    padding: bool = False
    whole_blocks: bool = False


_AEAD = _Takes(record=True)
_CFB = _Takes(iv=True, padding=True)
_TAKES: Mapping[CipherMode, _Takes] = MappingProxyType(
    {
        CipherMode.ECB: _Takes(padding=True, whole_blocks=True),
        CipherMode.CBC: _Takes(iv=True, padding=True, whole_blocks=True),
        CipherMode.CFB8: _CFB,
        CipherMode.CFB64: _CFB,
        CipherMode.CFB128: _CFB,
        CipherMode.GCM: _AEAD,
        CipherMode.CCM: _AEAD,
        CipherMode.POLY1305: _AEAD,
        CipherMode.XTS: _Takes(iv=True),
        CipherMode.STREAM: _Takes(),
    }
)


class KeyMode:
    """A token's key in one mode. Its verbs are worked out at their first use.

    chaining_mode, segment: what of the handle it was made of.
    """

    __slots__ = (
        "_decipher",
        "_encipher",
        "_openings",
        "_sealings",
        "chaining_mode",
        "key",
        "mode",
        "segment",
        "takes_iv",
        "takes_padding",
        "takes_record",
        "whole_blocks",
    )

    def __init__(self, key: SecretKey, mode: CipherMode, chaining_mode: str | None, segment: int) -> None:
        takes = _TAKES[mode]
        self.key = key
        self.mode = mode
        self.chaining_mode = chaining_mode
        self.segment = segment
        self.takes_record = takes.record
        self.takes_iv = takes.iv
        self.takes_padding = takes.padding
        self.whole_blocks = takes.whole_blocks
        self._encipher: CipherVerb | None = None
        self._decipher: CipherVerb | None = None
        self._sealings: dict[int, AeadVerb] = {}
        self._openings: dict[int, AeadVerb] = {}

    def refusal(self, algorithm: str, auth_info: object, iv: object) -> CngError:
        """Of what the mode does not take: a pPaddingInfo, a pbIV, or else padding."""
        mode = self.mode.value
        if auth_info is not None:
            return invalid_parameter(f"{mode} takes no pPaddingInfo")
        if iv is not None and not self.takes_iv:
            return invalid_parameter(f"{algorithm} takes no pbIV in {mode}")
        return invalid_parameter(f"{algorithm} takes no BCRYPT_BLOCK_PADDING")

    def apply(self, encrypting: bool, iv: bytes, data: bytes) -> bytes:
        """`data` under the key, in a mode of whole units. iv: one block, empty for ECB."""
        verb = self._encipher if encrypting else self._decipher
        return (verb or self._cipher(encrypting))(iv, data)

    def _cipher(self, encrypting: bool) -> CipherVerb:
        key, mode = self.key, self.mode
        if encrypting:
            verb = self._encipher = key.enciphering(mode)
        else:
            verb = self._decipher = key.deciphering(mode)
        return verb

    def seal(self, nonce: bytes, aad: bytes, tag_length: int, data: bytes) -> bytes:
        """The ciphertext and the tag, in one string."""
        verb = self._sealings.get(tag_length)
        if verb is None:
            verb = self._sealings[tag_length] = self.key.sealing(self.mode, tag_length)
        return verb(nonce, aad, data)

    def open(self, nonce: bytes, aad: bytes, tag_length: int, sealed: bytes) -> bytes:
        """The plaintext. Raises STATUS_AUTH_TAG_MISMATCH for a wrong tag."""
        verb = self._openings.get(tag_length)
        if verb is None:
            verb = self._openings[tag_length] = self.key.opening(self.mode, tag_length)
        return verb(nonce, aad, sealed)
