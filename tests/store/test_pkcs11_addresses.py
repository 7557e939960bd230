"""Keys of other software: which one is opened, listed and ended, by label, CKA_ID and type of any octets."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from pkcs11 import Attribute, KeyType
from store import foreign
from store.conftest import objects_of
from store.test_pkcs11_store import AES, BLOCK, DIGEST, ECB, ECDSA, FIND, READ, status_of, verify_ecdsa

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.bcrypt import (
    BCRYPT_ALG_HANDLE_HMAC_FLAG,
    BCRYPT_PAD_PKCS1,
    BCRYPT_PKCS1_PADDING_INFO,
    BCryptCreateHash,
    BCryptDeriveKey,
    BCryptExportKey,
    BCryptFinalizeKeyPair,
    BCryptFinishHash,
    BCryptGenerateKeyPair,
    BCryptHashData,
    BCryptOpenAlgorithmProvider,
    BCryptSecretAgreement,
    BCryptSignHash,
    BCryptVerifySignature,
)
from hwcng.cng import naming, stored_algorithm
from hwcng.cng.keys import KeyPair
from hwcng.contract.material import EcPublicKey, RsaPublicKey, Untold
from hwcng.contract.specs import EcdsaSpec, HmacSpec
from hwcng.contract.usage import Usage
from hwcng.ncrypt import NCryptDeleteKey, NCryptEnumKeys, NCryptOpenKey, NCryptOpenStorageProvider
from hwcng.providers import registry
from hwcng.providers.backends import parse_uri
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.testing.calls import CallCounter

LABELS = (
    b"Schl\xfcssel",
    b"\xff\xfe",
    b"ends in NUL\0",
    b"a\0b",
    b"\0",
    b"",
    None,
    b"x" * 513,
    b"y" * 2000,
    b"pkcs11:id=%01",
    b"\xed\xa0\x80",
)


@pytest.fixture
def pair(keeper: Pkcs11Provider) -> Callable[..., int]:
    """Writes a pair; the scalar of its private half."""

    def write(label: bytes | str | None, identifier: bytes | None, scalar: int) -> int:
        foreign.create(keeper, foreign.private_key(label, identifier, scalar))
        foreign.create(keeper, foreign.public_key(label, identifier, scalar))
        return scalar

    return write


@pytest.mark.parametrize("label", LABELS, ids=lambda label: ascii(label)[:20])
def test_any_label(label: bytes | None, keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    pair(label, b"\x01", 11)
    pair("neighbour", b"\x02", 12)
    names = {record.name for record in keeper.list_keys()} - {"neighbour"}
    (name,) = names
    assert name.encode()
    key = keeper.open_key(name)
    assert (key.public, key.name) == (foreign.material(11), name)
    verify_ecdsa(foreign.material(11), key.sign_digest(EcdsaSpec(), DIGEST))
    uri = parse_uri(keeper.key_uri(name))
    assert isinstance(uri, Pkcs11Uri)
    # SoftHSM and NSS give back the octets that they were given; what is too long to read is found by its CKA_ID.
    octets = label if label and len(label) < 1000 else None
    assert uri.object == (octets.decode("utf-8", "surrogateescape") if octets else None)
    assert (uri.id, uri.type) == (None if octets else b"\x01", "private")
    # The key is found again, and not the neighbour.
    keeper._store._places.clear()
    assert keeper.open_key(name).public == foreign.material(11)
    assert keeper.open_key("pkcs11:id=%01").name == name
    keeper.delete_key(name)
    assert [record.name for record in keeper.list_keys()] == ["neighbour"]
    assert len(objects_of(keeper)) == 2
    assert status_of(lambda: keeper.open_key(name)) == HRESULT.NTE_BAD_KEYSET


@pytest.mark.parametrize("identifier", [b"\0", b"\xff\0", b";?&=%", bytes(range(200)), "é".encode()], ids=ascii)
def test_any_id(identifier: bytes, keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    pair(None, identifier, 21)
    pair("labelled", b"\x02", 22)
    (record,) = (record for record in keeper.list_keys() if record.name != "labelled")
    uri = parse_uri(keeper.key_uri(record.name))
    assert isinstance(uri, Pkcs11Uri)
    assert (uri.object, uri.id, uri.type) == (None, identifier, "private")
    assert keeper.open_key(record.name).public == foreign.material(21)


def test_keys_of_one_label(keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    for identifier, scalar in ((b"\x01", 31), (b"\x02", 32), (b"", 33)):
        pair("same", identifier, scalar)
    foreign.create(keeper, foreign.secret_key("same", b"\x01\x01"))
    assert status_of(lambda: keeper.open_key("same")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert status_of(lambda: keeper.open_key("pkcs11:object=same;type=private")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert keeper.open_key("pkcs11:object=same;type=secret-key").spec.family.value == "AES"
    for name, scalar in (("object=same;id=%01", 31), ("id=%02", 32), ("object=same;id=;type=private", 33)):
        assert keeper.open_key(f"pkcs11:{name}").public == foreign.material(scalar)
    for name in ("object=same;id=%09", "object=other;id=%01", "id=%02;type=secret-key", "object=;id=%01", "id=%01%02"):
        assert status_of(lambda name=name: keeper.open_key(f"pkcs11:{name}")) == HRESULT.NTE_BAD_KEYSET
    records = list(keeper.list_keys())
    assert [record.name for record in records] == ["same"] * 4
    # A listing says how each of them is opened; so do the key and its URI.
    for record in records:
        assert record.address is not None
        key = keeper.open_key(record.address)
        assert key.name == record.address
        assert "id=" in keeper.key_uri(record.address)
    # One goes, the others stay whole.
    keeper.delete_key("pkcs11:object=same;id=%01")
    assert keeper.open_key("pkcs11:id=%02").public == foreign.material(32)
    assert len(objects_of(keeper)) == 5


def test_the_error_and_the_listing_say_which_keys_there_are(
    keeper: Pkcs11Provider, pair: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_default", keeper)
    pair("same", b"\x01", 34)
    foreign.create(keeper, foreign.secret_key("same", b"\x02"))
    foreign.create(keeper, foreign.certificate("same", b"\x01", foreign.ec_public(34)))
    with pytest.raises(CngError) as caught:
        keeper.open_key("same")
    assert "pkcs11:object=same;id=%01;type=private (EC nistP256: SIGN)" in caught.value.message
    assert "pkcs11:object=same;id=%02;type=secret-key (AES 256 bits: ENCRYPT, DECRYPT" in caught.value.message
    for listed in (list(keeper.list_keys()), list(NCryptEnumKeys(NCryptOpenStorageProvider(keeper)))):
        found = {(one.id, one.kind, one.usage, one.certificate) for one in listed}
        assert found == {
            (b"\x01", "EC", Usage.SIGN, True),
            (b"\x02", "AES", keeper.open_key("pkcs11:id=%02").spec.usage, False),
        }
        for one in listed:
            assert hwcng.open_key(one.uri).uri == one.uri


def test_keys_that_nothing_tells_apart(softhsm_keeper: Pkcs11Provider) -> None:
    for value in (bytes(32), bytes(range(32))):
        foreign.create(softhsm_keeper, foreign.secret_key("twin", b"\x01", VALUE=value))
    with pytest.raises(CngError, match="nothing tells them apart") as caught:
        softhsm_keeper.open_key("twin")
    assert caught.value.status == HRESULT.NTE_KEYSET_ENTRY_BAD


@pytest.mark.parametrize("named", [b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519"], ids=["OID", "PrintableString"])
def test_an_ed25519_key_without_its_public_half(softhsm_keeper: Pkcs11Provider, named: bytes) -> None:
    own = ed25519.Ed25519PrivateKey.from_private_bytes((7).to_bytes(32, "big"))
    template = foreign.private_key("edwards", b"\x01", 7) | {Attribute.KEY_TYPE: KeyType.EC_EDWARDS}
    foreign.create(softhsm_keeper, template | {Attribute.EC_PARAMS: named})
    (listed,) = NCryptEnumKeys(NCryptOpenStorageProvider(softhsm_keeper))
    assert (listed.pszName, listed.pszAlgid, listed.kind, listed.usage) == ("edwards", "ED25519", "ED25519", Usage.SIGN)
    key = NCryptOpenKey(NCryptOpenStorageProvider(softhsm_keeper), "edwards").key
    assert BCryptSignHash(key, None, b"data") == own.sign(b"data")  # type: ignore[arg-type]
    with pytest.raises(CngError, match="does not tell the public half"):
        key.public_key()
    # It is seen once somebody writes it beside the key.
    point = own.public_key().public_bytes_raw()
    public = foreign.public_key("edwards", b"\x01", 7) | {Attribute.KEY_TYPE: KeyType.EC_EDWARDS}
    foreign.create(softhsm_keeper, public | {Attribute.EC_PARAMS: named, Attribute.EC_POINT: b"\x04\x20" + point})
    key = NCryptOpenKey(NCryptOpenStorageProvider(softhsm_keeper), "edwards").key
    assert key.public_key() == own.public_key()


def test_a_key_on_a_curve_that_is_not_served(softhsm_keeper: Pkcs11Provider) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    from hwcng import pyca

    template = foreign.private_key("goldilocks", b"\x01", 7) | {Attribute.KEY_TYPE: KeyType.EC_EDWARDS}
    foreign.create(softhsm_keeper, template | {Attribute.EC_PARAMS: b"\x06\x03\x2b\x65\x71"})
    address = softhsm_keeper.uri.replace("?", ";object=goldilocks?")
    with pytest.raises(UnsupportedAlgorithm, match="another Edwards curve") as caught:
        pyca.private_key(address)
    assert isinstance(caught.value.__cause__, CngError)
    assert caught.value.__cause__.status is HRESULT.NTE_NOT_SUPPORTED
    with pytest.raises(CngError, match="no key"):
        pyca.private_key(address.replace("goldilocks", "nobody"))


def test_a_key_of_hwcngs_beside_another_of_its_name(keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    mine = keeper.persist_key(keeper.generate_pair(ECDSA), "shared")
    pair("shared", b"\x07", 41)
    keeper._store._places.clear()
    assert status_of(lambda: keeper.delete_key("shared")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    keeper.delete_key("pkcs11:object=shared;id=%07")
    # With its public object, which is what makes it a key that can be opened.
    keeper._store._places.clear()
    assert keeper.open_key("shared").public == mine.public
    verify_ecdsa(mine.public, mine.sign_digest(EcdsaSpec(), DIGEST))


def test_an_open_key_stays_the_one_that_it_is(keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    """It is found again by its CKA_ID, also where another key has taken its label since."""
    pair("once alone", b"\x01", 51)
    key = keeper.open_key("once alone")
    pair("once alone", b"\x02", 52)
    keeper._connection.stale_handles += 1
    keeper._store._places.clear()
    stale = key.held._place.handle
    key.held._place = key.held._place._replace(handle=stale + 77_777)
    verify_ecdsa(foreign.material(51), key.sign_digest(EcdsaSpec(), DIGEST))


@pytest.mark.parametrize("kind", ["public", "cert", "data"])
def test_other_objects_are_not_opened(kind: str, keeper: Pkcs11Provider) -> None:
    with CallCounter(keeper) as calls:
        assert status_of(lambda: keeper.open_key(f"pkcs11:object=x;type={kind}")) == NTSTATUS.STATUS_INVALID_PARAMETER
    assert calls.names == []


def test_nothing_is_stored_under_an_address(keeper: Pkcs11Provider) -> None:
    key = keeper.generate_secret(AES)
    assert status_of(lambda: keeper.persist_key(key, "pkcs11:id=%01")) == HRESULT.NTE_INVALID_PARAMETER
    assert objects_of(keeper) == []


def test_the_calls_that_it_takes(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    foreign.create(keeper, foreign.secret_key("by label", b"\x01"))
    foreign.create(keeper, foreign.secret_key(None, b"\x02"))
    reader = another()
    reader.random(1)
    with CallCounter(reader) as calls:
        reader.open_key("pkcs11:object=by%20label;id=%01;type=secret-key")
        assert calls.asked == [*FIND, READ]
        calls.clear()
        reader.open_key("by label")
        reader.key_uri("by label")
        assert calls.asked == [READ, READ]
        calls.clear()
        reader.open_key("pkcs11:id=%02")
        assert calls.asked == [*FIND, READ]
        calls.clear()
        reader.open_key("pkcs11:id=%02")
        assert calls.asked == [READ]


# The public half.


def test_a_public_object_of_another_label(keeper: Pkcs11Provider) -> None:
    foreign.create(keeper, foreign.private_key("a key", b"\x01", 61))
    foreign.create(keeper, foreign.public_key("another label", b"\x01", 61))
    assert keeper.open_key("a key").public == foreign.material(61)


@pytest.mark.parametrize("label", ["a key", "another label", None])
def test_a_certificate_of_any_label(label: str | None, keeper: Pkcs11Provider) -> None:
    foreign.create(keeper, foreign.private_key("a key", b"\x01", 62))
    foreign.create(keeper, foreign.certificate("unrelated", b"\x02", foreign.ec_public(63)))
    assert isinstance(keeper.open_key("a key").public, Untold)
    foreign.create(keeper, foreign.certificate(label, b"\x01", foreign.ec_public(62)))
    key = keeper.open_key("a key")
    assert key.public == foreign.material(62)
    verify_ecdsa(key.public, key.sign_digest(EcdsaSpec(), DIGEST))
    assert [record.certificate for record in keeper.list_keys()] == [True]


def test_a_dsa_key_with_a_certificate(softhsm_keeper: Pkcs11Provider) -> None:
    made = dsa.generate_private_key(2048)
    numbers = made.private_numbers()
    domain = numbers.public_numbers.parameter_numbers
    kinds = (Attribute.PRIME, Attribute.SUBPRIME, Attribute.BASE, Attribute.VALUE)
    values = dict(zip(kinds, (domain.p, domain.q, domain.g, numbers.x), strict=True))
    template = foreign.private_key("dsa", b"\x01", 1) | {Attribute.KEY_TYPE: KeyType.DSA, Attribute.EC_PARAMS: None}
    template |= {kind: value.to_bytes((value.bit_length() + 7) // 8, "big") for kind, value in values.items()}
    foreign.create(softhsm_keeper, template)
    # One of another kind with the same CKA_ID says nothing.
    foreign.create(softhsm_keeper, foreign.certificate("other", b"\x01", foreign.ec_public(64)))
    foreign.create(softhsm_keeper, foreign.certificate("its own", b"\x01", made.public_key()))
    assert softhsm_keeper.open_key("dsa").public.value == numbers.public_numbers.y


def test_an_rsa_key_without_its_exponent(softhsm_keeper: Pkcs11Provider) -> None:
    made = rsa.generate_private_key(65537, 2048)
    numbers = made.private_numbers()
    values = {
        Attribute.MODULUS: numbers.public_numbers.n,
        Attribute.PRIVATE_EXPONENT: numbers.d,
        Attribute.PRIME_1: numbers.p,
        Attribute.PRIME_2: numbers.q,
        Attribute.EXPONENT_1: numbers.dmp1,
        Attribute.EXPONENT_2: numbers.dmq1,
        Attribute.COEFFICIENT: numbers.iqmp,
    }
    template = foreign.private_key("rsa", b"\x01", 1)
    template |= dict.fromkeys((Attribute.EC_PARAMS, Attribute.VALUE, Attribute.DERIVE))
    template |= {kind: value.to_bytes((value.bit_length() + 7) // 8, "big") for kind, value in values.items()}
    foreign.create(softhsm_keeper, template | {Attribute.KEY_TYPE: KeyType.RSA})
    untold = naming.open_named(softhsm_keeper, "rsa")
    assert isinstance(untold, KeyPair)
    # SoftHSM signs with no such key, as OpenSSL blinds with the exponent; what it is, is known.
    assert untold.bits == 2048
    padding_info = BCRYPT_PKCS1_PADDING_INFO("SHA256")
    for use in (
        lambda: BCryptVerifySignature(untold, padding_info, DIGEST, bytes(256), BCRYPT_PAD_PKCS1),
        lambda: BCryptExportKey(untold, None, "RSAPUBLICBLOB"),
        untold.public_key,
    ):
        assert status_of(use) == NTSTATUS.STATUS_NOT_FOUND
    with pytest.raises(Exception, match="does not tell the public half"):
        untold.as_cryptography()
    foreign.create(softhsm_keeper, foreign.certificate("its own", b"\x01", made.public_key()))
    assert softhsm_keeper.open_key("rsa").public == RsaPublicKey(numbers.public_numbers.n, 65537)


def test_a_certificates_label_is_not_its_keys(keeper: Pkcs11Provider) -> None:
    """NSS's certutil labels certificates alone; the message says where the key is."""
    foreign.create(keeper, foreign.private_key(None, b"\x0a", 65))
    foreign.create(keeper, foreign.certificate("nickname", b"\x0a", foreign.ec_public(65)))
    with pytest.raises(Exception, match="pkcs11:id=%0A") as caught:
        keeper.open_key("nickname")
    assert caught.value.status == HRESULT.NTE_BAD_KEYSET
    assert keeper.open_key("pkcs11:id=%0A").public == foreign.material(65)


