"""A software TPM."""

import atexit

from hwcng import ncrypt
from hwcng.testing.swtpm import Swtpm

_tpm = Swtpm()
atexit.register(_tpm.close)
_tpm.start()
storage = ncrypt.NCryptOpenStorageProvider(_tpm.open())
