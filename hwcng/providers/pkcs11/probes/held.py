"""Keys that are in the token already, for probing what a token that makes none does with them.

Each is used once for each operation, on samples of hwcng's. A key that asks for the PIN at every use is left alone, and
so is one whose public half is unknown: nothing could be verified.
"""

from __future__ import annotations

from collections.abc import Callable

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import Untold
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import CngError

__all__ = ["HeldKeys"]


class HeldKeys:
    """used: whether any was asked for. names: of those that were found fit."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._records: list[KeyRecord] | None = None
        self._found: dict[tuple[object, ...], SecretKey | PrivateKey | None] = {}

    @property
    def used(self) -> bool:
        return self._records is not None

    def pair(self, kind: str, usage: Usage, curve: str = "") -> PrivateKey | None:
        """One that may do this. It is nobody's to destroy: a named key's end does nothing to it."""

        def fits(spec: SecretSpec | PairSpec) -> bool:
            return isinstance(spec, PairSpec) and spec.kind == kind and curve in ("", spec.curve)

        found = self._key((kind, usage, curve), usage, fits)
        return found if isinstance(found, PrivateKey) else None

    def secret(self, family: SecretFamily, usage: Usage, hash_name: str | None) -> SecretKey | None:
        def fits(spec: SecretSpec | PairSpec) -> bool:
            return isinstance(spec, SecretSpec) and spec.family is family and spec.hash_name in (None, hash_name)

        found = self._key((family, usage, hash_name), usage, fits)
        return found if isinstance(found, SecretKey) else None

    def _key(
        self, sought: tuple[object, ...], usage: Usage, fits: Callable[[SecretSpec | PairSpec], bool]
    ) -> SecretKey | PrivateKey | None:
        if sought not in self._found:
            fitting = (one for one in self.records if not usage & ~one.usage and fits(one.spec))
            self._found[sought] = next((key for key in map(self._opened, fitting) if key is not None), None)
        return self._found[sought]

    @property
    def records(self) -> list[KeyRecord]:
        if self._records is None:
            try:
                self._records = list(self._provider.list_keys())
            except CngError:
                self._records = []
        return self._records

    def _opened(self, record: KeyRecord) -> SecretKey | PrivateKey | None:
        try:
            key = self._provider.open_key(record.address or record.name)
        except CngError:
            return None
        alone = getattr(key, "always_authenticate", False) or isinstance(getattr(key, "public", None), Untold)
        return None if alone else key
