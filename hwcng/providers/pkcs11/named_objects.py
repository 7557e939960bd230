"""A named key's place in the token: found again after a loss of the connection, a fork, or a handle that went stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwcng.forking import ProcessLock
from hwcng.providers.base import PairSpec, PublicKeyMaterial, SecretSpec
from hwcng.providers.pkcs11.sessions import Connection

__all__ = ["NamedObject", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a named key is and which key it is. stale_handles: `Connection.stale_handles` when it was found."""

    connection: Connection
    stale_handles: int
    handle: int
    object_class: int
    identifier: bytes
    spec: SecretSpec | PairSpec
    public: PublicKeyMaterial | None

    @property
    def sound(self) -> bool:
        return self.connection.alive and self.connection.stale_handles == self.stale_handles

    def same_key(self, other: Place) -> bool:
        return (self.object_class, self.identifier, self.spec, self.public) == (
            other.object_class,
            other.identifier,
            other.spec,
            other.public,
        )


class NamedObject:
    """What a key of `KeyStore` holds in place of a `SessionObject`: it outlives its holders, and connections.

    find_again: given the place where it was, returns the one where it is, or raises.
    """

    __slots__ = ("_find_again", "_finding", "_place", "name")

    persistent = True

    def __init__(self, name: str, place: Place, find_again: Callable[[str, Place], Place]) -> None:
        self.name = name
        self._place = place
        self._find_again = find_again
        self._finding = ProcessLock()

    def _sound_place(self) -> Place:
        place = self._place
        if place.sound:
            return place
        with self._finding.held():
            if not self._place.sound:
                self._place = self._find_again(self.name, self._place)
            return self._place

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
