"""Calls of a PKCS#11 token that do not come back: hanging_module.c, which is SoftHSM, hangs where it is told to.

Each test is a process of its own: a call that is lost stays lost until it is let go.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from isolation import child
from support import missing

from hwcng import NTSTATUS, CngError, open_provider
from hwcng.lost_calls import MOST_LOST
from hwcng.providers.pkcs11.cryptoki.function_lists import LIST_2_40
from hwcng.testing.softhsm import SoftHsm

SOURCE = Path(__file__).with_name("hanging_module.c")
TIMEOUT = 1

TOOLS = f"""
import ctypes, faulthandler
from hwcng.contract.specs import *
from hwcng.contract.usage import *
from hwcng.providers.pkcs11.cryptoki.deadlines import limits_of

faulthandler.dump_traceback_later(50, exit=True)
MODULE = ctypes.CDLL(sys.argv[2])
PLACES = {LIST_2_40!r}
TIMEOUT = {TIMEOUT}

def hang(name, calls=1, after=False):
    MODULE.hang(PLACES.index(name), calls, after)

def open_token(timeout=TIMEOUT, **more):
    return hwcng.open_provider(URI, pin=PIN, timeout=timeout, **more)

def until(true):
    for _ in range(5000):
        if true():
            return
        time.sleep(0.002)
    raise AssertionError("it does not come about")

def lost(call, *words):
    fails(NTSTATUS.STATUS_IO_TIMEOUT, call, *words)

def deadlines(provider):
    return limits_of(provider.module)
"""


@pytest.fixture(scope="session")
def hanging_module(softhsm: SoftHsm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        missing("command:cc")
    library = tmp_path_factory.mktemp("hanging") / "hanging.so"
    definition = f'-DMODULE="{softhsm.module}"'
    command = [
        compiler,
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        definition,
        "-o",
        str(library),
        str(SOURCE),
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return library


@pytest.fixture
def hanging(hanging_module: Path, softhsm: SoftHsm, token_uri: str) -> object:
    """Runs a script in which URI is a token of the module that hangs."""

    def run(script: str) -> str:
        uri = f"{token_uri.partition('?')[0]}?module-path={quote(str(hanging_module), safe='/')}"
        return child.run(TOOLS + script, uri, str(hanging_module), env=softhsm.environ())

    return run


def test_a_signature_that_hangs(hanging) -> None:
    """The session is given up, the key and the provider are not; when the call comes back, the session is closed."""
    hanging("""
provider = open_token()
key = ec_key(provider)
signature = BCryptSignHash(key, None, bytes(32))
hang("C_Sign")
lost(lambda: BCryptSignHash(key, None, bytes(32)), "C_Sign", "1 seconds")
assert MODULE.how_many_hang() == 1 == deadlines(provider).lost
for _ in range(3):
    BCryptVerifySignature(key, None, bytes(32), BCryptSignHash(key, None, bytes(32)))
assert len(provider.random(8)) == 8
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
until(lambda: provider._current._lost == set())
BCryptSignHash(key, None, bytes(32))
""")


@pytest.mark.parametrize("after", [False, True])
def test_a_key_pair_that_hangs(hanging, after: bool) -> None:
    """In a session whose objects others use: they work on, and what else is made is made in another session."""
    hanging(f"""
provider = open_token()
first = ec_key(provider)
hang("C_GenerateKeyPair", after={after})
lost(lambda: ec_key(provider), "C_GenerateKeyPair")
BCryptSignHash(first, None, bytes(32))
second = ec_key(provider)
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0 and not provider._current._lost)
for key in (first, second, ec_key(provider)):
    BCryptSignHash(key, None, bytes(32))
""")


def test_a_key_in_use_is_not_destroyed_under_the_call(hanging) -> None:
    """SoftHSM would read freed memory."""
    hanging("""
