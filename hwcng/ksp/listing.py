"""What NCryptEnumKeys gives (ncrypt.h, NCryptKeyName), and what the token tells of the key beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.stored_algorithm import algorithm_name
from hwcng.headers.ncrypt_h import NCryptKeyName

if TYPE_CHECKING:
    from hwcng.contract.provider import KeyRecord
    from hwcng.contract.usage import Usage

__all__ = ["ListedKey"]


class ListedKey(NCryptKeyName):
    """The four documented fields as a tuple. record: everything that `Provider.list_keys` says of the key."""

    record: KeyRecord

    @classmethod
    def of(cls, record: KeyRecord, key_type: int) -> ListedKey:
        """key_type: NCRYPT_MACHINE_KEY_FLAG or 0, which dwFlags shows."""
        listed = cls(record.address or record.name, algorithm_name(record.spec), 0, key_type)
        listed.record = record
        return listed

    @property
    def uri(self) -> str:
        """What `hwcng.open_key` opens; no PIN is in it."""
        return self.record.uri

    @property
    def kind(self) -> str:
        """Such as "RSA", "EC", "ED25519", "AES" or "HMAC"."""
        return self.record.kind

    @property
    def usage(self) -> Usage:
        """What the token lets it do."""
        return self.record.usage

    @property
    def id(self) -> bytes:
        """CKA_ID of a PKCS#11 object; empty where there is none."""
        return self.record.id

    @property
    def certificate(self) -> bool:
        """Whether an X.509 certificate is stored beside it."""
        return self.record.certificate
