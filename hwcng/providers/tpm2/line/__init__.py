"""The way to a TPM 2.0: transports, slots, sessions and who else is there."""
