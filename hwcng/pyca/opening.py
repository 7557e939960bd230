"""Private keys of `cryptography` by their URI, and out of a caller's hands into a token."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, TypeAlias

from hwcng import named_keys
from hwcng.cng import naming
from hwcng.cng.families import family_of
from hwcng.cng.families.request import PairRequest
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.key_names import check_key_name
from hwcng.contract.material import EcPublicKey, PublicKeyMaterial
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, CngError, not_supported
from hwcng.hostcrypto.host_keys import private_material
from hwcng.ksp.handles import NCryptKey
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.failures import as_cryptography_raises, refusal, translated
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hwcng.contract.pins import Pin

    TokenKey: TypeAlias = str | KeyPair | SymmetricKey | NCryptKey | PrivateKeyTypes
    """How a caller names a key: by its URI, or by what was made of it."""

__all__ = ["import_private_key", "private_key"]


def private_key(uri_or_key: TokenKey, *, pin: Pin | None = None) -> PrivateKeyTypes:
    """A token's key as a private key of `cryptography`: an instance of its abstract class.

    uri_or_key: a key's URI, a pair of bcrypt.h, of ncrypt.h or of `hwcng.open_key`, or what this returned before.
    pin: as `hwcng.open_key` has it, with a URI alone.

    Raises CngError as `hwcng.open_key` does, TypeError for what is no key, UnsupportedAlgorithm for a secret key, for a
    kind or a curve that is not served, and where `cryptography` has no such keys, ValueError for a pair without a
    private half.
    """
    if isinstance(uri_or_key, str):
        key: object = _opened(uri_or_key, pin)
    else:
        key = uri_or_key
        if pin is not None:
            raise refusal(TypeError, "pin goes with a URI: a key is open already")
    if isinstance(key, TokenPrivateKey):
        there: PrivateKeyTypes = key  # type: ignore[assignment]
        return there
    if not hasattr(key, "as_cryptography"):
        software = ": import_private_key puts one into a token" if hasattr(key, "private_bytes") else ""
        raise refusal(TypeError, f"a URI or a key of hwcng expected, not {type(key).__name__}{software}")
    with as_cryptography_raises():
        made: PrivateKeyTypes = key.as_cryptography()
    return made


def _opened(uri: str, pin: Pin | None) -> object:
    try:
        return named_keys.open_key(uri, pin=pin)
    except CngError as error:
        if error.status is HRESULT.NTE_NOT_SUPPORTED:
            raise translated(error) from error
        raise


def import_private_key(
    provider: Provider,
    key: PrivateKeyTypes,
    name: str | None = None,
    *,
    usage: Usage | None = None,
    pin: str | bytes | None = None,
) -> KeyPair:
    """Puts a private key of `cryptography` into a token. The library keeps no copy; the caller's own is the caller's.

    name: under which the token keeps it; None: it ends with the process. usage: what it may do there, None for RSA's
    SIGN | DECRYPT, and of a key on a curve SIGN, save for X25519; a key that agrees on secrets has DERIVE.
    pin: the authorization value that the key will have, where the token gives keys values of their own, as a TPM does.

    Raises TypeError for another provider, key or usage, UnsupportedAlgorithm for a kind of key, a curve or a usage that
    the token does not take, ValueError for a key that is not sound, a name that is taken, and what the token answers.
    """
    if not isinstance(provider, Provider):
        raise refusal(TypeError, f"a provider of hwcng.open_provider expected, not {type(provider).__name__}")
    if not hasattr(key, "private_bytes"):
        loaded = "load_pem_private_key makes one of PEM"
        raise refusal(TypeError, f"a private key of cryptography expected, not {type(key).__name__}: {loaded}")
    if not isinstance(usage, Usage | None):
        raise refusal(TypeError, f"usage is a hwcng.Usage or None, not {type(usage).__name__}")
    with as_cryptography_raises():
        material = private_material(key)
        spec = _spec(material.public, usage)
        maker = naming.maker_of(provider, name if name is None else check_key_name(name), pin=pin)
        pair = naming.handle_of(provider, maker.import_pair(spec, material), name)
        assert isinstance(pair, KeyPair)  # noqa: S101 - a private key was imported
        return pair


def _spec(public: PublicKeyMaterial, usage: Usage | None) -> PairSpec:
    family = family_of(public)
    algorithm = family.algorithms[0]
    usual = (
        Usage.DERIVE if isinstance(public, EcPublicKey) and CURVES[public.curve].montgomery else family.usage(algorithm)
    )
    possible = reduce(or_, map(family.possible_usage, family.algorithms))
    if usage is not None and (not usage or usage & ~possible):
        names = " | ".join(str(one.name) for one in Usage if one in possible)
        raise not_supported(f"usage of a key of {family.kind} is one of {names}, or several")
    return replace(family.spec(PairRequest(algorithm, usage=usual), public), usage=usual if usage is None else usage)
