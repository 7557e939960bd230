"""Opening a PKCS#11 token: every way to say which one, and everything that can be wrong with it."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TOKEN, TWIN_TOKEN, UNOPENED_TOKEN
from isolation.child import NSS_MODULE, NSS_URI, run
from isolation.ledger import OpenSessions, pool
from support import listed_mechanisms, missing

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.providers.backends import parse_uri
from hwcng.providers.pkcs11 import logins
from hwcng.standards.curves import CURVES
from hwcng.standards.hashes import HASHES
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector
from hwcng.testing.softhsm import SoftHsm

WRONG_PIN = "Wr0ng-geheim"
CKR_PIN_INCORRECT = 0xA0


@pytest.fixture
def sessions(provider: Provider) -> Iterator[OpenSessions]:
    """No session may be left behind."""
    opened = OpenSessions(provider)
    yield opened
    opened.undo()
    assert opened.handles == pool(provider)


@pytest.fixture(autouse=True)
def _no_refused_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests give the same wrong PIN, which a process would send once."""
    monkeypatch.setattr(logins, "_tries", {})


@pytest.fixture
def module(softhsm: SoftHsm) -> str:
    return str(softhsm.module)


@pytest.fixture
def counted(provider: Provider, sessions: OpenSessions) -> Iterator[CallCounter]:
    with CallCounter(provider) as counter:
        yield counter


def refused(status: NTSTATUS, *words: str) -> pytest.RaisesExc[CngError]:
    """The failure with this status, whose message holds every word."""
    return pytest.RaisesExc(
        CngError, check=lambda error: error.status == status and all(word in str(error) for word in words)
    )


def told(error: BaseException) -> str:
    """Everything that a program could print of an error."""
    parts = []
    link: BaseException | None = error
    while link is not None:
        parts += [str(link), repr(link), repr(link.args), "".join(traceback.format_exception(link))]
        link = link.__cause__ or link.__context__
    return "\n".join(parts)


# --- the PIN


def test_wrong_pin_is_tried_once(unopened_token_uri: str, other_token_pin: str, counted: CallCounter) -> None:
    with refused(NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, UNOPENED_TOKEN, "tried once", "CKR_PIN_INCORRECT") as caught:
        hwcng.open_provider(unopened_token_uri, pin=WRONG_PIN)
    assert caught.value.token_code == CKR_PIN_INCORRECT
    assert counted.names.count("C_Login") == 1
    assert counted.names.count("C_OpenSession") == counted.names.count("C_CloseSession") == 1
    with hwcng.open_provider(unopened_token_uri, pin=other_token_pin) as opened:
        assert len(opened.random(8)) == 8


def test_wrong_pin_beside_an_open_login(token_uri: str, counted: CallCounter) -> None:
    """The token would let anybody in: one login is the whole process's."""
    with refused(NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, TOKEN, "another PIN"):
        hwcng.open_provider(token_uri, pin=WRONG_PIN)
    assert counted.names.count("C_Login") == 1


@pytest.mark.parametrize("kind", ["str", "bytes", "callable", "callable of bytes", "pin-value", "file", "path", "env"])
def test_ways_to_give_the_pin(
    kind: str,
    unopened_token_uri: str,
    other_token_pin: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: CallCounter,
) -> None:
    file = tmp_path / "pin"
    file.write_text(other_token_pin + "\n")
    monkeypatch.setenv("HWCNG_TEST_PIN", other_token_pin)
    suffix, pin = {
        "str": ("", other_token_pin),
        "bytes": ("", other_token_pin.encode()),
        "callable": ("", lambda: other_token_pin),
        "callable of bytes": ("", other_token_pin.encode),
        "pin-value": (f"&pin-value={other_token_pin}", None),
        "file": (f"&pin-source=file:{file}", None),
        "path": (f"&pin-source={file}", None),
        "env": ("&pin-source=env:HWCNG_TEST_PIN", None),
    }[kind]
    with hwcng.open_provider(unopened_token_uri + suffix, pin=pin) as opened:
        assert len(opened.random(8)) == 8
        assert other_token_pin not in opened.uri + repr(opened)
    assert counted.names.count("C_Login") == 1


