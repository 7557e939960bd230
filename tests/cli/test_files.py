"""`hwcng sign`, `verify`, `csr`, `encrypt`, `decrypt`: others read what they write, what was altered is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from hwcng.cli.envelope import CHUNK

HEADER_AND_KEY = {"AES": 19 + 12 + 32 + 16, "RSA": 19 + 256}


@pytest.fixture
def key(run, token, new_name):
    """Makes keys of the test's name by the command."""
    made = []

    def make(algorithm: str, *arguments: str) -> str:
        ran = run("keys", "generate", token.uri, "--name", new_name, "--algorithm", algorithm, *arguments)
        assert ran.status == 0, ran.errors
        made.append(new_name)
        return new_name

    yield make
    for name in made:
        token.provider.delete_key(name)


def public_key(run, token, name):
    return serialization.load_pem_public_key(run("keys", "export-public", token.uri, name).output.encode())


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document"
    path.write_bytes(os.urandom(3 * CHUNK + 17))
    return path


def test_ecdsa_is_der_over_sha256(run, token, key, document, tmp_path) -> None:
    name, out = key("ECDSA_P256"), tmp_path / "signature"
    assert run("sign", token.uri, name, document, "--output", out).status == 0
    public_key(run, token, name).verify(out.read_bytes(), document.read_bytes(), ec.ECDSA(hashes.SHA256()))
    good = run("verify", token.uri, name, document, "--signature", out, "--json")
    assert (good.status, good.data) == (0, {"valid": True, "key": name, "hash": "SHA256"})


def test_rsa_is_pss_unless_told_otherwise(run, token, key, document, tmp_path) -> None:
    name, out = key("RSA", "--bits", "2048"), tmp_path / "signature"
    public = public_key(run, token, name)
    assert run("sign", token.uri, name, document, "-o", out).status == 0
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
    public.verify(out.read_bytes(), document.read_bytes(), pss, hashes.SHA256())
    assert run("sign", token.uri, name, document, "-o", out, "--padding", "pkcs1").status == 0
    public.verify(out.read_bytes(), document.read_bytes(), padding.PKCS1v15(), hashes.SHA256())
    assert run("verify", token.uri, name, document, "--signature", out, "--padding", "pkcs1").status == 0
    assert run("verify", token.uri, name, document, "--signature", out).status == 4


def test_another_hash(run, token, key, document, tmp_path) -> None:
    name, out = key("ECDSA_P256"), tmp_path / "signature"
    assert run("sign", token.uri, name, document, "-o", out, "--hash", "SHA384").status == 0
    public_key(run, token, name).verify(out.read_bytes(), document.read_bytes(), ec.ECDSA(hashes.SHA384()))


def test_hmac(run, token, key, document, tmp_path) -> None:
    name, out = key("HMAC", "--bits", "256"), tmp_path / "code"
    assert run("sign", token.uri, name, document, "-o", out).status == 0
    assert len(out.read_bytes()) == 32
    assert run("verify", token.uri, name, document, "--signature", out).status == 0
    document.write_bytes(b"another")
    assert run("verify", token.uri, name, document, "--signature", out).status == 4


def test_a_signature_of_another_file_is_not_valid(run, token, key, document, tmp_path) -> None:
    name, out = key("ECDSA_P256"), tmp_path / "signature"
    assert run("sign", token.uri, name, document, "-o", out).status == 0
    for changed in (document.read_bytes()[:-1], b""):
        document.write_bytes(changed)
        bad = run("verify", token.uri, name, document, "--signature", out)
        assert bad.status == 4
        assert "NOT valid" in bad.errors
    out.write_bytes(b"")
    assert run("verify", token.uri, name, document, "--signature", out, "--json").data["valid"] is False


def test_a_request_is_verified_by_openssl(run, token, key, tmp_path) -> None:
    name, out = key("ECDSA_P256"), tmp_path / "request.pem"
    subject = "CN=www.example.org,O=Example,C=DE"
    assert run("csr", token.uri, name, "--subject", subject, "--dns", "www.example.org", "-o", out).status == 0
    done = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-in", str(out)], capture_output=True, text=True, check=True
    )
    # OpenSSL 3.5 says it on its standard output.
    assert "verify OK" in done.stdout + done.stderr
    request = x509.load_pem_x509_csr(out.read_bytes())
    assert request.subject.rfc4514_string() == subject
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.org"]


