"""fork by C code, which runs none of Python's hooks: uWSGI's prefork, a C library, an embedding program.

A child ends by os._exit, since what Python has to put right after its own fork was not put right here either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from conftest import NSS_PIN, TOKEN_PIN
from isolation.child import run
from support import missing

from hwcng.testing import nss
from hwcng.testing.swtpm import Swtpm, SwtpmError


class Token(NamedTuple):
    """keeps: whether keys stay in it under names."""

    uri: str
    pin: str = ""
    keeps: bool = True


@contextlib.contextmanager
def swtpm() -> Iterator[Token]:
    with contextlib.ExitStack() as stack:
        try:
            simulator = stack.enter_context(Swtpm())
        except SwtpmError:
            missing("swtpm")
        yield Token(simulator.uri)


@pytest.fixture(params=["SoftHSM", "NSS", "NSS database", "current NSS", "p11-kit", "TPM"])
def token(request: pytest.FixtureRequest, token_uri: str) -> Iterator[Token]:
    if request.param == "NSS":
        try:
            module = nss.find_module()
        except nss.NssError:
            missing("NSS softokn")
        yield Token(nss.services_uri(module), keeps=False)
    elif request.param == "TPM":
        with swtpm() as found:
            yield found
    elif request.param == "p11-kit":
        yield Token(request.getfixturevalue("p11_kit_uri"), TOKEN_PIN)
    elif request.param == "SoftHSM":
        yield Token(token_uri, TOKEN_PIN)
    else:
        database = {"NSS database": "nss_database", "current NSS": "nss_current_database"}[request.param]
        yield Token(request.getfixturevalue(database).uri, NSS_PIN)


def run_on(token: Token, script: str) -> str:
    return run(BEGIN + script, token.uri, token.pin, "keeps" if token.keeps else "")


BEGIN = """
import ctypes, gc
from hwcng import ncrypt
PIN, KEEPS = sys.argv[2] or None, bool(sys.argv[3])
fork_in_python, os.fork = os.fork, ctypes.PyDLL(None).fork

def pair_of(provider):
    made = ec_key(provider)
    return made, BCryptSignHash(made, None, bytes(32))

def ecb_key(provider):
    algorithm = aes(provider)
    BCryptSetProperty(algorithm, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
    return algorithm.generate_key(128)

def made(provider):
    '''What a copied generator would make again: numbers, a nonce and a key.'''
    pair, signature = pair_of(provider)
    return provider.random(16), provider.random(16), signature[:32], BCryptExportKey(pair, None, BCRYPT_ECCPUBLIC_BLOB)

def good(pair):
    BCryptVerifySignature(pair, None, bytes(32), BCryptSignHash(pair, None, bytes(32)))
    return True

def gone(work, *words):
    fails(NTSTATUS.STATUS_INVALID_HANDLE, work, *words)
    return True
"""

DIFFERENT = """
provider = open_token()
rng = BCryptOpenAlgorithmProvider("RNG", provider)
pair, signature = pair_of(provider)

def child():
    return made(provider)

def family():
    return child() + fork(child)

def late_family():
    return fork(child) + child()

def by_python():
    os.fork = fork_in_python
    return fork(child)

def in_threads():
    seen = []
    threads = [threading.Thread(target=lambda: seen.extend(child())) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return tuple(seen)

seen = list(child()) + [signature[:32]]
for work in (child, family, late_family, by_python, in_threads, lambda: (BCryptGenRandom(rng, 16),)):
    for _ in range(2):
        seen += fork(work)
        seen += child()
        seen.append(BCryptSignHash(pair, None, bytes(32))[:32])
assert len(set(seen)) == len(seen), (len(set(seen)), len(seen))
"""


def test_numbers_nonces_and_keys_differ(token: Token) -> None:
    run_on(token, DIFFERENT)


KEYS = """
NAME = "of a C fork"
provider = open_token()
pair, _ = pair_of(provider)
secret = ecb_key(provider)
first = BCryptEncrypt(secret, bytes(16))
rsa = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("RSA", provider), 2048)
BCryptFinalizeKeyPair(rsa)
sha256 = BCRYPT_PKCS1_PADDING_INFO("SHA256")
mac = BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_ALG_HANDLE_HMAC_FLAG).generate_key(256)
hash_object = BCryptCreateHash(mac.algorithm_handle, None, mac, BCRYPT_HASH_REUSABLE_FLAG)
BCryptHashData(hash_object, b"begun before the fork")
uri = None
if KEEPS:
    named = pair_of(provider)[0].persist(NAME, replace=True)
    uri = named.uri
    assert good(named)

uses = [
    lambda: BCryptSignHash(pair, None, bytes(32)),
    lambda: BCryptEncrypt(secret, bytes(16)),
    lambda: BCryptDuplicateKey(secret),
    lambda: BCryptSignHash(rsa, sha256, bytes(32), BCRYPT_PAD_PKCS1),
    lambda: BCryptFinishHash(hash_object),
]
# Whichever comes first in the child notices.
entries = [
    *(lambda use=use: gone(use, "fork") for use in uses),
    lambda: len(provider.random(16)),
    lambda: good(pair_of(provider)[0]),
    lambda: BCryptEncrypt(ecb_key(provider), bytes(16)),
    lambda: BCryptDestroyKey(secret),
    lambda: BCryptDestroyHash(hash_object),
    lambda: provider.capabilities() and None,
    lambda: provider.close(),
    lambda: good(pair_of(open_token())[0]),
]
if KEEPS:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    entries += [
        lambda: good(named),
        lambda: good(hwcng.open_key(uri, pin=PIN)),
        lambda: len(list(provider.list_keys())),
        lambda: ncrypt.NCryptSignHash(ncrypt.NCryptOpenKey(storage, NAME), None, bytes(32)),
    ]

