"""Which class of private key a pair has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.serialization import load_der_public_key

from hwcng.errors import not_supported
from hwcng.hostcrypto.host_keys import host_class, host_kind_of, public_material
from hwcng.hostcrypto.host_kind import HostKind
from hwcng.pyca import curve25519, dh, dsa, ec, mldsa, mlkem, rsa
from hwcng.pyca.base import TokenPair, TokenPrivateKey
from hwcng.pyca.failures import as_cryptography_raises

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["private_key_of", "unopened_private_key"]

_MODULES = (curve25519, dh, dsa, ec, mldsa, mlkem, rsa)
"""Each has the classes of some kinds, which its import makes known."""


@cache
def _class_of(kind: HostKind) -> type[TokenPrivateKey]:
    """A class of `cryptography`'s for the kind: the one that is written here, or where `cryptography` has one for each
    parameter set, one that is made of both.
    """
    written = TokenPrivateKey.BY_MODULE[kind.module]
    abstract = host_class(kind.module, f"{kind.prefix}PrivateKey")
    if abstract is None:
        raise not_supported(f"the installed `cryptography` has no {kind.prefix} keys: pip install -U cryptography")
    if issubclass(written, abstract):
        return written
    return type(f"{kind.prefix}TokenKey", (written, abstract), {"__module__": __name__})


def private_key_of(pair: TokenPair) -> PrivateKeyTypes:
    """Raises UnsupportedAlgorithm where `cryptography` has no such keys, ValueError for a pair without private half."""
    with as_cryptography_raises():
        public = pair.public
        pair.private  # noqa: B018
        kind = host_kind_of(public)
        return cast("PrivateKeyTypes", _class_of(kind)(pair))


def unopened_private_key(pair: TokenPair, public: bytes) -> PrivateKeyTypes:
    """What a pickled key becomes where it is unpickled: its pair is opened at its first use, whose refusal says what is
    wrong. public: its public half (SubjectPublicKeyInfo).
    """
    host = load_der_public_key(public)
    return cast("PrivateKeyTypes", _class_of(host_kind_of(public_material(host))).unopened(pair, host))


# The name in pickles: a public one, which no move changes.
unopened_private_key.__module__ = "hwcng.pyca"
TokenPrivateKey.reopen = staticmethod(unopened_private_key)
