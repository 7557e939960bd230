"""Certificates beside stored keys: X.509 objects (PKCS#11 3.2, section 4.6) of the CKA_ID and label of their key.

Its issuers' have ids and labels of their own, as other software gives them, because several keys stand under one: the
SHA-1 of the public key and the subject's name. They are found by their subject, and stay when a key goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from asn1crypto.core import Integer
from pkcs11 import Attribute, CertificateType, ObjectClass

from hwcng.contract.material import PublicKeyMaterial
from hwcng.errors import HRESULT, CngError
from hwcng.forking import foreign_work
from hwcng.hostcrypto.certificates import chain_from, is_of, loaded
from hwcng.loading import load
from hwcng.providers.pkcs11 import objects, templates
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families.values import number
from hwcng.providers.pkcs11.key_addresses import KeyAddress
from hwcng.providers.pkcs11.store.attributes import AttributeReader
from hwcng.providers.pkcs11.store.making import CANNOT_STORE
from hwcng.providers.pkcs11.store.place import Place
from hwcng.providers.pkcs11.store.publics import LARGEST_CERTIFICATE
from hwcng.providers.pkcs11.store.writing import destroy, not_kept
from hwcng.providers.pkcs11.templates import Template

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["certificates_at", "certificates_of", "store_certificates"]

_CERTIFICATE: Template = {Attribute.TOKEN: True, Attribute.CLASS: ObjectClass.CERTIFICATE}
_READ = {Attribute.CERTIFICATE_TYPE: 8, Attribute.LABEL: 2048, Attribute.ID: 256, Attribute.VALUE: LARGEST_CERTIFICATE}


def _found(connection: Connection, sought: Template) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Handle, label, CKA_ID and DER of each X.509 certificate that has these attributes; of a URL there is no DER.

    Raises NTE_KEYSET_ENTRY_BAD for one that is there and cannot be read, which is not the same as none.
    """
    reader, template = AttributeReader(_READ), {**_CERTIFICATE, **sought}
    for handle in objects.find(connection, template):
        values = reader.read(connection, handle)
        if values is None:
            if handle in objects.find(connection, template):
                raise _unreadable(connection, "it says that the object is not there")
        elif number(values, Attribute.CERTIFICATE_TYPE) in (None, CertificateType.X_509):
            if Attribute.VALUE not in values:
                raise _unreadable(connection, f"it does not tell CKA_VALUE, or more than {LARGEST_CERTIFICATE} bytes")
            if der := values[Attribute.VALUE]:
                yield handle, values.get(Attribute.LABEL, b""), values.get(Attribute.ID, b""), der


def _unreadable(connection: Connection, reason: str) -> CngError:
    return CngError(
        HRESULT.NTE_KEYSET_ENTRY_BAD,
        f"token {connection.token_name!r} has a certificate that cannot be read: {reason}; try again, or remove it "
        "with the tool that stored it",
    )


class _Beside(NamedTuple):
    handle: int
    label: bytes
    der: bytes


def _beside(connection: Connection, place: Place) -> list[_Beside]:
    """The certificates that belong to a key: by its CKA_ID, without one by its label. One for another public key is
    another key's, whose CKA_ID is the same by chance.
    """
    label = _label_of(place)
    sought = {Attribute.ID: place.identifier} if place.identifier else {Attribute.LABEL: label}
    return [
        _Beside(handle, its_label, der)
        for handle, its_label, its_id, der in _found(connection, sought)
        if its_id == place.identifier and (its_id or its_label == label) and _own([der], place.public)
    ]


def _label_of(place: Place) -> bytes:
    return place.label.encode("utf-8", "surrogateescape")


def _own(ders: Sequence[bytes], public: PublicKeyMaterial | None) -> list[Certificate]:
    """Those that are for the public key, where one is given."""
    known = []
    for der in ders:
        with suppress(CngError):
            certificate = loaded(der)
            known += [certificate] if public is None or is_of(certificate, public) else []
    return known


def _newest(ders: Sequence[bytes], public: PublicKeyMaterial | None) -> Certificate | None:
    """Of several the one that begins last."""
    return max(_own(ders, public), key=lambda one: one.not_valid_before_utc, default=None)


def _chain(connection: Connection, own: Certificate | None) -> list[bytes]:
    if own is None:
        return []
    return chain_from(own, lambda subject: [found[3] for found in _found(connection, {Attribute.SUBJECT: subject})])


