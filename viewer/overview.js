// The overview: how the collector does, what is not well first. Its numbers are asked for
// every 5 s while it is seen; rates are differences of counters that are kept here for 10
// minutes. Events by severity and app, which are dear to count, come every 30 s.

import { aborted, get, lines } from './api.js';
import { bars, sparkline } from './chart.js';
import { el, icon, shown } from './dom.js';
import { bytes, compact, number, percent, plural, sentence } from './format.js';
import { OTHERS, SEVERITIES, condition } from './query.js';
import { state } from './state.js';
import { ago, duration, format } from './time.js';

const POLL = 5000;
const COUNT = 30000;
const KEEP = 6e5;
const DAY = 864e5;
const SPANS = [['15m', '15 minutes', 60], ['1h', 'hour', 60], ['6h', '6 hours', 72], ['1d', 'day', 72], ['7d', '7 days', 84]];
const WELL = ['working', 'listening', 'idle', 'waiting'];

// What was polled, and the span that is counted: they outlive the view.
const history = [];
let span = SPANS[1];

const perSecond = (n) => (n === null ? '–' : (n >= 10 ? compact(Math.round(n)) : +n.toFixed(n < 1 ? 2 : 1)) + '/s');
const milli = (n) => (n === null || n === undefined ? '–' : (n < 10 ? n.toFixed(1) : Math.round(n)) + ' ms');
const line = (text) => shown(text ?? '', { oneLine: true });
const length = (time) => ago(time).replace(/ ago$/, '');
const time = (o) => Date.parse(o.now);

function remember(o) {
	history.push(o);
	while (time(history[0]) < time(o) - KEEP) history.shift();
}

const levels = (of) => history.map((o) => [time(o), of(o) ?? null]);

// [time, change a second] of a counter: null where it began anew, or nobody looked for a while.
function rates(of) {
	const all = levels(of);
	return all.slice(1).map(([at, n], i) => {
		const seconds = (at - all[i][0]) / 1000;
		return [at, n === null || all[i][1] === null || n < all[i][1] || seconds > 20 ? null : (n - all[i][1]) / seconds];
	});
}

const latest = (points) => points.at(-1)?.[1] ?? null;

function spark(points, label, form) {
	const to = time(history.at(-1));
	const from = Math.min(to - 6e4, time(history[0]));
	return sparkline(points, { label: `${label}, the last ${duration(to - from)}`, from, to, form });
}

const nameOf = (w) => [w.kind, w.worker, w.kind === 'forwarder' ? `of ${w.name}` : null].filter((part) => part !== null).join(' ');
const levelOf = (w) => (!WELL.includes(w.state) ? (w.state === 'starting' ? 'warning' : 'error') : w.last_error || w.stdout_error ? 'warning' : 'ok');

// What is not well: [level, what, why, since], errors first.
function problems(o) {
	const found = [];
	const add = (...problem) => found.push(problem);
	const failing = new Set();
	for (const f of o.forwarding || []) {
		const behind = plural(f.lag_events ?? 0, 'event');
		if (f.target === null) add('error', `${behind} wait in the outbox, and there is nothing to forward them to`, 'windtrap.forward_to names the targets.', f.since);
		else if (f.last_error || f.state === 'failing' || f.state === 'stopped') {
			failing.add(f.target);
			add('error', `Forwarding to ${f.target} is ${f.state}, ${behind} behind`, f.last_error, f.since);
		} else if (f.lag_seconds > 60) add('warning', `Forwarding to ${f.target} is ${duration(f.lag_seconds * 1000)} behind, ${behind}`);
		if (f.dead > 0) add('warning', `${f.target} refuses ${plural(f.dead, 'event')} for good`, 'They are in windtrap.dead_letter; windtrap.redeliver() tries them again.');
	}
	const workers = o.workers || [];
	for (const w of workers)
		if (levelOf(w) !== 'ok' && !failing.has(w.name))
			add(levelOf(w), `The ${nameOf(w)} is ${w.state}`, [w.last_error, w.stdout_error, w.next_start && `It is started again at ${format(w.next_start, 'second')}.`].filter(Boolean).join(' '), w.since);
	if (!workers.some((w) => w.kind === 'worker' && w.state === 'listening')) add('error', 'No worker listens: no events are taken', 'Senders have to try again.');
	const full = o.outbox?.max_bytes ? o.outbox.bytes / o.outbox.max_bytes : 0;
	if (full > 0.8) add(full > 0.95 ? 'error' : 'warning', `The outbox is ${percent(full)} full`, 'When it is full, events are dropped from it that have not been forwarded; the log table has them.');
	if (o.outbox?.dropped > 0) add('warning', `${plural(o.outbox.dropped, 'event')} dropped from the full outbox`, 'The log table has them; the tables that are forwarded to do not.');
	for (const f of o.upkeep_failures || []) add('error', `The upkeep could not ${f.action} ${f.partition ?? 'a partition'}`, [f.error, f.hint].filter(Boolean).join(' '), f.first_time);
	return found.sort((a, b) => (b[0] === 'error') - (a[0] === 'error'));
}

