// The overview: how the collector does, what is not well first. Numbers come from
// /api/overview every 5 s, while the page is seen; rates are differences of its
// counters, kept here for 10 minutes. What is dear to count, events by severity and
// app, comes from /api/histogram every 30 s.

import { aborted, get, lines } from './api.js';
import { bars, meter, sparkline } from './chart.js';
import { button, el, icon, shown } from './dom.js';
import { bytes, compact, number, percent, plural } from './format.js';
import { condition } from './query.js';
import { state } from './state.js';
import { ago, duration, format } from './time.js';

const POLL = 5000;
const COUNT = 30000;
const FEW = 10;
const KEEP = 10 * 60 * 1000;
const DAY = 864e5;
const SPANS = [['15m', '15 minutes', 60], ['1h', '1 hour', 60], ['6h', '6 hours', 72], ['1d', '1 day', 72], ['7d', '7 days', 84]];
const SEVERITIES = ['trace', 'debug', 'info', 'warning', 'error', 'fatal'];
const WELL = { launcher: ['working'], worker: ['listening'], viewer: ['listening'], upkeep: ['working', 'idle', 'waiting'], forwarder: ['working'] };

// What was polled, {at, …totals}, the last one whole, and which span is counted: they outlive the view.
const history = [];
let span = SPANS[1];

const sum = (object) => Object.values(object || {}).reduce((all, n) => all + Number(n), 0);
const perSecond = (n) => (n === null ? '–' : (n >= 10 ? compact(Math.round(n)) : +n.toFixed(n < 1 ? 2 : 1)) + '/s');

function remember(o) {
	const at = Date.parse(o.now);
	const s = o.stats || {};
	if (history.length && at <= history.at(-1).at) return;
	history.push({
		at, accepted: s.events_accepted, requests: s.requests, quarantined: s.events_quarantined,
		refused: o.refused_total, commit: s.commit_ms_avg, transactions: s.transactions, connections: s.connections, size: o.size,
		lag: Object.fromEntries((o.forwarding || []).map((f) => [f.target, f.lag_events])),
		delivered: Object.fromEntries((o.forwarding || []).map((f) => [f.target, f.delivered])),
	});
	while (history[0].at < at - KEEP) history.shift();
}

// [time, change a second] of a counter; null where it began anew, or was not seen for a while.
function rates(of) {
	const points = [];
	for (let i = 1; i < history.length; i++) {
		const [before, after] = [history[i - 1], history[i]];
		const [a, b] = [of(before), of(after)];
		const seconds = (after.at - before.at) / 1000;
		points.push([after.at, a === undefined || b === undefined || a === null || b === null || b < a || seconds > 20 ? null : (b - a) / seconds]);
	}
	return points;
}

const levels = (of) => history.map((h) => [h.at, of(h) ?? null]);
const latest = (points) => points.at(-1)?.[1] ?? null;

function spark(points, label, form) {
	const to = history.at(-1)?.at ?? Date.now();
	const from = Math.min(to - 60000, Math.max(history[0]?.at ?? to, to - KEEP));
	return sparkline(points, { label: `${label}, the last ${duration(to - from)}`, from, to, format: form });
}

const processName = (w) => (w.kind === 'forwarder' ? `forwarder of ${w.name}` : w.worker ? `${w.kind} ${w.worker}` : w.kind);
const isWell = (w) => (WELL[w.kind] || ['working', 'listening', 'idle', 'waiting']).includes(w.state);
const levelOf = (w) => (!isWell(w) ? (w.state === 'starting' ? 'warning' : 'error') : w.last_error || w.stdout_error ? 'warning' : 'ok');

