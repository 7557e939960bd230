"""OpaqueKeyBlob of a PKCS#11 token: the key wrapped inside the token, readable by that token alone.

Layout: "HWCO", version, CKA_ID of the wrapping key (16), length of the description (2, big-endian), description
(JSON), wrapped key, HMAC-SHA256 of all before (32). The wrapping and the authentication key are token objects, not
extractable, made on first need. The tag is checked in the token before anything is unwrapped, so a flipped bit anywhere
is refused. Wrapping: RFC 3394 for secret keys; RFC 5649, or AES-CBC with PKCS #7, of PKCS #8 for private keys.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import kind_of
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject, Verdicts
from hwcng.providers.pkcs11.operations import Operation
from hwcng.providers.pkcs11.templates import Template

__all__ = ["WRAPPED_KEY_REFUSED", "Opened", "build", "opened", "wrap"]

MAGIC = b"HWCO\x01"
ID_LENGTH = 16
TAG_LENGTH = 32
SMALLEST = len(MAGIC) + ID_LENGTH + 2 + TAG_LENGTH
WRAPPING_LABEL = "hwcng opaque blob wrapping key"
AUTHENTICATION_LABEL = "hwcng opaque blob authentication key"
# A database of NSS 3.87 keeps one secret key per CKA_ID: a second one replaces the first.
_ID_ENDS = {WRAPPING_LABEL: b"", AUTHENTICATION_LABEL: b"\1"}
LARGEST_PKCS8 = 16384
# RFC 3394 takes two blocks of 64 bits at least.
SMALLEST_ALIGNED_BITS = 128

WRAPPED_KEY_REFUSED = dict.fromkeys(
    (
        CKR.GENERAL_ERROR,
        CKR.FUNCTION_FAILED,
        CKR.ARGUMENTS_BAD,
        CKR.DATA_INVALID,
        CKR.DATA_LEN_RANGE,
        CKR.ENCRYPTED_DATA_INVALID,
        CKR.ENCRYPTED_DATA_LEN_RANGE,
        CKR.WRAPPED_KEY_INVALID,
        CKR.WRAPPED_KEY_LEN_RANGE,
    ),
    NTSTATUS.STATUS_INVALID_PARAMETER,
)

_CANNOT_STORE = dict.fromkeys((CKR.TOKEN_WRITE_PROTECTED, CKR.SESSION_READ_ONLY), NTSTATUS.STATUS_NOT_SUPPORTED)

_making = ProcessLock()


def _refused() -> CngError:
    return CngError(
        NTSTATUS.STATUS_INVALID_PARAMETER, "the opaque blob was made by another token, or it is damaged or altered"
    )


def wrap(connection: Connection, call: MechanismCall, wrapping_key: int, key: int, room: int) -> bytes:
    """C_WrapKey. The caller has checked the export policy: tokens have been measured that do not."""
    output, length = ffi.new("unsigned char[]", room), ffi.new("CK_ULONG *", room)
    rv = connection.perform(
        lambda session: connection.cryptoki.C_WrapKey(
            session.handle, call.structure, wrapping_key, key, output, length
        ),
        wrapping_key,
        key,
    )
    if rv != CKR.OK:
        raise connection.error(rv, "wrapping the key failed")
    return bytes(ffi.buffer(output, length[0]))


def _protecting_keys(connection: Connection, identifier: bytes) -> tuple[int, int] | None:
    """The wrapping key of this CKA_ID and its authentication key."""
    pair = []
    for label, id_end in _ID_ENDS.items():
        handles = objects.find(
            connection,
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.TOKEN: True,
                Attribute.LABEL: label,
                Attribute.ID: identifier + id_end,
            },
        )
        if len(handles) != 1:
            return None
        pair += handles
    return pair[0], pair[1]


def _own_protecting_keys(connection: Connection, offered: MechanismSet) -> tuple[bytes, tuple[int, int]]:
    """The token's protecting keys, made where there are none."""
    with _making.held():
        for handle in objects.find(
            connection,
            {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True, Attribute.LABEL: WRAPPING_LABEL},
        ):
            identifier = objects.read_attributes(connection, handle, [Attribute.ID], 64)[Attribute.ID]
            if identifier and (keys := _protecting_keys(connection, identifier)):
                return identifier, keys
        needed = (Mechanism.AES_KEY_GEN, Mechanism.GENERIC_SECRET_KEY_GEN, Mechanism.SHA256_HMAC)
        if not all(offered.has(mechanism) for mechanism in needed):
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED, f"token {connection.token_name!r} cannot hold the keys of opaque blobs"
            )
        identifier = os.urandom(ID_LENGTH)
        authentication = _make_token_key(
            connection,
            Mechanism.GENERIC_SECRET_KEY_GEN,
            templates.opaque_keys(
                identifier + _ID_ENDS[AUTHENTICATION_LABEL],
                AUTHENTICATION_LABEL,
                32,
                Usage.SIGN,
                KeyType.GENERIC_SECRET,
            ),
        )
        wrapping = _make_token_key(
            connection,
            Mechanism.AES_KEY_GEN,
            templates.opaque_keys(identifier, WRAPPING_LABEL, 32, Usage.WRAP | Usage.UNWRAP, KeyType.AES),
        )
        return identifier, (wrapping, authentication)


