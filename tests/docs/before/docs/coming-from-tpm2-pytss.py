"""A software TPM."""

import atexit
import contextlib

with contextlib.suppress(ImportError):
    from hwcng.testing.swtpm import Swtpm, SwtpmError

    with contextlib.suppress(SwtpmError):
        _tpm = Swtpm()
        atexit.register(_tpm.close)
        TPM = _tpm.start().uri
