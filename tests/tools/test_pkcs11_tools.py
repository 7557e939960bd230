"""Keys that other software makes or uses beside hwcng, in a PKCS#11 token of each test's own."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import ssh
from support import missing
from tools.conftest import LABEL, Ran, Tools
from tools.hwcng_keys import DATA, MADE, PIN
from tools.report import MADE as THEIRS
from tools.report import USED as OURS

from hwcng.testing import nss
from hwcng.testing.pkcs11_provider import PackageError, find_module

RSA_SIGNS = padding.PKCS1v15(), hashes.SHA256()
PEM, OPENSSH = serialization.Encoding.PEM, serialization.Encoding.OpenSSH


def hosts_key(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def public_der(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form).hex()


def pkcs11_tool(token: Tools, *arguments: str | Path) -> bytes:
    login = ("--token-label", LABEL, "--login", "--pin", "env:TOOL_PIN")
    return token.run("pkcs11-tool", "--module", token.module, *login, *arguments, TOOL_PIN=PIN)


@pytest.mark.requires("command:pkcs11-tool")
def test_pkcs11_tool(token: Tools, tmp_path: Path, ran: Ran) -> None:
    pkcs11_tool(token, "--keypairgen", "--key-type", "rsa:2048", "--label", "RSA", "--id", "01")
    pkcs11_tool(token, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "EC", "--id", "02")
    pkcs11_tool(token, "--keygen", "--key-type", "AES:32", "--label", "AES", "--id", "03")
    pkcs11_tool(token, "--keygen", "--key-type", "GENERIC:32", "--label", "HMAC", "--id", "04")
    used = token.in_hwcng()
    assert {name: key.kind for name, key in used.items()} == {kind: kind for kind in ("RSA", "EC", "AES", "HMAC")}
    for name in ("RSA", "EC"):
        read = pkcs11_tool(token, "--read-object", "--type", "pubkey", "--label", name)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        assert serialization.load_der_public_key(read).public_bytes(serialization.Encoding.DER, form) == bytes.fromhex(
            used[name].told
        )
    ran("pkcs11-tool", THEIRS, *used)


def identifiers_in(listed: str) -> dict[str, str]:
    """Labels and their CKA_ID in hexadecimal. OpenSC 0.27 writes a short one in decimal, its octets in parentheses."""
    found = re.findall(r"label: +(.*)\n +ID: +(?:\d+ \(0x)?([0-9a-f:]+)", listed)
    return {label: identifier.replace(":", "") for label, identifier in found}


@pytest.mark.requires("command:pkcs11-tool")
def test_pkcs11_tool_uses_keys_of_hwcng(token: Tools, tmp_path: Path, ran: Ran) -> None:
    ours = token.of_hwcng()
    listed = pkcs11_tool(token, "--list-objects").decode()
    # Older ones take the first key, whatever --label says.
    identifiers = identifiers_in(listed)
    assert set(identifiers) == set(MADE.values())
    given, made = tmp_path / "given", tmp_path / "made"

    def does(kind: str, data: bytes, *arguments: str) -> bytes:
        given.write_bytes(data)
        pkcs11_tool(token, "--id", identifiers[MADE[kind]], "--input-file", given, "--output-file", made, *arguments)
        return made.read_bytes()

    ours["RSA"].public.verify(does("RSA", DATA, "--sign", "--mechanism", "SHA256-RSA-PKCS"), DATA, *RSA_SIGNS)
    encrypted = ours["RSA"].public.encrypt(DATA, padding.PKCS1v15())
    assert does("RSA", encrypted, "--decrypt", "--mechanism", "RSA-PKCS") == DATA
    digest = hashlib.sha256(DATA).digest()
    signed = does("EC", digest, "--sign", "--mechanism", "ECDSA", "--signature-format", "openssl")
    ours["EC"].public.verify(signed, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert does("AES", DATA, "--encrypt", "--mechanism", "AES-CBC", "--iv", "00" * 16).hex() == ours["AES"].told
    ran("pkcs11-tool", OURS, *ours)


def softhsm2_util(token: Tools, file: Path, identifier: str, *arguments: str) -> bytes:
    return token.run(
        *("softhsm2-util", "--module", token.module, "--token", LABEL, "--pin", PIN, "--import", file),
        *("--label", file.name, "--id", identifier, *arguments),
    )


@pytest.mark.requires("command:softhsm2-util")
def test_softhsm2_util(token: Tools, tmp_path: Path, ran: Ran) -> None:
    keys = {kind: hosts_key(kind) for kind in ("RSA", "EC")}
    for number, (kind, key) in enumerate(keys.items()):
        pem = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / kind).write_bytes(pem)
        softhsm2_util(token, tmp_path / kind, f"0{number}")
    (tmp_path / "AES").write_bytes(bytes(range(32, 64)))
    softhsm2_util(token, tmp_path / "AES", "02", "--aes")
    used = token.in_hwcng()
    assert {name: used[name].told for name in keys} == {name: public_der(key) for name, key in keys.items()}
    assert used["AES"].kind == "AES"
    ran("softhsm2-util", THEIRS, *used)


@pytest.mark.requires("command:softhsm2-util", "command:pkcs11-tool")
def test_softhsm2_util_sees_keys_of_hwcng(token: Tools, tmp_path: Path, ran: Ran) -> None:
    ours = token.of_hwcng()
    listed = pkcs11_tool(token, "--list-objects", "--type", "privkey").decode()
    pem = hosts_key("EC").private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "other").write_bytes(pem)
    identifiers = identifiers_in(listed)
    assert len(identifiers) == 2
    for identifier in identifiers.values():
        with pytest.raises(AssertionError, match="already assigned"):
            softhsm2_util(token, tmp_path / "other", identifier)
    assert token.in_hwcng() == {key.name: key for key in ours.values()}
    ran("softhsm2-util", OURS, "RSA", "EC")


def p11tool(token: Tools, *arguments: str | Path) -> str:
    return token.run("p11tool", "--batch", "--provider", token.module, "--login", *arguments, GNUTLS_PIN=PIN).decode()


@pytest.mark.requires("command:p11tool")
def test_gnutls(token: Tools, tmp_path: Path, ran: Ran) -> None:
    p11tool(token, "--generate-privkey=rsa", "--bits=2048", "--label=RSA", f"pkcs11:token={LABEL}")
    p11tool(token, "--generate-privkey=ecdsa", "--curve=secp256r1", "--label=EC", f"pkcs11:token={LABEL}")
    secret = os.urandom(32)
    p11tool(token, "--write", f"--secret-key={secret.hex()}", "--label=HMAC", f"pkcs11:token={LABEL}")
    used = token.in_hwcng()
    assert {name: key.kind for name, key in used.items()} == {kind: kind for kind in ("RSA", "EC", "HMAC")}
    assert used["HMAC"].told == hmac.new(secret, DATA, "sha256").hexdigest()
    ran("p11tool", THEIRS, *used)


@pytest.mark.requires("command:p11tool")
def test_gnutls_uses_keys_of_hwcng(token: Tools, ran: Ran) -> None:
    token.of_hwcng()
    listed = p11tool(token, "--list-all", f"pkcs11:token={LABEL}")
    assert set(re.findall(r"Label: (.*)", listed)) == set(MADE.values())
    for kind in ("RSA", "EC"):
        address = f"pkcs11:token={LABEL};object=of%20hwcng%20{kind};type=private"
        assert "Verifying against public key in the token... ok" in p11tool(token, "--test-sign", address)
    ran("p11tool", OURS, "RSA", "EC")


def keytool(token: Tools, home: Path, *arguments: str) -> bytes:
    configuration = home / "java.cfg"
    configuration.write_text(f"name={LABEL}\nlibrary={token.module}\nslotListIndex=0\n")
    store = ("-keystore", "NONE", "-storetype", "PKCS11", "-storepass:env", "TOOL_PIN")
    code = ("-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", configuration)
    return token.run("keytool", *arguments, *store, *code, TOOL_PIN=PIN)


@pytest.mark.requires("command:keytool")
def test_java(token: Tools, tmp_path: Path, ran: Ran) -> None:
    """Java labels the certificate alone: its alias is the key's id."""
    for alias, kind in (("rsa", ("RSA", "-keysize", "2048")), ("ec", ("EC", "-groupname", "secp256r1"))):
        keytool(token, tmp_path, "-genkeypair", "-alias", alias, "-dname", f"CN={alias}", "-keyalg", *kind)
    used = token.in_hwcng()
    told = {(key.name, key.kind, key.certificate) for key in used.values()}
    assert told == {("pkcs11:id=%72%73%61;type=private", "RSA", True), ("pkcs11:id=%65%63;type=private", "EC", True)}
    ran("keytool", THEIRS, "RSA", "EC")


