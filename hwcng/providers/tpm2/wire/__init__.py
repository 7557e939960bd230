"""Octets of the commands of a TPM 2.0 and their answers (TPM 2.0 Library, Parts 2 and 3)."""
