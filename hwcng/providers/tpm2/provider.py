"""The provider over one TPM 2.0 (TCG TPM 2.0 Library Specification), reached by any TCTI."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from weakref import WeakSet

from hwcng.arguments import octets, string
from hwcng.contract.attestation import Credential, Endorsement, Origin, Quote
from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker, StoringMaker
from hwcng.contract.material import (
    PrivateKeyMaterial,
    PublicKeyMaterial,
)
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.pins import Pin, pin_value
from hwcng.contract.platform import Platform
from hwcng.contract.protection import Protection
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.specs import RFC_3394, PairSpec, SecretSpec, WrapSpec
from hwcng.contract.usage import Support
from hwcng.contract.watching import Statistics
from hwcng.errors import HRESULT, NTSTATUS, CngError, not_supported, told
from hwcng.providers.events import note
from hwcng.providers.pin_sources import read_pin_source
from hwcng.providers.timeouts import timeout_of
from hwcng.providers.tpm2 import openssl, storage_root
from hwcng.providers.tpm2.attestor import Attestor
from hwcng.providers.tpm2.credentials import checked as checked_credential
from hwcng.providers.tpm2.endorsement import Endorsements
from hwcng.providers.tpm2.keys import reloading
from hwcng.providers.tpm2.keys.base import Realm, authority
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.keys.secret import Tpm2SecretKey
from hwcng.providers.tpm2.known import offered
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.diagnosis import counted_failures
from hwcng.providers.tpm2.line.parents import Place, places
from hwcng.providers.tpm2.line.sharing import release, share
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.making import Maker
from hwcng.providers.tpm2.pcrs import checked as checked_pcrs
from hwcng.providers.tpm2.pcrs import read as read_pcrs
from hwcng.providers.tpm2.pinned import Store, default_directory
from hwcng.providers.tpm2.store.named import KeyStore, authorization_value
from hwcng.providers.tpm2.uri import Tpm2Uri
from hwcng.providers.tpm2.wire import commands, key_file_asn1, public_area
from hwcng.providers.tpm2.wire.hmac_session import Parent
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_HANDLE

__all__ = ["Tpm2Provider", "open_uri"]

# Seconds that the TPM may take for a command; no RFC has a name for it.

_RSA_EXPONENT = 65537


def open_uri(uri: Tpm2Uri, *, pin: Pin | None = None, allow_raw_secret: bool = False) -> Tpm2Provider:
    """Opens the TPM that `uri` means, and makes its storage root key where it has none.

    pin: the owner's authorization value, before the URI's owner-auth-source; it is asked for only when the storage root
    key must be made, and tried once. A vendor attribute x-timeout is the number of seconds the TPM may take for a
    command; without it swtpm: and device: may take 120, and 2.5 times that for making a key, libtss2's other TCTIs any.

    Raises CngError: STATUS_NOT_FOUND or STATUS_DEVICE_NOT_CONNECTED (no such TCTI, nothing answers),
    STATUS_INVALID_PARAMETER (malformed), STATUS_WRONG_PASSWORD, STATUS_INVALID_DEVICE_STATE (the storage root key
    changed or is none), STATUS_DISK_FULL, STATUS_IO_TIMEOUT, and whatever else the TPM answers.
    """
    provider = Tpm2Provider(uri, pin, allow_raw_secret)
    token = provider.token
    note(
        "token.opened",
        token=provider.connection.title,
        model=f"{token.manufacturer} {token.model}",
        serial=token.serial,
    )
    return provider


class Tpm2Provider(Provider):
    """A TPM, open. Recovers by itself from a lost line and a reset; in a forked child it connects anew."""

    protects_keys = True

    def __init__(self, uri: Tpm2Uri, pin: Pin | None, allow_raw_secret: bool) -> None:
        self.uri = uri.to_uri()
        self._requested = uri
        self.closed = False
        self._store = Store(Path(uri.store) if uri.store else default_directory(uri.tcti))
        self.connection = share(uri.tcti, timeout_of(uri))
        try:
            with self.connection.adopting():
                self._offers = offered(self.connection, lambda: self._adopt_storage_root(uri, pin))
            # The session is started here, so that no operation pays for it.
            self.connection.perform("starting a session", _start_session)
        except BaseException:
            release(self.connection)
            raise
        self._keys = KeyStore(self._store.directory, self.connection)
        self._opened: WeakSet[Tpm2SecretKey | Tpm2PrivateKey] = WeakSet()
        attestor = Attestor(self.connection, self._store)
        self._realm = Realm(self.connection, self._offers, attestor, allow_raw_secret, self._keys.rewrite)
        self._endorsements = Endorsements(self.connection, self._endorsement_auth)
        self._maker = Maker(self._realm)
        self.token: TokenInfo = self._offers.facts.token

    def __repr__(self) -> str:
        return f"<Tpm2Provider {self.token.manufacturer} {self.token.model!r}{' closed' if self.closed else ''}>"

    # The storage root key.

    def _adopt_storage_root(self, uri: Tpm2Uri, pin: Pin | None) -> bytes:
        """Its name."""
        connection = self.connection
        found = connection.perform("looking for the storage root key", storage_root.read)
        if found is None:
            found = self._made_storage_root(_owner_auth(uri, pin), self._store.pinned_name())
        if found is None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "the TPM did not keep its storage root key")
        parent = public_area.storage_parent(STORAGE_ROOT_HANDLE, found)
        self._store.pin(parent.handle, parent.name)
        connection.adopt(parent, read_pin_source(uri.root_auth_source) if uri.root_auth_source else b"")
        return parent.name

    def _made_storage_root(self, owner_auth: bytes, pinned: bytes | None) -> bytes | None:
        """The public area of a new one. A TPM that was not cleared makes the one that it had, where only that was
        removed; any other is not made where one is remembered.
        """
        try:
            self.connection.perform(
                "making the storage root key", lambda connection: storage_root.make(connection, owner_auth, pinned)
            )
        except CngError as error:
            if pinned is None or error.status is not NTSTATUS.STATUS_WRONG_PASSWORD:
                raise
            raise self._forgotten(f"; whether it was only removed cannot be seen: {error.message}") from None
        found = self.connection.perform("reading the storage root key", storage_root.read)
        if found is None and pinned is not None:
            raise self._forgotten("")
        return found

    def _forgotten(self, more: str) -> CngError:
        return CngError(
            NTSTATUS.STATUS_INVALID_DEVICE_STATE,
            f"the TPM has no storage root key at {STORAGE_ROOT_HANDLE:#x}, but {self._store.root_file} remembers one: "
            "this is another TPM, or it was cleared, and keys made before cannot be used. Remove that file to begin "
            f"again with this TPM, or name another directory with ?store={more}",
        )

    @property
    def _parent(self) -> Parent:
        self._check_open()
        parent = self.connection.parent
        if parent is None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "the TPM has no storage root key")
        return parent

    # What is offered.

    def capabilities(self) -> Capabilities:
        return self._offers.capabilities()

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offers.offers(algorithm, operation)

    # Making keys.

    def random(self, length: int) -> bytes:
        """`length` bytes of the TPM, hidden on the bus, 64 bytes a command."""
        if self._offers.offers("RNG") is Support.REFUSED:
            raise not_supported(f"RNG: {self._offers.reason('RNG')}")
        self._check_open()

        def work(connection: Connection) -> bytes:
            output = b""
            while len(output) < length:
                piece = commands.get_random(connection, min(length - len(output), commands.MAX_RANDOM))
                if not piece:
                    raise MalformedError("no random octets")
                output += piece
            return output

        return self.connection.perform("random bytes", work)

    def _check_open(self) -> None:
        if self.closed:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the provider is closed")

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        return self._maker.generate_secret(spec)

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        return self._maker.import_secret(spec, value)

    def generate_pair(self, spec: PairSpec) -> Tpm2PrivateKey:
        return self._maker.generate_pair(spec)

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> Tpm2PrivateKey:
        return self._maker.import_pair(spec, material)

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        return self._maker.unwrap_secret(spec, wrapping_key, wrapped, wrap)

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> Tpm2PrivateKey:
        return self._maker.unwrap_pair(spec, wrapping_key, wrapped, wrap)

    def protecting(self, protection: Protection, name: str | None = None, *, replace: bool = False) -> KeyMaker:
        """The TPM counts wrong PINs, and locks such keys after some."""
        maker = Maker(self._realm, protection)
        return maker if name is None else StoringMaker(self, name, replace, maker)

    # Keys as files.

    def reload_opaque(self, blob: bytes | str, *, pin: str | bytes | None = None) -> SecretKey | Tpm2PrivateKey:
        """A TSS2 PRIVATE KEY file (PEM or DER), of the store or of another maker, loadable or importable.

        Its parent is a persistent storage key, or a primary key of the owner's hierarchy that is made for the call.

        pin: the key's authorization value, used whatever the file says of it; "" is an empty one. Needed where the file
        does not say that it is empty. A wrong one is noticed at the first use, and tried once.

        Raises STATUS_INVALID_PARAMETER for anything that this TPM cannot load; STATUS_WRONG_PASSWORD for a missing PIN.
        """
        parent, file = self._parent, key_file_asn1.parse(blob)
        auth = authorization_value(file, pin, "this key")
        return self._key(*reloading.reloaded(self.connection, file, auth, self._places(file, parent)))

    def _places(self, file: TssKey, parent: Parent) -> tuple[Place | None, ...]:
        return places(file.parent, file.rsa_parent, parent.handle, self._owner_auth)

    def _key(
        self,
        held: TpmObject,
        spec: SecretSpec | PairSpec,
        public: PublicKeyMaterial | None,
        origin: Origin | None = None,
    ) -> Tpm2SecretKey | Tpm2PrivateKey:
        if isinstance(spec, SecretSpec):
            return Tpm2SecretKey(self._realm, held, spec, origin)
        if public is None:
            raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "a pair without its public half")
        return Tpm2PrivateKey(self._realm, held, spec, public, origin)

    # Named keys.

    def persist_key(
        self, key: SecretKey | PrivateKey, name: str, *, replace: bool = False
    ) -> Tpm2SecretKey | Tpm2PrivateKey:
        """Writes the key's blob to the store. An object that a replaced key had at a persistent handle is removed.

        A key that the TPM does not load then, because it is gone, is not kept, unless another gave way to it.
        """
        parent = self._parent
        if not isinstance(key, (Tpm2SecretKey, Tpm2PrivateKey)) or not key.of(self._realm):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is of another provider")
        gives_way = replace and self._keys.has(name)
        for file in self._keys.persist(key, name, parent, replace):
            self._keys.clean(file, self._owner_auth)
        held = key.blob()[0]
        try:
            return self.open_key(name, pin=held.auth)
        except CngError as error:
            if not gives_way:
                self._keys.withdraw(name, held)
                raise
            message = f"{error.message}; the key is stored as {told(name)}"
            raise CngError(error.status, message, error.token_code) from error

    def open_key(self, name: str, *, pin: str | bytes | None = None) -> Tpm2SecretKey | Tpm2PrivateKey:
        """pin: the key's authorization value, for keys that need one; "" is an empty one. A wrong one is noticed at the
        first use, and tried once.

        An open key stays usable where another process deletes or replaces it. name "handle:0x81010005" means the object
        at that persistent handle, whoever put it there, unless the store has a key of that name.
        """
        parent, handle = self._parent, self._handle(name)
        if handle is not None:
            auth = pin_value(pin) if pin is not None else b""
            key = self._key(*reloading.at_handle(self.connection, handle, auth))
        else:
            key = self._stored_key(name, parent, pin)
        key.name = name
        self._opened.add(key)
        return key

    def _handle(self, name: str) -> int | None:
        """The persistent handle that a name means which no key of the store has."""
        handle = reloading.handle_in(name) if str(name).startswith(reloading.HANDLE) else None
        return None if handle is None or self._keys.has(name) else handle

    def _stored_key(self, name: str, parent: Parent, pin: str | bytes | None) -> Tpm2SecretKey | Tpm2PrivateKey:
        opened = self._keys.open(name, parent, pin)
        held = opened.held
        try:
            if not held.handle:
                where = (held.place,) if held.place is not None else self._places(opened.file.key, parent)
                reloading.load(self.connection, held, where)
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
                raise
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD, f"the TPM does not load the key named {name!r}: its file is damaged"
            ) from error
        return self._key(held, opened.spec, opened.public, opened.file.origin)

    def list_keys(self) -> Iterator[KeyRecord]:
        """The keys of the store, which cost no command, then those at persistent handles that are not of the store, a
        command for each. Files that are damaged or foreign are left out, and objects that do nothing for a program:
        storage and endorsement keys.
        """
        self._check_open()
        known: set[bytes] = set()
        for record, object_name in self._keys.list_keys():
            known.add(object_name)
            yield replaced(record, uri=self._uri_of(record.name))
        for handle, spec in reloading.at_handles(self.connection, known):
            name = f"{reloading.HANDLE}{handle:#x}"
            # A key of the store that has such a name is what the name means.
            if not self._keys.has(name):
                yield KeyRecord(name, spec, uri=self.key_uri(name))

    def delete_key(self, name: str) -> None:
        """Removes the file, even one that is damaged, and the object at a persistent handle; open keys of it end."""
        self._check_open()
        if (handle := self._handle(name)) is not None:
            raise not_supported(
                f"the key at {handle:#x} is not of the store: who put it there removes it, by "
                f"tpm2_evictcontrol -c {handle:#x}"
            )
        self._keys.delete(name, self._owner_auth)
        for key in list(self._opened):
            if key.name == name:
                key.destroy()

    def make_persistent(self, name: str, handle: int | None = None) -> int:
        """Keeps a named key in the TPM's own memory too, for software that has no access to the store.

        handle: 0x81020000 to 0x817fffff, None: the first that is free. Needs the owner's authorization value, from the
        URI's owner-auth-source. The TPM has room for few. `delete_key` removes the object. Returns the handle.

        Raises NTE_BAD_KEYSET, NTE_EXISTS (the handle is taken, or the key has another), NTE_INVALID_PARAMETER.
        """
        opened = self._keys.open(name, self._parent, "")
        return self._keys.make_persistent(name, opened, handle, self._owner_auth)

    def certificates(self, name: str) -> list[bytes]:
        self._check_open()
        return self._keys.certificates(name)

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        self._check_open()
        self._keys.store_certificates(name, certificates)

    def key_uri(self, name: str) -> str:
        """Names the store by its path. Raises NTE_BAD_KEYSET where there is no such key."""
        if (handle := self._handle(name)) is not None:
            return replaced(self._requested, object=None, handle=f"{handle:#x}").to_uri()
        self._keys.require(name)
        return self._uri_of(name)

    def _uri_of(self, name: str) -> str:
        store = str(self._store.directory.absolute())
        return replaced(self._requested, store=store, object=name, handle=None).to_uri()

    def openssl(self) -> OpensslProvider:
        return openssl.provider_of(self._requested.tcti or "")

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        if isinstance(key, Tpm2PrivateKey) and (handle := key.blob()[0].fixed):
            raise openssl.no_file_of(handle)
        return key.opaque().decode("ascii")

    # The platform.

    def platform(self) -> Platform:
        return self._offers.facts.platform

    def storage_root(self) -> PublicKeyMaterial:
        return self._parent.public

    def pcr_values(self, pcrs: Collection[int], bank: str = "SHA256") -> dict[int, bytes]:
        self._check_open()
        wanted, name = checked_pcrs(pcrs, bank)
        return self.connection.perform("reading PCRs", lambda connection: read_pcrs(connection, name, wanted))

    def quote(
        self, pcrs: Collection[int], nonce: bytes, bank: str = "SHA256", *, by: PrivateKey | None = None
    ) -> Quote:
        """Two commands for up to eight PCRs, when the attestation key is at hand. Raises STATUS_RETRY where PCRs change
        all the time.
        """
        self._check_open()
        return self._realm.attestor.quote(*checked_pcrs(pcrs, bank), nonce, authority(by, self._realm))

    def endorsement(self, kind: str | None = None) -> Endorsement:
        """A key that is at no persistent handle is made for the while, with the endorsement hierarchy's
        authorization.
        """
        self._check_open()
        return self._endorsements.read(None if kind is None else string(kind, "kind"))

    def attestation_key(self) -> bytes:
        self._check_open()
        return self._realm.attestor.signer_public()

    def activate_credential(
        self,
        credential: Credential,
        *,
        key: PrivateKey | SecretKey | None = None,
        endorsement: Endorsement | None = None,
    ) -> bytes:
        """The endorsement hierarchy's authorization value is sent where the endorsement key asks for it, once."""
        self._check_open()
        held = None
        if key is not None:
            if not isinstance(key, (Tpm2SecretKey, Tpm2PrivateKey)) or not key.of(self._realm):
                raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is of another provider")
            held = key.blob()[0]
        public = None if endorsement is None else octets(endorsement.public, "public of the endorsement")
        return self._realm.attestor.activate(checked_credential(credential), held, self._endorsements, public)

    def _examine(self) -> tuple[str, ...]:
        self.random(1)
        counted = self.connection.perform("asking for the wrong PINs counted", counted_failures)
        return (counted,) if counted else ()

    def statistics(self) -> Statistics:
        return self.connection.tally.statistics(len(self.connection.cache))

    def _endorsement_auth(self) -> bytes:
        source = self._requested.endorsement_auth_source
        return read_pin_source(source) if source else b""

    def _owner_auth(self) -> bytes:
        return _owner_auth(self._requested, None)

    def close(self) -> None:
        """Frees slots and session where no other provider of this process uses the TPM. A second call does nothing."""
        if not self.closed:
            note("token.closed", token=self.connection.title)
            self.closed = self._realm.closed = True
            release(self.connection)


def _owner_auth(uri: Tpm2Uri, pin: Pin | None) -> bytes:
    """Not kept: it is needed once in a TPM's life."""
    value = pin() if callable(pin) else pin
    if value is None:
        return read_pin_source(uri.owner_auth_source) if uri.owner_auth_source else b""
    return pin_value(value)


def _start_session(connection: Connection) -> None:
    if connection.encrypted and connection.session is None:
        raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "no session")
