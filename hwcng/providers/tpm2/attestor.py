"""Makes statements about keys: TPM2_Certify and TPM2_CertifyCreation (TPM 2.0 Library, Part 3, section 18)."""

from __future__ import annotations

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2 import commands, tsskey
from hwcng.providers.tpm2.attest import Attestation, Origin
from hwcng.providers.tpm2.connection import Connection
from hwcng.providers.tpm2.objects import TpmObject
from hwcng.providers.tpm2.store import Store
from hwcng.providers.tpm2.templates import ATTESTATION_KEY, name_of
from hwcng.providers.tpm2.tsskey import TssKey

__all__ = ["Attestor"]

_MAX_NONCE = 32


class Attestor:
    """Signs with the attestation key of a store, which is made at its first use."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self._connection = connection
        self._store = store
        self._signer: TpmObject | None = None
        self._generation = connection.generation

    def attest(self, key: TpmObject, origin: Origin | None, nonce: bytes) -> Attestation:
        """Raises STATUS_INVALID_PARAMETER for a nonce over 32 bytes, STATUS_NOT_SUPPORTED for a key with a PIN."""
        if len(nonce) > _MAX_NONCE:
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER, f"a nonce has at most {_MAX_NONCE} bytes, not {len(nonce)}"
            )
        if key.auth:
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "keys with a PIN are not attested: it would show the PIN")
        signer = self._attestation_key()

        def certify(connection: Connection) -> tuple[bytes, bytes, bytes, bytes]:
            by = connection.cache.acquire(connection, signer)
            what = connection.cache.acquire(connection, key, together=True)
            statement, signature = commands.certify(connection, what, by, nonce)
            if origin is None:
                return statement, signature, b"", b""
            return (
                statement,
                signature,
                *commands.certify_creation(connection, what, by, nonce, origin.digest, origin.ticket),
            )

        certified = self._connection.perform("attestation", certify)
        statement, signature, creation_statement, creation_signature = certified
        return Attestation(
            key.public,
            signer.public,
            statement,
            signature,
            origin.data if origin else b"",
            creation_statement,
            creation_signature,
        )

    def _attestation_key(self) -> TpmObject:
        if self._signer is None or self._generation != self._connection.generation:
            self._generation = self._connection.generation
            file = tsskey.parse(self._store.attestation_key() or self._make())
            self._signer = TpmObject(file.public, file.private, name_of(file.public))
        return self._signer

    def _make(self) -> bytes:
        """A new attestation key as a file, in the store."""

        def make(connection: Connection) -> commands.Created:
            connection.cache.make_room(connection, 1)
            return commands.create(connection, connection.storage_root, ATTESTATION_KEY)

        made = self._connection.perform("making an attestation key", make)
        parent = self._connection.storage_root.handle
        return self._store.keep_attestation_key(tsskey.build(TssKey(parent, made.public, made.private)))
