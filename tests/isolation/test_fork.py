"""fork: the child starts clean, the parent goes on unharmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from isolation.child import NSS_MODULE, NSS_URI, run
from support import missing


@pytest.fixture(params=["SoftHSM", "NSS"])
def uri(request: pytest.FixtureRequest, token_uri: str) -> str:
    if request.param == "SoftHSM":
        return token_uri
    if not Path(NSS_MODULE).exists():
        missing("NSS softokn")
    return NSS_URI


# Without Python's hooks.
IN_C = "import ctypes; os.fork = ctypes.PyDLL(None).fork\n"


@pytest.fixture(params=["Python", "C"])
def forking(request: pytest.FixtureRequest) -> str:
    """What makes `os.fork` fork as Python does, or as C code does."""
    return {"Python": "", "C": IN_C}[request.param]


FRESH = """
provider = open_token()
algorithm, rng = aes(provider), BCryptOpenAlgorithmProvider("RNG", provider)
ecdsa = BCryptOpenAlgorithmProvider("ECDSA_P256", provider)

def made():
    # In one order everywhere: a generator that was copied would answer the same.
    random = [BCryptGenRandom(rng, 32), provider.random(32)]
    key = algorithm.generate_key(256)
    pair = BCryptGenerateKeyPair(ecdsa, 256)
    BCryptFinalizeKeyPair(pair)
    digest = bytes(32)
    signature = BCryptSignHash(pair, None, digest)
    BCryptVerifySignature(pair, None, digest, signature)
    return [*random, block(key), BCryptExportKey(pair, None, BCRYPT_ECCPUBLIC_BLOB), signature[:32]]

def grandchild():
    return made() + fork(made)

def grandchild_before_use():
    return fork(made) + made()

before = made()
answers = [before, fork(made), fork(made), fork(grandchild), fork(grandchild_before_use), made(), fork(made)]
answers.append(made())
seen = [octets for answer in answers for octets in answer]
assert len(seen) == 5 * 10 and len(set(seen)) == len(seen), len(set(seen))

import multiprocessing
context = multiprocessing.get_context("fork")
with context.Pool(3) as pool:
    answers = [pool.apply_async(made) for _ in range(6)]
    more = [octets for answer in answers for octets in answer.get(20)]
assert len(set(seen + more)) == len(seen) + len(more)
provider.close()
fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: provider.random(1), "closed")
"""


def test_random_numbers_and_keys_differ(uri: str) -> None:
    run(FRESH, uri)


STALE = """
provider = open_token()
algorithm = aes(provider)
BCryptSetProperty(algorithm, NCRYPT_EXPORT_POLICY_PROPERTY, NCRYPT_ALLOW_EXPORT_FLAG)
key, other = algorithm.generate_key(256), BCryptGenerateSymmetricKey(algorithm, None, bytes(range(16)))
key_of_hash = (hmac := BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_ALG_HANDLE_HMAC_FLAG)).generate_key(256)
lent = BCryptCreateHash(hmac, None, key_of_hash, BCRYPT_HASH_REUSABLE_FLAG)
own = BCryptCreateHash(hmac, None, b"k" * 40)
BCryptHashData(own, b"begun before the fork")
rsa = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("RSA", provider), 1024)
BCryptFinalizeKeyPair(rsa)
ecdsa = ec_key(provider)
ecdh, peer = (BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDH_P256", provider), 256) for _ in range(2))
BCryptFinalizeKeyPair(ecdh)
BCryptFinalizeKeyPair(peer)
secret = BCryptSecretAgreement(ecdh, peer)
sealed, first = BCryptExportKey(other, key, BCRYPT_AES_WRAP_KEY_BLOB), block(key)
enciphered = BCryptEncrypt(rsa, b"text", None, None, BCRYPT_PAD_PKCS1)
pkcs1 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
derived = BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, None)
uses = {
    "encrypt": lambda: block(key),
    "decrypt": lambda: BCryptDecrypt(key, bytes(16), None, bytes(16)),
    "duplicate": lambda: BCryptDuplicateKey(key),
    "unwrap": lambda: BCryptImportKey(algorithm, key, BCRYPT_AES_WRAP_KEY_BLOB, None, sealed),
    "wrap": lambda: BCryptExportKey(other, key, BCRYPT_AES_WRAP_KEY_BLOB),
    "wrap under a new key": lambda: BCryptExportKey(other, algorithm.generate_key(256), BCRYPT_AES_WRAP_KEY_BLOB),
    "wrap a new key": lambda: BCryptExportKey(algorithm.generate_key(256), key, BCRYPT_AES_WRAP_KEY_BLOB),
    "opaque": lambda: BCryptExportKey(key, None, BCRYPT_OPAQUE_KEY_BLOB),
    "hash with a lent key": lambda: BCryptFinishHash(lent),
    "new hash with an old key": lambda: BCryptHash(hmac, key_of_hash, b""),
    "duplicate hash": lambda: BCryptDuplicateHash(own),
    "hash": lambda: BCryptFinishHash(own),
    "sign RSA": lambda: BCryptSignHash(rsa, pkcs1, bytes(32), BCRYPT_PAD_PKCS1),
    "decrypt RSA": lambda: BCryptDecrypt(rsa, enciphered, None, None, BCRYPT_PAD_PKCS1),
    "sign ECDSA": lambda: BCryptSignHash(ecdsa, None, bytes(32)),
    "agree": lambda: BCryptSecretAgreement(ecdh, peer),
    "derive": lambda: BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, None),
}

