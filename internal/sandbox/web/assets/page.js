// The page is drawn by the server, part by part. This script sends what people do
// there, asks for the parts again when something changed, and puts in what differs.
'use strict';

const parts = document.getElementById('parts');
const live = document.getElementById('live');

// What somebody is at the moment doing in the page stays: an input that the server
// has not seen yet, what they opened, a list that they look through.
const morphing = {
  morphStyle: 'innerHTML',
  callbacks: {
    beforeNodeMorphed(old, next) {
      return !(old.nodeType === Node.ELEMENT_NODE && old.hasAttribute('data-keep') && old.id === next.id);
    },
    beforeAttributeUpdated(name, node) {
      if (name === 'value') return !node.unsent;
      if (name === 'selected') return !node.closest('select')?.unsent;
      return name !== 'open' || (node.matches('details') && !node.touched);
    },
  },
};

function put(part, html) {
  if (part.shown === html) return;
  const low = [...part.querySelectorAll('[data-bottom]')].every(atBottom);
  part.shown = html;
  Idiomorph.morph(part, html, morphing);
  if (low) toBottom(part);
  const modal = part.querySelector('.modal');
  if (modal && part === acted && !modal.contains(document.activeElement)) modal.querySelector(entry)?.focus();
}

// Where somebody last did something: a form that opens there takes the focus.
let acted = null;
const entry = '.blocks :is(input, select, textarea, button), footer button';

const atBottom = (el) => el.scrollHeight - el.scrollTop - el.clientHeight < 40;

function toBottom(root) {
  for (const el of root.querySelectorAll('[data-bottom]')) el.scrollTop = el.scrollHeight;
}

// One round at a time; what changes meanwhile is for the next one.
let refreshing = false;
let again = false;

async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    do {
      again = false;
      await Promise.all([...parts.querySelectorAll('[data-part]')].map(fetchPart));
    } while (again);
  } finally {
    refreshing = false;
  }
}

async function fetchPart(part) {
  const query = parts.dataset.query;
  const answer = await fetch(`/part/${part.dataset.part}?${query}`).catch(() => null);
  const html = answer?.ok && (await answer.text());
  if (!html) return;
  if (query === parts.dataset.query) put(part, html);
  else again = true; // it was of another place
}

async function go(href) {
  const answer = await fetch(href).catch(() => null);
  if (!answer?.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  parts.dataset.query = next.getElementById('parts').dataset.query;
  for (const part of parts.querySelectorAll('[data-part]')) {
    put(part, next.querySelector(`[data-part=${part.dataset.part}]`).innerHTML);
    toBottom(part);
  }
}

async function post(el, path, fields) {
  const typed = [...(el.closest('form')?.querySelectorAll('[data-typed]') ?? [])];
  const sent = new Map(typed.map((input) => [input, input.value]));
  for (const [input, value] of sent) fields.append(input.name, value);
  el.setAttribute('aria-busy', 'true');
  const answer = await fetch(path, { method: 'POST', body: fields, keepalive: true }).catch(() => null);
  el.removeAttribute('aria-busy');
  if (!answer?.ok) {
    live.textContent = answer ? await answer.text() : 'the sandbox does not answer';
    return false;
  }
  for (const [input, value] of sent) if (input.value === value && input.form?.matches('.modal')) input.unsent = false;
  await refresh();
  return true;
}

// What an element says of itself goes along: who, where, on what.
function fieldsOf(...elements) {
  const fields = new URLSearchParams();
  for (const el of elements) {
    for (const [name, value] of Object.entries(el?.dataset ?? {})) {
      if (name !== 'post' && name !== 'typed' && name !== 'chosen') fields.set(name, value);
    }
  }
  return fields;
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-go]');
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    link.closest('.who details')?.removeAttribute('open');
    history.pushState(null, '', link.href);
    go(link.href);
    if (link.dataset.open) post(link, link.dataset.open, fieldsOf(link));
    return;
  }
  const summary = event.target.closest('summary');
  if (summary) summary.parentElement.touched = true; // from now on it is as they want it
  const button = event.target.closest('button[data-post]');
  if (!button || (button.getAttribute('command') === 'show-modal')) return;
  button.closest('dialog')?.close();
  if (button.dataset.select) {
    choose(button, fieldsOf(button));
    const list = button.closest('.options');
    if (list) closeList(list);
    return;
  }
  post(button, button.dataset.post, fieldsOf(button));
});

