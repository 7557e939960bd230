"""Keys with PINs of their own and keys bound to PCRs, made by the properties of the Platform Crypto Provider.

TPM 2.0 Library, Part 1, sections 19.7 (policies) and 19.8 (lockout); tpm2-tools makes and uses the same keys.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance.helpers import key_data_blob, refused
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from support import MISSING
from tpm2.helpers import ec_material
from tpm2.test_provisioning import lockout_counter

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, PairSpec, Usage, ncrypt
from hwcng.contract.protection import PcrBinding, Protection
from hwcng.contract.specs import EcdsaSpec, HmacSpec, SecretSpec
from hwcng.contract.usage import SecretFamily
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1, policies
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.policies import Step
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

DIGEST = bytes(range(32))
PIN, OTHER = "a PIN of 2026", "another"
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
DEBUG_PCR, LOCKED_PCR = 16, 15
"""PCR 16 is for tests (TCG PC Client Platform TPM Profile, section 4.6), PCR 15 the system's."""
with_tools = pytest.mark.skipif(shutil.which("tpm2_pcrextend") is None, reason=MISSING + "command:tpm2_pcrextend")


def made(storage: StorageProvider, name: str | None, algorithm: str = "ECDSA_P256", **properties: Any) -> NCryptKey:
    key = ncrypt.NCryptCreatePersistedKey(storage, algorithm, name)
    for name_of, value in properties.items():
        ncrypt.NCryptSetProperty(key, name_of if name_of.startswith("PCP_") else name_of.replace("_", " "), value)
    ncrypt.NCryptFinalizeKey(key)
    return key


def signs(key: NCryptKey) -> bool:
    ncrypt.NCryptVerifySignature(key, None, DIGEST, ncrypt.NCryptSignHash(key, None, DIGEST))
    return True


def opened_with(storage: StorageProvider, name: str, pin: str) -> NCryptKey:
    ncrypt.NCryptSetProperty(storage, ncrypt.NCRYPT_PIN_PROPERTY, pin)
    return ncrypt.NCryptOpenKey(storage, name)


@pytest.mark.parametrize("by", [ncrypt.NCRYPT_PCP_USAGEAUTH_PROPERTY, ncrypt.NCRYPT_PIN_PROPERTY])
def test_a_key_with_a_pin(fresh_tpm: Swtpm, storage: StorageProvider, by: str) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "with a PIN")
    ncrypt.NCryptSetProperty(key, by, PIN)
    ncrypt.NCryptFinalizeKey(key)
    assert signs(key) and PIN not in repr(key) + repr(vars(key.key))
    # Without one the TPM is not asked.
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        ncrypt.NCryptOpenKey(storage, "with a PIN")
    assert lockout_counter(fresh_tpm) == 0
    assert signs(opened_with(storage, "with a PIN", PIN))
    wrong = opened_with(storage, "with a PIN", OTHER)
    with pytest.raises(CngError) as caught:
        ncrypt.NCryptSignHash(wrong, None, DIGEST)
    assert caught.value.status is HRESULT.NTE_INCORRECT_PASSWORD and OTHER not in str(caught.value)
    assert lockout_counter(fresh_tpm) == 1
    # The right one through the same handle.
    ncrypt.NCryptSetProperty(wrong, by, PIN)
    assert signs(wrong)


def test_a_pin_is_changed(fresh_tpm: Swtpm, storage: StorageProvider) -> None:
    key = made(storage, "changing", PCP_USAGEAUTH=PIN)
    again = opened_with(storage, "changing", PIN)
    ncrypt.NCryptSetProperty(again, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, OTHER)
    assert signs(again) and lockout_counter(fresh_tpm) == 0
    with pytest.raises(CngError):
        ncrypt.NCryptSignHash(opened_with(storage, "changing", PIN), None, DIGEST)
    assert lockout_counter(fresh_tpm) == 1
    assert signs(opened_with(storage, "changing", OTHER))
    # Taken away, then given to a key that had none.
    ncrypt.NCryptSetProperty(again, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, "")
    ncrypt.NCryptSetProperty(storage, ncrypt.NCRYPT_PIN_PROPERTY, "")
    free = ncrypt.NCryptOpenKey(storage, "changing")
    assert signs(free)
    ncrypt.NCryptSetProperty(free, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, PIN)
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        ncrypt.NCryptOpenKey(storage, "changing")
    # The handle whose blob gave way is of a file that is no more.
    with refused(HRESULT.NTE_BAD_KEYSET):
        ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, OTHER)
    assert signs(opened_with(storage, "changing", PIN))