CERTIFY = """
import sys
import hwcng
from hwcng.cng.naming import open_named
from pyca.certificates import certificate
with hwcng.open_provider(sys.argv[1], pin=sys.argv[2]) as opened:
    for name in sys.argv[3:]:
        key = open_named(opened, name)
        key.store_certificates([certificate(key.as_cryptography(), name)])
"""


def certify(token: Tools, *kinds: str) -> None:
    """Gives keys of hwcng certificates in the token, without which Java and NSS know no key."""
    names = [MADE[kind] for kind in kinds]
    path = str(Path(__file__).parents[1])
    token.run(sys.executable, "-c", CERTIFY, token.uri, token.pin, *names, PYTHONPATH=path)


@pytest.mark.requires("command:keytool")
def test_java_uses_keys_of_hwcng(token: Tools, tmp_path: Path, ran: Ran) -> None:
    ours = token.of_hwcng()
    certify(token, "RSA", "EC")
    listed = keytool(token, tmp_path, "-list").decode()
    for kind in ("RSA", "EC"):
        assert f"{MADE[kind]}, PrivateKeyEntry" in listed
        made = x509.load_pem_x509_csr(keytool(token, tmp_path, "-certreq", "-alias", MADE[kind]))
        assert made.is_signature_valid
        assert made.public_key() == ours[kind].public
    ran("keytool", OURS, "RSA", "EC")


