"""PKCS#11 modules, loaded and initialised once per process (OASIS PKCS#11 3.2, section 5.4).

A module is initialised with CKF_OS_LOCKING_OK and never finalised in the process that initialised it, because others
may use it too: a forked child and the loss of every connection are the two exceptions, the latter while no call is
under way in it.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from hwcng.errors import NTSTATUS, CngError
from hwcng.forking import ProcessLock, at_work, foreign_work, tell_after_fork
from hwcng.providers.pkcs11.cryptoki.calls import CData, CFunction, Cryptoki, ffi
from hwcng.providers.pkcs11.cryptoki.constants import InitializeFlag
from hwcng.providers.pkcs11.cryptoki.return_values import CKR, token_error
from hwcng.providers.pkcs11.quirks import (
    companions,
    initialize_reserved,
    is_p11_kit,
    logins_race,
    one_call_at_a_time,
)
from hwcng.providers.pkcs11.store.turns import alone_on_host

__all__ = ["Module", "load_module", "module_search", "text"]

CALLS_SECONDS = 3.0
POLL_SECONDS = 0.001
SLOT_LIST_ATTEMPTS = 4

MODULE_DIRECTORIES = (
    "/usr/lib/{multiarch}/pkcs11",
    "/usr/lib/{multiarch}",
    "/usr/lib/{multiarch}/softhsm",
    "/usr/lib/{multiarch}/nss",
    "/usr/lib64/pkcs11",
    "/usr/lib64",
    "/usr/lib64/softhsm",
    "/usr/lib/pkcs11",
    "/usr/lib",
    "/usr/lib/softhsm",
    "/usr/local/lib/pkcs11",
    "/usr/local/lib/softhsm",
    "/usr/local/lib",
    "/opt/homebrew/lib/softhsm",
    "/opt/homebrew/lib",
)
DEFAULT_MODULE = "p11-kit-proxy"


class Connected(Protocol):
    """What a module knows of the connections opened through it. slot: its token's, None for one without a token."""

    @property
    def slot(self) -> int | None: ...

    def answers(self) -> bool: ...

    def after_fork_in_child(self) -> None: ...


def text(raw: CData) -> str:
    """A blank-padded UTF-8 field of a CK_ structure."""
    return bytes(raw).decode("utf-8", "replace").rstrip("\0 ")


def _version(raw: CData) -> str:
    return f"{raw.major}.{raw.minor}"


