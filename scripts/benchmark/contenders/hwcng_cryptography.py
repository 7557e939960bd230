"""hwcng by the private keys of the `cryptography` package that its pairs are, which sign as that does: in DER."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

import hwcng
from hwcng import bcrypt

from ..measuring import Operation
from ..places import Place
from ..specs import Provider
from .counting import counter_of
from .inputs import DIGEST

__all__ = ["Contender"]

_DIGEST_OF_SHA256 = Prehashed(SHA256())


class Contender:
    OPERATIONS: dict[str, Callable[[Contender], Operation]]

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def provider(self) -> Provider:
        return hwcng.open_provider(self._place.uri, pin=self._place.pin)

    def counter(self) -> Any:
        return counter_of(self.provider)

    def key(self, algorithm: str, bits: int) -> Any:
        pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(algorithm, self.provider), bits)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair.as_cryptography()


def _ecdsa(contender: Contender) -> Operation:
    return partial(contender.key("ECDSA_P256", 256).sign, DIGEST, ec.ECDSA(_DIGEST_OF_SHA256))


def _rsa_sign(contender: Contender) -> Operation:
    return partial(contender.key("RSA", 2048).sign, DIGEST, padding.PKCS1v15(), _DIGEST_OF_SHA256)


Contender.OPERATIONS = {"ecdsa-p256-sign": _ecdsa, "rsa-2048-sign": _rsa_sign}