def _make_token_key(connection: Connection, mechanism: Mechanism, template: templates.Template) -> int:
    handle = ffi.new("CK_ULONG *")
    with templates.packed(template) as (attributes, count):
        rv = connection.produce(
            lambda session: connection.cryptoki.C_GenerateKey(
                session.handle, mechanisms.call(int(mechanism)).structure, attributes, count, handle
            )
        )
    if rv != CKR.OK:
        raise connection.error(rv, "making the protecting key of opaque blobs failed", _CANNOT_STORE)
    return int(handle[0])


_TAGGING = Operation("C_SignInit", "C_Sign", "authenticating the opaque blob")


def _tag(connection: Connection, authentication_key: int, data: bytes) -> bytes:
    call = mechanisms.call(int(Mechanism.SHA256_HMAC))
    return connection.crypt(_TAGGING, call, authentication_key, data, TAG_LENGTH)


def _wrapping_call(
    connection: Connection,
    offered: MechanismSet,
    private: bool,
    mechanism: int | None,
    iv: bytes,
    unaligned: bool = False,
) -> MechanismCall:
    """The mechanism that wraps; `mechanism` as the blob says, or None for the token's best.

    unaligned: for a secret key of a length that RFC 3394 does not take.
    """
    padded = (Mechanism.AES_KEY_WRAP_PAD,) if offered.quirks.key_wrap_pad_is_rfc5649 else ()
    any_length = (Mechanism.AES_KEY_WRAP_KWP, *padded)
    choices = (*any_length, Mechanism.AES_CBC_PAD) if private else (Mechanism.AES_KEY_WRAP, *any_length)
    if unaligned:
        choices = (*any_length, Mechanism.AES_KEY_WRAP)
    for choice in choices:
        if offered.has(choice) and mechanism in (None, int(choice)):
            if choice is Mechanism.AES_CBC_PAD:
                return mechanisms.with_octets(int(choice), iv)
            return mechanisms.call(int(choice))
    raise CngError(
        NTSTATUS.STATUS_NOT_SUPPORTED,
        f"token {connection.token_name!r} wraps no {'private' if private else 'secret'} keys",
    )


def _describe(spec: SecretSpec | PairSpec, public: PublicKeyMaterial | None) -> dict[str, Any]:
    if isinstance(spec, SecretSpec):
        described = {"family": spec.family.value, "bits": spec.bits, "usage": spec.usage.value, "hash": spec.hash_name}
        return {**described, "effective": spec.effective_bits} if spec.effective_bits else described
    described = {"kind": spec.kind, "bits": spec.bits, "usage": spec.usage.value, "curve": spec.curve}
    return described | kind_of(spec).to_json(public)


