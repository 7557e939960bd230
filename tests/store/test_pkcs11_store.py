"""Named keys in tokens of PKCS#11: what is stored, what it costs, what other software stored, what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from isolation.child import run
from pkcs11 import Attribute, ObjectClass
from store.conftest import NAMES, KeepingToken, objects_of
from store.foreign import certificate, create, ec_public, material, private_key, public_key

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPublicKey
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.specs import CipherSpec, CmacSpec, EcdsaSpec, HmacSpec, PairSpec, RsaPkcs1SignSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.ncrypt import (
    NCRYPT_OVERWRITE_KEY_FLAG,
    NCryptCreatePersistedKey,
    NCryptFinalizeKey,
    NCryptOpenStorageProvider,
)
from hwcng.providers.backends import parse_uri
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.providers.pkcs11.store import key_store
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.specs import READ as READ_ATTRIBUTES
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

VALUES = frozenset({Attribute.LABEL, Attribute.ID, Attribute.MODULUS, Attribute.EC_POINT})
NAMED = ("copied", "in place")
SIGHT = ("C_GetSessionInfo", "C_GetSlotInfo", "C_GetTokenInfo")
FIND = ["C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal"]
READ = "C_GetAttributeValue"
DIGEST = bytes(range(32))
CKR_FUNCTION_NOT_SUPPORTED = 0x54
BLOCK = bytes(16)
SECRET = int(ObjectClass.SECRET_KEY).to_bytes(8, sys.byteorder)
MANY = 300
"""Names: SoftHSM looks through all that it has at each call."""
ECB = CipherSpec(CipherMode.ECB)
AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
SPECS = [
    AES,
    SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT | Usage.WRAP | Usage.UNWRAP, exportable=True),
    SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"),
    SecretSpec(SecretFamily.HMAC, 512, Usage.SIGN, hash_name="SHA512"),
    SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN),
    SecretSpec(SecretFamily.GMAC, 128, Usage.ENCRYPT),
    PairSpec("RSA", Usage.SIGN, bits=2048),
    PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048, exportable=True),
    ECDSA,
    PairSpec("EC", Usage.DERIVE, curve="nistP384"),
    PairSpec("EC", Usage.SIGN, curve="nistP521"),
]


def make(provider: Provider, spec: SecretSpec | PairSpec) -> object:
    return provider.generate_pair(spec) if isinstance(spec, PairSpec) else provider.generate_secret(spec)


def verify_ecdsa(public: EcPublicKey, signature: bytes) -> None:
    numbers = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1())
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    numbers.public_key().verify(utils.encode_dss_signature(r, s), DIGEST, algorithm)


def status_of(call: Callable[[], object]) -> object:
    with pytest.raises(CngError) as caught:
        call()
    return caught.value.status


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_key_is_opened_as_what_it_is(
    spec: SecretSpec | PairSpec, keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]
) -> None:
    made = make(keeper, spec)
    stored = keeper.persist_key(made, "what it is")
    opened = another().open_key("what it is")
    assert made.spec == stored.spec == opened.spec == spec
    if isinstance(spec, PairSpec):
        assert made.public == stored.public == opened.public
    (record,) = keeper.list_keys()
    assert (record.name, record.spec, record.certificate) == ("what it is", spec, False)
    assert record.created is not None


def test_all_three_are_the_same_key(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    made = keeper.import_secret(AES, DIGEST)
    expected = made.encrypt(ECB, BLOCK)
    stored = keeper.persist_key(made, "same")
    made.destroy()
    assert stored.encrypt(ECB, BLOCK) == expected
    stored.destroy()
    assert keeper.open_key("same").encrypt(ECB, BLOCK) == expected
    assert another().open_key("same").encrypt(ECB, BLOCK) == expected
    mac = keeper.generate_secret(SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN))
    assert keeper.persist_key(mac, "mac").mac(CmacSpec(), b"x") == mac.mac(CmacSpec(), b"x")
    pair = keeper.generate_pair(ECDSA)
    verify_ecdsa(pair.public, keeper.persist_key(pair, "pair").sign_digest(EcdsaSpec(), DIGEST))
    verify_ecdsa(pair.public, another().open_key("pair").sign_digest(EcdsaSpec(), DIGEST))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(name: str, keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    for other in NAMES:
        keeper.persist_key(keeper.generate_secret(AES), other)
    expected = keeper.open_key(name).encrypt(ECB, BLOCK)
    reader = another()
    assert reader.open_key(name).encrypt(ECB, BLOCK) == expected
    assert sorted(record.name for record in reader.list_keys()) == sorted(NAMES)
    uri = parse_uri(keeper.key_uri(name))
    assert isinstance(uri, Pkcs11Uri)
    assert (uri.object, uri.type, uri.pin_value, uri.token) == (name, "secret-key", None, keeper.token.label)
    reader.delete_key(name)
    assert status_of(lambda: keeper.open_key(name)) == HRESULT.NTE_BAD_KEYSET
    assert len(list(keeper.list_keys())) == len(NAMES) - 1


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "x" * 513, "x" * 10_000, "🔑" * 257, "\ud800", None, b"bytes", 7])
def test_no_name(name: str, keeper: Pkcs11Provider) -> None:
    key = keeper.generate_secret(AES)
    with CallCounter(keeper) as calls:
        for call in (
            lambda: keeper.persist_key(key, name),
            lambda: keeper.open_key(name),
            lambda: keeper.delete_key(name),
            lambda: keeper.key_uri(name),
        ):
            assert status_of(call) == HRESULT.NTE_INVALID_PARAMETER
    assert calls.names == []


def test_the_calls_that_it_takes(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    pair, secret = keeper.generate_pair(ECDSA), keeper.generate_secret(AES)
    with CallCounter(keeper) as calls:
        keeper.persist_key(secret, "secret")
        assert calls.asked == [*FIND, "C_CopyObject", READ]
        calls.clear()
        keeper.persist_key(pair, "pair")
        assert calls.asked == [*FIND, "C_CreateObject", "C_CopyObject", READ]
        calls.clear()
        keeper.open_key("pair")
        keeper.key_uri("pair")
        assert calls.asked == [READ, READ]
    reader = another()
    reader.random(1)
    with CallCounter(reader) as calls:
        key = reader.open_key("pair")
        assert calls.asked == [*FIND, READ, READ]
        calls.clear()
        reader.open_key("secret")
        assert calls.asked == [*FIND, READ]
        calls.clear()
        key.sign_digest(EcdsaSpec(), DIGEST)
        assert calls.asked == ["C_SignInit", "C_Sign"]
        calls.clear()
        list(reader.list_keys())
        assert calls.asked == [*FIND, READ, READ, READ]
        calls.clear()
        reader.delete_key("pair")
        assert calls.asked == [*FIND, READ, READ, "C_DestroyObject", "C_DestroyObject"]
        calls.clear()
        reader.delete_key("secret")
        assert calls.asked == [*FIND, READ, "C_DestroyObject"]
    assert objects_of(keeper) == []


@pytest.mark.parametrize("shared", [False, True], ids=["of this host", "of several hosts"])
def test_a_named_key_is_made_in_its_place(
    shared: bool, keeper: Pkcs11Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared:
        monkeypatch.setattr(keeper._store, "_is_local", lambda: False)
    again = FIND if shared else []
    storage = NCryptOpenStorageProvider(keeper)
    with CallCounter(keeper) as calls:
        keeper.named("secret").generate_secret(AES)
        assert calls.asked == [*FIND, "C_GenerateKey", READ, *again]
        calls.clear()
        keeper.named("pair").generate_pair(ECDSA)
        assert calls.asked == [*FIND, "C_GenerateKeyPair", READ, READ, *again]
        calls.clear()
        keeper.named("given").import_secret(AES, DIGEST)
        assert calls.asked == [*FIND, "C_CreateObject", READ, *again]
        calls.clear()
        keeper.named("given pair").import_pair(ECDSA, EcPrivateKey(material(77), 77))
        assert calls.asked == [*FIND, "C_CreateObject", "C_CreateObject", READ, *again]
        calls.clear()
        NCryptFinalizeKey(NCryptCreatePersistedKey(storage, "ECDSA_P256", "finalized"))
        # The first search is NCryptCreatePersistedKey's, which makes sure that what it does not find is not there.
        assert [name for name in calls.asked if name not in SIGHT] == [
            *(*FIND, *FIND, "C_GenerateKeyPair", READ, READ, *again)
        ]
        calls.clear()
        NCryptFinalizeKey(NCryptCreatePersistedKey(storage, "AES", "pair", 0, NCRYPT_OVERWRITE_KEY_FLAG))
        replaced = [*FIND, READ, READ, "C_GenerateKey", READ, *again, "C_DestroyObject", "C_DestroyObject"]
        assert calls.asked == replaced


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_key_made_in_its_place_is_as_one_that_was_stored(
    spec: SecretSpec | PairSpec, keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]
) -> None:
    keeper.persist_key(make(keeper, spec), "copied")
    maker = keeper.named("in place")
    made = maker.generate_pair(spec) if isinstance(spec, PairSpec) else maker.generate_secret(spec)
    opened = another().open_key("in place")
    assert (made.spec, made.name) == (opened.spec, opened.name) == (spec, "in place")
    if isinstance(spec, PairSpec):
        assert made.public == opened.public
    kinds = [kind for kind in READ_ATTRIBUTES if kind not in VALUES]
    copied, in_place = ([told(keeper, handle, kinds) for handle in sorted(objects_of(keeper, name))] for name in NAMED)
    assert sorted(map(str, copied)) == sorted(map(str, in_place))
    for call in (
        lambda: maker.generate_secret(AES),
        lambda: maker.import_secret(AES, DIGEST),
        lambda: maker.generate_pair(ECDSA),
        lambda: maker.import_pair(ECDSA, EcPrivateKey(material(77), 77)),
    ):
        assert status_of(call) == HRESULT.NTE_EXISTS


def told(keeper: Pkcs11Provider, handle: int, kinds: list[Attribute]) -> dict[Attribute, bytes | None]:
    return AttributeReader(dict.fromkeys(kinds, 2048)).read(keeper._connection, handle) or {}


def test_many_names(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    from hwcng.providers.pkcs11.cryptoki.calls import ffi
    from hwcng.providers.pkcs11.templates import packed

    stored = keeper.persist_key(keeper.generate_secret(AES), "name 0")
    connection, handle = keeper._connection, ffi.new("CK_ULONG *")
    for number in range(1, MANY):
        template = {Attribute.TOKEN: True, Attribute.LABEL: f"name {number}", Attribute.ID: number.to_bytes(2, "big")}
        with packed(template) as (attributes, count), connection.owning() as session:
            rv = connection.cryptoki.C_CopyObject(session.handle, stored.held.handle, attributes, count, handle)
            assert rv == 0
    reader = another()
    reader.random(1)
    with CallCounter(reader) as calls:
        records = list(reader.list_keys())
        assert calls.asked == [*FIND, *[READ] * MANY]
        calls.clear()
        reader.open_key("name 277")
        assert calls.asked == [*FIND, READ]
    assert {record.name for record in records} == {f"name {number}" for number in range(MANY)}
    assert {record.spec for record in records} == {AES}


def test_what_is_read_of_many_is_what_is_read_of_each(keeper: Pkcs11Provider) -> None:
    """Alike or not, in whatever order: keys that are alike share what was read, and no other does."""
    for number, spec in enumerate((AES, ECDSA, AES, *SPECS, AES, AES)):
        keeper.persist_key(make(keeper, spec), f"one of many {number}" * (1 + number % 3))  # type: ignore[arg-type]
    connection, reader = keeper._connection, AttributeReader(READ_ATTRIBUTES)
    handles = objects_of(keeper)
    handles += handles[::-1]
    read = [told for told in reader.read_each(connection, handles) if told is not None]
    assert len(read) == len(handles)
    for handle, (label, identifier, values) in zip(handles, read, strict=True):
        assert {Attribute.LABEL: label, Attribute.ID: identifier, **values} == reader.read(connection, handle)
    secrets = [told for told in read if told[2][Attribute.CLASS] == SECRET]
    alike = {(len(label), *values.values()) for label, _, values in secrets}
    assert len({id(values) for _, _, values in secrets}) == len(alike) < len(secrets) // 2


def test_a_new_name_is_looked_for_when_it_is_asked_for_and_when_it_is_taken(softhsm_keeper: Pkcs11Provider) -> None:
    """What may come between is another key of that name. That none is there is believed of a token that is there."""
    storage = NCryptOpenStorageProvider(softhsm_keeper)
    with CallCounter(softhsm_keeper) as calls:
        key = NCryptCreatePersistedKey(storage, "AES", "looked for")
        assert calls.asked == [*FIND, "C_GetSessionInfo", "C_GetTokenInfo"]
        calls.clear()
        NCryptFinalizeKey(key)
        assert calls.asked == [*FIND, "C_GenerateKey", READ]


def test_a_name_that_is_taken(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    old, new = keeper.generate_pair(ECDSA), keeper.generate_pair(ECDSA)
    keeper.persist_key(old, "taken")
    reader = another()
    opened = reader.open_key("taken")
    before = objects_of(keeper)
    assert status_of(lambda: keeper.persist_key(new, "taken")) == HRESULT.NTE_EXISTS
    assert objects_of(keeper) == before
    assert keeper.open_key("taken").public == old.public
    stored = keeper.persist_key(new, "taken", replace=True)
    assert stored.public == new.public == keeper.open_key("taken").public
    assert len(objects_of(keeper)) == 2
    # What was opened does not turn into another key.
    assert status_of(lambda: opened.sign_digest(EcdsaSpec(), DIGEST)) == NTSTATUS.STATUS_INVALID_HANDLE
    assert status_of(lambda: opened.sign_digest(EcdsaSpec(), DIGEST)) == HRESULT.NTE_BAD_KEYSET
    verify_ecdsa(new.public, reader.open_key("taken").sign_digest(EcdsaSpec(), DIGEST))
    # A secret key may take a pair's place, and the key that has a name may be stored under it.
    keeper.persist_key(keeper.generate_secret(AES), "taken", replace=True)
    assert len(objects_of(keeper)) == 1
    mine = keeper.open_key("taken")
    again = keeper.persist_key(mine, "taken", replace=True)
    assert again.encrypt(ECB, BLOCK) == mine.encrypt(ECB, BLOCK)
    copied = keeper.persist_key(mine, "copied")
    keeper.delete_key("taken")
    assert copied.encrypt(ECB, BLOCK) == reader.open_key("copied").encrypt(ECB, BLOCK)


def test_duplicates_of_a_named_key_are_no_second_one(keeper: Pkcs11Provider) -> None:
    stored = keeper.persist_key(keeper.generate_secret(AES), "once")
    twin = stored.duplicate()
    stored.destroy()
    assert twin.encrypt(ECB, BLOCK) == keeper.open_key("once").encrypt(ECB, BLOCK)
    assert len(objects_of(keeper)) == 1


def test_a_key_that_is_removed_behind_our_back(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    keeper.persist_key(keeper.generate_secret(AES), "gone")
    reader = another()
    key, other = reader.open_key("gone"), reader.persist_key(reader.generate_secret(AES), "stays")
    expected = other.encrypt(ECB, BLOCK)
    keeper.delete_key("gone")
    with pytest.raises(CngError, match="removed or replaced") as caught:
        key.encrypt(ECB, BLOCK)
    assert caught.value.status == NTSTATUS.STATUS_INVALID_HANDLE
    assert status_of(lambda: key.encrypt(ECB, BLOCK)) == HRESULT.NTE_BAD_KEYSET
    assert status_of(lambda: reader.open_key("gone")) == HRESULT.NTE_BAD_KEYSET
    assert status_of(lambda: reader.delete_key("gone")) == HRESULT.NTE_BAD_KEYSET
    assert status_of(lambda: reader.key_uri("gone")) == HRESULT.NTE_BAD_KEYSET
    assert other.encrypt(ECB, BLOCK) == expected


def test_it_comes_back_after_a_loss(keeping_token: KeepingToken, keeper: Pkcs11Provider) -> None:
    stored, session_key = keeper.persist_key(keeper.generate_pair(ECDSA), "back"), keeper.generate_secret(AES)
    with FaultInjector(keeper) as faults:
        faults.fail("C_SignInit", 0x32, nth=1).fail("C_GetSessionInfo", 0x32)
        assert status_of(lambda: stored.sign_digest(EcdsaSpec(), DIGEST)) == NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
    verify_ecdsa(stored.public, stored.sign_digest(EcdsaSpec(), DIGEST))
    assert status_of(lambda: session_key.encrypt(ECB, BLOCK)) == NTSTATUS.STATUS_INVALID_DEVICE_STATE
    assert status_of(lambda: keeper.persist_key(session_key, "no")) == NTSTATUS.STATUS_INVALID_DEVICE_STATE
    with FaultInjector(keeper) as faults:
        # Handles that a token gave away anew are found again too.
        faults.fail("C_SignInit", 0x60, nth=1)
        assert status_of(lambda: stored.sign_digest(EcdsaSpec(), DIGEST)) == NTSTATUS.STATUS_INVALID_HANDLE
    verify_ecdsa(stored.public, stored.sign_digest(EcdsaSpec(), DIGEST))
    keeper.delete_key("back")
    with hwcng.open_provider(keeping_token.uri, pin=keeping_token.pin) as closed:
        closed.persist_key(closed.generate_secret(AES), "closed")
        key = closed.open_key("closed")
    assert status_of(lambda: key.encrypt(ECB, BLOCK)) == NTSTATUS.STATUS_INVALID_HANDLE
    assert status_of(lambda: closed.open_key("closed")) == NTSTATUS.STATUS_INVALID_HANDLE
    keeper.delete_key("closed")


FORK = """
provider = hwcng.open_provider(URI, pin=sys.argv[2])
spec = PairSpec("EC", Usage.SIGN, curve="nistP256")
session_key = provider.generate_pair(spec)
stored = provider.persist_key(session_key, "forked")

