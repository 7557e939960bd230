"""Tokens that keep session objects until they are destroyed in a read-write session, as tpm2-pkcs11 1.9.1 does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

CKR_SESSION_READ_ONLY, CKR_OBJECT_HANDLE_INVALID = 0xB5, 0x82


def test_what_a_read_only_session_may_not_destroy(fresh_provider: Pkcs11Provider) -> None:
    key = fresh_provider.generate_secret(SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT))
    handle, connection = key.held.handle, fresh_provider._connection  # type: ignore[attr-defined]
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_DestroyObject", CKR_SESSION_READ_ONLY, nth=1)
        key.destroy()
    with connection.owning() as session:
        assert connection.cryptoki.C_DestroyObject(session.handle, handle) == CKR_OBJECT_HANDLE_INVALID


def test_a_token_that_destroys_nothing(fresh_provider: Pkcs11Provider) -> None:
    """The end of a key never fails."""
    key = fresh_provider.generate_secret(SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT))
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_DestroyObject", CKR_SESSION_READ_ONLY)
        key.destroy()
        assert faults.injected == 2
    assert len(fresh_provider.random(8)) == 8
