"""`python -m hwcng` is the `hwcng` command."""

from __future__ import annotations

import sys

from hwcng.cli import main

if __name__ == "__main__":
    sys.exit(main())
