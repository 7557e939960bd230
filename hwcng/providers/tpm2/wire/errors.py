"""TPM_RC (TPM 2.0 Library, Part 2, section 6.6) and TSS2_RC (TCG TSS 2.0 Overview, section 3) to CNG's status codes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwcng.errors import NTSTATUS, CngError, TokenCode
from hwcng.providers.tpm2.keys.handles import KeyHandle
from hwcng.providers.tpm2.wire.constants import PT, RC, command_name

__all__ = [
    "BUSY",
    "FOREIGN_BLOB",
    "NO_ROOM",
    "NO_SESSION_ROOM",
    "REFUSED",
    "STALE",
    "TpmError",
    "TpmLockoutError",
    "TransportError",
    "base_code",
    "decryption_error",
    "failures",
    "lockout",
    "rc_name",
    "refusal",
    "root_is_another",
    "root_is_gone",
    "to_cng",
    "token_code",
]

_FORMAT_ONE = 0x080
_WARNING = 0x900

BUSY = frozenset({RC.RETRY, RC.YIELDED, RC.TESTING, RC.NV_RATE})
"""Worth trying again after a while."""

NO_ROOM = frozenset({RC.OBJECT_MEMORY, RC.MEMORY, RC.OBJECT_HANDLES})
"""Object slots are full: evict, then try again."""

NO_SESSION_ROOM = frozenset({RC.SESSION_MEMORY, RC.SESSION_HANDLES, RC.CONTEXT_GAP})
"""Session slots are full, or a saved session is too old."""

STALE = frozenset(range(RC.REFERENCE_H0, RC.REFERENCE_H0 + 7)) | frozenset(range(RC.REFERENCE_S0, RC.REFERENCE_S0 + 7))
"""A handle or session that the TPM no longer knows: it was reset, or somebody flushed."""

REFUSED = frozenset({RC.AUTH_FAIL, RC.BAD_AUTH})
"""A wrong authorization value, or a session that is not the one it is taken for."""


def base_code(rc: int) -> int:
    """The code without its layer (such as a resource manager's) and without handle, parameter or session number."""
    code = rc & 0xFFFF
    return code & 0x0BF if code & _FORMAT_ONE else code


def rc_name(rc: int) -> str:
    """Such as "TPM_RC_BAD_AUTH"; the whole number where it is none of the specification's."""
    code = base_code(rc)
    return f"TPM_RC_{RC(code).name}" if code in RC._value2member_map_ else f"TPM_RC_{code:#05x}"


class TpmError(Exception):
    """The TPM refused a command.

    rc: as it came; command: its TPM_CC. meaning: status and reason where the table's do not fit the situation.
    key: the object whose authorization value it refused, None where none went with the command.
    """

    key: KeyHandle | None = None

    def __init__(self, rc: int, command: int, meaning: tuple[NTSTATUS, str] | None = None) -> None:
        super().__init__(rc, command, meaning)
        self.rc = rc
        self.command = command
        self.meaning = meaning

    @property
    def code(self) -> int:
        """`base_code` of rc."""
        return base_code(self.rc)

    def __str__(self) -> str:
        return f"{command_name(self.command)}: {rc_name(self.rc)} ({self.rc:#x})"


class TransportError(Exception):
    """The TPM was not reached or did not answer. timed_out: it took the command and stayed silent.

    sent: whether the TPM may have carried the command out. key: an object whose authorization value went with it.
    """

    key: KeyHandle | None = None

    def __init__(self, message: str, *, timed_out: bool = False, sent: bool = True) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.sent = sent


_S = NTSTATUS

FOREIGN_BLOB = (
    NTSTATUS.STATUS_INVALID_PARAMETER,
    "this key blob is not of this TPM, was altered, or the TPM was cleared since",
)

_VOID = (
    "the TPM was cleared, or another TPM answers, and no key made before can be used; close the provider and open it "
    "anew, which says what to remove so as to begin again"
)
_HELD_BY_OTHERS = (
    "and programs that are alive, or that hwcng does not know, hold them: end them, flush what they left "
    "(tpm2_flushcontext -t -l -s), or use a resource manager (device:/dev/tpmrm0)"
)

_TABLE: Mapping[int, tuple[NTSTATUS, str]] = MappingProxyType(
    {
        RC.AUTH_FAIL: (_S.STATUS_WRONG_PASSWORD, "wrong authorization value, tried once; more failures lock the TPM"),
        RC.BAD_AUTH: (_S.STATUS_WRONG_PASSWORD, "wrong authorization value"),
        RC.LOCKOUT: (_S.STATUS_ACCOUNT_LOCKED_OUT, "the TPM is in dictionary-attack lockout"),
        RC.RETRY: (_S.STATUS_DEVICE_BUSY, "the TPM stayed busy; try again later"),
        RC.YIELDED: (_S.STATUS_DEVICE_BUSY, "the TPM stayed busy; try again later"),
        RC.TESTING: (_S.STATUS_DEVICE_BUSY, "the TPM is testing itself; try again later"),
        RC.NEEDS_TEST: (_S.STATUS_DEVICE_BUSY, "the TPM must test itself first; try again later"),
        RC.NV_RATE: (_S.STATUS_DEVICE_BUSY, "the TPM spares its non-volatile memory; try again later"),
        RC.NV_UNAVAILABLE: (_S.STATUS_DEVICE_BUSY, "the TPM's non-volatile memory is not available; try again later"),
        RC.CANCELED: (_S.STATUS_CANCELLED, "the command was cancelled"),
        RC.OBJECT_MEMORY: (_S.STATUS_NO_MEMORY, f"the TPM has no free object slot, {_HELD_BY_OTHERS}"),
        RC.MEMORY: (_S.STATUS_NO_MEMORY, f"the TPM has no memory left, {_HELD_BY_OTHERS}"),
        RC.OBJECT_HANDLES: (_S.STATUS_NO_MEMORY, f"the TPM has no free object handle, {_HELD_BY_OTHERS}"),
        RC.SESSION_MEMORY: (_S.STATUS_NO_MEMORY, f"the TPM has no free session slot, {_HELD_BY_OTHERS}"),
        RC.SESSION_HANDLES: (_S.STATUS_NO_MEMORY, f"the TPM has no free session handle, {_HELD_BY_OTHERS}"),
        RC.CONTEXT_GAP: (
            _S.STATUS_NO_MEMORY,
            "a session that another program saved is too old for a new one to begin: flush it (tpm2_flushcontext -s)",
        ),
        RC.HANDLE: (_S.STATUS_NOT_FOUND, "no such object in the TPM"),
        RC.INTEGRITY: FOREIGN_BLOB,
        RC.BINDING: (_S.STATUS_INVALID_PARAMETER, "public and private part do not belong together"),
        RC.VALUE: (_S.STATUS_INVALID_PARAMETER, "the TPM does not take this value"),
        RC.KEY_SIZE: (_S.STATUS_INVALID_PARAMETER, "the TPM does not take this key size"),
        RC.SIZE: (_S.STATUS_INVALID_BUFFER_SIZE, "the TPM does not take this length"),
        RC.SCHEME: (_S.STATUS_NOT_SUPPORTED, "the TPM or the key does not do this scheme"),
        RC.HASH: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this hash here"),
        RC.CURVE: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this curve"),
        RC.MODE: (_S.STATUS_NOT_SUPPORTED, "the TPM or the key does not do this mode"),
        RC.TYPE: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this type of key"),
        RC.RANGE: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this value, such as an RSA exponent other than 65537"),
        RC.COMMAND_CODE: (_S.STATUS_NOT_SUPPORTED, "the TPM does not have this command"),
        RC.ASYMMETRIC: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this algorithm"),
        RC.SYMMETRIC: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this algorithm"),
        RC.KDF: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this derivation"),
        RC.MGF: (_S.STATUS_NOT_SUPPORTED, "the TPM does not do this mask generation"),
        RC.ATTRIBUTES: (_S.STATUS_INVALID_HANDLE, "the key was not made for this use"),
        RC.KEY: (_S.STATUS_INVALID_HANDLE, "the key was not made for this use"),
        RC.ECC_POINT: (_S.STATUS_INVALID_PARAMETER, "the peer's point is not on the curve"),
        RC.POLICY_FAIL: (_S.STATUS_ACCESS_DENIED, "the key's policy is not satisfied"),
        RC.PCR_CHANGED: (
            _S.STATUS_ACCESS_DENIED,
            "the PCRs keep changing; try again later",
        ),
        RC.POLICY: (_S.STATUS_ACCESS_DENIED, "the key's policy is not satisfied"),
        RC.POLICY_CC: (_S.STATUS_ACCESS_DENIED, "the key's policy does not allow this command"),
        RC.EXPIRED: (_S.STATUS_ACCESS_DENIED, "the authorization has expired"),
        RC.AUTH_UNAVAILABLE: (_S.STATUS_ACCESS_DENIED, "the key is used by a policy only"),
        RC.TICKET: (_S.STATUS_ACCESS_DENIED, "the TPM did not make this ticket"),
        RC.DISABLED: (_S.STATUS_ACCESS_DENIED, "the command is disabled on this TPM"),
        RC.HIERARCHY: (_S.STATUS_ACCESS_DENIED, "the storage hierarchy is disabled on this TPM"),
        RC.NV_SPACE: (
            _S.STATUS_DISK_FULL,
            "the TPM's non-volatile memory is full; remove a persistent object (tpm2_evictcontrol)",
        ),
        RC.NV_DEFINED: (_S.STATUS_OBJECT_NAME_COLLISION, "something is already at this place in the TPM"),
        RC.FAILURE: (_S.STATUS_DEVICE_NOT_READY, "the TPM is in failure mode; power-cycle the machine"),
        RC.INITIALIZE: (_S.STATUS_DEVICE_NOT_READY, "the TPM was not started"),
        RC.REBOOT: (_S.STATUS_DEVICE_NOT_READY, "the machine must be restarted before the TPM can be used"),
        RC.UPGRADE: (_S.STATUS_DEVICE_NOT_READY, "the TPM waits for a firmware upgrade to end"),
        **dict.fromkeys(STALE, (_S.STATUS_DEVICE_NOT_READY, "the TPM lost its objects and sessions again and again")),
    }
)


def to_cng(error: TpmError | TransportError, asked: str) -> CngError:
    """The documented failure. asked: what was to be done, such as "signing"."""
    if isinstance(error, TransportError):
        status = _S.STATUS_IO_TIMEOUT if error.timed_out else _S.STATUS_DEVICE_NOT_CONNECTED
        return CngError(status, f"{asked}: {error}")
    status, reason = error.meaning or _TABLE.get(
        error.code, (_S.STATUS_INTERNAL_ERROR, f"{command_name(error.command)} failed")
    )
    return CngError(status, f"{asked}: {reason}", token_code(error))


def token_code(error: TpmError) -> TokenCode:
    return TokenCode(error.rc, rc_name(error.rc))


def refusal(error: TpmError, asked: str, properties: Mapping[int, int]) -> CngError:
    """A refused authorization value: whose it was, what it cost, what to do. properties: TPM_PT, as far as known."""
    if error.key is None:
        return to_cng(error, asked)
    authorization = error.key.authorization
    value = "the authorization value (PIN) that was given for" if authorization.given else "an empty authorization for"
    cost = failures(properties) or "more failures lock the TPM"
    if not authorization.counted:
        cost = "this does not count against its lockout"
    return CngError(
        NTSTATUS.STATUS_WRONG_PASSWORD,
        f"{asked}: the TPM refused {value} {authorization.title}; it was tried once, {cost}; {authorization.advice}",
        token_code(error),
    )


def failures(properties: Mapping[int, int]) -> str:
    """How many wrong values the TPM counts, "" where it does not say. properties: TPM_PT, as far as known."""
    counted, most = properties.get(PT.LOCKOUT_COUNTER), properties.get(PT.MAX_AUTH_FAIL)
    return "" if counted is None or not most else f"{counted} of the {most} failures that lock the TPM are counted"


def root_is_gone(handle: int) -> str:
    return f"the storage root key at {handle:#x} is gone: {_VOID}"


def root_is_another(handle: int) -> str:
    return f"the storage root key at {handle:#x} is another one than before: {_VOID}"


def lockout(error: TpmError, asked: str, properties: Mapping[int, int]) -> TpmLockoutError:
    title = f"{asked} with {error.key.authorization.title}" if error.key is not None else asked
    wait = properties.get(PT.LOCKOUT_INTERVAL, 0)
    return TpmLockoutError(title, wait, token_code(error), failures(properties))


class TpmLockoutError(CngError):
    """Dictionary-attack lockout (TPM 2.0 Library, Part 1, section 19.8).

    wait_seconds: until one more try; 0: unknown.
    """

    def __init__(self, asked: str, wait_seconds: int, token_code: TokenCode | None, failures: str = "") -> None:
        wait = f"wait {wait_seconds} seconds for one more try" if wait_seconds else "wait"
        super().__init__(
            NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT,
            f"{asked}: the TPM is in dictionary-attack lockout after wrong PINs{failures and f' ({failures})'}, and "
            f"did not look at this one; {wait}, or have its administrator reset the lockout "
            "(tpm2_dictionarylockout --clear-lockout)",
            token_code,
        )
        self.wait_seconds = wait_seconds
        self._asked = asked
        self._failures = failures

    def __reduce__(self) -> tuple[type[TpmLockoutError], tuple[str, int, TokenCode | None, str]]:
        return TpmLockoutError, (self._asked, self.wait_seconds, self.token_code, self._failures)


def decryption_error() -> CngError:
    """The one answer to every RSA ciphertext that does not decrypt; no TPM_RC, because that would tell why."""
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "decryption error")
