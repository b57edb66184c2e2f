"""How fast the page of live particles moves them: steps a second in headless Chromium.

python benchmarks/langevin_page.py [results/langevin/explore.html] [--particles 5000] [--seconds 5]

Two figures a kernel: steps alone, and the running page, which also draws and measures, at "as many as possible".
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
KERNELS = ("overdamped", "preconditioned", "mala", "underdamped", "annealed")
STEPS = """([kernel, particles, milliseconds]) => {
  change({ kernel, particles, noise: true, tau: 0.1, covariance: [1, 0, 1], steps: 10000000, speed: "most" });
  restart();
  run.advance(state, 100);
  const begin = performance.now(), first = run.step;
  while (performance.now() < begin + milliseconds) run.advance(state, 1);
  return (1000 * (run.step - first)) / (performance.now() - begin);
}"""
FRAMES = """(milliseconds) => new Promise((done) => {
  start();
  const begin = performance.now(), first = run.step;
  setTimeout(() => {
    pause();
    done((1000 * (run.step - first)) / (performance.now() - begin));
  }, milliseconds);
})"""


def main() -> None:
    """Print a line for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path, default=Path("results/langevin/explore.html"))
    parser.add_argument("--particles", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(0)
        page.goto(options.page.resolve().as_uri())
        page.wait_for_selector("body[data-ready]")
        n_components = page.evaluate("mixture.weights.length")
        for kernel in KERNELS:
            alone = page.evaluate(STEPS, [kernel, options.particles, 1000 * options.seconds])
            running = page.evaluate(FRAMES, 1000 * options.seconds)
            print(
                f"{kernel}: {options.particles} particles x {n_components} components, "
                f"{alone:.0f} steps a second alone, {running:.0f} of the running page"
            )
        chromium.close()


if __name__ == "__main__":
    main()
