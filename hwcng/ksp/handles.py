"""The handles of ncrypt.h: storage providers, and keys that are unfinished until NCryptFinalizeKey."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hwcng.arguments import authorization
from hwcng.cng.algorithm import Algorithm
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.families import FAMILIES
from hwcng.cng.handles import Handle, attest
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.key_usages import key_usage
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.key_names import check_key_name
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.errors import HRESULT, CngError, invalid_handle, told
from hwcng.forking import lock_of
from hwcng.ksp.drafts import Draft, draft_of
from hwcng.ksp.status import refuse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from hwcng.attestation import Attestation

__all__ = ["NCryptKey", "StorageProvider", "begin_key", "require_free", "storable_algorithm"]


class StorageProvider(Handle):
    """An open key store: a token. name: by which it was opened. Closing it leaves keys and token as they are.

    pin: the authorization value of keys that are opened or imported from now on, where they have one of their own.
    """

    called = "a key storage provider"

    def __init__(self, provider: Provider, name: str) -> None:
        super().__init__()
        self.provider = provider
        self.name = name
        self.pin: str | None = None

    def destroy(self) -> None:
        super().destroy()
        self.pin = None

    def __repr__(self) -> str:
        return f"<StorageProvider {self.name!r}{'' if self.alive else ' closed'}>"


class NCryptKey(Handle):
    """A key of a key store. name: None for one that ends with the process. key_type: NCRYPT_MACHINE_KEY_FLAG or 0.

    binding_nonce: what PCP_TPM12_IDBINDING was set to. activated: the secret that PCP_TPM12_IDACTIVATION brought out.
    """

    # The name in pickles: a public one, which no move changes.
    __module__ = "hwcng.ncrypt"
    called = "an NCrypt key"
    hint = "bcrypt.h's functions take its .key"

    def __init__(
        self,
        storage: StorageProvider | None,
        *,
        draft: Draft | None = None,
        key: KeyPair | SymmetricKey | None = None,
        name: str | None = None,
        key_type: int = 0,
        replace: bool = False,
    ) -> None:
        super().__init__()
        self._storage = storage
        self.name = name
        self.key_type = key_type
        self._draft = draft
        self._key = key
        self._replace = replace
        self._usage_flags: int | None = None
        self.binding_nonce = b""
        self.activated: bytes | None = None

    @classmethod
    def of(cls, key: KeyPair | SymmetricKey) -> NCryptKey:
        """A CNG key, such as `hwcng.open_key` returns, as a key of its token's store; it is opened when it is used."""
        return cls(None, key=key, name=key.name)

    @property
    def storage(self) -> StorageProvider:
        """The store that the key was opened in, or that of its token."""
        if self._storage is None:
            provider = self.key.algorithm_handle.provider
            self._storage = StorageProvider(provider, provider.uri)
        return self._storage

    @property
    def finalized(self) -> bool:
        return self._key is not None

    @property
    def draft(self) -> Draft:
        """What is set before NCryptFinalizeKey. Raises STATUS_INVALID_HANDLE after it."""
        if self._draft is None or self._key is not None:
            raise invalid_handle("the key is finalized")
        return self._draft

    @property
    def key(self) -> KeyPair | SymmetricKey:
        """The key as bcrypt.py takes it, as NCryptTranslateHandle hands it out. Raises NTE_BAD_KEY_STATE."""
        key = self._key
        if key is None or (isinstance(key, KeyPair) and not key.finalized):
            refuse(HRESULT.NTE_BAD_KEY_STATE, "the key is not finalized: call NCryptFinalizeKey first")
        return key

    @property
    def algorithm(self) -> Algorithm:
        return self._key.algorithm if self._key is not None else self.draft.algorithm

    @property
    def key_usage(self) -> int:
        """NCRYPT_ALLOW_ flags: what was set through this handle, else what the key may do."""
        if self._usage_flags is not None:
            return self._usage_flags
        if self._key is None:
            flags = self.draft.usage_flags
            return key_usage(self.algorithm, self.draft.usage) if flags is None else flags
        usage = self._key.usage if isinstance(self._key, KeyPair) else self._key.token_key.spec.usage
        return key_usage(self.algorithm, usage)

    @property
    def uri(self) -> str:
        """Where the key is found again, for `hwcng.open_key`. Raises NTE_BAD_KEY_STATE, STATUS_NOT_SUPPORTED for a key
        without a name.
        """
        return self._named.uri

    @property
    def _named(self) -> KeyPair | SymmetricKey:
        """The key, which is not opened for its name's sake."""
        return self.key if self._key is None or self._key.opened else self._key

    def authorize(self, pin: str | bytes) -> None:
        """The key's own PIN, for what it does next. An unfinished key will have it, where the token gives keys PINs of
        their own; else it is the token's, which is logged in to.
        """
        if self._key is not None:
            self._key.authorize(pin)
        elif self.storage.provider.protects_keys:
            self.draft.binding.pin = authorization(pin, "a PIN")

    def finalize(self) -> None:
        """Raises STATUS_INVALID_HANDLE the second time. A failure leaves the key unfinished."""
        with lock_of(self, "_finalizing").held():
            draft = self.draft
            self._key = draft.finalize(self.name, replace=self._replace)
            self._usage_flags = draft.usage_flags

    def public_key(self) -> PublicKeyTypes:
        """As `KeyPair.public_key`; NTE_BAD_KEY_STATE before NCryptFinalizeKey."""
        return self.key.public_key()

    def as_cryptography(self) -> PrivateKeyTypes:
        """As `KeyPair.as_cryptography`; NTE_BAD_KEY_STATE before NCryptFinalizeKey."""
        return self.key.as_cryptography()

    def to_provider_pem(self) -> str:
        """As `KeyPair.to_provider_pem`; NTE_BAD_KEY_STATE before NCryptFinalizeKey."""
        return self.key.to_provider_pem()

    def attest(self, nonce: bytes, by: NCryptKey | None = None) -> Attestation:
        """The token's statement that it holds the key; see `hwcng.attestation`. nonce: at most 32 bytes. by: the
        identity key that signs, None for the token's attestation key.

        Raises STATUS_NOT_SUPPORTED where the token makes none, and for a key that is no identity key.
        """
        return attest(self.key.in_token(), nonce, None if by is None else by.key.in_token())

    def delete(self) -> None:
        """Ends the key for good, and the handle. One without a name, or not finalized, is only freed."""
        if self._key is not None and self.name is not None:
            self.storage.provider.delete_key(self.name)
        self.destroy()

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            self.activated = None
            if self._key is not None:
                self._key.destroy()
            elif self._draft is not None:
                self._draft.discard()
            self._draft = None

    def __repr__(self) -> str:
        if not self.alive:
            return "<NCryptKey freed>"
        if self._key is not None and not self._key.opened:
            return f"<NCryptKey {self.name!r} not opened yet>"
        state = "" if self.finalized else " not finalized"
        return f"<NCryptKey {self.name!r} {self.algorithm.name}{state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        self.require_alive()
        # The CNG key knows whether it may travel, and how.
        return NCryptKey.of, (self._named,)

    def __copy__(self) -> NCryptKey:
        self.require_alive()
        return NCryptKey(self._storage, key=copy.copy(self._named), name=self.name, key_type=self.key_type)

    def __deepcopy__(self, memo: dict[int, Any]) -> NCryptKey:
        return self.__copy__()