def then(entry):
    '''The entry, and after it everything: nothing of the parent's may have been taken for the child's.'''
    entry()
    closed = provider.closed
    assert all(gone(use) for use in uses)
    with open_token() as another:
        assert good(pair_of(another)[0])
    if not closed:
        assert good(pair_of(provider)[0])
    if KEEPS and not closed:
        assert good(named)
    return True

for number, entry in enumerate(entries):
    try:
        assert fork(lambda: then(entry))
    except BaseException as error:
        raise AssertionError(f"entry {number}") from error
    # The parent is unharmed.
    assert good(pair) and BCryptEncrypt(secret, bytes(16)) == first

# Everything is collected there, and nothing ends here.
def collected():
    for name in ("pair", "secret", "rsa", "mac", "hash_object", "named"):
        globals().pop(name, None)
    uses.clear(), entries.clear()
    gc.collect()
    provider.random(1)
    pair_of(provider)
    gc.collect()
    return True

assert fork(collected)
assert good(pair) and BCryptEncrypt(secret, bytes(16)) == first and len(BCryptFinishHash(hash_object)) == 32
BCryptSignHash(rsa, sha256, bytes(32), BCRYPT_PAD_PKCS1)
if KEEPS:
    assert good(named)
    provider.delete_key(NAME)
"""


def test_keys_of_the_parent_are_gone_in_the_child_alone(token: Token) -> None:
    run_on(token, KEYS)


HALF_OPEN = """
from hwcng.providers.pkcs11.module import Module
inside, leave, opened = threading.Event(), threading.Event(), []
learn = Module.learn

def slow(module, *described):
    if threading.current_thread() is not threading.main_thread():
        inside.set()
        leave.wait()
    return learn(module, *described)

Module.learn = slow
thread = threading.Thread(target=lambda: opened.append(open_token()))
thread.start()
assert inside.wait(30)
seen = fork(lambda: made(open_token()))
leave.set()
thread.join()
seen += made(opened[0]) + fork(lambda: made(opened[0]))
assert len(set(seen)) == len(seen), (len(set(seen)), len(seen))
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS", "p11-kit"], indirect=True)
def test_a_fork_while_another_thread_initialises_the_module(token: Token) -> None:
    run_on(token, HALF_OPEN)


ON_THE_HOST = """
provider = open_token()
pair, signature = pair_of(provider)
exported = BCryptExportKey(pair, None, BCRYPT_ECCPUBLIC_BLOB)
public = BCryptImportKeyPair(
    BCryptOpenAlgorithmProvider("ECDSA_P256", provider), None, BCRYPT_ECCPUBLIC_BLOB, exported
)
hash_object = BCryptCreateHash(BCryptOpenAlgorithmProvider("SHA256", provider), None, None, BCRYPT_HASH_REUSABLE_FLAG)
BCryptHashData(hash_object, b"begun before the fork")

def on_the_host():
    for key in (pair, public):
        BCryptVerifySignature(key, None, bytes(32), signature)
    return BCryptExportKey(pair, None, BCRYPT_ECCPUBLIC_BLOB), BCryptFinishHash(hash_object)

def agreed():
    algorithm = BCryptOpenAlgorithmProvider("ECDH_P256", provider)
    agreeing = BCryptGenerateKeyPair(algorithm, 256)
    BCryptFinalizeKeyPair(agreeing)
    return BCryptSecretAgreement(agreeing, agreeing)

def derived():
    return BCryptDeriveKey(secret, BCRYPT_KDF_HASH, None, 20)

in_child = fork(on_the_host)
assert in_child == on_the_host()
try:
    secret = agreed()
except hwcng.CngError as error:
    # p11-kit passes no agreement on.
    assert error.status == NTSTATUS.STATUS_NOT_FOUND
else:
    assert fork(derived) == derived() if provider.uri.startswith("tpm2:") else fork(lambda: gone(derived, "fork"))
    assert len(derived()) == 20
"""


def test_what_lies_on_the_host_serves_the_child_too(token: Token) -> None:
    run_on(token, ON_THE_HOST)


ADOPTED = """
from hwcng.interop.python_pkcs11 import adopt
provider = open_token()

def numbers():
    token = next(found for found in adopt(provider).get_tokens() if found.label == provider.token.label)
    session = token.open()
    return session.generate_random(128), provider.random(16)

seen = numbers() + fork(numbers) + fork(lambda: fork(numbers)) + numbers()
assert len(set(seen)) == len(seen) == 8
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS"], indirect=True)
def test_python_pkcs11_in_the_child(token: Token) -> None:
    run_on(token, ADOPTED)
