"""A program that uses a token."""

from pathlib import Path

Path("program.py").write_text("from hwcng import bcrypt\nbcrypt.BCryptOpenAlgorithmProvider('AES')\n")
