"""The generated documents are those of this tree."""

from __future__ import annotations

import pytest
from conformance import report
from conformance.matrix import CELLS
from support import missing


@pytest.fixture(autouse=True)
def _unless_they_are_being_made(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-docs"):
        missing("documents that stand still while --write-docs makes them")


def test_the_document_is_up_to_date() -> None:
    assert report.DOCUMENT.read_text() == report.render(report.load())


def test_every_cell_is_in_the_data() -> None:
    served, refused = {"native", "composed", "works"}, {"STATUS_NOT_FOUND", "STATUS_NOT_SUPPORTED"}
    for name, token in report.load().items():
        assert list(token["cells"]) == [str(cell) for cell in CELLS], name
        assert set(token["cells"].values()) <= served | refused


def test_every_cell_works_on_a_token() -> None:
    results = report.load().values()
    for cell in map(str, CELLS):
        working = [token for token in results if not token["cells"][cell].startswith("STATUS_")]
        # DESX would put its whiteners on the host.
        assert bool(working) is not cell.startswith("DESX"), cell


def test_another_version_of_a_token_has_its_own_column() -> None:
    def column(version: str) -> dict[str, object]:
        return {"token": f"Maker Model, Library {version}, firmware 0.0, 60 mechanisms", "cells": {}}

    old, new = column("1.0"), column("2.0")
    known = {"one": old, "two": {"token": "Another", "cells": {}}}
    beside = report.merged({"one": new}, known, beside=True)
    assert list(beside.items()) == [("one", old), ("one, 2.0", new), ("two", known["two"])]
    assert report.column_of("one", str(new["token"]), beside) == "one, 2.0"
    assert report.column_of("one", str(old["token"]), beside) == "one"
    assert report.column_of("two", str(new["token"]), beside) is None
    again = report.merged({"one": new}, beside, beside=False)
    assert again == beside
    assert report.merged({"one": column("3.0")}, beside, beside=False) == beside | {"one": column("3.0")}
