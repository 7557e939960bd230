"""Throw-away tokens for the bench: what a contender has to know of one, and who serves it."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hwcng.testing import nss, softhsm
from hwcng.testing.p11kit import P11KitServer, find_client
from hwcng.testing.swtpm import Swtpm

from . import rows

__all__ = ["Opener", "Place", "opened", "scratch"]

_LABEL = "hwcng-bench"
_SERVICES_SLOT = 1
_NO_DATABASE = "configDir='' certPrefix='' keyPrefix='' secmod='' flags=noCertDB,noModDB"


@dataclass(frozen=True, slots=True)
class Place:
    """A token as one contender reaches it. module, label, slot: of PKCS#11, slot None: found by the label. reserved:
    C_Initialize's pReserved, without which NSS may not begin; python-pkcs11 and PyKCS11 cannot give it.

    pin: None where there is no login. environ: what its process needs. server: the process that is the token, 0 where
    the token is in the contender's own.
    """

    token: str
    uri: str = ""
    module: str = ""
    label: str = ""
    slot: int | None = None
    tcti: str = ""
    reserved: str = ""
    pin: str | None = field(default=None, repr=False)
    environ: dict[str, str] = field(default_factory=dict)
    server: int = 0

    def to_json(self) -> str:
        """For the standard input of a worker, never for its arguments: it has the PIN."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__ if name != "environ"})

    @classmethod
    def from_json(cls, text: str) -> Place:
        return cls(**json.loads(text))


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder in memory where there is one: what a disk does with thousands of small files is not asked."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder inside has a name of its own
    with tempfile.TemporaryDirectory(prefix="hwcng-bench-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


Opener = Callable[[], Place]
"""Gives a contender its place; a token that takes one connection at a time is made anew for each."""


def _softhsm(folder: Path, _stack: ExitStack) -> Opener:
    pin = secrets.token_hex(8)
    made = softhsm.provision(folder, [softhsm.TokenRequest(_LABEL, pin)], secrets.token_hex(8))
    place = Place(rows.SOFTHSM, made.uri(_LABEL), str(made.module), _LABEL, pin=pin, environ=made.environ())
    return lambda: place


def _nss(token: str, module: Path) -> Opener:
    # Its own libraries are beside it, and the system's may be others.
    beside = {"LD_LIBRARY_PATH": str(module.parent)} if token == rows.NSS_CURRENT else {}
    place = Place(
        token, nss.services_uri(module), str(module), slot=_SERVICES_SLOT, reserved=_NO_DATABASE, environ=beside
    )
    return lambda: place


def _p11kit(folder: Path, stack: ExitStack) -> Opener:
    behind = _softhsm(folder, stack)()

    def opener() -> Place:
        server = stack.enter_context(P11KitServer(behind.module, behind.environ))
        return Place(
            rows.P11KIT,
            server.uri(_LABEL),
            str(find_client()),
            _LABEL,
            pin=behind.pin,
            environ=server.environ(),
            server=server.pid,
        )

    return opener


def _swtpm(_folder: Path, stack: ExitStack) -> Opener:
    def opener() -> Place:
        tpm = stack.enter_context(Swtpm())
        return Place(rows.SWTPM, tpm.uri, tcti=tpm.tcti, server=tpm.pid)

    return opener


_MAKERS: dict[str, Callable[[Path, ExitStack], Opener]] = {
    rows.SOFTHSM: _softhsm,
    rows.NSS: lambda _folder, _stack: _nss(rows.NSS, nss.find_module()),
    rows.NSS_CURRENT: lambda _folder, _stack: _nss(rows.NSS_CURRENT, nss.current_nss()),
    rows.P11KIT: _p11kit,
    rows.SWTPM: _swtpm,
    rows.HOST: lambda _folder, _stack: lambda: Place(rows.HOST),
}


@contextmanager
def opened(token: str, folder: Path) -> Iterator[Opener]:
    """Makes a token in `folder` and ends it with the block. Raises what the maker of the token raises."""
    with ExitStack() as stack:
        yield _MAKERS[token](folder, stack)
