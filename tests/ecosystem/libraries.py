"""The table of libraries that use keys in a token: what each is given, and what it does with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ecosystem import documents, signatures, tokens_of_json, transport
from ecosystem.keys import HeldKey
from support import missing

__all__ = ["LIBRARIES", "UNTOUCHED", "Library", "installed_version"]

UNTOUCHED = "untouched"
_OLD = ("RSA", "P-256")
OPENSSL = "hwcng.interop.openssl"


@dataclass(frozen=True)
class Library:
    """way: "untouched", or the module of hwcng that it needs. run: what it does with a key, unless a test of its own
    does it with a peer.
    """

    name: str
    does: str
    run: Callable[[HeldKey], None] | None = None
    way: str = UNTOUCHED
    kinds: tuple[str, ...] = (*_OLD, "Ed25519")


_ROWS = (
    Library("cryptography", "X.509 requests and certificates", signatures.cryptography),
    Library("PyJWT", "JWT: RS256, PS256, ES256, EdDSA", tokens_of_json.pyjwt),
    Library("python-jose", "JWS: RS256, ES256", tokens_of_json.python_jose, kinds=_OLD),
    Library("josepy", "JWS: RS256, PS256, ES256", tokens_of_json.josepy, kinds=_OLD),
    Library("google-auth", "assertions of a service account", tokens_of_json.google_auth, kinds=_OLD),
    Library("msal", "assertions of a confidential client", tokens_of_json.msal),
    Library("scitokens", "SciTokens: RS256, ES256", tokens_of_json.scitokens, kinds=_OLD),
    Library("securesystemslib", "metadata of TUF and in-toto", signatures.securesystemslib),
    Library("dnspython", "DNSSEC: RSASHA256, ECDSAP256SHA256, ED25519", signatures.dnspython),
    Library("signxml", "XML signatures", signatures.signxml, kinds=_OLD),
    Library("http-message-signatures", "HTTP messages (RFC 9421)", signatures.http_message_signatures),
    Library("aioquic", "a QUIC server: TLS 1.3", transport.aioquic),
    Library("joserfc", "JWS, JWT; JWE by RSA-OAEP", tokens_of_json.joserfc, "hwcng.interop.joserfc"),
    Library(
        "acme",
        "a certificate issued by Pebble",
        tokens_of_json.acme,
        "hwcng.interop.acme",
        kinds=_OLD,
    ),
    Library("pyHanko", "signed PDF", documents.pyhanko, "hwcng.interop.pyhanko"),
    Library("paramiko", "SSH: a client at sshd, a host for ssh", way="hwcng.interop.paramiko"),
    Library("asyncssh", "SSH: a client at sshd, a host for ssh", way="hwcng.interop.asyncssh"),
    Library("uvicorn", "serves TLS 1.3, asks for certificates", way=OPENSSL),
    Library("requests", "calls with a certificate: TLS 1.3", way=OPENSSL),
    Library("httpx", "calls with a certificate: TLS 1.3", way=OPENSSL),
    Library("urllib3", "calls with a certificate: TLS 1.3", way=OPENSSL),
    Library("aiohttp", "calls with a certificate: TLS 1.3", way=OPENSSL),
)

LIBRARIES: Mapping[str, Library] = {row.name: row for row in _ROWS}


def installed_version(library: Library) -> str:
    """Skips where the library is not installed."""
    try:
        return version(library.name)
    except PackageNotFoundError:
        missing(f"Python's {library.name}")
