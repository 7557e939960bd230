"""The functions of bcrypt.h over keys in a token ("Cryptography API: Next Generation" of the Windows documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is the documented code. Buffers are bytes, bytearray or memoryview;
integers in them are big-endian unless the documentation says otherwise. Each function's page in that documentation is
its manual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng.cng.keys import AlgorithmHandle as AlgorithmHandle
from hwcng.cng.keys import HashObject as HashObject
from hwcng.cng.keys import KeyPair as KeyPair
from hwcng.cng.keys import Secret as Secret
from hwcng.cng.keys import SymmetricKey as SymmetricKey
from hwcng.cng.padding import BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO as BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO
from hwcng.cng.padding import BCRYPT_INIT_AUTH_MODE_INFO as BCRYPT_INIT_AUTH_MODE_INFO
from hwcng.cng.padding import BCRYPT_OAEP_PADDING_INFO as BCRYPT_OAEP_PADDING_INFO
from hwcng.cng.padding import BCRYPT_PKCS1_PADDING_INFO as BCRYPT_PKCS1_PADDING_INFO
from hwcng.cng.padding import BCRYPT_PQDSA_PADDING_INFO as BCRYPT_PQDSA_PADDING_INFO
from hwcng.cng.padding import BCRYPT_PSS_PADDING_INFO as BCRYPT_PSS_PADDING_INFO
from hwcng.errors import NTSTATUS as NTSTATUS
from hwcng.errors import CngError as CngError
from hwcng.faces import bcrypt_algorithms, bcrypt_hashes, bcrypt_keys, bcrypt_secrets, belong_to
from hwcng.faces.bcrypt_algorithms import *  # noqa: F403
from hwcng.faces.bcrypt_handles import BCRYPT_ALG_HANDLE as BCRYPT_ALG_HANDLE
from hwcng.faces.bcrypt_handles import BCRYPT_HASH_HANDLE as BCRYPT_HASH_HANDLE
from hwcng.faces.bcrypt_handles import BCRYPT_KEY_HANDLE as BCRYPT_KEY_HANDLE
from hwcng.faces.bcrypt_handles import BCRYPT_SECRET_HANDLE as BCRYPT_SECRET_HANDLE
from hwcng.faces.bcrypt_hashes import *  # noqa: F403
from hwcng.faces.bcrypt_keys import *  # noqa: F403
from hwcng.faces.bcrypt_secrets import *  # noqa: F403
from hwcng.headers import bcrypt_h, records, status_codes
from hwcng.headers.bcrypt_h import *  # noqa: F403
from hwcng.headers.ncrypt_h import MS_PLATFORM_CRYPTO_PROVIDER as MS_PLATFORM_CRYPTO_PROVIDER
from hwcng.headers.ncrypt_h import NCRYPT_ALLOW_ARCHIVING_FLAG as NCRYPT_ALLOW_ARCHIVING_FLAG
from hwcng.headers.ncrypt_h import NCRYPT_ALLOW_EXPORT_FLAG as NCRYPT_ALLOW_EXPORT_FLAG
from hwcng.headers.ncrypt_h import NCRYPT_ALLOW_PLAINTEXT_ARCHIVING_FLAG as NCRYPT_ALLOW_PLAINTEXT_ARCHIVING_FLAG
from hwcng.headers.ncrypt_h import NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG as NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG
from hwcng.headers.ncrypt_h import NCRYPT_EXPORT_POLICY_PROPERTY as NCRYPT_EXPORT_POLICY_PROPERTY
from hwcng.headers.records import *  # noqa: F403
from hwcng.headers.status_codes import *  # noqa: F403

belong_to(__name__, bcrypt_algorithms, bcrypt_keys, bcrypt_secrets, bcrypt_hashes)

# mypy does not follow the sums, and finds every name without them.
if not TYPE_CHECKING:
    __all__ = [
        "BCRYPT_ALG_HANDLE",
        "BCRYPT_HASH_HANDLE",
        "BCRYPT_KEY_HANDLE",
        "BCRYPT_SECRET_HANDLE",
        "BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO",
        "BCRYPT_INIT_AUTH_MODE_INFO",
        "BCRYPT_OAEP_PADDING_INFO",
        "BCRYPT_PKCS1_PADDING_INFO",
        "BCRYPT_PQDSA_PADDING_INFO",
        "BCRYPT_PSS_PADDING_INFO",
        "MS_PLATFORM_CRYPTO_PROVIDER",
        "NCRYPT_ALLOW_ARCHIVING_FLAG",
        "NCRYPT_ALLOW_EXPORT_FLAG",
        "NCRYPT_ALLOW_PLAINTEXT_ARCHIVING_FLAG",
        "NCRYPT_ALLOW_PLAINTEXT_EXPORT_FLAG",
        "NCRYPT_EXPORT_POLICY_PROPERTY",
    ]
    __all__ += bcrypt_algorithms.__all__
    __all__ += bcrypt_keys.__all__
    __all__ += bcrypt_secrets.__all__
    __all__ += bcrypt_hashes.__all__
    __all__ += bcrypt_h.__all__
    __all__ += records.__all__
    __all__ += status_codes.__all__
