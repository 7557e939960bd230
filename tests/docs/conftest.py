"""The reader of a page: a token that is the default provider, and a home of one's own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.capabilities import has
from docs.markdown import ROOT
from docs.pages import PIN

from hwcng.testing.pkcs11_provider import find_module
from hwcng.testing.softhsm import TokenRequest, provision

PROVIDERS = """\
[providers]
softhsm = {uri}
hsm = {uri}
"""
"""The names that the pages use for a token that is configured."""


def current_nss() -> dict[str, str]:
    """Where the current NSS is that this machine has fetched: a new home has none."""
    from hwcng.testing import nss

    return {"HWCNG_CURRENT_NSS": str(nss.current_nss())} if has("current-nss") else {}


def module_of_openssl() -> Path | None:
    """The folder of pkcs11-provider, where the system has none in OpenSSL's own."""
    return find_module().parent if has("pkcs11-provider") else None


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a reader: a token "my-token", which is the default provider, and a home of one's own."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    softhsm = provision(tmp_path / "softhsm", [TokenRequest("my-token", PIN)], "so-1234-page")
    pin = home / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    uri = f"{softhsm.uri('my-token')}&pin-source=file:{pin}"
    (home / "providers.ini").write_text(PROVIDERS.format(uri=uri))
    modules = module_of_openssl()
    kept = ("HWCNG_PKCS11_PROVIDER", "LANG", "TMPDIR")
    # A socket's path has 107 bytes at most, and pytest's folders are long.
    with tempfile.TemporaryDirectory(prefix="hwcng-page-") as runtime:
        yield {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **softhsm.environ(),
            **current_nss(),
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HWCNG_PROVIDER": uri,
            "HWCNG_CONFIG": str(home / "providers.ini"),
            "TOKEN_PIN": PIN,
            **({"OPENSSL_MODULES": str(modules)} if modules is not None else {}),
            "TSS2_LOG": "all+none",
            "XDG_RUNTIME_DIR": runtime,
            "PYTHONPATH": str(ROOT / "tests"),
        }