def child():
    fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: session_key.sign_digest(EcdsaSpec(), bytes(32)))
    first = stored.sign_digest(EcdsaSpec(), bytes(32))
    again = provider.open_key("forked")
    assert again.public == stored.public
    return len(first), fork(lambda: len(stored.sign_digest(EcdsaSpec(), bytes(32))))

assert fork(child) == (64, 64)
assert len(stored.sign_digest(EcdsaSpec(), bytes(32))) == 64
fork(lambda: provider.delete_key("forked"))
fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: stored.sign_digest(EcdsaSpec(), bytes(32)))
provider.close()
"""


def test_it_works_in_forked_children(keeping_token: KeepingToken) -> None:
    run(FORK, keeping_token.uri, keeping_token.pin)


# Other software.


def tool(*arguments: str, token_pin: str) -> None:
    command = ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label", "hwcng-test", "--login"]
    done = subprocess.run([*command, "--pin", token_pin, *arguments], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.requires("command:pkcs11-tool")
def test_keys_of_pkcs11_tool(softhsm_keeper: Pkcs11Provider, token_pin: str) -> None:
    for label, kind, usage in (("rsa x", "rsa:2048", "--usage-sign"), ("ec x", "EC:prime256v1", "--usage-sign")):
        tool("--keypairgen", "--key-type", kind, "--label", label, "--id", "0a0b", usage, token_pin=token_pin)
    tool("--keygen", "--key-type", "AES:32", "--label", "aes x", token_pin=token_pin)
    key = softhsm_keeper.open_key("rsa x")
    assert (key.spec.kind, key.spec.bits, bool(key.spec.usage & Usage.SIGN)) == ("RSA", 2048, True)
    assert isinstance(key.public, RsaPublicKey)
    signature = key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
    public = rsa.RSAPublicNumbers(key.public.public_exponent, key.public.modulus).public_key()
    public.verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    key = softhsm_keeper.open_key("ec x")
    verify_ecdsa(key.public, key.sign_digest(EcdsaSpec(), DIGEST))
    assert softhsm_keeper.open_key("aes x").spec.family is SecretFamily.AES
    assert sorted(record.name for record in softhsm_keeper.list_keys()) == ["aes x", "ec x", "rsa x"]
    assert all(record.created is None for record in softhsm_keeper.list_keys())
    # What other software stored can be replaced and removed, with what lies beside it.
    new = softhsm_keeper.generate_pair(ECDSA)
    assert softhsm_keeper.persist_key(new, "rsa x", replace=True).public == new.public
    assert len(objects_of(softhsm_keeper, "rsa x")) == 2
    softhsm_keeper.delete_key("ec x")
    assert objects_of(softhsm_keeper, "ec x") == []


@pytest.mark.requires("command:softhsm2-util")
@pytest.mark.parametrize("key_type", ["RSA", "EC"])
def test_keys_of_softhsm2_util(key_type: str, softhsm_keeper: Pkcs11Provider, token_pin: str, tmp_path: Path) -> None:
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    made = rsa.generate_private_key(65537, 2048) if key_type == "RSA" else ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key").write_bytes(made.private_bytes(encoding, form, serialization.NoEncryption()))
    command = ["softhsm2-util", "--import", str(tmp_path / "key"), "--token", "hwcng-test", "--label", "imported"]
    done = subprocess.run([*command, "--id", "0102", "--pin", token_pin], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    public = softhsm_keeper.open_key("imported").public
    numbers = made.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        assert public == RsaPublicKey(numbers.n, numbers.e)
    else:
        assert public == EcPublicKey("nistP256", numbers.x, numbers.y)


def test_a_private_key_without_its_public_half(keeper: Pkcs11Provider) -> None:
    create(keeper, private_key("alone", b"\1\2", 77))
    alone = keeper.open_key("alone")
    verify_ecdsa(material(77), alone.sign_digest(EcdsaSpec(), DIGEST))
    assert repr(alone.public) == "UntoldEcPublicKey(curve='nistP256', rest=unknown)"
    with pytest.raises(CngError, match="does not tell the public half") as caught:
        alone.public.x  # noqa: B018
    assert caught.value.status == NTSTATUS.STATUS_NOT_FOUND
    assert [record.spec for record in keeper.list_keys()] == [ECDSA]
    # A public object of another label is its half all the same.
    create(keeper, public_key("elsewhere", b"\1\2", 77))
    assert keeper.open_key("alone").public == material(77)
    # The one that was opened before is still the same key.
    keeper._connection.stale_handles += 1
    verify_ecdsa(material(77), alone.sign_digest(EcdsaSpec(), DIGEST))
    verify_ecdsa(material(77), keeper.open_key("alone").sign_digest(EcdsaSpec(), DIGEST))
    assert [record.name for record in keeper.list_keys()] == ["alone"]


def test_a_certificate_beside_the_key(keeper: Pkcs11Provider) -> None:
    create(keeper, private_key("certified", b"\1\2", 78))
    create(keeper, certificate("certified", b"\1\2", ec_public(78)))
    assert keeper.open_key("certified").public == material(78)
    assert list(keeper.list_keys()) == [KeyRecord("certified", ECDSA, None, certificate=True)]
    # It goes with the key that it is of.
    keeper.persist_key(keeper.generate_secret(AES), "certified", replace=True)
    assert len(objects_of(keeper)) == 1
    assert [record.certificate for record in keeper.list_keys()] == [False]


def test_two_keys_of_one_name(keeper: Pkcs11Provider) -> None:
    for identifier, scalar in ((b"\1", 5), (b"\2", 6)):
        create(keeper, private_key("twice", identifier, scalar))
        create(keeper, public_key("twice", identifier, scalar))
    before = objects_of(keeper)
    for call in (
        lambda: keeper.open_key("twice"),
        lambda: keeper.persist_key(keeper.generate_secret(AES), "twice"),
        lambda: keeper.persist_key(keeper.generate_secret(AES), "twice", replace=True),
        lambda: keeper.delete_key("twice"),
        lambda: keeper.key_uri("twice"),
    ):
        assert status_of(call) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert sorted(objects_of(keeper)) == sorted(before)
    assert [record.name for record in keeper.list_keys()] == ["twice", "twice"]
    # Ours and another's are two as well.
    keeper.persist_key(keeper.generate_secret(AES), "ours")
    create(keeper, private_key("ours", b"\7", 9))
    keeper._store._places.clear()
    assert status_of(lambda: keeper.open_key("ours")) == HRESULT.NTE_KEYSET_ENTRY_BAD


def test_two_public_objects_that_differ(keeper: Pkcs11Provider) -> None:
    create(keeper, private_key("unclear", b"\1", 5))
    create(keeper, public_key("unclear", b"\1", 5))
    other = create(keeper, public_key("unclear", b"\2", 6))
    assert keeper.open_key("unclear").public == material(5)
    assert other in objects_of(keeper)
    keeper.delete_key("unclear")
    # A public key that somebody stored for its own sake is not ours to remove.
    assert objects_of(keeper) == [other]
    assert list(keeper.list_keys()) == []


def test_what_is_no_key_of_anybodys(keeper: Pkcs11Provider) -> None:
    spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT, exportable=True)
    blob = keeper.generate_secret(spec).opaque()
    assert len(objects_of(keeper)) == 2
    assert list(keeper.list_keys()) == []
    label = "hwcng opaque blob wrapping key"
    assert status_of(lambda: keeper.open_key(label)) == HRESULT.NTE_BAD_KEYSET
    assert status_of(lambda: keeper.delete_key(label)) == HRESULT.NTE_BAD_KEYSET
    assert status_of(lambda: keeper.persist_key(keeper.generate_secret(AES), label)) == HRESULT.NTE_INVALID_PARAMETER
    assert keeper.reload_opaque(blob).spec.bits == 256


# What goes wrong.


@pytest.mark.parametrize("function", ["C_CreateObject", "C_CopyObject", "C_GetAttributeValue", "C_FindObjectsInit"])
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_storing_that_fails_leaves_what_was(
    function: str, after: bool, keeper: Pkcs11Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second search is for tokens that other hosts write to.
    monkeypatch.setattr(keeper._store, "_is_local", lambda: False)
    old, new = keeper.generate_pair(ECDSA), keeper.generate_pair(ECDSA)
    for stored in (False, True):
        if stored:
            keeper.persist_key(old, "kept")
        before = objects_of(keeper)
        with FaultInjector(keeper) as faults:
            nth = {"C_FindObjectsInit": 2, "C_GetAttributeValue": 1 + 2 * stored}.get(function, 1)
            faults.fail(function, 0x06, nth=nth, after=after)
            with pytest.raises(CngError, match="CKR_FUNCTION_FAILED"):
                keeper.persist_key(new, "kept", replace=True)
            assert faults.injected == 1
        assert sorted(objects_of(keeper)) == sorted(before)
        keeper._store._places.clear()
        if stored:
            assert keeper.open_key("kept").public == old.public


@pytest.mark.parametrize(
    "function",
    ["C_GenerateKeyPair", "C_GenerateKey", "C_CreateObject", "C_GetAttributeValue", "C_FindObjectsInit"],
)
@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_making_in_place_that_fails_leaves_what_was(
    function: str, after: bool, keeper: Pkcs11Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper._store, "_is_local", lambda: False)
    maker = keeper.named("kept", replace=True)
    work = {
        "C_GenerateKey": lambda: maker.generate_secret(AES),
        "C_CreateObject": lambda: maker.import_pair(ECDSA, EcPrivateKey(material(77), 77)),
    }.get(function, lambda: maker.generate_pair(ECDSA))
    old = None
    for stored in (False, True):
        if stored:
            old = keeper.named("kept").generate_pair(ECDSA)
        before = objects_of(keeper)
        reads = 2 if stored else 0
        for nth in {"C_FindObjectsInit": (2,), "C_GetAttributeValue": (1 + reads, 2 + reads)}.get(function, (1,)):
            with FaultInjector(keeper) as faults:
                faults.fail(function, 0x06, nth=nth, after=after)
                with pytest.raises(CngError, match="CKR_FUNCTION_FAILED"):
                    work()
                assert faults.injected == 1
            assert sorted(objects_of(keeper)) == sorted(before)
        keeper._store._places.clear()
        if old is not None:
            assert keeper.open_key("kept").public == old.public


@pytest.mark.parametrize("nth", [1, 2], ids=["public", "private"])
def test_an_object_that_cannot_be_read_for_a_moment_is_not_absent(nth: int, keeper: Pkcs11Provider) -> None:
    """SoftHSM answers so of an object whose file another process writes."""
    old, new = keeper.generate_pair(ECDSA), keeper.generate_pair(ECDSA)
    keeper.persist_key(old, "read")
    keeper._store._places.clear()
    with FaultInjector(keeper) as faults:
        faults.fail("C_GetAttributeValue", 0x82, nth=nth)
        assert keeper.open_key("read").public == old.public
        faults.clear()
        faults.fail("C_GetAttributeValue", 0x82, nth=nth)
        assert status_of(lambda: keeper.persist_key(new, "read")) == HRESULT.NTE_EXISTS
        assert len(objects_of(keeper)) == 2
        faults.clear()
        faults.fail("C_GetAttributeValue", 0x82)
        assert status_of(lambda: keeper.delete_key("read")) == NTSTATUS.STATUS_DEVICE_BUSY
        assert len(objects_of(keeper)) == 2
        faults.clear()
        faults.fail("C_GetAttributeValue", 0x82, nth=nth)
        keeper.delete_key("read")
    assert objects_of(keeper) == []


def test_a_replaced_key_that_went_against_the_answer_leaves_the_new_one(keeper: Pkcs11Provider) -> None:
    old, new = keeper.generate_pair(ECDSA), keeper.generate_pair(ECDSA)
    keeper.persist_key(old, "went")
    with FaultInjector(keeper) as faults:
        faults.fail("C_DestroyObject", 0xE2, nth=1, after=True)
        assert status_of(lambda: keeper.persist_key(new, "went", replace=True)) == HRESULT.NTE_PERM
    assert keeper.open_key("went").public == new.public


def test_who_remembers_a_key_that_cannot_go_finds_the_one_that_replaced_it(
    keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in another process: the old object is still there, of the same label and CKA_ID as before."""
    old = keeper.persist_key(make(keeper, ECDSA), NAMES[0])
    remembering = another()
    assert remembering.open_key(NAMES[0]).public == old.public
    with FaultInjector(keeper).fail("C_DestroyObject", CKR_FUNCTION_NOT_SUPPORTED):
        new = keeper.persist_key(make(keeper, ECDSA), NAMES[0], replace=True)
    monkeypatch.setattr(key_store, "TRUSTED_SECONDS", -1.0)
    opened = remembering.open_key(NAMES[0])
    assert opened.public == new.public != old.public
    verify_ecdsa(new.public, opened.sign_digest(EcdsaSpec(), DIGEST))
    monkeypatch.undo()
    with CallCounter(remembering) as calls:
        assert remembering.open_key(NAMES[0]).public == new.public
    assert calls.asked == [READ]


