"""Throw-away tokens that are ready to be opened: context managers for programs, and what the pytest fixtures give.

A process has one SoftHSM directory and one NSS database, because each of the two reads its configuration once in a
process; SoftHSM has any number of tokens there. Each swtpm is a TPM of its own.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hwcng.forking import ProcessLock
from hwcng.providers.registry import open_provider
from hwcng.testing import nss
from hwcng.testing._pins import new_pin, write_new_pin
from hwcng.testing._process_home import process_home
from hwcng.testing.softhsm import CONF_NAME
from hwcng.testing.softhsm import token_uri as softhsm_uri

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

__all__ = ["ThrowAwayToken", "new_softhsm_token", "nss_token", "process_nss_token", "softhsm_token"]


@dataclass(frozen=True, slots=True)
class ThrowAwayToken:
    """A PKCS#11 token for tests.

    uri: for `hwcng.open_provider`, it names the file of the PIN, so that it opens with no more; label: the token's;
    pin: the user PIN, in no repr; module: the PKCS#11 module's file. settings: what another process needs in its
    environment to see the token.
    """

    uri: str
    label: str
    pin: str = field(repr=False)
    module: Path
    settings: Mapping[str, str]

    def open(self) -> Provider:
        """A provider on the token, to be closed by the caller: a context manager."""
        return open_provider(self.uri)

    def environ(self) -> dict[str, str]:
        """`settings`, and HWCNG_PROVIDER with the URI."""
        return {**self.settings, "HWCNG_PROVIDER": self.uri}


_numbers = itertools.count(1)


def new_softhsm_token(label: str | None = None, pin: str | None = None) -> ThrowAwayToken:
    """A new SoftHSM token, which stays until the process ends. SOFTHSM2_CONF of this process names its directory.

    label: at most 32 bytes of UTF-8, None: one that no other token has; pin: 4 to 255 bytes of UTF-8, None: a new one.
    Raises SoftHsmError where SoftHSM is missing, or was initialised with another configuration before.
    """
    home = process_home()
    number = next(_numbers)
    label = f"hwcng-{number}" if label is None else label
    pin = new_pin() if pin is None else pin
    made = home.token(label, pin)
    pin_file = home.directory / f"{number}-{made.serial}.pin"
    write_new_pin(pin_file, pin)
    uri = softhsm_uri(label, home.module, f"file:{pin_file}")
    return ThrowAwayToken(uri, label, pin, home.module, {"SOFTHSM2_CONF": str(home.directory / CONF_NAME)})


@contextmanager
def softhsm_token(label: str | None = None, pin: str | None = None) -> Iterator[ThrowAwayToken]:
    """`new_softhsm_token` for the length of a block: SOFTHSM2_CONF is as it was afterwards."""
    before = os.environ.get("SOFTHSM2_CONF")
    try:
        yield new_softhsm_token(label, pin)
    finally:
        if before is None:
            os.environ.pop("SOFTHSM2_CONF", None)
        else:
            os.environ["SOFTHSM2_CONF"] = before


_nss: ThrowAwayToken | None = None
_nss_lock = ProcessLock()


def process_nss_token() -> ThrowAwayToken:
    """The one NSS database of this process, removed at its end. Raises NssError where NSS is missing."""
    global _nss
    with _nss_lock.held():
        if _nss is None:
            module = nss.find_module()
            directory, owner = Path(tempfile.mkdtemp(prefix="nss-")), os.getpid()
            atexit.register(_remove, directory, owner)
            pin, pin_file = new_pin(), directory / "pin"
            write_new_pin(pin_file, pin)
            database = nss.provision(directory, pin, module=module)
            _nss = ThrowAwayToken(database.uri_with(f"file:{pin_file}"), database.label, pin, database.module, {})
        return _nss


def _remove(directory: Path, owner: int) -> None:
    # A forked child runs the parent's exit functions too.
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def nss_token() -> Iterator[ThrowAwayToken]:
    """The database of `process_nss_token`; the named keys that the block made are deleted at its end."""
    token = process_nss_token()
    with token.open() as provider:
        before = _names(provider)
    try:
        yield token
    finally:
        with token.open() as provider:
            for name in _names(provider) - before:
                provider.delete_key(name)


def _names(provider: Provider) -> set[str]:
    return {record.address or record.name for record in provider.list_keys()}
