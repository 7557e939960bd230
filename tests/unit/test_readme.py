"""README.md's program, run as it stands on a SoftHSM token."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwcng.testing.softhsm import SoftHsm

ROOT = Path(__file__).parents[2]


def test_program_runs(softhsm: SoftHsm, token_uri: str, token_pin: str) -> None:
    program = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert program is not None
    named = "pkcs11:token=my-token?module-name=softhsm2"
    assert named in program[1]
    code = program[1].replace(named, token_uri)
    environment = {"PATH": "/usr/bin:/bin", "TOKEN_PIN": token_pin, "PYTHONPATH": str(ROOT), **softhsm.environ()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_linked_page_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