function health(o, lost) {
	const found = problems(o);
	if (lost) found.unshift(['error', lost, `These are the numbers of ${format(o.now, 'second')}.`]);
	else if (!found.length) return el('p', { class: 'health', 'data-level': 'ok' }, icon('check'), el('b', null, 'All is well'), el('span', { class: 'muted' }, plural(o.workers.length, 'process', 'processes')));
	return found.map(([level, what, why, since]) => el('div', { class: 'health', 'data-level': level }, icon('warning'),
		el('div', null, el('b', null, line(what)), since && el('span', { class: 'muted' }, ` since ${format(since, 'minutes')}`), why && el('p', null, line(why)))));
}

function tiles(o) {
	const s = o.stats || {};
	const rows = (o.partitions || []).reduce((sum, p) => sum + Math.max(0, p.rows_estimate), 0);
	const refused = rates((one) => one.refused_total);
	const held = latest(rates((one) => one.quarantined));
	const tile = (label, below, points, form, level) => el('section', { class: 'tile', 'data-level': level, 'aria-label': label },
		el('h2', null, label), el('b', null, form(latest(points))), el('p', { class: 'muted' }, below), spark(points, label, form));
	return [
		tile('Accepted', plural(o.events_total ?? s.events_accepted ?? 0, 'event', 'events', compact), rates((one) => one.stats?.events_accepted), perSecond),
		tile('Requests', `${plural(s.connections ?? 0, 'connection')} open`, rates((one) => one.stats?.requests), perSecond),
		tile('Refused', plural(o.refused_total ?? 0, 'request'), refused, perSecond, latest(refused) > 1 ? 'warning' : null),
		tile('Quarantined', 'events kept as they were sent', levels((one) => one.quarantined), number, held > 0 ? 'warning' : null),
		tile('Commit', `on average, at most ${milli(s.commit_ms_max)}`, levels((one) => one.stats?.commit_ms_avg), milli),
		tile('Size', rows ? `about ${compact(rows)} rows` : 'of the log table', levels((one) => one.size), (n) => (n === null ? '–' : bytes(n))),
	];
}

// Where it is narrow cells flow, or each stands beside its head (`labels`).
function table(caption, heads, rows, classes = '') {
	return el('table', { class: `facts ${classes}` }, el('caption', { class: 'offscreen' }, caption),
		el('thead', null, el('tr', null, heads.map((head) => el('th', { scope: 'col' }, head)))),
		el('tbody', null, rows.map((cells) => el('tr', null, cells.map((cell, i) => el(i ? 'td' : 'th', { scope: i ? null : 'row', 'data-head': heads[i] }, cell || ''))))));
}

const dotted = (level, text) => [el('i', { class: 'dot', 'data-level': level }), text];

