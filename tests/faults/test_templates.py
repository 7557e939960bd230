"""A token that forgets SENSITIVE or EXTRACTABLE, and one that copies nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from isolation.ledger import OpenSessions, pool, session_objects
from pkcs11 import Attribute

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.cryptoki.calls import CFunction, ffi
from hwcng.providers.pkcs11.cryptoki.constants import CK_UNAVAILABLE_INFORMATION
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

CKR_ACTION_PROHIBITED, CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED = 0x1B, 0x06, 0x54
TRUE, FALSE = b"\1", b"\0"
SAFE = {Attribute.SENSITIVE: TRUE, Attribute.EXTRACTABLE: FALSE}
FORGOTTEN = {Attribute.SENSITIVE: FALSE, Attribute.EXTRACTABLE: TRUE}


@contextmanager
def forgetful(provider: Provider, function_name: str, *forgets: Attribute) -> Iterator[None]:
    """`function_name` makes its key with the opposite of what the template says of `forgets`."""
    values = {int(kind): ffi.new("unsigned char[]", FORGOTTEN[kind]) for kind in forgets}

    def forget(name: str, function: CFunction) -> CFunction:
        if name != function_name:
            return function

        def call(*arguments: object) -> int:
            template, count = arguments[-3:-1]
            for attribute in template[0:count]:  # type: ignore[index]
                if attribute.type in values:
                    attribute.pValue = values[attribute.type]
            return function(*arguments)

        return call

    undo = provider.cryptoki.instrument(forget)
    try:
        yield
    finally:
        undo()


class Case:
    """How a key comes from another key's mechanism: `make` it, and what it may be once it is made."""

    def __init__(self, provider: Provider, kind: str) -> None:
        self.aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        self.keep: list[object] = []
        if kind == "C_UnwrapKey":
            exporting = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
            bcrypt.BCryptSetProperty(exporting, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
            key, self.kek = exporting.generate_key(256), self.aes.generate_key(256)
            self.blob = bcrypt.BCryptExportKey(key, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
            self.keep.append(key)
            self.make: Callable[[], object] = self.unwrap
        else:
            ecdh = bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", provider)
            self.pairs = [bcrypt.BCryptGenerateKeyPair(ecdh, 256) for _ in range(2)]
            for pair in self.pairs:
                bcrypt.BCryptFinalizeKeyPair(pair)
            self.make = self.agree

    def unwrap(self) -> tuple[object, int]:
        key = bcrypt.BCryptImportKey(self.aes, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, self.blob)
        return key, key.token_key.held.handle

    def agree(self) -> tuple[object, int]:
        secret = bcrypt.BCryptSecretAgreement(*self.pairs)
        return secret, secret.agreed.held.handle


@pytest.fixture(params=["C_UnwrapKey", "C_DeriveKey"])
def function(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(fresh_provider: Provider, function: str) -> Case:
    return Case(fresh_provider, function)


def protection(provider: Provider, handle: int) -> dict[Attribute, bytes | None]:
    return objects.read_attributes(provider._connection, handle, list(SAFE), 1)


@pytest.mark.parametrize(
    "forgets",
    [(Attribute.SENSITIVE,), (Attribute.EXTRACTABLE,), (Attribute.SENSITIVE, Attribute.EXTRACTABLE)],
    ids=["SENSITIVE", "EXTRACTABLE", "both"],
)
def test_what_the_token_forgot_is_ratcheted(
    forgets: tuple[Attribute, ...], case: Case, function: str, fresh_provider: Provider
) -> None:
    with forgetful(fresh_provider, function, *forgets), CallCounter(fresh_provider) as counter:
        made, handle = case.make()
    assert counter.names.count("C_SetAttributeValue") == len(forgets)
    assert protection(fresh_provider, handle) == SAFE  # type: ignore[has-type]
    assert made is not None  # type: ignore[has-type]


@pytest.mark.parametrize("rv", [CKR_ACTION_PROHIBITED, 0])
def test_what_cannot_be_ratcheted_is_destroyed(rv: int, case: Case, function: str, fresh_provider: Provider) -> None:
    """rv 0: the token says that it did, and did not."""
    before = session_objects(fresh_provider)
    sessions = OpenSessions(fresh_provider)
    with forgetful(fresh_provider, function, Attribute.EXTRACTABLE), FaultInjector(fresh_provider) as faults:
        faults.fail("C_SetAttributeValue", rv)
        with pytest.raises(CngError, match="not EXTRACTABLE=False as was asked") as caught:
            case.make()
        assert faults.injected == 1
    assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert session_objects(fresh_provider) == before
    case.make()
    assert sessions.handles == pool(fresh_provider)
    sessions.undo()


def test_a_key_that_cannot_be_read_back_is_destroyed(case: Case, fresh_provider: Provider) -> None:
    before = session_objects(fresh_provider)
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_GetAttributeValue", CKR_FUNCTION_FAILED)
        with pytest.raises(CngError, match="CKR_FUNCTION_FAILED"):
            case.make()
    assert session_objects(fresh_provider) == before


def test_a_key_of_which_the_token_says_nothing_is_destroyed(case: Case, fresh_provider: Provider) -> None:
    before = session_objects(fresh_provider)

    def silent(name: str, real: CFunction) -> CFunction:
        def call(_session: int, _key: int, attributes: object, count: int) -> int:
            for attribute in attributes[0:count]:  # type: ignore[index]
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION
            return 0x12

        return call if name == "C_GetAttributeValue" else real

    undo = fresh_provider.cryptoki.instrument(silent)
    try:
        with pytest.raises(CngError, match="SENSITIVE") as caught:
            case.make()
    finally:
        undo()
    assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert session_objects(fresh_provider) == before


def test_an_opaque_blob_comes_back_protected(fresh_provider: Provider) -> None:
    for name, bits in (("AES", 0), ("ECDSA_P256", 256)):
        algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, fresh_provider)
        bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        key = bcrypt.BCryptGenerateKeyPair(algorithm, bits) if bits else algorithm.generate_key(256)
        if bits:
            bcrypt.BCryptFinalizeKeyPair(key)
        blob = bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
        with forgetful(fresh_provider, "C_UnwrapKey", Attribute.SENSITIVE):
            held = fresh_provider.reload_opaque(blob).held
        assert protection(fresh_provider, held.handle)[Attribute.SENSITIVE] == TRUE


@pytest.mark.parametrize("rv", [CKR_ACTION_PROHIBITED, CKR_FUNCTION_NOT_SUPPORTED])
@pytest.mark.parametrize("original_first", [True, False])
def test_a_token_that_copies_nothing(rv: int, original_first: bool, fresh_provider: Provider) -> None:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider)
    key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, bytes(range(16)))
    first = bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16))
    there = session_objects(fresh_provider)
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_CopyObject", rv)
        copy, third = bcrypt.BCryptDuplicateKey(key), bcrypt.BCryptDuplicateKey(key)
        assert faults.injected == 2
    assert session_objects(fresh_provider) == there
    # Mode and IV are the copy's own all the same.
    bcrypt.BCryptSetProperty(copy, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_ECB)
    assert bcrypt.BCryptGetProperty(key, bcrypt.BCRYPT_CHAINING_MODE) == bcrypt.BCRYPT_CHAIN_MODE_CBC
    ended, left = (key, copy) if original_first else (copy, key)
    bcrypt.BCryptDestroyKey(ended)
    with pytest.raises(CngError, match="STATUS_INVALID_HANDLE"):
        bcrypt.BCryptEncrypt(ended, bytes(16))
    iv = None if left is copy else bytes(16)
    assert bcrypt.BCryptEncrypt(left, bytes(16), None, iv) == first
    bcrypt.BCryptDestroyKey(left)
    assert session_objects(fresh_provider) == there
    assert bcrypt.BCryptEncrypt(third, bytes(16), None, bytes(16)) == first
    # Not destroyed but dropped: the last reference to the object that they share ends it.
    del third, key, copy, ended, left
    gc.collect()
    bcrypt.BCryptDestroyKey(algorithm.generate_key(128))
    assert session_objects(fresh_provider) == there - 1


def test_a_shared_hash_key(fresh_provider: Provider) -> None:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("SHA256", fresh_provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    hashing = bcrypt.BCryptCreateHash(algorithm, None, b"k" * 32)
    bcrypt.BCryptHashData(hashing, b"data")
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_CopyObject", CKR_ACTION_PROHIBITED)
        copy = bcrypt.BCryptDuplicateHash(hashing)
    bcrypt.BCryptDestroyHash(hashing)
    bcrypt.BCryptHashData(copy, b" and more")
    assert bcrypt.BCryptFinishHash(copy) == bcrypt.BCryptHash(algorithm, b"k" * 32, b"data and more")
