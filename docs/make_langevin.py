"""Write the tables of docs/langevin.md from those of the default run.

python docs/make_langevin.py [folder of results]
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

PAGE = Path(__file__).parent / "langevin.md"
BAR = {"x": (-8.0, -1.0), "y": (5.0, np.inf)}  # the top stroke of the nabla in data/gmm.csv, away from its ends


def tables(results):
    """{name of a block of the page: its Markdown table} of the folder `results`."""

    def read(path):
        return pd.read_parquet(Path(results) / f"{path}.parquet")

    metrics = read("langevin/metrics").pivot(index="metric", columns="variant", values="value")
    return {
        "modes": _modes(read("langevin/a/modes").dropna(subset="mode")),
        "bias": _bias(read("langevin/sweep"), read("langevin/theory").set_index("quantity")),
        "large step": _large_step(metrics, read("langevin/stationary")),
        "covariance": _covariance(read),
        "drift": _drift(metrics),
    }


def rewrite(text, blocks):
    """The page with what stands between the marks of each block replaced."""
    for name, table in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"docs/langevin.md: '{begin.strip()}' and '{end}' have to stand there, each once")
        before, rest = text.split(begin)
        text = before + begin + table + "\n" + end + rest.split(end)[1]
    return text


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _modes(table):
    rows = [
        (
            int(row.mode),
            *(f"{value:.2f}" for value in (row.x, row.y, row.log_density)),
            row.n_particles,
            f"{row.share:.2%}",
        )
        for row in table.itertuples()
    ]
    return _table(["mode", "x", "y", "log-density (nats)", "particles", "share"], rows)


def _bias(sweep, theory):
    slope = theory.loc["bias_slope"]
    rows = [
        (f"theory, tau to 0: -(J - Cov)/4, J = {theory.at['fisher_information', 'value']:.3f}, "
         f"Cov = {theory.at['covariance_with_laplacian', 'value']:.3f}",
         "", f"{slope['value']:.3f} +- {2 * slope['std_error']:.3f}")
    ]  # fmt: skip
    for row in sweep.itertuples():
        bias, error = (f"{value:.4f}" for value in (row.bias, 2 * row.std_error))
        over = [value / row.step_size for value in (row.bias, 2 * row.std_error)]
        rows.append((f"{row.kernel}, tau = {row.step_size:g}", f"{bias} +- {error}", f"{over[0]:.2f} +- {over[1]:.2f}"))
    return _table(["", "bias of the mean log-density (nats)", "bias / tau"], rows)


def _large_step(metrics, laws):
    rows = []
    for variant in ("b", "c"):
        law = laws[laws["variant"] == variant]
        ways = (law[f"multiplier_{way}"] for way in ("across", "along"))
        ranges = [f"{way.min():.2f} to {way.max():.2f}" for way in ways]
        found = metrics[variant]
        hats = " and ".join(f"{found[f'split_r_hat_{axis}']:.2f}" for axis in "xy")
        sizes = " and ".join(f"{found[f'effective_sample_size_{axis}']:,.0f}" for axis in "xy")
        rows.append((variant, *ranges, f"{found['mean_log_density']:.2f}", hats, sizes))
    head = [
        "variant",
        "1 - tau/var across",
        "along",
        "mean log-density",
        "split R-hat, x and y",
        "effective sample size",
    ]
    return _table(head, rows)


def _covariance(read):
    gmm, laws = read("gmm/parameters"), read("langevin/stationary")
    chosen = _within(gmm["mean_x"], gmm["mean_y"])
    rows = [_shares("exact samples", read("gmm/exact"), gmm.loc[chosen, "cov_yy"])]
    for variant in ("b", "d"):
        law = laws[laws["variant"] == variant].set_index("component")
        last = read(f"langevin/{variant}/samples")
        rows.append(_shares(variant, last[last["step"] == last["step"].max()], law.loc[chosen[chosen].index, "cov_yy"]))
    head = ["", "sd of y over the top bar", "the same by theory, one component", "y < -6 (%)", "x > 7 (%)"]
    return _table(head, rows)


def _within(x, y):
    return x.between(*BAR["x"]) & y.between(*BAR["y"])


def _shares(name, points, variances):
    over = points.loc[_within(points["x"], points["y"]), "y"].std()
    below, right = 100 * (points["y"] < -6).mean(), 100 * (points["x"] > 7).mean()
    return name, f"{over:.2f}", f"{np.sqrt(variances.mean()):.2f}", f"{below:.1f}", f"{right:.1f}"


def _drift(metrics):
    rows = []
    for variant in ("b", "c", "d"):
        found = metrics[variant]
        cells = [f"{found[f'drift_{axis}']:.2f} ({found[f'drift_z_{axis}']:.1f})" for axis in ("x", "y", "log_density")]
        largest = max(abs(found[f"drift_effect_{axis}"]) for axis in ("x", "y", "log_density"))
        rows.append((variant, *cells, f"{largest:.3f}"))
    return _table(["variant", "mean of x (z)", "mean of y (z)", "log-density (z)", "largest effect"], rows)


if __name__ == "__main__":
    found = tables(sys.argv[1] if len(sys.argv) > 1 else "results")
    PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
