"""New keys below the storage root key: TPM2_Create and TPM2_Import (TPM 2.0 Library, Part 3, sections 12.1 and 13.3).

A key may have a PIN, which the TPM counts wrong values of, and be bound to PCRs by its policy (Part 1, section 19.7).
"""

from __future__ import annotations

from hwcng.arguments import octets
from hwcng.contract.attestation import Origin
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import EcPrivateKey, PrivateKeyMaterial, RsaPrivateKey
from hwcng.contract.protection import UNPROTECTED, PcrBinding, Protection
from hwcng.contract.specs import RFC_3394, PairSpec, SecretSpec, WrapSpec
from hwcng.contract.usage import SecretFamily, Support, Usage
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter, not_supported
from hwcng.providers.tpm2 import pcrs
from hwcng.providers.tpm2.keys import importing
from hwcng.providers.tpm2.keys.base import Realm
from hwcng.providers.tpm2.keys.handles import check_pin
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.keys.secret import Tpm2SecretKey
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.statements import parent_of
from hwcng.providers.tpm2.wire import commands, policies, public_area, schemes
from hwcng.providers.tpm2.wire.commands import Created
from hwcng.providers.tpm2.wire.errors import root_is_another
from hwcng.providers.tpm2.wire.policies import Policy
from hwcng.providers.tpm2.wire.public_area import Guard, name_of, parse_public
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES

__all__ = ["Maker"]

_RSA_EXPONENT = 65537


def _pair_name(spec: PairSpec) -> str:
    return f"a {spec.bits}-bit RSA pair" if spec.kind == "RSA" else f"a pair on {spec.curve}"


