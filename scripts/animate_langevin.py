"""Show the particles of one Langevin variant on their way."""

from scoredag import job
from scoredag.figures import plane, style
from scoredag.gmm import mixture, particles, views
from scoredag.store import tables


def animate_langevin(parameters_path: str, history_path: str, animation_path: str, settings: dict) -> None:
    """Write a GIF of the snapshots, which are evenly spaced in the logarithm of the step."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    snapshots = particles.positions_by_step(tables.read(history_path, tables.PARTICLES))
    view, colour = views.view_of(gmm, settings["half_width"]), style.colour(settings["colour"])
    frames = plane.frames(gmm, snapshots, view, colour, settings["title"])
    style.save_animation(frames, animation_path, milliseconds=400)


if __name__ == "__main__":
    job.run(animate_langevin)
