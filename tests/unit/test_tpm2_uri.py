"""tpm2: URIs, as the backend reads them."""

from __future__ import annotations

import pytest

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.backends import parse_uri
from hwcng.providers.tpm2.uri import Tpm2Uri


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("tpm2:", Tpm2Uri()),
        ("TPM2:?", Tpm2Uri()),
        ("tpm2:swtpm:host=127.0.0.1,port=2321", Tpm2Uri("swtpm:host=127.0.0.1,port=2321")),
        ("tpm2:swtpm:path=/run/x.sock", Tpm2Uri("swtpm:path=/run/x.sock")),
        ("tpm2:device:/dev/tpmrm0", Tpm2Uri("device:/dev/tpmrm0")),
        ("tpm2:tabrmd", Tpm2Uri("tabrmd")),
        ("tpm2:swtpm:path=/run/a%3Fb%23c%25", Tpm2Uri("swtpm:path=/run/a?b#c%")),
        ("tpm2:cmd:ssh host tpm2_send", Tpm2Uri("cmd:ssh host tpm2_send")),
        ("tpm2:?store=/var/lib/keys&object=my%20key", Tpm2Uri(store="/var/lib/keys", object="my key")),
        (
            "tpm2:device:/dev/tpmrm0?store=/k&owner-auth-source=file:/etc/owner&object=k&x-a=b",
            Tpm2Uri("device:/dev/tpmrm0", "/k", "file:/etc/owner", "k", {"x-a": "b"}),
        ),
    ],
)
def test_tpm2_parses(uri: str, parsed: Tpm2Uri) -> None:
    assert parse_uri(uri) == parsed
    assert parse_uri(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("tpm2:device:/dev/tpm0?stor=/k", "'stor' is unknown"),
        ("tpm2:?token=a", "'token' is unknown"),
        ("tpm2:?store=/a&store=/a", "'store' stands twice"),
        ("tpm2:?store=", "store"),
        ("tpm2:?object=", "object"),
        ("tpm2:?store=/a%00", "store"),
        ("tpm2:?store", "'store' has no '='"),
        ("tpm2:?store=/a b", "attribute store"),
        ("tpm2:?store=/a%4", "attribute store has a % without"),
        ("tpm2:?object=%FF", "attribute object is not UTF-8"),
        ("tpm2:device:/dev/tpm0&store=/k", "store belongs in the query"),
        ("tpm2:a#b", "tcti has the character '#'"),
        ("tpm2:a%", "tcti has a % without"),
        ("tpm2:a\tb", "tcti has the character"),
        ("tpm2:\u00e1", "tcti has the character"),
        ("tpm2:%00", "tcti"),
    ],
)
def test_tpm2_refuses_and_says_what(uri: str, named: str) -> None:
    with pytest.raises(CngError) as refused:
        parse_uri(uri)
    assert refused.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert named in refused.value.message


def test_tpm2_escapes_what_rfc_3986_reserves() -> None:
    assert str(Tpm2Uri("swtpm:path=/a?b#c%d e&f")) == "tpm2:swtpm:path=/a%3Fb%23c%25d%20e%26f"


def test_tpm2_none_and_empty_differ_from_nothing() -> None:
    with pytest.raises(CngError):
        Tpm2Uri(tcti="")