provider = open_token()
key = ec_key(provider)
handle = key.private.held.handle
hang("C_Sign")
lost(lambda: BCryptSignHash(key, None, bytes(32)))
destroyed = []
provider.cryptoki.instrument(lambda name, function: (
    (lambda *a: (destroyed.append(a[1]), function(*a))[1]) if name == "C_DestroyObject" else function))
key.destroy()
assert handle not in destroyed
MODULE.let_go()
until(lambda: handle in destroyed)
""")


def test_lost_calls_are_bounded(hanging) -> None:
    """Each holds a thread. At the bound nothing is begun, and it goes on when they come back."""
    hanging(f"""
provider = open_token()
key = ec_key(provider)
hang("C_Sign", 1000)
statuses = []
def work():
    try:
        BCryptSignHash(key, None, bytes(32))
    except CngError as error:
        statuses.append(error.status)
callers = [threading.Thread(target=work) for _ in range({MOST_LOST})]
[caller.start() for caller in callers]
[caller.join() for caller in callers]
assert statuses == [NTSTATUS.STATUS_IO_TIMEOUT] * {MOST_LOST}
threads = threading.active_count()
for _ in range(20):
    lost(lambda: BCryptSignHash(key, None, bytes(32)), "was not begun", "{MOST_LOST} calls")
assert threading.active_count() == threads and MODULE.how_many_hang() == {MOST_LOST}
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
for _ in range(20):
    BCryptSignHash(key, None, bytes(32))
# Sessions are closed when their calls come back, and that may hang too.
assert threading.active_count() <= threads + {MOST_LOST}
""")


def test_many_threads(hanging) -> None:
    """One of eight threads is lost; no other sees anything of it."""
    hanging("""
provider = open_token(5)
key = ec_key(provider)
failures, made = [], []
def work():
    for _ in range(20):
        try:
            made.append(BCryptSignHash(key, None, bytes(32)))
        except CngError as error:
            failures.append(error.status)
hang("C_SignInit")
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert failures == [NTSTATUS.STATUS_IO_TIMEOUT] and len(made) == 159, (failures, len(made))
for signature in made:
    BCryptVerifySignature(key, None, bytes(32), signature)
MODULE.let_go()
""")


PREPARED = f"""
import hashlib
from dataclasses import replace
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hwcng import HRESULT, wincrypt
from hwcng.cng import naming

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
NAMES = "of a deadline", "of a deadline anew", "beside a deadline", "wraps"
KEK = bytes(32)

# In a token of other tests, which leave keys of no such names.
def clear(provider):
    for name in NAMES:
        try:
            provider.delete_key(name)
        except CngError as error:
            assert error.status is HRESULT.NTE_BAD_KEYSET, error

def held(name=NAMES[0]):
    provider._store._places.clear()
    try:
        return provider.open_key(name).public
    except CngError as error:
        assert error.status is HRESULT.NTE_BAD_KEYSET, error

def is_there():
    provider._store._places.clear()
    try:
        return provider.open_key(name) is not None
    except CngError as error:
        assert error.status is HRESULT.NTE_BAD_KEYSET, error
        return False

provider = hwcng.open_provider(URI, pin=PIN, timeout={TIMEOUT})
clear(provider)
name, new_name = NAMES[:2]
beside = provider.named(NAMES[2]).generate_pair(SIGNING)
wraps = provider.named(NAMES[3]).import_secret(SecretSpec(SecretFamily.AES, 256, Usage.UNWRAP), KEK)
def goes_on():
    beside.sign_digest(EcdsaSpec(), bytes(32))
    assert provider.open_key(NAMES[2]).public == beside.public
