"""A backend of another package, tests/recorded: nothing inside hwcng needs its name."""

from __future__ import annotations

import json
import pickle
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from support import missing

import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract import Attestable, PairSpec, Usage
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers import config_file, registry
from hwcng.providers.backends import backend_of, parse_uri
from hwcng.testing.contract import BackendContract, TokenUnderTest

if TYPE_CHECKING:
    from hwcng.testing.swtpm import Swtpm

PACKAGE = Path(hwcng.__file__).parent
DIGEST = bytes(range(32))


@pytest.fixture(scope="module")
def tpm() -> Iterator[Swtpm]:
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    try:
        tpm = Swtpm()
    except SwtpmError:
        missing("swtpm")
    with tpm:
        yield tpm


class TestOverSoftHsm(BackendContract):
    @pytest.fixture
    def token(self, recorded: str, token_uri: str, token_pin: str) -> TokenUnderTest:
        return TokenUnderTest(f"{recorded}:?{token_uri}", token_pin)


class TestOverSwtpm(BackendContract):
    @pytest.fixture
    def token(self, recorded: str, tpm: Swtpm, tmp_path: Path) -> TokenUnderTest:
        return TokenUnderTest(f"{recorded}:{quote(str(tmp_path / 'calls of a test.jsonl'))}?{tpm.uri}")


