"""A token whose calls are on the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hwcng.contract import Capabilities, KeyMaker, KeyRecord, NamedMaker, PrivateKey, Provider, Support, TokenInfo
from hwcng.contract.openssl import OpensslProvider
from hwcng.contract.protection import Protection
from hwcng.contract.specs import describe
from hwcng.contract.watching import Health, Statistics
from hwcng_recorded.keys import inner_of, on_record
from hwcng_recorded.record import Record

__all__ = ["RecordedProvider"]

_MAKING = ("generate_secret", "import_secret", "generate_pair", "import_pair", "unwrap_secret", "unwrap_pair")
_ASKING = (
    "random",
    "encapsulate",
    "reload_opaque",
    "persist_key",
    "open_key",
    "delete_key",
    "certificates",
    "store_certificates",
)


def _key_of(argument: Any) -> str:
    if isinstance(argument, str):
        return repr(argument)
    spec = getattr(argument, "spec", argument)
    return describe(spec) if hasattr(spec, "usage") else ""


def _verb(name: str) -> Callable[..., Any]:
    def asked(self: Any, *arguments: Any, **keywords: Any) -> Any:
        inner, call = [inner_of(argument) for argument in arguments], getattr(self.inner, name)
        key = " ".join(filter(None, map(_key_of, inner[:2])))
        return on_record(self.record.doing(name, key, lambda: call(*inner, **keywords)), self.record)

    asked.__name__ = name
    return asked


_Making = type("_Making", (), {name: _verb(name) for name in _MAKING})
_Asking = type("_Asking", (), {name: _verb(name) for name in _ASKING})


class _Maker(_Making):
    """What a provider's `named` or `protecting` returns."""

    reload_opaque = _verb("reload_opaque")

    def __init__(self, inner: KeyMaker, record: Record) -> None:
        self.inner = inner
        self.record = record


class RecordedProvider(_Making, _Asking, Provider):
    """inner: the token's own provider. named_by: the URI that stands for one of the inner's."""

    def __init__(self, inner: Provider, record: Record, named_by: Callable[[str], str]) -> None:
        self.inner = inner
        self.record = record
        self._named_by = named_by
        self.uri = named_by(inner.uri)

    @property
    def token(self) -> TokenInfo:  # type: ignore[override]
        return self.inner.token

    @property
    def closed(self) -> bool:  # type: ignore[override]
        return self.inner.closed

    @property
    def can_connect(self) -> bool:
        return self.inner.can_connect

    @property
    def protects_keys(self) -> bool:  # type: ignore[override]
        return self.inner.protects_keys

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.inner!r}>"

    def capabilities(self) -> Capabilities:
        return self.inner.capabilities()

    def offers(self, algorithm: str, operation: str | None = None) -> Support:
        return self.inner.offers(algorithm, operation)

    def named(self, name: str, *, replace: bool = False) -> NamedMaker:
        return _Maker(self.inner.named(name, replace=replace), self.record)

    def protecting(self, protection: Protection, name: str | None = None, *, replace: bool = False) -> KeyMaker:
        return _Maker(self.inner.protecting(protection, name, replace=replace), self.record)

    def list_keys(self) -> Iterator[KeyRecord]:
        for found in self.record.doing("list_keys", "", lambda: list(self.inner.list_keys())):
            yield replace(found, uri=self._named_by(found.uri))

    def key_uri(self, name: str) -> str:
        return self._named_by(self.inner.key_uri(name))

    def openssl(self) -> OpensslProvider:
        return self.inner.openssl()

    def openssl_key(self, key: PrivateKey, name: str | None) -> str:
        return self.inner.openssl_key(inner_of(key), name)

    def lend(self) -> object:
        return self.inner.lend()

    def health(self, timeout: float = 5.0) -> Health:
        return self.inner.health(timeout)

    def statistics(self) -> Statistics:
        return self.inner.statistics()

    def require_pin(self, pin: str | bytes) -> None:
        self.inner.require_pin(pin)

    def answers_to(self, uri: Any) -> bool:
        return self.inner.answers_to(uri.inner)

    def close(self) -> None:
        self.inner.close()
