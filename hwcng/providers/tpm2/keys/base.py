"""What keys of a TPM share, secret and private ones: the object, the line to its TPM, and an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from hwcng.contract.attestation import Attestation, Origin
from hwcng.contract.platform import HeldKey
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported
from hwcng.providers.tpm2.attestor import Attestor
from hwcng.providers.tpm2.capabilities import Offers
from hwcng.providers.tpm2.keys.describing import described
from hwcng.providers.tpm2.keys.handles import check_pin
from hwcng.providers.tpm2.keys.reloading import file_of
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.wire import commands, key_file_asn1
from hwcng.providers.tpm2.wire.commands import KeyHandle
from hwcng.providers.tpm2.wire.policies import AUTH_VALUE

__all__ = ["Realm", "TpmKey", "authority"]

T = TypeVar("T")


@dataclass(slots=True)
class Realm:
    """What the keys of one provider share. closed: whether the provider, and so every key, has come to its end.

    rewrite: puts a named key's new blob in the place of the one before.
    """

    connection: Connection
    offers: Offers
    attestor: Attestor
    allow_raw_secret: bool
    rewrite: Callable[[str, TpmObject, TpmObject], None]
    closed: bool = False


def authority(key: object, realm: Realm) -> TpmObject | None:
    """The object that signs statements, None for the store's own. Raises as `TpmKey.attest`."""
    if key is None:
        return None
    if not isinstance(key, TpmKey) or not key.of(realm):
        raise invalid_parameter("the key that signs the statement is of another token")
    held = key.blob()[0]
    if not key.describe().restricted:
        raise not_supported("the key that signs the statement is made for that alone: Usage.ATTEST")
    return held


class TpmKey:
    """What secret and private keys share: the object, the line to its TPM, and an end.

    name: under which it is in the store; a forked child may then use it too.
    """

    def __init__(self, realm: Realm, held: TpmObject, origin: Origin | None) -> None:
        self.name: str | None = None
        self._realm = realm
        self._connection = realm.connection
        self._offers = realm.offers
        self._held = held
        self._origin = origin
        self._generation = realm.connection.generation
        self._destroyed = False

    def _check(self) -> None:
        if self._destroyed or self._realm.closed:
            what = "key is destroyed" if self._destroyed else "provider is closed"
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, f"the {what}")
        if self._generation != self._connection.generation:
            if self.name is not None:
                # Its blob is this process' too; slots and contexts are the parent's.
                self._held = replace(self._held, handle=0, context=None)
                self._generation = self._connection.generation
                return
            raise CngError(
                NTSTATUS.STATUS_INVALID_HANDLE,
                "the key belongs to the process that this one was forked from; make it anew, or load its opaque blob",
            )

    def _use(self, asked: str, work: Callable[[Connection, KeyHandle], T]) -> T:
        connection = self._connection
        if self._destroyed or self._realm.closed or self._generation != connection.generation:
            self._check()
        return connection.perform(asked, work, self._held)

    def blob(self) -> tuple[TpmObject, Origin | None]:
        """What is stored of the key."""
        self._check()
        return self._held, self._origin

    def describe(self) -> HeldKey:
        self._check()
        return described(self._held, self._connection.storage_root.handle, self._origin)

    def of(self, realm: Realm) -> bool:
        """Whether the key is of that provider's TPM."""
        return self._realm.connection is realm.connection

    def opaque(self) -> bytes:
        """The key as a TSS2 PRIVATE KEY file (PEM): only this TPM can load it. Costs no command."""
        self._check()
        return key_file_asn1.build(file_of(self._held, self._connection.storage_root.handle))

    def change_pin(self, pin: bytes) -> None:
        """TPM2_ObjectChangeAuth: the key's blob with another authorization value; whoever has a copy of the one before
        uses the key with the value before. A named key's file is replaced.

        Raises STATUS_NOT_SUPPORTED for a key at a persistent handle, and for one whose policy asks for no PIN.
        """
        self._check()
        held = self._held
        check_pin(pin)
        if held.fixed:
            raise not_supported(f"{held.title} is in the TPM's own memory, which keeps its PIN")
        if held.policy and AUTH_VALUE not in held.policy:
            raise not_supported("the key is used by a policy that asks for no PIN; make another with one")

        def change(connection: Connection, key: KeyHandle) -> bytes:
            connection.cache.make_room(connection, 1)
            with connection.cache.parent_of(connection, held.place) as parent:
                return commands.change_auth(connection, key, parent, pin)

        private = self._connection.perform("changing the key's PIN", change, held)
        changed = replace(held, private=private, auth=pin, handle=0, context=None)
        if self.name is not None:
            self._realm.rewrite(self.name, held, changed)
        self._held = changed
        self._connection.discard(held)

    def attest(self, nonce: bytes, by: object = None) -> Attestation:
        """A statement of the TPM, signed by its attestation key, that this key is in it and how it was made.

        nonce: at most 32 bytes of the verifier's choice. by: another key of Usage.ATTEST that signs, None for that of
        the store. `attest.verify_attestation` checks the statement on any host.

        Raises STATUS_NOT_SUPPORTED for a signer that attests nothing, STATUS_INVALID_PARAMETER for another TPM's.
        """
        self._check()
        return self._realm.attestor.attest(self._held, self._origin, nonce, authority(by, self._realm))

    def destroy(self) -> None:
        """Frees the key's slot and forgets its blob. A second call does nothing."""
        if self._destroyed:
            return
        self._destroyed = True
        if self._generation == self._connection.generation:
            self._connection.discard(self._held)
