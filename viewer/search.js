// The search that the page shows: one at a time. Each part of the page asks for
// its own (list, histogram, fields) with the signal of the current one, and all
// are ended together when a new one begins or somebody stops it.

import { emit, state } from './state.js';
import { bounds, iso } from './time.js';

let controller = null;

// { q, since, until (ISO), signal, params: {q, since, until} } of the search shown, null before the first.
export let current = null;

// Begins a search of what the state says. `quiet`: the same once more, as in a refresh.
export function run({ quiet = false } = {}) {
	controller?.abort();
	controller = new AbortController();
	const { since, until } = bounds();
	const params = { q: state.get().q, since: iso(since), until: iso(until) };
	current = { ...params, params, signal: controller.signal, quiet };
	emit('search', current);
}

// Ends all that runs of the current search; what came stays. `resume` begins from there.
export function stop() {
	controller?.abort();
	emit('stopped', current);
}

export function resume() {
	controller = new AbortController();
	current = { ...current, signal: controller.signal };
	emit('resume', current);
}
