"""The TPM's commands on keys, typed: TPM 2.0 Library, Part 3. Each runs once, on a `Link` that its caller has locked.

Octet strings are the contents of TPM2B structures, without their length. What carries a secret is hidden in the link's
session; handles of persistent and transient objects are raw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from hwcng.errors import NTSTATUS
from hwcng.providers.tpm2.keys.handles import Authorization, KeyHandle
from hwcng.providers.tpm2.wire.constants import ALG, CAP, CC, RC, RH, ST
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.hmac_session import Session
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader, command, sized, u8, u16, u32
from hwcng.providers.tpm2.wire.policies import AUTH_VALUE, Step, pcr_selection, read_selection

__all__ = [
    "Created",
    "KeyHandle",
    "Link",
    "MAX_RANDOM",
    "change_auth",
    "context_load",
    "context_save",
    "create",
    "create_primary",
    "ecdh_zgen",
    "encrypt_decrypt",
    "flush",
    "get_random",
    "handles",
    "import_duplicate",
    "load",
    "mac",
    "mac_start",
    "pcr_read",
    "properties",
    "read_public",
    "reset_counts",
    "rsa_decrypt",
    "run",
    "sequence_complete",
    "sequence_update",
    "sign",
    "startup",
    "working",
]

MAX_RANDOM = 64
"""Bytes of one TPM2_GetRandom; more are cut off without a word."""

_NO_HASHCHECK = u16(ST.HASHCHECK) + u32(RH.NULL) + sized(b"")
_STARTUP_CLEAR = 0
_OF_A_SESSION = 0x880
_PAGE = 64
_SIGNATURE = 4
"""Where the first number of a TPMT_SIGNATURE is: behind its algorithm and its hash."""
_CIPHERED = Struct(">BHH")
"""What TPM2_EncryptDecrypt2 has between the data and the IV."""
PCR_ATTEMPTS = 3


class Link(Protocol):
    """A locked way to the TPM."""

    def exchange(self, request: bytes, /) -> bytes: ...

    @property
    def session(self) -> Session | None:
        """The session that hides secrets; None: sessions are switched off."""

    def another_session(self, *, policy: bool) -> Session:
        """A new session for one use of a key, which its user flushes. policy: whether by the key's policy."""


@dataclass(frozen=True, slots=True)
class Created:
    """What TPM2_Create gives. creation_data: TPMS_CREATION_DATA; ticket: TPMT_TK_CREATION."""

    private: bytes
    public: bytes
    creation_data: bytes
    creation_hash: bytes
    ticket: bytes


def run(
    link: Link,
    code: int,
    handles: Sequence[int] = (),
    parameters: bytes = b"",
    *,
    keys: Sequence[KeyHandle] = (),
    answers_handle: bool = False,
) -> tuple[int, bytes]:
    """A command in the open. keys: the first of its handles, which need an authorization; handles: those after them.

    Returns the response's handle, 0 where it has none, and its parameters. Raises TpmError, TransportError.
    """
    area = b"".join(u32(RH.PW) + sized(b"") + u8(1) + sized(key.auth) for key in keys)
    try:
        response = link.exchange(command(code, (*(key.handle for key in keys), *handles), area, parameters))
    except TransportError as error:
        error.key = _riskiest(keys)
        raise
    reader = Reader(response)
    reader.take(6)
    rc = reader.u32()
    if rc != RC.SUCCESS:
        refusal = TpmError(rc, code)
        refusal.key = refused_key(rc, keys)
        raise refusal
    for key in keys:
        key.authorization.proved = True
    handle = reader.u32() if answers_handle else 0
    return handle, reader.take(reader.u32()) if keys else reader.rest()


def _riskiest(keys: Sequence[KeyHandle]) -> KeyHandle | None:
    return next((key for key in keys if not key.authorization.repeatable), None)


def refused_key(rc: int, keys: Sequence[KeyHandle]) -> KeyHandle | None:
    """Of the session that a response code names (Part 2, section 6.6.3), else of the first."""
    number = (rc >> 8 & 7) - 1 if rc & _OF_A_SESSION == _OF_A_SESSION else 0
    return keys[min(max(number, 0), len(keys) - 1)] if keys else None


