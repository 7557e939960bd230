"""Where the command's PIN comes from, and that nobody is told it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def hwcng(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which is not logged in."""
    return subprocess.run(
        [sys.executable, "-m", "hwcng", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_file_and_a_variable(token_uri, token_pin, tmp_path) -> None:
    pin = tmp_path / "pin"
    pin.write_text(f"{token_pin}\n")
    assert hwcng("test", token_uri, "--pin-file", pin).returncode == 0
    assert hwcng("test", token_uri, HWCNG_PIN=token_pin).returncode == 0
    refused = hwcng("test", token_uri)
    assert refused.returncode == 1
    assert "STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED" in refused.stderr


def test_two_sources_exclude_each_other(token_uri, tmp_path) -> None:
    pin = tmp_path / "pin"
    pin.write_text("1234")
    refused = hwcng("test", token_uri, "--pin-file", pin, "--ask-pin")
    assert refused.returncode == 2
    assert "exclude" in refused.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_a_wrong_pin_is_one_line_without_it(token_uri, verbose) -> None:
    trace = {"HWCNG_TRACE": "stderr"} if verbose else {}
    refused = hwcng("keys", "list", token_uri, HWCNG_PIN="a-wrong-pin-of-mine", **trace)
    assert refused.returncode == 1
    assert "STATUS_SMARTCARD_WRONG_PIN" in refused.stderr
    assert "a-wrong-pin-of-mine" not in refused.stderr + refused.stdout


@pytest.mark.parametrize(("content", "why"), [(b"", "is empty"), (b"\n", "is empty"), (bytes(5000), "no PIN")])
def test_what_is_no_pin_is_not_tried(run, content, why, token_uri, tmp_path) -> None:
    """A file that was not filled would cost a try of three."""
    pin = tmp_path / "pin"
    pin.write_bytes(content)
    refused = hwcng("test", token_uri, "--pin-file", pin)
    assert refused.returncode == 1
    assert "STATUS_INVALID_PARAMETER" in refused.stderr
    assert why in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_pin_of_any_octets(unopened_token_uri) -> None:
    """A wrong one, which is tried as it is."""
    refused = hwcng("keys", "list", unopened_token_uri, HWCNG_PIN="\udcff\udcfe\udc80\udc81")
    assert "STATUS_SMARTCARD_WRONG_PIN" in refused.stderr


@pytest.mark.parametrize("asking", ["--ask-pin", "--ask-password"])
def test_nobody_is_asked_without_a_terminal(asking, token_uri, token_pin, tmp_path) -> None:
    """What standard input has is not taken for it, and no line of Python's is shown."""
    pem, pin = tmp_path / "key.pem", tmp_path / "pin"
    pem.touch()
    pin.write_text(token_pin)
    arguments = ("test", token_uri) if asking == "--ask-pin" else ("keys", "import", token_uri, str(pem), "--name", "a")
    with pin.open() as given:
        ran = subprocess.run(
            ["setsid", sys.executable, "-m", "hwcng", *arguments, asking],
            stdin=given,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no terminal" in ran.stderr
    assert "getpass" not in ran.stderr


def test_no_option_takes_a_pin(run) -> None:
    for command in (("keys", "list"), ("sign",), ("test",)):
        assert run(*command, "pkcs11:", "--pin", "1234").status == 2


def test_the_pin_of_a_tpms_key(run, command_swtpm, new_name, tmp_path) -> None:
    from hwcng import ncrypt

    storage = ncrypt.NCryptOpenStorageProvider(command_swtpm.provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", new_name)
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PIN_PROPERTY, "pin of a key")
    ncrypt.NCryptFinalizeKey(key)
    pin, out = tmp_path / "pin", tmp_path / "signature"
    pin.write_text("pin of a key")
    assert run("sign", command_swtpm.uri, new_name, __file__, "-o", out, "--pin-file", pin).status == 0
    assert run("verify", command_swtpm.uri, new_name, __file__, "--signature", out, "--pin-file", pin).status == 0
    wrong = run("sign", command_swtpm.uri, new_name, __file__, "-o", tmp_path / "other")
    assert wrong.status == 1
    assert "give the key's PIN by --pin-file, --ask-pin or HWCNG_PIN" in wrong.errors and "pin=" not in wrong.errors
    assert not (tmp_path / "other").exists()
    pin.write_text("another")
    wrong = run("sign", command_swtpm.uri, new_name, __file__, "-o", tmp_path / "other", "--pin-file", pin)
    assert "--pin-file" in wrong.errors and "pin=" not in wrong.errors
    command_swtpm.provider.delete_key(new_name)


@pytest.mark.parametrize("made", ["ECDSA_P256", "RSA", "AES", "HMAC-SHA256", "imported"])
def test_a_tpms_key_is_made_with_the_pin_that_is_given(made, run, idle_swtpm, new_name, tmp_path) -> None:
    """It works with that PIN, under another name too, with none or another it does not, and it goes without one."""
    uri, pin, other, pem = idle_swtpm.uri, tmp_path / "pin", tmp_path / "other", tmp_path / "key.pem"
    pin.write_text("pin of a key")
    other.write_text("another")
    if made == "imported":
        pem.write_bytes(subprocess.check_output(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]))
        assert run("keys", "import", uri, pem, "--name", new_name, "--pin-file", pin).status == 0
    else:
        bits = ("--bits", "2048") if made == "RSA" else ()
        given = ("--name", new_name, "--algorithm", made, *bits, "--pin-file", pin)
        assert run("keys", "generate", uri, *given).status == 0
    name = f"{new_name} renamed"
    assert run("keys", "rename", uri, new_name, name, "--pin-file", pin).status == 0
    assert run("test", uri, name, "--pin-file", pin).status == 0
    for wrong in ((), ("--pin-file", other)):
        refused = run("test", uri, name, "--json", *wrong)
        assert refused.status == 1
        assert "STATUS_WRONG_PASSWORD" in refused.output + refused.errors
    assert run("keys", "delete", uri, name).status == 0


def test_messages_name_no_arguments_of_the_library() -> None:
    """Every message of a backend that says where a PIN comes from."""
    from hwcng.cli.wording import in_options
    from hwcng.providers.tpm2.keys.handles import ADVICE_OF_A_KEY, owner_authorization

    for text in (
        ADVICE_OF_A_KEY,
        owner_authorization(False).advice,
        "asks for a PIN: give pin=... or pin-source=file:... in the URI",
        "give the PIN as pin=..., or log in once with another tool",
    ):
        assert "pin=" not in in_options(text), text
    assert "--pin-file" not in in_options(owner_authorization(False).advice)


def test_a_pin_that_is_missing_is_asked_for_by_the_options(run, unopened_token_uri) -> None:
    refused = run("sign", unopened_token_uri, "any", __file__)
    assert refused.status == 1
    assert "--pin-file" in refused.errors and "pin=..." not in refused.errors