def test_a_wrong_pin_changes_nothing(fresh_tpm: Swtpm, storage: StorageProvider) -> None:
    made(storage, "kept", PCP_USAGEAUTH=PIN)
    wrong = opened_with(storage, "kept", OTHER)
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        ncrypt.NCryptSetProperty(wrong, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, "new")
    assert lockout_counter(fresh_tpm) == 1
    assert signs(opened_with(storage, "kept", PIN))


@pytest.mark.parametrize("answered", [True, False])
def test_a_line_that_breaks_while_a_pin_is_changed(storage: StorageProvider, answered: bool) -> None:
    """Whether the TPM had done it or not: the file is as it was, because a TPM keeps nothing of it."""
    made(storage, "kept", PCP_USAGEAUTH=PIN)
    provider = storage.provider
    assert isinstance(provider, Tpm2Provider)
    key = opened_with(storage, "kept", PIN)
    broken: list[bytes] = []

    def breaking(exchange: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def carry(command: bytes) -> bytes:
            if command[6:10] == int(CC.ObjectChangeAuth).to_bytes(4, "big"):
                broken.append(command)
                if answered:
                    exchange(command)
                raise TransportError("cut", sent=True)
            return exchange(command)

        return carry

    undo = provider.connection.instrument(breaking)
    try:
        with pytest.raises(CngError) as caught:
            ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, OTHER)
    finally:
        undo()
    assert caught.value.status is HRESULT.NTE_DEVICE_NOT_READY or caught.value.status in set(HRESULT) | set(NTSTATUS)
    assert len(broken) == 1 and all(OTHER.encode() not in command for command in broken)
    assert signs(key) and signs(opened_with(storage, "kept", PIN))


def test_no_pin_is_on_the_line(storage: StorageProvider) -> None:
    provider: Any = storage.provider
    with CommandCounter(provider, record=True) as counter:
        key = made(storage, "silent", PCP_USAGEAUTH=PIN)
        assert signs(key)
        ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, OTHER)
        assert signs(key)
        pcrs = PcrBinding("SHA256", {DEBUG_PCR: None})
        bound = provider.protecting(Protection(PIN.encode(), pcrs)).generate_pair(SIGNING)
        bound.sign_digest(EcdsaSpec(), DIGEST)
        imported = provider.protecting(Protection(PIN.encode())).import_pair(SIGNING, ec_material("nistP256")[1])
        imported.sign_digest(EcdsaSpec(), DIGEST)
    octets = b"".join(counter.octets)
    assert PIN.encode() not in octets and OTHER.encode() not in octets
    assert PIN.encode() not in b"".join(path.read_bytes() for path in provider._store.directory.rglob("*.pem"))


