"""Secret keys of a token against `cryptography` and the standard library: ciphers, MACs, wrapping, opaque blobs."""

from __future__ import annotations

import copy
import hmac
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from hwcng.contract.keys import SecretKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import AeadSpec, CipherSpec, CmacSpec, GmacSpec, HmacSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS
from hwcng.testing.contract.token import OnToken, needs, refused, served

__all__ = ["SecretKeys", "opaque_of"]

_VALUE = bytes(range(32))
_IV = bytes(range(100, 116))
_BLOCKS = bytes(range(96))
_TEXT = b"no whole number of blocks"
_AAD = b"told, not hidden"
_CIPHER = Usage.ENCRYPT | Usage.DECRYPT
_AES = SecretSpec(SecretFamily.AES, 256, _CIPHER)
_EXPORTABLE = SecretSpec(SecretFamily.AES, 256, _CIPHER, exportable=True)
_SIZES = {"SHA1": 20, "SHA256": 32, "SHA384": 48, "SHA512": 64}


def _encrypted(mode: CipherMode, data: bytes) -> tuple[bytes, bytes]:
    """The IV, and what `cryptography` encrypts."""
    iv = b"" if mode is CipherMode.ECB else _IV
    oracle = modes.CBC(iv) if iv else modes.ECB()
    encryptor = Cipher(algorithms.AES(_VALUE), oracle).encryptor()
    return iv, encryptor.update(data) + encryptor.finalize()


_AEAD: dict[CipherMode, Callable[[bytes], Any]] = {
    CipherMode.GCM: aead.AESGCM,
    CipherMode.CCM: aead.AESCCM,
    CipherMode.POLY1305: aead.ChaCha20Poly1305,
}
_FAMILY_OF = {CipherMode.POLY1305: SecretFamily.CHACHA20_POLY1305}


def opaque_of(key: Any) -> bytes:
    """The token's form of a key; skips where it has none."""
    blob: bytes = served(key.opaque, "opaque blobs")
    return blob


