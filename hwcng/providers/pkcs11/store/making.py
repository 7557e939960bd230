"""How the objects of a named key come into being (PKCS#11 3.2, sections 5.7 and 5.18): made or imported in their place,
or copied from a key of this process.

Whichever way, one call makes the private or secret object, with its label and CKA_ID from its first moment on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

from pkcs11 import Attribute

from hwcng.contract.material import PrivateKeyMaterial, PublicKeyMaterial, Untold
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.pkcs11 import objects, templates
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import kind_of
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey
from hwcng.providers.pkcs11.objects import PairGeneration, SessionObject
from hwcng.providers.pkcs11.templates import Template

__all__ = [
    "CANNOT_STORE",
    "Copied",
    "GeneratedPair",
    "GeneratedSecret",
    "ImportedPair",
    "ImportedSecret",
    "Making",
    "Spot",
    "ToldInPlace",
    "UnwrappedPair",
    "UnwrappedSecret",
    "Unwrapping",
]

Status: TypeAlias = NTSTATUS | HRESULT
Verdicts: TypeAlias = Mapping[int, Status]
Placing: TypeAlias = Callable[[Template], Template]
_Make: TypeAlias = Callable[[Placing, Verdicts], "tuple[SessionObject, ...]"]
"""Makes objects of these templates, once `Placing` has said whose they are."""

_CANNOT_KEEP: Mapping[int, Status] = {
    CKR.TOKEN_WRITE_PROTECTED: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.SESSION_READ_ONLY: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.ACTION_PROHIBITED: NTSTATUS.STATUS_NOT_SUPPORTED,
    CKR.DEVICE_MEMORY: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
}
CANNOT_STORE: Mapping[int, Status] = {
    **_CANNOT_KEEP,
    # The token made the key a moment ago, and cannot put it where it keeps keys.
    CKR.GENERAL_ERROR: HRESULT.NTE_PERM,
    CKR.FUNCTION_FAILED: HRESULT.NTE_PERM,
}
_CANNOT_WRITE: Mapping[int, HRESULT] = {
    CKR.GENERAL_ERROR: HRESULT.NTE_PERM,
    CKR.FUNCTION_FAILED: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
}
"""SoftHSM's answers where it cannot make an object's file, and where it cannot fill it."""


class Spot(NamedTuple):
    """Where a key is to lie. made: the handles of what is there already, the private or secret object last."""

    connection: Connection
    name: str
    identifier: bytes
    made: list[int]

    def template(self, of_session: Template) -> Template:
        """The same object, but of the token."""
        named: Template = {Attribute.TOKEN: True, Attribute.LABEL: self.name, Attribute.ID: self.identifier}
        return {**of_session, **named}

    def keep(self, *objects_made: SessionObject) -> None:
        """They are the token's from here on."""
        self.made.extend(one.surrender() for one in objects_made)

    def create_public(self, spec: PairSpec, public: PublicKeyMaterial) -> None:
        """Nothing where the token did not tell it."""
        if isinstance(public, Untold):
            return
        numbers = kind_of(spec).public_values(public, self.connection.quirks)
        template = templates.stored_public(spec, numbers, self.name, self.identifier)
        asked = f"storing the public half of {self.name!r}"
        self.keep(objects.create(self.connection, template, asked, CANNOT_STORE))

    def copy(self, source: int, asked: str) -> SessionObject:
        """C_CopyObject into an object of the token: the value never leaves it."""
        copy = self.connection.cryptoki.C_CopyObject
        with templates.packed(self.template({})) as (attributes, count):
            return objects.make(
                self.connection, asked, copy, source, attributes, count, keys=(source,), verdicts=CANNOT_STORE
            )

    def make(self, make: _Make, refusals: Verdicts) -> tuple[SessionObject, ...]:
        """Objects of the token. An answer that may mean anything means that the token cannot keep the key, where it
        makes the same one for this process.
        """
        try:
            return make(self.template, {**_CANNOT_KEEP, **refusals})
        except CngError as error:
            code = error.token_code
            verdict = None if code is None or code in refusals else _CANNOT_WRITE.get(code)
            if verdict is None or not self.connection.alive or not self._makes_here(make, code):
                raise
            raise CngError(
                verdict,
                f"{error.message}: it makes such keys for this process, and cannot put one where it keeps keys; see to "
                "the room and the permissions of its store",
                code,
            ) from error

    @staticmethod
    def _makes_here(make: _Make, refusal: int | None) -> bool:
        """Whether a key of this process is not refused in the same way."""
        try:
            made = make(lambda template: template, {})
        except CngError as error:
            return error.token_code != refusal
        for one in made:
            one.release()
        return True


