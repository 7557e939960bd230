"""The provider over one TPM 2.0 (TCG TPM 2.0 Library Specification), reached by any TCTI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from weakref import WeakSet

from hwcng.arguments import octets
from hwcng.contract.attestation import Origin
from hwcng.contract.capabilities import Capabilities, TokenInfo
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import (
    EcPrivateKey,
    EcPublicKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
    RsaPrivateKey,
    RsaPublicKey,
)
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.tpm2 import openssl
from hwcng.providers.tpm2.attestor import Attestor
from hwcng.providers.tpm2.capabilities import Facts, Offers, probe
from hwcng.providers.tpm2.keys import importing
from hwcng.providers.tpm2.keys.private import Realm, Tpm2PrivateKey, Tpm2SecretKey
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.sharing import release, share
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.line.transport import DEFAULT_TIMEOUT
from hwcng.providers.tpm2.pinned import Store, default_directory
from hwcng.providers.tpm2.statements import parent_of
from hwcng.providers.tpm2.store.named import KeyStore, authorization_value
from hwcng.providers.tpm2.wire import commands, key_file_asn1, public_area
from hwcng.providers.tpm2.wire.commands import Created
from hwcng.providers.tpm2.wire.constants import RC, RH
from hwcng.providers.tpm2.wire.errors import TpmError, root_is_another
from hwcng.providers.tpm2.wire.hmac_session import Parent
from hwcng.providers.tpm2.wire.marshal import MalformedError
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_HANDLE, STORAGE_ROOT_KEY, name_of, parse_public, spec_of
from hwcng.providers.uri import Pin, Tpm2Uri, pin_value, read_pin_source
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["Tpm2Provider", "open_uri"]

# Seconds that the TPM may take for a command; no RFC has a name for it.
TIMEOUT_ATTRIBUTE = "x-timeout"

_RSA_EXPONENT = 65537


def open_uri(uri: Tpm2Uri, *, pin: Pin | None = None, allow_raw_secret: bool = False) -> Tpm2Provider:
    """Opens the TPM that `uri` means, and makes its storage root key where it has none.

    pin: the owner's authorization value, before the URI's owner-auth-source; it is asked for only when the storage root
    key must be made, and tried once. A vendor attribute x-timeout is the number of seconds the TPM may take for a
    command, 120 by default and 2.5 times that for making a key; it holds for swtpm: and device:, while libtss2's other
    TCTIs cannot be interrupted.

    Raises CngError: STATUS_NOT_FOUND or STATUS_DEVICE_NOT_CONNECTED (no such TCTI, nothing answers),
    STATUS_INVALID_PARAMETER (malformed), STATUS_WRONG_PASSWORD, STATUS_INVALID_DEVICE_STATE (the storage root key
    changed or is none), STATUS_DISK_FULL, and whatever else the TPM answers.
    """
    return Tpm2Provider(uri, pin, allow_raw_secret)


class Tpm2Provider(Provider):
    """A TPM, open. Recovers by itself from a lost line and a reset; in a forked child it connects anew."""

    def __init__(self, uri: Tpm2Uri, pin: Pin | None, allow_raw_secret: bool) -> None:
        self.uri = uri.to_uri()
        self._requested = uri
        self.closed = False
        self._store = Store(Path(uri.store) if uri.store else default_directory(uri.tcti))
        self.connection = share(uri.tcti, _timeout(uri))
        try:
            with self.connection.adopting():
                self._offers = Offers(self.connection.perform("opening the TPM", _probe))
                self._adopt_storage_root(uri, pin)
            # The session is started here, so that no operation pays for it.
            self.connection.perform("starting a session", _start_session)
        except BaseException:
            release(self.connection)
            raise
        self._keys = KeyStore(self._store.directory, self.connection)
        self._opened: WeakSet[Tpm2SecretKey | Tpm2PrivateKey] = WeakSet()
        attestor = Attestor(self.connection, self._store)
        self._realm = Realm(self.connection, self._offers, attestor, allow_raw_secret)
        self.token: TokenInfo = self._offers.facts.token

    def __repr__(self) -> str:
        return f"<Tpm2Provider {self.token.manufacturer} {self.token.model!r}{' closed' if self.closed else ''}>"

    # The storage root key.

    def _adopt_storage_root(self, uri: Tpm2Uri, pin: Pin | None) -> None:
        connection = self.connection
        found = connection.perform("looking for the storage root key", _read_storage_root)
        if found is None:
            found = self._made_storage_root(_owner_auth(uri, pin), self._store.pinned_name())
        if found is None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "the TPM did not keep its storage root key")
        parent = public_area.storage_parent(STORAGE_ROOT_HANDLE, found)
        self._store.pin(parent.handle, parent.name)
        connection.adopt(parent)

    def _made_storage_root(self, owner_auth: bytes, pinned: bytes | None) -> bytes | None:
        """The public area of a new one. A TPM that was not cleared makes the one that it had, where only that was
        removed; any other is not made where one is remembered.
        """
        try:
            self.connection.perform(
                "making the storage root key", lambda connection: _make_storage_root(connection, owner_auth, pinned)
            )
        except CngError as error:
            if pinned is None or error.status is not NTSTATUS.STATUS_WRONG_PASSWORD:
                raise
            raise self._forgotten(f"; whether it was only removed cannot be seen: {error.message}") from None
        found = self.connection.perform("reading the storage root key", _read_storage_root)
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
        if self.closed:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the provider is closed")
        if self.connection.parent is None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "the TPM has no storage root key")
        return self.connection.parent

    # What is offered.

    def capabilities(self) -> Capabilities:
        return self._offers.capabilities()

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self._offers.offers(algorithm, operation)

    def _require(self, algorithm: str, operation: str | None = None) -> None:
        if self._offers.offers(algorithm, operation) is Support.REFUSED:
            reason = self._offers.reason(algorithm, operation)
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{algorithm} {operation or ''}".rstrip() + f": {reason}")

    def _require_secret(self, spec: SecretSpec) -> None:
        if spec.family is SecretFamily.HMAC:
            if spec.hash_name is not None:
                self._require(f"HMAC-{spec.hash_name}")
            return
        self._require(spec.family.value)
        if spec.family is SecretFamily.AES and not spec.usage & (Usage.ENCRYPT | Usage.DECRYPT):
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "a TPM's AES keys encrypt or decrypt data, nothing else")
        if spec.bits not in self._offers.facts.aes_bits:
            lengths = ", ".join(map(str, self._offers.facts.aes_bits))
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED, f"the TPM takes AES keys of {lengths} bits, not of {spec.bits}"
            )

    def _require_pair(self, spec: PairSpec) -> None:
        if spec.kind not in ("EC", "RSA"):
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"a TPM has no {spec.kind} keys")
        if not spec.usage & (Usage.DERIVE | Usage.SIGN if spec.kind == "EC" else Usage.DECRYPT | Usage.SIGN):
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"{_pair_name(spec)} without a use that a TPM has")
        if spec.kind == "EC":
            self._require("ECDH" if spec.usage & Usage.DERIVE else "ECDSA", spec.curve)
            return
        self._require("RSA")
        if spec.bits not in self._offers.facts.rsa_bits:
            lengths = ", ".join(map(str, self._offers.facts.rsa_bits))
            raise CngError(
                NTSTATUS.STATUS_NOT_SUPPORTED, f"the TPM takes RSA keys of {lengths} bits, not of {spec.bits}"
            )

    # Making keys.

    def random(self, length: int) -> bytes:
        """`length` bytes of the TPM, hidden on the bus, 64 bytes a command."""
        self._require("RNG")
        self._check_open()

        def work(connection: Connection) -> bytes:
            output = bytearray()
            while len(output) < length:
                piece = commands.get_random(connection, min(length - len(output), commands.MAX_RANDOM))
                if not piece:
                    raise MalformedError("no random octets")
                output += piece
            return bytes(output)

        return self.connection.perform("random bytes", work)

    def _check_open(self) -> None:
        if self.closed:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the provider is closed")

    def _create(self, asked: str, template: bytes, value: bytes = b"") -> tuple[TpmObject, Origin]:
        self._check_open()

        def work(connection: Connection) -> Created:
            # The parent at work takes a slot, and the new key one.
            connection.cache.make_room(connection, 1)
            made = commands.create(connection, connection.storage_root, template, value)
            if parent_of(made.creation_data) != connection.storage_root.name:
                raise CngError(
                    NTSTATUS.STATUS_INVALID_DEVICE_STATE, f"{asked}: {root_is_another(connection.storage_root.handle)}"
                )
            return made

        made = self.connection.perform(asked, work)
        held = TpmObject(made.public, made.private, name_of(made.public))
        return held, Origin(made.creation_data, made.creation_hash, made.ticket)

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        """Raises STATUS_NOT_SUPPORTED also for HMAC keys of another length than the hash's: a TPM makes only those."""
        self._require_secret(spec)
        if spec.family is SecretFamily.HMAC:
            own = 8 * HASHES[spec.hash_name].digest_size if spec.hash_name else 0
            if spec.bits != own:
                raise CngError(
                    NTSTATUS.STATUS_NOT_SUPPORTED,
                    f"a TPM makes HMAC keys as long as the digest, {own} bits for {spec.hash_name}, not of {spec.bits}"
                    if own
                    else "a TPM makes HMAC keys only for one hash, which must be named",
                )
        asked = f"generating a {spec.bits}-bit {spec.family.value} key"
        held, origin = self._create(asked, public_area.secret_template(spec, imported=False))
        return Tpm2SecretKey(self._realm, held, spec, origin)

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        """The value goes hidden into TPM2_Create; from then on the key is fixed to the TPM."""
        self._require_secret(spec)
        value = octets(value, "the key")
        if spec.family is SecretFamily.HMAC:
            value = self._hmac_value(spec, value)
        elif 8 * len(value) != spec.bits:
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER,
                f"{len(value)} bytes are no {spec.family.value} key of {spec.bits} bits",
            )
        asked = f"importing a {spec.bits}-bit {spec.family.value} key"
        held, origin = self._create(asked, public_area.secret_template(spec, imported=True), value)
        return Tpm2SecretKey(self._realm, held, spec, origin)

    @staticmethod
    def _hmac_value(spec: SecretSpec, value: bytes) -> bytes:
        """The same HMAC key (RFC 2104, section 2) in a length that a TPM takes: 1 byte to a block."""
        hash_function = HASHES[spec.hash_name] if spec.hash_name else None
        longest = hash_function.block_size if hash_function else 64
        if len(value) > longest:
            if hash_function is None:
                raise CngError(
                    NTSTATUS.STATUS_NOT_SUPPORTED, f"an HMAC key for any hash has at most {longest} bytes in a TPM"
                )
            value = hash_function.digest(value)
        # Without octets TPM2_Create would make a key of its own; HMAC pads with zeros anyway.
        return value or b"\0"

    def unwrap_secret(self, spec: SecretSpec, wrapping_key: SecretKey, wrapped: bytes) -> SecretKey:
        """Raises STATUS_NOT_SUPPORTED: a TPM has no AES key wrap."""
        raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, self._offers.reason("AES", "WRAP"))

    def generate_pair(self, spec: PairSpec) -> Tpm2PrivateKey:
        self._require_pair(spec)
        held, origin = self._create(f"generating {_pair_name(spec)}", public_area.pair_template(spec))
        public = parse_public(held.public).material
        if public is None:
            raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "the TPM made a key without a public half")
        return self._private(held, spec, public, origin)

    def _private(
        self, held: TpmObject, spec: PairSpec, public: PublicKeyMaterial, origin: Origin | None = None
    ) -> Tpm2PrivateKey:
        return Tpm2PrivateKey(self._realm, held, spec, public, origin)

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> Tpm2PrivateKey:
        """The key goes encrypted to the storage root key into TPM2_Import; a TPM never calls such a key fixed to it."""
        self._require_pair(spec)
        parent, public = self._parent, material.public
        if not isinstance(material, (EcPrivateKey, RsaPrivateKey)):
            raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, f"a TPM has no {spec.kind} keys")
        if isinstance(material, EcPrivateKey):
            fits = spec.kind == "EC" and material.public.curve == spec.curve
            fits = fits and 0 < material.scalar < 1 << CURVES[spec.curve].bits
        else:
            fits = spec.kind == "RSA" and material.modulus.bit_length() == spec.bits
            if material.public_exponent != _RSA_EXPONENT:
                raise CngError(
                    NTSTATUS.STATUS_NOT_SUPPORTED,
                    f"the TPM takes RSA keys with exponent {_RSA_EXPONENT}, not {material.public_exponent}",
                )
            # A TPM keeps one prime of half the modulus' length and works the other out.
            fits = fits and material.prime1.bit_length() == spec.bits // 2
        if not fits:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"the numbers are not those of {_pair_name(spec)}")
        template = public_area.pair_template(spec, public)
        name = name_of(template)
        duplicate, seed = importing.duplicate(parent, name, material)

        def work(connection: Connection) -> bytes:
            connection.cache.make_room(connection, 1)
            return commands.import_duplicate(connection, connection.storage_root, template, duplicate, seed)

        private = self.connection.perform(f"importing {_pair_name(spec)}", work)
        return self._private(TpmObject(template, private, name), spec, public)

    # Keys as files.

    def reload_opaque(self, blob: bytes | str, *, pin: str | bytes | None = None) -> SecretKey | Tpm2PrivateKey:
        """A TSS2 PRIVATE KEY file (PEM or DER), of the store or of another maker, whose parent is the storage root key.

        pin: the key's authorization value, used whatever the file says of it; "" is an empty one. Needed where the file
        does not say that it is empty. A wrong one is noticed at the first use, and tried once.

        Raises STATUS_INVALID_PARAMETER for anything that this TPM cannot load; STATUS_WRONG_PASSWORD for a missing PIN.
        """
        parent, file = self._parent, key_file_asn1.parse(blob)
        auth = authorization_value(file, pin, "this key needs a PIN: reload_opaque(blob, pin=...)")
        if file.parent != parent.handle:
            # The oldest files say 0 for the owner's hierarchy.
            in_hierarchy = file.parent in (0, RH.OWNER)
            hint = " (make it with openssl genpkey -pkeyopt parent:0x81000001)" if in_hierarchy else ""
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER,
                f"the key's parent is {file.parent:#x}, not the storage root key at {parent.handle:#x}{hint}",
            )
        try:
            public = parse_public(file.public)
            spec, name = spec_of(public), name_of(file.public)
        except (MalformedError, ValueError):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the blob holds no key that is served") from None
        held = TpmObject(file.public, file.private, name, auth)
        self.connection.perform("loading the key", lambda connection: connection.cache.load(connection, held))
        if isinstance(spec, SecretSpec):
            return Tpm2SecretKey(self._realm, held, spec)
        if not isinstance(public.material, (RsaPublicKey, EcPublicKey)):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the blob has no public key")
        return self._private(held, spec, public.material)

    # Named keys.

    def persist_key(
        self, key: SecretKey | PrivateKey, name: str, *, replace: bool = False
    ) -> Tpm2SecretKey | Tpm2PrivateKey:
        """Writes the key's blob to the store. An object that a replaced key had at a persistent handle is removed."""
        parent = self._parent
        if not isinstance(key, (Tpm2SecretKey, Tpm2PrivateKey)) or not key.of(self._realm):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the key is of another provider")
        for file in self._keys.persist(key, name, parent, replace):
            self._keys.clean(file, self._owner_auth)
        return self.open_key(name, pin=key.blob()[0].auth)

    def open_key(self, name: str, *, pin: str | bytes | None = None) -> Tpm2SecretKey | Tpm2PrivateKey:
        """pin: the key's authorization value, for keys that need one; "" is an empty one. A wrong one is noticed at the
        first use, and tried once.

        An open key stays usable where another process deletes or replaces it.
        """
        opened = self._keys.open(name, self._parent, pin)
        held, spec = opened.held, opened.spec
        try:
            self.connection.perform("loading the key", lambda connection: connection.cache.load(connection, held))
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
                raise
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD, f"the TPM does not load the key named {name!r}: its file is damaged"
            ) from error
        key: Tpm2SecretKey | Tpm2PrivateKey
        if isinstance(spec, SecretSpec):
            key = Tpm2SecretKey(self._realm, held, spec, opened.file.origin)
        elif opened.public is not None:
            key = Tpm2PrivateKey(self._realm, held, spec, opened.public, opened.file.origin)
        else:
            raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "a pair without its public half")
        key.name = name
        self._opened.add(key)
        return key

    def list_keys(self) -> Iterator[KeyRecord]:
        """Costs no command. Files that are damaged or foreign are left out."""
        return self._keys.list_keys()

    def delete_key(self, name: str) -> None:
        """Removes the file, even one that is damaged, and the object at a persistent handle; open keys of it end."""
        self._check_open()
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
        return self._keys.certificates(name)

    def store_certificates(self, name: str, certificates: Sequence[bytes]) -> None:
        self._keys.store_certificates(name, certificates)

    def key_uri(self, name: str) -> str:
        """Names the store by its path. Raises NTE_BAD_KEYSET where there is no such key."""
        self._keys.require(name)
        store = str(self._store.directory.absolute())
        return replaced(self._requested, store=store, object=name).to_uri()

    def openssl(self) -> OpensslProvider:
        return openssl.provider_of(self._requested.tcti or "")

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        return key.opaque().decode("ascii")

    def _owner_auth(self) -> bytes:
        return _owner_auth(self._requested, None)

    def close(self) -> None:
        """Frees slots and session where no other provider of this process uses the TPM. A second call does nothing."""
        if not self.closed:
            self.closed = self._realm.closed = True
            release(self.connection)


