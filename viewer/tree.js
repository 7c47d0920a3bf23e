// JSON as a tree that is made as it is opened: 200 members at a time, long texts cut, so that
// 10,000 keys, 500 levels and texts of megabytes stay usable. Rows are siblings, however deep they
// stand, and one set of buttons follows the pointer or the focus from row to row.

import { has, nameOf, toggle as toggleColumn } from './columns.js';
import { button, copyBy, el, shown } from './dom.js';
import { bytes, number, plural } from './format.js';
import { textOf, typeOf } from './json.js';
import { addFilter, quoted } from './query.js';
import { state } from './state.js';

const CHUNK = 200;
const CUT = 600; // characters of a text that are shown at first
const MORE = 100000; // and at each click
const OPEN = 150; // rows that are opened from the beginning
const LONGEST = 1000; // of a value that a search can be for

const isOpenable = (value) => ['object', 'array'].includes(typeOf(value)) && Object.keys(value).length > 0;

// Where a text can be cut without parting what belongs together.
const cutAt = (text, at) => (at < text.length && /[\udc00-\udfff]/.test(text[at]) ? at - 1 : at);

export function longText(text) {
	const box = el('span', { class: 'text' });
	let at = 0;
	const grow = (by) => {
		const to = cutAt(text, Math.min(text.length, at + by));
		box.append(shown(text.slice(at, to)));
		at = to;
		if (at >= text.length) return;
		const rest = text.length - at;
		const label = rest <= MORE ? `show all (${bytes(text.length)})` : `show ${bytes(MORE)} more of ${bytes(rest)}`;
		box.append('… ', button(label, { text: label, class: 'link', on: { click(event) {
			event.stopPropagation();
			event.currentTarget.previousSibling.remove();
			event.currentTarget.remove();
			grow(MORE);
		} } }));
	};
	grow(CUT);
	return box;
}

function preview(value) {
	const list = Array.isArray(value);
	const all = Object.keys(value);
	if (!all.length) return el('span', { class: 'muted' }, list ? '[ ]' : '{ }');
	const names = list ? '' : all.slice(0, 4).map((name) => (name.length > 20 ? name.slice(0, cutAt(name, 19)) + '…' : name)).join(', ') + (all.length > 4 ? ', …' : '');
	return el('span', { class: 'muted preview' }, list ? `[ ${plural(all.length, 'value')} ]` : ['{ ', shown(names, { oneLine: true }), all.length > 4 ? ` } ${number(all.length)}` : ' }']);
}

function drawValue(value) {
	const type = typeOf(value);
	if (type === 'object' || type === 'array') return preview(value);
	if (type === 'string') return el('span', { class: 'value string' }, longText(value));
	return el('span', { class: 'value ' + type }, textOf(value));
}

