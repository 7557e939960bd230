"""Where new keys come from, and under which name a token keeps them from their first moment on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PrivateKeyMaterial
from hwcng.contract.specs import RFC_3394, PairSpec, SecretSpec, WrapSpec

__all__ = ["KeyMaker", "NamedMaker", "StoringMaker"]

K = TypeVar("K", bound=SecretKey | PrivateKey)


class KeyMaker(Protocol):
    """What makes and takes in keys: a provider, whose keys end with the process, or what its `named` returns."""

    def generate_secret(self, spec: SecretSpec) -> SecretKey: ...

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey: ...

    def generate_pair(self, spec: PairSpec) -> PrivateKey: ...

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> PrivateKey: ...

    def unwrap_secret(
        self, spec: SecretSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec = ...
    ) -> SecretKey: ...

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> PrivateKey: ...


class NamedMaker(KeyMaker, Protocol):
    """Of keys that the token keeps."""

    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey: ...


class _Keeper(NamedMaker, Protocol):
    """A provider."""

    def persist_key(
        self, key: SecretKey | PrivateKey, name: str, *, replace: bool = False
    ) -> SecretKey | PrivateKey: ...


class StoringMaker:
    """Makes keys of the process and stores them, for tokens whose named keys are copies of such keys.

    name, replace: as `Provider.persist_key` has them. maker: makes the keys, None: the provider.
    """

    def __init__(self, provider: _Keeper, name: str, replace: bool, maker: KeyMaker | None = None) -> None:
        self._provider = provider
        self._maker = maker or provider
        self._name = name
        self._replace = replace

    def _stored(self, make: Callable[[], K]) -> K:
        made = make()
        try:
            # A stored key is of the kind of what was stored.
            return cast(K, self._provider.persist_key(made, self._name, replace=self._replace))
        finally:
            made.destroy()

    def generate_secret(self, spec: SecretSpec) -> SecretKey:
        return self._stored(lambda: self._maker.generate_secret(spec))

    def import_secret(self, spec: SecretSpec, value: bytes) -> SecretKey:
        return self._stored(lambda: self._maker.import_secret(spec, value))

    def generate_pair(self, spec: PairSpec) -> PrivateKey:
        return self._stored(lambda: self._maker.generate_pair(spec))

    def import_pair(self, spec: PairSpec, material: PrivateKeyMaterial) -> PrivateKey:
        return self._stored(lambda: self._maker.import_pair(spec, material))

    def unwrap_secret(
        self,
        spec: SecretSpec,
        wrapping_key: SecretKey | PrivateKey,
        wrapped: bytes,
        wrap: WrapSpec = RFC_3394,
    ) -> SecretKey:
        return self._stored(lambda: self._maker.unwrap_secret(spec, wrapping_key, wrapped, wrap))

    def unwrap_pair(
        self, spec: PairSpec, wrapping_key: SecretKey | PrivateKey, wrapped: bytes, wrap: WrapSpec
    ) -> PrivateKey:
        return self._stored(lambda: self._maker.unwrap_pair(spec, wrapping_key, wrapped, wrap))

    def reload_opaque(self, blob: bytes, *, pin: str | bytes | None = None) -> SecretKey | PrivateKey:
        return self._stored(lambda: self._provider.reload_opaque(blob, pin=pin))
