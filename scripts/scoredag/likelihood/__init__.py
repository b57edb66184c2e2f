"""The likelihood bound of score-based diffusion models, on mixtures whose marginals are known."""
