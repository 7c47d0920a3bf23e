// Small drawings of numbers over time, with a title and a description for who does not see them.

import { el, svg } from './dom.js';

const drawing = (box, title, told, ...shapes) => svg('svg', { class: 'chart-of', role: 'img', preserveAspectRatio: 'none', viewBox: box }, svg('title', null, title), svg('desc', null, told), shapes);

// A line over an area. points: [milliseconds, number], null where it is not known; from, to: the
// time that is drawn; form: number → text.
export function sparkline(points, { label, from, to, form }) {
	const known = points.map(([, value]) => value).filter((value) => value !== null);
	const top = Math.max(...known, 0) * 1.1 || 1;
	const runs = [[]];
	for (const [at, value] of points)
		if (value === null) runs.push([]);
		else runs.at(-1).push(`${((at - from) / (to - from) * 100).toFixed(1)},${(31 - value / top * 29).toFixed(1)}`);
	const lines = runs.filter((run) => run.length);
	return drawing('0 0 100 32', label, known.length ? `now ${form(known.at(-1))}, from ${form(Math.min(...known))} to ${form(Math.max(...known))}` : 'not measured yet',
		svg('path', { class: 'area', d: lines.map((run) => `M${run[0].split(',')[0]},32L${run.join('L')}V32z`).join('') }),
		svg('path', { class: 'line', d: lines.map((run) => `M${run.join('L')}h.1`).join('') }));
}

// Stacked bars with axes. series, from the bottom up: {name, values: one for each bar, props: of its
// colour}; names: of the bars; axis: texts, evenly spread; form: number → text.
export function bars({ series, names, axis, label, form }) {
	const n = names.length;
	const under = new Array(n).fill(0);
	const sums = names.map((_, at) => series.reduce((sum, { values }) => sum + values[at], 0));
	const most = Math.max(...sums);
	const power = 10 ** Math.floor(Math.log10(most || 1));
	const top = [1, 2, 4, 5, 10].find((step) => step * power >= most) * power;
	const shapes = series.map(({ values, props }) => svg('path', { ...props, class: 'bar-of', d: values.map((value, at) => {
		const low = 100 - under[at] / top * 100;
		under[at] += value;
		return value ? `M${at + .1},${low}V${100 - under[at] / top * 100}h.8V${low}z` : '';
	}).join('') }));
	// What is told of a bar to who points at it.
	const told = names.map((name, at) => svg('rect', { x: at, width: 1, height: 100 }, svg('title', null,
		[name, ...series.filter(({ values }) => values[at]).reverse().map((one) => `${one.name}: ${form(one.values[at])}`)].join('\n'))));
	return el('div', { class: 'stacked' },
		el('div', { class: 'scale', 'aria-hidden': 'true' }, [top, top / 2, 0].map((value) => el('span', null, form(value)))),
		drawing(`0 0 ${n} 100`, label, most ? `most ${form(most)}, ${names[sums.indexOf(most)]}; last ${form(sums.at(-1))}` : 'nothing',
			svg('path', { class: 'grid', d: `M0,50H${n}M0,.3H${n}M0,99.7H${n}` }), shapes, told),
		el('div', { class: 'axis', 'aria-hidden': 'true' }, axis.map((text) => el('span', null, text))));
}
