"""What a token shows to everybody: public keys and certificates, read without a login (PKCS#11 3.2, section 5.6)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.provider import KeyRecord
from hwcng.contract.specs import PairSpec
from hwcng.errors import CngError
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.families.values import number
from hwcng.providers.pkcs11.key_addresses import KeyAddress
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.ids import parse_id
from hwcng.providers.pkcs11.store.listing import UriMaker
from hwcng.providers.pkcs11.store.specs import READ, spec_of

__all__ = ["public_records"]

_PUBLIC, _CERTIFICATE = int(ObjectClass.PUBLIC_KEY), int(ObjectClass.CERTIFICATE)


def public_records(connection: Connection, uri_of: UriMaker) -> Iterator[KeyRecord]:
    """The pairs whose public half is there for all to see, each with the URI of its private half. What that may do, a
    public object does not say: their usage is empty. connection: need not be logged in.
    """
    handles = objects.find(connection, {Attribute.TOKEN: True})
    read = [told for told in AttributeReader(READ).read_each(connection, handles) if told is not None]
    certified = {told[1] for told in read if number(told[2], Attribute.CLASS) == _CERTIFICATE}
    for octets, identifier, values in read:
        if number(values, Attribute.CLASS) != _PUBLIC:
            continue
        with suppress(CngError):
            label = octets.decode("utf-8", "surrogateescape")
            own = parse_id(label, identifier)
            spec = spec_of({**values, Attribute.CLASS: _AS_PRIVATE}, own)
            if not isinstance(spec, PairSpec):
                continue
            address = KeyAddress(label) if label else KeyAddress(None, identifier)
            yield KeyRecord(
                address.name,
                spec,
                own.created if own is not None else None,
                bool(identifier) and identifier in certified,
                uri=uri_of(address.label, address.identifier, "private"),
                id=identifier,
            )


_AS_PRIVATE = int(ObjectClass.PRIVATE_KEY).to_bytes(8, sys.byteorder)
