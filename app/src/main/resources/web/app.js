// Which view is shown, and what is there in all of them: the dock, the count of the queue, dropped pictures, the token.
import {bitmap, failed, get, pngInfo, post, say, seconds, toast} from './api.js';
import {showPicture} from './gallery.js';
import {jobs} from './queue.js';

const views = ['create', 'gallery', 'compare', 'grids', 'training', 'queue', 'about'];
const main = document.getElementById('main');
let leave = null, shown = '';

async function show() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const view = views.includes(name) ? name : 'create';
  if (leave) leave();
  leave = null;
  shown = view;
  document.querySelectorAll('nav a').forEach(link => {
    if (link.getAttribute('href') === '#/' + view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  document.title = view[0].toUpperCase() + view.slice(1) + ' · dit studio';
  const module = await import(`./${view}.js`);
  if (shown !== view) return;
  main.replaceChildren();
  try {
    leave = await module.show(main, rest.map(decodeURIComponent));
  } catch (error) {
    failed(error);
  }
  main.dataset.view = view;
  dock();
}

addEventListener('hashchange', () => { if (!login()) show().then(() => main.focus({preventScroll: true})); });

/** The first link carries the token behind #, where no log sees it. */
function login() {
  const token = location.hash.match(/^#token=(.*)$/);
  if (!token) return false;
  history.replaceState(null, '', '/#/create');
  post('/v1/session', {token: decodeURIComponent(token[1])}).then(show, failed);
  return true;
}
document.addEventListener('login', () => toast('This studio asks for a token: open the link that dit serve printed.'));

// ---- the running job, in a corner while one looks at something else

const running = {job: null, sheet: null, text: ''};
async function dock() {
  const box = document.getElementById('dock');
  box.hidden = !running.job || shown === 'create' || shown === 'grids';
  if (box.hidden) return;
  document.getElementById('dock-text').textContent = running.text;
  const canvas = document.getElementById('dock-picture');
  canvas.hidden = !running.sheet;
  if (!running.sheet) return;
  const picture = await bitmap(running.sheet.jpeg);
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext('2d').drawImage(picture, 0, 0);
}
document.addEventListener('job', event => {
  const {name, data, id} = event.detail;
  if (name === 'queued') Object.assign(running, {job: id, sheet: null, text: 'waiting'});
  if (id !== running.job) return;
  if (name === 'step') running.text = `step ${data.step} of ${data.steps}`;
  if (name === 'preview') running.sheet = data;
  if (name === 'done' || name === 'error') running.job = null;
  dock();
});

async function count() {
  if (!document.hidden)
    try {
      const waiting = (await jobs()).filter(job => job.state === 'queued' || job.state === 'running').length;
      const badge = document.getElementById('queue-count');
      badge.hidden = waiting === 0;
      badge.textContent = waiting;
    } catch { /* the view says it */ }
  setTimeout(count, 3000);
}

// ---- a PNG dropped on the page shows its recipe

addEventListener('dragover', event => { event.preventDefault(); document.body.classList.add('dropping'); });
addEventListener('dragleave', event => { if (!event.relatedTarget) document.body.classList.remove('dropping'); });
addEventListener('drop', async event => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  const file = event.dataTransfer.files[0];
  if (!file) return;
  try {
    const info = await pngInfo(file);
    showPicture({id: null, url: URL.createObjectURL(file), recipe: info.recipe});
  } catch (error) {
    failed(error);
  }
});

if (!login()) show();
count();
get('/readyz').catch(error => say(`${error.message}${error.retryAfter ? `, some ${seconds(Number(error.retryAfter))}` : ''}`));