def storable_algorithm(name: str, provider: Provider) -> Algorithm:
    """An algorithm whose keys the provider makes and stores. Raises NTE_NOT_SUPPORTED: hashes, RNG and RSA_SIGN too."""
    algorithm = ALGORITHMS.get(name)
    if algorithm is None or not _keyed(algorithm):
        known = ", ".join(sorted(name for name, algorithm in ALGORITHMS.items() if _keyed(algorithm)))
        refuse(HRESULT.NTE_NOT_SUPPORTED, f"{told(name)} is no algorithm of stored keys, which are {known}")
    if provider.offers(algorithm.offered_as, algorithm.curve) is Support.REFUSED:
        refuse(HRESULT.NTE_NOT_SUPPORTED, f"token {provider.token.label!r} has no {name}")
    return algorithm


def _keyed(algorithm: Algorithm) -> bool:
    return (bool(algorithm.chaining_modes) or algorithm.family in FAMILIES) and algorithm.name != "RSA_SIGN"


def _derivation_algorithm(algorithm_name: str, key_name: str | None, provider: Provider) -> Algorithm | None:
    """A derivation algorithm, whose keys end with the process. Raises NTE_NOT_SUPPORTED for one with a key's name."""
    algorithm = ALGORITHMS.get(algorithm_name)
    if algorithm is None or not algorithm.derives:
        return None
    if key_name is not None:
        refuse(HRESULT.NTE_NOT_SUPPORTED, f"a token keeps no keys of {algorithm_name}: pszKeyName is None")
    if provider.offers(algorithm.offered_as) is Support.REFUSED:
        refuse(HRESULT.NTE_NOT_SUPPORTED, f"token {provider.token.label!r} has no {algorithm_name}")
    return algorithm


def require_free(provider: Provider, name: str) -> None:
    """Raises NTE_EXISTS for a name that is taken, be its key sound or not."""
    try:
        provider.open_key(name).destroy()
    except CngError as error:
        if error.status is HRESULT.NTE_BAD_KEYSET:
            return
        if error.status is not HRESULT.NTE_KEYSET_ENTRY_BAD:
            raise
    refuse(HRESULT.NTE_EXISTS, f"there is a key of the name {name!r}; NCRYPT_OVERWRITE_KEY_FLAG replaces it")


def begin_key(
    storage: StorageProvider, draft: Draft | str, name: str | None, *, key_type: int, replace: bool
) -> NCryptKey:
    """An unfinished key. draft: or the name of an algorithm, for a new key."""
    provider = storage.provider
    if isinstance(draft, str):
        algorithm = _derivation_algorithm(draft, name, provider) or storable_algorithm(draft, provider)
        draft = draft_of(AlgorithmHandle(algorithm, provider))
    if name is not None:
        check_key_name(name)
        if not replace:
            require_free(provider, name)
    return NCryptKey(storage, draft=draft, name=name, key_type=key_type, replace=replace)
