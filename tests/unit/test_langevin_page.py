"""The page of live particles: its numbers are the library's, its controls work, and it asks nobody."""

import base64
import contextlib
import itertools
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from plot_langevin_page import N_BETWEEN, N_TIMES, plot_langevin_page
from scoredag.figures import langevin_page
from scoredag.gmm import diagnostics, langevin, mixture, mixture_files, modes
from scoredag.likelihood import dynamics, problems
from scoredag.store import tables

HOSTILE = "<b>&\"$$x$$</script><!-- 'e'"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
OTHER = [[2.0, 0.0], [0.0, 0.2]]
TURNED = [[1.5, 0.6], [0.6, 0.7]]
PROCESS = {"name": "vp", "span": [0.1, 20.0], "smallest_time": 1e-5}
MOVES = {
    "a": {"step_size": 0.1},
    "b": {"step_size": 0.1, "noise_covariance": IDENTITY},
    "c": {"step_size": 1.0, "noise_covariance": IDENTITY},
    "d": {"step_size": 0.1, "noise_covariance": OTHER},
    "turned": {"step_size": 0.1, "noise_covariance": TURNED},
    "preconditioned": {"step_size": 0.2, "preconditioner": TURNED},
    "mala": {"step_size": 0.3, "kernel": "mala", "preconditioner": TURNED},
    "underdamped": {"step_size": 0.45, "kernel": "underdamped", "friction": 0.5},
    "annealed": {"step_size": 0.02, "kernel": "annealed", "noise_levels": [4.0, 2.0]},
}


@pytest.fixture(scope="module")
def gmm(root):
    return mixture_files.read(root / "data/gmm.csv")


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """A function of a mixture, variants [title, settings] and more settings: the path of the page."""

    def write(gmm, variants=(), **more):
        folder = tmp_path_factory.mktemp("page")
        paths = [folder / f"{name}.parquet" for name in ("parameters", "exact", "modes")]
        exact = gmm.sample(5000, 3)
        places, heights = modes.find(gmm) if gmm.n_components < 1000 else (gmm.means[:30], np.zeros(30))
        tables.write(mixture.to_table(gmm), paths[0], tables.GMM)
        tables.write(
            pd.DataFrame({"particle": np.arange(5000), "x": exact[:, 0], "y": exact[:, 1]}), paths[1], tables.POINTS
        )
        found = {"mode": np.arange(len(places)), "x": places[:, 0], "y": places[:, 1], "log_density": heights}
        tables.write(found, paths[2], tables.MODES)
        settings = {"colour": "C0", "half_width": None, "process": PROCESS, "variants": list(variants)} | more
        plot_langevin_page(*paths, folder / "explore.html", settings)
        return folder / "explore.html"

    return write


@pytest.fixture(scope="module")
def path(gmm, write):
    return write(gmm, [[f"{name}: {HOSTILE}", moves] for name, moves in MOVES.items()])


@contextlib.contextmanager
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="envs/requirements-test.txt is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no Chromium here; on Debian `apt install chromium` brings it")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture
def opened(chromium):
    """A function of a file and the rest of its address: the page, and a list of what it asked for or complained of."""
    contexts = []

    def opened(path, rest="", before="", **options):
        context = chromium.new_context(viewport={"width": 1200, "height": 900}, **options)
        contexts.append(context)
        page, seen = context.new_page(), []
        page.set_default_timeout(120_000)  # ms, on a machine that has other work, too
        page.on("request", lambda request: request.url.startswith("data:") or seen.append(request.url))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and seen.append(message.text))
        if before:
            page.add_init_script(before)
        page.goto(path.as_uri() + rest)
        if not before and options.get("java_script_enabled", True):
            page.wait_for_selector("body[data-ready]")
        return page, seen

    yield opened
    for context in contexts:
        context.close()


