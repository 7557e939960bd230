"""Commands on several objects each of which needs an authorization of its own: a session for each, so that no value is
on the bus (TPM 2.0 Library, Part 1, sections 17.6 and 19.6).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hwcng.providers.tpm2.keys.handles import KeyHandle
from hwcng.providers.tpm2.wire.commands import PCR_ATTEMPTS, Link, flush, refused_key, satisfy
from hwcng.providers.tpm2.wire.constants import RC
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.hmac_session import Session
from hwcng.providers.tpm2.wire.marshal import Reader, command, u8, u32
from hwcng.providers.tpm2.wire.policies import AUTH_VALUE

__all__ = ["run_by_each"]

Satisfy = Callable[[Session], None]
_SUCCESS = u32(RC.SUCCESS)


@dataclass(frozen=True, slots=True)
class _Use:
    """An object, the session that authorizes it, and the value that goes into that session's HMACs."""

    key: KeyHandle
    session: Session
    auth: bytes = field(repr=False)


def run_by_each(
    link: Link,
    code: int,
    keys: Sequence[KeyHandle],
    parameters: bytes,
    *,
    after: Sequence[tuple[int, bytes]] = (),
    hide_response: bool = False,
    policies: Mapping[int, Satisfy] | None = None,
) -> bytes:
    """The response's parameters of a command on `keys`; anew where PCRs changed meanwhile, which any PCR does.

    after: handles and names of the objects behind them, which need no authorization. hide_response: whether its first
    parameter is encrypted. policies: what satisfies the policy of an object, by its handle, beside the keys' own.

    Raises TpmError, TransportError.
    """
    for attempt in range(PCR_ATTEMPTS):
        with _sessions(link, keys, policies or {}) as uses:
            try:
                return _run(link, code, uses, parameters, after, hide_response)
            except TpmError as error:
                error.key = refused_key(error.rc, keys)
                if error.code != RC.PCR_CHANGED or attempt == PCR_ATTEMPTS - 1:
                    raise
            except TransportError as error:
                error.key = next((key for key in keys if not key.authorization.repeatable), None)
                raise
    raise AssertionError("unreachable")


@contextmanager
def _sessions(link: Link, keys: Sequence[KeyHandle], policies: Mapping[int, Satisfy]) -> Iterator[list[_Use]]:
    """The connection's own for the first object that needs no policy; the others end with the block."""
    own, made, uses = link.session, [], []
    try:
        for key in keys:
            by_policy = bool(key.policy) or key.handle in policies
            if own is not None and not by_policy:
                session, own = own, None
            else:
                session = link.another_session(policy=by_policy)
                made.append(session)
            for step in key.policy:
                satisfy(link, session, step)
            if key.handle in policies:
                policies[key.handle](session)
            uses.append(_Use(key, session, key.auth if not by_policy or AUTH_VALUE in key.policy else b""))
        yield uses
    except TransportError:
        # What the line's end leaves in the TPM is taken out when it is opened again.
        raise
    except BaseException:
        _end(link, made)
        raise
    _end(link, made)


def _end(link: Link, sessions: Sequence[Session]) -> None:
    for session in sessions:
        flush(link, session.handle)


def _run(
    link: Link,
    code: int,
    uses: Sequence[_Use],
    parameters: bytes,
    after: Sequence[tuple[int, bytes]],
    hide_response: bool,
) -> bytes:
    names = b"".join((*(use.key.name for use in uses), *(name for _, name in after)))
    said = hashlib.sha256(u32(code) + names + parameters).digest()
    area, nonces = b"", []
    for number, use in enumerate(uses):
        nonce, authorization = use.session.authorization(said, use.auth, encrypted=hide_response and not number)
        nonces.append(nonce)
        area += authorization
    handles = (*(use.key.handle for use in uses), *(handle for handle, _ in after))
    reader = Reader(link.exchange(command(code, handles, area, parameters)))
    reader.take(6)
    if (rc := reader.u32()) != RC.SUCCESS:
        raise TpmError(rc, code)
    answer = reader.take(reader.u32())
    said = hashlib.sha256(_SUCCESS + u32(code) + answer).digest()
    for use, nonce in zip(uses, nonces, strict=True):
        nonce_tpm, attributes, mac = reader.sized(), reader.u8(), reader.sized()
        if not hmac.compare_digest(use.session.mac(said + nonce_tpm + nonce + u8(attributes), use.auth), mac):
            raise TransportError("the TPM's answer was altered on its way")
        use.session.nonce_tpm = nonce_tpm
    reader.end()
    for use in uses:
        use.key.authorization.proved = True
    first = uses[0]
    return first.session.shown(answer, nonces[0], first.auth) if hide_response else answer