class Module:
    """One initialised module. info: (manufacturer, description, library version) as CK_INFO has them."""

    def __init__(self, path: str, reserved: str | None, inherited: bool = False) -> None:
        """inherited: whether the parent process may have initialised it before it forked."""
        self.path = path
        try:
            self._companions = [ffi.dlopen(library, ffi.RTLD_NOW) for library in companions(path)]
            self.cryptoki = Cryptoki(path)
        except OSError as error:
            raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"cannot load PKCS#11 module {path}: {error}") from error
        self.reserved = reserved if reserved is not None else initialize_reserved(path)
        self._connections: weakref.WeakSet[Connected] = weakref.WeakSet()
        self._calls: set[object] = set()
        self._lock = ProcessLock()
        self._foreign_lock = ProcessLock()
        self._serialising: Callable[[], None] | None = None
        self._one_at_a_time = False
        self._alone = logins_race(path)
        self._was_alone = False
        self._looked_through = 0
        self._forked = False
        self._owned = False
        self._is_initialized = False
        self.generation = 0
        tell_after_fork(self)
        if inherited:
            self._initialize_in_child()
        else:
            self._initialize()
        info = ffi.new("CK_INFO *")
        if (rv := self.cryptoki.C_GetInfo(info)) != CKR.OK:
            raise token_error(rv, f"C_GetInfo of {path} failed")
        self.manufacturer = text(info.manufacturerID)
        self.description = text(info.libraryDescription)
        self.library_version = _version(info.libraryVersion)
        self.learn(self.manufacturer, self.description)
        if self._alone and not self._was_alone and self._owned:
            self.revive(anew=True)
        self._one_at_a_time = one_call_at_a_time(path, self.manufacturer)
        if self._one_at_a_time:
            self._serialise()

    def _call_initialize(self) -> int:
        arguments = ffi.new("CK_C_INITIALIZE_ARGS *")
        arguments.flags = InitializeFlag.OS_LOCKING_OK
        reserved = ffi.new("char[]", self.reserved.encode()) if self.reserved is not None else ffi.NULL
        arguments.pReserved = reserved
        with self.alone():
            self._was_alone = self._alone
            return self.cryptoki.C_Initialize(arguments)

    def _initialize(self) -> None:
        self._initialized(self._call_initialize())

    def _initialized(self, rv: int) -> None:
        self._is_initialized = rv in (CKR.OK, CKR.CRYPTOKI_ALREADY_INITIALIZED)
        if rv == CKR.OK:
            self.generation += 1
            self._owned = True
            self._stop_serialising()
        elif rv == CKR.CRYPTOKI_ALREADY_INITIALIZED:
            # Whoever else initialised it may have promised the module a single thread.
            if not self._owned:
                self._serialise()
        else:
            raise token_error(rv, f"C_Initialize of {self.path} failed")

    def _serialise(self) -> None:
        if self._serialising is None:
            self._serialising = self.cryptoki.instrument(self._after_one_another)

    def _stop_serialising(self) -> None:
        if self._serialising is not None and not self._one_at_a_time:
            self._serialising()
            self._serialising = None

    def _after_one_another(self, _name: str, function: CFunction) -> CFunction:
        def locked(*arguments: object) -> int:
            with self._foreign_lock.held():
                return function(*arguments)

        return locked

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps this block of other processes that run hwcng off, where the module needs that; not for ever."""
        with alone_on_host() if self._alone else contextlib.nullcontext():
            yield

    def learn(self, *described: str) -> None:
        """Takes note of what the module, or a token behind it, is called."""
        self._alone = self._alone or logins_race(*described)

    @property
    def may_have_misread(self) -> bool:
        """Whether it read tokens while another process may have been writing them."""
        return not self._was_alone and (self._alone or is_p11_kit(self.manufacturer))

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """One connection is opened at a time, on a module that belongs to this process."""
        with self._lock.held(), foreign_work():
            self.belong_here()
            try:
                yield
            finally:
                self._looked_through = self.generation

    @property
    def is_new(self) -> bool:
        """Whether nobody has looked for a token since C_Initialize."""
        return self._looked_through != self.generation

    @contextmanager
    def calling(self) -> Iterator[None]:
        """For calls that are in no session at work: C_Finalize waits for them."""
        call = object()
        with foreign_work():
            calls = self._calls
            try:
                calls.add(call)
                yield
            finally:
                calls.discard(call)

    def belong_here(self) -> None:
        """Initialises the module anew where a fork left it as the parent process had it."""
        with self._lock.held(), foreign_work():
            if self._forked:
                self._initialize_in_child()
                self._forked = False

    def _initialize_in_child(self) -> None:
        """The child has a copy of the parent's state: NSS would repeat the parent's random numbers and keys."""
        rv = self._call_initialize()
        # What knows of the fork, as p11-kit does, has begun anew, and must not be asked to end what is the parent's.
        if rv == CKR.CRYPTOKI_ALREADY_INITIALIZED:
            self.cryptoki.C_Finalize(ffi.NULL)
            rv = self._call_initialize()
        self._initialized(rv)

    def enlist(self, connection: Connected) -> None:
        self._connections.add(connection)

    def ask_others(self, connection: Connected) -> None:
        """Asks the other connections with the token of `connection`, each of which is dead from now on where it was
        logged out.
        """
        for other in list(self._connections):
            if other is not connection and other.slot == connection.slot:
                other.answers()

    def revive(self, *, anew: bool, alone: bool = False) -> None:
        """Initialises what another user of the module has finalised. Raises what C_Initialize answers.

        anew: finalises it first, where it is ours and no connection of this process lives. alone: while no other
        process writes a token's file. Where a call of another thread does not come back, the module is left alone:
        STATUS_DEVICE_BUSY.
        """
        with self._lock.held():
            if anew and self._owned and self._is_initialized and not self._in_use():
                self._await_calls()
                self.cryptoki.C_Finalize(ffi.NULL)
            known, self._alone = self._alone, self._alone or alone
            try:
                self._initialize()
            finally:
                self._alone = known

    def _in_use(self) -> bool:
        """Asks every connection. One that does not answer is dead from now on, and no call begins in it any more."""
        answers = [connection.answers() for connection in list(self._connections)]
        return any(answers)

    def _await_calls(self) -> None:
        """A module that is finalised in the middle of a call may crash or hang (PKCS#11 3.2, C_Finalize)."""
        deadline = time.monotonic() + CALLS_SECONDS
        while self._calls or any(getattr(work, "module", None) is self for work in at_work.copy()):
            if time.monotonic() > deadline:
                raise CngError(
                    NTSTATUS.STATUS_DEVICE_BUSY,
                    f"{self.path} cannot be initialised again: calls of other threads have been under way in it for "
                    f"{CALLS_SECONDS:g} seconds",
                )
            time.sleep(POLL_SECONDS)

    def has_no_slot(self) -> bool:
        """p11-kit's client shows no slot where it found no server, and looks for one at C_Initialize alone."""
        count = ffi.new("CK_ULONG *")
        return bool(self.cryptoki.C_GetSlotList(0, ffi.NULL, count) == CKR.OK and count[0] == 0)

    def slots(self) -> Sequence[int]:
        """The slots that hold a token."""
        count = ffi.new("CK_ULONG *")
        rv = self.cryptoki.C_GetSlotList(1, ffi.NULL, count)
        # More tokens may appear between the calls.
        for _ in range(SLOT_LIST_ATTEMPTS):
            if rv not in (CKR.OK, CKR.BUFFER_TOO_SMALL):
                break
            count[0] += 8
            slots = ffi.new("CK_ULONG[]", count[0])
            rv = self.cryptoki.C_GetSlotList(1, slots, count)
            if rv == CKR.OK:
                return [int(slot) for slot in slots[0 : count[0]]]
        raise token_error(rv, f"C_GetSlotList of {self.path} failed")

    def after_fork_in_child(self) -> None:
        self._forked = True
        self._calls = set()
        for connection in list(self._connections):
            connection.after_fork_in_child()


class _Place:
    """Where one file's module is kept. The lock lets threads that open it at one moment initialise it once."""

    def __init__(self) -> None:
        self.lock = ProcessLock()
        self.module: Module | None = None
        self._begun = False

    def fill(self, path: str, reserved: str | None) -> Module:
        """Initialises the module. The caller holds the lock."""
        # A thread of the parent process was at it when this one was forked.
        inherited, self._begun = self._begun, True
        try:
            with foreign_work():
                self.module = Module(path, reserved, inherited)
        except BaseException:
            self._begun = inherited
            raise
        return self.module


_places: dict[str, _Place] = {}


def load_module(path: str, reserved: str | None = None) -> Module:
    """The module in the file `path`, initialised. reserved: what C_Initialize is given as pReserved, None for its
    default, and for whatever the module was initialised with before.

    A module that takes its time holds up those who open it, and nobody else. Raises CngError: STATUS_NOT_FOUND where it
    cannot be loaded, STATUS_INVALID_PARAMETER where this process initialised it with another `reserved`, else what
    C_Initialize answered.
    """
    real_path = os.path.realpath(path)
    place = _places.get(real_path) or _places.setdefault(real_path, _Place())
    with place.lock.held():
        module = place.module
        if module is None:
            if not os.path.exists(real_path):
                raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"there is no PKCS#11 module {path}")
            return place.fill(real_path, reserved)
        if reserved not in (None, module.reserved):
            raise CngError(
                NTSTATUS.STATUS_INVALID_PARAMETER,
                f"this process has initialised {path} with another x-initialize-reserved, and a module takes one: "
                "open the URI that has it first",
            )
        return module


def module_search(module_path: str | None, module_name: str | None) -> str:
    """The file of the module that a URI means (RFC 7512, section 2.3): by path, by name in the usual folders, by
    default.

    Raises CngError (STATUS_NOT_FOUND) that says where was looked.
    """
    if module_path is not None and not os.path.isdir(module_path):
        return module_path
    default = os.environ.get("HWCNG_PKCS11_MODULE")
    if module_path is None and module_name is None and default:
        return default
    name = module_name or DEFAULT_MODULE
    file_names = (name, f"{name}.so", f"lib{name}.so", f"lib{name}2.so", f"{name}-pkcs11.so")
    multiarch = f"{os.uname().machine}-linux-gnu"
    directories = (
        [module_path] if module_path else [folder.format(multiarch=multiarch) for folder in MODULE_DIRECTORIES]
    )
    for directory in directories:
        for file_name in file_names:
            candidate = os.path.join(directory, file_name)
            if os.path.isfile(candidate):
                return candidate
    raise CngError(
        NTSTATUS.STATUS_NOT_FOUND,
        f"no PKCS#11 module: looked for {', '.join(file_names)} in {', '.join(directories)}; "
        "name one with module-path=... or module-name=... in the URI, or in HWCNG_PKCS11_MODULE",
    )
