"""Keys of a TPM 2.0 that are kept under names."""
