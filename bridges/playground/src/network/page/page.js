// The page: a view of the network's log. State comes from the API at start and from the event stream afterwards.

import { render } from './markup.js';

const $ = (id) => document.getElementById(id);
const state = { self: null, people: new Map(), chats: new Map(), chat: null, messages: new Map(), answering: null, typing: [], pending: new Map() };
const MAX_SHOWN = 500;

class Refused extends Error {
  constructor(status, body) { super(body.message ?? `HTTP ${status}`); this.status = status; this.code = body.code; }
}

async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const text = await response.text();
  let answer = {};
  try { answer = text ? JSON.parse(text) : {}; } catch { answer = { message: text.slice(0, 200) }; }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

const segment = encodeURIComponent;
const me = () => $('me').value;
const named = (id) => state.people.get(id)?.name ?? id;

function trouble(error) { $('trouble').textContent = error ? String(error.message ?? error) : ''; }

function guard(act) {
  return async (event) => {
    event?.preventDefault?.();
    try { trouble(); await act(event); } catch (error) { trouble(error); }
  };
}

function badge(message) {
  const span = document.createElement('span');
  const [kind, title] = message.profile
    ? ['relay', `said by ${named(message.sender)} for somebody in Matrix`]
    : message.bridged ? ['puppet', 'written in Matrix with this person\u2019s own account'] : ['ghost', 'a ghost in Matrix'];
  span.className = `badge ${kind}`;
  span.textContent = kind;
  span.title = title;
  return span;
}

function button(label, title, act) {
  const node = document.createElement('button');
  node.type = 'button';
  node.textContent = label;
  node.setAttribute('aria-label', title);
  node.title = title;
  node.addEventListener('click', guard(act));
  return node;
}

function messageNode(message) {
  const li = document.createElement('li');
  li.className = 'message';
  li.id = message.id;
  li.dataset.number = message.number;
  const head = document.createElement('header');
  const who = document.createElement('strong');
  who.textContent = message.profile?.name ?? named(message.sender);
  const time = document.createElement('time');
  time.dateTime = new Date(message.at).toISOString();
  time.textContent = new Date(message.at).toLocaleTimeString();
  head.append(who, badge(message), time);
  li.append(head);
  if (message.reply_to) {
    const quoted = document.createElement('div');
    quoted.className = 'quoted';
    const answered = state.messages.get(message.reply_to);
    quoted.textContent = answered ? `${answered.profile?.name ?? named(answered.sender)}: ${answered.text.slice(0, 120)}` : 'an older message';
    li.append(quoted);
  }
  const text = document.createElement('div');
  text.className = 'text';
  if (message.deleted) { li.classList.add('gone'); text.textContent = 'deleted'; } else text.append(render(message.text));
  li.append(text);
  if (message.deleted) return li;
  if (message.poll) li.append(pollNode(message));
  if (message.version) head.append(' (edited)');
  const acts = document.createElement('div');
  acts.className = 'acts';
  const counts = new Map();
  for (const { emoji, person } of message.reactions ?? []) counts.set(emoji, [...(counts.get(emoji) ?? []), person]);
  for (const [emoji, people] of counts) {
    acts.append(button(`${emoji} ${people.length}`, `${emoji} by ${people.map(named).join(', ')}`, () => react(message, emoji)));
  }
  acts.append(button('👍', 'React with thumbs up', () => react(message, '👍')));
  acts.append(button('Reply', 'Reply to this message', () => answer(message)));
  if (message.sender === me()) {
    if (!message.poll) acts.append(button('Edit', 'Edit this message', () => edit(message)));
    acts.append(button('Delete', 'Delete this message', () => call('DELETE', `/api/messages/${segment(message.id)}`, { actor: me() })));
  }
  li.append(acts);
  return li;
}

// Everybody has one vote: pressing the answer again takes it back.
function pollNode(message) {
  const { options, closed, votes = [] } = message.poll;
  const node = document.createElement('div');
  node.className = 'poll';
  options.forEach((option, choice) => {
    const voters = votes.filter((vote) => vote.choice === choice).map((vote) => vote.person);
    const mine = voters.includes(me());
    const answer = button(`${option} (${voters.length})`, `Vote for ${option}: so far ${voters.map(named).join(', ') || 'nobody'}`, () => call('PUT', `/api/messages/${segment(message.id)}/vote`, {
      actor: me(), ...(mine ? {} : { choice }),
    }));
    answer.setAttribute('aria-pressed', String(mine));
    answer.disabled = Boolean(closed);
    node.append(answer);
  });
  if (closed) node.append(' (closed)');
  else if (message.sender === me()) node.append(button('Close', 'Close this poll', () => call('PUT', `/api/messages/${segment(message.id)}/closed`, { actor: me() })));
  return node;
}

const react = (message, emoji) => call('PUT', `/api/messages/${segment(message.id)}/reactions`, {
  actor: me(), emoji, set: !(message.reactions ?? []).some((r) => r.person === me() && r.emoji === emoji),
});

