"""A named key's place in the token: found again after a loss of the connection, a fork, or a handle that went stale."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pkcs11 import ObjectClass

from hwcng.contract.keys import OfThisProcess
from hwcng.contract.material import PublicKeyMaterial, Untold
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.key_addresses import KeyAddress

__all__ = ["NamedObject", "Place", "type_of"]


_PRIVATE_KEY = int(ObjectClass.PRIVATE_KEY)


def type_of(object_class: int) -> str:
    """RFC 7512's type of a private or secret object."""
    return "private" if object_class == _PRIVATE_KEY else "secret-key"


class Place(NamedTuple):
    """Where a named key is and which key it is. stale_handles: `Connection.stale_handles` when it was found.

    address, name: what says that it is this one among the token's keys. always_authenticate: CKA_ALWAYS_AUTHENTICATE.
    looked_at: when everything of its name was last looked at, in seconds of time.monotonic.
    """

    connection: Connection
    stale_handles: int
    handle: int
    object_class: int
    label: str
    identifier: bytes
    address: KeyAddress
    name: str
    spec: SecretSpec | PairSpec
    public: PublicKeyMaterial | None
    always_authenticate: bool
    looked_at: float

    @property
    def type(self) -> str:
        """RFC 7512's, of the object."""
        return type_of(self.object_class)

    @property
    def sound(self) -> bool:
        return self.connection.alive and self.connection.stale_handles == self.stale_handles

    def same_key(self, other: Place) -> bool:
        same = (self.object_class, self.identifier, self.spec) == (other.object_class, other.identifier, other.spec)
        # A public half may have been written beside it meanwhile, or been removed.
        told = not isinstance(self.public, Untold) and not isinstance(other.public, Untold)
        return same and (not told or self.public == other.public)


class NamedObject(OfThisProcess):
    """What a key of `KeyStore` holds in place of a `SessionObject`: it outlives its holders, and connections.

    name: by which the key is found among those of the token. find_again: given the place where it was, returns the one
    where it is, or raises.
    """

    __slots__ = ("_find_again", "_finding", "_place", "name")

    persistent = True

    def __init__(self, place: Place, find_again: Callable[[Place], Place]) -> None:
        self.name = place.name
        self._place = place
        self._find_again = find_again
        self._finding = ProcessLock()

    def _sound_place(self) -> Place:
        place = self._place
        if place.sound:
            return place
        with self._finding.held():
            if not self._place.sound:
                self._place = self._find_again(self._place)
            return self._place

    @property
    def always_authenticate(self) -> bool:
        return self._place.always_authenticate

    @property
    def at(self) -> tuple[Connection, int]:
        place = self._sound_place()
        return place.connection, place.handle

    @property
    def connection(self) -> Connection:
        return self._sound_place().connection

    @property
    def handle(self) -> int:
        return self._sound_place().handle

    def share(self) -> NamedObject:
        return self

    def release(self) -> None:
        """The key stays in the token: `KeyStore.delete_key` ends it."""
