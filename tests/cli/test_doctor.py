"""`hwcng doctor`: what it finds, and that a machine on which nothing is installed is told all that is missing."""

from __future__ import annotations

import grp
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.commands import FINDING
from support import missing

import hwcng
from hwcng.providers.pkcs11 import survey
from hwcng.testing._packages import install_line

OTHER = 1
"""A user and a group that this process is not, "daemon" on most systems."""
SHARED = "/dev/shm"


def test_doctor(run) -> None:
    ran = run("doctor", "--json")
    assert list(ran.data) == ["ok", "findings"]
    assert all(list(finding) == list(FINDING) for finding in ran.data["findings"])
    assert {finding["state"] for finding in ran.data["findings"]} <= {"ok", "missing", "problem"}
    found = {finding["what"]: finding for finding in ran.data["findings"]}
    assert found["cryptography"]["state"] == "ok"
    assert ran.status == (0 if ran.data["ok"] else 4)
    assert "cryptography" in run("doctor").output


def test_doctor_names_the_wrong_line_of_the_configuration(run, tmp_path, monkeypatch) -> None:
    wrong = tmp_path / "providers.ini"
    wrong.write_text("[providers]\na = nonsense\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(wrong))
    ran = run("doctor", "--json")
    (finding,) = [found for found in ran.data["findings"] if found["area"] == "configuration"]
    assert f"{wrong}, line 2" in finding["detail"]
    assert ran.status == 4


def closure(*names: str) -> set[str]:
    """Distributions, and what they need of others on this Python."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            waiting += [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in required if "extra ==" not in one]
    return found


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory) -> Path:
    """hwcng and what it cannot do without, and nothing else of the environment."""
    site = tmp_path_factory.mktemp("site")
    (site / "hwcng").symlink_to(Path(hwcng.__file__).parent)
    for name in closure("cryptography", "click", "rich"):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            (site / top).symlink_to(str(distribution.locate_file(top)))
    return site


def program(name: str) -> str:
    return shutil.which(name) or missing(f"command:{name}")


class Machine:
    """Another view of this machine, of one process and its children: its own /dev, and what is hidden."""

    def __init__(self, folder: Path, site: Path) -> None:
        self._folder, self._site = folder, site
        self._empty, self.dev = folder / "empty", folder / "dev"
        self._empty.mkdir()
        self._shared = self.dev / "shm"
        self._shared.mkdir(parents=True)
        self._mounts: list[tuple[object, ...]] = []
        for name in ("null", "urandom"):
            (self.dev / name).touch()
            self._mounts.append(("--bind", f"/dev/{name}", self.dev / name))

    def hide_modules(self) -> None:
        """Every PKCS#11 module that hwcng would find, and every configuration of p11-kit's."""
        libraries = [folder.format(multiarch=f"{os.uname().machine}-linux-gnu") for folder in survey._LIBRARIES]
        found = [f"{library}/{name}" for library in libraries for name in survey._USUAL] + list(survey._VENDORS)
        for folder in {os.path.dirname(path) for path in found if os.path.exists(path)} - set(libraries):
            self._mounts.append(("--bind", self._empty, folder))
        for folder in filter(os.path.isdir, survey._MODULE_FILES):
            self._mounts.append(("--bind", self._empty, folder))
        for library in libraries:
            names = {os.path.basename(path) for path in found if os.path.dirname(path) == library}
            if any(os.path.exists(f"{library}/{name}") for name in names):
                self._without(library, names)

    def _without(self, library: str, names: set[str]) -> None:
        """The folder that also has what every program needs."""
        number = len(self._mounts)
        original, view = self._folder / f"original-{number}", self._folder / f"view-{number}"
        original.mkdir()
        view.mkdir()
        for name in set(os.listdir(library)) - names:
            (view / name).symlink_to(original / name)
        self._mounts += [("--rbind", library, original), ("--bind", view, library)]

    def doctor(self, *before: str) -> list[dict[str, str]]:
        """Its findings. before: a command that runs it."""
        mount, unshare = program("mount"), program("unshare")
        # The folder of these tests may lie there.
        shared = [("--rbind", SHARED, self._shared)] if os.path.isdir(SHARED) else []
        mounts = [*self._mounts, *shared, ("--rbind", self.dev, "/dev")]
        script = "\n".join(["set -e", *(f"{mount} {' '.join(map(str, given))}" for given in mounts), 'exec "$@"'])
        python = os.path.realpath(sys.executable)
        ran = subprocess.run(
            [unshare, "--mount", "/bin/sh", "-c", script, "sh", *before, python, "-m", "hwcng", "doctor", "--json"],
            env={"PATH": str(self._empty), "HOME": str(self._empty), "PYTHONPATH": str(self._site)},
            cwd=self._empty,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stderr == ""
        told = json.loads(ran.stdout)
        problems = [finding for finding in told["findings"] if finding["state"] == "problem"]
        assert (told["ok"], ran.returncode) == ((False, 4) if problems else (True, 0))
        findings: list[dict[str, str]] = told["findings"]
        return findings


@pytest.fixture
def machine(tmp_path, bare_site) -> Machine:
    if subprocess.run([program("unshare"), "--mount", "true"], capture_output=True, check=False).returncode:
        missing("may make a mount namespace")
    return Machine(tmp_path, bare_site)


def test_a_bare_machine_is_told_all_that_is_missing(machine) -> None:
    machine.hide_modules()
    findings = machine.doctor()
    assert not [finding for finding in findings if finding["state"] == "problem"]
    told = {
        (finding["area"], finding["what"]): finding["mend"] for finding in findings if finding["state"] == "missing"
    }
    assert told == {
        ("package", "python-pkcs11"): "pip install 'hwcng[pkcs11]'",
        ("package", "asn1crypto"): "pip install 'hwcng[pkcs11]'",
        ("package", "tpm2-pytss"): "pip install 'hwcng[tpm2]'",
        ("program", "softhsm2-util"): install_line("softhsm2-util"),
        ("program", "swtpm"): install_line("swtpm"),
        ("program", "pkcs11-tool"): install_line("pkcs11-tool"),
        ("program", "tpm2_getcap"): install_line("tpm2-tools"),
        ("PKCS#11 module", "any"): install_line("softhsm2-util"),
        ("TPM", "any"): install_line("swtpm"),
    }


def test_a_tpm_that_this_user_may_not_use(machine) -> None:
    """The kernel made both devices, they are another user's, and this one's being root opens nothing."""
    machine.hide_modules()
    for name in ("tpm0", "tpmrm0"):
        (machine.dev / name).touch(0o660)
        os.chown(machine.dev / name, OTHER, OTHER)
    powerless = (program("setpriv"), "--securebits=+noroot", "--bounding-set=-all", "--inh-caps=-all")
    findings = machine.doctor(*powerless)
    denied = [finding for finding in findings if "may not use" in finding["detail"]]
    assert [(finding["area"], finding["what"]) for finding in denied] == [("TPM", "/dev/tpmrm0")]
    assert denied[0]["mend"] == f"usermod -aG {grp.getgrgid(OTHER).gr_name} $USER"


def test_a_tpm_without_a_resource_manager(machine) -> None:
    machine.hide_modules()
    (machine.dev / "tpm0").touch(0o660)
    (told,) = [finding for finding in machine.doctor() if "resource manager" in finding["detail"]]
    assert (told["what"], told["state"]) == ("/dev/tpm0", "problem")
    assert told["mend"]
