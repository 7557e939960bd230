"""RFC 7512 URIs and tpm2: URIs, as the backends of hwcng.providers read them."""

from __future__ import annotations

import string
import traceback
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwcng.contract.capabilities import TokenInfo
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.backends import parse_uri
from hwcng.providers.pkcs11.uri import Pkcs11Uri
from hwcng.providers.tpm2.uri import Tpm2Uri
from hwcng.providers.uri_syntax import scheme_of

PIN = "s3kr1t&+?"
PIN_ENCODED = "s3kr1t%26+?"

# RFC 7512, section 3, line breaks taken out as its text asks.
RFC_EXAMPLES = [
    ("pkcs11:", Pkcs11Uri()),
    ("pkcs11:object=my-pubkey;type=public", Pkcs11Uri(object="my-pubkey", type="public")),
    (
        "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
        Pkcs11Uri(object="my-key", type="private", pin_source="file:/etc/token"),
    ),
    (
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
        "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
        Pkcs11Uri(
            token="The Software PKCS#11 Softtoken",
            manufacturer="Snake Oil, Inc.",
            model="1.0",
            object="my-certificate",
            type="cert",
            id=bytes.fromhex("69953e5cf4bdec91"),
            serial="",
            pin_source="file:/etc/token_pin",
        ),
    ),
    (
        "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
        Pkcs11Uri(object="my-sign-key", type="private", module_name="mypkcs11"),
    ),
    (
        "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
        Pkcs11Uri(object="my-sign-key", type="private", module_path="/mnt/libmypkcs11.so.1"),
    ),
    (
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
        Pkcs11Uri(token="Software PKCS#11 softtoken", manufacturer="Snake Oil, Inc.", pin_value="the-pin"),
    ),
    ("pkcs11:slot-description=Sun%20Metaslot", Pkcs11Uri(slot_description="Sun Metaslot")),
    (
        "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23",
        Pkcs11Uri(
            library_manufacturer="Snake Oil, Inc.", library_description="Soft Token Library", library_version=(1, 23)
        ),
    ),
    (
        "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06",
        Pkcs11Uri(token="My token% created by Joe", library_version=(3, 0), id=bytes.fromhex("010203baddcafe040506")),
    ),
    (
        "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert",
        Pkcs11Uri(token="A name with a substring %;", object="my-certificate", type="cert"),
    ),
    (
        "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert",
        Pkcs11Uri(token="Name with a small A with acute: \u00e1", object="my-certificate", type="cert"),
    ),
    (
        "pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a"
        "?pin-source=file:/etc/token_pin&vendor-bbb=value-b",
        Pkcs11Uri(
            token="my-token",
            object="my-certificate",
            type="cert",
            pin_source="file:/etc/token_pin",
            vendor_path={"vendor-aaa": "value-a"},
            vendor_query={"vendor-bbb": "value-b"},
        ),
    ),
]

ACCEPTED = [
    ("PKCS11:token=a", Pkcs11Uri(token="a")),
    ("pKcS11:", Pkcs11Uri()),
    ("pkcs11:?", Pkcs11Uri()),
    ("pkcs11:token=:[]@!$'()*+,=&", Pkcs11Uri(token=":[]@!$'()*+,=&")),
    ("pkcs11:?module-name=:[]@!$'()*+,=/?|", Pkcs11Uri(module_name=":[]@!$'()*+,=/?|")),
    ("pkcs11:token=%3a%5B%2f%3F", Pkcs11Uri(token=":[/?")),
    ("pkcs11:token=", Pkcs11Uri(token="")),
    ("pkcs11:id=", Pkcs11Uri(id=b"")),
    ("pkcs11:id=%FF%00abc", Pkcs11Uri(id=b"\xff\x00abc")),
    ("pkcs11:object=Schl%FCssel%00", Pkcs11Uri(object="Schl\udcfcssel\0")),
    ("pkcs11:slot-id=0", Pkcs11Uri(slot_id=0)),
    ("pkcs11:slot-id=007", Pkcs11Uri(slot_id=7)),
    ("pkcs11:slot-id=18446744073709551615", Pkcs11Uri(slot_id=2**64 - 1)),
    ("pkcs11:slot-manufacturer=S", Pkcs11Uri(slot_manufacturer="S")),
    ("pkcs11:library-version=255.255", Pkcs11Uri(library_version=(255, 255))),
    ("pkcs11:type=secret-key", Pkcs11Uri(type="secret-key")),
    ("pkcs11:type=data", Pkcs11Uri(type="data")),
    ("pkcs11:?pin-value=", Pkcs11Uri(pin_value="")),
    (f"pkcs11:?pin-value={PIN_ENCODED}", Pkcs11Uri(pin_value=PIN)),
    ("pkcs11:?pin-source=|/usr/bin/getpin", Pkcs11Uri(pin_source="|/usr/bin/getpin")),
    ("pkcs11:x-a_1=b?x-a_1=c", Pkcs11Uri(vendor_path={"x-a_1": "b"}, vendor_query={"x-a_1": "c"})),
]

