"""Look and behaviour of the page of live particles: its CSS, what it says where it cannot run, and its controls."""

STYLE = """
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 1240px; padding: 0.5rem 1rem; font: 15px/1.4 system-ui, sans-serif; color: #000; }
h1 { font-size: 1.3rem; margin: 0.3rem 0; }
h2, legend, caption { font-size: 1rem; font-weight: bold; margin: 0; padding: 0; text-align: left; }
p { margin: 0.3rem 0; }
figure { margin: 0.5rem 0; }
figure img { max-width: 100%; height: auto; }
canvas { display: block; max-width: 100%; }
[role=tablist] { display: flex; flex-wrap: wrap; gap: 0.3rem; border-bottom: 2px solid #0072b2; margin: 0.5rem 0; }
[role=tab] { border: 1px solid #999; border-bottom: 0; border-radius: 0.3rem 0.3rem 0 0; background: #eee; }
[role=tab][aria-selected=true] { background: #0072b2; border-color: #0072b2; color: #fff; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 27rem); gap: 0.5rem 1.5rem; }
.stage { max-width: min(100%, 92vh); }
button, select, input { font: inherit; }
button, select { padding: 0.25rem 0.6rem; max-width: 100%; cursor: pointer; }
button[aria-pressed=true] { background: #0072b2; color: #fff; border: 1px solid #0072b2; border-radius: 0.2rem; }
input[type=number] { width: 6.2rem; min-width: 0; padding: 0.15rem; }
input[type=text] { width: 100%; min-width: 0; padding: 0.15rem; }
input[type=range] { width: 100%; min-width: 0; accent-color: #0072b2; }
[aria-invalid=true] { outline: 2px solid #d55e00; }
:focus-visible { outline: 3px solid #e69f00; outline-offset: 1px; }
.row { display: flex; flex-wrap: wrap; gap: 0.4rem; align-items: center; margin: 0.4rem 0; }
.setting { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr) 6.2rem; gap: 0.5rem; align-items: center; }
.setting { margin: 0.25rem 0; }
.setting input[type=number] { width: 100%; }
.wide { grid-column: 2 / 4; }
.ellipse { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; }
.ellipse canvas { border: 1px solid #999; touch-action: none; cursor: grab; width: 170px; height: 170px; }
.ellipse .setting { grid-template-columns: 2.2rem 6.2rem; }
fieldset { border: 1px solid #ccc; margin: 0.5rem 0; padding: 0.3rem 0.6rem; min-width: 0; }
fieldset:disabled { opacity: 0.45; }
.looks span { display: inline-block; margin-right: 1.1rem; white-space: nowrap; }
.looks i { display: inline-block; margin-right: 0.35rem; vertical-align: middle; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.3rem 0.8rem; }
.numbers { margin: 0.4rem 0; }
.numbers div { border-top: 1px solid #ccc; }
.numbers dt { font-size: 0.85rem; }
.numbers dd { margin: 0; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { text-align: right; font-weight: normal; padding: 0 0.4rem 0 0; white-space: nowrap; }
th:nth-child(3), td:nth-child(3) { width: 60%; text-align: left; white-space: normal; }
.bar { position: relative; height: 0.85rem; background: #eee; }
.bar b { position: absolute; left: 0; top: 0; height: 100%; }
.bar u { position: absolute; top: -0.1rem; height: 1.05rem; width: 3px; background: #000; }
.warning { border-left: 4px solid #d55e00; padding-left: 0.5rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 0.5rem 1rem; }
@media (max-width: 860px) {
  .columns { grid-template-columns: minmax(0, 1fr); }
  body { padding: 0.5rem; }
  .setting { grid-template-columns: 6rem minmax(0, 1fr) 5.6rem; }
  button, select { padding: 0.4rem 0.7rem; }
}
"""

# before all else, in words that any browser reads: where the page stops, it says why, and its figure stays
GUARD = """
document.getElementById("off").hidden = true;
function lack(why) {
  var place = document.getElementById("lack");
  place.textContent = "The particles do not move here: " + why + " Below is a figure of the density instead.";
  place.hidden = false;
  document.getElementById("still").hidden = false;
  document.getElementById("live").hidden = true;
}
window.onerror = function (message) { lack("this browser lacks what they need (" + message + ")."); };
"""

