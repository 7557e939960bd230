"""What other software leaves in a token: halves, certificates, data, a vendor's own, and keys that are not private."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Attribute, ObjectClass
from store import foreign
from store.conftest import objects_of
from store.test_pkcs11_store import AES, BLOCK, DIGEST, ECB, status_of, verify_ecdsa

from hwcng import HRESULT
from hwcng.contract.specs import EcdsaSpec
from hwcng.providers.pkcs11.cryptoki.calls import ffi

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider
    from hwcng.testing.calls import CFunction

CKO_VENDOR = 0x80000001
DATA = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: "odd", Attribute.VALUE: b"data"}
ALONE: dict[str, dict[Attribute, Any]] = {
    "a public half": foreign.public_key("odd", b"\1", 7),
    "a certificate": foreign.certificate("odd", b"\1", foreign.ec_public(7)),
    "data": DATA,
}


@pytest.fixture
def vendors(softhsm_keeper: Pkcs11Provider) -> Iterator[Pkcs11Provider]:
    """A token whose data objects are of a class that a vendor defined."""

    def named(name: str, function: CFunction) -> CFunction:
        def get(session: int, handle: int, attributes: Any, count: int) -> int:
            rv = function(session, handle, attributes, count)
            for one in attributes[0:count]:
                if one.type == int(Attribute.CLASS) and one.ulValueLen == 8:
                    value = ffi.cast("CK_ULONG *", one.pValue)
                    value[0] = CKO_VENDOR if value[0] == int(ObjectClass.DATA) else value[0]
            return rv

        return get if name == "C_GetAttributeValue" else function

    undo = softhsm_keeper.cryptoki.instrument(named)
    yield softhsm_keeper
    undo()


@pytest.mark.parametrize("what", ALONE)
def test_what_is_no_key(what: str, softhsm_keeper: Pkcs11Provider) -> None:
    """Neither listed nor opened nor ended, and a key may have its label."""
    foreign.create(softhsm_keeper, ALONE[what])
    assert list(softhsm_keeper.list_keys()) == []
    for call in (softhsm_keeper.open_key, softhsm_keeper.delete_key):
        assert status_of(lambda call=call: call("odd")) is HRESULT.NTE_BAD_KEYSET
    assert len(objects_of(softhsm_keeper)) == 1
    key = softhsm_keeper.named("odd").import_secret(AES, bytes(32))
    assert [record.name for record in softhsm_keeper.list_keys()] == ["odd"]
    softhsm_keeper.named("odd", replace=True).import_secret(AES, bytes(range(32)))
    softhsm_keeper.delete_key("odd")
    assert key.name == "odd" and len(objects_of(softhsm_keeper)) == 1


def test_an_object_of_a_vendors_class(vendors: Pkcs11Provider) -> None:
    foreign.create(vendors, DATA)
    foreign.create(vendors, foreign.private_key("odd", b"\1", 7))
    foreign.create(vendors, foreign.public_key("odd", b"\1", 7))
    assert [record.name for record in vendors.list_keys()] == ["odd"]
    verify_ecdsa(foreign.material(7), vendors.open_key("odd").sign_digest(EcdsaSpec(), DIGEST))
    vendors.delete_key("odd")
    assert len(objects_of(vendors)) == 1


@pytest.mark.parametrize("identifier", [None, b"", bytes(range(64))], ids=["no id", "an empty id", "64 octets"])
@pytest.mark.parametrize("label", ["odd", None, b"\xff\xfe"], ids=["a label", "no label", "no UTF-8"])
def test_keys_that_are_not_private(label: Any, identifier: bytes | None, softhsm_keeper: Pkcs11Provider) -> None:
    """CKA_PRIVATE false: anybody sees them. They are listed, opened by what the list says, used and ended."""
    foreign.create(softhsm_keeper, foreign.private_key(label, identifier, 7) | {Attribute.PRIVATE: False})
    (record,) = softhsm_keeper.list_keys()
    verify_ecdsa(foreign.material(7), softhsm_keeper.open_key(record.name).sign_digest(EcdsaSpec(), DIGEST))
    softhsm_keeper.delete_key(record.name)
    foreign.create(softhsm_keeper, foreign.secret_key(label, identifier) | {Attribute.PRIVATE: False})
    (record,) = softhsm_keeper.list_keys()
    key = softhsm_keeper.open_key(record.name)
    assert key.decrypt(ECB, key.encrypt(ECB, BLOCK)) == BLOCK
    softhsm_keeper.delete_key(record.name)
    assert objects_of(softhsm_keeper) == []
