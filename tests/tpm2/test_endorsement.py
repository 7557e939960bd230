"""Endorsement keys, their certificates, and credentials that only one TPM recovers; tpm2-tools make and take them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conformance.helpers import refused
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from support import MISSING
from tpm2.manufacturing import Maker, manufacture

import hwcng
from hwcng import NTSTATUS, CngError, PairSpec, SecretFamily, SecretSpec, Usage
from hwcng.attestation import (
    Credential,
    Endorsement,
    attestation_key_name,
    credential_from_file,
    credential_to_file,
    make_credential,
    verify_attestation,
    verify_endorsement,
    verify_quote,
)
from hwcng.contract.protection import Protection
from hwcng.hostcrypto.host_keys import host_key
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import commands, key_file_asn1
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.marshal import sized
from hwcng.providers.tpm2.wire.public_area import name_of, parse_public
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

SECRET = bytes(range(32))
AES = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
INVALID, UNTRUSTED = NTSTATUS.STATUS_INVALID_PARAMETER, NTSTATUS.STATUS_INVALID_SIGNATURE
Exchange = Callable[[bytes], bytes]
Tools = Callable[[str], bytes]
with_tools = pytest.mark.skipif(
    shutil.which("tpm2_makecredential") is None, reason=MISSING + "command:tpm2_makecredential"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Maker, Path]:
    directory = tmp_path_factory.mktemp("made")
    return manufacture(directory), directory


@pytest.fixture(scope="module")
def maker(made: tuple[Maker, Path]) -> Maker:
    return made[0]


@pytest.fixture(scope="module")
def endorsed(made: tuple[Maker, Path]) -> Iterator[Swtpm]:
    with Swtpm(made[1]) as running:
        yield running


@pytest.fixture(scope="module")
def provider(endorsed: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> Iterator[Tpm2Provider]:
    with open_tpm(endorsed.uri) as opened:
        yield opened


def tools_of(tpm: Swtpm, directory: Path) -> Tools:
    """Runs a line of tpm2-tools in a directory."""

    def run(line: str) -> bytes:
        environ = {**os.environ, "TPM2TOOLS_TCTI": tpm.tcti, "TSS2_LOG": "all+none"}
        done = subprocess.run(line.split(), env=environ, cwd=directory, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def tools(fresh_tpm: Swtpm, tmp_path: Path) -> Tools:
    return tools_of(fresh_tpm, tmp_path)


def holds(provider: Tpm2Provider) -> tuple[int, int]:
    """Objects and sessions in the TPM's slots beyond those that the provider keeps there."""

    def count(connection: Any) -> tuple[int, int]:
        objects = len(commands.handles(connection, 0x80000000)) - len(connection.cache)
        return objects, len(commands.handles(connection, 0x02000000)) - 1

    provider.random(1)
    return provider.connection.perform("counting", count)


# Reading.


@pytest.mark.parametrize(("kind", "index", "handle"), [("RSA", 0x1C00002, 0x81010001), ("EC", 0x1C00016, 0x81010016)])
def test_the_key_and_its_certificate(
    provider: Tpm2Provider, endorsed: Swtpm, tmp_path: Path, kind: str, index: int, handle: int
) -> None:
    endorsement = provider.endorsement(kind)
    certificate = x509.load_der_x509_certificate(endorsement.certificate)
    public = parse_public(endorsement.public).material
    assert public is not None and certificate.public_key() == host_key(public)
    if kind == "RSA":
        assert provider.endorsement() == endorsement
    if shutil.which("tpm2_nvread"):
        tools = tools_of(endorsed, tmp_path)
        tools(f"tpm2_nvread {index:#x} -o certificate")
        tools(f"tpm2_readpublic -c {handle:#x} -o public")
        assert (tmp_path / "certificate").read_bytes() == endorsement.certificate
        assert (tmp_path / "public").read_bytes() == sized(endorsement.public)


def test_a_tpm_without_certificates(tpm_provider: Tpm2Provider) -> None:
    rsa, curve = tpm_provider.endorsement(), tpm_provider.endorsement("EC")
    assert rsa == tpm_provider.endorsement("RSA") and not rsa.certificate and not curve.certificate
    assert parse_public(rsa.public).bits == 2048 and parse_public(curve.public).bits == 256
    with refused(UNTRUSTED) as error:
        verify_endorsement(rsa, [])
    assert "none" in str(error.value)
    assert holds(tpm_provider) == (0, 0)
    for kind, status in (("DSA", NTSTATUS.STATUS_NOT_SUPPORTED), (5, INVALID)):
        with refused(status):
            tpm_provider.endorsement(kind)  # type: ignore[arg-type]


