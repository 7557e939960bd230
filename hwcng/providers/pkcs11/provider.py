"""The provider over one PKCS#11 token (OASIS PKCS#11 2.40 to 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace as replaced
from functools import partial
from typing import Any, NoReturn

from pkcs11 import Mechanism

from hwcng.contract.capabilities import Capabilities
from hwcng.contract.effective_length import EffectiveLength
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import MlKemPublicKey, PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.provider import KeyRecord, Provider, TokenAddress
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11 import mechanisms, objects, openssl, probes, templates
from hwcng.providers.pkcs11.capabilities import RELEVANT_MECHANISMS, MechanismInfo, MechanismSet
from hwcng.providers.pkcs11.connection import Connection, Session
from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki, ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, CONNECTION_LOST, token_error
from hwcng.providers.pkcs11.families import ML_KEM, PairKind, kind_of
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS, SecretKind, offered_as
from hwcng.providers.pkcs11.keys import opaque_blob, xts
from hwcng.providers.pkcs11.keys.opaque_blob import WRAPPED_KEY_REFUSED
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey, unwrappable
from hwcng.providers.pkcs11.logins import UserPin
from hwcng.providers.pkcs11.losses import of_sessions
from hwcng.providers.pkcs11.module import Module, load_module, module_search
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.operations import OUTPUT_ROOM
from hwcng.providers.pkcs11.quirks import logins_race, quirks_of
from hwcng.providers.pkcs11.store.key_store import KeyStore
from hwcng.providers.pkcs11.store.place import NamedObject
from hwcng.providers.pkcs11.tokens import FoundToken, TokenIdentity, find_token, sessions_of_others
from hwcng.providers.uri import Pin, Pkcs11Uri, pin_of
from hwcng.standards.hashes import HASHES
from hwcng.standards.parameter_sets import ML_KEM_SETS, SHARED_SECRET_SIZE

__all__ = ["Pkcs11Provider", "open_uri"]

# What only a later function list can use, whatever the mechanism list says.
_NEEDS = {int(Mechanism.ML_KEM): (3, 2)}

RANDOM_PART = 65536
"""Octets asked for in one C_GenerateRandom: NSS makes no more."""
SMALLEST_RANDOM_PART = 64
_TOO_MANY_OCTETS = frozenset((CKR.ARGUMENTS_BAD, CKR.DATA_LEN_RANGE, CKR.DATA_INVALID, CKR.BUFFER_TOO_SMALL))

# CK_INFO of libsoftokn3 needs the database's folder, which RFC 7512 has no attribute for.
INITIALIZE_RESERVED_ATTRIBUTE = "x-initialize-reserved"


def open_uri(uri: Pkcs11Uri, *, pin: Pin | None = None, allow_raw_secret: bool = False) -> Pkcs11Provider:
    """Opens the token that `uri` means and logs in.

    pin: overrides the URI's pin-value and pin-source. A vendor attribute x-initialize-reserved is what C_Initialize
    gets as pReserved. Raises CngError: STATUS_NOT_FOUND (module or token), STATUS_INVALID_PARAMETER (ambiguous URI),
    STATUS_SMARTCARD_WRONG_PIN (tried once by this process), STATUS_SMARTCARD_CARD_BLOCKED (locked, so not tried) and
    whatever else the token answers.
    """
    module = load_module(
        module_search(uri.module_path, uri.module_name), uri.vendor_query.get(INITIALIZE_RESERVED_ATTRIBUTE)
    )
    return Pkcs11Provider(module, uri, UserPin(pin_of(uri, pin), given=pin is not None), allow_raw_secret)


class _Random:
    """Up to `length` octets made in a session."""

    __slots__ = ("cryptoki", "length", "octets")

    def __init__(self, cryptoki: Cryptoki, length: int) -> None:
        self.cryptoki = cryptoki
        self.length = length
        self.octets = b""

    def __call__(self, session: Session) -> int:
        size, output, handle, generate = self.length, session.output, session.handle, self.cryptoki.C_GenerateRandom
        if size > OUTPUT_ROOM:
            output = session.output_of(size)
        while (rv := generate(handle, output, size)) in _TOO_MANY_OCTETS and size > SMALLEST_RANDOM_PART:
            size //= 2
        if not rv:
            buffer = ffi.buffer(output, size)
            self.octets = buffer[:]
            buffer[:] = bytes(size)
        return rv


class Pkcs11Provider(Provider):
    """A token, open and logged in. Connects again by itself after a fork or a loss; keys made before are gone then."""

    def __init__(self, module: Module, uri: Pkcs11Uri, pin: UserPin, allow_raw_secret: bool) -> None:
        self._module = module
        self._requested = uri
        self._pin = pin
        self._allow_raw_secret = allow_raw_secret
        self._connecting = ProcessLock()
        self.closed = False
        self._random_part = RANDOM_PART
        self._current = self._connect()
        self._store = KeyStore(lambda: self._connection, self._named_key)
        self.uri = uri.to_uri()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<{type(self).__name__} {self.token.label!r} of {self._module.description}{state}>"

    @property
    def module(self) -> Module:
        """The initialised module, for who shares it."""
        return self._module

    @property
    def cryptoki(self) -> Cryptoki:
        """The module's C_ functions, for who counts or disturbs them in tests."""
        return self._module.cryptoki

    @property
    def can_connect(self) -> bool:
        return self._current.alive or self._current.login.by_itself

    def _connect(self, known: TokenIdentity | None = None) -> Connection:
        """known: the token that it had before, where the connection was lost."""
        with self._module.connecting():
            try:
                connection = self._opened(known)
            except CngError as error:
                self._revive(error, known is not None)
                connection = self._opened(known)
            try:
                connection.log_in()
            except CngError as error:
                if self._was_misread(error):
                    self._module.revive(anew=True, alone=True)
                elif error.token_code in CONNECTION_LOST and not connection.login.in_doubt:
                    self._revive(error, known is not None)
                else:
                    # It may mean that the token counted a try.
                    raise
                connection = self._opened(known)
                connection.log_in()
            return connection

    def _was_misread(self, error: CngError) -> bool:
        """Whether the token was read while another process wrote it: such a login was no try at a PIN."""
        token, module = self.token, self._module
        misread = module.may_have_misread and logins_race(token.manufacturer, token.model)
        return misread and error.token_code in (CKR.GENERAL_ERROR, CKR.USER_PIN_NOT_INITIALIZED)

    def _revive(self, error: CngError, again: bool) -> None:
        """Makes the module ready for another attempt, or raises `error` where that would be of no use."""
        module, rv = self._module, error.token_code
        absent = error.status is NTSTATUS.STATUS_NOT_FOUND
        if absent and not again and module.is_new:
            raise error
        # NSS that another user of it finalised has no slots, and does not say why.
        if not absent and not (rv is not None and (rv in CONNECTION_LOST or (again and of_sessions(rv)))):
            raise error
        # Another library of the process may be at work with another token.
        of_use = not absent or module.has_no_slot() or (again and not sessions_of_others(module))
        module.revive(anew=of_use and rv != CKR.CRYPTOKI_NOT_INITIALIZED)

    def _opened(self, known: TokenIdentity | None) -> Connection:
        """A connection that is not logged in yet, with what the token offers read anew."""
        found, self._offered = self._find(known)
        self._found, self.token = found, found.info
        return Connection(self._module, found, self._pin)

    def _find(self, known: TokenIdentity | None) -> tuple[FoundToken, MechanismSet]:
        try:
            return self._look(known)
        except CngError:
            if not self._module.may_have_misread:
                raise
        self._module.revive(anew=True, alone=True)
        return self._look(known)

    def _look(self, known: TokenIdentity | None) -> tuple[FoundToken, MechanismSet]:
        with self._module.alone():
            found = find_token(self._module, self._requested, known)
            return found, self._read_mechanisms(found)

    def _read_mechanisms(self, found: FoundToken) -> MechanismSet:
        module, token, cryptoki = self._module, found.info, self._module.cryptoki
        quirks = quirks_of(
            module.path,
            module.manufacturer,
            module.description,
            token.manufacturer,
            token.model,
            library_version=module.library_version,
        )
        others = [slot for slot in module.slots() if slot != found.slot] if quirks.slots_share_mechanisms else []
        names: set[int] = set()
        infos: dict[int, MechanismInfo] = {}
        raw = ffi.new("CK_MECHANISM_INFO *")
        for slot in (found.slot, *others):
            try:
                listed = self._list_mechanisms(slot)
            except CngError:
                # A slot that does not answer blocks no other's token.
                if slot == found.slot:
                    raise
                continue
            for mechanism in RELEVANT_MECHANISMS.intersection(listed) - infos.keys():
                if cryptoki.C_GetMechanismInfo(slot, mechanism, raw) == CKR.OK:
                    infos[mechanism] = MechanismInfo(int(raw.ulMinKeySize), int(raw.ulMaxKeySize), int(raw.flags))
            names.update(listed)
        return MechanismSet(infos, names, quirks, found.has_rng)

    def _list_mechanisms(self, slot: int) -> list[int]:
        cryptoki = self._module.cryptoki
        count = ffi.new("CK_ULONG *")
        if (rv := cryptoki.C_GetMechanismList(slot, ffi.NULL, count)) != CKR.OK:
            self._mechanism_list_failed(rv)
        listed = ffi.new("CK_ULONG[]", count[0])
        if (rv := cryptoki.C_GetMechanismList(slot, listed, count)) != CKR.OK:
            self._mechanism_list_failed(rv)
        usable = (number for number in listed[0 : count[0]] if cryptoki.version >= _NEEDS.get(number, (0, 0)))
        return [int(mechanism) for mechanism in usable]

    def _mechanism_list_failed(self, rv: int) -> NoReturn:
        raise token_error(rv, f"C_GetMechanismList of {self._module.path} failed")

    @property
    def _connection(self) -> Connection:
        """The living connection, made anew where the last one died."""
        connection = self._current
        if connection.alive:
            return connection
        with self._connecting.held():
            if self.closed:
                raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, f"the provider of token {self.token.label!r} is closed")
            if not self._current.alive:
                self._current.close()
                self._current = self._connect_again(self._current.identity)
            return self._current

    def _connect_again(self, known: TokenIdentity) -> Connection:
        try:
            return self._connect(known)
        except CngError as error:
            if error.status is NTSTATUS.STATUS_NOT_FOUND:
                gone = f"the connection with token {self.token.label!r} was lost, and the token is not there"
                raise CngError(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, f"{gone}: {error.message}") from error
            raise

    def capabilities(self) -> Capabilities:
        return probes.probe(self, self._offered)

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offered.offers(algorithm, operation)

    def _require(self, algorithm: str, operation: str | None = None) -> None:
        if self._offered.offers(algorithm, operation) is Support.REFUSED:
            reason = self._offered.reasons.get((algorithm, operation), "")
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED,
                f"token {self.token.label!r} does not do {algorithm} {operation or ''}: {reason}",
            )

    def random(self, length: int) -> bytes:
        if length > self._random_part:
            parts, missing = [], length
            while missing:
                parts.append(self.random(min(missing, self._random_part)))
                missing -= len(parts[-1])
            return b"".join(parts)
        if not length:
            return b""
        connection = self._connection
        generated = _Random(connection.cryptoki, length)
        if rv := connection.perform(generated):
            raise connection.error(rv, "C_GenerateRandom failed")
        octets = generated.octets
        if len(octets) == length:
            return octets
        # The token refuses so many in one call, which is kept in mind.
        self._random_part = len(octets)
        return octets + self.random(length - len(octets))

    def _kind_of_secret(self, spec: SecretSpec) -> SecretKind:
        """The kind of a secret key that the token can hold, else STATUS_NOT_SUPPORTED."""
        self._require(offered_as(spec))
        return SECRET_KINDS[spec.family]

    def _is_composed(self, spec: SecretSpec) -> bool:
        """Whether the key is two keys here."""
        return spec.family is SecretFamily.XTS and self.offers(spec.family.value) is not Support.NATIVE

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        kind = self._kind_of_secret(spec)
        if self._is_composed(spec):
            return xts.make(spec, lambda half, _: self.generate_secret(half))
        held = objects.generate(
            self._connection,
            mechanisms.call(int(kind.generation)),
            templates.secret(spec, length=kind.says_length),
            f"generating a {spec.bits}-bit {spec.family.value} key",
        )
        return Pkcs11SecretKey(held, self._offered, spec, _effective(spec, open=True))

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        self._kind_of_secret(spec)
        if self._is_composed(spec):
            size = spec.bits // 16
            halves = value[:size], value[size:]
            return xts.make(spec, lambda half, which: self.import_secret(half, halves[which]))
        if spec.family is SecretFamily.HMAC:
            value = _hmac_key(value, spec.hash_name)
        asked = f"importing a {spec.bits}-bit {spec.family.value} key"
        held = objects.create(self._connection, templates.secret(spec, value), asked)
        return Pkcs11SecretKey(held, self._offered, spec, _effective(spec, known=True))

    def unwrap_secret(self, spec: SecretSpec, wrapping_key: SecretKey, wrapped: bytes) -> SecretKey:
        self._require("AES", "WRAP")
        if not self._kind_of_secret(spec).wraps:
            raise unwrappable(spec)
        if not isinstance(wrapping_key, Pkcs11SecretKey):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key that unwraps is of another kind of token")
        wrapping_key.connection.require_alive()
        if wrapping_key.connection is not self._connection:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key that unwraps is of another provider")
        held = objects.unwrap(
            wrapping_key.connection,
            mechanisms.call(int(Mechanism.AES_KEY_WRAP)),
            wrapping_key.held.handle,
            wrapped,
            templates.unwrapped(spec, self._offered.quirks),
            "unwrapping the key",
            WRAPPED_KEY_REFUSED,
        )
        return Pkcs11SecretKey(held, self._offered, spec)

    def generate_pair(self, spec: PairSpec) -> Pkcs11PrivateKey:
        kind = self._kind_of(spec)
        public_template, private_template = templates.generated_pair(spec)
        connection = self._connection
        public_handle, private_handle = ffi.new("CK_ULONG *"), ffi.new("CK_ULONG *")
        with (
            templates.packed(public_template) as (public, public_count),
            templates.packed(private_template) as (private, private_count),
        ):
            rv = connection.produce(
                lambda session: connection.cryptoki.C_GenerateKeyPair(
                    session.handle,
                    mechanisms.call(int(kind.generation(spec))).structure,
                    public,
                    public_count,
                    private,
                    private_count,
                    public_handle,
                    private_handle,
                )
            )
        if rv != CKR.OK:
            raise connection.error(rv, f"generating {kind.describe(spec)} failed", kind.refusals)
        public_object = SessionObject(connection, int(public_handle[0]))
        held = SessionObject(connection, int(private_handle[0]))
        try:
            material = kind.read_public(
                partial(objects.read_attributes, connection, public_object.handle), spec, connection.token_name
            )
        except BaseException:
            held.release()
            public_object.release()
            raise
        return Pkcs11PrivateKey(held, self._offered, spec, material, public_object, self._allow_raw_secret)

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> Pkcs11PrivateKey:
        kind = self._kind_of(spec)
        template = templates.imported_private(spec, material)
        held = objects.create(self._connection, template, f"importing {kind.describe(spec)}", kind.refusals)
        return Pkcs11PrivateKey(held, self._offered, spec, material.public, None, self._allow_raw_secret)

    def encapsulate(self, public: MlKemPublicKey) -> tuple[bytes, bytes]:
        self._require("ML-KEM", public.parameter_set)
        connection, asked = self._connection, "ML-KEM encapsulation"
        held = objects.create(connection, ML_KEM.public_object(public), asked)
        try:
            key, ciphertext = objects.encapsulate(
                connection,
                mechanisms.call(int(Mechanism.ML_KEM)),
                held.handle,
                ML_KEM_SETS[public.parameter_set].ciphertext,
                templates.shared_secret(SHARED_SECRET_SIZE),
                asked,
            )
        finally:
            held.release()
        return objects.read_secret(key, SHARED_SECRET_SIZE, "the shared secret"), ciphertext

    def _kind_of(self, spec: PairSpec) -> PairKind[Any, Any]:
        """The kind of a pair that the token can hold, else STATUS_NOT_SUPPORTED."""
        kind = kind_of(spec)
        self._require(*kind.offered_as(spec))
        bounding = kind.sized_by(spec)
        sizes = self._offered.key_range(bounding) if bounding is not None else None
        if sizes and not sizes[0] <= spec.bits <= sizes[1]:
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED,
                f"token {self.token.label!r} holds {spec.kind} keys of {sizes[0]} to {sizes[1]} bits, "
                f"not of {spec.bits}",
            )
        return kind

    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | Pkcs11PrivateKey:
        held, spec, public = opaque_blob.load(self._connection, self._offered, blob)
        if isinstance(spec, SecretSpec):
            return Pkcs11SecretKey(held, self._offered, spec)
        if public is None:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the opaque blob has no public key")
        return Pkcs11PrivateKey(held, self._offered, spec, public, None, self._allow_raw_secret)

    def _named_key(
        self, held: NamedObject, spec: SecretSpec | PairSpec, public: PublicKeyMaterial | None
    ) -> Pkcs11SecretKey | Pkcs11PrivateKey:
        if isinstance(spec, SecretSpec):
            return Pkcs11SecretKey(held, self._offered, spec)
        if public is None:
            raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "a pair without its public half")
        return Pkcs11PrivateKey(
            held,
            self._offered,
            spec,
            public,
            None,
            self._allow_raw_secret,
            always_authenticate=held.always_authenticate,
        )

    def persist_key(
        self, key: SecretKey | PrivateKey, name: str, *, replace: bool = False
    ) -> Pkcs11SecretKey | Pkcs11PrivateKey:
        """Copies the key inside the token. Raises STATUS_NOT_SUPPORTED where the token keeps or copies no keys."""
        if not isinstance(key, (Pkcs11SecretKey, Pkcs11PrivateKey)):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is of another kind of token")
        return self._store.persist_key(key, name, replace)

    def open_key(self, name: str, *, pin: str | bytes | None = None) -> Pkcs11SecretKey | Pkcs11PrivateKey:
        return self._store.open_key(name)

    def list_keys(self) -> Iterator[KeyRecord]:
        return self._store.list_keys()

    def delete_key(self, name: str) -> None:
        self._store.delete_key(name)

    def certificates(self, name: str) -> list[bytes]:
        return self._store.certificates(name)

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        self._store.store_certificates(name, certificates)

    def key_uri(self, name: str) -> str:
        """With the CKA_ID where the label does not say which key it is. Raises NTE_BAD_KEYSET where there is none."""
        return self._address_of(name).to_uri()

    def _address_of(self, name: str) -> Pkcs11Uri:
        place = self._store.place_of(name)
        token = replaced(self._requested, token=self.token.label, pin_value=None)
        if self.token.serial:
            token = replaced(token, serial=self.token.serial)
        return replaced(place.address, type=place.type).within(token)

    def openssl(self) -> OpensslProvider:
        return openssl.provider_of(self._module.path, self._module.reserved, self._requested)

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        if name is None:
            raise not_supported(
                "OpenSSL finds keys of this token by their names: store this one, with key.persist(name)"
            )
        return openssl.key_pem(self._address_of(name))

    def answers_to(self, uri: TokenAddress) -> bool:
        return isinstance(uri, Pkcs11Uri) and self._found.meant_by(self._module, uri)

    def close(self) -> None:
        with self._connecting.held():
            self.closed = True
            self._current.close()


def _effective(spec: SecretSpec, *, open: bool = False, known: bool = False) -> EffectiveLength | None:
    """RC2's, None of any other key."""
    if spec.family is not SecretFamily.RC2:
        return None
    return EffectiveLength(spec.effective_bits or spec.bits, open=open, known=known)


# No digest is longer, no block shorter.
_ANY_HMAC_KEY_LENGTH = 64


def _hmac_key(value: bytes, hash_name: str | None) -> bytes:
    """The same HMAC key (RFC 2104, section 2) in a length that tokens take: SoftHSM refuses those shorter than the
    hash.
    """
    if hash_name is None:
        return value.ljust(_ANY_HMAC_KEY_LENGTH, b"\0")
    hash_function = HASHES[hash_name]
    if len(value) > hash_function.block_size:
        return hash_function.digest(value)
    return value.ljust(hash_function.digest_size, b"\0")
