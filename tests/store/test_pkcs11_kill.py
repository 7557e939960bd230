"""kill -9 before each C_ call of creating, importing, replacing and deleting a named key."""

from __future__ import annotations

import pytest
from isolation.child import run
from store.conftest import KeepingToken

SCRIPT = """
from store.killing import *

provider = hwcng.open_provider(URI, pin=sys.argv[2])
kind, what = sys.argv[3:]
store = lambda key, replace: provider.persist_key(key, NAME, replace=replace)
nothing = lambda: provider.random(1)
OPERATIONS = {
    "create": (0, OLD, lambda: made(provider, kind, OLD), lambda key: store(key, False)),
    "import": (0, OLD, nothing, lambda _: store(made(provider, kind, OLD), False)),
    "replace": (OLD, NEW, lambda: made(provider, kind, NEW), lambda key: store(key, True)),
    "in place": (0, OLD, nothing, lambda _: taken(provider, kind, OLD)),
    "replace in place": (OLD, NEW, nothing, lambda _: taken(provider, kind, NEW)),
    "delete": (OLD, 0, nothing, lambda _: provider.delete_key(NAME)),
}
print(at_each_step(provider, kind, *OPERATIONS[what]))
clear(provider)
"""


@pytest.mark.parametrize("kind", ["secret", "pair"])
@pytest.mark.parametrize("what", ["create", "import", "replace", "in place", "replace in place", "delete"])
def test_killed_before_each_call(what: str, kind: str, keeping_token: KeepingToken) -> None:
    steps = int(run(SCRIPT, keeping_token.uri, keeping_token.pin, kind, what, seconds=120))
    assert steps >= 5


CERTIFICATES = """
from store.killing import *
from pyca.certificates import certificate
from cryptography.hazmat.primitives import serialization

provider = hwcng.open_provider(URI, pin=sys.argv[2])
host = ec.generate_private_key(ec.SECP256R1())
public = ec.derive_private_key(OLD, ec.SECP256R1()).public_key()
root = certificate(host, "root")
one, other = (
    certificate(host, name, public, root).public_bytes(serialization.Encoding.DER) for name in ("one", "other")
)
steps = 0
while True:
    clear(provider)
    provider.persist_key(made(provider, "pair", OLD), NAME)
    provider.store_certificates(NAME, [one])
    replace = lambda _: provider.store_certificates(NAME, [other])
    killed = killed_at(provider, steps, lambda: provider.random(1), replace)

    def look():
        (found,) = provider.certificates(NAME)
        assert found in (one, other)
        provider.store_certificates(NAME, [other])
        assert provider.certificates(NAME) == [other]
        # The pair, and the certificate of its label.
        assert count(provider) == 3, count(provider)
        provider.delete_key(NAME)
        assert not objects.find(provider._connection, {Attribute.TOKEN: True, Attribute.LABEL: NAME})

    in_child(look)
    if not killed:
        break
    steps += 1
print(steps)
clear(provider)
"""


def test_a_certificate_is_replaced_and_never_lost(keeping_token: KeepingToken) -> None:
    """NSS keeps one subject for a label, and refuses the new one beside the old."""
    assert int(run(CERTIFICATES, keeping_token.uri, keeping_token.pin, seconds=120)) >= 6


REPEATED = """
from store.killing import *

provider = hwcng.open_provider(URI, pin=sys.argv[2])
kind = sys.argv[3]
work = lambda key: provider.persist_key(key, NAME, replace=True)
for rounds in range(3):
    # Each of them is killed with the old key and the new one stored, before anything was cleaned.
    for which in (OLD, NEW):
        for step in range(3, 40):
            if not killed_at(provider, step, lambda: made(provider, kind, which), work):
                break
        in_child(lambda: which_key(provider))
in_child(lambda: provider.persist_key(made(provider, kind, NEXT), NAME, replace=True))
assert which_key(provider) == NEXT
assert count(provider) == (1 if kind == "secret" else 2), count(provider)
provider.delete_key(NAME)
assert count(provider) == 0
"""