def _run_hidden(
    link: Link,
    code: int,
    key: KeyHandle | None,
    parameters: bytes,
    *,
    request: bool = False,
    response: bool = False,
    answers_handle: bool = False,
) -> tuple[int, bytes]:
    """A command in the session. request, response: whether its first parameter is hidden."""
    if key is not None and key.policy:
        return _run_by_policy(link, code, key, parameters, request, response, answers_handle)
    session = link.session
    if session is None:
        return run(link, code, (), parameters, keys=(key,) if key else (), answers_handle=answers_handle)
    try:
        answer = session.run(
            link.exchange,
            code,
            key.handle if key else 0,
            key.name if key else b"",
            parameters,
            auth=key.auth if key else b"",
            hide_request=request,
            hide_response=response,
            answers_handle=answers_handle,
        )
    except (TpmError, TransportError) as error:
        error.key = key
        raise
    if key is not None:
        key.authorization.proved = True
    return answer


def _run_by_policy(
    link: Link, code: int, key: KeyHandle, parameters: bytes, request: bool, response: bool, answers_handle: bool
) -> tuple[int, bytes]:
    """In a session in which the key's policy is satisfied; anew where PCRs changed meanwhile, which any PCR does."""
    for attempt in range(PCR_ATTEMPTS):
        session = link.another_session(policy=True)
        try:
            for step in key.policy:
                satisfy(link, session, step)
            answer = session.run(
                link.exchange,
                code,
                key.handle,
                key.name,
                parameters,
                auth=key.auth if AUTH_VALUE in key.policy else b"",
                hide_request=request,
                hide_response=response,
                answers_handle=answers_handle,
            )
        except TpmError as error:
            flush(link, session.handle)
            error.key = key
            if error.code == RC.PCR_CHANGED and attempt < PCR_ATTEMPTS - 1:
                continue
            raise
        except TransportError as error:
            error.key = key
            raise
        key.authorization.proved = True
        flush(link, session.handle)
        return answer
    raise AssertionError("unreachable")


def satisfy(link: Link, session: Session, step: Step) -> None:
    if step.code != CC.PolicyPCR:
        run(link, step.code, (session.handle,))
        return
    reader = Reader(step.body)
    banks = read_selection(reader)
    selection, digest = step.body[: reader.position], reader.rest()
    try:
        run(link, CC.PolicyPCR, (session.handle,), sized(digest) + selection)
    except TpmError as error:
        if error.code != RC.VALUE:
            raise
        told = ", ".join(f"{bank} {' '.join(map(str, pcrs))}" for bank, pcrs in banks)
        raise TpmError(
            error.rc,
            error.command,
            (
                NTSTATUS.STATUS_ACCESS_DENIED,
                f"the key is bound to other values of the PCRs {told} than they have now; nothing was tried",
            ),
        ) from None


def _run_below(
    link: Link, code: int, parent: KeyHandle, parameters: bytes, *, request: bool = False, answers_handle: bool = False
) -> tuple[int, bytes]:
    """A command on a storage key: in the session where there is something to hide, its authorization value included."""
    if request or parent.auth:
        return _run_hidden(link, code, parent, parameters, request=request, answers_handle=answers_handle)
    return run(link, code, (), parameters, keys=(parent,), answers_handle=answers_handle)


def _octets_at(answer: bytes, start: int = 0) -> bytes:
    """The octets of the TPM2B at a place in an answer. Raises MalformedError."""
    start += 2
    end = start + int.from_bytes(answer[start - 2 : start], "big")
    if not start <= end <= len(answer):
        raise MalformedError("an answer that ends too early")
    return answer[start:end]


def startup(link: Link) -> None:
    """TPM2_Startup(CLEAR); a TPM that was started is left as it is."""
    try:
        run(link, CC.Startup, parameters=u16(_STARTUP_CLEAR))
    except TpmError as error:
        if error.code != RC.INITIALIZE:
            raise


def working(link: Link) -> bool:
    """Whether the TPM does anything at all, or is in failure mode."""
    try:
        run(link, CC.GetRandom, parameters=u16(1))
    except TpmError:
        return False
    return True


def get_random(link: Link, length: int) -> bytes:
    """At most MAX_RANDOM octets, perhaps fewer."""
    return _octets_at(_run_hidden(link, CC.GetRandom, None, u16(length), response=True)[1])


