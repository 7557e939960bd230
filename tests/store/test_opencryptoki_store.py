"""Named keys in opencryptoki's software token, which has no elliptic curves (3.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import opencryptoki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from pyca.certificates import certificate
from store.conftest import objects_of
from store.test_pkcs11_store import AES, BLOCK, DIGEST, ECB, FIND, READ, status_of

import hwcng
import hwcng.cng.naming
from hwcng import HRESULT
from hwcng.contract.specs import PairSpec, RsaPkcs1SignSpec
from hwcng.contract.usage import Usage
from hwcng.hostcrypto.host_keys import host_key
from hwcng.testing.calls import CallCounter

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

RSA = PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048)
PKCS1 = RsaPkcs1SignSpec("SHA256")


@pytest.fixture
def keeper() -> Iterator[Pkcs11Provider]:
    token = opencryptoki.running()
    with opencryptoki.stored_alone(), hwcng.open_provider(token.uri, pin=token.pin) as opened:
        objects_of(opened, destroy=True)  # type: ignore[arg-type]
        yield opened  # type: ignore[misc]
        objects_of(opened, destroy=True)  # type: ignore[arg-type]


def test_keys_made_in_their_place(keeper: Pkcs11Provider) -> None:
    with CallCounter(keeper) as calls:
        pair = keeper.named("pair").generate_pair(RSA)
        # Other hosts cannot be ruled out: it looks again.
        assert calls.asked == [*FIND, "C_GenerateKeyPair", READ, READ, *FIND]
    keeper._store._places.clear()
    opened = keeper.open_key("pair")
    assert (opened.spec, opened.public) == (RSA, pair.public)
    signature = opened.sign_digest(PKCS1, DIGEST)
    host_key(pair.public).verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    secret = keeper.named("secret").generate_secret(AES)
    assert secret.decrypt(ECB, secret.encrypt(ECB, BLOCK)) == BLOCK
    assert status_of(lambda: keeper.named("secret").generate_secret(AES)) == HRESULT.NTE_EXISTS
    again = keeper.named("pair", replace=True).generate_pair(RSA)
    assert again.public != pair.public
    assert {(record.name, record.kind, record.usage) for record in keeper.list_keys()} == {
        ("pair", "RSA", RSA.usage),
        ("secret", "AES", AES.usage),
    }
    assert len(objects_of(keeper)) == 3
    keeper.delete_key("pair")
    keeper.delete_key("secret")
    assert objects_of(keeper) == []


def test_a_stored_key_and_its_certificate(keeper: Pkcs11Provider) -> None:
    stored = keeper.persist_key(keeper.generate_pair(RSA), "certified")
    pair = hwcng.cng.naming.handle_of(keeper, stored, "certified")
    own = certificate(pair.as_cryptography(), "certified")
    pair.store_certificates([own])
    (found,) = keeper.certificates("certified")
    assert x509.load_der_x509_certificate(found) == own
    assert [record.certificate for record in keeper.list_keys()] == [True]
    keeper.delete_key("certified")
    assert objects_of(keeper) == []
    assert found == own.public_bytes(serialization.Encoding.DER)
