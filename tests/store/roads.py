"""What is done with keys under names, each as a road that a fault can lie on, and what a token holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pkcs11 import Attribute
from store import foreign
from store.conftest import objects_of

from hwcng import HRESULT, CngError
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import EcPrivateKey
from hwcng.contract.specs import CipherSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage

if TYPE_CHECKING:
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

Held: TypeAlias = object
"""What tells one key from another: its public half, or what it makes of a block; None where there is none."""

NAME, BYSTANDER = "the one", "another"
AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
OLD, NEW, SHARED = 7, 8, 9
OLD_VALUE, NEW_VALUE = bytes(range(32)), bytes(range(1, 33))
ECB = CipherSpec(CipherMode.ECB)


class Walker:
    """A token that holds a bystander, and what the road needs."""

    def __init__(self, token: Pkcs11Provider) -> None:
        self.token = token

    def clear(self) -> None:
        objects_of(self.token, destroy=True)
        self.token._store._places.clear()
        self.token.named(BYSTANDER).import_secret(AES, OLD_VALUE)

    def pair(self, scalar: int, *, replace: bool = False) -> PrivateKey:
        material = EcPrivateKey(foreign.material(scalar), scalar)
        return self.token.named(NAME, replace=replace).import_pair(ECDSA, material)

    @staticmethod
    @functools.cache
    def certificate(scalar: int, subject: str = "hwcng") -> bytes:
        """The same one each time, for all that its signature is random."""
        der: bytes = foreign.certificate(None, None, foreign.ec_public(scalar), subject)[Attribute.VALUE]
        return der

    def certified(self, scalar: int, *, issuer: bool = False) -> None:
        self.pair(scalar)
        chain = [self.certificate(scalar, "of the key"), self.certificate(3)] if issuer else [self.certificate(scalar)]
        self.token.store_certificates(NAME, chain)

    def certificate_alone(self, scalar: int) -> None:
        """A private key of other software, whose public half its certificate tells."""
        foreign.create(self.token, foreign.private_key(NAME, b"\1", scalar))
        self.certificate_of_no_key(scalar)

    def certificate_of_no_key(self, scalar: int) -> None:
        template = foreign.certificate(NAME, b"\1", foreign.ec_public(scalar))
        foreign.create(self.token, template | {Attribute.VALUE: self.certificate(scalar)})

    def held(self, name: str = NAME) -> Held:
        """Of the key that has the name now, read anew."""
        self.token._store._places.clear()
        try:
            key = self.token.open_key(name)
        except CngError as error:
            if error.status is not HRESULT.NTE_BAD_KEYSET:
                raise
            return None
        return self.what(key)

    @staticmethod
    def what(key: PrivateKey | SecretKey) -> Held:
        return key.public if isinstance(key, PrivateKey) else key.encrypt(ECB, bytes(16))


class Road(NamedTuple):
    """prepare: what is there before; walk: what is done, and what it gives back."""

    prepare: Callable[[Walker], object]
    walk: Callable[[Walker], object]


def _nothing(walker: Walker) -> None:
    pass


STORING = {
    "a generated secret": Road(_nothing, lambda to: to.token.named(NAME).generate_secret(AES)),
    "a generated pair": Road(_nothing, lambda to: to.token.named(NAME).generate_pair(ECDSA)),
    "an imported secret": Road(_nothing, lambda to: to.token.named(NAME).import_secret(AES, NEW_VALUE)),
    "an imported pair": Road(_nothing, lambda to: to.pair(NEW)),
    "a copied secret": Road(_nothing, lambda to: to.token.persist_key(to.token.import_secret(AES, NEW_VALUE), NAME)),
    "a copied pair": Road(_nothing, lambda to: to.token.persist_key(to.token.generate_pair(ECDSA), NAME)),
}
REPLACING = {
    "a secret by a secret": Road(
        lambda to: to.token.named(NAME).import_secret(AES, OLD_VALUE),
        lambda to: to.token.named(NAME, replace=True).import_secret(AES, NEW_VALUE),
    ),
    "a pair by a pair": Road(lambda to: to.pair(OLD), lambda to: to.pair(NEW, replace=True)),
    "a certified pair by a generated one": Road(
        lambda to: to.certified(OLD), lambda to: to.token.named(NAME, replace=True).generate_pair(ECDSA)
    ),
    "a certified pair by a secret": Road(
        lambda to: to.certified(OLD), lambda to: to.token.named(NAME, replace=True).import_secret(AES, NEW_VALUE)
    ),
}
DELETING = {
    "a secret": Road(
        lambda to: to.token.named(NAME).import_secret(AES, OLD_VALUE), lambda to: to.token.delete_key(NAME)
    ),
    "a certified pair": Road(lambda to: to.certified(OLD), lambda to: to.token.delete_key(NAME)),
}
READING = {
    "opening a secret": Road(
        lambda to: to.token.named(NAME).import_secret(AES, OLD_VALUE), lambda to: to.what(to.token.open_key(NAME))
    ),
    "opening a pair": Road(lambda to: to.certified(OLD), lambda to: to.what(to.token.open_key(NAME))),
    "opening a pair with its certificate alone": Road(
        lambda to: to.certificate_alone(OLD), lambda to: to.what(to.token.open_key(NAME))
    ),
    "listing": Road(lambda to: to.certified(OLD), lambda to: sorted(key.name for key in to.token.list_keys())),
    "certificates": Road(lambda to: to.certified(OLD), lambda to: to.token.certificates(NAME)),
    "a chain": Road(lambda to: to.certified(OLD, issuer=True), lambda to: to.token.certificates(NAME)),
    "a certificate of no key": Road(
        lambda to: to.certificate_of_no_key(OLD),
        lambda to: to.token.certificates(NAME),
    ),
}
CERTIFYING = {
    "the first": Road(
        lambda to: to.pair(OLD), lambda to: to.token.store_certificates(NAME, [to.certificate(OLD), to.certificate(3)])
    ),
    "another": Road(
        lambda to: to.certified(OLD), lambda to: to.token.store_certificates(NAME, [to.certificate(OLD, "renewed")])
    ),
    "none": Road(lambda to: to.certified(OLD), lambda to: to.token.store_certificates(NAME, [])),
}