# What is refused, and what the message must name.
REFUSED = [
    ("", "scheme"),
    ("token=a", "scheme"),
    (" pkcs11:token=a", "scheme"),
    ("pkcs11", "scheme"),
    ("pkcs12:token=a", "pkcs12:"),
    ("http://example.org/", "http:"),
    ("pkcs11://token=a", "//token"),
    ("pkcs11:token=a;", "attribute 2 of the path has no name"),
    ("pkcs11:;token=a", "attribute 1 of the path has no name"),
    ("pkcs11:=a", "attribute 1 of the path has no name"),
    ("pkcs11:?=a", "attribute 1 of the query has no name"),
    ("pkcs11:?module-name=a&", "attribute 2 of the query has no name"),
    ("pkcs11:token", "'token' has no '='"),
    ("pkcs11:secretish", "attribute 1 of the path has no '='"),
    ("pkcs11:token=a b", "attribute token has the character ' '"),
    ("pkcs11:token=a/b", "attribute token has the character '/'"),
    ("pkcs11:token=a#b", "attribute token has the character '#'"),
    ("pkcs11:token=\u00e1", "attribute token has the character"),
    ("pkcs11:token=a|b", "attribute token has the character '|'"),
    ("pkcs11:token=a\n", "attribute token has the character"),
    ("pkcs11:?module-path=/a#b", "attribute module-path"),
    ("pkcs11:?module-path=/a;b", "attribute module-path"),
    ("pkcs11:?x-a=b c", "attribute x-a"),
    ("pkcs11:token=%", "attribute token has a % without"),
    ("pkcs11:token=%4", "attribute token has a % without"),
    ("pkcs11:token=%4g", "attribute token has a % without"),
    ("pkcs11:token=%%41", "attribute token has a % without"),
    ("pkcs11:id=%0", "attribute id has a % without"),
    ("pkcs11:token=%FF", "attribute token is not UTF-8"),
    ("pkcs11:serial=%ED%A0%80", "attribute serial is not UTF-8"),
    ("pkcs11:x-a=%C3", "attribute x-a is not UTF-8"),
    ("pkcs11:?module-name=%80", "attribute module-name is not UTF-8"),
    ("pkcs11:token=a;token=a", "'token' stands twice"),
    ("pkcs11:x-a=1;x-a=1", "'x-a' stands twice"),
    ("pkcs11:?module-name=a&module-name=b", "'module-name' stands twice"),
    ("pkcs11:?x-a=1&x-a=2", "'x-a' stands twice"),
    ("pkcs11:?pin-value=1&pin-value=1", "'pin-value' stands twice"),
    ("pkcs11:tokn=a", "'tokn' is unknown in the path"),
    ("pkcs11:Token=a", "'Token' is unknown in the path"),
    ("pkcs11:x-=a", "'x-' is unknown"),
    ("pkcs11:x-a.b=a", "'x-a.b' is unknown"),
    ("pkcs11:X-a=a", "'X-a' is unknown"),
    ("pkcs11:?modul-name=a", "'modul-name' is unknown in the query"),
    ("pkcs11:pin-value=1", "'pin-value' does not belong in the path"),
    ("pkcs11:pin-source=/a", "'pin-source' does not belong in the path"),
    ("pkcs11:module-path=/a", "'module-path' does not belong in the path"),
    ("pkcs11:module-name=a", "'module-name' does not belong in the path"),
    ("pkcs11:?token=a", "'token' does not belong in the query"),
    ("pkcs11:?slot-id=1", "'slot-id' does not belong in the query"),
    ("pkcs11:?pin-source=file:/a&pin-value=b", "pin-source and pin-value"),
    ("pkcs11:slot-id=", "slot-id"),
    ("pkcs11:slot-id=0x1", "slot-id"),
    ("pkcs11:slot-id=-1", "slot-id"),
    ("pkcs11:slot-id=%31", "slot-id"),
    ("pkcs11:slot-id=18446744073709551616", "slot-id"),
    ("pkcs11:slot-id=" + "9" * 5000, "slot-id"),
    ("pkcs11:library-version=", "library-version"),
    ("pkcs11:library-version=.1", "library-version"),
    ("pkcs11:library-version=1.", "library-version"),
    ("pkcs11:library-version=1.2.3", "library-version"),
    ("pkcs11:library-version=256", "library-version"),
    ("pkcs11:library-version=1.256", "library-version"),
    ("pkcs11:type=", "type"),
    ("pkcs11:type=Private", "type"),
    ("pkcs11:type=priv%61te", "type"),
    ("pkcs11:type=key", "type"),
    ("pkcs11:?module-path=lib.so", "module-path must be an absolute path"),
    ("pkcs11:?module-path=", "module-path must be an absolute path"),
    ("pkcs11:?module-path=/a%00b", "module-path must not hold a NUL"),
    ("pkcs11:?x-pin-value=a", "x-pin-value"),
]