"""
MAKING = {
    "generated": ("provider.named(name, replace=True).generate_pair(SIGNING)", "C_GenerateKeyPair"),
    "found first": ("provider.named(name, replace=True).generate_pair(SIGNING)", "C_FindObjectsInit"),
    "brought": ("provider.named(name, replace=True).import_secret(AES, bytes(32))", "C_CreateObject"),
    "copied": ("provider.persist_key(provider.generate_pair(SIGNING), name, replace=True)", "C_CopyObject"),
    "unwrapped": (
        "provider.named(name, replace=True).unwrap_secret(AES, wraps, aes_key_wrap(KEK, bytes(32)))",
        "C_UnwrapKey",
    ),
    "the old one ends": ("provider.named(name, replace=True).generate_pair(SIGNING)", "C_DestroyObject"),
}
"""By which call that does not come back a key gets under a name."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("road", MAKING)
def test_storing_that_hangs(hanging, road: str, there: bool, after: bool) -> None:
    """The key from before, or the new one; what comes about late is a whole key, and the next one takes its place."""
    call, function = MAKING[road]
    if function == "C_DestroyObject" and not there:
        pytest.skip("nothing ends")
    hanging(
        PREPARED
        + f"""
old = provider.named(name).generate_pair(SIGNING).public if {there} else None
hang("{function}", after={after})
lost(lambda: {call}, "{function}", "1 seconds")
assert deadlines(provider).lost <= 2
goes_on()
assert is_there() or old is None
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
goes_on()
assert is_there() or old is None
again = provider.named(name, replace=True).generate_pair(SIGNING)
assert held() == again.public
assert [record.name for record in provider.list_keys()].count(name) == 1
clear(provider)
"""
    )


@pytest.mark.parametrize("there", [False, True], ids=["new", "replacing"])
def test_what_comes_about_after_another_try(hanging, there: bool) -> None:
    """Of the key that was given up and the one that was made then, the name means the second."""
    hanging(
        PREPARED
        + f"""
if {there}:
    provider.named(name).generate_pair(SIGNING)
hang("C_GenerateKeyPair")
lost(lambda: provider.named(name, replace=True).generate_pair(SIGNING), "C_GenerateKeyPair")
again = provider.named(name, replace=True).generate_pair(SIGNING).public
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
assert held() == again
assert [record.name for record in provider.list_keys()].count(name) == 1
clear(provider)
"""
    )


READING = {
    "opening": ("(provider._store._places.clear(), provider.open_key(NAMES[2]))", "C_FindObjects"),
    "opening again": ("provider.open_key(NAMES[2])", "C_GetAttributeValue"),
    "listing": ("list(provider.list_keys())", "C_FindObjectsInit"),
    "certificates": ("provider.certificates(NAMES[2])", "C_GetAttributeValue"),
    "random": ("provider.random(8)", "C_GenerateRandom"),
    "decrypting": ("secret.decrypt(CipherSpec(CipherMode.ECB), bytes(16))", "C_DecryptInit"),
    "encrypting": ("secret.encrypt(CipherSpec(CipherMode.ECB), bytes(16))", "C_Encrypt"),
}


