"""Logging in to a token, with a PIN that is tried once (OASIS PKCS#11 3.2, sections 3.2 and 5.6.8).

A token locks after a few wrong PINs. So this process remembers for each token which PINs it refused, whatever road led
to the try, and sends none of them again. A login that succeeds, with which PIN ever, clears the token's counter and
this memory with it.
"""

from __future__ import annotations

import hmac
import os
from typing import NoReturn

from pkcs11.constants import TokenFlag

from hwcng.contract.pins import Pin, pin_value
from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKU
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, token_error
from hwcng.providers.pkcs11.losses import Standing, of_sessions, standing
from hwcng.providers.pkcs11.module import Module
from hwcng.providers.pkcs11.tokens import FoundToken, TokenIdentity

__all__ = ["Login", "UserPin"]


_REFUSED = frozenset({CKR.PIN_INCORRECT, CKR.PIN_INVALID, CKR.PIN_LEN_RANGE})
_NOT_TRIED = frozenset(
    {CKR.SLOT_ID_INVALID, CKR.SESSION_CLOSED, CKR.SESSION_HANDLE_INVALID, CKR.TOKEN_NOT_PRESENT}
    | {CKR.CRYPTOKI_NOT_INITIALIZED}
)
"""Of the answers that may mean a loss those with which no token has looked at the PIN."""
_LAST_TRIES = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED
_COUNTS = TokenFlag.USER_PIN_COUNT_LOW | TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED
_TRIES = (
    (TokenFlag.USER_PIN_LOCKED, "its PIN is locked"),
    (TokenFlag.USER_PIN_FINAL_TRY, "one more wrong PIN locks it"),
    (TokenFlag.USER_PIN_COUNT_LOW, "a wrong PIN was given before, and a few more lock it"),
)

# Salts the memory of PINs, so that it holds none.
_DIGEST_KEY = os.urandom(32)


class UserPin:
    """The PIN that a provider was given, or the source that is read when a login needs it.

    pin: str, bytes, a callable, or None for a PIN pad and for tokens that ask for none. given: whether the caller gave
    it; what comes from a URI or its pin-source was given by nobody at this moment.
    """

    def __init__(self, pin: Pin | None, *, given: bool) -> None:
        # In a callable, so that no dump of the fields shows it.
        self._ask = pin if pin is None or callable(pin) else lambda: pin
        self.given = given

    @property
    def known(self) -> bool:
        """Whether there is one to read."""
        return self._ask is not None

    def read(self) -> bytes | None:
        """The PIN now. Raises STATUS_INVALID_PARAMETER for a source without a PIN, and for what is none."""
        if self._ask is None:
            return None
        return pin_value(self._ask())


class _Tries:
    """The PINs that one token refused one kind of user. The lock keeps two threads from sending the same one."""

    def __init__(self) -> None:
        self.lock = ProcessLock()
        self.refused: set[bytes] = set()


_tries: dict[tuple[TokenIdentity, int], _Tries] = {}
_accepted: dict[tuple[str, TokenIdentity], bytes] = {}


def _digest(value: bytes | None) -> bytes:
    return hmac.digest(_DIGEST_KEY, value or b"", "sha256")


def _may_have_tried(rv: int) -> bool:
    """Whether an answer that names no PIN may be that to a wrong one, or hide it: vendors have codes of their own."""
    return of_sessions(rv) and rv not in _NOT_TRIED


def _tries_left(flags: int) -> str:
    return next((told for flag, told in _TRIES if flags & flag), "")


