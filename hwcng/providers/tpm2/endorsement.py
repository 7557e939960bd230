"""A TPM's endorsement keys: found or made, with the certificates that the TPM keeps of them (TCG EK Credential Profile
for TPM Family 2.0, section 2.2.1; TPM 2.0 Library, Part 1, section 24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hwcng.contract.attestation import Endorsement
from hwcng.errors import not_supported, told
from hwcng.providers.tpm2.keys.handles import Authorization, KeyHandle
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.constants import RH, Attributes
from hwcng.providers.tpm2.wire.endorsement_commands import nv_contents
from hwcng.providers.tpm2.wire.endorsement_templates import (
    ENDORSEMENT_KEYS,
    FIRST_HANDLE,
    FIRST_INDEX,
    FIRST_ISSUER,
    LAST_HANDLE,
    LAST_ISSUER,
    EndorsementTemplate,
)
from hwcng.providers.tpm2.wire.marshal import MalformedError, u32
from hwcng.providers.tpm2.wire.public_area import Template, parse_public

__all__ = ["Endorsements", "Endorsing"]

_SEQUENCE, _LONG = 0x30, 0x80


@dataclass(frozen=True, slots=True)
class Endorsing:
    """An endorsement key at hand. hierarchy: whose authorization its use asks for, None for none."""

    key: KeyHandle
    public: bytes
    hierarchy: KeyHandle | None


class Endorsements:
    """The endorsement keys of a TPM. auth: gives the endorsement hierarchy's authorization value, when it is needed."""

    def __init__(self, connection: Connection, auth: Callable[[], bytes]) -> None:
        self._connection = connection
        self._auth = auth

    def read(self, kind: str | None) -> Endorsement:
        """kind: "RSA" or "EC"; None: the first that has a certificate. Raises STATUS_NOT_SUPPORTED for another kind,
        and where the TPM has none.
        """

        def work(connection: Connection) -> Endorsement:
            indices = _indices(connection)
            row = _chosen(kind, indices)
            with self.at_hand(connection, row, indices) as endorsing:
                public = endorsing.public
            contents = nv_contents(connection, row.certificate) if row.certificate in indices else b""
            certificate = next(_certificates(contents), b"")
            above = [index for index in sorted(indices) if FIRST_ISSUER <= index <= LAST_ISSUER] if certificate else ()
            issuers = _certificates(b"".join(nv_contents(connection, index) for index in above))
            return Endorsement(public, certificate, tuple(issuers))

        return self._connection.perform("reading the endorsement key", work)

    @contextmanager
    def of(self, connection: Connection, public: bytes | None) -> Iterator[Endorsing]:
        """The endorsement key of that public area, None: the one that `read` tells. Raises STATUS_NOT_SUPPORTED."""
        indices = _indices(connection)
        row = _chosen(None, indices)
        if public is not None:
            row = next((row for row in ENDORSEMENT_KEYS if public.startswith(row.primary.area)), row)
        with self.at_hand(connection, row, indices) as endorsing:
            yield endorsing

    @contextmanager
    def at_hand(self, connection: Connection, row: EndorsementTemplate, indices: frozenset[int]) -> Iterator[Endorsing]:
        """Where it is at a persistent handle, else made for the while; a TPM makes the same each time."""
        contents = {index: nv_contents(connection, index) for index in (row.template, row.nonce) if index in indices}
        template = row.varied(contents.get(row.template, b""), contents.get(row.nonce, b""))
        for handle in commands.handles(connection, FIRST_HANDLE):
            if handle > LAST_HANDLE:
                break
            public, name = commands.read_public(connection, handle)
            if public.startswith(template.area):
                authorization = Authorization(f"the endorsement key at {handle:#x}", fixed=True)
                key = KeyHandle(handle, name, authorization=authorization)
                yield Endorsing(key, public, self._hierarchy(public))
                return
        with self._made(connection, template) as endorsing:
            yield endorsing

    @contextmanager
    def _made(self, connection: Connection, template: Template) -> Iterator[Endorsing]:
        with connection.cache.primary(connection, self._endorsement(), template) as (key, public):
            yield Endorsing(key, public, self._hierarchy(public))

    def _hierarchy(self, public: bytes) -> KeyHandle | None:
        return None if Attributes.USERWITHAUTH in parse_public(public).attributes else self._endorsement()

    def _endorsement(self) -> KeyHandle:
        auth = self._auth()
        advice = "give the endorsement hierarchy's value by endorsement-auth-source= in the URI"
        authorization = Authorization("the TPM's endorsement hierarchy", advice, given=bool(auth), fixed=True)
        return KeyHandle(RH.ENDORSEMENT, u32(RH.ENDORSEMENT), auth, authorization)


def _indices(connection: Connection) -> frozenset[int]:
    return frozenset(commands.handles(connection, FIRST_INDEX))


def _chosen(kind: str | None, indices: frozenset[int]) -> EndorsementTemplate:
    rows = [row for row in ENDORSEMENT_KEYS if kind in (None, row.kind)]
    if not rows:
        raise not_supported(f"endorsement keys are RSA and EC, not {told(kind)}")
    return next((row for row in rows if row.certificate in indices), rows[0])


def _certificates(octets: bytes) -> Iterator[bytes]:
    """The DER structures that octets begin with; TPMs fill up the rest of an index with anything."""
    while len(octets) > 1 and octets[0] == _SEQUENCE:
        count = octets[1] - _LONG if octets[1] > _LONG else 0
        length = int.from_bytes(octets[2 : 2 + count], "big") if count else octets[1]
        end = 2 + count + length
        if end > len(octets):
            raise MalformedError("a certificate that ends too early")
        yield octets[:end]
        octets = octets[end:]