def test_argument_goes_before_the_uri(unopened_token_uri: str, other_token_pin: str, counted: CallCounter) -> None:
    with hwcng.open_provider(f"{unopened_token_uri}&pin-value={WRONG_PIN}", pin=other_token_pin) as opened:
        assert opened.random(8)
        assert WRONG_PIN not in opened.uri


def test_missing_pin(unopened_token_uri: str, counted: CallCounter) -> None:
    with refused(NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED, UNOPENED_TOKEN, "pin=", "pin-source"):
        hwcng.open_provider(unopened_token_uri)
    assert "C_Login" not in counted.names


def test_no_pin_where_the_process_is_logged_in(token_uri: str, counted: CallCounter) -> None:
    with hwcng.open_provider(token_uri) as opened:
        assert opened.random(8)
    assert "C_Login" not in counted.names


@pytest.mark.parametrize("value", [1234, None, ["1234"], 3.5])
def test_pin_of_a_wrong_type_is_not_tried(value: object, unopened_token_uri: str, counted: CallCounter) -> None:
    """bytes(1234) would be a wrong PIN of 1234 zeros, and a try lost."""
    pins = [lambda: value] if value is None else [value, lambda: value]
    for pin in pins:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER, "PIN", type(value).__name__):
            hwcng.open_provider(unopened_token_uri, pin=pin)  # type: ignore[arg-type]
    assert "C_Login" not in counted.names


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("file:/nonexistent/pin", "/nonexistent/pin"),
        ("env:HWCNG_NOT_SET", "HWCNG_NOT_SET"),
        ("%7Cecho%201234", "refused"),
        ("1234-geheim", "must be"),
    ],
)
def test_pin_source_that_gives_none(source: str, word: str, unopened_token_uri: str, counted: CallCounter) -> None:
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, word) as caught:
        hwcng.open_provider(f"{unopened_token_uri}&pin-source={source}")
    assert "C_Login" not in counted.names
    assert "1234-geheim" not in told(caught.value)


def test_callable_that_raises(unopened_token_uri: str, counted: CallCounter) -> None:
    def ask() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hwcng.open_provider(unopened_token_uri, pin=ask)
    assert "C_Login" not in counted.names


def test_pin_stands_nowhere(
    token_uri: str, unopened_token_uri: str, other_token_pin: str, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[BaseException] = []

    def failing(uri: str, pin: object = None) -> None:
        with pytest.raises(CngError) as caught:
            hwcng.open_provider(uri, pin=pin)  # type: ignore[arg-type]
        errors.append(caught.value)

    for suffix, pin in ((f"&pin-value={WRONG_PIN}", None), ("", WRONG_PIN), ("", WRONG_PIN.encode)):
        failing(unopened_token_uri + suffix, pin)
        failing(token_uri + suffix, pin)
        failing(token_uri.replace(TOKEN, "absent") + suffix, pin)
        failing(token_uri.replace(TOKEN, TWIN_TOKEN) + suffix, pin)
        failing("pkcs11:token=x?module-path=/nonexistent.so" + suffix, pin)
    for broken in ("&nonsense=1", "&pin-value=2", "&module-name=%zz"):
        failing(f"{token_uri}&pin-value={WRONG_PIN}{broken}")
    for rv in (0x05, 0x30, 0xA4):
        with FaultInjector(provider) as faults:
            faults.fail("C_Login", rv)
            failing(f"{unopened_token_uri}&pin-value={other_token_pin}")
    text = "\n".join(map(told, errors)) + caplog.text
    assert WRONG_PIN not in text
    assert other_token_pin not in text
    with hwcng.open_provider(f"{unopened_token_uri}&pin-value={other_token_pin}") as opened:
        uri = parse_uri(f"{unopened_token_uri}&pin-value={other_token_pin}")
        assert other_token_pin not in opened.uri + repr(opened) + repr(opened.__dict__) + repr(uri) + str(uri)
        assert other_token_pin not in repr(opened._current.__dict__) + caplog.text


def test_login_errors(
    unopened_token_uri: str, other_token_pin: str, provider: Provider, sessions: OpenSessions
) -> None:
    for rv, status in (
        (0xA4, NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED),
        (0xA3, NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED),
        (0x104, NTSTATUS.STATUS_ACCESS_DENIED),
        (0x102, NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED),
    ):
        with FaultInjector(provider) as faults:
            faults.fail("C_Login", rv)
            with refused(status):
                hwcng.open_provider(unopened_token_uri, pin=other_token_pin)
            assert faults.injected == 1


# --- the module


@pytest.mark.parametrize("path", ["/nonexistent/module.so", "/etc/passwd", "/", "/dev/null"])
def test_what_is_no_module(path: str) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND, path):
        hwcng.open_provider(f"pkcs11:token=x?module-path={path}")


