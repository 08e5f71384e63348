// Pictures that form while one looks: what is wanted, how far it is, and every step of it afterwards.
import {bitmap, className, el, failed, field, follow, get, ofThisClient, post, remove, say, seconds, select, toast} from './api.js';
import {showPicture} from './gallery.js';
import {jobs} from './queue.js';

const saved = () => { try { return JSON.parse(localStorage.getItem('dit.create')) || {}; } catch { return {}; } };
const defaults = {model: '', weights: 'ema', classes: [], count: 1, seed: '0', index: 0, steps: '50', sampler: 'ddpm', eta: 0, guidance: 4, interval: null, locked: false, live: false};
export const keep = wanted => localStorage.setItem('dit.create', JSON.stringify({...saved(), ...wanted}));

/** A step that is at most so long can be drawn while a slider moves. */
const FAST_STEP = 0.08, DRAFT_STEPS = 8;

/** A box that finds classes by number, name or parts of it, by keyboard too; and the classes that are chosen. */
export function classBox(wanted, model, changed, most = 64) {
  const input = el('input', {type: 'text', role: 'combobox', 'aria-expanded': 'false', 'aria-autocomplete': 'list', autocomplete: 'off', spellcheck: 'false', placeholder: 'number or part of a name'});
  const list = el('ul', {class: 'options', role: 'listbox', id: 'classes-' + Math.random().toString(36).slice(2), 'aria-label': 'Classes that fit', hidden: true});
  input.setAttribute('aria-controls', list.id);
  const chips = el('ul', {class: 'chips', 'aria-label': 'Chosen classes'});
  let found = [], at = -1, asked = 0;
  const draw = () => {
    chips.hidden = !wanted.classes.length;
    chips.replaceChildren(...wanted.classes.map((chosen, i) => el('li', {}, el('button', {type: 'button', 'aria-label': `Remove ${chosen.name}`, onclick: () => { wanted.classes.splice(i, 1); draw(); changed(); input.focus(); }}, `${chosen.name.split(',')[0]} ×`))));
  };
  const close = () => { list.hidden = true; at = -1; input.setAttribute('aria-expanded', 'false'); input.removeAttribute('aria-activedescendant'); };
  const mark = to => {
    at = (to + found.length) % found.length;
    [...list.children].forEach((option, i) => option.setAttribute('aria-selected', i === at));
    input.setAttribute('aria-activedescendant', list.children[at].id);
    list.children[at].scrollIntoView({block: 'nearest'});
  };
  const take = i => {
    if (wanted.classes.length >= most) wanted.classes.length = most - 1;
    wanted.classes.push(found[i]);
    say(`${found[i].name} chosen`);
    input.value = '';
    close();
    draw();
    changed();
  };
  const search = async () => {
    const ask = ++asked;
    try {
      const answer = await get(`/v1/classes?most=30&q=${encodeURIComponent(input.value)}&model=${encodeURIComponent(model())}`);
      if (ask !== asked) return;
      found = answer.classes;
    } catch { found = []; }
    list.replaceChildren(...found.map((one, i) => el('li', {role: 'option', id: `${list.id}-${i}`, 'aria-selected': 'false', onmousedown: event => { event.preventDefault(); take(i); }}, `${one.label} · ${one.name}`)));
    list.hidden = !found.length;
    input.setAttribute('aria-expanded', String(!list.hidden));
    at = -1;
  };
  input.addEventListener('input', search);
  input.addEventListener('focus', search);
  input.addEventListener('blur', close);
  input.addEventListener('keydown', event => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (list.hidden) search(); else if (found.length) mark(at + (event.key === 'ArrowDown' ? 1 : -1));
    } else if (event.key === 'Enter' && !event.ctrlKey && !list.hidden && found.length) {
      event.preventDefault();
      take(Math.max(at, 0));
    } else if (event.key === 'Escape') close();
    else if (event.key === 'Backspace' && !input.value && wanted.classes.length) { wanted.classes.pop(); draw(); changed(); }
  });
  draw();
  const box = el('div', {class: 'combo'}, input, list);
  return {input, element: el('div', {}, chips, box), draw};
}

