"""python-pkcs11 shares the module that hwcng initialised. In child processes, because both keep state per process."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from isolation.child import NSS_MODULE, NSS_URI, run
from support import missing

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.provider import Provider
from hwcng.interop.python_pkcs11 import adopt
from hwcng.testing.softhsm import SoftHsm

PREAMBLE = """
import gc
import pkcs11
from hwcng.interop.python_pkcs11 import adopt

provider = open_token()
path = hwcng.providers.backends.parse_uri(URI).module_path

def session_of(library):
    token = next(token for token in library.get_tokens() if token.label == provider.token.label)
    return token.open(rw=True)

def secret_keys(session):
    found = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.TOKEN: False}
    return list(session.get_objects(found))
"""

SHARING = """
key = aes(provider).generate_key(256)
first = block(key)
library = adopt(provider)
assert adopt(provider) is library
assert pkcs11.lib(path) is library and pkcs11.lib(os.path.realpath(path)) is library
assert library.initialized is False
session = session_of(library)
assert session.generate_random(128) != session.generate_random(128)

# The same objects: python-pkcs11 works with the key that hwcng made, and the other way round.
ours = secret_keys(session)
assert len(ours) == 1 and ours[0].key_length == 256
assert ours[0].encrypt(bytes(16), mechanism=pkcs11.Mechanism.AES_CBC, mechanism_param=bytes(16)) == first
theirs = session.generate_key(pkcs11.KeyType.AES, 256, template={pkcs11.Attribute.EXTRACTABLE: False})
assert len(secret_keys(session)) == 2

# Its session ends, and with it its key; ours goes on.
session.close()
assert block(key) == first
session = session_of(library)
assert len(secret_keys(session)) == 1
session.close()

# Dropping, unloading, finalising: none of it reaches the module.
pkcs11.unload(path)
library.finalize()
library.reinitialize()
assert library.get_slots()
if path != os.path.realpath(path):
    assert pkcs11.lib(os.path.realpath(path)) is library
again = adopt(provider)
assert pkcs11.lib(path) is again
pkcs11.unload(path)
pkcs11.unload(os.path.realpath(path))
del library, again, session, ours, theirs
gc.collect()
assert block(key) == first
library = adopt(provider)
session = session_of(library)

# Our provider closes: theirs goes on.
provider.close()
fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: adopt(provider), "closed")
assert session.generate_random(128)
made = session.generate_key(pkcs11.KeyType.AES, 256, template={pkcs11.Attribute.EXTRACTABLE: False})
assert made.encrypt(bytes(16), mechanism=pkcs11.Mechanism.AES_ECB)
with open_token() as reopened:
    key = aes(reopened).generate_key(256)
    session.close()
    assert len(block(key)) == 16
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS"])
def test_sharing_the_module(token: str, token_uri: str) -> None:
    """NSS 3.87 cannot be opened by python-pkcs11 alone: it wants arguments in C_Initialize."""
    if token == "NSS" and not Path(NSS_MODULE).exists():
        missing("NSS softokn")
    run(PREAMBLE + SHARING, token_uri if token == "SoftHSM" else NSS_URI)


THREADS = """
library = adopt(provider)
key, errors = aes(provider).generate_key(256), []
first = block(key)

def ours():
    for _ in range(300):
        assert block(key) == first
        aes(provider).generate_key(128).destroy()

def theirs():
    with session_of(library) as session:
        for _ in range(300):
            made = session.generate_key(pkcs11.KeyType.AES, 128, template={pkcs11.Attribute.EXTRACTABLE: False})
            made.encrypt(bytes(16), mechanism=pkcs11.Mechanism.AES_ECB)
            made.destroy()

def guarded(work):
    try:
        work()
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=guarded, args=(work,)) for work in (ours, theirs) * 3]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not errors, errors
assert block(key) == first
"""


def test_both_in_threads(token_uri: str) -> None:
    """Alone, python-pkcs11 crashes SoftHSM here: it initialises modules for one thread."""
    run(PREAMBLE + THREADS, token_uri)


