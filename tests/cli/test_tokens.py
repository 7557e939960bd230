"""`hwcng tokens`, `token init`, `random`, `test`, `openssl-conf`, `attest` and `move`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support import needs

from hwcng.providers.registry import configure


def test_tokens_are_found_without_a_pin(run, token, monkeypatch) -> None:
    configure({"command token": token.bare})
    told = run("tokens", "--json").data
    assert list(told) == ["tokens", "places", "configured"]
    here = token.provider.token
    (mine, *_) = [found for found in told["tokens"] if (found["label"], found["serial"]) == (here.label, here.serial)]
    assert list(mine) == ["label", "manufacturer", "model", "serial", "firmware", "state", "uri"]
    # Another test may have tried a wrong PIN.
    assert (mine["model"], mine["state"]) in ((here.model, "ready"), (here.model, "PIN was wrong last"))
    place = next(place for place in told["places"] if not place["problem"])
    assert list(place) == ["scheme", "kind", "where", "told", "description", "problem", "tokens"]
    assert told["configured"]["command token"]
    monkeypatch.setenv("COLUMNS", "200")
    assert here.label in run("tokens").output


def test_a_module_that_crashes_is_told_and_hinders_none(run, tmp_path) -> None:
    source = tmp_path / "crash.c"
    source.write_text("int C_GetFunctionList(void **list) { *(volatile int *)0 = 0; return 0; }\n")
    module = tmp_path / "crash.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(module), str(source)], check=True)
    told = run("tokens", "--module", module, "--json").data
    (place,) = [place for place in told["places"] if place["where"] == str(module)]
    assert place["problem"] == "it crashed: SIGSEGV"
    assert told["tokens"]
    examined = run("doctor", "--module", module, "--json")
    assert examined.status == 4
    assert examined.data["ok"] is False


def test_a_module_that_is_none(run, tmp_path) -> None:
    told = run("tokens", "--module", tmp_path / "none.so", "--json").data
    (place,) = [place for place in told["places"] if place["where"] == str(tmp_path / "none.so")]
    assert "no PKCS#11 module" in place["problem"]


def test_the_configuration_that_was_read(run, tmp_path, monkeypatch) -> None:
    path = tmp_path / "providers.ini"
    path.write_text("[provider a]\nuri = tpm2:device:/dev/tpmrm0\ntimeout = 5\n[logging]\nlevel = ERROR\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(path))
    monkeypatch.setattr("hwcng.providers.registry._names", {})
    assert run("config", "check", "--json").data == {
        "file": str(path),
        "providers": {"a": "tpm2:device:/dev/tpmrm0?x-timeout=5"},
        "default": None,
        "log_level": "ERROR",
    }
    assert "tpm2:device:/dev/tpmrm0" in run("config", "check").output
    path.write_text("[provider a]\nuri = tpm2:\ntimeut = 5\n")
    wrong = run("config", "check")
    assert wrong.status == 1
    assert f"{path}, line 3" in wrong.errors


def test_a_token_of_ones_own(run, tmp_path) -> None:
    made = run("token", "init", tmp_path / "new", "--label", "of a command", "--json")
    assert made.status == 0
    assert list(made.data) == ["uri", "label", "serial", "created", "environment"]
    assert made.data["created"] is True
    again = run("token", "init", tmp_path / "new", "--label", "of a command", "--json")
    assert (again.data["serial"], again.data["created"]) == (made.data["serial"], False)
    assert "kept" in again.errors
    listed = subprocess.run(
        [sys.executable, "-m", "hwcng", "keys", "list", made.data["uri"], "--json"],
        env={**os.environ, **made.data["environment"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(listed.stdout) == {"complete": True, "keys": []}


def test_a_label_that_is_too_long(run, tmp_path) -> None:
    refused = run("token", "init", tmp_path / "new", "--label", "x" * 33)
    assert refused.status == 1
    assert "32" in refused.errors


def test_random(run, token, tmp_path) -> None:
    out = tmp_path / "random"
    assert run("random", token.uri, "5000", "--output", out).status == 0
    assert len(out.read_bytes()) == 5000
    first, second = (run("random", token.uri, "16", "--hex").output for _ in range(2))
    assert len(bytes.fromhex(first)) == 16
    assert first != second
    assert run("random", token.uri, "0").status == 2


def test_a_token_is_tried_without_making_anything(run, token) -> None:
    before = {record.uri for record in token.provider.list_keys()}
    ran = run("test", token.uri, "--json", "--count", "3")
    assert ran.status == 0
    assert list(ran.data) == ["token", "ok", "checks"]
    assert (ran.data["token"], ran.data["ok"]) == (token.provider.token.label, True)
    assert all(list(check) == ["what", "outcome", "seconds", "reason"] for check in ran.data["checks"])
    assert {record.uri for record in token.provider.list_keys()} == before
    assert "health" in run("test", token.uri).output


def test_keys_that_are_made_for_the_try_end_with_it(run, token) -> None:
    before = {record.uri for record in token.provider.list_keys()}
    ran = run("test", token.uri, "--generate", "--json")
    assert ran.status == 0, ran.output
    tried = {check["what"] for check in ran.data["checks"]}
    assert {"ECDSA_P256: sign and verify", "RSA: sign and verify", "AES: encrypt and decrypt"} <= tried
    assert {record.uri for record in token.provider.list_keys()} == before


@pytest.mark.parametrize(
    ("algorithm", "what"),
    [
        ("ECDSA_P256", "sign and verify"),
        ("ECDH_P256", "agree"),
        ("RSA", "encrypt and decrypt"),
        ("AES", "encrypt and decrypt"),
        ("HMAC", "authenticate"),
    ],
)
def test_a_key_is_tried(run, token, new_name, algorithm, what) -> None:
    bits = {"RSA": ("--bits", "2048"), "HMAC": ("--bits", "256")}.get(algorithm, ())
    assert run("keys", "generate", token.uri, "--name", new_name, "--algorithm", algorithm, *bits).status == 0
    ran = run("test", token.uri, new_name, "--json")
    assert ran.status == 0, ran.output
    assert what in {check["what"].partition(": ")[2] for check in ran.data["checks"]}
    token.provider.delete_key(new_name)


def test_a_wrong_answer_is_told(run, command_softhsm, new_name, monkeypatch) -> None:
    """The public half that the token gives is not that of its private key."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from hwcng.pyca.ec import EcTokenKey

    run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "ECDSA_P256")
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    monkeypatch.setattr(EcTokenKey, "public_key", lambda key: other)
    ran = run("test", command_softhsm.uri, new_name, "--json")
    assert (ran.status, ran.data["ok"]) == (4, False)
    assert "wrong" in {check["outcome"] for check in ran.data["checks"]}
    command_softhsm.provider.delete_key(new_name)


