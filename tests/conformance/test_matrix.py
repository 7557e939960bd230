"""Every cell of the matrix on every token: it works, or a documented status refuses it, and both are told truly."""

from __future__ import annotations

import pytest
from conformance import report
from conformance.matrix import CELLS, Cell
from support import listed_mechanisms, record_unrun, token_name

from hwcng import NTSTATUS, CngError
from hwcng.contract.provider import Provider
from hwcng.contract.usage import WEAK_ALGORITHMS, Support

REFUSALS = (NTSTATUS.STATUS_NOT_FOUND, NTSTATUS.STATUS_NOT_SUPPORTED)


def identity(token: Provider) -> str:
    """Who the token is, without what differs from run to run. p11-kit, which tells no version, passes more or less."""
    info, count = token.token, len(listed_mechanisms(token))
    listed = f", {count} mechanisms" if count else ""
    return f"{info.manufacturer} {info.model}, {info.library}, firmware {info.firmware}{listed}"


def outcome(cell: Cell, token: Provider) -> NTSTATUS | None:
    """None, or the status that refuses."""
    try:
        cell.run(token)
    except CngError as error:
        if error.status in REFUSALS:
            return NTSTATUS(error.status)
        raise
    return None


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(request: pytest.FixtureRequest, token: Provider, cell: Cell) -> None:
    capabilities = token.capabilities()
    told = capabilities.operations.get(cell.told) if cell.told else None
    refusal = outcome(cell, token)
    if refusal is not None:
        assert told in (None, Support.REFUSED), f"capabilities say {told}, the token {refusal.name}"
        result = refusal.name
    else:
        assert (told in (Support.NATIVE, Support.COMPOSED)) is (cell.told is not None), f"it works, told was {told}"
        assert cell.told is None or (cell.algorithm in capabilities.weak) is (cell.algorithm in WEAK_ALGORITHMS)
        result = told.value if told else "works"
    name = token_name(token)
    if request.config.getoption("--write-docs"):
        request.config.stash[report.RESULTS].setdefault(name, {"token": identity(token), "cells": {}})["cells"][
            str(cell)
        ] = result
        return
    if name == "extra":
        return
    columns = report.load()
    assert name in columns, f"docs/capabilities.json does not have {name}: pytest --write-docs tests/conformance"
    column = report.column_of(name, identity(token), columns)
    if column is not None:
        assert columns[column]["cells"].get(str(cell)) == result
    else:
        # Another version of the token may do more or less.
        record_unrun(request, f"what is known of {name}: {identity(token)}")