// What is not well: [{level, what, why, since}], the worst first.
function problems(o) {
	const found = [];
	const add = (level, what, why, since) => found.push({ level, what, why, since });
	const told = new Set();
	for (const f of o.forwarding || []) {
		const name = f.target || 'no target';
		told.add(f.target);
		if (f.state === 'no target') add('error', `${plural(f.lag_events, 'event')} wait in the outbox, and there is no table to forward them to`, 'Nobody gets them until windtrap.forward_to names one.', f.since);
		else if (f.state === 'failing' || f.state === 'stopped') add('error', `Forwarding to ${name} is ${f.state}, ${plural(f.lag_events, 'event')} behind`, f.last_error, f.since);
		else if (f.lag_seconds > 60) add('warning', `Forwarding to ${name} is ${duration(f.lag_seconds * 1000)} behind, ${plural(f.lag_events, 'event')}`, f.last_error);
		if (f.dead > 0) add('warning', `${name} refuses ${plural(f.dead, 'event')} for good`, 'They are in windtrap.dead_letter; windtrap.redeliver() tries them again.');
	}
	for (const w of o.workers || []) {
		const level = levelOf(w);
		if (level === 'ok' || (w.kind === 'forwarder' && told.has(w.name) && found.some((f) => f.level === 'error'))) continue;
		const again = w.next_start ? ` It is started again at ${format(w.next_start, 'second')}.` : '';
		add(level, `The ${processName(w)} is ${w.state}`, [w.last_error, w.stdout_error && `No lines go to windtrap.stdout: ${w.stdout_error}`].filter(Boolean).join(' ') + again, w.since);
	}
	if (!(o.workers || []).some((w) => w.kind === 'worker' && isWell(w))) add('error', 'No worker listens: events are not taken', 'Senders that try again lose nothing meanwhile.');
	const box = o.outbox;
	if (box?.max_bytes && box.bytes / box.max_bytes > 0.8) add(box.bytes / box.max_bytes > 0.95 ? 'error' : 'warning', `The outbox is ${percent(box.bytes / box.max_bytes)} full`, 'When it is full, events that are not forwarded yet are dropped from it; they stay in the log table.');
	if (box?.dropped > 0) add('warning', `${plural(box.dropped, 'event')} dropped from the outbox because it was full`, 'They are in the log table, and not in what is forwarded to.');
	for (const f of o.upkeep_failures || []) add('error', `The upkeep could not ${f.action} ${f.partition ?? 'a partition'}`, [f.error, f.hint].filter(Boolean).join(' '), f.first_time);
	if (o.clock_jump) add('warning', 'The clock is not believed, so nothing is dropped', 'windtrap.upkeep(force => true) believes it at once.');
	return found.sort((a, b) => (a.level === 'error' ? 0 : 1) - (b.level === 'error' ? 0 : 1));
}

function health(o, lost) {
	const found = problems(o);
	if (lost) found.unshift({ level: 'error', what: 'The collector does not answer', why: `${lost} What is shown is of ${format(o.now, 'second')}.` });
	if (!found.length) return el('div', { class: 'health', dataset: { level: 'ok' } }, icon('check'), el('b', null, 'All is well'), el('span', { class: 'muted' }, `${plural(o.workers?.length || 0, 'process', 'processes')}, since ${format(o.stats?.since, 'minutes')}`));
	return el('ul', { class: 'problems' }, found.map(({ level, what, why, since }) => el('li', { class: 'health', dataset: { level } }, icon('warning'),
		el('div', null, el('b', null, shown(what, { oneLine: true })), since ? el('span', { class: 'muted' }, ` · since ${ago(since).replace(/ ago$/, '')}`) : null,
			why ? el('p', null, shown(why, { oneLine: true })) : null))));
}

function tile(label, value, below, points, form, level) {
	return el('div', { class: 'tile', dataset: level ? { level } : {} }, el('h3', null, label), el('b', { class: 'value' }, value), el('div', { class: 'muted below' }, below), spark(points, label, form));
}

