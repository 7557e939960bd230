"""The storage root key: made once, found, checked, pinned; owner authorization; lockout; URIs that lead nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import MISSING
from tpm2.helpers import ec_material, key_with_pin, set_owner_auth

from hwcng.contract.specs import EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.errors import TpmLockoutError
from hwcng.testing.swtpm import Swtpm, SwtpmError

Open = Callable[..., Tpm2Provider]
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")


def fails(status: NTSTATUS, open_tpm: Open, uri: str, **arguments: object) -> CngError:
    with pytest.raises(CngError) as error:
        open_tpm(uri, **arguments)
    assert error.value.status is status, error.value
    return error.value


def store_of(tpm: Swtpm) -> Path:
    return tpm.directory / "store" / "storage-root-key.json"


def test_the_key_is_the_tcgs_and_is_made_once(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider:
        first = provider.connection.parent
    with tss.ESAPI(fresh_tpm.tcti) as context:
        answer = context.read_public(context.tr_from_tpmpublic(0x81000001))
        area = answer[0].publicArea
        assert int(area.objectAttributes) == 0x30472
        assert int(area.parameters.eccDetail.curveID) == 3
        name = bytes(answer[1])
        # The key the TCG's template gives on this TPM, made beside ours.
        template = tss.TPM2B_PUBLIC(
            tss.TPMT_PUBLIC.parse("ecc256:aes128cfb", objectAttributes=tss.TPMA_OBJECT(0x30472))
        )
        template.publicArea.unique.ecc.x = bytes(32)
        template.publicArea.unique.ecc.y = bytes(32)
        made = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), template)
        assert bytes(context.tr_get_name(made[0])) == name
        context.flush_context(made[0])
    assert json.loads(store_of(fresh_tpm).read_text())["name"] == name.hex()
    assert store_of(fresh_tpm).stat().st_mode & 0o077 == 0
    with open_tpm(fresh_tpm.uri) as provider:
        assert provider.connection.parent == first


def test_an_rsa_storage_root_key_is_used_as_found(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(fresh_tpm.tcti) as context:
        template = tss.TPMT_PUBLIC.parse("rsa2048:aes128cfb", objectAttributes=tss.TPMA_OBJECT(0x30472))
        made = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), tss.TPM2B_PUBLIC(template))
        context.evict_control(tss.ESYS_TR.OWNER, made[0], 0x81000001)
        context.flush_context(made[0])
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.import_secret(SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT), bytes(16))
        again = provider.reload_opaque(key.opaque())
        assert again.spec == key.spec
        provider.import_pair(SIGNING, ec_material("nistP256")[1]).sign_digest(EcdsaSpec(), bytes(32))


def test_something_else_at_its_place_is_refused(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(fresh_tpm.tcti) as context:
        made = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), signing_template(tss))
        context.evict_control(tss.ESYS_TR.OWNER, made[0], 0x81000001)
        context.flush_context(made[0])
    failure = fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE, open_tpm, fresh_tpm.uri)
    assert "tpm2_evictcontrol" in failure.message


def signing_template(tss: object) -> object:
    attributes = "userwithauth|sign|fixedtpm|fixedparent|sensitivedataorigin"
    public = tss.TPMT_PUBLIC.parse("ecc256", objectAttributes=tss.TPMA_OBJECT.parse(attributes))  # type: ignore[attr-defined]
    return tss.TPM2B_PUBLIC(public)  # type: ignore[attr-defined]


def test_a_changed_name_is_refused(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    with Swtpm() as other:
        open_tpm(other.uri).close()
        failure = fails(
            NTSTATUS.STATUS_INVALID_DEVICE_STATE, open_tpm, f"tpm2:{other.tcti}?store={store_of(fresh_tpm).parent}"
        )
        assert "another TPM" in failure.message and str(store_of(fresh_tpm)) in failure.message
    with Swtpm() as empty:
        failure = fails(
            NTSTATUS.STATUS_INVALID_DEVICE_STATE, open_tpm, f"tpm2:{empty.tcti}?store={store_of(fresh_tpm).parent}"
        )
        assert "cleared" in failure.message


def test_damaged_and_unwritable_stores(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path) -> None:
    open_tpm(fresh_tpm.uri).close()
    for content in ("", "{}", '{"name": "xx"}', '{"name": 5}'):
        store_of(fresh_tpm).write_text(content)
        fails(NTSTATUS.STATUS_DATA_ERROR, open_tpm, fresh_tpm.uri)
    (tmp_path / "file").write_text("")
    with pytest.raises(CngError) as error:
        open_tpm(f"tpm2:{fresh_tpm.tcti}?store={tmp_path / 'file' / 'store'}")
    assert "store=" in error.value.message


def test_the_default_store(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    open_tpm(f"tpm2:{fresh_tpm.tcti}").close()
    (found,) = tmp_path.glob("hwcng/tpm2/*/storage-root-key.json")
    assert found.parent.stat().st_mode & 0o777 == 0o700


# Owner authorization


def test_the_owners_authorization(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path) -> None:
    set_owner_auth(fresh_tpm, "the owner")
    for wrong in ({}, {"pin": "somebody else"}):
        failure = fails(NTSTATUS.STATUS_WRONG_PASSWORD, open_tpm, fresh_tpm.uri, **wrong)
        assert failure.token_code is not None and failure.token_code.name == "TPM_RC_BAD_AUTH"
        assert "somebody" not in str(failure)
    (tmp_path / "auth").write_text("the owner\n")
    open_tpm(f"{fresh_tpm.uri}&owner-auth-source=file:{tmp_path / 'auth'}").close()
    # Now that the key is there nobody is asked.
    asked: list[str] = []

    def ask() -> str:
        asked.append("")
        return "wrong"

    open_tpm(fresh_tpm.uri, pin=ask).close()
    assert asked == []


@pytest.mark.parametrize("pin", ["the owner", b"the owner", lambda: b"the owner"])
def test_the_owners_authorization_by_argument(open_tpm: Open, pin: object) -> None:
    with Swtpm() as tpm:
        set_owner_auth(tpm, "the owner")
        with open_tpm(tpm.uri, pin=pin) as provider:
            provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), bytes(32))
            assert "the owner" not in repr(provider) + provider.uri


# Lockout


def test_a_wrong_pin_is_tried_once_and_lockout_tells_how_long(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        blob, unprotected = key_with_pin(fresh_tpm, b"right"), provider.generate_pair(SIGNING)
        with pytest.raises(CngError) as error:
            provider.reload_opaque(blob)
        assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD and "pin=" in error.value.message
        wrong = provider.reload_opaque(blob, pin="wrong")
        with pytest.raises(CngError) as error:
            wrong.sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]
        # Not the number of commands: a TPM may ask for the first one again before it looks at the PIN.
        assert lockout_counter(fresh_tpm) == 1
        assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
        assert error.value.token_code is not None and error.value.token_code.name == "TPM_RC_AUTH_FAIL"
        for _ in range(2):
            with pytest.raises(CngError):
                wrong.sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]
        right = provider.reload_opaque(blob, pin=b"right")
        with pytest.raises(TpmLockoutError) as locked:
            right.sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]
        assert locked.value.status is NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT
        assert locked.value.wait_seconds == 1000 and "1000 seconds" in locked.value.message
        # Keys without a PIN are outside of dictionary-attack protection.
        unprotected.sign_digest(EcdsaSpec(), bytes(32))
        provider.random(1)
        reset_lockout(fresh_tpm)
        right.sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]


def lockout_counter(tpm: Swtpm) -> int:
    import tpm2_pytss as tss

    with tss.ESAPI(tpm.tcti) as context:
        answer = context.get_capability(tss.TPM2_CAP.TPM_PROPERTIES, tss.TPM2_PT.LOCKOUT_COUNTER, 1)
        return int(answer[1].data.tpmProperties[0].value)


def reset_lockout(tpm: Swtpm) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(tpm.tcti) as context:
        context.dictionary_attack_lock_reset(tss.ESYS_TR.LOCKOUT)


def test_a_full_tpm_says_so(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with tss.ESAPI(fresh_tpm.tcti) as context:
        made = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), signing_template(tss))
        with pytest.raises(tss.TSS2_Exception):
            for number in range(200):
                context.evict_control(tss.ESYS_TR.OWNER, made[0], 0x81000010 + number)
        context.flush_context(made[0])
    failure = fails(NTSTATUS.STATUS_DISK_FULL, open_tpm, fresh_tpm.uri)
    assert failure.token_code is not None and failure.token_code.name == "TPM_RC_NV_SPACE"
    assert "tpm2_evictcontrol" in failure.message


# Places where no TPM is


def test_uris_that_lead_nowhere(open_tpm: Open, tmp_path: Path) -> None:
    store = f"?store={tmp_path}"
    nowhere = fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, open_tpm, f"tpm2:swtpm:path={tmp_path}/none{store}")
    assert "is it running" in nowhere.message
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, open_tpm, f"tpm2:swtpm:host=127.0.0.1,port=1{store}")
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, open_tpm, f"tpm2:device:{tmp_path}/tpm0{store}")
    missing = fails(NTSTATUS.STATUS_NOT_FOUND, open_tpm, f"tpm2:no-such-tcti:x{store}")
    assert missing.token_code is not None
    for malformed in ("swtpm:prot=1", "swtpm:port=x", "swtpm:port=70000", "swtpm:port"):
        fails(NTSTATUS.STATUS_INVALID_PARAMETER, open_tpm, f"tpm2:{malformed}{store}")


@pytest.mark.skipif(any(Path("/dev").glob("tpm*")), reason=MISSING + "a machine without a TPM")
def test_the_systems_default_where_there_is_no_tpm(open_tpm: Open, tmp_path: Path) -> None:
    fails(NTSTATUS.STATUS_NOT_FOUND, open_tpm, f"tpm2:?store={tmp_path}")


def test_a_device_that_is_no_tpm(open_tpm: Open, tmp_path: Path) -> None:
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, open_tpm, f"tpm2:device:/dev/zero?store={tmp_path}")
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, open_tpm, f"tpm2:device:/dev/null?store={tmp_path}")


def test_libtss2s_own_tctis_work_too(fresh_tpm: Swtpm, open_tpm: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCTI_PCAP_FILE", "/dev/null")
    with open_tpm(fresh_tpm.uri.replace("tpm2:", "tpm2:pcap:")) as provider:
        key = provider.generate_pair(SIGNING)
        key.sign_digest(EcdsaSpec(), bytes(32))
        fresh_tpm.restart()
        key.sign_digest(EcdsaSpec(), bytes(32))


def test_a_tpm_without_an_algorithm(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import dataclasses

    from hwcng.contract.usage import Support
    from hwcng.providers.tpm2.capabilities import Offers

    with open_tpm(fresh_tpm.uri) as provider:
        facts = provider._offers.facts
    # Chips under export control lack bulk encryption, and many lack P-384, SHA-512 and CMAC.
    poor = dataclasses.replace(
        facts,
        commands=facts.commands - {0x193},
        curves=frozenset({"nistP256"}),
        hashes=frozenset({"SHA1", "SHA256"}),
        hmac=frozenset({"SHA256"}),
        cmac=False,
        rsa_bits=(2048,),
    )
    offers = Offers(poor)
    for algorithm, operation in (
        ("AES", None),
        ("AES", "CBC"),
        ("AES", "CFB8"),
        ("AES-CMAC", None),
        ("HMAC-SHA512", None),
        ("ECDSA", "nistP384"),
    ):
        assert offers.offers(algorithm, operation) is Support.REFUSED
        assert offers.reason(algorithm, operation)
    assert offers.offers("ECDSA", "nistP256") is Support.NATIVE
    assert offers.offers("RSA", "PSS SHA512") is Support.COMPOSED
    without_rsa = Offers(dataclasses.replace(facts, rsa_bits=()))
    assert without_rsa.offers("RSA") is Support.REFUSED


def test_swtpm_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a directory")
    with pytest.raises((SwtpmError, OSError)):
        Swtpm(tmp_path).start()
    with pytest.raises(SwtpmError):
        _ = Swtpm(tmp_path).pid
