"""A key "www" in the token, and its certificate."""

from docs.readers import make_key
from pyca import certificates

import hwcng

certificate = certificates.certificate(hwcng.open_key(make_key("www")).as_cryptography(), "hwcng")