function tiles(o) {
	const s = o.stats || {};
	const accepted = rates((h) => h.accepted);
	const refused = rates((h) => h.refused);
	const held = rates((h) => h.quarantined);
	const requests = rates((h) => h.requests);
	const milli = (n) => (n === null || n === undefined ? '–' : `${n < 10 ? n.toFixed(1) : Math.round(n)} ms`);
	return [
		tile('Accepted', perSecond(latest(accepted)), `${compact(o.events_total ?? s.events_accepted ?? 0)} events`, accepted, perSecond),
		tile('Requests', perSecond(latest(requests)), `${plural(s.connections ?? 0, 'connection')} open`, requests, perSecond),
		tile('Refused', perSecond(latest(refused)), plural(o.refused_total ?? 0, 'request'), refused, perSecond, latest(refused) > 1 ? 'warning' : null),
		tile('Quarantined', number(o.quarantined ?? s.events_quarantined ?? 0), 'events kept as they were sent', levels((h) => h.quarantined), number, latest(held) > 0 ? 'warning' : null),
		tile('Commit', milli(s.commit_ms_avg), `on average; longest ${milli(s.commit_ms_max)}`, levels((h) => h.commit), milli),
		tile('Size', bytes(o.size ?? 0), `${compact(sum(Object.fromEntries((o.partitions || []).map((p, i) => [i, Math.max(0, p.rows_estimate)]))))} rows, about`, levels((h) => h.size), bytes),
	];
}

const dot = (level) => el('i', { class: 'dot', dataset: { level } });

// A table; where it is narrow its cells flow, or each stands beside its head ('labels').
function table(caption, heads, rows, classes = 'flow') {
	return el('table', { class: `stack ${classes}` }, el('caption', { class: 'offscreen' }, caption),
		el('thead', null, el('tr', null, heads.map((head) => el('th', { scope: 'col' }, head)))),
		el('tbody', null, rows.map((cells) => el('tr', null, cells.map((cell, i) => el(i ? 'td' : 'th', { scope: i ? null : 'row', 'data-head': heads[i] }, cell ?? ''))))));
}

function processes(o) {
	const order = { error: 0, warning: 1, ok: 2 };
	const all = (o.workers || []).map((w) => [levelOf(w), w]).sort((a, b) => order[a[0]] - order[b[0]]);
	return table('Processes', ['Process', 'State', 'For', 'Where', 'Last error'], all.map(([level, w]) => [
		shown(processName(w)),
		[dot(level), w.state],
		w.since && ago(w.since).replace(/ ago$/, ''),
		w.port ? `port ${w.port}${w.tls ? ', TLS' : ''}` : w.last_run ? `last run ${ago(w.last_run)}` : '',
		w.last_error || w.stdout_error ? shown([w.last_error, w.stdout_error].filter(Boolean).join(' '), { oneLine: true }) : '',
	]));
}

function forwarding(o) {
	const targets = o.forwarding || [];
	const box = o.outbox;
	const full = box?.max_bytes ? box.bytes / box.max_bytes : null;
	return [
		targets.length ? table('Targets', ['Target', 'State', 'Behind', 'Delivered', 'Refused', 'Lag'], targets.map((f) => [
			shown(f.target ?? 'no target'),
			[dot(f.state === 'working' ? (f.lag_seconds > 60 ? 'warning' : 'ok') : f.state === 'starting' ? 'warning' : 'error'), f.state],
			`${plural(f.lag_events ?? 0, 'event')}${f.lag_events ? `, ${duration((f.lag_seconds ?? 0) * 1000)}` : ''}`,
			perSecond(latest(rates((h) => h.delivered[f.target]))),
			number(f.dead ?? 0),
			spark(levels((h) => h.lag[f.target]), `Events that ${f.target} has not got yet`, number),
		]), 'labels') : el('p', { class: 'muted' }, 'Nothing is forwarded. ', el('code', null, 'windtrap.forward_to'), ' names the tables to which events go on.'),
		box && targets.length ? el('div', { class: 'fill' }, el('span', null, 'Outbox ', el('b', null, bytes(box.bytes)), full === null ? '' : ` of ${bytes(box.max_bytes)}`), full === null ? null : meter(full, 'The outbox is full to', full > 0.8 ? 'warning' : null)) : null,
	];
}

// Days of a text as '90 days'; null where it is more than that, or none.
function days(text) {
	const found = /^(\d+) (day|week|mon|month|year)s?$/.exec(String(text ?? '').trim());
	return found ? found[1] * { day: 1, week: 7, mon: 30, month: 30, year: 365 }[found[2]] : null;
}

