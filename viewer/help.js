// What ? shows: the keys, and the language of queries.

import { dialog, el } from './dom.js';
import { all } from './keyboard.js';

const LANGUAGE = [
	['timeout', 'the word, anywhere in the event, in any case'],
	['"out of memory"', 'the phrase, likewise'],
	['app:shop', 'the field is equal to it'],
	['app:sh*', 'begins with it; a * can stand anywhere'],
	['order.total:>500', 'is more (also >=, <, <=)'],
	['severity:>=warning', 'trace, debug, info, warning, error, fatal, in that order'],
	['message:~^out', 'a regular expression matches'],
	['trace_id:*', 'there is such a field'],
	['-app:shop, NOT x', 'all events of which this is not so'],
	['x y, x AND y', 'both'],
	['x OR y, (x OR y) z', 'one of them; parentheses'],
	['@headers.user-agent:curl*', 'what is around the event: its request'],
	['"service.name":a', 'a name that has dots or blanks'],
];
const NAMES = { ' ': 'Space', Escape: 'Esc', ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→' };

function rows(pairs, tag) {
	return el('table', null, pairs.map(([what, text]) => el('tr', null, el('td', null, [what].flat().map((one) => el(tag, null, one))), el('td', null, text))));
}

export function show() {
	const groups = new Map();
	for (const { name, what, group } of all()) {
		if (!groups.has(group)) groups.set(group, []);
		const same = groups.get(group).find((row) => row[1] === what);
		if (same) same[0].push(NAMES[name] || name);
		else groups.get(group).push([[NAMES[name] || name], what]);
	}
	dialog('Keys and queries', 'help',
		el('div', null, [...groups].map(([group, keys]) => [el('h3', null, group), rows(keys, 'kbd')]),
			el('h3', null, 'Histogram'), rows([[['←', '→'], 'bar to bar; with Shift several'], ['Enter', 'that time only'], ['drag', 'that time only']], 'kbd')),
		el('div', null, el('h3', null, 'Queries'), rows(LANGUAGE, 'code')));
}
