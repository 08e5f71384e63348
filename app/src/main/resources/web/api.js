// Requests to the studio, and the small things that every view needs.

const client = localStorage.getItem('dit.client') || crypto.getRandomValues(new Uint32Array(2)).join('-');
localStorage.setItem('dit.client', client);

export class Problem extends Error {
  constructor(problem, retryAfter) {
    super(problem.detail);
    this.status = problem.status;
    this.pointer = problem.pointer || '';
    this.retryAfter = retryAfter;
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const type = response.headers.get('content-type') || '';
  const body = type.includes('json') ? await response.json() : null;
  if (response.ok) return body;
  throw new Problem(body || {status: response.status, detail: `the server answers ${response.status}`}, response.headers.get('retry-after'));
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {...options, headers: {'Dit-Client': client, ...options.headers}});
  } catch {
    throw new Problem({status: 0, detail: 'the studio does not answer; is dit serve still running?'});
  }
  if (response.status === 401 && path !== '/v1/session') document.dispatchEvent(new Event('login'));
  return answer(response);
}

export const get = path => request(path);
export const post = (path, body) => request(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
export const remove = path => request(path, {method: 'DELETE'});
export const pngInfo = file => request('/v1/png-info', {method: 'POST', headers: {'Content-Type': 'image/png'}, body: file});
export const ofThisClient = job => job.client.endsWith('/' + client);

/** Follows the events of a path until one of `last` comes; the browser reconnects by itself, and hears what it missed. */
export function follow(path, handlers, last = []) {
  const source = new EventSource(path);
  for (const [name, handler] of Object.entries(handlers))
    source.addEventListener(name, event => {
      if (last.includes(name)) source.close();
      if (event.data !== undefined) handler(JSON.parse(event.data));
    });
  source.onerror = () => { if (source.readyState === EventSource.CLOSED && handlers.lost) handlers.lost(); };
  return source;
}

/** An element: el('p', {class: 'hint', onclick: f}, 'text', other). Text is only ever set as text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

let fields = 0;
/** A labelled control. */
export function field(label, control, hint) {
  control.id ||= `field-${++fields}`;
  const text = hint ? el('p', {class: 'hint', id: control.id + '-hint'}, hint) : null;
  if (hint) control.setAttribute('aria-describedby', text.id);
  return el('div', {class: 'field'}, el('label', {for: control.id}, label), control, text);
}

export const select = (options, value, properties = {}) => {
  const element = el('select', properties, options.map(option => {
    const [key, text] = Array.isArray(option) ? option : [option, option];
    return el('option', {value: key}, text);
  }));
  if (value !== undefined && [...element.options].some(option => option.value === String(value))) element.value = value;
  return element;
};

export const say = text => { document.getElementById('live').textContent = text; };

let hiding;
export function toast(text, action, onaction) {
  const box = document.getElementById('toast');
  box.replaceChildren(text, action ? el('button', {onclick: () => { box.hidden = true; onaction(); }}, action) : '');
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, action ? 10000 : 5000);
}

export const failed = error => {
  if (error.status === 401) return; // how to get in is said already
  const again = error.retryAfter ? `; try again in ${error.retryAfter} s` : '';
  toast(error.message + again);
};

export const seconds = value => value < 1 ? 'less than 1 s' : value < 90 ? `${Math.round(value)} s` : value < 5400 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;

/** What people call the class of a recipe. */
export const className = recipe => recipe?.class?.name?.split(',')[0] || 'no class';
export const altText = recipe => recipe ? `${className(recipe)}, seed ${recipe.seed}${Number(recipe.index) ? `, picture ${recipe.index}` : ''}` : 'a picture without recipe';

/** The parameters of a recipe, in the order in which people read them. */
export const parameters = recipe => !recipe ? [] : [
  ['class', className(recipe)], ['seed', recipe.seed], ['index', String(recipe.index)], ['steps', recipe.steps],
  ['sampler', recipe.sampler + (recipe.eta ? `, eta ${recipe.eta}` : '')], ['guidance', String(recipe.guidance)],
  ['guided timesteps', recipe.interval ? recipe.interval.join(' to ') : 'all'], ['model', recipe.model?.id || ''],
  ['checkpoint', recipe.model?.checkpoint || ''], ['weights', recipe.model?.weights || ''],
  ['digest', recipe.model?.digest ? recipe.model.digest.slice(0, 16) : ''], ['software', recipe.software],
];

/** A recipe as the Create view takes it. */
export const settings = recipe => ({
  model: recipe.model?.id, weights: recipe.model?.weights || 'ema', classes: recipe.class ? [{label: recipe.class.label, name: recipe.class.name}] : [],
  count: 1, seed: recipe.seed, index: Number(recipe.index) || 0, steps: recipe.steps, sampler: recipe.sampler, eta: recipe.eta,
  guidance: recipe.guidance, interval: recipe.interval || null, locked: true,
});

export async function bitmap(base64) {
  const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], {type: 'image/jpeg'}));
}