class Making(Protocol):
    """A key that is to be stored. spec: what it will be."""

    @property
    def spec(self) -> SecretSpec | PairSpec: ...

    @property
    def always_authenticate(self) -> bool: ...

    def at(self, spot: Spot) -> PublicKeyMaterial | None:
        """Makes its objects, the public one first; its public half, None of a secret key."""

    def is_at(self, handle: int) -> bool:
        """Whether it is this object already."""


class _New:
    always_authenticate = False

    def is_at(self, handle: int) -> bool:
        return False


class Copied:
    """A copy of a key of this process, or of another named one."""

    def __init__(self, key: Pkcs11SecretKey | Pkcs11PrivateKey) -> None:
        self._key = key
        self.spec = key.lasting_spec if isinstance(key, Pkcs11SecretKey) else key.spec

    @property
    def always_authenticate(self) -> bool:
        return isinstance(self._key, Pkcs11PrivateKey) and self._key.always_authenticate

    def at(self, spot: Spot) -> PublicKeyMaterial | None:
        """C_CopyObject: the value never leaves the token."""
        public = None
        if isinstance(self._key, Pkcs11PrivateKey):
            public = self._key.public
            spot.create_public(self._key.spec, public)
        try:
            spot.keep(spot.copy(self._key.held.handle, f"storing the key as {spot.name!r}"))
        except CngError as error:
            if error.token_code != CKR.FUNCTION_NOT_SUPPORTED:
                raise
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED,
                f"{error.message}: it copies no keys; have it make one under its name at once, by "
                "NCryptCreatePersistedKey or Provider.named",
                error.token_code,
            ) from error
        return public

    def is_at(self, handle: int) -> bool:
        return self._key.held.handle == handle


class GeneratedSecret(_New):
    """C_GenerateKey in its place."""

    def __init__(self, spec: SecretSpec) -> None:
        self.spec = spec

    def at(self, spot: Spot) -> None:
        how = objects.secret_generation(self.spec)

        def make(place: Placing, verdicts: Verdicts) -> tuple[SessionObject, ...]:
            asked = f"{how.asked} as {spot.name!r}"
            return (objects.generate(spot.connection, how.call, place(how.template), asked, verdicts),)

        spot.keep(*spot.make(make, {}))


class GeneratedPair(_New):
    """C_GenerateKeyPair in its place. how: by which mechanism, of which templates."""

    def __init__(self, spec: PairSpec, how: PairGeneration) -> None:
        self.spec = spec
        self._how = how

    def at(self, spot: Spot) -> PublicKeyMaterial:
        how, connection = self._how, spot.connection

        def make(place: Placing, verdicts: Verdicts) -> tuple[SessionObject, ...]:
            public, private = place(how.public_template), place(how.private_template)
            return objects.generate_pair(
                connection, how.call, public, private, f"{how.asked} as {spot.name!r}", verdicts
            )

        spot.keep(*spot.make(make, how.kind.refusals))
        material: PublicKeyMaterial = how.kind.read_public(
            partial(objects.read_attributes, connection, spot.made[0]), self.spec, connection.token_name
        )
        return material


