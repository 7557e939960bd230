"""Another PKCS#11 library of the process logs out: absence is not believed, and nothing is deleted by halves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from isolation.child import run

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage as KeyUsage
from hwcng.ncrypt import NCryptCreatePersistedKey, NCryptFinalizeKey, NCryptOpenStorageProvider
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.nss import NssDatabase

ECDSA = PairSpec("EC", KeyUsage.SIGN, curve="nistP256")
DIGEST = bytes(32)


def log_out(provider: Pkcs11Provider) -> None:
    """What another library of the process does when it closes."""
    pointer = ffi.new("CK_FUNCTION_LIST **")
    assert provider.cryptoki._library.C_GetFunctionList(pointer) == 0
    function = ffi.cast("CK_ULONG (*)(CK_ULONG)", ffi.cast("void *", pointer[0].C_Logout))
    assert function(provider._current._witness.session) == 0


def names(provider: Pkcs11Provider) -> list[str]:
    return sorted(record.name for record in provider.list_keys() if record.name.startswith("logout"))


@pytest.fixture
def kept(unopened_token_uri: str, other_token_pin: str) -> Iterator[Pkcs11Provider]:
    """On a token that nobody else of the process has keys in."""
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as opened:
        assert isinstance(opened, Pkcs11Provider)
        yield opened
        for name in names(opened):
            opened.delete_key(name)


def test_absence_is_not_believed(kept: Pkcs11Provider) -> None:
    for name in ("logout-a", "logout-b"):
        kept.persist_key(kept.generate_pair(ECDSA), name)
    log_out(kept)
    assert names(kept) == ["logout-a", "logout-b"]
    log_out(kept)
    kept.open_key("logout-b").sign_digest(EcdsaSpec(), DIGEST)
    log_out(kept)
    with pytest.raises(CngError) as caught:
        kept.open_key("logout-absent")
    assert caught.value.status == HRESULT.NTE_BAD_KEYSET


def test_a_name_is_not_free_because_nobody_is_logged_in(kept: Pkcs11Provider) -> None:
    kept.persist_key(kept.generate_pair(ECDSA), "logout-taken")
    storage = NCryptOpenStorageProvider(kept)
    log_out(kept)
    with pytest.raises(CngError) as caught:
        NCryptCreatePersistedKey(storage, "ECDSA_P256", "logout-taken")
    assert caught.value.status == HRESULT.NTE_EXISTS
    log_out(kept)
    NCryptFinalizeKey(NCryptCreatePersistedKey(storage, "ECDSA_P256", "logout-free"))
    assert names(kept) == ["logout-free", "logout-taken"]


def test_a_key_is_deleted_whole(kept: Pkcs11Provider) -> None:
    kept.persist_key(kept.generate_pair(ECDSA), "logout-whole")
    log_out(kept)
    kept.delete_key("logout-whole")
    assert names(kept) == []


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_logout_in_the_middle_of_a_deletion_leaves_no_half(
    comes_back: bool, kept: Pkcs11Provider, unopened_token_uri: str, other_token_pin: str
) -> None:
    """comes_back: whether somebody has logged in again when the object is to be destroyed, which has another handle."""
    kept.persist_key(kept.generate_pair(ECDSA), "logout-middle")
    others: list[hwcng.Provider] = []

    def between(*arguments: object) -> int:
        undo()
        log_out(kept)
        if comes_back:
            others.append(hwcng.open_provider(unopened_token_uri, pin=other_token_pin))
        return kept.cryptoki.C_DestroyObject(*arguments)

    undo = kept.cryptoki.instrument(lambda name, function: between if name == "C_DestroyObject" else function)
    failed: CngError | None = None
    try:
        kept.delete_key("logout-middle")
    except CngError as error:
        failed = error
    if failed is not None:
        assert failed.status != HRESULT.NTE_BAD_KEYSET
        kept.open_key("logout-middle").sign_digest(EcdsaSpec(), DIGEST)
    else:
        assert names(kept) == []
    for other in others:
        other.close()


def test_session_keys_tell_it_and_named_keys_come_back(kept: Pkcs11Provider) -> None:
    session_key, named = kept.generate_pair(ECDSA), kept.persist_key(kept.generate_pair(ECDSA), "logout-named")
    log_out(kept)
    with pytest.raises(CngError, match="logged this process out"):
        named.sign_digest(EcdsaSpec(), DIGEST)
    named.sign_digest(EcdsaSpec(), DIGEST)
    with pytest.raises(CngError, match="logged this process out") as caught:
        session_key.sign_digest(EcdsaSpec(), DIGEST)
    assert caught.value.status == NTSTATUS.STATUS_INVALID_DEVICE_STATE


def test_who_logs_in_first_after_a_logout_does_not_hide_it(
    kept: Pkcs11Provider, unopened_token_uri: str, other_token_pin: str
) -> None:
    """The new login lets all sessions in, those too whose keys ended with the old one."""
    session_key, named = kept.generate_pair(ECDSA), kept.persist_key(kept.generate_pair(ECDSA), "logout-first")
    lost = kept._current
    log_out(kept)
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin):
        assert not lost.sees_all()
        assert names(kept) == ["logout-first"]
        named.sign_digest(EcdsaSpec(), DIGEST)
        with pytest.raises(CngError, match="logged this process out") as caught:
            session_key.sign_digest(EcdsaSpec(), DIGEST)
        assert caught.value.status == NTSTATUS.STATUS_INVALID_DEVICE_STATE


DATABASE = """
from hwcng.contract import EcdsaSpec, PairSpec, Usage
from store.test_pkcs11_logout import ECDSA, log_out, names
provider = hwcng.open_provider(URI, pin=sys.argv[2])
for name in ("logout-a", "logout-b"):
    provider.persist_key(provider.generate_pair(ECDSA), name)
named = provider.open_key("logout-a")
log_out(provider)
assert names(provider) == ["logout-a", "logout-b"]
log_out(provider)
provider.delete_key("logout-b")
assert names(provider) == ["logout-a"]
named.sign_digest(EcdsaSpec(), bytes(32))
log_out(provider)
fails(NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED, lambda: named.sign_digest(EcdsaSpec(), bytes(32)), "lost")
assert len(named.sign_digest(EcdsaSpec(), bytes(32))) == 64
log_out(provider)
provider.open_key("logout-a")
provider.delete_key("logout-a")
"""


def test_a_database_that_was_logged_out_of(nss_database: NssDatabase, nss_pin: str) -> None:
    run(DATABASE, nss_database.uri, nss_pin)
