"""A key "www" in the token."""

from docs.readers import make_key

make_key("www")
