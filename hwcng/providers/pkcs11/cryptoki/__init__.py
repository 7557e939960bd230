"""The calls and numbers of PKCS#11 (OASIS PKCS#11 3.2)."""
