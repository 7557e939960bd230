"""What Python programs do with any object they do with a key: print it, keep it in sets, match it, refer to it weakly,
send it to another process.
"""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from pyca.kinds import KINDS, Kind
from pyca.pairs import make_pair, needs_host
from support import missing_on

import hwcng
from hwcng import HRESULT, CngError, KeyPair, PairSpec, Usage, ncrypt, pyca
from hwcng.contract.protection import Protection
from hwcng.testing.calls import CallCounter

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


SENT = [title for title, kind in KINDS.items() if kind.is_pair]


@pytest.fixture
def named(request: pytest.FixtureRequest, own_token: Provider) -> Iterator[tuple[Kind, Any, KeyPair]]:
    """A kind of key, the software's, and the same under a name in a token that is the default one."""
    needs_host(request.param)
    kind = KINDS[request.param]
    software = kind.software()
    try:
        pair = pyca.import_private_key(own_token, software, "sent", usage=kind.usage)
    except UnsupportedAlgorithm:
        missing_on(own_token, request.param)
    hwcng.set_default_provider(own_token)
    try:
        yield kind, software, pair
    finally:
        hwcng.set_default_provider(None)
        with suppress(CngError):
            own_token.delete_key("sent")


@pytest.mark.parametrize("named", SENT, indirect=True)
def test_one_that_is_sent_asks_no_token_before_it_is_used(
    named: tuple[Kind, Any, KeyPair], own_token: Provider
) -> None:
    kind, software, pair = named
    key: Any = pair.as_cryptography()
    sent = pickle.dumps(key)
    with CallCounter(own_token) as calls:  # type: ignore[arg-type]
        again = pickle.loads(sent)
        assert type(again) is type(key) and again == key and hash(again) == hash(key)
        assert again.public_key() == software.public_key() and "sent" in repr(again)
        assert pickle.loads(pickle.dumps(again)) == key and copy.deepcopy(again) is again
        assert getattr(again, "no such thing", None) is None
    assert calls.total == 0
    for method in kind.methods:
        arguments = method.good(software)
        with suppress(UnsupportedAlgorithm):
            answer = getattr(again, method.name)(**arguments)
            if method.verify is None:
                assert answer == getattr(software, method.name)(**arguments)
            else:
                method.verify(software, answer, **arguments)
    assert again.cng_key.uri == pair.uri


@pytest.mark.parametrize("named", SENT, indirect=True)
def test_one_that_is_sent_is_no_other_key(named: tuple[Kind, Any, KeyPair], own_token: Provider) -> None:
    """Which has its name meanwhile, nor one that is gone."""
    kind, software, pair = named
    sent = pickle.dumps(pair.as_cryptography())
    own_token.delete_key("sent")
    refused(sent, kind, software, "no key named .*sent")
    pyca.import_private_key(own_token, kind.software(), "sent", usage=kind.usage)
    refused(sent, kind, software, "another key than was sent")


def refused(sent: bytes, kind: Kind, software: Any, says: str) -> None:
    for method in kind.methods:
        with pytest.raises(ValueError, match=says) as caught:
            getattr(pickle.loads(sent), method.name)(**method.good(software))
        assert isinstance(caught.value.__cause__, CngError)
        assert caught.value.__cause__.status is HRESULT.NTE_BAD_KEYSET


PIN = "PIN of the key"


def test_one_that_is_sent_is_given_its_pin_where_it_arrives(swtpm_provider: Provider) -> None:
    """A PIN does not travel."""
    swtpm_provider.protecting(Protection(PIN.encode()), "pinned").generate_pair(
        PairSpec("EC", Usage.SIGN, curve="nistP256")
    )
    storage = ncrypt.NCryptOpenStorageProvider(swtpm_provider)
    scheme = ec.ECDSA(hashes.SHA256())
    try:
        key: Any = pyca.private_key(swtpm_provider.key_uri("pinned"), pin=PIN)
        sent = pickle.dumps(key)
        assert PIN.encode() not in sent
        with pytest.raises(ValueError, match="needs a PIN"):
            pickle.loads(sent).sign(b"data", scheme)
        again: Any = pickle.loads(sent)
        for _ in range(2):
            again.cng_key.authorize(PIN)
            key.public_key().verify(again.sign(b"data", scheme), b"data", scheme)
        ncrypt.NCryptSetProperty(storage, ncrypt.NCRYPT_PIN_PROPERTY, PIN)
        handle = pickle.loads(pickle.dumps(ncrypt.NCryptOpenKey(storage, "pinned")))
        ncrypt.NCryptSetProperty(handle, ncrypt.NCRYPT_PIN_PROPERTY, PIN)
        assert len(ncrypt.NCryptSignHash(handle, None, bytes(32))) == 64
    finally:
        swtpm_provider.delete_key("pinned")
