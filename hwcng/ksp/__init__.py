"""The model of ncrypt.h, a Key Storage Provider, over cng."""
