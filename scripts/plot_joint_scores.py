"""Draw the scores of joint draws."""

from scoredag import job
from scoredag.figures import joint, style
from scoredag.store import tables


def plot_joint_scores(metrics_path: str, figure_path: str) -> None:
    """Draw energy and variogram score, and CRPS and coverage of means over gaps, for each pattern and method."""
    table = tables.read(metrics_path, tables.CSDI_METRICS)
    style.save(joint.joint_scores(table), figure_path)


if __name__ == "__main__":
    job.run(plot_joint_scores)
