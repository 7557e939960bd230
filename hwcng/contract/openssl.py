"""What OpenSSL must know to use a token's keys by itself: OpenSSL 3, config(5), and the provider for that token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["OpensslProvider"]


@dataclass(frozen=True, slots=True)
class OpensslProvider:
    """name: the provider's, and that of its file in OpenSSL's folder of modules. package: what Debian calls it.

    settings: lines of its section. properties: which implementations OpenSSL takes where several have an algorithm
    (property(7)), "" for its own default. environ: what the provider reads from the environment instead.
    """

    name: str
    package: str
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    properties: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