@pytest.mark.parametrize("sign", [True, False], ids=["signs too", "agrees only"])
def test_an_ec_key_that_signs_and_agrees(sign: bool, keeper: Pkcs11Provider) -> None:
    """pkcs11-tool makes such keys where nothing else is said; hwcng's own do one of the two."""
    template = foreign.private_key("both", b"\x01", 66)
    foreign.create(keeper, template | {Attribute.DERIVE: True, Attribute.SIGN: sign})
    foreign.create(keeper, foreign.public_key("both", b"\x01", 66) | {Attribute.DERIVE: True})
    stored = naming.open_named(keeper, "both")
    assert isinstance(stored, KeyPair)
    peer = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDH_P256", keeper), 256)
    BCryptFinalizeKeyPair(peer)
    secret = BCryptSecretAgreement(stored, peer)
    shared = ec.derive_private_key(66, ec.SECP256R1()).exchange(ec.ECDH(), host_public(peer))
    assert BCryptDeriveKey(secret, "HASH", [(0, "SHA256")], None) == hashlib.sha256(shared).digest()
    if sign:
        BCryptVerifySignature(stored, None, DIGEST, BCryptSignHash(stored, None, DIGEST))
        assert stored.algorithm.name == "ECDSA_P256"
        own = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", keeper), 256)
        BCryptFinalizeKeyPair(own)
        assert status_of(lambda: BCryptSecretAgreement(own, peer)) == NTSTATUS.STATUS_INVALID_HANDLE
        # It agrees as the peer too, and with another of its like.
        foreign.create(keeper, template | {Attribute.DERIVE: True, Attribute.LABEL: "other", Attribute.ID: b"\x02"})
        foreign.create(keeper, foreign.public_key("other", b"\x02", 66) | {Attribute.DERIVE: True})
        other = naming.open_named(keeper, "other")
        assert isinstance(other, KeyPair)
        secrets = (BCryptSecretAgreement(*pairs) for pairs in ((peer, stored), (other, stored)))
        derived = [BCryptDeriveKey(secret, "HASH", [(0, "SHA256")], None) for secret in secrets]
        own_secret = ec.derive_private_key(66, ec.SECP256R1()).exchange(ec.ECDH(), foreign.ec_public(66))
        assert derived == [hashlib.sha256(z).digest() for z in (shared, own_secret)]


