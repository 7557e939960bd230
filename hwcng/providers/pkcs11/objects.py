"""Making, reading and ending session objects (OASIS PKCS#11 3.2, section 5.7): the calls under the keys.

Every key that another key's mechanism produced (unwrapped, derived) is read back and held to what its template asked
for, because tokens have been measured that forget SENSITIVE and EXTRACTABLE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pkcs11 import Attribute

from hwcng.contract.keys import OfThisProcess
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.connection import Connection, Session
from hwcng.providers.pkcs11.cryptoki.calls import CData, ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.templates import Template, packed

__all__ = [
    "SessionObject",
    "create",
    "decapsulate",
    "derive",
    "destroy_if_made",
    "encapsulate",
    "find",
    "generate",
    "hold_to_template",
    "make",
    "read_attributes",
    "read_secret",
    "unwrap",
    "unwrap_quietly",
]

UNAVAILABLE = 0xFFFFFFFFFFFFFFFF
CK_INVALID_HANDLE = 0
_FALSE, _TRUE = b"\0", b"\1"
FIND_BATCH = 64
_TOLD = frozenset({CKR.OK, CKR.ATTRIBUTE_TYPE_INVALID, CKR.ATTRIBUTE_SENSITIVE})

_counting = ProcessLock()


class SessionObject(OfThisProcess):
    """A handle that this process owns, with the count of the keys that hold it.

    Destroyed once: when the last holder lets go, or after the last reference to it went.
    """

    __slots__ = ("_holders", "connection", "handle")

    persistent = False
    name: str | None = None

    def __init__(self, connection: Connection, handle: int) -> None:
        self.connection = connection
        self.handle = handle
        self._holders = 1

    def share(self) -> SessionObject:
        """Itself, with one more holder."""
        with _counting.held():
            self._holders += 1
        return self

    def release(self) -> None:
        with _counting.held():
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.connection.destroy_object(self.handle)

    def surrender(self) -> int:
        """The handle, which is from now on the caller's to destroy."""
        self._holders = 0
        return self.handle

    def __del__(self) -> None:
        # One that came about without __init__, or in which it failed, holds nothing.
        if getattr(self, "_holders", 0) > 0:
            self._holders = 0
            self.connection.destroy_later(self.handle)


def make(
    connection: Connection,
    asked: str,
    call: Callable[[Session, CData], int],
    *keys: int,
    verdicts: Mapping[int, NTSTATUS] | None = None,
) -> SessionObject:
    """Runs a C_ function that makes one object, in an owner session. keys: that it uses."""
    handle = ffi.new("CK_ULONG *")
    rv = connection.produce(lambda session: call(session, handle), *keys)
    if rv != CKR.OK:
        raise connection.error(rv, f"{asked} failed", verdicts)
    return SessionObject(connection, int(handle[0]))


def create(
    connection: Connection, template: Template, asked: str, verdicts: Mapping[int, NTSTATUS] | None = None
) -> SessionObject:
    """C_CreateObject."""
    with packed(template) as (attributes, count):
        return make(
            connection,
            asked,
            lambda session, handle: connection.cryptoki.C_CreateObject(session.handle, attributes, count, handle),
            verdicts=verdicts,
        )


def generate(connection: Connection, mechanism: MechanismCall, template: Template, asked: str) -> SessionObject:
    """C_GenerateKey."""
    with packed(template) as (attributes, count):
        return make(
            connection,
            asked,
            lambda session, handle: connection.cryptoki.C_GenerateKey(
                session.handle, mechanism.structure, attributes, count, handle
            ),
        )


def unwrap(
    connection: Connection,
    mechanism: MechanismCall,
    wrapping_key: int,
    wrapped: bytes,
    template: Template,
    asked: str,
    verdicts: Mapping[int, NTSTATUS],
) -> SessionObject:
    """C_UnwrapKey, and the reading back of what came of it."""
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            lambda session, handle: connection.cryptoki.C_UnwrapKey(
                session.handle,
                mechanism.structure,
                wrapping_key,
                wrapped,
                len(wrapped),
                attributes,
                count,
                handle,
            ),
            wrapping_key,
            verdicts=verdicts,
        )
    hold_to_template(key, template)
    return key


