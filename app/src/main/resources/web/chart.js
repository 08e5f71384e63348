// A line chart on a canvas: axes with round numbers, one colour a series, a logarithmic axis where values span decades.
const PAD = {left: 54, right: 10, top: 10, bottom: 26};

function ticks(low, high, most) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(value);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const factor of [1, 2, 5]) if (factor * 10 ** power >= low && factor * 10 ** power <= high) found.push(factor * 10 ** power);
  return found;
}

export const brief = value => {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  if (size < 1e-3) return value.toExponential(0);
  return String(+value.toPrecision(3));
};

/** series: [{name, points: [[x, y], …]}]; a null y is a gap. */
export function chart(canvas, series, {log = false, from = null} = {}) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext('2d'), style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  g.scale(ratio, ratio);
  g.clearRect(0, 0, width, height);
  g.font = '12px system-ui, sans-serif';
  const all = series.flatMap(one => one.points).filter(([, y]) => Number.isFinite(y) && (!log || y > 0));
  if (!all.length) {
    g.fillStyle = colour('--soft');
    g.fillText('nothing logged yet', PAD.left, height / 2);
    return;
  }
  let minX = Infinity, maxX = -Infinity, minY = Infinity, maxY = -Infinity;
  for (const [x, y] of all) { minX = Math.min(minX, x); maxX = Math.max(maxX, x); minY = Math.min(minY, y); maxY = Math.max(maxY, y); }
  if (from !== null) minY = Math.min(from, minY);
  if (minX === maxX) { minX -= 1; maxX += 1; }
  if (minY === maxY) { if (log) { minY /= 2; maxY *= 2; } else { minY -= Math.abs(minY) / 10 || 1; maxY += Math.abs(maxY) / 10 || 1; } }
  const scale = log ? Math.log : value => value;
  const px = x => PAD.left + (x - minX) / (maxX - minX) * (width - PAD.left - PAD.right);
  const py = y => height - PAD.bottom - (scale(y) - scale(minY)) / (scale(maxY) - scale(minY)) * (height - PAD.top - PAD.bottom);
  g.lineWidth = 1;
  g.strokeStyle = colour('--line');
  g.fillStyle = colour('--soft');
  g.textAlign = 'right';
  g.textBaseline = 'middle';
  let marks = log ? decades(minY, maxY) : ticks(minY, maxY, 5);
  if (log && marks.length < 2) marks = ticks(minY, maxY, 4).filter(value => value > 0);
  while (marks.length > 7) marks = marks.filter((_, i) => i % 2 === 0);
  for (const value of marks) {
    g.beginPath();
    g.moveTo(PAD.left, py(value));
    g.lineTo(width - PAD.right, py(value));
    g.stroke();
    g.fillText(brief(value), PAD.left - 6, py(value));
  }
  g.textAlign = 'center';
  g.textBaseline = 'top';
  for (const value of ticks(minX, maxX, Math.max(2, Math.floor(width / 90)))) g.fillText(brief(value), Math.min(px(value), width - 16), height - PAD.bottom + 8);
  const colours = ['--curve', '--curve-2', '--curve-3', '--curve-4'].map(colour);
  series.forEach((one, i) => {
    g.strokeStyle = colours[i % colours.length];
    g.setLineDash(i >= colours.length ? [5, 3] : []);
    g.lineWidth = 2;
    g.beginPath();
    let open = false;
    for (const [x, y] of one.points) {
      if (!Number.isFinite(y) || log && y <= 0) { open = false; continue; }
      if (open) g.lineTo(px(x), py(y)); else g.moveTo(px(x), py(y));
      open = true;
    }
    if (one.points.length === 1) g.arc(px(one.points[0][0]), py(one.points[0][1]), 3, 0, 7);
    g.stroke();
  });
  g.setLineDash([]);
}
