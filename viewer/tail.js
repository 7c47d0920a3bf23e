// Live: the stream of events as they are committed. Keeps it open, goes on from where it was
// when it ended or the connection was lost, and hands what came to the list.

import { aborted, backoff, lines } from './api.js';
import { asked } from './columns.js';
import { button, el } from './dom.js';
import { sentence } from './format.js';
import { key } from './keyboard.js';
import { run } from './search.js';
import { emit, listen, state } from './state.js';

const A_SECOND = 500; // events drawn a second; the collector counts the rest
const SILENCE = 15000; // it gives a sign of life every 5 s

let controller = null;
let wake = null;
let show = () => {};

function begin({ params }) {
	controller?.abort();
	controller = null;
	if (!state.get().live || state.get().to) return show('off');
	controller = new AbortController();
	follow(params.q, controller.signal);
}

// One round: what came up to a cursor. Of what came behind the last one nothing was handed on:
// after a loss it comes again, so that nothing is there twice, with or without ids.
async function round(q, at, signal) {
	const silent = new AbortController();
	const either = AbortSignal.any([signal, silent.signal]);
	let timer = setTimeout(() => silent.abort(), SILENCE);
	let events = [];
	let gaps = [];
	let begun = !at.cursor;
	try {
		for await (const line of lines('tail', { q, after: at.cursor, n: A_SECOND, columns: asked() }, { signal: either })) {
			clearTimeout(timer);
			timer = setTimeout(() => silent.abort(), SILENCE);
			if (signal.aborted) return;
			if (begun) emit('tail', { begun });
			begun = false;
			if (at.tries || !at.up) show(at.lost ? 'again' : 'live');
			Object.assign(at, { tries: 0, lost: false, up: true });
			if (line.event) events.push(line.event);
			else if (line.skipped) gaps.push(line.skipped);
			else if (line.cursor) {
				at.cursor = line.cursor;
				if (events.length || gaps.length) emit('tail', { events, gaps });
				events = [];
				gaps = [];
			}
		}
	} finally {
		clearTimeout(timer);
	}
}

async function follow(q, signal) {
	const at = { cursor: null, tries: 0, lost: false, up: false };
	show('connecting');
	for (;;) {
		const began = Date.now();
		try {
			await round(q, at, signal);
			if (Date.now() - began > 1000) at.tries = 0; // its regular end, after some minutes
		} catch (error) {
			if (signal.aborted) return;
			// A mistake, or a table of which what is new cannot be told (501).
			if ((error.status >= 400 && error.status < 500 && ![408, 429].includes(error.status)) || error.status === 501) {
				if (error.status !== 400) emit('notice', { text: error.message });
				state.set({ live: false });
				return;
			}
			Object.assign(at, { lost: true, up: false });
			// That it cannot be reached is said for all of the page; all else is said here.
			show('lost', error.status ? sentence(error.message) : aborted(error) ? 'Nothing comes any more' : '');
		}
		if (signal.aborted) return;
		wake = new AbortController();
		await backoff(at.lost ? at.tries : Math.max(0, at.tries - 1), AbortSignal.any([signal, wake.signal])).catch(() => {});
		at.tries++;
		if (signal.aborted) return;
	}
}

const TEXT = { off: '', connecting: 'Connecting …', live: '', lost: '', again: 'Connected again' };

function toggle() {
	const live = !state.get().live;
	state.set(live ? { live, to: '', view: 'events' } : { live }, { push: true });
}

// The button, and what there is to say of the connection.
export function mount(container) {
	const live = button('Live', { text: 'Live', class: 'live', 'aria-pressed': 'false', on: { click: toggle } });
	const said = el('span', { class: 'said', role: 'status' });
	const now = button('Try now', { text: 'Try now', class: 'link', hidden: true, on: { click: () => wake?.abort() } });
	let timer = 0;
	live.prepend(el('span', { class: 'dot', 'aria-hidden': 'true' }));
	show = (what, why = '') => {
		clearTimeout(timer);
		if (what === 'again') timer = setTimeout(() => show('live'), 4000);
		live.setAttribute('aria-pressed', String(state.get().live));
		container.dataset.connection = what;
		said.textContent = said.title = why || TEXT[what];
		now.hidden = what !== 'lost';
		tell();
	};
	let held = 0;
	const tell = () => emit('progress', { part: 'tail', running: state.get().live && now.hidden, paused: held > 0 });
	container.append(said, now, live);
	show('off');
	listen('search', begin);
	state.on(['live', 'to'], ({ live, to }, changed) => {
		if (live && to) return state.set({ live: false });
		if (!changed.includes('live')) return;
		if (!live) {
			controller?.abort();
			show('off');
		} else if (!changed.some((name) => ['q', 'from', 'to'].includes(name))) run();
	});
	listen('held', (count) => {
		held = count;
		tell();
	});
	listen('connection', ({ up }) => up && !now.hidden && wake?.abort());
	key('t', 'Live on or off', toggle);
}
