"""Keys that other software made, where it keeps them: below parents of its own, importable, at persistent handles."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tpm2_pytss as tss
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from support import MISSING
from tpm2.helpers import ec_material, rsa_material, set_owner_auth
from tpm2.test_authorization import root_with_password
from tpm2.test_openssl import has_provider, openssl
from tpm2.test_provisioning import lockout_counter
from tpm2_pytss.utils import wrap

import hwcng
from hwcng import ncrypt
from hwcng.bcrypt import BCryptSignHash
from hwcng.contract.material import EcPublicKey
from hwcng.contract.specs import CipherSpec, EcdsaSpec, PairSpec, RsaPkcs1SignSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import commands, key_file_asn1
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import Exchange
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
DIGEST = bytes(range(32))
OWNER, PERSISTENT = 0x40000001, 0x81000123
STORAGE = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt"
SIGNING = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"


def public_of(template: str, attributes: str) -> tss.TPM2B_PUBLIC:
    return tss.TPM2B_PUBLIC(
        tss.TPMT_PUBLIC.parse(template, objectAttributes=tss.TPMA_OBJECT.parse(attributes), nameAlg="sha256")
    )


def with_unique(public: tss.TPM2B_PUBLIC, octets: int) -> tss.TPM2B_PUBLIC:
    area = public.publicArea
    if area.type == tss.TPM2_ALG.RSA:
        area.unique.rsa = bytes(octets)
    else:
        area.unique.ecc = tss.TPMS_ECC_POINT(x=bytes(octets), y=bytes(octets))
    return public


def child_of(context: tss.ESAPI, parent: object, template: str, auth: bytes = b"") -> tuple[bytes, bytes]:
    sensitive = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=auth))
    made = context.create(parent, sensitive, public_of(template, SIGNING))
    return bytes(made[1].publicArea.marshal()), bytes(made[0])


def primary_of(context: tss.ESAPI, template: str, attributes: str, unique: int) -> Any:
    public = with_unique(public_of(template, attributes), unique)
    return context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), public)[0]


def made_below(tpm: Swtpm, template: str, unique: int, persistent: int = 0, auth: bytes = b"") -> TssKey:
    """What software makes that keeps its keys below a primary key of this template. persistent: where that one is."""
    with tss.ESAPI(tpm.tcti) as context:
        primary = primary_of(context, template, STORAGE + ("" if persistent else "|noda"), unique)
        parts = child_of(context, primary, "ecc256", auth)
        if persistent:
            context.evict_control(tss.ESYS_TR.OWNER, primary, persistent)
        context.flush_context(primary)
    return TssKey(persistent or OWNER, *parts, not auth, template.startswith("rsa") and not persistent)


def verifies(key: object, signature: bytes) -> bool:
    public = key.public  # type: ignore[attr-defined]
    assert isinstance(public, EcPublicKey)
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    host = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key()
    host.verify(utils.encode_dss_signature(r, s), DIGEST, ec.ECDSA(utils.Prehashed(SHA256())))
    return True


def signs(key: object) -> bool:
    return verifies(key, key.sign_digest(EcdsaSpec(), DIGEST))  # type: ignore[attr-defined]


def transient(tpm: Swtpm) -> int:
    with tss.ESAPI(tpm.tcti) as context:
        found = context.get_capability(tss.TPM2_CAP.HANDLES, 0x80000000, 8)
        return len(list(found[1].data.handles))


@pytest.fixture
def provider(fresh_tpm: Swtpm, open_tpm: Open) -> Iterator[Tpm2Provider]:
    with open_tpm(fresh_tpm.uri) as opened:
        yield opened


# Parents


@pytest.mark.parametrize(
    ("template", "unique", "said"),
    [
        ("ecc256:null:aes128cfb", 0, True),
        ("ecc256:null:aes128cfb", 32, True),
        ("rsa2048:null:aes128cfb", 0, True),
        ("rsa2048:null:aes128cfb", 256, True),
        ("rsa2048:null:aes128cfb", 0, False),
    ],
)
def test_a_primary_key_of_the_owners_is_made_for_the_call(
    fresh_tpm: Swtpm, open_tpm: Open, template: str, unique: int, said: bool
) -> None:
    file = made_below(fresh_tpm, template, unique)
    blob = key_file_asn1.build(TssKey(file.parent, file.public, file.private, True, said and file.rsa_parent))
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(blob)
        provider.connection.release_slots()
        assert transient(fresh_tpm) == 0
        assert signs(key)
        assert key_file_asn1.parse(key.opaque()) == file
        named = provider.persist_key(key, "of others")
        assert signs(named)
    with open_tpm(fresh_tpm.uri) as again:
        opened = again.open_key("of others")
        assert signs(opened) and key_file_asn1.parse(opened.opaque()) == file
        assert [record.name for record in again.list_keys()] == ["of others"]


def test_a_reset_takes_nothing_from_a_key_of_the_owners(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    blob = key_file_asn1.build(made_below(fresh_tpm, "ecc256:null:aes128cfb", 0))
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(blob)
        assert signs(key)
        fresh_tpm.restart()
        assert signs(key)


@pytest.mark.parametrize(
    "template", ["ecc256:null:aes128cfb", "ecc384:null:aes256cfb", "rsa2048:null:aes128cfb", "rsa3072:null:aes256cfb"]
)
def test_any_persistent_storage_key(fresh_tpm: Swtpm, open_tpm: Open, template: str) -> None:
    file = made_below(fresh_tpm, template, 0, PERSISTENT)
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(key_file_asn1.build(file))
        assert signs(key) and key_file_asn1.parse(key.opaque()).parent == PERSISTENT
        assert signs(provider.persist_key(key, "below it"))
        provider.connection.release_slots()
    with open_tpm(fresh_tpm.uri) as again:
        assert signs(again.open_key("below it"))


def test_a_parent_that_is_no_storage_key(fresh_tpm: Swtpm, provider: Tpm2Provider) -> None:
    signing = PairSpec("EC", Usage.SIGN, curve="nistP256")
    named = provider.persist_key(provider.generate_pair(signing), "a key")
    handle = provider.make_persistent("a key")
    file = key_file_asn1.parse(named.opaque())
    with pytest.raises(CngError, match="no storage key is there") as error:
        provider.reload_opaque(key_file_asn1.build(TssKey(handle, file.public, file.private)))
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


@pytest.mark.parametrize("counted", [True, False])
def test_a_parent_with_a_password(fresh_tpm: Swtpm, open_tpm: Open, counted: bool) -> None:
    """hwcng has none to send: it says so, once for the TPM where it counts."""
    open_tpm(fresh_tpm.uri).close()
    with tss.ESAPI(fresh_tpm.tcti) as context:
        sensitive = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=b"the parent's own"))
        public = public_of("ecc256:null:aes128cfb", STORAGE + ("" if counted else "|noda"))
        primary = context.create_primary(sensitive, public)[0]
        context.tr_set_auth(primary, b"the parent's own")
        parts = child_of(context, primary, "ecc256")
        context.evict_control(tss.ESYS_TR.OWNER, primary, PERSISTENT)
        context.flush_context(primary)
    blob = key_file_asn1.build(TssKey(PERSISTENT, *parts))
    with open_tpm(fresh_tpm.uri) as provider:
        with (
            CommandCounter(provider) as counter,
            pytest.raises(CngError, match="the storage key at 0x81000123") as error,
        ):
            provider.reload_opaque(blob)
        assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD and "sends none" in error.value.message
        assert counter.names.count("TPM2_Load") == 1 and lockout_counter(fresh_tpm) == int(counted)


def test_a_key_of_nobody_leaves_nothing_behind(fresh_tpm: Swtpm, provider: Tpm2Provider) -> None:
    with Swtpm() as other:
        foreign = key_file_asn1.build(made_below(other, "ecc256:null:aes128cfb", 0))
    with pytest.raises(CngError, match="not of this TPM") as error:
        provider.reload_opaque(foreign)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert error.value.token_code is not None and error.value.token_code.name == "TPM_RC_INTEGRITY"
    assert transient(fresh_tpm) == 0


def test_the_owners_authorization_is_tried_once_and_hidden(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path) -> None:
    blob = key_file_asn1.build(made_below(fresh_tpm, "ecc256:null:aes128cfb", 0))
    open_tpm(fresh_tpm.uri).close()
    set_owner_auth(fresh_tpm, "owner's own")
    for value, works in ((None, False), ("another", False), ("owner's own", True)):
        source = tmp_path / str(value)
        source.write_text(value or "")
        uri = fresh_tpm.uri + (f"&owner-auth-source=file:{source}" if value else "")
        uri = uri.replace("owner's own", "owner%27s%20own")
        with open_tpm(uri) as provider, CommandCounter(provider, record=True) as counter:
            if works:
                assert signs(provider.reload_opaque(blob))
            else:
                with pytest.raises(CngError, match="the TPM's owner") as error:
                    provider.reload_opaque(blob)
                assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
            assert counter.names.count("TPM2_CreatePrimary") == 1
            assert b"owner's own" not in b"".join(counter.octets)


def test_a_pin_below_a_primary_key(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    blob = key_file_asn1.build(made_below(fresh_tpm, "ecc256:null:aes128cfb", 0, auth=b"1234"))
    with open_tpm(fresh_tpm.uri) as provider:
        with pytest.raises(CngError, match="needs a PIN") as error:
            provider.reload_opaque(blob)
        assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
        assert signs(provider.reload_opaque(blob, pin="1234"))


@pytest.mark.parametrize("command", [CC.CreatePrimary, CC.Load])
@pytest.mark.parametrize("code", [RC.RETRY, RC.OBJECT_MEMORY, RC.REFERENCE_H0])
def test_what_passes_while_a_primary_key_is_made(fresh_tpm: Swtpm, open_tpm: Open, command: int, code: int) -> None:
    blob = key_file_asn1.build(made_below(fresh_tpm, "ecc256:null:aes128cfb", 0))
    with open_tpm(fresh_tpm.uri) as provider:
        codes = [code]

        def instrument(exchange: Exchange) -> Exchange:
            def saying(request: bytes) -> bytes:
                if int.from_bytes(request[6:10], "big") == command and codes:
                    return bytes.fromhex("80010000000a") + codes.pop().to_bytes(4, "big")
                return exchange(request)

            return saying

        # Of ours, so that there is something to give way.
        signs(provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")))
        undo = provider.connection.instrument(instrument)
        key = provider.reload_opaque(blob)
        undo()
        assert not codes and signs(key)
        provider.connection.release_slots()
        assert transient(fresh_tpm) == 0


# Storage root keys that others made


@pytest.mark.parametrize("password", [b"", b"the root's own"])
@pytest.mark.parametrize(
    ("template", "hashing"),
    [
        ("ecc256:null:aes128cfb", "sha256"),
        ("ecc256:null:aes256cfb", "sha384"),
        ("ecc384:null:aes256cfb", "sha384"),
        ("rsa2048:null:aes128cfb", "sha256"),
        ("rsa3072:null:aes256cfb", "sha384"),
    ],
)
def test_any_storage_root_key(
    fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path, template: str, hashing: str, password: bytes
) -> None:
    with tss.ESAPI(fresh_tpm.tcti) as context:
        area = tss.TPMT_PUBLIC.parse(template, objectAttributes=tss.TPMA_OBJECT.parse(STORAGE), nameAlg=hashing)
        sensitive = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=password))
        made = context.create_primary(sensitive, tss.TPM2B_PUBLIC(area))[0]
        context.evict_control(tss.ESYS_TR.OWNER, made, 0x81000001)
        context.flush_context(made)
    (tmp_path / "password").write_bytes(password)
    uri = fresh_tpm.uri + (f"&root-auth-source=file:{tmp_path / 'password'}" if password else "")
    both = Usage.ENCRYPT | Usage.DECRYPT
    signing = PairSpec("EC", Usage.SIGN, curve="nistP256")
    spec = CipherSpec(CipherMode.ECB)
    imported, secret = ec_material("nistP256")[1], bytes(range(100, 116))
    with open_tpm(uri) as provider, CommandCounter(provider, record=True) as counter:
        provider.persist_key(provider.generate_pair(signing), "made")
        assert signs(provider.import_pair(signing, imported))
        aes = provider.import_secret(SecretSpec(SecretFamily.AES, 128, both), secret)
        host = Cipher(AES(secret), ECB()).encryptor()  # noqa: S305
        assert aes.encrypt(spec, DIGEST) == host.update(DIGEST)
        assert len(provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=2048), rsa_material(2048)[1]).opaque()) > 500
        assert provider.open_key("made").attest(b"nonce").signature
        octets = b"".join(counter.octets)
        assert secret not in octets and (not password or password not in octets)
    with open_tpm(uri) as provider:
        assert signs(provider.open_key("made"))


def test_a_wrong_password_of_the_storage_root_key_is_sent_once(
    fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path
) -> None:
    root_with_password(fresh_tpm)
    (tmp_path / "password").write_text("wrong")
    signing = PairSpec("EC", Usage.SIGN, curve="nistP256")
    with open_tpm(f"{fresh_tpm.uri}&root-auth-source=file:{tmp_path / 'password'}") as provider:
        for _ in range(4):
            with pytest.raises(CngError, match="storage root key at 0x81000001") as error:
                provider.generate_pair(signing)
            assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
            assert "root-auth-source" in error.value.message and "wrong" not in error.value.message.split(";")[-1]
        assert lockout_counter(fresh_tpm) == 1


# Importable files


def importable(tpm: Swtpm, parent: int, key: ec.EllipticCurvePrivateKey) -> TssKey:
    """By tpm2-pytss: a private key of the host, wrapped for a storage key of this TPM."""
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = tss.TPM2B_PUBLIC.from_pem(public_pem, objectAttributes=tss.TPMA_OBJECT.parse("userwithauth|sign"))
    with tss.ESAPI(tpm.tcti) as context:
        if parent == OWNER:
            template = with_unique(public_of("ecc256:null:aes128cfb", STORAGE + "|noda"), 0)
            made = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), template)
            area = made[1].publicArea
            context.flush_context(made[0])
        else:
            shown = context.read_public(context.tr_from_tpmpublic(parent))
            area = shown[0].publicArea
        _, duplicate, secret = wrap(area, public, tss.TPM2B_SENSITIVE.from_pem(private_pem))
    return TssKey(parent, bytes(public.publicArea.marshal()), bytes(duplicate), True, secret=bytes(secret))


@pytest.mark.parametrize(
    ("parent", "template"),
    [
        (0x81000001, ""),
        (OWNER, ""),
        (PERSISTENT, "rsa2048:null:aes128cfb"),
        (PERSISTENT, "ecc384:null:aes256cfb"),
    ],
)
def test_an_importable_file_is_imported(fresh_tpm: Swtpm, open_tpm: Open, parent: int, template: str) -> None:
    open_tpm(fresh_tpm.uri).close()
    if template:
        made_below(fresh_tpm, template, 0, parent)
    key = ec.generate_private_key(ec.SECP256R1())
    file = importable(fresh_tpm, parent, key)
    blob = key_file_asn1.build(file)
    assert key_file_asn1.parse(blob) == file
    with open_tpm(fresh_tpm.uri) as provider:
        with CommandCounter(provider, record=True) as counter:
            imported = provider.reload_opaque(blob)
        assert imported.public.x == key.public_key().public_numbers().x  # type: ignore[union-attr]
        assert signs(imported)
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        assert scalar not in b"".join(counter.octets)
        assert not key_file_asn1.parse(imported.opaque()).secret
        assert signs(provider.persist_key(imported, "imported"))
    with open_tpm(fresh_tpm.uri) as again:
        assert signs(again.open_key("imported"))
    with Swtpm() as other, open_tpm(other.uri) as elsewhere, pytest.raises(CngError) as error:
        elsewhere.reload_opaque(blob)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert ("nothing is there" if template else "not of this TPM") in error.value.message


def test_a_uri_of_the_provider_may_name_a_key(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(f"{fresh_tpm.uri}&handle={HANDLE:#x}") as provider:
        provider.persist_key(provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")), "one")
        assert provider.key_uri("one").endswith("&object=one")
    with open_tpm(f"{fresh_tpm.uri}&object=one") as provider:
        assert provider.key_uri(f"handle:{HANDLE:#x}").endswith("&handle=0x81010005")


# Persistent handles


def at_a_handle(tpm: Swtpm, handle: int, auth: bytes = b"") -> None:
    with tss.ESAPI(tpm.tcti) as context:
        parent = context.tr_from_tpmpublic(0x81000001)
        sensitive = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=auth))
        made = context.create(parent, sensitive, public_of("ecc256", SIGNING))
        loaded = context.load(parent, made[0], made[1])
        context.evict_control(tss.ESYS_TR.OWNER, loaded, handle)
        context.flush_context(loaded)


HANDLE = 0x81010005


def test_a_key_at_a_persistent_handle(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    at_a_handle(fresh_tpm, HANDLE)
    name = f"handle:{HANDLE:#x}"
    with hwcng.open_provider(fresh_tpm.uri) as provider:
        key = ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(provider), name)
        assert len(ncrypt.NCryptSignHash(key, None, DIGEST)) == 64
        low = provider.open_key(name)
        assert signs(low) and signs(low.session_copy())
        with pytest.raises(CngError, match="gives no blob"):
            low.opaque()
        uri = provider.key_uri(name)
        assert uri.endswith("&handle=0x81010005")
        with pytest.raises(CngError, match="gives no blob") as error:
            provider.persist_key(low, "copied")
        assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
        low.destroy()
        assert len(BCryptSignHash(hwcng.open_key(uri), None, DIGEST)) == 64
        fresh_tpm.restart()
        assert signs(provider.open_key(name))


def test_a_handle_that_holds_no_key(provider: Tpm2Provider) -> None:
    for handle, status in ((0x81000777, HRESULT.NTE_BAD_KEYSET), (0x81000001, HRESULT.NTE_NOT_SUPPORTED)):
        with pytest.raises(CngError, match=f"{handle:#x}") as error:
            provider.open_key(f"handle:{handle:#x}")
        assert error.value.status is status
    for name in ("handle:0x80000001", "handle:81010005", "handle:"):
        with pytest.raises(CngError, match="there is no key named"):
            provider.open_key(name)


def test_a_pin_at_a_persistent_handle_is_tried_once(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    at_a_handle(fresh_tpm, HANDLE, b"1234")
    with open_tpm(fresh_tpm.uri) as provider:
        assert signs(provider.open_key(f"handle:{HANDLE:#x}", pin="1234"))
        wrong = provider.open_key(f"handle:{HANDLE:#x}", pin="4321")
        for _ in range(3):
            with CommandCounter(provider) as counter, pytest.raises(CngError, match="the key at 0x81010005") as error:
                wrong.sign_digest(EcdsaSpec(), DIGEST)
            assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
        assert "TPM2_Sign" not in counter.names
        assert signs(provider.open_key(f"handle:{HANDLE:#x}", pin="1234"))


def test_another_key_at_the_handle_is_told(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    at_a_handle(fresh_tpm, HANDLE)
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.open_key(f"handle:{HANDLE:#x}")
        assert signs(key)
        provider.connection.release_slots()
        with tss.ESAPI(fresh_tpm.tcti) as context:
            context.evict_control(tss.ESYS_TR.OWNER, context.tr_from_tpmpublic(HANDLE), HANDLE)
        with pytest.raises(CngError, match="no such object") as error:
            signs(key)
        assert error.value.status is NTSTATUS.STATUS_NOT_FOUND
        at_a_handle(fresh_tpm, HANDLE)
        with pytest.raises(CngError, match="another object is at 0x81010005") as error:
            signs(key)
        assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE
        assert signs(provider.open_key(f"handle:{HANDLE:#x}"))


def test_a_key_at_a_handle_is_pickled_and_not_deleted(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    at_a_handle(fresh_tpm, HANDLE)
    with hwcng.open_provider(fresh_tpm.uri) as provider:
        key = hwcng.open_key(provider.key_uri(f"handle:{HANDLE:#x}"))
        again = pickle.loads(pickle.dumps(key))
        assert again.uri == key.uri and len(BCryptSignHash(again, None, DIGEST)) == 64
        with pytest.raises(CngError, match="tpm2_evictcontrol -c 0x81010005") as error:
            provider.delete_key(f"handle:{HANDLE:#x}")
        assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
        assert len(BCryptSignHash(key, None, DIGEST)) == 64


def test_keys_at_handles_are_listed(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    """Those that a program can use, once each; a storage key is none."""
    open_tpm(fresh_tpm.uri).close()
    at_a_handle(fresh_tpm, HANDLE)
    at_a_handle(fresh_tpm, HANDLE + 1, b"1234")
    made_below(fresh_tpm, "ecc384:null:aes256cfb", 0, PERSISTENT)
    with hwcng.open_provider(fresh_tpm.uri) as provider:
        ours = provider.named("ours").generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP384"))
        handle = provider.make_persistent("ours")  # type: ignore[attr-defined]
        with CommandCounter(provider) as counter:  # type: ignore[arg-type]
            listed = {record.name: record for record in provider.list_keys()}
        # One for each but the storage root key.
        assert counter.names == ["TPM2_GetCapability", *["TPM2_ReadPublic"] * 4]
        names = [f"handle:{number:#x}" for number in (HANDLE, HANDLE + 1)]
        assert list(listed) == ["ours", *names]
        for name in names:
            record = listed[name]
            assert record.spec == PairSpec("EC", Usage.SIGN, curve="nistP256") and record.created is None
            assert record.uri == provider.key_uri(name) and record.uri.endswith(f"&handle={name[7:]}")
        storage = ncrypt.NCryptOpenStorageProvider(provider)
        enumerated = {key.pszName: key for key in ncrypt.NCryptEnumKeys(storage)}
        assert {name: key.pszAlgid for name, key in enumerated.items()} == {
            "ours": "ECDSA_P384",
            **dict.fromkeys(names, "ECDSA_P256"),
        }
        for key in enumerated.values():
            opened = hwcng.open_key(key.uri, pin="1234" if key.pszName == names[1] else None)
            assert len(BCryptSignHash(opened, None, DIGEST)) in (64, 96)
        # Once more where the file is gone and the object is not.
        stored = provider.open_key("ours")
        assert ours.public == stored.public
        (path,) = provider._store.directory.rglob("keys/*")  # type: ignore[attr-defined]
        path.unlink()
        assert [record.name for record in provider.list_keys()] == [*names, f"handle:{handle:#x}"]


def test_an_object_that_is_taken_away_while_keys_are_listed(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    open_tpm(fresh_tpm.uri).close()
    for handle in (HANDLE, HANDLE + 1):
        at_a_handle(fresh_tpm, handle)
    with open_tpm(fresh_tpm.uri) as provider:

        def instrument(exchange: Exchange) -> Exchange:
            def gone(request: bytes) -> bytes:
                if request[6:14] == b"".join(number.to_bytes(4, "big") for number in (CC.ReadPublic, HANDLE)):
                    return bytes.fromhex("80010000000a0000018b")
                return exchange(request)

            return gone

        undo = provider.connection.instrument(instrument)
        assert [record.name for record in provider.list_keys()] == [f"handle:{HANDLE + 1:#x}"]
        undo()


def test_slots_are_found_for_keys_at_handles(fresh_tpm: Swtpm, provider: Tpm2Provider) -> None:
    spec = PairSpec("EC", Usage.SIGN, curve="nistP256")
    others = [provider.generate_pair(spec) for _ in range(3)]
    at_a_handle_by_us = provider.persist_key(others[0], "one")
    handle = provider.make_persistent("one")
    fixed = provider.open_key(f"handle:{handle:#x}")
    for _ in range(3):
        assert all(signs(key) for key in (*others, fixed, at_a_handle_by_us))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("handle=0x80000001", "persistent handle"),
        ("handle=5", "persistent handle"),
        ("handle=", "empty"),
        ("handle=0x81010005&object=x", "both say which key"),
    ],
)
def test_uris_of_handles_that_are_none(query: str, told: str) -> None:
    with pytest.raises(CngError, match=told) as error:
        hwcng.open_key(f"tpm2:swtpm:path=/nowhere?{query}")
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


# tpm2-openssl


@pytest.mark.skipif(not has_provider(), reason=MISSING + "tpm2-openssl")
@pytest.mark.parametrize("parent", [(), ("-pkeyopt", "parent:0x81000123")])
@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_keys_that_openssl_makes(
    fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path, kind: str, parent: tuple[str, ...]
) -> None:
    if parent:
        made_below(fresh_tpm, "rsa2048:null:aes128cfb", 0, PERSISTENT)
    path = tmp_path / "key.pem"
    how = ("group:P-256",) if kind == "EC" else ("bits:2048",)
    openssl(fresh_tpm, "genpkey", "-provider", "tpm2", "-algorithm", kind, "-pkeyopt", *how, *parent, "-out", str(path))
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.reload_opaque(path.read_bytes())
        if kind == "EC":
            assert signs(key)
        else:
            assert len(key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)) == 256  # type: ignore[union-attr]
        assert commands.read_public(provider.connection, 0x81000001)


class LineBreaksError(TransportError):
    pass


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("secret", [False, True])
def test_a_line_that_breaks_anywhere_loses_nothing(
    fresh_tpm: Swtpm, open_tpm: Open, secret: bool, carried_out: bool
) -> None:
    """At each command in turn: the key is there in the end, and no primary key stays behind."""
    open_tpm(fresh_tpm.uri).close()
    if secret:
        file = importable(fresh_tpm, OWNER, ec.generate_private_key(ec.SECP256R1()))
    else:
        file = made_below(fresh_tpm, "ecc256:null:aes128cfb", 0)
    blob = key_file_asn1.build(file)
    for number in range(12):
        with open_tpm(fresh_tpm.uri) as provider:
            left = [number]

            def instrument(exchange: Exchange, left: list[int] = left) -> Exchange:
                def breaking(request: bytes) -> bytes:
                    left[0] -= 1
                    if left[0] == -1:
                        if carried_out:
                            exchange(request)
                        raise LineBreaksError("the line broke")
                    return exchange(request)

                return breaking

            undo = provider.connection.instrument(instrument)
            key = provider.reload_opaque(blob)
            undo()
            assert signs(key)
            provider.connection.release_slots()
            assert transient(fresh_tpm) == 0, number
