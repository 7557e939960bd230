"""Private keys under a TPM's storage root key: TPM 2.0 Library, Part 3, sections 14 and 20.

What the host adds around the TPM's commands: RFC 8017 (PSS with other salts, OAEP with a label, PKCS #1 without a hash
of the TPM's), FIPS 186-5 (digests of any length).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NoReturn

from hwcng.arguments import octets
from hwcng.contract import keys
from hwcng.contract.attestation import Origin
from hwcng.contract.material import EcPublicKey, PublicKeyMaterial, RsaPublicKey
from hwcng.contract.specs import (
    DecryptSpec,
    EcdsaSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SignSpec,
)
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError, not_supported
from hwcng.forking import kept_property
from hwcng.hostcrypto import rsa_encodings
from hwcng.providers.tpm2.keys.base import Realm, TpmKey
from hwcng.providers.tpm2.keys.host_secret import HostSecret
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.wire import commands, schemes
from hwcng.providers.tpm2.wire.commands import KeyHandle
from hwcng.providers.tpm2.wire.constants import ALG, HASH_IDS, RC
from hwcng.providers.tpm2.wire.errors import TpmError, decryption_error
from hwcng.providers.tpm2.wire.marshal import u16
from hwcng.providers.tpm2.wire.public_area import parse_public
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["Tpm2PrivateKey"]


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
        self._ecdsa_schemes: dict[int, tuple[int, bytes]] = {}
        self._pss_salt_checked = False

    @kept_property
    def _fixed(self) -> schemes.Fixed:
        """The scheme that the key is held to. Looked at when it is needed: most keys that are opened do one thing."""
        return parse_public(self._held.public).scheme

    def __repr__(self) -> str:
        kind = self.spec.curve or f"RSA {self.spec.bits} bits"
        return f"<Tpm2PrivateKey {kind}{' destroyed' if self._destroyed else ''}>"

    def session_copy(self) -> Tpm2PrivateKey:
        """The same blob as an object of its own."""
        self._check()
        return Tpm2PrivateKey(self._realm, replace(self._held, handle=0), self.spec, self.public, self._origin)

    def sign_digest(self, spec: SignSpec, digest: bytes) -> bytes:
        if not self.spec.usage & Usage.SIGN:
            if self.spec.usage & Usage.ATTEST:
                raise not_supported("the key signs what its TPM states, and nothing else")
            raise not_supported("the key was not made for signing")
        digest = octets(digest, "the digest")
        if isinstance(spec, EcdsaSpec):
            return self._ecdsa(digest)
        if isinstance(spec, (RsaPkcs1SignSpec, RsaPssSpec)):
            return self._rsa_sign(spec, digest)
        raise not_supported(f"a TPM makes no {type(spec).__name__.removesuffix('Spec')} signatures")

    def _ecdsa(self, digest: bytes) -> bytes:
        if not isinstance(self.public, EcPublicKey):
            raise not_supported("ECDSA with an RSA key")
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

        r, s = self._use("ECDSA signing", partial(commands.sign, digest=padded, scheme=scheme, numbers=2))
        # Other TPMs than libtpms may leave leading zeros out.
        return r.rjust(width, b"\0") + s.rjust(width, b"\0")

    def _rsa_sign(self, spec: RsaPkcs1SignSpec | RsaPssSpec, digest: bytes) -> bytes:
        if not isinstance(self.public, RsaPublicKey):
            raise not_supported("RSA with a key on an elliptic curve")
        if spec.hash_name is not None:
            rsa_encodings.hash_of_digest(spec.hash_name, digest)
        algorithm = ALG.RSAPSS if isinstance(spec, RsaPssSpec) else ALG.RSASSA
        schemes.require(self._fixed, algorithm, spec.hash_name)
        if self._native(spec):
            scheme = u16(algorithm) + u16(HASH_IDS[spec.hash_name or ""])
            (number,) = self._use("RSA signing", partial(commands.sign, digest=digest, scheme=scheme, numbers=1))
            signature = number.rjust(self._modulus_size, b"\0")
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
        raise not_supported(
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
            raise not_supported("the key was not made for decryption")
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
            raise not_supported("the key was not made for key agreement")
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
