"""Making, reading and ending session objects (OASIS PKCS#11 3.2, section 5.7): the calls under the keys.

Every key that another key's mechanism produced (unwrapped, derived) is read back and held to what its template asked
for, because tokens have been measured that forget SENSITIVE and EXTRACTABLE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from pkcs11 import Attribute, Mechanism, ObjectClass

from hwcng.contract.keys import OfThisProcess
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.pkcs11 import mechanisms, templates
from hwcng.providers.pkcs11.connection import Connection, Session
from hwcng.providers.pkcs11.cryptoki.calls import CFunction, ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import PairKind, kind_of
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS, offered_as
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.templates import FixedTemplate, Template, packed

__all__ = [
    "CK_INVALID_HANDLE",
    "HANDLE",
    "PairGeneration",
    "SecretUnwrapping",
    "SessionObject",
    "Verdicts",
    "create",
    "decapsulate",
    "derive",
    "encapsulate",
    "find",
    "generate",
    "generate_pair",
    "has_room",
    "hold_to_template",
    "make",
    "pair_generation",
    "read_attributes",
    "read_secret",
    "require_room",
    "secret_generation",
    "unwrap",
]

Verdicts: TypeAlias = Mapping[int, NTSTATUS | HRESULT]
"""What a refusal means where the number alone does not say it."""

CK_INVALID_HANDLE = 0
# CK_BBOOL of a key that must stay inside. Both can only be turned that way.
_SAFE = ((Attribute.SENSITIVE, True, b"\1"), (Attribute.EXTRACTABLE, False, b"\0"))
_MOST_SECRET = [octet for _, _, octet in _SAFE]
_HOW_SECRET = templates.room_for(tuple(kind for kind, _, _ in _SAFE), 1)
FIND_BATCH = 64
_OF_TEMPLATES = frozenset({CKR.TEMPLATE_INCONSISTENT, CKR.ATTRIBUTE_VALUE_INVALID, CKR.ATTRIBUTE_READ_ONLY})
_ONLY_ITS_OWN = (
    "keeps no keys of a process, only its own; have it make one under a name, by NCryptCreatePersistedKey or "
    "Provider.named, and use that"
)
_CANNOT_SET = dict.fromkeys((CKR.ACTION_PROHIBITED, CKR.ATTRIBUTE_READ_ONLY), NTSTATUS.STATUS_NOT_SUPPORTED)
_READ = frozenset({CKR.OK, CKR.ATTRIBUTE_TYPE_INVALID, CKR.ATTRIBUTE_SENSITIVE})

Handle: TypeAlias = Any
"""A CK_OBJECT_HANDLE_PTR."""
HANDLE = ffi.typeof("CK_ULONG *")


class SessionObject(OfThisProcess):
    """A handle that this process owns, and the keys that hold it.

    Destroyed once: when the last holder lets go, or after the last reference to it went.
    """

    __slots__ = ("_holders", "at", "connection", "handle")

    persistent = False
    name: str | None = None

    def __init__(self, connection: Connection, handle: int) -> None:
        self.connection = connection
        self.handle = handle
        self.at = connection, handle
        # Changes in one step, and so without a lock: the holder that takes the True out is the last.
        self._holders = [True]

    def interrupted(self, error: BaseException, handle: Handle) -> None:
        """For an exception of a signal's handler, which may come when the token has made the object: it ends with this
        one. What a failed call left in `handle` counts for nothing.
        """
        if not isinstance(error, CngError):
            self.handle = int(handle[0])

    def share(self) -> SessionObject:
        """Itself, with one more holder."""
        self._holders.append(False)
        return self

    def release(self) -> None:
        try:
            last = self._holders.pop()
        except IndexError:
            return
        if last and self.handle:
            self.connection.destroy_object(self.handle)

    def surrender(self) -> int:
        """The handle, which is from now on the caller's to destroy."""
        self._holders.clear()
        return self.handle

    def __del__(self) -> None:
        # One that came about without __init__, or in which it failed, holds nothing.
        if getattr(self, "_holders", None):
            self._holders.clear()
            if self.handle:
                self.connection.destroy_later(self.handle)


def make(
    connection: Connection,
    asked: str,
    function: CFunction,
    *arguments: object,
    keys: tuple[int, ...] = (),
    verdicts: Verdicts | None = None,
    template: Template | None = None,
) -> SessionObject:
    """Runs a C_ function that makes one object, in an owner session.

    arguments: what it takes between the session and the new object's handle, which is the last. keys: that it uses.
    template: of what is made.
    """
    require_room(connection, template, asked)
    handle, made = ffi.new(HANDLE), SessionObject(connection, CK_INVALID_HANDLE)
    try:
        rv = connection.produce(lambda session: function(session.handle, *arguments, handle), *keys)
        if not rv:
            made.handle = int(handle[0])
            made.at = connection, made.handle
    except BaseException as error:
        made.interrupted(error, handle)
        raise
    if not rv:
        return made
    refused = connection.error(rv, f"{asked} failed", verdicts)
    if rv in _OF_TEMPLATES and _of_process(template) and not has_room(connection):
        raise CngError(refused.status, f"{refused.message}: it {_ONLY_ITS_OWN}", refused.token_code)
    raise refused