@pytest.mark.parametrize("kind", ["secret", "pair"])
def test_killed_again_and_again(kind: str, keeping_token: KeepingToken) -> None:
    """Leftovers of many processes are one key still, and are gone after one write."""
    run(REPEATED, keeping_token.uri, keeping_token.pin, kind, seconds=120)


RACE = """
from store.killing import *

provider = hwcng.open_provider(URI, pin=sys.argv[2])
kind = sys.argv[3]
clear(provider)

def racers(replace):
    readable, writable = os.pipe()
    children = []
    for which in (OLD, NEW, NEXT):
        pid = os.fork()
        if pid == 0:
            os.close(writable)
            status = 1
            try:
                key = made(provider, kind, which)
                os.read(readable, 1)
                provider.persist_key(key, NAME, replace=replace)
                status = 0
            except CngError as error:
                status = 2 if error.status == HRESULT.NTE_EXISTS else 3
                if status == 3:
                    sys.stderr.write(f"{error}\\n")
            finally:
                os._exit(status)
        children.append(pid)
    os.close(readable)
    time.sleep(0.1)
    os.close(writable)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]

for _ in range(5):
    ended = racers(replace=False)
    assert sorted(ended) == [0, 2, 2], ended
    winner = (OLD, NEW, NEXT)[ended.index(0)]
    def look():
        assert which_key(provider) == winner
        assert count(provider) == (1 if kind == "secret" else 2), count(provider)
    in_child(look)
    ended = racers(replace=True)
    assert ended == [0, 0, 0], ended
    def look():
        assert which_key(provider) in (OLD, NEW, NEXT)
        assert count(provider) == (1 if kind == "secret" else 2), count(provider)
    in_child(look)
    clear(provider)
"""


@pytest.mark.parametrize("kind", ["secret", "pair"])
def test_three_processes_at_once(kind: str, keeping_token: KeepingToken) -> None:
    """Of those who make one name, one has it; those who replace it do so one after the other."""
    run(RACE, keeping_token.uri, keeping_token.pin, kind, seconds=120)


HOSTS = """
from store.killing import *
import contextlib
from concurrent.futures import ThreadPoolExecutor
from hwcng.providers.pkcs11.store import key_store

# Hosts that share a network HSM have no lock in common; it does one call at a time, and shows what it did at once.
key_store.in_turn = lambda path: contextlib.nullcontext()
providers = [hwcng.open_provider(URI, pin=sys.argv[2]) for _ in range(3)]
for provider in providers:
    provider._store._is_local = lambda: False
lock = threading.Lock()

def one_at_a_time(name, function):
    def locked(*arguments):
        with lock:
            result = function(*arguments)
        time.sleep(0.0005)
        return result
    return locked

providers[0].cryptoki.instrument(one_at_a_time)
kind, replace = sys.argv[3], sys.argv[4] == "replace"
clear(providers[0])

def work(index, barrier):
    key = made(providers[index], kind, 1 + index)
    barrier.wait()
    try:
        providers[index].persist_key(key, NAME, replace=replace)
    except CngError as error:
        assert error.status in (HRESULT.NTE_EXISTS, NTSTATUS.STATUS_DEVICE_BUSY), error
        return False
    return True

for _ in range(8):
    if replace:
        providers[0].persist_key(made(providers[0], kind, OLD), NAME)
    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        stored = list(pool.map(lambda index: work(index, barrier), range(3)))
    found = which_key(providers[0])
    if replace:
        assert found in (OLD, NEW, NEXT)
    else:
        assert sum(stored) == 1 and found == 1 + stored.index(True), (stored, found)
    providers[1].persist_key(made(providers[1], kind, NEXT), NAME, replace=True)
    assert count(providers[0]) == (1 if kind == "secret" else 2), count(providers[0])
    clear(providers[0])
"""


@pytest.mark.parametrize("kind", ["secret", "pair"])
@pytest.mark.parametrize("what", ["create", "replace"])
def test_three_hosts_at_once(what: str, kind: str, token_uri: str, token_pin: str) -> None:
    run(HOSTS, token_uri, token_pin, kind, what, seconds=120)