@pytest.mark.parametrize("kind", ["AES", "imported AES", "HMAC", "imported pair", "RSA"])
def test_every_kind_of_key_has_its_pin(fresh_tpm: Swtpm, storage: StorageProvider, kind: str) -> None:
    """Used with the PIN, and with another once."""
    provider, maker = storage.provider, storage.provider.protecting(Protection(PIN.encode()), "one", replace=True)
    hmac_spec = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
    aes_spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
    rsa_spec = PairSpec("RSA", Usage.SIGN, bits=2048)
    if kind == "HMAC":
        key: Any = maker.generate_secret(hmac_spec)
    elif kind == "AES":
        key = maker.generate_secret(aes_spec)
    elif kind == "imported AES":
        key = maker.import_secret(aes_spec, bytes(16))
    else:
        key = maker.generate_pair(rsa_spec) if kind == "RSA" else maker.import_pair(SIGNING, ec_material("nistP256")[1])

    def used(opened: Any) -> None:
        from hwcng.contract.specs import CipherSpec, RsaPkcs1SignSpec
        from hwcng.contract.usage import CipherMode

        if kind == "HMAC":
            opened.mac(HmacSpec("SHA256"), b"data")
        elif "AES" in kind:
            opened.encrypt(CipherSpec(CipherMode.CBC, bytes(16)), bytes(16))
        else:
            opened.sign_digest(RsaPkcs1SignSpec("SHA256") if kind == "RSA" else EcdsaSpec(), DIGEST)

    used(key)
    used(provider.open_key("one", pin=PIN))
    with pytest.raises(CngError) as caught:
        used(provider.open_key("one", pin=OTHER))
    assert caught.value.status is NTSTATUS.STATUS_WRONG_PASSWORD and lockout_counter(fresh_tpm) == 1


@with_tools
def test_a_key_bound_to_pcrs(storage: StorageProvider, tools: Callable[..., bytes]) -> None:
    """As they are when it is made. Other PCRs change as they like, also between two commands."""
    key = made(storage, "bound", PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR | 1 << LOCKED_PCR)
    assert signs(key)
    tools(f"tpm2_pcrextend 10:sha256={'11' * 32}")
    assert signs(key) and signs(ncrypt.NCryptOpenKey(storage, "bound"))
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'22' * 32}")
    with pytest.raises(CngError) as caught:
        ncrypt.NCryptSignHash(key, None, DIGEST)
    assert caught.value.status is HRESULT.NTE_PERM, caught.value
    assert "SHA256 15 16" in caught.value.message
    tools(f"tpm2_pcrreset {DEBUG_PCR}")
    assert signs(key)


@with_tools
def test_a_key_bound_to_a_state_to_come(storage: StorageProvider, tools: Callable[..., bytes]) -> None:
    after = policies.composite([bytes(32) + b"\x33" * 32])
    with pytest.raises(CngError) as caught:
        made(
            storage,
            "bad",
            PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR,
            PCP_PLATFORM_BINDING_PCRDIGESTLIST=bytes(33),
        )
    assert caught.value.status is HRESULT.NTE_INVALID_PARAMETER
    key = made(storage, "later", PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR, PCP_PLATFORM_BINDING_PCRDIGESTLIST=after)
    whole = [bytes(32)] * DEBUG_PCR + [after] + [bytes(32)] * (23 - DEBUG_PCR)
    same = made(
        storage,
        None,
        PCP_PLATFORM_BINDING_PCRMASK=(1 << DEBUG_PCR).to_bytes(3, "little"),
        PCP_PLATFORM_BINDING_PCRDIGESTLIST=whole,
    )
    for one in (key, same):
        with refused(HRESULT.NTE_PERM):
            ncrypt.NCryptSignHash(one, None, DIGEST)
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'33' * 32}")
    assert signs(key) and signs(same)


@with_tools
def test_pcrs_and_a_pin(fresh_tpm: Swtpm, storage: StorageProvider, tools: Callable[..., bytes]) -> None:
    """A state that does not fit costs no try of the PIN."""
    made(storage, "both", PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR, PCP_USAGEAUTH=PIN)
    key = opened_with(storage, "both", PIN)
    assert signs(key)
    wrong = opened_with(storage, "both", OTHER)
    with refused(HRESULT.NTE_INCORRECT_PASSWORD):
        ncrypt.NCryptSignHash(wrong, None, DIGEST)
    assert lockout_counter(fresh_tpm) == 1
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, "a third")
    assert signs(opened_with(storage, "both", "a third"))
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'22' * 32}")
    for one in (key, wrong):
        with refused(HRESULT.NTE_PERM):
            ncrypt.NCryptSignHash(one, None, DIGEST)
    assert lockout_counter(fresh_tpm) == 1


