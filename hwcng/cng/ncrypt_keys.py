"""The name that pickles of NCrypt keys gave their class before the model of ncrypt.h had a folder."""

from __future__ import annotations

from importlib import import_module


def __getattr__(name: str) -> object:
    if name == "NCryptKey":
        return getattr(import_module("hwcng.ncrypt"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
