"""hwcng and Wine's bcrypt.dll on one list of inputs: they differ exactly where differences.py says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wine.cases.registry import all_cases, outcome
from wine.checks import need_algorithm
from wine.differences import DIFFERENCES, MEASURED, OTHER, SAME, VALUE, by_case, table
from wine.wine_bcrypt import WineBcrypt

import hwcng
from hwcng import bcrypt
from hwcng.contract.provider import Provider

CASES, DIFFERENT = all_cases(), by_case()
PAGE = Path(__file__).parents[2] / "docs" / "wine.md"
STATUS = re.compile(r"(STATUS|NTE)_[A-Z_]+|the size query says .*")


@pytest.fixture
def default_token(raw_secret_token: Provider) -> Iterator[Provider]:
    hwcng.set_default_provider(raw_secret_token)
    yield raw_secret_token
    hwcng.set_default_provider(None)


@pytest.fixture(scope="session")
def of_wine(bcrypt_dll: WineBcrypt) -> Callable[[str], str]:
    """Wine's outcome of a case, which is the same for every token."""
    known: dict[str, str] = {}

    def find(name: str) -> str:
        if name not in known:
            bcrypt_dll.strict_sizes = CASES[name].strict
            try:
                known[name] = outcome(bcrypt_dll, CASES[name])
            finally:
                bcrypt_dll.strict_sizes = False
        return known[name]

    return find


def kind(theirs: str, ours: str) -> str:
    """Wine's outcome in the words of differences.py."""
    if theirs == ours:
        return SAME
    if STATUS.fullmatch(theirs):
        return theirs
    return VALUE if STATUS.fullmatch(ours) else OTHER


@pytest.mark.parametrize("name", CASES)
def test_both_make_the_same_of_it_or_differ_as_listed(
    default_token: Provider, bcrypt_dll: WineBcrypt, of_wine: Callable[[str], str], name: str
) -> None:
    case = CASES[name]
    if case.needs is not None:
        need_algorithm(default_token, case.needs)
    ours, theirs = outcome(bcrypt, case), of_wine(name)
    if name not in DIFFERENT:
        assert ours == theirs
        return
    expected = DIFFERENT[name]
    assert (ours if STATUS.fullmatch(ours) else VALUE) == expected.ours
    assert kind(theirs, ours) in expected.of_wine(bcrypt_dll.version.removeprefix("wine-"))


def test_the_differences_are_of_cases_and_each_stands_once() -> None:
    listed = [name for difference in DIFFERENCES for answers in difference.answers for name in answers.cases]
    assert len(listed) == len(set(listed)) == sum(len(a.cases) for d in DIFFERENCES for a in d.answers)
    assert set(listed) <= set(CASES)
    assert all(difference.reason and any(map(difference.count, MEASURED)) for difference in DIFFERENCES)


def test_the_page_has_the_table() -> None:
    assert table() in PAGE.read_text()
