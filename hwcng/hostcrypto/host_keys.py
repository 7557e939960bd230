"""Keys between the contract's numbers and the objects of the `cryptography` package: public ones both ways, private
ones, which a caller hands over for import, one way.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from hwcng.contract.material import PrivateKeyMaterial, PublicKeyMaterial, require_told
from hwcng.errors import not_supported
from hwcng.hostcrypto import curve25519, ecc, finite_field, mlkem_mldsa, rsa
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.loading import host_work

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["HOST_KINDS", "host_class", "host_key", "host_kind_of", "private_material", "public_material"]

HOST_KINDS: tuple[HostKind, ...] = (
    *rsa.HOST_KINDS,
    *ecc.HOST_KINDS,
    *curve25519.HOST_KINDS,
    *finite_field.HOST_KINDS,
    *mlkem_mldsa.HOST_KINDS,
)


def host_kind_of(public: PublicKeyMaterial) -> HostKind:
    """Raises STATUS_NOT_FOUND for a public half that the token does not tell."""
    require_told(public)
    return next(kind for kind in HOST_KINDS if isinstance(public, kind.material) and kind.of(public))


@host_work
def host_key(public: PublicKeyMaterial) -> PublicKeyTypes:
    """The built-in object of a public key. Raises STATUS_NOT_SUPPORTED for a kind, a curve or a length that the
    installed `cryptography` lacks, STATUS_NOT_FOUND for one that the token does not tell.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    kind = host_kind_of(public)
    try:
        return cast("PublicKeyTypes", kind.to_host(public))
    except (UnsupportedAlgorithm, AttributeError, ValueError) as error:
        curve = f" on {curve}" if (curve := getattr(public, "curve", None)) else ""
        raise not_supported(
            f"the installed `cryptography` does not take this {kind.module.upper()} key{curve}: {error}"
        ) from error


def host_class(module: str, name: str) -> type[Any] | None:
    """A class of `cryptography`, None where the installed release has none such."""
    home = importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{module}")
    # Classes that are deprecated have a second name, which warns of nothing.
    found: type[Any] | None = getattr(home, f"_{name}", None) or getattr(home, name, None)
    return found


def _kind_of_host(key: object, half: str) -> HostKind:
    for kind in HOST_KINDS:
        theirs = host_class(kind.module, kind.prefix + half)
        if theirs is not None and isinstance(key, theirs):
            return kind
    raise not_supported(f"a {type(key).__name__} is no {half} of a kind that goes into tokens here")


@host_work
def public_material(key: object) -> PublicKeyMaterial:
    """The numbers of a public key. Raises STATUS_NOT_SUPPORTED for a kind or a curve that is not known here."""
    return _kind_of_host(key, "PublicKey").to_public(key)


@host_work
def private_material(key: object) -> PrivateKeyMaterial:
    """The checked numbers of a private key that its owner hands over. Raises as `public_material`, and
    STATUS_INVALID_PARAMETER for a key that is not sound.
    """
    return _kind_of_host(key, "PrivateKey").to_private(key)
