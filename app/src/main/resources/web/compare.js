// Two to four pictures side by side, and what differs between them.
import {altText, className, el, failed, get, parameters} from './api.js';
import {compare, compared, showPicture} from './gallery.js';

export async function show(main) {
  const items = [];
  for (const id of compared()) try { items.push(await get(`/v1/images/${id}`)); } catch (error) { if (error.status !== 404) failed(error); }
  compare(items.map(item => item.id));
  const heading = el('h1', {}, 'Compare');
  if (items.length < 2) {
    const recent = (await get('/v1/images?most=12')).images;
    const choose = el('ul', {class: 'tiles', 'aria-label': 'Newest pictures'}, recent.map(item => {
      const button = el('button', {class: 'open', 'aria-pressed': String(compared().includes(item.id)), 'aria-label': `Compare ${altText(item.recipe)}`, onclick: () => {
        const now = compared();
        compare(now.includes(item.id) ? now.filter(id => id !== item.id) : [...now, item.id]);
        button.setAttribute('aria-pressed', String(compared().includes(item.id)));
        go.disabled = compared().length < 2;
      }}, el('img', {src: item.url, alt: altText(item.recipe)}));
      return el('li', {class: 'tile'}, button, el('p', {class: 'hint'}, `${className(item.recipe)} · seed ${item.recipe?.seed ?? ''}`));
    }));
    const go = el('button', {class: 'main', disabled: compared().length < 2, onclick: () => { main.replaceChildren(); show(main); }}, 'Compare these');
    main.append(heading, recent.length ? el('p', {}, 'Choose two to four pictures; Compare in the gallery chooses too.') : el('p', {class: 'empty'}, 'There is nothing to compare yet.'), choose, el('div', {class: 'buttons'}, recent.length ? go : ''));
    return null;
  }
  const names = parameters(items[0].recipe).map(([name]) => name);
  const values = items.map(item => new Map(parameters(item.recipe)));
  const differ = names.filter(name => new Set(values.map(map => map.get(name))).size > 1);
  const same = names.filter(name => !differ.includes(name));
  const table = (caption, rows) => el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption}, el('table', {}, el('caption', {class: 'unseen'}, caption),
    el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'parameter'), items.map((_, i) => el('th', {scope: 'col'}, `picture ${i + 1}`)))),
    el('tbody', {}, rows.map(name => el('tr', {}, el('th', {scope: 'row'}, name), values.map(map => el('td', {}, map.get(name) || '')))))));
  main.append(heading,
    el('ul', {class: 'tiles few', 'aria-label': 'Compared pictures'}, items.map((item, i) => el('li', {class: 'tile'},
      el('button', {class: 'open', 'aria-label': `Open ${altText(item.recipe)}`, onclick: () => showPicture(item)}, el('img', {src: item.url, alt: altText(item.recipe)})),
      el('p', {class: 'hint'}, `${i + 1}: ${altText(item.recipe)}`)))),
    el('h2', {}, 'What differs'), differ.length ? table('What differs', differ) : el('p', {}, 'Nothing: these are drawn by the same recipe.'),
    el('details', {}, el('summary', {}, 'What is the same'), table('What is the same', same)),
    el('div', {class: 'buttons'}, el('button', {onclick: () => { compare([]); main.replaceChildren(); show(main); }}, 'Choose others')));
  return null;
}
