"""hwcng.testing.nss: databases of NSS softokn, and a current NSS fetched by apt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import missing

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11 import quirks
from hwcng.testing import _debian_package, nss
from hwcng.testing import _nss_from_debian as from_debian
from hwcng.testing.nss import NssDatabase, NssError

ROOT = Path(__file__).parents[2]
PIN = "pin-of-the-user"
ML_KEM, ML_DSA = 0x17, 0x1D
PRELUDE = "import sys, hwcng\nfrom hwcng.contract import *\n"


def in_child(program: str, *arguments: str) -> str:
    """A process of its own has an NSS of its own. Returns what it prints."""
    child = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


@pytest.fixture(scope="module")
def system_nss() -> Path:
    try:
        return nss.find_module()
    except NssError:
        missing("NSS softokn")


@pytest.fixture(scope="module")
def database(system_nss: Path, tmp_path_factory: pytest.TempPathFactory) -> NssDatabase:
    return nss.provision(tmp_path_factory.mktemp("database"), PIN, module=system_nss)


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has named a current NSS, nor a mirror."""
    monkeypatch.delenv("HWCNG_CURRENT_NSS", raising=False)
    monkeypatch.delenv("HWCNG_DEBIAN_MIRROR", raising=False)


@pytest.fixture(scope="session")
def current_module(nss_current_database: NssDatabase) -> Path:
    return nss_current_database.module


# --- databases


def test_a_database_is_made_once(database: NssDatabase) -> None:
    assert database.created
    again = nss.provision(database.directory, "another pin", module=database.module)
    assert not again.created
    assert (again.uri, again.services_uri) == (database.uri, database.services_uri)
    assert PIN not in repr(database) + database.uri


def test_keys_survive_in_it(database: NssDatabase) -> None:
    """An opaque blob is wrapped by a key that is a token object: another process finds it again."""
    made = in_child(
        """
        with hwcng.open_provider(sys.argv[1], pin="pin-of-the-user") as token:
            spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT, exportable=True)
            print(token.import_secret(spec, bytes(range(16))).opaque().hex())
        """,
        database.uri,
    )
    loaded = """
        with hwcng.open_provider(sys.argv[1], pin="pin-of-the-user") as token:
            key = token.reload_opaque(bytes.fromhex(sys.argv[2]))
            print(key.encrypt(CipherSpec(CipherMode.ECB), bytes(range(16))).hex())
        """
    assert in_child(loaded, database.uri, made) == "0a940bb5416ef045f1c39458c653ea5a"


def test_its_pin_is_asked_for(database: NssDatabase) -> None:
    said = in_child(
        """
        for pin in ("wrong", None):
            try:
                hwcng.open_provider(sys.argv[1], pin=pin)
            except hwcng.CngError as error:
                print(error.status.name)
        """,
        database.uri,
    )
    assert said.split() == ["STATUS_SMARTCARD_WRONG_PIN", "STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED"]


def test_a_process_has_one_database(database: NssDatabase) -> None:
    """The second x-initialize-reserved is refused, not ignored; a URI without one takes what is there."""
    said = in_child(
        """
        services, path, other = sys.argv[1:]
        with hwcng.open_provider(services) as token:
            with hwcng.open_provider(f"pkcs11:slot-id=1?module-path={path}") as same:
                assert token.token == same.token
        try:
            hwcng.open_provider(other, pin="pin")
        except hwcng.CngError as error:
            print(error.status.name, "another x-initialize-reserved" in error.message)
        """,
        database.services_uri,
        str(database.module),
        database.uri.replace("sql:", "sql:/elsewhere"),
    )
    assert said == "STATUS_INVALID_PARAMETER True"


def test_making_one_at_the_same_time(system_nss: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: nss.provision(tmp_path / "one", PIN, module=system_nss), range(3)))
    assert [database.created for database in made].count(True) == 1


@pytest.mark.parametrize(("pin", "label"), [("", "one"), ("x" * 256, "one"), (PIN, ""), (PIN, "x" * 33), (PIN, "it's")])
def test_what_no_database_can_have(tmp_path: Path, pin: str, label: str) -> None:
    with pytest.raises(ValueError, match=r"must have|has 1 to") as refused:
        nss.provision(tmp_path, pin, label=label)
    assert not pin or pin not in str(refused.value)
    with pytest.raises(ValueError, match="cannot hold this path"):
        nss.provision(tmp_path / "it's", PIN)


def test_a_module_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "libsoftokn3.so").write_text("no module")
    with pytest.raises(NssError, match=r"libsoftokn3\.so cannot be loaded") as refused:
        nss.provision(tmp_path / "database", PIN, module=tmp_path / "libsoftokn3.so")
    assert PIN not in str(refused.value)
    (tmp_path / "libnssutil3.so").write_text("no library")
    with pytest.raises(NssError, match=r"libnssutil3\.so"):
        nss.look_at(tmp_path / "libsoftokn3.so")


