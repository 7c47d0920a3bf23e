// What the page shows, kept in its address so that a link shows the same, and
// the bus by which its parts tell each other what happened.

const DEFAULTS = {
	q: '', from: '1h', to: '', cols: ['app', 'message'], wrap: false, zone: 'local',
	view: 'events', live: false, event: '', by: 'severity',
};

let current = read(location.search);
const watchers = [];
const bus = new EventTarget();

function read(text) {
	const given = new URLSearchParams(text);
	const found = {};
	for (const [key, fallback] of Object.entries(DEFAULTS)) {
		const value = given.get(key);
		if (value === null) found[key] = fallback;
		else if (Array.isArray(fallback)) found[key] = given.getAll(key).filter((name) => name !== '');
		else if (typeof fallback === 'boolean') found[key] = value === '1';
		else found[key] = value;
	}
	if (!['local', 'utc', 'server'].includes(found.zone)) found.zone = DEFAULTS.zone;
	if (!['events', 'overview'].includes(found.view)) found.view = DEFAULTS.view;
	return found;
}

// The query string of a state; what is as by default is left out.
function write(values) {
	const text = new URLSearchParams();
	for (const [key, fallback] of Object.entries(DEFAULTS)) {
		const value = values[key];
		if (same(value, fallback)) continue;
		if (Array.isArray(value)) for (const name of value.length ? value : ['']) text.append(key, name);
		else text.set(key, typeof value === 'boolean' ? (value ? '1' : '0') : value);
	}
	const all = text.toString();
	return location.pathname + (all ? '?' + all : '');
}

function same(a, b) {
	return Array.isArray(a) ? Array.isArray(b) && a.length === b.length && a.every((name, i) => name === b[i]) : a === b;
}

function change(next) {
	const before = current;
	current = next;
	const changed = Object.keys(DEFAULTS).filter((key) => !same(before[key], next[key]));
	for (const [keys, fn] of changed.length ? [...watchers] : [])
		if (keys.some((key) => changed.includes(key))) fn(current, changed);
}

export const state = {
	get: () => current,
	// Takes over what `patch` names. `push` makes an entry of the history to go back over.
	set(patch, { push = false } = {}) {
		const next = { ...current, ...patch };
		const url = write(next);
		if (url !== write(current)) history[push ? 'pushState' : 'replaceState'](null, '', url);
		change(next);
	},
	// Calls fn(state, changed keys) after one of `keys` (a name or a list) has changed. Gives a function that ends it.
	on(keys, fn) {
		const watcher = [[keys].flat(), fn];
		watchers.push(watcher);
		return () => watchers.splice(watchers.indexOf(watcher), 1);
	},
	// The address of this state with `patch` in it.
	link: (patch) => write({ ...current, ...patch }),
};

addEventListener('popstate', () => change(read(location.search)));

export function emit(name, detail) {
	bus.dispatchEvent(new CustomEvent(name, { detail }));
}

// Calls fn(detail) at each `name`. Gives a function that ends it.
export function listen(name, fn) {
	const heard = (event) => fn(event.detail);
	bus.addEventListener(name, heard);
	return () => bus.removeEventListener(name, heard);
}
