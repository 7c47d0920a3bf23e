// Small drawings of numbers over time, with a title and a description for who does not see them.

import { announce, el, shown, svg } from './dom.js';

const drawing = (props, title, told, ...shapes) => svg('svg', { role: 'img', preserveAspectRatio: 'none', ...props }, svg('title', null, title), svg('desc', null, told), shapes);

// A line over an area. points: [milliseconds, number]; null for the number, and more than
// `gap` without one, breaks it. from, to: the time that is drawn; form: number → text.
export function sparkline(points, { label, from, to, form, gap = 15000 }) {
	const top = Math.max(...points.map(([, value]) => value), 0) * 1.1 || 1;
	const runs = [];
	let last = -Infinity;
	for (const [at, value] of points) {
		if (value === null || at < from) continue;
		if (at - last > gap) runs.push([]);
		last = at;
		runs.at(-1).push(`${((at - from) / (to - from) * 100).toFixed(1)},${(31 - value / top * 29).toFixed(1)}`);
	}
	const first = (run) => run[0].split(',')[0];
	const known = points.map(([, value]) => value).filter((value) => value !== null);
	return drawing({ class: 'spark', viewBox: '0 0 100 32' }, label, known.length ? `now ${form(known.at(-1))}, from ${form(Math.min(...known))} to ${form(Math.max(...known))}` : 'not measured yet',
		svg('path', { class: 'area', d: runs.map((run) => `M${first(run)},32L${run.join('L')}V32z`).join('') }),
		svg('path', { class: 'line', d: runs.map((run) => `M${run.join('L')}h.1`).join('') }));
}

// The least of 1, 2, 4, 5 × 10ⁿ (of a power of `base`) that is not less than n.
function round(n, base) {
	const unit = base ** Math.floor(Math.log(n) / Math.log(base));
	const power = 10 ** Math.floor(Math.log10(n / unit));
	return [1, 2, 4, 5, 10].find((step) => step * power >= n / unit) * power * unit;
}

// Stacked bars with axes. series, from the bottom up: {name, values: one for each bar, props: of
// its colour}; names: of the bars, told to who points at one or goes there by arrow keys; axis: its
// texts, evenly spread; form: number → text; base: what its units are powers of.
export function bars({ series, names, axis, label, form, base = 10 }) {
	const n = names.length;
	const under = new Array(n).fill(0);
	const sums = names.map((_, at) => series.reduce((sum, { values }) => sum + (values[at] || 0), 0));
	const most = Math.max(...sums, 0);
	const top = most ? round(most, base) : 1;
	const shapes = series.map(({ values, props }) => svg('path', { class: 'fill', d: values.map((value, at) => {
		if (!value) return '';
		const low = under[at];
		under[at] += value;
		return `M${at + .1},${100 - low / top * 100}V${100 - under[at] / top * 100}h.8V${100 - low / top * 100}z`;
	}).join(''), ...props }));
	const tip = el('div', { class: 'tip', hidden: true });
	const mark = el('div', { class: 'mark', hidden: true });
	let at = -1;
	const point = (next) => {
		at = next;
		tip.hidden = mark.hidden = at < 0;
		if (at < 0) return;
		Object.assign(mark.style, { left: `${at / n * 100}%`, width: `${100 / n}%` });
		const left = at < n / 2;
		Object.assign(tip.style, { left: left ? `${(at + 2) / n * 100}%` : '', right: left ? '' : `${(n - at + 1) / n * 100}%` });
		tip.replaceChildren(el('div', { class: 'when' }, names[at]), el('table', null, series.filter(({ values }) => values[at]).reverse().map(({ name, values, props }) =>
			el('tr', props, el('td', null, el('i', { class: 'swatch' }), shown(name, { oneLine: true })), el('td', { class: 'number' }, form(values[at]))))));
	};
	const plot = el('div', { class: 'area', tabindex: 0, role: 'group', 'aria-label': `${label}; arrow keys go from bar to bar`, on: {
		pointermove(event) {
			const box = plot.getBoundingClientRect();
			point(Math.max(0, Math.min(n - 1, Math.floor((event.clientX - box.left) / box.width * n))));
		},
		pointerleave: () => point(-1),
		blur: () => point(-1),
		keydown(event) {
			const next = { ArrowLeft: at < 0 ? n - 1 : Math.max(0, at - 1), ArrowRight: Math.min(n - 1, at + 1), Home: 0, End: n - 1, Escape: -1 }[event.key];
			if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
			event.preventDefault();
			event.stopPropagation();
			point(next);
			if (at >= 0) announce([names[at], ...[...tip.querySelectorAll('td')].map((cell) => cell.textContent)].join(' ') + (sums[at] ? '' : ' nothing'));
		},
	} },
	drawing({ viewBox: `0 0 ${n} 100` }, label, most ? `most ${form(most)}, ${names[sums.indexOf(most)]}; last ${form(sums.at(-1))}` : 'nothing',
		svg('path', { class: 'grid', d: `M0,50H${n}M0,.3H${n}` }), shapes), mark, tip);
	return el('div', { class: 'stacked' },
		el('div', { class: 'scale', 'aria-hidden': 'true' }, [top, top / 2, 0].map((value) => el('span', null, form(value)))), plot,
		el('div', { class: 'axis', 'aria-hidden': 'true' }, axis.map((text) => el('span', null, text))));
}

// How full something is, 0 … 1.
export function meter(share, label, level) {
	return el('div', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(share * 100), 'data-level': level },
		el('i', { style: { width: `${Math.min(100, share * 100)}%` } }));
}
