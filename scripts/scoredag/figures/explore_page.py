"""Look and behaviour of the page to explore a filled series: what its HTML says in CSS and JavaScript."""

STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1600px; padding: 0.5rem 1rem; font: 15px/1.4 system-ui, sans-serif; color: #000; }
h1 { font-size: 1.3rem; margin: 0.3rem 0; overflow-wrap: anywhere; }
h2, legend { font-size: 1rem; font-weight: bold; margin: 0.8rem 0 0.3rem; padding: 0; }
p { margin: 0.3rem 0; }
main { display: grid; grid-template-columns: 22rem minmax(0, 1fr); gap: 1rem; }
fieldset { border: 0; margin: 0; padding: 0; }
.entries { max-height: 13rem; overflow-y: auto; border: 1px solid #ccc; padding: 0.2rem; }
.entries label { display: block; overflow-wrap: anywhere; }
.entries button { display: block; width: 100%; text-align: left; border: 0; background: none; overflow-wrap: anywhere; }
.entries button:hover { text-decoration: underline; }
.entries button[aria-pressed=true] { background: #dce9f3; }
button, select { font: inherit; padding: 0.2rem 0.5rem; max-width: 100%; cursor: pointer; }
:focus-visible { outline: 2px solid #0072b2; }
.looks span { display: inline-block; margin-right: 1.2rem; white-space: nowrap; }
.looks b { display: inline-block; min-width: 0.9rem; margin-right: 0.3rem; text-align: center; }
#said { min-height: 1.4rem; }
@media (max-width: 760px) {
  main { grid-template-columns: minmax(0, 1fr); }
  .entries { max-height: 8rem; }
  .entries button { padding: 0.4rem; }
}
"""

# unpacks the parts of the page, and runs one after the other
START = """
(async () => {
  for (const part of document.querySelectorAll("script[type='text/plain']")) {
    const packed = Uint8Array.from(atob(part.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.body.append(script);
  }
})().catch(() => { document.getElementById("said").textContent = "This page needs a browser from 2023 or later."; });
"""

# what is between two dollar signs is no formula to PlainText, which would be asked for at another host
SCRIPT = """
"use strict";
const MOST_DOTS = 600, AROUND_GAP = 12, AROUND_WINDOW = 3;  // steps
const OBSERVED = 0, FILLED = 1, HELD_OUT = 2;
const state = { series: 0, shown: [], window: null, span: null };
const all = (selector) => [...document.querySelectorAll(selector)];
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const integers = (text) => new Uint32Array(bytes(text).buffer);
const floats = (text, part) =>
  Float64Array.from(new Float32Array(bytes(text).buffer), (score) => part.centre + part.scale * score);
const short = (number) => String(Number(number.toPrecision(6)));

// -- what the panels show: columns of a feature's steps

function timesOf(series) {
  if (!series.times) {
    const { start, step, n } = series.grid;
    series.times = series.grid.values
      ? new Float64Array(bytes(series.grid.values).buffer)
      : Float64Array.from({ length: n }, (_, i) => start + i * step);
  }
  return series.times;
}

function targetsOf(feature, part) {
  const found = state.window && state.window.targets[feature];
  if (!found) return [];
  const steps = integers(found.steps);
  const [truth, low, median, high] = ["truth", "lower", "median", "upper"].map((name) => floats(found[name], part));
  return Array.from(steps, (step, i) => [step, median[i], low[i], high[i], HELD_OUT, truth[i]]);
}

function rowsOf(feature) {
  const part = page.series[state.series].features[feature];
  const value = floats(part.value, part), lower = floats(part.lower, part), upper = floats(part.upper, part);
  const steps = part.steps && integers(part.steps), missing = bytes(part.missing);
  const targets = targetsOf(feature, part), hidden = new Set(targets.map((row) => row[0]));
  const rows = [];
  for (let i = 0, n = 0; i < value.length; i++) {
    const step = steps ? steps[i] : i;
    const isMissing = (missing[i >> 3] >> (i & 7)) & 1;
    const ends = isMissing ? [lower[n], upper[n++]] : [value[i], value[i]];
    if (!hidden.has(step)) rows.push([step, value[i], ...ends, isMissing ? FILLED : OBSERVED, NaN]);
  }
  return targets.length ? rows.concat(targets).sort((a, b) => a[0] - b[0]) : rows;
}

function noteOf([, , low, high, kind, truth]) {
  if (kind === OBSERVED) return "observed";
  const band = short(low) + " to " + short(high);
  return kind === FILLED ? "filled, " + band : "held out: " + short(truth) + ", band " + band;
}

function columnsOf(feature) {
  const rows = rowsOf(feature), times = timesOf(page.series[state.series]);
  const isObserved = (i) => !rows[i] || rows[i][4] === OBSERVED;
  const joins = (i) => i + 1 < rows.length && !(isObserved(i) && isObserved(i + 1));
  const column = (fill) => Float64Array.from(rows, fill);
  return {
    time: column((row) => times[row[0]]),
    value: column((row) => row[1]),
    lower: column((row) => row[2]),
    upper: column((row) => row[3]),
    observed: column((row) => (row[4] === OBSERVED ? row[1] : NaN)),
    alone: column((row, i) => (isObserved(i) && !isObserved(i - 1) && !isObserved(i + 1) ? row[1] : NaN)),
    filled: column((row) => (row[4] === OBSERVED ? NaN : row[1])),
    to_time: column((_, i) => (joins(i) ? times[rows[i + 1][0]] : NaN)),
    to_value: column((_, i) => (joins(i) ? rows[i + 1][1] : NaN)),
    truth: column((row) => row[5]),
    note: rows.map(noteOf),
  };
}

// -- panels, one below the other, over one range of times

const columns = [
  "time", "value", "lower", "upper", "observed", "alone", "filled", "to_time", "to_value", "truth", "note",
];
const nothing = Object.fromEntries(columns.map((name) => [name, []]));
const range = new Bokeh.Range1d();
const panels = Array.from({ length: page.most_panels }, () => {
  const source = new Bokeh.ColumnDataSource({ data: nothing });
  const wheel = new Bokeh.WheelZoomTool({ dimensions: "width", modifiers: { ctrl: true } });
  const drag = new Bokeh.PanTool({ dimensions: "width" });
  const figure = new Bokeh.Plotting.figure({
    height: 190, sizing_mode: "stretch_width", min_border_left: 75, min_border_right: 20, x_axis_type: "datetime",
    x_range: range, y_range: new Bokeh.Range1d(), toolbar_location: null, tools: [drag, wheel], lod_threshold: null,
    visible: false,
  });
  figure.toolbar.active_scroll = wheel;
  const shade = new Bokeh.BoxAnnotation({
    fill_color: page.colours.shade, fill_alpha: 0.2, line_color: null, level: "underlay", visible: false,
  });
  figure.add_layout(shade);
  const of = (name, more) => ({ x: { field: "time" }, y: { field: name }, source, ...more });
  const { filled, observed, held_out } = page.colours;
  figure.varea({
    x: { field: "time" }, y1: { field: "lower" }, y2: { field: "upper" }, source, fill_color: filled, fill_alpha: 0.3,
  });
  figure.line(of("observed", { line_color: observed, line_width: 1 }));
  figure.segment({
    x0: { field: "time" }, y0: { field: "value" }, x1: { field: "to_time" }, y1: { field: "to_value" }, source,
    line_color: filled, line_width: 2,
  });
  figure.scatter(of("alone", { size: 3, color: observed }));
  const dots = [
    figure.scatter(of("observed", { size: 4, color: observed })),
    figure.scatter(of("filled", { size: 6, marker: "square", color: filled })),
  ];
  figure.scatter(of("truth", { size: 10, marker: "diamond", line_color: held_out, line_width: 2, fill_alpha: 0 }));
  // of its own, as the band is not drawn while something of its source is pointed at
  const pointed = new Bokeh.ColumnDataSource({ data: nothing });
  const under = figure.line(of("value", { line_alpha: 0, source: pointed }));
  const times = page.seconds ? "%F %T" : "%F %H:%M";
  figure.add_tools(new Bokeh.HoverTool({
    renderers: [under], mode: "vline", line_policy: "nearest",
    tooltips: [["time", "@time{" + times + "}"], ["value", "@value{%.6g}"], ["", "@note"]],
    formatters: { "@time": "datetime", "@value": "printf" },
  }));
  return { figure, source, pointed, shade, dots };
});

const plain = (text) => new Bokeh.PlainText({ text });
const cut = (text) => (text.length > 26 ? text.slice(0, 25) + "\\u2026" : text);

function firstFrom(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function fit() {
  state.shown.forEach((feature, i) => {
    const { figure, source, dots } = panels[i];
    const { time, lower, upper, truth } = source.data;
    const first = firstFrom(time, range.start), stop = firstFrom(time, range.end + 1);
    dots.forEach((glyph) => (glyph.visible = stop - first <= MOST_DOTS));
    let least = Infinity, most = -Infinity;
    for (let j = first; j < stop; j++) {
      for (const value of [lower[j], upper[j], truth[j]]) {
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
    if (least > most) return;
    const usual = page.series[state.series].features[feature].scale;
    const padding = Math.max(0.1 * (most - least), (usual / 2 - (most - least)) / 2);
    figure.y_range.setv({ start: least - padding, end: most + padding });
  });
}

let waiting = false;
range.connect(range.change, () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; fit(); });
});

function draw() {
  const times = timesOf(page.series[state.series]);
  panels.forEach(({ figure, source, pointed, shade }, i) => {
    const feature = state.shown[i];
    figure.visible = feature !== undefined;
    if (!figure.visible) return;
    source.data = pointed.data = columnsOf(feature);
    figure.yaxis.axis_label = plain(cut(page.features[feature]));
    figure.xaxis.axis_label = i === state.shown.length - 1 ? plain("time (UTC)") : null;
    shade.visible = Boolean(state.span) && (state.span === state.window || state.span.features.includes(feature));
    if (shade.visible) shade.setv({ left: times[state.span.first], right: times[state.span.stop - 1] });
  });
  fit();
}

// -- controls

const ends = () => { const times = timesOf(page.series[state.series]); return [times[0], times[times.length - 1]]; };

function look(start, end) {
  const [first, last] = ends(), margin = 0.02 * (last - first) || 1800000;
  range.bounds = null;
  range.setv({ start: Math.max(start, first - margin), end: Math.min(end, last + margin) });
  range.bounds = [first - margin, last + margin];
}

function move(by, zoom) {
  const width = (range.end - range.start) * zoom, middle = (range.start + range.end) / 2 + by * width;
  look(middle - width / 2, middle + width / 2);
}

function choose(features) {
  state.shown = [...features].sort((a, b) => a - b);
  all("#features input").forEach((box, i) => {
    box.checked = state.shown.includes(i);
    box.disabled = !box.checked && state.shown.length === panels.length;
  });
}

function mark(button, text) {
  all(".entries button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  document.getElementById("said").textContent = text;
}

function whole() {
  Object.assign(state, { window: null, span: null });
  mark(null, "");
  draw();
  look(-Infinity, Infinity);
}

function visit(button, span, isWindow) {
  Object.assign(state, { series: span.series, window: isWindow ? span : null, span });
  const select = document.getElementById("series");
  if (select) select.value = span.series;
  choose([...new Set([...span.features, ...state.shown])].slice(0, Math.max(state.shown.length, page.shown.length)));
  mark(button, span.said);
  draw();
  const times = timesOf(page.series[state.series]);
  const around = isWindow ? AROUND_WINDOW : Math.max(AROUND_GAP, span.stop - span.first);
  look(times[Math.max(span.first - around, 0)], times[Math.min(span.stop + around, times.length) - 1]);
  const view = document.getElementById("view");
  if (view.getBoundingClientRect().top > innerHeight / 3) view.scrollIntoView();  // below the lists, on a narrow screen
}

const click = (id, act) => document.getElementById(id).addEventListener("click", act);
click("whole", whole);
click("in", () => move(0, 0.5));
click("out", () => move(0, 2));
click("earlier", () => move(-0.5, 1));
click("later", () => move(0.5, 1));
for (const [kind, spans] of [["gap", page.gaps], ["window", page.windows]]) {
  all("button[data-" + kind + "]").forEach((button, i) =>
    button.addEventListener("click", () => visit(button, spans[i], kind === "window")));
}
all("#features input").forEach((box, i) => box.addEventListener("change", () => {
  choose(box.checked ? [...state.shown, i] : state.shown.filter((feature) => feature !== i));
  draw();
}));
const select = document.getElementById("series");
if (select) select.addEventListener("change", () => { state.series = Number(select.value); whole(); });

choose(page.shown);
whole();
const column = new Bokeh.Column({ children: panels.map((panel) => panel.figure), sizing_mode: "stretch_width" });
Bokeh.Plotting.show(column, "#panels").then(() => document.body.setAttribute("data-ready", ""));
"""
