"""Every function times every kind of handle that is not its own: section 5, common rules, and the bad input of keys,
hashes and secrets that are destroyed, empty, or of another provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from conformance.helpers import BLOCKS, IV, SECRET, ecc_blob, ecc_key, host_cbc, key_data_blob, refused
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from hwcng.bcrypt import (
    BCRYPT_AES_CBC_ALG_HANDLE,
    BCRYPT_AES_WRAP_KEY_BLOB,
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_ALGORITHM_NAME,
    BCRYPT_CHAINING_MODE,
    BCRYPT_KDF_HASH,
    BCRYPT_KEY_DATA_BLOB,
    BCRYPT_PUBLIC_KEY_BLOB,
    KDF_HASH_ALGORITHM,
    BCryptCloseAlgorithmProvider,
    BCryptCreateHash,
    BCryptCreateMultiHash,
    BCryptDecapsulate,
    BCryptDecrypt,
    BCryptDeriveKey,
    BCryptDeriveKeyCapi,
    BCryptDeriveKeyPBKDF2,
    BCryptDestroyHash,
    BCryptDestroyKey,
    BCryptDestroySecret,
    BCryptDuplicateHash,
    BCryptDuplicateKey,
    BCryptEncapsulate,
    BCryptEncrypt,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptFinishHash,
    BCryptGenerateKeyPair,
    BCryptGenerateSymmetricKey,
    BCryptGenRandom,
    BCryptGetProperty,
    BCryptHash,
    BCryptHashData,
    BCryptImportKey,
    BCryptImportKeyPair,
    BCryptKeyDerivation,
    BCryptOpenAlgorithmProvider,
    BCryptProcessMultiOperations,
    BCryptSecretAgreement,
    BCryptSetProperty,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.errors import NTSTATUS, CngError

DIGEST = bytes(32)


class Bench:
    """One handle of every kind, and what calls need beside the handle that is wrong."""

    def __init__(self, provider: Any) -> None:
        def opened(name: str, flags: int = 0) -> Any:
            return BCryptOpenAlgorithmProvider(name, provider, flags)

        self.aes, self.ecdh, self.sha256 = opened("AES"), opened("ECDH_P256"), opened("SHA256")
        self.hmac, self.rng = opened("SHA256", BCRYPT_ALG_HANDLE_HMAC_FLAG), opened("RNG")
        self.key = BCryptGenerateSymmetricKey(self.aes, None, SECRET)
        self.pair = BCryptGenerateKeyPair(self.ecdh, 256)
        BCryptFinalizeKeyPair(self.pair)
        self.secret = BCryptSecretAgreement(self.pair, self.pair)
        closed, destroyed_key = opened("AES"), BCryptDuplicateKey(self.key)
        destroyed_pair, destroyed_empty = BCryptGenerateKeyPair(self.ecdh, 256), BCryptGenerateKeyPair(self.ecdh, 256)
        BCryptFinalizeKeyPair(destroyed_pair)
        destroyed_secret, destroyed_hash = BCryptSecretAgreement(self.pair, self.pair), BCryptCreateHash(self.sha256)
        finished = BCryptCreateHash(self.sha256)
        BCryptFinishHash(finished)
        BCryptCloseAlgorithmProvider(closed)
        for gone in (destroyed_key, destroyed_pair, destroyed_empty):
            BCryptDestroyKey(gone)
        BCryptDestroySecret(destroyed_secret)
        BCryptDestroyHash(destroyed_hash)
        x, y, _ = ecc_key(256)
        self.kinds: dict[str, Any] = {
            "none": None,
            "number": 0xDEADBEEF,
            "text": "handle",
            "bytes": b"\xde\xad\xbe\xef\0\0\0\0",
            "object": object(),
            "provider": provider,
            "algorithm": self.aes,
            "closed algorithm": closed,
            "pseudo-handle": BCRYPT_AES_CBC_ALG_HANDLE,
            "symmetric key": self.key,
            "destroyed symmetric key": destroyed_key,
            "token key": self.key.token_key,
            "pair": self.pair,
            "empty pair": BCryptGenerateKeyPair(self.ecdh, 256),
            "public key": BCryptImportKeyPair(self.ecdh, None, BCRYPT_PUBLIC_KEY_BLOB, ecc_blob(b"ECK1", 32, x, y)),
            "destroyed pair": destroyed_pair,
            "destroyed empty pair": destroyed_empty,
            "hash": BCryptCreateHash(self.sha256),
            "finished hash": finished,
            "destroyed hash": destroyed_hash,
            "secret": self.secret,
            "destroyed secret": destroyed_secret,
        }


@dataclass(frozen=True)
class Call:
    """name: the function and the parameter under test. own: the kinds that the parameter takes."""

    name: str
    call: Callable[[Bench, Any], object]
    own: tuple[str, ...]
    rows: tuple[str, ...] = ()
    status: NTSTATUS = NTSTATUS.STATUS_INVALID_HANDLE


ALGORITHM = ("algorithm", "pseudo-handle")
KEY = ("symmetric key", "pair", "public key")
OBJECT = (*ALGORITHM, *KEY, "empty pair", "hash", "finished hash", "secret")
WRAPPED = aes_key_wrap(SECRET, SECRET)

CALLS = (
    Call("BCryptCloseAlgorithmProvider", lambda b, h: BCryptCloseAlgorithmProvider(h), ("algorithm",), ("5.2",)),
    Call("BCryptGetProperty", lambda b, h: BCryptGetProperty(h, BCRYPT_ALGORITHM_NAME), OBJECT, ("3.1",)),
    Call("BCryptSetProperty", lambda b, h: BCryptSetProperty(h, BCRYPT_CHAINING_MODE, "x"), OBJECT, ("3.1",)),
    Call(
        "BCryptGenerateSymmetricKey",
        lambda b, h: BCryptGenerateSymmetricKey(h, None, SECRET),
        ALGORITHM,
        ("GSK-04",),
    ),
    Call("BCryptGenerateKeyPair", lambda b, h: BCryptGenerateKeyPair(h, 256), ALGORITHM, ("GKP-03",)),
    Call("BCryptFinalizeKeyPair", lambda b, h: BCryptFinalizeKeyPair(h), ("empty pair",), ("FIN-01",)),
    Call("BCryptDuplicateKey", lambda b, h: BCryptDuplicateKey(h), ("symmetric key",), ("DUP-02", "DUP-03")),
    Call(
        "BCryptImportKey",
        lambda b, h: BCryptImportKey(h, None, BCRYPT_KEY_DATA_BLOB, None, key_data_blob(SECRET)),
        ALGORITHM,
        ("IMP-02",),
    ),
    Call(
        "BCryptImportKey hImportKey",
        lambda b, h: BCryptImportKey(b.aes, h, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED),
        ("symmetric key", "none"),
        ("IMP-06",),
    ),
    Call(
        "BCryptImportKeyPair",
        lambda b, h: BCryptImportKeyPair(h, None, BCRYPT_PUBLIC_KEY_BLOB, b"ECK1"),
        ALGORITHM,
        ("IKP-01",),
    ),
    Call("BCryptExportKey", lambda b, h: BCryptExportKey(h, None, BCRYPT_PUBLIC_KEY_BLOB), KEY, ("EXP-02", "EXP-04")),
    Call(
        "BCryptExportKey hExportKey",
        lambda b, h: BCryptExportKey(b.key, h, BCRYPT_AES_WRAP_KEY_BLOB),
        ("symmetric key", "none"),
        ("EXP-06",),
    ),
    Call("BCryptDestroyKey", lambda b, h: BCryptDestroyKey(h), (*KEY, "empty pair"), ("5.12",)),
    Call("BCryptEncrypt", lambda b, h: BCryptEncrypt(h, BLOCKS), KEY),
    Call("BCryptDecrypt", lambda b, h: BCryptDecrypt(h, BLOCKS), KEY),
    Call("BCryptSignHash", lambda b, h: BCryptSignHash(h, None, DIGEST), ("pair", "public key")),
    Call(
        "BCryptVerifySignature",
        lambda b, h: BCryptVerifySignature(h, None, DIGEST, bytes(64)),
        ("pair", "public key"),
    ),
    Call("BCryptSecretAgreement hPrivKey", lambda b, h: BCryptSecretAgreement(h, b.pair), ("pair",)),
    Call("BCryptSecretAgreement hPubKey", lambda b, h: BCryptSecretAgreement(b.pair, h), ("pair", "public key")),
    Call("BCryptDeriveKey", lambda b, h: BCryptDeriveKey(h, BCRYPT_KDF_HASH, None, 20), ("secret",)),
    Call(
        "BCryptKeyDerivation",
        lambda b, h: BCryptKeyDerivation(h, [(KDF_HASH_ALGORITHM, "SHA256")], 16),
        (),
        ("5.17",),
    ),
    Call("BCryptDeriveKeyPBKDF2", lambda b, h: BCryptDeriveKeyPBKDF2(h, b"", b"", 1, 16), (), ("5.18",)),
    Call(
        "BCryptDeriveKeyCapi",
        lambda b, h: BCryptDeriveKeyCapi(h, None, 16),
        ("hash", "finished hash", "destroyed hash"),
        ("5.19",),
        NTSTATUS.STATUS_INVALID_PARAMETER,
    ),
    Call(
        "BCryptDeriveKeyCapi hTargetAlg",
        lambda b, h: BCryptDeriveKeyCapi(BCryptCreateHash(b.sha256), h, 16),
        ("none", *ALGORITHM),
        ("5.19",),
    ),
    # None is STATUS_INVALID_PARAMETER in these two, as documented: test_mlkem.py.
    Call("BCryptEncapsulate", lambda b, h: BCryptEncapsulate(h), ("pair", "public key", "none"), ("KEM-06",)),
    Call("BCryptDecapsulate", lambda b, h: BCryptDecapsulate(h, DIGEST), ("pair", "public key", "none"), ("KEM-06",)),
    Call("BCryptDestroySecret", lambda b, h: BCryptDestroySecret(h), ("secret",)),
    Call("BCryptGenRandom", lambda b, h: BCryptGenRandom(h, 16), (), ("RND-05",)),
    Call("BCryptCreateHash", lambda b, h: BCryptCreateHash(h), ALGORITHM),
    Call("BCryptCreateMultiHash", lambda b, h: BCryptCreateMultiHash(h, 1), ALGORITHM),
    Call("BCryptProcessMultiOperations", lambda b, h: BCryptProcessMultiOperations(h, 1, []), ()),
    Call("BCryptHash", lambda b, h: BCryptHash(h, None, b""), ALGORITHM),
    Call("BCryptHashData", lambda b, h: BCryptHashData(h, b""), ("hash",), ("HSH-05",)),
    Call("BCryptFinishHash", lambda b, h: BCryptFinishHash(h), ("hash",), ("HSH-05",)),
    Call("BCryptDuplicateHash", lambda b, h: BCryptDuplicateHash(h), ("hash",), ("HSH-07",)),
    Call(
        "BCryptDestroyHash",
        lambda b, h: BCryptDestroyHash(h),
        ("hash", "finished hash"),
        ("HSH-06",),
        NTSTATUS.STATUS_INVALID_PARAMETER,
    ),
)
KINDS = (
    "none",
    "number",
    "text",
    "bytes",
    "object",
    "provider",
    "algorithm",
    "closed algorithm",
    "pseudo-handle",
    "symmetric key",
    "destroyed symmetric key",
    "token key",
    "pair",
    "empty pair",
    "public key",
    "destroyed pair",
    "destroyed empty pair",
    "hash",
    "finished hash",
    "destroyed hash",
    "secret",
    "destroyed secret",
)


@pytest.fixture(scope="module")
def bench(provider):
    made = Bench(provider)
    assert tuple(made.kinds) == KINDS
    yield made
    for handle in made.kinds.values():
        if hasattr(handle, "alive"):
            handle.destroy()


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        pytest.param(call, kind, id=f"{call.name}-{kind}", marks=pytest.mark.row(*call.rows))
        for call in CALLS
        for kind in KINDS
        if kind not in call.own
    ],
)
def test_a_wrong_handle(bench, default_provider, refuses, call, kind):
    handle = bench.kinds[kind]
    alive = getattr(handle, "alive", None)
    with refuses(call.status):
        call.call(bench, handle)
    assert getattr(handle, "alive", None) is alive


def test_every_function_with_a_handle_is_in_the_sweep():
    import hwcng.bcrypt

    functions = {name for name in hwcng.bcrypt.__all__ if name.startswith("BCrypt")}
    without_handle = {
        "BCryptBuffer",
        "BCryptBufferDesc",
        "BCryptEnumAlgorithms",
        "BCryptEnumProviders",
        "BCryptEnumRegisteredProviders",
        "BCryptFreeBuffer",
        "BCryptGetFipsAlgorithmMode",
        "BCryptOpenAlgorithmProvider",
        "BCryptResolveProviders",
    }
    assert {call.name.split()[0] for call in CALLS} == functions - without_handle


def test_after_the_sweep_every_handle_still_works(bench):
    for kind in ("algorithm", "symmetric key", "pair", "hash", "secret"):
        assert bench.kinds[kind].alive
    assert BCryptEncrypt(bench.key, BLOCKS, None, IV) == host_cbc(SECRET, IV, BLOCKS)
    assert len(BCryptDeriveKey(bench.secret, BCRYPT_KDF_HASH, None, 20)) == 20
    assert not bench.kinds["empty pair"].finalized


@pytest.mark.row("GSK-04", "GKP-03", "IMP-02", "IKP-01", "OAP-01")
def test_a_closed_algorithm_handle_makes_nothing_more(provider, refuses):
    handle = BCryptOpenAlgorithmProvider("AES", provider)
    BCryptCloseAlgorithmProvider(handle)
    with refuses(NTSTATUS.STATUS_INVALID_HANDLE):
        handle.generate_key(256)


@pytest.mark.row("IMP-03", "EXP-06")
def test_a_key_of_another_provider_does_not_wrap_or_unwrap(
    algorithm, aes, exporting_aes, aes_key, provider, other_provider, fresh_provider, refuses
):
    with BCryptGenerateSymmetricKey(exporting_aes, None, SECRET) as exportable:
        for elsewhere in (other_provider, fresh_provider):
            foreign = BCryptGenerateSymmetricKey(algorithm("AES", of=elsewhere), None, SECRET)
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptImportKey(aes, foreign, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED)
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptImportKey(algorithm("AES", of=elsewhere), aes_key, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED)
            with refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
                BCryptExportKey(exportable, foreign, BCRYPT_AES_WRAP_KEY_BLOB)
            BCryptDestroyKey(foreign)


def test_two_providers_agree_through_their_public_halves(pair, algorithm, other_provider):
    ours = pair("ECDH_P256")
    theirs = BCryptGenerateKeyPair(algorithm("ECDH_P256", of=other_provider), 256)
    BCryptFinalizeKeyPair(theirs)
    with BCryptSecretAgreement(ours, theirs) as one, BCryptSecretAgreement(theirs, ours) as other:
        assert BCryptDeriveKey(one, BCRYPT_KDF_HASH, None, 20) == BCryptDeriveKey(other, BCRYPT_KDF_HASH, None, 20)
    BCryptDestroyKey(theirs)


def test_keys_of_a_closed_provider_say_so_and_reach_no_token(fresh_provider, exporting_aes, refuses):
    handle = BCryptOpenAlgorithmProvider("AES", fresh_provider)
    ecdh = BCryptOpenAlgorithmProvider("ECDH_P256", fresh_provider)
    key, pair = BCryptGenerateSymmetricKey(handle, None, SECRET), BCryptGenerateKeyPair(ecdh, 256)
    BCryptFinalizeKeyPair(pair)
    secret, empty = BCryptSecretAgreement(pair, pair), BCryptGenerateKeyPair(ecdh, 256)
    hashing = BCryptCreateHash(
        BCryptOpenAlgorithmProvider("SHA256", fresh_provider, BCRYPT_ALG_HANDLE_HMAC_FLAG), None, SECRET
    )
    fresh_provider.close()
    for call in (
        lambda: BCryptEncrypt(key, BLOCKS, None, IV),
        lambda: BCryptDecrypt(key, BLOCKS, None, IV),
        lambda: BCryptDuplicateKey(key),
        lambda: BCryptImportKey(handle, key, BCRYPT_AES_WRAP_KEY_BLOB, None, WRAPPED),
        lambda: BCryptGenerateSymmetricKey(handle, None, SECRET),
        lambda: handle.generate_key(256),
        lambda: BCryptFinalizeKeyPair(empty),
        lambda: BCryptSecretAgreement(pair, pair),
        lambda: BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, 20),
        lambda: BCryptFinishHash(hashing),
        lambda: BCryptDuplicateHash(hashing),
    ):
        with refuses(NTSTATUS.STATUS_INVALID_HANDLE) as error:
            call()
        assert "provider" in str(error.value)
    exportable = BCryptGenerateSymmetricKey(exporting_aes, None, SECRET)
    with exportable, refuses(NTSTATUS.STATUS_INVALID_PARAMETER):
        BCryptExportKey(exportable, key, BCRYPT_AES_WRAP_KEY_BLOB)
    for handle, destroy in (
        (key, BCryptDestroyKey),
        (pair, BCryptDestroyKey),
        (empty, BCryptDestroyKey),
        (secret, BCryptDestroySecret),
        (hashing, BCryptDestroyHash),
    ):
        destroy(handle)
        assert not handle.alive


def test_an_error_names_its_status_and_no_secret(aes):
    with pytest.raises(CngError) as error:
        BCryptGenerateSymmetricKey(aes, None, SECRET[:17])
    text = repr(error.value) + str(error.value)
    assert "STATUS_INVALID_PARAMETER" in text
    assert SECRET[:17].hex() not in text
    assert repr(SECRET[:17]) not in text


@pytest.mark.row("GSK-04")
def test_the_status_of_a_wrong_handle_comes_before_all_else():
    for call in (
        lambda: BCryptGenerateSymmetricKey(None, bytes(1), None, 0xFFFFFFFF),
        lambda: BCryptGenerateKeyPair(None, None, 0xFFFFFFFF),
        lambda: BCryptFinalizeKeyPair(None, 0xFFFFFFFF),
        lambda: BCryptDuplicateKey(None, bytes(1), 0xFFFFFFFF),
        lambda: BCryptImportKey(None, None, None, bytes(1), None, 0xFFFFFFFF),
        lambda: BCryptImportKeyPair(None, None, None, None, 0xFFFFFFFF),
        lambda: BCryptExportKey(None, None, None, 0xFFFFFFFF),
        lambda: BCryptEncrypt(None, None, object(), b"", 0xFFFFFFFF),
        lambda: BCryptDecrypt(None, None, object(), b"", 0xFFFFFFFF),
        lambda: BCryptSignHash(None, object(), None, 0xFFFFFFFF),
        lambda: BCryptVerifySignature(None, object(), None, None, 0xFFFFFFFF),
        lambda: BCryptSecretAgreement(None, None, 0xFFFFFFFF),
        lambda: BCryptDeriveKey(None, None, None, -1, 0xFFFFFFFF),
        lambda: BCryptCreateHash(None, bytes(1), "x", 0xFFFFFFFF),
        lambda: BCryptHashData(None, "x", 0xFFFFFFFF),
        lambda: BCryptFinishHash(None, 0xFFFFFFFF),
        lambda: BCryptDuplicateHash(None, bytes(1), 0xFFFFFFFF),  # type: ignore[type-var]
        lambda: BCryptCloseAlgorithmProvider(None, 0xFFFFFFFF),
        lambda: BCryptGetProperty(None, None, 0xFFFFFFFF),
        lambda: BCryptSetProperty(None, None, None, 0xFFFFFFFF),
    ):
        with refused(NTSTATUS.STATUS_INVALID_HANDLE):
            call()