def test_shared_object_that_is_no_module() -> None:
    libc = next(
        (path for path in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6") if os.path.exists(path)), None
    )
    with refused(NTSTATUS.STATUS_NOT_FOUND, "C_GetFunctionList", "not a PKCS#11 module"):
        hwcng.open_provider(f"pkcs11:token=x?module-path={libc or missing('libc.so.6')}")


def test_module_that_is_cut_short(module: str, tmp_path: Path) -> None:
    short = tmp_path / "short.so"
    short.write_bytes(Path(module).read_bytes()[:40])
    with refused(NTSTATUS.STATUS_NOT_FOUND, str(short)):
        hwcng.open_provider(f"pkcs11:token=x?module-path={short}")


def test_module_name_that_is_nowhere() -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND, "absent-module", "libabsent-module.so", "/usr/lib", "module-path"):
        hwcng.open_provider("pkcs11:token=x?module-name=absent-module")


def test_module_by_name(module: str, token_pin: str, sessions: OpenSessions) -> None:
    if not Path(module).resolve().is_relative_to("/usr/lib"):
        missing("SoftHSM in a usual folder")
    with hwcng.open_provider(f"pkcs11:token={TOKEN}?module-name=softhsm2", pin=token_pin) as opened:
        assert opened.random(8)


def test_module_by_folder_and_name(module: str, token_pin: str, sessions: OpenSessions) -> None:
    folder = os.path.dirname(module)
    uri = f"pkcs11:token={TOKEN}?module-path={folder}&module-name=softhsm2"
    with hwcng.open_provider(uri, pin=token_pin) as opened:
        assert opened.random(8)
    with refused(NTSTATUS.STATUS_NOT_FOUND, folder, "other-name"):
        hwcng.open_provider(uri.replace("softhsm2", "other-name"))


def test_module_of_the_environment(
    module: str, token_pin: str, monkeypatch: pytest.MonkeyPatch, sessions: OpenSessions
) -> None:
    monkeypatch.setenv("HWCNG_PKCS11_MODULE", module)
    with hwcng.open_provider(f"pkcs11:token={TOKEN}", pin=token_pin) as opened:
        assert opened.random(8)
    monkeypatch.setenv("HWCNG_PKCS11_MODULE", "/nonexistent/module.so")
    with refused(NTSTATUS.STATUS_NOT_FOUND, "/nonexistent/module.so"):
        hwcng.open_provider(f"pkcs11:token={TOKEN}")


def test_module_through_a_link(module: str, token_pin: str, tmp_path: Path, provider: Provider) -> None:
    """One file is one module, however it is named."""
    link = tmp_path / "link.so"
    link.symlink_to(module)
    with hwcng.open_provider(f"pkcs11:token={TOKEN}?module-path={link}", pin=token_pin) as opened:
        assert opened.cryptoki is provider.cryptoki


# --- the token


def test_no_such_token_says_what_is_there(module: str, counted: CallCounter) -> None:
    with refused(NTSTATUS.STATUS_NOT_FOUND, "absent", TOKEN, UNOPENED_TOKEN, "serial", "slot-id", module[-12:]):
        hwcng.open_provider(f"pkcs11:token=absent?module-path={module}", pin=WRONG_PIN)
    assert not {"C_OpenSession", "C_Login"} & set(counted.names)


