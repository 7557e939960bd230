"""Keys in a PKCS#11 token (OASIS PKCS#11 2.40, 3.0 and 3.2)."""
