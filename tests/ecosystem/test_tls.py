"""A server and its clients, which show certificates to each other, both with keys in the same token: the server's of
hwcng's making, the clients' of the token's own tool.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ecosystem import report
from ecosystem.keys import KINDS, PLACES, HeldKey, Place, made_by_tpm2_tools, opened
from ecosystem.libraries import LIBRARIES, installed_version
from interop.tls_identity import SECONDS, Identity, make_identity
from interop.uvicorn_server import uvicorn_serves
from support import missing
from tpm2.abrmd import resource_manager
from tpm2.test_openssl import has_provider

import hwcng
from hwcng.testing.pkcs11_provider import PackageError, find_module

if TYPE_CHECKING:
    from hwcng.cng.keys import KeyPair
    from hwcng.testing.softhsm import SoftHsm

CLIENTS = {
    "requests": "import requests; print(requests.get(URL, cert=('client.crt', 'client.pem'), verify='ca.crt').text)",
    "httpx": "import httpx; print(httpx.get(URL, verify=context()).text)",
    "urllib3": "import urllib3; print(urllib3.PoolManager(ssl_context=context()).request('GET', URL).data.decode())",
    "aiohttp": """
import aiohttp, asyncio
async def call():
    async with aiohttp.ClientSession() as session, session.get(URL, ssl=context()) as answer:
        print(await answer.text())
asyncio.run(call())
""",
}
CONTEXT = """
import ssl
def context():
    made = ssl.create_default_context(cafile='ca.crt')
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain('client.crt', 'client.pem')
    return made
"""


@contextmanager
def in_softhsm(home: Path, kind: str, softhsm: SoftHsm, pin: str, client: KeyPair) -> Iterator[Identity]:
    from conftest import OTHER_TOKEN

    try:
        module = find_module()
    except PackageError:
        missing("pkcs11-provider")
    source = home / "pin"
    source.touch(mode=0o600)
    source.write_text(pin + "\n")
    with hwcng.open_provider(f"{softhsm.uri(OTHER_TOKEN)}&pin-source=file:{source}") as provider:
        yield make_identity(home, provider, module, {"server": KINDS[kind].algorithm, "client": client})
        provider.delete_key("tls-server")


@contextmanager
def in_a_tpm(home: Path, kind: str) -> Iterator[Identity]:
    """Behind a resource manager: a TPM alone has no room for what a client of TLS that checks certificates loads."""
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    if not has_provider():
        missing("tpm2-openssl")
    if shutil.which("tpm2_encodeobject") is None:
        missing("command:tpm2_encodeobject")
    with ExitStack() as stack:
        try:
            tpm = stack.enter_context(Swtpm())
        except SwtpmError:
            missing("command:swtpm")
        hwcng.open_provider(tpm.uri).close()
        file = made_by_tpm2_tools(tpm, home, kind)
        with hwcng.open_provider(tpm.uri) as provider:
            provider.persist_key(provider.reload_opaque(file.read_bytes(), pin=""), "tls-client")
            keys = {"server": KINDS[kind].algorithm, "client": opened(provider, "tls-client")}
            made = make_identity(home, provider, None, keys)
        managed = stack.enter_context(resource_manager(tpm))
        made.environ |= {**managed, "TPM2OPENSSL_TCTI": "tabrmd:bus_type=session"}
        _wait(made)
        yield made


def _wait(identity: Identity) -> None:
    """Until the resource manager is on the bus."""
    end = time.monotonic() + SECONDS
    command = ["tpm2_getcap", "-T", identity.environ["TPM2OPENSSL_TCTI"], "properties-fixed"]
    while subprocess.run(command, env=identity.environ, capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            missing("libtss2-tcti-tabrmd")
        time.sleep(0.05)


@pytest.mark.parametrize(("token", "kind"), sorted({place[:2] for place in PLACES}))
def test_clients_call_a_server(
    request: pytest.FixtureRequest,
    token: str,
    kind: str,
    softhsm: SoftHsm,
    other_token_pin: str,
    held_at: Callable[[Place], HeldKey],
    tmp_path: Path,
) -> None:
    for library in ("uvicorn", *CLIENTS):
        installed_version(LIBRARIES[library])
    if token == "SoftHSM":
        theirs = held_at((token, kind, "pkcs11-tool")).pair
        there = in_softhsm(tmp_path, kind, softhsm, other_token_pin, theirs)
    else:
        there = in_a_tpm(tmp_path, kind)
    with there as identity, uvicorn_serves(identity) as address:
        for library, program in CLIENTS.items():
            code = f"URL = {address!r}\n{CONTEXT}\n{program}"
            assert identity.run(sys.executable, "-c", code) == "served\n", library
            report.note(request.config, library, token, kind)
        report.note(request.config, "uvicorn", token, kind)