def data_of(html):
    """What the page holds."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])


def points(page, expression):
    """Points (N, 2) of the page's."""
    return np.array(page.evaluate(f"Array.from({expression})")).reshape(-1, 2)


def moved(page, name, n_particles, n_steps, seed=1):
    """Particles (N, 2) of the page's after so many steps of a variant."""
    number = list(MOVES).index(name)
    return points(
        page,
        f"(() => {{ const run = new Run(mixture, {n_particles}, {seed}); run.advance({{"
        f"...data.variants[{number}].controls, steps: {n_steps}}}, {n_steps}); return run.x; }})()",
    )


# -- what the page is


def test_the_page_is_small_and_the_same_each_time(path, gmm, write):
    html = path.read_bytes()
    assert len(html) < 300_000
    assert html == write(gmm, [[f"{name}: {HOSTILE}", moves] for name, moves in MOVES.items()]).read_bytes()


def test_titles_are_no_html(path):
    html = path.read_text(encoding="utf-8")
    assert "<b>&" not in html and html.count("&lt;b&gt;&amp;&quot;$$x$$&lt;/script&gt;&lt;!-- &#x27;e&#x27;") == len(
        MOVES
    )
    assert data_of(html)["variants"][0]["title"] == f"a: {HOSTILE}"


def test_the_page_holds_the_mixture(path, gmm):
    data = data_of(path.read_text(encoding="utf-8"))
    means = np.frombuffer(base64.b64decode(data["means"])).reshape(-1, 2)
    covariances = np.frombuffer(base64.b64decode(data["covariances"])).reshape(-1, 3)
    assert (means == gmm.means).all() and (covariances == gmm.covariances[:, [0, 0, 1], [0, 1, 1]]).all()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("overdamped", False, [1, 0, 1])),
        ({"noise_covariance": [[0.0, 0.0], [0.0, 0.0]]}, ("overdamped", False, [1, 0, 1])),
        ({"noise_covariance": TURNED}, ("overdamped", True, [1.5, 0.6, 0.7])),
        ({"preconditioner": TURNED}, ("preconditioned", True, [1.5, 0.6, 0.7])),
        ({"preconditioner": TURNED, "noise_covariance": TURNED}, ("preconditioned", True, [1.5, 0.6, 0.7])),
        ({"preconditioner": TURNED, "noise_covariance": [[0, 0], [0, 0]]}, ("preconditioned", False, [1.5, 0.6, 0.7])),
        ({"preconditioner": TURNED, "noise_covariance": IDENTITY}, None),
        ({"kernel": "mala"}, ("mala", True, [1, 0, 1])),
        ({"kernel": "mala", "preconditioner": OTHER}, ("mala", True, [2, 0, 0.2])),
        ({"kernel": "underdamped", "friction": 2.0}, ("underdamped", True, [1, 0, 1])),
        ({"kernel": "annealed", "noise_levels": [2.0, 1.0]}, ("annealed", True, [1, 0, 1])),
        ({"kernel": "tempering"}, None),
    ],
)
def test_controls_are_the_settings_of_the_variant(settings, expected):
    found = langevin_page.controls({"step_size": 0.3, "n_particles": 10**6, "n_steps": 77, **settings})
    if expected is None:
        assert found is None
        return
    assert (found["kernel"], found["noise"], found["covariance"]) == expected
    assert (found["tau"], found["particles"], found["steps"]) == (0.3, 20_000, 77)
    assert found["friction"] == settings.get("friction", 1.0)
    assert found["levels"] == settings.get("noise_levels", [*langevin_page.LEVELS])


def test_a_variant_that_the_page_cannot_move_is_told(gmm, write):
    html = write(gmm, [["hot", {"step_size": 0.1, "kernel": "tempering"}]]).read_text(encoding="utf-8")
    assert "which has no such kernel: hot" in html and "<button data-variant" not in html
    assert data_of(html)["start"]["kernel"] == "overdamped"


