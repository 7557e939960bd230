"""Which module may know which: every import counts, those in functions and those for types too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "hwcng"

LEAVES = ("headers", "standards")
BELOW = {
    "headers": set(),
    "standards": set(),
    "contract": {"contract", "errors", "arguments", "forking"},
    "hostcrypto": {"hostcrypto", "contract", "errors", "forking", "loading", "standards"},
}
"""What a folder may import of ours."""


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hwcng"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            inner = [name for name in names if name in MODULES]
            yield from inner
            if len(inner) < len(names):
                yield node.module


GRAPH = {name: set(imports_of(path)) - {name} for name, path in MODULES.items()}


def top(module: str) -> str:
    return module.split(".")[1] if "." in module else module


@pytest.mark.parametrize("folder", BELOW)
def test_a_lower_folder_knows_nothing_above_it(folder: str) -> None:
    inside = {name: found for name, found in GRAPH.items() if name.startswith(f"hwcng.{folder}.")}
    assert inside
    above = {
        f"{name} -> {other}" for name, found in inside.items() for other in found if top(other) not in BELOW[folder]
    }
    assert not above


@pytest.mark.parametrize("folder", LEAVES)
def test_a_leaf_imports_no_sibling_either(folder: str) -> None:
    inside = [name for name in GRAPH if name.startswith(f"hwcng.{folder}.")]
    assert inside and not any(GRAPH[name] for name in inside)


SESSION_KEYS = ("agreed_keys", "generation", "hashes", "parameters", "pregen", "session_keys")


@pytest.mark.parametrize("name", SESSION_KEYS)
def test_session_keys_of_the_cryptoapi_are_keys_of_bcrypt(name: str) -> None:
    found = GRAPH[f"hwcng.capi.{name}"]
    assert any(other.startswith("hwcng.cng.") for other in found)
    assert not found & {"hwcng.contract.keys", "hwcng.contract.provider"}


def reached(start: str) -> set[str]:
    seen: set[str] = set()
    left = [start]
    while left:
        for other in GRAPH[left.pop()] - seen:
            seen.add(other)
            left.append(other)
    return seen


def test_no_import_leads_back() -> None:
    rings = [name for name in GRAPH if name in reached(name)]
    assert not rings


NOT_BELOW = {
    "faces": {"bcrypt", "ncrypt", "wincrypt", "many", "aio", "cli", "testing", "interop"},
    "providers": {"cng", "ksp", "capi", "pyca", "interop", "faces", "bcrypt", "ncrypt", "wincrypt", "many", "aio"},
    "capi": {"faces", "providers", "bcrypt", "ncrypt", "wincrypt", "many", "aio", "cli", "testing"},
    "ksp": {"faces", "providers", "capi", "bcrypt", "ncrypt", "wincrypt", "many", "aio", "cli", "testing"},
    "cng": {"faces", "providers", "ksp", "capi", "bcrypt", "ncrypt", "wincrypt", "many", "aio", "cli", "testing"},
}
"""What stands above a folder, or beside it, and is not imported from there."""


@pytest.mark.parametrize("folder", NOT_BELOW)
def test_data_never_climbs(folder: str) -> None:
    climbs = {
        f"{name} -> {other}"
        for name, found in GRAPH.items()
        if name.startswith(f"hwcng.{folder}.")
        for other in found
        if top(other) in NOT_BELOW[folder]
    }
    assert not climbs


BACKENDS = sorted(name for name in GRAPH if name.startswith("hwcng.providers.") and f"{name}.backend" in GRAPH)
KNOW_A_BACKEND = {
    "hwcng.testing._init_nss_database",
    "hwcng.testing._nss_module",
    "hwcng.testing._token_module",
    "hwcng.testing.commands",
    "hwcng.testing.nss",
    "hwcng.testing.p11kit",
    "hwcng.testing.swtpm",
}
"""What makes tokens of one kind, and counts what goes to them."""


def test_the_backends_are_found() -> None:
    assert BACKENDS == ["hwcng.providers.pkcs11", "hwcng.providers.tpm2"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nobody_else_imports_a_backend(backend: str) -> None:
    users = {
        name
        for name, found in GRAPH.items()
        if not name.startswith(f"{backend}.") and any(f"{other}.".startswith(f"{backend}.") for other in found)
    }
    assert users <= KNOW_A_BACKEND


PURE_TABLES = {f"hwcng.headers.{name}_h" for name in ("bcrypt", "ncrypt", "wincrypt")}
"""The names of a header, a line for each."""
LONGEST = 500


def test_a_module_is_read_in_one_sitting() -> None:
    long = {name for name, path in MODULES.items() if len(path.read_text("utf-8").splitlines()) > LONGEST}
    assert long == PURE_TABLES