// What can be said of the days to come: from whole days of the last week that are over.
function projection(o, whole) {
	if (whole.length < 2) return 'How long that lasts cannot be said before two whole days are stored.';
	const perDay = whole.reduce((all, p) => all + p.bytes, 0) / whole.length;
	const limit = Number(o.retention_size) || 0;
	const keep = days(o.retention);
	const rate = `${bytes(perDay)} a day, by the last ${whole.length} whole days`;
	if (limit && o.size >= limit * 0.98) return `${rate}. The size is at its limit: the oldest day goes when a new one needs its place, so about ${plural(Math.round(limit / perDay), 'day')} are kept.`;
	if (limit && (!keep || perDay * keep > limit)) return `${rate}. At that pace the limit of size is reached in about ${plural(Math.max(1, Math.round((limit - o.size) / perDay)), 'day')}; then about ${plural(Math.round(limit / perDay), 'day')} are kept.`;
	if (keep) return `${rate}. At that pace ${o.retention} take about ${bytes(perDay * keep)}.`;
	return `${rate}. Nothing is ever dropped: neither windtrap.retention nor windtrap.retention_size is set.`;
}

function storage(o) {
	const now = Date.parse(o.now);
	const parts = (o.partitions || []).filter((p) => p.from && p.to && Number.isFinite(Date.parse(p.from))).sort((a, b) => Date.parse(a.from) - Date.parse(b.from));
	const begun = parts.filter((p) => Date.parse(p.from) <= now);
	const held = begun.filter((p) => p.rows_estimate !== 0);
	const oldest = held[0] ?? begun[0];
	const week = held.filter((p) => Date.parse(p.to) <= now && Date.parse(p.to) > now - 8 * DAY && Math.abs(Date.parse(p.to) - Date.parse(p.from) - DAY) < 36e5).slice(1).slice(-7);
	const limit = Number(o.retention_size) || 0;
	const shownDays = begun.slice(-60);
	const full = limit ? o.size / limit : null;
	const line = (name, value) => el('div', null, el('dt', null, name), el('dd', null, value));
	return [
		full === null ? null : el('div', { class: 'fill' }, el('span', null, el('b', null, bytes(o.size)), ` of ${bytes(limit)}, ${percent(full)}`), meter(full, 'The log is full to')),
		el('dl', { class: 'facts' },
			full === null ? line('Size', `${bytes(o.size ?? 0)}, no limit`) : null,
			line('Kept for', o.retention || 'ever'),
			oldest ? line('Oldest', `${format(oldest.from, 'date')}, ${ago(oldest.from)}`) : null,
			line('Partitions', number((o.partitions || []).length))),
		el('p', null, projection(o, week)),
		shownDays.length > 1 ? bars({ label: 'Bytes of each partition', format: bytes, names: shownDays.map((p) => `${p.name}: ${format(p.from, 'date')}`),
			series: [{ name: 'size', values: shownDays.map((p) => p.bytes), props: { 'data-c': '0' } }],
			axis: [[0, format(shownDays[0].from, 'day')], [1, 'today']] }) : null,
	];
}

function refusals(o, more) {
	const all = o.refused || [];
	if (!all.length) return el('p', { class: 'muted' }, 'No request was refused since the server started.');
	const few = more ? all.slice(0, FEW) : all;
	return [table('The last refused requests', ['Time', 'Status', 'Reason', 'What was said', 'Client', 'Request'], few.map((r) => [
		el('time', { datetime: r.time, title: format(r.time) }, format(r.time, Date.parse(o.now) - Date.parse(r.time) < DAY / 2 ? 'second' : 'row')),
		String(r.status),
		[r.reason, r.times > 1 ? el('span', { class: 'muted' }, ` × ${number(r.times)}`) : ''],
		shown(r.detail ?? '', { oneLine: true }),
		el('span', { title: r.user_agent ?? null }, shown(r.ip ?? 'Unix socket')),
		el('span', { class: 'mono' }, shown(`${r.method ?? ''} ${r.path ?? ''}`, { oneLine: true })),
	])), few.length < all.length ? button('Show all', { text: `Show all ${all.length}`, class: 'small', on: { click: more } }) : null];
}