def test_where_nss_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "libsoftokn3.so"
    monkeypatch.setenv("NSS_SOFTOKN", str(named))
    with pytest.raises(NssError, match="NSS_SOFTOKN names"):
        nss.find_module()
    named.touch()
    assert nss.find_module() == named
    monkeypatch.delenv("NSS_SOFTOKN")
    monkeypatch.setattr(nss, "_USUAL_PLACES", (f"{tmp_path}/*.so",))
    assert nss.find_module() == named
    monkeypatch.setattr(nss, "_USUAL_PLACES", ())
    with pytest.raises(NssError, match="apt-get install libnss3"):
        nss.find_module()


# --- a current NSS


def test_the_current_nss_has_the_new_algorithms(current_module: Path) -> None:
    assert {ML_KEM, ML_DSA} <= set(nss.look_at(current_module))
    assert nss.current_nss() == current_module


def test_a_second_call_fetches_nothing(current_module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert nss.current_nss(seconds=0) == current_module


def test_its_libraries_have_names_of_their_own(current_module: Path) -> None:
    """Else the linker and NSPR would give it the system's, and the system's NSS its."""
    if current_module.parent.name != "current":
        missing("the current NSS from Debian")
    assert {path.name for path in current_module.parent.iterdir()} == {
        "libsoftokn3.so",
        "libnssutilC.so",
        "libfreeblprivC.so",
    }
    for path in current_module.parent.iterdir():
        octets = path.read_bytes()
        assert not any(name.encode() + b"\0" in octets for name in from_debian.NEW_NAMES), path


def test_an_unchanged_layout_works_alone(current_module: Path, tmp_path: Path) -> None:
    """As Firefox ships it: libnssutil beside the module, no RUNPATH. Beside the system's NSS it is refused."""
    if current_module.parent.name != "current":
        missing("the current NSS from Debian")
    for path in current_module.parent.iterdir():
        octets = path.read_bytes()
        for old, new in from_debian.NEW_NAMES.items():
            octets = octets.replace(new.encode() + b"\0", old.encode() + b"\0")
        (tmp_path / path.name.replace("C.so", "3.so")).write_bytes(octets)
    program = """
        with hwcng.open_provider(f"pkcs11:slot-id=1?module-path={sys.argv[1]}/libsoftokn3.so") as token:
            token.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
            print(token.token.library.split()[-1], len(token.random(8)))
        """
    version, octets_drawn = in_child(program, str(tmp_path)).split()
    assert octets_drawn == "8" and version != "3.87"


def test_the_environment_names_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "libsoftokn3.so"
    monkeypatch.setenv("HWCNG_CURRENT_NSS", str(named))
    with pytest.raises(NssError, match="HWCNG_CURRENT_NSS names"):
        nss.current_nss()
    named.touch()
    assert nss.current_nss() == named


@pytest.mark.parametrize(
    ("cache", "expected"), [("/var/cache/mine", "/var/cache/mine/hwcng/nss"), ("relative", None), ("", None)]
)
def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, cache: str, expected: str | None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("HOME", "/home/of/mine")
    assert str(_debian_package.cache_directory("nss")) == (expected or "/home/of/mine/.cache/hwcng/nss")


def apt_or_missing() -> None:
    for command in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(command) is None:
            missing(f"command:{command}")
    if not any(keyring.exists() for keyring in _debian_package._KEYRINGS):
        missing("debian-archive-keyring")


@pytest.mark.usefixtures("unnamed")
def test_fetching_twice_at_the_same_time(tmp_path: Path) -> None:
    apt_or_missing()
    cache = tmp_path / "cache"
    try:
        with ThreadPoolExecutor(2) as pool:
            fetched = set(pool.map(lambda _: nss.current_nss(cache, seconds=60), range(2)))
    except NssError as error:
        if "could be had: apt-get -q -c" in str(error):
            missing("Debian's archive")
        raise
    assert fetched == {cache / "current" / "libsoftokn3.so"}
    assert [path.name for path in cache.iterdir()] == ["current"]
    assert {ML_KEM, ML_DSA} <= set(nss.look_at(fetched.pop()))


@pytest.mark.usefixtures("unnamed")
def test_a_mirror_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_or_missing()
    monkeypatch.setenv("HWCNG_DEBIAN_MIRROR", f"file:{tmp_path}/nothing")
    with pytest.raises(NssError, match=r"apt-get .* update ended with .*HWCNG_CURRENT_NSS") as refused:
        nss.current_nss(tmp_path / "cache")
    assert "3.131" in str(refused.value)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("unnamed")
def test_an_unsigned_mirror_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system's configuration allows."""
    apt_or_missing()
    suite = tmp_path / "mirror" / "dists" / "testing"
    suite.mkdir(parents=True)
    (suite / "Release").write_text("Origin: Debian\nSuite: testing\nCodename: forky\nComponents: main\n")
    permissive = tmp_path / "permissive.conf"
    permissive.write_text('Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n')
    monkeypatch.setenv("APT_CONFIG", str(permissive))
    monkeypatch.setenv("HWCNG_DEBIAN_MIRROR", f"file:{tmp_path}/mirror")
    with pytest.raises(NssError, match="is not signed"):
        nss.current_nss(tmp_path / "cache")


@pytest.mark.usefixtures("unnamed")
def test_time_that_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_or_missing()
    monkeypatch.setenv("HWCNG_DEBIAN_MIRROR", f"file:{tmp_path}")
    with pytest.raises(NssError, match="did not end in time"):
        nss.current_nss(tmp_path / "cache", seconds=0)
    slow = tmp_path / "bin"
    slow.mkdir()
    for command in ("apt-get", "dpkg-deb"):
        (slow / command).write_text("#!/bin/sh\nexec sleep 60\n")
        (slow / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    started = time.monotonic()
    with pytest.raises(NssError, match="update did not end in time"):
        nss.current_nss(tmp_path / "cache", seconds=1)
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("unnamed")
def test_a_system_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NssError, match=r"apt-get \(package apt\), which is not on PATH"):
        nss.current_nss(tmp_path / "cache")


@pytest.mark.usefixtures("unnamed")
def test_a_system_without_the_archives_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_or_missing()
    monkeypatch.setattr(_debian_package, "_KEYRINGS", (tmp_path / "keyring.gpg",))
    with pytest.raises(NssError, match="apt-get install debian-archive-keyring"):
        nss.current_nss(tmp_path / "cache")


@pytest.mark.usefixtures("unnamed")
def test_a_system_whose_apt_knows_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt_or_missing()
    for release in ({"ID": "ubuntu"}, {"ID": "debian", "VERSION_CODENAME": "no-such-suite"}):
        monkeypatch.setattr(_debian_package, "_os_release", lambda release=release: release)
        monkeypatch.setattr(_debian_package, "_STABLE_ALIASES", frozenset())
        with pytest.raises(NssError, match="set HWCNG_DEBIAN_MIRROR"):
            nss.current_nss(tmp_path / "cache")


@pytest.mark.usefixtures("unnamed")
def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NssError, match="cannot be written"):
        nss.current_nss(tmp_path / "file" / "cache")


