"""Debian testing's libnss3 in a folder of its own, for systems whose NSS is older. Nothing is installed.

apt fetches and verifies it, with a configuration, lists and a state of its own; dpkg-deb unpacks it. Its libraries get
names that the system's NSS does not have: the linker, and NSPR's list of loaded libraries, know a library by its name
alone, and would give the one NSS the other's parts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from hwcng.testing._nss_module import NssError, look_at
from hwcng.testing._provisioning import only_one

__all__ = ["CURRENT_NSS_VARIABLE", "cache_directory", "fetch"]

CURRENT_NSS_VARIABLE = "HWCNG_CURRENT_NSS"
MIRROR_VARIABLE = "HWCNG_DEBIAN_MIRROR"
SUITE = "testing"
PACKAGE = "libnss3"
MODULE = "libsoftokn3.so"
NEW_NAMES = {
    "libsoftokn3.so": "libsoftoknC.so",
    "libnssutil3.so": "libnssutilC.so",
    "libfreeblpriv3.so": "libfreeblprivC.so",
}
"""Of the same length, so that a name is replaced where it stands."""
WANTED_MECHANISMS = {0x0F: "ML-KEM", 0x17: "ML-KEM", 0x1C: "ML-DSA", 0x1D: "ML-DSA"}

_KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp"))
_STABLE_ALIASES = frozenset({"stable", "testing", "unstable", "sid"})
_ELSEWHERE = (
    f"Or set {CURRENT_NSS_VARIABLE} to the libsoftokn3.so of any NSS that has ML-DSA and ML-KEM (3.131 has, "
    "3.110 has not)"
)

# apt-get reads it after the system's files, whose proxies stay and whose hooks are not for these lists.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "{home}/state";
Dir::State::status "{home}/state/status";
Dir::Cache "{home}/cache";
Dir::Etc::sourcelist "{home}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""
_SOURCES = """\
Types: deb
URIs: {mirror}
Suites: {suite}
Components: main
Architectures: {architecture}
Signed-By: {keyring}
"""


def cache_directory() -> Path:
    """hwcng/nss in the user's cache folder (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a relative path is to be ignored.
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "hwcng" / "nss"


def fetch(home: Path, seconds: float) -> Path:
    """The module in `home`, fetched within `seconds` where it is not there yet. Raises NssError."""
    module = home / "current" / MODULE
    if module.is_file():
        return module
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(home):
            if not module.is_file():
                _fetch_into(module.parent, time.monotonic() + seconds)
    except OSError as error:
        raise _failed(f"{home} cannot be written: {error}") from error
    return module


def _fetch_into(target: Path, deadline: float) -> None:
    for command, package in (("apt-get", "apt"), ("dpkg", "dpkg"), ("dpkg-deb", "dpkg")):
        if shutil.which(command) is None:
            raise _failed(f"it is fetched by {command} (package {package}), which is not on PATH")
    keyring = next((keyring for keyring in _KEYRINGS if keyring.exists()), None)
    if keyring is None:
        raise _failed(f"apt needs {_KEYRINGS[0]}: apt-get install debian-archive-keyring")
    mirror = os.environ.get(MIRROR_VARIABLE) or _mirror(deadline)
    architecture = _run(["dpkg", "--print-architecture"], deadline).strip()
    with tempfile.TemporaryDirectory(prefix="hwcng-nss-") as name:
        home = Path(name)
        # Readable for apt's own user, to whom it leaves the network.
        home.chmod(0o755)
        for folder in ("state/lists/partial", "cache/archives/partial", "package"):
            (home / folder).mkdir(parents=True)
        (home / "state" / "status").touch()
        (home / "debian.sources").write_text(
            _SOURCES.format(mirror=mirror, suite=SUITE, architecture=architecture, keyring=keyring)
        )
        configuration = home / "apt.conf"
        configuration.write_text(_CONFIGURATION.format(home=home, architecture=architecture))
        apt = ["apt-get", "-q", "-c", str(configuration)]
        _run([*apt, "update"], deadline)
        _run([*apt, "download", PACKAGE], deadline, cwd=home / "package")
        packages = list((home / "package").glob("*.deb"))
        if len(packages) != 1:
            raise _failed(f"apt-get download left {len(packages)} packages")
        _run(["dpkg-deb", "--extract", str(packages[0]), str(home / "unpacked")], deadline)
        _lay_out(home / "unpacked", target, packages[0].name)


def _lay_out(unpacked: Path, target: Path, package: str) -> None:
    """Makes the folder `target`, whole or not at all."""
    draft = target.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        _rename(unpacked, draft)
        _check(draft / MODULE, package)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _mirror(deadline: float) -> str:
    """Where this system's own packages come from."""
    asked = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    release = _os_release()
    if release.get("ID") == "debian":
        suites = _STABLE_ALIASES | {release.get("VERSION_CODENAME", "")}
        for line in _run(asked, deadline).splitlines():
            suite, component, uri = line.split(" ", 2)
            if suite in suites and component == "main" and not uri.startswith("cdrom:"):
                return uri
    raise _failed(f"apt knows no mirror of Debian here: set {MIRROR_VARIABLE} to the URI of one")


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return {}
    return {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}


def _rename(unpacked: Path, new: Path) -> None:
    """The three libraries that are needed, into `new`, under their new names; the module keeps its file's name."""
    for old_name, new_name in NEW_NAMES.items():
        found = next(unpacked.rglob(old_name), None)
        if found is None:
            raise _failed(f"there is no {old_name} in it")
        octets = found.read_bytes()
        for old, other in NEW_NAMES.items():
            octets = octets.replace(old.encode() + b"\0", other.encode() + b"\0")
        (new / (MODULE if old_name == MODULE else new_name)).write_bytes(octets)


def _check(module: Path, package: str) -> None:
    try:
        listed = look_at(module)
    except NssError as error:
        raise _failed(f"{package}: {error}") from error
    if lacking := {name for number, name in WANTED_MECHANISMS.items() if number not in listed}:
        raise _failed(f"{package} has no {', '.join(sorted(lacking))}")


def _run(command: list[str], deadline: float, cwd: Path | None = None) -> str:
    seconds = deadline - time.monotonic()
    try:
        if seconds <= 0:
            raise subprocess.TimeoutExpired(command, 0)
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"{' '.join(command)} did not end in time") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise _failed(f"{' '.join(command)} ended with {done.returncode} and said: {said}")
    return done.stdout


def _failed(reason: str) -> NssError:
    return NssError(f"no current NSS (Debian {SUITE}'s {PACKAGE}) could be had: {reason}. {_ELSEWHERE}")
