"""RSA decryption that fails says nothing of why: no cause, and no call more or less than one that succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conformance import oracle
from conformance.rsa_pairs import modulus
from conformance.test_rsa_encryption import MALFORMED_PKCS1, OAEP, PKCS1, Oaep, imported, malformed_oaep, text
from support import missing_on

from hwcng import CngError, bcrypt
from hwcng.testing.calls import CallCounter

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

SCHEMES = {
    "PKCS1": (None, PKCS1, MALFORMED_PKCS1),
    "OAEP": (Oaep("SHA1"), OAEP, malformed_oaep("SHA1", b"")),
    "OAEP, composed where the token has no label": (Oaep("SHA512", b"x"), OAEP, malformed_oaep("SHA512", b"x")),
}


@pytest.mark.row("RSA-08")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_failed_decryption_has_no_cause_and_the_calls_of_a_good_one(token: Provider, scheme: str) -> None:
    if not token.uri.startswith("pkcs11:"):
        missing_on(token, "counting of C_ calls")
    info, flags, malformed = SCHEMES[scheme]
    key = imported(token, "RSA", oracle.rsa_blob(2048))
    good = bcrypt.BCryptEncrypt(key, text(10), info, None, flags)
    assert bcrypt.BCryptDecrypt(key, good, info, None, flags) == text(10)
    calls, told = set(), set()
    for ciphertext in (good, *(oracle.raw_public(block, modulus(key)) for block in malformed.values()), good):
        with CallCounter(token) as counter:
            try:
                bcrypt.BCryptDecrypt(key, ciphertext, info, None, flags)
            except CngError as error:
                told.add((error.__cause__, error.__context__, error.token_code))
        calls.add(tuple(counter.names))
    assert len(calls) == 1
    assert told <= {(None, None, None)}


@pytest.mark.row("RSA-08")
def test_a_session_whose_operation_a_token_forgot_to_end_is_replaced(token: Provider) -> None:
    """C_Decrypt fails, and the token believes that the operation goes on: the next use of the session succeeds."""
    if not token.uri.startswith("pkcs11:"):
        missing_on(token, "C_ calls to disturb")
    key = imported(token, "RSA", oracle.rsa_blob(2048))
    good = bcrypt.BCryptEncrypt(key, text(10), None, None, PKCS1)
    undo = token.cryptoki.instrument(  # type: ignore[attr-defined]
        lambda name, function: (lambda *args: 0x40) if name == "C_Decrypt" else function
    )
    try:
        with pytest.raises(CngError):
            bcrypt.BCryptDecrypt(key, good, None, None, PKCS1)
    finally:
        undo()
    assert bcrypt.BCryptDecrypt(key, good, None, None, PKCS1) == text(10)
