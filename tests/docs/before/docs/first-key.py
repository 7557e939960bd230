"""A reader who has no token yet."""

import os

for _name in ("HWCNG_PROVIDER", "HWCNG_CONFIG", "SOFTHSM2_CONF", "TOKEN_PIN"):
    os.environ.pop(_name, None)
