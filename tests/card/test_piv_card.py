"""A smart card behind OpenSC: keys that others made, one of which asks for the PIN at every use, and nothing to spare.

Standards: NIST SP 800-73-4 (PIV), PKCS#11 3.2, sections 4.9 (CKA_ALWAYS_AUTHENTICATE) and 5.6.8 (C_Login).
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import time
from collections.abc import Callable
from typing import Any

import pytest
from card.conftest import PATIENCE_SECONDS
from card.piv_card import PIN, TRIES, PivCard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.bcrypt import (
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
    BCryptDecrypt,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.cng.keys import KeyPair
from hwcng.contract.specs import PairSpec, RsaPkcs1SignSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.ncrypt import NCryptEnumKeys, NCryptOpenKey, NCryptOpenStorageProvider, NCryptSignHash
from hwcng.providers.pkcs11 import logins
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.calls import CallCounter

NAMES = {"PIV AUTH key": 0x9A, "SIGN key": 0x9C, "KEY MAN key": 0x9D, "CARD AUTH key": 0x9E}
SIGNS = ("PIV AUTH key", "SIGN key", "CARD AUTH key")
DECRYPTS = ("PIV AUTH key", "KEY MAN key")
MESSAGE = b"message"
DIGEST = hashlib.sha256(MESSAGE).digest()
PKCS1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")


@pytest.fixture(autouse=True)
def _no_refused_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_tries", {})


@pytest.fixture
def key(card_uri: str, card_token: Pkcs11Provider, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A key by what its URI says of the object."""
    from hwcng.providers import registry

    monkeypatch.setattr(registry, "_default", card_token)
    return lambda path: hwcng.open_key(card_uri.replace("?", f";{path}?"))


def sign(pair: KeyPair) -> bytes:
    return BCryptSignHash(pair, PKCS1, DIGEST, BCRYPT_PAD_PKCS1)


def verify(pair: KeyPair, signature: bytes, card: PivCard) -> None:
    """With hwcng, and with the card's own public key."""
    BCryptVerifySignature(pair, PKCS1, DIGEST, signature, BCRYPT_PAD_PKCS1)
    made_with = card.keys[NAMES[pair.name or ""]].public_key()
    made_with.verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())


def test_what_is_on_the_card(card_token: Pkcs11Provider) -> None:
    records = list(card_token.list_keys())
    assert {record.name for record in records} == set(NAMES)
    assert all(record.certificate for record in records)
    listed = list(NCryptEnumKeys(NCryptOpenStorageProvider(card_token)))
    assert {entry.pszName for entry in listed} == set(NAMES)
    assert {entry.pszAlgid for entry in listed} == {"RSA"}


@pytest.mark.parametrize("name", NAMES)
def test_each_key_by_label_and_by_id(name: str, key: Callable[[str], Any], card: PivCard) -> None:
    label, identifier = name.replace(" ", "%20"), f"%{list(NAMES).index(name) + 1:02X}"
    for path in (f"object={label}", f"id={identifier}", f"object={label};id={identifier};type=private"):
        pair = key(path)
        assert pair.name == name
        assert pickle.loads(pickle.dumps(pair)).uri == pair.uri
    with pytest.raises(CngError) as caught:
        key(f"object={label};id=%77")
    assert caught.value.status is HRESULT.NTE_BAD_KEYSET
    assert card.tries == TRIES


@pytest.mark.parametrize("name", SIGNS)
def test_signatures(name: str, key: Callable[[str], Any], card: PivCard) -> None:
    pair = key(f"object={name.replace(' ', '%20')}")
    for _ in range(2):
        verify(pair, sign(pair), card)


@pytest.mark.parametrize("name", DECRYPTS)
def test_decryption(name: str, key: Callable[[str], Any], card: PivCard) -> None:
    pair = key(f"object={name.replace(' ', '%20')}")
    ciphertext = card.keys[NAMES[name]].public_key().encrypt(MESSAGE, padding.PKCS1v15())
    assert BCryptDecrypt(pair, ciphertext, None, None, BCRYPT_PAD_PKCS1) == MESSAGE


