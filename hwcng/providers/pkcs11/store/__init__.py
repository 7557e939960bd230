"""Keys that a PKCS#11 token keeps under names."""
