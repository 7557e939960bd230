"""Looking at a libsoftokn3.so from a child process, so that this one stays free to initialise it as it likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwcng.providers.pkcs11.quirks import NSS_WITHOUT_DATABASE, companions
from hwcng.testing._provisioning import ask_child

__all__ = ["NssError", "ask", "look_at"]


class NssError(RuntimeError):
    """NSS is not there, could not be had, or refused. The message says what failed and holds no PIN."""


def ask(module: Path, reserved: str, **of_token: str) -> dict[str, Any]:
    """What a process says that has the module to itself. reserved: for C_Initialize. of_token: its label and pin."""
    request = {"module": str(module), "companions": [*companions(str(module))], "reserved": reserved, **of_token}
    return ask_child("hwcng.testing._init_nss_database", request, NssError)


def look_at(module: Path) -> Sequence[int]:
    """The mechanisms (CKM numbers) that the module lists. Raises NssError where it cannot be loaded."""
    answer = ask(module, NSS_WITHOUT_DATABASE)
    if "error" in answer:
        raise NssError(f"{module} does not work here: {answer['error']}")
    mechanisms: list[int] = answer["mechanisms"]
    return mechanisms
