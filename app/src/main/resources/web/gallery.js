// All pictures, newest first; each with its recipe.
import {altText, className, el, failed, field, get, parameters, post, remove, settings, toast} from './api.js';

const PAGE = 60;
export const compared = () => { try { return JSON.parse(localStorage.getItem('dit.compare')) || []; } catch { return []; } };
export const compare = ids => localStorage.setItem('dit.compare', JSON.stringify(ids.slice(-4)));

async function again(recipe, change) {
  const create = await import('./create.js');
  create.keep({...settings(recipe), ...change, again: true});
  document.getElementById('dialog').close();
  if (location.hash === '#/create') dispatchEvent(new HashChangeEvent('hashchange'));
  else location.hash = '#/create';
}

/** A picture with all that is known of it. */
export function showPicture(item, ongone = () => {}) {
  const dialog = document.getElementById('dialog'), recipe = item.recipe;
  const close = () => dialog.close();
  const isCompared = () => compared().includes(item.id);
  const comparing = item.id ? el('button', {'aria-pressed': String(isCompared()), onclick: () => {
    compare(isCompared() ? compared().filter(id => id !== item.id) : [...compared(), item.id]);
    comparing.setAttribute('aria-pressed', String(isCompared()));
  }}, 'Compare') : null;
  const gone = async () => {
    try {
      await remove(`/v1/images/${item.id}`);
      close();
      ongone();
      toast('The picture is deleted.', 'Undo', async () => {
        try { await post(`/v1/images/${item.id}/restore`, {}); ongone(); } catch (error) { failed(error); }
      });
    } catch (error) {
      failed(error);
    }
  };
  dialog.replaceChildren(
    el('h1', {id: 'dialog-title'}, altText(recipe)),
    el('div', {class: 'two'},
      el('img', {class: 'picture', src: item.url, alt: altText(recipe)}),
      el('div', {}, el('dl', {}, parameters(recipe).filter(([, value]) => value !== '').map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
        recipe ? '' : el('p', {}, 'This picture has no recipe.'))),
    el('div', {class: 'buttons'},
      recipe ? el('button', {class: 'main', onclick: () => again(recipe, {})}, 'Use these again') : '',
      recipe ? el('button', {onclick: () => again(recipe, {seed: String(crypto.getRandomValues(new Uint32Array(1))[0]), index: 0, count: 4})}, 'Vary the seed') : '',
      comparing,
      item.id ? el('a', {class: 'button', href: item.url, download: `${className(recipe).replace(/[^\p{L}\p{N}]+/gu, '-')}-${recipe?.seed ?? ''}.png`}, 'Download') : '',
      item.id ? el('button', {onclick: gone}, 'Delete') : '',
      el('button', {onclick: close}, 'Close')));
  if (!dialog.open) dialog.showModal();
}

export async function show(main) {
  const list = el('ul', {class: 'tiles', 'aria-label': 'Pictures'}), more = el('button', {hidden: true}, 'Show more');
  const total = el('p', {class: 'hint', role: 'status'}), empty = el('p', {class: 'empty', hidden: true}, 'No picture fits. What you draw in Create is kept here; a PNG dropped on the page shows its recipe.');
  const byClass = el('input', {type: 'search'}), byModel = el('input', {type: 'search'});
  let from = 0, asked = 0;
  const tile = item => {
    const figure = el('li', {class: 'tile'}, el('figure', {class: 'tile'},
      el('button', {class: 'open', 'aria-label': `Open ${altText(item.recipe)}`, onclick: () => showPicture(item, load)}, el('img', {src: item.url, alt: altText(item.recipe), loading: 'lazy', width: 96, height: 96})),
      el('figcaption', {}, item.recipe ? `${className(item.recipe)} · seed ${item.recipe.seed}` : 'no recipe')));
    return figure;
  };
  const load = async (append = false) => {
    const ask = ++asked;
    if (append !== true) from = 0;
    try {
      const page = await get(`/v1/images?from=${from}&most=${PAGE}&class=${encodeURIComponent(byClass.value)}&model=${encodeURIComponent(byModel.value)}`);
      if (ask !== asked) return;
      const tiles = page.images.map(tile);
      if (append === true) list.append(...tiles); else list.replaceChildren(...tiles);
      from += page.images.length;
      more.hidden = from >= page.total;
      total.textContent = page.total === 1 ? '1 picture' : `${page.total} pictures`;
      empty.hidden = page.total > 0;
    } catch (error) {
      failed(error);
    }
  };
  let typing;
  for (const input of [byClass, byModel]) input.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(load, 200); });
  more.addEventListener('click', () => load(true));
  const file = el('input', {type: 'file', accept: 'image/png', id: 'png-file', onchange: async () => {
    const {pngInfo} = await import('./api.js');
    try { showPicture({id: null, url: URL.createObjectURL(file.files[0]), recipe: (await pngInfo(file.files[0])).recipe}); } catch (error) { failed(error); }
    file.value = '';
  }});
  main.append(el('h1', {}, 'Gallery'), el('div', {class: 'row'}, field('Class', byClass), field('Model or run', byModel), field('Recipe of a PNG file', file)), total, list, empty, el('div', {class: 'buttons'}, more));
  const drawn = event => { if (event.detail.name === 'pictures' && from <= PAGE) load(); };
  document.addEventListener('job', drawn);
  await load();
  return () => document.removeEventListener('job', drawn);
}
