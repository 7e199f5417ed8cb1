"""Benchmarks: ratios and errors of things measured in one run; `python -m bench` writes bench/results.md."""