/** The pictures of one job, as they form. */
class Board {
  constructor(onover) {
    this.tiles = el('ul', {class: 'tiles few', 'aria-label': 'Pictures'});
    this.bar = el('progress', {'aria-label': 'Progress', max: 1, value: 0});
    this.text = el('p', {class: 'hint', id: 'progress-text'});
    this.cancel = el('button', {type: 'button', onclick: () => this.stop()}, 'Cancel');
    this.slider = el('input', {type: 'range', min: 0, max: 0, value: 0, 'aria-label': 'Step that is shown', oninput: () => this.scrub(Number(this.slider.value))});
    this.sliderText = el('p', {class: 'hint'});
    this.scrubbing = el('div', {hidden: true}, el('p', {class: 'label hint'}, 'Look back through the steps'), this.slider, this.sliderText);
    this.element = el('section', {'aria-label': 'The pictures', hidden: true}, el('div', {class: 'row'}, el('div', {class: 'field'}, this.bar, this.text), this.cancel), this.tiles, this.scrubbing);
    this.onover = onover;
  }

  begin(job) {
    if (this.source) this.source.close();
    this.job = job;
    this.images = [...job.images];
    this.previews = [];
    this.spoken = 0;
    this.element.hidden = false;
    this.scrubbing.hidden = true;
    this.cancel.hidden = false;
    const classes = job.request.classes;
    this.canvases = Array.from({length: job.pictures}, (_, i) => el('canvas', {width: 8, height: 8, role: 'img', 'aria-label': `Picture ${i + 1}, not drawn yet`}));
    this.tiles.replaceChildren(...this.canvases.map((canvas, i) => el('li', {class: 'tile', 'data-class': classes[i % Math.max(1, classes.length)] ?? ''}, canvas)));
    this.tiles.classList.toggle('few', job.pictures <= 4);
    this.images.forEach((id, i) => this.picture(i, id));
    this.progress('waiting', 0);
    const tell = name => data => { document.dispatchEvent(new CustomEvent('job', {detail: {name, data, id: job.id}})); this[name](data); };
    const source = {};
    for (const name of ['queued', 'step', 'preview', 'pictures', 'waiting', 'done', 'error']) source[name] = tell(name);
    this.source = follow(`/v1/generations/${job.id}/events`, source, ['done', 'error']);
  }

  progress(text, share) { this.text.textContent = text; this.bar.value = share; }
  queued(data) { this.progress(data.position ? `waits; ${data.position} before it` : 'waits for its turn', 0); }
  waiting(data) { this.progress(data.detail, this.bar.value); }

  step(data) {
    const left = data.seconds_left > 0 ? `, ${seconds(data.seconds_left)} left` : '';
    this.progress(`step ${data.step} of ${data.steps}${left}`, data.step / data.steps);
    this.stepSeconds = this.lastStep ? (performance.now() - this.lastStep) / 1000 / Math.max(1, data.step - this.lastNumber) : null;
    this.lastStep = performance.now();
    this.lastNumber = data.step;
    const quarter = Math.floor(4 * data.step / data.steps);
    if (quarter > this.spoken && quarter < 4) { this.spoken = quarter; say(`${25 * quarter} percent${left}`); }
  }

  async preview(data) {
    const sheet = {...data, picture: await bitmap(data.jpeg)};
    this.draw(sheet);
  }