def handles(link: Link, first: int) -> list[int]:
    """The handles of one kind that the TPM has. first: of that kind."""
    found: list[int] = []
    more = True
    while more:
        start = found[-1] + 1 if found else first
        reader = Reader(run(link, CC.GetCapability, parameters=u32(CAP.HANDLES) + u32(start) + u32(_PAGE))[1])
        more = bool(reader.u8())
        reader.u32()
        page = [reader.u32() for _ in range(reader.u32())]
        found += page
        more = more and bool(page)
    return found


def properties(link: Link, first: int) -> dict[int, int]:
    """TPM_PT from `first` on, as many as the TPM tells at a time."""
    reader = Reader(run(link, CC.GetCapability, parameters=u32(CAP.TPM_PROPERTIES) + u32(first) + u32(_PAGE))[1])
    reader.take(5)
    return {reader.u32(): reader.u32() for _ in range(reader.u32())}


def reset_counts(link: Link) -> int:
    """How often the TPM was reset and restarted, as one number: another one means that nothing is in its slots."""
    reader = Reader(run(link, CC.ReadClock)[1])
    reader.take(16)
    return reader.u32() << 32 | reader.u32()


def read_public(link: Link, handle: int) -> tuple[bytes, bytes]:
    """TPMT_PUBLIC and the name."""
    reader = Reader(run(link, CC.ReadPublic, (handle,))[1])
    return reader.sized(), reader.sized()


def create(link: Link, parent: KeyHandle, public: bytes, value: bytes = b"", auth: bytes = b"") -> Created:
    """public: TPMT_PUBLIC. value: the key that the caller brings (symmetric keys only), else the TPM makes one. auth:
    the new key's authorization value.
    """
    sensitive = sized(sized(auth) + sized(value))
    parameters = sensitive + sized(public) + sized(b"") + u32(0)
    reader = Reader(_run_below(link, CC.Create, parent, parameters, request=bool(value or auth))[1])
    private, made, creation_data, creation_hash = (reader.sized() for _ in range(4))
    return Created(private, made, creation_data, creation_hash, reader.rest())


def create_primary(link: Link, hierarchy: KeyHandle, public: bytes) -> tuple[int, bytes, bytes]:
    """A primary key without an authorization value, in a slot: its handle, its name and its TPMT_PUBLIC. public: its
    template.
    """
    parameters = sized(sized(b"") + sized(b"")) + sized(public) + sized(b"") + u32(0)
    handle, answer = _run_hidden(link, CC.CreatePrimary, hierarchy, parameters, request=True, answers_handle=True)
    reader = Reader(answer)
    made = reader.sized()
    for _ in range(2):
        reader.sized()
    # TPMT_TK_CREATION.
    reader.take(6)
    reader.sized()
    return handle, reader.sized(), made


def import_duplicate(link: Link, parent: KeyHandle, public: bytes, duplicate: bytes, seed: bytes) -> bytes:
    """TPM2_Import of an object without inner wrapper; returns its private part under `parent`."""
    parameters = sized(b"") + sized(public) + sized(duplicate) + sized(seed) + u16(ALG.NULL)
    return _octets_at(_run_below(link, CC.Import, parent, parameters)[1])


def load(link: Link, parent: KeyHandle, private: bytes, public: bytes) -> tuple[int, bytes]:
    """The handle, and the name by which the TPM knows what it loaded."""
    parameters = sized(private) + sized(public)
    handle, answer = _run_below(link, CC.Load, parent, parameters, answers_handle=True)
    return handle, _octets_at(answer)


def change_auth(link: Link, key: KeyHandle, parent: KeyHandle, auth: bytes) -> bytes:
    """TPM2_ObjectChangeAuth: the key's private part with another authorization value, which is hidden on the way.

    A policy is no hindrance: our keys' administration is by their value.
    """
    session = link.session
    if session is None:
        raise RuntimeError("a new authorization value is sent in no session")
    try:
        answer = session.run(
            link.exchange,
            CC.ObjectChangeAuth,
            key.handle,
            key.name,
            sized(auth),
            auth=key.auth,
            hide_request=True,
            hide_response=False,
            beside=((parent.handle, parent.name),),
        )
    except (TpmError, TransportError) as error:
        error.key = key
        raise
    key.authorization.proved = True
    return _octets_at(answer[1])


