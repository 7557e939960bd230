"""Named keys of a TPM: files that only it can use, what is in them, what goes wrong with them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from isolation.child import run
from store.conftest import NAMES
from tpm2.helpers import ec_material, key_with_pin, rsa_material, set_owner_auth

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.attestation import verify_attestation
from hwcng.contract.material import EcPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import CipherSpec, CmacSpec, EcdsaSpec, HmacSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.backends import parse_uri
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.store.named import FIRST_HANDLE
from hwcng.providers.tpm2.uri import Tpm2Uri
from hwcng.providers.tpm2.wire import commands, key_file_asn1
from hwcng.providers.tpm2.wire.constants import CAP
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

DIGEST = bytes(range(32))
BLOCK = bytes(16)
CFB = CipherSpec(CipherMode.CFB128, bytes(16))
AES = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)
HMAC = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
SPECS = [
    AES,
    SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT, exportable=True),
    SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN),
    HMAC,
    ECDSA,
    PairSpec("EC", Usage.DERIVE, curve="nistP384"),
    PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048),
]


def make(provider: Provider, spec: SecretSpec | PairSpec) -> object:
    return provider.generate_pair(spec) if isinstance(spec, PairSpec) else provider.generate_secret(spec)


def status_of(call: Callable[[], object]) -> object:
    with pytest.raises(CngError) as caught:
        call()
    return caught.value.status


def file_of(provider: Tpm2Provider, name: str) -> Path:
    return provider._keys.files.path(name)


def entries(provider: Tpm2Provider) -> list[str]:
    directory = provider._keys.files.directory
    return sorted(os.listdir(directory)) if directory.exists() else []


def persistent_handles(provider: Tpm2Provider) -> list[int]:
    return provider.connection.perform(
        "listing", lambda connection: connection.esys(lambda esys: esys.numbers(CAP.HANDLES, FIRST_HANDLE))
    )


def verify(public: EcPublicKey, signature: bytes) -> None:
    numbers = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1())
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    numbers.public_key().verify(utils.encode_dss_signature(r, s), DIGEST, algorithm)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_key_is_opened_as_what_it_is(spec: SecretSpec | PairSpec, tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    made = make(tpm_keeper, spec)
    stored = tpm_keeper.persist_key(made, "what it is")
    with hwcng.open_provider(tpm_uri) as other:
        opened = other.open_key("what it is")
        assert made.spec == stored.spec == opened.spec == spec
        if isinstance(spec, PairSpec):
            assert made.public == stored.public == opened.public
        (record,) = other.list_keys()
    assert (record.name, record.spec, record.certificate) == ("what it is", spec, False)
    assert record.created is not None


def test_all_of_them_are_the_same_key(tpm_keeper: Tpm2Provider) -> None:
    imported = tpm_keeper.import_secret(AES, bytes(range(16)))
    expected = imported.encrypt(CFB, BLOCK)
    stored = tpm_keeper.persist_key(imported, "aes")
    imported.destroy()
    assert stored.encrypt(CFB, BLOCK) == expected
    stored.destroy()
    assert tpm_keeper.open_key("aes").encrypt(CFB, BLOCK) == expected
    mac = tpm_keeper.generate_secret(SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN))
    assert tpm_keeper.persist_key(mac, "mac").mac(CmacSpec(), b"x") == mac.mac(CmacSpec(), b"x")
    material = ec_material("nistP256")[1]
    pair = tpm_keeper.import_pair(ECDSA, material)
    verify(material.public, tpm_keeper.persist_key(pair, "pair").sign_digest(EcdsaSpec(), DIGEST))
    rsa = rsa_material(2048)[1]
    tpm_keeper.persist_key(tpm_keeper.import_pair(PairSpec("RSA", Usage.SIGN, bits=2048), rsa), "rsa")
    assert tpm_keeper.open_key("rsa").public == rsa.public


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(name: str, tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    made = tpm_keeper.generate_secret(AES)
    for other in NAMES:
        tpm_keeper.persist_key(made, other)
    records = list(tpm_keeper.list_keys())
    assert sorted(record.name for record in records) == sorted(NAMES)
    assert all(record.uri == tpm_keeper.key_uri(record.name) for record in records)
    directory = tpm_keeper._keys.files.directory
    assert all(len(entry) == 68 and entry.endswith(".pem") for entry in entries(tpm_keeper))
    uri = parse_uri(tpm_keeper.key_uri(name))
    assert isinstance(uri, Tpm2Uri)
    assert (uri.object, uri.store, uri.tcti) == (name, str(directory.parent), parse_uri(tpm_uri).tcti)
    tpm_keeper.delete_key(name)
    assert status_of(lambda: tpm_keeper.open_key(name)) == HRESULT.NTE_BAD_KEYSET
    assert len(list(tpm_keeper.list_keys())) == len(NAMES) - 1


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "x" * 513, "x" * 10_000, "🔑" * 257, "\ud800", None, b"bytes"])
def test_no_name(name: str, tpm_keeper: Tpm2Provider) -> None:
    key = tpm_keeper.generate_secret(AES)
    for call in (
        lambda: tpm_keeper.persist_key(key, name),
        lambda: tpm_keeper.open_key(name),
        lambda: tpm_keeper.delete_key(name),
        lambda: tpm_keeper.key_uri(name),
        lambda: tpm_keeper.make_persistent(name),
    ):
        assert status_of(call) == HRESULT.NTE_INVALID_PARAMETER
    assert entries(tpm_keeper) == []


def test_what_is_in_a_file(tpm_keeper: Tpm2Provider) -> None:
    made = tpm_keeper.generate_pair(ECDSA)
    tpm_keeper.persist_key(made, "näme")
    path = file_of(tpm_keeper, "näme")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text, _, pem = path.read_text("ascii").partition("-----BEGIN")
    record = json.loads(text)
    assert (record["name"], record["algorithm"], record["usage"]) == ("näme", "EC nistP256", "sign")
    assert (record["policy"], record["handle"]) == (None, None)
    assert record["parent"] == tpm_keeper.connection.parent.name.hex()
    key = key_file_asn1.parse(("-----BEGIN" + pem).encode())
    assert key_file_asn1.build(key) == made.opaque()


def test_the_commands_that_it_takes(tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    made = tpm_keeper.generate_pair(ECDSA)
    with CommandCounter(tpm_keeper) as counter:
        tpm_keeper.persist_key(made, "counted")
        assert counter.names == ["TPM2_Load"]
        counter.clear()
        tpm_keeper.open_key("counted").sign_digest(EcdsaSpec(), DIGEST)
        assert counter.names == ["TPM2_Sign"]
        counter.clear()
        # What is at persistent handles, one question tells where nothing is.
        list(tpm_keeper.list_keys())
        assert counter.names == ["TPM2_GetCapability"]
        tpm_keeper.key_uri("counted")
        tpm_keeper.delete_key("counted")
        assert [name for name in counter.names[1:] if name != "TPM2_FlushContext"] == []


def test_a_thousand_names(tpm_keeper: Tpm2Provider) -> None:
    made = tpm_keeper.generate_secret(AES)
    tpm_keeper.persist_key(made, "name 0")
    files = tpm_keeper._keys.files
    first = files.read("name 0")[0]  # type: ignore[index]
    from dataclasses import replace

    with files.writing():
        for number in range(1, 1000):
            files.write(replace(first, name=f"name {number}"), replace=False)
    with CommandCounter(tpm_keeper) as counter:
        names = {record.name for record in tpm_keeper.list_keys()}
        assert counter.names == ["TPM2_GetCapability"]
    assert names == {f"name {number}" for number in range(1000)}
    assert tpm_keeper.open_key("name 777").encrypt(CFB, BLOCK) == made.encrypt(CFB, BLOCK)


def test_a_name_that_is_taken(tpm_keeper: Tpm2Provider) -> None:
    old, new = tpm_keeper.generate_pair(ECDSA), tpm_keeper.generate_pair(ECDSA)
    tpm_keeper.persist_key(old, "taken")
    opened = tpm_keeper.open_key("taken")
    content = file_of(tpm_keeper, "taken").read_bytes()
    assert status_of(lambda: tpm_keeper.persist_key(new, "taken")) == HRESULT.NTE_EXISTS
    assert file_of(tpm_keeper, "taken").read_bytes() == content
    assert tpm_keeper.persist_key(new, "taken", replace=True).public == new.public
    assert tpm_keeper.open_key("taken").public == new.public
    # What was opened does not turn into another key.
    verify(old.public, opened.sign_digest(EcdsaSpec(), DIGEST))
    assert len(entries(tpm_keeper)) == 1


def test_a_deleted_key_ends(tpm_keeper: Tpm2Provider) -> None:
    stored = tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "ended")
    tpm_keeper.delete_key("ended")
    assert status_of(lambda: stored.encrypt(CFB, BLOCK)) == NTSTATUS.STATUS_INVALID_HANDLE
    for call in (
        lambda: tpm_keeper.open_key("ended"),
        lambda: tpm_keeper.delete_key("ended"),
        lambda: tpm_keeper.key_uri("ended"),
        lambda: tpm_keeper.make_persistent("ended"),
    ):
        assert status_of(call) == HRESULT.NTE_BAD_KEYSET


def test_a_key_that_is_removed_behind_our_back(tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "gone")
    with hwcng.open_provider(tpm_uri) as other:
        other.open_key("gone")
        tpm_keeper.delete_key("gone")
        assert status_of(lambda: other.open_key("gone")) == HRESULT.NTE_BAD_KEYSET


def test_it_survives_a_reset(tpm_uri: str, swtpm: Swtpm, tpm_keeper: Tpm2Provider) -> None:
    stored = tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "survivor")
    swtpm.restart()
    verify(stored.public, stored.sign_digest(EcdsaSpec(), DIGEST))
    verify(stored.public, tpm_keeper.open_key("survivor").sign_digest(EcdsaSpec(), DIGEST))


def test_attestation_knows_its_origin(tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "attested")
    with hwcng.open_provider(tpm_uri) as other:
        record = other.open_key("attested").attest(b"nonce")
        signer = key_file_asn1.parse(other._store.attestation_key()).public
        from hwcng.providers.tpm2.wire.public_area import name_of

        assert verify_attestation(record, b"nonce", signer_name=name_of(signer)) is not None
    assert record.creation_statement


FORK = """
provider = hwcng.open_provider(URI)
spec = PairSpec("EC", Usage.SIGN, curve="nistP256")
session_key = provider.generate_pair(spec)
stored = provider.persist_key(session_key, "forked")
stored.sign_digest(EcdsaSpec(), bytes(32))

