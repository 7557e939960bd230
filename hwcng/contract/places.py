"""Where tokens are reached on this machine, and what answers there."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Absence", "FoundToken", "Place"]


@dataclass(frozen=True)
class FoundToken:
    """A token that answered. uri: of a provider, no PIN in it; "" for a token that cannot be opened yet.

    state: "ready", "not initialised", "no user PIN", "PIN locked", "last try of the PIN" or "PIN was wrong last".
    """

    label: str
    manufacturer: str
    model: str
    serial: str
    firmware: str
    state: str
    uri: str


@dataclass(frozen=True)
class Absence:
    """That a kind of place is not on this machine. kind: as of `Place`. detail: what was looked for. program: what
    has one, by the name that `hwcng.testing` knows its package by. instead: a line that makes one, where the program is
    here.
    """

    kind: str
    detail: str
    program: str
    instead: str


@dataclass(frozen=True)
class Place:
    """Where tokens are reached. scheme: of its backend. kind: for people, such as "PKCS#11 module".
    where: the module's file, or the TCTI. description: as it says of itself. problem: why nothing answered, "" where
    something did. told: by whom it is known.
    """

    scheme: str
    kind: str
    where: str
    told: str
    description: str = ""
    problem: str = ""
    tokens: tuple[FoundToken, ...] = ()