function answer(message) {
  state.answering = message?.id ?? null;
  $('answering').hidden = !message;
  if (message) $('answering').querySelector('span').textContent = `Replying to: ${message.text.slice(0, 80)}`;
  $('write').focus();
}

async function edit(message) {
  const text = window.prompt('New text', message.text);
  if (text !== null && text !== message.text) await call('PATCH', `/api/messages/${segment(message.id)}`, { actor: me(), text });
}

function show(message) {
  const list = $('messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const old = document.getElementById(message.id);
  const node = messageNode(message);
  if (old) old.replaceWith(node); else list.append(node);
  while (list.children.length > MAX_SHOWN) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function note(text) {
  const li = document.createElement('li');
  li.className = 'note';
  li.textContent = text;
  $('messages').append(li);
}

function drawMessages() {
  $('messages').replaceChildren();
  for (const message of state.messages.values()) show(message);
}

function drawChats() {
  $('chats').replaceChildren(...[...state.chats.values()].map((chat) => {
    const li = document.createElement('li');
    const open = button(chat.name ?? chat.members.map(named).join(', ') ?? chat.id, `Open ${chat.name ?? chat.id}`, () => openChat(chat.id));
    open.setAttribute('aria-current', String(chat.id === state.chat));
    li.append(open);
    return li;
  }));
}

function drawPeople() {
  for (const id of ['me', 'direct-with']) {
    const before = $(id).value;
    $(id).replaceChildren(...[...state.people.values()].filter((p) => id !== 'me' || (state.self ? p.id === state.self : !p.bot)).map((p) => new Option(p.name, p.id)));
    if (before) $(id).value = before;
  }
}

function drawHead() {
  const chat = state.chats.get(state.chat);
  if (!chat) return;
  $('chat-name').textContent = chat.name ?? chat.members.map(named).join(', ');
  $('chat-topic').textContent = chat.topic ?? '';
  $('chat-members').textContent = `With ${chat.members.map(named).join(', ')}`;
  $('describe-name').value = chat.name ?? '';
  $('describe-topic').value = chat.topic ?? '';
  $('membership').textContent = chat.members.includes(me()) ? 'Leave' : 'Join';
  $('membership').hidden = chat.kind === 'direct';
  const typing = state.typing.filter(([where, who]) => where === state.chat && who !== me()).map(([, who]) => named(who));
  $('typing').textContent = typing.length ? `${typing.join(', ')} ${typing.length > 1 ? 'are' : 'is'} typing …` : '';
}

async function openChat(id) {
  const page = await call('GET', `/api/chats/${segment(id)}/messages?limit=100`);
  state.chat = id;
  state.messages = new Map(page.messages.map((message) => [message.id, message]));
  answer(null);
  drawMessages();
  drawChats();
  drawHead();
  $('messages').scrollTop = $('messages').scrollHeight;
}

async function knowPerson(id) {
  if (state.people.has(id)) return;
  state.people.set(id, { id, name: id });
  state.people.set(id, await call('GET', `/api/people/${segment(id)}`));
  drawPeople();
}

async function happened(event) {
  await knowPerson(event.actor);
  const chat = state.chats.get(event.chat);
  const { type, content } = event;
  if (type === 'created') state.chats.set(content.id, content);
  if (chat && type === 'joined' && !chat.members.includes(content.person)) chat.members.push(content.person);
  if (chat && type === 'left') chat.members = chat.members.filter((person) => person !== content.person);
  if (chat && type === 'named') chat.name = content.name;
  if (chat && type === 'topic') chat.topic = content.topic;
  if (['created', 'joined', 'left', 'named', 'topic'].includes(type)) { drawChats(); drawHead(); }
  if (event.chat !== state.chat) return;
  if (type === 'joined' || type === 'left') { await knowPerson(content.person); note(`${named(content.person)} ${type}`); }
  if (type === 'message') { if (!state.messages.has(content.id)) { state.messages.set(content.id, content); show(content); } return; }
  const message = state.messages.get(content.message);
  if (!message) return;
  if (type === 'edited' && content.version > (message.version ?? 0)) Object.assign(message, { text: content.text, version: content.version });
  if (type === 'deleted') Object.assign(message, { text: '', deleted: true, reactions: [] });
  if (type === 'reacted') {
    message.reactions = (message.reactions ?? []).filter((r) => r.person !== event.actor || r.emoji !== content.emoji);
    if (content.set) message.reactions.push({ person: event.actor, emoji: content.emoji, seq: event.seq, at: event.at });
  }
  if (type === 'voted' && message.poll) {
    message.poll.votes = (message.poll.votes ?? []).filter((vote) => vote.person !== event.actor);
    if (content.choice !== null) message.poll.votes.push({ person: event.actor, choice: content.choice, seq: event.seq, at: event.at });
  }
  if (type === 'closed' && message.poll) message.poll.closed = event.seq;
  if (type !== 'read') show(message);
}

function follow(since) {
  const source = new EventSource(`/api/stream?since=${since}`);
  // One after the other: an event may wait for a person's name, and the next must not overtake it.
  let queue = Promise.resolve();
  source.addEventListener('open', () => { $('link').textContent = 'Live'; });
  source.addEventListener('error', () => { $('link').textContent = 'Reconnecting …'; });
  source.addEventListener('event', (e) => { queue = queue.then(() => happened(JSON.parse(e.data))).catch(trouble); });
  source.addEventListener('typing', (e) => { state.typing = JSON.parse(e.data).people; drawHead(); });
}

async function list(path) {
  const all = [];
  for (let after = ''; ;) {
    const page = await call('GET', `${path}?after=${segment(after)}`);
    all.push(...page);
    if (page.length < 500 || all.length >= 5000) return all;
    after = page.at(-1).id;
  }
}

async function start() {
  let newest, person;
  try {
    // Before the lists: what happens while they are read comes again over the stream.
    ({ newest, person } = await call('GET', '/api/whoami'));
  } catch (error) {
    if (error.status !== 401) throw error;
    $('link').textContent = 'Locked';
    $('unlock').showModal();
    return;
  }
  state.self = person?.id ?? null;
  for (const one of await list('/api/people')) state.people.set(one.id, one);
  for (const chat of await list('/api/chats')) state.chats.set(chat.id, chat);
  drawPeople();
  drawChats();
  if (state.chats.size) await openChat((state.chats.get('lobby') ?? state.chats.values().next().value).id);
  follow(newest);
}

$('unlock').addEventListener('close', guard(async () => {
  await call('POST', '/api/session', { token: $('unlock-token').value });
  $('unlock-token').value = '';
  await start();
}));

$('send').addEventListener('submit', guard(async () => {
  const text = $('write').value;
  if (!text.trim()) return;
  // The same text tried again after a failure goes under the same key, so that it is sent once.
  const draft = JSON.stringify([state.chat, me(), text, state.answering]);
  if (!state.pending.has(draft)) state.pending.set(draft, Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join(''));
  const body = { actor: me(), key: state.pending.get(draft), text };
  const [question, ...answers] = text.split('|').map((part) => part.trim());
  if (question.startsWith('/poll ') && answers.length) Object.assign(body, { text: question.slice('/poll '.length), poll: answers });
  if (state.answering) body.reply_to = state.answering;
  await call('POST', `/api/chats/${segment(state.chat)}/messages`, body);
  state.pending.delete(draft);
  if ($('write').value === text) $('write').value = '';
  answer(null);
}));

$('write').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); $('send').requestSubmit(); }
});

