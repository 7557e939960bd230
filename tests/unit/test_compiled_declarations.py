"""The compiled C declarations are those of today, and mean what the parsed ones mean."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
from pathlib import Path

import cffi
import pytest

from hwcng.providers.pkcs11.cryptoki import calls, compiled

SCRIPT = Path(__file__).parents[2] / "scripts" / "compile-declarations"


def test_they_are_of_today() -> None:
    """Else run scripts/compile-declarations."""
    assert hashlib.sha256(calls.DECLARATIONS.encode()).hexdigest() == compiled.DIGEST
    # What a release of cffi writes is its own affair; that it is of these declarations is not.
    made = runpy.run_path(str(SCRIPT))["compiled"]()
    assert f'DIGEST = "{compiled.DIGEST}"' in made and "CK_FUNCTION_LIST_3_2" in made


@pytest.mark.parametrize("name", ["CK_ATTRIBUTE", "CK_MECHANISM", "CK_TOKEN_INFO", "CK_FUNCTION_LIST_3_2"])
def test_they_are_laid_out_as_the_parsed_ones(name: str) -> None:
    parsed = cffi.FFI()
    parsed.cdef(calls.DECLARATIONS)
    assert calls.ffi is compiled.ffi
    assert calls.ffi.sizeof(name) == parsed.sizeof(name)
    fields = [(field, one.offset) for field, one in parsed.typeof(name).fields]
    assert [(field, one.offset) for field, one in calls.ffi.typeof(name).fields] == fields


def test_no_parser_is_loaded() -> None:
    code = "import hwcng.providers.pkcs11.provider, sys; print({'cffi', 'pycparser'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
