"""TSS2 PRIVATE KEY files as other software writes them: optional fields, parents, PEM, and what is not served."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcng.bcrypt import BCryptImportKeyPair, BCryptOpenAlgorithmProvider, BCryptSignHash
from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
DIGEST = bytes(range(32))
ROOT = bytes.fromhex("02050081000001")
TRUE, FALSE, BER_TRUE = b"\xff", b"\0", b"\1"


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def der_of(key: TssKey, optional: bytes = b"", *, parent: bytes = ROOT, kind: str = "0603") -> bytes:
    """By hand, so that nothing of ours tells what is right."""
    oid = bytes.fromhex("06066781050a01") + bytes([int(kind[-1])])
    parts = [tlv(4, len(part).to_bytes(2, "big") + part) for part in (key.public, key.private)]
    return tlv(0x30, oid + optional + parent + b"".join(parts))


def pem_of(der: bytes, end: bytes = b"\n") -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return end.join([b"-----BEGIN TSS2 PRIVATE KEY-----", *lines, b"-----END TSS2 PRIVATE KEY-----", b""])


def empty_auth(value: bytes) -> bytes:
    return tlv(0xA0, tlv(1, value))


@pytest.fixture(scope="module")
def key(tpm_provider: Tpm2Provider) -> TssKey:
    return key_file_asn1.parse(tpm_provider.generate_pair(SIGNING).opaque())


def signs(provider: Tpm2Provider, blob: bytes | str) -> bool:
    return len(provider.reload_opaque(blob).sign_digest(EcdsaSpec(), DIGEST)) == 64  # type: ignore[union-attr]


def refusal(blob: bytes | str) -> str:
    with pytest.raises(CngError) as error:
        key_file_asn1.parse(blob)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    return error.value.message


# What is written


@given(
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([0, 1, 100, 126, 127, 128, 255, 256, 0xFFFF]),
    st.sampled_from([True, False, None]),
)
@settings(max_examples=60, deadline=None)
def test_files_are_canonical_der(parent: int, size: int, stated: bool | None) -> None:
    value = TssKey(parent, random.Random(parent).randbytes(size), bytes(range(9)), stated)
    optional = b"" if stated is None else empty_auth(TRUE if stated else FALSE)
    integer = tlv(2, parent.to_bytes(parent.bit_length() // 8 + 1, "big"))
    assert key_file_asn1.der_of(value) == der_of(value, optional, parent=integer)
    assert key_file_asn1.build(value) == pem_of(key_file_asn1.der_of(value))
    assert key_file_asn1.parse(key_file_asn1.build(value)) == value == key_file_asn1.parse(key_file_asn1.der_of(value))


# Fields


@pytest.mark.parametrize(
    "optional",
    [
        empty_auth(TRUE),
        empty_auth(BER_TRUE),
        empty_auth(TRUE) + tlv(0xA4, tlv(0x0C, b"me@laptop")),
        empty_auth(TRUE) + tlv(0xA4, tlv(0x0C, "Schlüssel für München ".encode() * 20)),
        empty_auth(TRUE) + tlv(0xA4, tlv(0x0C, b"")),
        empty_auth(TRUE) + tlv(0xA5, tlv(1, FALSE)),
        empty_auth(TRUE) + tlv(0xA5, tlv(1, TRUE)),
        empty_auth(BER_TRUE) + tlv(0xA4, tlv(0x0C, b"x")) + tlv(0xA5, tlv(1, BER_TRUE)),
    ],
)
def test_optional_fields_are_read_past(tpm_provider: Tpm2Provider, key: TssKey, optional: bytes) -> None:
    der = der_of(key, optional)
    assert key_file_asn1.parse(der) == key
    assert signs(tpm_provider, der) and signs(tpm_provider, pem_of(der))


@pytest.mark.parametrize(
    ("optional", "kind", "named"),
    [
        (empty_auth(TRUE) + tlv(0xA1, tlv(0x30, tlv(0x30, tlv(0xA0, b"\2\1\1")))), "3", "field policy"),
        (tlv(0xA1, tlv(0x30, b"")), "3", "field policy"),
        (empty_auth(TRUE) + tlv(0xA2, tlv(4, b"\0\0")), "3", "field secret"),
        (empty_auth(TRUE) + tlv(0xA3, tlv(0x30, tlv(0x30, b""))), "3", "field authPolicy"),
        (empty_auth(TRUE) + tlv(0xA2, tlv(4, b"\0\0")), "4", "importable"),
        (empty_auth(TRUE) + tlv(0xA2, tlv(4, b"\0\5abc")), "4", "importable"),
        (empty_auth(TRUE), "4", "importable"),
        (empty_auth(TRUE), "5", "sealed"),
        (empty_auth(TRUE), "6", "another type"),
    ],
)
def test_what_is_not_served_is_named(key: TssKey, optional: bytes, kind: str, named: str) -> None:
    message = refusal(der_of(key, optional, kind=kind))
    assert named in message
    assert ("policy" in message.lower()) == ("olicy" in named)


@pytest.mark.parametrize(
    "optional",
    [
        empty_auth(b"\2"),
        tlv(0xA0, tlv(2, TRUE)),
        tlv(0xA0, b""),
        tlv(0xA4, tlv(0x0C, b"\xff")),
        tlv(0xA4, tlv(0x0C, b"x")) + empty_auth(TRUE),
        empty_auth(TRUE) * 2,
        tlv(0xA6, tlv(0x0C, b"x")),
        b"\xa0\x81\x03\1\1\xff",
        b"\xa0\x80\1\1\xff\0\0",
    ],
)
def test_what_is_no_der_is_refused(key: TssKey, optional: bytes) -> None:
    refusal(der_of(key, optional))


# Parents


@pytest.mark.parametrize("parent", [ROOT, bytes.fromhex("020481000001")])
def test_a_parent_as_programs_of_32_bits_write_it(tpm_provider: Tpm2Provider, key: TssKey, parent: bytes) -> None:
    der = der_of(key, empty_auth(TRUE), parent=parent)
    assert key_file_asn1.parse(der).parent == 0x81000001
    assert signs(tpm_provider, der) and signs(tpm_provider, pem_of(der))


@pytest.mark.parametrize(
    ("parent", "told"),
    [
        ("02044000000b", "the key's parent is 0x4000000b"),
        ("020440000007", "below a primary key of the owner's hierarchy"),
        ("02050081000002", "nothing is there in this TPM"),
        ("020481000002", "nothing is there in this TPM"),
    ],
)
def test_parents_that_are_none_are_told(tpm_provider: Tpm2Provider, key: TssKey, parent: str, told: str) -> None:
    with pytest.raises(CngError) as error:
        tpm_provider.reload_opaque(der_of(key, empty_auth(TRUE), parent=bytes.fromhex(parent)))
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert told in error.value.message


@pytest.mark.parametrize("parent", ["020100", "020440000001"])
def test_the_tcgs_primary_key_is_made_where_a_file_names_the_owner(
    tpm_provider: Tpm2Provider, key: TssKey, parent: str
) -> None:
    # That of the storage root key's template is the storage root key.
    assert signs(tpm_provider, der_of(key, empty_auth(TRUE), parent=bytes.fromhex(parent)))


@pytest.mark.parametrize("parent", ["02050100000000", "0205ff7fffffff", "02060000000000001"[:16], "0200"])
def test_numbers_that_are_no_handles(key: TssKey, parent: str) -> None:
    refusal(der_of(key, empty_auth(TRUE), parent=bytes.fromhex(parent)))


# PEM


@pytest.fixture(scope="module")
def pem(key: TssKey) -> bytes:
    return pem_of(der_of(key, empty_auth(TRUE)))


FORMS = {
    "as it is written": lambda pem: pem,
    "no end of line": lambda pem: pem.strip(),
    "an empty line after it": lambda pem: pem + b"\n",
    "empty lines in it": lambda pem: pem.replace(b"\n", b"\n\n"),
    "blanks at the ends of lines": lambda pem: pem.replace(b"\n", b" \t\n"),
    "blanks before lines": lambda pem: b" " + pem.replace(b"\n", b"\n  "),
    "CR LF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "CR LF, none at the end": lambda pem: pem.replace(b"\n", b"\r\n").rstrip(),
    "CR": lambda pem: pem.replace(b"\n", b"\r"),
    "text before": lambda pem: b"# laptop\n" + pem,
    "text before that begins as DER does": lambda pem: b"0 the key\n" + pem,
    "text after": lambda pem: pem + b"made 2024-01-01\n",
    "a byte order mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "another PEM before": lambda pem: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pem,
    "another PEM after": lambda pem: pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "all in one line": lambda pem: (
        pem.replace(b"\n", b"").replace(b"KEY-----M", b"KEY-----\nM").replace(b"-----END", b"\n-----END")
    ),
    "lines of 76": lambda pem: b"\n".join(
        [pem[:32], *[pem[33:-32].replace(b"\n", b"")[at : at + 76] for at in range(0, 400, 76)], pem[-32:]]
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_text", [False, True])
def test_pem_as_parsers_are_asked_to_read_it(
    tpm_provider: Tpm2Provider, key: TssKey, pem: bytes, form: str, as_text: bool
) -> None:
    blob = FORMS[form](pem)
    assert key_file_asn1.parse(blob.decode() if as_text else blob) == key
    if not as_text:
        algorithm = BCryptOpenAlgorithmProvider("ECDSA_P256", tpm_provider)
        assert len(BCryptSignHash(BCryptImportKeyPair(algorithm, None, "OpaqueKeyBlob", blob), None, DIGEST)) == 64


@pytest.mark.parametrize(
    "wrong",
    [
        lambda pem: pem.replace(b"\n", b"\nProc-Type: 4,ENCRYPTED\n", 1),
        lambda pem: pem.replace(b"-----END", b"----END"),
        lambda pem: pem.replace(b"END TSS2", b"END RSA"),
        lambda pem: pem.replace(b"KEY-----\n", b"KEY----- x\n", 1),
        lambda pem: pem.rstrip() + b"x",
        lambda pem: b"x" + pem,
        lambda pem: pem.replace(b"\n", b"\n=\n", 1),
        lambda pem: pem.replace(b"\n", b"\n\x0b", 1),
        lambda pem: pem.replace(b"\n", b""),
        lambda pem: pem[: len(pem) // 2],
        lambda pem: b"-----BEGIN TSS2 PRIVATE KEY-----\n" * 5000 + b"\r\n" * 50000,
        lambda pem: b"",
        lambda pem: "\ud800\u20ac",
    ],
)
def test_what_is_no_pem_is_refused(pem: bytes, wrong: object) -> None:
    refusal(wrong(pem))  # type: ignore[operator]


def test_what_is_neither_text_nor_octets(tpm_provider: Tpm2Provider) -> None:
    for value in (None, 5, ["x"], object()):
        with pytest.raises(CngError) as error:
            tpm_provider.reload_opaque(value)  # type: ignore[arg-type]
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


# Files of the store


def test_a_file_of_the_store_is_a_key_file(tpm_provider: Tpm2Provider, tmp_path: Path) -> None:
    name = 'a name\n-----BEGIN TSS2 PRIVATE KEY-----\n"'.replace("\n", " ")
    named = tpm_provider.persist_key(tpm_provider.generate_pair(SIGNING), name)
    content = tpm_provider._keys.files.path(name).read_bytes()
    assert content.startswith(b"{")
    again = tpm_provider.reload_opaque(content)
    assert again.public == named.public and signs(tpm_provider, content.decode())  # type: ignore[union-attr]
    tpm_provider.delete_key(name)
