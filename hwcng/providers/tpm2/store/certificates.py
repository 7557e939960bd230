"""Certificates beside the named keys of a TPM: one file in PEM (RFC 7468) for each key, its own first.

It lies beside the key's file and goes with it. One that a crash left behind is told by its key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress

from hwcng.contract.material import PublicKeyMaterial
from hwcng.errors import HRESULT, CngError
from hwcng.hostcrypto.certificates import is_of, loaded
from hwcng.providers.tpm2.store.files import KeyFiles

__all__ = ["read_certificates", "store_certificates"]

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_LINE = 64


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"\n".join((_BEGIN, *lines, _END, b""))


def _ders(content: bytes) -> list[bytes]:
    blocks = [block.partition(_END)[0] for block in content.split(_BEGIN)[1:]]
    return [base64.b64decode(block.translate(None, b"\r\n"), validate=True) for block in blocks]


def read_certificates(files: KeyFiles, name: str, public: PublicKeyMaterial | None) -> list[bytes]:
    """Those of the key that has this public half. Raises NTE_KEYSET_ENTRY_BAD for a file that holds something else."""
    content = files.read_beside(name)
    if content is None or public is None:
        return []
    with suppress(CngError, ValueError, binascii.Error):
        ders = _ders(content)
        certificates = [loaded(der) for der in ders]
        if certificates:
            return ders if is_of(certificates[0], public) else []
    raise CngError(
        HRESULT.NTE_KEYSET_ENTRY_BAD,
        f"the file of the certificates of the key named {name!r}, {files.path_beside(name)}, holds something else; it "
        "was left as it is",
    )


def store_certificates(files: KeyFiles, name: str, ders: Sequence[bytes]) -> None:
    """The caller is inside `KeyFiles.writing`."""
    if ders:
        files.write_beside(name, b"".join(map(_pem, ders)))
    else:
        files.remove_beside(name)