@pytest.mark.parametrize("given", [("--subject", "not a name"), ("--subject", "CN=a", "--dns", "")])
def test_a_wrong_subject_is_told_before_the_token_is_asked(given, run, command_softhsm) -> None:
    refused = run("csr", command_softhsm.uri, "no such key", *given)
    assert refused.status == 2
    assert re.search(r"Invalid value for --subject or --dns: \w", refused.errors)


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [*(("RSA", size) for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17)), ("AES", 0), ("AES", CHUNK)],
)
def test_a_file_of_any_size_comes_back(run, token, key, tmp_path, algorithm, size) -> None:
    name = key(algorithm, "--bits", "2048" if algorithm == "RSA" else "256")
    plain, sealed, back = (tmp_path / what for what in ("plain", "sealed", "back"))
    plain.write_bytes(os.urandom(size))
    assert run("encrypt", token.uri, name, plain, "--output", sealed).status == 0
    assert sealed.read_bytes()[:9] == b"HWCNGENV\x01"
    assert sealed.stat().st_mode & 0o077 == 0
    assert run("decrypt", token.uri, name, sealed, "--output", back).status == 0
    assert back.read_bytes() == plain.read_bytes()


def test_a_pipe_is_encrypted_and_comes_back(run, command_softhsm, new_name) -> None:
    """Of a length that nobody knows before its end."""
    uri, content = command_softhsm.uri, os.urandom(3 * CHUNK + 17)
    assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "AES", "--bits", "256").status == 0
    script = '"$0" -m hwcng encrypt "$1" "$2" - -o - | "$0" -m hwcng decrypt "$1" "$2" - -o -'
    command = ["sh", "-c", script, sys.executable, uri, new_name]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    assert run("keys", "delete", uri, new_name).status == 0
    assert (done.returncode, done.stderr, done.stdout == content) == (0, b"", True)


def test_what_was_altered_is_refused_and_leaves_no_file(run, command_softhsm, new_name, document, tmp_path) -> None:
    uri, sealed, back = command_softhsm.uri, tmp_path / "sealed", tmp_path / "back"
    assert run("keys", "generate", uri, "--name", new_name, "--algorithm", "AES", "--bits", "256").status == 0
    assert run("encrypt", uri, new_name, document, "--output", sealed).status == 0
    whole = sealed.read_bytes()
    start, chunk = HEADER_AND_KEY["AES"], CHUNK + 16
    first, second = whole[start : start + chunk], whole[start + chunk : start + 2 * chunk]
    altered = {
        "cut within a chunk": whole[:-1],
        "cut at a chunk's end": whole[: start + 2 * chunk],
        "cut before the chunks": whole[:start],
        "appended": whole + b"\0",
        "a chunk twice": whole[: start + chunk] + first + whole[start + chunk :],
        "reordered": whole[:start] + second + first + whole[start + 2 * chunk :],
        "a bit of the content": whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        "a bit of the wrapped key": whole[: start - 20] + bytes([whole[start - 20] ^ 1]) + whole[start - 19 :],
        "a bit of the nonces' prefix": whole[:12] + bytes([whole[12] ^ 1]) + whole[13:],
    }
    for what, content in altered.items():
        sealed.write_bytes(content)
        refused = run("decrypt", uri, new_name, sealed, "--output", back)
        assert refused.status == 4, what
        assert "STATUS_AUTH_TAG_MISMATCH" in refused.errors, what
        assert sorted(path.name for path in tmp_path.iterdir()) == ["document", "sealed"], what
    for what, content in {"no such file": b"PK\3\4" * 10, "a newer version": whole[:8] + b"\2" + whole[9:]}.items():
        sealed.write_bytes(content)
        assert run("decrypt", uri, new_name, sealed, "--output", back).status == 1, what
    command_softhsm.provider.delete_key(new_name)


def test_another_key_does_not_open_it(run, token, key, document, tmp_path, new_name) -> None:
    name, sealed, back = key("AES", "--bits", "256"), tmp_path / "sealed", tmp_path / "back"
    assert run("encrypt", token.uri, name, document, "--output", sealed).status == 0
    assert run("keys", "generate", token.uri, "--name", name, "--algorithm", "AES", "--replace").status == 0
    assert run("decrypt", token.uri, name, sealed, "--output", back).status == 4
    assert not back.exists()


def test_an_old_output_stays_until_the_new_one_is_whole(run, token, key, document, tmp_path) -> None:
    name, back = key("AES", "--bits", "256"), tmp_path / "back"
    back.write_bytes(b"the old one")
    assert run("decrypt", token.uri, name, document, "--output", back).status == 1
    assert back.read_bytes() == b"the old one"


@pytest.mark.parametrize("verb", ["sign", "encrypt"])
def test_what_a_key_does_not_do_is_said(run, token, key, document, tmp_path, verb) -> None:
    name = key("ECDH_P256")
    refused = run(verb, token.uri, name, document, "--output", tmp_path / "out")
    assert refused.status == 1
    assert "STATUS_NOT_SUPPORTED" in refused.errors
    assert not (tmp_path / "out").exists()
