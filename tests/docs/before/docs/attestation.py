"""A software TPM, with its maker's certificates where there is a maker; a key in it, its attestation key's name."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# The tests' folder is on the path of those who read pages.
from tpm2.manufacturing import manufacture

import hwcng
from hwcng import bcrypt, ncrypt
from hwcng.testing.swtpm import Swtpm

_folder = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
if shutil.which("swtpm_setup"):
    _maker = manufacture(_folder)
    root, issuer = _maker.root, _maker.issuer
_tpm = Swtpm(_folder)
atexit.register(_tpm.close)
_tpm.start()
provider = _tpm.open()
storage = ncrypt.NCryptOpenStorageProvider(provider)
pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
bcrypt.BCryptFinalizeKeyPair(pair)
nonce = os.urandom(16)
known_name = hwcng.attestation.verify_attestation(pair.attest(nonce), nonce).signer_name
golden = provider.pcr_values([7])[7]
