// The list of events: newest first, more as one scrolls down, new ones at the top while live.
//
// Live events come at the top, as everywhere in this list newer is above: switching live on
// turns nothing round, and what has just happened stands beneath the search, where one looks.
// Who has scrolled down reads: rows are held back then, and counted.

import { aborted, lines } from './api.js';
import { asked, heads, lay, valueOf } from './columns.js';
import { $, button, el, shown } from './dom.js';
import { compare, keyOf, spanOf } from './event.js';
import { number, plural } from './format.js';
import { key } from './keyboard.js';
import { current } from './search.js';
import { emit, listen, state } from './state.js';
import { format, iso } from './time.js';
import { Virtual } from './virtual.js';

const MAX_LIVE = 10000; // rows kept while live, and as many held back
const MAX_ROWS = 200000;
const WITH_DATA = 5000; // rows that keep their data; that of others is asked for when they are opened

// An item is {event, key, n} or {gap: {count, since, until}, n}; `height` is view's.
let items = [];
let keys = new Map(); // key → item, of events that have an id
let held = [];
let active = null; // the item that the keyboard is at
let search = null;
let next = null; // parameters of the next page; null: none
let running = false;
let stale = false; // the rows are of the search before
let failure = null;
let searchedTo = null;
let took = 0;
let counter = 0;
let days = false; // the rows are of more than one
let view, grid, canvas, headRow, foot, chip, narrow;

const item = (event) => ({ event, key: keyOf(event), n: ++counter, height: 0 });
const events = () => items.reduce((sum, { event }) => sum + (event ? 1 : 0), 0);

/* What is there */

function clear() {
	items = [];
	keys = new Map();
	held = [];
	stale = false;
	active = null;
	grid.removeAttribute('aria-activedescendant');
}

const at = (name) => keys.get(name) || items.find((one) => one.key === name);

function append(event) {
	if (stale) {
		clear();
		grid.scrollTop = 0;
	}
	const made = item(event);
	if (event.id && keys.has(made.key)) return;
	if (event.id) keys.set(made.key, made);
	if (items.length >= WITH_DATA) delete event.data;
	items.push(made);
	changed();
}

// Puts events and gaps where their time says. `again`: they may be here already though they have no id.
function merge(more, again = false) {
	const there = again && new Set(items.map(({ event, key: name }) => event && name + event.message));
	const made = [];
	for (const thing of more) {
		const one = thing.gap ? { ...thing, n: ++counter, height: 0 } : item(thing);
		if (one.event && (one.event.id ? keys.has(one.key) : again && there.has(one.key + one.event.message))) continue;
		if (one.event?.id) keys.set(one.key, one);
		one.came = performance.now();
		made.push(one);
	}
	if (!made.length) return;
	const place = ({ event, gap }) => event || { time: gap.until, id: null };
	const order = (a, b) => compare(place(a), place(b));
	made.sort(order);
	const first = items[0];
	if (!first || order(made.at(-1), first) <= 0) items = made.concat(items);
	else {
		const all = [];
		let at = 0;
		for (const one of made) {
			while (at < items.length && order(items[at], one) <= 0) all.push(items[at++]);
			all.push(one);
		}
		items = all.concat(items.slice(at));
	}
	if (first) view.renew(first);
	if (state.get().live && items.length > MAX_LIVE) trim();
	changed();
	tell();
}

// Lets go of the oldest rows; whoever scrolls down gets them again.
function trim() {
	let to = MAX_LIVE;
	while (to && items[to - 1].gap) to--;
	for (const { event, key: name } of items.splice(to)) if (event?.id) keys.delete(name);
	goOn();
}

// The next page begins behind the last row.
function goOn() {
	const last = items.findLast(({ event }) => event);
	if (last) next = { before_time: last.event.time, before_id: last.event.id };
}

/* Searches */

function begin(started) {
	search = started;
	next = {};
	stale = items.length > 0;
	held = [];
	failure = searchedTo = null;
	took = 0;
	running = false;
	showChip();
	load(Math.max(1, view.page / view.rowHeight * 2)); // it may not have been laid out yet
}

