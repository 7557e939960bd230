"""Which class of private key a pair has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from hwcng.contract.material import (
    DhPublicKey,
    DsaPublicKey,
    EcPublicKey,
    MlDsaPublicKey,
    MlKemPublicKey,
    PublicKeyMaterial,
    RsaPublicKey,
)
from hwcng.errors import not_supported
from hwcng.hostcrypto.host_keys import host_class
from hwcng.pyca.base import TokenPair, TokenPrivateKey
from hwcng.pyca.dh import DhTokenKey
from hwcng.pyca.dsa import DsaTokenKey
from hwcng.pyca.ec import EcTokenKey
from hwcng.pyca.failures import as_cryptography_raises
from hwcng.pyca.mldsa import MlDsaTokenKey
from hwcng.pyca.mlkem import MlKemTokenKey
from hwcng.pyca.rsa import RsaTokenKey
from hwcng.pyca.x25519 import X25519TokenKey
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["private_key_of"]


@cache
def _of_parameter_set(base: type[TokenPrivateKey], module: str, name: str) -> type[TokenPrivateKey]:
    """The class of one parameter set: a real one of `cryptography`'s."""
    abstract = host_class(module, f"{name}PrivateKey")
    if abstract is None:
        raise not_supported(f"the installed `cryptography` has no {name} keys: pip install -U cryptography")
    return type(f"{name}TokenKey", (base, abstract), {"__module__": __name__})


_CLASSES: Mapping[type, Callable[[Any], type[TokenPrivateKey]]] = {
    RsaPublicKey: lambda public: RsaTokenKey,
    EcPublicKey: lambda public: X25519TokenKey if CURVES[public.curve].montgomery else EcTokenKey,
    DhPublicKey: lambda public: DhTokenKey,
    DsaPublicKey: lambda public: DsaTokenKey,
    MlDsaPublicKey: lambda public: _of_parameter_set(MlDsaTokenKey, "mldsa", f"MLDSA{public.parameter_set}"),
    MlKemPublicKey: lambda public: _of_parameter_set(MlKemTokenKey, "mlkem", f"MLKEM{public.parameter_set}"),
}
"""The numbers of a public key -> the class of its private half."""


def private_key_of(pair: TokenPair) -> PrivateKeyTypes:
    """Raises UnsupportedAlgorithm where `cryptography` has no such keys, ValueError for a pair without private half."""
    with as_cryptography_raises():
        public: PublicKeyMaterial = pair.public
        pair.private  # noqa: B018
        kind = _CLASSES[type(public)](public)
    return cast("PrivateKeyTypes", kind(pair))
