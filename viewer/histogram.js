// How many events there were when: bars stacked by severity or another field,
// the newest first as they are counted. Dragging over it, or the keyboard, chooses
// a part of the time; the legend filters.

import { aborted, lines } from './api.js';
import { announce, button, el, shown, svg } from './dom.js';
import { compact, number } from './format.js';
import { OTHERS, SEVERITIES, addFilter, hasFilter } from './query.js';
import * as search from './search.js';
import { emit, listen, state } from './state.js';
import { bounds, shift, format, iso, now } from './time.js';

const WORST_FIRST = [...SEVERITIES.toReversed(), null];
const COLOURS = 9;
const HEIGHT = 104;
const LEFT = 44;
const RIGHT = 16;
const TOP = 8;
const BOTTOM = 20;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30].map((s) => s * 1e3), ...[1, 2, 5, 10, 15, 30].map((m) => m * 6e4),
	...[1, 2, 3, 6, 12].map((h) => h * 36e5), ...[1, 2, 7, 14, 28, 91, 364].map((d) => d * 864e5)];

const stepOf = (length, most) => STEPS.find((step) => length / step <= most) || length / most;

// The least round number that is not less.
function round(n) {
	const unit = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
	return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((m) => m * unit).find((m) => m >= n);
}

export function mount(container) {
	const chart = svg('svg', { class: 'chart', tabindex: 0, role: 'group', 'aria-roledescription': 'histogram', 'aria-label': 'Events over time', 'aria-describedby': 'histogram-keys' });
	const legend = el('ul', { class: 'legend', 'aria-label': 'Filter by value' });
	const tip = el('div', { class: 'tip', hidden: true });
	const by = el('select', { 'aria-label': 'Colours by', title: 'Colours by', on: { change: () => state.set({ by: by.value }) } });
	const out = button('Zoom out (z)', { icon: 'zoomout', class: 'plain small', on: { click: () => zoomOut() } });
	const plot = el('div', { class: 'plot' }, chart, tip);
	container.append(el('div', { class: 'histogram-head' }, legend, el('label', { class: 'by' }, el('span', { class: 'muted' }, 'by'), by), out),
		plot, el('p', { id: 'histogram-keys', class: 'offscreen' }, 'Arrow keys go from bar to bar, with Shift they choose several, Enter shows that time only.'));

	let data = null; // what is shown
	let latest = null; // what is being counted, shown from its first line on
	let turn = 0;
	let frame = 0;
	let width = 0;
	let cursor = null; // { from, to }: buckets under the pointer or chosen by keys
	let drag = null; // where the pointer went down: { x, bucket }

	// --- what is counted

	function fresh({ params, since, until }) {
		width = plot.clientWidth || width; // it may just have come into sight
		const start = Date.parse(since);
		const length = Math.max(1, Date.parse(until) - start);
		const n = Math.max(1, Math.round(length / stepOf(length, Math.max(20, Math.min(120, (width - LEFT - RIGHT) / 9)))));
		return { params, by: state.get().by, since: start, length, n, bucket: length / n, counts: new Map(), totals: new Map(), total: 0, searched: start + length, left: { until, buckets: n }, ms: 0 };
	}

	// `quiet`: a look again, of which nothing is said until it is whole.
	async function load(what, signal, quiet = false) {
		const mine = ++turn;
		latest = what;
		if (!quiet) plot.classList.add('stale');
		const tell = (more = {}) => (quiet && more.complete === undefined) || emit('progress', { part: 'histogram', total: what.total, searched_to: iso(what.searched), ms: what.ms, complete: !what.left, running: true, error: null, ...more });
		tell();
		try {
			while (what.left) {
				let end = null;
				for await (const line of lines('histogram', { ...what.params, ...what.left, by: what.by }, { signal })) {
					if (mine !== turn) return;
					if (line.counts) count(what, line.counts);
					if (line.progress) what.searched = Date.parse(line.progress.searched_to);
					if (line.end) end = line.end;
					if (!quiet) show(what);
					tell();
				}
				if (!end) throw new Error('The histogram broke off.');
				what.ms += end.ms;
				what.searched = Date.parse(end.searched_to);
				const rest = end.next && Math.round((Date.parse(end.next.until) - what.since) / what.bucket);
				what.left = rest > 0 ? { until: end.next.until, buckets: rest } : null;
			}
			what.searched = what.since;
			show(what);
			tell({ running: false, complete: true });
		} catch (error) {
			if (mine !== turn) return;
			plot.classList.remove('stale');
			if (data !== what && error.status >= 400) clear();
			if (!quiet) tell({ running: false, complete: false, total: data === what ? what.total : undefined, error: aborted(error) ? null : error });
		}
	}

	function clear() {
		data = cursor = null;
		chart.replaceChildren();
		legend.replaceChildren();
		mark();
	}

	function count(what, counts) {
		for (const [bucket, value, n] of counts) {
			if (!n) continue;
			if (!what.counts.has(bucket)) what.counts.set(bucket, new Map());
			const of = what.counts.get(bucket);
			of.set(value, (of.get(value) || 0) + n);
			what.totals.set(value, (what.totals.get(value) || 0) + n);
			what.total += n;
		}
	}

	function show(what) {
		data = what;
		plot.classList.remove('stale');
		frame ||= requestAnimationFrame(() => {
			frame = 0;
			draw();
		});
	}

	// --- drawing

	// [{value, label, class}] from the bottom up; what is beyond the colours is one.
	function series() {
		if (data.by === 'severity')
			return [...WORST_FIRST, ...[...data.totals.keys()].filter((value) => !WORST_FIRST.includes(value))]
				.filter((value) => data.totals.has(value)).map((value) => ({ values: [value], value, sev: value ?? 'none' }));
		const sorted = [...data.totals].sort((a, b) => (a[0] === OTHERS) - (b[0] === OTHERS) || b[1] - a[1]).map(([value]) => value);
		const own = sorted.filter((value) => value !== OTHERS).slice(0, COLOURS);
		const rest = sorted.filter((value) => !own.includes(value));
		return [...own.map((value, i) => ({ values: [value], value, colour: i })), ...(rest.length ? [{ values: rest, value: OTHERS, rest: true, colour: COLOURS }] : [])];
	}

	const name = (one) => (one.value === null ? 'none' : one.value === '' ? '""' : one.value.length > 40 ? one.value.slice(0, 40) + '…' : one.value);
	const paint = (one) => (one.sev ? { 'data-sev': one.sev } : { style: { '--sev': `var(--c${one.colour})` } });
	const sum = (one, of) => one.values.reduce((all, value) => all + (of.get(value) || 0), 0);

	const inner = () => width - LEFT - RIGHT;
	const x = (ms) => LEFT + (ms - data.since) / data.length * inner();
	const bucketAt = (px) => Math.max(0, Math.min(data.n - 1, Math.floor((px - LEFT) / inner() * data.n)));
	const edge = (bucket) => data.since + bucket * data.bucket;

	function draw() {
		if (!data || !width) return;
		chart.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
		chart.setAttribute('width', width);
		chart.setAttribute('height', HEIGHT);
		const all = series();
		let most = 1;
		for (const of of data.counts.values()) most = Math.max(most, [...of.values()].reduce((a, b) => a + b, 0));
		const ceiling = most <= 2 ? most : round(most);
		const floor = HEIGHT - BOTTOM;
		const y = (n) => floor - n / ceiling * (floor - TOP);
		const lineAt = (n) => [svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: Math.round(y(n)) + .5, y2: Math.round(y(n)) + .5 }),
			svg('text', { class: 'axis', x: LEFT - 8, y: y(n) + 4, 'text-anchor': 'end' }, compact(n))];
		const w = inner() / data.n;
		const gap = w > 5 ? Math.min(2, w / 5) : 0;
		const paths = all.map((one) => ({ one, d: '' }));
		for (const [bucket, of] of data.counts) {
			let below = 0;
			for (const path of paths) {
				const n = sum(path.one, of);
				if (!n) continue;
				// A pixel at least, so that one error among thousands is seen.
				const high = Math.max(1, y(below) - y(below + n));
				path.d += `M${(LEFT + bucket * w + gap / 2).toFixed(1)} ${y(below).toFixed(1)}v${(-high).toFixed(1)}h${(w - gap).toFixed(1)}v${high.toFixed(1)}z`;
				below += n;
			}
		}
		chart.replaceChildren(
			...[ceiling / 2, ceiling].filter((n) => Number.isInteger(n)).flatMap(lineAt),
			svg('line', { class: 'base', x1: LEFT, x2: width - RIGHT, y1: floor + .5, y2: floor + .5 }),
			...ticks(),
			...paths.map(({ one, d }) => svg('path', { class: 'bars', d, ...paint(one) })),
			...(data.searched > data.since ? [svg('rect', { class: 'pending', x: LEFT, y: TOP, width: Math.max(0, x(data.searched) - LEFT), height: floor - TOP }),
				svg('line', { class: 'front', x1: x(data.searched), x2: x(data.searched), y1: TOP, y2: floor })] : []),
			svg('rect', { class: 'chosen', y: TOP, height: floor - TOP, width: 0 }));
		drawLegend(all);
		mark();
		chart.setAttribute('aria-label', `Events over time, ${number(data.total)} from ${format(data.since, 'minutes')} to ${format(data.since + data.length, 'minutes')}`);
	}

	function ticks() {
		const step = stepOf(data.length, Math.max(2, inner() / 96));
		const found = [];
		const style = step < 1e3 ? 'milli' : step < 6e4 ? 'second' : step < 864e5 ? 'minute' : 'day';
		for (let at = Math.ceil((data.since + shift(data.since)) / step) * step - shift(data.since); at <= data.since + data.length; at += step) {
			const px = x(at);
			if (px < LEFT + 12 || px > width - RIGHT - 12) continue;
			const clock = format(at, 'second');
			found.push(svg('line', { class: 'base', x1: px, x2: px, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
				svg('text', { class: 'axis', x: px, y: HEIGHT - 4, 'text-anchor': 'middle' }, style !== 'day' && clock === '00:00:00' ? format(at, 'day') : format(at, style)));
		}
		return found;
	}

	function drawLegend(all) {
		const focused = legend.contains(document.activeElement) ? document.activeElement.dataset.key : null;
		legend.replaceChildren(...all.map((one) => {
			const only = !one.rest && hasFilter(data.by, one.value);
			const not = !one.rest && hasFilter(data.by, one.value, true);
			return el('li', null, el('button', {
				type: 'button', class: 'plain small' + (not ? ' not' : ''), 'aria-pressed': String(only), dataset: { key: String(one.value) }, disabled: !!one.rest, ...paint(one),
				title: one.rest ? null : only ? 'All again' : 'Only these; with Alt: not these', on: { click: (event) => addFilter(data.by, one.value, event.altKey) },
			}, el('i', { class: 'swatch' }), shown(name(one), { oneLine: true }), el('span', { class: 'number muted' }, compact(one.values.reduce((n, value) => n + data.totals.get(value), 0)))));
		}));
		if (focused !== null) [...legend.querySelectorAll('button')].find((one) => one.dataset.key === focused)?.focus();
	}

	// --- pointing and choosing

	const ends = () => [Math.min(cursor.from, cursor.to), Math.min(data.n - 1, Math.max(cursor.from, cursor.to))];

	function mark() {
		const chosen = chart.querySelector('.chosen');
		if (!chosen || !data || !cursor) {
			tip.hidden = true;
			chosen?.setAttribute('width', 0);
			return;
		}
		const [from, to] = ends();
		chosen.setAttribute('x', x(edge(from)));
		chosen.setAttribute('width', x(edge(to + 1)) - x(edge(from)));
		const of = new Map();
		for (let bucket = from; bucket <= to; bucket++)
			for (const [value, n] of data.counts.get(bucket) || []) of.set(value, (of.get(value) || 0) + n);
		const rows = series().map((one) => [one, sum(one, of)]).filter(([, n]) => n).reverse();
		const total = rows.reduce((n, row) => n + row[1], 0);
		const fine = data.bucket < 1e3 ? 'milli' : data.bucket < 6e4 ? 'second' : 'minute';
		const sameDay = format(edge(from), 'date') === format(edge(to + 1), 'date');
		tip.replaceChildren(el('div', { class: 'when' }, `${format(edge(from), 'date')} ${format(edge(from), fine)} – ${sameDay ? '' : format(edge(to + 1), 'date') + ' '}${format(edge(to + 1), fine)}`),
			el('table', null, rows.map(([one, n]) => el('tr', paint(one), el('td', null, el('i', { class: 'swatch' }), shown(name(one), { oneLine: true })), el('td', { class: 'number' }, number(n)))),
				el('tr', { class: 'sum' }, el('td', null, edge(to + 1) <= data.searched ? 'not searched yet' : 'total'), el('td', { class: 'number' }, number(total)))));
		tip.hidden = false;
		const middle = (x(edge(from)) + x(edge(to + 1))) / 2;
		tip.style.left = Math.max(4, Math.min(width - tip.offsetWidth - 4, middle < width / 2 ? x(edge(to + 1)) + 10 : x(edge(from)) - 10 - tip.offsetWidth)) + 'px';
	}

	function zoom() {
		if (!cursor || !data) return;
		const [from, to] = ends();
		cursor = null;
		if (edge(to + 1) - edge(from) >= 2) state.set({ from: iso(Math.floor(edge(from))), to: iso(Math.ceil(edge(to + 1))), event: '' }, { push: true });
	}

	function zoomOut() {
		const { since, until } = bounds();
		const length = until - since;
		state.set({ from: iso(since - length / 2), to: iso(Math.min(now(), until + length / 2)), event: '' }, { push: true });
	}

	const px = (event) => event.clientX - chart.getBoundingClientRect().left;
	chart.addEventListener('pointerdown', (event) => {
		if (!data || event.button !== 0) return;
		drag = { x: px(event), bucket: bucketAt(px(event)) };
		chart.setPointerCapture(event.pointerId);
		event.preventDefault();
	});
	chart.addEventListener('pointermove', (event) => {
		if (!data) return;
		const at = bucketAt(px(event));
		cursor = { from: drag ? drag.bucket : at, to: at };
		mark();
	});
	chart.addEventListener('pointerup', (event) => {
		// A finger that only touches wants to read.
		if (drag && (event.pointerType === 'mouse' || Math.abs(px(event) - drag.x) > 3)) {
			cursor = { from: drag.bucket, to: bucketAt(px(event)) };
			zoom();
		}
		drag = null;
		mark();
	});
	for (const name of ['pointercancel', 'pointerleave', 'blur'])
		chart.addEventListener(name, () => {
			if (name === 'pointercancel') drag = null;
			if (drag) return;
			cursor = null;
			mark();
		});
	chart.addEventListener('keydown', (event) => {
		if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
		const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -data.n, End: data.n }[event.key];
		if (step) {
			const to = cursor ? Math.max(0, Math.min(data.n - 1, cursor.to + step)) : step === -data.n ? 0 : data.n - 1;
			cursor = { from: event.shiftKey && cursor ? cursor.from : to, to };
			mark();
			announce([tip.querySelector('.when'), ...tip.querySelectorAll('tr')].map((node) => [...(node.cells || [node])].map((cell) => cell.textContent).join(' ')).join(', '));
		} else if (event.key === 'Enter' && cursor) zoom();
		else if (event.key === 'Escape' && cursor) {
			cursor = null;
			mark();
		} else return;
		event.preventDefault();
		event.stopPropagation();
	});

	// --- what moves it

	function choices() {
		const names = ['severity', 'app', 'host', 'source', 'status'];
		for (const one of [...state.get().cols, state.get().by]) if (!names.includes(one) && one !== 'message') names.push(one);
		by.replaceChildren(...names.map((one) => el('option', { value: one }, one.length > 24 ? one.slice(0, 24) + '…' : one)));
		by.value = state.get().by;
	}
	listen('search', (one) => load(fresh(one), one.signal));
	listen('resume', ({ signal }) => latest?.left && load(latest, signal));
	state.on('by', () => {
		choices();
		if (search.current) load(fresh(search.current), search.current.signal.aborted ? undefined : search.current.signal);
	});
	state.on(['zone', 'q'], draw);
	state.on('cols', choices);
	new ResizeObserver(() => {
		width = plot.clientWidth;
		draw();
	}).observe(plot);
	choices();

	// While it is live the counts follow, as often as they are cheap.
	const follow = () => setTimeout(() => {
		const { q, live, to, view } = state.get();
		if (live && !to && view === 'events' && document.visibilityState === 'visible' && data && !data.left) {
			const { since, until } = bounds();
			load(fresh({ params: { q, since: iso(since) }, since: iso(since), until: iso(until) }), search.current.signal, true).finally(follow);
		} else follow();
	}, Math.max(4000, (data?.ms || 0) * 10));
	follow();
	return { focus: () => chart.focus(), zoomOut };
}
