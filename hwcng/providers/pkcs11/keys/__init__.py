"""Live keys of a PKCS#11 token."""
