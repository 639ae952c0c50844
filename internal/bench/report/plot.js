"use strict";
// The charts of a result. Data is in #data; colours are the variables of the
// style sheet, read at every drawing, so that a change of theme is a redraw.
window.addEventListener("error", e => { document.body.dataset.error = e.message; });

const runs = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
const color = i => () => css("--c" + i % 8);
const charts = [];   // all
const timed = [];    // those over time: they zoom together
const several = runs.length > 1;

// ---- numbers ----
const digits = v => v >= 99.95 ? Math.round(v).toLocaleString("en") : v >= 9.995 ? String(+v.toFixed(1)) : v >= 0.995 || v == 0 ? String(+v.toFixed(2)) : String(+v.toPrecision(2));
const ms = v => v == null ? "-" : v >= 999.5 ? digits(v / 1000) + " s" : v >= 0.9995 ? digits(v) + " ms" : digits(v * 1000) + " us";
const count = v => v == null ? "-" : digits(v);
const short = v => v >= 1e6 ? +(v / 1e6).toFixed(2) + "M" : v >= 1e4 ? +(v / 1e3).toFixed(1) + "k" : String(+v.toFixed(3));
const clock = s => {
  const sign = s < 0 ? "-" : "", a = Math.abs(s), h = Math.floor(a / 3600), m = Math.floor(a / 60) % 60, rest = +(a % 60).toFixed(1);
  const two = n => (n < 10 ? "0" : "") + n;
  return sign + (h ? h + ":" + two(m) : m) + ":" + two(rest);
};
// percentile writes the share that a place on the spectrum's axis means.
const percentile = x => { const above = Math.pow(10, -x); return +(100 * (1 - above)).toPrecision(Math.max(2, Math.ceil(x) + 1)) + " %"; };

// ---- charts ----
const box = id => document.getElementById(id);
const wide = () => Math.max(320, Math.min(1132, document.body.clientWidth - 2 * parseFloat(getComputedStyle(document.body).paddingLeft)));

function axis(o) {
  return Object.assign({ stroke: () => css("--dim"), grid: { stroke: () => css("--grid"), width: 1 }, ticks: { stroke: () => css("--line"), width: 1, size: 5 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18 }, o);
}
const timeAxis = () => axis({ label: "time since the start, min:s", values: (u, v) => v.map(clock), space: 70, size: 30, incrs: [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400] });
const valueAxis = (label, values, o) => axis(Object.assign({ label, values: (u, v) => v.map(x => x == null ? "" : values(x)), size: 62 }, o));
// logSplits are the powers of ten, and 2 and 5 times them when there are few.
const logSplits = (u, i, min, max) => {
  const all = [], steps = Math.log10(max / min) < 2.5 ? [1, 2, 5] : [1];
  for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e++) for (const m of steps) { const v = m * Math.pow(10, e); if (v >= min * 0.999 && v <= max * 1.001) all.push(v); }
  return all;
};
const latencyAxis = (label, o) => valueAxis(label, ms, Object.assign({ splits: logSplits, filter: (u, splits) => splits }, o));
const logScale = { distr: 3, range: (u, min, max) => min == null || min <= 0 ? [0.001, 1000] : [Math.pow(10, Math.floor(Math.log10(min) * 4) / 4), Math.pow(10, Math.ceil(Math.log10(Math.max(max, min * 1.5)) * 4) / 4)] };
const fromZero = { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] };

// marks draws phases, actions and faults as upright lines on charts over time.
const marks = u => {
  if (several) return;
  const c = u.ctx; c.save();
  c.beginPath(); c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); c.clip();
  c.font = 11 * devicePixelRatio + "px system-ui, sans-serif"; c.textBaseline = "top"; c.textAlign = "left";
  let until = -1e9;
  for (const [at, text, solid] of runs[0].marks) {
    const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
    c.strokeStyle = c.fillStyle = css(solid ? "--c6" : "--dim"); c.lineWidth = devicePixelRatio;
    c.setLineDash(solid ? [] : [4 * devicePixelRatio, 3 * devicePixelRatio]);
    c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke();
    const width = c.measureText(text).width, gap = 4 * devicePixelRatio;
    const left = x + gap + width < u.bbox.left + u.bbox.width ? x + gap : x - gap - width;
    if (left < until) continue;
    until = left + width + 6 * devicePixelRatio;
    c.fillText(text, left, u.bbox.top + 3 * devicePixelRatio);
  }
  c.restore();
};

let zooming = false;
const zoomTogether = (u, key) => {
  if (key != "x" || zooming || !timed.includes(u)) return;
  zooming = true;
  for (const other of timed) if (other != u) other.setScale("x", { min: u.scales.x.min, max: u.scales.x.max });
  zooming = false;
};

