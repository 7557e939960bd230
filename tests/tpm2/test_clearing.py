"""A TPM that is cleared, replaced or loses its storage root key, also while it is open: each call says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tpm2.helpers import ec_material, set_owner_auth

import hwcng.attestation
from hwcng.contract.specs import EcdsaSpec, HmacSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.uri import Tpm2Uri
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
HMAC_KEY = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
DIGEST = bytes(range(32))
IN_A_SLOT = ("sign", "mac", "sign with a named key", "open", "attest")


def clear(tpm: Swtpm) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(tpm.tcti) as client:
        client.clear(tss.ESYS_TR.LOCKOUT)


def remove_root(tpm: Swtpm) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(tpm.tcti) as client:
        client.evict_control(tss.ESYS_TR.OWNER, client.tr_from_tpmpublic(0x81000001), 0x81000001)


def make_root(tpm: Swtpm, template: str = "ecc256:aes128cfb") -> None:
    """By another program, as its own user would."""
    import tpm2_pytss as tss

    with tss.ESAPI(tpm.tcti) as client:
        public = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.parse(template, objectAttributes=tss.TPMA_OBJECT(0x30472)))
        made = client.create_primary(tss.TPM2B_SENSITIVE_CREATE(), public)
        client.evict_control(tss.ESYS_TR.OWNER, made[0], 0x81000001)
        client.flush_context(made[0])


def clear_and_make(tpm: Swtpm) -> None:
    clear(tpm)
    make_root(tpm)


def replace_root(tpm: Swtpm) -> None:
    """The seed is the same: what was made under the other key is as void."""
    remove_root(tpm)
    make_root(tpm, "rsa2048:aes128cfb")


def replace_tpm(tpm: Swtpm) -> None:
    """Another machine's TPM in its place."""
    tpm.kill()
    for state in (tpm.directory / "state").iterdir():
        if state.is_file() and "lock" not in state.name:
            state.unlink()
    tpm.start()


def calls_of(provider: Tpm2Provider) -> dict[str, Callable[[], object]]:
    pair, secret = provider.generate_pair(SIGNING), provider.generate_secret(HMAC_KEY)
    named = provider.persist_key(provider.generate_pair(SIGNING), "mine")
    blob = pair.opaque()
    return {
        "sign": lambda: pair.sign_digest(EcdsaSpec(), DIGEST),
        "mac": lambda: secret.mac(HmacSpec("SHA256"), b"x"),
        "sign with a named key": lambda: named.sign_digest(EcdsaSpec(), DIGEST),  # type: ignore[union-attr]
        "open": lambda: provider.open_key("mine"),
        "reload": lambda: provider.reload_opaque(blob),
        "make a pair": lambda: provider.generate_pair(SIGNING),
        "make a key": lambda: provider.generate_secret(HMAC_KEY),
        "import a pair": lambda: provider.import_pair(SIGNING, ec_material("nistP256")[1]),
        "import a key": lambda: provider.import_secret(HMAC_KEY, bytes(32)),
        "attest": lambda: pair.attest(b"n"),
        "keep": lambda: provider.make_persistent("mine"),
    }


@pytest.mark.parametrize("loss", [clear, remove_root, clear_and_make, replace_root, replace_tpm])
def test_every_call_says_what_became_of_the_tpm(
    fresh_tpm: Swtpm, open_tpm: Open, loss: Callable[[Swtpm], None]
) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        calls = calls_of(provider)
        calls["sign"]()
        loss(fresh_tpm)
        for _ in range(2):
            for what, call in calls.items():
                with pytest.raises(CngError) as error:
                    call()
                    # What is in a slot outlives the removal of its parent.
                    assert loss in (remove_root, replace_root) and what in IN_A_SLOT, what
                    raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "storage root key, cleared")
                assert error.value.status is NTSTATUS.STATUS_INVALID_DEVICE_STATE, (what, error.value)
                assert "storage root key" in error.value.message and "cleared" in error.value.message, what
        failure = opening_fails(fresh_tpm, open_tpm) if loss is not remove_root else None
        assert failure is None or str(fresh_tpm.directory / "store" / "storage-root-key.json") in failure.message


def opening_fails(tpm: Swtpm, open_tpm: Open) -> CngError:
    with pytest.raises(CngError) as error:
        open_tpm(tpm.uri)
    assert error.value.status is NTSTATUS.STATUS_INVALID_DEVICE_STATE
    return error.value


def test_a_line_that_breaks_besides_changes_nothing(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)
        clear(fresh_tpm)
        fresh_tpm.restart()
        with pytest.raises(CngError) as error:
            key.sign_digest(EcdsaSpec(), DIGEST)
        assert error.value.status is NTSTATUS.STATUS_INVALID_DEVICE_STATE


