"""Facts of the Windows headers. A file here imports nothing of hwcng's, no sibling either."""
