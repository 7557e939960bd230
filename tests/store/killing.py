"""What runs in the children of test_pkcs11_kill.py: processes that end themselves before their n-th C_ call."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from conftest import TOKEN_PIN  # noqa: F401 - the prelude of isolation.child names it
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pkcs11 import Attribute

from hwcng import HRESULT, CngError
from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import CipherSpec, EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.pkcs11 import objects
from hwcng.providers.pkcs11.provider import Pkcs11Provider

NAME = "killed/in the middle"
OLD, NEW, NEXT = 1, 2, 3
DIGEST = bytes(range(32))
AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
ECDSA = PairSpec("EC", Usage.SIGN, curve="nistP256")


def made(provider: Pkcs11Provider, kind: str, which: int) -> Any:
    """A session key of a value of the test's."""
    if kind == "secret":
        return provider.import_secret(AES, bytes([which]) * 32)
    numbers = ec.derive_private_key(which, ec.SECP256R1()).public_key().public_numbers()
    return provider.import_pair(ECDSA, EcPrivateKey(EcPublicKey("nistP256", numbers.x, numbers.y), which))


def taken(provider: Pkcs11Provider, kind: str, which: int) -> Any:
    """A named key of such a value, taken in where it stays."""
    maker = provider.named(NAME, replace=True)
    if kind == "secret":
        return maker.import_secret(AES, bytes([which]) * 32)
    numbers = ec.derive_private_key(which, ec.SECP256R1()).public_key().public_numbers()
    return maker.import_pair(ECDSA, EcPrivateKey(EcPublicKey("nistP256", numbers.x, numbers.y), which))


def which_key(provider: Pkcs11Provider, name: str = NAME) -> int:
    """Which of the three a name means, by a use of it; 0 for none."""
    try:
        key = provider.open_key(name)
    except CngError as error:
        if error.status is not HRESULT.NTE_BAD_KEYSET or list(provider.list_keys()):
            raise
        return 0
    assert [record.name for record in provider.list_keys()] == [name]
    for which in (OLD, NEW, NEXT):
        if key.spec == AES:
            expected = made(provider, "secret", which).encrypt(CipherSpec(CipherMode.ECB), DIGEST)
            if key.encrypt(CipherSpec(CipherMode.ECB), DIGEST) == expected:
                return which
            continue
        public = ec.derive_private_key(which, ec.SECP256R1()).public_key()
        if key.public.x == public.public_numbers().x:
            signature = key.sign_digest(EcdsaSpec(), DIGEST)
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            encoded = utils.encode_dss_signature(r, s)
            public.verify(encoded, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            return which
    raise AssertionError("another key")


def count(provider: Pkcs11Provider, name: str = NAME) -> int:
    return len(objects.find(provider._connection, {Attribute.TOKEN: True, Attribute.LABEL: name}))


def clear(provider: Pkcs11Provider) -> None:
    connection = provider._connection
    for handle in objects.find(connection, {Attribute.TOKEN: True}):
        with connection.owning() as session:
            connection.cryptoki.C_DestroyObject(session.handle, handle)


def killed_at(provider: Pkcs11Provider, step: int, prepare: Callable[[], Any], work: Callable[[Any], Any]) -> bool:
    """Runs `work` in a forked child that kills itself before its C_ call number `step`; False: it came to its end."""
    pid = os.fork()
    if pid == 0:
        prepared = prepare()
        steps = itertools.count()

        def deadly(_name: str, function: Any) -> Any:
            def called(*arguments: Any) -> int:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return int(function(*arguments))

            return called

        provider.cryptoki.instrument(deadly)
        try:
            work(prepared)
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def in_child(work: Callable[[], None]) -> None:
    """The next process."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def at_each_step(
    provider: Pkcs11Provider,
    kind: str,
    before: int,
    after: int,
    prepare: Callable[[], Any],
    work: Callable[[Any], Any],
) -> int:
    """Kills `work` before each of its calls; afterwards the name means what it meant `before` or `after`, and the next
    write leaves nothing else. Returns the number of calls.
    """
    expected_objects = 1 if kind == "secret" else 2
    passed = False

    def look(step: int) -> None:
        nonlocal passed
        clear(provider)
        if before:
            provider.persist_key(made(provider, kind, before), NAME)
        killed = killed_at(provider, step, prepare, work)
        found: list[int] = []
        readable, writable = os.pipe()

        def next_process() -> None:
            which = which_key(provider)
            os.write(writable, bytes([which]))
            assert which in (before, after), which
            provider.persist_key(made(provider, kind, NEXT), NAME, replace=bool(which))
            assert which_key(provider) == NEXT
            assert count(provider) == expected_objects, "leftovers after the next write"
            provider.delete_key(NAME)
            assert count(provider) == 0, "leftovers after the removal"

        in_child(next_process)
        found += os.read(readable, 1)
        os.close(readable)
        os.close(writable)
        # What is done stays done.
        assert not passed or found == [after], (step, found)
        passed = passed or found == [after]
        if not killed:
            raise StopIteration

    for step in itertools.count():
        try:
            look(step)
        except StopIteration:
            assert passed
            return step
    raise AssertionError
