"""Hash objects: unkeyed hashes on the host, HMAC, CMAC and GMAC in the token (BCryptCreateHash and what follows it).

Standards: FIPS 180-4, FIPS 202, RFC 2104, SP 800-38B, SP 800-38D. A keyed hash keeps its data until it is finished,
because a token's running MAC cannot be duplicated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from hwcng import arguments
from hwcng.arguments import Octets, holding
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.handles import Handle, in_use
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import SecretKey
from hwcng.contract.specs import CmacSpec, GmacSpec, HmacSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError, invalid_handle, invalid_parameter, not_supported
from hwcng.headers.bcrypt_h import BCRYPT_HASH_LENGTH, BCRYPT_HASH_REUSABLE_FLAG
from hwcng.hostcrypto.hashes import ExtendableFunction, RunningExtendable
from hwcng.standards.hashes import RunningHash

__all__ = [
    "HashObject",
    "authenticate",
    "authenticate_padded",
    "authenticate_with",
    "check_output_length",
    "create",
    "generate_mac_key",
    "made",
    "require_strings",
]

GMAC_NONCE_LENGTH = 12
MAC_LENGTH = 16
LONGEST_OUTPUT = 1 << 20
"""Bytes: no digest that anybody takes is longer, and what a DWORD could ask for would fill the memory."""

_FAMILIES = {"AES-CMAC": SecretFamily.CMAC, "AES-GMAC": SecretFamily.GMAC}
_USAGES = {SecretFamily.HMAC: Usage.SIGN, SecretFamily.CMAC: Usage.SIGN, SecretFamily.GMAC: Usage.ENCRYPT}


class HashObject(Handle):
    """A running hash. One thread at a time.

    key: of a keyed hash. own_key: whether the key ends with this object; a key made by `generate_key` does not.
    """

    called = "a hash object"

    def __init__(
        self,
        handle: AlgorithmHandle,
        key: SecretKey | None,
        *,
        own_key: bool,
        reusable: bool,
        held: memoryview | None,
        lender: SymmetricKey | None = None,
    ) -> None:
        super().__init__()
        self.algorithm_handle = handle
        self.algorithm = handle.algorithm
        self.reusable = reusable
        # Taken out by the digest that it serves; duplicates share it, so that it serves one of them.
        self._nonces: list[bytes] = []
        self._key = key
        self._own_key = own_key
        self._lender = lender
        self._held = held
        self._verb: Callable[[bytes], bytes] | None = None
        self._finished = False
        self._data: list[bytes] = []
        self.function_name = handle.function_name
        self.customization = handle.customization
        self.output_length = handle.output_length
        self._fresh = True
        self._running: RunningHash | RunningExtendable | None = None
        self._start()

    def _start(self) -> None:
        self._data = []
        self._nonces = []
        self._fresh = True
        hash_function = self.algorithm.hash_function
        if isinstance(hash_function, ExtendableFunction):
            self._running = hash_function.running(self.digest_length, self.function_name, self.customization)
        elif self._key is None and hash_function is not None:
            self._running = hash_function.new()

    @property
    def digest_length(self) -> int:
        """Bytes of the digest."""
        if self.output_length is not None:
            return self.output_length
        return self.algorithm.hash_function.digest_size if self.algorithm.hash_function else MAC_LENGTH

    @property
    def block_length(self) -> int:
        """Bytes of the hash's block."""
        return self.algorithm.hash_function.block_size if self.algorithm.hash_function else MAC_LENGTH

    def __repr__(self) -> str:
        return f"<HashObject {self.algorithm_handle.name}{' HMAC' if self.algorithm_handle.hmac else ''}>"

    @property
    def finished(self) -> bool:
        """Whether it takes no more data."""
        return self._finished

    def _require_running(self) -> None:
        self.require_alive()
        if self._finished:
            raise invalid_handle("the hash is finished")
        _require_lender(self._lender)

    def update(self, data: bytes) -> None:
        """BCryptHashData."""
        self._require_running()
        self._fresh = False
        if self._running is not None:
            self._running.update(data)
        else:
            self._data.append(data)

    def set_output_length(self, length: int) -> None:
        """HashDigestLength of SHAKE and cSHAKE, in bytes."""
        self.output_length = check_output_length(self.algorithm, length)
        running = self._running
        if running is not None and not self._finished:
            cast(RunningExtendable, running).length = length

    def set_strings(self, *, function_name: bytes | None = None, customization: bytes | None = None) -> None:
        """FunctionNameString or CustomizationString of cSHAKE, before any data."""
        require_strings(self.algorithm)
        self._require_running()
        if not self._fresh:
            raise invalid_parameter(f"the strings of {self.algorithm.name} come before the data")
        if function_name is not None:
            self.function_name = function_name
        if customization is not None:
            self.customization = customization
        self._start()

    def set_nonce(self, nonce: bytes) -> None:
        """GMAC's nonce, 12 bytes, for one digest: of this object or of its first duplicate to be finished."""
        if self.algorithm.name != "AES-GMAC":
            raise not_supported(f"{self.algorithm.name} takes no IV")
        if len(nonce) != GMAC_NONCE_LENGTH:
            raise invalid_parameter(f"GMAC takes a nonce of {GMAC_NONCE_LENGTH} bytes, {len(nonce)} given")
        self._nonces = [nonce]

    def finish(self, *, dont_reset: bool = False) -> bytes:
        """BCryptFinishHash. A reusable object starts again, any other is finished; dont_reset leaves a reusable as it
        is.
        """
        self._require_running()
        if dont_reset and not self.reusable:
            raise invalid_parameter("BCRYPT_HASH_DONT_RESET_FLAG is for reusable hash objects")
        if self._running is not None:
            digest = self._running.digest()
        elif self._key is not None:
            try:
                digest = self._mac(self._key, b"".join(self._data))
            except CngError:
                self._require_running()
                raise
        else:
            raise invalid_handle("the hash has no state")
        if not self.reusable:
            self._finished = True
        if not dont_reset:
            self._start()
        return digest

    def _mac(self, key: SecretKey, data: bytes) -> bytes:
        if self.algorithm.name == "AES-GMAC":
            return self._gmac(key, data)
        if self._verb is None:
            self._verb = key.authenticating(_mac_spec(self.algorithm))
        return self._verb(data)

    def _gmac(self, key: SecretKey, data: bytes) -> bytes:
        """Two digests under one nonce would give the hash key away (SP 800-38D, section 8.3)."""
        nonces = self._nonces
        try:
            nonce = nonces.pop()
        except IndexError:
            raise invalid_parameter(
                "GMAC needs a nonce for each digest, also of a duplicate: set the IV property of the hash"
            ) from None
        try:
            return key.mac(GmacSpec(nonce), data)
        except BaseException:
            # No digest came of it.
            nonces.append(nonce)
            raise

    @in_use
    def duplicate(self, hash_object: Octets | None = None) -> HashObject:
        """BCryptDuplicateHash: both go on from here, each on its own."""
        self._require_running()
        with holding(hash_object, self.algorithm.object_length or 0, "pbHashObject") as held:
            key = self._key.duplicate() if self._key is not None and self._own_key else self._key
            copy = HashObject(
                self.algorithm_handle,
                key,
                own_key=self._own_key,
                reusable=self.reusable,
                held=held,
                lender=self._lender,
            )
        copy._data = list(self._data)
        copy._nonces = self._nonces
        copy._fresh = self._fresh
        copy.function_name, copy.customization = self.function_name, self.customization
        copy.output_length = self.output_length
        if self._running is not None:
            copy._running = self._running.copy()
        return copy

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self._data = []
            if self._key is not None and self._own_key:
                self._key.destroy()
            if self._held is not None:
                self._held.release()


