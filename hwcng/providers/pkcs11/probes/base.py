"""One pass over a token, in which every operation that its mechanism list promises is tried once.

What is wrong both ways goes there and back unseen: wherever an operation has one right result, it is compared with the
host's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import Support
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.capabilities import RSA_COMPOSITIONS, MechanismSet

__all__ = ["SAMPLE", "Probe", "agrees"]

SAMPLE = bytes(range(32))


def agrees(pair: PrivateKey, peer: PublicKeyMaterial, expected: bytes) -> bool:
    """Whether the pair agrees with `peer` on this Z."""
    agreed = pair.agree(peer)
    try:
        return agreed.digest("SHA256", b"", b"") == hashlib.sha256(expected).digest()
    finally:
        agreed.destroy()


class Probe:
    """One pass over a token."""

    def __init__(self, provider: Provider, offered: MechanismSet) -> None:
        self.provider = provider
        self.offered = offered
        self.operations: dict[tuple[str, str], Support] = {}
        self.reasons: dict[tuple[str, str], str] = {}
        self.key_bits: dict[str, tuple[int, ...]] = {}

    def known_key(self, spec: SecretSpec, value: bytes) -> tuple[SecretKey, bool]:
        """A key of this value, and True; of a value of the token's own, and False, where it takes none from outside."""
        try:
            return self.provider.import_secret(spec, value), True
        except CngError as error:
            if error.status not in (NTSTATUS.STATUS_NOT_SUPPORTED, NTSTATUS.STATUS_ACCESS_DENIED):
                raise
        return self.provider.generate_secret(spec), False

    def attempt(self, algorithm: str, operation: str, support: Support, works: Callable[[], bool]) -> None:
        key = algorithm, operation
        reasons = self.offered.reasons
        scheme = operation.split()[0]
        known = reasons.get((algorithm, scheme)) or reasons.get((algorithm, None)) or RSA_COMPOSITIONS.get(scheme)
        reason = known or f"the token has no mechanism for {algorithm} {operation}"
        if support is not Support.REFUSED:
            try:
                if not works():
                    support, reason = Support.REFUSED, "the token's result was wrong"
            except CngError as error:
                support, reason = Support.REFUSED, str(error)
        self.operations[key] = support
        if support is not Support.NATIVE:
            self.reasons[key] = reason
