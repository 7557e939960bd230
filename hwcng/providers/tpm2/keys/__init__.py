"""Live keys of a TPM 2.0."""