def openssl_configuration(token: Tools, home: Path) -> dict[str, str]:
    """The environment in which openssl loads pkcs11-provider for the token, by the configuration that hwcng writes."""
    try:
        provider = find_module()
    except PackageError:
        missing("pkcs11-provider")
    (home / "pin").write_text(token.pin)
    token.uri += f"&pin-source=file:{home / 'pin'}"
    write = (
        "import sys, hwcng; from hwcng.interop import openssl; opened = hwcng.open_provider(sys.argv[1]); "
        "print(openssl.configuration(opened, module=sys.argv[2]))"
    )
    written = token.run(sys.executable, "-c", write, token.uri, provider)
    # Of genpkey's key there is a URI for its file and no more.
    (home / "openssl.cnf").write_bytes(written + b"pkcs11-module-encode-provider-uri-to-pem = true\n")
    return {"OPENSSL_CONF": str(home / "openssl.cnf")}


@pytest.mark.requires("command:openssl")
def test_openssl_with_pkcs11_provider(token: Tools, tmp_path: Path, ran: Ran) -> None:
    environ = openssl_configuration(token, tmp_path)
    for kind, option in (("RSA", "rsa_keygen_bits:2048"), ("EC", "ec_paramgen_curve:P-256")):
        name = ("-pkeyopt", f"pkcs11_uri:pkcs11:token={LABEL};object={kind}")
        made = ("genpkey", "-algorithm", kind, "-propquery", "provider=pkcs11", "-pkeyopt", option, *name)
        token.run("openssl", *made, "-out", tmp_path / "uri.pem", **environ)
    used = token.in_hwcng()
    assert {name: key.kind for name, key in used.items()} == {kind: kind for kind in ("RSA", "EC")}
    for kind, key in used.items():
        written = token.run(
            "openssl", "pkey", "-in", f"pkcs11:token={LABEL};object={kind};type=public", "-pubin", "-pubout", **environ
        )
        assert serialization.load_pem_public_key(written) == key.public
    ran("openssl, pkcs11-provider", THEIRS, *used)


@pytest.mark.requires("command:openssl")
def test_openssl_with_pkcs11_provider_uses_keys_of_hwcng(token: Tools, tmp_path: Path, ran: Ran) -> None:
    environ = openssl_configuration(token, tmp_path)
    ours = token.of_hwcng()
    (tmp_path / "data").write_bytes(DATA)

    def address(kind: str) -> str:
        return f"pkcs11:token={LABEL};object=of%20hwcng%20{kind};type=private"

    def signed(kind: str) -> bytes:
        return token.run("openssl", "dgst", "-sha256", "-sign", address(kind), tmp_path / "data", **environ)

    ours["RSA"].public.verify(signed("RSA"), DATA, *RSA_SIGNS)
    ours["EC"].public.verify(signed("EC"), DATA, ec.ECDSA(hashes.SHA256()))
    encrypted = ours["RSA"].public.encrypt(DATA, padding.PKCS1v15())
    assert token.run("openssl", "pkeyutl", "-decrypt", "-inkey", address("RSA"), data=encrypted, **environ) == DATA
    ran("openssl, pkcs11-provider", OURS, "RSA", "EC")


@pytest.fixture
def asks(token: Tools, tmp_path: Path) -> Tools:
    """The token for OpenSSH, which asks a program for the PIN."""
    program = tmp_path / "ask"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$TOOL_PIN"\n')
    program.chmod(0o700)
    token.environ |= {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "TOOL_PIN": token.pin}
    return token


