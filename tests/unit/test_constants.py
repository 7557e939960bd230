"""The numbers of PKCS#11 are python-pkcs11's, under the same names, and object identifiers asn1crypto's."""

from __future__ import annotations

import enum

import pkcs11
import pkcs11.constants
import pytest
from asn1crypto.core import ObjectIdentifier

from hwcng.providers.pkcs11.cryptoki import constants
from hwcng.standards.curves import CURVES
from hwcng.standards.object_identifiers import encoded

ENUMERATIONS = (
    constants.Attribute,
    constants.CertificateType,
    constants.KeyType,
    constants.MGF,
    constants.Mechanism,
    constants.ObjectClass,
    constants.SlotFlag,
    constants.TokenFlag,
)


@pytest.mark.parametrize("ours", ENUMERATIONS)
def test_each_number_is_that_of_its_name(ours: type[enum.IntEnum] | type[enum.IntFlag]) -> None:
    theirs = getattr(pkcs11, ours.__name__, None) or getattr(pkcs11.constants, ours.__name__)
    # There is a line before the names of what it calls unsafe.
    known = {name.removeprefix("_"): int(member) for name, member in theirs.__members__.items()}
    assert ours.__members__
    assert {name: int(member) for name, member in ours.__members__.items()}.items() <= known.items()


@pytest.mark.parametrize(
    "identifier", [*(curve.oid for curve in CURVES.values() if curve.oid), "1.3.101.112", "2.999.3"]
)
def test_an_object_identifier_in_der(identifier: str) -> None:
    assert encoded(identifier) == ObjectIdentifier(identifier).dump()