def certificates_of(connection: Connection, place: Place) -> list[bytes]:
    """The key's own and its issuers', as far as they are in the token."""
    return _chain(connection, _newest([one.der for one in _beside(connection, place)], place.public))


def certificates_at(connection: Connection, address: KeyAddress) -> list[bytes]:
    """The same of a certificate whose key is elsewhere. Raises NTE_KEYSET_ENTRY_BAD where there are several."""
    sought: dict[Attribute, bytes] = {}
    if address.label:
        sought[Attribute.LABEL] = address.label.encode("utf-8", "surrogateescape")
    if address.identifier:
        sought[Attribute.ID] = address.identifier
    ders = {found[3] for found in _found(connection, sought)} if sought else set()
    if len(ders) > 1:
        raise CngError(
            HRESULT.NTE_KEYSET_ENTRY_BAD,
            f"token {connection.token_name!r} has {len(ders)} certificates of the name {address.name!r}: say id= too",
        )
    return _chain(connection, _newest(list(ders), None))


def store_certificates(connection: Connection, place: Place, ders: Sequence[bytes]) -> None:
    """New ones are stored before old ones go. The caller has the turn of who writes."""
    before = _beside(connection, place)
    for der in ders[1:]:
        issuer = loaded(der)
        if all(found[3] != der for found in _found(connection, {Attribute.SUBJECT: issuer.subject.public_bytes()})):
            _create(connection, der, *_of_issuer(issuer))
    own = ders[0] if ders else None
    if own is not None and all(one.der != own for one in before):
        _create_own(connection, place, own, before)
    # Where the token wrote the new one over the old, its handle is still there.
    there = _beside(connection, place) if before else []
    for one in there:
        if one.der != own:
            destroy(connection, one.handle, place.label)
    for one in there:
        if own is not None and one.der == own and one.label == _label_apart(place, own):
            _set_label(connection, one.handle, _label_of(place))


def _label_apart(place: Place, der: bytes) -> bytes:
    """By which a new certificate is told from the one that it takes the place of, as long as both are there."""
    return b"%s %s" % (_label_of(place), hashlib.sha256(der).hexdigest()[:16].encode())


def _create_own(connection: Connection, place: Place, own: bytes, before: Sequence[_Beside]) -> None:
    try:
        _create(connection, own, _label_of(place), place.identifier)
    except CngError as error:
        # NSS has one subject for a label. What has a CKA_ID belongs to its key under any label.
        if not before or not place.identifier or error.token_code != CKR.ATTRIBUTE_VALUE_INVALID:
            raise
    else:
        return
    _create(connection, own, _label_apart(place, own), place.identifier)


def _set_label(connection: Connection, handle: int, label: bytes) -> None:
    """Where the token will not, the certificate keeps the label that it has."""
    with templates.packed({Attribute.LABEL: label}) as (attributes, count):
        connection.produce(
            lambda session: connection.cryptoki.C_SetAttributeValue(session.handle, handle, attributes, count)
        )


@foreign_work()
def _of_issuer(issuer: Certificate) -> tuple[bytes, bytes]:
    """Label and CKA_ID."""
    load("cryptography.x509")
    from cryptography import x509

    names = issuer.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    label = str(names[0].value) if names else issuer.subject.rfc4514_string()
    return label.encode(), x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def _create(connection: Connection, der: bytes, label: bytes, identifier: bytes) -> None:
    certificate = loaded(der)
    template: Template = {
        **_CERTIFICATE,
        Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
        Attribute.PRIVATE: False,
        Attribute.LABEL: label,
        Attribute.ID: identifier,
        Attribute.SUBJECT: certificate.subject.public_bytes(),
        Attribute.ISSUER: certificate.issuer.public_bytes(),
        Attribute.SERIAL_NUMBER: Integer(certificate.serial_number).dump(),
        Attribute.VALUE: der,
    }
    handle = ffi.new("CK_ULONG *")
    with templates.packed(template) as (attributes, count):
        rv = connection.produce(
            lambda session: connection.cryptoki.C_CreateObject(session.handle, attributes, count, handle)
        )
    if rv != CKR.OK:
        raise connection.error(rv, f"storing a certificate in token {connection.token_name!r} failed", CANNOT_STORE)
    kept = AttributeReader({Attribute.VALUE: LARGEST_CERTIFICATE}).read(connection, handle[0]) or {}
    if kept.get(Attribute.VALUE) != der:
        raise not_kept(connection, "a certificate")
