"""What a program is told where a token cannot be opened: the real situation, and the line that mends it, done."""

from __future__ import annotations

import grp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import missing, needs_module
from tpm2.helpers import set_owner_auth

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.testing.softhsm import SoftHsm, TokenRequest, find_module, provision
from hwcng.testing.swtpm import Swtpm
from hwcng.testing.tokens import ThrowAwayToken

NOBODY = 65534
PIN, SO_PIN = "pin-of-the-user", "pin-of-the-officer"
# All that opening imports is imported before the user changes, who may not read this checkout.
OPEN = """
import os, sys
import hwcng
from hwcng.loading import load_the_rest
from hwcng.providers import registry
from hwcng.providers.backends import backend_for
import hwcng.providers.pkcs11.provider
backend_for("pkcs11")
load_the_rest()
uri, user = sys.argv[1], int(sys.argv[2])
if user:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
try:
    print("opened", hwcng.open_provider(uri, pin=sys.argv[3] if len(sys.argv) > 3 else None).token.label)
except hwcng.CngError as error:
    print(error)
"""


def told(uri: str, *arguments: str, user: int = 0, before: tuple[str, ...] = (), **environ: str) -> str:
    """What a new process is told that opens `uri`. user: who it is then; arguments: the PIN."""
    if user and os.geteuid():
        missing("root, which can be another user")
    run = subprocess.run(
        [*before, sys.executable, "-c", OPEN, uri, str(user), *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def softhsm_uri(label: str = "one") -> str:
    return f"pkcs11:token={label}?module-path={find_module()}"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can see."""
    folder = Path(tempfile.mkdtemp(prefix="hwcng-messages-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    message = told(softhsm_uri(), SOFTHSM2_CONF=f"{tmp_path}/none.conf")
    assert "CKR_GENERAL_ERROR" in message
    assert f"SOFTHSM2_CONF names {tmp_path}/none.conf, which is not there" in message
    command = re.search(r"python -m (hwcng\.testing\.softhsm) DIRECTORY", message)
    assert command is not None
    mended = subprocess.run(
        [sys.executable, "-m", command[1], tmp_path / "made"], capture_output=True, text=True, check=True
    )
    conf, uri = mended.stdout.splitlines()
    assert told(uri, SOFTHSM2_CONF=conf.partition("=")[2]) == "opened hwcng"


def test_a_token_folder_that_is_not_there(tmp_path: Path) -> None:
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"# tokens\ndirectories.tokendir = {tmp_path}/tokens/\n")
    message = told(softhsm_uri(), SOFTHSM2_CONF=str(conf))
    mending = re.search(r"the token folder \S+, which \S+ names, is not there: (mkdir -p \S+);", message)
    assert mending is not None, message
    subprocess.run(mending[1].split(), check=True)
    assert "CKR_GENERAL_ERROR" not in told(softhsm_uri(), SOFTHSM2_CONF=str(conf))


@pytest.mark.parametrize("closed", ["softhsm2.conf", "tokens", "."])
def test_what_this_user_may_not_read(open_folder: Path, closed: str) -> None:
    made = provision(open_folder / "home", [TokenRequest("one", PIN)], SO_PIN)
    home = made.conf.parent
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    assert told(made.uri("one"), PIN, user=NOBODY, **made.environ()) == "opened one"
    place = (home / closed).resolve()
    os.chown(place, 0, 0)
    place.chmod(0o700 if place.is_dir() else 0o600)
    message = told(made.uri("one"), PIN, user=NOBODY, **made.environ())
    assert "CKR_GENERAL_ERROR" in message
    assert f"{place} is root's and group root's, mode {'0700' if place.is_dir() else '0600'}, and this is " in message
    # Whoever is let in by a group is told to join it.
    games = grp.getgrnam("games").gr_gid
    os.chown(place, 0, games)
    place.chmod(0o770 if place.is_dir() else 0o640)
    assert "usermod -aG games " in told(made.uri("one"), PIN, user=NOBODY, **made.environ())


def test_slots_with_tokens_that_are_not_initialised(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    message = told(softhsm_uri("LABEL"), SOFTHSM2_CONF=str(conf))
    assert message.startswith("STATUS_NOT_FOUND")
    mending = re.search(r"slot-id 0 is not initialised, and has no label yet: (pkcs11-tool .*)$", message)
    assert mending is not None, message
    if shutil.which("pkcs11-tool") is None:
        missing("command:pkcs11-tool")
    environ = {**os.environ, "SOFTHSM2_CONF": str(conf)}
    command = [*mending[1].split(), "--so-pin", SO_PIN]
    subprocess.run(command, env=environ, capture_output=True, check=True)
    message = told(softhsm_uri("LABEL"), PIN, SOFTHSM2_CONF=str(conf))
    mending = re.search(r"it has no user PIN yet: (pkcs11-tool [^;]*)", message)
    assert mending is not None, message
    command = [*mending[1].split(), "--so-pin", SO_PIN, "--pin", PIN]
    subprocess.run(command, env=environ, capture_output=True, check=True)
    assert told(softhsm_uri("LABEL"), PIN, SOFTHSM2_CONF=str(conf)) == "opened LABEL"


def test_a_configuration_that_was_changed_too_late(
    tmp_path: Path, softhsm: SoftHsm, token_uri: str, token_pin: str
) -> None:
    other = provision(tmp_path, [TokenRequest("elsewhere", PIN)], SO_PIN)
    program = (
        "import os, sys, hwcng\n"
        "hwcng.open_provider(sys.argv[1], pin=sys.argv[2]).close()\n"
        "os.environ['SOFTHSM2_CONF'] = sys.argv[3]\n"
        "try: hwcng.open_provider(sys.argv[4])\n"
        "except hwcng.CngError as error: print(error)\n"
    )
    arguments = [token_uri, token_pin, str(other.conf), other.uri("elsewhere")]
    run = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert f"SOFTHSM2_CONF was {softhsm.conf} when this process first opened SoftHSM" in run.stdout
    assert f"is {other.conf} now" in run.stdout


def opencryptoki_uri() -> str:
    found = next(Path("/usr/lib").glob("*/opencryptoki/libopencryptoki.so.0"), None)
    if found is None:
        missing("opencryptoki")
    return f"pkcs11:?module-path={found}"


def test_opencryptoki_without_its_daemon() -> None:
    """In namespaces of its own, as in a container: no process of the daemon's there, and not its shared memory."""
    alone = ("unshare", "--ipc", "--pid", "--fork")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        missing("unshare (root)")
    message = told(opencryptoki_uri(), before=alone)
    assert "opencryptoki's daemon is not running here: systemctl start pkcsslotd" in message


def test_opencryptoki_without_its_group() -> None:
    message = told(opencryptoki_uri(), user=NOBODY)
    assert re.search(r"(\S+) is not in the group pkcs11, .*: usermod -aG pkcs11 \1, and log in anew", message)


@pytest.mark.requires("command:swtpm")
def test_an_owner_authorization_that_is_set_and_not_given() -> None:
    needs_module("tpm2_pytss")
    with Swtpm() as tpm:
        set_owner_auth(tpm, "of-the-owner")
        with pytest.raises(CngError) as refused:
            hwcng.open_provider(tpm.uri)
        assert refused.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
        assert "an empty authorization for the TPM's owner" in refused.value.message
        assert "give the owner's value as pin=... or by owner-auth-source= in the URI" in refused.value.message
        source = tpm.directory / "owner"
        source.write_text("of-the-owner\n")
        source.chmod(0o600)
        with hwcng.open_provider(f"{tpm.uri}&owner-auth-source=file:{source}") as provider:
            assert provider.health(60)


@pytest.mark.parametrize("already", ["as a provider", "by its key"])
def test_a_pin_where_the_token_is_open_already(
    already: str, softhsm_token_factory: Callable[..., ThrowAwayToken], calls
) -> None:
    token = softhsm_token_factory()
    uri = token.uri.partition("&pin-source")[0]
    with hwcng.open_provider(uri, pin=token.pin) as provider:
        provider.persist_key(provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")), "mine")
        key_uri = provider.key_uri("mine")
        if already == "as a provider":
            opening = lambda **pin: hwcng.open_provider(uri, **pin)  # noqa: E731
        else:
            opening = lambda **pin: hwcng.open_key(key_uri, **pin)  # noqa: E731
        opening(pin=token.pin)
        with calls(provider) as counter, pytest.raises(CngError) as refused:
            opening(pin="another-pin")
        assert refused.value.status is NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
        assert "another PIN than the one given" in refused.value.message and "another-pin" not in str(refused.value)
        assert "give that one or none, or close what is open on the token first" in refused.value.message
        assert already == "as a provider" or counter.total == 0
        opening()


def test_several_tokens_of_one_label_are_told_apart(twin_token_uri: str, token_pin: str) -> None:
    with pytest.raises(CngError) as ambiguous:
        hwcng.open_provider(twin_token_uri, pin=token_pin)
    serials = re.findall(r"\(serial ([0-9a-f]+), model", ambiguous.value.message)
    assert len(set(serials)) == 2 and "add serial= or slot-id= to the URI" in ambiguous.value.message
    for serial in serials:
        one = twin_token_uri.replace("?", f";serial={serial}?")
        with hwcng.open_provider(one, pin=token_pin) as provider:
            assert provider.token.serial == serial