@with_tools
@pytest.mark.parametrize("algorithm", ["rsa", "ecc"])
def test_the_same_key_as_tpm2_createek(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], tools: Tools, tmp_path: Path, algorithm: str
) -> None:
    tools(f"tpm2_createek -G {algorithm} -c ek.ctx -u ek.pub")
    tools("tpm2_flushcontext -t")
    with open_tpm(fresh_tpm.uri) as provider:
        assert (tmp_path / "ek.pub").read_bytes() == sized(
            provider.endorsement("RSA" if algorithm == "rsa" else "EC").public
        )


def primary_of(tpm: Swtpm, template: bytes) -> bytes:
    """The public area of an endorsement key that tpm2-pytss has made of a template."""
    import tpm2_pytss as tss
    from tpm2_pytss.types import TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPMT_PUBLIC

    with tss.ESAPI(tpm.tcti) as context:
        public = TPM2B_PUBLIC(TPMT_PUBLIC.unmarshal(template)[0])
        made = context.create_primary(TPM2B_SENSITIVE_CREATE(), public, tss.ESYS_TR.ENDORSEMENT)
        context.flush_context(made[0])
        return bytes(made[1].publicArea.marshal())


@with_tools
@pytest.mark.parametrize("kind", ["RSA", "EC"])
@pytest.mark.parametrize("left", [("nonce",), ("template",), ("nonce", "template")], ids="+".join)
def test_what_a_maker_left_beside_the_certificate(
    fresh_tpm: Swtpm,
    open_tpm: Callable[..., Tpm2Provider],
    tools: Tools,
    tmp_path: Path,
    kind: str,
    left: tuple[str, ...],
) -> None:
    """A nonce is the beginning of the unique field, and a template stands for the usual one."""
    with open_tpm(fresh_tpm.uri) as provider:
        usual = provider.endorsement(kind).public
    first, size = (0x01C00003, 256) if kind == "RSA" else (0x01C0000B, 32)
    rest = b"" if kind == "RSA" else sized(bytes(32))
    area, nonce = usual[: -(2 + size) - len(rest)], b"nonce of the maker".ljust(size // 4, b"\1")
    own = b"\7" * size if "template" in left else bytes(size)
    contents = {"nonce": nonce, "template": area + sized(own) + rest}
    for index, name in ((first, "nonce"), (first + 1, "template")):
        if name in left:
            (tmp_path / name).write_bytes(contents[name])
            tools(f"tpm2_nvdefine {index:#x} -C o -s {len(contents[name])} -a ownerwrite|ownerread|authread")
            tools(f"tpm2_nvwrite {index:#x} -C o -i {name}")
    unique = nonce + own[len(nonce) :] if "nonce" in left else own
    expected = primary_of(fresh_tpm, area + sized(unique) + rest)
    with open_tpm(fresh_tpm.uri) as provider:
        endorsement = provider.endorsement(kind)
        assert endorsement.public == expected != usual
        credential = make_credential(endorsement, attestation_key_name(provider.attestation_key()), SECRET)
        assert provider.activate_credential(credential, endorsement=endorsement) == SECRET


@with_tools
def test_an_index_that_not_everybody_reads(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], tools: Tools, tmp_path: Path
) -> None:
    (tmp_path / "octets").write_bytes(b"\x30\x03\2\1\1" + bytes(11))
    for index, flags in ((0x01C00002, "ownerwrite|ownerread"), (0x01C0000A, "ownerwrite|authread")):
        tools(f"tpm2_nvdefine {index:#x} -C o -s 16 -a {flags}")
    tools("tpm2_nvwrite 0x01c00002 -C o -i octets")
    with open_tpm(fresh_tpm.uri) as provider:
        # One is the owner's, the other was never written.
        assert not provider.endorsement("RSA").certificate and not provider.endorsement("EC").certificate
    tools("tpm2_nvwrite 0x01c0000a -C o -i octets")
    with open_tpm(fresh_tpm.uri) as provider:
        assert provider.endorsement("EC").certificate == b"\x30\x03\2\1\1"
        assert provider.endorsement().certificate == b""


