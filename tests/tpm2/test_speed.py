"""A warm signature through hwcng.bcrypt costs what the same command costs through plain ESAPI, measured in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).with_name("measure_signature.py")
BAR = 1.15


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_warm_signature_costs_what_esapi_costs(transport: str) -> None:
    command = [sys.executable, str(MEASURE), transport, str(BAR)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ratios = json.loads(done.stdout)
    assert min(ratios) <= BAR, ratios
