// Pictures along two axes, filled as they are drawn.
import {bitmap, el, failed, field, follow, get, post, remove, say, seconds, select} from './api.js';
import {classBox} from './create.js';
import {showPicture} from './gallery.js';
import {jobs} from './queue.js';

const axes = [['seed', 'seed'], ['guidance', 'guidance'], ['steps', 'steps'], ['sampler', 'sampler'], ['classes', 'class'], ['model', 'model or checkpoint'], ['weights', 'weights']];
const examples = {seed: '1, 2, 3, 4', guidance: '1, 2, 4, 8', steps: '5, 10, 25, 50', sampler: 'ddpm, ddim', classes: '0, 1, 2', model: '', weights: 'ema, model'};

const values = (axis, text) => text.split(',').map(part => part.trim()).filter(Boolean).map(part => {
  const number = ['guidance', 'steps'].includes(axis) || axis === 'classes' && /^\d+$/.test(part);
  return number && Number.isFinite(Number(part)) ? Number(part) : part;
});

/** A grid as it fills. */
class Sheet {
  constructor() {
    this.cells = el('div', {class: 'cells'});
    this.text = el('p', {class: 'hint', role: 'status'});
    this.bar = el('progress', {max: 1, value: 0, 'aria-label': 'Cells that are drawn'});
    this.cancel = el('button', {onclick: async () => { try { await remove(`/v1/generations/${this.job.id}`); } catch (error) { failed(error); } }}, 'Cancel');
    this.download = el('a', {class: 'button', download: 'grid.png', hidden: true}, 'Download the sheet');
    this.element = el('section', {'aria-label': 'The grid', hidden: true}, this.bar, this.text, el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Cells of the grid'}, this.cells), el('div', {class: 'buttons'}, this.cancel, this.download));
  }

  begin(job) {
    if (this.source) this.source.close();
    this.job = job;
    this.element.hidden = false;
    const {x, xs, y, ys} = job.grid, rows = Math.max(1, ys.length);
    this.cells.style.gridTemplateColumns = `${y ? 'max-content ' : ''}repeat(${xs.length}, minmax(5.5rem, 12rem))`;
    this.boxes = [];
    const children = y ? [el('div', {class: 'head'}, '')] : [];
    xs.forEach(value => children.push(el('div', {class: 'head'}, `${x} ${value}`)));
    for (let row = 0; row < rows; row++) {
      if (y) children.push(el('div', {class: 'head'}, `${y} ${ys[row]}`));
      xs.forEach(value => {
        const box = el('div', {class: 'cell', 'data-name': `${x} ${value}${y ? `, ${y} ${ys[row]}` : ''}`});
        this.boxes.push(box);
        children.push(box);
      });
    }
    this.cells.replaceChildren(...children);
    job.images.forEach((id, i) => this.picture(i, id));
    this.drawn = job.images.length;
    this.progress();
    this.cancel.hidden = !['queued', 'running'].includes(job.state);
    this.download.hidden = !job.images.length;
    this.download.href = `/v1/generations/${job.id}/sheet.png`;
    const over = data => { this.cancel.hidden = true; this.progress(data.state === 'done' ? `done in ${seconds(data.seconds || 0)}` : `${data.state} ${data.error || ''}`); say(this.text.textContent); };
    this.source = follow(`/v1/generations/${job.id}/events`, {
      step: data => this.progress(`cell ${data.cell + 1}, step ${data.step} of ${data.steps}${data.seconds_left > 0 ? `, ${seconds(data.seconds_left)} left` : ''}`),
      preview: async data => {
        const box = this.boxes[data.first], picture = await bitmap(data.jpeg);
        if (!box || box.querySelector('img')) return;
        const canvas = el('canvas', {width: data.width, height: data.height, role: 'img', 'aria-label': `${box.dataset.name}, step ${data.step}`});
        canvas.getContext('2d').drawImage(picture, 0, 0);
        box.replaceChildren(canvas);
      },
      pictures: data => { data.images.forEach((id, i) => this.picture(data.first + i, id)); this.drawn = Math.max(this.drawn, data.first + data.images.length); this.download.hidden = false; this.progress(); },
      done: over, error: over,
    }, ['done', 'error']);
  }

  progress(text) {
    this.bar.value = this.drawn / this.boxes.length;
    this.text.textContent = `${this.drawn} of ${this.boxes.length} cells${text ? `; ${text}` : ''}`;
  }

  picture(i, id) {
    const box = this.boxes[i], image = el('img', {src: `/v1/images/${id}.png`, alt: box.dataset.name});
    box.replaceChildren(el('button', {class: 'open', 'aria-label': `Open ${box.dataset.name}`, onclick: async () => { try { showPicture(await get(`/v1/images/${id}`)); } catch (error) { failed(error); } }}, image));
  }

  close() { if (this.source) this.source.close(); }
}

export async function show(main) {
  const {models} = await get('/v1/models');
  if (!models.length) {
    main.append(el('h1', {}, 'Grids'), el('p', {class: 'empty'}, 'There is no model yet. Train one with ./dit demo.'));
    return null;
  }
  examples.model = models.slice(0, 3).map(model => model.id).join(', ');
  const wanted = {classes: []};
  const model = select(models.map(one => one.id));
  const classes = classBox(wanted, () => model.value, () => {}, 1);
  const steps = el('input', {type: 'number', min: 1, max: 1000, value: 25}), seed = el('input', {type: 'text', inputmode: 'numeric', value: '0'});
  const x = select(axes, 'seed'), y = select([['', 'none'], ...axes], 'guidance');
  const xs = el('input', {type: 'text', value: examples.seed}), ys = el('input', {type: 'text', value: examples.guidance});
  x.addEventListener('change', () => { xs.value = examples[x.value]; });
  y.addEventListener('change', () => { ys.value = examples[y.value] || ''; });
  const problem = el('p', {class: 'bad', role: 'alert'}), sheet = new Sheet();
  const classField = field('Class', classes.input);
  classField.insertBefore(classes.element, classField.children[1]);
  const form = el('form', {class: 'panel', 'aria-label': 'What the grid varies'}, field('Model', model), classField,
    el('div', {class: 'row'}, field('Steps', steps), field('Seed', seed)),
    el('div', {class: 'row'}, field('Across', x), field('Values across', xs, 'separated by commas')),
    el('div', {class: 'row'}, field('Down', y), field('Values down', ys, 'separated by commas')),
    problem, el('div', {class: 'buttons'}, el('button', {class: 'main', type: 'submit'}, 'Draw the grid')));
  form.addEventListener('submit', async event => {
    event.preventDefault();
    problem.textContent = '';
    const base = {model: model.value, classes: wanted.classes.map(one => one.label), steps: Number(steps.value), seed: seed.value.trim(), sampler: 'ddim'};
    const request = {base, x: {field: x.value, values: values(x.value, xs.value)}};
    if (y.value) request.y = {field: y.value, values: values(y.value, ys.value)};
    try { sheet.begin(await post('/v1/grids', request)); } catch (error) { problem.textContent = error.message; }
  });
  main.append(el('h1', {}, 'Grids'), el('div', {class: 'two'}, form, sheet.element));
  const last = (await jobs()).find(job => job.grid);
  if (last) sheet.begin(last);
  return () => sheet.close();
}
