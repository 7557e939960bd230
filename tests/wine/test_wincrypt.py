"""Blobs, signatures, ciphertexts and derived keys between hwcng.wincrypt and Wine's advapi32.dll."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest
from support import missing
from wine.checks import MESSAGE, fails
from wine.wine_advapi32 import WineAdvapi32

from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT

PROV_RSA_AES = 24
CRYPT_NEWKEYSET, CRYPT_DELETEKEYSET = 0x8, 0x10
AT_KEYEXCHANGE, AT_SIGNATURE = 1, 2
SIMPLEBLOB, PUBLICKEYBLOB = 1, 6
CRYPT_EXPORTABLE, CRYPT_OAEP, CRYPT_NOHASHOID = 0x1, 0x40, 0x1
KP_IV, KP_MODE, KP_ALGID, KP_BLOCKLEN, KP_KEYLEN = 1, 4, 7, 8, 9
CRYPT_MODE_ECB = 2
HASHES = {"MD5": 0x8003, "SHA1": 0x8004, "SHA256": 0x800C, "SHA384": 0x800D, "SHA512": 0x800E}
BLOCK_CIPHERS = {
    "DES": (0x6601, 8),
    "RC2": (0x6602, 8),
    "3DES": (0x6603, 8),
    "3DES_112": (0x6609, 8),
    "AES_128": (0x660E, 16),
    "AES_192": (0x660F, 16),
    "AES_256": (0x6610, 16),
}
CIPHERS = {**{name: algorithm for name, (algorithm, _) in BLOCK_CIPHERS.items()}, "RC4": 0x6801}
NOT_ON_SOFTHSM = ("DES", "RC2", "RC4")
"""They run on NSS's database, which keeps pairs too."""

BITS = 1024
TEXTS = (b"", b"13 characters", bytes(range(16)), MESSAGE)

every_cipher = pytest.mark.parametrize("cipher", CIPHERS)
every_block_cipher = pytest.mark.parametrize("cipher", BLOCK_CIPHERS)
every_hash = pytest.mark.parametrize("hash_name", HASHES)
both_specs = pytest.mark.parametrize("spec", [AT_KEYEXCHANGE, AT_SIGNATURE], ids=["exchange", "signature"])


class Side(NamedTuple):
    """An implementation, and a container of its own with an exchange and a signature pair."""

    api: Any
    container: Any
    pairs: dict[int, Any]

    def public_of(self, other: Side, spec: int) -> Any:
        """This side's key of the other's public half."""
        blob = other.api.CryptExportKey(other.pairs[spec], None, PUBLICKEYBLOB)
        return self.api.CryptImportKey(self.container, blob, None)

    def hash(self, algorithm: int, data: bytes) -> Any:
        hashing = self.api.CryptCreateHash(self.container, algorithm, None)
        self.api.CryptHashData(hashing, data)
        return hashing


@pytest.fixture(scope="module")
def wincrypt() -> Any:
    if find_spec("hwcng.wincrypt") is None:
        missing("hwcng: wincrypt")
    return import_module("hwcng.wincrypt")


def opened(api: Any, provider: Provider | None) -> Iterator[Side]:
    container = api.CryptAcquireContext("wine-exchange", provider, PROV_RSA_AES, CRYPT_NEWKEYSET)
    pairs = {spec: api.CryptGenKey(container, spec, BITS << 16) for spec in (AT_KEYEXCHANGE, AT_SIGNATURE)}
    yield Side(api, container, pairs)
    for pair in pairs.values():
        api.CryptDestroyKey(pair)
    api.CryptReleaseContext(container)
    api.CryptAcquireContext("wine-exchange", provider, PROV_RSA_AES, CRYPT_DELETEKEYSET)


@pytest.fixture(scope="module")
def on_softhsm(wincrypt: Any, provider: Provider) -> Iterator[Side]:
    yield from opened(wincrypt, provider)


@pytest.fixture(scope="module")
def on_nss(wincrypt: Any, nss_db_provider: Provider) -> Iterator[Side]:
    yield from opened(wincrypt, nss_db_provider)


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> Side:
    """On the token that has the test's cipher."""
    cipher = request.node.callspec.params.get("cipher")
    side: Side = request.getfixturevalue("on_nss" if cipher in NOT_ON_SOFTHSM else "on_softhsm")
    return side


@pytest.fixture(scope="module")
def theirs(advapi32_dll: WineAdvapi32) -> Iterator[Side]:
    yield from opened(advapi32_dll, None)


@pytest.fixture(params=["to Wine", "from Wine"])
def sides(request: pytest.FixtureRequest, ours: Side, theirs: Side) -> tuple[Side, Side]:
    """Who begins, and who answers."""
    return (ours, theirs) if request.param == "to Wine" else (theirs, ours)


def number(value: int | bytes) -> int:
    """A DWORD parameter: hwcng returns numbers, Wine's wrapper bytes."""
    return value if isinstance(value, int) else int.from_bytes(value, "little")


def shared_key(sender: Side, receiver: Side, algorithm: int) -> tuple[Any, Any]:
    """A session key of the sender's, carried to the receiver in a SIMPLEBLOB under its exchange key."""
    key = sender.api.CryptGenKey(sender.container, algorithm, CRYPT_EXPORTABLE)
    blob = sender.api.CryptExportKey(key, sender.public_of(receiver, AT_KEYEXCHANGE), SIMPLEBLOB)
    return key, receiver.api.CryptImportKey(receiver.container, blob, receiver.pairs[AT_KEYEXCHANGE])