def many(n):
    rng = np.random.default_rng(0)
    return mixture.GaussianMixture(
        np.full(n, 1 / n), rng.normal(scale=5, size=(n, 2)), np.tile(0.1 * np.eye(2), (n, 1, 1))
    )


def test_a_mixture_of_too_many_components_is_a_figure(write, monkeypatch):
    monkeypatch.setattr(langevin_page, "MOST_COMPONENTS", 100)
    html = write(many(101)).read_text(encoding="utf-8")
    assert "has 101 components" in html and "data:image/png" in html and "<script" not in html
    assert len(html) < 300_000


# -- its numbers


def test_scores_are_the_librarys(opened, path, gmm):
    page, _ = opened(path)
    rng = np.random.default_rng(1)
    x = np.concatenate([gmm.sample(400, 1), rng.uniform(-15, 15, (500, 2)), 1e3 * rng.normal(size=(100, 2))])
    given = json.dumps(x.ravel().tolist())
    expected = gmm.score(x)
    size = 1 + np.linalg.norm(expected, axis=1)
    for field in ("run.field", "new Field(mixture)"):
        found = points(page, f"{field}.scores({given})")
        assert (np.linalg.norm(found - expected, axis=1) / size).max() < 1e-9
    logs = page.evaluate(
        f"{given}.map((x, i, all) => i % 2 ? [] : [run.field.at(x, all[i + 1]), run.field.logDensity][1]).flat()"
    )
    np.testing.assert_allclose(logs, gmm.log_density(x), rtol=1e-12, atol=1e-12)


