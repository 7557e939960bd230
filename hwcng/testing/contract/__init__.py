"""What `hwcng.contract` promises, as tests that any backend runs on a token of its own (pytest).

    class TestBoxes(BackendContract):
        @pytest.fixture
        def token(self):
            return TokenUnderTest("box:7", pin="1234")

Each test asks the token what it offers and skips what it does not. The keys that a test makes are gone after it.
"""

from __future__ import annotations

from hwcng.testing.contract.opening import Opening
from hwcng.testing.contract.pairs import Pairs
from hwcng.testing.contract.secret_keys import SecretKeys
from hwcng.testing.contract.sharing import Sharing
from hwcng.testing.contract.stored_keys import StoredKeys
from hwcng.testing.contract.token import TokenUnderTest

__all__ = ["BackendContract", "TokenUnderTest"]


class BackendContract(Opening, SecretKeys, Pairs, StoredKeys, Sharing):
    """To be subclassed, with the fixture `token`."""