// Counts of the span, newest buckets first: {since, width, buckets, values: Map of name → counts, done}.
async function count(by, [since, , buckets], signal, draw) {
	const found = { buckets, values: new Map(), done: false, partial: null };
	for await (const line of lines('histogram', { since, buckets, by }, { signal })) {
		if (line.histogram) Object.assign(found, { since: Date.parse(line.histogram.since), width: line.histogram.width_ms });
		for (const [at, value, n] of line.counts || []) {
			if (!found.values.has(value)) found.values.set(value, new Array(buckets).fill(0));
			found.values.get(value)[at] = n;
		}
		if (line.end) found.partial = line.end.complete ? null : line.end.searched_to;
		if (line.counts && draw) draw(found);
	}
	found.done = true;
	return found;
}

function counts(by, found) {
	const seconds = found.width / 1000;
	const all = [...found.values].map(([value, n]) => ({ value, n, total: n.reduce((a, b) => a + b, 0) })).filter(({ total }) => total);
	const rank = ({ value }) => (value === null ? -1 : by === 'severity' ? SEVERITIES.indexOf(value) : 0);
	all.sort((a, b) => (by === 'severity' ? rank(a) - rank(b) : b.total - a.total));
	let kept = all;
	if (by === 'app') {
		const named = all.filter(({ value }) => value !== null && value !== '(others)');
		const rest = all.filter((one) => !named.slice(0, 7).includes(one));
		kept = named.slice(0, 7).reverse();
		if (rest.length) kept.unshift({ value: null, n: rest[0].n.map((_, i) => rest.reduce((a, { n }) => a + n[i], 0)), total: rest.reduce((a, { total }) => a + total, 0), others: true });
	}
	const whole = kept.reduce((a, { total }) => a + total, 0) || 1;
	const series = kept.map(({ value, n, total, others }, i) => ({
		value, total, others, name: value === null ? (others ? 'others' : 'not said') : value, values: n.map((c) => c / seconds),
		props: by === 'severity' ? { 'data-sev': value ?? 'none' } : { 'data-c': others ? 'rest' : String(kept.length - 1 - i) },
	}));
	const day = seconds * found.buckets > 86400 * 1.5;
	const when = (i) => found.since + i * found.width;
	const names = Array.from({ length: found.buckets }, (_, i) => `${format(when(i), day ? 'minutes' : 'second')} – ${format(when(i + 1), day ? 'minute' : 'second')}`);
	const axis = [0, 0.25, 0.5, 0.75, 1].map((place) => [place, format(when(place * found.buckets), day ? 'day' : 'minute')]);
	const legend = el('ul', { class: 'legend' }, [...series].reverse().map(({ name, value, total, props, others }) => {
		const content = [el('i', { class: 'swatch', ...props }), el('span', null, shown(name, { oneLine: true })), el('span', { class: 'muted' }, `${compact(total)} · ${percent(total / whole)}`)];
		const q = condition(by, value);
		return el('li', null, others ? el('span', { class: 'entry' }, content) : el('a', { class: 'entry', href: state.link({ view: 'events', q, from: span[0], to: '', event: '' }), title: 'Show these events', dataset: { key: q }, on: { click(event) {
			if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
			event.preventDefault();
			state.set({ view: 'events', q, from: span[0], to: '', event: '' }, { push: true });
		} } }, content));
	}));
	return [bars({ series, names, axis, label: `Events a second by ${by}, the last ${span[1]}`, format: perSecond, wait: !found.done }), legend,
		found.partial && found.done ? el('p', { class: 'muted' }, `Counted down to ${format(found.partial, 'minutes')}: the rest would have taken too long.`) : null];
}

