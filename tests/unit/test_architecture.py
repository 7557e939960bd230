"""docs/architecture.md: the places that it names are there, and its five ways to add something are the ways."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

import pytest

from hwcng import bcrypt
from hwcng.cng import properties
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.families import FAMILIES
from hwcng.cng.modes import MODES
from hwcng.contract.backend import Backend
from hwcng.contract.usage import CipherMode
from hwcng.providers.backends import backends
from hwcng.providers.pkcs11 import quirks
from hwcng.providers.pkcs11.families import PAIR_KINDS
from hwcng.providers.pkcs11.families.ciphers import CIPHER_MECHANISMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")


def test_every_place_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:hwcng|tests|docs)/[\w./]*)`", PAGE))
    assert len(named) > 25
    assert not [name for name in named if not (ROOT / name).exists()]


def test_a_kind_of_pair_is_one_module_on_each_side() -> None:
    assert set(FAMILIES) <= set(PAIR_KINDS)
    for families, folder in ((FAMILIES, "cng"), (PAIR_KINDS, "providers.pkcs11")):
        homes = {kind: type(family).__module__ for kind, family in families.items()}
        assert all(home.startswith(f"hwcng.{folder}.families.") for home in homes.values())
        assert len(set(homes.values())) == len(homes)


def test_every_mode_has_its_row_and_a_mechanism() -> None:
    assert set(MODES) == set(CipherMode)
    assert {mode for modes in CIPHER_MECHANISMS.values() for mode in modes} <= set(CipherMode)


def test_every_backend_is_one() -> None:
    found = {backend.scheme: backend for backend in backends()}
    assert {"pkcs11", "tpm2"} <= set(found)
    assert all(isinstance(backend, Backend) for backend in found.values())


def test_a_quirk_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (re.compile("A module of this test"), quirks.Quirks(der_peer_point=True))
    monkeypatch.setattr(quirks, "_BY_LIBRARY", (row, *quirks._BY_LIBRARY))
    assert quirks.quirks_of("/lib/any.so", "A module of this test", "").der_peer_point
    assert not quirks.quirks_of("/lib/any.so", "Another", "").der_peer_point


def test_a_property_is_a_row(monkeypatch: pytest.MonkeyPatch, provider) -> None:
    rows = {**properties._GETTERS, AlgorithmHandle: {"Of this test": lambda handle: handle.name}}
    monkeypatch.setattr(properties, "_GETTERS", MappingProxyType(rows))
    handle = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    assert bcrypt.BCryptGetProperty(handle, "Of this test") == "AES"