// Asks for pages until there are so many rows, or nothing is left.
async function load(wanted) {
	const mine = search;
	if (running || !next || !mine || mine.signal.aborted || items.length >= MAX_ROWS) return;
	let ended = true;
	running = true;
	failure = null;
	tell();
	try {
		while (next && (stale || items.length < wanted)) {
			const n = stale || items.length < 100 ? 100 : items.length < 2000 ? 500 : 1000;
			const page = { ...mine.params, until: state.get().to ? mine.params.until : '', ...next, n, columns: asked() };
			ended = false;
			for await (const { event, progress, end } of lines('search', page, { signal: mine.signal })) {
				if (search !== mine) return;
				if (event) append(event);
				else if (progress) searchedTo = progress.searched_to;
				else if (end) {
					ended = true;
					next = end.next || null;
					searchedTo = end.searched_to;
					took += end.ms || 0;
				}
				if (!event) tell();
			}
			if (!ended) throw new Error('The collector\'s answer broke off.');
		}
	} catch (error) {
		if (search === mine && !aborted(error)) failure = error;
	} finally {
		if (search === mine) {
			running = false;
			if (stale && (!failure || failure.status === 400)) clear();
			if (!ended && !stale) goOn();
			changed();
			tell();
			select(state.get().event, view.y === 0);
			// Who came to the end while it was loading has nowhere left to scroll to.
			if (!failure) requestAnimationFrame(scrolled);
		}
	}
}

function scrolled() {
	if (view.y + 3 * view.page > view.total) load(items.length + 1);
	if (held.length && !paused()) flush();
	showDay();
}

/* Live */

const paused = () => view.y > view.rowHeight / 2;

function arrive({ events: came = [], gaps = [], begun }) {
	if (begun) catchUp();
	const more = came.concat(gaps.map((gap) => ({ gap })));
	if (!more.length) return;
	if (stale) clear();
	if (!paused()) return merge(more);
	held.push(...more);
	if (held.length > MAX_LIVE) {
		// What is too much becomes a row that says so, and leads to it.
		const first = held.splice(0, held.length - MAX_LIVE / 2);
		const times = first.flatMap(({ gap, time }) => (gap ? [gap.since, gap.until] : [time])).sort();
		held.unshift({ gap: { count: count(first), since: times[0], until: times.at(-1) } });
	}
	showChip();
}

const count = (things) => things.reduce((sum, { gap }) => sum + (gap ? gap.count || 0 : 1), 0);

function flush() {
	const more = held;
	held = [];
	merge(more);
	showChip();
}

function showChip() {
	chip.hidden = !held.length;
	if (held.length) $('span', chip).textContent = plural(count(held), 'new event');
	emit('held', count(held));
}

// Between the search and the beginning of the stream something may have come: asked for again.
async function catchUp() {
	const mine = search;
	const since = iso(Date.parse(mine.params.until) - 5000);
	try {
		const found = [];
		for await (const { event, end } of lines('search', { q: mine.params.q, since, n: 1000, columns: asked() }, { signal: mine.signal })) {
			if (event) found.push(event);
			else if (end?.next) found.push({ gap: { count: null, since, until: found.at(-1)?.time || end.searched_to } });
		}
		if (search !== mine) return;
		if (paused()) held.push(...found.filter((thing) => thing.gap || !keys.has(keyOf(thing))));
		else merge(found, true);
		showChip();
	} catch (error) {
		if (!aborted(error)) emit('notice', { text: error.message });
	}
}

/* Drawing */

let due = 0;

const changed = () => (due ||= requestAnimationFrame(update));

function update() {
	cancelAnimationFrame(due);
	due = 0;
	const were = days;
	days = items.length > 1 && day(items[0]) !== day(items.at(-1));
	if (days !== were) view.redraw();
	grid.classList.toggle('days', days);
	view.update(items);
	grid.ariaRowCount = next ? -1 : items.length + 1;
	showDay();
}

const day = ({ event, gap }) => format(event?.time || gap.until, 'day');

