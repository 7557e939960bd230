"""Public-key work and compositions on the host: no word of CNG, no token."""
