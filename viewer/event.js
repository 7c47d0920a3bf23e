// What tells one event from another, and how to get all of it.

import { lines } from './api.js';
import { iso } from './time.js';

// An event's place in the address: time~id; without an id, time~.
export const keyOf = ({ time, id }) => time + '~' + (id ?? '');

export function ofKey(key) {
	const at = key.indexOf('~');
	return at < 0 ? { time: key, id: null } : { time: key.slice(0, at), id: key.slice(at + 1) || null };
}

// Newest first; of one instant in the order of their ids, those without one last: as searches order them.
export function compare(a, b) {
	if (a.time !== b.time) return a.time < b.time ? 1 : -1;
	if (a.id === b.id) return 0;
	return a.id === null ? 1 : b.id === null ? -1 : a.id < b.id ? 1 : -1;
}

// All events of that time and id with the whole of their data: one, or those that have no id.
export async function whole({ time, id }, signal) {
	const found = [];
	for await (const line of lines('event', { time, id }, { signal })) found.push(line.event ?? line);
	return found;
}

// The span from one time to another in whole milliseconds, as the address has it; the end is in it.
export const spanOf = (since, until) => ({
	from: iso(Date.parse(since)),
	to: iso(Date.parse(until) + 1),
});
