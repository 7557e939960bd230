"""Keys of a token as the `cryptography` package knows keys: what takes its private keys takes these.

`private_key` and a key's own `as_cryptography()` return them. `import_private_key` goes the other way. `AESGCM`, `HMAC`
and `Fernet` do what their namesakes do, under keys that stay in the token. Nothing loads before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwcng.pyca.opening import import_private_key, private_key
    from hwcng.pyca.symmetric import AESGCM, HMAC, Fernet

__all__ = ["AESGCM", "HMAC", "Fernet", "import_private_key", "private_key"]

_HOMES = {
    "AESGCM": "symmetric",
    "HMAC": "symmetric",
    "Fernet": "symmetric",
    "import_private_key": "opening",
    "private_key": "opening",
    "unopened_private_key": "private_keys",
}

# A type checker that saw this function would take every misspelt name for an attribute.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from hwcng.loading import load

        value = globals()[name] = getattr(load(f"{__name__}.{_HOMES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
