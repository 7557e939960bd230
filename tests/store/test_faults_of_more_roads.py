"""Each C_ call by which a key gets another name, a container its pairs, and a key its PIN at each use, answered by each
CKR, before and after it took effect: nothing is lost, the PIN is sent once, and what is said is so.
"""

from __future__ import annotations

import pytest
from store.conftest import objects_of
from store.roads import (
    A_BOX_ENDS,
    A_NEW_BOX,
    ANSWERS,
    ASKING,
    BOXING,
    BYSTANDER,
    MARKER,
    NAME,
    NEW_NAME,
    OF_PINS,
    RENAMING,
    SIGNATURE,
    Road,
    Walker,
    all_with_answers,
    faults_on,
)

from hwcng import CngError
from hwcng.cng import naming
from hwcng.providers.pkcs11 import logins
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector


@all_with_answers(RENAMING)
def test_renaming(road: Road, rv: int, walker: Walker) -> None:
    """The key is under the old name, or the new one where it is said so, and whole where it is alone."""
    walker.clear()
    road.prepare(walker)
    certificates = walker.token.certificates(NAME)
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        old, new = walker.held(), walker.held(NEW_NAME)
        assert {old, new} <= {before, None} and before in (old, new), where
        if error is None:
            assert (old, new) == (None, before), where
        elif new is not None:
            assert f"stored as '{NEW_NAME}'" in error.message, where
        for name, alone in ((NAME, new is None), (NEW_NAME, old is None)):
            assert not alone or walker.token.certificates(name) == certificates, where


@pytest.mark.parametrize("rv", [ANSWERS["DEVICE_ERROR"], 0x1B], ids=hex)
def test_renaming_where_nothing_can_be_taken_back(rv: int, walker: Walker) -> None:
    """The certificates are not stored under the new name, and the key there does not go either."""
    walker.clear()
    walker.certified(7)
    before = walker.held()
    with FaultInjector(walker.token) as faults:
        faults.fail("C_CreateObject", ANSWERS["GENERAL_ERROR"], nth=2).fail("C_DestroyObject", rv)
        with pytest.raises(CngError, match=f"stored as '{NEW_NAME}' too, without its certificates") as caught:
            naming.rename(walker.token, NAME, NEW_NAME)
    assert caught.value.token_code == ANSWERS["GENERAL_ERROR"]
    assert walker.held() == walker.held(NEW_NAME) == before
    walker.token.delete_key(NEW_NAME)
    naming.rename(walker.token, NAME, NEW_NAME)
    assert (walker.held(), walker.held(NEW_NAME)) == (None, before)
    assert len(walker.token.certificates(NEW_NAME)) == 1


@all_with_answers(BOXING)
def test_pairs_of_a_container(road: Road, rv: int, walker: Walker) -> None:
    """The pair from before, or the new one where it is said that it is there."""
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None and walker.held(MARKER) is not None, where
        now = walker.held(SIGNATURE)
        stored = error is None or "the new key is stored" in error.message
        assert now not in (None, before) if stored else now == before, where
        if error is not None:
            assert error.token_code == rv, where


@all_with_answers(A_NEW_BOX)
def test_a_new_container(road: Road, rv: int, walker: Walker) -> None:
    walker.clear()
    alone = len(objects_of(walker.token))
    for where, _, error, _ in faults_on(walker, road, rv):
        assert (walker.held(MARKER) is not None) == (error is None), where
        assert len(objects_of(walker.token)) == alone + (error is None), where


@all_with_answers(A_BOX_ENDS)
def test_the_end_of_a_container(road: Road, rv: int, walker: Walker) -> None:
    """It is there with what it still has, and can be ended again, or all of it is gone."""
    walker.clear()
    alone = len(objects_of(walker.token))
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        box, pair = walker.held(MARKER), walker.held(SIGNATURE)
        assert pair in (None, before) and (box is not None or pair is None), where
        if box is not None:
            assert error is not None, where
            walker.delete_box()
        assert (walker.held(MARKER), walker.held(SIGNATURE)) == (None, None), where
        # The token is believed that what lies beside the pair is gone.
        believed = rv == ANSWERS["OBJECT_HANDLE_INVALID"] and where.startswith("C_DestroyObject")
        assert len(objects_of(walker.token)) == alone or believed, where


@all_with_answers(ASKING, {**ANSWERS, **OF_PINS})
def test_uses_that_ask_for_the_pin(road: Road, rv: int, walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PIN is sent once a use, whatever is answered, and no session is left with half an operation."""
    for where, _, error, found in faults_on(walker, road, rv):
        assert (error is None) == bool(found), where
        if error is not None:
            assert error.token_code in (rv, None), where
        monkeypatch.setattr(logins, "_tries", {})
        assert walker.held(BYSTANDER) is not None, where
        for _ in range(3):
            with CallCounter(walker.token) as calls:
                assert road.walk(walker), where
            assert calls.names.count("C_Login") == 1, where