def host_public(pair: KeyPair) -> ec.EllipticCurvePublicKey:
    public = pair.public
    assert isinstance(public, EcPublicKey)
    return ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key()


# HMAC keys.

HASHES = {
    KeyType.SHA_1_HMAC: "SHA1",
    KeyType.SHA256_HMAC: "SHA256",
    KeyType.SHA384_HMAC: "SHA384",
    KeyType.SHA512_HMAC: "SHA512",
}


def test_a_generic_secret_is_an_hmac_key(keeper: Pkcs11Provider) -> None:
    foreign.create(keeper, foreign.secret_key("mac", b"\x01", KeyType.GENERIC_SECRET, VALUE=bytes(range(64))))
    storage = NCryptOpenStorageProvider(keeper)
    (listed,) = NCryptEnumKeys(storage)
    assert (listed.pszName, listed.pszAlgid) == ("mac", "HMAC-SHA256")
    key = naming.open_named(keeper, "mac")
    # The hash is the caller's choice: the key says none.
    for name in ("SHA256", "SHA512"):
        algorithm = BCryptOpenAlgorithmProvider(name, keeper, BCRYPT_ALG_HANDLE_HMAC_FLAG)
        running = BCryptCreateHash(algorithm, None, key)
        BCryptHashData(running, b"data")
        assert BCryptFinishHash(running) == hmac.digest(bytes(range(64)), b"data", name.lower())
    NCryptDeleteKey(NCryptOpenKey(storage, "mac"))
    assert objects_of(keeper) == []


