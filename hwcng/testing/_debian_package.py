"""A package of Debian's, fetched and verified by apt and unpacked by dpkg-deb into a folder: nothing is installed.

apt has a configuration, lists and a state of its own for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

__all__ = ["PackageError", "cache_directory", "unpack"]

MIRROR_VARIABLE = "HWCNG_DEBIAN_MIRROR"

_KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp"))
_STABLE_ALIASES = frozenset({"stable", "testing", "unstable", "sid"})
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


class PackageError(Exception):
    """A package could not be had."""


def cache_directory(name: str) -> Path:
    """hwcng/`name` in the user's cache folder (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a relative path is to be ignored.
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "hwcng" / name


def unpack(package: str, suite: str, target: Path, deadline: float) -> str:
    """Unpacks the package into the folder `target`; the name of its file. deadline: of time.monotonic()."""
    for command, of in (("apt-get", "apt"), ("dpkg", "dpkg"), ("dpkg-deb", "dpkg")):
        if shutil.which(command) is None:
            raise PackageError(f"it is fetched by {command} (package {of}), which is not on PATH")
    keyring = next((keyring for keyring in _KEYRINGS if keyring.exists()), None)
    if keyring is None:
        raise PackageError(f"apt needs {_KEYRINGS[0]}: apt-get install debian-archive-keyring")
    mirror = os.environ.get(MIRROR_VARIABLE) or _mirror(deadline)
    architecture = _run(["dpkg", "--print-architecture"], deadline).strip()
    with tempfile.TemporaryDirectory(prefix="hwcng-apt-") as name:
        home = Path(name)
        # Readable for apt's own user, to whom it leaves the network.
        home.chmod(0o755)
        for folder in ("state/lists/partial", "cache/archives/partial", "package"):
            (home / folder).mkdir(parents=True)
        (home / "state" / "status").touch()
        (home / "debian.sources").write_text(
            _SOURCES.format(mirror=mirror, suite=suite, architecture=architecture, keyring=keyring)
        )
        configuration = home / "apt.conf"
        configuration.write_text(_CONFIGURATION.format(home=home, architecture=architecture))
        apt = ["apt-get", "-q", "-c", str(configuration)]
        _run([*apt, "update"], deadline)
        _run([*apt, "download", package], deadline, cwd=home / "package")
        packages = list((home / "package").glob("*.deb"))
        if len(packages) != 1:
            raise PackageError(f"apt-get download left {len(packages)} packages")
        _run(["dpkg-deb", "--extract", str(packages[0]), str(target)], deadline)
        return packages[0].name


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
    raise PackageError(f"apt knows no mirror of Debian here: set {MIRROR_VARIABLE} to the URI of one")


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return {}
    return {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}


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
        raise PackageError(f"{' '.join(command)} did not end in time") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise PackageError(f"{' '.join(command)} ended with {done.returncode} and said: {said}")
    return done.stdout