// chart makes one. lines are [label, run, xs, ys, options]; they need not share
// their xs.
function chart(id, lines, scales, axes, o) {
  lines = lines.filter(l => l[3] && l[3].some(v => v != null));
  if (!lines.length) { box(id).innerHTML = '<div class="none">nothing was recorded</div>'; return; }
  const overTime = !(o && o.still);
  // A line over time has a level for each interval, up to the end of the last,
  // and a gap where an interval has no value.
  const data = uPlot.join(lines.map(l => overTime ? [l[2].concat(l[1].end), l[3].concat(l[3].findLast(v => v != null))] : [l[2], l[3]]));
  const opts = {
    width: wide(), height: (o && o.height) || 240, scales: Object.assign({ x: { time: false } }, scales), axes,
    cursor: { focus: { prox: 24 }, sync: overTime ? { key: "time", setSeries: false } : undefined, drag: { x: true, y: false } },
    focus: { alpha: 0.35 },
    legend: { markers: { width: 3 } },
    series: [{ label: overTime ? "time" : "percentile", value: (u, v) => v == null ? "-" : overTime ? clock(v) : percentile(v) }].concat(lines.map(l => Object.assign({ label: l[0], width: 1.5, spanGaps: !overTime, points: { show: false }, paths: overTime ? uPlot.paths.stepped({ align: 1, alignGaps: 1 }) : undefined }, l[4]))),
    hooks: { draw: overTime ? [marks] : [], setScale: overTime ? [zoomTogether] : [] },
  };
  const u = new uPlot(opts, data, box(id));
  charts.push(u);
  if (overTime) timed.push(u);
}

// named tells the run where there are several.
const named = (run, label) => several ? run.label + ": " + label : label;
const dashes = [[], [6, 4], [2, 3], [8, 3, 2, 3], [1, 2]];
// strokes gives one run a colour per line, and several runs a colour each.
const strokes = (run, i, o) => Object.assign({ stroke: color(several ? run.index : i), dash: several ? dashes[i % 5] : [] }, o);
const each = f => runs.flatMap(f);

runs.forEach((run, i) => { run.index = i; });

// until is where an interval ends.
const until = (run, column) => column + 1 < run.t.length ? run.t[column + 1] : run.end;

chart("rates", each(run => [["delivered", "delivered"], ["sent", "sent"], ["acknowledged", "acked"], ["expected", "expected"], ["offered", "offered"]].map(([label, key], i) =>
  [named(run, label), run, run.t, run[key], strokes(run, i, { dash: dashes[several ? i : i > 1 ? i - 1 : 0], value: (u, v) => v == null ? "-" : count(v) + "/s", show: !several || i < 2 })])),
  { y: fromZero }, [timeAxis(), valueAxis("messages per second", short)]);

chart("latency", each(run => [["p50", run.p50], ["p99", run.p99], ["max", run.max]].map(([label, ys], i) =>
  [named(run, run.latency + " " + label), run, run.t, ys, strokes(run, i, { scale: "y", value: (u, v) => ms(v) })])),
  { y: logScale }, [timeAxis(), latencyAxis("latency, log scale")]);

chart("spectrum", each(run => run.spectra.filter(s => !several || s.main || s.name.endsWith("response")).map((s, i) =>
  [named(run, s.name), run, s.x, s.y, strokes(run, i, { dash: several && !s.main ? dashes[1 + i % 4] : [], value: (u, v) => ms(v), show: !several || s.main })])),
  { y: logScale }, [axis({ label: "percentile, log scale towards 100 %", size: 30, values: (u, v) => v.map(x => x == null ? "" : percentile(x)), splits: u => { const all = [0, 0.30103, 1, 2, 3, 4, 5, 6, 7, 8]; return all.filter(x => x >= u.scales.x.min - 1e-9 && x <= u.scales.x.max + 1e-9); } }), latencyAxis("latency, log scale")],
  { still: true, height: 300 });

chart("connections", each(run => [
  [named(run, "connected"), run, run.t, run.connected, strokes(run, 0, { scale: "y", value: (u, v) => count(v) })],
  [named(run, "accepted"), run, run.t, run.connects, strokes(run, 1, { scale: "rate", value: (u, v) => v == null ? "-" : count(v) + "/s" })],
]), { y: fromZero, rate: fromZero }, [timeAxis(), valueAxis("connected", short), valueAxis("accepted/s", short, { side: 1, scale: "rate", grid: { show: false } })], { height: 190 });

chart("errors", each(run => [["errors", run.errors], ["duplicates", run.duplicates], ["not sent: not connected", run.skipped]].map(([label, ys], i) =>
  [named(run, label), run, run.t, ys, strokes(run, [6, 1, 4][i], { dash: several ? dashes[i] : [], value: (u, v) => v == null ? "-" : count(v) + "/s" })])),
  { y: fromZero }, [timeAxis(), valueAxis("per second", short)], { height: 170 });

chart("generator", each(run => [
  [named(run, "lag p99"), run, run.t, run.lag, strokes(run, 0, { scale: "y", value: (u, v) => ms(v) })],
  [named(run, "CPU"), run, run.t, run.cpu, strokes(run, 1, { scale: "cpu", value: (u, v) => v == null ? "-" : count(v) + " %" })],
]), { y: logScale, cpu: { range: () => [0, 100] } }, [timeAxis(), latencyAxis("lag p99"), valueAxis("CPU, %", short, { side: 1, scale: "cpu", grid: { show: false } })], { height: 190 });

