"""Measures hwcng beside C and beside other libraries, on the same tokens in the same run. `scripts/bench` runs it."""
