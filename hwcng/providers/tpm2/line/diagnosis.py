"""What a refusal means: asked of the TPM, by commands that cost no try of an authorization value."""

from __future__ import annotations

from contextlib import suppress

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.keys.handles import KeyHandle
from hwcng.providers.tpm2.line.parents import FIRST_PERSISTENT
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link
from hwcng.providers.tpm2.wire.constants import PT, RC
from hwcng.providers.tpm2.wire.errors import (
    BUSY,
    NO_ROOM,
    NO_SESSION_ROOM,
    REFUSED,
    TpmError,
    TransportError,
    failures,
    lockout,
    refusal,
    root_is_another,
    root_is_gone,
    to_cng,
    token_code,
)
from hwcng.providers.tpm2.wire.hmac_session import Parent
from hwcng.providers.tpm2.wire.marshal import MalformedError

__all__ = ["counted_failures", "explained", "root_loss"]

_NOT_EXAMINED = "the TPM lost our session and did not get to see the PIN; nothing was tried again: repeat the call"
_NO_LOSS = BUSY | NO_ROOM | NO_SESSION_ROOM | {RC.LOCKOUT, RC.FAILURE, RC.CANCELED}
"""Answers that a storage root key which is gone would not give."""


def explained(link: Link, parent: Parent | None, error: TpmError, asked: str) -> tuple[CngError, bool]:
    """What to raise for what a TPM refused, and whether slots and sessions are lost. parent: the storage root key."""
    lost = None
    with suppress(TransportError, MalformedError):
        lost = root_loss(link, parent) if error.code not in _NO_LOSS else None
    if lost is not None:
        return CngError(NTSTATUS.STATUS_INVALID_DEVICE_STATE, f"{asked}: {lost}", token_code(error)), True
    if error.code not in (*REFUSED, RC.LOCKOUT):
        return to_cng(error, asked), False
    properties: dict[int, int] = {}
    with suppress(TpmError, TransportError, MalformedError):
        properties = commands.properties(link, PT.PERMANENT)
    if error.code == RC.LOCKOUT:
        return lockout(error, asked, properties), False
    key = error.key
    if key is not None and not key.authorization.fixed and _is_lost(link, key):
        return CngError(NTSTATUS.STATUS_DEVICE_NOT_READY, f"{asked}: {_NOT_EXAMINED}", token_code(error)), True
    if key is not None and key.handle >= FIRST_PERSISTENT and _is_another(link, key):
        another = f"another object is at {key.handle:#x} than the one that was opened; open it anew"
        return CngError(NTSTATUS.STATUS_INVALID_HANDLE, f"{asked}: {another}", token_code(error)), False
    if key is not None:
        # No file says whether the value of a key at a handle is empty, so the next call may be as wrong.
        key.authorization.refused = key.authorization.fixed and key.authorization.counted
    return refusal(error, asked, properties), False


def root_loss(link: Link, parent: Parent | None) -> str | None:
    """What became of the storage root key, None where it is there. Raises TransportError, MalformedError."""
    if parent is None:
        return None
    try:
        name = commands.read_public(link, parent.handle)[1]
    except TpmError as error:
        if error.code == RC.HANDLE:
            return root_is_gone(parent.handle)
        return None
    return None if name == parent.name else root_is_another(parent.handle)


def counted_failures(link: Link) -> str:
    """What the TPM says of wrong values that it counted, "" where it counted none. Raises TpmError, TransportError."""
    properties = commands.properties(link, PT.PERMANENT)
    return failures(properties) if properties.get(PT.LOCKOUT_COUNTER) else ""


def _is_another(link: Link, key: KeyHandle) -> bool:
    """Whether somebody put another object at a persistent handle; where it cannot be asked, nobody did."""
    with suppress(TpmError, TransportError, MalformedError):
        return commands.read_public(link, key.handle)[1] != key.name
    return False


def _is_lost(link: Link, key: KeyHandle) -> bool:
    """Whether slot or session are no more ours, as after a reset of the TPM."""
    try:
        if commands.read_public(link, key.handle)[1] != key.name:
            return True
        commands.get_random(link, 1)
    except TpmError:
        return True
    except (TransportError, MalformedError):
        # What cannot be asked leaves the refusal as it was.
        return False
    return False
