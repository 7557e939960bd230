"""hwcng.open_key: from a key's URI to the key, by this process' own configuration."""

from __future__ import annotations

import copy
import os
import pickle
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conformance.helpers import refused
from store import foreign

import hwcng
from hwcng.bcrypt import BCryptSignHash, BCryptVerifySignature
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.providers import config_file, registry
from hwcng.providers.backends import parse_uri
from hwcng.providers.locating import same_token
from hwcng.providers.pkcs11.uri import Pkcs11Uri

Make = Callable[..., NCryptKey]
DIGEST = bytes(range(32))


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The registry as a new process has it; the file that HWCNG_CONFIG names, empty."""
    monkeypatch.setattr(registry, "_shared", {})
    monkeypatch.setattr(registry, "_names", {})
    monkeypatch.setattr(config_file, "_read", None)
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)
    configuration = tmp_path / "providers.ini"
    configuration.write_text("[providers]\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(configuration))
    yield configuration
    for entry in registry._shared.values():
        if entry.provider is not None:
            entry.provider.close()


@pytest.fixture
def pin_file(tmp_path: Path, token_pin: str) -> Path:
    file = tmp_path / "pin"
    file.write_text(token_pin + "\n")
    file.chmod(stat.S_IRUSR)
    return file


@pytest.fixture
def stored(soft_storage: StorageProvider, made: Make, name: str) -> NCryptKey:
    return made(soft_storage, "ECDSA_P256", name)


def signs_for(key: object, stored: NCryptKey) -> bool:
    assert isinstance(key, KeyPair)
    BCryptVerifySignature(stored.key, None, DIGEST, BCryptSignHash(key, None, DIGEST))  # type: ignore[arg-type]
    return True


@pytest.mark.usefixtures("empty_registry")
def test_the_pin_as_an_argument(stored: NCryptKey, token_pin: str) -> None:
    asked = []

    def pin() -> str:
        asked.append(1)
        return token_pin

    key = hwcng.open_key(stored.uri, pin=pin)
    assert signs_for(key, stored)
    assert (key.name, key.uri) == (stored.name, stored.uri)
    # One provider for the token, opened once.
    again = hwcng.open_key(stored.uri, pin=pin)
    assert again.algorithm_handle.provider is key.algorithm_handle.provider is not stored.storage.provider
    assert len(asked) == 1
    assert token_pin not in key.uri


@pytest.mark.usefixtures("empty_registry")
def test_the_pin_from_the_source_in_the_uri(stored: NCryptKey, pin_file: Path) -> None:
    uri = f"{stored.uri}&pin-source=file:{quote(str(pin_file))}"
    key = hwcng.open_key(uri)
    assert signs_for(key, stored)
    # Where the PIN is read is part of what travels, the PIN is not.
    assert f"pin-source=file:{pin_file}" in key.uri
    assert signs_for(hwcng.open_key(key.uri), stored)


@pytest.mark.parametrize("of_another_host", ["", "&pin-source=file:/no/such/host/pin"])
def test_the_pin_from_the_configuration(
    empty_registry: Path, stored: NCryptKey, token_uri: str, pin_file: Path, of_another_host: str
) -> None:
    empty_registry.write_text(
        "[providers]\nanother = pkcs11:token=elsewhere?module-path=/nowhere/lib.so\ntpm = tpm2:tabrmd\n"
        f"hsm = {token_uri}&pin-source=file:{pin_file}\n"
    )
    key = hwcng.open_key(stored.uri + of_another_host)
    assert signs_for(key, stored)
    assert key.algorithm_handle.provider is registry.resolve_implementation("hsm")


def test_the_pin_of_the_default_provider(
    empty_registry: Path, stored: NCryptKey, token_uri: str, pin_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del empty_registry
    monkeypatch.setenv("HWCNG_PROVIDER", f"{token_uri}&pin-source=file:{pin_file}")
    key = hwcng.open_key(stored.uri)
    assert key.algorithm_handle.provider is registry.default_provider()
    assert signs_for(key, stored)


def test_a_configured_way_that_does_not_work(
    empty_registry: Path, stored: NCryptKey, token_uri: str, pin_file: Path
) -> None:
    broken = f"{token_uri}&pin-source=file:/no/such/pin"
    empty_registry.write_text(f"[providers]\nhsm = {broken}\n")
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER) as error:
        hwcng.open_key(stored.uri)
    assert "/no/such/pin" in error.value.message
    # The URI's own way is left.
    assert signs_for(hwcng.open_key(f"{stored.uri}&pin-source=file:{pin_file}"), stored)
    for entry in registry._shared.values():
        if entry.provider is not None:
            entry.provider.close()
    empty_registry.write_text(f"[providers]\nhsm = {broken}\nother = {token_uri}&pin-source=file:{pin_file}\n")
    assert signs_for(hwcng.open_key(stored.uri), stored)


@pytest.mark.usefixtures("empty_registry")
def test_the_default_provider_itself(stored: NCryptKey, provider: Provider) -> None:
    hwcng.set_default_provider(provider)
    assert hwcng.open_key(stored.uri).algorithm_handle.provider is provider


def test_a_module_elsewhere(empty_registry: Path, stored: NCryptKey, token_uri: str, pin_file: Path) -> None:
    """The URI says where the module is on the host that made it; here, the configuration knows better."""
    elsewhere = stored.uri.replace("module-path=/", "module-path=/no/such/host/")
    with pytest.raises(CngError) as error:
        hwcng.open_key(elsewhere)
    assert error.value.status is NTSTATUS.STATUS_NOT_FOUND
    empty_registry.write_text(f"[providers]\nhsm = {token_uri}&pin-source=file:{pin_file}\n")
    assert signs_for(hwcng.open_key(elsewhere), stored)


@pytest.mark.usefixtures("empty_registry")
def test_a_process_without_the_pin(stored: NCryptKey, unopened_token_uri: str) -> None:
    # Of a token that nobody in this process is logged in to.
    with pytest.raises(CngError) as error:
        hwcng.open_key(unopened_token_uri.replace("?", ";object=key?"))
    assert error.value.status in (HRESULT.NTE_BAD_KEYSET, NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED)
    assert stored.name


@pytest.mark.usefixtures("empty_registry")
@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("pkcs11:token=hwcng-test", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:object=?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("tpm2:tabrmd", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("tpm2:?object=", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("not a URI", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:object=a?module-path=/no/such/module.so", NTSTATUS.STATUS_NOT_FOUND),
        ("pkcs11:object=;type=private?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:type=private?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:object=a;type=public?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:id=%01;type=cert?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("pkcs11:id=%01;x-vendors=1?module-path=/x", NTSTATUS.STATUS_NOT_FOUND),
        ("pkcs11:id=%01;unheard-of=1?module-path=/x", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("tpm2:?object=a&id=%01", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("tpm2:?object=a&type=private", NTSTATUS.STATUS_INVALID_PARAMETER),
        ("tpm2:device;object=a", NTSTATUS.STATUS_INVALID_PARAMETER),
    ],
)
def test_uris_that_lead_nowhere(uri: str, status: NTSTATUS) -> None:
    with refused(status):
        hwcng.open_key(uri)


@pytest.fixture
def twins(provider: Provider) -> Iterator[str]:
    """The label of two pairs of other software, whose CKA_IDs are 01 ff and 02."""
    label = "twins of other software"
    for identifier, scalar in ((b"\x01\xff", 201), (b"\x02", 202)):
        foreign.create(provider, foreign.private_key(label, identifier, scalar))
        foreign.create(provider, foreign.public_key(label, identifier, scalar))
    yield label
    for identifier in ("%01%FF", "%02"):
        provider.delete_key(f"pkcs11:object={quote(label)};id={identifier}")  # type: ignore[str-bytes-safe]


@pytest.mark.usefixtures("empty_registry")
def test_a_key_by_its_id(twins: str, token_uri: str, token_pin: str) -> None:
    with refused(HRESULT.NTE_KEYSET_ENTRY_BAD):
        hwcng.open_key(token_uri.replace("?", f";object={quote(twins)}?"), pin=token_pin)
    for path, scalar in (("id=%01%ff", 201), (f"object={quote(twins)};id=%02;type=private", 202)):
        key = hwcng.open_key(token_uri.replace("?", f";{path}?"), pin=token_pin)
        assert isinstance(key, KeyPair)
        assert key.public == foreign.material(scalar)
        # What travels says which of the two it is.
        uri = parse_uri(key.uri)
        assert isinstance(uri, Pkcs11Uri)
        assert (uri.object, uri.type) == (twins, "private")
        for other in (hwcng.open_key(key.uri), pickle.loads(pickle.dumps(key)), copy.copy(key)):
            assert isinstance(other, KeyPair)
            assert (other.public, other.uri) == (key.public, key.uri)
    for path in (f"object={quote(twins)};id=%03", "id=%02;type=secret-key", "object=another;id=%02", "id=%02%00"):
        with refused(HRESULT.NTE_BAD_KEYSET):
            hwcng.open_key(token_uri.replace("?", f";{path}?"), pin=token_pin)


@pytest.mark.usefixtures("empty_registry")
def test_every_attribute_of_the_token_counts(stored: NCryptKey, provider: Provider, token_pin: str) -> None:
    """A provider that is open here serves a URI only where all that it says of token, slot and library is so."""
    hwcng.set_default_provider(provider)
    found = provider._found  # type: ignore[attr-defined]
    right = {
        "slot-id": str(found.slot),
        "slot-description": quote(found.slot_description),
        "slot-manufacturer": quote(found.slot_manufacturer),
        "manufacturer": quote(provider.token.manufacturer),
        "model": quote(provider.token.model),
        "library-manufacturer": "SoftHSM",
        "library-version": provider.token.library.rpartition(" ")[2],
    }
    for name, value in right.items():
        key = hwcng.open_key(stored.uri.replace("?", f";{name}={value}?"), pin=token_pin)
        assert key.algorithm_handle.provider is provider
    wrong = dict.fromkeys(right, "another") | {"slot-id": str(found.slot + 1), "library-version": "9.9"}
    for name, value in wrong.items():
        with refused(NTSTATUS.STATUS_NOT_FOUND):
            hwcng.open_key(stored.uri.replace("?", f";{name}={value}?"), pin=token_pin)


@pytest.mark.usefixtures("empty_registry")
def test_a_key_that_is_not_there(token_uri: str, token_pin: str) -> None:
    with refused(HRESULT.NTE_BAD_KEYSET):
        hwcng.open_key(token_uri.replace("?", ";object=no%20such%20key?"), pin=token_pin)


def test_a_uri_that_may_mean_several_tokens(
    empty_registry: Path, stored: NCryptKey, token_uri: str, other_token_uri: str, pin_file: Path, token_pin: str
) -> None:
    module = token_uri.partition("?")[2]
    vague = f"pkcs11:object={quote(stored.name or '', safe='')}?{module}"
    lines = [f"a = {other_token_uri}&pin-value=5678-user", f"b = {token_uri}&pin-source=file:{pin_file}"]
    empty_registry.write_text("\n".join(["[providers]", *lines]))
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER) as error:
        hwcng.open_key(vague)
    assert "serial=" in error.value.message
    assert token_pin not in error.value.message
    for name in ("a", "b"):
        registry.resolve_implementation(name)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        hwcng.open_key(vague)
    # Where one is the default, that is meant; and one alone is no question.
    hwcng.set_default_provider(registry.resolve_implementation("b"))
    assert signs_for(hwcng.open_key(vague), stored)
    hwcng.set_default_provider(None)
    registry.resolve_implementation("a").close()
    assert signs_for(hwcng.open_key(vague), stored)


@pytest.mark.usefixtures("empty_registry")
def test_a_tpm_key(tpm_store: Provider, made: Make, new_name: Callable[[], str]) -> None:
    from hwcng.ncrypt import NCryptOpenStorageProvider

    storage = NCryptOpenStorageProvider(tpm_store)
    names = [new_name() for _ in range(3)]
    pair, rsa, aes = (
        made(storage, algorithm, name, **({"Length": 2048} if algorithm == "RSA" else {}))
        for algorithm, name in zip(("ECDSA_P256", "RSA", "AES"), names, strict=True)
    )
    opened = hwcng.open_key(pair.uri)
    assert signs_for(opened, pair)
    assert opened.algorithm_handle.provider is not tpm_store
    assert hwcng.open_key(rsa.uri).algorithm_handle.provider is opened.algorithm_handle.provider
    hwcng.set_default_provider(tpm_store)
    assert isinstance(again := hwcng.open_key(aes.uri), SymmetricKey)
    assert again.provider is tpm_store
    for name in names:
        tpm_store.delete_key(name)


@pytest.mark.usefixtures("empty_registry")
@pytest.mark.parametrize("pin", ["right", lambda: "right"], ids=["text", "callable"])
def test_a_tpm_key_with_a_pin_of_its_own(pin: Any) -> None:
    from tpm2.helpers import key_with_pin

    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm, hwcng.open_provider(tpm.uri) as provider:
        loaded: Any = provider.reload_opaque(key_with_pin(tpm, b"right"), pin="right")  # type: ignore[call-arg]
        uri = provider.key_uri(provider.persist_key(loaded, "with a PIN").name)  # type: ignore[union-attr]
        key: Any = hwcng.open_key(uri, pin=pin)
        BCryptVerifySignature(key, None, DIGEST, BCryptSignHash(key, None, DIGEST))
        with refused(NTSTATUS.STATUS_WRONG_PASSWORD) as error:
            hwcng.open_key(uri)
        assert "PIN" in error.value.message
        assert "right" not in uri
        key.algorithm_handle.provider.close()


def test_a_session_key_has_no_uri(soft_storage: StorageProvider, made: Make) -> None:
    for algorithm in ("ECDSA_P256", "AES"):
        key = made(soft_storage, algorithm).key
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            _ = key.uri
        assert "NCryptCreatePersistedKey" in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("pkcs11:token=a", "pkcs11:token=a?pin-source=env:P", True),
        ("pkcs11:token=a", "pkcs11:token=b", False),
        ("pkcs11:token=a;serial=1", "pkcs11:token=a", True),
        ("pkcs11:token=a;serial=1", "pkcs11:token=a;serial=2", False),
        ("pkcs11:serial=1", "pkcs11:token=a", True),
        ("pkcs11:slot-id=1", "pkcs11:slot-id=2", False),
        ("pkcs11:token=a;object=x;id=%01;type=private", "pkcs11:token=a;object=y", True),
        ("pkcs11:token=a?module-path=/bin/sh", "pkcs11:token=a?module-path=/bin/cat", False),
        ("pkcs11:token=a?module-path=/bin/sh", "pkcs11:token=a?module-path=/bin/../bin/sh", True),
        ("pkcs11:token=a?module-path=/bin/sh", "pkcs11:token=a?module-path=/no/such/file", True),
        ("pkcs11:token=a?module-path=/bin/sh", "pkcs11:token=a?module-name=softhsm2", True),
        ("pkcs11:token=a?x-initialize-reserved=db1", "pkcs11:token=a?x-initialize-reserved=db2", False),
        ("pkcs11:token=a?x-initialize-reserved=db1", "pkcs11:token=a?x-other=1", True),
        ("pkcs11:token=a", "tpm2:", False),
        ("tpm2:", "tpm2:", True),
        ("tpm2:", "tpm2:tabrmd", False),
    ],
)
def test_which_uris_mean_one_token(one: str, other: str, same: bool) -> None:
    assert same_token(parse_uri(one), parse_uri(other)) is same
    assert same_token(parse_uri(other), parse_uri(one)) is same


def test_a_configured_token_that_turns_out_to_be_another(
    empty_registry: Path, stored: NCryptKey, other_token_uri: str, token_uri: str, pin_file: Path, tmp_path: Path
) -> None:
    """A configured URI that says too little may open another token: it is looked at before it counts."""
    other_pin = tmp_path / "other-pin"
    other_pin.write_text("5678-user")
    serial = parse_uri(stored.uri)
    assert isinstance(serial, Pkcs11Uri)
    by_serial = (
        f"pkcs11:serial={serial.serial};object={quote(stored.name or '', safe='')}?{token_uri.partition('?')[2]}"
    )
    empty_registry.write_text(
        "[providers]\n"
        f"first = {other_token_uri}&pin-source=file:{other_pin}\nsecond = {token_uri}&pin-source=file:{pin_file}\n"
    )
    key = hwcng.open_key(by_serial)
    assert signs_for(key, stored)
    assert key.algorithm_handle.provider.token.label == "hwcng-test"
    assert os.environ["HWCNG_CONFIG"] == str(empty_registry)


def test_a_module_that_is_here_too(
    empty_registry: Path, stored: NCryptKey, token_uri: str, pin_file: Path, tmp_path: Path
) -> None:
    """The configured module goes before the URI's, though that one is a file of this host as well."""
    configured = Path(str(parse_uri(token_uri).module_path))  # type: ignore[union-attr]
    of_the_uri = tmp_path / "libanother.so"
    of_the_uri.symlink_to("/bin/sh")
    uri = stored.uri.replace(quote(str(configured)), quote(str(of_the_uri)))
    assert uri != stored.uri
    empty_registry.write_text(f"[providers]\nhsm = {token_uri}&pin-source=file:{pin_file}\n")
    for _ in ("the configured one is opened", "and is open by now"):
        with hwcng.open_key(uri) as key:
            BCryptVerifySignature(stored.key, None, DIGEST, BCryptSignHash(key, None, DIGEST))


def test_a_token_without_a_name_of_its_own_is_told_by_its_module(tmp_path: Path) -> None:
    here, there = (parse_uri(f"pkcs11:?module-path={path}") for path in ("/bin/sh", "/bin/cat"))
    assert not same_token(here, there)
    assert same_token(here, there, by_module=False)
