"""What a model of a Windows header asks of whoever knows the providers by name (pszImplementation, pszProvider)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hwcng.contract.provider import Provider

__all__ = ["Implementations"]


class Implementations(Protocol):
    """The providers of this process: `hwcng.providers.registry` is one."""

    def configured_names(self) -> Mapping[str, object]:
        """Every name that the configuration gives, none of which is opened."""

    def is_configured(self, name: str, /) -> bool:
        """Whether the configuration gives that name."""

    def default_provider(self) -> Provider:
        """What is meant where no name is given. Raises STATUS_NOT_FOUND where there is none."""

    def resolve_implementation(self, implementation: Provider | str | None, /) -> Provider:
        """The provider of a name or URI, open. Raises STATUS_NOT_FOUND, STATUS_INVALID_PARAMETER, what it says."""