document.addEventListener('submit', async (event) => {
  const form = event.target.closest('form[data-post]');
  if (!form) return;
  event.preventDefault();
  await form.choosing; // a choice on its way must not arrive after the form
  const done = post(form, form.dataset.post, fieldsOf(form));
  if (form.matches('.composer')) {
    const input = form.querySelector('input[name=text]');
    input.value = '';
    input.unsent = false;
  }
  await done;
  form.querySelector('[aria-invalid]')?.focus();
});

document.addEventListener('input', (event) => {
  const el = event.target;
  if (el.matches('[data-typed], [data-search]')) el.unsent = true;
  if (el.matches('[data-search]')) search(el);
});

document.addEventListener('change', async (event) => {
  const el = event.target;
  if (el.matches('select[data-go]')) {
    history.pushState(null, '', el.value);
    go(el.value);
    return;
  }
  const form = el.closest('form.modal');
  if (!form) return;
  if (el.matches('[data-typed]')) {
    post(el, '/do/type', fieldsOf(form));
    return;
  }
  if (!el.matches('[data-chosen]')) return;
  const fields = fieldsOf(form);
  fields.set('select', el.name);
  const values = el.matches('select') ? [el.value] : [...form.querySelectorAll('input:checked')].filter((o) => o.name === el.name).map((o) => o.value);
  for (const value of values) fields.append('value', value);
  el.unsent = true;
  await choose(el, fields);
  el.unsent = false;
  refresh();
});

function choose(el, fields) {
  const form = el.closest('form');
  const chosen = post(el, '/do/select', fields);
  form.choosing = Promise.all([form.choosing, chosen]);
  return chosen;
}

function search(el) {
  el.searching = searchFor(el);
}

async function searchFor(el) {
  const list = document.getElementById(el.dataset.search);
  const query = new URLSearchParams({ as: el.form.dataset.as, action: el.name, q: el.value });
  el.wanted = query.toString();
  const answer = await fetch(`/options?${query}`).catch(() => null);
  const html = answer?.ok && (await answer.text());
  if (html && el.wanted === query.toString()) list.innerHTML = html;
}

function closeList(list) {
  list.replaceChildren();
  const el = document.querySelector(`[data-search="${list.id}"]`);
  if (!el) return;
  el.value = '';
  el.wanted = null;
}

document.addEventListener('focusin', (event) => {
  acted = event.target.closest('[data-part]');
  if (event.target.matches('[data-search]')) search(event.target);
  for (const list of document.querySelectorAll('.options:not(:empty)')) {
    if (!list.closest('.choose').contains(event.target)) closeList(list);
  }
});

document.addEventListener('keydown', async (event) => {
  const choose = event.target.closest('.choose');
  const entries = choose ? [...choose.querySelectorAll('.option')] : [];
  if (event.key === 'Escape') {
    if (entries.length > 0) closeList(choose.querySelector('.options'));
    else if (!event.target.closest('dialog')) (event.target.closest('.client') ?? acted)?.querySelector('.modal [data-post="/do/close"]')?.click();
    return;
  }
  if (!choose) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    entries[(entries.indexOf(document.activeElement) + step + entries.length) % entries.length]?.focus();
  } else if (event.key === 'Enter' && event.target.matches('[data-search]')) {
    event.preventDefault();
    await event.target.searching; // what is listed may be of fewer letters
    choose.querySelector('.option')?.click();
  }
});

window.addEventListener('popstate', () => go(location.href));

const changes = new EventSource('/events');
changes.onopen = () => {
  live.textContent = '';
  refresh();
};
changes.onmessage = refresh;
changes.onerror = () => {
  live.textContent = 'The sandbox has ended, or is being started again.';
};

for (const part of parts.querySelectorAll('[data-part]')) toBottom(part);
