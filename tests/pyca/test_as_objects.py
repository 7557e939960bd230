"""A key as what Python programs do with any object: print it, keep it in sets, match it, refer to it weakly."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from pyca.pairs import make_pair

from hwcng import KeyPair, ncrypt

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider


@pytest.fixture
def stored(provider: Provider) -> Any:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "an object", 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG)
    ncrypt.NCryptFinalizeKey(key)
    yield key
    ncrypt.NCryptDeleteKey(key)


def test_what_it_prints_names_it(stored: ncrypt.NCryptKey, provider: Provider) -> None:
    assert isinstance(stored.key, KeyPair)
    assert repr(stored.key) == "<KeyPair 'an object' ECDSA_P256 256 bits pair>"
    assert str(stored.as_cryptography()) == f"<EcTokenKey on {stored.key!r}>"
    assert "'an object'" in repr(stored)
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    secret = ncrypt.NCryptCreatePersistedKey(storage, "AES", "a secret", 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG)
    ncrypt.NCryptFinalizeKey(secret)
    shown = repr(secret.key)
    assert shown.startswith("<SymmetricKey 'a secret' AES ") and " destroyed" not in shown
    ncrypt.NCryptDeleteKey(secret)
    with make_pair(provider, "RSA", 2048) as pair:
        assert repr(pair) == "<KeyPair RSA 2048 bits pair>"
    assert repr(pair) == "<KeyPair RSA 2048 bits pair destroyed>"


def test_it_is_one_member_of_a_set_however_it_was_opened(stored: ncrypt.NCryptKey, provider: Provider) -> None:
    again = ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(provider), "an object")
    keys = {stored.as_cryptography(), again.as_cryptography(), stored.as_cryptography()}
    assert len(keys) == 1 and {again.as_cryptography(): 1}[stored.as_cryptography()] == 1


def test_it_matches_a_pattern(provider: Provider) -> None:
    def kind(key: Any) -> object:
        match key:
            case rsa.RSAPrivateKey(key_size=size):
                return size
            case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
                return "P-256"
            case EllipticCurvePrivateKey() | ed25519.Ed25519PrivateKey():
                return "another curve"
        return None

    made = (("RSA", 2048, {}), ("ECDSA", 0, {"ECCCurveName": "nistP256"}), ("ED25519", 0, {}))
    assert [kind(make_pair(provider, name, bits, **rest).as_cryptography()) for name, bits, rest in made] == [
        2048,
        "P-256",
        "another curve",
    ]


def test_a_weak_reference_does_not_keep_it(provider: Provider) -> None:
    key = make_pair(provider, "ECDSA", ECCCurveName="nistP256").as_cryptography()
    weak, kept = weakref.ref(key), weakref.WeakKeyDictionary({key: "data"})
    assert weak() is key and kept[key] == "data"
    del key
    gc.collect()
    assert weak() is None and not kept
