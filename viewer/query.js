// The query language, as far as the page writes it: filters added and taken off
// by a click, and where the word stands that somebody types.

import { state } from './state.js';

const OPERATORS = new Set(['AND', 'OR', 'NOT']);

// From the least to the worst.
export const SEVERITIES = ['trace', 'debug', 'info', 'warning', 'error', 'fatal'];

// As what counts come whose values are beyond the most frequent ones.
export const OTHERS = '(others)';

// What windtrap.events has as columns.
export const COLUMNS = ['severity', 'app', 'host', 'message', 'source', 'ip', 'status', 'id'];

export const quoted = (text) => '"' + text.replace(/[\\"]/g, '\\$&') + '"';

// A value as the language reads it: bare where it has nothing that means
// something, else in quotation marks. Numbers, true, false and null stay bare, so
// that they are found as both.
export function quote(value) {
	const text = String(value);
	return /^(?:-?\d[\d.eE+-]*|[\p{L}\p{N}_./@][\p{L}\p{M}\p{N}_./@+:#%,;=&-]*)$/u.test(text) && !OPERATORS.has(text) ? text : quoted(text);
}

// The condition that a field has this value; null: that there is no such field.
export function condition(field, value, exclude = false) {
	const absent = value === null || value === undefined;
	return (exclude !== absent ? '-' : '') + field + ':' + (absent ? '*' : quote(value));
}

// The parts of a query: [{text, from, to, kind}], kind 'word', '(', ')', 'AND', 'OR'
// or 'NOT'; a word is a whole condition with its minus. Takes what is not right yet too.
export function parts(q) {
	const found = [];
	let at = 0;
	while (at < q.length) {
		if (/\s/.test(q[at])) {
			at++;
			continue;
		}
		const from = at;
		if (q[at] === '(' || q[at] === ')') at++;
		else
			for (let inside = false; at < q.length; at++) {
				if (q[at] === '\\') at++;
				else if (q[at] === '"') inside = !inside;
				else if (!inside && (/\s/.test(q[at]) || ((q[at] === '(' || q[at] === ')') && !/:~/.test(q.slice(from, at))))) break;
			}
		at = Math.min(at, q.length);
		const text = q.slice(from, at);
		found.push({ text, from, to: at, kind: text === '(' || text === ')' || OPERATORS.has(text) ? text : 'word' });
	}
	return found;
}

// The word of `q` that is a condition for all of it (not in parentheses or beside OR), or undefined.
function top(q, text) {
	const all = parts(q);
	let depth = 0;
	let hit;
	for (const part of all) {
		if (part.kind === '(') depth++;
		else if (part.kind === ')') depth--;
		else if (depth === 0 && part.kind === 'OR') return undefined;
		else if (depth === 0 && part.text === text) hit = part;
	}
	if (hit && ['NOT', 'AND'].includes(all[all.indexOf(hit) - 1]?.kind)) return undefined;
	return hit;
}

const ors = (q) => {
	let depth = 0;
	return parts(q).some(({ kind }) => ((depth += kind === '(' ? 1 : kind === ')' ? -1 : 0), depth === 0 && kind === 'OR'));
};

const without = (q, part) => [q.slice(0, part.from).trim(), q.slice(part.to).trim()].filter(Boolean).join(' ');

export const hasFilter = (field, value, exclude = false, q = state.get().q) => !!top(q, condition(field, value, exclude));

// `q` with the condition that a field has, or has not, the value: taken off where
// it is there, in place of its contrary where that is.
function toggled(q, field, value, exclude = false) {
	const text = condition(field, value, exclude);
	const there = top(q, text);
	if (there) return without(q, there);
	const contrary = top(q, condition(field, value, !exclude));
	if (contrary) return q.slice(0, contrary.from) + text + q.slice(contrary.to);
	if (!q.trim()) return text;
	return (ors(q) ? `(${q.trim()})` : q.trim()) + ' ' + text;
}

export function addFilter(field, value, exclude = false) {
	state.set({ q: toggled(state.get().q, field, value, exclude) }, { push: true });
}

// The word at `caret`: {from, to, text, field, value}: field null where no colon
// was typed yet; from and to of what a completion is to take the place of.
export function wordAt(q, caret) {
	const part = parts(q).find(({ from, to, kind }) => kind !== '(' && kind !== ')' && from <= caret && caret <= to);
	if (!part) return { from: caret, to: caret, text: '', field: null };
	const minus = part.text.startsWith('-') ? 1 : 0;
	const text = q.slice(part.from + minus, caret);
	const colon = /^((?:"(?:[^"\\]|\\.)*"|[^":\\]|\\.)+):(?!\/\/)/.exec(text);
	if (!colon) return { from: part.from + minus, to: part.to, text, field: null };
	const operator = /^(?:[<>]=?)?/.exec(text.slice(colon[0].length))[0];
	const from = part.from + minus + colon[0].length + operator.length;
	return { from, to: part.to, text: q.slice(from, caret), field: colon[1] };
}
