"""The provider over one PKCS#11 token (OASIS PKCS#11 2.40 to 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace as replaced
from functools import partial
from typing import Any

from pkcs11 import Mechanism

from hwcng.contract.capabilities import Capabilities
from hwcng.contract.effective_length import EffectiveLength
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import NamedMaker
from hwcng.contract.material import MlKemPublicKey, PrivateKeyMaterial, PublicKeyMaterial
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.pins import Pin
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.contract.specs import RFC_3394, KeyContents, PairSpec, SecretSpec, WrapSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.contract.watching import Statistics
from hwcng.errors import NTSTATUS, CngError, invalid_handle, not_supported
from hwcng.forking import ProcessLock, entered
from hwcng.loading import load
from hwcng.providers.events import note
from hwcng.providers.pkcs11 import diagnosis, objects, probing, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Connection
from hwcng.providers.pkcs11.cryptoki.calls import Cryptoki
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, CONNECTION_LOST
from hwcng.providers.pkcs11.families import PairKind, kind_of, kind_of_public
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS, SecretKind, hmac_value, offered_as
from hwcng.providers.pkcs11.keys import opaque_blob, xts
from hwcng.providers.pkcs11.keys.private import Pkcs11PrivateKey
from hwcng.providers.pkcs11.keys.secret import Pkcs11SecretKey, unwrappable
from hwcng.providers.pkcs11.logins import UserPin
from hwcng.providers.pkcs11.losses import of_sessions
from hwcng.providers.pkcs11.mechanism_lists import read_mechanisms
from hwcng.providers.pkcs11.module import Module, module_search
from hwcng.providers.pkcs11.quirks import logins_race
from hwcng.providers.pkcs11.random_octets import RANDOM_PART, random_octets
from hwcng.providers.pkcs11.store.in_place import InPlace
from hwcng.providers.pkcs11.store.key_store import KeyStore
from hwcng.providers.pkcs11.store.listing import UriMaker
from hwcng.providers.pkcs11.store.place import NamedObject
from hwcng.providers.pkcs11.stream_ciphers import KeyStreams
from hwcng.providers.pkcs11.tally import Tally
from hwcng.providers.pkcs11.tokens import FoundToken, TokenIdentity, find_token, sessions_of_others
from hwcng.providers.pkcs11.unwrapping import Unwrapping, unwrapped_as_before, unwrapping
from hwcng.providers.pkcs11.uri import Pkcs11Uri, pin_of
from hwcng.providers.pkcs11.uri_module import module_of
from hwcng.providers.pkcs11.user_quirks import QUIRKS_ATTRIBUTE, UserQuirks
from hwcng.providers.timeouts import timeout_of
from hwcng.standards.parameter_sets import SHARED_SECRET_SIZE

__all__ = ["Pkcs11Provider", "open_uri"]


def open_uri(uri: Pkcs11Uri, *, pin: Pin | None = None, allow_raw_secret: bool = False) -> Pkcs11Provider:
    """Opens the token that `uri` means and logs in.

    pin: overrides the URI's pin-value and pin-source. A vendor attribute x-initialize-reserved is what C_Initialize
    gets as pReserved, x-timeout the seconds that a C_ function may take, x-quirks what
    `hwcng.providers.pkcs11.user_quirks` reads.

    Raises CngError: STATUS_NOT_FOUND (module or token), STATUS_INVALID_PARAMETER (ambiguous URI, unknown quirk),
    STATUS_SMARTCARD_WRONG_PIN (tried once by this process), STATUS_SMARTCARD_CARD_BLOCKED (locked, so not tried),
    STATUS_IO_TIMEOUT and whatever else the token answers.
    """
    user_quirks = UserQuirks(uri.vendor_query.get(QUIRKS_ATTRIBUTE))
    module = module_of(uri)
    user_pin = UserPin(pin_of(uri, pin), given=pin is not None)
    try:
        provider = Pkcs11Provider(module, uri, user_pin, allow_raw_secret, user_quirks)
    except CngError as error:
        raise diagnosis.explained_token(error, module) from error.__cause__
    note("token.opened", token=provider.token.label, model=provider.token.model, serial=provider.token.serial)
    return provider


class Pkcs11Provider(Provider):
    """A token, open and logged in. Connects again by itself after a fork or a loss; keys made before are gone then."""

    def __init__(
        self, module: Module, uri: Pkcs11Uri, pin: UserPin, allow_raw_secret: bool, user_quirks: UserQuirks
    ) -> None:
        self._module = module
        self._requested = uri
        self._pin = pin
        self._allow_raw_secret = allow_raw_secret
        self._user_quirks = user_quirks
        self._seconds = timeout_of(uri)
        self._connecting = ProcessLock()
        self.closed = False
        self._random_part = RANDOM_PART
        self._tally = Tally()
        self._last_imported: tuple[MechanismSet | None, SecretSpec | None] = (None, None)
        self._last_secret: tuple[MechanismSet | None, SecretSpec | None, objects.SecretGeneration | None]
        self._last_secret = (None, None, None)
        self._last_pair: tuple[MechanismSet | None, PairSpec | None, objects.PairGeneration | None] = (None, None, None)
        self._current = self._connect()
        self._store = KeyStore(lambda: self._connection, self._named_key, self._naming, self._is_local)
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
        note("module.revived", error, path=module.path)

    def _opened(self, known: TokenIdentity | None) -> Connection:
        """A connection that is not logged in yet, with what the token offers read anew."""
        found, self._offered = self._find(known)
        self._found, self.token = found, found.info
        quirks, tally = self._offered.quirks, self._tally
        return Connection(self._module, found, self._pin, KeyStreams(), quirks, tally, self._seconds)

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
            return found, read_mechanisms(self._module, found, self._user_quirks)

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
            connection = self._connect(known)
            self._tally.reconnections += 1
            note("connection.recovered", token=self.token.label)
            return connection
        except CngError as error:
            if error.status is NTSTATUS.STATUS_NOT_FOUND:
                gone = f"the connection with token {self.token.label!r} was lost, and the token is not there"
                raise CngError(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, f"{gone}: {error.message}") from error
            raise

    def capabilities(self) -> Capabilities:
        return probing.probe(self, self._offered)

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offered.offers(algorithm, operation)

    def _require(self, algorithm: str, operation: str | None = None) -> None:
        if self._offered.offers(algorithm, operation) is Support.REFUSED:
            reason = self._offered.reasons.get((algorithm, operation), "")
            raise not_supported(f"token {self.token.label!r} does not do {algorithm} {operation or ''}: {reason}")

    def random(self, length: int) -> bytes:
        part = self._random_part
        if not 0 < length <= part:
            return b"".join(self.random(min(part, length - start)) for start in range(0, length, part))
        current = self._current
        octets = random_octets(self._connection if current.dead or not entered[0] else current, length)
        if len(octets) == length:
            return octets
        # The token refuses so many in one call, which is kept in mind.
        self._random_part = len(octets)
        return octets + self.random(length - len(octets))

    def kind_of_secret(self, spec: SecretSpec) -> SecretKind:
        """The kind of a secret key that the token can hold, else STATUS_NOT_SUPPORTED."""
        self._require(offered_as(spec))
        return SECRET_KINDS[spec.family]

    def is_composed(self, spec: SecretSpec) -> bool:
        """Whether the key is two keys here."""
        return spec.family is SecretFamily.XTS and self.offers(spec.family.value) is not Support.NATIVE

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        offered, known, how = self._last_secret
        if how is None or known is not spec or offered is not self._offered:
            offered, how = self._offered, objects.secret_generation(spec)
            self._require(how.offered_as)
            if self.is_composed(spec):
                return xts.make(spec, lambda half, _: self.generate_secret(half))
            self._last_secret = offered, spec, how
        held = objects.generate(self._connection, how.call, how.template, how.asked)
        return Pkcs11SecretKey(held, self._offered, spec, _effective(spec, open=True))

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        offered, known = self._last_imported
        if known is not spec or offered is not self._offered:
            offered = self._offered
            self.kind_of_secret(spec)
            if self.is_composed(spec):
                size = spec.bits // 16
                halves = value[:size], value[size:]
                return xts.make(spec, lambda half, which: self.import_secret(half, halves[which]))
            self._last_imported = offered, spec
        if spec.family is SecretFamily.HMAC:
            value = hmac_value(spec.hash_name, value)
        asked = f"importing a {spec.bits}-bit {spec.family.value} key"
        held = objects.create(self._connection, templates.secret(spec, value), asked)
        return Pkcs11SecretKey(held, self._offered, spec, _effective(spec, known=True))

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        held = unwrapped_as_before(self._current, spec, wrapping_key, wrapped, wrap)
        if held is None:
            with self.unwrapping(wrapping_key, wrapped, wrap) as unwrapped:
                if not self.kind_of_secret(spec).wraps:
                    raise unwrappable(spec)
                held = unwrapped.here(spec)
        return Pkcs11SecretKey(held, self._offered, spec)

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> Pkcs11PrivateKey:
        with self.unwrapping(wrapping_key, wrapped, wrap) as unwrapped:
            found, public = unwrapped.pair(spec)
            kind = self.kind_of_pair(found)
            held = unwrapped.into(found, lambda template: template, kind.refusals, f"unwrapping {kind.describe(found)}")
            return Pkcs11PrivateKey(held, self._offered, found, public, None, self._allow_raw_secret)

    def unwrapping(
        self, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> AbstractContextManager[Unwrapping]:
        """What unwraps the key, for as long as the block lasts."""
        return unwrapping(self._connection, self._offered, wrapping_key, wrapped, wrap)

    def generate_pair(self, spec: PairSpec) -> Pkcs11PrivateKey:
        offered, known, how = self._last_pair
        if how is None or known is not spec or offered is not self._offered:
            offered, how = self._offered, self.pair_generation(spec)
            self._last_pair = offered, spec, how
        connection, kind = self._connection, how.kind
        public_object, held = objects.generate_pair(
            connection, how.call, how.public_template, how.private_template, how.asked, kind.refusals
        )
        try:
            read = partial(objects.read_attributes, connection, public_object.handle)
            material = kind.read_public(read, spec, connection.token_name)
        except BaseException:
            held.release()
            public_object.release()
            raise
        return Pkcs11PrivateKey(held, self._offered, spec, material, public_object, self._allow_raw_secret)

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> Pkcs11PrivateKey:
        kind = self.kind_of_pair(spec)
        template = templates.imported_private(spec, material)
        held = objects.create(self._connection, template, f"importing {kind.describe(spec)}", kind.refusals)
        return Pkcs11PrivateKey(held, self._offered, spec, material.public, None, self._allow_raw_secret)

    def encapsulate(self, public: MlKemPublicKey) -> tuple[bytes, bytes]:
        kind = kind_of_public(public)
        how = kind.encapsulation(public)
        self._require(kind.kind, public.parameter_set)
        connection = self._connection
        held = objects.create(connection, how.public_object, how.asked)
        try:
            shared = templates.shared_secret(SHARED_SECRET_SIZE)
            key, ciphertext = objects.encapsulate(connection, how.call, held.handle, how.room, shared, how.asked)
        finally:
            held.release()
        return objects.read_secret(key, SHARED_SECRET_SIZE, "the shared secret"), ciphertext

    def pair_generation(self, spec: PairSpec) -> objects.PairGeneration:
        """How the token makes such a pair, else STATUS_NOT_SUPPORTED."""
        how = objects.pair_generation(spec)
        self._require_pair(spec, how.offered_as, how.sized_by)
        return how

    def kind_of_pair(self, spec: PairSpec) -> PairKind[Any, Any]:
        """The kind of a pair that the token can hold, else STATUS_NOT_SUPPORTED."""
        kind = kind_of(spec)
        self._require_pair(spec, kind.offered_as(spec), kind.sized_by(spec))
        return kind

    def _require_pair(self, spec: PairSpec, needed: tuple[str, str | None], bounding: Mechanism | None) -> None:
        if spec.usage & Usage.ATTEST:
            raise not_supported("a PKCS#11 token states nothing of itself: keys of Usage.ATTEST are a TPM's")
        self._require(*needed)
        sizes = self._offered.key_range(bounding) if bounding is not None else None
        if sizes and not sizes[0] <= spec.bits <= sizes[1]:
            lengths = f"{sizes[0]} to {sizes[1]} bits, not of {spec.bits}"
            raise not_supported(f"token {self.token.label!r} holds {spec.kind} keys of {lengths}")

    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | Pkcs11PrivateKey:
        opened = self.opened_blob(blob)
        spec = opened.spec
        if isinstance(spec, SecretSpec):
            return Pkcs11SecretKey(opened.here(), self._offered, spec)
        return Pkcs11PrivateKey(opened.here(), self._offered, spec, opened.told, None, self._allow_raw_secret)

    def opaque_contents(self, blob: bytes, *, pin: str | bytes | None = None) -> KeyContents:
        """Its tag is checked, and nothing is unwrapped."""
        opened = self.opened_blob(blob)
        return opened.spec, opened.public

    def opened_blob(self, blob: bytes) -> opaque_blob.Opened:
        """An opaque blob whose tag was checked."""
        return opaque_blob.opened(self._connection, self._offered, blob)

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

    def named(self, name: str, *, replace: bool = False) -> NamedMaker:
        """Makes token objects: no copy, no session object."""
        return InPlace(self._store, self, name, replace)

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
        return place.address._replace(type=place.type).within(self._own_uri())

    def _is_local(self) -> bool:
        return self._offered.quirks.store_is_local

    def _own_uri(self) -> Pkcs11Uri:
        """That of the token, by which its keys are found again."""
        serial = self.token.serial or self._requested.serial
        return replaced(self._requested, token=self.token.label, serial=serial, pin_value=None)

    def _naming(self) -> UriMaker:
        return self._own_uri().naming()

    def openssl(self) -> OpensslProvider:
        load("hwcng.providers.pkcs11.openssl")
        from hwcng.providers.pkcs11.openssl import provider_of

        return provider_of(self._module.path, self._module.reserved, self._requested)

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        if name is None:
            raise not_supported(
                "OpenSSL finds keys of this token by their names: store this one, with key.persist(name)"
            )
        load("hwcng.providers.pkcs11.openssl")
        from hwcng.providers.pkcs11.openssl import key_pem

        return key_pem(self._address_of(name))

    def lend(self) -> object:
        if self.closed:
            raise invalid_handle(f"{self!r} is closed")
        load("hwcng.providers.pkcs11.lending")
        from hwcng.providers.pkcs11.lending import lent

        return lent(self._module, module_search(self._requested.module_path, self._requested.module_name))

    def _examine(self) -> tuple[str, ...]:
        if not self._connection.sees_all():
            # Connects again.
            self._connection.require_alive()
        if self.offers("RNG") is not Support.REFUSED:
            self.random(1)
        left = self._connection.login.tries_left
        return (f"token {self.token.label!r}: {left}",) if left else ()

    def statistics(self) -> Statistics:
        return self._tally.statistics(self._current.idle)

    def require_pin(self, pin: str | bytes) -> None:
        self._current.login.require_same(pin)

    def answers_to(self, uri: ProviderUri) -> bool:
        return isinstance(uri, Pkcs11Uri) and self._found.meant_by(self._module, uri)

    def close(self) -> None:
        with self._connecting.held():
            if not self.closed:
                note("token.closed", token=self.token.label)
            self.closed = True
            self._current.close()


def _effective(spec: SecretSpec, *, open: bool = False, known: bool = False) -> EffectiveLength | None:
    """RC2's, None of any other key."""
    if spec.family is not SecretFamily.RC2:
        return None
    return EffectiveLength(spec.effective_bits or spec.bits, open=open, known=known)
