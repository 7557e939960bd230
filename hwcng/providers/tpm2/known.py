"""What a TPM offers, kept with the connection to it: another provider asks only whether it is the same, not reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwcng.providers.tpm2.capabilities import Offers, probe
from hwcng.providers.tpm2.line.connection import Connection
from hwcng.providers.tpm2.wire import commands

__all__ = ["offered"]

_ASKED = "opening the TPM"


@dataclass(frozen=True, slots=True)
class _Known:
    """resets: of the TPM until then; root: the name of its storage root key. Both tell one TPM from another."""

    offers: Offers
    resets: int
    root: bytes


def offered(connection: Connection, adopt: Callable[[], bytes]) -> Offers:
    """What the TPM offers. adopt: has the connection take the TPM's storage root key, and returns its name.

    Raises CngError.
    """
    resets = connection.perform(_ASKED, _resets)
    known = connection.known if isinstance(connection.known, _Known) else None
    if known is not None and known.resets != resets:
        known = None
    offers = known.offers if known is not None else _probed(connection)
    root = adopt()
    if known is not None and known.root != root:
        offers = _probed(connection)
    connection.known = _Known(offers, resets, root)
    return offers


def _resets(connection: Connection) -> int:
    """As counted when the line was opened, where that was for the first provider."""
    return (connection.resets if connection.known is None else 0) or commands.reset_counts(connection)


def _probed(connection: Connection) -> Offers:
    return Offers(connection.perform(_ASKED, lambda line: line.esys(probe)))
