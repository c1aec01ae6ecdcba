"""What the tap costs, beside the floor that no tap gets under: `python -m benchmarks`."""
