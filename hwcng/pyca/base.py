"""What the private keys of all kinds share: they are known by their public half, and nothing hands out the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, TypeVar

from cryptography.hazmat.primitives import serialization

from hwcng.errors import HRESULT, CngError
from hwcng.hostcrypto.host_keys import host_key
from hwcng.pyca.failures import as_cryptography_raises, stays_in_token

if TYPE_CHECKING:
    from hwcng.contract.keys import AgreedSecret, PrivateKey
    from hwcng.contract.material import PublicKeyMaterial
    from hwcng.contract.specs import DecryptSpec, SignSpec

__all__ = ["TokenPair", "TokenPrivateKey"]

K = TypeVar("K", bound="TokenPrivateKey")
_PUBLIC_DER = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


class TokenPair(Protocol):
    """A key pair of hwcng, as far as it counts here."""

    @property
    def public(self) -> PublicKeyMaterial: ...
    @property
    def private(self) -> PrivateKey: ...
    def sign_as(self, spec: SignSpec, data: bytes) -> bytes: ...
    def decrypt_as(self, spec: DecryptSpec, ciphertext: bytes) -> bytes: ...
    def agree_with(self, peer: PublicKeyMaterial) -> AgreedSecret: ...
    def decapsulate(self, ciphertext: bytes) -> bytes: ...
    def when_opened(self, require: Callable[[Any], None]) -> None: ...


class TokenPrivateKey:
    """cng_key: the pair of hwcng whose life this key shares.

    of: the module of `cryptography` whose private keys a class stands for.
    """

    cng_handle: ClassVar[str] = "cng_key"
    """What hwcng's functions take of it."""
    BY_MODULE: ClassVar[dict[str, type[TokenPrivateKey]]] = {}
    reopen: ClassVar[Callable[[TokenPair, bytes], object]]
    """What a pickled key becomes, of its pair and its public half (SubjectPublicKeyInfo)."""

    def __init_subclass__(cls, *, of: str = "", **further: Any) -> None:
        super().__init_subclass__(**further)
        if of:
            cls.BY_MODULE[of] = cls

    def __init__(self, cng_key: TokenPair) -> None:
        with as_cryptography_raises():
            self._public: Any = host_key(cng_key.public)
        self.cng_key = cng_key

    @classmethod
    def unopened(cls: type[K], pair: TokenPair, public: Any) -> K:
        """The key of a pair that is opened when it is first used, if it is that of the public key then."""

        def require(opened: TokenPair) -> None:
            if host_key(opened.public) != public:
                raise CngError(HRESULT.NTE_BAD_KEYSET, f"the name of {pair!r} is now that of another key than was sent")

        pair.when_opened(require)
        key = cls.__new__(cls)
        key._public, key.cng_key = public, pair
        return key

    def public_key(self) -> Any:
        return self._public

    def private_numbers(self) -> NoReturn:
        raise stays_in_token(self._title)

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        raise stays_in_token(self._title)

    def private_bytes_raw(self) -> NoReturn:
        raise stays_in_token(self._title)

    @property
    def _title(self) -> str:
        return f"{type(self).__name__} on {self.cng_key!r}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenPrivateKey):
            return NotImplemented
        equal: bool = self._public == other._public
        return equal

    def __hash__(self) -> int:
        return hash(self._public.public_bytes(*_PUBLIC_DER))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # The pair knows whether it may travel, and how.
        return type(self).reopen, (self.cng_key, self._public.public_bytes(*_PUBLIC_DER))

    def __repr__(self) -> str:
        return f"<{self._title}>"
