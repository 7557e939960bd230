"""Throw-away tokens, call counting and faults, for tests of hwcng and of programs that use it."""
