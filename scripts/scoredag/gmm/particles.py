"""Tables of particles, as the samplers return them."""


def last_positions(samples):
    """Positions (N, 2) at the last step, by particle; `samples` has particle, step, x, y."""
    return samples.loc[samples["step"] == samples["step"].max(), ["x", "y"]].to_numpy()
