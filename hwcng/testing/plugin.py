"""The pytest plugin (entry point pytest11): throw-away tokens as fixtures, and `@pytest.mark.hwcng(requires=[...])`.

It loads with every run of pytest where hwcng is installed, so it imports nothing until a fixture is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hwcng.contract.provider import Provider
    from hwcng.testing.swtpm import Swtpm
    from hwcng.testing.tokens import ThrowAwayToken

__all__ = [
    "hwcng_provider",
    "nss_token",
    "session_hwcng_provider",
    "session_nss_token",
    "session_softhsm_token",
    "session_swtpm",
    "softhsm_token",
    "softhsm_token_factory",
    "swtpm",
    "swtpm_factory",
]

_MARKER = (
    "hwcng(requires): skip, with the reason, where the token of a fixture does not do one of the capabilities, such as "
    '["AES GCM", "ECDSA_P256"]'
)


pytest.register_assert_rewrite("hwcng.testing.contract")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def softhsm_token_factory() -> Callable[..., ThrowAwayToken]:
    """Makes SoftHSM tokens: called with a label and a PIN, or without. They stay until the process ends."""
    from hwcng.testing.tokens import new_softhsm_token

    return new_softhsm_token


@pytest.fixture
def softhsm_token(softhsm_token_factory: Callable[..., ThrowAwayToken]) -> ThrowAwayToken:
    """A SoftHSM token of this test's own."""
    return softhsm_token_factory()


@pytest.fixture(scope="session")
def session_softhsm_token(softhsm_token_factory: Callable[..., ThrowAwayToken]) -> ThrowAwayToken:
    """One SoftHSM token for the session; with pytest-xdist, for each worker."""
    return softhsm_token_factory()


@pytest.fixture(scope="session")
def swtpm_factory() -> Iterator[Callable[..., Swtpm]]:
    """Starts software TPMs: called with the arguments of `hwcng.testing.swtpm.Swtpm`. They end with the session."""
    from hwcng.testing.swtpm import Swtpm

    with ExitStack() as running:
        yield lambda *arguments, **options: running.enter_context(Swtpm(*arguments, **options))


@pytest.fixture
def swtpm() -> Iterator[Swtpm]:
    """A software TPM of this test's own."""
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm:
        yield tpm


@pytest.fixture(scope="session")
def session_swtpm(swtpm_factory: Callable[..., Swtpm]) -> Swtpm:
    """One software TPM for the session; with pytest-xdist, for each worker."""
    return swtpm_factory()


@pytest.fixture
def nss_token() -> Iterator[ThrowAwayToken]:
    """The NSS database of this process, which has one; the keys that the test stores are deleted after it."""
    from hwcng.testing.tokens import nss_token

    with nss_token() as token:
        yield token


@pytest.fixture(scope="session")
def session_nss_token() -> ThrowAwayToken:
    """The NSS database of this process, the keys of every test in it."""
    from hwcng.testing.tokens import process_nss_token

    return process_nss_token()


_KINDS = ("softhsm", "nss", "swtpm")


@pytest.fixture(params=_KINDS)
def hwcng_provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """An open provider, in turn on a token of each kind that the machine has."""
    with _opened(request.param) as provider:
        yield provider


@pytest.fixture(scope="session", params=_KINDS)
def session_hwcng_provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """The same, open for the session."""
    with _opened(request.param) as provider:
        yield provider


@contextmanager
def _opened(kind: str) -> Iterator[Provider]:
    """The provider of a new token of this kind; skips where the machine has none."""
    if lacking := _lacking(kind):
        pytest.skip(lacking)
    from hwcng.testing.swtpm import Swtpm
    from hwcng.testing.tokens import new_softhsm_token, nss_token

    makers: dict[str, Callable[[], AbstractContextManager[Swtpm | ThrowAwayToken]]] = {
        "softhsm": lambda: nullcontext(new_softhsm_token()),
        "nss": nss_token,
        "swtpm": Swtpm,
    }
    with makers[kind]() as token, token.open() as provider:
        yield provider


def _lacking(kind: str) -> str | None:
    """What the machine lacks for tokens of this kind, and the line that mends it."""
    extra, packages = ("tpm2", ("tpm2_pytss",)) if kind == "swtpm" else ("pkcs11", ("cffi", "pkcs11"))
    for package in packages:
        if importlib.util.find_spec(package) is None:
            return f"{kind}: the package {package} is not installed: pip install 'hwcng[{extra}]'"
    from hwcng.testing import nss, softhsm, swtpm

    try:
        {"softhsm": softhsm.find_module, "nss": nss.find_module, "swtpm": swtpm.find_program}[kind]()
    except (nss.NssError, softhsm.SoftHsmError, swtpm.SwtpmError) as error:
        return str(error)
    return None


def _capabilities(item: pytest.Item) -> list[str]:
    """What the marks of this test require. Fails the test where a mark is none of ours."""
    wanted: list[str] = []
    for marker in item.iter_markers("hwcng"):
        requires = marker.kwargs.get("requires", ())
        if marker.args or marker.kwargs.keys() - {"requires"} or isinstance(requires, str):
            pytest.fail('the mark is @pytest.mark.hwcng(requires=["ALGORITHM OPERATION", ...])', pytrace=False)
        wanted += requires
    return wanted


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = _capabilities(item)
    if not wanted:
        return
    from hwcng.testing.requirements import lacks

    # The fixtures are there by now: this hook comes after pytest's own.
    values: dict[str, object] = getattr(item, "funcargs", {})
    tokens = [values[name] for name in __all__ if name in values and not callable(values[name])]
    if not tokens:
        pytest.fail("@pytest.mark.hwcng(requires=...) asks the token of a fixture of hwcng, and this test has none")
    for token in tokens:
        with _provider_of(token) as provider:
            for capability in wanted:
                try:
                    reason = lacks(provider, capability)
                except ValueError as error:
                    pytest.fail(f"@pytest.mark.hwcng: {error}", pytrace=False)
                if reason:
                    pytest.skip(reason)


def _provider_of(value: Any) -> AbstractContextManager[Provider]:
    """A provider that a fixture gave, which stays open, or one on its token."""
    return nullcontext(value) if hasattr(value, "offers") else value.open()