function showDay() {
	const first = view.items[view.at(view.y)];
	const cell = $('.head.time', headRow);
	if (cell) cell.textContent = first ? 'Time, ' + format((first.event?.time || first.gap.until), 'weekday') : 'Time';
}

function draw(one, index) {
	if (one.gap) return drawGap(one);
	const { event } = one;
	const newDay = days && (index === 0 || day(one) !== day(view.items[index - 1]));
	return el('div', {
		role: 'row', id: 'row-' + one.n, class: 'row' + (one === active ? ' active' : '') + (performance.now() - one.came < 1000 ? ' fresh' : '') + (event.status > 0 ? ' done' : ''),
		'aria-selected': String(state.get().event === one.key), dataset: { key: one.key, sev: event.severity || 'none' },
	},
	el('div', { role: 'gridcell', class: 'cell time', title: `${format(event.time)}, ${event.severity || 'no severity'}` },
		el('span', { class: 'offscreen' }, (event.severity || 'no severity') + ' '),
		newDay && el('span', { class: 'day' }, format(event.time, 'day') + ' '), format(event.time, 'milli')),
	state.get().cols.map((name) => cell(one, name)));
}

function cell(one, name) {
	const value = valueOf(one.event, name);
	return el('div', { role: 'gridcell', class: 'cell' + (name === 'message' || name === 'severity' ? ' ' + name : ''), title: value === undefined ? 'Known when searched again' : null }, value === undefined ? '…' : value !== null && shown(value, { oneLine: !state.get().wrap }),
		name === 'message' && one.event.message_cut && el('span', { class: 'muted' }, ' …'));
}

function drawGap({ gap, n }) {
	const text = `${gap.count ? number(gap.count) + ' more' : 'More'} between ${format(gap.since, 'milli')} and ${format(gap.until, 'milli')}`;
	return el('div', { role: 'row', id: 'row-' + n, class: 'row gap' }, el('div', { role: 'gridcell' },
		button(text, { text, icon: 'search', class: 'link', tabindex: -1, on: { click: () => openGap(gap) } })));
}

const openGap = ({ since, until }) => state.set({ ...spanOf(since, until), live: false }, { push: true });

// What the list's end says, and everybody else.
function tell() {
	const rows = events();
	const parts = [];
	const back = searchedTo ? ' back to ' + format(searchedTo, 'row') : '';
	if (failure) parts.push(el('p', null, failure.status === 400 ? 'The search cannot be understood.' : rows && !stale ? 'Older events could not be read.' : 'Nothing could be read.'));
	else if (running) parts.push(el('p', null, `Searching${back} …`));
	else if (items.length >= MAX_ROWS) parts.push(el('p', null, `${number(rows)} rows are shown. A shorter time shows what is older.`));
	else if (next && search) parts.push(el('p', null, `Searched${back}.`));
	else if (rows) parts.push(el('p', null, `That is all: ${plural(rows, 'event')} since ${format(search.params.since, 'minutes')}.`));
	else if (search) parts.push(...nothing());
	foot.replaceChildren(...parts);
	grid.setAttribute('aria-busy', String(running));
	grid.classList.toggle('stale', stale);
	emit('progress', { part: 'list', rows: stale ? 0 : rows, running, searched_to: searchedTo, ms: took, error: failure });
}

function nothing() {
	const { q, live } = state.get();
	const offer = (text, patch) => button(text, { text, class: 'small', on: { click: () => state.set(patch, { push: true }) } });
	return [
		el('h3', null, live ? 'No events yet' : 'No events found'),
		el('p', null, q ? 'Nothing in this time matches the search.' : 'Nothing came in this time.'),
		el('div', { class: 'group' }, [['24 hours', '24h'], ['7 days', '7d'], ['30 days', '30d']].map(([text, from]) => offer('Last ' + text, { from, to: '' })),
			q && offer('Without the search', { q: '' })),
	];
}

const isNarrow = () => grid.clientWidth > 0 && grid.clientWidth < 560;

