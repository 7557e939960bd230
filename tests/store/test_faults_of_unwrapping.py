"""Each C_ call by which a wrapped key gets into a token, answered by each CKR: nothing is left, and the CKR is told."""

from __future__ import annotations

import gc

from isolation.ledger import session_objects
from store.conftest import objects_of
from store.roads import AES, BYSTANDER, NAMED_UNWRAPPING, UNWRAPPING, Road, Walker, all_with_answers, faults_on

from hwcng import CngError

OF_THE_BLOB = ("C_UnwrapKey 2 ", "C_WrapKey 2 ", "C_EncryptInit 2 ", "C_Encrypt 3 ")
ENDING = ("C_DestroyObject", "C_CloseSession")


def here(walker: Walker) -> int:
    gc.collect()
    walker.token.generate_secret(AES).destroy()
    return session_objects(walker.token)


def told(error: CngError, rv: int, where: str) -> None:
    # What is encrypted to an RSA key is not told of, after a key of the host's own has shown what the token can do.
    of_blob = where.startswith(OF_THE_BLOB) and error.message == "decryption error"
    assert error.token_code == rv or of_blob, where


@all_with_answers(UNWRAPPING)
def test_unwrapping(road: Road, rv: int, walker: Walker) -> None:
    road.prepare(walker)
    before = here(walker)
    for where, _, error, found in faults_on(walker, road, rv):
        del found
        if error is not None:
            told(error, rv, where)
        # A handle that was never told is lost.
        if not where.startswith(ENDING) and " before" in where:
            assert here(walker) == before, where
        before = here(walker)


@all_with_answers(NAMED_UNWRAPPING)
def test_unwrapping_under_a_name(road: Road, rv: int, walker: Walker) -> None:
    walker.clear()
    alone = len(objects_of(walker.token))
    for where, _, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        if error is None:
            assert walker.held() is not None, where
        else:
            told(error, rv, where)
            assert (walker.held(), len(objects_of(walker.token))) == (None, alone), where
