"""Keys under a TPM's storage root key, and the verbs they serve: TPM 2.0 Library, Part 3, sections 14, 15 and 20.

What the host adds around the TPM's commands: SP 800-38A (chaining over 1,024-byte commands, CFB8), RFC 8017 (PSS with
other salts, OAEP with a label, PKCS #1 without a hash of the TPM's), FIPS 186-5 (digests of any length).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NoReturn, TypeVar

from hwcng.arguments import octets
from hwcng.contract import keys, specs
from hwcng.contract.attestation import Attestation, Origin
from hwcng.contract.material import EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    CmacSpec,
    DecryptSpec,
    EcdsaSpec,
    GmacSpec,
    HkdfSpec,
    MacSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SecretSpec,
    SignSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import hkdf, modes, rsa_encodings
from hwcng.providers.tpm2.attestor import Attestor
from hwcng.providers.tpm2.capabilities import Offers
from hwcng.providers.tpm2.keys.derivation import TpmKeyingMaterial
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.wire import commands, key_file_asn1, schemes
from hwcng.providers.tpm2.wire.commands import KeyHandle
from hwcng.providers.tpm2.wire.constants import ALG, HASH_IDS, RC
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError, decryption_error
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.providers.tpm2.wire.marshal import Reader, u16
from hwcng.providers.tpm2.wire.public_area import parse_public
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["HostSecret", "Realm", "Tpm2PrivateKey", "Tpm2SecretKey", "TpmKey"]

T = TypeVar("T")

_BLOCK = modes.BLOCK
_MODES: Mapping[CipherMode, ALG] = MappingProxyType(
    {CipherMode.ECB: ALG.ECB, CipherMode.CBC: ALG.CBC, CipherMode.CFB128: ALG.CFB}
)


def _unsupported(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_NOT_SUPPORTED, message)


@dataclass(slots=True)
class Realm:
    """What the keys of one provider share. closed: whether the provider, and so every key, has come to its end."""

    connection: Connection
    offers: Offers
    attestor: Attestor
    allow_raw_secret: bool
    closed: bool = False


class TpmKey:
    """What secret and private keys share: the object, the line to its TPM, and an end.

    name: under which it is in the store; a forked child may then use it too.
    """

    def __init__(self, realm: Realm, held: TpmObject, origin: Origin | None) -> None:
        self.name: str | None = None
        self._realm = realm
        self._connection = realm.connection
        self._offers = realm.offers
        self._held = held
        self._origin = origin
        self._generation = realm.connection.generation
        self._destroyed = False

    def _check(self) -> None:
        if self._destroyed or self._realm.closed:
            what = "key is destroyed" if self._destroyed else "provider is closed"
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, f"the {what}")
        if self._generation != self._connection.generation:
            if self.name is not None:
                # Its blob is this process' too; slots and contexts are the parent's.
                self._held = replace(self._held, handle=0, context=None)
                self._generation = self._connection.generation
                return
            raise CngError(
                NTSTATUS.STATUS_INVALID_HANDLE,
                "the key belongs to the process that this one was forked from; make it anew, or load its opaque blob",
            )

    def _use(self, asked: str, work: Callable[[Connection, KeyHandle], T]) -> T:
        self._check()
        return self._connection.use(asked, self._held, work)

    def blob(self) -> tuple[TpmObject, Origin | None]:
        """What is stored of the key."""
        self._check()
        return self._held, self._origin

    def of(self, realm: Realm) -> bool:
        """Whether the key is of that provider's TPM."""
        return self._realm.connection is realm.connection

    def opaque(self) -> bytes:
        """The key as a TSS2 PRIVATE KEY file (PEM): only this TPM can load it. Costs no command."""
        self._check()
        parent = self._connection.storage_root.handle
        return key_file_asn1.build(TssKey(parent, self._held.public, self._held.private, not self._held.auth))

    def attest(self, nonce: bytes) -> Attestation:
        """A statement of the TPM, signed by its attestation key, that this key is in it and how it was made.

        nonce: at most 32 bytes of the verifier's choice. `attest.verify_attestation` checks the statement on any host.
        """
        self._check()
        return self._realm.attestor.attest(self._held, self._origin, nonce)

    def destroy(self) -> None:
        """Frees the key's slot and forgets its blob. A second call does nothing."""
        if self._destroyed:
            return
        self._destroyed = True
        if self._generation == self._connection.generation:
            self._connection.discard(self._held)


