"""hwcng.providers.registry: how names, URIs and configuration become one open provider.

The backend here opens nothing: only the resolution is tested, whose input is a URI and whose output is an object.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hwcng
from hwcng.contract.provider import Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers import config_file, registry
from hwcng.providers.pkcs11 import backend as pkcs11
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.providers.tpm2 import backend as tpm2
from hwcng.providers.tpm2.uri import Tpm2Uri

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "Microsoft Platform Crypto Provider"
# A class without its abstract methods: the registry calls none of them.
Opened = type("Opened", (Provider,), dict.fromkeys(Provider.__abstractmethods__, lambda self: None))


class Opening:
    """What stands for the opening of every backend, and notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[ProviderUri, object, bool]] = []
        self.delay = 0.0
        self.error: Exception | None = None

    def open(self, uri: ProviderUri, *, pin: object, allow_raw_secret: bool) -> Provider:
        self.calls.append((uri, pin, allow_raw_secret))
        time.sleep(self.delay)
        if self.error is not None:
            raise self.error
        provider: Provider = Opened()
        provider.uri = str(uri)
        provider.closed = False  # type: ignore[attr-defined]
        return provider


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The registry as a new process has it, with no configuration of this machine in sight."""
    monkeypatch.setattr(registry, "_shared", {})
    monkeypatch.setattr(registry, "_names", {})
    monkeypatch.setattr(config_file, "_read", None)
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.setattr(config_file, "SYSTEM_CONFIG", str(tmp_path / "etc.ini"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("HWCNG_CONFIG", raising=False)
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Opening:
    opening = Opening()
    for known in (pkcs11.BACKEND, tpm2.BACKEND):
        monkeypatch.setattr(known, "modules", ())
        monkeypatch.setattr(known, "open", opening.open)
    return opening


@contextmanager
def refused(status: NTSTATUS, *said: str) -> Iterator[pytest.ExceptionInfo[CngError]]:
    """`pytest.raises` for a CngError with this status whose message has all of `said`."""
    with pytest.raises(CngError) as caught:
        yield caught
    assert caught.value.status is status
    for words in said:
        assert words in caught.value.message


def test_open_provider_passes_on_what_it_is_given(backend: Opening) -> None:
    def pin() -> str:
        return "1234"

    provider = hwcng.open_provider("PKCS11:token=a?module-name=m", pin=pin, allow_raw_secret=True)
    assert provider.uri == "pkcs11:token=a?module-name=m"
    hwcng.open_provider("tpm2:tabrmd")
    assert backend.calls == [
        (Pkcs11Uri(token="a", module_name="m"), pin, True),
        (Tpm2Uri("tabrmd"), None, False),
    ]


def test_open_provider_takes_a_configured_name(backend: Opening) -> None:
    registry.configure({"mine": "tpm2:tabrmd", "tpm2:device": "tpm2:swtpm"})
    opened = hwcng.open_provider("mine", pin="1234")
    assert opened is not registry.resolve_implementation("mine")
    # A URI stays what it says.
    hwcng.open_provider("tpm2:device")
    assert [call[:2] for call in backend.calls] == [
        (Tpm2Uri("tabrmd"), "1234"),
        (Tpm2Uri("tabrmd"), None),
        (Tpm2Uri("device"), None),
    ]


def test_open_provider_opens_anew_each_time(backend: Opening) -> None:
    assert hwcng.open_provider("tpm2:") is not hwcng.open_provider("tpm2:")
    assert registry.resolve_implementation("tpm2:") is not hwcng.open_provider("tpm2:")


@pytest.mark.parametrize("uri", ["pkcs12:token=a", "", "hsm", "pkcs11:tokn=a"])
def test_open_provider_refuses_what_is_no_uri(backend: Opening, uri: str) -> None:
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        hwcng.open_provider(uri)
    assert backend.calls == []


def test_resolving_shares_one_provider_per_uri(backend: Opening) -> None:
    first = registry.resolve_implementation("pkcs11:token=a;model=m?module-name=x")
    assert registry.resolve_implementation("pkcs11:model=m;token=%61?module-name=x") is first
    assert registry.resolve_implementation("pkcs11:token=b") is not first
    assert registry.resolve_implementation(first) is first
    assert len(backend.calls) == 2


def test_a_closed_provider_is_opened_again(backend: Opening) -> None:
    first = registry.resolve_implementation("tpm2:")
    first.closed = True  # type: ignore[attr-defined]
    second = registry.resolve_implementation("tpm2:")
    assert second is not first
    assert registry.resolve_implementation("tpm2:") is second


def test_a_failed_opening_is_not_remembered(backend: Opening) -> None:
    backend.error = CngError(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, "no line")
    with refused(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED):
        registry.resolve_implementation("pkcs11:?pin-value=1")
    assert len(backend.calls) == 1
    backend.error = None
    assert registry.resolve_implementation("pkcs11:?pin-value=1").uri == "pkcs11:"


def test_another_pin_is_another_entry_and_no_key_shows_one(backend: Opening) -> None:
    first = registry.resolve_implementation("pkcs11:token=a?pin-value=1234")
    assert registry.resolve_implementation("pkcs11:token=a?pin-value=5678") is not first
    assert registry.resolve_implementation("pkcs11:token=a?pin-value=1234") is first
    assert "1234" not in first.uri
    hwcng.set_default_provider("pkcs11:token=a?pin-value=1234")
    registry.configure({"one": "pkcs11:token=a?pin-value=1234"})
    shown = repr(registry._shared) + repr(registry._default) + repr(registry._names)
    assert "1234" not in shown
    assert "5678" not in shown


def test_racing_threads_open_once_and_another_uri_does_not_wait(backend: Opening) -> None:
    backend.delay = 0.2
    found: list[Provider] = []
    start = threading.Barrier(9)

    def resolve(uri: str) -> None:
        start.wait()
        found.append(registry.resolve_implementation(uri))

    threads = [threading.Thread(target=resolve, args=("pkcs11:token=a",)) for _ in range(8)]
    threads.append(threading.Thread(target=resolve, args=("pkcs11:token=b",)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(backend.calls) == 2
    assert len(set(map(id, found))) == 2


def test_a_forked_child_does_not_wait_for_the_parents_threads(backend: Opening) -> None:
    backend.delay = 1.0
    opening = threading.Thread(target=registry.resolve_implementation, args=("pkcs11:token=a",))
    opening.start()
    while not backend.calls:
        time.sleep(0.001)
    with registry._lock.held():
        child = os.fork()
        if child == 0:
            backend.delay = 0.0
            try:
                # A lock that the parent's thread holds would block here for ever.
                registry.resolve_implementation("pkcs11:token=a")
                os._exit(0)
            finally:
                os._exit(1)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    opening.join()
    assert ended == (child, 0)


def test_no_default_says_how_to_set_one(backend: Opening) -> None:
    for ask in (registry.default_provider, lambda: registry.resolve_implementation(None)):
        with refused(NTSTATUS.STATUS_NOT_FOUND, "set_default_provider", "HWCNG_PROVIDER"):
            ask()


def test_the_default_is_a_provider_a_uri_or_a_name(backend: Opening) -> None:
    mine = hwcng.open_provider("tpm2:")
    hwcng.set_default_provider(mine)
    assert registry.default_provider() is mine
    assert registry.resolve_implementation(None) is mine
    hwcng.set_default_provider("tpm2:tabrmd")
    assert registry.default_provider() is registry.resolve_implementation("tpm2:tabrmd")
    registry.configure({PLATFORM: "tpm2:device:/dev/tpmrm0"})
    hwcng.set_default_provider(PLATFORM)
    assert registry.default_provider() is registry.resolve_implementation(PLATFORM)
    assert registry.default_provider().uri == "tpm2:device:/dev/tpmrm0"
    hwcng.set_default_provider(None)
    with refused(NTSTATUS.STATUS_NOT_FOUND):
        registry.default_provider()


def test_a_default_by_uri_is_opened_at_once_and_again_after_a_close(backend: Opening) -> None:
    hwcng.set_default_provider("tpm2:")
    assert len(backend.calls) == 1
    first = registry.default_provider()
    assert len(backend.calls) == 1
    first.closed = True  # type: ignore[attr-defined]
    assert registry.default_provider() is not first


def test_a_default_that_fails_leaves_the_one_before(backend: Opening) -> None:
    hwcng.set_default_provider("tpm2:")
    kept = registry.default_provider()
    backend.error = CngError(NTSTATUS.STATUS_NOT_FOUND, "no such token")
    for wrong in ("tpm2:tabrmd", "pkcs11:tokn=a", "no such name"):
        with pytest.raises(CngError):
            hwcng.set_default_provider(wrong)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, "not int"):
        hwcng.set_default_provider(1)  # type: ignore[arg-type]
    assert registry.default_provider() is kept


def test_the_environment_names_a_default(backend: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWCNG_PROVIDER", "tpm2:tabrmd")
    assert registry.default_provider() is registry.resolve_implementation("tpm2:tabrmd")
    monkeypatch.setenv("HWCNG_PROVIDER", PLATFORM)
    with refused(NTSTATUS.STATUS_NOT_FOUND, PLATFORM):
        registry.default_provider()
    registry.configure({PLATFORM: "tpm2:"})
    assert registry.default_provider() is registry.resolve_implementation("tpm2:")
    hwcng.set_default_provider("tpm2:device:/dev/tpm0")
    assert registry.default_provider().uri == "tpm2:device:/dev/tpm0"


def test_primitive_provider_is_the_default_until_it_is_configured(
    backend: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = registry.MS_PRIMITIVE_PROVIDER
    with refused(NTSTATUS.STATUS_NOT_FOUND, "no default provider"):
        registry.resolve_implementation(name)
    # Naming it as the default would be circular.
    monkeypatch.setenv("HWCNG_PROVIDER", name)
    with refused(NTSTATUS.STATUS_NOT_FOUND, name):
        registry.resolve_implementation(name)
    hwcng.set_default_provider("tpm2:")
    assert registry.resolve_implementation(name) is registry.default_provider()
    registry.configure({name: "tpm2:tabrmd"})
    assert registry.resolve_implementation(name).uri == "tpm2:tabrmd"


def test_a_name_that_is_not_configured_says_which_are(backend: Opening) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND, "'hsm'", "pkcs11:, tpm2:", "configured: none"):
        registry.resolve_implementation("hsm")
    registry.configure({"b": "tpm2:", "a": "tpm2:"})
    with refused(NTSTATUS.STATUS_NOT_FOUND, "'pkcs12:token=a'", "configured: 'a', 'b'"):
        registry.resolve_implementation("pkcs12:token=a")
    with refused(NTSTATUS.STATUS_NOT_FOUND, "'A'"):
        registry.resolve_implementation("A")


@pytest.mark.parametrize("wrong", [" pkcs11:?pin-value=1234", "pkcs12:?pin-value=1234", "token=a?pin=1234"])
def test_a_mistyped_uri_does_not_tell_its_pin(backend: Opening, wrong: str) -> None:
    with pytest.raises(CngError) as caught:
        registry.resolve_implementation(wrong)
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("wrong", [1, b"pkcs11:", object()])
def test_what_is_no_implementation_at_all(backend: Opening, wrong: object) -> None:
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, type(wrong).__name__):
        registry.resolve_implementation(wrong)  # type: ignore[arg-type]


def test_configure_adds_all_or_nothing(backend: Opening) -> None:
    registry.configure({"a": "tpm2:"})
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, "'c'", "tokn"):
        registry.configure({"b": "tpm2:", "c": "pkcs11:tokn=a?pin-value=1234"})
    with refused(NTSTATUS.STATUS_NOT_FOUND, "configured: 'a'"):
        registry.resolve_implementation("b")
    registry.configure({"b": "tpm2:", "a": "tpm2:tabrmd"})
    assert registry.resolve_implementation("a").uri == "tpm2:tabrmd"


CONFIG = """\
# names of this machine
[providers]
Microsoft Platform Crypto Provider = tpm2:device:/dev/tpmrm0?store=/var/lib/hwcng
HSM: room 5 = pkcs11:token=hsm%20one;model=x?module-name=softhsm2&pin-source=file:/run/pin
; another
hsm: room 5 = tpm2:

