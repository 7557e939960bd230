"""Makes statements about keys: TPM2_Certify and TPM2_CertifyCreation (TPM 2.0 Library, Part 3, section 18)."""

from __future__ import annotations

from hwcng.arguments import octets
from hwcng.contract.attestation import Attestation, Origin
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.pinned import Store
from hwcng.providers.tpm2.wire import commands, key_file_asn1
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.public_area import ATTESTATION_KEY, name_of

__all__ = ["Attestor"]

_MAX_NONCE = 32


class Attestor:
    """Signs with the attestation key of a store, which is made at its first use."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self._connection = connection
        self._store = store
        self._signer: TpmObject | None = None
        self._content = b""
        self._generation = connection.generation

    def attest(self, key: TpmObject, origin: Origin | None, nonce: bytes) -> Attestation:
        """Raises STATUS_INVALID_PARAMETER for a nonce over 32 bytes, STATUS_NOT_SUPPORTED for a key with a PIN."""
        nonce = octets(nonce, "nonce")
        if len(nonce) > _MAX_NONCE:
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER, f"a nonce has at most {_MAX_NONCE} bytes, not {len(nonce)}"
            )
        if key.auth:
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "keys with a PIN are not attested: it would show the PIN")
        signer = self._loadable_signer()

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

    def _loadable_signer(self) -> TpmObject:
        """The attestation key; one that is of before a TPM2_Clear gives way to a new one."""
        signer = self._attestation_key()
        try:
            self._connection.perform("loading the attestation key", lambda line: line.cache.load(line, signer))
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
                raise
            self._store.drop_attestation_key(self._content)
            self._signer = None
            signer = self._attestation_key()
        return signer

    def _attestation_key(self) -> TpmObject:
        if self._signer is None or self._generation != self._connection.generation:
            self._generation = self._connection.generation
            self._content = self._store.attestation_key() or self._make()
            self._signer = self._read(self._content)
        return self._signer

    def _read(self, content: bytes) -> TpmObject:
        try:
            file = key_file_asn1.parse(content)
            return TpmObject(file.public, file.private, name_of(file.public), title="the attestation key")
        except (CngError, MalformedError):
            raise CngError(
                NTSTATUS.STATUS_DATA_ERROR,
                f"{self._store.attestation_file} is damaged; remove it, and a new attestation key is made",
            ) from None

    def _make(self) -> bytes:
        """A new attestation key as a file, in the store."""

        def make(connection: Connection) -> commands.Created:
            connection.cache.make_room(connection, 1)
            return commands.create(connection, connection.storage_root, ATTESTATION_KEY)

        made = self._connection.perform("making an attestation key", make)
        parent = self._connection.storage_root.handle
        return self._store.keep_attestation_key(key_file_asn1.build(TssKey(parent, made.public, made.private)))
