"""By what a key of a PKCS#11 token is named (RFC 7512, section 2.3)."""

from __future__ import annotations

import pytest

from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.providers.backends import parse_uri
from hwcng.providers.pkcs11.key_addresses import KeyAddress, is_address
from hwcng.providers.pkcs11.uri import Pkcs11Uri


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (b"plain", "plain"),
        (b"slash/and:colon", "slash/and:colon"),
        ("ключ".encode(), "ключ"),
        (b"Schl\xfcssel", "pkcs11:object=Schl%FCssel"),
        (b"ends in NUL\0", "pkcs11:object=ends%20in%20NUL%00"),
        (b"a\0b", "pkcs11:object=a%00b"),
        (b"\xed\xa0\x80", "pkcs11:object=%ED%A0%80"),
        (b"x" * 513, "pkcs11:object=" + "x" * 513),
        # Labels that look like the address of another key.
        (b"pkcs11:id=%01", "pkcs11:object=pkcs11:id%3D%2501"),
        (b"pkcs11:object=x", "pkcs11:object=pkcs11:object%3Dx"),
        # What only looks so is a label.
        (b"pkcs11:id=%zz", "pkcs11:id=%zz"),
        (b"pkcs11:token=a;id=%01", "pkcs11:token=a;id=%01"),
        (b"pkcs11:", "pkcs11:"),
    ],
    ids=ascii,
)
def test_labels_and_names(label: bytes, name: str) -> None:
    address = KeyAddress(label.decode("utf-8", "surrogateescape"))
    assert address.name.replace("=", "%3D") == name.replace("=", "%3D")
    assert KeyAddress.of_name(address.name) == address
    assert address.name.encode()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("pkcs11:id=%01", KeyAddress(identifier=b"\1")),
        ("pkcs11:id=%00%FF%3B", KeyAddress(identifier=b"\0\xff;")),
        ("pkcs11:object=a;type=secret-key", KeyAddress("a", None, "secret-key")),
        ("pkcs11:object=;id=%01;type=private", KeyAddress("", b"\1", "private")),
        ("pkcs11:object=a;id=", KeyAddress("a", b"")),
    ],
)
def test_addresses(name: str, address: KeyAddress) -> None:
    assert is_address(name)
    assert KeyAddress.of_name(name) == address
    assert KeyAddress.of_name(address.name) == address
    uri = address.within(Pkcs11Uri(token="t"))
    assert KeyAddress.of_uri(uri) == address
    assert parse_uri(uri.to_uri()) == uri


def test_every_attribute_that_is_given_counts() -> None:
    key = ("a", b"\1", "private")
    for fits in (KeyAddress("a"), KeyAddress(identifier=b"\1"), KeyAddress("a", b"\1", "private")):
        assert fits.fits(*key)
    for other in (
        KeyAddress("b"),
        KeyAddress(""),
        KeyAddress("a", b""),
        KeyAddress("a", b"\2"),
        KeyAddress("a", type="x"),
    ):
        assert not other.fits(*key)


@pytest.mark.parametrize("uri", ["pkcs11:", "pkcs11:object=", "pkcs11:type=private", "pkcs11:token=t"])
def test_uris_that_name_no_key(uri: str) -> None:
    with pytest.raises(CngError, match="names no key") as caught:
        KeyAddress.of_uri(parse_uri(uri))  # type: ignore[arg-type]
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


@pytest.mark.parametrize("kind", ["public", "cert", "data"])
def test_objects_that_are_no_keys(kind: str) -> None:
    with pytest.raises(CngError, match=f"type={kind}") as caught:
        KeyAddress.of_name(f"pkcs11:object=a;type={kind}")
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "x" * 513, "\udcfc", None, b"bytes"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(CngError) as caught:
        KeyAddress.of_name(name)
    assert caught.value.status is HRESULT.NTE_INVALID_PARAMETER
