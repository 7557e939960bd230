from pathlib import Path

Path("Makefile").write_text('test:\n\ttest -n "$$HWCNG_PROVIDER"\n')
