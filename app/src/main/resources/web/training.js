// The runs of the results folder: their curves, as they are written, and their grids of samples along time.
import {el, failed, field, follow, get, select} from './api.js';
import {brief, chart} from './chart.js';
import {keep} from './create.js';

/** A chart with its legend, and the same numbers as a table behind it. */
class Curve {
  constructor(title, options = {}) {
    this.options = options;
    this.canvas = el('canvas', {role: 'img', 'aria-label': title});
    this.title = title;
    this.legend = el('ul', {class: 'legend', hidden: true});
    this.table = el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${title}, as a table`});
    this.behind = el('details', {ontoggle: () => this.fill()}, el('summary', {}, 'as a table'), this.table);
    this.element = el('section', {class: 'panel', 'aria-label': title}, el('h2', {}, title), this.legend, this.canvas, this.behind);
  }

  set(series) {
    this.series = series;
    this.element.hidden = !series.some(one => one.points.some(([, y]) => Number.isFinite(y)));
    this.legend.hidden = series.length < 2;
    this.legend.replaceChildren(...series.map((one, i) => el('li', {}, el('span', {class: `swatch c${i % 4}`}), one.name)));
    const last = series.map(one => one.points.at(-1)).filter(Boolean);
    if (last.length) this.canvas.setAttribute('aria-label', `${this.title}: ${last.map(([x, y], i) => `${series[i].name} ${y === null ? 'none' : brief(y)} at step ${x}`).join(', ')}`);
    this.draw();
    this.fill();
  }

  draw() { if (this.series && !this.element.hidden) chart(this.canvas, this.series, this.options); }

  fill() {
    if (!this.behind.open || !this.series) return;
    const points = this.series[0].points, stride = Math.ceil(points.length / 50);
    this.table.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'step'), this.series.map(one => el('th', {scope: 'col'}, one.name)))),
      el('tbody', {}, points.filter((_, i) => i % stride === 0 || i === points.length - 1).map(([x], i, rows) => el('tr', {}, el('td', {}, String(x)),
        this.series.map(one => { const found = one.points.find(point => point[0] === x); return el('td', {}, found && found[1] !== null ? brief(found[1]) : ''); }))))));
  }
}

export async function show(main, [chosen]) {
  const runs = (await get('/v1/runs')).runs;
  const heading = el('h1', {}, 'Training');
  if (!runs.length) {
    main.append(heading, el('p', {class: 'empty'}, 'There is no run yet. dit train and dit demo make them; they appear here while they train.'));
    return null;
  }
  const run = runs.find(one => one.id === chosen) || runs.find(one => one.state === 'training') || runs[0];
  const choose = select(runs.map(one => [one.id, `${one.name} (${one.state})`]), run.id);
  choose.addEventListener('change', () => { location.hash = '#/training/' + encodeURIComponent(choose.value); });
  const facts = el('p', {class: 'hint', role: 'status'});
  const curves = {
    loss: new Curve('Loss', {log: true}), buckets: new Curve('Validation loss by noise', {log: true}), norm: new Curve('Gradient norm', {log: true}),
    rate: new Curve('Learning rate', {from: 0}), speed: new Curve('Images per second', {from: 0}),
  };
  const slider = el('input', {type: 'range', min: 0, max: 0, value: 0, 'aria-label': 'Step of the grid of samples'});
  const stepText = el('p', {class: 'hint'}), picture = el('img', {class: 'samples', alt: ''});
  const samples = el('section', {class: 'panel', 'aria-label': 'Samples', hidden: true}, el('h2', {}, 'Samples, from the same noise each time'), picture, slider, stepText);
  const open = el('button', {onclick: () => { keep({model: run.id, weights: 'ema', classes: []}); location.hash = '#/create'; }}, 'Open this checkpoint in Create');
  let steps = [];
  const showStep = () => {
    const step = steps[Number(slider.value)];
    if (step === undefined) return;
    picture.src = `/v1/runs/${encodeURIComponent(run.id)}/samples/${step}.png`;
    picture.alt = `Samples after step ${step}`;
    stepText.textContent = `after step ${step.toLocaleString('en')}, ${Number(slider.value) + 1} of ${steps.length}`;
    slider.setAttribute('aria-valuetext', stepText.textContent);
  };
  slider.addEventListener('input', showStep);
  let loading = false, again = false;
  const load = async () => {
    if (loading) { again = true; return; }
    loading = true;
    try {
      const path = `/v1/runs/${encodeURIComponent(run.id)}`;
      const [metrics, grids] = await Promise.all([get(`${path}/metrics`), get(`${path}/samples`)]);
      const {logs, validations} = metrics, of = name => logs.map(log => [log.step, log[name]]);
      const loss = [{name: 'training', points: of('loss')}];
      if (validations.length) loss.push({name: 'validation', points: validations.map(one => [one.step, one.loss])});
      curves.loss.set(loss);
      const buckets = validations.length ? validations[0].buckets.length : 0;
      const some = [...new Set([0, 1, 2, 3].map(part => Math.round(part * (buckets - 1) / 3)))].filter(i => i < buckets); // as many as there are colours
      curves.buckets.set(some.map(i => ({name: i === 0 ? 'least noise' : i === buckets - 1 ? 'most noise' : `part ${i + 1} of ${buckets}`, points: validations.map(one => [one.step, one.buckets[i]])})));
      curves.norm.set([{name: 'gradient norm', points: of('gradient_norm')}]);
      curves.rate.set([{name: 'learning rate', points: of('learning_rate')}]);
      curves.speed.set([{name: 'images/s', points: of('images_per_second')}]);
      const last = logs.at(-1);
      facts.textContent = last ? `step ${last.step.toLocaleString('en')}${run.max_steps ? ` of ${run.max_steps.toLocaleString('en')}` : ''}, loss ${last.loss === null ? 'none' : last.loss.toPrecision(4)}, ${run.model || ''}, ${run.state}` : `nothing logged yet, ${run.state}`;
      const atEnd = Number(slider.value) >= steps.length - 1;
      if (grids.steps.length !== steps.length) {
        steps = grids.steps;
        samples.hidden = !steps.length;
        slider.max = Math.max(0, steps.length - 1);
        if (atEnd) slider.value = steps.length - 1;
        showStep();
      }
    } catch (error) {
      failed(error);
    }
    loading = false;
    if (again) { again = false; load(); }
  };
  main.append(heading, el('div', {class: 'row'}, field('Run', choose), run.checkpoint ? el('div', {class: 'field'}, open) : ''), facts,
    run.problems.length ? el('p', {class: 'bad'}, run.problems.join('; ')) : '',
    el('div', {class: 'charts'}, Object.values(curves).map(curve => curve.element)), samples);
  await load();
  const source = follow(`/v1/runs/${encodeURIComponent(run.id)}/events`, {changed: load});
  const redraw = () => Object.values(curves).forEach(curve => curve.draw());
  addEventListener('resize', redraw);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', redraw);
  return () => { source.close(); removeEventListener('resize', redraw); scheme.removeEventListener('change', redraw); };
}
