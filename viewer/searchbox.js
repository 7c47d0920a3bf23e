// Where the query is typed: completion of fields and values, what was searched
// before, and what is wrong beneath the word at fault.

import { ApiError, aborted, get } from './api.js';
import { known as seen } from './columns.js';
import { button, el, icon, shown } from './dom.js';
import { percent, sentence } from './format.js';
import { COLUMNS, SEVERITIES, quote, wordAt } from './query.js';
import { run } from './search.js';
import { listen, state } from './state.js';
import { bounds, iso } from './time.js';

const HISTORY = 'windtrap.history';

let known = [];
try {
	known = JSON.parse(localStorage.getItem(HISTORY) || '[]').filter((q) => typeof q === 'string');
} catch { /* a store that cannot be read is as an empty one */ }

function remember(q) {
	if (!q.trim()) return;
	known = [q, ...known.filter((other) => other !== q)].slice(0, 50);
	try {
		localStorage.setItem(HISTORY, JSON.stringify(known));
	} catch { /* full or forbidden: it is kept as long as the page */ }
}

export function mount(container) {
	const mirror = el('div', { class: 'mirror', 'aria-hidden': 'true' });
	const input = el('textarea', {
		id: 'query', rows: 1, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off', placeholder: 'Search: timeout app:shop severity:>=error',
		role: 'combobox', 'aria-label': 'Search', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': 'suggestions', 'aria-describedby': 'wrong', value: state.get().q,
	});
	const list = el('ul', { id: 'suggestions', class: 'popup', role: 'listbox', 'aria-label': 'Suggestions', hidden: true });
	const wrong = el('p', { id: 'wrong', class: 'wrong', role: 'alert' });
	const clear = button('Clear the search', { icon: 'close', class: 'plain small', on: { click() {
		input.value = '';
		submit();
		input.focus();
	} } });
	const hint = el('kbd', { 'aria-hidden': 'true' }, '/');
	const box = el('div', { class: 'searchbox' }, icon('search'), el('div', { class: 'typing' }, mirror, input), clear, hint);
	container.append(box, list, wrong);

	let items = [];
	let active = -1;
	let typed = 0; // counts what was typed, so that a late answer is known for one
	let fault = null;
	let asked = null;
	const answers = new Map();

	function draw() {
		const q = input.value;
		mirror.replaceChildren();
		if (fault && fault.q === q) {
			mirror.append(q.slice(0, fault.from), el('span', { class: 'fault' }, q.slice(fault.from, fault.to) || '\u00a0'), q.slice(fault.to));
			wrong.textContent = fault.said;
			input.setAttribute('aria-invalid', 'true');
		} else {
			mirror.append(q);
			wrong.textContent = '';
			input.removeAttribute('aria-invalid');
		}
		mirror.append('\u200b');
		clear.hidden = !q;
		hint.hidden = !!q;
	}

	// What the collector says of a query; position in characters from 1.
	function complain(error, q) {
		let from = Array.from(q).slice(0, error.position - 1).join('').length;
		const rest = /^(?:"(?:[^"\\]|\\.)*"?|\\.|[^\s()])+/.exec(q.slice(from));
		let to = from + (rest ? rest[0].length : from < q.length ? 1 : 0);
		if (from >= q.length && q.length) {
			const last = /\S+\s*$/.exec(q);
			from = last ? last.index : 0;
			to = q.length;
		}
		fault = { q, from, to, said: sentence(error.message) };
		draw();
	}

	function submit() {
		close();
		const q = input.value.trim();
		remember(q);
		if (q === state.get().q) run();
		else state.set({ q, event: '' }, { push: true });
	}

	function close() {
		typed++;
		asked?.abort();
		items = [];
		active = -1;
		list.hidden = true;
		input.setAttribute('aria-expanded', 'false');
		input.removeAttribute('aria-activedescendant');
	}

	function show(found, title) {
		items = found;
		active = -1;
		list.hidden = !items.length;
		input.setAttribute('aria-expanded', String(!list.hidden));
		input.removeAttribute('aria-activedescendant');
		list.replaceChildren(el('li', { class: 'title', role: 'presentation' }, title), ...items.map((item, i) => el('li', {
			class: 'item', role: 'option', id: 'suggestion-' + i, 'aria-selected': 'false',
			on: { mousedown: (event) => event.preventDefault(), click: () => take(i) },
		}, shown(item.label, { oneLine: true }), item.note && el('span', { class: 'muted' }, item.note))));
	}

	function select(i) {
		list.children[active + 1]?.setAttribute('aria-selected', 'false');
		active = (i + items.length + 1) % (items.length + 1);
		if (active === items.length) active = -1;
		const row = active < 0 ? null : list.children[active + 1];
		row?.setAttribute('aria-selected', 'true');
		row?.scrollIntoView({ block: 'nearest' });
		if (row) input.setAttribute('aria-activedescendant', row.id);
		else input.removeAttribute('aria-activedescendant');
	}

	function take(i) {
		const { text, from, to, more, run: whole } = items[i];
		input.setRangeText(text, from, to, 'end');
		close();
		draw();
		input.focus();
		if (more) suggest();
		else if (whole) submit();
	}

	async function ask(params) {
		const key = params.field + '\n' + params.q;
		if (!answers.has(key)) {
			asked?.abort();
			asked = new AbortController();
			const { since, until } = bounds();
			if (answers.size > 100) answers.clear();
			// Kept by the minute: what is suggested need not be of the last second.
			answers.set(key, get('top', { ...params, n: 12, since: iso(since), until: iso(until) }, { signal: asked.signal }));
			answers.get(key).catch(() => answers.delete(key));
			setTimeout(() => answers.delete(key), 60000);
		}
		return answers.get(key);
	}

	async function suggest() {
		const mine = ++typed;
		const q = input.value;
		const caret = input.selectionStart;
		if (!q.trim()) {
			show(known.slice(0, 8).map((text) => ({ text, label: text, from: 0, to: q.length, run: true })), 'Searched before');
			return;
		}
		const word = wordAt(q, caret);
		if (word.field === null && !word.text) return close();
		if (word.text.startsWith('~')) return close();
		try {
			const found = word.field === null ? fields(word) : await values(word, q);
			if (mine !== typed || document.activeElement !== input) return;
			show(found.slice(0, 12), word.field === null ? 'Fields' : 'Values of ' + word.field);
		} catch (error) {
			if (!(error instanceof ApiError) && !aborted(error)) throw error;
			if (mine === typed) close();
		}
	}

	// The columns, and what the sidebar has seen in the events found.
	function fields(word) {
		const wanted = word.text.toLowerCase();
		return [...new Set([...COLUMNS, ...seen])]
			.filter((name) => name.toLowerCase().includes(wanted) && name.toLowerCase() !== wanted)
			.sort((a, b) => b.toLowerCase().startsWith(wanted) - a.toLowerCase().startsWith(wanted))
			.map((name) => ({ text: name + ':', label: name, from: word.from, to: word.to, more: true }));
	}

	async function values(word, q) {
		const begin = word.text.replace(/^"|"$|\*$/g, '').replace(/\\(.)/g, '$1');
		const item = (value, note) => ({ text: quote(value) + (q[word.to] === ' ' ? '' : ' '), label: quote(value), note, from: word.from, to: word.to });
		const fits = (value) => value.toLowerCase().startsWith(begin.toLowerCase()) && value !== begin;
		if (word.field === 'severity') return SEVERITIES.filter(fits).map((value) => item(value));
		const rest = (q.slice(0, word.from).replace(/\S+$/, '') + q.slice(word.to)).trim();
		const top = (base) => ask({ field: word.field, q: [base, /^[^\s()"*\\<>~]+$/.test(begin) && word.field + ':' + begin + '*'].filter(Boolean).join(' ') });
		// What stands beside may not be a query yet.
		const found = await (/\bOR\b|[()]/.test(rest) ? top('') : top(rest).catch((error) => (aborted(error) ? Promise.reject(error) : top(''))));
		// The share is rounded: one of 0 is that of some.
		return found.values.filter(({ value }) => value !== null && value.length <= 200 && fits(value)).map(({ value, share }) => item(value, percent(share || 1e-9)));
	}

	let timer;
	input.addEventListener('input', () => {
		draw();
		clearTimeout(timer);
		timer = setTimeout(suggest, 120);
	});
	input.addEventListener('scroll', () => (mirror.scrollTop = input.scrollTop));
	input.addEventListener('blur', close);
	input.addEventListener('click', () => {
		if (!input.value && list.hidden) suggest();
	});
	input.addEventListener('keydown', (event) => {
		if (event.isComposing) return;
		const open = !list.hidden;
		if (event.key === 'Enter' && !event.shiftKey) {
			clearTimeout(timer);
			if (active >= 0) take(active);
			else submit();
		} else if (event.key === 'ArrowDown' && !open && !input.value.includes('\n')) suggest();
		else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && open) select(active + (event.key === 'ArrowDown' ? 1 : -1));
		else if (event.key === 'Tab' && open && active >= 0) take(active);
		else if (event.key === 'Escape') {
			clearTimeout(timer);
			if (open) close();
			else {
				input.value = state.get().q;
				draw();
				input.blur();
			}
		} else return;
		event.preventDefault();
	});

	listen('search', () => {
		fault = null;
		draw();
	});
	state.on('q', ({ q }) => {
		input.value = q;
		draw();
	});
	listen('progress', ({ error }) => {
		if (error instanceof ApiError && error.status === 400 && error.position) complain(error, state.get().q);
	});
	if (state.get().q) remember(state.get().q);
	draw();
	return { focus() {
		input.focus();
		input.select();
	} };
}
