"""Named keys of a provider as the objects that bcrypt.py and ncrypt.py work on; the algorithm is told by the key."""

from __future__ import annotations

from hwcng.cng.key_pair import KeyPair
from hwcng.cng.stored_algorithm import handle_of_spec
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.making import KeyMaker
from hwcng.contract.pins import pin_value
from hwcng.contract.protection import Protection
from hwcng.contract.provider import Provider
from hwcng.errors import CngError, told

__all__ = ["handle_of", "maker_of", "open_named", "rename"]


def handle_of(provider: Provider, key: SecretKey | PrivateKey, name: str | None) -> KeyPair | SymmetricKey:
    """A key of `provider`, which keeps it under `name` where that is not None, as an object of its own."""
    made: KeyPair | SymmetricKey
    handle = handle_of_spec(provider, key.spec)
    made = KeyPair.of_token(handle, key) if isinstance(key, PrivateKey) else SymmetricKey.of_token(handle, key)
    made.name = name
    return made


def maker_of(
    provider: Provider, name: str | None, *, pin: str | bytes | None = None, replace: bool = False
) -> KeyMaker:
    """What makes keys of a name, None for keys of this process. pin: the authorization value that they will have; None
    and an empty one: none. replace: whether a key of that name gives way.

    Raises STATUS_NOT_SUPPORTED for a PIN where the token gives keys none of their own.
    """
    if pin:
        return provider.protecting(Protection(pin_value(pin)), name, replace=replace)
    return provider if name is None else provider.named(name, replace=replace)


def open_named(provider: Provider, name: str, *, pin: str | bytes | None = None) -> KeyPair | SymmetricKey:
    """The key that `provider` keeps under a name. pin: the key's own, where it has one. The name of what comes back is
    the shortest that says which key it is.

    Raises NTE_BAD_KEYSET where there is none, NTE_KEYSET_ENTRY_BAD where there are several or it is damaged,
    STATUS_NOT_SUPPORTED for one of an algorithm that CNG does not have.
    """
    key = provider.open_key(name, pin=pin)
    try:
        return handle_of(provider, key, key.name or name)
    except BaseException:
        key.destroy()
        raise


def rename(provider: Provider, name: str, new_name: str, *, pin: str | bytes | None = None) -> None:
    """Gives a key and its certificates another name: it is stored under the new one before the old one goes.

    pin: the key's own, where it has one. Whatever fails, the key is there under one of the two names, and the message
    says where it is under the new one.

    Raises NTE_EXISTS for a name that is taken, and as `open_named`, `Provider.persist_key` and `Provider.delete_key`.
    """
    certificates = provider.certificates(name)
    with open_named(provider, name, pin=pin) as key:
        provider.persist_key(key.in_token(), new_name).destroy()
    try:
        if certificates:
            provider.store_certificates(new_name, certificates)
    except CngError as error:
        _take_back(provider, name, new_name, error)
        raise
    try:
        provider.delete_key(name)
    except CngError as error:
        raise _both(
            error, f"the key is stored as {told(new_name)}; delete {told(name)} if it is still there"
        ) from error


def _take_back(provider: Provider, name: str, new_name: str, error: CngError) -> None:
    try:
        provider.delete_key(new_name)
    except CngError:
        there = (
            f"the key is stored as {told(new_name)} too, without its certificates; delete that: {told(name)} is whole"
        )
        raise _both(error, there) from error


def _both(error: CngError, there: str) -> CngError:
    return CngError(error.status, f"{error.message}; {there}", error.token_code)
