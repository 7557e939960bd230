"""A kind of key as the `cryptography` package has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hwcng.contract.material import PrivateKeyMaterial, PublicKeyMaterial

__all__ = ["HostKind", "digits_of_class", "nothing"]


def _sound(public: Any) -> None:
    """What is known by its octets is sound as it stands."""


def nothing() -> None:
    """A first use that takes no locks, or none that another kind's has not taken."""


@dataclass(frozen=True, slots=True)
class HostKind:
    """module: of `cryptography`'s asymmetric ones. prefix: what the names of its classes begin with. material: the
    numbers of a public half; of: whether they are of this kind, where others have numbers of the same class.

    to_host, to_public: a public key of numbers, and the other way. to_private: the checked numbers of a private key
    that its owner hands over. check: raises STATUS_INVALID_PARAMETER for a public key that no token may see. first_use:
    everything that takes a lock when it is first used. spki: whether CNG has SubjectPublicKeyInfos of such keys.
    """

    module: str
    prefix: str
    material: type[PublicKeyMaterial]
    to_host: Callable[[Any], object]
    to_public: Callable[[Any], PublicKeyMaterial]
    to_private: Callable[[Any], PrivateKeyMaterial]
    first_use: Callable[[], None] = nothing
    check: Callable[[Any], None] = _sound
    of: Callable[[Any], bool] = lambda public: True
    spki: bool = False


def digits_of_class(key: object) -> str:
    """The parameter set in the name of a key's class."""
    return "".join(filter(str.isdigit, type(key).__name__))
