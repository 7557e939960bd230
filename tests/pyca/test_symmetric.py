"""AESGCM, HMAC and Fernet under token keys, beside `cryptography`'s own under the same bytes."""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import fernet
from cryptography.exceptions import AlreadyFinalized, InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import aead
from pyca.secret_keys import aes_key, hmac_key

from hwcng import CngError, pyca

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

DATA = b"what is kept" * 5
NONCE = bytes(range(12))
SECRET = bytes(range(32))
NOW = 1_700_000_000


@pytest.mark.parametrize("bits", [128, 256])
def test_aesgcm(token: Provider, bits: int) -> None:
    secret = SECRET[: bits // 8]
    with aes_key(token, secret, "GCM") as key:
        ours, theirs = pyca.AESGCM(key), aead.AESGCM(secret)
        mode = key.chaining_mode
        for associated in (None, b"", b"a header", bytearray(b"a header")):
            for data in (b"", DATA, memoryview(DATA)):
                ciphertext = ours.encrypt(NONCE, data, associated)
                assert ciphertext == theirs.encrypt(NONCE, data, associated)
                assert ours.decrypt(NONCE, ciphertext, associated) == bytes(data)
        assert key.chaining_mode == mode


def test_aesgcm_into_a_buffer(token: Provider) -> None:
    with aes_key(token, SECRET, "GCM") as key:
        ours = pyca.AESGCM(key)
        sealed, opened = bytearray(len(DATA) + 16), bytearray(len(DATA))
        assert ours.encrypt_into(NONCE, DATA, b"a header", memoryview(sealed)) == len(sealed)
        assert sealed == aead.AESGCM(SECRET).encrypt(NONCE, DATA, b"a header")
        assert ours.decrypt_into(NONCE, sealed, b"a header", opened) == len(opened)
        assert opened == DATA
        sealed[0] ^= 1
        opened[:] = bytes(len(opened))
        with pytest.raises(InvalidTag):
            ours.decrypt_into(NONCE, sealed, b"a header", opened)
        assert not any(opened)


def test_what_aesgcm_refuses(token: Provider) -> None:
    with aes_key(token, SECRET, "GCM") as key:
        ours = pyca.AESGCM(key)
        ciphertext = ours.encrypt(NONCE, DATA, None)
        for altered in (ciphertext[:-1] + b"?", b"?" + ciphertext[1:], ciphertext[:15], b""):
            with pytest.raises(InvalidTag):
                ours.decrypt(NONCE, altered, None)
        with pytest.raises(InvalidTag):
            ours.decrypt(NONCE, ciphertext, b"another header")
        for nonce in (b"", bytes(7), bytes(129)):
            with pytest.raises(ValueError, match="between 8 and 128"):
                ours.encrypt(nonce, DATA, None)
        with pytest.raises(TypeError):
            ours.encrypt(NONCE, "text", None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="destroyed") as caught:
        ours.encrypt(NONCE, DATA, None)
    assert isinstance(caught.value.__cause__, CngError)


def test_keys_of_another_kind(provider: Provider) -> None:
    from pyca.pairs import make_pair

    with hmac_key(provider, SECRET) as mac, aes_key(provider, SECRET, "GCM") as aes:
        with pytest.raises(UnsupportedAlgorithm, match="AES key expected"):
            pyca.AESGCM(mac)
        with pytest.raises(UnsupportedAlgorithm, match="HMAC key expected"):
            pyca.HMAC(aes, hashes.SHA256())
        with pytest.raises(UnsupportedAlgorithm, match="not of SHA384"):
            pyca.HMAC(mac, hashes.SHA384())
        with pytest.raises(UnsupportedAlgorithm, match="blake2s"):
            pyca.HMAC(mac, hashes.BLAKE2s(32))
        with pytest.raises(TypeError, match="HashAlgorithm"):
            pyca.HMAC(mac, "sha256")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="128 bits"):
            pyca.Fernet(mac, aes)
    with make_pair(provider, "ECDSA", ECCCurveName="nistP256") as pair, pytest.raises(TypeError, match="secret key"):
        pyca.AESGCM(pair)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [hashes.SHA256, hashes.SHA384, hashes.SHA512])
