"""Keys that ask for the PIN at every use, as pkcs11-tool makes them.

Standard: PKCS#11 3.2, sections 4.9 (CKA_ALWAYS_AUTHENTICATE) and 5.6.8 (C_Login).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from store import foreign
from store.conftest import objects_of
from store.test_pkcs11_store import AES, BLOCK, DIGEST, ECB, status_of, verify_ecdsa

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import EcdsaSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec
from hwcng.providers.pkcs11 import logins
from hwcng.providers.pkcs11.provider import Pkcs11Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

PKCS1 = RsaPkcs1SignSpec("SHA256")


@pytest.fixture(autouse=True)
def _no_refused_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_tries", {})


@pytest.fixture
def told(token_uri: str, token_pin: str) -> Iterator[tuple[Pkcs11Provider, list[str]]]:
    """A provider with a key named "always", and the PINs that its source gives, the last of which counts."""
    pins = [token_pin]
    with hwcng.open_provider(token_uri, pin=lambda: pins[-1]) as opened:
        objects_of(opened, destroy=True)  # type: ignore[arg-type]
        command = [
            "pkcs11-tool",
            "--module",
            "/usr/lib/softhsm/libsofthsm2.so",
            "--token-label",
            "hwcng-test",
            "--login",
        ]
        made = ["--keypairgen", "--key-type", "rsa:2048", "--label", "always", "--id", "01", "--always-auth"]
        done = subprocess.run([*command, "--pin", token_pin, *made], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        yield opened, pins  # type: ignore[misc]
        objects_of(opened, destroy=True)  # type: ignore[arg-type]


def public_of(key: object) -> rsa.RSAPublicKey:
    public = key.public  # type: ignore[attr-defined]
    assert isinstance(public, RsaPublicKey)
    return rsa.RSAPublicNumbers(public.public_exponent, public.modulus).public_key()


def require_signature(key: object, signature: bytes) -> None:
    public_of(key).verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


pytestmark = pytest.mark.requires("command:pkcs11-tool")


def test_it_signs_and_decrypts(told: tuple[Pkcs11Provider, list[str]]) -> None:
    provider, _ = told
    key = provider.open_key("always")
    for _ in range(2):
        with CallCounter(provider) as calls:
            require_signature(key, key.sign_digest(PKCS1, DIGEST))
        assert calls.asked == ["C_SignInit", "C_GetTokenInfo", "C_Login", "C_Sign"]
    ciphertext = public_of(key).encrypt(b"secret", padding.PKCS1v15())
    with CallCounter(provider) as calls:
        assert key.decrypt(RsaPkcs1DecryptSpec(), ciphertext) == b"secret"
    assert calls.asked == ["C_DecryptInit", "C_GetTokenInfo", "C_Login", "C_Decrypt"]


def test_its_copies_ask_too(told: tuple[Pkcs11Provider, list[str]]) -> None:
    provider, _ = told
    key = provider.open_key("always")
    copies = [key.session_copy(), provider.persist_key(key, "another")]
    provider._store._places.clear()
    for copied in (*copies, provider.open_key("another")):
        require_signature(key, copied.sign_digest(PKCS1, DIGEST))


def test_a_refused_pin_is_sent_once_and_ends_no_other_key(told: tuple[Pkcs11Provider, list[str]]) -> None:
    provider, pins = told
    key, session_key = provider.open_key("always"), provider.generate_secret(AES)
    foreign.create(provider, foreign.private_key("once", b"\x02", 81))
    foreign.create(provider, foreign.public_key("once", b"\x02", 81))
    expected = session_key.encrypt(ECB, BLOCK)
    pins.append("wrong-pin")
    with CallCounter(provider) as calls:
        for _ in range(4):
            assert status_of(lambda: key.sign_digest(PKCS1, DIGEST)) == NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
    assert calls.names.count("C_Login") == 1
    assert "C_Sign" not in calls.names
    assert session_key.encrypt(ECB, BLOCK) == expected
    verify_ecdsa(foreign.material(81), provider.open_key("once").sign_digest(EcdsaSpec(), DIGEST))
    # Nor is it sent as the user's PIN, when the token has to be logged in to again.
    provider._current._lose()
    with CallCounter(provider) as calls:
        assert status_of(lambda: key.sign_digest(PKCS1, DIGEST)) == NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
    assert "C_Login" not in calls.names
    pins.pop()
    require_signature(key, key.sign_digest(PKCS1, DIGEST))


def test_a_source_that_fails_leaves_no_operation_behind(told: tuple[Pkcs11Provider, list[str]]) -> None:
    provider, pins = told
    key = provider.open_key("always")
    pins.append(None)  # type: ignore[arg-type]
    ciphertext = public_of(key).encrypt(b"secret", padding.PKCS1v15())
    for call in (lambda: key.sign_digest(PKCS1, DIGEST), lambda: key.decrypt(RsaPkcs1DecryptSpec(), ciphertext)):
        # Said as it is, not as what is wrong with a ciphertext.
        with pytest.raises(CngError, match="PIN") as caught:
            call()
        assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    pins.pop()
    for _ in range(3):
        require_signature(key, key.sign_digest(PKCS1, DIGEST))


@pytest.mark.parametrize("rv", [0xA0, 0xA4, 0x101, 0x103], ids=["incorrect", "locked", "not logged in", "user type"])
def test_what_the_token_may_answer(
    rv: int, told: tuple[Pkcs11Provider, list[str]], refused_statuses: Callable[[int], object]
) -> None:
    provider, _ = told
    key, session_key = provider.open_key("always"), provider.generate_secret(AES)
    with FaultInjector(provider) as faults:
        faults.fail("C_Login", rv, nth=1)
        assert status_of(lambda: key.sign_digest(PKCS1, DIGEST)) == refused_statuses(rv)
    logins._tries.clear()
    require_signature(key, key.sign_digest(PKCS1, DIGEST))
    assert len(session_key.encrypt(ECB, BLOCK)) == len(BLOCK)


@pytest.fixture
def refused_statuses() -> Callable[[int], object]:
    return {
        0xA0: NTSTATUS.STATUS_SMARTCARD_WRONG_PIN,
        0xA4: NTSTATUS.STATUS_SMARTCARD_CARD_BLOCKED,
        0x101: NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED,
        0x103: NTSTATUS.STATUS_NOT_SUPPORTED,
    }.__getitem__