def test_a_pin_that_a_policy_does_not_ask_for(storage: StorageProvider) -> None:
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_CHANGEPASSWORD_PROPERTY, PIN)
    with pytest.raises(CngError) as caught:
        maker = storage.provider.protecting(Protection(pcrs=PcrBinding("SHA256", {DEBUG_PCR: None})))
        maker.generate_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"))
    assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED and "HMAC" in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("PCP_USAGEAUTH", "x" * 33, HRESULT.NTE_INVALID_PARAMETER),
        ("PCP_USAGEAUTH", b"abc\0", HRESULT.NTE_INVALID_PARAMETER),
        ("PCP_PLATFORM_BINDING_PCRMASK", 1 << 24, HRESULT.NTE_INVALID_PARAMETER),
        ("PCP_PLATFORM_BINDING_PCRMASK", -1, HRESULT.NTE_INVALID_PARAMETER),
        ("PCP_PLATFORM_BINDING_PCRALGID", "MD5", HRESULT.NTE_NOT_SUPPORTED),
        ("PCP_PLATFORM_BINDING_PCRALGID", 0x12, HRESULT.NTE_NOT_SUPPORTED),
        ("PCP_CHANGEPASSWORD", PIN, HRESULT.NTE_BAD_KEY_STATE),
    ],
)
def test_what_no_key_can_have(storage: StorageProvider, name: str, value: Any, status: HRESULT) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    with refused(status):
        ncrypt.NCryptSetProperty(key, name, value)
        ncrypt.NCryptFinalizeKey(key)


@with_tools
def test_a_bank_that_the_tpm_does_not_have(
    fresh_tpm: Swtpm, storage: StorageProvider, tools: Callable[..., bytes]
) -> None:
    tools("tpm2_pcrallocate sha1:none+sha256:all+sha384:all+sha512:none")
    tools("tpm2_shutdown -c")
    fresh_tpm.kill()
    fresh_tpm.start()
    assert signs(made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1, PCP_PLATFORM_BINDING_PCRALGID="SHA384"))
    with pytest.raises(CngError) as caught:
        made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1, PCP_PLATFORM_BINDING_PCRALGID=0xD)
    assert caught.value.status is HRESULT.NTE_NOT_SUPPORTED and "bank SHA512" in caught.value.message


def test_a_token_without_such_keys(provider: hwcng.Provider) -> None:
    """On a PKCS#11 token a PIN is the token's."""
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PIN_PROPERTY, "whatever")
    for name, value in (("PCP_USAGEAUTH", PIN), ("PCP_PLATFORM_BINDING_PCRMASK", 1)):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            ncrypt.NCryptSetProperty(key, name, value)
    ncrypt.NCryptFinalizeKey(key)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptSetProperty(key, "PCP_CHANGEPASSWORD", PIN)
    aes = ncrypt.NCryptImportKey(storage, None, "KeyDataBlob", None, key_data_blob(bytes(16)))
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptSetProperty(aes, "PCP_CHANGEPASSWORD", PIN)