SCRIPT = r"""
"use strict";
const get = (id) => document.getElementById(id);
if (!get("plane").getContext("2d")) throw new Error("no canvas");
const data = JSON.parse(get("data").textContent);
const doubles = (text) => new Float64Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
const singles = (text) =>
  Float64Array.from(new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer));
const mixture = {
  weights: doubles(data.weights), means: doubles(data.means), covariances: doubles(data.covariances),
};
const exact = singles(data.exact), modes = doubles(data.modes);
const timeline = { ...data.process, clocks: doubles(data.process.clocks) };
const LAST = (timeline.clocks.length - 1) / timeline.between;  // snapshot
const short = (number, digits = 4) => (Number.isFinite(number) ? String(Number(number.toPrecision(digits))) : "-");
const percent = (share) => (100 * share).toFixed(1) + " %";

// -- the state, and its text in the address

const LIMITS = {  // least, most, whether whole
  tau: [1e-12, 1e12], friction: [1e-12, 1e12], particles: [1, data.most_particles, true], steps: [1, 1e7, true],
  seed: [0, 4294967295, true], time: [0, LAST, true],
};
const LIMIT = stabilityLimit(mixture, { kernel: "overdamped" });
const SLIDERS = {  // logarithmic
  tau: [LIMIT / 500, 6 * LIMIT], friction: [0.01, 100], particles: [1, data.most_particles],
};

function numberOf(key, text) {
  const value = Number(text), [least, most, whole] = LIMITS[key];
  return String(text).trim() !== "" && value >= least && value <= most && (!whole || Number.isInteger(value))
    ? value : undefined;
}

const isDefinite = (matrix, strictly) =>
  matrix.length === 3 && matrix.every(Number.isFinite) && Math.max(...matrix.map(Math.abs)) <= 1e12 &&
  (strictly ? principal(matrix).second > 0 : principal(matrix).second >= -1e-12 * principal(matrix).first);
const isFalling = (levels) =>
  levels.length > 0 && levels.length <= 64 &&
  levels.every((level, i) => level > 0 && level < (i ? levels[i - 1] : Infinity));
const listOf = (text) => String(text).split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
const oneOf = (...words) => (text) => (words.includes(text) ? text : undefined);
const flag = (text) => (text === "1" ? true : text === "0" ? false : undefined);
const within = (key) => (text) => numberOf(key, text);
const READ = {
  tab: oneOf("langevin", "diffusion"),
  kernel: oneOf(...Object.keys(KERNELS)),
  tau: within("tau"),
  noise: flag,
  covariance: (text) => (isDefinite(listOf(text), false) ? listOf(text) : undefined),
  friction: within("friction"),
  levels: (text) => (isFalling(listOf(text)) ? listOf(text) : undefined),
  particles: within("particles"),
  steps: within("steps"),
  seed: within("seed"),
  speed: oneOf("2", "10", "60", "most"),
  exact: flag,
  time: within("time"),
};
const OF_VARIANT = ["kernel", "tau", "noise", "covariance", "friction", "levels", "particles", "steps"];
const state = {
  tab: "langevin", ...data.start, seed: 1, speed: "60", exact: false, time: LAST,
};

const textOf = (value) => (typeof value === "boolean" ? String(Number(value)) : String(value));
const toHash = (from) => "#" + Object.keys(READ).map((key) => key + "=" + textOf(from[key])).join("&");

// what the text of an address says, and which of its parts say nothing
function fromHash(hash) {
  const found = {}, refused = [];
  for (const [key, text] of new URLSearchParams(hash.slice(1))) {
    const value = READ[key] && READ[key](text);
    if (value === undefined) refused.push(key);
    else found[key] = value;
  }
  const kernel = found.kernel || state.kernel, matrix = found.covariance || state.covariance;
  if (needsDefinite(kernel) && !isDefinite(matrix, true)) {
    refused.push("covariance");
    found.covariance = [...UNIT];
  }
  return { found, refused };
}

const needsDefinite = (kernel) => kernel === "preconditioned" || kernel === "mala";
const usesMatrix = ({ kernel, noise }) => needsDefinite(kernel) || (kernel === "overdamped" && noise);

let addressing = 0;
function address() {
  clearTimeout(addressing);  // browsers refuse many changes at once
  addressing = setTimeout(() => {
    try { history.replaceState(null, "", toHash(state)); } catch { /* a frame without an address of its own */ }
  }, 250);
}

// -- drawing in the plane

const MARGIN = { left: 40, right: 8, top: 8, bottom: 36 };  // CSS pixels
const BLUES = [0x9f, 0xb8, 0xd3], GREY = "#8c8c8c";
const PATHS = data.paths;  // colours
const view = { left: data.view[0] - data.view[2], bottom: data.view[1] - data.view[2], width: 2 * data.view[2] };

// a square of the plane on a canvas as wide as its place, with its scale in pixels
function square(canvas) {
  const width = Math.max(canvas.parentNode.clientWidth, 120), ratio = window.devicePixelRatio || 1;
  const size = width - MARGIN.left - MARGIN.right, height = size + MARGIN.top + MARGIN.bottom;
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const scale = size / view.width;
  return {
    canvas, size, scale, ratio,
    x: (x) => MARGIN.left + (x - view.left) * scale,
    y: (y) => MARGIN.top + size - (y - view.bottom) * scale,
  };
}

function logDensities(field, side) {
  const out = new Float64Array(side * side), cell = view.width / (side - 1);
  for (let j = 0; j < side; j++) {
    for (let i = 0; i < side; i++) {
      field.at(view.left + i * cell, view.bottom + j * cell);
      out[j * side + i] = field.logDensity;
    }
  }
  return out;
}

// shades of the log-density, white from 9 nats below the peak on, as an image
function shaded(logs, side) {
  const image = document.createElement("canvas");
  image.width = image.height = side;
  const context = image.getContext("2d"), pixels = context.createImageData(side, side);
  const peak = logs.reduce((a, b) => Math.max(a, b));
  logs.forEach((value, k) => {
    const depth = Math.min(Math.max(1 + (value - peak) / 9, 0), 1) ** 1.5, row = side - 1 - Math.floor(k / side);
    const at = 4 * (row * side + (k % side));
    for (let c = 0; c < 3; c++) pixels.data[at + c] = 255 - depth * (255 - BLUES[c]);
    pixels.data[at + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
  return image;
}

// lines of equal log-density by marching squares: pairs of points in the plane
function contours(logs, side, levels) {
  const lines = [], cell = view.width / (side - 1);
  for (const level of levels) {
    for (let j = 0; j + 1 < side; j++) {
      for (let i = 0; i + 1 < side; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], cut = [];
        const values = corners.map(([p, q]) => logs[q * side + p] - level);
        for (let k = 0; k < 4; k++) {
          const a = values[k], b = values[(k + 1) % 4];
          if (a > 0 === b > 0) continue;
          const part = a / (a - b), from = corners[k], to = corners[(k + 1) % 4];
          cut.push([0, 1].map((axis) => from[axis] + part * (to[axis] - from[axis])));
        }
        for (let k = 0; k + 1 < cut.length; k += 2) lines.push(cut[k], cut[k + 1]);
      }
    }
  }
  return lines.map(([i, j]) => [view.left + i * cell, view.bottom + j * cell]);
}

function spacing() {
  const rough = view.width / 6, power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function axes(context, place) {
  const { x, y, size } = place, step = spacing(), first = (low) => Math.ceil(low / step - 1e-9) * step;
  context.strokeStyle = context.fillStyle = "#000";
  context.lineWidth = 1;
  context.font = "12px system-ui, sans-serif";
  context.strokeRect(MARGIN.left + 0.5, MARGIN.top + 0.5, size - 1, size - 1);
  context.textAlign = "center";
  for (let at = first(view.left); at <= view.left + view.width + 1e-9; at += step) {
    context.fillRect(x(at), MARGIN.top + size, 1, 4);
    context.fillText(short(at), x(at), MARGIN.top + size + 17);
  }
  context.fillText("x", MARGIN.left + size / 2, MARGIN.top + size + 31);
  context.textAlign = "right";
  for (let at = first(view.bottom); at <= view.bottom + view.width + 1e-9; at += step) {
    context.fillRect(MARGIN.left - 4, y(at), 4, 1);
    context.fillText(short(at), MARGIN.left - 7, y(at) + 4);
  }
  context.fillText("y", 10, MARGIN.top + size / 2 + 4);
}

// what lies below the particles: shades, lines if there are any, and axes
function background(place, image, lines) {
  const under = document.createElement("canvas");
  under.width = place.canvas.width;
  under.height = place.canvas.height;
  const context = under.getContext("2d");
  context.scale(place.ratio, place.ratio);
  context.drawImage(image, MARGIN.left, MARGIN.top, place.size, place.size);
  context.strokeStyle = GREY;
  context.lineWidth = 0.8;
  context.beginPath();
  lines.forEach(([x, y], k) => context[k % 2 ? "lineTo" : "moveTo"](place.x(x), place.y(y)));
  context.stroke();
  axes(context, place);
  return under;
}

// starts a picture: what lies below, then all within the square
function begin(place, under) {
  const context = place.canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, place.canvas.width, place.canvas.height);
  if (under) context.drawImage(under, 0, 0);
  context.setTransform(place.ratio, 0, 0, place.ratio, 0, 0);
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, MARGIN.top, place.size, place.size);
  context.clip();
  return context;
}

function dots(context, place, points, side, colour, opacity) {
  context.fillStyle = colour;
  context.globalAlpha = opacity;
  const left = MARGIN.left - view.left * place.scale - side / 2, scale = place.scale;
  const top = MARGIN.top + place.size + view.bottom * place.scale - side / 2;
  for (let i = 0; i < points.length; i += 2) {
    context.fillRect(left + points[i] * scale, top - points[i + 1] * scale, side, side);
  }
  context.globalAlpha = 1;
}

// side of a marker in CSS pixels: larger where there are few places that can be told apart
function markerSide(points, place) {
  const cells = 400, seen = new Uint8Array(cells * cells);
  let places = 0;
  for (let i = 0; i < points.length; i += 2) {
    const column = Math.floor(((points[i] - view.left) / view.width) * cells);
    const row = Math.floor(((points[i + 1] - view.bottom) / view.width) * cells);
    if (!(column >= 0 && row >= 0 && column < cells && row < cells) || seen[row * cells + column]++) continue;
    places++;
  }
  return (Math.sqrt(Math.min(Math.max(18000 / Math.max(places, 1), 1), 40)) * place.size) / 400;
}

// -- the first tab: Langevin dynamics

const run = new Run(mixture, state.particles, state.seed);
const MOST_MEASURED = 5000;  // particles that are compared with exact samples
const targets = { exact: projections(exact), shares: sharesOf(exact), floor: NaN, spread: NaN, particles: 0 };
const scene = { place: null, under: null, side: 2, logs: null, image: null, lines: null };
const play = { running: false, due: 0, last: 0, read: 0, measured: 0, count: 0, since: 0, rate: NaN };

function sharesOf(points) {
  const counts = nearestCounts(points, modes), n = counts.reduce((a, b) => a + b, 0);
  return counts.map((count) => count / (n || 1));  // none where no particle is finite
}

const variation = (shares) => shares.reduce((sum, share, m) => sum + Math.abs(share - targets.shares[m]), 0) / 2;

// what an exact sample of as many particles would get: the noise floor
function setFloor() {
  if (targets.particles === state.particles) return;
  targets.particles = state.particles;
  const other = drawn(mixture, Math.min(state.particles, MOST_MEASURED), new Random(2024));
  targets.floor = slicedWasserstein2(projections(other), targets.exact);
  targets.spread = variation(sharesOf(other));
}

function layPlane() {
  if (get("langevin").hidden) return;
  if (!scene.logs) {
    const n = mixture.weights.length, side = Math.round(Math.min(Math.max(Math.sqrt(9e6 / n), 40), 240));
    scene.logs = logDensities(run.field, side);
    const peak = scene.logs.reduce((a, b) => Math.max(a, b));
    scene.image = shaded(scene.logs, side);
    scene.lines = contours(scene.logs, side, [-0.7, -2, -4, -6].map((nats) => peak + nats));
  }
  scene.place = square(get("plane"));
  scene.under = background(scene.place, scene.image, scene.lines);
}

function draw() {
  if (!scene.place) return;
  const context = begin(scene.place, scene.under);
  if (state.exact) dots(context, scene.place, exact, 2, data.colours.exact, 0.7);
  dots(context, scene.place, run.x, scene.side, data.colours.particles, 0.6);
  context.font = "bold 12px system-ui, sans-serif";
  context.textAlign = "left";
  context.lineWidth = 3;
  context.strokeStyle = "#fff";
  context.fillStyle = "#000";
  for (let m = 0; m < modes.length / 2; m++) {
    const x = scene.place.x(modes[2 * m]), y = scene.place.y(modes[2 * m + 1]);
    context.strokeText(String(m), x + 6, y + 4);
    context.fillText(String(m), x + 6, y + 4);
    context.fillRect(x - 1.5, y - 1.5, 3, 3);
  }
  context.restore();
}

function lostOf(x) {
  let outside = 0, broken = 0;
  for (let i = 0; i < x.length; i += 2) {
    const u = (x[i] - view.left) / view.width, v = (x[i + 1] - view.bottom) / view.width;
    if (!Number.isFinite(u + v)) broken++;
    else if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1)) outside++;
  }
  return { outside, broken };
}

// the numbers beside the plane; the distance takes longer, and is measured less often
function readOut(distance) {
  const n = run.x.length / 2, { outside, broken } = lostOf(run.x), shares = sharesOf(run.x);
  scene.side = markerSide(run.x, scene.place || { size: 400 });
  get("step").textContent = run.step.toLocaleString("en");
  get("rate").textContent = Number.isFinite(play.rate) ? short(play.rate, 3) : "-";
  get("variation").textContent = short(variation(shares), 3) + " (" + short(targets.spread, 2) + ")";
  get("lost").textContent = broken ? outside + ", " + broken + " not finite" : String(outside);
  get("acceptance").textContent = run.proposed ? percent(run.accepted / run.proposed) : "-";
  if (distance) {
    const found = slicedWasserstein2(projections(run.x.subarray(0, 2 * Math.min(n, MOST_MEASURED))), targets.exact);
    get("distance").textContent = short(found, 3) + " (" + short(targets.floor, 2) + ")";
  }
  const most = Math.max(...shares, ...targets.shares, 0.01);
  rows.forEach((row, m) => {
    row.share.textContent = percent(shares[m]);
    row.bar.style.width = (100 * shares[m]) / most + "%";
    row.mark.style.left = "calc(" + (100 * targets.shares[m]) / most + "% - 1px)";
  });
}

const rows = Array.from({ length: modes.length / 2 }, (_, m) => {
  const row = get("modes").insertRow(), cell = (text) => (row.insertCell().textContent = text);
  cell(String(m));
  row.insertCell().append("");
  const bar = document.createElement("b"), mark = document.createElement("u"), box = document.createElement("div");
  box.className = "bar";
  box.append(bar, mark);
  bar.style.background = data.colours.particles;
  row.insertCell().append(box);
  cell(percent(targets.shares[m]));
  return { share: row.cells[1], bar, mark };
});

// steps until `until`, or as many as are due; stops once at state.steps
function advance(nSteps, until) {
  for (let i = 0; i < nSteps; i++) {
    const left = run.step < state.steps ? state.steps - run.step : Infinity;
    run.advance(state, 1);
    play.count++;
    if (left === 1) {
      pause();
      break;
    }
    if (performance.now() > until) break;
  }
}

function frame(now) {
  if (!play.running) return;
  requestAnimationFrame(frame);
  const spent = Math.min(now - play.last, 500);
  play.last = now;
  if (state.speed === "most") advance(Infinity, performance.now() + 12);
  else {
    play.due = Math.min(play.due + (spent * Number(state.speed)) / 1000, 30);
    const whole = Math.floor(play.due);
    play.due -= whole;
    advance(whole, performance.now() + 25);
  }
  if (now - play.since > 1000) {
    play.rate = (1000 * play.count) / (now - play.since);
    play.count = 0;
    play.since = now;
  }
  if (now - play.read > 250) {
    play.read = now;
    const due = now - play.measured > 1000;
    if (due) play.measured = now;
    readOut(due);
  }
  draw();
  if (!play.running) readOut(true);
}

function start() {
  play.running = true;
  Object.assign(play, { due: 1, last: performance.now(), count: 0, since: performance.now(), rate: NaN });
  get("run").textContent = "Pause";
  requestAnimationFrame(frame);
}

function pause() {
  play.running = false;
  get("run").textContent = "Run";
}

const toggle = () => {
  if (!play.running) return start();
  pause();
  readOut(true);
};

function once() {
  pause();
  run.advance(state, 1);
  readOut(true);
  draw();
}

function restart() {
  setFloor();
  run.restart(state.particles, state.seed);
  readOut(true);
  draw();
}

// -- controls: the state is right, and what is shown follows it

const KERNEL_WORDS = {
  overdamped: () => state.noise
    ? "x ← x + τ s(x) + √(2τ) ζ with ζ ~ N(0, C): the unadjusted Langevin algorithm for C = I"
    : "x ← x + τ s(x): gradient flow by explicit Euler steps",
  preconditioned: () =>
    "x ← x + τ M s(x)" + (state.noise ? " + √(2τ) ζ with ζ ~ N(0, M): M on drift and noise alike" : ": gradient flow"),
  mala: () => "as preconditioned, each step accepted or rejected so that the mixture is kept exactly (Metropolis)",
  underdamped: () =>
    "BAOAB: half a kick, half a drift, friction and noise, half a drift, half a kick; τ is the time of a step",
  annealed: () =>
    "x ← x + τₛ sₛ(x) + √(2τₛ) ζ on the mixture with noise of deviation s added; τₛ = τ s² / (last s)²; " +
    "each s gets the same share of the steps",
};
const logTo = (value) => Math.log10(value);
// deviations along its axes, which mark is held, and half the width of the square about it
const ellipse = { first: 1, second: 1, angle: 0, held: 0, reach: 2.4 };

function show() {
  for (const key of Object.keys(SLIDERS)) {
    get(key).value = logTo(state[key]);
    get(key + "-number").value = state[key];
  }
  for (const key of ["steps", "seed"]) get(key).value = state[key];
  get("kernel").value = state.kernel;
  get("noise").checked = state.noise;
  get("speed").value = state.speed;
  get("exact").checked = state.exact;
  get("levels").value = state.levels.join(", ");
  ["xx", "xy", "yy"].forEach((key, i) => (get(key).value = state.covariance[i]));
  for (const input of document.querySelectorAll("[aria-invalid=true]")) input.removeAttribute("aria-invalid");
  get("formula").textContent = KERNEL_WORDS[state.kernel]();
  get("noise").disabled = !["overdamped", "preconditioned"].includes(state.kernel);
  get("matrix").disabled = !usesMatrix(state);
  get("matrix-name").textContent = needsDefinite(state.kernel) ? "Preconditioner M" : "Covariance C of the noise ζ";
  get("friction-row").hidden = state.kernel !== "underdamped";
  get("levels-row").hidden = state.kernel !== "annealed";
  const limit = stabilityLimit(mixture, state), beyond = state.tau > limit;
  get("warning").hidden = !beyond;
  get("warning").textContent = beyond
    ? "τ is beyond the stability limit " + short(limit, 3) + ": steps grow in the narrowest direction of a component"
    : "";
  document.querySelectorAll("button[data-variant]").forEach((button) => {
    const { controls } = data.variants[Number(button.dataset.variant)];
    const fits = controls && OF_VARIANT.every((key) => textOf(controls[key]) === textOf(state[key]));
    button.setAttribute("aria-pressed", String(Boolean(fits)));
  });
  drawEllipse();
  address();
}

// takes changes into the state, and starts again where particles cannot go on
function change(part) {
  const anew = ["kernel", "particles", "seed"].some((key) => key in part && part[key] !== state[key]) ||
    (((part.kernel || state.kernel) === "annealed") && ("levels" in part || "steps" in part));
  Object.assign(state, part);
  if (needsDefinite(state.kernel) && !isDefinite(state.covariance, true)) state.covariance = [...UNIT];
  if (!part.covariance || !ellipse.held) fitEllipse();
  show();
  if (anew) restart();
}

function fitEllipse() {
  const { first, second, angle } = principal(state.covariance);
  Object.assign(ellipse, { first: Math.sqrt(Math.max(first, 0)), second: Math.sqrt(Math.max(second, 0)), angle });
  setReach();
}

function setReach() {
  ellipse.reach = Math.max(2.4, 1.25 * ellipse.first, 1.25 * ellipse.second);
}

function reshape(part) {
  Object.assign(ellipse, part);
  for (const key of ["first", "second"]) ellipse[key] = Math.min(Math.max(ellipse[key], 0.05), 0.95 * ellipse.reach);
  const held = ellipse.held;
  if (!held) setReach();
  ellipse.held = held || 3;  // so that its axes keep their names
  const matrix = fromPrincipal(ellipse.first ** 2, ellipse.second ** 2, ellipse.angle);
  change({ covariance: matrix.map((entry) => Math.round(1e4 * entry) / 1e4 + 0) });
  ellipse.held = held;
}

function handles() {
  const { first, second, angle } = ellipse;
  return [[first * Math.cos(angle), first * Math.sin(angle)], [-second * Math.sin(angle), second * Math.cos(angle)]];
}

function drawEllipse() {
  const canvas = get("ellipse"), ratio = window.devicePixelRatio || 1, size = 170, scale = size / 2 / ellipse.reach;
  canvas.width = canvas.height = size * ratio;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size, size);
  context.strokeStyle = "#ccc";
  context.fillStyle = "#555";
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "center";
  const tick = Math.ceil(ellipse.reach / 3), most = Math.floor(ellipse.reach / tick) * tick;
  for (let at = -most; at <= most; at += tick) {
    const p = size / 2 + at * scale;
    context.beginPath();
    context.moveTo(p, at ? size / 2 - 3 : 0);
    context.lineTo(p, at ? size / 2 + 3 : size);
    context.moveTo(at ? size / 2 - 3 : 0, p);
    context.lineTo(at ? size / 2 + 3 : size, p);
    context.stroke();
    if (at) context.fillText(String(at), p, size / 2 + 14);
  }
  context.strokeStyle = GREY;  // of I, to compare
  context.setLineDash([3, 3]);
  context.beginPath();
  context.arc(size / 2, size / 2, scale, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
  context.strokeStyle = data.colours.ellipse;
  context.lineWidth = 2.5;
  context.beginPath();
  context.ellipse(size / 2, size / 2, ellipse.first * scale, ellipse.second * scale, -ellipse.angle, 0, 2 * Math.PI);
  context.stroke();
  handles().forEach(([x, y], i) => {
    context.beginPath();
    if (i) context.rect(size / 2 + x * scale - 5, size / 2 - y * scale - 5, 10, 10);
    else context.arc(size / 2 + x * scale, size / 2 - y * scale, 6, 0, 2 * Math.PI);
    context.fillStyle = data.colours.ellipse;
    context.fill();
  });
}

function pointed(event) {
  const box = get("ellipse").getBoundingClientRect(), scale = box.width / 2 / ellipse.reach;
  return [(event.clientX - box.left - box.width / 2) / scale, (box.top + box.height / 2 - event.clientY) / scale];
}

function drag(event) {
  if (!ellipse.held) return;
  const [x, y] = pointed(event), { angle } = ellipse;
  if (ellipse.held === 1) reshape({ first: Math.hypot(x, y), angle: Math.atan2(y, x) });
  else reshape({ second: Math.abs(-x * Math.sin(angle) + y * Math.cos(angle)) });
}

get("ellipse").addEventListener("pointerdown", (event) => {
  if (get("matrix").disabled) return;
  const [x, y] = pointed(event);
  const [first, second] = handles().map(([p, q]) => Math.min(Math.hypot(x - p, y - q), Math.hypot(x + p, y + q)));
  ellipse.held = first <= second ? 1 : 2;
  get("ellipse").setPointerCapture(event.pointerId);
});
get("ellipse").addEventListener("pointermove", drag);
for (const end of ["pointerup", "pointercancel"]) {
  get("ellipse").addEventListener(end, () => {
    ellipse.held = 0;
    setReach();
    drawEllipse();
  });
}
get("ellipse").addEventListener("keydown", (event) => {
  const sign = { ArrowLeft: 1, ArrowRight: -1, ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!sign || get("matrix").disabled) return;
  event.preventDefault();
  const axis = event.shiftKey ? "second" : "first";
  if (event.key.startsWith("ArrowL") || event.key.startsWith("ArrowR")) turn(sign * Math.PI / 36);
  else reshape({ [axis]: ellipse[axis] + 0.05 * sign });
});
const turn = (by) => reshape({ angle: ellipse.angle + by });

function refuse(input, why) {
  input.setAttribute("aria-invalid", "true");
  get("warning").hidden = false;
  get("warning").textContent = why;
}

function take(input, part, why) {
  if (Object.values(part).some((value) => value === undefined)) refuse(input, why);
  else change(part);
}

const wanted = (key) =>
  "A " + (LIMITS[key][2] ? "whole " : "") + "number from " + LIMITS[key][0] + " to " + LIMITS[key][1] + " is wanted.";
const on = (id, kind, act) => get(id).addEventListener(kind, act);
for (const key of Object.keys(SLIDERS)) {
  const [least, most] = SLIDERS[key], number = get(key + "-number"), whole = LIMITS[key][2];
  Object.assign(get(key), { min: logTo(least), max: logTo(most), step: 0.01 });
  on(key, "input", () => {
    const value = 10 ** Number(get(key).value);
    const short = Number(value.toPrecision(3));
    change({ [key]: Math.min(whole ? Math.round(short) : short, most) });
  });
  number.addEventListener("change", () =>
    take(number, { [key]: numberOf(key, number.value) }, wanted(key)));
}
for (const key of ["steps", "seed"]) {
  on(key, "change", () =>
    take(get(key), { [key]: numberOf(key, get(key).value) }, wanted(key)));
}
on("kernel", "change", () => change({ kernel: get("kernel").value }));
on("noise", "change", () => change({ noise: get("noise").checked }));
on("speed", "change", () => change({ speed: get("speed").value }));
on("exact", "change", () => { change({ exact: get("exact").checked }); draw(); });
on("levels", "change", () =>
  take(get("levels"), { levels: READ.levels(get("levels").value) }, "Falling positive numbers are wanted, as 4, 2."));
for (const key of ["xx", "xy", "yy"]) {
  on(key, "change", () => {
    const matrix = listOf(["xx", "xy", "yy"].map((part) => get(part).value).join(","));
    const strictly = needsDefinite(state.kernel), covariance = isDefinite(matrix, strictly) ? matrix : undefined;
    take(get(key), { covariance }, "The matrix is not positive " + (strictly ? "definite." : "semidefinite."));
  });
}
on("run", "click", toggle);
on("once", "click", once);
on("anew", "click", restart);
const still = window.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches;
document.querySelectorAll("button[data-variant]").forEach((button) => {
  const { controls } = data.variants[Number(button.dataset.variant)];
  button.addEventListener("click", () => {
    pause();
    change({ ...controls });
    restart();
    if (!still) start();
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || event.target.closest("button, select, summary, a, input:not([type=range])")) return;
  event.preventDefault();
  if (state.tab === "langevin") toggle();
  else film.running ? stopFilm() : startFilm(film.direction);
});

// -- the second tab: forward SDE, reverse SDE, probability flow

const KINDS = ["forward", "reverse", "flow"];
const film = {
  found: {}, work: null, working: false, done: 0, key: "",
  running: false, direction: -1, last: 0, read: 0, places: [], under: new Map(),
};
const TRAIL = 30;  // snapshots
const timeOf = (i) => timeline.first + (i / LAST) * (1 - timeline.first);
const clockOf = (i) => timeline.clocks[i * timeline.between];
const filmParticles = () =>
  Math.max(Math.min(state.particles, 1000, Math.max(Math.floor(150000 / mixture.weights.length), 100)), PATHS.length);

function prepareFilm() {
  const key = filmParticles() + " " + state.seed;
  if (film.key === key) return;
  Object.assign(film, { key, found: {}, done: 0 });
  film.work = paths(mixture, timeline, filmParticles(), state.seed, film.found);
}

// computes for the rest of a frame at a time
function workFilm() {
  film.working = Boolean(film.work) && state.tab === "diffusion";
  if (!film.working) return;
  requestAnimationFrame(workFilm);
  for (const until = performance.now() + 12; film.work && performance.now() < until; ) {
    const { value, done } = film.work.next();
    if (done) film.work = null;
    else film.done = value;
  }
  get("progress").textContent = film.work ? "computing the way back: " + Math.round(100 * film.done) + " %" : "";
  drawFilm();
  if (!film.work) readFilm();
}

function layFilm() {
  if (get("diffusion").hidden) return;
  film.places = KINDS.map((kind) => square(get(kind)));
  film.under.clear();
}

function underFilm(i) {
  if (!film.under.has(i)) {
    const side = Math.round(Math.min(Math.max(Math.sqrt(1.4e6 / mixture.weights.length), 24), 96));
    const image = shaded(logDensities(new Field(marginal(mixture, timeline, clockOf(i))), side), side);
    if (film.under.size > 30) film.under.clear();
    film.under.set(i, background(film.places[0], image, []));
  }
  return film.under.get(i);
}

// how particle j went from one snapshot to another
function trail(context, place, positions, j, from, to, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1.3;
  context.beginPath();
  for (let i = from, step = Math.sign(to - from) || 1; ; i += step) {
    context.lineTo(place.x(positions[i][2 * j]), place.y(positions[i][2 * j + 1]));
    if (i === to) break;
  }
  context.stroke();
  context.fillStyle = colour;
  context.beginPath();
  context.arc(place.x(positions[to][2 * j]), place.y(positions[to][2 * j + 1]), 5, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = "#fff";
  context.stroke();
}

function drawFilm() {
  if (!film.places.length) return;
  KINDS.forEach((kind, k) => {
    const place = film.places[k], context = begin(place, underFilm(state.time));
    const positions = film.found[kind], here = positions && positions[state.time];
    if (here) {
      dots(context, place, here, 2, data.colours.particles, 0.6);
      const from = kind === "forward" ? Math.max(state.time - TRAIL, 0) : Math.min(state.time + TRAIL, LAST);
      PATHS.forEach((colour, j) => trail(context, place, positions, j, from, state.time, colour));
    }
    context.restore();
  });
  const clock = clockOf(state.time);
  const share = percent(Math.exp(-clock));
  get("when").textContent = "t = " + timeOf(state.time).toFixed(2) + ", " + share + " of the variance is from the data";
}

// distances from an exact sample of p_t
function readFilm() {
  const clock = clockOf(state.time), random = new Random(7), law = marginal(mixture, timeline, clock);
  const reference = projections(drawn(law, 4000, random));
  const floor = slicedWasserstein2(projections(drawn(law, filmParticles(), random)), reference);
  for (const kind of KINDS) {
    const here = film.found[kind] && film.found[kind][state.time];
    const found = here ? short(slicedWasserstein2(projections(here), reference), 3) : "-";
    get(kind + "-distance").textContent = "sliced W2 from pₜ: " + found + " (" + short(floor, 2) + ")";
  }
}

function visit(time) {
  state.time = time;
  get("time").value = time;
  drawFilm();
  address();
}

function playFilm(now) {
  if (!film.running) return;
  requestAnimationFrame(playFilm);
  if (now - film.last < 40) return;
  film.last = now;
  const next = state.time + film.direction;
  if (next < 0 || next > LAST) return stopFilm();
  const waits = film.work && film.direction < 0 && !film.found.flow[next];
  if (!waits) visit(next);
  if (now - film.read > 500) {
    film.read = now;
    readFilm();
  }
}

function startFilm(direction) {
  if (direction < 0 && state.time === 0) visit(LAST);
  if (direction > 0 && state.time === LAST) visit(0);
  Object.assign(film, { running: true, direction });
  get("halt").disabled = false;
  requestAnimationFrame(playFilm);
}

function stopFilm() {
  film.running = false;
  get("halt").disabled = true;
  readFilm();
}

get("time").max = LAST;
on("time", "input", () => { film.running = false; visit(Number(get("time").value)); readFilm(); });
on("to-noise", "click", () => startFilm(1));
on("to-data", "click", () => startFilm(-1));
on("halt", "click", stopFilm);

// -- tabs, sizes, and the start

const TABS = ["langevin", "diffusion"];
function choose(tab) {
  state.tab = tab;
  for (const name of TABS) {
    get(name).hidden = name !== tab;
    get("tab-" + name).setAttribute("aria-selected", String(name === tab));
    get("tab-" + name).tabIndex = name === tab ? 0 : -1;
  }
  if (tab === "langevin") stopFilm();
  else {
    pause();
    prepareFilm();
    if (!film.working) workFilm();
  }
  lay();
  address();
}

function lay() {
  if (state.tab === "langevin") {
    layPlane();
    readOut(false);
    draw();
  } else {
    layFilm();
    visit(state.time);
    readFilm();
  }
}

TABS.forEach((name, i) => {
  on("tab-" + name, "click", () => choose(name));
  on("tab-" + name, "keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    choose(TABS[1 - i]);
    get("tab-" + TABS[1 - i]).focus();
  });
});

let width = 0;
new ResizeObserver(() => {
  if (width === document.documentElement.clientWidth) return;
  width = document.documentElement.clientWidth;
  lay();
}).observe(document.body);

function apply() {
  const { found, refused } = fromHash(location.hash);
  pause();
  Object.assign(state, found);
  fitEllipse();
  show();
  restart();
  choose(state.tab);
  if (!refused.length) return;
  get("warning").hidden = false;
  get("warning").textContent = "The address has parts that cannot be read: " + [...new Set(refused)].join(", ") + ".";
}

window.addEventListener("hashchange", apply);
get("still").hidden = true;
get("live").hidden = false;
apply();
window.onerror = null;
document.body.setAttribute("data-ready", "");
"""
