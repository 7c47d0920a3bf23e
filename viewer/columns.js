// Columns of the list: names of fields and what an event has of them, how wide they are,
// the list's head, where they are resized and removed, and the menu that adds and moves them.

import { el, button, shown } from './dom.js';
import { textOf } from './json.js';
import { COLUMNS, quoted } from './query.js';
import { state } from './state.js';

const WIDTHS = new Map([['severity', 76], ['app', 112], ['host', 140], ['id', 280], ['ip', 128], ['status', 64], ['message', 320]]);
const KEY = 'windtrap.widths';

// Names of fields that were seen, for completion; fields.js fills it.
export const known = new Set();

const part = (name) => (/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(name) ? name : quoted(name));

// The name by which searches know what stands at a path (a list of names) of the event ('json')
// or of what is around it ('envelope'); null where they know none: in arrays, too deep.
export function nameOf(path, root = 'json') {
	if (!path.length || path.length > 15 || path.some((name) => typeof name !== 'string')) return null;
	if (root === 'json' && path.length === 1 && COLUMNS.includes(path[0])) return quoted(path[0]);
	return (root === 'json' ? '' : '@') + path.map(part).join('.');
}

// The reverse: { column } or { root, path }.
function readName(name) {
	if (COLUMNS.includes(name)) return { column: name };
	const path = [];
	for (const [, inQuotes, bare] of name.replace(/^@/, '').matchAll(/"((?:[^"\\]|\\.)*)"|([^".]+)/gs))
		path.push(bare ?? inQuotes.replace(/\\(["\\])/g, '$1'));
	return { root: name.startsWith('@') ? 'envelope' : 'json', path };
}

// What an event has of a field, as text; null: nothing; undefined: `data` would tell, but is not here.
export function valueOf(event, name) {
	const { column, root, path } = readName(name);
	if (column) return event[column] === null || event[column] === undefined ? null : String(event[column]);
	if (event.columns && Object.hasOwn(event.columns, name)) return event.columns[name];
	if (event.data === undefined) return undefined;
	let value = root === 'json' ? event.data?.json ?? null : event.data;
	for (const part of path) {
		if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, part)) return null;
		value = value[part];
	}
	return textOf(value).slice(0, 1000);
}

// The columns that searches are asked for: those that stand in no other member of an event, and
// whose names are plain. What is not asked for is found in `data`.
export const asked = () => state.get().cols.filter((name) => !COLUMNS.includes(name) && /^@?[\p{L}_][\p{L}\p{N}_-]*(\.[\p{L}_][\p{L}\p{N}_-]*){0,14}$/u.test(name)).join(',');

export const has = (name) => state.get().cols.includes(name);

// Adds a column before the message, which takes what is left of the width; or removes it.
export function toggle(name) {
	const { cols } = state.get();
	if (cols.includes(name)) return state.set({ cols: cols.filter((other) => other !== name) });
	const at = cols.at(-1) === 'message' ? cols.length - 1 : cols.length;
	state.set({ cols: cols.toSpliced(at, 0, name) });
}

function move(name, to) {
	const cols = state.get().cols.filter((other) => other !== name);
	cols.splice(Math.max(0, Math.min(cols.length, to)), 0, name);
	state.set({ cols });
}

let widths = new Map();
try {
	widths = new Map(JSON.parse(localStorage.getItem(KEY)));
} catch { /* as if none had been kept */ }

const widthOf = (name) => widths.get(name) || WIDTHS.get(name) || 140;

// Lays out the columns of `grid`, beside those of time and severity; the message, else the last one, takes the rest.
export function lay(grid) {
	const { cols } = state.get();
	const wide = cols.includes('message') ? 'message' : cols.at(-1);
	const least = (name) => (name === wide ? Math.max(widths.get(name) || 0, 200) : widthOf(name));
	grid.style.setProperty('--columns', cols.map((name) => (name === wide ? `minmax(${least(name)}px, 1fr)` : least(name) + 'px')).join(' '));
	grid.style.setProperty('--least', cols.reduce((sum, name) => sum + least(name), 0) + 'px');
}

function resize(name, width, grid) {
	widths.set(name, Math.round(Math.max(40, Math.min(1600, width))));
	lay(grid);
}

function keep() {
	try {
		localStorage.setItem(KEY, JSON.stringify([...widths].slice(-100)));
	} catch { /* kept by this page alone */ }
}

function head(name, grid) {
	const cell = el('div', { role: 'columnheader', class: 'cell head' }, shown(name), button('Remove the column', { icon: 'close', class: 'plain remove', on: { click: () => toggle(name) } }));
	cell.append(el('span', { class: 'grip', on: { pointerdown(event) {
		const grip = event.target;
		const from = event.clientX - cell.offsetWidth;
		event.preventDefault();
		grip.setPointerCapture(event.pointerId);
		grip.onpointermove = ({ clientX }) => resize(name, clientX - from, grid);
		grip.onlostpointercapture = () => {
			grip.onpointermove = null;
			keep();
		};
	} } }));
	return cell;
}

// The list's head: time, then each column.
export function heads(grid) {
	return [el('div', { role: 'columnheader', class: 'cell head time' }, 'Time'), ...state.get().cols.map((name) => head(name, grid))];
}

// What the button of columns opens: which there are, and in which order; a field to add one.
function chooser() {
	const input = el('input', { type: 'text', list: 'known-fields', placeholder: 'Add a field …', 'aria-label': 'Field to add as a column', spellcheck: 'false', autocomplete: 'off' });
	const list = el('div');
	const draw = () => {
		const { cols } = state.get();
		list.replaceChildren(...[...new Set([...cols, ...COLUMNS])].map((name) => el('div', { class: 'line' },
			el('label', null, el('input', { type: 'checkbox', checked: cols.includes(name), on: { change: () => change(() => toggle(name)) } }), shown(name)),
			cols.includes(name) && [['left', -1], ['right', 1]].map(([way, by]) => button(`Move ${name} to the ${way}`, { icon: way, class: 'plain small', on: { click: () => change(() => move(name, cols.indexOf(name) + by)) } })))));
	};
	const change = (fn) => {
		fn();
		draw();
	};
	draw();
	return el('form', { class: 'chooser', on: { submit(event) {
		event.preventDefault();
		const name = input.value.trim();
		if (name && !has(name)) change(() => toggle(name));
		input.value = '';
	} } }, input, el('datalist', { id: 'known-fields' }, [...known].slice(0, 300).map((name) => el('option', { value: name }))), list);
}

// The buttons: lines wrapped or not, which columns.
export function mount(container) {
	const wrap = button('Wrap long lines', { icon: 'wrap', class: 'plain', on: { click: () => state.set({ wrap: !state.get().wrap }) } });
	const show = () => wrap.setAttribute('aria-pressed', String(state.get().wrap));
	const opener = button('Columns', { icon: 'columns', class: 'plain', popovertarget: 'chooser' });
	const box = el('div', { id: 'chooser', popover: 'auto', class: 'popup chooser-box', on: { beforetoggle({ newState }) {
		if (newState !== 'open') return;
		const { right, bottom } = opener.getBoundingClientRect();
		Object.assign(box.style, { top: bottom + 4 + 'px', left: 'auto', right: Math.max(8, innerWidth - Math.max(right, 264)) + 'px' });
		box.replaceChildren(chooser());
	} } });
	show();
	container.append(wrap, opener, box);
	state.on('wrap', show);
}
