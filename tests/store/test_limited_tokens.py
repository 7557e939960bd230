"""Tokens that do less than SoftHSM: no session objects, no copies, no end of objects, one session, nothing written, a
PIN pad (PKCS#11 3.2, sections 4.4, 5.5, 5.6 and 5.7). A SoftHSM whose calls are refused as such tokens refuse them.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import capi_private_blob
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding
from pkcs11 import Attribute
from pkcs11.constants import TokenFlag
from store import foreign
from store.conftest import objects_of
from store.roads import KEK, OLD_VALUE, pkcs8
from store.test_pkcs11_store import AES, BLOCK, DIGEST, ECB, ECDSA, status_of, verify_ecdsa

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, wincrypt
from hwcng.cli.moving import _carried
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import EcPrivateKey, Untold
from hwcng.contract.specs import AesKeyWrapSpec, EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.hostcrypto.host_keys import private_material
from hwcng.ncrypt import (
    BCRYPT_OPAQUE_KEY_BLOB,
    NCRYPT_ALLOW_EXPORT_FLAG,
    NCRYPT_DO_NOT_FINALIZE_FLAG,
    NCRYPT_EXPORT_POLICY_PROPERTY,
    NCRYPT_OVERWRITE_KEY_FLAG,
    NCRYPTBUFFER_PKCS_KEY_NAME,
    NCryptCreatePersistedKey,
    NCryptDeleteKey,
    NCryptExportKey,
    NCryptFinalizeKey,
    NCryptGetProperty,
    NCryptImportKey,
    NCryptKey,
    NCryptOpenKey,
    NCryptOpenStorageProvider,
    NCryptSetProperty,
    NCryptSignHash,
)
from hwcng.providers.pkcs11 import logins, probing
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.pyca import import_private_key
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider
    from hwcng.testing.calls import CFunction

NOT_SUPPORTED, INCONSISTENT, SESSION_COUNT, WRITE_PROTECTED = 0x54, 0xD1, 0xB1, 0xE2
MAKERS = {"C_GenerateKey": (2,), "C_GenerateKeyPair": (2, 4), "C_CreateObject": (1,), "C_CopyObject": (2,)}
MAKERS |= {"C_DeriveKey": (3,), "C_UnwrapKey": (5,)}
RW_SESSION = 2
PREGEN = {
    wincrypt.AT_SIGNATURE: (wincrypt.KP_P, wincrypt.KP_Q, wincrypt.KP_G),
    wincrypt.AT_KEYEXCHANGE: (wincrypt.KP_P, wincrypt.KP_G),
}
"""What CryptGenKey with CRYPT_PREGEN takes."""


def of_token(template: Any, count: int) -> bool:
    """Whether a template says CKA_TOKEN true."""
    found = (one for one in template[0:count] if one.type == int(Attribute.TOKEN))
    return any(bytes(ffi.buffer(one.pValue, one.ulValueLen)) == b"\1" for one in found)


def told_of(key: NCryptKey) -> list[object]:
    return [NCryptGetProperty(key, name) for name in ("Algorithm Name", "Length", "Export Policy", "Key Usage")]


def signing_blob(blob: bytes) -> bytes:
    """The same, which says that it is a signature pair's."""
    return blob[:4] + struct.pack("<I", wincrypt.CALG_RSA_SIGN) + blob[8:]


class Limits:
    """What the token refuses from now on. functions: those that it does not have. session_objects: whether it has such.
    sessions: how many it has room for, None for any number. written: whether it may be written to.
    """

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.session_objects = True
        self.sessions: int | None = None
        self.written = True
        self.flags = 0
        self.opened: set[int] = set()

    def instrument(self, name: str, function: CFunction) -> CFunction:
        def limited(*arguments: Any) -> int:
            if name in self.functions:
                return NOT_SUPPORTED
            if name in MAKERS:
                made = {of_token(arguments[place], arguments[place + 1]) for place in MAKERS[name]}
                if True in made and not self.written:
                    return WRITE_PROTECTED
                if False in made and not self.session_objects:
                    return INCONSISTENT
            return function(*arguments)

        def open_session(slot: int, flags: int, application: Any, notify: Any, handle: Any) -> int:
            if flags & RW_SESSION and not self.written:
                return WRITE_PROTECTED
            if self.sessions is not None and len(self.opened) >= self.sessions:
                return SESSION_COUNT
            rv = function(slot, flags, application, notify, handle)
            if rv == 0:
                self.opened.add(int(handle[0]))
            return rv

        def close_session(session: int) -> int:
            self.opened.discard(session)
            return function(session)

        def token_info(slot: int, info: Any) -> int:
            rv = function(slot, info)
            info.flags |= self.flags
            return rv

        named = {"C_OpenSession": open_session, "C_CloseSession": close_session, "C_GetTokenInfo": token_info}
        return named.get(name, limited)


