"""One token for many: threads, forked processes, the faces of hwcng, and python packages that read no names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hwcng.bcrypt import (
    BCryptCloseAlgorithmProvider,
    BCryptDestroyKey,
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptGenRandom,
    BCryptOpenAlgorithmProvider,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.contract.material import EcPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import CipherSpec, EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.hostcrypto import ecc
from hwcng.ncrypt import NCryptEnumKeys, NCryptOpenStorageProvider
from hwcng.testing.contract.token import OnToken, TokenUnderTest, needs, served

__all__ = ["Sharing"]

_PAIR = PairSpec("EC", Usage.SIGN, curve="nistP256")
_THREADS, _EACH = 8, 10
_FORKED = """
import os, sys, hwcng
from hwcng.contract import CipherMode, CipherSpec, SecretFamily, SecretSpec, Usage
spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
encrypt = lambda key: key.encrypt(CipherSpec(CipherMode.ECB), bytes(16))
with hwcng.open_provider(sys.argv[1], pin=sys.stdin.read() or None) as provider:
    key = provider.generate_secret(spec)
    before = encrypt(key)
    child = os.fork()
    if not child:
        try:
            encrypt(key)
        except hwcng.CngError:
            # The child makes keys of its own.
            os._exit(len(encrypt(provider.generate_secret(spec))))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 16, "the child went on with its parent's key"
    assert encrypt(key) == before
    print("done")
"""


class Sharing(OnToken):
    def test_threads_share_a_key(self, provider: Provider) -> None:
        needs(provider, "ECDSA", "nistP256")
        key = provider.generate_pair(_PAIR)
        public = key.public
        assert isinstance(public, EcPublicKey)

        def sign(thread: int) -> list[tuple[bytes, bytes]]:
            digests = [bytes([thread, number]) * 16 for number in range(_EACH)]
            return [(digest, key.sign_digest(EcdsaSpec(), digest)) for digest in digests]

        with ThreadPoolExecutor(_THREADS) as threads:
            signed = [pair for pairs in threads.map(sign, range(_THREADS)) for pair in pairs]
        for digest, signature in signed:
            ecc.verify(public, EcdsaSpec(), digest, signature)
        assert len({signature for _, signature in signed}) == _THREADS * _EACH

    def test_threads_make_and_end_keys(self, provider: Provider) -> None:
        needs(provider, "AES", "ECB")
        spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)

        def work(thread: int) -> bytes:
            value = bytes([thread]) * 16
            key = provider.import_secret(spec, value)
            other = key.duplicate()
            key.destroy()
            ciphertext = other.encrypt(CipherSpec(CipherMode.ECB), bytes(16))
            other.destroy()
            return ciphertext

        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(work, [1, 2, 3, 4] * _EACH))
        assert len({*found[:4]}) == 4
        assert found == found[:4] * _EACH

    def test_a_forked_child_starts_clean(self, token: TokenUnderTest) -> None:
        with token.open() as provider:
            needs(provider, "AES", "ECB")
        assert token.run(_FORKED, token.uri) == "done\n"

    def test_the_face_of_bcrypt(self, provider: Provider) -> None:
        if provider.offers("RNG") is not Support.REFUSED:
            with BCryptOpenAlgorithmProvider("RNG", provider) as algorithm:
                assert len(BCryptGenRandom(algorithm, 24)) == 24
        needs(provider, "ECDSA", "nistP256")
        algorithm = BCryptOpenAlgorithmProvider("ECDSA_P256", provider)
        pair = BCryptGenerateKeyPair(algorithm, 256)
        BCryptFinalizeKeyPair(pair)
        BCryptVerifySignature(pair, None, bytes(32), BCryptSignHash(pair, None, bytes(32)))
        BCryptDestroyKey(pair)
        BCryptCloseAlgorithmProvider(algorithm)

    def test_the_face_of_ncrypt(self, provider: Provider) -> None:
        storage = NCryptOpenStorageProvider(provider)
        names = {record.name for record in served(lambda: list(provider.list_keys()), "keys under names")}
        assert {found.pszName for found in NCryptEnumKeys(storage)} >= names