def test_hmac(token: Provider, kind: type[hashes.HashAlgorithm]) -> None:
    algorithm = kind()
    with hmac_key(token, SECRET, kind.__name__) as key:
        ours, theirs = pyca.HMAC(key, algorithm), hmac.HMAC(SECRET, algorithm)
        assert isinstance(ours, hashes.HashContext) and ours.algorithm is algorithm
        for part in (b"one ", bytearray(b"two ")):
            ours.update(part)
            theirs.update(part)
        copied = ours.copy()
        copied.update(b"three")
        expected = theirs.copy().finalize()
        theirs.update(b"three")
        copied.verify(theirs.finalize())
        assert ours.finalize() == expected
        for ended in (ours.finalize, ours.copy, lambda: ours.update(b"")):
            with pytest.raises(AlreadyFinalized):
                ended()
        wrong = pyca.HMAC(key, algorithm)
        with pytest.raises(InvalidSignature):
            wrong.verify(expected)


@pytest.fixture
def both(token: Provider) -> Any:
    """Ours and theirs of one key."""
    with hmac_key(token, SECRET[:16]) as mac, aes_key(token, SECRET[16:], "CBC") as aes:
        yield pyca.Fernet(mac, aes), fernet.Fernet(urlsafe_b64encode(SECRET))


def test_fernet_reads_what_fernet_writes(both: tuple[Any, Any]) -> None:
    for data in (b"", DATA, os.urandom(16), os.urandom(1000)):
        for writer, reader in (both, both[::-1]):
            token = writer.encrypt(data)
            assert reader.decrypt(token) == reader.decrypt(token.decode(), ttl=60) == data
            dated = writer.encrypt_at_time(data, NOW)
            assert reader.extract_timestamp(dated) == NOW
            assert reader.decrypt_at_time(dated, ttl=10, current_time=NOW + 9) == data


def test_what_fernet_refuses(both: tuple[Any, Any]) -> None:
    ours, theirs = both
    token = ours.encrypt_at_time(DATA, NOW)
    octets = urlsafe_b64decode(token)
    wrong = [b"", b"not base64!", urlsafe_b64encode(b"\x81" + octets[1:]), urlsafe_b64encode(octets[:40]), "\u00e9"]
    wrong += [
        urlsafe_b64encode(octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :])
        for place in (1, 9, 25, len(octets) - 33, len(octets) - 1)
    ]
    for altered in wrong:
        for reader in both:
            with pytest.raises((fernet.InvalidToken, ValueError) if altered == "\u00e9" else fernet.InvalidToken):
                reader.decrypt(altered)
    for reader in (ours, theirs):
        with pytest.raises(fernet.InvalidToken):
            reader.decrypt_at_time(token, ttl=10, current_time=NOW + 11)
        with pytest.raises(fernet.InvalidToken):
            reader.decrypt_at_time(token, ttl=10, current_time=NOW - 61)
        with pytest.raises(fernet.InvalidToken):
            reader.decrypt(token, ttl=int(time.time()) - NOW - 5)
        with pytest.raises(ValueError, match="ttl"):
            reader.decrypt_at_time(token, None, NOW)
        with pytest.raises(TypeError, match="bytes or str"):
            reader.decrypt(1)


def test_fernets_rotate(token: Provider) -> None:
    """MultiFernet goes on with the token's keys from a key of the host's, and from one of the token's to another."""
    secrets = (SECRET, SECRET[::-1])
    ours = [pyca.Fernet(hmac_key(token, secret[:16]), aes_key(token, secret[16:], "CBC")) for secret in secrets]
    theirs = [fernet.Fernet(urlsafe_b64encode(secret)) for secret in secrets]
    old = fernet.Fernet(fernet.Fernet.generate_key())
    written = old.encrypt_at_time(DATA, NOW)
    for first, before in ((0, old), (1, ours[0])):
        keys = fernet.MultiFernet([ours[first], before])
        assert keys.decrypt(written) == DATA and keys.extract_timestamp(written) == NOW
        written = keys.rotate(written)
        assert theirs[first].extract_timestamp(written) == NOW and theirs[first].decrypt(written) == DATA
        assert keys.decrypt(keys.encrypt(DATA), ttl=60) == DATA
        with pytest.raises(fernet.InvalidToken):
            keys.decrypt_at_time(written, 60, NOW + 61)
    for short in (written[:12], urlsafe_b64encode(b"\x80" + bytes(40))):
        with pytest.raises(fernet.InvalidToken):
            fernet.MultiFernet(ours).rotate(short)
    with pytest.raises(UnsupportedAlgorithm, match="two keys of a token"):
        pyca.Fernet.generate_key()