def test_the_key_that_asks_at_every_use(key: Callable[[str], Any], card: PivCard, card_token: Pkcs11Provider) -> None:
    always, once = key("object=SIGN%20key"), key("object=PIV%20AUTH%20key")
    verify(once, sign(once), card)
    for _ in range(3):
        before = card.verifications
        with CallCounter(card_token) as calls:
            signature = sign(always)
        assert [name for name in calls.asked if name != "C_GetTokenInfo"] == ["C_SignInit", "C_Login", "C_Sign"]
        assert card.verifications == before + 1
        verify(always, signature, card)
    with CallCounter(card_token) as calls:
        verify(once, sign(once), card)
    assert calls.asked == ["C_SignInit", "C_Sign"]
    # By the other interface too.
    opened = NCryptOpenKey(NCryptOpenStorageProvider(card_token), "SIGN key")
    assert NCryptSignHash(opened, PKCS1, DIGEST, BCRYPT_PAD_PKCS1)


def test_a_wrong_pin_is_tried_once(card: PivCard, card_uri: str) -> None:
    for _ in range(3):
        with pytest.raises(CngError) as caught:
            hwcng.open_provider(card_uri, pin="654321")
        assert caught.value.status is NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
        assert card.tries == TRIES - 1
    hwcng.open_provider(card_uri, pin=PIN).close()
    assert card.tries == TRIES


def test_a_wrong_pin_for_one_use_is_tried_once(card: PivCard, card_uri: str) -> None:
    answers = [PIN]
    with hwcng.open_provider(card_uri, pin=lambda: answers[-1]) as token:
        always, once = token.open_key("SIGN key"), token.open_key("PIV AUTH key")
        answers.append("654321")
        for _ in range(3):
            with pytest.raises(CngError) as caught:
                always.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
            assert caught.value.status is NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
            assert card.tries == TRIES - 1
        # After a wrong PIN the card asks for one for its other keys too, and does not get that one either.
        for _ in range(3):
            with contextlib.suppress(CngError):
                once.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
        assert card.tries == TRIES - 1
        # The right one is welcome, and ends the trouble.
        answers.append(PIN)
        always.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
        once.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
    assert card.tries == TRIES


@pytest.mark.parametrize("name", ["SIGN key", *["PIV AUTH key"] * 4])
def test_a_card_that_was_out_of_the_reader(name: str, card: PivCard, card_token: Pkcs11Provider) -> None:
    """An open key works on when the card is back, and nothing of it costs a try at the PIN.

    Whether OpenSC sees that it was out, or only that a command fails, is a matter of moments: more than one try shows.
    """
    key = card_token.open_key(name)
    key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
    card.remove()
    try:
        until(lambda: key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST), fails=True)
    finally:
        card.insert()
    until(lambda: key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST), fails=False)
    assert card.tries == TRIES


def until(call: Callable[[], object], *, fails: bool) -> None:
    """Calls until it fails, or until it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            call()
            failed = None
        except CngError as error:
            failed = error
        if bool(failed) is fails:
            return
        assert time.monotonic() < deadline, failed
        # The daemon looks for cards once in a while.
        time.sleep(0.1)


def test_it_is_asked_for_nothing_that_it_has_not(
    key: Callable[[str], Any], card: PivCard, card_token: Pkcs11Provider
) -> None:
    with CallCounter(card_token) as calls:
        for name in SIGNS:
            pair = key(f"object={name.replace(' ', '%20')}")
            verify(pair, sign(pair), card)
    making = {"C_CreateObject", "C_CopyObject", "C_GenerateKey", "C_GenerateKeyPair", "C_DeriveKey", "C_DestroyObject"}
    assert not making & set(calls.names)
    for call in (
        lambda: card_token.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")),
        lambda: card_token.generate_secret(SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT)),
        lambda: card_token.persist_key(card_token.open_key("PIV AUTH key"), "a copy"),
    ):
        with pytest.raises(CngError) as caught:
            call()
        assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    # And nothing of that ended its keys.
    pair = key("object=PIV%20AUTH%20key")
    verify(pair, sign(pair), card)


def test_what_it_does_with_the_keys_that_it_holds(card: PivCard, card_token: Pkcs11Provider) -> None:
    """The card makes no keys, and is no worse a token for that: it signs and decrypts."""
    before = card.verifications
    told = card_token.capabilities()
    for operation, named in (("PKCS1 SHA256", SIGNS), ("PSS SHA256", SIGNS), ("PKCS1 decrypt", DECRYPTS)):
        assert told.operations["RSA", operation] is not Support.REFUSED, told.reasons
        assert told.held["RSA", operation] in named
    assert "SIGN key" not in told.held.values()
    assert told.operations["ECDSA", "nistP256"] is Support.REFUSED
    # No key was asked for its PIN for that.
    assert card.verifications == before