function lookAnew() {
	narrow = isNarrow();
	grid.classList.toggle('compact', narrow);
	grid.classList.toggle('wrap', state.get().wrap);
	grid.ariaColCount = state.get().cols.length + 1;
	headRow.replaceChildren(...heads(grid));
	lay(grid);
	view.layout({ rowHeight: narrow ? 44 : 24, varying: state.get().wrap });
	changed();
}

/* The row that the keyboard is at, and the one that is open */

function mark(one, reveal = true) {
	update();
	const before = active;
	active = one;
	if (before) view.renew(before);
	view.renew(one);
	if (reveal) view.reveal(items.indexOf(one));
	else view.render();
	grid.setAttribute('aria-activedescendant', 'row-' + one.n);
}

function select(name, reveal) {
	const one = name && at(name);
	if (one && one !== active) mark(one, reveal);
	for (const [each, row] of view.drawn) row.setAttribute('aria-selected', String(!!name && each.key === name));
}

// Moves by so many rows; where an event is open, the next one opens.
export function step(by) {
	const from = active ? items.indexOf(active) : by > 0 ? view.at(view.y) - 1 : 0;
	let to = Math.max(0, Math.min(items.length - 1, from + by));
	while (state.get().event && items[to]?.gap) to += Math.sign(by);
	if (by > 0 && to > items.length - 50) load(items.length + 1);
	if (!items[to] || items[to] === active) return;
	mark(items[to]);
	if (state.get().event) state.set({ event: items[to].key });
	else grid.focus({ preventScroll: true }); // so that it is read out
}

function open(one = active) {
	if (!one) return false;
	if (one.gap) openGap(one.gap);
	else state.set({ event: one.key }, { push: !state.get().event });
	return true;
}

// The event of that key, if it is in the list, as the list has it.
export const find = (name) => at(name)?.event;

// Draws a row anew whose event has changed.
export function refresh(name) {
	const one = at(name);
	if (one) view.renew(one);
}

// Where an event is among those that are there: {index, of}.
export const position = (name) => ({ index: items.findIndex(({ key: other }) => other === name), of: items.length });

export function mount(container) {
	headRow = el('div', { role: 'row', class: 'row heads', 'aria-rowindex': 1 });
	chip = button('Show them', { icon: 'up', text: ' ', class: 'primary chip', hidden: true, on: { click() {
		grid.scrollTop = 0;
		flush();
		grid.focus();
	} } });
	canvas = el('div', { class: 'canvas', role: 'rowgroup' });
	foot = el('div', { class: 'foot' });
	grid = el('div', { class: 'events', role: 'grid', tabindex: 0, 'aria-label': 'Events, newest first', on: {
		click(event) {
			const row = event.target.closest('.row[data-key]');
			if (!row || String(getSelection())) return;
			const one = [...view.drawn].find(([, element]) => element === row)?.[0];
			mark(one, false);
			open(one);
		},
		keydown(event) {
			const page = Math.floor(view.page / view.rowHeight);
			const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
			if (!by || event.target !== grid || event.ctrlKey || event.altKey || event.metaKey) return;
			step(by);
			event.preventDefault();
		},
	} }, el('div', { role: 'rowgroup', class: 'sticky' }, headRow), canvas, foot);
	container.append(chip, grid);
	view = new Virtual(grid, canvas, { draw, headHeight: () => headRow.offsetHeight, scrolled });

	new ResizeObserver(() => {
		if (narrow !== isNarrow() || state.get().wrap) lookAnew();
		view.resized();
	}).observe(grid);
	lookAnew();
	listen('search', begin);
	listen('resume', (again) => {
		search = again;
		load(items.length + 1);
	});
	listen('stopped', tell);
	listen('tail', arrive);
	state.on(['cols', 'wrap', 'zone'], lookAnew);
	state.on('event', ({ event }) => select(event));
	const when = () => state.get().view === 'events';
	for (const [name, what, fn] of [
		['j', 'Next event', () => step(1)], ['k', 'Event before', () => step(-1)], ['Enter', 'Open the event', () => open()],
		['Home', 'First event', () => step(-Infinity)], ['End', 'Last event that is there', () => step(Infinity)],
	]) key(name, what, fn, { group: 'Events', when });
	if (current) begin(current);
}
