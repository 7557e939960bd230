"""Each C_ call of each road by which keys get under names or go, answered by each CKR, before and after it took effect.

Whatever the answer, no key is lost, none is there twice, and what is said of it is so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Attribute
from store.conftest import objects_of
from store.roads import (
    AES,
    ANSWERS,
    BYSTANDER,
    CERTIFYING,
    DELETING,
    NAME,
    NEW,
    NEW_VALUE,
    OLD,
    READING,
    REPLACING,
    STORING,
    Road,
    Walker,
    all_with_answers,
    faults_on,
)

from hwcng import HRESULT, NTSTATUS, CngError
from hwcng.contract.material import Untold
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.testing.calls import CFunction

PLAIN_REFUSALS = (0x1B, 0xB5, 0xE2)


@all_with_answers(STORING)
def test_storing(road: Road, rv: int, walker: Walker) -> None:
    """The whole key or nothing."""
    token = walker.token
    walker.clear()
    alone = len(objects_of(token))
    for where, _, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        if error is None:
            assert walker.held() is not None, where
        else:
            assert (walker.held(), len(objects_of(token))) == (None, alone), where


@all_with_answers(REPLACING)
def test_replacing(road: Road, rv: int, walker: Walker) -> None:
    """The old key, or the new one where it is said that it is there."""
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        remembered = walker.token.open_key(NAME)
        now = walker.held()
        assert now is not None and walker.what(remembered) == now, where
        stored = error is None or "the new key is stored" in error.message
        assert (now != before) == stored, where


@pytest.mark.parametrize("road", REPLACING.values(), ids=REPLACING)
@pytest.mark.parametrize("rv", [*PLAIN_REFUSALS, ANSWERS["DEVICE_ERROR"]], ids=hex)
def test_replacing_where_no_object_ends(road: Road, rv: int, walker: Walker) -> None:
    """The new key cannot be taken back either; the next one takes all of it along."""
    walker.clear()
    alone = len(objects_of(walker.token))
    road.prepare(walker)
    before = walker.held()
    with FaultInjector(walker.token) as faults:
        faults.fail("C_DestroyObject", rv)
        with pytest.raises(CngError, match="the new key is stored as 'the one'") as caught:
            road.walk(walker)
    assert caught.value.token_code == rv
    assert walker.held() not in (None, before)
    walker.token.named(NAME, replace=True).import_secret(AES, NEW_VALUE)
    assert len(objects_of(walker.token)) == alone + 1


def test_replacing_where_the_end_of_the_old_key_does_not_come_back(walker: Walker) -> None:
    """A call that is given up may have been done: the new key stays, and it is said so."""
    walker.clear()
    walker.pair(OLD)
    before, hanging = walker.held(), [True]

    def given_up(name: str, function: CFunction) -> CFunction:
        def destroy(session: int, handle: int) -> int:
            if hanging.pop() if hanging else False:
                raise CngError(NTSTATUS.STATUS_IO_TIMEOUT, "C_DestroyObject did not come back in time")
            return function(session, handle)

        return destroy if name == "C_DestroyObject" else function

    undo = walker.token.cryptoki.instrument(given_up)
    try:
        with pytest.raises(CngError, match="the new key is stored as 'the one'") as caught:
            walker.pair(NEW, replace=True)
    finally:
        undo()
    assert (caught.value.status, caught.value.token_code) == (NTSTATUS.STATUS_IO_TIMEOUT, None)
    assert walker.held() not in (None, before)


def test_what_lay_beside_a_replaced_key_stays(walker: Walker, caplog: pytest.LogCaptureFixture) -> None:
    """The key is replaced, whatever becomes of the certificate and the public key of the old one."""
    walker.clear()
    walker.certified(OLD)
    with FaultInjector(walker.token) as faults, caplog.at_level("WARNING", "hwcng.key"):
        for nth in (2, 3):
            faults.fail("C_DestroyObject", ANSWERS["GENERAL_ERROR"], nth=nth)
        walker.token.named(NAME, replace=True).import_secret(AES, NEW_VALUE)
    assert [record.hwcng_event for record in caplog.records] == ["object.left"] * 2  # type: ignore[attr-defined]
    assert walker.held() is not None
    walker.token.delete_key(NAME)
    assert walker.held() is None


def test_what_lay_beside_a_deleted_key_stays(walker: Walker) -> None:
    """Each is tried, and the first refusal is told."""
    walker.clear()
    alone = len(objects_of(walker.token))
    walker.certified(OLD)
    with FaultInjector(walker.token) as faults:
        faults.fail("C_DestroyObject", ANSWERS["GENERAL_ERROR"], nth=2)
        with pytest.raises(CngError, match="the key is gone, and not all that lay beside it") as caught:
            walker.token.delete_key(NAME)
    assert caught.value.token_code == ANSWERS["GENERAL_ERROR"]
    assert (walker.held(), len(objects_of(walker.token))) == (None, alone + 1)


@all_with_answers(DELETING)
def test_deleting(road: Road, rv: int, walker: Walker) -> None:
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held(BYSTANDER) is not None, where
        now = walker.held()
        assert now in (None, before), where
        if error is None:
            assert now is None, where


@all_with_answers(READING)
def test_reading(road: Road, rv: int, walker: Walker) -> None:
    """All that is there, or an error; of a public half that an object alone tells, the token is believed that it is
    gone.
    """
    walker.clear()
    road.prepare(walker)
    expected = road.walk(walker)
    assert expected
    for where, _, error, found in faults_on(walker, road, rv):
        untold = rv == ANSWERS["OBJECT_HANDLE_INVALID"] and isinstance(found, Untold)
        assert error is not None or found == expected or untold, where


@all_with_answers(CERTIFYING)
def test_certifying(road: Road, rv: int, walker: Walker) -> None:
    """The key has the certificates from before or those that are given, and no others after a success."""
    walker.clear()
    road.prepare(walker)
    old = walker.token.certificates(NAME)
    road.walk(walker)
    new, objects = walker.token.certificates(NAME), len(objects_of(walker.token))
    for where, before, error, _ in faults_on(walker, road, rv):
        assert walker.held() == before, where
        now = walker.token.certificates(NAME)
        assert now in (new, old), where
        believed = rv == ANSWERS["OBJECT_HANDLE_INVALID"] and where.startswith("C_DestroyObject")
        if error is None and not believed:
            assert (now, len(objects_of(walker.token))) == (new, objects), where


@pytest.mark.parametrize("asked", ["certificates", "store_certificates"])
@pytest.mark.parametrize("rv", [0, 0x11, 0x12, 0x82], ids=["too long", "sensitive", "no such type", "no such object"])
def test_a_certificate_that_cannot_be_read(asked: str, rv: int, walker: Walker) -> None:
    """Neither is the key without one, nor is another one stored beside it."""
    walker.clear()
    walker.certified(OLD)

    def untold(name: str, function: CFunction) -> CFunction:
        def get(session: int, handle: int, attributes: Any, count: int) -> int:
            told = function(session, handle, attributes, count)
            values = [one for one in attributes[0:count] if one.type == int(Attribute.VALUE)]
            for one in values:
                one.ulValueLen = 2**64 - 1
            return rv if values else told

        return get if name == "C_GetAttributeValue" else function

    there = len(objects_of(walker.token))
    undo = walker.token.cryptoki.instrument(untold)
    try:
        with pytest.raises(CngError, match="has a certificate that cannot be read") as caught:
            getattr(walker.token, asked)(NAME, *([[]] if asked == "store_certificates" else []))
    finally:
        undo()
    assert caught.value.status is HRESULT.NTE_KEYSET_ENTRY_BAD
    assert len(objects_of(walker.token)) == there