# Every one holds the PIN in a place where a person or a program puts it by mistake.
REFUSED_WITH_PIN = [
    "pkcs11:pin-value=1234abcd",
    "pkcs11:token=a;pin-value=1234abcd",
    "pkcs11:token=a&pin-value=1234abcd",
    "pkcs11:token=a;x-a=b&pin-value=1234abcd",
    "pkcs11:?module-path=/a?pin-value=1234abcd",
    "pkcs11:?pin-value=1234 abcd",
    "pkcs11:?pin-value=12%34abcd%",
    "pkcs11:?pin-value=1234abcd%FF",
    "pkcs11:?pin-value=1234abcd#",
    "pkcs11:?pin-value=12&34abcd",
    "pkcs11:?pin-value=12&34abcd=x",
    "pkcs11:?pin-value=12&=34abcd",
    "pkcs11:?pin-value=1234abcd&pin-source=file:/a",
    "pkcs11:?pin-value=1234abcd&pin-value=1234abcd",
    "pkcs11:?pin-value=1234abcd&token=a",
    "pkcs11:?pin-value=1234abcd&tokn=a",
    "pkcs11:?Pin-Value=1234abcd",
    "pkcs11:?pin=1234abcd",
    "pkcs11:?x-pin-value=1234abcd",
    "pkcs11:slot-id=a?pin-value=1234abcd",
    "pkcs12:?pin-value=1234abcd",
    " pkcs11:?pin-value=1234abcd",
    "tpm2:?pin-value=1234abcd",
    "tpm2:?owner-auth=1234abcd",
    "1234abcd",
]


def refusal(uri: str) -> CngError:
    with pytest.raises(CngError) as caught:
        parse_uri(uri)
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    return caught.value


@pytest.mark.parametrize(("uri", "parsed"), RFC_EXAMPLES + ACCEPTED)
def test_parses(uri: str, parsed: Pkcs11Uri) -> None:
    assert parse_uri(uri) == parsed
    assert parse_uri(parsed.to_uri(with_pin=True)) == parsed


@pytest.mark.parametrize(("uri", "named"), REFUSED)
def test_refuses_and_says_what(uri: str, named: str) -> None:
    assert named in refusal(uri).message


