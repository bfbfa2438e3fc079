"""Side-by-side runs of torchinf and its peers on loopback: ``python -m benchmarks``."""