@with_tools
@pytest.mark.parametrize("pin", ["", PIN.replace(" ", "-")])
def test_a_key_of_tpm2_tools_bound_to_pcrs(
    fresh_tpm: Swtpm, storage: StorageProvider, tools: Callable[..., bytes], tmp_path: Path, pin: str
) -> None:
    """Its policy is written into the file as openssl_tpm2_engine and tpm2-openssl read it."""
    tools("tpm2_startauthsession -S trial.ctx")
    tools(f"tpm2_policypcr -S trial.ctx -l sha256:{DEBUG_PCR} -L policy")
    if pin:
        tools("tpm2_policyauthvalue -S trial.ctx -L policy")
    tools("tpm2_flushcontext trial.ctx")
    auth = f"-p {pin}" if pin else ""
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|sign"
    tools(f"tpm2_create -C 0x81000001 -G ecc256 -a {attributes} -L policy -u key.pub -r key.priv {auth}")
    tools("tpm2_flushcontext -t")
    steps = [policies.pcr_step("SHA256", {DEBUG_PCR: bytes(32)}), *([policies.AUTH_VALUE] if pin else [])]
    public, private = ((tmp_path / f"key.{end}").read_bytes()[2:] for end in ("pub", "priv"))
    file = key_file_asn1.TssKey(0x81000001, public, private, not pin, policy=tuple(steps))
    blob = key_file_asn1.build(file)
    assert key_file_asn1.parse(blob) == file
    parameters = [(ncrypt.NCRYPTBUFFER_PKCS_KEY_NAME, "theirs"), (ncrypt.NCRYPTBUFFER_PKCS_SECRET, pin)]
    ncrypt.NCryptImportKey(storage, None, "OpaqueKeyBlob", parameters, blob)
    assert signs(opened_with(storage, "theirs", pin))
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'22' * 32}")
    with refused(HRESULT.NTE_PERM):
        signs(opened_with(storage, "theirs", pin))


@with_tools
def test_tpm2_tools_use_a_key_of_ours(storage: StorageProvider, tools: Callable[..., bytes], tmp_path: Path) -> None:
    pin = PIN.replace(" ", "-")
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR, PCP_USAGEAUTH=pin)
    file = key_file_asn1.parse(ncrypt.NCryptExportKey(key, None, "OpaqueKeyBlob"))
    for end, octets in (("pub", file.public), ("priv", file.private)):
        (tmp_path / f"key.{end}").write_bytes(len(octets).to_bytes(2, "big") + octets)
    (tmp_path / "digest").write_bytes(DIGEST)
    storage.provider.close()
    tools("tpm2_load -C 0x81000001 -u key.pub -r key.priv -c key.ctx")
    tools("tpm2_startauthsession --policy-session -S session.ctx")
    tools(f"tpm2_policypcr -S session.ctx -l sha256:{DEBUG_PCR}")
    tools("tpm2_policyauthvalue -S session.ctx")
    tools(f"tpm2_sign -c key.ctx -p session:session.ctx+{pin} -g sha256 -d digest -f plain -o signature")
    assert isinstance(key.public_key(), ec.EllipticCurvePublicKey)
    signature = (tmp_path / "signature").read_bytes()
    public: Any = key.public_key()
    public.verify(signature, DIGEST, ec.ECDSA(utils.Prehashed(SHA256())))


def policy_commands() -> dict[int, str]:
    """As tpm2-pytss names them, and those of Part 3 that it does not know yet."""
    import tpm2_pytss

    codes = tpm2_pytss.TPM2_CC
    return {int(getattr(codes, name)): name for name in dir(codes) if name.startswith("Policy")} | {
        0x1A1: "PolicyTransportSPDM",
        0x999: "a policy command 0x999",
    }


def test_other_policies_are_named(storage: StorageProvider) -> None:
    """Whatever comes before them; a TPM is not asked."""
    bound = storage.provider.protecting(Protection(pcrs=PcrBinding("SHA256", {DEBUG_PCR: None})))
    file = key_file_asn1.parse(bound.generate_pair(SIGNING).opaque())
    served = {int(CC.PolicyPCR), int(CC.PolicyAuthValue)}
    commands = policy_commands()
    assert len(commands) > 20 and served < commands.keys()
    for code, name in commands.items():
        assert policies.step_name(code) == name
        if code in served:
            continue
        for steps in ((Step(code, bytes(34)),), (policies.AUTH_VALUE, Step(code))):
            other = key_file_asn1.TssKey(file.parent, file.public, file.private, policy=steps)
            with CommandCounter(storage.provider) as counter, pytest.raises(CngError) as caught:  # type: ignore[arg-type]
                storage.provider.reload_opaque(key_file_asn1.build(other))
            assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
            assert f"used by {name};" in caught.value.message and counter.total == 0


