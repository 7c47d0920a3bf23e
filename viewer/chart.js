// Small drawings of numbers over time. Each has a title and a description for
// those who do not see it; colours come by classes and the CSSOM.

import { el, svg } from './dom.js';

let ids = 0;

function drawing(props, title, description, ...shapes) {
	const id = 'chart' + ids++;
	return svg('svg', { role: 'img', preserveAspectRatio: 'none', 'aria-labelledby': `${id}t`, 'aria-describedby': `${id}d`, ...props },
		svg('title', { id: `${id}t` }, title), svg('desc', { id: `${id}d` }, description), ...shapes);
}

// A line over an area. points: [milliseconds, number or null]; null, and a gap longer than
// `gap`, breaks the line. from, to: what of the time is drawn; format: number → text.
export function sparkline(points, { label, from, to, gap = 15000, format = String, height = 32 }) {
	const known = points.filter(([at, value]) => value !== null && at >= from);
	const values = known.map(([, value]) => value);
	const top = Math.max(...values, 0) * 1.1 || 1;
	const x = (at) => (((at - from) / (to - from)) * 100).toFixed(2);
	const y = (value) => (height - 1 - (value / top) * (height - 3)).toFixed(2);
	const runs = [];
	let last = -Infinity;
	for (const [at, value] of points) {
		if (at < from) continue;
		if (value === null) {
			last = -Infinity;
			continue;
		}
		if (at - last > gap) runs.push([]);
		runs.at(-1).push([at, value]);
		last = at;
	}
	const line = runs.map((run) => 'M' + run.map(([at, value]) => `${x(at)},${y(value)}`).join('L') + (run.length === 1 ? 'h.5' : '')).join('');
	const area = runs.filter((run) => run.length > 1)
		.map((run) => `M${x(run[0][0])},${height}L${run.map(([at, value]) => `${x(at)},${y(value)}`).join('L')}L${x(run.at(-1)[0])},${height}z`).join('');
	const told = values.length ? `now ${format(values.at(-1))}, between ${format(Math.min(...values))} and ${format(Math.max(...values))}` : 'nothing measured yet';
	return drawing({ class: 'sparkline', viewBox: `0 0 100 ${height}` }, label, told,
		svg('path', { class: 'area', d: area }), svg('path', { class: 'line', d: line }));
}

// The least of 1, 2, 5 times a power of ten that is not less than n.
function round(n) {
	const power = 10 ** Math.floor(Math.log10(n));
	return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= n * 0.9999);
}

// Stacked bars with axes. series, from the bottom up: {name, values: [one for each bar],
// props: of its path, e.g. {'data-sev'}}; names: of the bars, for whoever points at one, or
// moves over them by the arrow keys; axis: [[place of 0 … 1, text]]; format: number → text.
export function bars({ series, names, axis, label, format, wait = false }) {
	const count = names.length;
	const sums = names.map((_, at) => series.reduce((sum, { values }) => sum + (values[at] || 0), 0));
	const most = Math.max(...sums, 0);
	const top = most > 0 ? round(most / 2) * 2 : 1;
	const under = new Array(count).fill(0);
	const gap = count > 40 ? 0.12 : 0.2;
	const shapes = series.map(({ values, props }) => {
		let path = '';
		values.forEach((value, at) => {
			if (!value) return;
			const low = 100 - (under[at] / top) * 100;
			under[at] += value;
			const high = 100 - (under[at] / top) * 100;
			path += `M${at + gap / 2},${low.toFixed(3)}V${high.toFixed(3)}h${(1 - gap).toFixed(2)}V${low.toFixed(3)}z`;
		});
		return svg('path', { class: 'bar-fill', d: path, ...props });
	});
	const peak = sums.indexOf(most);
	const told = wait ? 'being counted' : most > 0 ? `highest ${format(most)}, ${names[peak]}; last ${format(sums.at(-1))}` : 'nothing in this time';
	const tip = el('div', { class: 'tip', role: 'status', hidden: true });
	const cursor = el('div', { class: 'cursor', hidden: true });
	let at = -1;
	const point = (next) => {
		at = next;
		tip.hidden = cursor.hidden = at < 0;
		if (at < 0) return;
		const place = (at + 0.5) / count;
		cursor.style.insetInlineStart = `${(at / count) * 100}%`;
		cursor.style.width = `${100 / count}%`;
		tip.style[place < 0.5 ? 'insetInlineStart' : 'insetInlineEnd'] = `${(place < 0.5 ? place : 1 - place) * 100 + 2}%`;
		tip.style[place < 0.5 ? 'insetInlineEnd' : 'insetInlineStart'] = 'auto';
		const rows = series.filter(({ values }) => values[at]).reverse();
		tip.replaceChildren(el('div', { class: 'muted' }, names[at]), ...(rows.length
			? rows.map(({ name, values, props }) => el('div', { class: 'row' }, el('i', { class: 'swatch', ...props }), el('span', null, name), el('b', null, format(values[at]))))
			: [el('div', null, 'nothing')]));
	};
	const plot = el('div', { class: 'plot', tabindex: '0', role: 'group', 'aria-label': `${label}: bars, by the arrow keys`, on: {
		pointermove(event) {
			const box = plot.getBoundingClientRect();
			point(Math.max(0, Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count))));
		},
		pointerleave: () => point(-1),
		blur: () => point(-1),
		keydown(event) {
			const next = { ArrowLeft: at < 0 ? count - 1 : Math.max(0, at - 1), ArrowRight: Math.min(count - 1, at + 1), Home: 0, End: count - 1, Escape: -1 }[event.key];
			if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
			event.preventDefault();
			event.stopPropagation();
			point(next);
		},
	} },
	drawing({ viewBox: `0 0 ${count} 100` }, label, told, svg('path', { class: 'grid', d: `M0,50H${count}M0,0.2H${count}` }), ...shapes), cursor, tip);
	return el('div', { class: 'bars' },
		el('div', { class: 'scale', 'aria-hidden': 'true' }, el('span', null, format(top)), el('span', null, format(top / 2)), el('span', null, '0')),
		plot,
		el('div', { class: 'axis', 'aria-hidden': 'true' }, axis.map(([place, text]) => el('span', { style: { 'inset-inline-start': `${place * 100}%` } }, text))));
}

// How full something is. share: 0 … 1.
export function meter(share, label, level) {
	const bar = el('div', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(share * 100)), dataset: level ? { level } : {} }, el('i'));
	bar.firstChild.style.width = `${Math.min(100, share * 100)}%`;
	return bar;
}