let typedAt = 0;
$('write').addEventListener('input', () => {
  if (!state.chat || Date.now() - typedAt < 5000) return;
  typedAt = Date.now();
  call('PUT', `/api/chats/${segment(state.chat)}/typing`, { actor: me(), typing: true }).catch(() => {});
});

$('messages').addEventListener('focus', () => {
  const last = [...state.messages.values()].at(-1);
  if (last) call('PUT', `/api/chats/${segment(state.chat)}/read`, { actor: me(), message: last.id }).catch(() => {});
});

$('me').addEventListener('change', () => { drawHead(); drawMessages(); });
$('no-answer').addEventListener('click', () => answer(null));

$('membership').addEventListener('click', guard(async () => {
  const inside = state.chats.get(state.chat).members.includes(me());
  await call(inside ? 'DELETE' : 'PUT', `/api/chats/${segment(state.chat)}/members/${segment(me())}`, { actor: me() });
}));

$('token').addEventListener('click', guard(async () => {
  const { token } = await call('POST', `/api/people/${segment(me())}/token`);
  $('token-text').textContent = token;
  $('token-shown').showModal();
}));
$('token-shown').addEventListener('close', () => { $('token-text').textContent = ''; });

$('describe').addEventListener('submit', guard(() => call('PATCH', `/api/chats/${segment(state.chat)}`, {
  actor: me(), name: $('describe-name').value, topic: $('describe-topic').value,
})));

$('new-chat').addEventListener('submit', guard(async () => {
  const id = $('new-chat-id').value;
  const bots = [...state.people.values()].filter((p) => p.bot).map((p) => p.id);
  const chat = await call('POST', '/api/chats', { actor: me(), id, kind: 'group', name: id, members: bots });
  state.chats.set(chat.id, chat);
  $('new-chat').reset();
  await openChat(chat.id);
}));

$('new-person').addEventListener('submit', guard(async () => {
  const id = $('new-person-id').value;
  const person = await call('POST', '/api/people', { id, name: id.charAt(0).toUpperCase() + id.slice(1), bot: false });
  state.people.set(person.id, person);
  drawPeople();
  $('me').value = person.id;
  $('new-person').reset();
  drawHead();
}));

$('direct').addEventListener('submit', guard(async () => {
  const chat = await call('POST', '/api/chats', { actor: me(), kind: 'direct', members: [$('direct-with').value] });
  state.chats.set(chat.id, chat);
  await openChat(chat.id);
}));

start().catch(trouble);
