"""One module per question about speed; `python -m benchmarks` answers them and writes `results.json` and `docs/benchmarks.md`."""
