"""The commands by which a TPM is told from others: TPM 2.0 Library, Part 3, sections 12.5 (TPM2_ActivateCredential),
23.4 (TPM2_PolicySecret) and 31 (non-volatile storage). They run as those of `commands` do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from hwcng.providers.tpm2.keys.handles import KeyHandle
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.wire.commands import Link, run
from hwcng.providers.tpm2.wire.constants import CC, PT
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.hmac_session import Session
from hwcng.providers.tpm2.wire.marshal import Reader, sized, u16, u32
from hwcng.providers.tpm2.wire.several_sessions import run_by_each

__all__ = ["activate_credential", "nv_contents"]

_AUTH_READ, _READ_LOCKED, _WRITTEN = 0x00040000, 0x10000000, 0x20000000
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class _Index:
    """attributes: TPMA_NV; size: octets."""

    name: bytes
    attributes: int
    size: int

    @property
    def readable(self) -> bool:
        """By everybody, with the index' own authorization value, which is empty."""
        readable = _AUTH_READ | _WRITTEN
        return self.attributes & (readable | _READ_LOCKED) == readable


def _nv_public(link: Link, index: int) -> _Index:
    reader = Reader(run(link, CC.NV_ReadPublic, (index,))[1])
    public, name = Reader(reader.sized()), reader.sized()
    public.take(6)
    attributes = public.u32()
    public.sized()
    return _Index(name, attributes, public.u16())


def nv_contents(link: Link, index: int) -> bytes:
    """What is in non-volatile storage at an index that there is; empty where not everybody may read it."""
    found = _nv_public(link, index)
    if not found.readable:
        return b""
    chunk = commands.properties(link, PT.NV_BUFFER_MAX).get(PT.NV_BUFFER_MAX, _CHUNK)
    key, contents = KeyHandle(index, found.name), bytearray()
    while len(contents) < found.size:
        parameters = u16(min(chunk, found.size - len(contents))) + u16(len(contents))
        piece = Reader(run(link, CC.NV_Read, (index,), parameters, keys=(key,))[1]).sized()
        if not piece:
            break
        contents += piece
    return bytes(contents)


def activate_credential(
    link: Link,
    key: KeyHandle,
    endorsement: KeyHandle,
    hierarchy: KeyHandle | None,
    id_object: bytes,
    encrypted_secret: bytes,
) -> bytes:
    """The credential's secret, hidden on the way, as an authorization value of the key is. hierarchy: whose
    authorization the endorsement key's policy asks for, None where its own empty value is enough.
    """
    parameters = sized(id_object) + sized(encrypted_secret)
    if key.auth and (link.session is not None or hierarchy is not None):
        policies = {} if hierarchy is None else {endorsement.handle: partial(_satisfy, link, hierarchy=hierarchy)}
        keys = replace(key, policy=()), endorsement
        hidden = run_by_each(link, CC.ActivateCredential, keys, parameters, hide_response=True, policies=policies)
        return Reader(hidden).sized()
    session = link.session if hierarchy is None else link.another_session(policy=True)
    if session is None:
        answer = run(link, CC.ActivateCredential, (), parameters, keys=(key, endorsement))[1]
        return Reader(answer).sized()
    try:
        if hierarchy is not None:
            _satisfy(link, session, hierarchy)
        answer = session.run(
            link.exchange,
            CC.ActivateCredential,
            endorsement.handle,
            endorsement.name,
            parameters,
            hide_request=False,
            hide_response=True,
            ahead=(key.handle, key.name),
        )[1]
    except TpmError:
        if hierarchy is not None:
            commands.flush(link, session.handle)
        raise
    if hierarchy is not None:
        commands.flush(link, session.handle)
    return Reader(answer).sized()


def _satisfy(link: Link, policy: Session, hierarchy: KeyHandle) -> None:
    """TPM2_PolicySecret: with the authorization of a hierarchy, which is not on the bus where it is not empty."""
    parameters = sized(b"") * 3 + u32(0)
    session = link.session if hierarchy.auth else None
    if session is None:
        run(link, CC.PolicySecret, (policy.handle,), parameters, keys=(hierarchy,))
        return
    try:
        session.run(
            link.exchange,
            CC.PolicySecret,
            hierarchy.handle,
            hierarchy.name,
            parameters,
            auth=hierarchy.auth,
            hide_request=False,
            hide_response=False,
            beside=((policy.handle, u32(policy.handle)),),
        )
    except (TpmError, TransportError) as error:
        error.key = hierarchy
        raise
    hierarchy.authorization.proved = True
