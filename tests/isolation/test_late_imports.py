"""A fork waits for what is imported or set up after a token was opened, which it would leave locked in the child."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterator
from itertools import accumulate

from isolation.child import ROOT, run

# rich belongs to the command alone, which forks nothing.
APART = {"rich.console", "rich.table"}
NOT_SERVED = {"hwcng.testing", "hwcng.cli"}


def imported_in_functions(source: str) -> Iterator[str]:
    """The modules that functions of a file import, but for those that the function has loaded while no fork was under
    way: `hwcng.loading.load` of their name.
    """
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        yield from set(_imported(function)) - _loaded(function)


def _loaded(function: ast.AST) -> set[str]:
    """With the packages that they are in."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    loads = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "load" and call.args]
    names = [str(call.args[0].value) for call in loads if isinstance(call.args[0], ast.Constant)]
    return {part for name in names for part in accumulate(name.split("."), "{}.{}".format)}


def _imported(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            full = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in full if node.module in ("hwcng", "hwcng.cng") and is_module(name))


def is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def late_modules() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "hwcng").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not module.startswith(tuple(NOT_SERVED)):
            found.update(imported_in_functions(path.read_text("utf-8")))
    return found - APART


LOADED = """
import hwcng.loading, hwcng.providers.tpm2.provider, importlib.util, json
provider = open_token()
hwcng.loading.load_the_rest()
print(json.dumps([name for name in sys.argv[2:] if name not in sys.modules and importlib.util.find_spec(name)]))
"""


def test_what_functions_import_is_loaded_with_the_first_work_of_the_host(token_uri: str) -> None:
    late = late_modules()
    assert {"cryptography.exceptions"} <= late
    assert json.loads(run(LOADED, token_uri, *sorted(late))) == []


FIRST_USES = """
from hwcng import forking, ncrypt, wincrypt
provider = open_token()
seen, unguarded = [], []

def look(event, arguments):
    if event == "import":
        (seen if threading.get_ident() in forking.at_work else unguarded).append(arguments[0])

sys.addaudithook(look)

def verified(name, bits, size, padding=None, flags=0):
    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider(name, provider), bits)
    BCryptFinalizeKeyPair(pair)
    signature = BCryptSignHash(pair, padding, bytes(size), flags)
    BCryptVerifySignature(pair, padding, bytes(size), signature, flags)
    fails(NTSTATUS.STATUS_INVALID_SIGNATURE, lambda: BCryptVerifySignature(
        pair, padding, b"x" * size, signature, flags))

verified("ECDSA_P256", 256, 32)
verified("ECDSA_P384", 384, 48)
verified("RSA", 1024, 32, BCRYPT_PKCS1_PADDING_INFO("SHA256"), BCRYPT_PAD_PKCS1)
verified("RSA", 1024, 32, BCRYPT_PSS_PADDING_INFO("SHA256", 32), BCRYPT_PAD_PSS)
ecdh = BCryptOpenAlgorithmProvider("ECDH_P256", provider)
pair, peer = (BCryptGenerateKeyPair(ecdh, 256) for _ in range(2))
BCryptFinalizeKeyPair(pair), BCryptFinalizeKeyPair(peer)
public = BCryptImportKeyPair(ecdh, None, BCRYPT_ECCPUBLIC_BLOB, BCryptExportKey(peer, None, BCRYPT_ECCPUBLIC_BLOB))
BCryptDeriveKey(BCryptSecretAgreement(pair, public), BCRYPT_KDF_HASH, None, None)
block(aes(provider).generate_key(256))
named = ncrypt.NCryptOpenStorageProvider(provider)
print("cryptography.utils" in seen, sorted(set(unguarded)))
"""


def test_a_fork_waits_for_what_first_uses_import(token_uri: str) -> None:
    assert run(FIRST_USES, token_uri).strip() == "True []"


DURING = """
provider = open_token()
key = ec_key(provider)
signature = BCryptSignHash(key, None, bytes(32))

def use():
    own = ec_key(provider)
    BCryptVerifySignature(own, None, bytes(32), BCryptSignHash(own, None, bytes(32)))
    return "used"

thread = threading.Thread(target=lambda: BCryptVerifySignature(key, None, bytes(32), signature))
thread.start()
time.sleep(int(sys.argv[2]) / 1000)
assert fork(use) == "used"
thread.join()
"""


def test_a_fork_during_another_threads_first_verification(token_uri: str) -> None:
    # How far the thread has come is not to be told from outside, so that several moments are tried.
    for milliseconds in (0, 0, 1, 1, 2, 3, 5):
        run(DURING, token_uri, str(milliseconds))


WAITS = """
# What a thread does with a library of the host is waited for, because it holds locks without Python's.
from hwcng.standards.curves import CURVES
provider = open_token()
key = ec_key(provider)
signature = BCryptSignHash(key, None, bytes(32))
BCryptVerifySignature(key, None, bytes(32), signature)
inside, ended = threading.Event(), []
lookup = type(CURVES["nistP256"]).host

def slow(curve):
    inside.set()
    time.sleep(0.2)
    ended.append(1)
    return lookup(curve)

type(CURVES["nistP256"]).host = slow
thread = threading.Thread(target=lambda: BCryptVerifySignature(key, None, bytes(32), signature))
thread.start()
inside.wait()
assert fork(lambda: len(ended)) == 1
thread.join()
"""


def test_a_fork_waits_for_a_verification(token_uri: str) -> None:
    run(WAITS, token_uri)


SIGNS = """
from hwcng import ncrypt

provider = open_token()
storage = ncrypt.NCryptOpenStorageProvider(provider)
made = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "signs at once")
ncrypt.NCryptFinalizeKey(made)
ncrypt.NCryptSignHash(ncrypt.NCryptOpenKey(storage, "signs at once"), None, bytes(32))
print(sorted({"cryptography", "hwcng.attestation", "hwcng.pyca.base"} & set(sys.modules)))
ncrypt.NCryptDeleteKey(made)
"""


def test_a_key_that_signs_loads_no_library_of_the_host(token_uri: str) -> None:
    """That is loaded where the first public key or certificate is used."""
    assert run(SIGNS, token_uri).strip() == "[]"
