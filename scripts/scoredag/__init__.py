"""From scores to samples: mixtures, Langevin dynamics and CSDI as plain functions."""
