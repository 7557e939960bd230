"""Every documented name of the three headers is served, or stands in the document with the reason why it is not.

documented.tsv: header and name, of the functions and constants that the pages and the headers document.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from headers import unserved

from hwcng import bcrypt, ncrypt, wincrypt

DOCUMENTED = [line.split("\t") for line in Path(__file__).with_name("documented.tsv").read_text("utf-8").splitlines()]
MODULES = {"bcrypt.h": bcrypt, "ncrypt.h": ncrypt, "wincrypt.h": wincrypt}


@pytest.mark.parametrize("header", MODULES)
def test_a_name_is_served_or_has_its_reason(header: str) -> None:
    reasons, module = set(unserved.names()), MODULES[header]
    documented = {name for of, name in DOCUMENTED if of == header}
    served = {name for name in documented if hasattr(module, name)}
    assert len(documented) > 50
    assert documented - served - reasons == set()
    assert served & reasons == set()
    assert served <= set(module.__all__)


def test_reasons_are_for_documented_names() -> None:
    names = unserved.names()
    assert len(names) == len(set(names))
    assert set(names) <= {name for _, name in DOCUMENTED}


def test_the_document_is_up_to_date() -> None:
    assert unserved.DOCUMENT.read_text("utf-8") == unserved.written()
    assert all(f"| {reason.key}: {reason.text} |" in unserved.section() for reason in unserved.reasons())
