"""Algorithm handles on the session's token, and the refusal that reaches no token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from conformance.helpers import Refuses, refused
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from hwcng.cng.keys import AlgorithmHandle, KeyPair, SymmetricKey
    from hwcng.contract.provider import Provider
    from hwcng.errors import HRESULT, NTSTATUS


@pytest.fixture(scope="session")
def other_provider(other_token_uri: str, other_token_pin: str) -> Iterator[Provider]:
    """The second token of the same module, open beside the first."""
    import hwcng

    with hwcng.open_provider(other_token_uri, pin=other_token_pin) as opened:
        yield opened


@pytest.fixture
def warm(provider: Provider) -> Provider:
    """The session's provider with a session in its pool, so that a test that counts calls sees none opened."""
    provider.random(1)
    return provider


@pytest.fixture
def default_provider(warm: Provider) -> Iterator[Provider]:
    """The session's provider as what pseudo-handles and pszImplementation=None mean."""
    import hwcng

    hwcng.set_default_provider(warm)
    yield warm
    hwcng.set_default_provider(None)


@pytest.fixture
def algorithm(warm: Provider) -> Iterator[Callable[..., AlgorithmHandle]]:
    """algorithm("AES", flags=0, of=None, **properties): a handle that is closed at the end of the test."""
    from hwcng.bcrypt import BCryptOpenAlgorithmProvider, BCryptSetProperty

    opened: list[AlgorithmHandle] = []

    def open_algorithm(
        name: str, flags: int = 0, *, of: Provider | None = None, properties: dict[str, Any] | None = None
    ) -> AlgorithmHandle:
        handle = BCryptOpenAlgorithmProvider(name, of or warm, flags)
        opened.append(handle)
        for key, value in (properties or {}).items():
            BCryptSetProperty(handle, key, value)
        return handle

    yield open_algorithm
    for handle in opened:
        handle.destroy()


@pytest.fixture
def aes(algorithm: Callable[..., AlgorithmHandle]) -> AlgorithmHandle:
    return algorithm("AES")


@pytest.fixture
def exporting_aes(algorithm: Callable[..., AlgorithmHandle]) -> AlgorithmHandle:
    """AES whose keys may leave the token wrapped."""
    from hwcng.bcrypt import NCRYPT_ALLOW_EXPORT_FLAG, NCRYPT_EXPORT_POLICY_PROPERTY

    return algorithm("AES", properties={NCRYPT_EXPORT_POLICY_PROPERTY: NCRYPT_ALLOW_EXPORT_FLAG})


@pytest.fixture
def pair(algorithm: Callable[..., AlgorithmHandle]) -> Iterator[Callable[..., KeyPair]]:
    """pair("ECDSA_P256"): a finalized pair; finalize=False: an empty one."""
    from conformance.helpers import FIXED_CURVES

    from hwcng.bcrypt import BCryptFinalizeKeyPair, BCryptGenerateKeyPair

    made: list[KeyPair] = []

    def make(
        name: str, bits: int | None = None, *, finalize: bool = True, properties: dict[str, Any] | None = None
    ) -> KeyPair:
        length = bits if bits is not None else FIXED_CURVES.get(name, (1024, 0))[0]
        key = BCryptGenerateKeyPair(algorithm(name, properties=properties), length)
        made.append(key)
        if finalize:
            BCryptFinalizeKeyPair(key)
        return key

    yield make
    for key in made:
        key.destroy()


@pytest.fixture
def aes_key(aes: AlgorithmHandle) -> Iterator[SymmetricKey]:
    from conformance.helpers import SECRET

    from hwcng.bcrypt import BCryptGenerateSymmetricKey

    with BCryptGenerateSymmetricKey(aes, None, SECRET) as key:
        yield key


@pytest.fixture(scope="session")
def rsa_numbers() -> rsa.RSAPrivateNumbers:
    """A 1024-bit key of the host's, small so that the sizes of row EXP-10 apply."""
    return rsa.generate_private_key(65537, 1024).private_numbers()  # noqa: S505


@pytest.fixture
def refuses(calls: Callable[..., Any]) -> Callable[..., AbstractContextManager[Any]]:
    """`with refuses(status):` the block raises exactly this status, and no C_ function is called on the way."""

    @contextmanager
    def checked(status: NTSTATUS | HRESULT) -> Iterator[pytest.ExceptionInfo[Any]]:
        with calls() as counter, refused(status) as error:
            yield error
        assert counter.names == []

    return checked


@pytest.fixture
def untouched(nss_current_provider: Provider) -> Refuses:
    """`with untouched(status):` the block raises exactly this status before the token is called."""

    from hwcng.testing.calls import CallCounter

    @contextmanager
    def checked(status: NTSTATUS) -> Iterator[None]:
        with CallCounter(nss_current_provider) as calls, refused(status):
            yield
        assert calls.names == []

    return checked


__all__ = [
    "aes",
    "aes_key",
    "algorithm",
    "default_provider",
    "exporting_aes",
    "other_provider",
    "pair",
    "refuses",
    "rsa_numbers",
    "untouched",
    "warm",
]
