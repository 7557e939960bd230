"""What attributes and CKA_IDs say of a key, for kinds of keys that not every token holds; and who is next to write."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from hwcng import HRESULT, CngError
from hwcng.contract.material import DhDomain, DhPublicKey, DsaDomain, DsaPublicKey, MlDsaPublicKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.providers.pkcs11.families import PAIR_KINDS
from hwcng.providers.pkcs11.quirks import Quirks
from hwcng.providers.pkcs11.store import turns
from hwcng.providers.pkcs11.store.candidates import Shelf, Stored
from hwcng.providers.pkcs11.store.ids import ID_OCTETS, make_id, parse_id, tag_of
from hwcng.providers.pkcs11.store.specs import spec_of
from hwcng.providers.pkcs11.templates import packed

PRIME, SUBPRIME, GENERATOR = 2**521 - 1, 2**127 - 1, 5
PRIVATE, SECRET = int(ObjectClass.PRIVATE_KEY), int(ObjectClass.SECRET_KEY)


def ulong(value: int) -> bytes:
    return value.to_bytes(8, sys.byteorder)


def octets(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def attributes(object_class: int, key_type: int, **values: bytes) -> dict[Attribute, bytes | None]:
    named = {Attribute[name]: value for name, value in values.items()}
    return {Attribute.CLASS: ulong(object_class), Attribute.KEY_TYPE: ulong(key_type), **named}


YES = b"\1"
DOMAIN = {"PRIME": octets(PRIME), "BASE": octets(GENERATOR)}


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        (
            attributes(PRIVATE, KeyType.DH, DERIVE=YES, EXTRACTABLE=YES, **DOMAIN),
            PairSpec("DH", Usage.DERIVE, 521, exportable=True, domain=DhDomain(PRIME, GENERATOR)),
        ),
        (
            attributes(PRIVATE, KeyType.DSA, SIGN=YES, SUBPRIME=octets(SUBPRIME), **DOMAIN),
            PairSpec("DSA", Usage.SIGN, 521, domain=DsaDomain(PRIME, SUBPRIME, GENERATOR)),
        ),
        (
            attributes(PRIVATE, KeyType.ML_DSA, SIGN=YES, PARAMETER_SET=ulong(2)),
            PairSpec("ML-DSA", Usage.SIGN, parameter_set="65"),
        ),
        *(
            (attributes(PRIVATE, KeyType.EC_EDWARDS, SIGN=YES, EC_PARAMS=named), PairSpec("ED25519", Usage.SIGN))
            for named in (b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519")
        ),
        (
            attributes(PRIVATE, KeyType.ML_KEM, DECAPSULATE=YES, PARAMETER_SET=ulong(3)),
            PairSpec("ML-KEM", Usage.DECAPSULATE, parameter_set="1024"),
        ),
        (
            attributes(SECRET, KeyType.DES3, ENCRYPT=YES, DECRYPT=YES),
            SecretSpec(SecretFamily.DES3, 192, Usage.ENCRYPT | Usage.DECRYPT),
        ),
        (
            attributes(SECRET, KeyType.SHA384_HMAC, SIGN=YES, VALUE_LEN=ulong(48)),
            SecretSpec(SecretFamily.HMAC, 384, Usage.SIGN, hash_name="SHA384"),
        ),
        (
            attributes(SECRET, KeyType.GENERIC_SECRET, DERIVE=YES, VALUE_LEN=ulong(20)),
            SecretSpec(SecretFamily.KDF, 160, Usage.DERIVE),
        ),
        (
            attributes(SECRET, KeyType.GENERIC_SECRET, SIGN=YES, VALUE_LEN=ulong(20)),
            SecretSpec(SecretFamily.HMAC, 160, Usage.SIGN),
        ),
        (
            attributes(SECRET, KeyType.AES, SIGN=YES, VALUE_LEN=ulong(16)),
            SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN),
        ),
    ],
    ids=str,
)
def test_specs_of_keys_of_other_software(values: dict[Attribute, bytes | None], spec: SecretSpec | PairSpec) -> None:
    assert spec_of(values, None) == spec


@pytest.mark.parametrize(
    "values",
    [
        attributes(PRIVATE, KeyType.EC_EDWARDS, SIGN=YES),
        attributes(PRIVATE, KeyType.EC_EDWARDS, SIGN=YES, EC_PARAMS=b"\x06\x03\x2b\x65\x71"),
        attributes(PRIVATE, KeyType.EC_EDWARDS, SIGN=YES, EC_PARAMS=b"\x13\x0aedwards448"),
        attributes(PRIVATE, KeyType.EC, SIGN=YES, EC_PARAMS=b"\x06\x03\x2b\x65\x70"),
        attributes(PRIVATE, KeyType.ML_DSA, SIGN=YES, PARAMETER_SET=ulong(4)),
        attributes(PRIVATE, KeyType.ML_KEM, PARAMETER_SET=ulong(0)),
        attributes(SECRET, KeyType.BLOWFISH, ENCRYPT=YES),
    ],
)
def test_keys_that_no_spec_describes(values: dict[Attribute, bytes | None]) -> None:
    with pytest.raises(CngError, match="not served") as caught:
        spec_of(values, None)
    assert caught.value.status == HRESULT.NTE_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("kind", "public"),
    [
        ("DH", DhPublicKey(DhDomain(PRIME, GENERATOR), 77)),
        ("DSA", DsaPublicKey(DsaDomain(PRIME, SUBPRIME, GENERATOR), 77)),
        ("ML-DSA", MlDsaPublicKey("44", bytes(1312))),
        ("ML-KEM", MlKemPublicKey("768", bytes(1184))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_public_objects(kind: str, public: DhPublicKey | DsaPublicKey | MlDsaPublicKey | MlKemPublicKey) -> None:
    values = PAIR_KINDS[kind].public_values(public, Quirks())
    with packed(values) as (_, count):
        assert count == len(values)
    if isinstance(public, (MlDsaPublicKey, MlKemPublicKey)):
        assert values == {
            Attribute.PARAMETER_SET: {"44": 1, "768": 2}[public.parameter_set],
            Attribute.VALUE: public.value,
        }
    else:
        assert values[Attribute.PRIME] == octets(PRIME)
        assert values[Attribute.VALUE] == b"\x4d"


@pytest.mark.parametrize("family", list(SecretFamily))
@pytest.mark.parametrize("bits", [0, 128, 0xFFFF, 80_000])
def test_ids_tell_what_attributes_do_not(family: SecretFamily, bits: int) -> None:
    spec = SecretSpec(family, bits, Usage.SIGN | Usage.DERIVE)
    identifier = make_id("näme", spec, None)
    assert len(identifier) == ID_OCTETS
    own = parse_id("näme", identifier)
    assert own is not None
    assert (own.family, own.usage, own.bits, own.replaces) == (family, spec.usage, bits % 80_000, bytes(6))
    assert parse_id("name", identifier) is None
    assert parse_id("näme", identifier[:-1]) is None
    assert make_id("näme", spec, None) != identifier
    assert parse_id("näme", identifier[:9] + b"\xff" + identifier[10:]) is None


def shelf_of(*identifiers: bytes) -> Shelf:
    return Shelf.of(
        "x",
        [
            Stored(handle, SECRET, "x", identifier, {}, parse_id("x", identifier))
            for handle, identifier in enumerate(identifiers)
        ],
    )


def test_what_gave_way_is_a_leftover() -> None:
    spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
    first = b"of other software"
    second = make_id("x", spec, tag_of(SECRET, first))
    third = make_id("x", spec, tag_of(SECRET, second))
    for order in ((first, second, third), (third, first, second)):
        shelf = shelf_of(*order)
        current = shelf.current()
        assert current is not None
        assert current.identifier == third
        assert [key.identifier for key in shelf.leftovers()] == [first, second]
    # The chain is broken: nobody can tell, but whoever broke it may be about to end the rest.
    assert len(shelf_of(first, third).candidates()) == 2
    assert shelf_of(first, third).contested
    assert not shelf_of(third).contested
    # Two that the same one replaces: nobody can tell either.
    assert len(shelf_of(first, first, second).candidates()) == 3
    assert not shelf_of(first, first, second).contested
    rivals = shelf_of(make_id("x", spec, None), make_id("x", spec, None))
    assert rivals.contested
    with pytest.raises(CngError) as caught:
        rivals.current()
    assert caught.value.status == HRESULT.NTE_KEYSET_ENTRY_BAD
    assert shelf_of().current() is None
    assert shelf_of().leftovers() == []


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.02)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with turns.in_turn(str(tmp_path / "module.so")):
            pass
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        with turns.in_turn(str(tmp_path / "module.so")), pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
    with turns.in_turn(str(tmp_path / "no" / "module.so")):
        pass
