"""hwcng.providers.backends: a kind of token is found by its scheme, in hwcng or in another package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hwcng
from hwcng.contract.backend import Backend
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers import backends, registry

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "hwcng"
MODULE = """
from dataclasses import dataclass
from typing import ClassVar

from hwcng.contract.backend import Backend
from hwcng.errors import invalid_parameter


@dataclass(frozen=True)
class Uri:
    rest: str
    scheme: ClassVar[str] = "{scheme}"

    def __str__(self):
        return f"{{self.scheme}}:{{self.rest}}"


class Box(Backend):
    scheme = "{scheme}"
    description = "a box"
    packages = ("hwcng_no_such_package",)
    requirement = "box[all]"

    def parse(self, rest):
        if not rest:
            raise invalid_parameter("a box has a number")
        return Uri(rest)

    def open(self, uri, *, pin, allow_raw_secret):
        {body}


BACKEND = Box()
NO_BACKEND = "text"
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with an entry point where Python finds packages: as pip leaves it there."""
    monkeypatch.setattr(backends, "_loaded", dict(backends._loaded))
    before = set(sys.modules)

    def installed(
        scheme: str, *, module: str = "hwcng_test_box", value: str = "", body: str = "raise AssertionError(uri)"
    ) -> None:
        site = tmp_path / module
        information = site / f"{module}-1.dist-info"
        information.mkdir(parents=True)
        (site / f"{module}.py").write_text(MODULE.format(scheme=scheme, body=body))
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        entry = value or f"{module}:BACKEND"
        (information / "entry_points.txt").write_text(f"[{backends.GROUP}]\n{scheme} = {entry}\n")
        monkeypatch.syspath_prepend(str(site))

    yield installed
    for name in set(sys.modules) - before:
        if name.startswith("hwcng_test_"):
            del sys.modules[name]


def refused(status: NTSTATUS, uri: str, *said: str) -> CngError:
    with pytest.raises(CngError) as caught:
        hwcng.open_provider(uri)
    assert caught.value.status is status
    for words in said:
        assert words in caught.value.message
    return caught.value


def test_those_of_hwcng_are_declared_as_any_others_are() -> None:
    table = re.search(
        r'^\[project\.entry-points\."(.*)"\]\n((?:\w+ = .*\n)+)', (ROOT / "pyproject.toml").read_text(), re.M
    )
    assert table is not None and table[1] == backends.GROUP
    declared = dict(re.findall(r'^(\w+) = "(.*)"$', table[2], re.M))
    own = {scheme: f"hwcng.providers.{scheme}.backend:BACKEND" for scheme in backends._OWN}
    assert declared == own
    for scheme in own:
        found = backends.backend_for(scheme)
        assert isinstance(found, Backend) and found.scheme == scheme
        assert found.description and found.requirement and found.packages and found.modules


def test_every_extra_of_a_backend_exists() -> None:
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
    for scheme in backends._OWN:
        assert re.fullmatch(r"hwcng\[(\w+)\]", backends.backend_for(scheme).requirement)[1] in extras  # type: ignore[index]


def test_that_of_another_package(install: Install) -> None:
    assert not backends.names_a_backend("box:1")
    refused(NTSTATUS.STATUS_INVALID_PARAMETER, "box:1", "box:", "pkcs11:", "tpm2:")
    install("box")
    assert backends.names_a_backend("BOX:1")
    assert backends.schemes() == ["pkcs11", "tpm2", "box"]
    assert [backend.scheme for backend in backends.backends()] == ["pkcs11", "tpm2", "box"]
    assert str(backends.parse_uri("Box:1")) == "box:1"
    refused(NTSTATUS.STATUS_INVALID_PARAMETER, "box:", "a box has a number")
    with pytest.raises(AssertionError, match="1"):
        hwcng.open_provider("box:1")
    with pytest.raises(CngError) as caught:
        registry.resolve_implementation("no such name")
    assert "box:" in caught.value.message


def test_it_opens_without_a_timeout_of_its_own(install: Install) -> None:
    install("box")
    with pytest.raises(CngError) as caught:
        hwcng.open_provider("box:1", timeout=1)
    assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    with pytest.raises(CngError) as caught:
        hwcng.open_key("box:1")
    assert caught.value.status is NTSTATUS.STATUS_NOT_SUPPORTED


def test_a_package_that_it_needs_and_another_that_it_lacks(install: Install) -> None:
    install("box", body="import hwcng_no_such_package.inner")
    refused(NTSTATUS.STATUS_NOT_FOUND, "box:1", "pip install 'box[all]'")
    install("lid", module="hwcng_test_lid", body="import hwcng_no_such_other")
    with pytest.raises(ModuleNotFoundError, match="hwcng_no_such_other"):
        hwcng.open_provider("lid:1")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hwcng_test_absent:BACKEND", "hwcng_test_absent"),
        ("hwcng_test_box:ABSENT", "ABSENT"),
        ("hwcng_test_box:NO_BACKEND", "no Backend"),
        ("hwcng.providers.tpm2.backend:BACKEND", "whose scheme is box"),
    ],
)
def test_one_that_is_none(install: Install, value: str, said: str) -> None:
    install("box", value=value)
    refused(NTSTATUS.STATUS_NOT_FOUND, "box:1", said)
    # The others are there all the same.
    assert [backend.scheme for backend in backends.backends()] == ["pkcs11", "tpm2"]


def test_two_packages_that_claim_one_scheme(install: Install) -> None:
    install("box")
    install("box", module="hwcng_test_lid")
    refused(NTSTATUS.STATUS_INVALID_PARAMETER, "box:1", "hwcng_test_box:BACKEND", "hwcng_test_lid:BACKEND")


def test_nobody_takes_a_scheme_from_hwcng(install: Install) -> None:
    install("pkcs11")
    backends._loaded.clear()
    assert type(backends.backend_for("pkcs11")).__module__ == "hwcng.providers.pkcs11.backend"
    assert backends.schemes() == ["pkcs11", "tpm2"]


def test_a_configured_name_asks_for_no_packages() -> None:
    """What looks through the installed packages costs tenths of a second."""
    program = (
        "import sys, hwcng; from hwcng.providers import backends, registry\n"
        "registry.configure({'hsm': 'pkcs11:token=a'})\n"
        "assert registry.is_configured('hsm') and registry.uri_of('hsm') and registry.uri_of('tpm2:')\n"
        "print('importlib.metadata' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """The text constants of a module that are no documentation."""
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def test_nothing_outside_a_backend_names_its_scheme() -> None:
    named = [
        f"{path.relative_to(PACKAGE)}:{line}: {text!r}"
        for path in PACKAGE.rglob("*.py")
        for line, text in texts_of(path)
        for scheme in backends._OWN
        if text == scheme or text.startswith(f"{scheme}:")
        if path.parts[len(PACKAGE.parts) :][:2] != ("providers", scheme) and "testing" not in path.parts
    ]
    assert not named