function processes(o) {
	return table('Processes', ['Process', 'State', 'For', ''], (o.workers || []).map((w) => [
		line(nameOf(w)), dotted(levelOf(w), w.state), w.since && length(w.since),
		w.port ? `port ${w.port}${w.tls ? ', TLS' : ''}` : w.last_run && `last run ${ago(w.last_run)}`,
	]));
}

// How full something is.
const filled = (name, part, whole) => el('label', { class: 'filled' }, name, el('b', null, bytes(part)), ` of ${bytes(whole)}, ${percent(part / whole)}`, el('progress', { max: whole, value: part }));

function forwarding(o) {
	const targets = o.forwarding || [];
	const { bytes: part, max_bytes: whole } = o.outbox || {};
	if (!targets.length) return el('p', { class: 'muted' }, 'Nothing is forwarded: ', el('code', null, 'windtrap.forward_to'), ' names no target.');
	return [table('Targets', ['Target', 'State', 'Behind', 'Delivered', 'Refused', 'Events behind'], targets.map((f) => {
		const same = (one) => (one.forwarding || []).find(({ target }) => target === f.target);
		return [
			line(f.target ?? 'none'), dotted(f.state !== 'working' || f.last_error ? 'error' : f.lag_seconds > 60 ? 'warning' : 'ok', f.state),
			plural(f.lag_events ?? 0, 'event') + (f.lag_events ? `, ${duration((f.lag_seconds ?? 0) * 1000)}` : ''),
			perSecond(latest(rates((one) => same(one)?.delivered))), number(f.dead ?? 0),
			spark(levels((one) => same(one)?.lag_events), `Events that ${f.target} has not got`, number),
		];
	}), 'labels'), whole && filled('Outbox: ', part, whole)];
}

// What can honestly be said of the days to come: by the whole days of the last week.
function projection(o, week) {
	if (week.length < 2) return 'How much a day takes can be said when two whole days are there.';
	const daily = week.reduce((sum, p) => sum + p.bytes, 0) / week.length;
	const limit = Number(o.retention_size) || 0;
	const [, n, unit] = /^(\d+) (day|week|mon|month|year)s?$/.exec(o.retention) || [];
	const keep = n * { day: 1, week: 7, mon: 30, month: 30, year: 365 }[unit];
	const about = (bytesOf) => plural(Math.max(1, Math.round(bytesOf / daily)), 'day');
	const pace = `${bytes(daily)} a day in the last ${week.length} days. `;
	if (limit && !(daily * keep < limit)) return pace + (o.size > limit * 0.98 ? 'It is full: the oldest day goes for each new one.' : `At that pace it is full in ${about(limit - o.size)}.`) + ` About ${about(limit)} fit.`;
	if (keep) return pace + `At that pace ${o.retention} take ${bytes(daily * keep)}.`;
	return pace + (o.retention ? '' : 'Nothing is ever dropped: neither windtrap.retention nor windtrap.retention_size is set.');
}

function storage(o) {
	const begun = (o.partitions || []).filter((p) => Date.parse(p.from) <= time(o)).sort((a, b) => Date.parse(a.from) - Date.parse(b.from));
	const held = begun.filter((p) => p.rows_estimate !== 0);
	// Not the first one, which may have begun in the middle of its day.
	const week = held.slice(1).filter((p) => Date.parse(p.to) <= time(o) && Date.parse(p.to) - Date.parse(p.from) === DAY).slice(-7);
	const limit = Number(o.retention_size) || 0;
	return [
		limit ? filled('', o.size, limit) : el('p', null, el('b', null, bytes(o.size ?? 0)), ', no limit of size'),
		el('p', null, `Kept ${o.retention ? `for ${o.retention}` : 'for ever'}, in ${plural((o.partitions || []).length, 'partition')}`, held.length ? `; the oldest began ${format(held[0].from, 'date')}` : '', '.'),
		el('p', null, projection(o, week)),
	];
}

