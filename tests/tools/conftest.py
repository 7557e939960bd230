"""A token for each test of a tool, hwcng in a process beside it, and the record of what ran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from tools import report
from tools.hwcng_keys import MADE, PIN

from hwcng.testing.softhsm import SoftHsm, TokenRequest, provision

HWCNG = Path(__file__).parent / "hwcng_keys.py"
LABEL = "tools"
Ran = Callable[..., None]


class Key(NamedTuple):
    """What hwcng tells of a key that it used."""

    name: str
    kind: str
    certificate: bool
    told: str

    @property
    def public(self) -> Any:
        return serialization.load_der_public_key(bytes.fromhex(self.told))


@dataclass
class Tools:
    """Runs programs that reach one token."""

    uri: str
    environ: dict[str, str] = field(default_factory=dict)
    pin: str = PIN
    softhsm: SoftHsm | None = None

    @property
    def module(self) -> str:
        assert self.softhsm is not None
        return str(self.softhsm.module)

    def run(self, *command: str | Path, data: bytes = b"", **environ: str) -> bytes:
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **self.environ, **environ},
            input=data,
            capture_output=True,
            check=False,
            timeout=120,
            # No terminal: what asks for a PIN asks the program that it is told.
            start_new_session=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout or done.stderr

    def _keys(self, task: str) -> dict[str, Key]:
        lines = self.run(sys.executable, HWCNG, task, self.uri, self.pin).splitlines()
        return {key.name: key for key in (Key(**json.loads(line)) for line in lines)}

    def in_hwcng(self) -> dict[str, Key]:
        """The token's keys by their names, once hwcng has listed, opened and used each."""
        return self._keys("use")

    def of_hwcng(self) -> dict[str, Key]:
        """Keys that hwcng makes there, by kind."""
        made = self._keys("make")
        return {kind: made[name] for kind, name in MADE.items() if name in made}


@pytest.fixture
def token(tmp_path: Path) -> Tools:
    """A SoftHSM token."""
    softhsm = provision(tmp_path / "token", [TokenRequest(LABEL, PIN)], "so-pin-1")
    return Tools(softhsm.uri(LABEL), softhsm.environ(), softhsm=softhsm)


@pytest.fixture
def ran(request: pytest.FixtureRequest) -> Ran:
    """ran(tool, report.MADE or USED, *kinds): it did, so the page says it."""

    def note(tool: str, column: str, *kinds: str) -> None:
        for kind in kinds:
            report.note(request.config, tool, column, kind)

    return note
