"""The public half of a stored private key: PKCS#11 3.2, sections 4.6 (certificates), 4.8 and 4.9 (public and private
keys).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pkcs11 import Attribute, ObjectClass

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec
from hwcng.errors import HRESULT, CngError
from hwcng.forking import foreign_work
from hwcng.hostcrypto.certificates import loaded
from hwcng.hostcrypto.host_keys import public_material
from hwcng.loading import load
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.families import kind_of
from hwcng.providers.pkcs11.families.base import Reader
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.candidates import Shelf, Stored

__all__ = ["public_half"]

LARGEST_CERTIFICATE = 65536


def public_half(connection: Connection, shelf: Shelf, stored: Stored, spec: PairSpec) -> PublicKeyMaterial:
    """From the private object itself (RSA), else its public object, else its certificate. These belong to it by their
    CKA_ID, whatever their labels are; one search each where there is none of its label. Where it is nowhere, what the
    private object tells of it.

    Raises NTE_KEYSET_ENTRY_BAD where it is not clear.
    """
    kind = kind_of(spec)
    of_private: PublicKeyMaterial | None = kind.of_private(stored.values)
    if of_private is not None:
        return of_private
    readers: list[Reader] = [
        partial(_read, connection, other) for other in shelf.publics if other.identifier == stored.identifier
    ]
    if not readers:
        others = _of_its_id(connection, stored, ObjectClass.PUBLIC_KEY)
        readers += [partial(objects.read_attributes, connection, handle) for handle in others]
    found: list[PublicKeyMaterial] = [kind.read_public(read, spec, connection.token_name) for read in readers]
    if not found:
        beside = [other.handle for other in shelf.certificates if other.identifier == stored.identifier]
        certificates = beside or _of_its_id(connection, stored, ObjectClass.CERTIFICATE)
        found += _of_certificates(connection, certificates, spec)
    if not found:
        known: PublicKeyMaterial | None = kind.untold(stored.values, spec)
        if known is None:
            raise _damaged(shelf.name, "the token tells neither its modulus nor its public key")
        return known
    if any(public != found[0] for public in found):
        raise _damaged(shelf.name, f"there are {len(found)} different public keys beside it")
    return found[0]


def _damaged(name: str, reason: str) -> CngError:
    return CngError(HRESULT.NTE_KEYSET_ENTRY_BAD, f"the key named {name!r} cannot be opened: {reason}")


def _read(
    connection: Connection, stored: Stored, kinds: Sequence[Attribute], room: int
) -> Mapping[Attribute, bytes | None]:
    """What was read already, else what the token says."""
    if all(stored.values.get(kind) is not None for kind in kinds):
        return stored.values
    return objects.read_attributes(connection, stored.handle, kinds, room)


def _of_its_id(connection: Connection, stored: Stored, object_class: ObjectClass) -> list[int]:
    """The handles of all token objects of a class that have the key's CKA_ID."""
    if not stored.identifier:
        return []
    same = {Attribute.TOKEN: True, Attribute.CLASS: object_class, Attribute.ID: stored.identifier}
    return objects.find(connection, same)


@foreign_work()
def _of_certificates(connection: Connection, handles: Sequence[int], spec: PairSpec) -> list[PublicKeyMaterial]:
    """The public keys of those certificates that are of the private key's kind."""
    load("cryptography.exceptions")
    from cryptography.exceptions import UnsupportedAlgorithm

    kind = kind_of(spec)
    found: list[PublicKeyMaterial] = []
    reader = AttributeReader({Attribute.VALUE: LARGEST_CERTIFICATE})
    for handle in handles:
        values = reader.read(connection, handle) or {}
        try:
            key = loaded(values.get(Attribute.VALUE) or b"").public_key()
            public = public_material(key)
        except (ValueError, UnsupportedAlgorithm, CngError):
            continue
        found += [public] if kind.fits(public, spec) else []
    return found
