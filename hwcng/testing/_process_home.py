"""The one SoftHSM directory of a process: SoftHSM reads SOFTHSM2_CONF once, at C_Initialize.

The first token is made by a child process. Once this process has initialised the module, which lists its directory only
then, further ones are made through it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hwcng.forking import ProcessLock
from hwcng.testing._init_softhsm_token import make
from hwcng.testing._pins import new_pin
from hwcng.testing._token_module import TokenInitError, TokenModule
from hwcng.testing.softhsm import (
    CONF_NAME,
    SoftHsmError,
    Token,
    TokenRequest,
    find_module,
    provision,
    provisioned_here,
)

__all__ = ["ProcessHome", "process_home"]

_VARIABLE = "SOFTHSM2_CONF"
_READ_BEFORE = (
    "this process has initialised {module} before, with another {variable} than the throw-away tokens have "
    "({variable} is {value} now), and SoftHSM reads it once in a process. Use the fixture, or make the token, before "
    "anything opens SoftHSM; or run the program in a process of its own: python -m hwcng.testing.softhsm -- COMMAND"
)


class ProcessHome:
    """directory: of softhsm2.conf, the tokens and their PINs' files; module: of SoftHSM."""

    def __init__(self, directory: Path, module: Path, serials: Iterable[str] = ()) -> None:
        """serials: of tokens that are there already."""
        self.directory = directory
        self.module = module
        self._owner = os.getpid()
        self._so_pin = new_pin()
        self._lock = ProcessLock()
        self._serials = set(serials)

    def token(self, label: str, pin: str) -> Token:
        """A new token of this label. Raises SoftHsmError."""
        with self._lock.held():
            loaded = TokenModule.in_use(str(self.module))
            made = self._by_child(label, pin) if loaded is None else self._here(loaded, label, pin)
            self._serials.add(made.serial)
        os.environ[_VARIABLE] = str(self.directory / CONF_NAME)
        return made

    def _by_child(self, label: str, pin: str) -> Token:
        return provision(self.directory, [TokenRequest(label, pin)], self._so_pin).tokens[0]

    def _here(self, loaded: TokenModule, label: str, pin: str) -> Token:
        try:
            # Before a token is made in a directory that is not ours.
            if not self._serials & {info.text("serialNumber") for _, info in loaded.tokens()}:
                value = os.environ.get(_VARIABLE, "not set")
                raise SoftHsmError(_READ_BEFORE.format(module=self.module, variable=_VARIABLE, value=value))
            slot = make(loaded, label, self._so_pin.encode())
            loaded.set_pin(slot, pin.encode(), self._so_pin.encode())
            return Token(label, loaded.info(slot).text("serialNumber"), created=True)
        except TokenInitError as error:
            raise SoftHsmError(f"SoftHSM made no token in {self.directory}: {error}") from None

    def remove(self) -> None:
        # A forked child has a copy of this object, and its parent's tokens are not its own.
        if os.getpid() == self._owner:
            shutil.rmtree(self.directory, ignore_errors=True)


_home: ProcessHome | None = None
_lock = ProcessLock()


def process_home() -> ProcessHome:
    """The directory that this process's throw-away tokens share, removed at its end. Raises SoftHsmError.

    Where SOFTHSM2_CONF is of a directory that this process provisioned, that is the one, and it stays.
    """
    global _home
    with _lock.held():
        if _home is None:
            there = provisioned_here(os.environ.get(_VARIABLE))
            if there is not None:
                _home = ProcessHome(there.conf.parent, there.module, {token.serial for token in there.tokens})
            else:
                _home = ProcessHome(Path(tempfile.mkdtemp(prefix="softhsm-")), find_module())
                atexit.register(_home.remove)
        return _home
