"""What the page of live particles computes, in JavaScript: the mixture's score, Langevin kernels, dynamics, distances.

Formulas are those of `gmm.mixture`, `gmm.kernels`, `gmm.diagnostics` and `likelihood.dynamics`, in float64. Points
(N, 2) are one array of 2 N numbers, covariances (K, 3) are xx, xy, yy.
"""

SCRIPT = r"""
"use strict";

// -- random numbers: sfc32 (C. Doty-Humphrey), seeded by splitmix32, and normal ones by Box & Muller

class Random {
  constructor(seed) {
    let state = seed | 0;
    const mixed = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.a = mixed();
    this.b = mixed();
    this.c = mixed();
    this.counter = 1;
    for (let i = 0; i < 12; i++) this.bits();
  }

  bits() {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  // in (0, 1], of 53 bits
  uniform() {
    return ((this.bits() >>> 5) * 67108864 + (this.bits() >>> 6) + 1) / 9007199254740992;
  }

  // fills an array of even length with draws from N(0, 1)
  normals(out) {
    for (let i = 0; i < out.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(this.uniform())), angle = 2 * Math.PI * this.uniform();
      out[i] = radius * Math.cos(angle);
      out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }
}

// -- mixtures {weights (K,), means (K, 2), covariances (K, 3)}

// a b less its rounded value (Dekker 1971)
function productError(a, b) {
  const highOf = (factor) => factor * 134217729 - (factor * 134217729 - factor);  // 2^27 + 1
  const aHigh = highOf(a), bHigh = highOf(b), aLow = a - aHigh, bLow = b - bHigh;
  return aLow * bLow - (a * b - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

const determinant = (xx, xy, yy) => xx * yy - xy * xy + (productError(xx, yy) - productError(xy, xy));

// eigenvalues of a symmetric matrix, the greater one first, and the angle of its axis
function principal([xx, xy, yy]) {
  const middle = (xx + yy) / 2, half = Math.hypot((xx - yy) / 2, xy);
  return { first: middle + half, second: middle - half, angle: Math.atan2(2 * xy, xx - yy) / 2 };
}

function fromPrincipal(first, second, angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return [first * c * c + second * s * s, (first - second) * c * s, first * s * s + second * c * c];
}

function squareRoot(matrix) {
  const { first, second, angle } = principal(matrix);
  return fromPrincipal(Math.sqrt(Math.max(first, 0)), Math.sqrt(Math.max(second, 0)), angle);
}

const covarianceOf = (mixture, k) => Array.from(mixture.covariances.subarray(3 * k, 3 * k + 3));

// means about `centre` times `factor`, covariances times its square, plus `variance` on both axes
function changed(mixture, centre, factor, variance) {
  const { weights, means, covariances } = mixture;
  return {
    weights,
    means: means.map((mean, i) => centre[i % 2] + factor * (mean - centre[i % 2])),
    covariances: covariances.map((entry, i) => factor * factor * entry + (i % 3 === 1 ? 0 : variance)),
  };
}

const diffused = (mixture, level) => changed(mixture, [0, 0], 1, level * level);

function drawn(mixture, n, random) {
  const x = random.normals(new Float64Array(2 * n)), ends = [];
  let sum = 0;
  for (const weight of mixture.weights) ends.push(sum += weight);
  for (let i = 0; i < n; i++) {
    const u = random.uniform() * sum;
    let low = 0, high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] < u) low = middle + 1;
      else high = middle;
    }
    const [xx, xy, yy] = covarianceOf(mixture, low), across = Math.sqrt(xx), below = xy / across;
    const first = x[2 * i], second = x[2 * i + 1];
    x[2 * i] = mixture.means[2 * low] + across * first;
    x[2 * i + 1] = mixture.means[2 * low + 1] + below * first + Math.sqrt(yy - below * below) * second;
  }
  return x;
}

// Log-density and score of a mixture. The plane about it is cut into cells; for each the components that count there
// are listed once it is visited. All that are left out change the score s by less than 1e-17 (1 + |s|).
const LEAST_SHARE = Math.log(1e-17), WIDTH = 6;

class Field {
  constructor(mixture, cells = 0) {
    const { weights, means, covariances } = mixture, n = weights.length;
    this.parts = new Float64Array(WIDTH * n);  // mean, whitener, log-scale of each component
    this.narrow = new Float64Array(n);  // 1 / its least deviation
    this.terms = new Float64Array(n);
    this.all = Int32Array.from(weights, (_, k) => WIDTH * k);
    this.least = LEAST_SHARE - Math.log(n);
    this.logDensity = this.scoreX = this.scoreY = 0;
    const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let k = 0; k < n; k++) {
      const [xx, xy, yy] = covarianceOf(mixture, k), volume = determinant(xx, xy, yy);
      const across = Math.sqrt(yy / volume), { first, second } = principal([xx, xy, yy]);
      const scale = Math.log(weights[k]) - 0.5 * Math.log(volume) - Math.log(2 * Math.PI);
      const whitener = [across, (-across * xy) / yy, 1 / Math.sqrt(yy)];
      this.parts.set([means[2 * k], means[2 * k + 1], ...whitener, scale], WIDTH * k);
      this.narrow[k] = 1 / Math.sqrt(Math.min(second, volume / first));
      for (let axis = 0; axis < 2; axis++) {
        low[axis] = Math.min(low[axis], means[2 * k + axis] - 4 * Math.sqrt(first));
        high[axis] = Math.max(high[axis], means[2 * k + axis] + 4 * Math.sqrt(first));
      }
    }
    this.cells = cells;
    this.lists = new Array(cells * cells).fill(null);
    this.low = low;
    this.cell = cells ? Math.max(high[0] - low[0], high[1] - low[1]) / cells : 1;
  }

  // where in `parts` the components are that count at a point
  near(x, y) {
    const i = Math.floor((x - this.low[0]) / this.cell), j = Math.floor((y - this.low[1]) / this.cell);
    if (!(i >= 0 && j >= 0 && i < this.cells && j < this.cells)) return this.all;  // not finite, too
    const cell = j * this.cells + i;
    return this.lists[cell] || (this.lists[cell] = this.listed(i, j));
  }

  listed(i, j) {
    const x = this.low[0] + (i + 0.5) * this.cell, y = this.low[1] + (j + 0.5) * this.cell;
    const radius = this.cell * Math.SQRT1_2 * (1 + 1e-9), { parts, narrow, terms } = this;
    let floor = -Infinity;
    for (let k = 0; k < narrow.length; k++) {
      const o = WIDTH * k, dx = parts[o] - x, dy = parts[o + 1] - y;
      const distance = Math.hypot(parts[o + 2] * dx + parts[o + 3] * dy, parts[o + 4] * dy);
      const reach = radius * narrow[k], farthest = distance + reach, closest = Math.max(distance - reach, 0);
      floor = Math.max(floor, parts[o + 5] - 0.5 * farthest * farthest);
      // share of the density, times the pull, at most
      terms[k] = parts[o + 5] - 0.5 * closest * closest + Math.log(Math.max(1, farthest * narrow[k]));
    }
    return this.all.filter((_, k) => terms[k] >= floor + this.least);
  }

  // sets logDensity, scoreX and scoreY
  at(x, y) {
    const { parts, terms } = this, near = this.near(x, y), n = near.length;
    let peak = -Infinity;
    for (let j = 0; j < n; j++) {
      const o = near[j], dx = parts[o] - x, dy = parts[o + 1] - y;
      const u = parts[o + 2] * dx + parts[o + 3] * dy, v = parts[o + 4] * dy;
      const term = parts[o + 5] - 0.5 * (u * u + v * v);
      terms[j] = term;
      if (term > peak) peak = term;
    }
    let density = 0, scoreX = 0, scoreY = 0;
    const least = peak - 60;
    for (let j = 0; j < n; j++) {
      if (!(terms[j] > least)) continue;
      const o = near[j], dx = parts[o] - x, dy = parts[o + 1] - y;
      const a = parts[o + 2], b = parts[o + 3], c = parts[o + 4], u = a * dx + b * dy;
      const share = Math.exp(terms[j] - peak);
      density += share;
      scoreX += share * a * u;
      scoreY += share * (b * u + c * c * dy);
    }
    this.logDensity = peak + Math.log(density);
    this.scoreX = scoreX / density;
    this.scoreY = scoreY / density;
  }

  // of points (N, 2)
  scores(points) {
    const out = new Float64Array(points.length);
    for (let i = 0; i < points.length; i += 2) {
      this.at(points[i], points[i + 1]);
      out[i] = this.scoreX;
      out[i + 1] = this.scoreY;
    }
    return out;
  }
}

// -- Langevin kernels: each prepares a function of the step's number that moves all particles

const times = (factor, [xx, xy, yy]) => [factor * xx, factor * xy, factor * yy];
const UNIT = [1, 0, 1];

// x <- x + drift score(x) + noise zeta
function move(run, field, drift, noise) {
  const { x, zeta } = run;
  if (noise) run.random.normals(zeta);
  for (let i = 0; i < x.length; i += 2) {
    field.at(x[i], x[i + 1]);
    x[i] += drift[0] * field.scoreX + drift[1] * field.scoreY;
    x[i + 1] += drift[1] * field.scoreX + drift[2] * field.scoreY;
    if (noise) {
      x[i] += noise[0] * zeta[i] + noise[1] * zeta[i + 1];
      x[i + 1] += noise[1] * zeta[i] + noise[2] * zeta[i + 1];
    }
  }
}

function overdamped(run, { tau, noise, covariance }) {
  const drift = times(tau, UNIT), root = noise ? times(Math.sqrt(2 * tau), squareRoot(covariance)) : null;
  return () => move(run, run.field, drift, root);
}

function preconditioned(run, { tau, noise, covariance }) {
  const drift = times(tau, covariance), root = noise ? times(Math.sqrt(2 * tau), squareRoot(covariance)) : null;
  return () => move(run, run.field, drift, root);
}

function mala(run, { tau, covariance }) {
  const { x, zeta, field, random } = run, drift = times(tau, covariance);
  const noise = times(Math.sqrt(2 * tau), squareRoot(covariance));
  if (!run.logs) {
    run.logs = new Float64Array(x.length / 2);
    run.scores = new Float64Array(x.length);
    for (let i = 0; i < x.length; i += 2) keep(run, i);
  }
  const { logs, scores } = run;
  return () => {
    random.normals(zeta);
    for (let i = 0; i < x.length; i += 2) {
      const zetaX = zeta[i], zetaY = zeta[i + 1], oldX = scores[i], oldY = scores[i + 1];
      const newX = x[i] + drift[0] * oldX + drift[1] * oldY + noise[0] * zetaX + noise[1] * zetaY;
      const newY = x[i + 1] + drift[1] * oldX + drift[2] * oldY + noise[1] * zetaX + noise[2] * zetaY;
      field.at(newX, newY);
      // the noise that would lead back is -(zeta + noise (score + new score) / 2)
      const sumX = 0.5 * (oldX + field.scoreX), sumY = 0.5 * (oldY + field.scoreY);
      const backX = zetaX + noise[0] * sumX + noise[1] * sumY, backY = zetaY + noise[1] * sumX + noise[2] * sumY;
      const forth = 0.5 * (zetaX * zetaX + zetaY * zetaY), back = 0.5 * (backX * backX + backY * backY);
      if (Math.log(random.uniform()) <= field.logDensity - logs[i / 2] + forth - back) {
        x[i] = newX;
        x[i + 1] = newY;
        logs[i / 2] = field.logDensity;
        scores[i] = field.scoreX;
        scores[i + 1] = field.scoreY;
        run.accepted++;
      }
    }
    run.proposed += x.length / 2;
  };
}

function keep(run, i) {
  run.field.at(run.x[i], run.x[i + 1]);
  if (run.logs) run.logs[i / 2] = run.field.logDensity;
  run.scores[i] = run.field.scoreX;
  run.scores[i + 1] = run.field.scoreY;
}

// BAOAB (Leimkuhler & Matthews 2013)
function underdamped(run, { tau, friction }) {
  const { x, zeta, random } = run;
  if (!run.velocity) {
    run.velocity = random.normals(new Float64Array(x.length));
    run.scores = new Float64Array(x.length);
    for (let i = 0; i < x.length; i += 2) keep(run, i);
  }
  const { velocity, scores } = run, half = 0.5 * tau, decay = Math.exp(-friction * tau);
  const deviation = Math.sqrt(1 - decay * decay);
  return () => {
    random.normals(zeta);
    for (let i = 0; i < x.length; i++) {
      let speed = velocity[i] + half * scores[i];
      x[i] += half * speed;
      speed = decay * speed + deviation * zeta[i];
      x[i] += half * speed;
      velocity[i] = speed;
    }
    for (let i = 0; i < x.length; i += 2) keep(run, i);
    for (let i = 0; i < x.length; i++) velocity[i] += half * scores[i];
  };
}

// halves go to the even number, as NumPy rounds them
function rounded(number) {
  const below = Math.floor(number), rest = number - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0);
}

// the number of the noise level of each step before `steps`; the last one goes on
function levelOf(step, nLevels, steps) {
  for (let j = 1; j < nLevels; j++) if (step < rounded(j * (steps / nLevels))) return j - 1;
  return nLevels - 1;
}

const levelSize = (tau, levels, j) => tau * (levels[j] / levels[levels.length - 1]) ** 2;

function annealed(run, { tau, levels, steps }) {
  return (step) => {
    const j = levelOf(step, levels.length, steps), size = levelSize(tau, levels, j);
    move(run, run.diffused(levels[j]), times(size, UNIT), times(Math.sqrt(2 * size), UNIT));
  };
}

const KERNELS = { overdamped, preconditioned, mala, underdamped, annealed };

// n particles from N(0, I). Settings: kernel, tau, noise (whether), covariance (of the noise, or the preconditioner),
// friction, levels, steps (that the levels divide)
class Run {
  constructor(mixture, n, seed) {
    this.mixture = mixture;
    this.fields = new Map();
    this.field = this.diffused(0);
    this.restart(n, seed);
  }

  restart(n, seed) {
    this.random = new Random(seed);
    this.x = this.random.normals(new Float64Array(2 * n));
    this.zeta = new Float64Array(2 * n);
    this.logs = this.scores = this.velocity = null;
    this.step = this.accepted = this.proposed = 0;
  }

  diffused(level) {
    if (!this.fields.has(level)) {
      const cells = this.mixture.weights.length > 1000 ? 64 : 128;
      this.fields.set(level, new Field(level ? diffused(this.mixture, level) : this.mixture, cells));
    }
    return this.fields.get(level);
  }

  advance(settings, nSteps = 1) {
    const once = KERNELS[settings.kernel](this, settings);
    for (let i = 0; i < nSteps; i++) once(this.step++);
  }
}

// the step size from which on a step diverges in the narrowest direction of a component; Infinity for MALA
function stabilityLimit(mixture, { kernel, covariance, levels }) {
  if (kernel === "mala") return Infinity;
  const limitOf = (variance, matrix) => {
    let most = 0;
    for (let k = 0; k < mixture.weights.length; k++) {
      const [xx, xy, yy] = covarianceOf(mixture, k), a = xx + variance, c = yy + variance;
      const volume = determinant(a, xy, c), trace = (matrix[0] * c - 2 * matrix[1] * xy + matrix[2] * a) / volume;
      const product = determinant(...matrix) / volume;
      most = Math.max(most, trace / 2 + Math.sqrt(Math.max((trace * trace) / 4 - product, 0)));
    }
    return 2 / most;
  };
  if (kernel === "annealed") {
    return Math.min(...levels.map((level, j) => limitOf(level * level, UNIT) / levelSize(1, levels, j)));
  }
  const limit = limitOf(0, kernel === "preconditioned" ? covariance : UNIT);
  return kernel === "underdamped" ? Math.sqrt(2 * limit) : limit;
}

// -- distances

const DIRECTIONS = 24;

// sorted projections of points (N, 2), those that are finite, on directions that are spread evenly
function projections(points) {
  const kept = [];
  for (let i = 0; i < points.length; i += 2) if (Number.isFinite(points[i] + points[i + 1])) kept.push(i);
  return Array.from({ length: DIRECTIONS }, (_, d) => {
    const angle = (Math.PI * (d + 0.5)) / DIRECTIONS, c = Math.cos(angle), s = Math.sin(angle);
    return Float64Array.from(kept, (i) => c * points[i] + s * points[i + 1]).sort();
  });
}

// sliced Wasserstein-2 distance (Bonneel et al. 2015) of two samples, by their projections
function slicedWasserstein2(first, second) {
  const n = Math.max(first[0].length, second[0].length);
  if (!first[0].length || !second[0].length) return NaN;
  let sum = 0;
  first.forEach((values, d) => {
    const others = second[d], m = values.length, k = others.length;
    for (let i = 0; i < n; i++) {
      const level = (i + 0.5) / n, off = values[Math.floor(level * m)] - others[Math.floor(level * k)];
      sum += off * off;
    }
  });
  return Math.sqrt(sum / (n * DIRECTIONS));
}

// how many of points (N, 2) are nearest to each of `modes` (M, 2)
function nearestCounts(points, modes) {
  const counts = new Float64Array(modes.length / 2);
  for (let i = 0; i < points.length; i += 2) {
    let nearest = -1, least = Infinity;
    for (let j = 0; j < modes.length; j += 2) {
      const dx = points[i] - modes[j], dy = points[i + 1] - modes[j + 1], square = dx * dx + dy * dy;
      if (square < least) {
        least = square;
        nearest = j / 2;
      }
    }
    if (nearest >= 0) counts[nearest]++;
  }
  return counts;
}

// -- forward SDE, reverse SDE and probability flow on the clock B, in the plane: z = centre + unit y

// p_t of z at the clock B
function marginal(mixture, { centre, unit }, clock) {
  return changed(mixture, centre, Math.exp(-clock / 2), unit * unit * -Math.expm1(-clock));
}

// one transition of the forward SDE, drawn from its Gaussian
function diffuse(z, { centre, unit }, step, random) {
  const zeta = random.normals(new Float64Array(z.length)), keep = Math.exp(-step / 2);
  const deviation = unit * Math.sqrt(-Math.expm1(-step));
  return z.map((value, i) => centre[i % 2] + keep * (value - centre[i % 2]) + deviation * zeta[i]);
}

// one step back in time of the reverse SDE by Euler & Maruyama
function reverseStep(z, mixture, process, clock, step, random) {
  const { centre, unit } = process, scores = new Field(marginal(mixture, process, clock)).scores(z);
  const zeta = random.normals(new Float64Array(z.length)), deviation = unit * Math.sqrt(step);
  return z.map((value, i) =>
    value + step * ((value - centre[i % 2]) / 2 + unit * unit * scores[i]) + deviation * zeta[i]);
}

// the probability flow from one clock to another, by Runge & Kutta's fourth-order steps
function flowTo(z, mixture, process, from, to) {
  const { centre, unit } = process, low = Math.min(from, to);
  const narrowest = Math.min(...Array.from(mixture.weights, (_, k) => principal(covarianceOf(mixture, k)).second));
  const variance = (Math.exp(-low) * narrowest) / (unit * unit) - Math.expm1(-low);
  const nSteps = Math.min(Math.max(Math.ceil(Math.abs(to - from) / variance), 2), 64), step = (to - from) / nSteps;
  const slope = (place, clock) => {
    const scores = new Field(marginal(mixture, process, clock)).scores(place);
    return place.map((value, i) => -(value - centre[i % 2] + unit * unit * scores[i]) / 2);
  };
  const along = (slopes, size) => z.map((value, i) => value + size * slopes[i]);
  for (let j = 0; j < nSteps; j++) {
    const clock = from + j * step;
    const first = slope(z, clock), second = slope(along(first, step / 2), clock + step / 2);
    const third = slope(along(second, step / 2), clock + step / 2), fourth = slope(along(third, step), clock + step);
    z = z.map((value, i) => value + (step / 6) * (first[i] + 2 * second[i] + 2 * third[i] + fourth[i]));
  }
  return z;
}

// Positions at the S times by all three, computed bit by bit: each yield is a part of what is to be done, from 0 to 1.
// `clocks` has process.between steps from each time to the next.
function* paths(mixture, process, n, seed, found) {
  const random = new Random(seed), { clocks, between } = process, last = (clocks.length - 1) / between;
  Object.assign(found, { forward: new Array(last + 1), reverse: new Array(last + 1), flow: new Array(last + 1) });
  found.forward[0] = diffuse(drawn(mixture, n, random), process, clocks[0], random);
  for (let i = 1; i <= last; i++) {
    const step = clocks[i * between] - clocks[(i - 1) * between];
    found.forward[i] = diffuse(found.forward[i - 1], process, step, random);
  }
  let back = (found.reverse[last] = found.flow[last] = found.forward[last]);
  for (let i = last; i > 0; i--) {
    for (let j = i * between; j > (i - 1) * between; j--) {
      back = reverseStep(back, mixture, process, clocks[j], clocks[j] - clocks[j - 1], random);
      yield (last - i) / last;
    }
    found.flow[i - 1] = flowTo(found.flow[i], mixture, process, clocks[i * between], clocks[(i - 1) * between]);
    found.reverse[i - 1] = back;
    yield (last - i + 1) / last;
  }
}
"""