def test_openssl_conf(run, token, tmp_path) -> None:
    out = tmp_path / "openssl.cnf"
    whole = run("openssl-conf", token.uri, "--json")
    assert list(whole.data) == ["configuration", "environment"]
    assert "[provider_sect]" in whole.data["configuration"]
    ran = run("openssl-conf", token.uri, "--output", out)
    assert ran.status == 0
    assert f"export OPENSSL_CONF={out}" in ran.output
    assert out.read_text() == whole.data["configuration"]


def test_a_statement_of_a_tpm_is_verified_without_it(run, command_swtpm, new_name, tmp_path) -> None:
    uri, out, nonce = command_swtpm.uri, tmp_path / "statement.json", "00" * 16
    run("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256")
    assert run("attest", uri, new_name, "--nonce", nonce, "-o", out).status == 0
    assert list(json.loads(out.read_text()))[:3] == ["nonce", "key_public", "signer_public"]
    proved = run("attest", "--verify", out, "--nonce", nonce)
    assert proved.status == 0
    assert proved.data["fixed_tpm"] is True
    assert proved.data["public_key"] == run("keys", "export-public", uri, new_name).output
    for wrong, status in (("01" * 16, 4), ("zz", 2)):
        assert run("attest", "--verify", out, "--nonce", wrong).status == status
    out.write_text("{}")
    assert run("attest", "--verify", out, "--nonce", nonce).status == 1
    command_swtpm.provider.delete_key(new_name)


@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "AES"])
def test_an_identity_key_signs_the_statement(run, idle_swtpm, new_name, tmp_path, algorithm) -> None:
    uri, out, nonce, identity = idle_swtpm.uri, tmp_path / "statement.json", "00" * 16, f"identity of {new_name}"
    kept, wrong = tmp_path / "pin", tmp_path / "wrong"
    kept.write_text("the identity's pin")
    wrong.write_text("another pin")
    run("keys", "generate", uri, "--name", new_name, "--algorithm", algorithm)
    made = ("keys", "generate", uri, "--name", identity, "--algorithm", "ECDSA_P256", "--use")
    assert run(*made, "attest", "--pin-file", kept, "--json").data["usage"] == ["attest"]
    asked = ("attest", uri, new_name, "--nonce", nonce, "-o", out, "--authority", identity)
    refused = run(*asked, "--authority-pin-file", wrong)
    assert (refused.status, out.exists()) == (1, False)
    assert refused.errors.startswith("hwcng: STATUS_WRONG_PASSWORD")
    assert "PIN by --authority-pin-file;" in refused.errors
    missing = run(*asked)
    assert missing.status == 1 and "give the key's PIN by --authority-pin-file" in missing.errors
    ran = run(*asked, "--authority-pin-file", kept)
    assert (ran.status, ran.errors) == (0, "")
    signer = run("attest", "--verify", out, "--nonce", nonce).data["signer_name"]
    assert run("attest", uri, identity, "--nonce", nonce, "-o", out, "--pin-file", kept).status == 0
    told = run("attest", "--verify", out, "--nonce", nonce).data
    assert (told["name"], told["signer_name"] != signer) == (signer, True)