def build(
    connection: Connection,
    offered: MechanismSet,
    spec: SecretSpec | PairSpec,
    key: int,
    public: PublicKeyMaterial | None = None,
) -> bytes:
    """The blob of an exportable key. Raises STATUS_NOT_SUPPORTED where the token cannot wrap it."""
    connection.require_alive()
    private = isinstance(spec, PairSpec)
    types = offered.quirks.wrapped_key_types
    if isinstance(spec, PairSpec) and types is not None and kind_of(spec).key_type not in types:
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"token {connection.token_name!r} wraps no {spec.kind} keys")
    iv = os.urandom(16)
    unaligned = isinstance(spec, SecretSpec) and (spec.bits % 64 != 0 or spec.bits < SMALLEST_ALIGNED_BITS)
    call = _wrapping_call(connection, offered, private, None, iv, unaligned)
    identifier, (wrapping_key, authentication_key) = _own_protecting_keys(connection, offered)
    room = LARGEST_PKCS8 if private else spec.bits // 8 + 64
    wrapped = wrap(connection, call, wrapping_key, key, room)
    description = json.dumps(
        {**_describe(spec, public), "mechanism": int(call.structure.mechanism), "iv": iv.hex()}
    ).encode()
    blob = MAGIC + identifier + len(description).to_bytes(2, "big") + description + wrapped
    return blob + _tag(connection, authentication_key, blob)


class Opened(NamedTuple):
    """A blob of this token, unaltered, and what it says that its key is. public: None of a secret key."""

    connection: Connection
    offered: MechanismSet
    spec: SecretSpec | PairSpec
    public: PublicKeyMaterial | None
    call: MechanismCall
    wrapping_key: int
    wrapped: bytes

    def __repr__(self) -> str:
        return f"<an opaque blob of {self.spec}>"

    @property
    def told(self) -> PublicKeyMaterial:
        """The public half."""
        if self.public is None:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the opaque blob has no public key")
        return self.public

    def into(
        self, spec: SecretSpec | PairSpec, place: Callable[[Template], Template], verdicts: Verdicts, asked: str
    ) -> SessionObject:
        """The key in the token again. place: says whose it is; verdicts: what refusals mean beside the usual."""
        template = place(templates.unwrapped(spec, self.offered.quirks))
        refused = {**WRAPPED_KEY_REFUSED, **verdicts}
        return objects.unwrap(self.connection, self.call, self.wrapping_key, self.wrapped, template, asked, refused)

    def here(self) -> SessionObject:
        """The same, of this process."""
        return self.into(self.spec, lambda template: template, {}, "loading the opaque blob")


def opened(connection: Connection, offered: MechanismSet, blob: bytes) -> Opened:
    """Raises STATUS_INVALID_PARAMETER for any blob but this token's own, unaltered."""
    if len(blob) < SMALLEST or not blob.startswith(MAGIC):
        raise _refused()
    body, tag = blob[:-TAG_LENGTH], blob[-TAG_LENGTH:]
    identifier = body[len(MAGIC) : len(MAGIC) + ID_LENGTH]
    keys = _protecting_keys(connection, identifier)
    if keys is None or not hmac.compare_digest(_tag(connection, keys[1], body), tag):
        raise _refused()
    start = len(MAGIC) + ID_LENGTH + 2
    end = start + int.from_bytes(body[start - 2 : start], "big")
    described, wrapped = json.loads(body[start:end]), body[end:]
    private = "kind" in described
    call = _wrapping_call(connection, offered, private, described["mechanism"], bytes.fromhex(described["iv"]))
    spec: SecretSpec | PairSpec
    public: PublicKeyMaterial | None = None
    if private:
        spec = PairSpec(
            described["kind"],
            Usage(described["usage"]),
            described["bits"],
            described["curve"],
            exportable=True,
            parameter_set=described.get("set", ""),
        )
        public = kind_of(spec).from_json(spec, described)
    else:
        usage, family = Usage(described["usage"]), SecretFamily(described["family"])
        effective_bits = described.get("effective", 0)
        spec = SecretSpec(family, described["bits"], usage, True, described["hash"], effective_bits)
    return Opened(connection, offered, spec, public, call, keys[0], wrapped)