export function mount(container) {
	const section = (title, ...extra) => {
		const body = el('div', { class: 'content' });
		const head = el('h2', null, title);
		return { body, node: el('section', { class: 'card', 'aria-label': title }, el('header', null, head, ...extra), body) };
	};
	const select = el('select', { 'aria-label': 'Time', on: { change() {
		span = SPANS[select.selectedIndex];
		recount();
	} } }, SPANS.map((one) => el('option', { value: one[0], selected: one === span }, 'the last ' + one[1])));
	const top = el('div', { class: 'banner', role: 'status' });
	const numbers = el('div', { class: 'tiles' });
	const cards = { severity: section('Events a second by severity', select), app: section('Events a second by app'), processes: section('Processes'), storage: section('Size and retention'), forwarding: section('Forwarding'), refused: section('The last refused requests') };
	const rest = [top, numbers, el('div', { class: 'pair' }, cards.severity.node, cards.app.node), el('div', { class: 'pair' }, cards.processes.node, cards.storage.node), cards.forwarding.node, cards.refused.node];
	const page = el('div', { class: 'overview' }, el('h1', { class: 'offscreen' }, 'Overview'), rest);
	container.replaceChildren(page);

	// Fills a part anew where it has changed; not while somebody has selected text in it, and the focus stays.
	const drawn = new Map();
	const put = (box, key, make) => {
		const chosen = getSelection();
		if (drawn.get(box) === key || (chosen && !chosen.isCollapsed && box.contains(chosen.anchorNode))) return;
		const focus = box.contains(document.activeElement) ? document.activeElement : null;
		if (focus?.classList.contains('plot')) return;
		drawn.set(box, key);
		box.replaceChildren(...[make()].flat().filter(Boolean));
		if (focus?.dataset.key) [...box.querySelectorAll('[data-key]')].find((node) => node.dataset.key === focus.dataset.key)?.focus();
	};

	let last = null;
	let lost = null;
	let all = false;
	let timer = null;
	let countTimer = null;
	let control = null;
	let countControl = null;

	function draw() {
		if (!last) {
			if (lost) top.replaceChildren(el('div', { class: 'health', dataset: { level: 'error' } }, icon('warning'), el('b', null, lost)));
			return;
		}
		const words = health(last, lost);
		put(top, words.textContent, () => words);
		const turn = last.now + lost;
		put(numbers, turn, () => tiles(last));
		put(cards.processes.body, turn, () => processes(last));
		put(cards.storage.body, JSON.stringify([last.partitions, last.size, state.get().zone]), () => storage(last));
		put(cards.forwarding.body, turn, () => forwarding(last));
		put(cards.refused.body, JSON.stringify([last.refused, state.get().zone, all]), () => refusals(last, all ? null : () => {
			all = true;
			draw();
		}));
	}

	const active = () => !document.hidden && state.get().view === 'overview';

	async function poll() {
		clearTimeout(timer);
		if (!active()) return;
		control?.abort();
		control = new AbortController();
		let wait = POLL;
		try {
			last = await get('overview', {}, { signal: control.signal });
			lost = null;
			remember(last);
		} catch (error) {
			if (aborted(error)) return;
			lost = error.message;
			if (error.status === 401 || error.status === 403) wait = null;
		}
		draw();
		if (wait) timer = setTimeout(poll, wait);
	}

	async function recount() {
		clearTimeout(countTimer);
		countControl?.abort();
		if (!active()) return;
		const { signal } = (countControl = new AbortController());
		try {
			for (const by of ['severity', 'app']) {
				const box = cards[by].body;
				const first = drawn.get(box)?.[0] !== span;
				const show = (found) => put(box, [span], () => counts(by, found));
				show(await count(by, span, signal, first ? show : null));
			}
		} catch (error) {
			if (aborted(error)) return;
			for (const by of ['severity', 'app']) if (!drawn.has(cards[by].body)) put(cards[by].body, [span], () => el('p', { class: 'muted' }, error.message));
		}
		countTimer = setTimeout(recount, COUNT);
	}

	function turn() {
		if (active()) {
			poll();
			recount();
		} else {
			clearTimeout(timer);
			clearTimeout(countTimer);
			control?.abort();
			countControl?.abort();
		}
	}

	document.addEventListener('visibilitychange', turn);
	const ends = [state.on('view', turn), state.on('zone', () => {
		draw();
		recount();
	})];
	turn();
	return { destroy() {
		document.removeEventListener('visibilitychange', turn);
		for (const end of ends) end();
		clearTimeout(timer);
		clearTimeout(countTimer);
		control?.abort();
		countControl?.abort();
		container.replaceChildren();
	} };
}