def test_an_old_key_that_may_not_go(keeper: Pkcs11Provider) -> None:
    old, new = keeper.generate_pair(ECDSA), keeper.generate_pair(ECDSA)
    keeper.persist_key(old, "fixed")
    before = objects_of(keeper)
    with FaultInjector(keeper) as faults:
        faults.fail("C_DestroyObject", 0x1B, nth=1)
        assert status_of(lambda: keeper.persist_key(new, "fixed", replace=True)) == HRESULT.NTE_PERM
    assert sorted(objects_of(keeper)) == sorted(before)
    assert keeper.open_key("fixed").public == old.public
    with FaultInjector(keeper) as faults:
        faults.fail("C_DestroyObject", 0x1B, nth=1)
        assert status_of(lambda: keeper.delete_key("fixed")) == HRESULT.NTE_PERM
    assert keeper.open_key("fixed").public == old.public
    with FaultInjector(keeper) as faults:
        # The old key may be gone: the new one stays.
        faults.fail("C_DestroyObject", 0x05, nth=1, after=True)
        assert status_of(lambda: keeper.persist_key(new, "fixed", replace=True)) == NTSTATUS.STATUS_INTERNAL_ERROR
    assert keeper.open_key("fixed").public == new.public
    keeper.persist_key(old, "fixed", replace=True)
    assert len(objects_of(keeper)) == 2


