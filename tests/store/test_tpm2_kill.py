"""kill -9 before each step in the file system of storing, replacing and deleting a named key of a TPM."""

from __future__ import annotations

import pytest
from isolation.child import run

SCRIPT = """
import itertools, signal, tempfile
from dataclasses import replace as replaced
from hwcng import HRESULT

provider = hwcng.open_provider(URI)
what = sys.argv[2]
spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)
ECB = CipherSpec(CipherMode.ECB)
OLD, NEW, NEXT = keys = [provider.import_secret(spec, bytes([which]) * 16) for which in (1, 2, 3)]
blocks = [key.encrypt(ECB, bytes(16)) for key in keys]
directory = provider._keys.files.directory
EVENTS = ("open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.listdir", "fcntl.flock")
PATCHED = ("fsync", "write", "close")

def which_key():
    try:
        return blocks.index(provider.open_key("killed").encrypt(ECB, bytes(16)))
    except CngError as error:
        assert error.status == HRESULT.NTE_BAD_KEYSET, error
        assert list(provider.list_keys()) == []
        return None

def killed_at(step, work):
    pid = os.fork()
    if pid == 0:
        steps = itertools.count()
        def next_step():
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
        def armed(event, arguments):
            if event in EVENTS:
                next_step()
        for name in PATCHED:
            function = getattr(os, name)
            def stepping(*arguments, function=function):
                next_step()
                return function(*arguments)
            setattr(os, name, stepping)
        sys.addaudithook(armed)
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{error!r}\\n")
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0

def store(key, replace):
    # What the child does before it comes to the TPM again.
    held, origin = key.blob()
    key.blob = lambda: (held, origin)
    return lambda: provider._keys.persist(key, "killed", provider.connection.parent, replace)

OPERATIONS = {
    "create": (None, 0, store(OLD, False)),
    "replace": (0, 1, store(NEW, True)),
    "delete": (0, None, lambda: provider._keys.delete("killed", lambda: b"")),
}
before, after, work = OPERATIONS[what]
passed = False
for step in itertools.count():
    import shutil
    shutil.rmtree(directory, ignore_errors=True)
    if before is not None:
        provider.persist_key(OLD, "killed")
    killed = killed_at(step, work)
    found = which_key()
    assert found in (before, after), (step, found)
    assert not passed or found == after, (step, found)
    passed = passed or found == after
    provider.persist_key(NEXT, "killed", replace=found is not None)
    assert which_key() == 2
    assert len(os.listdir(directory)) == 1, os.listdir(directory)
    provider.delete_key("killed")
    assert os.listdir(directory) == []
    if not killed:
        break
assert passed
print(step)
provider.close()
"""


@pytest.mark.parametrize("what", ["create", "replace", "delete"])
def test_killed_before_each_step(what: str, tpm_uri: str) -> None:
    assert int(run(SCRIPT, tpm_uri, what)) >= 5


HANDLES = """
import itertools, signal
from hwcng.providers.tpm2.wire.constants import CAP
from hwcng.providers.tpm2.store.named import FIRST_HANDLE

provider = hwcng.open_provider(URI)
spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)
OLD, NEW = (provider.import_secret(spec, bytes([which]) * 16) for which in (1, 2))
what = sys.argv[2]

def handles():
    return provider.connection.perform(
        "x", lambda connection: connection.esys(lambda esys: esys.numbers(CAP.HANDLES, FIRST_HANDLE))
    )

def killed_at(step, work):
    pid = os.fork()
    if pid == 0:
        provider.random(1)
        steps = itertools.count()
        def deadly(exchange):
            def exchanged(command):
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return exchange(command)
            return exchanged
        provider.connection.instrument(deadly)
        work()
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0

for step in itertools.count():
    provider.persist_key(OLD, "killed")
    if what == "make":
        killed = killed_at(step, lambda: provider.make_persistent("killed"))
    else:
        provider.make_persistent("killed")
        provider.connection.release_slots()
        def replace():
            key = provider.import_secret(spec, bytes([2]) * 16)
            provider.persist_key(key, "killed", replace=True)
        def delete():
            provider.delete_key("killed")
        killed = killed_at(step, replace if what == "replace" else delete)
    # Slots and sessions of the one that died are flushed by the next that finds itself alone.
    provider.close()
    provider = hwcng.open_provider(URI)
    OLD, NEW = (provider.import_secret(spec, bytes([which]) * 16) for which in (1, 2))
    if not (what == "delete" and not killed):
        provider.open_key("killed").encrypt(CipherSpec(CipherMode.ECB), bytes(16))
        provider.persist_key(NEW, "killed", replace=True)
        assert handles() == [], (step, handles())
        provider.delete_key("killed")
    assert handles() == [], (step, handles())
    if not killed:
        break
print(step)
provider.close()
"""


@pytest.mark.parametrize("what", ["make", "replace", "delete"])
def test_killed_before_each_command(what: str, tpm_uri: str) -> None:
    """No object at a persistent handle is ever forgotten."""
    assert int(run(HANDLES, tpm_uri, what)) >= 1
