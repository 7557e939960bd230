"""What `cryptography`'s builders make with keys of tokens, verified by the `openssl` command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conformance.finite_fields import DSA_DOMAINS, dsa_parameters
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp
from pyca.certificates import certificate, ocsp_response, request, revocation_list, written
from pyca.openssl import has_tpm2_provider, openssl, succeeds
from support import missing, needs_module

import hwcng
from hwcng import ncrypt, pyca

if TYPE_CHECKING:
    from pyca.pairs import MakePair

    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

KINDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "RSA": ("RSA", 2048, {}),
    "P-256": ("ECDSA", 0, {"ECCCurveName": "nistP256"}),
    "P-521": ("ECDSA", 0, {"ECCCurveName": "nistP521"}),
    "DSA": ("DSA", 1024, {"DSAParameters": dsa_parameters(DSA_DOMAINS[1024])}),
    "Ed25519": ("ED25519", 0, {}),
}


def prove(key: Any, folder: Path) -> None:
    """Every signed thing of a small authority whose key is in a token."""
    asked = request(key, "a host")
    assert asked.is_signature_valid and asked.public_key() == key.public_key()
    openssl("req", "-in", written(folder / "csr.pem", asked), "-verify", "-noout")

    authority = certificate(key, "an authority")
    ca = written(folder / "ca.pem", authority)
    authority.verify_directly_issued_by(authority)
    openssl("verify", "-check_ss_sig", "-CAfile", ca, ca)

    owner = ec.generate_private_key(ec.SECP256R1())
    issued = certificate(key, "a host", owner.public_key(), authority)
    issued.verify_directly_issued_by(authority)
    leaf = written(folder / "leaf.pem", issued)
    openssl("verify", "-CAfile", ca, leaf)

    revoked = revocation_list(key, authority, issued.serial_number)
    assert revoked.is_signature_valid(key.public_key())
    crl = written(folder / "crl.pem", revoked)
    assert "verify OK" in openssl("crl", "-in", crl, "-CAfile", ca, "-noout")
    assert not succeeds("verify", "-crl_check", "-CAfile", ca, "-CRLfile", crl, leaf)

    response = ocsp_response(key, authority, issued)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    answer = written(folder / "ocsp.der", response)
    said = openssl("ocsp", "-respin", answer, "-sha256", "-issuer", ca, "-cert", leaf, "-CAfile", ca)
    assert "Response verify OK" in said and f"{leaf}: good" in said


def prove_cms(key: Any, folder: Path, **options: Any) -> None:
    """A signed message, detached and with its content."""
    authority = certificate(key, "a signer")
    ca, content = written(folder / "signer.pem", authority), folder / "content"
    content.write_bytes(b"what is signed\r\n")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content.read_bytes())
    builder = builder.add_signer(authority, key, hashes.SHA256(), **options)
    for flags in ([pkcs7.PKCS7Options.Binary], [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.DetachedSignature]):
        signed = folder / "signed.pem"
        signed.write_bytes(builder.sign(serialization.Encoding.PEM, flags))
        verify = ["cms", "-verify", "-binary", "-inform", "PEM", "-in", signed, "-CAfile", ca, "-purpose", "any"]
        apart = ["-content", content] if len(flags) == 2 else []
        assert "what is signed" in openssl(*verify, *apart)


@pytest.mark.parametrize("kind", KINDS)
def test_an_authority_on_every_token(kind: str, pair: MakePair, tmp_path: Path) -> None:
    algorithm, bits, properties = KINDS[kind]
    prove(pair(algorithm, bits, **properties).as_cryptography(), tmp_path)


@pytest.mark.parametrize("kind", ["RSA", "P-256"])
def test_signed_messages(kind: str, pair: MakePair, tmp_path: Path) -> None:
    algorithm, bits, properties = KINDS[kind]
    prove_cms(pair(algorithm, bits, **properties).as_cryptography(), tmp_path)


def test_probabilistic_rsa_signatures(pair: MakePair, tmp_path: Path) -> None:
    key = pair("RSA", 2048).as_cryptography()
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    authority = certificate(key, "an authority", rsa_padding=scheme)
    ca = written(tmp_path / "ca.pem", authority)
    openssl("verify", "-check_ss_sig", "-CAfile", ca, ca)
    openssl(
        "req", "-in", written(tmp_path / "csr.pem", request(key, "a host", rsa_padding=scheme)), "-verify", "-noout"
    )
    prove_cms(key, tmp_path, rsa_padding=scheme)


def test_a_message_is_decrypted(pair: MakePair) -> None:
    key: Any = pair("RSA", 2048).as_cryptography()
    owner = certificate(key, "a reader")
    sealed = pkcs7.PKCS7EnvelopeBuilder().set_data(b"a secret").add_recipient(owner)
    der = sealed.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    assert pkcs7.pkcs7_decrypt_der(der, owner, key, []) == b"a secret"


@pytest.mark.parametrize("parameter_set", ["44", "65", "87"])
def test_an_authority_of_ml_dsa(parameter_set: str, pair: MakePair) -> None:
    """This openssl may be older than ML-DSA: `cryptography` verifies."""
    key = pair("ML-DSA", ParameterSetName=parameter_set).as_cryptography()
    authority = certificate(key, "an authority")
    authority.verify_directly_issued_by(authority)
    issued = certificate(key, "a host", ec.generate_private_key(ec.SECP256R1()).public_key(), authority)
    issued.verify_directly_issued_by(authority)
    assert request(key, "a host").is_signature_valid
    assert revocation_list(key, authority, issued.serial_number).is_signature_valid(key.public_key())  # type: ignore[arg-type]


@pytest.fixture(params=["EC:prime256v1", "rsa:2048"])
def key_of_pkcs11_tool(
    request: pytest.FixtureRequest, softhsm: SoftHsm, provider: Provider, token_pin: str
) -> Iterator[str]:
    """The label of a pair that pkcs11-tool made."""
    label = f"made by pkcs11-tool {request.param}"
    tool = ["pkcs11-tool", "--module", str(softhsm.module), "--token-label", provider.token.label, "--login"]
    make = [
        *tool,
        "--pin",
        "env:TOOL_PIN",
        "--keypairgen",
        "--key-type",
        request.param,
        "--label",
        label,
        "--id",
        "c0de",
    ]
    environ = {**os.environ, **softhsm.environ(), "TOOL_PIN": token_pin}
    subprocess.run(make, env=environ, check=True, capture_output=True, timeout=60)
    yield label
    provider.delete_key(label)


@pytest.mark.requires("command:pkcs11-tool")
def test_keys_of_pkcs11_tool(key_of_pkcs11_tool: str, provider: Provider, tmp_path: Path) -> None:
    hwcng.set_default_provider(provider)
    try:
        key = pyca.private_key(provider.key_uri(key_of_pkcs11_tool))
        prove(key, tmp_path)
        prove_cms(key, tmp_path)
    finally:
        hwcng.set_default_provider(None)


@pytest.mark.parametrize("algorithm", ["EC", "RSA"])
def test_keys_that_openssl_made_in_a_tpm(algorithm: str, tmp_path: Path) -> None:
    needs_module("tpm2_pytss")
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    if not has_tpm2_provider():
        missing("tpm2-openssl")
    path = tmp_path / "key.pem"
    options = ["group:P-256"] if algorithm == "EC" else ["bits:2048"]
    settings = [word for option in [*options, "parent:0x81000001"] for word in ("-pkeyopt", option)]
    try:
        running = Swtpm().__enter__()
    except SwtpmError:
        missing("command:swtpm")
    try:
        # The storage root key is made, and nobody is left on the TPM: openssl needs its slots.
        hwcng.open_provider(running.uri).close()
        providers = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
        made = ("genpkey", *providers, "-algorithm", algorithm, *settings, "-out", path)
        openssl(*made, TPM2OPENSSL_TCTI=running.tcti, TSS2_LOG="all+none")
        with hwcng.open_provider(running.uri) as opened:
            storage = ncrypt.NCryptOpenStorageProvider(opened)
            blob = path.read_bytes()
            loaded = ncrypt.NCryptImportKey(storage, None, ncrypt.BCRYPT_OPAQUE_KEY_BLOB, None, blob)
            prove(loaded.as_cryptography(), tmp_path)
            prove_cms(loaded.as_cryptography(), tmp_path)
    finally:
        running.close()


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_an_authority_of_ssh(kind: str, pair: MakePair, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import ssh

    algorithm, bits, properties = KINDS[kind]
    key: Any = pair(algorithm, bits, **properties).as_cryptography()
    builder = ssh.SSHCertificateBuilder().public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    builder = builder.serial(1).type(ssh.SSHCertificateType.USER).valid_for_all_principals().valid_after(0)
    issued = builder.key_id(b"somebody").valid_before(2**63).sign(key)
    issued.verify_cert_signature()
    assert issued.signature_key() == key.public_key()


def test_what_a_key_does_not_do_the_builder_tells(pair: MakePair) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm

    key = pair("ECDH", ECCCurveName="nistP256").as_cryptography()
    with pytest.raises(UnsupportedAlgorithm, match="not made to sign"):
        request(key, "a host")
