"""The model of the legacy CryptoAPI (wincrypt.h): contexts, containers, keys, hashes and their parameters."""
