"""What is known of a kind of token before one is open: how its URIs are read, compared and opened (RFC 3986).

Each kind has one instance of `Backend`, with no state. It is found by the scheme of its URIs: named BACKEND in
hwcng.providers.SCHEME.backend, or by the entry point SCHEME of the group "hwcng.backends" of any installed package.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from typing import ClassVar, Generic, TypeVar

from hwcng.contract.keys import unserved
from hwcng.contract.pins import Pin
from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.contract.verifying import Verifier
from hwcng.errors import CngError, invalid_parameter

__all__ = ["Backend"]


U = TypeVar("U", bound=ProviderUri)


class Backend(abc.ABC, Generic[U]):
    """A kind of token. Importing its module loads nothing that only an open token needs.

    scheme: of its URIs, in lower case. description: what it is, in a few words for those who choose. modules: what
    `open` imports; they are loaded before it, while no fork is under way. packages: the top-level packages that need
    not be installed, and requirement: what pip installs for them.
    """

    scheme: ClassVar[str]
    description: ClassVar[str]
    modules: ClassVar[Sequence[str]] = ()
    packages: ClassVar[Collection[str]] = ()
    requirement: ClassVar[str] = ""

    @abc.abstractmethod
    def parse(self, rest: str) -> U:
        """The URI whose text after the scheme and its colon is `rest`.

        Raises STATUS_INVALID_PARAMETER, and shows nothing that may be a PIN, for what is none.
        """

    @abc.abstractmethod
    def open(self, uri: U, *, pin: Pin | None, allow_raw_secret: bool) -> Provider:
        """The token, open; `Provider.uri` is str(uri). pin, allow_raw_secret: as `hwcng.open_provider` has them."""

    def split(self, uri: U) -> tuple[U, str]:
        """A key's URI as that of its token, and the name by which a provider opens the key.

        Raises STATUS_INVALID_PARAMETER where it names no key, STATUS_NOT_FOUND where no token can be meant.
        """
        raise unserved("keep keys")

    def names_a_key(self, uri: U) -> bool:
        """Whether the URI says which key of its token is meant."""
        try:
            self.split(uri)
        except CngError:
            return False
        return True

    def shown_name(self, uri: U) -> str:
        """What a key is called that was not opened yet. Raises as `split`."""
        return self.split(uri)[1]

    def key_of_certificate(self, uri: U) -> U:
        """A certificate's URI as that of the key that it belongs to."""
        return uri

    def pin_is_the_keys(self, uri: U) -> bool:
        """Whether the PIN that is given with a key's URI is that key's own; else it is the token's."""
        return False

    def pin_in(self, uri: U) -> Pin | None:
        """The token's PIN that a URI holds; what says where the PIN is, as a callable that reads it."""
        return None

    def settings(self, uri: U) -> Sequence[str]:
        """What `with_setting` takes; "timeout" is the seconds that a call to the token may take, others are its own."""
        return ()

    def with_setting(self, uri: U, name: str, value: str) -> U:
        """The URI with a setting of the configuration file in the place of its own. name: one of `settings`.

        Raises STATUS_INVALID_PARAMETER for a value that it cannot have.
        """
        raise invalid_parameter(f"{self.scheme}: URIs have no setting {name}")

    def require_sources(self, uri: U) -> None:
        """Makes sure that what the URI calls the source of a PIN can be one: it is shown, and could be the PIN itself.

        Raises STATUS_INVALID_PARAMETER. Nothing is read.
        """

    def same_token(self, one: U, other: U, *, by_module: bool = True) -> bool:
        """Whether two URIs may mean one token: nothing that says which token is told differently.

        by_module: whether it counts by which file on this host the token is reached.
        """
        return one == other

    def places(self, known: Sequence[U], named: Sequence[str]) -> Sequence[Place]:
        """Where tokens of this kind could be on this machine; nothing is opened for it.

        known: the URIs that this process is configured with. named: files of PKCS#11 modules that the user names.
        """
        return ()

    def absence(self) -> Absence | None:
        """What is said where `places` has none. None: nothing is, as nobody would look for such a token here."""
        return None

    def look(self, where: str) -> tuple[str, list[FoundToken]]:
        """What a place says of itself, and its tokens; nothing is made or logged in to. where: of a `Place`.

        It is called in a process of its own, which may hang or crash.
        """
        raise unserved("be looked for")

    def visible_keys(self, uri: U) -> list[KeyRecord]:
        """The keys that a token shows to everybody, or what of them it does. Raises as `open`."""
        with self.open(uri, pin=None, allow_raw_secret=False) as provider:
            return list(provider.list_keys())

    def missing(self, error: ModuleNotFoundError) -> str | None:
        """What to install where it is one of `packages` that is missing, else None."""
        name = error.name or ""
        if name.partition(".")[0] not in self.packages:
            return None
        return f"{self.scheme}: needs the package {name}, which is not installed: pip install '{self.requirement}'"

    def verifier(self, record: object) -> Verifier | None:
        """What checks such records of `hwcng.contract.attestation`; None where tokens of this kind make none."""
        return None

    def is_vague(self, uri: U) -> bool:
        """Whether nothing says which token it is but the way to it."""
        return False

    def told_apart_by(self, uri: U) -> str:
        """The attributes that a URI says which token is meant by, for a message."""
        return "more of its token"

    def in_common(self, one: U, other: U) -> int:
        """How much of what says which token it is two URIs say alike."""
        return 0
