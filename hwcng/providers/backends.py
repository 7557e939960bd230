"""The kinds of token that there are, each found by the scheme of its URIs (Python's entry points, importlib.metadata).

First come those of `hwcng.providers`, each in a folder with its scheme's name, then the entry points of other packages:
none of them can take a scheme from hwcng, whose PINs it would see.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from hwcng import providers
from hwcng.arguments import string
from hwcng.contract.backend import Backend
from hwcng.contract.provider_uri import ProviderUri
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, told
from hwcng.loading import load
from hwcng.providers.uri_syntax import scheme_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "AnyBackend", "backend_for", "backend_of", "backends", "names_a_backend", "parse_uri", "schemes"]

GROUP = "hwcng.backends"
"""The group of entry points: the name of each is a scheme, its object an instance of `Backend`."""

AnyBackend: TypeAlias = Backend[Any]

_OBJECT = "BACKEND"
_loaded: dict[str, AnyBackend] = {}


# Looked up here: whoever drops privileges later may not read this folder any more.
_OWN = frozenset(found.name for found in pkgutil.iter_modules(providers.__path__) if found.ispkg)


@cache
def _of_others(path: tuple[str, ...]) -> Mapping[str, list[EntryPoint]]:
    """By scheme. path: sys.path, which says what is installed."""
    metadata: Any = load("importlib.metadata")
    found: dict[str, list[EntryPoint]] = {}
    for entry in metadata.entry_points(group=GROUP):
        if entry.name not in _OWN:
            found.setdefault(entry.name, []).append(entry)
    return found


def _entries() -> Mapping[str, list[EntryPoint]]:
    return _of_others(tuple(sys.path))


def schemes() -> list[str]:
    """The schemes of all backends: hwcng's first, then those of other packages, each in the order of the alphabet."""
    return [*sorted(_OWN), *sorted(_entries())]


def names_a_backend(text: str) -> bool:
    """Whether `text` begins with the scheme of a backend. Loads none."""
    scheme = scheme_of(text)
    return scheme is not None and (scheme in _loaded or scheme in _OWN or scheme in _entries())


def backend_of(uri: ProviderUri) -> AnyBackend:
    """The backend that read the URI."""
    return backend_for(uri.scheme)


def backends() -> Iterator[AnyBackend]:
    """Every backend that can be loaded."""
    for known in (_OWN, _entries()):
        for scheme in sorted(known):
            with suppress(CngError):
                yield backend_for(scheme)


def parse_uri(text: str) -> ProviderUri:
    """The provider that `text` names. The scheme is case-insensitive (RFC 3986), all else is not; blanks are refused.

    Raises CngError: STATUS_INVALID_PARAMETER that names the wrong attribute and shows no value that may be secret,
    STATUS_NOT_FOUND where the scheme's backend is of another package and cannot be loaded.
    """
    text = string(text, "a provider URI")
    scheme = scheme_of(text)
    if scheme is None:
        raise invalid_parameter(f"a provider URI begins with its scheme, {_listed()}")
    uri: ProviderUri = backend_for(scheme).parse(text[len(scheme) + 1 :])
    return uri


def _listed() -> str:
    *others, last = (f"{scheme}:" for scheme in schemes())
    return f"{', '.join(others)} or {last}"


def backend_for(scheme: str) -> AnyBackend:
    """The backend of a scheme. Raises as `parse_uri`."""
    if (known := _loaded.get(scheme)) is not None:
        return known
    if scheme in _OWN:
        found = _object(f"{providers.__name__}.{scheme}.backend", _OBJECT)
    elif entries := _entries().get(scheme):
        found = _of_entry(scheme, entries)
    else:
        raise invalid_parameter(f"the scheme {scheme}: names no provider; the schemes are {_listed()}")
    return _loaded.setdefault(scheme, found)


def _object(module: str, name: str) -> Any:
    found: object = load(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _of_entry(scheme: str, entries: list[EntryPoint]) -> AnyBackend:
    if len(entries) > 1:
        values = ", ".join(sorted(entry.value for entry in entries))
        raise invalid_parameter(f"several packages say that they are the backend of {scheme}: ({values}); keep one")
    entry = entries[0]
    try:
        found = _object(entry.module, entry.attr)
    except (ImportError, AttributeError) as error:
        reason = f"the backend of {scheme}: cannot be loaded from {entry.value}: {error}"
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, reason) from error
    if not isinstance(found, Backend) or found.scheme != scheme:
        raise CngError(
            NTSTATUS.STATUS_NOT_FOUND, f"{entry.value}, which {told(found)} is, is no Backend whose scheme is {scheme}"
        )
    return found