def compare(page, gmm, name, n_particles, n_steps):
    """The page's particles are about as far from the library's as these are from each other, of other seeds."""

    def run(seed):
        moves = {"kernel": "overdamped", **MOVES[name]}
        return langevin.run(gmm, n_particles=n_particles, n_steps=n_steps, seed=seed, **moves).positions[-1]

    def distance(x, y):
        return diagnostics.sliced_wasserstein2(x, y, 50, 0)

    runs, found = [run(seed) for seed in range(5)], moved(page, name, n_particles, n_steps)
    floor = max(distance(x, y) for x, y in itertools.combinations(runs, 2))
    assert np.median([distance(found, x) for x in runs]) < 1.5 * floor


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "annealed" else []) for name in MOVES]
)
def test_laws_of_particles_are_the_librarys(opened, path, gmm, name):
    page, _ = opened(path)
    compare(page, gmm, name, 1000, 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", "abcd")
def test_laws_of_many_particles_after_many_steps_are_the_librarys(opened, path, gmm, name):
    page, _ = opened(path)
    compare(page, gmm, name, 10_000, 1000)


def test_gradient_flow_from_the_same_start_is_the_librarys(opened, path, gmm):
    page, _ = opened(path)
    start = points(page, "new Run(mixture, 500, 5).x")
    expected = langevin.run(gmm, n_particles=500, n_steps=20, step_size=0.1, seed=0, start=start).positions[-1]
    np.testing.assert_allclose(moved(page, "a", 500, 20, seed=5), expected, rtol=0, atol=1e-9)


def test_normal_numbers_are_normal(opened, path):
    page, _ = opened(path)
    x = np.array(page.evaluate("[...new Random(3).normals(new Float64Array(100000))]"))
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    assert abs((x**4).mean() - 3) < 0.15 and abs((x[::2] * x[1::2]).mean()) < 0.02


def test_noise_levels_change_at_the_librarys_steps(opened, path):
    page, _ = opened(path)
    for n_steps, n_levels in ((10, 4), (7, 2), (1000, 7), (9, 6)):
        ends = np.linspace(0, n_steps, n_levels + 1).round().astype(int)
        expected = [*np.repeat(np.arange(n_levels), np.diff(ends)).tolist(), n_levels - 1]
        assert (
            page.evaluate(f"Array.from({{length: {n_steps} + 1}}, (_, i) => levelOf(i, {n_levels}, {n_steps}))")
            == expected
        )


def test_distances_are_the_librarys(opened, path, gmm):
    page, _ = opened(path)
    x, y = gmm.sample(2000, 1), gmm.sample(1500, 2) + np.array([0.5, 0])
    given = [json.dumps(part.ravel().tolist()) for part in (x, y)]
    found = page.evaluate("slicedWasserstein2(projections({}), projections({}))".format(*given))
    assert found == pytest.approx(diagnostics.sliced_wasserstein2(x, y, 2000, 0), rel=0.02)


def test_stability_limits_are_the_librarys(opened, path, gmm):
    page, _ = opened(path)
    limit = "stabilityLimit(mixture, {{kernel: '{}', covariance: [1.5, 0.6, 0.7], levels: [2, 1]}})"
    assert page.evaluate(limit.format("overdamped")) == pytest.approx(langevin.stability_limit(gmm))
    assert page.evaluate(limit.format("preconditioned")) == pytest.approx(langevin.stability_limit(gmm, TURNED))
    assert page.evaluate(limit.format("underdamped")) == pytest.approx(np.sqrt(2 * langevin.stability_limit(gmm)))


@pytest.mark.parametrize("name", ["vp", "ve"])
def test_the_three_dynamics_are_the_librarys(opened, gmm, write, name):
    process = PROCESS | ({} if name == "vp" else {"name": "ve", "span": [0.01, 50.0]})
    page, _ = opened(write(gmm, process=process))
    page.evaluate("for (const part of paths(mixture, timeline, 500, 1, film.found));")
    problem = problems.build(gmm, **process)
    times = np.linspace(process["smallest_time"], 1, N_TIMES + 1)
    last = (points(page, f"film.found.flow[{N_TIMES}]") - problem.data.centre) / problem.data.unit
    flow = dynamics.flow(problems.score_model(problem, {}), problem.sde, last[:100], times[::-1])[-1]
    off = np.linalg.norm(
        points(page, "film.found.flow[0]")[:100] - problem.data.centre - problem.data.unit * flow, axis=1
    )
    assert np.median(off) < 1e-3 and np.quantile(off, 0.95) < 0.02
    rng = np.random.default_rng(0)
    back = dynamics.reverse(problems.score_model(problem, {}), problem.sde, last, times[::-1], N_BETWEEN, rng)
    for i in (0, 30, N_TIMES):
        law = dynamics.plane_marginal(problem, times[i])
        x = law.sample(500, 5)
        found = points(
            page, f"new Field(marginal(mixture, timeline, clockOf({i}))).scores({json.dumps(x.ravel().tolist())})"
        )
        np.testing.assert_allclose(found, law.score(x), rtol=1e-9, atol=1e-9)
        floor = diagnostics.sliced_wasserstein2(law.sample(500, 6), x, 100, 0)
        for kind in ("forward", "reverse", "flow"):
            assert diagnostics.sliced_wasserstein2(points(page, f"film.found.{kind}[{i}]"), x, 100, 0) < 2.5 * floor
        of_library = problem.data.centre + problem.data.unit * back[N_TIMES - i]
        assert (
            diagnostics.sliced_wasserstein2(points(page, f"film.found.reverse[{i}]"), of_library, 100, 0) < 2.5 * floor
        )


# -- its controls


def test_buttons_sliders_keys_and_the_address_work(opened, path):
    page, seen = opened(path)
    state = lambda *keys: page.evaluate(f"{json.dumps(keys)}.map((key) => state[key])")  # noqa: E731
    step = lambda: page.evaluate("run.step")  # noqa: E731
    assert state("kernel", "noise", "tau") == ["overdamped", False, 0.1] and not page.evaluate("play.running")
    page.get_by_role("button", name=re.compile("^d: ")).click()
    assert state("noise", "covariance", "particles", "steps") == [True, [2, 0, 0.2], 20000, 1000]
    page.wait_for_function("run.step > 2")
    page.get_by_role("button", name="Pause").click()
    at = step()
    assert page.get_by_role("button", name=re.compile("^d: ")).get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="One step").click()
    assert step() == at + 1 and page.locator("#step").inner_text() == str(at + 1)
    page.get_by_role("button", name="Start again").click()
    assert step() == 0
    # numbers, sliders, lists
    page.locator("#particles-number").fill("300")
    page.keyboard.press("Enter")
    assert state("particles") == [300] and page.evaluate("run.x.length") == 600
    page.locator("#tau").focus()
    page.keyboard.press("ArrowRight")
    assert 0.1 < state("tau")[0] < 0.12
    assert page.get_by_role("button", name=re.compile("^d: ")).get_attribute("aria-pressed") == "false"
    page.locator("#xy").fill("5")
    page.keyboard.press("Enter")
    assert page.locator("#xy").get_attribute("aria-invalid") == "true" and state("covariance") == [[2, 0, 0.2]]
    assert "semidefinite" in page.locator("#warning").inner_text()
    # the ellipse, by keys and by pointer
    page.locator("#ellipse").focus()
    page.keyboard.press("Shift+ArrowUp")
    assert state("covariance")[0] == pytest.approx([2, 0, (0.2**0.5 + 0.05) ** 2], abs=1e-4)
    page.keyboard.press("ArrowLeft")
    assert state("covariance")[0][1] > 0 and page.locator("#xy").input_value() == str(state("covariance")[0][1])
    box = page.locator("#ellipse").bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    deviation = box["width"] / 2 / page.evaluate("ellipse.reach")
    angle = page.evaluate("ellipse.angle")
    first = 2**0.5 * deviation * np.array([np.cos(angle), -np.sin(angle)])
    page.mouse.move(*(middle + first))
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] - deviation)
    page.mouse.up()
    xx, xy, yy = state("covariance")[0]
    assert yy == pytest.approx(1, abs=0.05) and abs(xy) < 0.05 and xx == pytest.approx(0.248, abs=0.01)
    # space runs and pauses, wherever the focus is not on a button
    page.keyboard.press(" ")
    page.wait_for_function("run.step > 0")
    page.keyboard.press(" ")
    assert not page.evaluate("play.running")
    page.locator("#steps").fill(str(step() + 3))
    page.keyboard.press("Enter")
    page.locator("#speed").select_option("most")
    page.get_by_role("button", name="Run").click()
    page.wait_for_function("!play.running")
    assert step() == state("steps")[0]
    # another kernel starts again, and has controls of its own
    assert not page.locator("#friction").is_visible()
    page.locator("#kernel").select_option("underdamped")
    assert step() == 0 and page.locator("#friction").is_visible() and page.locator("#xx").is_disabled()
    page.locator("#kernel").select_option("annealed")
    page.locator("#levels").fill("1, 2")
    page.keyboard.press("Enter")
    assert page.locator("#levels").get_attribute("aria-invalid") == "true"
    page.locator("#seed").fill("7")
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.includes('seed=7')")
    again, more = opened(path, page.evaluate("location.hash"))
    assert again.evaluate("JSON.stringify(state)") == page.evaluate("JSON.stringify(state)")
    assert again.evaluate("String(run.x)") == page.evaluate("String(run.x)")
    assert len(seen) == len(more) == 1 and seen == [path.as_uri()]


