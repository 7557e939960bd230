"""`hwcng keys`: made, listed, shown, imported, renamed, certified and deleted, with a stable shape of JSON."""

from __future__ import annotations

import ast
import contextlib
import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.commands import LISTED, SHOWN, differs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import hwcng
from hwcng import CngError
from hwcng.cli import wording
from hwcng.cng import naming
from hwcng.providers.pkcs11.cryptoki.return_values import CKR


def holds(data: dict, shape: dict) -> None:
    assert differs(data, shape) == ""


@pytest.fixture
def made(run, token, new_name):
    """A key on P-256, made by the command."""
    ran = run("keys", "generate", token.uri, "--name", new_name, "--algorithm", "ECDSA_P256", "--json")
    assert ran.status == 0
    yield ran.data
    with contextlib.suppress(CngError):
        token.provider.delete_key(new_name)


def test_a_pair_is_made_shown_and_listed(run, token, new_name, made) -> None:
    holds(made, SHOWN)
    assert (made["name"], made["algorithm"], made["bits"], made["curve"]) == (new_name, "ECDSA_P256", 256, "nistP256")
    assert made["usage"] == ["sign"]
    shown = run("keys", "show", token.uri, new_name, "--json")
    assert shown.data == made
    by_uri = run("keys", "show", made["uri"], "--json")
    assert by_uri.data["public_key"] == made["public_key"]
    listed = run("keys", "list", token.uri, "--json")
    assert list(listed.data) == ["complete", "keys"]
    assert listed.data["complete"] is True
    (mine,) = [key for key in listed.data["keys"] if key["name"] == new_name]
    holds(mine, LISTED)
    assert mine["uri"] == made["uri"]
    serialization.load_pem_public_key(made["public_key"].encode())


def test_tables_and_lines_are_for_people(run, token, new_name, made, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert new_name in run("keys", "list", token.uri).output
    shown = run("keys", "show", token.uri, new_name).output
    assert f"name: {new_name}" in shown
    assert made["public_key"] in shown


def test_a_narrow_terminal_folds_and_cuts_nothing(run, token, new_name, made, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    whole = sorted("".join(run("keys", "list", token.uri).output.replace("─", "").split()))
    for columns in (24, 1):
        monkeypatch.setenv("COLUMNS", str(columns))
        output = run("keys", "list", token.uri).output
        assert max(map(len, output.splitlines())) <= 24
        assert sorted("".join(output.replace("─", "").split())) == whole


def test_a_secret_key_and_its_use(run, command_softhsm, new_name) -> None:
    arguments = ("--name", new_name, "--algorithm", "AES", "--bits", "192", "--exportable", "--json")
    made = run("keys", "generate", command_softhsm.uri, *arguments).data
    holds(made, SHOWN)
    assert (made["bits"], made["exportable"], made["public_key"]) == (192, True, None)
    command_softhsm.provider.delete_key(new_name)


def test_rsa_has_no_length_for_old_data(run, command_softhsm, new_name, recwarn) -> None:
    made = run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "RSA", "--json").data
    assert made["bits"] == 3072
    assert not [warning for warning in recwarn if warning.category is UserWarning]
    command_softhsm.provider.delete_key(new_name)


def test_only_the_uses_that_were_asked_for(run, command_softhsm, new_name) -> None:
    arguments = ("--name", new_name, "--algorithm", "RSA", "--bits", "2048", "--use", "sign", "--json")
    assert run("keys", "generate", command_softhsm.uri, *arguments).data["usage"] == ["sign"]
    command_softhsm.provider.delete_key(new_name)


@pytest.mark.parametrize("algorithm", ["rsa", "RSA-2048", "SHA256", "P-256"])
def test_what_is_no_algorithm_is_told_those_that_are(run, command_softhsm, new_name, algorithm) -> None:
    refused = run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", algorithm)
    assert (refused.status, refused.output) == (1, "")
    assert "NTE_NOT_SUPPORTED" in refused.errors
    assert "AES, " in refused.errors and "ECDSA_P256, " in refused.errors and "RSA_SIGN" not in refused.errors


def test_a_generic_curve_has_no_option(run, command_softhsm, new_name) -> None:
    refused = run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "ECDSA")
    assert (refused.status, refused.output) == (1, "")
    assert "_P256" in refused.errors and "ECCCurveName" not in refused.errors


