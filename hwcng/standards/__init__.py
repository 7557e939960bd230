"""Facts of FIPS, SEC and RFC documents."""