def check_output_length(algorithm: Algorithm, length: int) -> int:
    """Raises STATUS_NOT_SUPPORTED for a hash whose digest has one length, STATUS_INVALID_PARAMETER for 0 bytes."""
    if not isinstance(algorithm.hash_function, ExtendableFunction):
        raise not_supported(f"{algorithm.name} has no property {BCRYPT_HASH_LENGTH} that can be set")
    if not 0 < length <= LONGEST_OUTPUT:
        raise invalid_parameter(f"{algorithm.name} makes 1 to {LONGEST_OUTPUT} bytes, not {length}")
    return length


def require_strings(algorithm: Algorithm) -> None:
    """Raises STATUS_NOT_SUPPORTED for any other hash than cSHAKE."""
    hash_function = algorithm.hash_function
    if not isinstance(hash_function, ExtendableFunction) or not hash_function.customizable:
        raise not_supported(f"{algorithm.name} has neither a function name nor a customization string")


def _mac_key_spec(handle: AlgorithmHandle, bits: int) -> SecretSpec:
    if not handle.hmac and handle.name not in _FAMILIES:
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"no token has {handle.name}")
    family = SecretFamily.HMAC if handle.hmac else _FAMILIES[handle.name]
    lengths = handle.algorithm.key_lengths
    if lengths is not None and bits not in lengths:
        raise invalid_parameter(f"{handle.name} has no keys of {bits} bits")
    return SecretSpec(family, bits, _USAGES[family], hash_name=handle.name if handle.hmac else None)