def test_a_root_that_was_only_removed_is_made_again(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    """A TPM that was not cleared makes the same key from the same template: it is asked."""
    with open_tpm(fresh_tpm.uri) as provider:
        provider.persist_key(provider.generate_pair(SIGNING), "mine")
        name = provider.connection.storage_root.name
    remove_root(fresh_tpm)
    with open_tpm(fresh_tpm.uri) as provider:
        assert provider.connection.storage_root.name == name
        assert provider.open_key("mine").sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]


def test_a_root_that_cannot_be_made_is_not_called_a_cleared_one_for_sure(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    remove_root(fresh_tpm)
    set_owner_auth(fresh_tpm, "the owner")
    assert "cannot be seen" in opening_fails(fresh_tpm, open_tpm).message
    open_tpm(fresh_tpm.uri, pin="the owner").close()


def test_another_tpm_in_its_place_is_asked_what_it_does(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path) -> None:
    with open_tpm(fresh_tpm.uri) as first, CommandCounter(first) as counter:
        replace_tpm(fresh_tpm)
        with open_tpm(Tpm2Uri(fresh_tpm.tcti, store=str(tmp_path)).to_uri()) as second:
            assert "TPM2_TestParms" in counter.names
            second.random(8)


def test_nothing_is_made_where_another_root_is_remembered(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    open_tpm(fresh_tpm.uri).close()
    clear(fresh_tpm)
    opening_fails(fresh_tpm, open_tpm)
    with tss.ESAPI(fresh_tpm.tcti) as client:
        assert len(client.get_capability(tss.TPM2_CAP.HANDLES, 0x81000000, 4)[1].data.handles) == 0
        assert len(client.get_capability(tss.TPM2_CAP.HANDLES, 0x80000000, 4)[1].data.handles) == 0


@pytest.mark.parametrize("by_another", [True, False])
def test_following_the_messages_leads_back(fresh_tpm: Swtpm, open_tpm: Open, by_another: bool) -> None:
    old = open_tpm(fresh_tpm.uri)
    key = old.persist_key(old.generate_pair(SIGNING), "mine")
    known = hwcng.attestation.verify_attestation(key.attest(b"n"), b"n").signer_name
    clear_and_make(fresh_tpm) if by_another else clear(fresh_tpm)
    for named in re.findall(r"/[\w./-]+\.(?:json|pem)", opening_fails(fresh_tpm, open_tpm).message):
        Path(named).unlink()
    with open_tpm(fresh_tpm.uri) as provider:
        # The attestation key of before the clear is noticed, and made anew; whoever knew it is not deceived.
        record = provider.generate_pair(SIGNING).attest(b"n")
        fresh = hwcng.attestation.verify_attestation(record, b"n")
        assert fresh.signer_name != known
        with pytest.raises(CngError):
            hwcng.attestation.verify_attestation(record, b"n", signer_name=known)
        with CommandCounter(provider) as counter:
            provider.generate_pair(SIGNING).attest(b"n")
            assert counter.names.count("TPM2_Create") == 1
        # Keys of before say so one by one, and can be removed.
        with pytest.raises(CngError) as error:
            provider.open_key("mine")
        assert error.value.status is HRESULT.NTE_KEYSET_ENTRY_BAD and "cleared" in error.value.message
        provider.delete_key("mine")
        provider.persist_key(provider.generate_pair(SIGNING), "mine")
    with open_tpm(fresh_tpm.uri) as provider:
        again = hwcng.attestation.verify_attestation(provider.open_key("mine").attest(b"n"), b"n")  # type: ignore[union-attr]
        assert again.signer_name == fresh.signer_name
    old.close()


def test_a_damaged_attestation_key_is_named(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        file = fresh_tpm.directory / "store" / "attestation-key.pem"
        file.write_bytes(b"rubbish")
        with pytest.raises(CngError) as error:
            provider.generate_pair(SIGNING).attest(b"n")
        assert error.value.status is NTSTATUS.STATUS_DATA_ERROR and str(file) in error.value.message
        assert file.read_bytes() == b"rubbish"
        file.unlink()
        assert provider.generate_pair(SIGNING).attest(b"n")


def test_a_new_attestation_key_of_another_process_stays(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        store = provider._store
        store.keep_attestation_key(b"new")
        store.drop_attestation_key(b"old")
        assert store.attestation_key() == b"new"
        store.drop_attestation_key(b"new")
        store.drop_attestation_key(b"new")
        assert store.attestation_key() is None
        assert [path.name for path in store.directory.iterdir()] == ["storage-root-key.json"]