def child():
    fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: session_key.sign_digest(EcdsaSpec(), bytes(32)))
    first = stored.sign_digest(EcdsaSpec(), bytes(32))
    again = provider.open_key("forked")
    assert again.public == stored.public
    return len(first), len(again.sign_digest(EcdsaSpec(), bytes(32)))

assert fork(child) == (64, 64)
assert len(stored.sign_digest(EcdsaSpec(), bytes(32))) == 64
provider.close()
"""


def test_it_works_in_forked_children(tpm_uri: str) -> None:
    run(FORK, tpm_uri)


# Files that are not as we wrote them.


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.write_bytes(b"\x00\xffnothing of ours\n" * 10)


def other_json(path: Path) -> None:
    path.write_bytes(b'{"version": 1}\n' + path.read_bytes().partition(b"\n-----")[2])


def nested(path: Path) -> None:
    path.write_bytes(b"[" * 60_000)


def newer(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 2'))


def huge(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n" * 100_000)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def flipped(path: Path) -> None:
    key = key_file_asn1.parse(b"-----" + path.read_bytes().partition(b"\n-----")[2])
    private = bytearray(key.private)
    private[-1] ^= 1
    damaged = key_file_asn1.build(key_file_asn1.TssKey(key.parent, key.public, bytes(private)))
    path.write_bytes(path.read_bytes().partition(b"-----BEGIN")[0] + damaged)


DAMAGES = [truncated, emptied, foreign, other_json, nested, newer, huge, fifo, flipped]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files(damage: Callable[[Path], None], tpm_keeper: Tpm2Provider) -> None:
    sound = tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "sound")
    tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "damaged")
    path = file_of(tpm_keeper, "damaged")
    damage(path)
    before = path.lstat()
    assert status_of(lambda: tpm_keeper.open_key("damaged")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    made = tpm_keeper.generate_pair(ECDSA)
    assert status_of(lambda: tpm_keeper.persist_key(made, "damaged")) == HRESULT.NTE_EXISTS
    assert (path.lstat().st_ino, path.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    verify(sound.public, tpm_keeper.open_key("sound").sign_digest(EcdsaSpec(), DIGEST))
    names = {record.name for record in tpm_keeper.list_keys()}
    assert names - {"damaged"} == {"sound"}
    tpm_keeper.persist_key(made, "damaged", replace=True)
    verify(made.public, tpm_keeper.open_key("damaged").sign_digest(EcdsaSpec(), DIGEST))
    damage(path)
    tpm_keeper.delete_key("damaged")
    assert [record.name for record in tpm_keeper.list_keys()] == ["sound"]


@pytest.mark.parametrize("damage", [link, folder], ids=lambda damage: damage.__name__)
def test_what_is_no_file(damage: Callable[[Path], None], tpm_keeper: Tpm2Provider) -> None:
    sound = tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "sound")
    tpm_keeper.persist_key(sound, "damaged")
    damage(file_of(tpm_keeper, "damaged"))
    assert status_of(lambda: tpm_keeper.open_key("damaged")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert [record.name for record in tpm_keeper.list_keys()] == ["sound"]
    verify(sound.public, tpm_keeper.open_key("sound").sign_digest(EcdsaSpec(), DIGEST))


def test_a_file_of_another_name(tpm_keeper: Tpm2Provider) -> None:
    tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "one")
    shutil.copy(file_of(tpm_keeper, "one"), file_of(tpm_keeper, "two"))
    assert status_of(lambda: tpm_keeper.open_key("two")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert [record.name for record in tpm_keeper.list_keys()] == ["one"]


def test_a_storage_key_is_no_key(tpm_keeper: Tpm2Provider) -> None:
    tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "storage")
    path = file_of(tpm_keeper, "storage")
    key = key_file_asn1.parse(b"-----" + path.read_bytes().partition(b"\n-----")[2])
    root = tpm_keeper.connection.perform("x", lambda link: commands.read_public(link, 0x81000001))[0]
    record = path.read_bytes().partition(b"-----BEGIN")[0]
    path.write_bytes(record + key_file_asn1.build(key_file_asn1.TssKey(key.parent, root, key.private)))
    assert status_of(lambda: tpm_keeper.open_key("storage")) == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert list(tpm_keeper.list_keys()) == []


def test_files_that_may_not_be_read(tpm_uri: str, tpm_keeper: Tpm2Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "sound")
    tpm_keeper.persist_key(sound, "secret")
    path, really_open = file_of(tpm_keeper, "secret"), os.open
    tpm_keeper._keys.forget("secret")

    def denied(target: object, *arguments: int, **keywords: int) -> int:
        # The tests may run as root, whom no mode keeps out.
        if target == path:
            raise PermissionError(13, "Permission denied")
        return really_open(target, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", denied)
    assert status_of(lambda: tpm_keeper.open_key("secret")) == HRESULT.NTE_PERM
    assert [record.name for record in tpm_keeper.list_keys()] == ["sound"]
    tpm_keeper.open_key("sound").encrypt(CFB, BLOCK)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (28, HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL),
        (13, HRESULT.NTE_PERM),
        (30, HRESULT.NTE_PERM),
        (5, HRESULT.NTE_FAIL),
    ],
)
@pytest.mark.parametrize("function", ["fsync", "replace", "mkdir"])
def test_a_folder_that_cannot_be_written(
    number: int, status: object, function: str, tpm_keeper: Tpm2Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tpm_keeper.generate_pair(ECDSA), tpm_keeper.generate_pair(ECDSA)
    if function != "mkdir":
        tpm_keeper.persist_key(old, "kept")
    before = entries(tpm_keeper)

    def fails(*_arguments: object, **_keywords: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        # Python 3.10's Path keeps a reference to os.mkdir of its own.
        patched.setattr(Path if function == "mkdir" else os, function, fails)
        assert status_of(lambda: tpm_keeper.persist_key(new, "kept", replace=True)) == status
    assert entries(tpm_keeper) == before
    if function != "mkdir":
        assert tpm_keeper.open_key("kept").public == old.public


def test_keys_of_another_tpm(tpm_keeper: Tpm2Provider) -> None:
    with Swtpm() as other_tpm, hwcng.open_provider(other_tpm.uri) as other:
        theirs = other.generate_secret(AES)
        assert status_of(lambda: tpm_keeper.persist_key(theirs, "x")) == NTSTATUS.STATUS_INVALID_PARAMETER
        assert status_of(lambda: tpm_keeper.persist_key(object(), "x")) == NTSTATUS.STATUS_INVALID_PARAMETER
        other.persist_key(theirs, "theirs")
        tpm_keeper._keys.files.directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(file_of(other, "theirs"), tpm_keeper._keys.files.directory)
    with pytest.raises(CngError, match="another storage root key") as caught:
        tpm_keeper.open_key("theirs")
    assert caught.value.status == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert [record.name for record in tpm_keeper.list_keys()] == ["theirs"]


def test_a_key_with_a_pin(tpm_keeper: Tpm2Provider, swtpm: Swtpm) -> None:
    pem = key_with_pin(swtpm, b"0000", no_da=True)
    key = tpm_keeper.reload_opaque(pem, pin="0000")
    verify(key.public, tpm_keeper.persist_key(key, "with pin").sign_digest(EcdsaSpec(), DIGEST))
    assert b"0000" not in file_of(tpm_keeper, "with pin").read_bytes()
    assert status_of(lambda: tpm_keeper.open_key("with pin")) == NTSTATUS.STATUS_WRONG_PASSWORD
    verify(key.public, tpm_keeper.open_key("with pin", pin="0000").sign_digest(EcdsaSpec(), DIGEST))
    wrong = tpm_keeper.open_key("with pin", pin=b"1111")
    assert status_of(lambda: wrong.sign_digest(EcdsaSpec(), DIGEST)) == NTSTATUS.STATUS_WRONG_PASSWORD


def test_destroyed_keys_are_not_stored(tpm_keeper: Tpm2Provider) -> None:
    key = tpm_keeper.generate_secret(AES)
    key.destroy()
    assert status_of(lambda: tpm_keeper.persist_key(key, "x")) == NTSTATUS.STATUS_INVALID_HANDLE
    assert entries(tpm_keeper) == []


def test_openssl_reads_the_file(tpm_keeper: Tpm2Provider, swtpm: Swtpm, tmp_path: Path) -> None:
    from support import missing
    from tpm2.test_openssl import has_provider, openssl

    if not has_provider():
        missing("tpm2-openssl")
    made = tpm_keeper.generate_pair(ECDSA)
    tpm_keeper.persist_key(made, "for openssl")
    tpm_keeper.connection.release_slots()
    (tmp_path / "digest").write_bytes(DIGEST)
    signature = openssl(
        swtpm,
        *("pkeyutl", "-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2", "-sign"),
        *("-inkey", str(file_of(tpm_keeper, "for openssl")), "-in", str(tmp_path / "digest")),
        *("-pkeyopt", "digest:sha256"),
    )
    numbers = ec.EllipticCurvePublicNumbers(made.public.x, made.public.y, ec.SECP256R1())
    numbers.public_key().verify(signature, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


# Persistent handles.


def test_persistent_handles(tpm_keeper: Tpm2Provider) -> None:
    mac, pair = tpm_keeper.generate_secret(HMAC), tpm_keeper.generate_pair(ECDSA)
    tpm_keeper.persist_key(mac, "mac")
    tpm_keeper.persist_key(pair, "pair")
    assert persistent_handles(tpm_keeper) == []
    assert tpm_keeper.make_persistent("mac") == FIRST_HANDLE
    assert tpm_keeper.make_persistent("mac") == FIRST_HANDLE
    assert tpm_keeper.make_persistent("pair", 0x81020777) == 0x81020777
    assert persistent_handles(tpm_keeper) == [FIRST_HANDLE, 0x81020777]
    public, name = tpm_keeper.connection.perform("x", lambda link: commands.read_public(link, 0x81020777))
    assert (public, name) == (pair.blob()[0].public, pair.blob()[0].name)
    assert json.loads(file_of(tpm_keeper, "pair").read_text().partition("-----")[0])["handle"] == 0x81020777
    assert status_of(lambda: tpm_keeper.make_persistent("pair", FIRST_HANDLE)) == HRESULT.NTE_EXISTS
    verify(pair.public, tpm_keeper.open_key("pair").sign_digest(EcdsaSpec(), DIGEST))
    # What replaces a key does not leave the old one in the TPM.
    tpm_keeper.persist_key(mac, "pair", replace=True)
    assert persistent_handles(tpm_keeper) == [FIRST_HANDLE]
    assert tpm_keeper.open_key("pair").mac(HmacSpec("SHA256"), b"x") == mac.mac(HmacSpec("SHA256"), b"x")
    tpm_keeper.delete_key("mac")
    assert persistent_handles(tpm_keeper) == []
    tpm_keeper.delete_key("pair")


@pytest.mark.parametrize("handle", [0, 0x81000001, 0x8101FFFF, 0x81800000, -1])
def test_handles_that_are_not_the_owners(handle: int, tpm_keeper: Tpm2Provider) -> None:
    tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "x")
    assert status_of(lambda: tpm_keeper.make_persistent("x", handle)) == HRESULT.NTE_INVALID_PARAMETER


def test_a_handle_that_is_taken(tpm_keeper: Tpm2Provider) -> None:
    made = tpm_keeper.generate_secret(AES)
    tpm_keeper.persist_key(made, "first")
    tpm_keeper.persist_key(tpm_keeper.generate_secret(AES), "second")
    tpm_keeper.make_persistent("first")
    assert status_of(lambda: tpm_keeper.make_persistent("second", FIRST_HANDLE)) == HRESULT.NTE_EXISTS
    # The record names a handle that the key never had: what is there is not removed with it.
    tpm_keeper.delete_key("second")
    assert persistent_handles(tpm_keeper) == [FIRST_HANDLE]
    tpm_keeper.delete_key("first")
    assert persistent_handles(tpm_keeper) == []


def test_an_owner_with_an_authorization_value(tmp_path: Path) -> None:
    with Swtpm() as tpm:
        with hwcng.open_provider(tpm.uri) as provider:
            provider.persist_key(provider.generate_secret(AES), "x")
        set_owner_auth(tpm, "owner's")
        (tmp_path / "auth").write_text("owner's")
        with hwcng.open_provider(tpm.uri) as provider:
            assert status_of(lambda: provider.make_persistent("x")) == NTSTATUS.STATUS_WRONG_PASSWORD
            assert persistent_handles(provider) == []
            provider.open_key("x")
        with hwcng.open_provider(f"{tpm.uri}&owner-auth-source=file:{tmp_path}/auth") as provider:
            with CommandCounter(provider, record=True) as counter:
                assert provider.make_persistent("x") == FIRST_HANDLE
            assert not any(b"owner's" in octets for octets in counter.octets)
            assert persistent_handles(provider) == [FIRST_HANDLE]
            provider.delete_key("x")
            assert persistent_handles(provider) == []


# More than one process.

RACE = """
from dataclasses import replace as replaced
from hwcng import HRESULT