def _of_process(template: Template | None) -> bool:
    return template is not None and not template.get(Attribute.TOKEN)


def require_room(connection: Connection, template: Template | None, asked: str) -> None:
    """Raises STATUS_NOT_SUPPORTED for an object of this process where the token is known to keep none."""
    if not connection.quirks.session_objects and _of_process(template):
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{asked}: token {connection.token_name!r} {_ONLY_ITS_OWN}")


def has_room(connection: Connection) -> bool:
    """Whether the token keeps any objects of a process."""
    if not connection.quirks.session_objects:
        return False
    template: Template = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: False, Attribute.PRIVATE: False}
    try:
        create(connection, template, "making a session object").release()
    except CngError:
        return False
    return True


def create(connection: Connection, template: Template, asked: str, verdicts: Verdicts | None = None) -> SessionObject:
    """C_CreateObject."""
    with packed(template) as (attributes, count):
        return make(
            connection,
            asked,
            connection.cryptoki.C_CreateObject,
            attributes,
            count,
            verdicts=verdicts,
            template=None if template.get(Attribute.CLASS) is ObjectClass.DATA else template,
        )


class SecretGeneration(NamedTuple):
    """How a session secret key is generated. offered_as: the algorithm of `Provider.offers` that it needs."""

    offered_as: str
    call: MechanismCall
    template: Template
    asked: str


@lru_cache(maxsize=templates.KEPT)
def secret_generation(spec: SecretSpec) -> SecretGeneration:
    kind = SECRET_KINDS[spec.family]
    return SecretGeneration(
        offered_as(spec),
        mechanisms.call(int(kind.generation)),
        templates.secret(spec, length=kind.says_length),
        f"generating a {spec.bits}-bit {spec.family.value} key",
    )


class SecretUnwrapping(NamedTuple):
    """How secret keys of `spec` are unwrapped by a mechanism."""

    spec: SecretSpec
    call: MechanismCall
    template: Template
    asked: str


class PairGeneration(NamedTuple):
    """How a session pair is generated. offered_as: the algorithm and operation of `Provider.offers` that it needs.
    sized_by: the mechanism whose key sizes bound its length.
    """

    kind: PairKind[Any, Any]
    offered_as: tuple[str, str | None]
    sized_by: Mechanism | None
    call: MechanismCall
    public_template: Template
    private_template: Template
    asked: str


@lru_cache(maxsize=templates.KEPT)
def pair_generation(spec: PairSpec) -> PairGeneration:
    kind = kind_of(spec)
    call = mechanisms.call(int(kind.generation(spec)))
    offered_as, sized_by = kind.offered_as(spec), kind.sized_by(spec)
    asked = f"generating {kind.describe(spec)}"
    return PairGeneration(kind, offered_as, sized_by, call, *templates.generated_pair(spec), asked)


def generate(
    connection: Connection,
    mechanism: MechanismCall,
    template: Template,
    asked: str,
    verdicts: Verdicts | None = None,
) -> SessionObject:
    """C_GenerateKey."""
    with packed(template) as (attributes, count):
        return make(
            connection,
            asked,
            connection.cryptoki.C_GenerateKey,
            mechanism.structure,
            attributes,
            count,
            verdicts=verdicts,
            template=template,
        )


def generate_pair(
    connection: Connection,
    mechanism: MechanismCall,
    public_template: Template,
    private_template: Template,
    asked: str,
    verdicts: Verdicts | None = None,
) -> tuple[SessionObject, SessionObject]:
    """C_GenerateKeyPair: the public object and the private one."""
    handle, public = ffi.new(HANDLE), SessionObject(connection, CK_INVALID_HANDLE)
    try:
        with (
            packed(public_template) as (publics, publics_count),
            packed(private_template) as (privates, privates_count),
        ):
            private = make(
                connection,
                asked,
                connection.cryptoki.C_GenerateKeyPair,
                mechanism.structure,
                publics,
                publics_count,
                privates,
                privates_count,
                handle,
                verdicts=verdicts,
                template=private_template,
            )
        public.handle = int(handle[0])
        public.at = connection, public.handle
        return public, private
    except BaseException as error:
        public.interrupted(error, handle)
        raise


def unwrap(
    connection: Connection,
    mechanism: MechanismCall,
    wrapping_key: int,
    wrapped: bytes,
    template: Template,
    asked: str,
    verdicts: Verdicts,
) -> SessionObject:
    """C_UnwrapKey, and the reading back of what came of it."""
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            connection.cryptoki.C_UnwrapKey,
            mechanism.structure,
            wrapping_key,
            wrapped,
            len(wrapped),
            attributes,
            count,
            keys=(wrapping_key,),
            verdicts=verdicts,
            template=template,
        )
    hold_to_template(key, template)
    return key