class Maker:
    """What makes and takes in keys of a provider, all with one protection. A `KeyMaker`.

    Raises STATUS_INVALID_PARAMETER for a PIN or for PCRs that no key can have.
    """

    def __init__(self, realm: Realm, protection: Protection = UNPROTECTED) -> None:
        self._realm = realm
        self._connection = realm.connection
        self._offers = realm.offers
        self._pin = protection.pin
        self._counted = bool(protection.pin) and protection.counted
        check_pin(self._pin)
        self._pcrs = protection.pcrs
        self._scheme = schemes.numbered(protection.scheme)

    def _policy(self) -> Policy:
        """By which a new key is used. What a PCR must be is what it is now, unless it was said."""
        if self._pcrs is None:
            return ()
        step = policies.pcr_step(self._pcrs.bank, self._values(self._pcrs))
        return (step, policies.AUTH_VALUE) if self._pin else (step,)

    def _values(self, binding: PcrBinding) -> dict[int, bytes]:
        values = {pcr: value for pcr, value in binding.values.items() if value is not None}
        missing = [pcr for pcr in binding.values if pcr not in values]
        if missing:
            values |= self._connection.perform(
                "reading PCRs", lambda connection: pcrs.read(connection, binding.bank, missing)
            )
        return values

    def _guard(self) -> tuple[Guard, Policy]:
        policy = self._policy()
        digest = policies.digest_of(policy, policies.SESSION_HASH) if policy else b""
        return Guard(self._counted, digest, self._scheme), policy

    # What can be made.

    def _require(self, algorithm: str, operation: str | None = None) -> None:
        if self._offers.offers(algorithm, operation) is Support.REFUSED:
            reason = self._offers.reason(algorithm, operation)
            raise not_supported(f"{algorithm} {operation or ''}".rstrip() + f": {reason}")

    def _require_secret(self, spec: SecretSpec) -> None:
        if spec.family is SecretFamily.HMAC:
            if spec.hash_name is not None:
                self._require(f"HMAC-{spec.hash_name}")
            return
        self._require(spec.family.value)
        if spec.family is SecretFamily.AES and not spec.usage & (Usage.ENCRYPT | Usage.DECRYPT):
            raise not_supported("a TPM's AES keys encrypt or decrypt data, nothing else")
        if spec.bits not in self._offers.facts.aes_bits:
            lengths = ", ".join(map(str, self._offers.facts.aes_bits))
            raise not_supported(f"the TPM takes AES keys of {lengths} bits, not of {spec.bits}")

    def _require_pair(self, spec: PairSpec) -> None:
        if spec.kind not in ("EC", "RSA"):
            raise not_supported(f"a TPM has no {spec.kind} keys")
        uses = Usage.SIGN | Usage.ATTEST | (Usage.DERIVE if spec.kind == "EC" else Usage.DECRYPT)
        if not spec.usage & uses:
            raise not_supported(f"{_pair_name(spec)} without a use that a TPM has")
        if spec.usage & Usage.ATTEST and spec.usage & uses != Usage.ATTEST:
            raise invalid_parameter("a key that signs what its TPM states does nothing else")
        schemes.check(self._scheme, spec)
        if spec.kind == "EC":
            self._require("ECDH" if spec.usage & Usage.DERIVE else "ECDSA", spec.curve)
            return
        self._require("RSA")
        if spec.bits not in self._offers.facts.rsa_bits:
            lengths = ", ".join(map(str, self._offers.facts.rsa_bits))
            raise not_supported(f"the TPM takes RSA keys of {lengths} bits, not of {spec.bits}")

    def _require_open(self) -> None:
        if self._realm.closed:
            raise invalid_handle("the provider is closed")

    # Making.

    def _create(self, asked: str, template: bytes, policy: Policy, value: bytes = b"") -> tuple[TpmObject, Origin]:
        self._require_open()

        def work(connection: Connection) -> Created:
            # The parent at work takes a slot, and the new key one.
            connection.cache.make_room(connection, 1)
            made = commands.create(connection, connection.storage_root, template, value, self._pin)
            if parent_of(made.creation_data) != connection.storage_root.name:
                raise CngError(
                    NTSTATUS.STATUS_INVALID_DEVICE_STATE, f"{asked}: {root_is_another(connection.storage_root.handle)}"
                )
            return made

        made = self._connection.perform(asked, work)
        held = TpmObject(made.public, made.private, name_of(made.public), self._pin, policy=policy)
        return held, Origin(made.creation_data, made.creation_hash, made.ticket)

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        """Raises STATUS_NOT_SUPPORTED also for HMAC keys of another length than the hash's: a TPM makes only those."""
        self._require_secret(spec)
        if spec.family is SecretFamily.HMAC:
            own = 8 * HASHES[spec.hash_name].digest_size if spec.hash_name else 0
            if spec.bits != own:
                raise not_supported(
                    f"a TPM makes HMAC keys as long as the digest, {own} bits for {spec.hash_name}, not of {spec.bits}"
                    if own
                    else "a TPM makes HMAC keys only for one hash, which must be named"
                )
        guard, policy = self._guard()
        template = public_area.secret_template(spec, imported=False, guard=guard)
        held, origin = self._create(f"generating a {spec.bits}-bit {spec.family.value} key", template, policy)
        return Tpm2SecretKey(self._realm, held, spec, origin)

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        """The value goes hidden into TPM2_Create; from then on the key is fixed to the TPM."""
        self._require_secret(spec)
        value = octets(value, "the key")
        if spec.family is SecretFamily.HMAC:
            value = _hmac_value(spec, value)
        elif 8 * len(value) != spec.bits:
            raise invalid_parameter(f"{len(value)} bytes are no {spec.family.value} key of {spec.bits} bits")
        guard, policy = self._guard()
        template = public_area.secret_template(spec, imported=True, guard=guard)
        held, origin = self._create(f"importing a {spec.bits}-bit {spec.family.value} key", template, policy, value)
        return Tpm2SecretKey(self._realm, held, spec, origin)

    def generate_pair(self, spec: PairSpec) -> Tpm2PrivateKey:
        self._require_pair(spec)
        guard, policy = self._guard()
        template = public_area.pair_template(spec, guard=guard)
        held, origin = self._create(f"generating {_pair_name(spec)}", template, policy)
        public = parse_public(held.public).material
        if public is None:
            raise CngError(NTSTATUS.STATUS_INTERNAL_ERROR, "the TPM made a key without a public half")
        return Tpm2PrivateKey(self._realm, held, spec, public, origin)

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> Tpm2PrivateKey:
        """The key goes encrypted to the storage root key into TPM2_Import; a TPM never calls such a key fixed to it."""
        self._require_pair(spec)
        if spec.usage & Usage.ATTEST:
            raise not_supported("a key that signs what its TPM states is made by the TPM, not brought")
        self._require_open()
        parent, public = self._connection.parent, material.public
        if parent is None:
            raise CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, "the TPM has no storage root key")
        if not isinstance(material, (EcPrivateKey, RsaPrivateKey)):
            raise not_supported(f"a TPM has no {spec.kind} keys")
        _require_fitting(spec, material)
        guard, policy = self._guard()
        template = public_area.pair_template(spec, public, guard)
        name = name_of(template)
        duplicate, seed = importing.duplicate(parent, name, material, self._pin)

        def work(connection: Connection) -> bytes:
            connection.cache.make_room(connection, 1)
            return commands.import_duplicate(connection, connection.storage_root, template, duplicate, seed)

        private = self._connection.perform(f"importing {_pair_name(spec)}", work)
        return Tpm2PrivateKey(self._realm, TpmObject(template, private, name, self._pin, policy=policy), spec, public)

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        """Raises STATUS_NOT_SUPPORTED: a TPM has no AES key wrap."""
        raise not_supported(self._offers.reason("AES", "WRAP"))

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> Tpm2PrivateKey:
        """Raises STATUS_NOT_SUPPORTED: a TPM has no AES key wrap."""
        raise not_supported(self._offers.reason("AES", "WRAP"))


def _hmac_value(spec: SecretSpec, value: bytes) -> bytes:
    """The same HMAC key (RFC 2104, section 2) in a length that a TPM takes: 1 byte to a block."""
    hash_function = HASHES[spec.hash_name] if spec.hash_name else None
    longest = hash_function.block_size if hash_function else 64
    if len(value) > longest:
        if hash_function is None:
            raise not_supported(f"an HMAC key for any hash has at most {longest} bytes in a TPM")
        value = hash_function.digest(value)
    # Without octets TPM2_Create would make a key of its own; HMAC pads with zeros anyway.
    return value or b"\0"


def _require_fitting(spec: PairSpec, material: EcPrivateKey | RsaPrivateKey) -> None:
    if isinstance(material, EcPrivateKey):
        fits = spec.kind == "EC" and material.public.curve == spec.curve
        fits = fits and 0 < material.scalar < 1 << CURVES[spec.curve].bits
    else:
        fits = spec.kind == "RSA" and material.modulus.bit_length() == spec.bits
        if material.public_exponent != _RSA_EXPONENT:
            raise not_supported(f"the TPM takes RSA keys with exponent {_RSA_EXPONENT}, not {material.public_exponent}")
        # A TPM keeps one prime of half the modulus' length and works the other out.
        fits = fits and material.prime1.bit_length() == spec.bits // 2
    if not fits:
        raise invalid_parameter(f"the numbers are not those of {_pair_name(spec)}")