"""


def test_the_configuration_file(backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.ini"
    path.write_text(CONFIG)
    monkeypatch.setenv("HWCNG_CONFIG", str(path))
    assert registry.resolve_implementation(PLATFORM).uri == "tpm2:device:/dev/tpmrm0?store=/var/lib/hwcng"
    registry.resolve_implementation("HSM: room 5")
    assert backend.calls[-1][0] == Pkcs11Uri(
        token="hsm one", model="x", module_name="softhsm2", pin_source="file:/run/pin"
    )
    assert registry.resolve_implementation("hsm: room 5").uri == "tpm2:"
    with refused(NTSTATUS.STATUS_NOT_FOUND, "'anything'", f"'HSM: room 5', '{PLATFORM}', 'hsm: room 5'"):
        registry.resolve_implementation("anything")
    registry.configure({PLATFORM: "tpm2:tabrmd"})
    assert registry.resolve_implementation(PLATFORM).uri == "tpm2:tabrmd"


def test_a_changed_file_is_read_again(backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.ini"
    path.write_text("[providers]\na = tpm2:\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(path))
    assert registry.resolve_implementation("a").uri == "tpm2:"
    path.write_text("[providers]\na = tpm2:tabrmd\n")
    assert registry.resolve_implementation("a").uri == "tpm2:tabrmd"
    path.write_text("")
    with refused(NTSTATUS.STATUS_NOT_FOUND, "configured: none"):
        registry.resolve_implementation("a")


def test_where_the_file_is_looked_for(backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, uri: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[providers]\na = {uri}\n")

    write(tmp_path / "etc.ini", "tpm2:etc")
    assert registry.resolve_implementation("a").uri == "tpm2:etc"
    write(tmp_path / "home" / ".config" / "hwcng" / "providers.ini", "tpm2:home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in ("", "relative/is/ignored"):
        monkeypatch.setenv("XDG_CONFIG_HOME", unset)
        assert registry.resolve_implementation("a").uri == "tpm2:home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    write(tmp_path / "xdg" / "hwcng" / "providers.ini", "tpm2:xdg")
    assert registry.resolve_implementation("a").uri == "tpm2:xdg"
    write(tmp_path / "named.ini", "tpm2:named")
    monkeypatch.setenv("HWCNG_CONFIG", str(tmp_path / "named.ini"))
    assert registry.resolve_implementation("a").uri == "tpm2:named"
    monkeypatch.setenv("HWCNG_CONFIG", str(tmp_path / "missing.ini"))
    with refused(NTSTATUS.STATUS_NOT_FOUND, "missing.ini"):
        registry.resolve_implementation("a")
    monkeypatch.setenv("HWCNG_CONFIG", str(tmp_path))
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, str(tmp_path), "Is a directory"):
        registry.resolve_implementation("a")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = pkcs11:?pin-value=1234\n", 1),
        (b"[providers]\n\npkcs11:?pin-value:1234\n", 3),
        (b"[providers]\na = tpm2:\na = pkcs11:?pin-value=1234\n", 3),
        (b"[providers]\na = tpm2:\n[providers]\nb = pkcs11:?pin-value=1234\n", 3),
        (b"[logging]\nlevel = INFO\n[providers]\n# a\na = pkcs11:tokn=x?pin-value=1234\n", 5),
        (b"[providers]\nb = tpm2:\na = pkcs11:?pin-value=1234\n  5678\n", 3),
        (b"[providers]\na =\n", 2),
        (b"[providers]\na = tpm2:\nb = pkcs11:token=\xff?pin-value=1234\n", 3),
        (b"[providers]\r\na = tpm2:\r\nb = hsm?pin-value=1234\r\n", 3),
    ],
)
def test_a_malformed_file_tells_its_line_and_no_pin(
    backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, line: int
) -> None:
    path = tmp_path / "mine.ini"
    path.write_bytes(content)
    monkeypatch.setenv("HWCNG_CONFIG", str(path))
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, f"{path}, line {line}:") as caught:
        registry.resolve_implementation("a")
    told = "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value.__context__)
    assert "1234" not in told
    assert "5678" not in told


def test_a_byte_order_mark_is_no_fault(backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.ini"
    path.write_bytes(b"\xef\xbb\xbf[providers]\na = tpm2:\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(path))
    assert registry.resolve_implementation("a").uri == "tpm2:"


def test_a_process_own_name_and_a_uri_need_no_file(
    backend: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWCNG_CONFIG", str(tmp_path / "missing.ini"))
    registry.configure({"a": "tpm2:"})
    assert registry.resolve_implementation("a") is registry.resolve_implementation("tpm2:")


@pytest.mark.parametrize(
    ("scheme", "package"),
    [("pkcs11", "pkcs11"), ("pkcs11", "_cffi_backend"), ("pkcs11", "asn1crypto"), ("tpm2", "tpm2_pytss")],
)
def test_a_missing_package_says_what_to_install(scheme: str, package: str) -> None:
    # A finder that knows no such package is what an import meets where it is not installed.
    program = (
        "import sys, hwcng\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {package!r}: raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"try: hwcng.open_provider({scheme + ':'!r})\n"
        "except hwcng.CngError as error: print(error.status.name, error.message, type(error.__cause__).__name__)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"pip install 'hwcng[{scheme}]'" in run.stdout
    assert run.stdout.startswith("STATUS_NOT_FOUND ")
    assert run.stdout.rstrip().endswith("ModuleNotFoundError")


def test_any_other_missing_module_is_a_fault_and_shows(backend: Opening) -> None:
    backend.error = ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")
    with pytest.raises(ModuleNotFoundError, match="elsewhere"):
        hwcng.open_provider("tpm2:")