def test_an_address_that_cannot_be_read_is_told(opened, path):
    page, seen = opened(path, "#kernel=mala&tau=-1&covariance=1,2,1&noise=yes&what=1&seed=4")
    assert page.evaluate("[state.kernel, state.tau, state.seed, state.covariance]") == ["mala", 0.1, 4, [1, 0, 1]]
    told = page.locator("#warning").inner_text()
    assert all(word in told for word in ("tau", "covariance", "noise", "what")) and "seed" not in told
    assert len(seen) == 1


def test_an_address_that_is_pasted_is_followed_and_particles_that_diverge_are_counted(opened, path):
    page, seen = opened(path)
    page.evaluate("location.hash = '#kernel=overdamped&noise=0&tau=5&particles=50&steps=3000'")
    page.wait_for_function("state.tau === 5 && run.x.length === 100")
    assert "beyond the stability limit 0.661" in page.locator("#warning").inner_text()
    page.evaluate("run.advance(state, 2000); readOut(true)")
    assert page.locator("#lost").inner_text() != "0" and "NaN" not in page.locator("#langevin").inner_text()
    page.evaluate("run.x.fill(NaN); readOut(true); draw()")
    assert page.locator("#lost").inner_text() == "0, 50 not finite"
    assert "NaN" not in page.locator("#langevin").inner_text()
    assert len(seen) == 1