def pcr_read(link: Link, bank: str, pcrs: Sequence[int]) -> dict[int, bytes]:
    """The values of PCRs of a bank; those that the bank does not have are left out."""
    values: dict[int, bytes] = {}
    left = list(pcrs)
    while left:
        reader = Reader(run(link, CC.PCR_Read, parameters=pcr_selection(bank, left))[1])
        reader.u32()
        told = [pcr for _, told in read_selection(reader) for pcr in told]
        values.update(zip(told, [reader.sized() for _ in range(reader.u32())], strict=True))
        # The TPM tells a few at a time.
        left = [pcr for pcr in left if pcr not in told] if told else []
    return values


def context_save(link: Link, handle: int) -> bytes:
    """TPMS_CONTEXT."""
    return run(link, CC.ContextSave, (handle,))[1]


def context_load(link: Link, context: bytes) -> int:
    return run(link, CC.ContextLoad, parameters=context, answers_handle=True)[0]


def flush(link: Link, handle: int) -> None:
    run(link, CC.FlushContext, parameters=u32(handle))


def sign(link: Link, key: KeyHandle, digest: bytes, scheme: bytes, numbers: int) -> list[bytes]:
    """scheme: TPMT_SIG_SCHEME. Returns the numbers of the TPMT_SIGNATURE, as many as its kind has.

    The session binds the digest to the key: nobody swaps either.
    """
    parameters = b"".join((len(digest).to_bytes(2, "big"), digest, scheme, _NO_HASHCHECK))
    answer, place, found = _run_hidden(link, CC.Sign, key, parameters)[1], _SIGNATURE, []
    for _ in range(numbers):
        found.append(_octets_at(answer, place))
        place += 2 + len(found[-1])
    return found


def rsa_decrypt(link: Link, key: KeyHandle, ciphertext: bytes, scheme: bytes) -> bytes:
    """scheme: TPMT_RSA_DECRYPT."""
    parameters = sized(ciphertext) + scheme + sized(b"")
    return _octets_at(_run_hidden(link, CC.RSA_Decrypt, key, parameters, response=True)[1])


def ecdh_zgen(link: Link, key: KeyHandle, x: bytes, y: bytes) -> bytes:
    """The x coordinate of the agreed point, as the TPM writes it: leading zeros may be missing."""
    point = sized(sized(x) + sized(y))
    answer = Reader(_run_hidden(link, CC.ECDH_ZGen, key, point, response=True)[1]).sized()
    return Reader(answer).sized()


def encrypt_decrypt(
    link: Link, key: KeyHandle, decrypt: bool, mode: int, iv: bytes, data: bytes | memoryview
) -> tuple[bytes, bytes]:
    """TPM2_EncryptDecrypt2, whose data comes first so that a session can hide it. Returns output and next IV."""
    parameters = b"".join((len(data).to_bytes(2, "big"), data, _CIPHERED.pack(decrypt, mode, len(iv)), iv))
    answer = _run_hidden(link, CC.EncryptDecrypt2, key, parameters, request=True, response=True)[1]
    output = _octets_at(answer)
    return output, answer[4 + len(output) :]


def mac(link: Link, key: KeyHandle, data: bytes, algorithm: int) -> bytes:
    """TPM2_HMAC, or TPM2_MAC with algorithm NULL for a CMAC key: one command code."""
    parameters = b"".join((len(data).to_bytes(2, "big"), data, algorithm.to_bytes(2, "big")))
    return _octets_at(_run_hidden(link, CC.HMAC, key, parameters, request=True, response=True)[1])


def mac_start(link: Link, key: KeyHandle, algorithm: int) -> KeyHandle:
    """A sequence object, which takes a slot and has an empty name."""
    answer = _run_hidden(link, CC.HMAC_Start, key, sized(b"") + u16(algorithm), answers_handle=True)
    return KeyHandle(answer[0], b"", authorization=Authorization("the sequence"))


def sequence_update(link: Link, sequence: KeyHandle, data: bytes) -> None:
    _run_hidden(link, CC.SequenceUpdate, sequence, sized(data), request=True)


def sequence_complete(link: Link, sequence: KeyHandle, data: bytes) -> bytes:
    """The MAC; the sequence's slot is free again."""
    parameters = sized(data) + u32(RH.NULL)
    return Reader(_run_hidden(link, CC.SequenceComplete, sequence, parameters, request=True, response=True)[1]).sized()
