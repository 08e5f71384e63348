// What runs, what waits, whose it is, and what has become of the rest.
import {el, failed, get, ofThisClient, remove, say, seconds} from './api.js';

export const jobs = async () => (await get('/v1/generations')).generations;

const words = {queued: 'waits', running: 'runs', done: 'done', failed: 'failed', cancelled: 'cancelled', lost: 'lost'};

function row(job, refresh) {
  const over = !['queued', 'running'].includes(job.state);
  const picture = job.images.length
    ? el('img', {class: 'mini', src: `/v1/images/${job.images[job.images.length - 1]}.png`, alt: `Newest picture of job ${job.id}`})
    : '';
  const progress = job.state === 'running'
    ? [`step ${job.step} of ${job.steps}`, job.cells > 1 ? `, cell ${job.cell + 1} of ${job.cells}` : '']
    : job.state === 'queued' ? (job.position === 0 ? 'next' : `${job.position} before it`) : job.seconds ? `took ${seconds(job.seconds)}` : '';
  const cancel = async () => {
    try {
      await remove(`/v1/generations/${job.id}`);
      say('The job ends before its next step');
    } catch (error) {
      failed(error);
    }
    refresh();
  };
  return el('tr', {},
    el('td', {}, picture),
    el('td', {}, words[job.state], job.error ? el('p', {class: 'hint bad'}, job.error) : '', job.waiting_for ? el('p', {class: 'hint bad'}, job.waiting_for) : ''),
    el('td', {}, `${job.pictures} ${job.pictures === 1 ? 'picture' : 'pictures'}`, el('p', {class: 'hint'}, `${job.request.sampler}, ${job.request.steps} steps, guidance ${job.request.guidance}`)),
    el('td', {}, ofThisClient(job) ? 'this page' : job.client),
    el('td', {}, progress, job.seconds_left ? el('p', {class: 'hint'}, `${seconds(job.seconds_left)} left`) : ''),
    el('td', {}, over ? '' : el('button', {onclick: cancel, 'aria-label': `Cancel job ${job.id}`}, 'Cancel')));
}

export async function show(main) {
  const body = el('tbody'), empty = el('p', {class: 'empty'}, 'Nothing runs and nothing waits. What you ask for in Create appears here.');
  const table = el('div', {class: 'scroll panel jobs', tabindex: '0', role: 'region', 'aria-label': 'Jobs'},
    el('table', {}, el('thead', {}, el('tr', {}, ['Picture', 'State', 'What', 'Whose', 'How far', 'Do'].map(text => el('th', {scope: 'col'}, text)))), body));
  main.append(el('h1', {}, 'Queue'), table, empty);
  let timer, gone = false, before = '';
  const refresh = async () => {
    clearTimeout(timer);
    try {
      const list = await jobs(), now = JSON.stringify(list);
      if (gone) return;
      if (now !== before) {
        const focused = document.activeElement?.getAttribute('aria-label');
        body.replaceChildren(...list.map(job => row(job, refresh)));
        if (focused) [...body.querySelectorAll('button')].find(button => button.getAttribute('aria-label') === focused)?.focus();
      }
      before = now;
      table.hidden = !list.length;
      empty.hidden = list.length > 0;
    } catch (error) {
      failed(error);
    }
    if (!gone) timer = setTimeout(refresh, document.hidden ? 5000 : 1000);
  };
  await refresh();
  return () => { gone = true; clearTimeout(timer); };
}