def test_two_tokens_that_match(softhsm: SoftHsm, twin_token_uri: str, token_pin: str, counted: CallCounter) -> None:
    serials = [token.serial for token in softhsm.tokens if token.label == TWIN_TOKEN]
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, "2 tokens", *serials, "serial="):
        hwcng.open_provider(twin_token_uri, pin=token_pin)
    assert not {"C_OpenSession", "C_Login"} & set(counted.names)
    for serial in serials:
        with hwcng.open_provider(twin_token_uri.replace("?", f";serial={serial}?"), pin=token_pin) as opened:
            assert opened.token.serial == serial


@pytest.mark.parametrize("attribute", ["serial", "slot-id", "model", "manufacturer", "slot-manufacturer", "library"])
def test_token_by_its_other_attributes(
    attribute: str, provider: Provider, module: str, token_pin: str, sessions: OpenSessions
) -> None:
    token, module_info = provider.token, provider._module
    right, wrong = {
        "serial": (f"serial={token.serial}", "serial=0123456789abcdef"),
        "slot-id": (f"slot-id={provider._current.slot}", "slot-id=4294967295"),
        "model": (f"token={TOKEN};model=SoftHSM%20v2", f"token={TOKEN};model=SoftHSM%20v9"),
        "manufacturer": (f"token={TOKEN};manufacturer=SoftHSM%20project", f"token={TOKEN};manufacturer=SoftHSM"),
        "slot-manufacturer": (
            f"token={TOKEN};slot-manufacturer=SoftHSM%20project",
            f"token={TOKEN};slot-manufacturer=Somebody",
        ),
        "library": (
            f"token={TOKEN};library-manufacturer=SoftHSM;library-version={module_info.library_version}",
            f"token={TOKEN};library-version=99.9",
        ),
    }[attribute]
    with hwcng.open_provider(f"pkcs11:{right}?module-path={module}", pin=token_pin) as opened:
        assert opened.token == token
    with refused(NTSTATUS.STATUS_NOT_FOUND, wrong.rpartition(";")[2].partition("=")[0], TOKEN):
        hwcng.open_provider(f"pkcs11:{wrong}?module-path={module}", pin=token_pin)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "token=x",
        "pkcs11",
        "pkcs12:token=x",
        "pkcs11:token",
        "pkcs11:token=x;token=y",
        "pkcs11:token=%zz",
        "pkcs11:slot-id=one",
        "pkcs11:library-version=one",
        "pkcs11:type=key",
        "pkcs11:nonsense=1",
        "pkcs11:token=x?nonsense=1",
        "pkcs11:token=x?module-path=relative.so",
        "pkcs11:token=x?pin-value=1&pin-source=file:/pin",
    ],
)
def test_uri_that_does_not_parse(uri: str, counted: CallCounter) -> None:
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        hwcng.open_provider(uri)
    assert counted.names == []


def test_a_slot_without_token_is_passed_over(provider: Provider, token_uri: str, token_pin: str) -> None:
    """SoftHSM always has one slot whose token is not initialised; TOKEN_NOT_PRESENT comes from card readers."""
    for rv in (0xE0, 0xE1):
        with FaultInjector(provider) as faults:
            faults.fail("C_GetTokenInfo", rv, nth=5)
            with hwcng.open_provider(token_uri, pin=token_pin) as opened:
                assert opened.random(8)
            assert faults.injected == 1


def test_closed_provider(token_uri: str, token_pin: str, sessions: OpenSessions) -> None:
    opened = hwcng.open_provider(token_uri, pin=token_pin)
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", opened)
    key = algorithm.generate_key(128)
    opened.close()
    opened.close()
    calls: list[Callable[[], object]] = [
        lambda: opened.random(8),
        lambda: algorithm.generate_key(128),
        lambda: bcrypt.BCryptEncrypt(key, bytes(16), None, bytes(16)),
        lambda: bcrypt.BCryptDuplicateKey(key),
        opened.capabilities,
    ]
    for call in calls[:-1]:
        with refused(NTSTATUS.STATUS_INVALID_HANDLE, "closed"):
            call()
    bcrypt.BCryptDestroyKey(key)
    assert "closed" in repr(opened)


# --- another party initialised the module before us