def _owner_auth(uri: Tpm2Uri, pin: Pin | None) -> bytes:
    """Not kept: it is needed once in a TPM's life."""
    value = pin() if callable(pin) else pin
    if value is None:
        return read_pin_source(uri.owner_auth_source) if uri.owner_auth_source else b""
    return pin_value(value)


def _probe(connection: Connection) -> Facts:
    return connection.esys(probe)


def _start_session(connection: Connection) -> None:
    if connection.encrypted and connection.session is None:
        raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "no session")


def _read_storage_root(connection: Connection) -> bytes | None:
    try:
        return commands.read_public(connection, STORAGE_ROOT_HANDLE)[0]
    except TpmError as error:
        if error.code == RC.HANDLE:
            return None
        raise


def _make_storage_root(connection: Connection, owner_auth: bytes, name: bytes | None) -> None:
    """name: of the only one that is wanted."""
    try:
        connection.esys(lambda esys: esys.persist_primary(STORAGE_ROOT_KEY, STORAGE_ROOT_HANDLE, owner_auth, name))
    except TpmError as error:
        # Another process was faster, or we were before the line broke.
        if error.code != RC.NV_DEFINED:
            raise


def _pair_name(spec: PairSpec) -> str:
    return f"a {spec.bits}-bit RSA pair" if spec.kind == "RSA" else f"a pair on {spec.curve}"


def _timeout(uri: Tpm2Uri) -> float:
    text = uri.vendor_query.get(TIMEOUT_ATTRIBUTE)
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        timeout = float(text)
    except ValueError:
        timeout = 0.0
    if not 0 < timeout < 1e6:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"attribute {TIMEOUT_ATTRIBUTE} is a number of seconds")
    return timeout