@pytest.fixture
def limits(softhsm_keeper: Pkcs11Provider) -> Iterator[Limits]:
    """Those of the module, for every provider on it."""
    found = Limits()
    undo = softhsm_keeper.cryptoki.instrument(found.instrument)
    yield found
    undo()


@pytest.fixture
def opened(limits: Limits, token_uri: str, token_pin: str) -> Iterator[Callable[[], Pkcs11Provider]]:
    with contextlib.ExitStack() as stack:

        def open_another(pin: Any = token_pin) -> Pkcs11Provider:
            return stack.enter_context(hwcng.open_provider(token_uri, pin=pin))  # type: ignore[return-value]

        yield open_another
        limits.__init__()  # type: ignore[misc]


@pytest.mark.parametrize("session_objects", [False, True], ids=["no session objects", "no copies"])
def test_a_container_without_session_objects_or_copies(
    session_objects: bool, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    limits.session_objects, limits.functions = session_objects, {"C_CopyObject", "C_CreateObject"}
    token = opened()
    with wincrypt.CryptAcquireContext("made here", token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_NEWKEYSET) as context:
        publics = set()
        for _ in range(2):
            pair = wincrypt.CryptGenKey(context, wincrypt.AT_KEYEXCHANGE, 1024 << 16)
            publics.add(wincrypt.CryptExportKey(pair, None, wincrypt.PUBLICKEYBLOB))
            ciphertext = wincrypt.CryptEncrypt(pair, None, True, 0, BLOCK)
            assert wincrypt.CryptDecrypt(pair, None, True, 0, ciphertext) == BLOCK
            stored = wincrypt.CryptGetUserKey(context, wincrypt.AT_KEYEXCHANGE)
            assert wincrypt.CryptDecrypt(stored, None, True, 0, ciphertext) == BLOCK
        assert len(publics) == 2
    wincrypt.CryptAcquireContext("made here", token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_DELETEKEYSET)
    assert objects_of(softhsm_keeper) == []


@pytest.mark.parametrize("session_objects", [False, True], ids=["no session objects", "no copies"])
def test_what_a_container_takes_in_is_not_copied(
    session_objects: bool, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    """A PRIVATEKEYBLOB, an OPAQUEKEYBLOB, and DSS pairs, on the container's own parameters and on the caller's."""
    token = opened()
    with wincrypt.CryptAcquireContext("taken in", token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_NEWKEYSET) as context:
        made = wincrypt.CryptGenKey(context, wincrypt.AT_SIGNATURE, 1024 << 16 | wincrypt.CRYPT_EXPORTABLE)
        opaque = wincrypt.CryptExportKey(made, None, wincrypt.OPAQUEKEYBLOB)
        publics = [wincrypt.CryptExportKey(made, None, wincrypt.PUBLICKEYBLOB)]
        wincrypt.CryptDestroyKey(made)
        secret = wincrypt.CryptGenKey(context, wincrypt.CALG_AES_256, wincrypt.CRYPT_EXPORTABLE)
        opaque_secret = wincrypt.CryptExportKey(secret, None, wincrypt.OPAQUEKEYBLOB)
        limits.session_objects, limits.functions = session_objects, {"C_CopyObject"}
        before = len(objects_of(softhsm_keeper))
        theirs = capi_private_blob(rsa.generate_private_key(65537, 2048).private_numbers())
        for blob in (signing_blob(theirs), opaque):
            key = wincrypt.CryptImportKey(context, blob)
            publics.append(wincrypt.CryptExportKey(key, None, wincrypt.PUBLICKEYBLOB))
            stored = wincrypt.CryptGetUserKey(context, wincrypt.AT_SIGNATURE)
            assert wincrypt.CryptExportKey(stored, None, wincrypt.PUBLICKEYBLOB) == publics[-1]
            hashed = wincrypt.CryptCreateHash(context, wincrypt.CALG_SHA1)
            signature = wincrypt.CryptSignHash(hashed, wincrypt.AT_SIGNATURE)
            wincrypt.CryptVerifySignature(hashed, signature, key)
        assert len(objects_of(softhsm_keeper)) == before
        assert publics[0] == publics[2] != publics[1]
        # What is not what it says takes nobody's place.
        for wrong in (opaque[:-1] + bytes([opaque[-1] ^ 1]), signing_blob(opaque_secret)):
            with pytest.raises(CngError) as caught:
                wincrypt.CryptImportKey(context, wrong)
            assert caught.value.status is HRESULT.NTE_BAD_DATA
        stored = wincrypt.CryptGetUserKey(context, wincrypt.AT_SIGNATURE)
        assert wincrypt.CryptExportKey(stored, None, wincrypt.PUBLICKEYBLOB) == publics[2]
    wincrypt.CryptAcquireContext("taken in", token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_DELETEKEYSET)


@pytest.mark.parametrize("session_objects", [False, True], ids=["no session objects", "no copies"])
def test_dss_pairs_of_a_container_are_not_copied(
    session_objects: bool, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    limits.session_objects, limits.functions = session_objects, {"C_CopyObject"}
    token = opened()
    with wincrypt.CryptAcquireContext("DSS", token, wincrypt.PROV_DSS_DH, wincrypt.CRYPT_NEWKEYSET) as context:
        publics = set()
        for spec, bits in ((wincrypt.AT_SIGNATURE, 1024), (wincrypt.AT_KEYEXCHANGE, 512)):
            first = wincrypt.CryptGenKey(context, spec, bits << 16)
            publics.add(wincrypt.CryptExportKey(first, None, wincrypt.PUBLICKEYBLOB))
            parameters = {name: wincrypt.CryptGetKeyParam(first, name) for name in PREGEN[spec]}
            second = wincrypt.CryptGenKey(context, spec, bits << 16 | wincrypt.CRYPT_PREGEN)
            for name, value in parameters.items():
                wincrypt.CryptSetKeyParam(second, name, value)
            wincrypt.CryptSetKeyParam(second, wincrypt.KP_X, None)
            stored = wincrypt.CryptGetUserKey(context, spec)
            publics.add(wincrypt.CryptExportKey(stored, None, wincrypt.PUBLICKEYBLOB))
        assert len(publics) == 4
    wincrypt.CryptAcquireContext("DSS", token, wincrypt.PROV_DSS_DH, wincrypt.CRYPT_DELETEKEYSET)
    assert objects_of(softhsm_keeper) == []


def test_named_keys_without_session_objects_and_copies(
    limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    limits.session_objects, limits.functions = False, {"C_CopyObject", "C_CreateObject"}
    token = opened()
    storage = NCryptOpenStorageProvider(token)
    for algorithm in ("ECDSA_P256", "AES"):
        for flags in (0, NCRYPT_OVERWRITE_KEY_FLAG):
            key = NCryptCreatePersistedKey(storage, algorithm, "made here", 0, flags)
            NCryptFinalizeKey(key)
        if algorithm == "ECDSA_P256":
            public = token.open_key("made here").public
            verify_ecdsa(public, NCryptSignHash(NCryptOpenKey(storage, "made here"), None, DIGEST))
        else:
            stored = token.open_key("made here")
            assert stored.decrypt(ECB, stored.encrypt(ECB, BLOCK)) == BLOCK
        NCryptDeleteKey(NCryptOpenKey(storage, "made here"))
    assert objects_of(softhsm_keeper) == []
    # All else is refused, with what would do.
    for make in (lambda: token.generate_pair(ECDSA), lambda: token.generate_secret(AES)):
        with pytest.raises(CngError, match=r"keeps no keys of a process.*Provider\.named") as caught:
            make()
        assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    limits.session_objects = True
    key = token.generate_secret(AES)
    with pytest.raises(CngError, match=r"copies no keys.*NCryptCreatePersistedKey") as caught:
        token.persist_key(key, "copied")
    assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert objects_of(softhsm_keeper) == []


@pytest.mark.parametrize("usage", [Usage.SIGN, Usage.DERIVE], ids=["signing", "agreeing"])
@pytest.mark.parametrize("padded", [False, True], ids=["RFC 3394", "KWP"])
def test_unwrapping_without_session_objects(
    usage: Usage, padded: bool, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    """Named keys come in; what is not of their length is nobody's key, and the key before it stays."""
    token, wrap = opened(), AesKeyWrapSpec(padded=padded)
    kek = token.named("kek").import_secret(SecretSpec(SecretFamily.AES, 256, Usage.UNWRAP), KEK)
    expected = token.import_secret(AES, OLD_VALUE).encrypt(ECB, BLOCK)
    limits.session_objects, limits.functions = False, {"C_CopyObject"}
    under = aes_key_wrap_with_padding if padded else aes_key_wrap
    key = token.named("in").unwrap_secret(AES, kek, under(KEK, OLD_VALUE), wrap)
    assert key.encrypt(ECB, BLOCK) == expected
    there = len(objects_of(softhsm_keeper))
    with pytest.raises(CngError) as caught:
        token.named("in", replace=True).unwrap_secret(AES, kek, under(KEK, bytes(24 if not padded else 25)), wrap)
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert token.open_key("in").encrypt(ECB, BLOCK) == expected
    assert len(objects_of(softhsm_keeper)) == there
    if padded:
        spec = PairSpec("EC", usage)
        pair = token.named("pair").unwrap_pair(spec, kek, under(KEK, pkcs8(7)), wrap)
        assert pair.spec == PairSpec("EC", usage, curve="nistP256") == token.open_key("pair").spec
        if usage is Usage.SIGN:
            assert pair.public == token.open_key("pair").public == foreign.material(7)
        else:
            assert isinstance(pair.public, Untold)


def test_what_comes_in_under_a_name_is_not_copied(
    limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    """A key of `cryptography`, and a pair and a secret of another token on their way here."""
    token, key = opened(), ec.generate_private_key(ec.SECP256R1())
    leaving = token.import_pair(replace(ECDSA, exportable=True), private_material(key))
    secret = token.import_secret(replace(AES, exportable=True), OLD_VALUE)
    limits.functions = {"C_CopyObject"}
    assert _carried(leaving, token, token, "moved").public == leaving.public  # type: ignore[union-attr]
    moved = _carried(secret, token, token, "moved secret")
    assert moved.spec == token.open_key("moved secret").spec == secret.spec
    assert moved.encrypt(ECB, BLOCK) == secret.encrypt(ECB, BLOCK)  # type: ignore[union-attr]
    limits.session_objects = False
    with import_private_key(token, key, "imported") as imported:
        assert imported.public_key() == key.public_key()
    for name in ("moved", "imported"):
        assert token.open_key(name).public == leaving.public  # type: ignore[union-attr]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "finalized later"])
@pytest.mark.parametrize("algorithm", ["AES", "ECDSA_P256"])
def test_an_opaque_blob_under_a_name_is_not_copied(
    algorithm: str, later: bool, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    token = opened()
    storage = NCryptOpenStorageProvider(token)
    key = NCryptCreatePersistedKey(storage, algorithm, "leaving")
    NCryptSetProperty(key, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
    NCryptFinalizeKey(key)
    blob = NCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB)
    limits.session_objects, limits.functions = False, {"C_CopyObject"}
    named = [(NCRYPTBUFFER_PKCS_KEY_NAME, "back")]
    there, unfinished = len(objects_of(softhsm_keeper)), NCRYPT_DO_NOT_FINALIZE_FLAG if later else 0
    back = NCryptImportKey(storage, None, BCRYPT_OPAQUE_KEY_BLOB, named, blob, unfinished)
    if later:
        told = told_of(back)
        assert len(objects_of(softhsm_keeper)) == there
        NCryptFinalizeKey(back)
        assert told == told_of(back) == told_of(key)
    assert NCryptExportKey(back, None, BCRYPT_OPAQUE_KEY_BLOB)
    before, after = token.open_key("leaving"), token.open_key("back")
    assert before.spec == after.spec
    if isinstance(after, PrivateKey):
        verify_ecdsa(before.public, after.sign_digest(EcdsaSpec(), DIGEST))  # type: ignore[union-attr]
    else:
        assert after.encrypt(ECB, BLOCK) == before.encrypt(ECB, BLOCK)  # type: ignore[union-attr]
    there = len(objects_of(softhsm_keeper))
    for damaged in (blob[:-1] + bytes([blob[-1] ^ 1]), blob[:200]):
        with pytest.raises(CngError, match="made by another token, or it is damaged"):
            NCryptImportKey(
                storage, None, BCRYPT_OPAQUE_KEY_BLOB, [(NCRYPTBUFFER_PKCS_KEY_NAME, "bad")], damaged, unfinished
            )
    assert len(objects_of(softhsm_keeper)) == there


def test_replacing_where_nothing_can_be_ended(
    limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    """The new key has the name; what gave way stays behind, and is nobody's key."""
    token = opened()
    old = token.named("kept").generate_pair(ECDSA)
    limits.functions = {"C_DestroyObject"}
    new = token.named("kept", replace=True).generate_pair(ECDSA)
    assert new.public != old.public
    newest = token.named("kept", replace=True).generate_pair(ECDSA)
    token._store._places.clear()
    assert token.open_key("kept").public == newest.public
    assert [record.name for record in token.list_keys()] == ["kept"]
    assert len(objects_of(softhsm_keeper)) == 6
    with pytest.raises(CngError, match="ends no keys") as caught:
        token.delete_key("kept")
    assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert token.open_key("kept").public == newest.public
    # Once it can, the next write takes all of it along.
    limits.functions = set()
    token.named("kept", replace=True).generate_secret(AES)
    assert len(objects_of(softhsm_keeper)) == 1


@pytest.mark.parametrize("sessions", [1, 2])
def test_as_few_sessions_as_there_can_be(
    sessions: int, limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    limits.sessions = sessions
    token = opened()
    pair, secret = token.named("pair").generate_pair(ECDSA), token.generate_secret(AES)
    assert token.random(8) != token.random(8)
    copy = token.persist_key(secret, "secret")
    expected = copy.encrypt(ECB, BLOCK)

    def work(number: int) -> None:
        for _ in range(10):
            verify_ecdsa(pair.public, pair.sign_digest(EcdsaSpec(), DIGEST))
            assert secret.encrypt(ECB, BLOCK) == expected
            token.generate_secret(AES).destroy()
        # A failure leaves the session to the others.
        assert status_of(lambda: pair.agree(pair.public)) == NTSTATUS.STATUS_NOT_SUPPORTED
        assert status_of(lambda: token.open_key(f"none {number}")) == HRESULT.NTE_BAD_KEYSET

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    for function in ("C_SignInit", "C_Sign"):
        with FaultInjector(token) as faults:
            faults.fail(function, 0x06, nth=1)
            assert status_of(lambda: pair.sign_digest(EcdsaSpec(), DIGEST)) == NTSTATUS.STATUS_INTERNAL_ERROR
    # What may be left of an operation ends with the session; named keys come back by themselves.
    for _ in range(3):
        with contextlib.suppress(CngError):
            verify_ecdsa(pair.public, pair.sign_digest(EcdsaSpec(), DIGEST))
    verify_ecdsa(pair.public, pair.sign_digest(EcdsaSpec(), DIGEST))
    assert {record.name for record in token.list_keys()} == {"pair", "secret"}
    assert len(limits.opened) <= sessions
    token.close()
    assert not limits.opened


def test_a_token_that_may_not_be_written(
    limits: Limits, opened: Callable[[], Pkcs11Provider], softhsm_keeper: Pkcs11Provider
) -> None:
    before = softhsm_keeper.named("there").generate_pair(ECDSA)
    limits.written = False
    token = opened()
    verify_ecdsa(before.public, token.open_key("there").sign_digest(EcdsaSpec(), DIGEST))
    secret = token.generate_secret(AES)
    assert secret.decrypt(ECB, secret.encrypt(ECB, BLOCK)) == BLOCK
    for call in (
        lambda: token.persist_key(secret, "new"),
        lambda: token.named("new").generate_secret(AES),
        lambda: token.named("new").generate_pair(ECDSA),
        lambda: token.named("there", replace=True).import_pair(ECDSA, EcPrivateKey(foreign.material(7), 7)),
    ):
        with pytest.raises(CngError, match="CKR_TOKEN_WRITE_PROTECTED") as caught:
            call()
        assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert token.open_key("there").public == before.public


def test_a_pin_pad(
    limits: Limits, opened: Callable[[Any], Pkcs11Provider], token_pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PIN is the pad's: C_Login gets none, at the login and at each use of a key that asks for it."""
    monkeypatch.setattr(logins, "_tries", {})
    limits.flags = TokenFlag.PROTECTED_AUTHENTICATION_PATH
    given = []

    def pad(name: str, function: CFunction) -> CFunction:
        def login(session: int, user: int, pin: Any, length: int) -> int:
            given.append((user, pin == ffi.NULL, length))
            return function(session, user, token_pin.encode(), len(token_pin))

        return login if name == "C_Login" else function

    # Fully logged out, so that the pad is asked.
    token = opened(token_pin)
    undo = token.cryptoki.instrument(pad)
    try:
        padded = opened(None)
        template = foreign.private_key("always", b"\x01", 7) | {Attribute.ALWAYS_AUTHENTICATE: True}
        foreign.create(token, template)
        foreign.create(token, foreign.public_key("always", b"\x01", 7))
        key = padded.open_key("always")
        given.clear()
        verify_ecdsa(foreign.material(7), key.sign_digest(EcdsaSpec(), DIGEST))
        assert given == [(2, True, 0)]
        # Whatever becomes of the pad, it asks once a use.
        for rv in (0xA0, 0x50, 0x30, 0xB3, 0x101):
            given.clear()
            with FaultInjector(padded) as faults, CallCounter(padded) as calls:
                faults.fail("C_Login", rv)
                with pytest.raises(CngError) as caught:
                    key.sign_digest(EcdsaSpec(), DIGEST)
            assert caught.value.token_code == rv
            assert calls.names.count("C_Login") == 1, hex(rv)
        verify_ecdsa(foreign.material(7), padded.open_key("always").sign_digest(EcdsaSpec(), DIGEST))
    finally:
        undo()


def test_capabilities_of_keys_that_are_there(
    limits: Limits,
    opened: Callable[[], Pkcs11Provider],
    softhsm_keeper: Pkcs11Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, "_probed", {})
    monkeypatch.setattr(probing, "_of_held_keys", set())
    softhsm_keeper.named("signer").generate_pair(PairSpec("RSA", Usage.SIGN, bits=1024))
    softhsm_keeper.named("ec").generate_pair(ECDSA)
    softhsm_keeper.named("aes").generate_secret(AES)
    limits.session_objects = False
    limits.functions = {"C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject"}
    token = opened()
    told = token.capabilities()
    expected = {
        ("RSA", "PKCS1 SHA256"): "signer",
        ("RSA", "PSS SHA1"): "signer",
        ("ECDSA", "nistP256"): "ec",
        ("AES", "CBC"): "aes",
    }
    assert {key: told.held[key] for key in expected} == expected
    assert all(told.operations[key] is not Support.REFUSED for key in told.held)
    # It has no key that decrypts, and none on other curves.
    for key in (("RSA", "PKCS1 decrypt"), ("ECDSA", "nistP384"), ("AES", "generate 256")):
        assert told.operations[key] is Support.REFUSED and "CKR_FUNCTION_NOT_SUPPORTED" in told.reasons[key]
    # What it does hangs on its keys.
    limits.functions, limits.session_objects = set(), True
    softhsm_keeper.named("decrypter").generate_pair(PairSpec("RSA", Usage.DECRYPT, bits=1024))
    limits.functions, limits.session_objects = {"C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject"}, False
    assert token.capabilities().held["RSA", "PKCS1 decrypt"] == "decrypter"


def test_quirks_in_the_uri(softhsm_keeper: Pkcs11Provider, token_uri: str, token_pin: str) -> None:
    """What a token would do wrong it is not asked for; what it keeps is found by a URI that says so too."""
    with pytest.raises(CngError, match="there is no quirk 'no-nonsense'") as caught:
        hwcng.open_provider(f"{token_uri}&x-quirks=no-nonsense", pin=token_pin)
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    said = "no-session-objects,no-read-only-sessions,unusable-mechanisms=CKM_AES_GCM"
    flags: list[int] = []

    def noted(name: str, function: CFunction) -> CFunction:
        def open_session(slot: int, asked: int, *rest: Any) -> int:
            flags.append(asked)
            return function(slot, asked, *rest)

        return open_session if name == "C_OpenSession" else function

    undo = softhsm_keeper.cryptoki.instrument(noted)
    try:
        with hwcng.open_provider(f"{token_uri}&x-quirks={said}", pin=token_pin) as token:
            secret = token.named("named").generate_secret(AES)
            assert secret.decrypt(ECB, secret.encrypt(ECB, BLOCK)) == BLOCK
            assert f"x-quirks={said}" in token.key_uri("named")
            assert token.offers("AES", "GCM") is Support.REFUSED
            with CallCounter(token) as calls:  # type: ignore[arg-type]
                for make in (
                    lambda: token.generate_pair(ECDSA),
                    lambda: token.generate_secret(AES),
                    lambda: token.import_secret(AES, DIGEST),
                    lambda: token.import_pair(ECDSA, EcPrivateKey(foreign.material(7), 7)),
                ):
                    with pytest.raises(CngError, match=r"keeps no keys of a process.*Provider\.named") as caught:
                        make()
                    assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
            assert calls.names == []
    finally:
        undo()
    assert flags and all(asked & RW_SESSION for asked in flags)
