"""What an installed hwcng does, in the environment of a user: `python release_smoke.py CHECKOUT`.

scripts/release-check copies it out of the checkout and runs it. CHECKOUT must not be importable.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

TEST = """
import hashlib

import pytest

from hwcng import bcrypt


def test_signing(softhsm_token):
    with softhsm_token.open() as provider:
        key = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
        bcrypt.BCryptFinalizeKeyPair(key)
        digest = hashlib.sha256(b"a message").digest()
        bcrypt.BCryptVerifySignature(key, None, digest, bcrypt.BCryptSignHash(key, None, digest))


@pytest.mark.hwcng(requires=["ML-DSA"])
def test_what_softhsm_lacks(softhsm_token):
    raise AssertionError("the marker did not skip")
"""


def installed_from_elsewhere(checkout: Path) -> None:
    import hwcng

    package = Path(hwcng.__file__).resolve()
    assert checkout not in package.parents, f"hwcng is imported from the checkout: {package}"
    assert Path(sys.prefix).resolve() in package.parents, package
    assert not any(checkout == Path(entry).resolve() for entry in sys.path), sys.path


def metadata() -> None:
    import hwcng

    distribution = importlib.metadata.distribution("hwcng")
    told = distribution.metadata
    assert distribution.version == hwcng.__version__, (distribution.version, hwcng.__version__)
    assert told["License-Expression"] == "Apache-2.0", told["License-Expression"]
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload() or told["Description"], "there is no description"
    files = {str(file): file for file in distribution.files or ()}
    assert "hwcng/py.typed" in files, "the marker of types is missing"
    (licence,) = (file for name, file in files.items() if name.endswith("dist-info/licenses/LICENSE"))
    assert "Apache License" in licence.read_text()
    oldest = tuple(map(int, told["Requires-Python"].removeprefix(">=").split(".")))
    named = {
        tuple(map(int, found[1].split(".")))
        for classifier in told.get_all("Classifier") or ()
        if (found := re.search(r"Python :: (3\.\d+)$", classifier))
    }
    assert min(named) == oldest and sys.version_info[:2] in named, (oldest, sorted(named))
    extras = set(told.get_all("Provides-Extra") or ())
    assert {"pkcs11", "tpm2", "testing", "cli"} <= extras, extras


def commands() -> None:
    import hwcng

    command = Path(sys.executable).parent / "hwcng"
    for line in ([command], [sys.executable, "-m", "hwcng"]):
        told = subprocess.run([*line, "--version"], capture_output=True, text=True, check=True).stdout
        assert hwcng.__version__ in told, told


def signing() -> None:
    from hwcng.testing.tokens import softhsm_token

    with softhsm_token() as token:
        _sign_on(token)
    if importlib.util.find_spec("tpm2_pytss") is not None:
        from hwcng.testing.swtpm import Swtpm

        with Swtpm() as tpm:
            _sign_on(tpm)


def _sign_on(token: Any) -> None:
    from hwcng import bcrypt

    with token.open() as provider:
        key = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("RSA", provider), 2048)
        bcrypt.BCryptFinalizeKeyPair(key)
        padding = bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", 32)
        digest = hashlib.sha256(b"a document").digest()
        signature = bcrypt.BCryptSignHash(key, padding, digest, bcrypt.BCRYPT_PAD_PSS)
        bcrypt.BCryptVerifySignature(key, padding, digest, signature, bcrypt.BCRYPT_PAD_PSS)


def plugin() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group="pytest11")}
    assert "hwcng" in names, names
    Path("test_downstream.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_downstream.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr


def main() -> None:
    checkout = Path(sys.argv[1]).resolve()
    assert "PYTHONPATH" not in os.environ
    installed_from_elsewhere(checkout)
    for check in (metadata, commands, signing, plugin):
        check()


if __name__ == "__main__":
    main()
