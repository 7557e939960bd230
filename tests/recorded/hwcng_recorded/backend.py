"""recorded: URIs: recorded:FILE?URI, on the generic syntax of RFC 3986."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, unquote_to_bytes

from hwcng.contract import Backend, KeyRecord, Pin, Provider, ProviderUri
from hwcng.errors import invalid_parameter
from hwcng.providers.backends import backend_of, parse_uri
from hwcng.providers.registry import open_uri
from hwcng_recorded.provider import RecordedProvider
from hwcng_recorded.record import Record

__all__ = ["BACKEND", "RecordedUri"]


@dataclass(frozen=True)
class RecordedUri:
    """file: where the record is added to, "" for none. inner: the token's URI."""

    file: str
    inner: ProviderUri
    scheme: ClassVar[str] = "recorded"

    def __str__(self) -> str:
        return f"{self.scheme}:{quote(self.file.encode('utf-8', 'surrogateescape'))}?{self.inner}"


class _Recorded(Backend[RecordedUri]):
    scheme = RecordedUri.scheme
    description = "a record of the calls to another token"

    def parse(self, rest: str) -> RecordedUri:
        file, mark, inner = rest.partition("?")
        if not mark:
            raise invalid_parameter("a recorded: URI is recorded:FILE?URI, and has no '?'")
        name = unquote_to_bytes(file.encode("utf-8", "replace"))
        if name and (not name.startswith(b"/") or b"\0" in name):
            raise invalid_parameter("the file of a recorded: URI has an absolute path")
        return RecordedUri(name.decode("utf-8", "surrogateescape"), parse_uri(inner))

    def open(self, uri: RecordedUri, *, pin: Pin | None, allow_raw_secret: bool) -> Provider:
        record = Record(uri.file or None)
        return RecordedProvider(
            record.doing("open", "", lambda: open_uri(uri.inner, pin, allow_raw_secret)),
            record,
            lambda inner: f"{self.scheme}:{quote(uri.file.encode('utf-8', 'surrogateescape'))}?{inner}",
        )

    def split(self, uri: RecordedUri) -> tuple[RecordedUri, str]:
        token, name = backend_of(uri.inner).split(uri.inner)
        return RecordedUri(uri.file, token), name

    def names_a_key(self, uri: RecordedUri) -> bool:
        return backend_of(uri.inner).names_a_key(uri.inner)

    def shown_name(self, uri: RecordedUri) -> str:
        return backend_of(uri.inner).shown_name(uri.inner)

    def key_of_certificate(self, uri: RecordedUri) -> RecordedUri:
        return RecordedUri(uri.file, backend_of(uri.inner).key_of_certificate(uri.inner))

    def pin_is_the_keys(self, uri: RecordedUri) -> bool:
        return backend_of(uri.inner).pin_is_the_keys(uri.inner)

    def pin_in(self, uri: RecordedUri) -> Pin | None:
        return backend_of(uri.inner).pin_in(uri.inner)

    def settings(self, uri: RecordedUri) -> Sequence[str]:
        return backend_of(uri.inner).settings(uri.inner)

    def with_setting(self, uri: RecordedUri, name: str, value: str) -> RecordedUri:
        return RecordedUri(uri.file, backend_of(uri.inner).with_setting(uri.inner, name, value))

    def visible_keys(self, uri: RecordedUri) -> list[KeyRecord]:
        return list(backend_of(uri.inner).visible_keys(uri.inner))

    def _alike(self, one: RecordedUri, other: RecordedUri) -> Any:
        """The inner backend, where both URIs are of one record and one kind."""
        alike = (one.file, one.inner.scheme) == (other.file, other.inner.scheme)
        return backend_of(one.inner) if alike else None

    def same_token(self, one: RecordedUri, other: RecordedUri, *, by_module: bool = True) -> bool:
        inner = self._alike(one, other)
        return inner is not None and inner.same_token(one.inner, other.inner, by_module=by_module)

    def is_vague(self, uri: RecordedUri) -> bool:
        return backend_of(uri.inner).is_vague(uri.inner)

    def told_apart_by(self, uri: RecordedUri) -> str:
        return backend_of(uri.inner).told_apart_by(uri.inner)

    def in_common(self, one: RecordedUri, other: RecordedUri) -> int:
        inner = self._alike(one, other)
        return 0 if inner is None else inner.in_common(one.inner, other.inner)


BACKEND = _Recorded()