# Certificates.


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_a_certificate_that_leads_to_the_root(provider: Tpm2Provider, maker: Maker, kind: str) -> None:
    endorsement = provider.endorsement(kind)
    tpm = verify_endorsement(endorsement, [maker.root], issuers=[maker.issuer])
    assert tpm.public == endorsement.public and tpm.name == name_of(endorsement.public)
    assert tpm.model == "swtpm" and tpm.version and tpm.manufacturer and len(tpm.path) == 3
    assert tpm.path[0] == endorsement.certificate
    # The issuer may come from the TPM, or be a root; all may be DER.
    issuer = x509.load_pem_x509_certificate(maker.issuer).public_bytes(Encoding.DER)
    with_issuer = dataclasses.replace(endorsement, issuers=(issuer,))
    assert verify_endorsement(with_issuer, [maker.root]) == tpm
    assert len(verify_endorsement(endorsement, [issuer]).path) == 2
    assert verify_endorsement(endorsement, [maker.root + maker.issuer], issuers=[maker.issuer + maker.root])


def test_certificates_that_are_not_believed(provider: Tpm2Provider, maker: Maker, tpm_provider: Tpm2Provider) -> None:
    endorsement, other = provider.endorsement("RSA"), provider.endorsement("EC")
    own = x509.load_der_x509_certificate(endorsement.certificate)
    early = own.not_valid_before_utc - timedelta(days=1)
    issuer = x509.load_pem_x509_certificate(maker.issuer).public_bytes(Encoding.DER)
    for record, roots, at, reason in (
        (endorsement, [], None, "none of the roots"),
        (endorsement, [endorsement.certificate], None, "none of the roots"),
        (endorsement, [maker.root], early, "not valid before"),
        (endorsement, [maker.root], datetime.max.replace(tzinfo=timezone.utc), "ended on"),
        (dataclasses.replace(other, certificate=endorsement.certificate), [maker.root], None, "another key"),
        (dataclasses.replace(endorsement, certificate=issuer), [maker.root], None, "another key"),
        (dataclasses.replace(endorsement, certificate=b"no certificate"), [maker.root], None, "neither DER"),
        (dataclasses.replace(endorsement, issuers=(b"none",)), [maker.root], None, "neither DER"),
        (tpm_provider.endorsement(), [maker.root], None, "has none"),
    ):
        with refused(UNTRUSTED) as error:
            verify_endorsement(record, roots, issuers=[maker.issuer], at=at)
        assert reason in str(error.value), error.value
    with refused(UNTRUSTED):
        verify_endorsement(endorsement, [maker.root])
    octets = endorsement.certificate
    for position in range(0, len(octets), 7):
        bent = octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]
        with refused(UNTRUSTED):
            verify_endorsement(dataclasses.replace(endorsement, certificate=bent), [maker.root], issuers=[maker.issuer])


class Authority:
    """A certification authority as a test wants it."""

    def __init__(self, name: str, above: Authority | None = None, **options: Any) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = (above or self).issue(self.name, self.key.public_key(), **{"ca": True, **options})

    def issue(
        self,
        subject: x509.Name,
        public: Any,
        *,
        ca: bool | None = None,
        length: int | None = None,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        days: int = 10,
        signer: Any = None,
    ) -> bytes:
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(self.name, subject, public, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=20)).not_valid_after(now + timedelta(days=days))
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer or self.key, SHA256()).public_bytes(Encoding.DER)