KEPT = """
# While an application may be working through python-pkcs11, a device error finalises nothing.
from hwcng.testing.faults import FaultInjector

library = adopt(provider)
session = session_of(library)
with FaultInjector(provider) as faults:
    faults.fail("C_GenerateRandom", 0x30, nth=1).fail("C_GetSessionInfo", 0x30)
    fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, lambda: provider.random(8), "lost")
    faults.clear()
    faults.fail("C_GetSlotList", 0x30, nth=1)
    assert len(provider.random(8)) == 8
    assert faults.injected == 1
assert session.generate_random(128)
"""


def test_a_device_error_finalises_nothing(token_uri: str) -> None:
    run(PREAMBLE + KEPT, token_uri)


FIRST = """
import gc
import pkcs11
from hwcng.interop.python_pkcs11 import adopt

path = hwcng.providers.backends.parse_uri(URI).module_path
library = pkcs11.lib(path)
assert library.initialized
provider = open_token()
assert provider.module._serialising is not None
assert adopt(provider) is library
assert pkcs11.lib(path) is pkcs11.lib(os.path.realpath(path)) is library
key = aes(provider).generate_key(256)
first = block(key)
gc.collect()
assert block(key) == first

# It finalises what is its own: our keys are lost, and we say so and connect again.
library.finalize()
fails(NTSTATUS.STATUS_DEVICE_NOT_CONNECTED, lambda: block(key))
assert len(provider.random(8)) == 8
fails(NTSTATUS.STATUS_INVALID_DEVICE_STATE, lambda: block(key), "lost")
# Now the module is ours.
assert provider.module._owned and provider.module._serialising is None
adopted = adopt(provider)
assert adopted is not library and pkcs11.lib(path) is adopted
del library
gc.collect()
assert len(provider.random(8)) == 8 and adopted.get_slots()
"""


def test_python_pkcs11_was_first(token_uri: str) -> None:
    run(FIRST, token_uri)


def test_a_provider_that_is_not_over_pkcs11() -> None:
    class Other(Provider):
        capabilities = offers = random = generate_secret = import_secret = unwrap_secret = generate_pair = None  # type: ignore[assignment]
        import_pair = reload_opaque = close = None  # type: ignore[assignment]

    with pytest.raises(CngError, match="not over PKCS#11") as caught:
        adopt(Other())  # type: ignore[abstract]
    assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED


@pytest.fixture
def remote(softhsm: SoftHsm, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which p11-kit-client sees the tokens."""
    if shutil.which("p11-kit") is None:
        missing("command:p11-kit")
    socket = tmp_path / "p11-kit"
    server = subprocess.Popen(
        ["p11-kit", "server", "-f", "-n", str(socket), "--provider", str(softhsm.module), "pkcs11:"],
        env={**os.environ, **softhsm.environ()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                missing("p11-kit server")
            time.sleep(0.01)
        yield {"P11_KIT_SERVER_ADDRESS": f"unix:path={socket}"}
    finally:
        server.terminate()
        server.wait(10)


REMOTE = """
from hwcng.interop.python_pkcs11 import adopt
import pkcs11

with open_token() as provider:
    pair = ec_key(provider)
    fails(NTSTATUS.STATUS_NOT_SUPPORTED, lambda: adopt(provider), "instance of its own", "p11-kit-client")
    assert not pkcs11._loaded
    BCryptVerifySignature(pair, None, bytes(32), BCryptSignHash(pair, None, bytes(32)))
"""


def test_p11_kit_client_is_refused(remote: dict[str, str]) -> None:
    client = Path("/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so")
    if not client.exists():
        missing("p11-kit-client")
    run(REMOTE, f"pkcs11:token=hwcng-test?module-path={client}", env=remote)


def test_importing_loads_no_library() -> None:
    run("import hwcng.interop\nassert not {'pkcs11', 'cffi'} & set(sys.modules)", "")


def test_adopt_is_documented() -> None:
    text = (Path(hwcng.__file__).parents[1] / "docs" / "pkcs11.md").read_text("utf-8")
    assert "hwcng.interop.python_pkcs11.adopt" in text
