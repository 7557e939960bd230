"""hwcng.loading: what is imported at first use, a fork waits for, so that none finds it half loaded."""

from __future__ import annotations

import ast
import errno
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwcng import CngError, loading

PACKAGE = Path(loading.__file__).parent
ELSEWHERE = ("hwcng.cli", "hwcng.testing", "hwcng.interop")
"""What no program reaches by using an open token."""
LOOKED_FOR = ("hwcng.providers.pkcs11.survey", "hwcng.providers.tpm2", "hwcng.tracing")
"""What looks for tokens in a process of its own, what is of the other backend, and what is loaded before any token."""


def imported_late() -> Iterator[tuple[str, str]]:
    """Modules of hwcng that functions import, and who does."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if module.startswith((*ELSEWHERE, *LOOKED_FOR)):
            continue
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hwcng"):
                    inner = [f"{node.module}.{alias.name}" for alias in node.names]
                    found = [
                        name for name in inner if (PACKAGE.parent / name.replace(".", "/")).with_suffix(".py").exists()
                    ]
                    yield from ((module, name) for name in found or [str(node.module)])


def source_of(module: str) -> str:
    return (PACKAGE.parent / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")


def test_what_is_loaded_is_there() -> None:
    named = [name for name in loading._LATE if name.startswith("hwcng.")]
    assert named
    assert not [name for name in named if importlib.util.find_spec(name) is None]


def test_nothing_is_left_for_the_first_use(token_uri: str, token_pin: str) -> None:
    program = (
        "import json, sys, hwcng, hwcng.bcrypt, hwcng.loading, hwcng.ncrypt, hwcng.wincrypt\n"
        "hwcng.loading.load_the_rest()\n"
        f"with hwcng.open_provider({token_uri!r}, pin={token_pin!r}): print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    late = {(user, name) for user, name in imported_late() if not name.startswith((*ELSEWHERE, *LOOKED_FOR))}
    assert late
    left = [(user, name) for user, name in sorted(late) if name not in loaded]
    # Whoever loads it by `load` waits for a fork that is under way.
    assert not [f"{user} -> {name}" for user, name in left if f'load("{name}")' not in source_of(user)]


TAKING = """
PIN = sys.stdin.read()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
"""

WITHOUT_DESCRIPTORS = f"""
import os, resource, sys
import hwcng
from hwcng import CngError, NTSTATUS, open_provider
if sys.argv[2] == "late":
    from hwcng.providers.pkcs11 import backend
    import pkcs11.constants
{TAKING}try:
    open_provider(sys.argv[1])
except CngError as error:
    assert error.status is NTSTATUS.STATUS_INSUFFICIENT_RESOURCES, error
    assert "descriptor" in error.message and "ulimit -n" in error.message, error
else:
    raise AssertionError("it opened without a descriptor")
for descriptor in taken:
    os.close(descriptor)
with open_provider(sys.argv[1], pin=PIN) as provider:
    assert provider.random(1)
"""


@pytest.mark.parametrize("when", ["first", "late"])
def test_what_no_descriptor_is_left_for_is_refused_and_loads_later(token_uri: str, token_pin: str, when: str) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS, token_uri, when], input=token_pin, text=True, check=True)


WITH_ONE_DESCRIPTOR = f"""
import os, resource, sys
from hwcng import CngError, NTSTATUS, open_provider
from hwcng.providers.pkcs11 import provider
{TAKING}os.close(taken.pop())
try:
    open_provider(sys.argv[1], pin=PIN)
except CngError as error:
    assert error.status is NTSTATUS.STATUS_INSUFFICIENT_RESOURCES, error
    assert "of 64 file descriptors" in error.message and error.token_code, error
else:
    raise AssertionError("it opened with one descriptor")
"""


def test_a_module_that_has_no_descriptor_left(token_uri: str, token_pin: str) -> None:
    subprocess.run([sys.executable, "-c", WITH_ONE_DESCRIPTOR, token_uri], input=token_pin, text=True, check=True)


def test_a_library_that_the_linker_had_no_descriptor_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def linked(name: str) -> object:
        raise ImportError(f"{name}.so: cannot open shared object file: {os.strerror(errno.EMFILE)}")

    monkeypatch.setattr(loading.importlib, "import_module", linked)
    with pytest.raises(CngError, match="ulimit -n"):
        loading.load("some")