def usage(*, certificates: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        **dict.fromkeys(names, True),
        key_cert_sign=certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


CONSTRAINTS = x509.NameConstraints([x509.DNSName("example.com")], None)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
ENDORSING = x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.1")])


@pytest.mark.parametrize(
    ("of_issuer", "of_own", "reason"),
    [
        ({}, {}, ""),
        ({"extensions": ((usage(certificates=True), True),)}, {"extensions": ((ENDORSING, True),)}, ""),
        ({"length": 0}, {}, ""),
        ({"extensions": ((UNKNOWN, False),)}, {"extensions": ((UNKNOWN, False),)}, ""),
        ({"ca": None}, {}, "no certification authority"),
        ({"ca": False}, {}, "no certification authority"),
        ({"extensions": ((usage(certificates=False), True),)}, {}, "may not sign certificates"),
        ({"extensions": ((CONSTRAINTS, True),)}, {}, "critical extension"),
        ({"extensions": ((UNKNOWN, True),)}, {}, "critical extension"),
        ({"days": -5}, {}, "ended on"),
        ({}, {"days": -5}, "ended on"),
        ({}, {"extensions": ((UNKNOWN, True),)}, "critical extension"),
        ({}, {"ca": True}, "certification authority"),
        ({}, {"extensions": ((x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False),)}, "other uses"),
        ({}, {"signer": ec.generate_private_key(ec.SECP256R1())}, "none of the roots"),
    ],
)
def test_what_a_path_may_be(
    provider: Tpm2Provider, of_issuer: dict[str, Any], of_own: dict[str, Any], reason: str
) -> None:
    root = Authority("root")
    issuer = Authority("issuer", root, **of_issuer)
    key = provider.endorsement("RSA")
    public = parse_public(key.public).material
    assert public is not None
    certificate = issuer.issue(x509.Name([]), host_key(public), **of_own)
    record = Endorsement(key.public, certificate, (issuer.certificate,))
    if reason:
        with refused(UNTRUSTED) as error:
            verify_endorsement(record, [root.certificate])
        assert reason in str(error.value), error.value
    else:
        tpm = verify_endorsement(record, [root.certificate])
        assert tpm.path == (certificate, issuer.certificate, root.certificate)
        assert (tpm.manufacturer, tpm.model, tpm.version) == ("", "", "")


def test_paths_that_are_too_long(provider: Tpm2Provider) -> None:
    key = provider.endorsement("RSA")
    public: Any = host_key(parse_public(key.public).material)  # type: ignore[arg-type]
    above = [Authority("root")]
    for number in range(8):
        above.append(Authority(f"issuer {number}", above[-1]))
    for depth, held in ((7, True), (8, False)):
        certificate = above[depth].issue(x509.Name([]), public)
        record = Endorsement(key.public, certificate, tuple(one.certificate for one in above[1:]))
        if held:
            assert len(verify_endorsement(record, [above[0].certificate]).path) == depth + 2
        else:
            with refused(UNTRUSTED):
                verify_endorsement(record, [above[0].certificate])
    short = Authority("short", above[0], length=0)
    below = Authority("below", short)
    record = Endorsement(key.public, below.issue(x509.Name([]), public), (below.certificate, short.certificate))
    with refused(UNTRUSTED) as error:
        verify_endorsement(record, [above[0].certificate])
    assert "more issuers" in str(error.value)
    # Issuers that issue one another lead nowhere.
    one, two = Authority("one"), Authority("two")
    around = (one.issue(two.name, two.key.public_key(), ca=True), two.issue(one.name, one.key.public_key(), ca=True))
    with refused(UNTRUSTED):
        verify_endorsement(Endorsement(key.public, one.issue(x509.Name([]), public), around), [above[0].certificate])


def test_names_in_a_certificate(provider: Tpm2Provider) -> None:
    root, key = Authority("root"), provider.endorsement("RSA")
    for written, told in (("id:49465800", "IFX"), ("id:4E544300", "NTC"), ("Maker", "Maker"), ("id:00001014", None)):
        oids = ("2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3")
        attributes = [
            x509.NameAttribute(x509.ObjectIdentifier(oid), value)
            for oid, value in zip(oids, (written, "SLB 9670", "id:0D0B"), strict=True)
        ]
        names = x509.SubjectAlternativeName([x509.DirectoryName(x509.Name(attributes))])
        public: Any = host_key(parse_public(key.public).material)  # type: ignore[arg-type]
        certificate = root.issue(x509.Name([]), public, extensions=((names, True),))
        tpm = verify_endorsement(Endorsement(key.public, certificate), [root.certificate])
        assert (tpm.manufacturer, tpm.model, tpm.version) == (told or written, "SLB 9670", "id:0D0B")


# Credentials.


def test_a_verifier_comes_to_know_the_tpm(provider: Tpm2Provider, maker: Maker) -> None:
    """Device and verifier in turn: the certificate, the credential, and then statements."""
    tpm = verify_endorsement(provider.endorsement(), [maker.root], issuers=[maker.issuer])
    name, secret = attestation_key_name(provider.attestation_key()), os.urandom(32)
    credential = make_credential(tpm, name, secret)
    assert provider.activate_credential(credential) == secret
    assert verify_quote(provider.quote([0], b"nonce"), b"nonce", signer_name=name)
    assert verify_attestation(provider.generate_pair(SIGNING).attest(b"nonce"), b"nonce", signer_name=name)
    assert holds(provider) == (0, 0)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
@pytest.mark.parametrize("length", [1, 20, 32])
def test_secrets_of_any_length(provider: Tpm2Provider, tpm_provider: Tpm2Provider, kind: str, length: int) -> None:
    for opened in (provider, tpm_provider):
        endorsement = opened.endorsement(kind)
        credential = make_credential(endorsement, attestation_key_name(opened.attestation_key()), SECRET[:length])
        assert opened.activate_credential(credential, endorsement=endorsement) == SECRET[:length]


def test_a_longer_secret_for_a_longer_hash(provider: Tpm2Provider) -> None:
    """The endorsement key on P-384 has names of SHA-384."""
    endorsement, name = provider.endorsement("EC"), attestation_key_name(provider.attestation_key())
    assert provider.activate_credential(make_credential(endorsement, name, bytes(48)), endorsement=endorsement)
    with refused(INVALID):
        make_credential(endorsement, name, bytes(49))


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_credentials_that_do_not_fit(provider: Tpm2Provider, tpm_provider: Tpm2Provider, kind: str) -> None:
    """All are refused in the same words, and nothing is left in the TPM."""
    endorsement, other = provider.endorsement(kind), provider.endorsement("EC" if kind == "RSA" else "RSA")
    name = attestation_key_name(provider.attestation_key())
    good, key = make_credential(endorsement, name, SECRET), provider.generate_pair(SIGNING)
    last = good.encrypted_secret[-1:]
    told = set()
    for credential, more in (
        (make_credential(endorsement, b"\0\x0b" + bytes(32), SECRET), {}),
        (make_credential(tpm_provider.endorsement(kind), name, SECRET), {}),
        (dataclasses.replace(good, encrypted_secret=good.encrypted_secret[:-1] + bytes([last[0] ^ 1])), {}),
        (dataclasses.replace(good, encrypted_secret=b""), {}),
        (dataclasses.replace(good, encrypted_secret=bytes(len(good.encrypted_secret))), {}),
        (dataclasses.replace(good, encrypted_secret=b"\xff" * len(good.encrypted_secret)), {}),
        (dataclasses.replace(good, id_object=good.id_object[:-1] + bytes([good.id_object[-1] ^ 1])), {}),
        (dataclasses.replace(good, id_object=good.id_object[:-1]), {}),
        (dataclasses.replace(good, id_object=b""), {}),
        (dataclasses.replace(good, id_object=bytes(500)), {}),
        (good, {"endorsement": other}),
        (good, {"key": key}),
    ):
        with refused(INVALID) as error:
            provider.activate_credential(credential, **{"endorsement": endorsement, **more})  # type: ignore[arg-type]
        told.add((str(error.value), error.value.token_code))
    assert len(told) == 1
    assert provider.activate_credential(good, endorsement=endorsement) == SECRET
    assert holds(provider) == (0, 0)


def test_a_credential_for_another_key(tpm_provider: Tpm2Provider) -> None:
    endorsement = tpm_provider.endorsement("EC")
    for key in (tpm_provider.generate_pair(SIGNING), tpm_provider.generate_secret(AES)):
        credential = make_credential(endorsement, name_of(key.blob()[0].public), SECRET)  # type: ignore[attr-defined]
        assert tpm_provider.activate_credential(credential, key=key, endorsement=endorsement) == SECRET
    pinned = tpm_provider.protecting(Protection(b"PIN")).generate_pair(SIGNING)
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
        tpm_provider.activate_credential(credential, key=pinned, endorsement=endorsement)


def test_arguments_of_the_wrong_kind(provider: Tpm2Provider, maker: Maker) -> None:
    endorsement = provider.endorsement()
    name = attestation_key_name(provider.attestation_key())
    credential = make_credential(endorsement, name, SECRET)
    signing = provider.generate_pair(SIGNING).blob()[0].public
    naive = datetime(2026, 1, 1)
    wrong: Any = None
    for call in (
        lambda: make_credential(wrong, name, SECRET),
        lambda: make_credential(endorsement.public, name, SECRET),  # type: ignore[arg-type]
        lambda: make_credential(endorsement, "name", SECRET),  # type: ignore[arg-type]
        lambda: make_credential(endorsement, name[:-1], SECRET),
        lambda: make_credential(endorsement, b"\0\0" + name[2:], SECRET),
        lambda: make_credential(endorsement, name, b""),
        lambda: make_credential(endorsement, name, bytes(33)),
        lambda: make_credential(endorsement, name, "secret"),  # type: ignore[arg-type]
        lambda: make_credential(Endorsement(signing), name, SECRET),
        lambda: make_credential(Endorsement(provider.attestation_key()), name, SECRET),
        lambda: make_credential(Endorsement(b"\0\1"), name, SECRET),
        lambda: make_credential(Endorsement(wrong), name, SECRET),
        lambda: verify_endorsement(wrong, [maker.root]),
        lambda: verify_endorsement(endorsement, maker.root),  # type: ignore[arg-type]
        lambda: verify_endorsement(endorsement, [5]),  # type: ignore[list-item]
        lambda: verify_endorsement(endorsement, [b"none"]),
        lambda: verify_endorsement(endorsement, [maker.root], issuers=[b"none"]),
        lambda: verify_endorsement(endorsement, [maker.root], at=naive),
        lambda: verify_endorsement(endorsement, [maker.root], at=5),  # type: ignore[arg-type]
        lambda: verify_endorsement(Endorsement(wrong), [maker.root]),
        lambda: verify_endorsement(Endorsement(signing, endorsement.certificate), [maker.root]),
        lambda: attestation_key_name("text"),  # type: ignore[arg-type]
        lambda: attestation_key_name(b"\0"),
        lambda: credential_from_file(b""),
        lambda: credential_from_file(credential_to_file(credential) + b"\0"),
        lambda: credential_from_file(b"\0" + credential_to_file(credential)[1:]),
        lambda: credential_to_file(wrong),
        lambda: credential_to_file(Credential(wrong, b"")),
        lambda: credential_to_file(Credential(bytes(2000), b"")),
        lambda: provider.activate_credential(wrong),
        lambda: provider.activate_credential(Credential(wrong, b"")),
        lambda: provider.activate_credential(Credential(bytes(70_000), b"")),
        lambda: provider.activate_credential(credential, key=5),  # type: ignore[arg-type]
        lambda: provider.activate_credential(credential, endorsement=Endorsement(wrong)),
    ):
        with refused(INVALID):
            call()
    for public in (signing, endorsement.public):
        with refused(UNTRUSTED):
            attestation_key_name(public)
    assert credential_from_file(credential_to_file(credential)) == credential


def test_a_verifier_needs_no_tpm_software() -> None:
    script = (
        "import sys; sys.modules['tpm2_pytss'] = sys.modules['asn1crypto'] = None\n"
        "import hwcng.attestation as a\n"
        "try: a.make_credential(a.Endorsement(b'none'), bytes(34), b'secret')\n"
        "except a.__dict__.get('CngError', Exception) as error: print(error)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", script], check=True, env=environ, capture_output=True, text=True)
    assert "no public area of an endorsement key" in said.stdout


