"""An authorization value is tried once a call, it is the caller's, and its refusal says what it cost (Part 1, 19.8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tpm2.helpers import below_root, ec_material, key_with_pin, rsa_material, set_owner_auth
from tpm2.test_provisioning import lockout_counter, reset_lockout

from hwcng.contract.specs import EcdsaSpec, PairSpec, RsaOaepSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.line.transport import Exchange
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.providers.tpm2.wire.errors import TpmLockoutError, TransportError
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
AES = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
DIGEST = bytes(range(32))


def blob_of(tpm: Swtpm, template: str, attributes: str, auth: bytes, empty_auth: bool | None) -> bytes:
    return key_file_asn1.build(
        key_file_asn1.TssKey(0x81000001, *below_root(tpm, template, attributes, auth), empty_auth)
    )


def refused(tpm: Swtpm, call: Callable[[], object], tries: int) -> CngError:
    """The refusal of one call, which costs at most that many tries of the lockout."""
    before = lockout_counter(tpm)
    with pytest.raises(CngError) as error:
        call()
    assert lockout_counter(tpm) - before == tries, error.value
    assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD, error.value
    return error.value


@pytest.mark.parametrize("stated", [True, False, None])
def test_the_callers_pin_is_used_whatever_the_file_says(fresh_tpm: Swtpm, open_tpm: Open, stated: bool | None) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        blob = blob_of(fresh_tpm, "ecc256", "sign", b"abc", stated)
        for pin in ("abc", b"abc", bytearray(b"abc")):
            assert provider.reload_opaque(blob, pin=pin).sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[arg-type,union-attr]
        assert lockout_counter(fresh_tpm) == 0
        wrong = provider.reload_opaque(blob, pin="xyz-pin")
        failure = refused(fresh_tpm, lambda: wrong.sign_digest(EcdsaSpec(), DIGEST), 1)  # type: ignore[union-attr]
        assert "1 of the 3 failures" in failure.message and "xyz-pin" not in str(failure)
        assert failure.token_code is not None and failure.token_code.name == "TPM_RC_AUTH_FAIL"
        with pytest.raises(CngError) as error:
            provider.reload_opaque(blob, pin=5)  # type: ignore[arg-type]
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


@pytest.mark.parametrize("counted", [True, False])
def test_no_pin_where_one_is_needed(fresh_tpm: Swtpm, open_tpm: Open, counted: bool) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        attributes = "sign" if counted else "sign|noda"
        silent = provider.reload_opaque(blob_of(fresh_tpm, "ecc256", attributes, b"abc", True))
        failure = refused(fresh_tpm, lambda: silent.sign_digest(EcdsaSpec(), DIGEST), int(counted))  # type: ignore[union-attr]
        assert "empty authorization for the key" in failure.message and "pin=" in failure.message
        assert counted or "does not count" in failure.message
        # Where the file says so, the TPM is not even asked.
        for stated in (False, None):
            blob = blob_of(fresh_tpm, "ecc256", attributes, b"abc", stated)
            refused(fresh_tpm, lambda: provider.reload_opaque(blob), 0)  # noqa: B023


@pytest.mark.parametrize("stated", [True, False, None])
@pytest.mark.parametrize("pin", ["", b""])
def test_an_empty_pin_is_an_empty_authorization(
    fresh_tpm: Swtpm, open_tpm: Open, stated: bool | None, pin: str | bytes
) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(blob_of(fresh_tpm, "ecc256", "sign", b"", stated), pin=pin)
        assert key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        assert key_file_asn1.parse(key.opaque()).empty_auth
        named = provider.persist_key(key, "without")
        assert provider.open_key("without", pin=pin).sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        assert named.sign_digest(EcdsaSpec(), DIGEST) and lockout_counter(fresh_tpm) == 0  # type: ignore[union-attr]


def test_every_use_of_a_key_tries_once(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        made = [
            blob_of(fresh_tpm, template, attributes, b"abc", False)
            for template, attributes in (("rsa1024", "decrypt"), ("ecc256", "decrypt"), ("ecc256", "sign"))
        ]
        silent = blob_of(fresh_tpm, "ecc256", "sign", b"abc", True)
        decrypting, agreeing, signing = (provider.reload_opaque(blob, pin="x") for blob in made)
        named, attested = provider.persist_key(signing, "named"), provider.reload_opaque(silent)
        for call in (
            lambda: decrypting.decrypt(RsaOaepSpec("SHA256"), b"\1" * 128),  # type: ignore[union-attr]
            lambda: agreeing.agree(agreeing.public),  # type: ignore[union-attr]
            lambda: named.sign_digest(EcdsaSpec(), DIGEST),  # type: ignore[union-attr]
            lambda: attested.attest(b"nonce"),
        ):
            refused(fresh_tpm, call, 1)
            reset_lockout(fresh_tpm)
        with pytest.raises(CngError) as error:
            named.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        assert "the key named 'named'" in error.value.message


def test_a_lockout_names_the_key_and_the_failures(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.persist_key(provider.reload_opaque(key_with_pin(fresh_tpm, b"abc"), pin="x"), "named")
        for _ in range(3):
            refused(fresh_tpm, lambda: key.sign_digest(EcdsaSpec(), DIGEST), 1)  # type: ignore[union-attr]
        with pytest.raises(TpmLockoutError) as error:
            key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        assert "named 'named'" in error.value.message and "3 of the 3 failures" in error.value.message


# The storage root key


def root_with_password(tpm: Swtpm, attributes: str = "") -> None:
    """What tpm2_createprimary -p makes; persistent where hwcng looks for it."""
    import tpm2_pytss as tss
    from tpm2_pytss.types import TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPMS_SENSITIVE_CREATE

    with tss.ESAPI(tpm.tcti) as client:
        common = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt" + attributes
        public = TPM2B_PUBLIC.parse("ecc256:aes128cfb", objectAttributes=common)
        sensitive = TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(userAuth=b"pw"))
        made = client.create_primary(sensitive, public, tss.ESYS_TR.OWNER)
        client.evict_control(tss.ESYS_TR.OWNER, made[0], 0x81000001)
        client.flush_context(made[0])


@pytest.mark.parametrize(("attributes", "tries"), [("", 1), ("|noda", 0)])
def test_a_storage_root_key_with_a_password(fresh_tpm: Swtpm, open_tpm: Open, attributes: str, tries: int) -> None:
    root_with_password(fresh_tpm, attributes)
    with open_tpm(fresh_tpm.uri) as provider, Swtpm() as other, open_tpm(other.uri) as stranger:
        blob = stranger.generate_pair(SIGNING).opaque()
        for call in (
            lambda: provider.generate_pair(SIGNING),
            lambda: provider.import_secret(AES, bytes(16)),
            lambda: provider.import_pair(SIGNING, ec_material("nistP256")[1]),
            lambda: provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=1024), rsa_material(1024)[1]),
            lambda: provider.reload_opaque(blob),
        ):
            failure = refused(fresh_tpm, call, tries)
            assert "the storage root key at 0x81000001" in failure.message
            assert "administrator" in failure.message
            reset_lockout(fresh_tpm)


def test_the_owners_refusal_says_so(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    set_owner_auth(fresh_tpm, "the owner")
    for arguments in ({}, {"pin": "somebody else"}):
        failure = refused(fresh_tpm, lambda: open_tpm(fresh_tpm.uri, **arguments), 0)  # noqa: B023
        assert "the TPM's owner" in failure.message and "owner-auth-source" in failure.message


# What is not a wrong PIN, and must not become a second try


def losing_one_answer(command: int) -> Callable[[Exchange], Exchange]:
    """A line that breaks once, after the TPM carried a command out."""
    lost: list[bytes] = []

    def instrument(exchange: Exchange) -> Exchange:
        def losing(request: bytes) -> bytes:
            response = exchange(request)
            # At a first PIN a TPM asks for the command again, before it looks.
            if not lost and int.from_bytes(request[6:10], "big") == command and response[8:10] != b"\x09\x22":
                lost.append(response)
                raise TransportError("the line broke")
            return response

        return losing

    return instrument


@pytest.mark.parametrize("pin", ["abc", "wrong"])
def test_a_pin_whose_answer_was_lost_is_not_sent_again(fresh_tpm: Swtpm, open_tpm: Open, pin: str) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(key_with_pin(fresh_tpm, b"abc"), pin=pin)
        undo = provider.connection.instrument(losing_one_answer(0x15D))
        with pytest.raises(CngError) as error:
            key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        undo()
        assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_CONNECTED
        assert lockout_counter(fresh_tpm) == int(pin == "wrong")


def test_a_pin_that_was_right_is_sent_again_after_a_loss(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(key_with_pin(fresh_tpm, b"abc"), pin="abc")
        key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        undo = provider.connection.instrument(losing_one_answer(0x15D))
        assert key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        undo()
        assert lockout_counter(fresh_tpm) == 0
        fresh_tpm.restart()
        # A TPM counts a loss of power itself.
        before = lockout_counter(fresh_tpm)
        assert key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
        assert lockout_counter(fresh_tpm) == before


def test_a_session_that_is_another_ones_is_not_called_a_wrong_pin(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    """After a reset somebody else's session has our session's handle, and the TPM takes ours for a forgery."""
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider:
        other = provider.reload_opaque(key_with_pin(fresh_tpm, b"abc"), pin="abc")
        key = provider.reload_opaque(key_with_pin(fresh_tpm, b"abc"), pin="abc")
        fresh_tpm.restart()
        with tss.ESAPI(fresh_tpm.tcti) as client:
            client.start_auth_session(
                tss.ESYS_TR.NONE, tss.ESYS_TR.NONE, tss.TPM2_SE.HMAC, tss.TPMT_SYM_DEF(algorithm=0x10), 0xB
            )
            client.load(client.tr_from_tpmpublic(0x81000001), *parts_of(other.opaque()))
            client.load(client.tr_from_tpmpublic(0x81000001), *parts_of(key.opaque()))
            with pytest.raises(CngError) as error:
                key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
            assert error.value.status is NTSTATUS.STATUS_DEVICE_NOT_READY
            assert "repeat the call" in error.value.message
            assert lockout_counter(fresh_tpm) <= 1
            assert key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]


def parts_of(blob: bytes) -> tuple[object, object]:
    from tpm2_pytss.types import TPM2B_PRIVATE, TPM2B_PUBLIC, TPMT_PUBLIC

    key = key_file_asn1.parse(blob)
    return TPM2B_PRIVATE(key.private), TPM2B_PUBLIC(TPMT_PUBLIC.unmarshal(key.public)[0])