def child(connected):
    if connected:
        provider.random(1)
    for name, use in uses.items():
        try:
            fails(NTSTATUS.STATUS_INVALID_HANDLE, use, "fork", "parent")
        except BaseException as error:
            raise AssertionError(name) from error
    # What is public needs no token.
    BCryptVerifySignature(ecdsa, None, bytes(32), signature)
    for handle in (key, other, key_of_hash, rsa, ecdsa, ecdh, peer):
        BCryptDestroyKey(handle)
    BCryptDestroyHash(lent), BCryptDestroyHash(own), BCryptDestroySecret(secret)
    return len(uses)

signature = BCryptSignHash(ecdsa, None, bytes(32))
assert fork(lambda: child(True)) == fork(lambda: child(False)) == 17

# A child that ends the ordinary way, with everything collected.
pid = os.fork()
if pid == 0:
    provider.random(1)
    import gc
    del key, other, rsa, ecdsa, ecdh, peer, secret, lent, own, key_of_hash, uses
    gc.collect()
    provider.close()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert block(key) == first
assert BCryptDecrypt(rsa, enciphered, None, None, BCRYPT_PAD_PKCS1) == b"text"
BCryptVerifySignature(ecdsa, None, bytes(32), BCryptSignHash(ecdsa, None, bytes(32)))
assert BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, None) == derived
if "token=" not in URI:
    # NSS without a database keeps no token key, which an opaque blob needs.
    del uses["opaque"]
for name, use in uses.items():
    use()
"""


def test_keys_of_the_parent_are_dead_in_the_child_alone(uri: str, forking: str) -> None:
    run(forking + STALE, uri)


BUSY = """
provider = open_token()
algorithm = aes(provider)
key, pair = algorithm.generate_key(256), ec_key(provider)
stop, errors = threading.Event(), []

def work(number):
    try:
        while not stop.is_set():
            block(key)
            algorithm.generate_key(128).destroy()
            if number == 0:
                BCryptSignHash(pair, None, bytes(32))
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
began = time.monotonic()
answers = [fork(lambda: (provider.random(16), block(algorithm.generate_key(256))), 5) for _ in range(FORKS)]
seconds = time.monotonic() - began
stop.set()
[thread.join(10) for thread in threads]
assert not any(thread.is_alive() for thread in threads)
assert not errors, errors
seen = {octets for answer in answers for octets in answer}
assert len(seen) == 2 * FORKS
print(f"{seconds / FORKS * 1000:.1f} ms per fork, answer and wait")
"""


def test_fork_while_threads_work(uri: str) -> None:
    print(run(f"FORKS = 40\n{BUSY}", uri))


LOCKED = """
from hwcng import forking

provider = open_token()
hwcng.set_default_provider(provider)
algorithm = aes(provider)
key = algorithm.generate_key(256)
first = block(key)
held, leave = threading.Event(), threading.Event()

def hold_everything():
    locks = [one for one in gc.get_objects() if isinstance(one, forking.ProcessLock)]
    assert len(locks) > 5
    inner = [lock.held() for lock in locks] + [provider._current._returned]
    [lock.acquire() for lock in inner]
    held.set()
    leave.wait()
    [lock.release() for lock in reversed(inner)]

thread = threading.Thread(target=hold_everything)
thread.start()
held.wait()

def child():
    ec_key(provider)
    child_key = BCryptGenerateSymmetricKey(BCRYPT_AES_CBC_ALG_HANDLE, None, bytes(16))
    return provider.random(16), block(child_key), BCryptEncrypt(child_key, bytes(16)), fork(lambda: provider.random(16))

answer = fork(child, 10)
leave.set()
thread.join()
assert block(key) == first and len({*answer, provider.random(16)}) == 4 + (answer[1] != answer[2])
"""


def test_fork_while_another_thread_holds_every_lock(uri: str, forking: str) -> None:
    run(forking + LOCKED, uri)


PATIENCE = """
# A call that takes longer than a fork waits for: the fork goes on, and so does the call.
provider = open_token()
parent, inside = os.getpid(), threading.Event()

