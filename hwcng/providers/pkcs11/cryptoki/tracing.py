"""The trace of C_ calls: their names and answers (OASIS PKCS#11 3.2, section 5), and nothing that they carry."""

from __future__ import annotations

import time
from collections.abc import Callable

from hwcng.providers.instruments import Tell
from hwcng.providers.pkcs11.cryptoki.return_values import token_code

__all__ = ["tracing"]


def tracing(tell: Tell) -> Callable[[str, Callable[..., int]], Callable[..., int]]:
    def traced(name: str, function: Callable[..., int]) -> Callable[..., int]:
        def called(*arguments: object) -> int:
            began = time.perf_counter()
            rv = function(*arguments)
            tell(name, began, lambda: token_code(rv).name)
            return rv

        return called

    return traced
