// What runs here: models, machine, versions, licences.
import {el, failed, get} from './api.js';

const rows = pairs => el('dl', {}, pairs.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));

export async function show(main) {
  const [about, {models}] = await Promise.all([get('/v1/about'), get('/v1/models')]);
  const card = el('div', {}, models.length ? 'opening the model …' : 'There is no model yet.');
  main.append(el('h1', {}, 'About'),
    el('section', {class: 'panel', 'aria-label': 'The model'}, el('h2', {}, 'The model'), card),
    el('section', {class: 'panel', 'aria-label': 'This machine'}, el('h2', {}, 'This machine'), rows([
      ['system', about.system], ['draws on', about.devices.join(', ')], ['cores', String(about.cores)], ['memory', `${(about.memory / 2 ** 30).toFixed(1)} GiB`],
      ['software', about.software], ['Java', about.java], ['pictures kept', String(about.pictures)]])),
    el('section', {class: 'panel', 'aria-label': 'Keys and API'}, el('h2', {}, 'Keys and API'), rows([
      ['Ctrl+Enter', 'draw what is set in Create'], ['Ctrl+Shift+Enter', 'cancel all of your jobs, and draw what is set']]),
      el('p', {}, 'All that this page does is in the API: ', el('a', {href: '/openapi.json'}, 'its description'), ', ', el('a', {href: '/metrics'}, 'metrics'), '.')),
    el('section', {class: 'panel', 'aria-label': 'Licences'}, el('h2', {}, 'Licences'), el('p', {}, 'dit4j is under the Apache License 2.0. Pictures and weights have the terms of whoever trained the model. It is built on LibTorch (BSD-3-Clause), JavaCPP, Javalin, Jetty and Jackson (Apache-2.0 or EPL-2.0).')));
  if (models.length)
    get(`/v1/models/${encodeURIComponent(models[0].id)}`).then(model => card.replaceChildren(rows([
      ['name', model.id], ['what', model.text], ['weights', model.trained || model.weights], ['diffusion', model.diffusion], ['draws', `${model.width} × ${model.height} pixels`], ['SHA-256', model.digest]])), failed);
  return null;
}