def test_a_package_that_is_not_enough(current_module: Path, tmp_path: Path) -> None:
    """Laid out whole or not at all."""
    unpacked, target = tmp_path / "unpacked", tmp_path / "cache" / "current"
    unpacked.mkdir()
    target.parent.mkdir()
    with pytest.raises(NssError, match=r"there is no libsoftokn3\.so in it"):
        from_debian._lay_out(unpacked, target, "some.deb")
    system = nss.find_module()
    if {ML_KEM, ML_DSA} <= set(nss.look_at(system)):
        missing("an NSS without ML-DSA")
    for name in from_debian.NEW_NAMES:
        # Ubuntu has some of them in a folder below the others'.
        shutil.copy(next(system.parent.glob(name), system.parent.parent / name), unpacked)
    with pytest.raises(NssError, match=r"some\.deb has no ML-DSA, ML-KEM"):
        from_debian._lay_out(unpacked, target, "some.deb")
    (unpacked / "libsoftokn3.so").write_text("no module")
    with pytest.raises(NssError, match=r"some\.deb: .*does not work here"):
        from_debian._lay_out(unpacked, target, "some.deb")
    assert list(target.parent.iterdir()) == []


def test_the_command(current_module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nss.main([]) == 0
    assert capsys.readouterr().out == f"{current_module}\n"


@pytest.mark.usefixtures("unnamed")
def test_the_command_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert nss.main(["--directory", str(tmp_path / "file" / "cache"), "--seconds", "5"]) == 1
    assert "could be had" in capsys.readouterr().err


# --- what the provider needs for them


def test_companions(tmp_path: Path) -> None:
    module = tmp_path / "libsoftokn3.so"
    assert quirks.companions(str(module)) == []
    for name in ("libnssutil3.so", "libnssutilC.so", "libnss3.so", "libnssutil3.so.bak"):
        (tmp_path / name).touch()
    assert [Path(path).name for path in quirks.companions(str(module))] == ["libnssutil3.so", "libnssutilC.so"]
    assert quirks.companions(str(tmp_path / "libsofthsm2.so")) == ()


def test_quirks_of_a_token_behind_p11_kit() -> None:
    """Its slots may be of several libraries, so they share no mechanisms."""
    remote = quirks.quirks_of("p11-kit-client.so", "PKCS#11 Kit", "Proxy Module", "Mozilla Foundation", "NSS 3")
    near = quirks.quirks_of("libsoftokn3.so", "Mozilla Foundation", "NSS Internal Crypto Services")
    assert near.slots_share_mechanisms and not remote.slots_share_mechanisms
    assert remote.named_curves == near.named_curves
    assert quirks.quirks_of("p11-kit-client.so", "PKCS#11 Kit", "", "somebody", "").named_curves is None


def test_another_reserved_text_is_refused(provider: Provider) -> None:
    with pytest.raises(CngError, match="another x-initialize-reserved") as refused:
        hwcng.open_provider(provider.uri + "&x-initialize-reserved=something")
    assert refused.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