// A tree of `value`. root: 'json', what a service sent; 'envelope', what is around it; 'columns'.
export function tree(value, { root = 'json', label = 'The event' } = {}) {
	const box = el('div', { class: 'tree', role: 'tree', 'aria-label': label });
	const nodes = new Map(); // row → { value, path, depth, open }
	const tools = el('span', { class: 'tools' });
	let focused = null;

	function row(name, child, path, depth) {
		const openable = isOpenable(child);
		const element = el('div', { role: 'treeitem', class: 'node' + (openable ? ' openable' : ''), tabindex: -1, 'aria-level': depth + 1, 'aria-expanded': openable ? 'false' : null, style: { '--depth': Math.min(depth, 16) } },
			depth > 16 && el('span', { class: 'muted' }, depth + ' '),
			name !== null && [el('span', { class: typeof name === 'number' ? 'index' : 'key' }, shown(String(name).length > 300 ? String(name).slice(0, cutAt(name, 300)) + '…' : String(name), { oneLine: true })), el('span', { class: 'muted' }, ': ')],
			drawValue(child));
		nodes.set(element, { value: child, path, depth, open: false });
		return element;
	}

	function* children({ value: of, path, depth }) {
		if (Array.isArray(of)) for (let i = 0; i < of.length; i++) yield row(i, of[i], [...path, i], depth);
		else for (const name of Object.keys(of)) yield row(name, of[name], [...path, name], depth);
	}

	function open(element) {
		const node = nodes.get(element);
		if (node.open || !isOpenable(node.value)) return [];
		node.open = true;
		element.setAttribute('aria-expanded', 'true');
		return more(element, children({ ...node, depth: node.depth + 1 }), Object.keys(node.value).length);
	}

	// The next members behind `after`, and a row that brings those after them.
	function more(after, rest, left) {
		const depth = nodes.get(after)?.depth + (nodes.get(after)?.open ? 1 : 0);
		const made = [];
		for (let i = Math.min(CHUNK, left); i > 0; i--) made.push(rest.next().value);
		if (left > CHUNK) {
			const text = `${number(Math.min(CHUNK, left - CHUNK))} more of ${number(left - CHUNK)}`;
			const again = () => {
				const found = more(last, rest, left - CHUNK);
				nodes.delete(last);
				last.remove();
				focus(found[0]);
			};
			const last = el('div', { role: 'treeitem', class: 'node', tabindex: -1, 'aria-level': depth + 1, style: { '--depth': Math.min(depth, 16) } },
				button(text, { text, class: 'link', tabindex: -1, on: { click: again } }));
			nodes.set(last, { depth, again });
			made.push(last);
		}
		after.after(...made);
		return made;
	}

	function close(element) {
		const node = nodes.get(element);
		node.open = false;
		element.setAttribute('aria-expanded', 'false');
		for (let next = element.nextSibling; next && nodes.get(next).depth > node.depth; next = element.nextSibling) {
			nodes.delete(next);
			next.remove();
		}
	}

	const flip = (element) => (nodes.get(element).open ? close(element) : open(element));

	function focus(element) {
		if (!element) return;
		if (focused) focused.tabIndex = -1;
		focused = element;
		focused.tabIndex = 0;
		focused.focus();
	}

	function filter({ value: of, path }, exclude) {
		const name = root === 'columns' ? path[0] : nameOf(path, root);
		if (name === null && isOpenable(of)) return;
		// In arrays nothing has a name: the value is searched for as a phrase.
		if (name === null) {
			const phrase = (exclude ? '-' : '') + quoted(textOf(of));
			state.set({ q: (state.get().q + ' ' + phrase).trim() }, { push: true });
		} else if (isOpenable(of)) addFilter(name, null, !exclude);
		else addFilter(name, textOf(of), exclude);
	}

	function actions(element) {
		const node = nodes.get(element);
		if (!node?.path || tools.parentNode === element) return;
		const name = root === 'columns' ? node.path[0] ?? null : nameOf(node.path, root);
		const whole = isOpenable(node.value);
		const text = whole ? '' : textOf(node.value);
		const searched = whole ? name !== null : text.length <= LONGEST && (name !== null || text.length > 0);
		const tool = (what, icon, act) => button(what, { icon, class: 'plain small', tabindex: element.tabIndex, on: { click(event) {
			event.stopPropagation();
			act(event.currentTarget);
		} } });
		tools.replaceChildren(...[
			searched && tool(whole ? 'Only events with this field' : 'Only these', 'plus', () => filter(node, false)),
			searched && tool(whole ? 'Only events without this field' : 'Not these', 'minus', () => filter(node, true)),
			name !== null && tool(has(name) ? 'Remove the column' : 'Add as column', 'columns', () => {
				toggleColumn(name);
				tools.remove();
				actions(element);
			}),
			tool('Copy', 'copy', (pressed) => copyBy(pressed, whole ? JSON.stringify(node.value, null, 2) : text)),
		].filter(Boolean));
		element.append(tools);
	}

	const nodeOf = (target) => target.closest?.('.node');
	box.addEventListener('pointerover', ({ target }) => nodeOf(target) && actions(nodeOf(target)));
	box.addEventListener('focusin', ({ target }) => nodeOf(target) && actions(nodeOf(target)));
	box.addEventListener('click', ({ target }) => {
		const element = nodeOf(target);
		if (!element || target.closest('button')) return;
		if (nodes.get(element).value !== undefined && isOpenable(nodes.get(element).value) && !String(getSelection())) flip(element);
		focus(element);
	});
	box.addEventListener('keydown', (event) => {
		const element = event.target;
		const node = nodes.get(element);
		if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
		const openable = node.value !== undefined && isOpenable(node.value);
		const parent = () => {
			let before = element.previousSibling;
			while (before && nodes.get(before).depth >= node.depth) before = before.previousSibling;
			return before;
		};
		switch (event.key) {
		case 'ArrowDown': focus(element.nextSibling); break;
		case 'ArrowUp': focus(element.previousSibling); break;
		case 'ArrowRight': if (openable && !node.open) open(element); else if (openable) focus(element.nextSibling); break;
		case 'ArrowLeft': if (node.open) close(element); else focus(parent()); break;
		case 'Home': focus(box.firstChild); break;
		case 'End': focus(box.lastChild); break;
		case 'Enter': case ' ': if (node.again) node.again(); else if (openable) flip(element); break;
		default: return;
		}
		event.preventDefault();
		event.stopPropagation();
	});

	// Opened from the beginning, level by level: what is small enough.
	if (isOpenable(value)) {
		const top = { value, path: [], depth: 0, open: true };
		const start = el('div');
		nodes.set(start, { ...top, depth: -1 });
		box.append(start);
		let level = more(start, children(top), Object.keys(value).length);
		nodes.delete(start);
		start.remove();
		for (let depth = 0, rows = level.length; depth < 3 && level.length; depth++)
			level = level.flatMap((element) => {
				const of = nodes.get(element).value;
				if (of === undefined || !isOpenable(of) || rows + Object.keys(of).length > OPEN) return [];
				rows += Object.keys(of).length;
				return open(element);
			});
	} else box.append(row(null, value, [], 0));
	focused = box.firstChild;
	focused.tabIndex = 0;
	return box;
}
