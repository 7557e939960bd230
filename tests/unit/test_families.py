"""hwcng.cng.families: what each kind of pair says of itself goes together, and with what the others say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import hwcng
from hwcng.cng import families
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.blobs.blob_type import PAIR_BLOBS
from hwcng.cng.blobs.symmetric import SYMMETRIC_BLOBS
from hwcng.cng.families import BLOB_TYPES, FAMILIES, MAGICS, PairFamily

SHARED = {"__init__", "base", "finite_field", "parameterized", "request"}


def twice(names: Iterable[object]) -> list[object]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_no_two_kinds_claim_the_same() -> None:
    kinds = FAMILIES.values()
    assert not twice(row.name for family in kinds for row in family.algorithms)
    assert not twice(magic for family in kinds for magic in family.magics)
    assert not twice(family.public_type for family in kinds)
    own = [row.name for family in kinds for row in family.blob_types]
    assert not twice([*own, *(row.name for row in (*PAIR_BLOBS, *SYMMETRIC_BLOBS))])


def test_every_module_of_a_kind_is_registered() -> None:
    folder = Path(hwcng.__file__).parent / "cng" / "families"
    modules = {path.stem for path in folder.glob("*.py")} - SHARED
    assert modules == {type(family).__module__.rpartition(".")[2] for family in FAMILIES.values()}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_kind_is_whole(family: PairFamily[Any]) -> None:
    assert all(ALGORITHMS[row.name] is row and row.family == family.kind for row in family.algorithms)
    assert all(row.kind == family.kind and BLOB_TYPES[row.name] is row for row in family.blob_types)
    names = {row.name for row in family.algorithms}
    assert set(family.magics.values()) <= names
    assert {MAGICS[magic] for magic in family.magics} <= names
    public = {row.name for row in (*family.blob_types, *PAIR_BLOBS) if not row.private}
    assert "PUBLICBLOB" in family.builders
    assert set(family.builders) <= public
    assert {row.private for row in family.blob_types} == {False, True}


def test_a_family_is_found_by_the_numbers_of_its_public_halves() -> None:
    for family in FAMILIES.values():
        public = object.__new__(family.public_type)
        assert families.family_of(public) is family
