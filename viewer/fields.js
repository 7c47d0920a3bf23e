// The sidebar: fields that the found events have, how many of them have each, and on opening its
// most frequent values. A click is a filter; with Alt, or by minus, its contrary.

import { aborted, get } from './api.js';
import { has, known, toggle as toggleColumn } from './columns.js';
import { button, el, shown } from './dom.js';
import { compact, percent } from './format.js';
import { addFilter, hasFilter } from './query.js';
import { listen, state } from './state.js';

const FIRST = ['severity', 'app', 'host']; // open from the beginning
const VALUES = 10;
const MOST = 100; // fields that are drawn at once; the box above finds the others

const opened = new Set(FIRST);

export function mount(container) {
	const filter = el('input', { type: 'search', placeholder: 'Find a field', 'aria-label': 'Find a field', spellcheck: 'false', on: { input: draw } });
	const list = el('div', { class: 'fields' });
	let fields = [];
	let search = null;
	let tops = new Map(); // name → promise of its top values

	container.append(el('div', { class: 'find' }, filter), list);

	async function begin(started) {
		search = started;
		tops = new Map();
		try {
			const answer = await get('fields', started.params, { signal: started.signal });
			if (search !== started) return;
			// An event's own "app" is in nearly every log the column app, which is there already.
			const names = new Set(answer.fields.map(({ name }) => name));
			fields = answer.fields.filter(({ name }) => !names.has(/^(?:@json\.|")(\w+)"?$/.exec(name)?.[1]));
			for (const { name } of fields) known.add(name);
		} catch (error) {
			if (aborted(error)) return;
			fields = [];
		}
		draw();
	}

	function draw() {
		const text = filter.value.trim().toLowerCase();
		const found = fields.filter(({ name }) => name.toLowerCase().includes(text));
		const rank = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
		found.sort((a, b) => rank(a) - rank(b)); // the rest as they came: those of most events first
		list.replaceChildren(...found.slice(0, MOST).map(field),
			found.length > MOST ? el('p', { class: 'hint' }, `${compact(found.length - MOST)} more; the box above finds them`) : '',
			found.length ? '' : el('p', { class: 'hint' }, text ? 'No field of this name' : 'No fields'));
	}

	function field({ name, share, example, type }) {
		const values = el('div', { class: 'values' });
		const isOpen = () => opened.has(name);
		const opener = el('button', { type: 'button', class: 'field', title: `${type}, in ${percent(share)} of the last events, as ` + shown(String(example).slice(0, 100), { oneLine: true }).textContent, on: { click() {
			if (isOpen()) opened.delete(name);
			else opened.add(name);
			show();
		} } }, shown(name, { oneLine: true }), el('span', { class: 'share' }, percent(share)));
		const column = button('Column of the list', { icon: has(name) ? 'check' : 'plus', class: 'plain small', 'aria-label': `Column of the list: ${name}`, 'aria-pressed': String(has(name)), on: { click: () => toggleColumn(name) } });
		const show = () => {
			opener.setAttribute('aria-expanded', String(isOpen()));
			values.replaceChildren();
			if (isOpen()) top(name, values);
		};
		show();
		return el('section', { dataset: { field: name } }, el('div', { class: 'line' }, opener, column), values);
	}

	async function top(name, box) {
		const mine = search;
		if (!tops.has(name)) tops.set(name, get('top', { ...mine.params, field: name, n: VALUES }, { signal: mine.signal }));
		try {
			const { values, complete } = await tops.get(name);
			box.replaceChildren(...values.map((each) => value(name, each)),
				values.length ? '' : el('p', { class: 'hint' }, 'No values'),
				complete || !values.length ? '' : el('p', { class: 'hint' }, 'Of a part of the time'));
		} catch (error) {
			tops.delete(name);
			if (!aborted(error)) box.replaceChildren(el('p', { class: 'hint' }, error.message));
		}
	}

	function value(name, { value: text, count, share }) {
		const what = text === null ? el('i', null, 'none') : shown(text === '' ? '""' : text.slice(0, 200), { oneLine: true });
		const [is, not] = [false, true].map((exclude) => hasFilter(name, text, exclude));
		return el('div', { class: 'value-line' },
			el('button', { type: 'button', class: 'of' + (is ? ' is' : not ? ' not' : ''), title: 'Only these; with Alt: not these', 'aria-pressed': String(is), dataset: name === 'severity' ? { sev: text || 'none' } : {}, style: { '--share': share * 100 + '%' }, on: { click: ({ altKey }) => addFilter(name, text, altKey) } },
				what, el('span', { class: 'share', title: percent(share || 1e-9) }, compact(count))),
			button('Not these', { icon: 'minus', class: 'plain small', 'aria-label': `Not these: ${(text ?? 'none').slice(0, 200)}`, 'aria-pressed': String(not), on: { click: () => addFilter(name, text, true) } }));
	}

	listen('search', begin);
	state.on('cols', draw);
}
