"""A key "www" in the token, whose URI is $URI."""

import os

from docs.readers import make_key

make_key("www")
os.environ["URI"] = os.environ["HWCNG_PROVIDER"]
