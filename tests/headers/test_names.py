"""What each module has: the names of its header, those of the headers that it includes, and every status.

served.tsv: header, function or constant, name, a constant's value, of what is documented and has a meaning here.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.headers import status_codes

SERVED = [line.split("\t") for line in Path(__file__).with_name("served.tsv").read_text("utf-8").splitlines()]
CONSTANTS = [(header, name, ast.literal_eval(value)) for header, kind, name, *rest in SERVED for value in rest]
FUNCTIONS = [(header, name) for header, kind, name, *_ in SERVED if kind == "function"]


@pytest.mark.parametrize(("header", "name", "value"), CONSTANTS)
def test_a_constant_has_its_value(header: str, name: str, value: int | str) -> None:
    module = importlib.import_module(f"hwcng.{header.removesuffix('.h')}")
    assert getattr(module, name) == value
    assert name in module.__all__


@pytest.mark.parametrize(("header", "name"), FUNCTIONS)
def test_a_function_is_there(header: str, name: str) -> None:
    module = importlib.import_module(f"hwcng.{header.removesuffix('.h')}")
    assert callable(getattr(module, name)) and name in module.__all__


@pytest.mark.parametrize("module", [bcrypt, ncrypt, wincrypt])
def test_every_status_is_in_every_module(module: object) -> None:
    for kind in (status_codes.NTSTATUS, status_codes.HRESULT, status_codes.Win32Error):
        for status in kind:
            assert getattr(module, status.name) is status
            assert status.name in module.__all__  # type: ignore[attr-defined]


def test_a_header_has_what_it_includes() -> None:
    assert set(bcrypt.__all__) <= set(ncrypt.__all__) <= set(wincrypt.__all__)
    for name in bcrypt.__all__:
        assert getattr(bcrypt, name) is getattr(ncrypt, name) is getattr(wincrypt, name)
    for name in ncrypt.__all__:
        assert getattr(ncrypt, name) is getattr(wincrypt, name)


@pytest.mark.parametrize("module", [bcrypt, ncrypt, wincrypt])
def test_a_name_is_listed_once(module: object) -> None:
    assert len(set(module.__all__)) == len(module.__all__)  # type: ignore[attr-defined]


def test_old_pickles_of_errors_find_their_statuses() -> None:
    assert hwcng.errors.NTSTATUS is status_codes.NTSTATUS  # type: ignore[attr-defined]