def test_the_second_tab_works(opened, path):
    page, seen = opened(path, "#particles=100")
    page.get_by_role("tab", name="Langevin").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("state.tab") == "diffusion" and not page.locator("#langevin").is_visible()
    page.wait_for_function("film.work === null")
    page.locator("#time").fill("40")
    assert page.locator("#when").inner_text().startswith("t = 0.40")
    assert re.search(r"0\.\d+ \(0\.\d+\)|\d\.\d+ \(", page.locator("#flow-distance").inner_text())
    page.get_by_role("button", name="To data").click()
    page.wait_for_function("state.time < 38")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="To noise").click()
    page.wait_for_function("state.time > 40")
    page.wait_for_function("location.hash.includes('tab=diffusion')")
    page.get_by_role("tab", name="Langevin").click()
    assert page.locator("#plane").is_visible() and not page.evaluate("film.running")
    assert seen == [path.as_uri()]


def test_every_input_has_a_label_and_the_plane_one_scale(opened, path):
    page, _ = opened(path)
    inputs = "[...document.querySelectorAll('input, select')]"
    assert page.evaluate(f"{inputs}.filter((e) => !e.labels.length && !e.ariaLabel).map((e) => e.id)") == []
    x, y = page.evaluate("[scene.place.x(1) - scene.place.x(0), scene.place.y(0) - scene.place.y(1)]")
    assert x == pytest.approx(y)


def test_a_narrow_page_does_not_scroll_sideways(opened, path):
    page, seen = opened(path)
    for width in (400, 1200, 700):
        page.set_viewport_size({"width": width, "height": 800})
        for tab in ("langevin", "diffusion"):
            page.locator(f"#tab-{tab}").click()
            page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")  # laid out some moments later
    assert seen == [path.as_uri()]


def test_a_browser_that_lacks_something_says_so_and_shows_the_figure(opened, path):
    page, _ = opened(path, before="HTMLCanvasElement.prototype.getContext = () => null;")
    page.wait_for_selector("#lack:visible")
    assert "no canvas" in page.locator("#lack").inner_text()
    assert page.locator("#still img").is_visible() and not page.locator("#live").is_visible()
    page, _ = opened(path, java_script_enabled=False)
    assert page.get_by_text("JavaScript is on; it is off").is_visible() and page.locator("#still img").is_visible()


@pytest.mark.slow
def test_ten_thousand_components_make_a_page_that_moves(opened, write):
    path = write(
        many(langevin_page.MOST_COMPONENTS),
        [["b", {"step_size": 0.01, "noise_covariance": IDENTITY, "n_particles": 500}]],
    )
    assert path.stat().st_size < 1_000_000
    page, seen = opened(path)
    assert page.get_by_text("10,000 components, so that steps are slow").is_visible()
    page.get_by_role("button", name="One step").click()
    assert page.evaluate("run.step") == 1 and page.evaluate("data.most_particles") == 2000
    assert len(seen) == 1
