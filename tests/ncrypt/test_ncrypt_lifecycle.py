"""NCryptCreatePersistedKey, NCryptFinalizeKey, NCryptOpenKey, NCryptEnumKeys, NCryptDeleteKey, NCryptFreeObject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conformance.helpers import RESERVED_BITS, refused
from support import missing

from hwcng import ncrypt
from hwcng.bcrypt import BCryptSignHash, BCryptVerifySignature
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.errors import HRESULT, CngError
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.ncrypt import (
    AT_KEYEXCHANGE,
    AT_SIGNATURE,
    NCRYPT_MACHINE_KEY_FLAG,
    NCRYPT_OVERWRITE_KEY_FLAG,
    NCRYPT_SILENT_FLAG,
    NCryptCreatePersistedKey,
    NCryptDecrypt,
    NCryptDeleteKey,
    NCryptEncrypt,
    NCryptEnumKeys,
    NCryptExportKey,
    NCryptFinalizeKey,
    NCryptFreeObject,
    NCryptGetProperty,
    NCryptKeyName,
    NCryptOpenKey,
    NCryptSetProperty,
    NCryptSignHash,
    NCryptVerifySignature,
)

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))


def names_in(storage: StorageProvider) -> set[str]:
    return {record.pszName for record in NCryptEnumKeys(storage)}


@pytest.mark.parametrize(("algorithm", "bits"), [("RSA", 2048), ("ECDSA_P256", 256), ("ECDH_P256", 256)])
def test_a_pair_is_kept_and_found_again(
    storage: StorageProvider, made: Make, name: str, algorithm: str, bits: int
) -> None:
    key = made(storage, algorithm, name, **({"Length": bits} if algorithm == "RSA" else {}))
    public = NCryptExportKey(key, None, "PUBLICBLOB")
    assert NCryptKeyName(name, algorithm, 0, 0) in list(NCryptEnumKeys(storage))
    NCryptFreeObject(key)
    again = NCryptOpenKey(storage, name)
    assert NCryptGetProperty(again, "Algorithm Name") == algorithm
    assert NCryptGetProperty(again, "Length") == bits
    assert NCryptGetProperty(again, "Name") == name
    assert NCryptExportKey(again, None, "PUBLICBLOB") == public
    assert repr(again) == f"<NCryptKey {name!r} {algorithm}>"
    NCryptDeleteKey(again)
    assert name not in names_in(storage)


def test_a_symmetric_key_is_kept_and_found_again(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "AES", name, Length=128)
    NCryptSetProperty(key, "Chaining Mode", "ChainingModeECB")
    ciphertext = NCryptEncrypt(key, bytes(32))
    NCryptFreeObject(key)
    again = NCryptOpenKey(storage, name)
    assert NCryptKeyName(name, "AES") in list(NCryptEnumKeys(storage))
    assert NCryptGetProperty(again, "Length") == 128
    NCryptSetProperty(again, "Chaining Mode", "ChainingModeECB")
    assert NCryptDecrypt(again, ciphertext) == bytes(32)
    assert isinstance(again.key, SymmetricKey)


@pytest.mark.parametrize("curve", ["nistP384", "brainpoolP256r1"])
def test_a_generic_algorithm_with_a_named_curve(
    soft_storage: StorageProvider, made: Make, name: str, curve: str
) -> None:
    key = made(soft_storage, "ECDSA", name, ECCCurveName=curve)
    assert NCryptGetProperty(key, "Algorithm Name") == "ECDSA"
    again = NCryptOpenKey(soft_storage, name)
    assert NCryptGetProperty(again, "ECCCurveName") == curve
    # A key that has an algorithm of its own is found as one of that.
    assert NCryptGetProperty(again, "Algorithm Name") == {"nistP384": "ECDSA_P384"}.get(curve, "ECDSA")
    NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(again, None, DIGEST))


@pytest.mark.parametrize(
    ("algorithm", "properties", "bits"),
    [
        ("DSA", {"Length": 1024}, 1024),
        ("DH", {"Length": 1024}, 1024),
        ("ML-DSA", {"ParameterSetName": "65"}, None),
        ("ML-KEM", {"ParameterSetName": "768"}, None),
        ("3DES", {}, 192),
        ("RC2", {"Length": 64}, 64),
    ],
)
def test_the_other_algorithms(
    soft_storage: StorageProvider, made: Make, name: str, algorithm: str, properties: dict[str, Any], bits: int | None
) -> None:
    try:
        ncrypt.NCryptIsAlgSupported(soft_storage, algorithm)
    except CngError:
        missing(f"{algorithm} keys that are stored")
    key = made(soft_storage, algorithm, name, **properties)
    again = NCryptOpenKey(soft_storage, name)
    assert NCryptGetProperty(again, "Algorithm Name") == algorithm
    if bits is not None:
        assert NCryptGetProperty(again, "Length") == bits
    if algorithm == "DSA":
        NCryptVerifySignature(key, None, bytes(range(20)), NCryptSignHash(again, None, bytes(range(20))))
    elif isinstance(again.key, KeyPair):
        assert NCryptExportKey(again, None, "PUBLICBLOB") == NCryptExportKey(key, None, "PUBLICBLOB")
    else:
        assert NCryptDecrypt(again, NCryptEncrypt(key, bytes(64))) == bytes(64)


def test_an_ephemeral_key(storage: StorageProvider, made: Make) -> None:
    before = names_in(storage)
    key = made(storage, "ECDSA_P256")
    assert names_in(storage) == before
    NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(key, None, DIGEST))
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        _ = answered(lambda: key.uri)
    NCryptDeleteKey(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSignHash(key, None, DIGEST)


def answered(call: Callable[[], object]) -> object:
    from hwcng.ksp.status import security_status

    with security_status():
        return call()


def test_nothing_is_made_before_it_is_finalized(storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "ECDSA_P256", name)
    assert repr(key) == f"<NCryptKey {name!r} ECDSA_P256 not finalized>"
    assert name not in names_in(storage)
    NCryptFreeObject(key)
    assert name not in names_in(storage)


def test_an_unfinished_key_is_in_a_bad_state(storage: StorageProvider, name: str) -> None:
    key = NCryptCreatePersistedKey(storage, "RSA", name)
    pkcs1 = ncrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")
    uses: list[Callable[[], object]] = [
        lambda: NCryptSignHash(key, pkcs1, DIGEST, 2),
        lambda: NCryptVerifySignature(key, pkcs1, DIGEST, bytes(128), 2),
        lambda: NCryptEncrypt(key, b"x", None, 2),
        lambda: NCryptDecrypt(key, bytes(128), None, 2),
        lambda: NCryptExportKey(key, None, "RSAPUBLICBLOB"),
        lambda: ncrypt.NCryptSecretAgreement(key, key),
        lambda: ncrypt.NCryptCreateClaim(key, None, 3, [(49, b"nonce")]),
        lambda: key.uri,
        lambda: key.key,
    ]
    for use in uses:
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            use()


def test_a_key_is_finalized_once(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptFinalizeKey(NCryptOpenKey(storage, name))
    NCryptSetProperty(key, "Length", 256)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptSetProperty(key, "Length", 384)


def test_a_taken_name(storage: StorageProvider, made: Make, name: str) -> None:
    first = made(storage, "ECDSA_P256", name)
    late = NCryptCreatePersistedKey(storage, "ECDSA_P256", name, 0, NCRYPT_OVERWRITE_KEY_FLAG)
    with refused(HRESULT.NTE_EXISTS) as error:
        NCryptCreatePersistedKey(storage, "RSA", name)
    assert "NCRYPT_OVERWRITE_KEY_FLAG" in str(error.value)
    NCryptFreeObject(late)
    NCryptSignHash(first, None, DIGEST)


def test_a_name_that_is_taken_meanwhile(storage: StorageProvider, made: Make, name: str) -> None:
    early = NCryptCreatePersistedKey(storage, "ECDSA_P256", name)
    first = made(storage, "ECDSA_P256", name)
    with refused(HRESULT.NTE_EXISTS):
        NCryptFinalizeKey(early)
    NCryptSignHash(NCryptOpenKey(storage, name), None, DIGEST)
    # It is as it was: once the name is free, it can be finalized.
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptSignHash(early, None, DIGEST)
    NCryptDeleteKey(first)
    NCryptFinalizeKey(early)
    NCryptVerifySignature(early, None, DIGEST, NCryptSignHash(NCryptOpenKey(storage, name), None, DIGEST))


def test_overwriting(storage: StorageProvider, made: Make, name: str) -> None:
    old = made(storage, "ECDSA_P256", name)
    public = NCryptExportKey(old, None, "ECCPUBLICBLOB")
    new = NCryptCreatePersistedKey(storage, "ECDSA_P256", name, 0, NCRYPT_OVERWRITE_KEY_FLAG)
    # The old key stays until the new one is there.
    assert NCryptExportKey(NCryptOpenKey(storage, name), None, "ECCPUBLICBLOB") == public
    NCryptFinalizeKey(new)
    opened = NCryptOpenKey(storage, name)
    assert NCryptExportKey(opened, None, "ECCPUBLICBLOB") == NCryptExportKey(new, None, "ECCPUBLICBLOB") != public
    NCryptVerifySignature(new, None, DIGEST, NCryptSignHash(opened, None, DIGEST))
    assert [record.pszName for record in NCryptEnumKeys(storage)].count(name) == 1


def test_overwriting_with_what_the_token_refuses(storage: StorageProvider, made: Make, name: str) -> None:
    old = made(storage, "ECDSA_P256", name)
    new = NCryptCreatePersistedKey(storage, "ECDSA", name, 0, NCRYPT_OVERWRITE_KEY_FLAG)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptFinalizeKey(new)
    again = NCryptOpenKey(storage, name)
    NCryptVerifySignature(old, None, DIGEST, NCryptSignHash(again, None, DIGEST))
    # The handle is still a key that can be finished.
    NCryptSetProperty(new, "ECCCurveName", "nistP256")
    NCryptFinalizeKey(new)
    assert NCryptGetProperty(new, "ECCCurveName") == "nistP256"


def test_overwriting_by_another_kind_of_key(storage: StorageProvider, made: Make, name: str) -> None:
    made(storage, "AES", name)
    made(storage, "ECDSA_P256", name, NCRYPT_OVERWRITE_KEY_FLAG)
    assert [record for record in NCryptEnumKeys(storage) if record.pszName == name] == [(name, "ECDSA_P256", 0, 0)]
    assert NCryptGetProperty(NCryptOpenKey(storage, name), "Algorithm Name") == "ECDSA_P256"


def test_a_missing_key(storage: StorageProvider, name: str) -> None:
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(storage, name)


def test_a_key_that_is_gone(storage: StorageProvider, made: Make, name: str) -> None:
    first, second = made(storage, "ECDSA_P256", name), NCryptOpenKey(storage, name)
    NCryptDeleteKey(first)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptFreeObject(first)
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptDeleteKey(second)
    # It was not freed, because it was not deleted.
    NCryptFreeObject(second)
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(storage, name)


def test_deleting_an_unfinished_key_leaves_the_old_one(storage: StorageProvider, made: Make, name: str) -> None:
    made(storage, "ECDSA_P256", name)
    draft = NCryptCreatePersistedKey(storage, "ECDSA_P256", name, 0, NCRYPT_OVERWRITE_KEY_FLAG)
    NCryptDeleteKey(draft)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptFinalizeKey(draft)
    NCryptSignHash(NCryptOpenKey(storage, name), None, DIGEST)


def test_handles_of_one_key_end_on_their_own(storage: StorageProvider, made: Make, name: str) -> None:
    first = made(storage, "ECDSA_P256", name)
    second, third = NCryptOpenKey(storage, name), NCryptOpenKey(storage, name)
    NCryptFreeObject(first)
    NCryptFreeObject(second)
    NCryptSignHash(third, None, DIGEST)


def test_the_cng_key_behind_the_handle(storage: StorageProvider, made: Make, name: str) -> None:
    key = made(storage, "ECDSA_P256", name)
    pair = key.key
    assert isinstance(pair, KeyPair)
    assert (pair.name, pair.uri, pair.algorithm.name) == (name, key.uri, "ECDSA_P256")
    BCryptVerifySignature(pair, None, DIGEST, NCryptSignHash(key, None, DIGEST))
    # And the other way round: NCrypt's functions take the CNG key.
    NCryptVerifySignature(pair, None, DIGEST, BCryptSignHash(pair, None, DIGEST))
    assert NCryptGetProperty(pair, "Name") == name
    NCryptDeleteKey(pair)
    assert name not in names_in(storage)


def test_a_key_of_bcrypt_is_stored(storage: StorageProvider, name: str) -> None:
    from hwcng.bcrypt import BCryptFinalizeKeyPair, BCryptGenerateKeyPair, BCryptOpenAlgorithmProvider

    algorithm = BCryptOpenAlgorithmProvider("ECDSA_P256", storage.provider)
    with BCryptGenerateKeyPair(algorithm, 256) as pair:
        with pytest.raises(CngError, match="not finalized"):
            pair.persist(name)
        BCryptFinalizeKeyPair(pair)
        stored = pair.persist(name)
        assert (pair.name, stored.name) == (None, name)
        with refused(HRESULT.NTE_EXISTS):
            pair.persist(name)
        pair.persist(name, replace=True)
    opened = NCryptOpenKey(storage, name)
    BCryptVerifySignature(stored, None, DIGEST, NCryptSignHash(opened, None, DIGEST))
    with pytest.raises(CngError, match="destroyed"):
        pair.persist(name)


def test_a_stored_key_under_another_name(storage: StorageProvider, made: Make, new_name: Callable[[], str]) -> None:
    first, second = new_name(), new_name()
    key = made(storage, "ECDSA_P256", first)
    copied = key.key.persist(second)
    assert {first, second} <= names_in(storage)
    NCryptDeleteKey(key)
    NCryptVerifySignature(copied, None, DIGEST, NCryptSignHash(NCryptOpenKey(storage, second), None, DIGEST))


def test_an_empty_pair_of_bcrypt(storage: StorageProvider) -> None:
    from hwcng.bcrypt import BCryptGenerateKeyPair, BCryptOpenAlgorithmProvider

    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", storage.provider), 256)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptSignHash(pair, None, DIGEST)


def test_an_hmac_key_is_stored(storage: StorageProvider, name: str) -> None:
    import hashlib
    import hmac

    from hwcng.bcrypt import BCRYPT_ALG_HANDLE_HMAC_FLAG, BCryptHash, BCryptOpenAlgorithmProvider

    algorithm = BCryptOpenAlgorithmProvider("SHA256", storage.provider, BCRYPT_ALG_HANDLE_HMAC_FLAG)
    with algorithm.generate_key(256) as key:
        key.persist(name)
        expected = BCryptHash(algorithm, key, b"data")
    assert len(expected) == hashlib.sha256().digest_size == hmac.new(b"k", b"", "sha256").digest_size
    again = NCryptOpenKey(storage, name)
    assert isinstance(again.key, SymmetricKey)
    assert BCryptHash(algorithm, again.key, b"data") == expected
    assert NCryptKeyName(name, "HMAC-SHA256") in list(NCryptEnumKeys(storage))
    with refused(HRESULT.NTE_BAD_ALGID):
        NCryptSignHash(again, None, DIGEST)


@pytest.mark.parametrize("wrong", ["", "a\0b", "x" * 513, "\U0001f511" * 257, "\ud800"])
def test_impossible_names(storage: StorageProvider, wrong: str) -> None:
    for flags in (0, NCRYPT_OVERWRITE_KEY_FLAG):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptCreatePersistedKey(storage, "ECDSA_P256", wrong, 0, flags)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptOpenKey(storage, wrong)


@pytest.mark.parametrize(
    "tail", ["/../etc/passwd", ".", "..", " ", "%2F&=;?#", "\u00e9\u4e2d\U0001f511", "\n\t", "A" * 480]
)
def test_names_that_are_only_strange(storage: StorageProvider, made: Make, name: str, tail: str) -> None:
    strange = name[-20:] + tail
    key = made(storage, "ECDSA_P256", strange)
    try:
        assert strange in names_in(storage)
        NCryptVerifySignature(key, None, DIGEST, NCryptSignHash(NCryptOpenKey(storage, strange), None, DIGEST))
    finally:
        NCryptDeleteKey(key)


def test_names_differ_by_case_and_normalisation(storage: StorageProvider, made: Make, name: str) -> None:
    keys = [made(storage, "ECDSA_P256", name + tail) for tail in ("\u00e9", "e\u0301", "E\u0301")]
    blobs = {NCryptExportKey(NCryptOpenKey(storage, key.name or ""), None, "ECCPUBLICBLOB") for key in keys}
    assert len(blobs) == 3
    for key in keys:
        NCryptDeleteKey(key)


def test_mandatory_pointers(soft_storage: StorageProvider) -> None:
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptCreatePersistedKey(soft_storage, None, "x")  # type: ignore[arg-type]
    with refused(HRESULT.RPC_X_NULL_REF_POINTER):
        NCryptOpenKey(soft_storage, None)  # type: ignore[arg-type]
    assert int(HRESULT.RPC_X_NULL_REF_POINTER) == 0x800706F4
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        NCryptCreatePersistedKey(soft_storage, "RSA", b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["SHA256", "RSA_SIGN", "RNG", "no such algorithm", ""])
def test_algorithms_without_stored_keys(storage: StorageProvider, name: str, algorithm: str) -> None:
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptCreatePersistedKey(storage, algorithm, name)


def test_wrong_handles(soft_storage: StorageProvider, made: Make) -> None:
    key = made(soft_storage, "ECDSA_P256")
    for wrong in (key, key.key, None, 0, "storage"):
        for call in (
            lambda handle: NCryptCreatePersistedKey(handle, "RSA", None),
            lambda handle: NCryptOpenKey(handle, "x"),
            NCryptEnumKeys,
            lambda handle: ncrypt.NCryptIsAlgSupported(handle, "RSA"),
            lambda handle: ncrypt.NCryptImportKey(handle, None, "RSAPUBLICBLOB", None, b""),
        ):
            with refused(HRESULT.NTE_INVALID_HANDLE):
                call(wrong)
    for wrong in (soft_storage, None, 0, "key"):
        for call in (NCryptFinalizeKey, NCryptDeleteKey, lambda handle: NCryptSignHash(handle, None, DIGEST)):
            with refused(HRESULT.NTE_INVALID_HANDLE):
                call(wrong)
    with refused(HRESULT.NTE_INVALID_HANDLE):
        NCryptGetProperty(0, "Name")  # type: ignore[arg-type]


def test_flags(soft_storage: StorageProvider, made: Make, name: str) -> None:
    stored = made(soft_storage, "ECDSA_P256", name)
    finalize = ncrypt.NCRYPT_NO_KEY_VALIDATION | ncrypt.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG
    calls: list[tuple[int, Callable[[int], object]]] = [
        (
            NCRYPT_MACHINE_KEY_FLAG | NCRYPT_OVERWRITE_KEY_FLAG,
            lambda flags: NCryptCreatePersistedKey(soft_storage, "ECDSA_P256", None, 0, flags),
        ),
        (NCRYPT_MACHINE_KEY_FLAG, lambda flags: NCryptOpenKey(soft_storage, name, 0, flags)),
        (NCRYPT_MACHINE_KEY_FLAG, lambda flags: NCryptEnumKeys(soft_storage, flags)),
        (finalize, lambda flags: NCryptFinalizeKey(stored, flags)),
        (0, lambda flags: NCryptDeleteKey(stored, flags)),
    ]
    for known, call in calls:
        for bit in RESERVED_BITS:
            if not bit & (known | NCRYPT_SILENT_FLAG):
                with refused(HRESULT.NTE_BAD_FLAGS):
                    call(bit)
    for known, call in calls[:3]:
        call(known | NCRYPT_SILENT_FLAG)
    draft = NCryptCreatePersistedKey(soft_storage, "ECDSA_P256", None)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        NCryptFinalizeKey(draft, ncrypt.NCRYPT_WRITE_KEY_TO_LEGACY_STORE_FLAG)
    NCryptFinalizeKey(draft, NCRYPT_SILENT_FLAG | ncrypt.NCRYPT_NO_KEY_VALIDATION)
    NCryptDeleteKey(stored, NCRYPT_SILENT_FLAG)


def test_the_machine_flag_shows_in_key_type(soft_storage: StorageProvider, made: Make, name: str) -> None:
    key = made(soft_storage, "ECDSA_P256", name, NCRYPT_MACHINE_KEY_FLAG)
    assert NCryptGetProperty(key, "Key Type") == NCRYPT_MACHINE_KEY_FLAG
    # A token has one set of keys: the flag asks for no other.
    assert NCryptGetProperty(NCryptOpenKey(soft_storage, name), "Key Type") == 0
    machine = NCryptOpenKey(soft_storage, name, 0, NCRYPT_MACHINE_KEY_FLAG)
    assert NCryptGetProperty(machine, "Key Type") == NCRYPT_MACHINE_KEY_FLAG
    found = {record.pszName: record.dwFlags for record in NCryptEnumKeys(soft_storage, NCRYPT_MACHINE_KEY_FLAG)}
    assert found[name] == NCRYPT_MACHINE_KEY_FLAG


def test_legacy_key_specs(soft_storage: StorageProvider, made: Make, name: str) -> None:
    made(soft_storage, "ECDSA_P256", name)
    for spec in (0, AT_KEYEXCHANGE, AT_SIGNATURE):
        NCryptCreatePersistedKey(soft_storage, "RSA", None, spec)
        NCryptOpenKey(soft_storage, name, spec)
    for wrong in (3, -1, 0x20):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptCreatePersistedKey(soft_storage, "RSA", None, wrong)
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            NCryptOpenKey(soft_storage, name, wrong)


def test_two_keys_of_one_name(soft_storage: StorageProvider, provider: Any, name: str) -> None:
    """As other software may make them."""
    from pkcs11 import Attribute, KeyType, ObjectClass

    from hwcng.providers.pkcs11 import objects

    template = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.VALUE: bytes(32),
        Attribute.TOKEN: True,
        Attribute.LABEL: name,
        Attribute.ENCRYPT: True,
    }
    foreign = [objects.create(provider._connection, template, "a test's key") for _ in range(2)]
    try:
        with refused(HRESULT.NTE_KEYSET_ENTRY_BAD):
            NCryptOpenKey(soft_storage, name)
        with refused(HRESULT.NTE_EXISTS):
            NCryptCreatePersistedKey(soft_storage, "AES", name)
    finally:
        with provider._connection.owning() as session:
            for held in foreign:
                provider.cryptoki.C_DestroyObject(session.handle, held.handle)
    with refused(HRESULT.NTE_BAD_KEYSET):
        NCryptOpenKey(soft_storage, name)


def test_listing_a_closed_provider(fresh_provider: Any) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(fresh_provider)
    keys = NCryptEnumKeys(storage)
    fresh_provider.close()
    with refused(HRESULT.NTE_INVALID_HANDLE):
        next(keys)