@both_specs
def test_public_key_blobs(sides: tuple[Side, Side], spec: int) -> None:
    one, other = sides
    blob = one.api.CryptExportKey(one.pairs[spec], None, PUBLICKEYBLOB)
    assert other.api.CryptExportKey(other.public_of(one, spec), None, PUBLICKEYBLOB) == blob


@both_specs
@every_hash
@pytest.mark.parametrize("flags", [0, CRYPT_NOHASHOID], ids=["", "NOHASHOID"])
def test_signatures(sides: tuple[Side, Side], spec: int, hash_name: str, flags: int) -> None:
    signer, verifier = sides
    signature = signer.api.CryptSignHash(signer.hash(HASHES[hash_name], MESSAGE), spec, None, flags)
    key = verifier.public_of(signer, spec)
    verifier.api.CryptVerifySignature(verifier.hash(HASHES[hash_name], MESSAGE), signature, key, None, flags)
    wrong = verifier.hash(HASHES[hash_name], MESSAGE + b"!")
    fails(HRESULT.NTE_BAD_SIGNATURE, verifier.api.CryptVerifySignature, wrong, signature, key, None, flags)


@every_cipher
def test_simple_blobs_and_ciphertexts(sides: tuple[Side, Side], cipher: str) -> None:
    sender, receiver = sides
    for text in TEXTS:
        key, other = shared_key(sender, receiver, CIPHERS[cipher])
        ciphertext = sender.api.CryptEncrypt(key, None, True, 0, text)
        assert receiver.api.CryptDecrypt(other, None, True, 0, ciphertext) == text


@every_cipher
def test_ciphertexts_are_equal(sides: tuple[Side, Side], cipher: str) -> None:
    sender, receiver = sides
    key, other = shared_key(sender, receiver, CIPHERS[cipher])
    for text in TEXTS[1:]:
        ciphertext = sender.api.CryptEncrypt(key, None, True, 0, text)
        assert receiver.api.CryptEncrypt(other, None, True, 0, text) == ciphertext


@every_block_cipher
def test_chunks(sides: tuple[Side, Side], cipher: str) -> None:
    """Final ends the message: the next one starts from the IV again."""
    sender, receiver = sides
    algorithm, block = BLOCK_CIPHERS[cipher]
    keys = shared_key(sender, receiver, algorithm)
    for _ in range(2):
        for text, final in ((bytes(block), False), (bytes(2 * block), False), (b"the end", True)):
            one, other = (
                side.api.CryptEncrypt(key, None, final, 0, text) for side, key in zip(sides, keys, strict=True)
            )
            assert one == other


@every_block_cipher
def test_ivs_and_modes(sides: tuple[Side, Side], cipher: str) -> None:
    algorithm, block = BLOCK_CIPHERS[cipher]
    keys = shared_key(*sides, algorithm)

    def ciphertexts() -> list[bytes]:
        return [
            side.api.CryptEncrypt(key, None, True, 0, bytes(2 * block)) for side, key in zip(sides, keys, strict=True)
        ]

    for side, key in zip(sides, keys, strict=True):
        side.api.CryptSetKeyParam(key, KP_IV, bytes(range(block)))
    with_iv = ciphertexts()
    for side, key in zip(sides, keys, strict=True):
        side.api.CryptSetKeyParam(key, KP_MODE, CRYPT_MODE_ECB)
    in_ecb = ciphertexts()
    assert with_iv[0] == with_iv[1] and in_ecb[0] == in_ecb[1] and with_iv != in_ecb


@every_cipher
@every_hash
def test_derived_keys(ours: Side, theirs: Side, cipher: str, hash_name: str) -> None:
    ciphertexts = []
    for side in (ours, theirs):
        base = side.hash(HASHES[hash_name], b"correct horse battery staple")
        key = side.api.CryptDeriveKey(side.container, CIPHERS[cipher], base, 0)
        ciphertexts.append(side.api.CryptEncrypt(key, None, True, 0, MESSAGE))
    assert ciphertexts[0] == ciphertexts[1]


@pytest.mark.parametrize("flags", [0, CRYPT_OAEP], ids=["PKCS1", "OAEP"])
def test_rsa_ciphertexts(sides: tuple[Side, Side], flags: int) -> None:
    sender, receiver = sides
    key = sender.public_of(receiver, AT_KEYEXCHANGE)
    for text in (b"\0", MESSAGE):
        ciphertext = sender.api.CryptEncrypt(key, None, True, flags, text)
        assert receiver.api.CryptDecrypt(receiver.pairs[AT_KEYEXCHANGE], None, True, flags, ciphertext) == text


@every_cipher
def test_key_parameters(ours: Side, theirs: Side, cipher: str) -> None:
    found = []
    for side in (ours, theirs):
        key = side.api.CryptGenKey(side.container, CIPHERS[cipher], 0)
        parameters = (KP_ALGID, KP_BLOCKLEN, KP_KEYLEN)
        found.append([number(side.api.CryptGetKeyParam(key, parameter)) for parameter in parameters])
    assert found[0] == found[1]