def made(handle: AlgorithmHandle, bits: int, make: Callable[[SecretSpec], SecretKey]) -> SymmetricKey:
    """A MAC key that `make` brings about in the token, to be given to `create` as its secret."""
    return SymmetricKey(handle, make(_mac_key_spec(handle, bits)), None, chaining_mode=None)


def generate_mac_key(handle: AlgorithmHandle, bits: int) -> SymmetricKey:
    """A MAC key that the token makes itself, to be given to `create` as its secret. bits: a multiple of 8."""
    if bits <= 0 or bits % 8:
        raise invalid_parameter(f"a key of {bits} bits is not whole bytes")
    return made(handle, bits, handle.provider.generate_secret)


def _mac_spec(algorithm: Algorithm) -> HmacSpec | CmacSpec:
    return CmacSpec() if algorithm.hash_function is None else HmacSpec(algorithm.name)


def _require_mac_key(handle: AlgorithmHandle, key: SymmetricKey) -> None:
    """Raises STATUS_INVALID_PARAMETER for a key of another algorithm or provider."""
    spec = _mac_key_spec(handle, key.bits)
    its = key.token_key.spec
    # A stored key of no certain hash is for the one that the caller names.
    if its.family is not spec.family or its.hash_name not in (None, spec.hash_name):
        raise invalid_parameter(f"the key is not one of {handle!r}")
    if key.provider is not handle.provider:
        raise invalid_parameter("the key is of another provider")


def authenticate(handle: AlgorithmHandle, key: SymmetricKey, data: object) -> bytes:
    """BCryptHash under a key that is in the token: HMAC or CMAC, without a hash object."""
    ready = key.mac_verb
    if ready is None or ready[0] is not handle or ready[1] is not key.token_key:
        ready = None
        _require_mac_key(handle, key)
    message = arguments.optional_octets(data, "pbInput")
    try:
        if ready is None:
            token_key = key.token_key
            ready = key.mac_verb = (handle, token_key, token_key.authenticating(_mac_spec(handle.algorithm)))
        return ready[2](message)
    except CngError:
        _require_lender(key)
        raise


def authenticate_with(handle: AlgorithmHandle, key: SymmetricKey, data: bytes) -> bytes:
    """HMAC under whatever key the token lets be one of HMAC, which a cipher's key of Usage.SIGN is in some."""
    try:
        return key.in_token().authenticating(_mac_spec(handle.algorithm))(data)
    except CngError:
        _require_lender(key)
        raise


def authenticate_padded(handle: AlgorithmHandle, key: SymmetricKey, inner: bytes, outer: bytes, data: bytes) -> bytes:
    """HMAC with other strings than RFC 2104's ipad and opad: the token digests the key with each of them over it.

    inner, outer: no shorter than the key.
    """
    try:
        material, name = key.in_token().keying_material(), handle.name
        size = material.length
        digest = material.masked_digest(name, inner[:size], inner[size:] + data)
        return material.masked_digest(name, outer[:size], outer[size:] + digest)
    except CngError:
        _require_lender(key)
        raise


def _require_lender(lender: SymmetricKey | None) -> None:
    if lender is not None and not lender.alive:
        raise invalid_handle("the key of the hash is destroyed")


def create(
    handle: AlgorithmHandle, hash_object: Octets | None, secret: bytes | SymmetricKey | None, flags: int
) -> HashObject:
    """BCryptCreateHash. secret: the key of a keyed hash, as bytes or as a key that `generate_mac_key` made.

    Raises STATUS_INVALID_PARAMETER for a secret where none is taken, for a MAC key of wrong length and for undefined
    flags.
    """
    flags = arguments.flags(flags, BCRYPT_HASH_REUSABLE_FLAG)
    reusable = handle.reusable or bool(flags & BCRYPT_HASH_REUSABLE_FLAG)
    if not handle.keyed_hash:
        if secret is not None:
            raise invalid_parameter(f"{handle.name} takes no secret: open it with BCRYPT_ALG_HANDLE_HMAC_FLAG")
        with holding(hash_object, handle.algorithm.object_length or 0, "pbHashObject") as held:
            return HashObject(handle, None, own_key=False, reusable=reusable, held=held)
    if isinstance(secret, SymmetricKey):
        _require_mac_key(handle, secret)
        with holding(hash_object, handle.algorithm.object_length or 0, "pbHashObject") as held:
            return HashObject(handle, secret.token_key, own_key=False, reusable=reusable, held=held, lender=secret)
    value = secret or b""
    spec = _mac_key_spec(handle, 8 * len(value))
    with holding(hash_object, handle.algorithm.object_length or 0, "pbHashObject") as held:
        key = handle.provider.import_secret(spec, value)
        return HashObject(handle, key, own_key=True, reusable=reusable, held=held)