@pytest.mark.parametrize("uri", REFUSED_WITH_PIN)
def test_a_refusal_never_tells_the_pin(uri: str) -> None:
    error = refusal(uri)
    chain: BaseException | None = error
    told = "".join(traceback.format_exception(error, chain=True, limit=0))
    while chain is not None:
        told += repr(chain) + str(chain)
        chain = chain.__cause__ or chain.__context__
    assert "1234" not in told
    assert "34abcd" not in told


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "key"},
        {"slot_id": -1},
        {"slot_id": 2**64},
        {"library_version": (1, 256)},
        {"library_version": (-1, 0)},
        {"pin_source": "/a", "pin_value": "b"},
        {"module_path": "a.so"},
        {"module_name": "a\0"},
        {"pin_source": "/a\0"},
        {"token": "\ud800"},
        {"vendor_path": {"token": "a"}},
        {"vendor_query": {"a": "b"}},
        {"vendor_query": {"x-pin-value": "b"}},
        {"vendor_query": {"x-a": "\udfff"}},
    ],
)
def test_no_uri_is_made_that_could_not_be_parsed(fields: dict[str, object]) -> None:
    with pytest.raises(CngError) as caught:
        Pkcs11Uri(**fields)  # type: ignore[arg-type]
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_the_pin_is_in_no_text_of_the_uri() -> None:
    uri = parse_uri(f"pkcs11:token=a?module-name=m&pin-value={PIN_ENCODED}")
    assert isinstance(uri, Pkcs11Uri)
    assert uri.pin_value == PIN
    for text in (str(uri), repr(uri), f"{uri}", f"{uri!r}", uri.to_uri(), ascii(uri)):
        assert "s3kr1t" not in text
        assert "pin-value" not in text
        assert "pin_value" not in text
    assert uri.to_uri(with_pin=True) == f"pkcs11:token=a?pin-value={PIN_ENCODED}&module-name=m"
    assert uri != replace(uri, pin_value="other")


def test_a_pin_that_is_not_text_is_refused_without_telling_it() -> None:
    with pytest.raises(CngError) as caught:
        Pkcs11Uri(pin_value="1234abcd\ud800")
    assert "1234" not in str(caught.value)
    assert caught.value.__context__ is None


def test_frozen_hashable_and_independent_of_the_callers_mapping() -> None:
    vendor = {"x-a": "b"}
    uri = Pkcs11Uri(token="t", vendor_path=vendor)
    vendor["x-a"] = "changed"
    assert uri.vendor_path == {"x-a": "b"}
    assert hash(uri) == hash(parse_uri("pkcs11:token=t;x-a=b"))
    with pytest.raises(TypeError):
        uri.vendor_path["x-a"] = "c"  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        uri.token = "u"  # type: ignore[misc]


def test_builds_exactly_the_abnf() -> None:
    printable = "".join(map(chr, range(0x20, 0x7F)))
    path = Pkcs11Uri(token=printable).to_uri()
    assert path == (
        "pkcs11:token=%20!%22%23$%25&'()*+,-.%2F0123456789:%3B%3C=%3E%3F@ABCDEFGHIJKLMNOPQRSTUVWXYZ[%5C]%5E_%60"
        "abcdefghijklmnopqrstuvwxyz%7B%7C%7D~"
    )
    query = Pkcs11Uri(module_name=printable).to_uri()
    assert query == (
        "pkcs11:?module-name=%20!%22%23$%25%26'()*+,-./0123456789:%3B%3C=%3E?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[%5C]%5E_%60"
        "abcdefghijklmnopqrstuvwxyz%7B|%7D~"
    )
    assert Pkcs11Uri(id=b"ab\x00\xfe").to_uri() == "pkcs11:id=%61%62%00%FE"
    assert Pkcs11Uri(token="\u00e1").to_uri() == "pkcs11:token=%C3%A1"


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
filled_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
vendor_names = st.builds(
    "-".join,
    st.tuples(
        st.sampled_from(["x", "vendor"]),
        st.text(string.ascii_letters + string.digits + "-_", min_size=1).filter(
            lambda name: name.lower() != "pin-value"
        ),
    ),
)
vendor = st.dictionaries(vendor_names, text, max_size=3)
numbers = st.integers(0, 255)
pkcs11_uris = st.builds(
    lambda pins, **fields: Pkcs11Uri(**fields, **pins),
    st.one_of(
        st.just({}),
        st.builds(lambda value: {"pin_value": value}, text),
        st.builds(lambda value: {"pin_source": value}, plain_text),
    ),
    token=st.none() | text,
    manufacturer=st.none() | text,
    serial=st.none() | text,
    model=st.none() | text,
    library_manufacturer=st.none() | text,
    library_description=st.none() | text,
    library_version=st.none() | st.tuples(numbers, numbers),
    slot_manufacturer=st.none() | text,
    slot_description=st.none() | text,
    slot_id=st.none() | st.integers(0, 2**64 - 1),
    object=st.none() | text,
    id=st.none() | st.binary(max_size=40),
    type=st.none() | st.sampled_from(["public", "private", "cert", "secret-key", "data"]),
    module_name=st.none() | plain_text,
    module_path=st.none() | plain_text.map("/".__add__),
    vendor_path=vendor,
    vendor_query=vendor,
)
tpm2_uris = st.builds(
    Tpm2Uri,
    tcti=st.none() | filled_text,
    store=st.none() | filled_text,
    owner_auth_source=st.none() | filled_text,
    object=st.none() | filled_text,
    vendor_query=vendor,
)