FOREIGN = """
import ctypes, hashlib
from hwcng.providers.pkcs11 import quirks

path = PATH
reserved = quirks.initialize_reserved(path)

class Arguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("create", "destroy", "lock", "unlock")]
    _fields_ += [("flags", ctypes.c_ulong), ("reserved", ctypes.c_char_p)]

class FunctionList(ctypes.Structure):
    _fields_ = [("version", ctypes.c_ulong), ("functions", ctypes.c_void_p * 67)]

functions = ctypes.POINTER(FunctionList)()
assert ctypes.CDLL(path).C_GetFunctionList(ctypes.byref(functions)) == 0
initialize = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(functions[0].functions[0])
# Flags 0: a promise of one thread.
arguments = Arguments(reserved=reserved.encode() if reserved else None)
assert initialize(ctypes.addressof(arguments)) == 0

provider = open_token()
assert provider._module._serialising is not None and not provider._module._owned
inside, most, lock = 0, 0, threading.Lock()

# Put round the real function, beneath our own lock.
def crowd(name, function):
    def call(*arguments):
        global inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return function(*arguments)
        finally:
            with lock:
                inside -= 1
    return call

cryptoki = provider.cryptoki
cryptoki._instruments.insert(0, crowd)
cryptoki._bind()
algorithm = aes(provider)
key, errors = algorithm.generate_key(256), []
first = block(key)

def work():
    try:
        for _ in range(300):
            assert block(key) == first
            algorithm.generate_key(128).destroy()
            provider.random(8)
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not errors, errors
assert most == 1, most

# A child initialises for itself, and with locking.
def child():
    provider.random(8)
    return provider._module._owned, provider._module._serialising is None

assert fork(child) == (True, True)
assert block(key) == first
provider.close()
with open_token() as again:
    assert len(again.random(8)) == 8
"""


@pytest.mark.parametrize("token", ["SoftHSM", "NSS"])
def test_module_that_somebody_else_initialised(token: str, token_uri: str, module: str) -> None:
    uri, path = (token_uri, module) if token == "SoftHSM" else (nss_uri(), NSS_MODULE)
    run(f"PATH = {path!r}\n{FOREIGN}", uri)


# --- what the tokens offer


def nss_uri() -> str:
    return NSS_URI if Path(NSS_MODULE).exists() else missing("NSS softokn")


@pytest.fixture(scope="module", params=["SoftHSM", "NSS"])
def token(request: pytest.FixtureRequest, provider: Provider) -> Iterator[Provider]:
    if request.param == "SoftHSM":
        yield provider
        return
    with hwcng.open_provider(request.getfixturevalue("nss_database").services_uri) as opened:
        yield opened


NATIVE, COMPOSED, REFUSED = Support.NATIVE, Support.COMPOSED, Support.REFUSED
TRUTH = {
    # operation: (SoftHSM, NSS), in every version
    ("AES", "ECB"): (NATIVE, NATIVE),
    ("AES", "CBC"): (NATIVE, NATIVE),
    ("AES", "CFB8"): (COMPOSED, COMPOSED),
    ("AES", "CFB128"): (COMPOSED, COMPOSED),
    ("AES", "GCM"): (NATIVE, NATIVE),
    ("AES", "CCM"): (COMPOSED, COMPOSED),
    ("AES", "WRAP"): (NATIVE, NATIVE),
    ("AES-CMAC", "MAC"): (NATIVE, NATIVE),
    ("AES-GMAC", "MAC"): (COMPOSED, COMPOSED),
    ("HMAC-SHA256", "MAC"): (NATIVE, NATIVE),
    ("RSA", "PKCS1 SHA256"): (NATIVE, NATIVE),
    ("RSA", "PSS SHA256"): (NATIVE, NATIVE),
    ("RSA", "PSS SHA3-256"): (COMPOSED, COMPOSED),
    ("RSA", "OAEP SHA1"): (NATIVE, NATIVE),
    ("RSA", "OAEP SHA256"): (COMPOSED, NATIVE),
    ("RSA", "RAW"): (NATIVE, NATIVE),
    ("ECDSA", "nistP521"): (NATIVE, NATIVE),
    ("ECDH", "nistP256"): (NATIVE, NATIVE),
    ("ECDSA", "brainpoolP256r1"): (NATIVE, REFUSED),
    ("ECDH", "secP256k1"): (NATIVE, REFUSED),
    ("RNG", "random"): (NATIVE, NATIVE),
}
# What came with a version: native where the token lists the mechanism (PKCS#11 3.0, table A-1), else refused.
CAME_LATER = {
    ("HMAC-SHA3-256", "MAC"): 0x2B1,
    ("HMAC-SHA3-384", "MAC"): 0x2C1,
    ("HMAC-SHA3-512", "MAC"): 0x2D1,
}


