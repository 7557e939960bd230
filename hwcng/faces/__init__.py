"""The documented functions of bcrypt.h, ncrypt.h and wincrypt.h, which the modules of these names hand on."""

from __future__ import annotations

from types import ModuleType

__all__ = ["belong_to"]


def belong_to(face: str, *parts: ModuleType) -> None:
    """Names what `parts` have after the module that hands it on: a pickled reference, a traceback and a page say that.

    face: that module's name.
    """
    for part in parts:
        for name in part.__all__:
            getattr(part, name).__module__ = face