  draw(sheet) {
    for (let i = 0; i < sheet.count; i++) {
      const canvas = this.canvases[sheet.first + i];
      if (!canvas) continue;
      canvas.width = sheet.width;
      canvas.height = sheet.height;
      canvas.setAttribute('aria-label', `Picture ${sheet.first + i + 1}, as it looks at step ${sheet.step} of ${sheet.steps}`);
      canvas.getContext('2d').drawImage(sheet.picture, (i % sheet.columns) * sheet.width, Math.floor(i / sheet.columns) * sheet.height, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
    }
  }

  pictures(data) { data.images.forEach((id, i) => { this.images[data.first + i] = id; this.picture(data.first + i, id); }); }

  async picture(i, id) {
    try {
      const entry = await get(`/v1/images/${id}`);
      const image = el('img', {src: entry.url, alt: `${className(entry.recipe)}, seed ${entry.recipe.seed}, picture ${Number(entry.recipe.index) + 1}`});
      await image.decode().catch(() => {});
      this.tiles.children[i]?.replaceChildren(el('figure', {class: 'tile'}, el('button', {type: 'button', class: 'open', 'aria-label': `Open ${image.alt}`, onclick: () => showPicture(entry)}, image), el('figcaption', {}, `${className(entry.recipe)} · seed ${entry.recipe.seed}`)));
    } catch (error) {
      failed(error);
    }
  }

  async done(job) {
    this.over();
    this.progress(`done in ${seconds(job.seconds)}`, 1);
    if (!job.draft) say(`${job.pictures} ${job.pictures === 1 ? 'picture is' : 'pictures are'} done`);
    try {
      this.kept = (await get(`/v1/generations/${job.id}/previews`)).previews;
    } catch { this.kept = []; }
    this.scrubbing.hidden = job.draft || this.kept.length < 2;
    this.slider.max = this.kept.length;
    this.slider.value = this.kept.length;
    this.sliderText.textContent = 'the finished picture';
  }

  error(job) {
    this.over();
    this.progress(job.state === 'cancelled' ? 'cancelled' : `${job.state}: ${job.error || ''}`, 0);
    say(this.text.textContent);
  }

  over() { this.cancel.hidden = true; this.lastStep = null; this.onover(); }

  async scrub(at) {
    if (at >= this.kept.length) {
      this.sliderText.textContent = 'the finished picture';
      this.images.forEach((id, i) => this.picture(i, id));
      return;
    }
    const sheet = this.kept[at];
    this.sliderText.textContent = `step ${sheet.step} of ${sheet.steps}`;
    this.slider.setAttribute('aria-valuetext', this.sliderText.textContent);
    this.wanted = at;
    try {
      const response = await fetch(`/v1/generations/${this.job.id}/previews/${sheet.batch}/${sheet.step}`);
      if (!response.ok || this.wanted !== at) return;
      const picture = await createImageBitmap(await response.blob());
      for (let i = 0; i < sheet.count; i++) this.tiles.children[sheet.first + i]?.replaceChildren(this.canvases[sheet.first + i]);
      this.draw({...sheet, picture});
    } catch (error) {
      failed(error);
    }
  }

  async stop() {
    try { await remove(`/v1/generations/${this.job.id}`); } catch (error) { failed(error); }
  }

  close() { if (this.source) this.source.close(); }
}

export async function show(main) {
  const wanted = {...defaults, ...saved()};
  const [{models}, {samplers}] = await Promise.all([get('/v1/models'), get('/v1/samplers')]);
  if (!models.length) {
    main.append(el('h1', {}, 'Create'), el('p', {class: 'empty'}, 'There is no model yet. Train one with ./dit demo, or start dit serve with the path of one; it appears here by itself when you come back.'));
    return null;
  }
  if (!models.some(model => model.id === wanted.model)) wanted.model = models[0].id;
  let about = null, drafting = null, pending = false, resting;
  const form = el('form', {class: 'panel', 'aria-label': 'What to draw'});
  const model = select(models.map(one => [one.id, one.checkpoint ? one.id : `${one.id}${one.run ? ' (newest)' : ''}`]), wanted.model);
  const weights = select([['ema', 'averaged (EMA)'], ['model', 'in training']], wanted.weights);
  const classes = classBox(wanted, () => wanted.model, () => changed());
  const count = el('input', {type: 'number', min: 1, max: 64, step: 1, value: wanted.count, required: true});
  const seed = el('input', {type: 'text', inputmode: 'numeric', pattern: '-?[0-9]{1,19}', value: wanted.seed, required: true});
  const locked = el('input', {type: 'checkbox', id: 'seed-locked'});
  locked.checked = wanted.locked;
  const steps = el('input', {type: 'text', value: wanted.steps, required: true});
  const sampler = select(samplers.map(one => one.name), wanted.sampler);
  const guidance = el('input', {type: 'range', min: 0, max: 12, step: 0.1, value: wanted.guidance});
  const guidanceNumber = el('input', {type: 'number', min: 0, max: 100, step: 'any', value: wanted.guidance, 'aria-label': 'Guidance as a number'});
  const low = el('input', {type: 'number', min: 0, max: 999, placeholder: '0', value: wanted.interval ? wanted.interval[0] : ''});
  const high = el('input', {type: 'number', min: 0, max: 999, placeholder: '999', value: wanted.interval ? wanted.interval[1] : ''});
  const eta = el('input', {type: 'number', min: 0, max: 1, step: 0.1, value: wanted.eta});
  const live = el('input', {type: 'checkbox', id: 'live-drawing'});
  live.checked = wanted.live;
  const liveHint = el('p', {class: 'hint'}, 'Moving guidance or seed redraws with a few steps; all steps run when your hand rests.');
  const card = el('p', {class: 'hint'}), problem = el('p', {class: 'bad', role: 'alert'});
  const draw = el('button', {class: 'main', type: 'submit', 'aria-keyshortcuts': 'Control+Enter'}, 'Draw');
  const instead = el('button', {type: 'button', 'aria-keyshortcuts': 'Control+Shift+Enter', title: 'Cancels all your jobs and draws what is set now (Ctrl+Shift+Enter)'}, 'Cancel all, draw this');
  const board = new Board(() => { drafting = null; if (pending) { pending = false; draft(); } });
  const guidanceField = field('Guidance', guidance, '1 is none; more is closer to the class and less varied');
  guidanceField.append(guidanceNumber);

  const read = () => Object.assign(wanted, {
    model: model.value, weights: weights.value, count: Number(count.value), seed: seed.value.trim(), locked: locked.checked, steps: steps.value.trim(), sampler: sampler.value,
    eta: Number(eta.value), guidance: Number(guidanceNumber.value), live: live.checked,
    interval: low.value === '' && high.value === '' ? null : [Number(low.value || 0), Number(high.value || 999)],
  });
  const changed = () => { read(); keep(wanted); problem.textContent = ''; };
  const body = (extra = {}) => {
    const steps = /^\d+$/.test(wanted.steps) ? Number(wanted.steps) : wanted.steps;
    const request = {model: wanted.model, weights: wanted.weights, classes: wanted.classes.map(one => one.label), count: wanted.count, seed: wanted.seed, index: wanted.index || 0, steps, sampler: wanted.sampler, eta: wanted.eta, ...extra};
    if (about?.guidable) request.guidance = wanted.guidance;
    if (wanted.interval && about?.guidable) request.interval = wanted.interval;
    return request;
  };
  const send = async extra => {
    read();
    problem.textContent = '';
    try {
      const job = await post('/v1/generations', body(extra));
      board.begin(job);
      return job;
    } catch (error) {
      problem.textContent = error.message + (error.retryAfter ? `; try again in ${error.retryAfter} s` : '');
      return null;
    }
  };
  const full = async extra => {
    if (!locked.checked) seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    if (!locked.checked) wanted.index = 0;
    changed();
    await send(extra);
  };
  const draft = async () => {
    if (!live.checked || live.disabled) return;
    if (drafting) { pending = true; return; } // the newest wants to be drawn when this one is
    drafting = true;
    const job = await send({draft: true, replace: true, steps: DRAFT_STEPS, sampler: 'ddim', eta: 0});
    if (!job) drafting = null;
    clearTimeout(resting);
    resting = setTimeout(() => { if (!pending) send({replace: true}); }, 900);
  };
  const moved = () => { changed(); draft(); };

  const learn = async () => {
    card.textContent = 'opening the model …';
    try {
      about = await get(`/v1/models/${encodeURIComponent(wanted.model)}?weights=${wanted.weights}`);
      card.textContent = `${about.width} × ${about.height} pixels, ${about.classes ? `${about.classes} classes` : 'no classes'}${about.trained ? `, ${about.trained}` : ''}`;
      if (!about.draws_pictures) problem.textContent = 'This model draws latents, and no autoencoder was found that decodes them: start dit serve with --vae PATH.';
      classesField.hidden = !about.classes;
      guidanceField.hidden = guided.hidden = !about.guidable;
    } catch (error) {
      about = null;
      card.textContent = '';
      problem.textContent = error.message;
    }
  };
  const judge = () => {
    const slow = board.stepSeconds && board.stepSeconds > FAST_STEP;
    live.disabled = Boolean(slow);
    liveHint.textContent = slow ? `Off: a step takes ${board.stepSeconds.toFixed(2)} s here, too long to follow a slider.` : 'Moving guidance or seed redraws with a few steps; all steps run when your hand rests.';
  };
  const classesField = field('Classes', classes.input, 'Several are drawn at once; none is a picture of nothing in particular');
  classesField.insertBefore(classes.element, classesField.children[1]);
  const guided = el('div', {class: 'row'}, field('Guide from timestep', low), field('to timestep', high));
  form.append(
    el('div', {class: 'row'}, field('Model', model), field('Weights', weights)), card, classesField,
    el('div', {class: 'row'}, field('Of each', count), field('Seed', seed), el('div', {class: 'check'}, locked, el('label', {for: locked.id}, 'keep the seed'))),
    el('div', {class: 'row'}, field('Steps', steps), field('Sampler', sampler)), guidanceField,
    el('details', {}, el('summary', {}, 'More'), guided, field('Eta of ddim', eta, '0 is deterministic, 1 as random as ddpm')),
    el('div', {class: 'check'}, live, el('label', {for: live.id}, 'draw while sliders move')), liveHint,
    problem, el('div', {class: 'buttons'}, draw, instead));
  form.addEventListener('submit', event => { event.preventDefault(); full(); });
  instead.addEventListener('click', () => full({replace: true}));
  form.addEventListener('change', changed);
  model.addEventListener('change', () => { wanted.classes.length = 0; classes.draw(); changed(); learn(); });
  weights.addEventListener('change', () => { changed(); learn(); });
  guidance.addEventListener('input', () => { guidanceNumber.value = guidance.value; moved(); });
  guidanceNumber.addEventListener('input', () => { guidance.value = guidanceNumber.value; moved(); });
  seed.addEventListener('input', () => { wanted.index = 0; moved(); });
  const keys = event => {
    if (event.key === 'Enter' && event.ctrlKey) { event.preventDefault(); if (form.reportValidity()) full(event.shiftKey ? {replace: true} : {}); }
  };
  addEventListener('keydown', keys);
  const timer = setInterval(judge, 1000);
  const hint = el('p', {class: 'empty'}, 'Choose what to draw and press Draw. The pictures form here, step by step.');
  new MutationObserver(() => { hint.hidden = !board.element.hidden; }).observe(board.element, {attributes: true});
  main.append(el('h1', {}, 'Create'), el('div', {class: 'two'}, form, el('div', {}, hint, board.element)));
  learn();
  // a job of this page goes on in front of who comes back
  jobs().then(list => {
    const mine = list.find(job => ofThisClient(job) && !job.draft && !job.grid);
    if (mine && !board.job) board.begin(mine);
  }).catch(failed);
  if (wanted.again) {
    keep({again: false});
    toast('The settings of that picture are here; Draw makes it again.');
  }
  return () => {
    removeEventListener('keydown', keys);
    clearInterval(timer);
    clearTimeout(resting);
    // the events go on for the dock until the job is over
    if (!board.job || board.cancel.hidden) board.close();
  };
}
