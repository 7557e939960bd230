"""Keys and secrets of a token, each call to them on the record."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from hwcng.contract import AgreedSecret, Attestable, KeyingMaterial, PrivateKey, SecretKey
from hwcng.contract.specs import describe
from hwcng_recorded.record import Record

__all__ = ["inner_of", "on_record"]

_KINDS = (SecretKey, PrivateKey, AgreedSecret, KeyingMaterial)
_PREPARED = {
    "enciphering": "encrypt",
    "deciphering": "decrypt",
    "sealing": "encrypt",
    "opening": "decrypt",
    "authenticating": "mac",
    "signing": "sign_digest",
}
"""What makes a verb ready -> the verb that is then done."""


class _OnRecord:
    """What stands for a thing of the token."""

    def __init__(self, inner: Any, record: Record) -> None:
        self.inner = inner
        self.record = record

    @property
    def called(self) -> str:
        spec = getattr(self.inner, "spec", None)
        name = getattr(self.inner, "name", None)
        return f"{describe(spec) if spec is not None else type(self).__name__}{f' {name!r}' if name else ''}"

    def asked(self, verb: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        arguments = tuple(inner_of(argument) for argument in arguments)
        if verb in _PREPARED:
            return self._prepared(_PREPARED[verb], getattr(self.inner, verb)(*arguments, **keywords))
        call = getattr(self.inner, verb)
        return on_record(self.record.doing(verb, self.called, lambda: call(*arguments, **keywords)), self.record)

    def _prepared(self, verb: str, ready: Callable[..., bytes]) -> Callable[..., bytes]:
        return lambda *arguments: self.record.doing(verb, self.called, lambda: ready(*arguments))


def _verb(name: str) -> Callable[..., Any]:
    def asked(self: _OnRecord, *arguments: Any, **keywords: Any) -> Any:
        return self.asked(name, arguments, keywords)

    asked.__name__ = name
    return asked


def _told(name: str) -> property:
    return property(lambda self: getattr(self.inner, name))


@cache
def _class_for(kind: type, attests: bool) -> type:
    """A class of this kind whose verbs are on the record, and whose attributes are those of what it stands for."""
    verbs = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    told = {name for base in kind.__mro__ for name in inspect.get_annotations(base)}
    members: dict[str, Any] = {name: _told(name) for name in told if not name.startswith("_")}
    members |= {name: _verb(name) for name in {*verbs, *(["attest"] if attests else [])}}
    return type(f"Recorded{kind.__name__}", (_OnRecord, kind), members)


def on_record(value: Any, record: Record) -> Any:
    """`value`, or what stands for it where it is a key or a secret of the token."""
    for kind in _KINDS:
        if isinstance(value, kind):
            return _class_for(kind, isinstance(value, Attestable))(value, record)
    return value


def inner_of(value: Any) -> Any:
    """What `value` stands for, or itself."""
    return value.inner if isinstance(value, _OnRecord) else value