// ---- heat maps: one per run, drawn into an empty chart ----
const stops = t => {
  const at = Math.min(2.9999, Math.max(0, t) * 3), i = Math.floor(at), f = at - i;
  const rgb = n => { const h = css("--h" + n).slice(1); return [0, 2, 4].map(k => parseInt(h.slice(k, k + 2), 16)); };
  const a = rgb(i), b = rgb(i + 1);
  return "rgb(" + a.map((v, k) => Math.round(v + (b[k] - v) * f)).join(",") + ")";
};
function heat(run) {
  const place = document.createElement("div");
  box("heat").appendChild(place);
  if (!run.heat.cells.length) { place.innerHTML = '<div class="none">no latencies were recorded</div>'; return; }
  const per = run.heat.perDecade, value = bin => Math.pow(10, bin / per) / 1000;
  let most = 1, low = 1e9, high = -1e9;
  for (const [, bin, n] of run.heat.cells) { most = Math.max(most, n); low = Math.min(low, bin); high = Math.max(high, bin + 1); }
  const byColumn = new Map();
  for (const [column, bin, n] of run.heat.cells) { if (!byColumn.has(column)) byColumn.set(column, []); byColumn.get(column).push([bin, n]); }
  const paint = u => {
    const c = u.ctx, palette = Array.from({ length: 33 }, (_, i) => stops(i / 32));
    c.save(); c.beginPath(); c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); c.clip();
    const y = new Map();
    for (let bin = low; bin <= high; bin++) y.set(bin, Math.round(u.valToPos(value(bin), "y", true)));
    for (const [column, cells] of byColumn) {
      const left = Math.round(u.valToPos(run.t[column], "x", true)), right = Math.max(left + 1, Math.round(u.valToPos(until(run, column), "x", true)));
      for (const [bin, n] of cells) { c.fillStyle = palette[Math.round(32 * (most > 1 ? Math.log(n) / Math.log(most) : 1))]; c.fillRect(left, y.get(bin + 1), right - left, y.get(bin) - y.get(bin + 1)); }
    }
    c.restore();
  };
  const tip = document.createElement("div"); tip.className = "tip";
  const hover = u => {
    const { left, top } = u.cursor;
    if (left == null || left < 0) { tip.style.display = "none"; return; }
    const bin = Math.floor(Math.log10(u.posToVal(top, "y") * 1000) * per + 1e-9), at = u.posToVal(left, "x");
    const column = run.t.findIndex((t, i) => t <= at && at < until(run, i));
    const cell = (byColumn.get(column) || []).find(c => c[0] == bin);
    tip.style.display = cell && u.cursor.event ? "block" : "none";
    if (cell) tip.textContent = clock(run.t[column]) + "  " + ms(value(bin)) + " to " + ms(value(bin + 1)) + ": " + cell[1].toLocaleString("en");
    tip.style.left = (left > u.over.clientWidth / 2 ? left - tip.offsetWidth - 12 : left + 14) + "px"; tip.style.top = Math.max(0, top - 26) + "px";
  };
  const u = new uPlot({
    title: several ? run.label : undefined, width: wide(), height: 260, legend: { show: false },
    scales: { x: { time: false }, y: { distr: 3, range: () => [value(low), value(high)] } },
    axes: [timeAxis(), latencyAxis(run.latency + ", log scale")],
    cursor: { sync: { key: "time", setSeries: false }, drag: { x: true, y: false }, points: { show: false } },
    series: [{}, { scale: "y", show: true, stroke: "transparent", points: { show: false } }],
    hooks: { drawAxes: [paint], draw: [marks], setScale: [zoomTogether], setCursor: [hover], init: [v => v.over.appendChild(tip)] },
  }, [[run.t[0], run.end], [value(low), value(high)]], place);
  charts.push(u); timed.push(u);
}
runs.forEach(heat);

// All charts over time show the same time.
const from = Math.min(...runs.map(r => r.t[0])), to = Math.max(...runs.map(r => r.end));
const wholeTime = () => { zooming = true; for (const u of timed) u.setScale("x", { min: from, max: to }); zooming = false; };
wholeTime();
for (const u of timed) u.over.addEventListener("dblclick", () => setTimeout(wholeTime));

// ---- theme, size, print ----
const dark = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
const theme = t => {
  root.dataset.theme = t;
  for (const u of charts) {
    u.redraw(false, true);
    u.root.querySelectorAll(".u-series").forEach((row, i) => { if (i > 0) row.querySelector(".u-marker").style.borderColor = u.series[i].stroke(); });
  }
  document.querySelectorAll("[data-key]").forEach(e => { e.style.background = css("--c" + e.dataset.key % 8); });
};
const apply = () => theme(chosen || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", apply);
box("theme").addEventListener("click", () => { chosen = root.dataset.theme == "dark" ? "light" : "dark"; apply(); });
const resize = w => { for (const u of charts) if (u.width != w) u.setSize({ width: w, height: u.height }); };
window.addEventListener("resize", () => resize(wide()));
window.addEventListener("beforeprint", () => { theme("light"); resize(690); });
window.addEventListener("afterprint", () => { apply(); resize(wide()); });
apply();
document.body.dataset.charts = charts.length;
