"""What every contender is given, octet for octet."""

__all__ = ["DIGEST", "DIGEST_INFO", "IV", "MESSAGES", "NONCE"]

DIGEST = bytes(range(32))
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420") + DIGEST
"""Of SHA-256: RFC 8017, section 9.2, note 1."""

IV, NONCE = bytes(16), bytes(12)

SIZES = {"64B": 64, "1KiB": 1 << 10, "4KiB": 4 << 10, "1MiB": 1 << 20, "64MiB": 64 << 20}


class _Messages(dict[str, bytes]):
    """Made when they are asked for: 64 MiB are not for those who measure random numbers."""

    def __missing__(self, size: str) -> bytes:
        self[size] = message = bytes(SIZES[size])
        return message


MESSAGES = _Messages()
