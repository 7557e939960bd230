"""Fixtures of the conformance tests: fixtures.py has those of the handle, key, blob and property rows, tokens.py the
tokens that encryption, signatures and agreement are compared on, rsa_pairs.py RSA keys in them.
"""

from __future__ import annotations

from conformance.fixtures import *  # noqa: F403
from conformance.rsa_pairs import *  # noqa: F403
from conformance.tokens import *  # noqa: F403
