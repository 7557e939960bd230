"""A creating call that fails at any of its C_ calls leaves no object in the token and the caller's buffers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from isolation.ledger import session_objects

from hwcng import CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

CKR_DEVICE_MEMORY = 0x31
CLEANING_UP = {"C_DestroyObject", "C_CloseSession"}


class Maker:
    """The four calls that give a key, each on what it starts from."""

    def __init__(self, provider: Provider, key_object: bytearray) -> None:
        self.key_object = key_object
        self.aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        bcrypt.BCryptSetProperty(self.aes, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        self.ecdsa = bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider)
        self.key, self.kek = self.aes.generate_key(128), self.aes.generate_key(128)
        self.wrapped = bcrypt.BCryptExportKey(self.key, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)

    def generate_symmetric_key(self) -> Any:
        return bcrypt.BCryptGenerateSymmetricKey(self.aes, self.key_object, bytes(16))

    def generate_key_pair(self) -> Any:
        pair = bcrypt.BCryptGenerateKeyPair(self.ecdsa, 256)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    def duplicate_key(self) -> Any:
        return bcrypt.BCryptDuplicateKey(self.key, self.key_object)

    def import_key(self) -> Any:
        return bcrypt.BCryptImportKey(
            self.aes, self.kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, self.key_object, self.wrapped
        )


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Maker.generate_symmetric_key, marks=pytest.mark.row("GSK-06")),
        pytest.param(Maker.generate_key_pair, marks=pytest.mark.row("GKP-05")),
        pytest.param(Maker.duplicate_key, marks=pytest.mark.row("DUP-05")),
        pytest.param(Maker.import_key, marks=pytest.mark.row("IMP-13")),
    ],
)
def test_a_failure_at_any_call_leaves_nothing_behind(fresh_provider: Provider, make: Callable[[Maker], Any]) -> None:
    key_object = bytearray(b"\x5a" * 1024)
    maker = Maker(fresh_provider, key_object)
    bcrypt.BCryptDestroyKey(make(maker))
    before = session_objects(fresh_provider)
    with CallCounter(fresh_provider) as counter:
        bcrypt.BCryptDestroyKey(make(maker))
    served = [name for name in counter.names if name not in CLEANING_UP]
    assert served
    refusals = 0
    for position, name in enumerate(served):
        nth = served[: position + 1].count(name)
        with FaultInjector(fresh_provider).fail(name, CKR_DEVICE_MEMORY, nth=nth):
            try:
                bcrypt.BCryptDestroyKey(make(maker))
            except CngError:
                refusals += 1
        assert session_objects(fresh_provider) == before, name
        key_object.append(0)
        assert key_object.strip(b"\0") == b"\x5a" * 1024
    assert refusals
    assert len(bcrypt.BCryptEncrypt(maker.key, bytes(16))) == 16