# Beside tpm2-tools.


@with_tools
@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_a_credential_of_tpm2_makecredential(
    provider: Tpm2Provider, endorsed: Swtpm, tmp_path: Path, kind: str
) -> None:
    endorsement, tools = provider.endorsement(kind), tools_of(endorsed, tmp_path)
    (tmp_path / "ek.pub").write_bytes(sized(endorsement.public))
    (tmp_path / "secret").write_bytes(SECRET)
    name = attestation_key_name(provider.attestation_key()).hex()
    tools(f"tpm2_makecredential -T none -u ek.pub -s secret -n {name} -o credential")
    credential = credential_from_file((tmp_path / "credential").read_bytes())
    assert provider.activate_credential(credential, endorsement=endorsement) == SECRET


@with_tools
@pytest.mark.parametrize("algorithm", ["rsa", "ecc"])
def test_tpm2_activatecredential_takes_ours(fresh_tpm: Swtpm, tools: Tools, tmp_path: Path, algorithm: str) -> None:
    """For an attestation key of tpm2_createak, and for that of hwcng."""
    with hwcng.open_provider(fresh_tpm.uri) as provider:
        endorsement = provider.endorsement("RSA" if algorithm == "rsa" else "EC")
        assert provider.attestation_key()
        ours = key_file_asn1.parse(provider._store.attestation_key())  # type: ignore[attr-defined]
    tools(f"tpm2_createek -G {algorithm} -c 0x81010009")
    tools("tpm2_flushcontext -t")
    tools("tpm2_createak -C 0x81010009 -c theirs.ctx -G ecc -g sha256 -s ecdsa -u theirs.pub")
    tools("tpm2_flushcontext -t")
    (tmp_path / "ours.pub").write_bytes(sized(ours.public))
    (tmp_path / "ours.priv").write_bytes(sized(ours.private))
    tools("tpm2_load -C 0x81000001 -u ours.pub -r ours.priv -c ours.ctx")
    tools("tpm2_flushcontext -t")
    for whose in ("theirs", "ours"):
        public = (tmp_path / f"{whose}.pub").read_bytes()[2:]
        credential = make_credential(endorsement, attestation_key_name(public), SECRET)
        (tmp_path / "credential").write_bytes(credential_to_file(credential))
        tools("tpm2_startauthsession --policy-session -S session.ctx")
        tools("tpm2_policysecret -S session.ctx -c e")
        tools(f"tpm2_activatecredential -c {whose}.ctx -C 0x81010009 -i credential -o secret -P session:session.ctx")
        tools("tpm2_flushcontext session.ctx")
        assert (tmp_path / "secret").read_bytes() == SECRET


