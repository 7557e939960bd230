"""JSON Web Keys of joserfc over keys in a token: JWS and JWT (RFC 7515, RFC 7519), JWE (RFC 7516), by joserfc 1.2.

joserfc reads a key's numbers where it is given none. These are given the public ones; the private half signs, decrypts
and agrees in the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from hwcng import pyca
from hwcng.interop.needed import needed
from hwcng.interop.private_keys import lacking

with needed("joserfc", "joserfc"):
    from joserfc.jwk import ECKey, OKPKey, RSAKey

if TYPE_CHECKING:
    from hwcng.pyca.opening import TokenKey

__all__ = ["jwk"]

_KINDS: tuple[tuple[type, Any], ...] = (
    (rsa.RSAPrivateKey, RSAKey),
    (ec.EllipticCurvePrivateKey, ECKey),
    (ed25519.Ed25519PrivateKey, OKPKey),
    (x25519.X25519PrivateKey, OKPKey),
)


def jwk(key: TokenKey, parameters: Mapping[str, Any] | None = None) -> RSAKey | ECKey | OKPKey:
    """The key as joserfc's `jws`, `jwt` and `jwe` take it. What it is written as is its public half, always.

    key: a URI or a key, as `hwcng.pyca.private_key` takes it. parameters: "kid", "use", "alg" and others of RFC 7517.
    ECDH-ES works where agreed secrets may leave the token: `open_provider(uri, allow_raw_secret=True)`.

    Raises UnsupportedAlgorithm for a kind of key that JWK does not know, and what `private_key` raises.
    """
    private = pyca.private_key(key)
    made = next((made for kind, made in _KINDS if isinstance(private, kind)), None)
    try:
        public = None if made is None else made.import_key(private.public_key()).as_dict(private=False)
    except KeyError:
        # A curve that it does not know.
        public = None
    if made is None or public is None:
        raise lacking("joserfc", private)
    key_of_joserfc: RSAKey | ECKey | OKPKey = made(private, public, None if parameters is None else dict(parameters))
    return key_of_joserfc
