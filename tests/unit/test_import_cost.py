"""`import hwcng` does no work: what a bare import loads, and that the public names still arrive."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from isolation.child import run

import hwcng

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"asn1crypto", "cffi", "configparser", "cryptography", "dataclasses", "pkcs11", "tpm2_pytss", "urllib"}


def loaded_by(statement: str) -> set[str]:
    """The modules that `statement` loads in a fresh interpreter, beyond those that it starts with."""
    program = (
        "import json, sys; before = set(sys.modules); "
        f"{statement}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_import_loads_hwcng_alone() -> None:
    loaded = loaded_by("import __future__; before |= set(sys.modules); import hwcng")
    assert loaded == {"hwcng"}


def test_import_loads_nothing_heavy() -> None:
    loaded = loaded_by("import hwcng")
    assert not {name.partition(".")[0] for name in loaded} & HEAVY


def test_the_registry_loads_no_backend() -> None:
    loaded = loaded_by("import hwcng; hwcng.open_provider")
    assert "hwcng.providers.registry" in loaded
    assert not any(name.startswith(("hwcng.providers.pkcs11", "hwcng.providers.tpm2")) for name in loaded)
    assert not {name.partition(".")[0] for name in loaded} & {
        "asn1crypto",
        "cffi",
        "cryptography",
        "pkcs11",
        "tpm2_pytss",
    }


def test_the_public_names() -> None:
    from hwcng.contract.provider import Provider
    from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error
    from hwcng.named_keys import open_key
    from hwcng.providers.registry import open_provider, set_default_provider

    assert hwcng.open_key is open_key
    assert hwcng.open_provider is open_provider
    assert hwcng.set_default_provider is set_default_provider
    assert hwcng.Provider is Provider
    assert (hwcng.CngError, hwcng.HRESULT, hwcng.NTSTATUS, hwcng.Win32Error) == (
        CngError,
        HRESULT,
        NTSTATUS,
        Win32Error,
    )
    assert set(hwcng.__all__) <= set(dir(hwcng))
    for name in hwcng.__all__:
        assert getattr(hwcng, name) is not None


def test_what_a_type_checker_finds_is_there() -> None:
    """Modules too, in a program that imports hwcng alone."""
    tree = ast.parse((ROOT / "hwcng" / "__init__.py").read_text())
    (hidden,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    names = [name.name for line in hidden.body if isinstance(line, ast.ImportFrom) for name in line.names]
    assert {"KeyPair", "bcrypt", "pyca"} <= set(names)
    loaded_by("import hwcng" + "".join(f"; hwcng.{name}" for name in names))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="open_providr"):
        hwcng.open_providr  # type: ignore[attr-defined]  # noqa: B018


def test_version_is_that_of_the_package() -> None:
    declared = re.search(r'^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    assert hwcng.__version__ == declared[1]


FIRST_SIGNATURE = """
import dataclasses, json, sys
from hwcng import ncrypt

started = set(sys.modules)
provider = open_token()
storage = ncrypt.NCryptOpenStorageProvider(provider)
key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "the first signature")
try:
    ncrypt.NCryptFinalizeKey(key)
    opened = ncrypt.NCryptOpenKey(storage, "the first signature")
    ncrypt.NCryptSignHash(opened, None, bytes(32))
finally:
    provider.delete_key("the first signature")
loaded = sorted(set(sys.modules) - started)
ours = [vars(sys.modules[name]).values() for name in sys.modules if name.startswith("hwcng.providers.pkcs11")]
made = {one.__name__ for names in ours for one in names if isinstance(one, type) and dataclasses.is_dataclass(one)
        and one.__module__.startswith("hwcng.providers.pkcs11")}
print(json.dumps([loaded, sorted(made)]))
"""
NOT_OF_A_SIGNATURE = {
    "hwcng.providers.pkcs11.lending",
    "hwcng.providers.pkcs11.openssl",
    "hwcng.providers.pkcs11.store.certificates",
    "hwcng.providers.pkcs11.survey",
    "cryptography",
}
MOST_MODULES = 85


def test_a_first_signature_loads_what_it_needs(token_uri: str) -> None:
    """Each module costs its search and reading, and each class of `dataclasses` the compiling of its methods."""
    loaded, classes = json.loads(run(FIRST_SIGNATURE, token_uri))
    assert not NOT_OF_A_SIGNATURE & set(loaded)
    ours = [name for name in loaded if name.startswith("hwcng.")]
    assert 0 < len(ours) <= MOST_MODULES, ours
    assert classes == ["Pkcs11Uri", "Quirks"]
