"""hwcng.cng.families.dh and dsa: whatever comes, a number or STATUS_INVALID_PARAMETER."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from conformance.finite_fields import (
    DH_PRIMES,
    DSA_DOMAINS,
    dh_blob,
    dh_capi_2,
    dh_capi_3,
    dh_parameters,
    dsa_blob,
    dsa_capi_2,
    dsa_capi_3,
    dsa_parameters,
)
from hypothesis import given
from hypothesis import strategies as st

from hwcng import NTSTATUS, CngError
from hwcng.cng.families import dh, dsa
from hwcng.contract.material import DhDomain, DhPrivateKey, DhPublicKey, DsaDomain, DsaPrivateKey, DsaPublicKey

P = DH_PRIMES[512]
V1, V2 = DSA_DOMAINS[512], DSA_DOMAINS[2048]
READERS: dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]] = {
    "DH public": (lambda blob: dh.parse_dh(blob, False), (dh_blob(P, 2, 5),)),
    "DH private": (lambda blob: dh.parse_dh(blob, True), (dh_blob(P, 2, 5, 7),)),
    "DHParameters": (dh.parse_dh_parameters, (dh_parameters(P, 2),)),
    "DH legacy": (dh.parse_capi_dh_private, (dh_capi_2(7, P, 2), dh_capi_3(7, P, 2))),
    "DSA public": (lambda blob: dsa.parse_dsa(blob, False), (dsa_blob(V1, 5), dsa_blob(V2, 5))),
    "DSA private": (lambda blob: dsa.parse_dsa(blob, True), (dsa_blob(V1, 5, 7), dsa_blob(V2, 5, 7))),
    "DSAParameters": (dsa.parse_dsa_parameters, (dsa_parameters(V1), dsa_parameters(V2))),
    "DSA legacy": (dsa.parse_capi_dsa_private, (dsa_capi_2(V1, 7), dsa_capi_3(V1, 7), dsa_capi_3(V2, 7))),
}
KINDS = (DhDomain, DhPublicKey, DhPrivateKey, DsaDomain, DsaPublicKey, DsaPrivateKey)


@st.composite
def spoilt(draw: st.DrawFn, valid: tuple[bytes, ...]) -> bytes:
    """Anything, or a valid blob with a header field, a byte or its length changed."""
    blob = bytearray(draw(st.sampled_from((b"", *valid))) or draw(st.binary(max_size=200)))
    for _ in range(draw(st.integers(0, 3))):
        change = draw(st.sampled_from(("field", "byte", "cut", "longer")))
        if change == "field" and len(blob) >= 48:
            struct.pack_into("<I", blob, 4 * draw(st.integers(0, 11)), draw(st.integers(0, 2**32 - 1)))
        elif change == "byte" and blob:
            blob[draw(st.integers(0, len(blob) - 1))] = draw(st.integers(0, 255))
        elif change == "cut":
            del blob[draw(st.integers(0, len(blob))) :]
        else:
            blob += draw(st.binary(max_size=20))
    return bytes(blob)


@pytest.mark.parametrize("name", READERS)
def test_whatever_comes(name: str) -> None:
    read, valid = READERS[name]
    for blob in valid:
        assert isinstance(read(blob), KINDS)

    @given(spoilt(valid))
    def check(blob: bytes) -> None:
        outcome: Any
        try:
            outcome = read(blob)
        except CngError as error:
            outcome = error
        assert isinstance(outcome, KINDS) or outcome.status is NTSTATUS.STATUS_INVALID_PARAMETER

    check()


def test_private_numbers_are_not_shown() -> None:
    secret = 0x1234567890ABCDEF
    for shown in (
        repr(dh.parse_dh(dh_blob(P, 2, 5, secret), True)),
        repr(dsa.parse_dsa(dsa_blob(V1, 5, secret), True)),
    ):
        assert str(secret) not in shown
        assert hex(secret) not in shown


def test_a_domain_without_a_hash_gets_that_of_its_subprime() -> None:
    """A domain that the token side knows nothing of but p, q and g."""
    for bits, hash_number in ((1024, None), (2048, 1)):
        p, q, g, *_ = DSA_DOMAINS[bits]
        expected = dsa_parameters(DSA_DOMAINS[bits], seeded=False, hash_number=hash_number or 0)
        assert dsa.build_dsa_parameters(DsaDomain(p, q, g)) == expected