class Login:
    """How a provider logs in to its token: found, as it is at this moment.

    in_doubt: whether the token may have tried a PIN that it never took before, and did not say so.
    """

    def __init__(self, module: Module, found: FoundToken, pin: UserPin) -> None:
        self._module = module
        self._slot = found.slot
        self._flags = found.flags
        self._identity = found.identity
        self._pin = pin
        self.in_doubt = False
        self.required = bool(found.flags & TokenFlag.LOGIN_REQUIRED)

    def log_in(self, session: int) -> None:
        """C_Login of the user, where the token asks for it. session: its handle.

        Raises STATUS_SMARTCARD_WRONG_PIN for a PIN that is refused now or was before, which is not sent then,
        STATUS_SMARTCARD_CARD_BLOCKED for a locked one, STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED where there is no PIN
        or only a source's for the last try.
        """
        if not self.required:
            return
        # Whoever is let in already risks no try.
        joins = bool(self._flags & _LAST_TRIES) and self.logged_in(session)
        if not joins:
            self._require_unlocked(self._flags)
        value = self._pin.read()
        if value is None and not self._flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
            if self.logged_in(session):
                return
            raise CngError(
                NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED,
                f"token {self._label!r} asks for a PIN: give pin=... or pin-source=file:... in the URI",
            )
        rv = int(CKR.USER_ALREADY_LOGGED_IN) if joins else self._send(session, CKU.USER, self._flags, value)
        accepted, digest = (self._module.path, self._identity), _digest(value)
        if rv not in (CKR.OK, CKR.USER_ALREADY_LOGGED_IN):
            self._failed(rv, "login")
        if value is None:
            # The PIN is known to its pad alone.
            return
        if rv == CKR.OK:
            _accepted[accepted] = digest
        # The token does not compare PINs any more; a wrong one must not pass all the same.
        elif not hmac.compare_digest(_accepted.get(accepted, digest), digest):
            raise self._of_another_pin()

    def authenticate(self, session: int) -> None:
        """C_Login for the operation that was just initialised in `session` with a CKA_ALWAYS_AUTHENTICATE key.

        Raises as `log_in` does.
        """
        flags = self._flags_now()
        self._require_unlocked(flags)
        value = self._pin.read()
        if value is None and not flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
            raise CngError(
                NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED,
                f"a key of token {self._label!r} asks for the PIN at every use: open the provider with one",
            )
        rv = self._send(session, CKU.CONTEXT_SPECIFIC, flags, value)
        if rv != CKR.OK:
            self._failed(rv, "the key's own authentication")

    @property
    def by_itself(self) -> bool:
        """Whether it needs nobody else's login: the token asks for none, has a PIN pad, or its PIN is known."""
        return not self.required or self._pin.known or bool(self._flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH)

    def require_same(self, pin: str | bytes) -> None:
        """Raises STATUS_SMARTCARD_WRONG_PIN where this process has logged in with another PIN. None is sent."""
        accepted = _accepted.get((self._module.path, self._identity))
        if accepted is not None and not hmac.compare_digest(accepted, _digest(pin_value(pin))):
            raise self._of_another_pin()

    def _of_another_pin(self) -> CngError:
        return CngError(
            NTSTATUS.STATUS_SMARTCARD_WRONG_PIN,
            f"token {self._label!r} is logged in to by this process with another PIN than the one given, which was not "
            "sent; give that one or none, or close what is open on the token first",
        )

    @property
    def tries_left(self) -> str:
        """What the token says of wrong PINs that it counted, "" where it counted none."""
        return _tries_left(self._flags_now())

    def logged_in(self, session: int) -> bool:
        """Whether a session is the user's already, by whomsoever."""
        return standing(self._module.cryptoki, session) is Standing.USER

    @property
    def _label(self) -> str:
        return self._identity.label

    def _require_unlocked(self, flags: int) -> None:
        if flags & TokenFlag.USER_PIN_LOCKED:
            raise CngError(
                NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED,
                f"the PIN of token {self._label!r} is locked, so none was sent; its security officer sets a new one",
            )

    def _send(self, session: int, user: int, flags: int, value: bytes | None) -> int:
        tries = _tries.setdefault((self._identity, user), _Tries())
        digest = _digest(value)
        with tries.lock.held():
            if value is not None and self._was_refused(user, digest):
                raise CngError(
                    NTSTATUS.STATUS_SMARTCARD_WRONG_PIN,
                    f"the PIN for token {self._label!r} was wrong before and is not tried again, so as not to lock the "
                    "token; correct it where it comes from, or start this process anew",
                )
            if flags & TokenFlag.USER_PIN_FINAL_TRY and not self._pin.given and value is not None:
                raise CngError(
                    NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED,
                    f"one more wrong PIN locks token {self._label!r}, so the PIN of the URI was not sent; "
                    "give the PIN as pin=..., or log in once with another tool",
                )
            with self._module.alone():
                rv = self._module.cryptoki.C_Login(
                    session, user, ffi.NULL if value is None else value, len(value or b"")
                )
            if rv == CKR.OK:
                tries.refused.clear()
            elif value is not None and (rv in _REFUSED or self._was_counted(rv, flags)):
                tries.refused.add(digest)
            known = _accepted.get((self._module.path, self._identity)) == digest
            self.in_doubt = value is not None and not known and _may_have_tried(rv)
        return int(rv)

    def _was_counted(self, rv: int, flags: int) -> bool:
        """Whether the token counts a wrong PIN more than `flags` told, although it calls it something else."""
        return _may_have_tried(rv) and bool(self._flags_now() & ~flags & _COUNTS)

    def _was_refused(self, user: int, digest: bytes) -> bool:
        """As that user's, or as the other's, which is the same PIN on most tokens, unless it has let the user in."""
        kinds = {user}
        if _accepted.get((self._module.path, self._identity)) != digest:
            kinds |= {CKU.USER, CKU.CONTEXT_SPECIFIC}
        found = (_tries.get((self._identity, kind)) for kind in kinds)
        return any(tries is not None and digest in tries.refused for tries in found)

    def _failed(self, rv: int, what: str) -> NoReturn:
        left = _tries_left(self._flags_now()) if rv in _REFUSED or _may_have_tried(rv) else ""
        told = f" ({left})" if left else ""
        raise token_error(rv, f"{what} to token {self._label!r} failed; it was tried once{told}")

    def _flags_now(self) -> int:
        raw = ffi.new("CK_TOKEN_INFO *")
        return int(raw.flags) if self._module.cryptoki.C_GetTokenInfo(self._slot, raw) == CKR.OK else self._flags