class SecretKeys(OnToken):
    @pytest.fixture
    def aes(self, provider: Provider) -> SecretKey:
        needs(provider, "AES", "CBC")
        return provider.import_secret(_AES, _VALUE)

    @pytest.mark.parametrize("mode", [CipherMode.ECB, CipherMode.CBC])
    def test_a_cipher(self, provider: Provider, aes: SecretKey, mode: CipherMode) -> None:
        needs(provider, "AES", mode.value)
        iv, expected = _encrypted(mode, _BLOCKS)
        spec = CipherSpec(mode, iv)
        assert aes.encrypt(spec, _BLOCKS) == expected
        assert aes.decrypt(spec, expected) == _BLOCKS
        assert aes.enciphering(mode)(iv, _BLOCKS) == expected
        assert aes.deciphering(mode)(iv, expected) == _BLOCKS

    @pytest.mark.parametrize("mode", [CipherMode.CFB8, CipherMode.CFB128])
    def test_a_stream_mode(self, provider: Provider, aes: SecretKey, mode: CipherMode) -> None:
        needs(provider, "AES", mode.value)
        data = _TEXT if mode is CipherMode.CFB8 else _BLOCKS
        spec = CipherSpec(mode, _IV)
        ciphertext = aes.encrypt(spec, data)
        # The first unit is the key stream of the IV, whatever the feedback (SP 800-38A, section 6.3).
        encryptor = Cipher(algorithms.AES(_VALUE), modes.ECB()).encryptor()
        stream = encryptor.update(_IV)
        size = 1 if mode is CipherMode.CFB8 else 16
        assert ciphertext[:size] == bytes(one ^ other for one, other in zip(stream[:size], data[:size], strict=True))
        assert len(ciphertext) == len(data)
        assert aes.decrypt(spec, ciphertext) == data

    # The oracle cuts GCM's tags alone.
    @pytest.mark.parametrize(("mode", "tag_length"), [*((mode, 16) for mode in _AEAD), (CipherMode.GCM, 12)])
    def test_an_authenticated_mode(self, provider: Provider, mode: CipherMode, tag_length: int) -> None:
        family = _FAMILY_OF.get(mode, SecretFamily.AES)
        needs(provider, family.value, mode.value)
        key = provider.import_secret(SecretSpec(family, 256, _CIPHER), _VALUE)
        nonce = _IV[:12]
        whole = _AEAD[mode](_VALUE).encrypt(nonce, _TEXT, _AAD)
        expected = whole[: len(_TEXT) + tag_length]
        spec = AeadSpec(mode, nonce, _AAD, tag_length)
        assert key.encrypt(spec, _TEXT) == expected
        assert key.decrypt(spec, expected) == _TEXT
        assert key.sealing(mode, tag_length)(nonce, _AAD, _TEXT) == expected
        assert key.opening(mode, tag_length)(nonce, _AAD, expected) == _TEXT
        for wrong in (expected[:-1] + bytes([expected[-1] ^ 1]), bytes([expected[0] ^ 1]) + expected[1:]):
            with refused(NTSTATUS.STATUS_AUTH_TAG_MISMATCH):
                key.decrypt(spec, wrong)

    @pytest.mark.parametrize("hash_name", list(_SIZES))
    def test_hmac(self, provider: Provider, hash_name: str) -> None:
        needs(provider, f"HMAC-{hash_name}")
        bits = 8 * _SIZES[hash_name]
        value = bytes(range(_SIZES[hash_name]))
        key = provider.import_secret(SecretSpec(SecretFamily.HMAC, bits, Usage.SIGN, hash_name=hash_name), value)
        for data in (b"", _TEXT, bytes(5000)):
            expected = hmac.digest(value, data, hash_name.lower())
            assert key.mac(HmacSpec(hash_name), data) == expected
            assert key.authenticating(HmacSpec(hash_name))(data) == expected

    def test_cmac_and_gmac(self, provider: Provider) -> None:
        needs(provider, "AES-CMAC")
        cmac = CMAC(algorithms.AES(_VALUE))
        cmac.update(_TEXT)
        key = provider.import_secret(SecretSpec(SecretFamily.CMAC, 256, Usage.SIGN), _VALUE)
        assert key.mac(CmacSpec(), _TEXT) == cmac.finalize()
        needs(provider, "AES-GMAC")
        key = provider.import_secret(SecretSpec(SecretFamily.GMAC, 256, Usage.ENCRYPT), _VALUE)
        assert key.mac(GmacSpec(_IV[:12]), _TEXT) == aead.AESGCM(_VALUE).encrypt(_IV[:12], b"", _TEXT)

    def test_generated_keys_differ(self, provider: Provider) -> None:
        needs(provider, "AES", "CBC")
        spec = CipherSpec(CipherMode.CBC, _IV)
        ciphertexts = {provider.generate_secret(_AES).encrypt(spec, bytes(16)) for _ in range(4)}
        assert len(ciphertexts) == 4

    def test_a_duplicate_has_a_life_of_its_own(self, aes: SecretKey, provider: Provider) -> None:
        spec = CipherSpec(CipherMode.CBC, _IV)
        _, expected = _encrypted(CipherMode.CBC, _BLOCKS)
        first, second = aes.duplicate(), aes.duplicate()
        assert first.spec == aes.spec
        aes.destroy()
        assert first.encrypt(spec, _BLOCKS) == expected
        first.destroy()
        assert second.encrypt(spec, _BLOCKS) == expected
        third = second.duplicate()
        third.destroy()
        assert second.encrypt(spec, _BLOCKS) == expected

    def test_a_destroyed_key(self, aes: SecretKey) -> None:
        aes.destroy()
        aes.destroy()
        with refused():
            aes.encrypt(CipherSpec(CipherMode.CBC, _IV), _BLOCKS)
        with refused():
            aes.duplicate()

    def test_a_key_is_neither_pickled_nor_copied(self, aes: SecretKey) -> None:
        for travel in (pickle.dumps, copy.copy, copy.deepcopy):
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
                travel(aes)
        assert repr(_VALUE)[2:-1] not in repr(aes)
        assert _VALUE.hex() not in repr(aes)

    def test_an_opaque_blob(self, provider: Provider) -> None:
        needs(provider, "AES", "CBC")
        key = provider.import_secret(_EXPORTABLE, _VALUE)
        blob = opaque_of(key)
        assert _VALUE not in blob
        key.destroy()
        again = provider.reload_opaque(blob)
        assert isinstance(again, SecretKey)
        assert provider.opaque_contents(blob) == (again.spec, None)
        # Of what a TPM gives out under its own protection, no policy is asked.
        assert replace(again.spec, exportable=True) == _EXPORTABLE
        assert again.encrypt(CipherSpec(CipherMode.CBC, _IV), _BLOCKS) == _encrypted(CipherMode.CBC, _BLOCKS)[1]
        step = max(1, len(blob) // 16)
        bent = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(0, len(blob) - 1, step)]
        for wrong in (*bent, b"", blob[: len(blob) // 2], bytes(len(blob))):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                provider.reload_opaque(wrong)
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                provider.opaque_contents(wrong)

    def test_wrapped_keys(self, provider: Provider) -> None:
        needs(provider, "AES", "WRAP")
        wrapping = Usage.WRAP | Usage.UNWRAP
        kek = provider.import_secret(SecretSpec(SecretFamily.AES, 256, _CIPHER | wrapping), _IV * 2)
        wrapped = kek.wrap_key(provider.import_secret(_EXPORTABLE, _VALUE))
        assert keywrap.aes_key_unwrap(_IV * 2, wrapped) == _VALUE
        again = provider.unwrap_secret(_AES, kek, keywrap.aes_key_wrap(_IV * 2, _VALUE))
        assert again.encrypt(CipherSpec(CipherMode.CBC, _IV), _BLOCKS) == _encrypted(CipherMode.CBC, _BLOCKS)[1]
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            kek.wrap_key(provider.import_secret(_AES, _VALUE))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            provider.unwrap_secret(_AES, kek, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