class ImportedSecret(_New):
    """C_CreateObject in its place. value: its octets, in a length that the token takes."""

    def __init__(self, spec: SecretSpec, value: bytes) -> None:
        self.spec = spec
        self._value = value

    def at(self, spot: Spot) -> None:
        asked = f"importing a {self.spec.bits}-bit {self.spec.family.value} key as {spot.name!r}"

        def make(place: Placing, verdicts: Verdicts) -> tuple[SessionObject, ...]:
            template = place(templates.secret(self.spec, self._value))
            return (objects.create(spot.connection, template, asked, verdicts),)

        spot.keep(*spot.make(make, {}))


class ImportedPair(_New):
    """C_CreateObject of both halves in their place."""

    def __init__(self, spec: PairSpec, material: PrivateKeyMaterial) -> None:
        self.spec = spec
        self._material = material

    def at(self, spot: Spot) -> PublicKeyMaterial:
        kind, public = kind_of(self.spec), self._material.public
        asked = f"importing {kind.describe(self.spec)} as {spot.name!r}"

        def make(place: Placing, verdicts: Verdicts) -> tuple[SessionObject, ...]:
            template = place(templates.imported_private(self.spec, self._material))
            return (objects.create(spot.connection, template, asked, verdicts),)

        spot.create_public(self.spec, public)
        spot.keep(*spot.make(make, kind.refusals))
        return public


class Wrapped(Protocol):
    """A wrapped key and what unwraps it."""

    def into(self, spec: SecretSpec | PairSpec, place: Placing, verdicts: Verdicts, asked: str) -> SessionObject:
        """An object of `spec`, which what is in the blob fits."""


class Unwrapping(Wrapped, Protocol):
    """One that says what it is when it is unwrapped."""

    def pair(self, spec: PairSpec) -> tuple[PairSpec, PublicKeyMaterial]:
        """What the private key is, and its public half."""

    def told(self, held: SessionObject, spec: PairSpec, usage: Usage) -> tuple[PairSpec, PublicKeyMaterial]:
        """The same of a key that has been unwrapped and has that usage."""

    @property
    def has_room(self) -> bool:
        """Whether the token keeps keys of a process."""


class UnwrappedSecret(_New):
    """C_UnwrapKey in its place."""

    def __init__(self, spec: SecretSpec, unwrapping: Wrapped) -> None:
        self.spec = spec
        self._unwrapping = unwrapping

    def at(self, spot: Spot) -> None:
        asked = f"unwrapping a {self.spec.bits}-bit {self.spec.family.value} key as {spot.name!r}"
        spot.keep(*spot.make(lambda place, verdicts: (self._unwrapping.into(self.spec, place, verdicts, asked),), {}))


class UnwrappedPair(_New):
    """C_UnwrapKey in its place, beside its public half."""

    def __init__(self, spec: PairSpec, public: PublicKeyMaterial, unwrapping: Wrapped) -> None:
        self.spec = spec
        self._public = public
        self._unwrapping = unwrapping

    def at(self, spot: Spot) -> PublicKeyMaterial:
        spot.create_public(self.spec, self._public)
        spot.keep(_unwrapped_private(spot, self.spec, self._unwrapping))
        return self._public


class ToldInPlace(_New):
    """The same where the token keeps no keys of a process: the private object comes first, and tells of the public."""

    def __init__(self, spec: PairSpec, unwrapping: Unwrapping) -> None:
        self.spec = spec
        self._unwrapping = unwrapping

    def at(self, spot: Spot) -> PublicKeyMaterial:
        made = _unwrapped_private(spot, self.spec, self._unwrapping)
        self.spec, public = self._unwrapping.told(made, self.spec, self.spec.usage)
        spot.create_public(self.spec, public)
        spot.keep(made)
        return public


def _unwrapped_private(spot: Spot, spec: PairSpec, unwrapping: Wrapped) -> SessionObject:
    kind = kind_of(spec)
    asked = f"unwrapping {kind.describe(spec)} as {spot.name!r}"

    def make(place: Placing, verdicts: Verdicts) -> tuple[SessionObject, ...]:
        return (unwrapping.into(spec, place, verdicts, asked),)

    (made,) = spot.make(make, kind.refusals)
    return made
