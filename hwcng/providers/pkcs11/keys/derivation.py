"""Values in a PKCS#11 token that keys are derived from: digested, keying HMACs, halved and derived from inside.

Mechanisms: OASIS PKCS#11 3.2, sections 6.20 (HMAC, digests and key derivation by them), 6.42 (SP 800-108), 6.43 (simple
derivations) and 6.62 (HKDF). HKDF's expansion is HMAC by HMAC (RFC 5869, section 2.3), because a token turns a
sensitive key into sensitive ones only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from pkcs11 import Attribute, Mechanism

from hwcng.contract import keys
from hwcng.contract.keys import SecretKey
from hwcng.contract.specs import CounterKdfSpec, DigestKdfSpec, HkdfSpec, KdfSpec, SecretSpec
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import hkdf
from hwcng.providers.pkcs11 import mechanisms, objects, templates
from hwcng.providers.pkcs11.capabilities import MechanismSet
from hwcng.providers.pkcs11.connection import Session
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.families import derivations
from hwcng.providers.pkcs11.families.secret import SECRET_KINDS
from hwcng.providers.pkcs11.keys.base import HeldObject, TokenKey, not_supported
from hwcng.providers.pkcs11.mechanisms import MechanismCall
from hwcng.providers.pkcs11.objects import SessionObject
from hwcng.providers.pkcs11.operations import Operation
from hwcng.standards.hashes import HASHES

__all__ = ["KeyMaker", "Pkcs11KeyingMaterial"]

KeyMaker: TypeAlias = Callable[[SessionObject, MechanismSet, SecretSpec], SecretKey]
"""What makes a secret key of a derived object."""


class Pkcs11KeyingMaterial(TokenKey, keys.KeyingMaterial):
    """length: bytes of the value. readable: whether what is derived from it to be used again may be read."""

    noun = "a base key"

    def __init__(
        self, held: HeldObject, offered: MechanismSet, length: int, readable: bool, make_key: KeyMaker
    ) -> None:
        super().__init__(held, offered)
        self._make_key = make_key
        self.length = length
        self.readable = readable

    def _require(self, mechanism: int, what: str) -> None:
        if not self.offered.has(mechanism):
            raise not_supported(f"token {self.connection.token_name!r} has no {what}")

    def digest(self, hash_name: str, prefix: bytes, suffix: bytes) -> bytes:
        # opencryptoki 3.8 digests no empty secret, of which there is nothing to digest.
        return self._digest(hash_name, prefix, self.held if self.length else b"", suffix)

    def _digest(self, hash_name: str, *parts: bytes | HeldObject) -> bytes:
        """Of data and keys, one behind the other."""
        mechanism = mechanisms.DIGEST_MECHANISMS[hash_name]
        self._require(mechanism, hash_name)
        connection, cryptoki = self.connection, self.connection.cryptoki
        room = HASHES[hash_name].digest_size

        def calls(session: Session) -> int:
            handle = session.handle
            rv = cryptoki.C_DigestInit(handle, structure)
            for part in parts:
                if rv or not part:
                    continue
                if isinstance(part, bytes):
                    rv = cryptoki.C_DigestUpdate(handle, part, len(part))
                else:
                    rv = cryptoki.C_DigestKey(handle, part.handle)
            return rv or cryptoki.C_DigestFinal(handle, output, length)

        structure = mechanisms.call(mechanism).structure
        output, length = ffi.new("unsigned char[]", room), ffi.new("CK_ULONG *", room)
        if (rv := connection.perform(calls, self.held.handle)) != CKR.OK:
            raise connection.error(rv, f"the {hash_name} digest of {self.noun} failed")
        return bytes(ffi.buffer(output, length[0]))

    def masked_digest(self, hash_name: str, mask: bytes, suffix: bytes) -> bytes:
        if not any(mask):
            filled = self._stored_length() - self.length
            if suffix[:filled] == bytes(filled):
                return self.digest(hash_name, b"", suffix[filled:])
        with self._masked(mask) as key:
            return self._digest(hash_name, key, suffix)

    def _stored_length(self) -> int:
        """Bytes of the token's object, which of an HMAC key that is short are more: zeros fill it up."""
        said = objects.read_attributes(self.connection, self.held.handle, [Attribute.VALUE_LEN], 8)
        stored = said[Attribute.VALUE_LEN]
        return self.length if stored is None else int.from_bytes(stored, sys.byteorder)

    @contextmanager
    def _masked(self, mask: bytes) -> Iterator[HeldObject]:
        """The value with a mask over it, in the token."""
        mechanism = int(Mechanism.XOR_BASE_AND_DATA)
        self._require(mechanism, f"CKM_XOR_BASE_AND_DATA, which masks {self.noun} for HMAC")
        call = derivations.string_data(mechanism, mask)
        template = templates.agreed_secret(self.length, self.readable)
        key = objects.derive(self.connection, call, self.held.handle, template, f"masking {self.noun}")
        try:
            yield key
        finally:
            key.release()

    def hmac(self, hash_name: str, data: bytes) -> bytes:
        return self._hmac(self.held, hash_name, data)

    def _hmac(self, key: HeldObject, hash_name: str, data: bytes) -> bytes:
        if self.offered.offers(f"HMAC-{hash_name}") is Support.REFUSED:
            raise not_supported(f"token {self.connection.token_name!r} has no HMAC-{hash_name}")
        asked = f"HMAC-{hash_name} under {self.noun} of {self.length} bytes"
        call = mechanisms.call(mechanisms.HMAC_MECHANISMS[hash_name])
        operation = Operation("C_SignInit", "C_Sign", asked)
        return self.connection.crypt(operation, call, key.handle, data, HASHES[hash_name].digest_size)

    def half_hmac(self, half: int, hash_name: str, data: bytes) -> bytes:
        if not self.offered.has(int(Mechanism.EXTRACT_KEY_FROM_KEY)):
            raise not_supported(
                f"token {self.connection.token_name!r} cannot halve a secret (CKM_EXTRACT_KEY_FROM_KEY), "
                "which the TLS 1.0 and 1.1 PRF begins with"
            )
        size = (self.length + 1) // 2
        first = 0 if half == 0 else self.length - size
        part = objects.derive(
            self.connection,
            derivations.extract(8 * first),
            self.held.handle,
            templates.agreed_secret(size, self.readable),
            "halving the secret",
        )
        try:
            return self._hmac(part, hash_name, data)
        finally:
            part.release()

    def hkdf(self, spec: HkdfSpec, length: int) -> bytes:
        with self._pseudorandom_key(spec) as key:
            return hkdf.hkdf_expand(lambda data: self._hmac(key, spec.hash_name, data), spec.info, length)

    @contextmanager
    def _pseudorandom_key(self, spec: HkdfSpec) -> Iterator[HeldObject]:
        if spec.salt is None:
            yield self.held
            return
        size = HASHES[spec.hash_name].digest_size
        self._require(CKM.HKDF_DERIVE, "HKDF whose pseudorandom key stays inside (CKM_HKDF_DERIVE)")
        call = derivations.hkdf(spec, expand=False)
        key = objects.derive(
            self.connection, call, self.held.handle, templates.agreed_secret(size, False), "HKDF's extraction"
        )
        try:
            yield key
        finally:
            key.release()

    def derive_key(self, kdf: KdfSpec, spec: SecretSpec) -> SecretKey:
        template = templates.secret(spec, length=SECRET_KINDS[spec.family].says_length)
        with ExitStack() as temporary:
            held, call = self._last_step(kdf, spec, temporary)
            asked = f"deriving a {spec.bits}-bit {spec.family.value} key"
            key = objects.derive(self.connection, call, held.handle, template, asked)
        return self._make_key(key, self.offered, spec)

    def _last_step(self, kdf: KdfSpec, spec: SecretSpec, temporary: ExitStack) -> tuple[HeldObject, MechanismCall]:
        """The object that the key is derived from, and how. What is made on the way ends with `temporary`."""
        if isinstance(kdf, HkdfSpec):
            self._require(CKM.HKDF_DERIVE, "CKM_HKDF_DERIVE")
            return self.held, derivations.hkdf(kdf, expand=True)
        if isinstance(kdf, CounterKdfSpec):
            self._require(CKM.SP800_108_COUNTER_KDF, "CKM_SP800_108_COUNTER_KDF")
            return self.held, derivations.counter_kdf(kdf, spec.bits)
        mechanism = derivations.KEY_DERIVATION_MECHANISMS.get(kdf.hash_name)
        if mechanism is None or not self.offered.has(mechanism):
            raise not_supported(f"token {self.connection.token_name!r} derives no keys by {kdf.hash_name}")
        if spec.bits > 8 * HASHES[kdf.hash_name].digest_size:
            raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"{kdf.hash_name} makes no {spec.bits} bits")
        return self._joined(kdf, temporary), mechanisms.call(mechanism)

    def _joined(self, kdf: DigestKdfSpec, temporary: ExitStack) -> HeldObject:
        """prefix || Z || suffix."""
        held: HeldObject = self.held
        length = self.length
        for mechanism, data in (
            (Mechanism.CONCATENATE_DATA_AND_BASE, kdf.prefix),
            (Mechanism.CONCATENATE_BASE_AND_DATA, kdf.suffix),
        ):
            if not data:
                continue
            self._require(int(mechanism), f"CKM_{mechanism.name}")
            length += len(data)
            template = templates.agreed_secret(length, False)
            call = derivations.string_data(int(mechanism), data)
            held = objects.derive(self.connection, call, held.handle, template, "joining data to the secret")
            temporary.callback(held.release)
        return held