@given(pkcs11_uris)
@example(Pkcs11Uri(token="a&pin-value=b", module_path="/?pin-value=c", pin_value="pin-value=d"))
def test_pkcs11_round_trip(uri: Pkcs11Uri) -> None:
    built = uri.to_uri(with_pin=True)
    assert built.isascii()
    assert "#" not in built
    assert parse_uri(built) == uri
    assert parse_uri(str(uri)) == replace(uri, pin_value=None)


@given(tpm2_uris)
@example(Tpm2Uri(tcti="cmd:a?b#c%41&store=/x"))
def test_tpm2_round_trip(uri: Tpm2Uri) -> None:
    assert str(uri).isascii()
    assert parse_uri(str(uri)) == uri


@given(st.one_of(st.text(), text.map("pkcs11:".__add__), text.map("pkcs11:?".__add__), text.map("tpm2:".__add__)))
def test_any_text_is_parsed_or_refused_with_its_status(uri: str) -> None:
    status, parsed = None, None
    try:
        parsed = parse_uri(uri)
    except CngError as error:
        status = error.status
    if parsed is None:
        assert status is NTSTATUS.STATUS_INVALID_PARAMETER
    else:
        assert parse_uri(parsed.to_uri(with_pin=True) if isinstance(parsed, Pkcs11Uri) else str(parsed)) == parsed


TOKEN = TokenInfo(
    label="hsm one                         ",
    manufacturer="SoftHSM project",
    model="SoftHSM v2      ",
    serial="",
    firmware="2.6",
    library="2.6",
)


@pytest.mark.parametrize(
    ("uri", "matches"),
    [
        ("pkcs11:", True),
        ("pkcs11:token=hsm%20one", True),
        ("pkcs11:token=hsm%20one;model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=", True),
        ("pkcs11:object=any;type=private?module-name=any&x-a=b", True),
        ("pkcs11:token=hsm%20one%20", False),
        ("pkcs11:token=HSM%20one", False),
        ("pkcs11:token=hsm", False),
        ("pkcs11:token=", False),
        ("pkcs11:token=hsm%20one;serial=1", False),
        ("pkcs11:manufacturer=SoftHSM", False),
        ("pkcs11:model=SoftHSM", False),
        ("pkcs11:token=hsm%20one;x-a=b", False),
    ],
)
def test_matches_token(uri: str, matches: bool) -> None:
    parsed = parse_uri(uri)
    assert isinstance(parsed, Pkcs11Uri)
    assert parsed.matches_token(TOKEN) is matches


def test_matches_a_label_in_another_normal_form() -> None:
    assert Pkcs11Uri(token="\u00e1").matches_token(replace(TOKEN, label="a\u0301   "))


def test_matches_slot_and_library() -> None:
    uri = Pkcs11Uri(slot_id=5, slot_description="reader", slot_manufacturer="acme")
    assert uri.matches_slot(5, "reader   ", "acme")
    assert not uri.matches_slot(6, "reader", "acme")
    assert not uri.matches_slot(5, "other", "acme")
    assert not uri.matches_slot(5, "reader", "other")
    assert Pkcs11Uri().matches_slot(5, "reader", "acme")
    assert Pkcs11Uri(slot_id=0).matches_slot(0, "", "")
    uri = Pkcs11Uri(library_manufacturer="m", library_description="d", library_version=(3, 0))
    assert uri.matches_library("m ", "d ", "3.0")
    assert not uri.matches_library("m", "d", "3.1")
    assert not uri.matches_library("x", "d", "3.0")
    assert not uri.matches_library("m", "x", "3.0")
    assert Pkcs11Uri().matches_library("m", "d", "3.0")


@pytest.mark.parametrize(
    ("uri", "scheme"), [("PKCS11:a", "pkcs11"), ("tpm2:", "tpm2"), ("a", None), (":", None), ("1a:", None), ("", None)]
)
def test_scheme_of(uri: str, scheme: str | None) -> None:
    assert scheme_of(uri) == scheme