function refusals(o) {
	const all = o.refused || [];
	if (!all.length) return el('p', { class: 'muted' }, 'None since the server started.');
	return table('The last refused requests', ['Time', 'Status', 'Reason', 'What was said', 'Client', 'Request'], all.map((r) => [
		el('time', { datetime: r.time, title: format(r.time) }, format(r.time, time(o) - Date.parse(r.time) < DAY / 2 ? 'second' : 'minutes')),
		String(r.status), [r.reason, r.times > 1 && el('span', { class: 'muted' }, ` × ${number(r.times)}`)], line(r.detail),
		el('span', { title: r.user_agent && line(r.user_agent).textContent }, r.ip ?? 'Unix socket'), el('div', { class: 'mono' }, line(`${r.method ?? ''} ${r.path ?? ''}`)),
	]));
}

// Counts events by a field over the span, and calls draw with what there is, and whether it is all.
async function count(by, signal, draw) {
	const [since, , buckets] = span;
	const values = new Map();
	let left = { since, buckets };
	let found;
	while (left) {
		let end;
		for await (const got of lines('histogram', { ...left, by }, { signal })) {
			if (got.histogram) found ??= { since: Date.parse(got.histogram.since), width: got.histogram.width_ms, until: got.histogram.since, values };
			for (const [at, value, n] of got.counts || []) {
				if (!values.has(value)) values.set(value, new Array(buckets).fill(0));
				values.get(value)[at] += n;
			}
			end = got.end ?? end;
		}
		const rest = end?.next && Math.round((Date.parse(end.next.until) - found.since) / found.width);
		left = rest > 0 ? { since: found.until, until: end.next.until, buckets: rest } : null;
		draw(found, !left);
	}
}

function counts(by, { since, width, values }) {
	const [from, words, buckets] = span;
	const all = [...values].map(([value, n]) => ({ value, n, total: n.reduce((a, b) => a + b, 0) })).filter(({ total }) => total);
	let kept = all;
	if (by === 'severity') all.sort((a, b) => SEVERITIES.indexOf(a.value) - SEVERITIES.indexOf(b.value));
	else {
		all.sort((a, b) => (a.value === OTHERS) - (b.value === OTHERS) || b.total - a.total);
		kept = all.slice(0, all.length > 8 ? 7 : 8).filter(({ value }) => value !== OTHERS);
		const rest = all.filter((one) => !kept.includes(one));
		if (rest.length) kept.push({ value: OTHERS, n: rest[0].n.map((_, at) => rest.reduce((sum, { n }) => sum + n[at], 0)), total: rest.reduce((sum, one) => sum + one.total, 0) });
		kept.reverse();
	}
	const whole = kept.reduce((sum, { total }) => sum + total, 0);
	const series = kept.map(({ value, n, total }, i) => ({
		value, total, name: line(value ?? 'none').textContent, values: n.map((one) => one / width * 1000),
		props: by === 'severity' ? { 'data-sev': value ?? 'none' } : { style: { '--sev': `var(--c${value === OTHERS ? 9 : kept.length - 1 - i})` } },
	}));
	const long = width * buckets > DAY * 1.5;
	const at = (bucket, style) => format(since + bucket * width, style);
	return [
		bars({
			series, form: perSecond, label: `Events a second by ${by}, the last ${words}`,
			names: Array.from({ length: buckets }, (_, i) => `${at(i, long ? 'minutes' : 'second')} – ${at(i + 1, long ? 'minute' : 'second')}`),
			axis: [0, 1, 2, 3, 4].map((i) => at(i / 4 * buckets, long ? 'day' : 'minute')),
		}),
		el('ul', { class: 'names', 'aria-label': `Events by ${by}` }, series.reverse().map(({ name, value, total, props }) => {
			const patch = { view: 'events', q: condition(by, value), from, to: '', event: '' };
			const inside = [el('i', { class: 'swatch' }), el('bdi', null, name), el('span', { class: 'muted' }, `${compact(total)}, ${percent(total / whole)}`)];
			return el('li', props, value === OTHERS ? el('span', null, inside) : el('a', { href: state.link(patch), on: { click(event) {
				if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
				event.preventDefault();
				state.set(patch, { push: true });
			} } }, inside));
		})),
	];
}

