"""Uses `cryptography` once, when it is imported: a first use takes locks (PyO3's PyOnceLock), which a child that is
forked meanwhile finds locked for ever.

The keys are base points, Mersenne primes and zeros, nobody's; what comes of their use does not matter.
"""

from __future__ import annotations

from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm

from hwcng.errors import CngError
from hwcng.forking import foreign_work
from hwcng.hostcrypto.host_keys import HOST_KINDS

__all__: list[str] = []


@foreign_work()
def _use() -> None:
    for kind in HOST_KINDS:
        with suppress(CngError, ValueError, UnsupportedAlgorithm):
            kind.first_use()


_use()