class Tpm2SecretKey(TpmKey, keys.SecretKey):
    """An AES, HMAC or AES-CMAC key. On the bus its data is hidden in the connection's session."""

    def __init__(self, realm: Realm, held: TpmObject, spec: SecretSpec, origin: Origin | None = None) -> None:
        super().__init__(realm, held, origin)
        self.spec = spec

    def __repr__(self) -> str:
        state = " destroyed" if self._destroyed else ""
        return f"<Tpm2SecretKey {self.spec.family.value} {self.spec.bits} bits{state}>"

    def encrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        cipher = self._cipher(spec)
        if cipher.mode is CipherMode.CFB8:
            return modes.cfb8_encrypt(self._ecb, cipher.iv, data)
        return self._crypt(cipher, data, decrypt=False)

    def decrypt(self, spec: CipherSpec | AeadSpec, data: bytes) -> bytes:
        cipher = self._cipher(spec)
        if cipher.mode is CipherMode.CFB8:
            return modes.cfb8_decrypt(self._ecb, cipher.iv, data)
        return self._crypt(cipher, data, decrypt=True)

    def _cipher(self, spec: CipherSpec | AeadSpec) -> CipherSpec:
        """`spec`, where this key and this TPM serve it."""
        if self.spec.family is not SecretFamily.AES:
            raise _unsupported(f"encryption with a key made for {self.spec.family.value}: a TPM key has one use")
        if isinstance(spec, AeadSpec) or self._offers.offers("AES", spec.mode.value) is Support.REFUSED:
            raise _unsupported(f"AES-{spec.mode.value}: {self._offers.reason('AES', spec.mode.value)}")
        if len(spec.iv) != (0 if spec.mode is CipherMode.ECB else _BLOCK):
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"AES-{spec.mode.value}: an IV of {len(spec.iv)} bytes")
        return spec

    def _ecb(self, blocks: bytes) -> bytes:
        return self._crypt(CipherSpec(CipherMode.ECB), blocks, decrypt=False)

    def _crypt(self, spec: CipherSpec, data: bytes, *, decrypt: bool) -> bytes:
        mode, iv, data = _MODES[spec.mode], spec.iv, octets(data, "the data")
        if mode is not ALG.CFB and len(data) % _BLOCK:
            raise CngError(
                NTSTATUS.STATUS_INVALID_BUFFER_SIZE, f"AES-{spec.mode.value}: {len(data)} bytes are no whole blocks"
            )
        # A chunk that ends inside a block would spoil the chaining.
        size = self._offers.facts.buffer // _BLOCK * _BLOCK

        def work(connection: Connection, key: KeyHandle) -> bytes:
            output, chain = [], iv
            for start in range(0, len(data), size):
                piece, chain = commands.encrypt_decrypt(
                    connection, key, decrypt, mode, chain, data[start : start + size]
                )
                output.append(piece)
            return b"".join(output)

        return self._use(f"AES-{spec.mode.value} {'de' if decrypt else 'en'}cryption", work)

    def mac(self, spec: MacSpec, data: bytes) -> bytes:
        asked, data = self._require_mac(spec), octets(data, "the data")
        # A key without a hash of its own takes it from the command; a CMAC key has no hash.
        algorithm = HASH_IDS[spec.hash_name] if isinstance(spec, specs.HmacSpec) else ALG.NULL
        size = self._offers.facts.buffer

        def work(connection: Connection, key: KeyHandle) -> bytes:
            if len(data) <= size:
                return commands.mac(connection, key, data, algorithm)
            sequence = commands.mac_start(connection, key, algorithm)
            try:
                last = (len(data) - 1) // size * size
                for start in range(0, last, size):
                    commands.sequence_update(connection, sequence, data[start : start + size])
                return commands.sequence_complete(connection, sequence, data[last:])
            except TpmError:
                _flush_quietly(connection, sequence)
                raise

        return self._use(asked, work)

    def _require_mac(self, spec: MacSpec) -> str:
        if isinstance(spec, GmacSpec):
            raise _unsupported("AES-GMAC: a TPM has no AES-GCM")
        if isinstance(spec, CmacSpec):
            if self.spec.family is not SecretFamily.CMAC:
                raise _unsupported(f"AES-CMAC with a key made for {self.spec.family.value}: a TPM key has one use")
            return "AES-CMAC"
        if self.spec.family is not SecretFamily.HMAC or self.spec.hash_name not in (None, spec.hash_name):
            made_for = self.spec.hash_name or self.spec.family.value
            raise _unsupported(f"HMAC-{spec.hash_name} with a key made for {made_for}: a TPM key has one use")
        if spec.hash_name not in self._offers.facts.hmac:
            raise _unsupported(f"HMAC-{spec.hash_name}: {self._offers.reason(f'HMAC-{spec.hash_name}')}")
        return f"HMAC-{spec.hash_name}"

    def keying_material(self) -> TpmKeyingMaterial:
        if self.spec.family is not SecretFamily.HMAC or self.spec.hash_name is not None:
            raise _unsupported(f"a {self.spec.hash_name or self.spec.family.value} key of a TPM derives no keys")
        return TpmKeyingMaterial(self.mac, self.spec.bits // 8)

    def duplicate(self) -> Tpm2SecretKey:
        """The same blob as an object of its own: it comes and goes without the other."""
        self._check()
        held = replace(self._held, handle=0)
        return Tpm2SecretKey(self._realm, held, self.spec, self._origin)

    def wrap_key(self, key: keys.SecretKey) -> bytes:
        """Raises STATUS_NOT_SUPPORTED: a TPM has no AES key wrap, and its keys have no value that the host may see."""
        raise _unsupported(self._offers.reason("AES", "WRAP"))


class HostSecret(keys.AgreedSecret):
    """Z of a key agreement, in the host's memory: a TPM hands Z out, because it derives nothing from it itself."""

    def __init__(self, value: bytes, allow_raw: bool) -> None:
        self._value: bytearray | None = bytearray(value)
        self._allow_raw = allow_raw
        self.length = len(value)

    def __repr__(self) -> str:
        return f"<HostSecret {self.length} bytes{'' if self._value is not None else ' destroyed'}>"

    def _octets(self) -> bytes:
        if self._value is None:
            raise CngError(NTSTATUS.STATUS_INVALID_HANDLE, "the secret is destroyed")
        return bytes(self._value)

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        return HASHES[hash_name].digest(prefix + self._octets() + suffix)

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return HASHES[hash_name].hmac(self._octets(), data)

    def masked_digest(self, hash_name: str, mask: bytes, suffix: bytes) -> bytes:
        return HASHES[hash_name].digest(modes.xor(self._octets(), mask) + suffix)

    def hmac_of_itself(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        return self.hmac(hash_name, prefix + self._octets() + suffix)

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        value = self._octets()
        size = (len(value) + 1) // 2
        return HASHES[hash_name].hmac(value[-size:] if half else value[:size], data)

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        hash_function, value = HASHES[spec.hash_name], self._octets()
        key = value if spec.salt is None else hash_function.hmac(spec.salt, value)
        return hkdf.hkdf_expand(lambda data: hash_function.hmac(key, data), spec.info, length)

    def raw(self) -> bytes:
        if not self._allow_raw:
            raise _unsupported("the agreed secret is handed out only by a provider opened with allow_raw_secret=True")
        return self._octets()

    def destroy(self) -> None:
        value, self._value = self._value, None
        if value is not None:
            value[:] = bytes(len(value))


class Tpm2PrivateKey(TpmKey, keys.PrivateKey):
    """An RSA or elliptic-curve private key."""

    def __init__(
        self,
        realm: Realm,
        held: TpmObject,
        spec: PairSpec,
        public: PublicKeyMaterial,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(realm, held, origin)
        self.spec = spec
        self.public = public
        self._fixed = parse_public(held.public).scheme
        self._ecdsa_schemes: dict[int, tuple[int, bytes]] = {}
        self._pss_salt_checked = False

    def __repr__(self) -> str:
        kind = self.spec.curve or f"RSA {self.spec.bits} bits"
        return f"<Tpm2PrivateKey {kind}{' destroyed' if self._destroyed else ''}>"

    def session_copy(self) -> Tpm2PrivateKey:
        """The same blob as an object of its own."""
        self._check()
        return Tpm2PrivateKey(self._realm, replace(self._held, handle=0), self.spec, self.public, self._origin)

    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes:
        if not self.spec.usage & Usage.SIGN:
            raise _unsupported("the key was not made for signing")
        digest = octets(digest, "the digest")
        if isinstance(spec, EcdsaSpec):
            return self._ecdsa(digest)
        if isinstance(spec, (RsaPkcs1SignSpec, RsaPssSpec)):
            return self._rsa_sign(spec, digest)
        raise _unsupported(f"a TPM makes no {type(spec).__name__.removesuffix('Spec')} signatures")

    def _ecdsa(self, digest: bytes) -> bytes:
        if not isinstance(self.public, EcPublicKey):
            raise _unsupported("ECDSA with an RSA key")
        width = CURVES[self.public.curve].coordinate_size
        if not digest:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "ECDSA: an empty digest")
        # The signature is of the leftmost bits that the curve has room for (FIPS 186-5, section 6.4.1).
        digest = digest[:width]
        found = self._ecdsa_schemes.get(len(digest))
        size, scheme = found or self._ecdsa_schemes.setdefault(
            len(digest), schemes.ecdsa(self._fixed, len(digest), self._offers.facts.hashes)
        )
        # The TPM wants exactly its hash's length and takes the leftmost bits that the curve has room for.
        # Zeros in front do not change the number that is signed, zeros behind are cut off.
        padded = digest.rjust(min(size, width), b"\0").ljust(size, b"\0")

        def work(connection: Connection, key: KeyHandle) -> bytes:
            return commands.sign(connection, key, padded, scheme)

        reader = Reader(self._use("ECDSA signing", work))
        reader.u32()
        r, s = reader.sized(), reader.sized()
        # Other TPMs than libtpms may leave leading zeros out.
        return r.rjust(width, b"\0") + s.rjust(width, b"\0")

    def _rsa_sign(self, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes) -> bytes:
        if not isinstance(self.public, RsaPublicKey):
            raise _unsupported("RSA with a key on an elliptic curve")
        if spec.hash_name is not None:
            rsa_encodings.hash_of_digest(spec.hash_name, digest)
        algorithm = ALG.RSAPSS if isinstance(spec, RsaPssSpec) else ALG.RSASSA
        schemes.require(self._fixed, algorithm, spec.hash_name)
        if self._native(spec):
            scheme = u16(algorithm) + u16(HASH_IDS[spec.hash_name or ""])

            def work(connection: Connection, key: KeyHandle) -> bytes:
                return commands.sign(connection, key, digest, scheme)

            reader = Reader(self._use("RSA signing", work))
            reader.u32()
            signature = reader.sized().rjust(self._modulus_size, b"\0")
            if not isinstance(spec, RsaPssSpec) or self._salt_is_as_asked(spec, digest, signature):
                return signature
        if not self.spec.usage & Usage.DECRYPT:
            self._refuse_raw(spec)
        return rsa_encodings.rsa_sign(self._raw_rsa, spec, digest, self.spec.bits)

    def _native(self, spec: RsaPkcs1SignSpec | RsaPssSpec) -> bool:
        if spec.hash_name is None or spec.hash_name not in self._offers.facts.hashes:
            return False
        if isinstance(spec, RsaPkcs1SignSpec):
            return True
        size = HASHES[spec.hash_name].digest_size
        return spec.salt_length == size and 2 * size + 2 <= (self.spec.bits + 6) // 8

    def _salt_is_as_asked(self, spec: RsaPssSpec, digest: bytes, signature: bytes) -> bool:
        """TPMs before revision 1.16 take the longest salt there is room for (Part 1, section B.7): looked at once."""
        if not self._pss_salt_checked:
            public = self.public
            if not isinstance(public, RsaPublicKey):
                return False
            number = pow(int.from_bytes(signature, "big"), public.public_exponent, public.modulus)
            encoded = number.to_bytes((self.spec.bits + 6) // 8, "big")
            if not rsa_encodings.emsa_pss_verify(digest, encoded, spec.hash_name, spec.salt_length, self.spec.bits - 1):
                return False
            self._pss_salt_checked = True
        return True

    def _refuse_raw(self, spec: RsaPkcs1SignSpec | RsaPssSpec) -> NoReturn:
        what = (
            f"PSS {spec.hash_name} with a salt of {spec.salt_length} bytes"
            if isinstance(spec, RsaPssSpec)
            else f"PKCS #1 with {spec.hash_name or 'no hash'}"
        )
        raise _unsupported(
            f"RSA {what}: a TPM signs with its own hashes and a salt as long as the digest; "
            "other padding needs a key that may also decrypt (BCRYPT_RSA_ALGORITHM)"
        )

    @property
    def _modulus_size(self) -> int:
        return (self.spec.bits + 7) // 8

    def _raw_rsa(self, block: bytes) -> bytes:
        return self._rsa_primitive(block, u16(ALG.NULL))

    def decrypt(self, spec: DecryptSpec, ciphertext: bytes) -> bytes:
        public = self.public
        if not isinstance(public, RsaPublicKey) or not self.spec.usage & Usage.DECRYPT:
            raise _unsupported("the key was not made for decryption")
        ciphertext = octets(ciphertext, "the ciphertext")
        if self._fixed is not None:
            schemes.require(self._fixed, *_decryption(spec))
        # The TPM would tell a wrong length or a number too large from wrong padding.
        if len(ciphertext) != self._modulus_size or int.from_bytes(ciphertext, "big") >= public.modulus:
            raise decryption_error()
        if isinstance(spec, RsaPkcs1DecryptSpec):
            return self._rsa_primitive(ciphertext, u16(ALG.RSAES))
        # The TPM hashes a label together with a final NUL, which no other implementation does.
        if isinstance(spec, RsaOaepSpec) and not spec.label and spec.hash_name in self._offers.facts.hashes:
            return self._rsa_primitive(ciphertext, u16(ALG.OAEP) + u16(HASH_IDS[spec.hash_name]))
        try:
            return rsa_encodings.rsa_decrypt(self._raw_rsa, spec, ciphertext, self.spec.bits)
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
                raise
        # Raised here, where no other error is at hand to be its context.
        raise decryption_error()

    def _rsa_primitive(self, block: bytes, scheme: bytes) -> bytes:
        def work(connection: Connection, key: KeyHandle) -> bytes | None:
            try:
                return commands.rsa_decrypt(connection, key, block, scheme)
            except TpmError as error:
                # libtpms 0.9 says of wrong padding that the TPM failed; 0.10 and others say VALUE or SIZE.
                if error.code in (RC.VALUE, RC.SIZE) or (error.code == RC.FAILURE and commands.working(connection)):
                    return None
                raise

        output = self._use("RSA decryption", work)
        if output is None:
            raise decryption_error()
        return output

    def agree(self, peer: PublicKeyMaterial) -> HostSecret:
        """Z leaves the TPM, hidden on the bus, into host memory."""
        ours = self.public
        if not isinstance(peer, EcPublicKey) or not isinstance(ours, EcPublicKey) or peer.curve != ours.curve:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the peer's key is not on the same curve")
        if not self.spec.usage & Usage.DERIVE:
            raise _unsupported("the key was not made for key agreement")
        width = CURVES[peer.curve].coordinate_size
        x, y = peer.x.to_bytes(width, "big"), peer.y.to_bytes(width, "big")

        def work(connection: Connection, key: KeyHandle) -> bytes:
            return commands.ecdh_zgen(connection, key, x, y)

        return HostSecret(self._use("key agreement", work).rjust(width, b"\0"), self._realm.allow_raw_secret)


def _decryption(spec: DecryptSpec) -> tuple[ALG, str | None]:
    """What a key without a scheme of its own does for `spec`; NULL is the raw operation."""
    if isinstance(spec, RsaOaepSpec):
        return (ALG.OAEP, spec.hash_name) if not spec.label else (ALG.NULL, None)
    return ALG.RSAES if isinstance(spec, RsaPkcs1DecryptSpec) else ALG.NULL, None


def _flush_quietly(connection: Connection, sequence: KeyHandle) -> None:
    try:
        commands.flush(connection, sequence.handle)
    except (TpmError, TransportError):
        # It went with the reset that made the command fail.
        return
