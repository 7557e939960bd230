"""The functions of wincrypt.h over keys in a token (the "CryptoAPI" of the Windows documentation).

Names and parameter order are the documented ones: out-parameters are return values, sizes come from the buffers, and a
failure raises `hwcng.CngError` whose status is what GetLastError has after the documented function. Buffers are bytes,
bytearray or memoryview; numbers in blobs, signatures and RSA ciphertexts are little-endian. Each function's page in
that documentation is its manual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwcng import ncrypt
from hwcng.capi.hashes import HMAC_INFO as HMAC_INFO
from hwcng.capi.parameters import PROV_ENUMALGS as PROV_ENUMALGS
from hwcng.capi.parameters import PROV_ENUMALGS_EX as PROV_ENUMALGS_EX
from hwcng.errors import HRESULT as HRESULT
from hwcng.errors import Win32Error as Win32Error
from hwcng.faces import belong_to, wincrypt_contexts, wincrypt_hashes, wincrypt_keys
from hwcng.faces.wincrypt_contexts import *  # noqa: F403
from hwcng.faces.wincrypt_hashes import *  # noqa: F403
from hwcng.faces.wincrypt_keys import *  # noqa: F403
from hwcng.headers import wincrypt_h

# A type checker does not follow what `hwcng.ncrypt` hands on.
from hwcng.headers.bcrypt_h import *  # noqa: F403
from hwcng.headers.ncrypt_h import *  # noqa: F403
from hwcng.headers.records import *  # noqa: F403
from hwcng.headers.status_codes import *  # noqa: F403
from hwcng.headers.wincrypt_h import *  # noqa: F403
from hwcng.ncrypt import *  # noqa: F403

belong_to(__name__, wincrypt_contexts, wincrypt_keys, wincrypt_hashes)

# mypy does not follow the sums, and finds every name without them.
if not TYPE_CHECKING:
    __all__ = ["HMAC_INFO", "PROV_ENUMALGS", "PROV_ENUMALGS_EX"]
    __all__ += wincrypt_contexts.__all__
    __all__ += wincrypt_keys.__all__
    __all__ += wincrypt_hashes.__all__
    __all__ += wincrypt_h.__all__
    # wincrypt.h includes bcrypt.h and ncrypt.h.
    __all__ += ncrypt.__all__
