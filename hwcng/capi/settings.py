"""What CryptSetProvParam sets on a context: the PINs of its pairs, and what a token does of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwcng.arguments import octets, string
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failure
from hwcng.capi.pairs import PairKey
from hwcng.contract.usage import Support
from hwcng.errors import HRESULT, Win32Error, told
from hwcng.headers import wincrypt_h

__all__ = ["SPECS_OF_PINS", "pin_of", "set_pair_pin", "set_prov_param"]

SPECS_OF_PINS: Mapping[int, int] = MappingProxyType(
    {wincrypt_h.PP_KEYEXCHANGE_PIN: wincrypt_h.AT_KEYEXCHANGE, wincrypt_h.PP_SIGNATURE_PIN: wincrypt_h.AT_SIGNATURE}
)
"""PP_ and KP_ alike."""

_NOT_OF_TOKENS: Mapping[int, str] = MappingProxyType(
    {
        wincrypt_h.PP_ADMIN_PIN: "the PIN of a token's security officer is for the token's own tools",
        wincrypt_h.PP_CHANGE_PASSWORD: "a token's PIN is changed by the token's own tools",
        wincrypt_h.PP_KEYSET_SEC_DESCR: "a token keeps its keys by PIN and has no security descriptors",
        wincrypt_h.PP_CRYPT_COUNT_KEY_USE: "tokens count no uses of keys",
    }
)


def pin_of(value: object) -> str | None:
    """A PIN: a str, or octets up to their NUL; None takes it back. No message shows it."""
    if value is None:
        return None
    if isinstance(value, str):
        return string(value, "the PIN")
    try:
        return octets(value, "the PIN").split(b"\0")[0].decode()
    except UnicodeDecodeError:
        raise failure(Win32Error.ERROR_INVALID_PARAMETER, "the PIN is no text") from None


def _set_pin(context: Context, parameter: int, value: object) -> None:
    context.container.set_pin(SPECS_OF_PINS[parameter], pin_of(value))


def _use_hardware_rng(context: Context, parameter: int, value: object) -> None:
    if context.provider.offers("RNG") is Support.REFUSED:
        raise failure(HRESULT.NTE_NOT_SUPPORTED, f"token {context.provider.token.label!r} makes no random numbers")


_SETTERS: Mapping[int, Callable[[Context, int, object], None]] = MappingProxyType(
    {
        wincrypt_h.PP_KEYEXCHANGE_PIN: _set_pin,
        wincrypt_h.PP_SIGNATURE_PIN: _set_pin,
        wincrypt_h.PP_USE_HARDWARE_RNG: _use_hardware_rng,
    }
)


def set_prov_param(context: Context, parameter: int, value: object) -> None:
    """Raises NTE_BAD_TYPE for a parameter that nothing sets, NTE_NOT_SUPPORTED for one that no token has."""
    if parameter in _NOT_OF_TOKENS:
        raise failure(HRESULT.NTE_NOT_SUPPORTED, _NOT_OF_TOKENS[parameter])
    setter = _SETTERS.get(parameter)
    if setter is None:
        raise failure(HRESULT.NTE_BAD_TYPE, f"a context has no parameter {told(parameter)} that is set")
    setter(context, parameter, value)


def set_pair_pin(key: PairKey, parameter: int, value: object) -> None:
    """KP_KEYEXCHANGE_PIN and KP_SIGNATURE_PIN, for what the pair does next and for its container."""
    spec = SPECS_OF_PINS[parameter]
    key.context.container.set_pin(spec, pin_of(value))
    key.context.container.reopen(spec, key.shared)