export function mount(container) {
	const card = (title, more) => {
		const body = el('div', { class: 'content' });
		return { body, node: el('section', { class: 'card', 'aria-label': title }, el('header', null, el('h2', null, title), more), body) };
	};
	const choice = el('select', { 'aria-label': 'Time', on: { change() {
		span = SPANS[choice.selectedIndex];
		recount();
	} } }, SPANS.map((one) => el('option', { selected: one === span }, 'last ' + one[1])));
	const top = el('div', { class: 'problems', role: 'status' });
	const numbers = el('div', { class: 'tiles' });
	const by = { severity: card('Events a second by severity', choice), app: card('Events a second by app') };
	const cards = [[processes, card('Processes')], [storage, card('Size and retention')], [forwarding, card('Forwarding')], [refusals, card('The last refused requests')]];
	container.replaceChildren(el('div', { class: 'overview' }, el('h1', { class: 'offscreen' }, 'Overview'), top, numbers,
		el('div', { class: 'pair' }, by.severity.node, by.app.node), el('div', { class: 'pair' }, cards[0][1].node, cards[1][1].node), cards[2][1].node, cards[3][1].node));

	// Fills a part anew where it is different now; not under somebody who is in it or has chosen text.
	function put(box, ...content) {
		const fresh = box.cloneNode();
		const chosen = getSelection();
		fresh.append(...content.flat(Infinity).filter(Boolean));
		if (!box.matches(':focus-within') && (chosen.isCollapsed || !box.contains(chosen.anchorNode)) && !box.isEqualNode(fresh)) box.replaceChildren(...fresh.childNodes);
	}

	let last = null;
	let lost = null;
	let control = new AbortController();
	let timers = [];

	function draw() {
		if (!last) {
			if (lost) top.replaceChildren(el('p', { class: 'health', 'data-level': 'error' }, icon('warning'), el('b', null, lost)));
			return;
		}
		put(top, health(last, lost));
		put(numbers, tiles(last));
		for (const [make, { body }] of cards) put(body, make(last));
	}

	const later = (fn, ms) => timers.push(setTimeout(fn, ms));

	async function poll({ signal } = control) {
		try {
			last = await get('overview', {}, { signal });
			lost = null;
			remember(last);
		} catch (error) {
			if (aborted(error)) return;
			lost = sentence(error.message);
			if (error.status === 401 || error.status === 403) return draw();
		}
		draw();
		later(poll, POLL);
	}

	let turn = 0;
	async function recount() {
		const mine = ++turn;
		const { signal } = control;
		try {
			for (const name of ['severity', 'app']) {
				const { body } = by[name];
				const fresh = body.dataset.span !== span[0];
				if (fresh) body.classList.add('stale');
				await count(name, signal, (found, all) => {
					if (mine !== turn || !(all || fresh)) return;
					body.classList.remove('stale');
					body.dataset.span = span[0];
					put(body, counts(name, found));
				});
				if (mine !== turn) return;
			}
		} catch (error) {
			if (aborted(error) || mine !== turn) return;
			if (error.status === 401 || error.status === 403) return;
		}
		later(() => mine === turn && recount(), COUNT);
	}

	function stop() {
		control.abort();
		timers.forEach(clearTimeout);
		timers = [];
	}

	function go() {
		stop();
		if (document.hidden || state.get().view !== 'overview') return;
		control = new AbortController();
		poll();
		recount();
	}

	document.addEventListener('visibilitychange', go);
	const offs = [state.on('view', go), state.on('zone', go)];
	go();
	return { destroy() {
		stop();
		document.removeEventListener('visibilitychange', go);
		for (const off of offs) off();
	} };
}