def public_lines(token: Tools) -> dict[str, bytes]:
    """A public key's line of ssh-keygen, by the key's name."""
    lines = token.run("ssh-keygen", "-D", token.module).splitlines()
    keys = (line for line in lines if line.startswith((b"ssh-", b"ecdsa-")))
    return {line.split(b" ", 2)[2].decode(): line for line in keys}


@pytest.mark.requires("command:ssh-keygen")
def test_openssh_certifies_with_keys_of_hwcng(asks: Tools, tmp_path: Path, ran: Ran) -> None:
    ours = asks.of_hwcng()
    lines = public_lines(asks)
    assert {name: ssh.load_ssh_public_key(line) for name, line in lines.items()} == {
        MADE[kind]: ours[kind].public for kind in ("RSA", "EC")
    }
    subject = hosts_key("EC").public_key().public_bytes(OPENSSH, serialization.PublicFormat.OpenSSH)
    for kind in ("RSA", "EC"):
        (tmp_path / "authority.pub").write_bytes(lines[MADE[kind]])
        (tmp_path / "subject.pub").write_bytes(subject)
        signs = ("-D", asks.module, "-s", tmp_path / "authority.pub", "-I", "somebody", "-n", "me")
        asks.run("ssh-keygen", *signs, tmp_path / "subject.pub")
        made = ssh.load_ssh_public_identity((tmp_path / "subject-cert.pub").read_bytes())
        assert isinstance(made, ssh.SSHCertificate)
        made.verify_cert_signature()
        assert made.signature_key() == ours[kind].public
    ran("ssh-keygen", OURS, "RSA", "EC")


BRING = """
import sys
from pathlib import Path
import hwcng
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from hwcng.pyca import import_private_key
with hwcng.open_provider(sys.argv[1], pin=sys.argv[2]) as opened:
    for file in map(Path, sys.argv[3:]):
        import_private_key(opened, load_ssh_private_key(file.read_bytes(), None), file.name)
"""


@pytest.mark.requires("command:ssh-keygen")
def test_a_key_of_openssh(token: Tools, tmp_path: Path, ran: Ran) -> None:
    """Its file, which hwcng imports into the token."""
    kinds = {"RSA": ("rsa", "-b", "2048"), "EC": ("ecdsa",)}
    for kind, words in kinds.items():
        token.run("ssh-keygen", "-q", "-N", "", "-f", tmp_path / kind, "-t", *words)
    files = [tmp_path / kind for kind in kinds]
    token.run(sys.executable, "-c", BRING, token.uri, token.pin, *files)
    used = token.in_hwcng()
    for file in files:
        assert used[file.name].public == ssh.load_ssh_public_key(file.with_suffix(".pub").read_bytes())
    ran("ssh-keygen", THEIRS, *kinds)


@contextmanager
def ssh_agent(token: Tools, home: Path) -> Iterator[dict[str, str]]:
    environ = {"SSH_AUTH_SOCK": str(home / "agent")}
    told = token.run("ssh-agent", "-s", "-a", environ["SSH_AUTH_SOCK"], "-P", Path(token.module).resolve()).decode()
    try:
        yield environ
    finally:
        os.kill(int(re.search(r"SSH_AGENT_PID=(\d+)", told)[1]), signal.SIGTERM)  # type: ignore[index]


@pytest.mark.requires("command:ssh-agent", "command:ssh-add", "command:ssh-keygen")
def test_an_agent_of_openssh_signs_with_keys_of_hwcng(asks: Tools, tmp_path: Path, ran: Ran) -> None:
    asks.of_hwcng()
    lines = public_lines(asks)
    with ssh_agent(asks, tmp_path) as environ:
        asks.run("ssh-add", "-s", asks.module, **environ)
        for kind in ("RSA", "EC"):
            line = lines[MADE[kind]]
            (tmp_path / "key.pub").write_bytes(line)
            (tmp_path / "allowed").write_bytes(b"me " + line)
            (tmp_path / "data.sig").unlink(missing_ok=True)
            (tmp_path / "data").write_bytes(DATA)
            asks.run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", tmp_path / "key.pub", tmp_path / "data", **environ)
            verifies = (
                "-Y",
                "verify",
                "-n",
                "file",
                "-I",
                "me",
                "-f",
                tmp_path / "allowed",
                "-s",
                tmp_path / "data.sig",
            )
            assert b"Good" in asks.run("ssh-keygen", *verifies, data=DATA)
    ran("ssh-agent", OURS, "RSA", "EC")


