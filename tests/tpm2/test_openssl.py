"""Files that tpm2-openssl reads and writes (Debian's package tpm2-openssl)."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from interop.tls_identity import make_identity
from support import MISSING

from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.contract.specs import EcdsaSpec, PairSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec
from hwcng.contract.usage import Usage
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

DIGEST = bytes(range(32))
OPENSSL = shutil.which("openssl") or "openssl"


def openssl(tpm: Swtpm, *arguments: str, data: bytes = b"") -> bytes:
    environ = {**os.environ, "TPM2OPENSSL_TCTI": tpm.tcti, "TSS2_LOG": "all+none"}
    done = subprocess.run([OPENSSL, *arguments], input=data, env=environ, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def has_provider() -> bool:
    """Whether tpm2.so is where openssl looks; loading it would need a TPM."""
    try:
        done = subprocess.run([OPENSSL, "version", "-m"], capture_output=True, check=False, text=True, timeout=20)
    except OSError:
        return False
    return (Path(done.stdout.partition('"')[2].strip().rstrip('"')) / "tpm2.so").is_file()


pytestmark = pytest.mark.skipif(not has_provider(), reason=MISSING + "tpm2-openssl")


@pytest.fixture
def owned(fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> Swtpm:
    """A TPM with its storage root key, and nobody on it: openssl needs its slots."""
    open_tpm(fresh_tpm.uri).close()
    return fresh_tpm


BOTH_PROVIDERS = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")


def test_openssl_signs_with_our_elliptic_key(
    owned: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path
) -> None:
    path, digest = tmp_path / "key.pem", tmp_path / "digest"
    digest.write_bytes(DIGEST)
    with open_tpm(owned.uri) as provider:
        key = provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
        path.write_bytes(key.opaque())
        public = key.public
    assert isinstance(public, EcPublicKey)
    signature = openssl(
        owned, "pkeyutl", *BOTH_PROVIDERS, "-sign", "-inkey", str(path), "-in", str(digest), "-pkeyopt", "digest:SHA256"
    )
    host = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key()
    host.verify(signature, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_openssl_signs_and_decrypts_with_our_rsa_key(
    owned: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path
) -> None:
    path, message = tmp_path / "key.pem", tmp_path / "message"
    with open_tpm(owned.uri) as provider:
        key = provider.generate_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048))
        path.write_bytes(key.opaque())
        public = key.public
    assert isinstance(public, RsaPublicKey)
    from cryptography.hazmat.primitives.asymmetric import rsa

    host = rsa.RSAPublicNumbers(public.public_exponent, public.modulus).public_key()
    message.write_bytes(b"message")
    signature = openssl(owned, "dgst", *BOTH_PROVIDERS, "-sha256", "-sign", str(path), str(message))
    host.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    message.write_bytes(host.encrypt(b"secret", padding.PKCS1v15()))
    assert openssl(owned, "pkeyutl", *BOTH_PROVIDERS, "-decrypt", "-inkey", str(path), "-in", str(message)) == b"secret"


@pytest.mark.parametrize("algorithm", ["EC", "RSA"])
def test_keys_that_openssl_makes_work_here(
    owned: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path, algorithm: str
) -> None:
    path = tmp_path / "key.pem"
    options = ["group:P-256"] if algorithm == "EC" else ["bits:2048"]
    settings = [word for option in [*options, "parent:0x81000001"] for word in ("-pkeyopt", option)]
    openssl(owned, "genpkey", *BOTH_PROVIDERS, "-algorithm", algorithm, *settings, "-out", str(path))
    public = serialization.load_pem_public_key(openssl(owned, "pkey", *BOTH_PROVIDERS, "-in", str(path), "-pubout"))
    assert b"TSS2 PRIVATE KEY" in path.read_bytes()
    with open_tpm(owned.uri) as provider:
        key = provider.reload_opaque(path.read_bytes())
        if algorithm == "EC":
            signature = key.sign_digest(EcdsaSpec(), DIGEST)  # type: ignore[union-attr]
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            encoded = utils.encode_dss_signature(r, s)
            public.verify(encoded, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))  # type: ignore[union-attr,call-arg,arg-type]
        else:
            signature = key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)  # type: ignore[union-attr]
            public.verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))  # type: ignore[union-attr,call-arg,arg-type]
            assert key.decrypt(RsaPkcs1DecryptSpec(), public.encrypt(b"x", padding.PKCS1v15())) == b"x"  # type: ignore[union-attr,arg-type]
        # What we write of it says the same; openssl's TRUE is BER.
        assert key_file_asn1.parse(key.opaque()) == key_file_asn1.parse(path.read_bytes())


def test_a_key_with_a_password_made_by_openssl(
    owned: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    settings = ["-pkeyopt", "group:P-256", "-pkeyopt", "parent:0x81000001", "-pkeyopt", "user-auth:abc"]
    openssl(owned, "genpkey", *BOTH_PROVIDERS, "-algorithm", "EC", *settings, "-out", str(path))
    with open_tpm(owned.uri) as provider:
        key = provider.reload_opaque(path.read_bytes(), pin="abc")
        assert len(key.sign_digest(EcdsaSpec(), DIGEST)) == 64  # type: ignore[union-attr]
        assert provider.reload_opaque(key.opaque(), pin="abc").spec == key.spec


@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "RSA"])
def test_python_serves_tls_with_our_key(
    owned: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path, algorithm: str
) -> None:
    with open_tpm(owned.uri) as provider:
        identity = make_identity(tmp_path, provider, None, {"server": algorithm})
    assert (tmp_path / "server.pem").read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----\n")
    serve = (
        "import socket, ssl; tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); "
        "tls.load_cert_chain('server.crt', 'server.pem'); listening = socket.create_server(('127.0.0.1', 0)); "
        "print(listening.getsockname()[1], flush=True); "
        "tls.wrap_socket(listening.accept()[0], server_side=True).sendall(b'served')"
    )
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    with subprocess.Popen(
        [sys.executable, "-c", serve],
        cwd=tmp_path,
        env=identity.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            with (
                socket.create_connection(("127.0.0.1", port), 30) as raw,
                client.wrap_socket(raw, server_hostname="localhost") as connection,
            ):
                assert connection.recv(100) == b"served"
        finally:
            server.kill()