@pytest.mark.parametrize(("kind", "name"), HASHES.items(), ids=HASHES.values())
def test_keys_of_one_hash(kind: KeyType, name: str, softhsm_keeper: Pkcs11Provider) -> None:
    foreign.create(softhsm_keeper, foreign.secret_key("mac", b"\x01", kind, VALUE=bytes(range(64))))
    (record,) = softhsm_keeper.list_keys()
    assert stored_algorithm.algorithm_name(record.spec) == f"HMAC-{name}"
    expected = hmac.digest(bytes(range(64)), b"data", getattr(hashlib, name.lower()))
    assert softhsm_keeper.open_key("mac").mac(HmacSpec(name), b"data") == expected


# By ncrypt.h.


def test_every_listed_name_opens_and_ends_its_key(keeper: Pkcs11Provider, pair: Callable[..., int]) -> None:
    for number, label in enumerate((*LABELS, "one", "one", "plain")):
        pair(label, bytes([number + 1]), 100 + number)
    foreign.create(keeper, foreign.secret_key("one", b"\xf1"))
    storage = NCryptOpenStorageProvider(keeper)
    names = [listed.pszName for listed in NCryptEnumKeys(storage)]
    assert len(set(names)) == len(LABELS) + 4
    for name in names:
        before = len(objects_of(keeper))
        NCryptDeleteKey(NCryptOpenKey(storage, name))
        left = [listed.pszName for listed in NCryptEnumKeys(storage)]
        assert name not in left
        assert before - len(objects_of(keeper)) == (1 if "secret-key" in name else 2)
    assert objects_of(keeper) == []


def test_secret_keys_without_anything(keeper: Pkcs11Provider) -> None:
    """Neither label nor CKA_ID: found where the token has one such key."""
    foreign.create(keeper, foreign.secret_key(None, None))
    foreign.create(keeper, foreign.secret_key("labelled", None, VALUE=bytes(32)))
    (record,) = (record for record in keeper.list_keys() if record.name != "labelled")
    key = keeper.open_key(record.name)
    assert key.encrypt(ECB, BLOCK) != keeper.open_key("labelled").encrypt(ECB, BLOCK)
    keeper.delete_key(record.name)
    assert [record.name for record in keeper.list_keys()] == ["labelled"]


def test_one_id_under_two_labels(softhsm_keeper: Pkcs11Provider) -> None:
    keeper = softhsm_keeper
    for label, scalar in (("labelled", 71), (None, 72)):
        foreign.create(keeper, foreign.private_key(label, b"\x01", scalar))
        foreign.create(keeper, foreign.public_key(label, b"\x01", scalar))
    assert status_of(lambda: keeper.open_key("pkcs11:id=%01")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    for record in keeper.list_keys():
        expected = foreign.material(71 if record.name == "labelled" else 72)
        assert keeper.open_key(record.address or record.name).public == expected