NSS = """
import sys
from hwcng.testing import nss
print(nss.provision(sys.argv[1], sys.argv[2], label="tools").uri)
"""


@pytest.fixture
def database(tmp_path: Path) -> Tools:
    """A database of NSS, made by its tools."""
    try:
        nss.find_module()
    except nss.NssError:
        missing("NSS softokn")
    folder = tmp_path / "nss"
    folder.mkdir()
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "noise").write_bytes(os.urandom(64))
    token = Tools("", {"FOLDER": str(folder)})
    token.run("certutil", "-N", "-d", f"sql:{folder}", "-f", tmp_path / "pin")
    token.uri = token.run(sys.executable, "-c", NSS, folder, PIN).decode().strip()
    return token


def certutil(token: Tools, *arguments: str | Path) -> bytes:
    folder = Path(token.environ["FOLDER"])
    return token.run("certutil", *arguments, "-d", f"sql:{folder}", "-f", folder.parent / "pin")


@pytest.mark.requires("command:certutil", "command:pk12util", "command:openssl")
def test_nss(database: Tools, tmp_path: Path, ran: Ran) -> None:
    new = ("-S", "-x", "-t", ",,", "-z", tmp_path / "noise")
    certutil(database, *new, "-n", "rsa", "-s", "CN=rsa", "-k", "rsa", "-g", "2048")
    certutil(database, *new, "-n", "ec", "-s", "CN=ec", "-k", "ec", "-q", "nistp256")
    key, chain, bundle = (tmp_path / name for name in ("key", "chain", "bundle"))
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=brought")
    database.run(*request, "-keyout", key, "-out", chain)
    named = ("-name", "brought", "-passout", "pass:word")
    database.run("openssl", "pkcs12", "-export", "-inkey", key, "-in", chain, "-out", bundle, *named)
    at = ("-d", f"sql:{database.environ['FOLDER']}", "-k", tmp_path / "pin", "-W", "word")
    database.run("pk12util", "-i", bundle, *at)
    used = database.in_hwcng().values()
    assert sorted((key.kind, key.certificate) for key in used) == [("EC", True), ("RSA", True), ("RSA", True)]
    ran("certutil, pk12util", THEIRS, "RSA", "EC")


@pytest.mark.requires("command:certutil", "command:cmsutil", "command:openssl")
def test_nss_uses_keys_of_hwcng(database: Tools, tmp_path: Path, ran: Ran) -> None:
    """cmsutil finds a key by its certificate, and signs with what it trusts."""
    ours = database.of_hwcng()
    listed = re.findall(r"< *\d+> +(rsa|ec) +\w+ +(.*)", certutil(database, "-K").decode())
    assert {(kind.upper(), name) for kind, name in listed} == {(kind, MADE[kind]) for kind in ("RSA", "EC")}
    certify(database, "RSA", "EC")
    (tmp_path / "data").write_bytes(DATA)
    at = ("-d", f"sql:{database.environ['FOLDER']}", "-f", tmp_path / "pin")
    for kind in ("RSA", "EC"):
        certutil(database, "-M", "-n", MADE[kind], "-t", "CT,CT,CT")
        database.run("cmsutil", "-S", "-N", MADE[kind], *at, "-i", tmp_path / "data", "-o", tmp_path / "signed")
        verify = ("openssl", "cms", "-verify", "-inform", "DER", "-noverify", "-signer", tmp_path / "signer")
        assert database.run(*verify, "-in", tmp_path / "signed") == DATA
        assert x509.load_pem_x509_certificate((tmp_path / "signer").read_bytes()).public_key() == ours[kind].public
    ran("certutil, pk12util", OURS, "RSA", "EC")


@pytest.mark.requires("command:certutil", "command:pk12util", "command:openssl")
def test_who_has_the_pin_of_nss_has_its_keys(database: Tools, tmp_path: Path) -> None:
    """NSS keeps CKA_EXTRACTABLE but does not obey it: docs/limitations.md warns of it for as long as this passes."""
    ours = database.of_hwcng()
    certify(database, "EC")
    at = ("-d", f"sql:{database.environ['FOLDER']}", "-k", tmp_path / "pin")
    database.run("pk12util", "-o", tmp_path / "taken", "-n", MADE["EC"], *at, "-W", "word")
    read = ("openssl", "pkcs12", "-nodes", "-nocerts", "-passin", "pass:word", "-in", tmp_path / "taken")
    taken = serialization.load_pem_private_key(database.run(*read), None)
    assert taken.public_key() == ours["EC"].public
