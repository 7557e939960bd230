"""The functions of ncrypt.h over the keys that a token keeps ("Cryptography API: Next Generation" of the Windows
documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is the documented SECURITY_STATUS. None where a pointer is mandatory is
0x800706F4 (RPC_X_NULL_REF_POINTER). Every function also takes the keys that `hwcng.open_key` returns; bcrypt.py takes
`hKey.key` of a key made here. Each function's page in that documentation is its manual.

NCRYPT_SILENT_FLAG is accepted everywhere: nothing here ever shows anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng import bcrypt
from hwcng.bcrypt import *  # noqa: F403
from hwcng.cng.padding import NCRYPT_CIPHER_PADDING_INFO as NCRYPT_CIPHER_PADDING_INFO
from hwcng.errors import HRESULT as HRESULT
from hwcng.faces import belong_to, ncrypt_operations, ncrypt_storage
from hwcng.faces.ncrypt_handles import NCRYPT_KEY_HANDLE as NCRYPT_KEY_HANDLE
from hwcng.faces.ncrypt_handles import NCryptHandle as NCryptHandle
from hwcng.faces.ncrypt_operations import *  # noqa: F403
from hwcng.faces.ncrypt_storage import *  # noqa: F403
from hwcng.headers import ncrypt_h

# A type checker does not follow what `hwcng.bcrypt` hands on.
from hwcng.headers.bcrypt_h import *  # noqa: F403
from hwcng.headers.ncrypt_h import *  # noqa: F403
from hwcng.headers.records import *  # noqa: F403
from hwcng.headers.status_codes import *  # noqa: F403
from hwcng.ksp.handles import NCryptKey as NCryptKey
from hwcng.ksp.handles import StorageProvider as StorageProvider

belong_to(__name__, ncrypt_storage, ncrypt_operations)

# mypy does not follow the sums, and finds every name without them.
if not TYPE_CHECKING:
    __all__ = ["NCRYPT_CIPHER_PADDING_INFO"]
    __all__ += ncrypt_storage.__all__
    __all__ += ncrypt_operations.__all__
    __all__ += ncrypt_h.__all__
    # ncrypt.h includes bcrypt.h.
    __all__ += bcrypt.__all__
