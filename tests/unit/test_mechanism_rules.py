"""hwcng.providers.pkcs11.mechanism_lists: what a token offers is worked out once for all that say the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pkcs11 import Mechanism

from hwcng.contract.usage import Support
from hwcng.providers.pkcs11.capabilities import MechanismInfo
from hwcng.providers.pkcs11.mechanism_lists import _KEPT, _ruled, _ruled_before, _Said
from hwcng.providers.pkcs11.quirks import Quirks

CBC, GCM = int(Mechanism.AES_CBC), int(Mechanism.AES_GCM)


def said(*listed: int, quirks: Quirks = Quirks(), has_rng: bool = True, longest: int = 32) -> _Said:  # noqa: B008
    return _Said({CBC: MechanismInfo(16, longest, 0)}, set(listed), quirks, has_rng)


def test_the_same_lists_are_ruled_once() -> None:
    assert _ruled(said(CBC)) is _ruled(said(CBC))


@pytest.mark.parametrize(
    "other",
    [
        said(CBC, GCM),
        said(CBC, has_rng=False),
        said(CBC, longest=16),
        said(CBC, quirks=replace(Quirks(), unusable_mechanisms=frozenset({CBC}))),
    ],
)
def test_whatever_differs_is_ruled_anew(other: _Said) -> None:
    assert _ruled(said(CBC)) is not _ruled(other)
    assert _ruled(said(CBC)).offers("AES", "CBC") is Support.NATIVE


def test_what_is_kept_has_an_end() -> None:
    for number in range(_KEPT + 3):
        _ruled(said(CBC, 0x80000000 + number))
    assert len(_ruled_before) == _KEPT