def test_what_the_command_says_in_its_own_words_is_said_by_the_library() -> None:
    said = {
        node.value
        for path in Path(hwcng.__file__).parent.rglob("*.py")
        if path.parent.name != "cli"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not [words for words, _ in wording._ARGUMENTS if not any(words in text for text in said)]


def test_a_name_that_is_taken_is_kept_unless_it_may_be_replaced(run, token, new_name, made) -> None:
    arguments = ("keys", "generate", token.uri, "--name", new_name, "--algorithm", "ECDSA_P256")
    refused = run(*arguments)
    assert (refused.status, refused.output) == (1, "")
    assert "NTE_EXISTS" in refused.errors
    assert "; --replace replaces it" in refused.errors
    assert run("keys", "show", token.uri, new_name, "--json").data["public_key"] == made["public_key"]
    replaced = run(*arguments, "--replace", "--json")
    assert replaced.status == 0
    assert replaced.data["public_key"] != made["public_key"]


def test_without_a_pin_what_everybody_sees(run, command_softhsm, new_name, tmp_path) -> None:
    """In a process that is not logged in: this one is."""
    made = run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "ECDSA_P256", "--json")
    listed = subprocess.run(
        [sys.executable, "-m", "hwcng", "keys", "list", command_softhsm.bare, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    data = json.loads(listed.stdout)
    assert data["complete"] is False
    (mine,) = [key for key in data["keys"] if key["name"] == new_name]
    holds(mine, LISTED)
    assert (mine["algorithm"], mine["uri"]) == ("ECDSA_P256", made.data["uri"].replace(_source(made.data["uri"]), ""))
    command_softhsm.provider.delete_key(new_name)


def _source(uri: str) -> str:
    (found,) = [part for part in uri.partition("?")[2].split("&") if part.startswith("pin-source=")]
    return f"{found}&" if f"{found}&" in uri else f"&{found}"


def test_a_pem_goes_in_and_its_public_half_comes_out(run, token, new_name, tmp_path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = tmp_path / "key.pem"
    pem.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    imported = run("keys", "import", token.uri, pem, "--name", new_name, "--json")
    assert imported.status == 0
    holds(imported.data, SHOWN)
    for form, load in {
        "pem": serialization.load_pem_public_key,
        "der": serialization.load_der_public_key,
        "openssh": serialization.load_ssh_public_key,
    }.items():
        out = tmp_path / form
        assert run("keys", "export-public", token.uri, new_name, "--format", form, "-o", out).status == 0
        assert load(out.read_bytes()) == private.public_key()
    token.provider.delete_key(new_name)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_pem_is_told(run, token, new_name, tmp_path, content) -> None:
    pem = tmp_path / "key.pem"
    pem.write_bytes(content)
    refused = run("keys", "import", token.uri, pem, "--name", new_name)
    assert refused.status == 1
    assert str(pem) in refused.errors


def self_signed(key) -> x509.Certificate:
    private = key.as_cryptography()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "command")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(private, hashes.SHA256())
    )


def test_a_key_gets_another_name_with_its_certificates(run, token, new_name, made, tmp_path) -> None:
    with naming.open_named(token.provider, new_name) as key:
        certificate = self_signed(key)
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    assert "NTE_NOT_FOUND" in run("keys", "certificate", token.uri, new_name).errors
    assert run("keys", "certificate", token.uri, new_name, "--store", pem).status == 0
    assert run("keys", "certificate", token.uri, new_name).output == pem.read_text()
    assert run("keys", "show", token.uri, new_name, "--json").data["certificates"] == ["CN=command"]
    other = f"{new_name} renamed"
    assert run("keys", "rename", token.uri, new_name, other).status == 0
    assert "NTE_BAD_KEYSET" in run("keys", "show", token.uri, new_name).errors
    assert run("keys", "show", token.uri, other, "--json").data["public_key"] == made["public_key"]
    assert run("keys", "certificate", token.uri, other).output == pem.read_text()
    assert run("keys", "delete", token.uri, other, "--yes").status == 0


@pytest.mark.parametrize("function", ["C_CreateObject", "C_CopyObject", "C_DestroyObject"])
def test_a_rename_that_fails_can_be_tried_again(
    function, run, command_softhsm, new_name, tmp_path, monkeypatch
) -> None:
    """The old name is there with its certificate, and the new one is not, unless the error says that it is."""
    from hwcng.cli import targets
    from hwcng.testing.faults import FaultInjector

    uri, other, pem = command_softhsm.uri, f"{new_name} renamed", tmp_path / "certificate.pem"
    assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256").status == 0
    with naming.open_named(command_softhsm.provider, new_name) as key:
        pem.write_bytes(self_signed(key).public_bytes(serialization.Encoding.PEM))
    assert run("keys", "certificate", uri, new_name, "--store", pem).status == 0
    open_provider = targets.open_provider
    for nth in range(1, 20):
        with contextlib.ExitStack() as stack:
            injectors = []

            def opened(place, stack=stack, injectors=injectors, nth=nth, **values):
                provider = open_provider(place, **values)
                injectors.append(
                    stack.enter_context(FaultInjector(provider)).fail(function, CKR.FUNCTION_FAILED, nth=nth)
                )
                return provider

            monkeypatch.setattr(targets, "open_provider", opened)
            ran = run("keys", "rename", uri, new_name, other)
            failed = any(injector.injected for injector in injectors)
        monkeypatch.setattr(targets, "open_provider", open_provider)
        names = {key["name"] for key in run("keys", "list", uri, "--json").data["keys"]} & {new_name, other}
        if ran.status == 0:
            assert names == {other}
            break
        assert failed
        assert ran.status == 1
        assert (other in names) == ("stored as" in ran.errors)
        kept = new_name if new_name in names else other
        assert run("keys", "certificate", uri, kept).output == pem.read_text()
        if kept == other:
            assert run("keys", "rename", uri, other, new_name).status == 0
        elif other in names:
            assert run("keys", "delete", uri, other).status == 0
    assert nth > 1
    assert run("keys", "certificate", uri, other).output == pem.read_text()
    assert run("keys", "delete", uri, other).status == 0


def test_a_name_that_is_taken_is_no_new_name(run, token, new_name, made) -> None:
    refused = run("keys", "rename", token.uri, new_name, new_name)
    assert refused.status == 1
    assert "NTE_EXISTS" in refused.errors
    assert run("keys", "show", token.uri, new_name).status == 0


def test_a_key_is_deleted_by_its_uri(run, token, new_name, made) -> None:
    assert run("keys", "delete", made["uri"], "--yes").status == 0
    gone = run("keys", "delete", token.uri, new_name, "--yes")
    assert gone.status == 1
    assert "NTE_BAD_KEYSET" in gone.errors


def test_a_name_with_control_characters_moves_no_cursor(run, command_softhsm, new_name) -> None:
    name = f"{new_name}\x1b[2J"
    assert run("keys", "generate", command_softhsm.uri, "--name", name, "--algorithm", "ECDSA_P256").status == 0
    for arguments in (("list", command_softhsm.uri), ("show", command_softhsm.uri, name)):
        assert "\x1b" not in run("keys", *arguments).output
    command_softhsm.provider.delete_key(name)