def test_a_policy_that_is_not_the_keys(storage: StorageProvider) -> None:
    bound = storage.provider.protecting(Protection(pcrs=PcrBinding("SHA256", {DEBUG_PCR: None})))
    file = key_file_asn1.parse(bound.generate_pair(SIGNING).opaque())
    for steps, status in (
        ((), NTSTATUS.STATUS_INVALID_PARAMETER),
        ((policies.AUTH_VALUE,), NTSTATUS.STATUS_INVALID_PARAMETER),
        ((*file.policy, policies.AUTH_VALUE), NTSTATUS.STATUS_INVALID_PARAMETER),
        ((policies.pcr_step("SHA256", {1: bytes(32)}),), NTSTATUS.STATUS_INVALID_PARAMETER),
    ):
        other = key_file_asn1.TssKey(file.parent, file.public, file.private, policy=steps)
        with pytest.raises(CngError) as caught:
            storage.provider.reload_opaque(key_file_asn1.build(other))
        assert caught.value.status is status


def answering(provider: Tpm2Provider, code: int, rc: int, times: int) -> tuple[Callable[[], None], list[int]]:
    """The TPM answers `rc` to the next commands of a kind."""
    seen: list[int] = []

    def instead(exchange: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def carry(command: bytes) -> bytes:
            if command[6:10] == code.to_bytes(4, "big") and len(seen) < times:
                seen.append(code)
                return b"\x80\x01" + (10).to_bytes(4, "big") + rc.to_bytes(4, "big")
            return exchange(command)

        return carry

    return provider.connection.instrument(instead), seen


@pytest.mark.parametrize(("times", "works"), [(1, True), (2, True), (3, False)])
def test_pcrs_that_change_between_two_commands(storage: StorageProvider, times: int, works: bool) -> None:
    """Any PCR's change makes the TPM forget what was satisfied: it is satisfied anew, and not for ever."""
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR)
    provider: Any = storage.provider
    undo, seen = answering(provider, CC.Sign, RC.PCR_CHANGED, times)
    try:
        if works:
            assert signs(key)
        else:
            with refused(HRESULT.NTE_PERM):
                ncrypt.NCryptSignHash(key, None, DIGEST)
    finally:
        undo()
    assert len(seen) == times and signs(key)


@pytest.mark.parametrize("rc", [RC.SESSION_MEMORY, RC.SESSION_HANDLES, RC.RETRY])
def test_no_room_for_a_policy_session(storage: StorageProvider, rc: int) -> None:
    """What is ours gives way, and it is tried again."""
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR, PCP_USAGEAUTH=PIN)
    provider: Any = storage.provider
    undo, seen = answering(provider, CC.StartAuthSession, rc, 1)
    try:
        assert signs(key)
    finally:
        undo()
    assert len(seen) == 1


@pytest.mark.parametrize("code", [CC.StartAuthSession, CC.PolicyPCR, CC.Sign, CC.FlushContext])
def test_a_line_that_breaks_in_the_middle_of_a_policy(fresh_tpm: Swtpm, storage: StorageProvider, code: int) -> None:
    """It begins anew, and no session is left in the TPM."""
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR)
    provider: Any = storage.provider
    cut: list[bytes] = []

    def breaking(exchange: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def carry(command: bytes) -> bytes:
            answer = exchange(command)
            if command[6:10] == int(code).to_bytes(4, "big") and not cut:
                cut.append(command)
                raise TransportError("cut", sent=True)
            return answer

        return carry

    undo = provider.connection.instrument(breaking)
    try:
        assert signs(key)
    finally:
        undo()
    assert cut
    import tpm2_pytss as tss

    provider.close()
    with tss.ESAPI(fresh_tpm.tcti) as context:
        for kind in (0x02000000, 0x03000000):
            assert list(context.get_capability(tss.TPM2_CAP.HANDLES, kind, 16)[1].data.handles) == []