def test_a_refused_pin_is_asked_for_by_the_option_of_its_key(run, idle_swtpm, new_name, tmp_path) -> None:
    uri, identity = idle_swtpm.uri, f"identity of {new_name}"
    kept, wrong = tmp_path / "pin", tmp_path / "wrong"
    kept.write_text("the key's pin")
    wrong.write_text("another pin")
    run("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256", "--pin-file", kept)
    run("keys", "generate", uri, "--name", identity, "--algorithm", "ECDSA_P256", "--use", "attest")
    refused = run("attest", uri, new_name, "--authority", identity, "--pin-file", wrong)
    assert refused.errors.startswith("hwcng: STATUS_WRONG_PASSWORD") and new_name in refused.errors
    assert "PIN by --pin-file," in refused.errors and "--authority-pin-file" not in refused.errors
    assert run("attest", uri, new_name, "--authority", identity, "--pin-file", kept).status == 0


def test_what_cannot_sign_a_statement(run, command_swtpm, command_softhsm, new_name, tmp_path) -> None:
    uri, pin = command_swtpm.uri, tmp_path / "pin"
    pin.write_text("a pin")
    made = ("keys", "generate", uri, "--name", new_name, "--algorithm", "ECDSA_P256")
    assert run(*made, "--use", "attest", "--use", "sign").status == 2
    assert run(*made).status == 0
    refused = run("attest", uri, new_name, "--authority", new_name)
    assert (refused.status, refused.output) == (1, "")
    assert refused.errors.startswith("hwcng: STATUS_NOT_SUPPORTED")
    absent = run("attest", uri, new_name, "--authority", "no such key")
    assert (absent.status, absent.output) == (1, "")
    assert "no such key" in absent.errors
    assert run("attest", uri, new_name, "--authority-pin-file", pin).status == 2
    assert run("attest", "--verify", pin, "--nonce", "00", "--authority", new_name).status == 2
    command_swtpm.provider.delete_key(new_name)
    elsewhere = run(
        "keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "ECDSA_P256", "--use", "attest"
    )
    assert (elsewhere.status, elsewhere.output) == (1, "")
    assert "SUPPORTED" in elsewhere.errors


def test_a_token_that_makes_no_statements(run, command_softhsm, new_name) -> None:
    run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", "ECDSA_P256")
    refused = run("attest", command_softhsm.uri, new_name)
    assert refused.status == 1
    assert "STATUS_NOT_SUPPORTED" in refused.errors
    command_softhsm.provider.delete_key(new_name)


def test_a_key_that_may_leave_is_moved(
    run, command_softhsm, other_token_uri, other_token_pin, new_name, tmp_path
) -> None:
    needs(command_softhsm.provider, "RSA")
    configure({"the other token": f"{other_token_uri}&pin-value={other_token_pin}"})
    source, plain, sealed, back = command_softhsm.uri, *(tmp_path / name for name in ("plain", "sealed", "back"))
    plain.write_bytes(b"encrypted here, decrypted there")
    run("keys", "generate", source, "--name", new_name, "--algorithm", "AES", "--bits", "256", "--exportable")
    assert run("encrypt", source, new_name, plain, "--output", sealed).status == 0
    moved = run("move", source, new_name, "the other token", "--new-name", f"{new_name} there", "--delete", "--json")
    assert moved.status == 0, moved.errors
    assert list(moved.data) == ["uri", "deleted"]
    assert run("decrypt", "the other token", f"{new_name} there", sealed, "--output", back).status == 0
    assert back.read_bytes() == plain.read_bytes()
    assert "NTE_BAD_KEYSET" in run("keys", "show", source, new_name).errors
    assert run("keys", "delete", "the other token", f"{new_name} there", "--yes").status == 0


@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "RSA"])
def test_a_pair_that_may_leave_is_moved(
    run, command_softhsm, other_token_uri, other_token_pin, new_name, algorithm, tmp_path
) -> None:
    configure({"the other token": f"{other_token_uri}&pin-value={other_token_pin}"})
    source, out = command_softhsm.uri, tmp_path / "signature"
    made = run("keys", "generate", source, "--name", new_name, "--algorithm", algorithm, "--exportable", "--json").data
    moved = run("move", source, new_name, "the other token", "--json")
    assert moved.status == 0, moved.errors
    assert run("keys", "show", "the other token", new_name, "--json").data["public_key"] == made["public_key"]
    assert run("sign", "the other token", new_name, __file__, "--output", out).status == 0
    assert run("verify", source, new_name, __file__, "--signature", out).status == 0
    for place in (source, "the other token"):
        assert run("keys", "delete", place, new_name, "--yes").status == 0


@pytest.mark.parametrize("algorithm", ["AES", "ECDSA_P256"])
def test_what_may_not_leave_is_said(
    run, command_softhsm, other_token_uri, other_token_pin, new_name, algorithm
) -> None:
    configure({"the other token": f"{other_token_uri}&pin-value={other_token_pin}"})
    run("keys", "generate", command_softhsm.uri, "--name", new_name, "--algorithm", algorithm)
    refused = run("move", command_softhsm.uri, new_name, "the other token", "--delete")
    assert refused.status == 1
    assert "--exportable" in refused.errors
    assert run("keys", "delete", command_softhsm.uri, new_name, "--yes").status == 0
