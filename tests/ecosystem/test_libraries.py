"""Libraries that sign with keys of `cryptography` sign with keys in a token, whoever made the key."""

from __future__ import annotations

import pytest
from ecosystem import report
from ecosystem.keys import PLACES, HeldKey
from ecosystem.libraries import LIBRARIES, installed_version

PAIRED = [
    pytest.param(row.name, place, id=f"{row.name}-{'-'.join(place)}")
    for row in LIBRARIES.values()
    if row.run is not None
    for place in PLACES
    if place[1] in row.kinds
]


@pytest.mark.parametrize(("library", "held"), PAIRED, indirect=["held"])
def test_a_library_works_with_the_key(request: pytest.FixtureRequest, library: str, held: HeldKey) -> None:
    row = LIBRARIES[library]
    installed_version(row)
    assert row.run is not None
    row.run(held)
    report.note(request.config, library, held.token, held.kind)
