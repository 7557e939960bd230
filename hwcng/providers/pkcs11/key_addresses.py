"""What says which key of a PKCS#11 token is meant (RFC 7512, section 2.3: object, id and type).

A key's name is its label. Where that does not say it, because it is no text that a key can have as its name, or because
there is none, or several keys have it, the name is a pkcs11: URI of those attributes: "pkcs11:id=%01;type=private".
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from hwcng.contract.key_names import check_key_name, is_key_name
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.uri import Pkcs11Uri, parse

__all__ = ["KeyAddress", "is_address", "says_all"]

_PREFIX = f"{Pkcs11Uri.scheme}:"
_OPENED = ("private", "secret-key")


def _parsed(name: str) -> Pkcs11Uri | None:
    """`name` as a URI of nothing but object, id and type, None where it is none."""
    if not name.startswith(_PREFIX):
        return None
    try:
        uri = parse(name.removeprefix(_PREFIX))
    except CngError:
        return None
    if uri == Pkcs11Uri():
        return None
    return uri if uri == Pkcs11Uri(object=uri.object, id=uri.id, type=uri.type) else None


def is_address(name: str) -> bool:
    """Whether a name means a key by other attributes than its label."""
    return _parsed(name) is not None


def says_all(label: str) -> bool:
    """Whether a label can be the name of its key."""
    return is_key_name(label) and not (label.startswith(_PREFIX) and is_address(label))


class KeyAddress(NamedTuple):
    """None: any. label: CKA_LABEL as `Pkcs11Uri.object` has it. identifier: CKA_ID. type: "private" or "secret-key".
    Empty: the object has none.
    """

    label: str | None = None
    identifier: bytes | None = None
    type: str | None = None

    @classmethod
    def of_name(cls, name: str) -> KeyAddress:
        """Raises NTE_INVALID_PARAMETER for what is no name, STATUS_INVALID_PARAMETER as `of_uri` does."""
        uri = _parsed(name) if isinstance(name, str) else None
        return cls.of_uri(uri) if uri is not None else cls(check_key_name(name))

    @classmethod
    def of_uri(cls, uri: Pkcs11Uri) -> KeyAddress:
        """Raises STATUS_INVALID_PARAMETER for a URI that names no key, or an object that is none."""
        if uri.type not in (None, *_OPENED):
            raise _invalid(f"type={uri.type} is no key to work with: those are of type=private and type=secret-key")
        if not uri.object and uri.id is None:
            raise _invalid("the URI names no key: it has neither object= nor id=")
        return cls(uri.object, uri.id, uri.type)

    @property
    def name(self) -> str:
        """By which `of_name` finds it again: the label where that says it all."""
        label = self.label or ""
        if self.identifier is None and self.type is None and says_all(label):
            return label
        return self.within(Pkcs11Uri()).to_uri()

    def within(self, token: Pkcs11Uri) -> Pkcs11Uri:
        """The URI of the key in that token."""
        return replace(token, object=self.label, id=self.identifier, type=self.type)

    def fits(self, label: str, identifier: bytes, type: str) -> bool:
        """Whether an object is meant."""
        return self.label in (None, label) and self.identifier in (None, identifier) and self.type in (None, type)


def _invalid(message: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, message)
