"""What is done with keys under names, each as a road that a fault can lie on, and what a token holds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest
from conformance.helpers import capi_private_blob
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding
from pkcs11 import Attribute
from store import foreign
from store.conftest import objects_of

from hwcng import HRESULT, CngError, wincrypt
from hwcng.cng import naming
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.material import EcPrivateKey, PrivateKeyMaterial
from hwcng.contract.specs import (
    AesKeyWrapSpec,
    CipherSpec,
    EcdsaSpec,
    PairSpec,
    RsaAesKeyWrapSpec,
    RsaOaepSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.hostcrypto.host_keys import private_material
from hwcng.providers.pkcs11 import templates
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

Held: TypeAlias = object
"""What tells one key from another: its public half, or what it makes of a block; None where there is none."""

NAME, BYSTANDER, NEW_NAME = "the one", "another", "the one anew"
BOX = "a container"
MARKER, SIGNATURE = f"capi.user.rsa.container:{BOX}", f"capi.user.rsa.signature:{BOX}"
AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")
OLD, NEW, SHARED = 7, 8, 9
OLD_VALUE, NEW_VALUE = bytes(range(32)), bytes(range(1, 33))
KEK = bytes(range(0x40, 0x60))
ECB = CipherSpec(CipherMode.ECB)


class Walker:
    """A token that holds a bystander, and what the road needs."""

    def __init__(self, token: Pkcs11Provider) -> None:
        self.token = token

    def clear(self) -> None:
        objects_of(self.token, destroy=True)
        self.token._store._places.clear()
        self.token.named(BYSTANDER).import_secret(AES, OLD_VALUE)

    def bring_wrapping(self) -> None:
        self.wrapping = self.token.import_secret(SecretSpec(SecretFamily.AES, 256, Usage.UNWRAP), KEK)

    def bring_transport(self) -> None:
        spec = PairSpec("RSA", Usage.UNWRAP | Usage.DECRYPT, bits=2048)
        self.transport = self.token.import_pair(spec, private_material(transport_key()))

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

    def asking(self, spec: PairSpec, material: PrivateKeyMaterial) -> None:
        """A private key that asks for the PIN at each use, and that only other software makes."""
        named = {Attribute.TOKEN: True, Attribute.LABEL: NAME, Attribute.ID: b"\1"}
        template = templates.imported_private(spec, material)
        foreign.create(self.token, {**template, **named, Attribute.ALWAYS_AUTHENTICATE: True})

    def asking_to_sign(self) -> None:
        self.asking(ECDSA, EcPrivateKey(foreign.material(OLD), OLD))
        foreign.create(self.token, foreign.public_key(NAME, b"\1", OLD))

    def signed(self) -> bool:
        signature = self.token.open_key(NAME).sign_digest(EcdsaSpec(), bytes(32))  # type: ignore[union-attr]
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        encoded = utils.encode_dss_signature(r, s)
        foreign.ec_public(OLD).verify(encoded, bytes(32), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return True

    def asking_to_decrypt(self) -> None:
        spec = PairSpec("RSA", Usage.DECRYPT, bits=2048)
        self.asking(spec, private_material(transport_key()))

    def decrypted(self) -> bool:
        return self.token.open_key(NAME).decrypt(RsaOaepSpec("SHA1"), encrypted(KEK)) == KEK  # type: ignore[union-attr]

    def acquired(self, flags: int = 0) -> Context:
        return wincrypt.CryptAcquireContext(BOX, self.token, wincrypt.PROV_RSA_AES, flags)

    def new_box(self) -> None:
        self.acquired(wincrypt.CRYPT_NEWKEYSET).release()

    def box_with_a_pair(self) -> None:
        self.new_box()
        self.brought(1)

    def delete_box(self) -> None:
        self.acquired(wincrypt.CRYPT_DELETEKEYSET)

    def brought(self, which: int) -> None:
        with self.acquired() as context:
            wincrypt.CryptImportKey(context, signing_blob(which))

    def generated(self) -> None:
        with self.acquired() as context:
            wincrypt.CryptGenKey(context, wincrypt.AT_SIGNATURE, 512 << 16)

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
        if isinstance(key, PrivateKey):
            return key.public
        return (key.encrypt if key.spec.usage & Usage.ENCRYPT else key.decrypt)(ECB, bytes(16))


class Road(NamedTuple):
    """prepare: what is there before; walk: what is done, and what it gives back. name: of the key that it is about."""

    prepare: Callable[[Walker], object]
    walk: Callable[[Walker], object]
    name: str = NAME


@functools.cache
def transport_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def signing_blob(which: int) -> bytes:
    """The PRIVATEKEYBLOB of a signature pair. which: of several."""
    blob = capi_private_blob(rsa.generate_private_key(65537, 2048).private_numbers())
    return blob[:4] + wincrypt.CALG_RSA_SIGN.to_bytes(4, "little") + blob[8:]


def encrypted(value: bytes) -> bytes:
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    return transport_key().public_key().encrypt(value, oaep)


def brought_along(value: bytes) -> bytes:
    """As CKM_RSA_AES_KEY_WRAP has it."""
    return encrypted(KEK) + aes_key_wrap_with_padding(KEK, value)


def pkcs8(scalar: int) -> bytes:
    return ec.derive_private_key(scalar, ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _nothing(walker: Walker) -> None:
    pass


def _unwrapping(named: bool) -> dict[str, Road]:
    """Whether the keys get a name."""

    def maker(to: Walker) -> KeyMaker:
        return to.token.named(NAME) if named else to.token

    kwp, oaep = AesKeyWrapSpec(padded=True), RsaOaepSpec("SHA1")
    brought = RsaAesKeyWrapSpec(oaep)
    return {
        "a secret under RFC 3394": Road(
            Walker.bring_wrapping, lambda to: maker(to).unwrap_secret(AES, to.wrapping, aes_key_wrap(KEK, NEW_VALUE))
        ),
        "a secret under KWP": Road(
            Walker.bring_wrapping,
            lambda to: maker(to).unwrap_secret(AES, to.wrapping, aes_key_wrap_with_padding(KEK, NEW_VALUE), kwp),
        ),
        "a decrypting secret under KWP": Road(
            Walker.bring_wrapping,
            lambda to: maker(to).unwrap_secret(
                replace(AES, usage=Usage.DECRYPT), to.wrapping, aes_key_wrap_with_padding(KEK, NEW_VALUE), kwp
            ),
        ),
        "a pair under KWP": Road(
            Walker.bring_wrapping,
            lambda to: maker(to).unwrap_pair(ECDSA, to.wrapping, aes_key_wrap_with_padding(KEK, pkcs8(NEW)), kwp),
        ),
        "a secret under RSA": Road(
            Walker.bring_transport,
            lambda to: maker(to).unwrap_secret(AES, to.transport, encrypted(NEW_VALUE), oaep),
        ),
        "a secret under RSA and AES": Road(
            Walker.bring_transport,
            lambda to: maker(to).unwrap_secret(AES, to.transport, brought_along(NEW_VALUE), brought),
        ),
        "a pair under RSA and AES": Road(
            Walker.bring_transport,
            lambda to: maker(to).unwrap_pair(ECDSA, to.transport, brought_along(pkcs8(NEW)), brought),
        ),
    }


UNWRAPPING, NAMED_UNWRAPPING = _unwrapping(False), _unwrapping(True)
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
RENAMING = {
    "a secret": Road(
        lambda to: to.token.named(NAME).import_secret(AES, OLD_VALUE),
        lambda to: naming.rename(to.token, NAME, NEW_NAME),
    ),
    "a pair": Road(lambda to: to.pair(OLD), lambda to: naming.rename(to.token, NAME, NEW_NAME)),
    "a certified pair": Road(
        lambda to: to.certified(OLD, issuer=True), lambda to: naming.rename(to.token, NAME, NEW_NAME)
    ),
}
BOXING = {
    "a pair is made": Road(Walker.new_box, Walker.generated, SIGNATURE),
    "a pair is made in the place of another": Road(Walker.box_with_a_pair, Walker.generated, SIGNATURE),
    "a pair is brought": Road(Walker.new_box, lambda to: to.brought(2), SIGNATURE),
    "a pair is brought in the place of another": Road(Walker.box_with_a_pair, lambda to: to.brought(2), SIGNATURE),
}
A_NEW_BOX = {"a new container": Road(_nothing, Walker.new_box, MARKER)}
A_BOX_ENDS = {"a container": Road(Walker.box_with_a_pair, Walker.delete_box, SIGNATURE)}
ASKING = {
    "signing": Road(Walker.asking_to_sign, Walker.signed),
    "decrypting": Road(Walker.asking_to_decrypt, Walker.decrypted),
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

ANSWERS = {
    "HOST_MEMORY": 0x02,
    "GENERAL_ERROR": 0x05,
    "DEVICE_ERROR": 0x30,
    "FUNCTION_NOT_SUPPORTED": 0x54,
    "OBJECT_HANDLE_INVALID": 0x82,
    "SESSION_HANDLE_INVALID": 0xB3,
    "TOKEN_WRITE_PROTECTED": 0xE2,
    "USER_NOT_LOGGED_IN": 0x101,
}
OF_PINS = {
    "OPERATION_ACTIVE": 0x90,
    "OPERATION_NOT_INITIALIZED": 0x91,
    "PIN_INCORRECT": 0xA0,
    "USER_ALREADY_LOGGED_IN": 0x100,
    "USER_TYPE_INVALID": 0x103,
}
CHANGING = {"C_CopyObject", "C_CreateObject", "C_DestroyObject", "C_GenerateKey", "C_GenerateKeyPair"}
CHANGING |= {"C_SetAttributeValue", "C_UnwrapKey", "C_Encrypt"}


def calls_of(walker: Walker, road: Road) -> list[tuple[str, int]]:
    """Each call of the road, as the name of its function and which call of that function it is."""
    walker.clear()
    road.prepare(walker)
    with CallCounter(walker.token) as counter:
        road.walk(walker)
    asked = counter.asked
    return [(name, asked[: place + 1].count(name)) for place, name in enumerate(asked)]


class Walked(NamedTuple):
    """where: the call that was answered so. before: the key that was there. found: what the road gave."""

    where: str
    before: Held
    error: CngError | None
    found: object


def faults_on(walker: Walker, road: Road, rv: int) -> Iterator[Walked]:
    """Walks the road once for each call that `rv` can answer."""
    for name, nth in calls_of(walker, road):
        for after in (False, True) if name in CHANGING else (False,):
            walker.clear()
            road.prepare(walker)
            before = walker.held(road.name)
            walker.token._store._places.clear()
            error, found = None, []
            with CallCounter(walker.token) as calls, FaultInjector(walker.token) as faults:
                faults.fail(name, rv, nth=nth, after=after)
                try:
                    found.append(road.walk(walker))
                except CngError as caught:
                    error = caught
            # Where the connection is made anew.
            assert calls.names.count("C_Login") <= 1, name
            yield Walked(
                f"{name} {nth} {'after' if after else 'before'}: {error}", before, error, found.pop() if found else None
            )


def all_with_answers(roads: Mapping[str, Road], answers: Mapping[str, int] = ANSWERS) -> pytest.MarkDecorator:
    named = [
        pytest.param(road, rv, id=f"{what}-{name}") for what, road in roads.items() for name, rv in answers.items()
    ]
    return pytest.mark.parametrize(("road", "rv"), named)
