"""The public half of a stored private key: PKCS#11 3.2, sections 4.6 (certificates), 4.8 and 4.9 (public and private
keys).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, ObjectClass

from hwcng.curves import CURVES
from hwcng.errors import HRESULT, CngError
from hwcng.providers.base import EcPublicKey, PairSpec, PublicKeyMaterial
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.kinds import kind_of
from hwcng.providers.pkcs11.kinds.base import Reader
from hwcng.providers.pkcs11.sessions import Connection
from hwcng.providers.pkcs11.stored_objects import AttributeReader, Shelf, Stored
from hwcng.providers.pkcs11.stored_specs import rsa_public

__all__ = ["public_half"]

LARGEST_CERTIFICATE = 65536


def public_half(connection: Connection, shelf: Shelf, stored: Stored, spec: PairSpec) -> PublicKeyMaterial:
    """From the private object itself (RSA), else its public object, else its certificate.

    Raises NTE_KEYSET_ENTRY_BAD where it is nowhere or not clear.
    """
    if spec.kind == "RSA" and (of_private := rsa_public(stored.values)):
        return of_private
    kind = kind_of(spec)
    readers: list[Reader] = [
        partial(_read, connection, other) for other in shelf.publics if other.identifier == stored.identifier
    ]
    if not readers and stored.identifier:
        same = {Attribute.TOKEN: True, Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: stored.identifier}
        handles = objects.find(connection, same)
        readers += [partial(objects.read_attributes, connection, handle) for handle in handles]
    found: list[PublicKeyMaterial] = [kind.read_public(read, spec, connection.token_name) for read in readers]
    if not found and spec.kind == "EC":
        found += _of_certificates(connection, shelf, stored, spec.curve)
    if not found:
        raise _damaged(
            shelf.name,
            "there is neither a public object nor a certificate of its CKA_ID beside it; write one with the tool that "
            "made it",
        )
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


def _of_certificates(connection: Connection, shelf: Shelf, stored: Stored, curve: str) -> list[EcPublicKey]:
    found: list[EcPublicKey] = []
    reader = AttributeReader({Attribute.VALUE: LARGEST_CERTIFICATE})
    for certificate in shelf.certificates:
        if certificate.identifier != stored.identifier:
            continue
        values = reader.read(connection, certificate.handle) or {}
        try:
            key = x509.load_der_x509_certificate(values.get(Attribute.VALUE) or b"").public_key()
        except ValueError:
            continue
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVES[curve].host().name:
            numbers = key.public_numbers()
            found.append(EcPublicKey(curve, numbers.x, numbers.y))
    return found
