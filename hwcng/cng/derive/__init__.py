"""BCryptDeriveKey, BCryptKeyDerivation and their parameters (bcrypt.h)."""
