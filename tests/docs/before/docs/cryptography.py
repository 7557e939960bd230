"""A key "www" in the token, and what asks for a PIN."""

import os

from docs.readers import make_key

make_key("www")


def read_pin() -> str:
    return os.environ["TOKEN_PIN"]
