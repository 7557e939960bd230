"""Keys of a token with certificates of a CA of the host's, and the configuration by which OpenSSL finds them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwcng.bcrypt import BCryptFinalizeKeyPair, BCryptGenerateKeyPair, BCryptOpenAlgorithmProvider
from hwcng.interop import openssl

if TYPE_CHECKING:
    from hwcng.cng.keys import KeyPair
    from hwcng.contract.provider import Provider

OPENSSL = shutil.which("openssl") or "openssl"
SECONDS = 60


@dataclass
class Identity:
    """Keys of a token with their certificates, and the configuration by which OpenSSL finds them."""

    home: Path
    environ: dict[str, str]
    uris: dict[str, str]

    def run(self, *command: str, data: bytes = b"") -> str:
        done = subprocess.run(
            command, input=data, env=self.environ, cwd=self.home, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, (command, done.stdout.decode(), done.stderr.decode())
        return done.stdout.decode()


def _new(provider: Provider, algorithm: str) -> KeyPair:
    bits = {"RSA": 2048, "ED25519": 255}.get(algorithm, 256)
    pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider(algorithm, provider), bits)
    BCryptFinalizeKeyPair(pair)
    return pair


def make_identity(
    home: Path, provider: Provider, module: Path | None, algorithms: Mapping[str, str | KeyPair]
) -> Identity:
    """A host CA, and a certificate for each name's key, which `openssl req` asks for with the key in the token.

    algorithms: of each name's new key, or the key itself.
    """
    configuration = home / "openssl.cnf"
    configuration.write_text(openssl.configuration(provider, module=module))
    environ = {**os.environ, "TSS2_LOG": "all+none", **openssl.environment(provider, configuration)}
    made = Identity(home, environ, {})
    ca = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    # RFC 5280, 4.2.1: Python 3.13 and newer verify by it to the letter.
    signs = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    subprocess.run(
        [*ca, *signs, "-subj", "/CN=CA", "-keyout", home / "ca.key", "-out", home / "ca.crt"],
        check=True,
        capture_output=True,
    )
    (home / "issued.cnf").write_text("authorityKeyIdentifier = keyid\nsubjectKeyIdentifier = hash\n")
    for name, algorithm in algorithms.items():
        if isinstance(algorithm, str):
            # A TPM has few slots, and openssl needs some: no key stays here.
            with _new(provider, algorithm) as pair, pair.persist(f"tls-{name}", replace=True) as stored:
                pem, made.uris[name] = stored.to_provider_pem(), stored.uri
        else:
            pem, made.uris[name] = algorithm.to_provider_pem(), algorithm.uri
        (home / f"{name}.pem").write_text(pem)
        request = ("req", "-new", "-key", f"{name}.pem", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        made.run(OPENSSL, *request, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        issue = ["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "9"]
        subprocess.run(
            [*issue, "-copy_extensions", "copy", "-extfile", "issued.cnf", "-out", f"{name}.crt"],
            cwd=home,
            check=True,
            capture_output=True,
        )
    return made
