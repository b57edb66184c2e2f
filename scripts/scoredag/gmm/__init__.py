"""Gaussian mixtures in the plane and Langevin dynamics on them."""