@pytest.fixture
def as_new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The registry as a new process has it; the configuration file, empty."""
    for name in ("_shared", "_names"):
        monkeypatch.setattr(registry, name, {})
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.setattr(config_file, "_read", None)
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)
    configuration = tmp_path / "providers.ini"
    configuration.write_text("")
    monkeypatch.setenv("HWCNG_CONFIG", str(configuration))
    yield configuration
    for shared in registry._shared.values():
        if shared.provider is not None:
            shared.provider.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


@pytest.fixture
def uri(recorded: str, file: Path, token_uri: str, token_pin: str, tmp_path: Path) -> str:
    pin = tmp_path / "pin"
    pin.write_text(token_pin)
    return f"{recorded}:{file}?{token_uri}&pin-source=file:{pin}"


def verbs(file: Path) -> list[str]:
    return [json.loads(line)["verb"] for line in file.read_text("utf-8").splitlines()]


def test_nothing_inside_has_its_name(recorded: str) -> None:
    for path in PACKAGE.rglob("*.py"):
        assert f"{recorded}:" not in path.read_text("utf-8")
        assert "hwcng_recorded" not in path.read_text("utf-8")


@pytest.mark.usefixtures("as_new")
def test_the_road_of_every_face(uri: str, file: Path, token_pin: str) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(uri)
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "recorded")
    ncrypt.NCryptFinalizeKey(key)
    try:
        assert key.uri.startswith(uri.partition("?")[0])
        again = hwcng.open_key(key.uri)
        assert again.algorithm_handle.provider is storage.provider
        signature = bcrypt.BCryptSignHash(again, None, DIGEST)
        bcrypt.BCryptVerifySignature(key.key, None, DIGEST, signature)
        unpickled = pickle.loads(pickle.dumps(again))
        bcrypt.BCryptVerifySignature(again, None, DIGEST, bcrypt.BCryptSignHash(unpickled, None, DIGEST))
        assert "recorded" in [found.pszName for found in ncrypt.NCryptEnumKeys(storage)]
    finally:
        ncrypt.NCryptDeleteKey(key)
    with bcrypt.BCryptOpenAlgorithmProvider("AES", uri) as algorithm, algorithm.generate_key(256) as secret:
        text = bytes(32)
        assert (
            bcrypt.BCryptDecrypt(secret, bcrypt.BCryptEncrypt(secret, text, None, bytearray(16)), None, bytearray(16))
            == text
        )
    hwcng.set_default_provider(uri)
    context = wincrypt.CryptAcquireContext(None, None, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT)
    assert len(wincrypt.CryptGenRandom(context, 8)) == 8
    wincrypt.CryptReleaseContext(context)
    done = verbs(file)
    for verb in (
        "open",
        "generate_pair",
        "open_key",
        "list_keys",
        "delete_key",
        "generate_secret",
        "encrypt",
        "random",
    ):
        assert verb in done
    assert done.count("sign_digest") == 2
    told = file.read_text("utf-8")
    assert token_pin not in told and DIGEST.hex() not in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.usefixtures("as_new")
def test_what_fails_is_on_the_record(uri: str, file: Path) -> None:
    with hwcng.open_provider(uri) as provider:
        with pytest.raises(CngError):
            provider.open_key("no such key")
        with pytest.raises(CngError):
            hwcng.open_provider(uri, pin="wrong")
    import hwcng_recorded

    answered = [(entry.verb, entry.key, entry.status) for entry in hwcng_recorded.read(file)]
    assert answered == [
        ("open", "", "STATUS_SUCCESS"),
        ("open_key", "'no such key'", "NTE_BAD_KEYSET"),
        ("open", "", "STATUS_SMARTCARD_WRONG_PIN"),
    ]


def test_a_configured_name_with_settings(as_new: Path, recorded: str, token_uri: str, uri: str, token_pin: str) -> None:
    as_new.write_text(
        f"[provider hsm]\nuri = {recorded}:?{token_uri}\ntimeout = 7\npin-source = {uri.rpartition('=')[2]}\n"
    )
    configured = registry.configured_names()["hsm"]
    assert "x-timeout=7" in str(configured)
    storage = ncrypt.NCryptOpenStorageProvider("hsm")
    assert storage.provider.uri.startswith(f"{recorded}:?")
    # A key's URI of another host says less: the configured token serves.
    made = storage.provider.named("recorded by name").generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    try:
        bare = f"{recorded}:?{token_uri.replace('?', ';object=recorded%20by%20name?')}"
        assert hwcng.open_key(bare).algorithm_handle.provider is storage.provider
        assert not backend_of(parse_uri(bare)).pin_is_the_keys(parse_uri(bare))
        with pytest.raises(CngError) as caught:
            hwcng.open_key(bare, pin=f"{token_pin} and more")
        assert caught.value.status is NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
    finally:
        made.destroy()
        storage.provider.delete_key("recorded by name")


@pytest.mark.parametrize(
    "wrong", ["", "pkcs11:", "relative?pkcs11:", "%2Fa%00?pkcs11:", "?", "?nothing:", "?pkcs11:?x"]
)
def test_uris_that_are_none(recorded: str, wrong: str) -> None:
    with pytest.raises(CngError) as caught:
        parse_uri(f"{recorded}:{wrong}")
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_a_key_states_what_its_token_states(recorded: str, tpm: Swtpm, provider: Provider, open_recorded: Any) -> None:
    from hwcng.attestation import verify_attestation

    spec = PairSpec("EC", Usage.SIGN, curve="nistP256")
    with open_recorded(tpm.uri) as over_tpm:
        key = over_tpm.generate_pair(spec)
        assert isinstance(key, Attestable)
        assert verify_attestation(key.attest(b"nonce"), b"nonce").public == key.public
    with open_recorded(provider.uri) as over_hsm:
        assert not isinstance(over_hsm.generate_pair(spec), Attestable)
    assert recorded


@pytest.fixture
def open_recorded(recorded: str, token_pin: str) -> Callable[[str], Provider]:
    return lambda uri: hwcng.open_provider(f"{recorded}:?{uri}", pin=token_pin if uri.startswith("pkcs11:") else None)


@pytest.mark.usefixtures("as_new")
def test_the_command(uri: str, file: Path, tmp_path: Path) -> None:
    from hwcng.cli.application import run

    assert run(["random", uri, "8", "--output", str(tmp_path / "drawn")]) == 0
    assert len((tmp_path / "drawn").read_bytes()) == 8
    assert verbs(file) == ["open", "random"]


ADOPTING = """
import sys, hwcng
from hwcng.interop.python_pkcs11 import adopt
with hwcng.open_provider(sys.argv[1], pin=sys.stdin.read()) as provider:
    print(provider.token.label in [token.label for token in adopt(provider).get_tokens()])
"""


def test_python_pkcs11_through_it(recorded: str, token_uri: str, token_pin: str) -> None:
    token = TokenUnderTest(f"{recorded}:?{token_uri}", token_pin)
    assert token.run(ADOPTING, token.uri) == "True\n"
