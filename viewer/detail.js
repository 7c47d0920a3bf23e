// The panel of the event that is open: its JSON as a tree, what surrounds it, its neighbours in
// time, its text as it is; and what can be done with it.

import { aborted, lines, post } from './api.js';
import { $, announce, button, copyBy, el, icon, shown } from './dom.js';
import { compare, keyOf, ofKey, spanOf, whole } from './event.js';
import { bytes } from './format.js';
import { key } from './keyboard.js';
import { find, position, refresh, step } from './list.js';
import { condition } from './query.js';
import { session } from './session.js';
import { emit, state } from './state.js';
import { format, iso } from './time.js';
import { longText, tree } from './tree.js';

const NEIGHBOURS = 10; // before, and after
const RAW = 200000; // characters of the text that are shown at first
const TABS = [['event', 'Event'], ['request', 'Request'], ['around', 'Around'], ['raw', 'JSON']];

let box = null;
let tab = 'event';
let sameApp = true;
let controller = null;
let shownKey = null;

const close = () => state.set({ event: '' }, { push: true });

// Shows the event that the address names.
async function show() {
	const name = state.get().event;
	if (name === shownKey) return;
	shownKey = name;
	controller?.abort();
	controller = new AbortController();
	const { signal } = controller;
	box.hidden = !name;
	if (!name) return;
	let event = find(name);
	if (event) draw(event);
	if (event?.data !== undefined) return;
	if (!event) box.replaceChildren(bar(null), el('p', { class: 'hint' }, 'Loading …'));
	try {
		const found = await whole(ofKey(name), signal);
		event = found.find(({ message }) => message === event?.message) || found[0];
		if (event) draw(event);
		else box.replaceChildren(bar(null), el('p', { class: 'hint' }, 'This event is not there, or not any more: it may be older than what is kept.'));
	} catch (error) {
		if (aborted(error)) return;
		shownKey = null;
		box.replaceChildren(bar(null), el('p', { class: 'hint failure', role: 'alert' }, icon('warning'), error.message),
			button('Try again', { text: 'Try again', class: 'small', on: { click: show } }));
	}
}

function bar(event) {
	const at = position(state.get().event);
	return el('header', { class: 'detail-bar' },
		event && el('span', { class: 'badge', dataset: { sev: event.severity || 'none' } }, event.severity || 'no severity'),
		event && el('time', { datetime: event.time, title: event.time }, format(event.time)),
		el('span', { class: 'group' },
			button('Event before (k)', { icon: 'up', class: 'plain small', disabled: at.index === 0, on: { click: () => step(-1) } }),
			button('Next event (j)', { icon: 'down', class: 'plain small', disabled: at.index < 0 || at.index === at.of - 1, on: { click: () => step(1) } }),
			event && button('Copy a link to this event', { icon: 'link', class: 'plain small', on: { click: ({ currentTarget }) => copyBy(currentTarget, linkTo(event)) } }),
			button('Close (Esc)', { icon: 'close', class: 'plain small', on: { click: close } })));
}

// The link shows the event among the same others, also when "the last hour" is another one.
function linkTo({ time }) {
	const at = Date.parse(time);
	return location.origin + state.link({ ...spanOf(new Date(at - 900000), new Date(at + 900000)), live: false });
}

function draw(event) {
	const panel = el('div', { class: 'panel', role: 'tabpanel', id: 'detail-panel', tabindex: -1 });
	const tabs = el('div', { class: 'tabs', role: 'tablist', on: { keydown(pressed) {
		const by = { ArrowLeft: -1, ArrowRight: 1 }[pressed.key];
		if (!by) return;
		const at = TABS.findIndex(([name]) => name === tab);
		choose(TABS[(at + by + TABS.length) % TABS.length][0], true);
		pressed.preventDefault();
	} } }, TABS.map(([name, text]) => el('button', { type: 'button', role: 'tab', id: 'tab-' + name, 'aria-controls': 'detail-panel', on: { click: () => choose(name, true) } }, text)));

	function choose(name, focus = false) {
		tab = name;
		for (const each of tabs.children) {
			const chosen = each.id === 'tab-' + name;
			each.setAttribute('aria-selected', String(chosen));
			each.tabIndex = chosen ? 0 : -1;
			if (chosen && focus) each.focus();
		}
		panel.setAttribute('aria-labelledby', 'tab-' + name);
		panel.replaceChildren(...[content(name, event)].flat());
	}

	const { app, host } = event;
	box.replaceChildren(bar(event),
		el('div', { class: 'what' },
			el('p', { class: 'from' }, app && shown(app, { oneLine: true }), app && host && ' on ', host && shown(host, { oneLine: true })),
			el('p', { class: 'said' }, longText(event.message ?? ''), event.message_cut && el('span', { class: 'muted' }, ' … (cut; all of it is below)')),
			session.may_resolve && resolver(event)),
		tabs, panel);
	choose(tab);
	box.scrollTop = 0;
}