@pytest.mark.parametrize(
    ("rv", "status"),
    [
        (0xE2, NTSTATUS.STATUS_NOT_SUPPORTED),
        (0xB5, NTSTATUS.STATUS_NOT_SUPPORTED),
        (0x1B, NTSTATUS.STATUS_NOT_SUPPORTED),
        (0x54, NTSTATUS.STATUS_NOT_SUPPORTED),
        (0x31, HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL),
    ],
)
def test_tokens_that_keep_nothing(rv: int, status: object, keeper: Pkcs11Provider) -> None:
    with FaultInjector(keeper) as faults:
        faults.fail("C_CopyObject", rv)
        assert status_of(lambda: keeper.persist_key(keeper.generate_pair(ECDSA), "nowhere")) == status
    assert objects_of(keeper) == []


def test_a_token_that_has_no_memory_of_its_own(nss_services: Provider) -> None:
    key = nss_services.generate_secret(AES)
    assert status_of(lambda: nss_services.persist_key(key, "nowhere")) == NTSTATUS.STATUS_NOT_SUPPORTED
    assert status_of(lambda: nss_services.open_key("nowhere")) == HRESULT.NTE_BAD_KEYSET
    assert list(nss_services.list_keys()) == []


@pytest.fixture
def nss_services() -> object:
    from isolation.child import NSS_MODULE, NSS_URI
    from support import missing

    if not Path(NSS_MODULE).exists():
        missing("NSS softokn")
    with hwcng.open_provider(NSS_URI) as opened:
        yield opened