@pytest.mark.parametrize("road", READING)
def test_reading_that_hangs(hanging, road: str) -> None:
    call, function = READING[road]
    hanging(
        PREPARED
        + f"""
secret = provider.import_secret(AES, KEK)
hang("{function}")
lost(lambda: {call}, "{function}", "1 seconds")
assert MODULE.how_many_hang() == 1
goes_on()
assert {call} is not None
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
goes_on()
clear(provider)
"""
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_deleting_that_hangs(hanging, after: bool) -> None:
    """It is there, or gone, and another takes the name."""
    hanging(
        PREPARED
        + f"""
public = provider.named(name).generate_pair(SIGNING).public
hang("C_DestroyObject", after={after})
lost(lambda: provider.delete_key(name), "C_DestroyObject", "1 seconds")
goes_on()
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
assert held() in (None, public)
goes_on()
again = provider.named(name, replace=True).generate_pair(SIGNING).public
assert held() == again != public
clear(provider)
"""
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("function", ["C_CopyObject", "C_CreateObject", "C_DestroyObject"])
def test_renaming_that_hangs(hanging, function: str, after: bool) -> None:
    hanging(
        PREPARED
        + f"""
public = provider.named(name).generate_pair(SIGNING).public
hang("{function}", after={after})
lost(lambda: naming.rename(provider, name, new_name), "{function}", "1 seconds")
goes_on()
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
assert public in (held(), held(new_name))
assert {{held(), held(new_name)}} <= {{public, None}}
clear(provider)
"""
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_pair_of_a_container_that_hangs(hanging, after: bool) -> None:
    hanging(
        PREPARED
        + f"""
def acquired(flags=0):
    return wincrypt.CryptAcquireContext("of a deadline", provider, wincrypt.PROV_RSA_AES, flags)

def stored():
    with acquired() as context:
        pair = wincrypt.CryptGetUserKey(context, wincrypt.AT_SIGNATURE)
        return wincrypt.CryptExportKey(pair, None, wincrypt.PUBLICKEYBLOB)

try:
    acquired(wincrypt.CRYPT_DELETEKEYSET)
except CngError:
    pass
with acquired(wincrypt.CRYPT_NEWKEYSET) as context:
    wincrypt.CryptGenKey(context, wincrypt.AT_SIGNATURE, 1024 << 16)
    old = stored()
    hang("C_GenerateKeyPair", after={after})
    generate = lambda: wincrypt.CryptGenKey(context, wincrypt.AT_SIGNATURE, 1024 << 16)
    fails(HRESULT.NTE_DEVICE_NOT_READY, generate, "C_GenerateKeyPair", "1 seconds")
    assert {after} or stored() == old
    goes_on()
    MODULE.let_go()
    until(lambda: deadlines(provider).lost == 0)
    assert stored()
acquired(wincrypt.CRYPT_DELETEKEYSET)
clear(provider)
"""
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_login_of_one_use_that_hangs(hanging, after: bool) -> None:
    """The PIN is sent once, and the session is given up with the operation in it."""
    hanging(
        PREPARED
        + f"""
from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.providers.pkcs11 import objects, templates
from pkcs11 import Attribute
from cryptography.hazmat.primitives.asymmetric import ec

numbers = ec.derive_private_key(7, ec.SECP256R1()).public_key().public_numbers()
public = EcPublicKey("nistP256", numbers.x, numbers.y)
named = {{Attribute.TOKEN: True, Attribute.LABEL: name, Attribute.ID: b"7"}}
template = templates.imported_private(SIGNING, EcPrivateKey(public, 7))
objects.create(provider._connection, {{**template, **named, Attribute.ALWAYS_AUTHENTICATE: True}}, "asking").surrender()
key = provider.open_key(name)
key.sign_digest(EcdsaSpec(), bytes(32))
sent = []
provider.cryptoki.instrument(lambda called, function: (
    (lambda *a: (sent.append(a[1]), function(*a))[1]) if called == "C_Login" else function))
hang("C_Login", after={after})
lost(lambda: key.sign_digest(EcdsaSpec(), bytes(32)), "C_Login", "1 seconds")
assert sent == [2]
goes_on()
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
for _ in range(3):
    key.sign_digest(EcdsaSpec(), bytes(32))
assert sent == [2] * 4
clear(provider)
"""
    )


@pytest.mark.parametrize("name", ["C_GetSlotList", "C_GetMechanismList", "C_OpenSession", "C_Login"])
def test_an_opening_that_hangs(hanging, name: str) -> None:
    """Another one is let in meanwhile, and a PIN that is right stays right."""
    hanging(f"""
open_token().close()
hang("{name}")
lost(open_token, "{name}")
with open_token() as provider:
    BCryptSignHash(ec_key(provider), None, bytes(32))
    MODULE.let_go()
    until(lambda: deadlines(provider).lost == 0)
    BCryptSignHash(ec_key(provider), None, bytes(32))
""")


def test_a_module_that_hangs_when_it_is_initialised(hanging) -> None:
    hanging("""
hang("C_Initialize")
lost(open_token, "loading PKCS#11 module")
lost(open_token, "loading PKCS#11 module")
MODULE.let_go()
def opens():
    try:
        open_token(5).close()
    except CngError:
        return False
    return True
until(opens)
""")


def test_a_session_that_is_opened_too_late_is_closed(hanging) -> None:
    hanging("""
provider = open_token()
from hwcng.providers.pkcs11.cryptoki.calls import ffi
taken = provider._current.borrow()
# SoftHSM counts its handles on.
unknown = taken.handle + 1
def exists():
    return provider.cryptoki.C_GetSessionInfo(unknown, ffi.new("CK_SESSION_INFO *")) == 0
hang("C_OpenSession", after=True)
lost(lambda: provider.random(8), "C_OpenSession")
assert exists()
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
until(lambda: not exists())
provider._current.give_back(taken)
assert len(provider.random(8)) == 8
""")


def test_no_deadline_is_no_thread(hanging) -> None:
    """Nor one for the sessions of others of the same module."""
    hanging("""
plain = hwcng.open_provider(URI, pin=PIN)
key = ec_key(plain)
assert deadlines(plain) is None and threading.active_count() == 1
limited = open_token(5)
threads = threading.active_count()
assert threads > 1
assert plain._current._deadlines is None
hang("C_Sign")
begun = threading.Thread(target=lambda: BCryptSignHash(key, None, bytes(32)))
begun.start()
until(lambda: MODULE.how_many_hang() == 1)
assert deadlines(limited).lost == 0
MODULE.let_go()
begun.join()
""")


def test_the_deadline_is_in_the_uri(hanging) -> None:
    """So that keys have it that are opened by theirs, and forked children."""
    hanging("""
provider = open_token()
assert "x-timeout=1" in provider.uri
try:
    provider.delete_key("deadline")
except CngError:
    pass
kept = provider.named("deadline").generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
uri = provider.key_uri("deadline")
key = hwcng.open_key(uri + "&pin-value=" + PIN)
hang("C_Sign")
lost(lambda: BCryptSignHash(key, None, bytes(32)))
def in_child():
    MODULE.let_go()
    hang("C_Sign")
    lost(lambda: BCryptSignHash(key, None, bytes(32)), "C_Sign")
    again = BCryptSignHash(key, None, bytes(32))
    return len(again)
assert fork(in_child) == 64
MODULE.let_go()
provider.delete_key("deadline")
""")


def test_an_interrupted_wait(hanging) -> None:
    """Ctrl-C leaves the call, which is lost as one that came too late."""
    hanging("""
import signal
# The tests may run where it is ignored, as in a job in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
provider = open_token(30)
key = ec_key(provider)
hang("C_Sign")
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    BCryptSignHash(key, None, bytes(32))
except KeyboardInterrupt:
    pass
assert deadlines(provider).lost == 1
BCryptSignHash(key, None, bytes(32))
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
""")


def test_a_module_is_not_finalised_under_a_lost_call(hanging) -> None:
    """It may crash or hang then (PKCS#11 3.2, C_Finalize)."""
    hanging("""
provider = open_token()
key = ec_key(provider)
hang("C_Sign")
lost(lambda: BCryptSignHash(key, None, bytes(32)))
provider.close()
fails(NTSTATUS.STATUS_DEVICE_BUSY, lambda: provider.module.revive(anew=True), "1 calls have not come back")
MODULE.let_go()
until(lambda: deadlines(provider).lost == 0)
provider.module.revive(anew=True)
with open_token() as again:
    BCryptSignHash(ec_key(again), None, bytes(32))
""")


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1e9", ""])
def test_what_is_no_time(token_uri: str, value: str) -> None:
    with pytest.raises(CngError) as caught:
        open_provider(f"{token_uri}&x-timeout={value}")
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER and "x-timeout" in caught.value.message


@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", True])
def test_what_is_no_timeout(token_uri: str, value: object) -> None:
    with pytest.raises(CngError) as caught:
        open_provider(token_uri, timeout=value)  # type: ignore[arg-type]
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
