"""Who is measured: one module for each, run in a process of its own by `scripts.benchmark.worker`."""
