"""AES key wrap (RFC 3394): unwrapped into the token as BCRYPT_AES_WRAP_KEY_BLOB, and wrapped there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, refused

from hwcng import bcrypt
from hwcng.contract.provider import Provider

AES_BITS = (128, 192, 256)
WRAP_UNIT = 8
SAMPLE = bytes(range(16))


def aes_block(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


@contextmanager
def key_wrap(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
    bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_ECB)
    exportable = bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_AES_ALGORITHM, provider)
    bcrypt.BCryptSetProperty(exportable, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)

    def run(vector: Vector) -> None:
        blob_type = bcrypt.BCRYPT_AES_WRAP_KEY_BLOB
        bits = 8 * (len(vector["ct"]) - WRAP_UNIT)
        with bcrypt.BCryptGenerateSymmetricKey(algorithm, None, vector["key"]) as wrapping_key:
            unwrap = bcrypt.BCryptImportKey, algorithm, wrapping_key, blob_type, None, vector["ct"]
            if vector.invalid or bits not in AES_BITS:
                refused(bcrypt.STATUS_INVALID_PARAMETER, *unwrap)
                if bits > 0 and bits % (8 * WRAP_UNIT) == 0 and bits not in AES_BITS:
                    raise NotRun(f"AES key of {bits} bits")
                return
            with bcrypt.BCryptImportKey(*unwrap[1:]) as key:
                assert bcrypt.BCryptEncrypt(key, SAMPLE) == aes_block(vector["msg"], SAMPLE)
            with bcrypt.BCryptGenerateSymmetricKey(exportable, None, vector["msg"]) as key:
                assert bcrypt.BCryptExportKey(key, wrapping_key, blob_type) == vector["ct"]

    with algorithm, exportable:
        yield run


FILES = [File("aes_wrap", key_wrap, executed=156)]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
