"""TLS 1.3 with keys in a token: Python's ssl, uvicorn and openssl, by OpenSSL's providers."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from interop.tls_identity import OPENSSL, Identity, make_identity
from interop.uvicorn_server import uvicorn_serves
from support import missing, needs_module

import hwcng
from hwcng import ncrypt
from hwcng.bcrypt import BCryptFinalizeKeyPair, BCryptGenerateKeyPair, BCryptOpenAlgorithmProvider
from hwcng.errors import NTSTATUS, CngError
from hwcng.interop import openssl
from hwcng.testing.pkcs11_provider import PackageError, find_module

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

PEERS = Path(__file__).parent / "tls_peers.py"


@pytest.fixture(scope="module")
def module() -> Path:
    try:
        return find_module()
    except PackageError:
        missing("pkcs11-provider")


@pytest.fixture(scope="module", params=["ECDSA_P256", "RSA"])
def identity(
    request: pytest.FixtureRequest,
    softhsm: SoftHsm,
    token_pin: str,
    module: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Identity]:
    from conftest import TOKEN

    home = tmp_path_factory.mktemp("tls")
    pin = home / "pin"
    pin.touch(mode=0o600)
    pin.write_text(token_pin + "\n")
    algorithms = {"server": request.param, "client": request.param}
    with hwcng.open_provider(f"{softhsm.uri(TOKEN)}&pin-source=file:{pin}") as provider:
        yield make_identity(home, provider, module, algorithms)
        for name in algorithms:
            provider.delete_key(f"tls-{name}")


def test_nothing_of_the_token_is_in_the_files(identity: Identity, token_pin: str) -> None:
    for name in ("server.pem", "client.pem", "openssl.cnf"):
        assert token_pin not in (identity.home / name).read_text()
    assert (identity.home / "server.pem").read_text().startswith("-----BEGIN PKCS#11 PROVIDER URI-----\n")


def test_python_serves_and_calls_while_hwcng_signs(identity: Identity) -> None:
    told = identity.run(sys.executable, str(PEERS), str(identity.home), identity.uris["server"], "mutual", "5")
    assert told.splitlines() == ["TLSv1.3 to client"] * 5


@pytest.fixture
def served(identity: Identity) -> Iterator[str]:
    needs_module("uvicorn")
    with uvicorn_serves(identity) as address:
        yield address


def test_openssl_calls_uvicorn(identity: Identity, served: str) -> None:
    address = served.removeprefix("https://")
    keys = ("-cert", "client.crt", "-key", "client.pem", "-CAfile", "ca.crt", "-verify_return_error")
    told = identity.run(OPENSSL, "s_client", "-connect", address, *keys, "-brief", "-tls1_3", data=b"")
    assert "Verification error" not in told


def test_a_key_without_a_name_has_no_file(provider: Provider) -> None:
    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    BCryptFinalizeKeyPair(pair)
    with pytest.raises(CngError, match="persist") as error:
        pair.to_provider_pem()
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED


def test_a_key_of_a_storage_provider_has_one_too(provider: Provider) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    made = {}
    for name, algorithm in (("tls-pair", "ECDSA_P256"), ("tls-secret", "AES")):
        made[name] = ncrypt.NCryptCreatePersistedKey(storage, algorithm, name)
        ncrypt.NCryptFinalizeKey(made[name])
    again = ncrypt.NCryptOpenKey(storage, "tls-pair")
    assert made["tls-pair"].to_provider_pem() == again.key.to_provider_pem()
    with pytest.raises(CngError, match="no secret keys") as error:
        made["tls-secret"].to_provider_pem()
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    for key in made.values():
        ncrypt.NCryptDeleteKey(key)


@pytest.mark.parametrize("form", ["file:{}", "file://{}", "{}"])
def test_openssl_is_told_the_file_of_a_pin_as_it_reads_it(
    softhsm: SoftHsm, token_pin: str, module: Path, tmp_path: Path, form: str
) -> None:
    from conftest import TOKEN

    (tmp_path / "a b%").mkdir()
    pin = tmp_path / "a b%" / "pin"
    pin.touch(mode=0o600)
    pin.write_text(token_pin + "\n")
    path = str(pin) if form == "{}" else quote(str(pin))
    source = quote(form.format(path), safe="/:")
    with hwcng.open_provider(f"{softhsm.uri(TOKEN)}&pin-source={source}") as provider:
        made = make_identity(tmp_path, provider, module, {"pin": "ECDSA_P256"})
        provider.delete_key("tls-pin")
    assert "pin" in made.run(OPENSSL, "x509", "-in", "pin.crt", "-noout", "-subject")
    assert f'pkcs11-module-token-pin = "file:{quote(str(pin))}"' in (tmp_path / "openssl.cnf").read_text()


def test_a_source_that_openssl_would_take_for_the_pin_is_not_told(
    softhsm: SoftHsm, token_pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conftest import TOKEN

    monkeypatch.setenv("PIN_OF_THE_TOKEN", token_pin)
    with hwcng.open_provider(f"{softhsm.uri(TOKEN)}&pin-source=env:PIN_OF_THE_TOKEN") as provider:
        pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
        BCryptFinalizeKeyPair(pair)
        content = base64.b64decode("".join(pair.persist("tls-env").to_provider_pem().splitlines()[1:-1]))
        provider.delete_key("tls-env")
        assert b"object=tls-env" in content and b"pin" not in content
        assert "pin" not in openssl.configuration(provider)


@pytest.mark.parametrize("folder", ["with space", "$HOME", "a#b", "\\n", "\u00f6"])
def test_paths_of_any_kind_are_written_so_that_openssl_reads_them(
    provider: Provider, module: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    copy = shutil.copy(module, tmp_path / folder / "pkcs11.so")
    file = tmp_path / "openssl.cnf"
    file.write_text(openssl.configuration(provider, module=copy))
    environ = {**os.environ, "OPENSSL_CONF": str(file)}
    done = subprocess.run([OPENSSL, "list", "-providers"], env=environ, capture_output=True, text=True, check=True)
    assert "PKCS#11 Provider" in done.stdout


def test_a_path_that_no_configuration_can_hold(provider: Provider) -> None:
    with pytest.raises(CngError) as error:
        openssl.configuration(provider, module="/tmp/a\nb.so")
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
