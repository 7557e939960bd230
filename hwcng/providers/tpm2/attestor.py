"""Makes statements about keys and PCRs, and shows whose TPM it is: TPM2_Certify, TPM2_CertifyCreation, TPM2_Quote and
TPM2_ActivateCredential (TPM 2.0 Library, Part 3, sections 18 and 12.5).
"""

from __future__ import annotations

from collections.abc import Sequence

from hwcng.arguments import octets
from hwcng.contract.attestation import Attestation, Credential, Origin, Quote
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.endorsement import Endorsements
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.pcrs import read as read_pcrs
from hwcng.providers.tpm2.pinned import Store
from hwcng.providers.tpm2.quotes import quoted
from hwcng.providers.tpm2.wire import commands, key_file_asn1, statement_commands
from hwcng.providers.tpm2.wire.attest import read_statement
from hwcng.providers.tpm2.wire.constants import CC, HASH_NAMES, RC, ST
from hwcng.providers.tpm2.wire.endorsement_commands import activate_credential
from hwcng.providers.tpm2.wire.errors import TpmError
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.policies import SESSION_HASH, composite
from hwcng.providers.tpm2.wire.public_area import ATTESTATION_KEY, name_of, parse_public

__all__ = ["Attestor"]

_MAX_NONCE = 32
_ATTEMPTS = 3


_UNFIT = frozenset({RC.INTEGRITY, RC.VALUE, RC.SIZE, RC.INSUFFICIENT, RC.ECC_POINT, RC.KEY, RC.TYPE})
"""What a TPM says of a credential that is not for its endorsement key and this key; and FAILURE, of RSA's padding."""


def _explained(connection: Connection, error: TpmError) -> TpmError | CngError:
    """Of a credential that does not fit one and the same answer, and no TPM_RC, because that would tell why."""
    if error.command != CC.ActivateCredential or error.code not in _UNFIT | {RC.FAILURE}:
        return error
    if error.code == RC.FAILURE and not commands.working(connection):
        return error
    return CngError(
        NTSTATUS.STATUS_INVALID_PARAMETER,
        "activating a credential: it is for another endorsement key or another key than this TPM's, or it was altered",
    )


def _checked(nonce: bytes) -> bytes:
    nonce = octets(nonce, "nonce")
    if len(nonce) > _MAX_NONCE:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"a nonce has at most {_MAX_NONCE} bytes, not {len(nonce)}")
    return nonce


class Attestor:
    """Signs with the attestation key of a store, which is made at its first use."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self._connection = connection
        self._store = store
        self._signer: TpmObject | None = None
        self._content = b""
        self._generation = connection.generation

    def attest(self, key: TpmObject, origin: Origin | None, nonce: bytes, by: TpmObject | None = None) -> Attestation:
        """by: what signs instead of the attestation key.

        Raises STATUS_INVALID_PARAMETER for a nonce over 32 bytes.
        """
        nonce = _checked(nonce)
        signer = by or self._loadable_signer()

        def certify(connection: Connection) -> tuple[bytes, bytes, bytes, bytes]:
            signing = connection.cache.acquire(connection, signer)
            what = connection.cache.acquire(connection, key, together=True)
            statement, signature = statement_commands.certify(connection, what, signing, nonce)
            if origin is None:
                return statement, signature, b"", b""
            return (
                statement,
                signature,
                *statement_commands.certify_creation(connection, what, signing, nonce, origin.digest, origin.ticket),
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

    def quote(self, pcrs: Sequence[int], bank: str, nonce: bytes, by: TpmObject | None = None) -> Quote:
        """What the PCRs of a bank are, and the TPM's statement of it; anew where one changed in between. by: as of
        `attest`.

        Raises STATUS_INVALID_PARAMETER for a nonce over 32 bytes, STATUS_NOT_SUPPORTED for a PCR that the bank does not
        have, STATUS_RETRY where PCRs never stay.
        """
        nonce = _checked(nonce)
        signer = by or self._loadable_signer()
        # The hash of the signer's scheme is that of the values too.
        scheme = parse_public(signer.public).scheme
        hash_name = HASH_NAMES[scheme[1]] if scheme is not None else SESSION_HASH

        def work(connection: Connection) -> Quote:
            signing = connection.cache.acquire(connection, signer)
            for _ in range(_ATTEMPTS):
                values = read_pcrs(connection, bank, pcrs)
                statement, signature = statement_commands.quote(connection, signing, nonce, bank, pcrs)
                digest = quoted(read_statement(statement, ST.ATTEST_QUOTE, nonce))[1]
                if digest == composite([values[pcr] for pcr in pcrs], hash_name):
                    return Quote(signer.public, statement, signature, bank, values)
            raise CngError(NTSTATUS.STATUS_RETRY, f"PCRs changed while they were quoted, {_ATTEMPTS} times in a row")

        return self._connection.perform("quoting PCRs", work)

    def signer_public(self) -> bytes:
        """TPMT_PUBLIC of the attestation key."""
        return self._loadable_signer().public

    def activate(
        self, credential: Credential, key: TpmObject | None, endorsements: Endorsements, public: bytes | None
    ) -> bytes:
        """The secret of a credential for the attestation key, or for another key. public: of the endorsement key, None
        for the one that comes first.

        Raises STATUS_INVALID_PARAMETER for a credential that is not for this TPM and this key.
        """
        held = key or self._loadable_signer()

        def work(connection: Connection) -> bytes:
            by = connection.cache.acquire(connection, held)
            # The endorsement key takes a slot too, and a third where it is made.
            connection.cache.make_room(connection, 1)
            with endorsements.of(connection, public) as endorsing:
                try:
                    return activate_credential(
                        connection,
                        by,
                        endorsing.key,
                        endorsing.hierarchy,
                        credential.id_object,
                        credential.encrypted_secret,
                    )
                except TpmError as error:
                    raise _explained(connection, error) from None

        return self._connection.perform("activating a credential", work)

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