provider = hwcng.open_provider(URI)
spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)
names = ["a", "b", "c"]
for name in names:
    provider.persist_key(provider.generate_secret(spec), name)
blocks = [provider.open_key(name).encrypt(CipherSpec(CipherMode.ECB), bytes(16)) for name in names]
files = provider._keys.files
rivals = [replaced(files.read(name)[0], name="raced") for name in names]

def racers(replace):
    # Without the TPM, which has three sessions for all processes together.
    readable, writable = os.pipe()
    children = []
    for rival in rivals:
        pid = os.fork()
        if pid == 0:
            os.close(writable)
            status = 1
            try:
                os.read(readable, 1)
                for _ in range(20 if replace else 1):
                    with files.writing():
                        files.write(rival, replace=replace)
                status = 0
            except CngError as error:
                status = 2 if error.status == HRESULT.NTE_EXISTS else 3
            finally:
                os._exit(status)
        children.append(pid)
    os.close(readable)
    time.sleep(0.05)
    os.close(writable)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]

for _ in range(5):
    ended = racers(False)
    assert sorted(ended) == [0, 2, 2], ended
    assert provider.open_key("raced").encrypt(CipherSpec(CipherMode.ECB), bytes(16)) == blocks[ended.index(0)]
    assert racers(True) == [0, 0, 0]
    assert provider.open_key("raced").encrypt(CipherSpec(CipherMode.ECB), bytes(16)) in blocks
    assert len(os.listdir(files.directory)) == 4
    provider.delete_key("raced")
provider.close()
"""


def test_three_processes_at_once(tpm_uri: str) -> None:
    run(RACE, tpm_uri)


def _sign(uri: str) -> bytes:
    with hwcng.open_provider(uri) as provider:
        return provider.open_key("spawned").sign_digest(EcdsaSpec(), DIGEST)


def test_another_process_opens_it(tpm_keeper: Tpm2Provider, tpm_uri: str) -> None:
    public = tpm_keeper.persist_key(tpm_keeper.generate_pair(ECDSA), "spawned").public
    with multiprocessing.get_context("fork").Pool(1) as pool:
        verify(public, pool.apply(_sign, (tpm_uri,)))


def test_the_default_folder_is_the_users(
    swtpm: Swtpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tpm_uri: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with hwcng.open_provider(f"tpm2:{swtpm.tcti}") as provider:
        provider.persist_key(provider.generate_secret(AES), "at home")
        uri = provider.key_uri("at home")
    assert len(list(tmp_path.rglob("*.pem"))) == 1
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere")
    with hwcng.open_provider(uri) as provider:
        assert provider.open_key("at home").spec == AES