def slow(name, function):
    def call(*arguments):
        if name == "C_GenerateRandom" and os.getpid() == parent:
            inside.set()
            time.sleep(1.8)
        return function(*arguments)
    return call

provider.cryptoki.instrument(slow)
answers = []
thread = threading.Thread(target=lambda: answers.append(provider.random(16)))
thread.start()
inside.wait()
began = time.monotonic()
answers.append(fork(lambda: provider.random(16)))
assert 0.9 < time.monotonic() - began < 1.7
thread.join()
assert len(set(answers)) == 2

# A fork within the callable that gives the PIN waits for nobody: it is this thread's own work.
if "token=" in URI:
    began = time.monotonic()
    asked = []
    def pin():
        asked.append(fork(lambda: hwcng.open_provider(URI, pin=PIN).random(8)))
        return PIN
    with hwcng.open_provider(URI, pin=pin) as other:
        aes(other).generate_key(128)
    assert len(asked) == 1 and time.monotonic() - began < 0.9
"""


def test_fork_waits_a_second_at_most(uri: str) -> None:
    run(PATIENCE, uri)


SHARED = """
import ctypes
from hwcng.providers.pkcs11 import module as modules

first, second = open_token(), open_token()
one, two = aes(first).generate_key(256), aes(second).generate_key(256)
before = block(two)
finalised = []
path = first._module.path
first.cryptoki.instrument(lambda name, function: (lambda *a: finalised.append(1)) if name == "C_Finalize" else function)

# Somebody who speaks to the same library on his own.
class FunctionList(ctypes.Structure):
    _fields_ = [("version", ctypes.c_ulong), ("functions", ctypes.c_void_p * 67)]

functions = ctypes.POINTER(FunctionList)()
assert ctypes.CDLL(path).C_GetFunctionList(ctypes.byref(functions)) == 0
unsigned = ctypes.c_ulong
open_session = ctypes.CFUNCTYPE(unsigned, unsigned, unsigned, *3 * [ctypes.c_void_p])(functions[0].functions[12])
generate_random = ctypes.CFUNCTYPE(unsigned, unsigned, ctypes.c_char_p, unsigned)(functions[0].functions[64])
session, octets = unsigned(), ctypes.create_string_buffer(16)
assert open_session(first._current.slot, 4, None, None, ctypes.addressof(session)) == 0

def works():
    before = octets.raw
    return generate_random(session.value, octets, 16) == 0 and octets.raw != before

assert works()

first.close()
assert block(two) == before
fails(NTSTATUS.STATUS_INVALID_HANDLE, lambda: block(one), "closed")
assert works()
second.close()
second.close()
assert works()
third = open_token()
assert len(third.random(16)) == 16
del first, second, third
import gc
gc.collect()
assert works()
assert not finalised
"""


def test_closing_finalises_no_module(uri: str) -> None:
    run(SHARED, uri)


CROWD = """
# A login to SoftHSM writes the token's file while others read it.
provider = open_token()
answers = []
for _ in range(10):
    children = []
    for _ in range(4):
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writable, provider.random(16))
            except CngError as error:
                print(error, flush=True)
            os._exit(0)
        os.close(writable)
        children.append((pid, readable))
    for pid, readable in children:
        answers.append(os.read(readable, 16))
        os.close(readable)
        assert os.waitpid(pid, 0)[1] == 0
assert len(set(answers)) == 40 and all(len(answer) == 16 for answer in answers), answers.count(b"")
"""


def test_many_children_at_once(uri: str) -> None:
    run(CROWD, uri)


def test_a_child_opens_a_key_where_the_parent_rode_on_the_login_of_another(
    token_uri: str, token_pin: str, tmp_path: Path
) -> None:
    """A provider that was let in without a PIN cannot log in again, so it stands in the way of nobody who can."""
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(token_pin)
    script = """
    from hwcng.providers import registry
    own = open_token()
    uri = ec_key(own).persist("ridden").uri
    assert "pin" not in uri
    riding = hwcng.open_key(uri)
    signs = lambda key: BCryptVerifySignature(key, None, bytes(32), BCryptSignHash(key, None, bytes(32)))
    signs(riding)

    def with_a_pin():
        signs(hwcng.open_key(uri, pin=PIN))

    def as_configured():
        registry.configure({"mine": URI + "&pin-source=file:" + sys.argv[2]})
        signs(hwcng.open_key(uri))

    def without():
        fails(NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED, lambda: hwcng.open_key(uri), "asks for a PIN")

    for work in (with_a_pin, as_configured, without):
        fork(work)
    signs(riding)
    own.delete_key("ridden")
    """
    run(script, token_uri, str(pin))