# On the bus, and what goes wrong.


def watched(provider: Tpm2Provider, work: Callable[[], object]) -> bytes:
    """All that goes over the bus meanwhile."""
    seen = bytearray()

    def watching(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            response = exchange(command)
            seen.extend(command + response)
            return response

        return carry

    undo = provider.connection.instrument(watching)
    work()
    undo()
    return bytes(seen)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_the_secret_is_not_on_the_bus(provider: Tpm2Provider, kind: str) -> None:
    endorsement = provider.endorsement(kind)
    credential = make_credential(endorsement, attestation_key_name(provider.attestation_key()), SECRET)
    seen = watched(provider, lambda: provider.activate_credential(credential, endorsement=endorsement))
    assert int(CC.ActivateCredential).to_bytes(4, "big") in seen and SECRET not in seen


def test_without_a_session_too(fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        provider.connection.encrypted = False
        endorsement = provider.endorsement("EC")
        credential = make_credential(endorsement, attestation_key_name(provider.attestation_key()), SECRET)
        assert provider.activate_credential(credential, endorsement=endorsement) == SECRET


@pytest.fixture
def guarded(fresh_tpm: Swtpm) -> Swtpm:
    """A TPM whose endorsement hierarchy has an authorization value."""
    import tpm2_pytss

    with tpm2_pytss.ESAPI(fresh_tpm.tcti) as context:
        context.hierarchy_change_auth(tpm2_pytss.ESYS_TR.ENDORSEMENT, "value of 2026")
    return fresh_tpm


def test_the_hierarchys_authorization(guarded: Swtpm, open_tpm: Callable[..., Tpm2Provider], tmp_path: Path) -> None:
    for value in (None, b"another value"):
        (tmp_path / "wrong").write_bytes(value or b"")
        source = f"&endorsement-auth-source=file:{tmp_path / 'wrong'}" if value else ""
        with open_tpm(guarded.uri + source) as provider, CommandCounter(provider) as counter:
            with refused(NTSTATUS.STATUS_WRONG_PASSWORD) as error:
                provider.endorsement("EC")
            assert counter.names.count("TPM2_CreatePrimary") == 1
        assert "endorsement-auth-source" in str(error.value) and "another value" not in str(error.value)
    (tmp_path / "right").write_bytes(b"value of 2026\n")
    with open_tpm(guarded.uri + f"&endorsement-auth-source=file:{tmp_path / 'right'}") as provider:
        name = attestation_key_name(provider.attestation_key())

        def work() -> None:
            for kind in ("EC", "RSA"):
                endorsement = provider.endorsement(kind)
                credential = make_credential(endorsement, name, SECRET)
                assert provider.activate_credential(credential, endorsement=endorsement) == SECRET

        seen = watched(provider, work)
        assert b"value of 2026" not in seen and SECRET not in seen
        assert "value" not in repr(provider) + repr(vars(provider)) and holds(provider) == (0, 0)


@with_tools
def test_a_key_at_a_handle_whose_policy_asks_for_the_hierarchy(
    guarded: Swtpm, open_tpm: Callable[..., Tpm2Provider], tools: Tools, tmp_path: Path
) -> None:
    """The value is needed for the policy alone, and a wrong one is sent once."""
    (tmp_path / "right").write_text("value of 2026")
    (tmp_path / "wrong").write_text("another value")
    tools("tpm2_createek -G ecc -c 0x81010009 -P file:right")
    tools("tpm2_flushcontext -t")
    for file, works in (("wrong", False), ("right", True)):
        with open_tpm(guarded.uri + f"&endorsement-auth-source=file:{tmp_path / file}") as provider:
            endorsement = provider.endorsement("EC")
            credential = make_credential(endorsement, attestation_key_name(provider.attestation_key()), SECRET)
            with CommandCounter(provider) as counter:
                if works:
                    assert provider.activate_credential(credential, endorsement=endorsement) == SECRET
                else:
                    with refused(NTSTATUS.STATUS_WRONG_PASSWORD) as error:
                        provider.activate_credential(credential, endorsement=endorsement)
                    assert "endorsement hierarchy" in str(error.value)
            assert counter.names.count("TPM2_PolicySecret") == 1
            assert holds(provider) == (0, 0)


STEPS = [CC.GetCapability, CC.NV_Read, CC.NV_ReadPublic, CC.ReadPublic]
ACTIVATING = [CC.CreatePrimary, CC.StartAuthSession, CC.PolicySecret, CC.ActivateCredential, CC.FlushContext]


def once(code: int, answer: Callable[[Exchange, bytes], bytes], log: list[bytes]) -> Callable[[Exchange], Exchange]:
    """Lets the first command of a kind end in `answer`."""

    def around(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            if command[6:10] != int(code).to_bytes(4, "big") or log:
                return exchange(command)
            log.append(command)
            return answer(exchange, command)

        return carry

    return around


def cut(exchange: Exchange, command: bytes) -> bytes:
    raise TransportError("cut")


def cut_after(exchange: Exchange, command: bytes) -> bytes:
    exchange(command)
    raise TransportError("cut")


@pytest.mark.parametrize("how", [cut, cut_after])
@pytest.mark.parametrize("code", STEPS)
def test_a_line_that_breaks_while_reading(provider: Tpm2Provider, code: CC, how: Any) -> None:
    usual, log = provider.endorsement(), list[bytes]()
    undo = provider.connection.instrument(once(code, how, log))
    assert provider.endorsement() == usual
    undo()
    assert log and holds(provider) == (0, 0)


@pytest.mark.parametrize("how", [cut, cut_after])
@pytest.mark.parametrize("code", ACTIVATING)
def test_a_line_that_breaks_while_activating(tpm_provider: Tpm2Provider, code: CC, how: Any) -> None:
    endorsement = tpm_provider.endorsement("EC")
    credential = make_credential(endorsement, attestation_key_name(tpm_provider.attestation_key()), SECRET)
    tpm_provider.random(1)
    log: list[bytes] = []
    undo = tpm_provider.connection.instrument(once(code, how, log))
    assert tpm_provider.activate_credential(credential, endorsement=endorsement) == SECRET
    undo()
    assert log and holds(tpm_provider) == (0, 0)


@pytest.mark.parametrize("code", ACTIVATING)
@pytest.mark.parametrize(
    ("rc", "status"),
    [
        (RC.FAILURE, NTSTATUS.STATUS_DEVICE_NOT_READY),
        (RC.LOCKOUT, NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT),
        (RC.COMMAND_CODE, NTSTATUS.STATUS_NOT_SUPPORTED),
        (RC.NV_UNAVAILABLE, NTSTATUS.STATUS_DEVICE_BUSY),
        (RC.SESSION_MEMORY, None),
        (RC.OBJECT_MEMORY, None),
    ],
)
def test_a_tpm_that_refuses_a_step(tpm_provider: Tpm2Provider, code: CC, rc: int, status: NTSTATUS | None) -> None:
    """What passes is done again; what does not is told, and neither leaves anything behind."""
    endorsement = tpm_provider.endorsement("EC")
    credential = make_credential(endorsement, attestation_key_name(tpm_provider.attestation_key()), SECRET)
    tpm_provider.random(1)
    log: list[bytes] = []

    def refuse(exchange: Exchange, command: bytes) -> bytes:
        return bytes.fromhex("80010000000a") + int(rc).to_bytes(4, "big")

    undo = tpm_provider.connection.instrument(once(code, refuse, log))
    failed: CngError | None = None
    try:
        assert tpm_provider.activate_credential(credential, endorsement=endorsement) == SECRET
    except CngError as error:
        failed = error
    undo()
    assert log
    if code != CC.FlushContext and not (rc == RC.FAILURE and code == CC.ActivateCredential):
        assert (failed.status if failed else None) is status, failed
    tpm_provider.connection._lose()
    assert tpm_provider.activate_credential(credential, endorsement=endorsement) == SECRET
    assert holds(tpm_provider) == (0, 0)