def unwrap_quietly(
    connection: Connection, mechanism: MechanismCall, wrapping_key: int, wrapped: bytes, template: Template
) -> SessionObject | None:
    """C_UnwrapKey, None where the token refuses: what it says of the reason is not even looked at."""
    handle = ffi.new("CK_ULONG *")
    with packed(template) as (attributes, count), connection.owning(wrapping_key) as session:
        rv = connection.cryptoki.C_UnwrapKey(
            session.handle,
            mechanism.structure,
            wrapping_key,
            wrapped,
            len(wrapped),
            attributes,
            count,
            handle,
        )
    return SessionObject(connection, int(handle[0])) if rv == CKR.OK else None


def destroy_if_made(connection: Connection, key: SessionObject | None) -> None:
    """C_DestroyObject, of no object where there is none: one call either way."""
    handle = CK_INVALID_HANDLE if key is None else key.surrender()
    with connection.owning() as session:
        connection.cryptoki.C_DestroyObject(session.handle, handle)


def derive(
    connection: Connection, mechanism: MechanismCall, base_key: int, template: Template, asked: str
) -> SessionObject:
    """C_DeriveKey, and the reading back of what came of it."""
    with packed(template) as (attributes, count):
        key = make(
            connection,
            asked,
            lambda session, handle: connection.cryptoki.C_DeriveKey(
                session.handle, mechanism.structure, base_key, attributes, count, handle
            ),
            base_key,
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
            lambda session, handle: connection.cryptoki.C_DecapsulateKey(
                session.handle,
                mechanism.structure,
                private_key,
                attributes,
                count,
                ciphertext,
                len(ciphertext),
                handle,
            ),
            private_key,
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
            lambda session, handle: connection.cryptoki.C_EncapsulateKey(
                session.handle,
                mechanism.structure,
                public_key,
                attributes,
                count,
                output,
                length,
                handle,
            ),
            public_key,
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
    values = ffi.new("unsigned char[]", len(kinds) * room)
    attributes = ffi.new("CK_ATTRIBUTE[]", [(int(kind), values + i * room, room) for i, kind in enumerate(kinds)])
    rv = connection.perform(
        lambda session: connection.cryptoki.C_GetAttributeValue(session.handle, handle, attributes, len(kinds)),
        handle,
        sound=_TOLD,
    )
    if rv not in _TOLD:
        raise connection.error(rv, "reading attributes failed")
    octets = ffi.buffer(values)
    sizes = [attribute.ulValueLen for attribute in attributes]
    found = {
        kind: None if size == UNAVAILABLE else octets[i * room : i * room + size]
        for i, (kind, size) in enumerate(zip(kinds, sizes, strict=True))
    }
    # A secret that was made to be read must not stay in freed memory.
    octets[:] = bytes(len(octets))
    return found


def hold_to_template(key: SessionObject, template: Template) -> None:
    """Makes sure that a key is as secret as its template said; where the token forgot, ratchets, else destroys and
    raises.
    """
    asked = {kind: template.get(kind) for kind in (Attribute.SENSITIVE, Attribute.EXTRACTABLE)}
    # CK_BBOOL of a key that must stay inside: SENSITIVE true, EXTRACTABLE false. Both can only be turned that way.
    safe = {Attribute.SENSITIVE: (True, _TRUE), Attribute.EXTRACTABLE: (False, _FALSE)}
    connection = key.connection
    try:
        found = read_attributes(connection, key.handle, list(asked), 1)
        for kind, wish in asked.items():
            wanted, octet = safe[kind]
            if wish is wanted and found[kind] != octet:
                rv = _set_attribute(connection, key.handle, kind, wanted)
                if rv != CKR.OK or read_attributes(connection, key.handle, [kind], 1)[kind] != octet:
                    raise CngError(
                        NTSTATUS.STATUS_NOT_SUPPORTED,
                        f"token {connection.token_name!r} made a key that is not {kind.name}={wanted} as was asked; "
                        "it was destroyed",
                    )
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
