"""The TPM 2.0 provider: keys under a TPM's storage root key (TCG TPM 2.0 Library Specification, family 2.0)."""
