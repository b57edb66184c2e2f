"""Time series: reading, cutting into windows, holding entries out, baselines."""