function resolver(event) {
	const done = event.status > 0;
	const text = done ? 'Reopen' : 'Resolve';
	return el('div', { class: 'line' }, button(text, { text, icon: done ? 'refresh' : 'check', class: 'small', on: { async click({ currentTarget }) {
		currentTarget.disabled = true;
		try {
			const status = done ? 0 : 1;
			const { updated } = await post('status', { status, events: [{ time: event.time, id: event.id }] });
			if (!updated) throw new Error('This event is not there any more.');
			event.status = (find(keyOf(event)) || {}).status = status;
			refresh(keyOf(event));
			announce(done ? 'Reopened' : 'Resolved');
			if (shownKey === keyOf(event)) draw(event);
		} catch (error) {
			currentTarget.disabled = false;
			emit('notice', { text: error.message });
		}
	} } }), el('span', { class: 'muted' }, done ? `Status ${event.status}: resolved` : 'Open'));
}

function content(name, event) {
	if (name === 'around') return around(event);
	if (event.data === undefined) return el('p', { class: 'hint' }, `Loading ${event.size ? bytes(event.size) : ''} …`);
	const { json = null, ...envelope } = event.data !== null && typeof event.data === 'object' ? event.data : { json: event.data };
	if (name === 'event') return [tree(json), el('h3', null, 'As columns'), tree(columnsOf(event), { root: 'columns', label: 'Columns' })];
	if (name === 'request') return tree(envelope, { root: 'envelope', label: 'The request' });
	return raw(event.data);
}

const columnsOf = ({ severity, app, host, source, ip, status, id }) =>
	Object.fromEntries(Object.entries({ severity, app, host, source, ip, status, id }).filter(([, value]) => value !== null && value !== undefined));

function raw(data) {
	const text = JSON.stringify(data, null, 2);
	const pre = el('pre', { class: 'raw' }, shown(text.slice(0, RAW)));
	const all = text.length > RAW && button('Show all', { text: `Show all (${bytes(text.length)})`, class: 'small', on: { click({ currentTarget }) {
		pre.replaceChildren(shown(text));
		currentTarget.remove();
	} } });
	return [el('div', { class: 'line' }, button('Copy', { text: 'Copy', icon: 'copy', class: 'small', on: { click: ({ currentTarget }) => copyBy(currentTarget, text) } }), all), pre];
}

/* Neighbours in time */

function around(event) {
	const list = el('div', { class: 'around' }, el('p', { class: 'hint' }, 'Searching …'));
	const { signal } = controller;
	const fill = async () => {
		try {
			const q = sameApp && event.app ? condition('app', event.app) : '';
			const [after, before] = await Promise.all([newer(event, q, signal), older(event, q, signal)]);
			list.replaceChildren(...[...after, event, ...before].map((each) => line(each, each === event)));
			$('.here', list)?.scrollIntoView({ block: 'nearest' });
		} catch (error) {
			if (!aborted(error)) list.replaceChildren(el('p', { class: 'hint failure', role: 'alert' }, error.message));
		}
	};
	fill();
	const at = Date.parse(event.time);
	const text = 'All of these ten minutes';
	return [el('div', { class: 'line' },
		event.app && el('label', null, el('input', { type: 'checkbox', checked: sameApp, on: { change({ target }) {
			sameApp = target.checked;
			fill();
		} } }), ' of the same app'),
		button(text, { text, class: 'link', on: { click: () =>
			state.set({ q: sameApp && event.app ? condition('app', event.app) : '', ...spanOf(new Date(at - 300000), new Date(at + 300000)), live: false }, { push: true }) } })), list];
}

function line(event, here) {
	const name = keyOf(event);
	return el('button', { type: 'button', class: 'neighbour' + (here ? ' here' : ''), 'aria-current': here ? 'true' : null, dataset: { sev: event.severity || 'none' }, on: { click: () => !here && state.set({ event: name }, { push: true }) } },
		el('span', { class: 'time' }, format(event.time, 'milli')), !sameApp && event.app && el('span', { class: 'muted' }, shown(event.app, { oneLine: true })), el('span', { class: 'message' }, shown(event.message ?? '', { oneLine: true })));
}

async function page(params, signal) {
	const found = [];
	let complete = false;
	for await (const { event, end } of lines('search', params, { signal })) {
		if (event) found.push(event);
		else if (end) complete = end.complete;
	}
	return { found, complete };
}

async function older({ time, id }, q, signal) {
	const since = iso(Date.parse(time) - 864e5);
	const until = iso(Date.parse(time) + 1);
	return (await page({ q, since, until, before_time: time, before_id: id, n: NEIGHBOURS }, signal)).found;
}

// Searches come newest first: the nearest that are newer are the last ones of a span that is short
// enough to be seen whole, and long enough to hold some.
async function newer(event, q, signal) {
	let best = [];
	for (let span = 1000, shrink = false; span >= 1 && span < 864e5; span = shrink ? span / 10 : span * 20) {
		const until = iso(Date.parse(event.time) + 1 + span);
		const { found, complete } = await page({ q, since: event.time, until, n: 200 }, signal);
		best = found.filter((other) => compare(other, event) < 0).slice(-NEIGHBOURS);
		if (!complete) {
			if (span > 1000) break;
			shrink = true;
		} else if (shrink || best.length >= NEIGHBOURS || Date.parse(until) > Date.now()) break;
	}
	return best;
}

export function mount(container) {
	box = container;
	state.on('event', show);
	state.on('zone', () => {
		shownKey = null;
		show();
	});
	key('Escape', 'Close the event', close, { group: 'Events', when: () => !!state.get().event && state.get().view === 'events' && !$(':popover-open') });
	show();
}