def derive(
    connection: Connection, mechanism: MechanismCall, base_key: int, template: Template, asked: str
) -> SessionObject:
    """C_DeriveKey, and the reading back of what came of it."""
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            connection.cryptoki.C_DeriveKey,
            mechanism.structure,
            base_key,
            attributes,
            count,
            keys=(base_key,),
            template=template,
        )
    hold_to_template(key, template)
    return key


def decapsulate(
    connection: Connection,
    mechanism: MechanismCall,
    private_key: int,
    ciphertext: bytes,
    template: Template,
    asked: str,
) -> SessionObject:
    """C_DecapsulateKey, and the reading back of what came of it."""
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            connection.cryptoki.C_DecapsulateKey,
            mechanism.structure,
            private_key,
            attributes,
            count,
            ciphertext,
            len(ciphertext),
            keys=(private_key,),
            template=template,
        )
    hold_to_template(key, template)
    return key


def encapsulate(
    connection: Connection, mechanism: MechanismCall, public_key: int, room: int, template: Template, asked: str
) -> tuple[SessionObject, bytes]:
    """C_EncapsulateKey: the shared secret's object and the ciphertext. room: bytes of the ciphertext."""
    output, length = ffi.new("unsigned char[]", room), ffi.new("CK_ULONG *", room)
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            connection.cryptoki.C_EncapsulateKey,
            mechanism.structure,
            public_key,
            attributes,
            count,
            output,
            length,
            keys=(public_key,),
            template=template,
        )
    return key, bytes(ffi.buffer(output, length[0]))


def read_secret(key: SessionObject, length: int, what: str) -> bytes:
    """The value of a readable secret key, which ends here. length: bytes that it has."""
    try:
        value = read_attributes(key.connection, key.handle, [Attribute.VALUE], length)[Attribute.VALUE]
    finally:
        key.release()
    if value is None or len(value) != length:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"token {key.connection.token_name!r} does not give {what} out")
    return value


def read_attributes(
    connection: Connection, handle: int, kinds: Sequence[Attribute], room: int
) -> dict[Attribute, bytes | None]:
    """Attributes in one C_GetAttributeValue; None where the token will not say. room: bytes each can have at most."""
    return dict(zip(kinds, _told(connection, handle, templates.room_for(tuple(kinds), room)), strict=True))


def _told(connection: Connection, handle: int, room: FixedTemplate) -> list[bytes | None]:
    """The values of the attributes of `room`."""
    answers, get = room.packed(), connection.cryptoki.C_GetAttributeValue
    attributes, count = answers.given
    rv = connection.perform(lambda session: get(session.handle, handle, attributes, count), handle, sound=_READ)
    found = answers.told()
    room.free.append(answers)
    if rv and rv not in _READ:
        raise connection.error(rv, "reading attributes failed")
    return found


def hold_to_template(key: SessionObject, template: Template) -> None:
    """Makes sure that a key is as secret as its template said; where the token forgot, ratchets, else destroys and
    raises.
    """
    connection = key.connection
    try:
        found = _told(connection, key.handle, _HOW_SECRET)
        if found == _MOST_SECRET:
            return
        for (kind, wanted, octet), said in zip(_SAFE, found, strict=True):
            if said != octet and template.get(kind) is wanted:
                made = f"token {connection.token_name!r} made a key that is not {kind.name}={wanted} as was asked"
                rv = _set_attribute(connection, key.handle, kind, wanted)
                if rv != CKR.OK:
                    raise connection.error(rv, f"{made}, and making it so failed: it was destroyed;", _CANNOT_SET)
                if read_attributes(connection, key.handle, [kind], 1)[kind] != octet:
                    raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{made}; it was destroyed")
    except BaseException:
        key.release()
        raise


def _set_attribute(connection: Connection, handle: int, kind: Attribute, value: bool) -> int:
    with packed({kind: value}) as (attributes, count):
        return connection.produce(
            lambda session: connection.cryptoki.C_SetAttributeValue(session.handle, handle, attributes, count), handle
        )


def find(connection: Connection, template: Template, batch_size: int = FIND_BATCH) -> list[int]:
    """The handles of all objects that match. batch_size: how many one C_FindObjects may give."""
    batch = ffi.new("CK_ULONG[]", batch_size)
    count = ffi.new("CK_ULONG *")
    handles: list[int] = []
    cryptoki = connection.cryptoki

    def search(session: Session) -> int:
        handles.clear()
        rv = cryptoki.C_FindObjectsInit(session.handle, attributes, length)
        more = True
        while rv == CKR.OK and more:
            rv = cryptoki.C_FindObjects(session.handle, batch, batch_size, count)
            handles.extend(int(handle) for handle in batch[0 : count[0]])
            more = count[0] == batch_size
        return rv if rv != CKR.OK else cryptoki.C_FindObjectsFinal(session.handle)

    with packed(template) as (attributes, length):
        rv = connection.perform(search)
    if rv != CKR.OK:
        raise connection.error(rv, "searching objects failed")
    return handles
