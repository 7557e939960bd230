"""Keys that are the token's, under a name, from their first moment on: `Provider.named` of a PKCS#11 token."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.specs import RFC_3394, PairSpec, SecretSpec, WrapSpec
from hwcng.contract.usage import SecretFamily
from hwcng.errors import CngError, not_supported
from hwcng.providers.pkcs11.families import PairKind
from hwcng.providers.pkcs11.families.secret import SecretKind, hmac_value
from hwcng.providers.pkcs11.keys.opaque_blob import Opened
from hwcng.providers.pkcs11.keys.secret import unwrappable
from hwcng.providers.pkcs11.objects import PairGeneration
from hwcng.providers.pkcs11.store.key_store import KeyStore
from hwcng.providers.pkcs11.store.making import (
    GeneratedPair,
    GeneratedSecret,
    ImportedPair,
    ImportedSecret,
    Making,
    ToldInPlace,
    UnwrappedPair,
    UnwrappedSecret,
    Unwrapping,
)

__all__ = ["Holder", "InPlace"]


class Holder(Protocol):
    """What says which keys a token can hold. Each raises STATUS_NOT_SUPPORTED for one that it cannot."""

    def kind_of_secret(self, spec: SecretSpec) -> SecretKind: ...

    def kind_of_pair(self, spec: PairSpec) -> PairKind[Any, Any]: ...

    def pair_generation(self, spec: PairSpec) -> PairGeneration:
        """How the token makes such a pair."""

    def is_composed(self, spec: SecretSpec) -> bool:
        """Whether the key is two keys here."""

    def unwrapping(
        self, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> AbstractContextManager[Unwrapping]:
        """What unwraps the key, for as long as the block lasts."""

    def opened_blob(self, blob: bytes) -> Opened:
        """An opaque blob whose tag was checked."""


class InPlace:
    """A `NamedMaker` of named keys. name, replace: as `Provider.persist_key` has them, and what each raises."""

    def __init__(self, store: KeyStore, holder: Holder, name: str, replace: bool) -> None:
        self._store = store
        self._holder = holder
        self._name = name
        self._replace = replace

    def _secret(self, making: Making) -> SecretKey:
        return cast("SecretKey", self._store.make(making, self._name, self._replace))

    def _pair(self, making: Making) -> PrivateKey:
        return cast("PrivateKey", self._store.make(making, self._name, self._replace))

    def _require_one_object(self, spec: SecretSpec) -> None:
        self._holder.kind_of_secret(spec)
        if self._holder.is_composed(spec):
            raise not_supported(
                f"an {spec.family.value} key is two AES keys in this token, which are not stored under one name"
            )

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        self._require_one_object(spec)
        return self._secret(GeneratedSecret(spec))

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        self._require_one_object(spec)
        if spec.family is SecretFamily.HMAC:
            value = hmac_value(spec.hash_name, value)
        return self._secret(ImportedSecret(spec, value))

    def generate_pair(self, spec: PairSpec) -> PrivateKey:
        return self._pair(GeneratedPair(spec, self._holder.pair_generation(spec)))

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> PrivateKey:
        self._holder.kind_of_pair(spec)
        return self._pair(ImportedPair(spec, material))

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        with self._holder.unwrapping(wrapping_key, wrapped, wrap) as unwrapping:
            if not self._holder.kind_of_secret(spec).wraps:
                raise unwrappable(spec)
            return self._secret(UnwrappedSecret(spec, unwrapping))

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> PrivateKey:
        with self._holder.unwrapping(wrapping_key, wrapped, wrap) as unwrapping:
            try:
                found, public = unwrapping.pair(spec)
            except CngError:
                if unwrapping.has_room:
                    raise
                return self._pair(ToldInPlace(spec, unwrapping))
            self._holder.kind_of_pair(found)
            return self._pair(UnwrappedPair(found, public, unwrapping))

    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        opened = self._holder.opened_blob(blob)
        if isinstance(opened.spec, SecretSpec):
            return self._secret(UnwrappedSecret(opened.spec, opened))
        return self._pair(UnwrappedPair(opened.spec, opened.told, opened))