def test_keys_of_others(keeper: Pkcs11Provider, another: Callable[[], Pkcs11Provider]) -> None:
    theirs = another().generate_secret(AES)
    assert status_of(lambda: keeper.persist_key(theirs, "theirs")) == NTSTATUS.STATUS_INVALID_PARAMETER
    assert status_of(lambda: keeper.persist_key(object(), "theirs")) == NTSTATUS.STATUS_INVALID_PARAMETER
    mine = keeper.generate_secret(AES)
    mine.destroy()
    assert status_of(lambda: keeper.persist_key(mine, "theirs")) == NTSTATUS.STATUS_INVALID_HANDLE


def test_no_value_in_what_is_read(keeper: Pkcs11Provider) -> None:
    """A foreign key that is not sensitive would hand out its value to whoever asks for it."""
    asked = []

    def watching(name: str, function: Callable[..., int]) -> Callable[..., int]:
        def watched(*arguments: object) -> int:
            if name == READ:
                asked.extend(int(attribute.type) for attribute in arguments[2][0 : arguments[3]])  # type: ignore[index]
            return function(*arguments)

        return watched

    keeper.persist_key(keeper.generate_pair(ECDSA), "watched")
    keeper._store._places.clear()
    undo = keeper.cryptoki.instrument(watching)
    try:
        keeper.open_key("watched")
        list(keeper.list_keys())
    finally:
        undo()
    assert asked
    assert int(Attribute.VALUE) not in asked


def test_imported_pairs_have_a_public_object(keeper: Pkcs11Provider) -> None:
    made = keeper.import_pair(ECDSA, EcPrivateKey(material(1234), 1234))
    keeper.persist_key(made, "imported")
    keeper._store._places.clear()
    assert keeper.open_key("imported").public == material(1234)


def test_hmac_keys_know_their_hash(keeper: Pkcs11Provider) -> None:
    for name in ("SHA256", "SHA384"):
        spec = SecretSpec(SecretFamily.HMAC, 128, Usage.SIGN, hash_name=name)
        key = keeper.import_secret(spec, bytes(range(16)))
        keeper.persist_key(key, name)
        keeper._store._places.clear()
        opened = keeper.open_key(name)
        assert opened.spec == spec
        assert opened.mac(HmacSpec(name), b"data") == key.mac(HmacSpec(name), b"data")