def test_capabilities_are_the_truth(token: Provider) -> None:
    capabilities = token.capabilities()
    column = "NSS" in token.token.library
    assert capabilities.token == token.token
    listed = listed_mechanisms(token)
    later = {key: NATIVE if mechanism in listed else REFUSED for key, mechanism in CAME_LATER.items()}
    truth = {key: row[column] for key, row in TRUTH.items()} | later
    assert {key: capabilities.operations[key] for key in truth} == truth
    assert capabilities.key_bits["AES"] == (128, 192, 256)
    assert {512, 2048, 3072, 4096, 16384} <= set(capabilities.key_bits["RSA"])
    for key, support in capabilities.operations.items():
        assert (support is NATIVE) == (key not in capabilities.reasons), key
        assert support is NATIVE or capabilities.reasons[key], key


def test_offers_agree_with_the_probe(token: Provider, calls: Callable[..., CallCounter]) -> None:
    operations = token.capabilities().operations
    with calls(token) as counter:
        for mode in ("ECB", "CBC", "CFB8", "CFB128", "GCM", "CCM", "WRAP"):
            assert token.offers("AES", mode) is operations["AES", mode]
        for name in ("AES-CMAC", "AES-GMAC", *(f"HMAC-{name}" for name in HASHES)):
            assert token.offers(name) is operations[name, "MAC"]
        for algorithm in ("ECDSA", "ECDH"):
            for curve in CURVES:
                assert token.offers(algorithm, curve) is operations[algorithm, curve]
        for scheme in ("PKCS1", "PSS", "OAEP", "RAW"):
            some = {support for (name, way), support in operations.items() if name == "RSA" and way.startswith(scheme)}
            assert (token.offers("RSA", scheme) is REFUSED) == (some == {REFUSED})
        assert token.offers("RNG") is NATIVE and token.offers("AES") is NATIVE and token.offers("RSA") is NATIVE
        assert token.offers("DESX") is REFUSED and token.offers("AES", "XTS") is REFUSED
    assert counter.names == []


def test_refused_is_refused_at_open(token: Provider, calls: Callable[..., CallCounter]) -> None:
    with calls(token) as counter:
        with refused(NTSTATUS.STATUS_NOT_FOUND, "DESX"):
            bcrypt.BCryptOpenAlgorithmProvider("DESX", token)
        for name in HASHES:
            if token.offers(f"HMAC-{name}") is REFUSED:
                with refused(NTSTATUS.STATUS_NOT_FOUND, name):
                    bcrypt.BCryptOpenAlgorithmProvider(name, token, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
        if token.offers("ECDSA", "brainpoolP256r1") is REFUSED:
            algorithm = bcrypt.BCryptOpenAlgorithmProvider("ECDSA", token)
            pair = bcrypt.BCryptGenerateKeyPair(algorithm, 0)
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED, "brainpoolP256r1"):
                bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_ECC_CURVE_NAME, "brainpoolP256r1")
                bcrypt.BCryptFinalizeKeyPair(pair)
    assert counter.names == []


def test_the_probe_leaves_nothing(provider: Provider, token_uri: str, token_pin: str, sessions: OpenSessions) -> None:
    from isolation.ledger import session_objects

    from hwcng.providers.pkcs11 import probing

    before = session_objects(provider)
    with hwcng.open_provider(token_uri, pin=token_pin) as opened:
        kept = dict(probing._probed)
        probing._probed.clear()
        probed = opened.capabilities().operations
        assert all(known.operations == probed for key, known in kept.items() if key in probing._probed)
        bcrypt.BCryptDestroyKey(bcrypt.BCryptOpenAlgorithmProvider("AES", opened).generate_key(128))
        assert session_objects(provider) == before
        probing._probed.update(kept)
