// How the search goes: rows, time taken, how far it has come, stop and go on; and
// the notice above the list: what failed, a connection lost and its return.

import { ApiError, backoff, get } from './api.js';
import { announce, button, el, icon } from './dom.js';
import { compact, number, plural, sentence } from './format.js';
import { resume, run, stop } from './search.js';
import { listen, state } from './state.js';
import { duration, format, now } from './time.js';

export function mount(container, notice) {
	const line = el('span', { role: 'status' });
	const action = el('span', { class: 'group' });
	container.append(line, action);
	let parts = {};
	let stopped = false;
	let retrying = false;
	let tries = 0; // since it last went well
	let frame = 0;

	const when = (time) => format(time, now() - Date.parse(time) < 72e6 ? 'second' : 'minutes');

	const busy = () => parts.list?.running || parts.histogram?.running;

	function draw() {
		frame = 0;
		const { list = {}, histogram = {}, tail } = parts;
		const running = !stopped && busy();
		const said = [];
		if (histogram.total !== undefined) said.push(plural(histogram.total, 'event') + (histogram.complete ? '' : ' so far'));
		if (list.rows) said.push(number(list.rows) + ' loaded');
		if (running || stopped) {
			const reached = [list, histogram].filter((part) => part.searched_to && (part.running || stopped)).map((part) => part.searched_to).sort().at(-1);
			if (reached) said.push((stopped ? 'stopped at ' : 'down to ') + when(reached));
		} else if (list.ms !== undefined && !list.error) said.push(duration(Math.max(list.ms, histogram.ms || 0)));
		if (tail?.running) said.push(tail.paused ? 'live, paused' : 'live' + (tail.rate ? `, ${compact(tail.rate)} a second` : ''));
		line.setAttribute('aria-live', running ? 'off' : 'polite');
		line.textContent = said.join(' · ');
		container.classList.toggle('running', !!running);
		const want = running ? 'stop' : stopped ? 'resume' : '';
		if (action.dataset.is !== want) {
			action.dataset.is = want;
			action.replaceChildren(want === 'stop' ? button('Stop', { icon: 'stop', text: 'Stop', class: 'small', on: { click: stop } })
				: want === 'resume' ? button('Go on', { icon: 'play', text: 'Go on', class: 'small', on: { click: resume } }) : '');
		}
	}

	const later = () => (frame ||= requestAnimationFrame(draw));

	let timer;

	function say(text, kind = 'error') {
		clearTimeout(timer);
		if (!text) {
			notice.replaceChildren();
			notice.className = '';
			return;
		}
		notice.className = 'is ' + kind;
		notice.replaceChildren(icon(kind === 'brief' ? 'check' : 'warning'), el('span', null, sentence(text)),
			button('Close', { icon: 'close', class: 'plain small', on: { click: () => say('') } }));
	}

	// Asks until there is an answer; then searches again, if the search was what failed.
	async function retry(error) {
		if (retrying) return;
		retrying = true;
		for (;;) {
			say((error.status === 503 || error.status === 429 ? error.message : 'Connection lost.') + ' Trying again …', 'lost');
			await backoff(tries++);
			try {
				await get('session');
				break;
			} catch (failed) {
				if (![0, 429, 503].includes(failed.status)) break;
				error = failed;
			}
		}
		retrying = false;
		say('');
		announce('Connected again.');
		if (parts.list?.error || parts.histogram?.error) run({ quiet: true });
	}

	listen('search', () => {
		parts = parts.tail ? { tail: parts.tail } : {};
		stopped = false;
		if (!retrying) say('');
		later();
	});
	listen('stopped', () => {
		stopped = busy();
		later();
	});
	listen('resume', () => {
		stopped = false;
		later();
	});
	function take(part) {
		parts[part.part] = part;
		const { error } = part;
		if (part.part === 'list' && !part.running && !error) tries = 0;
		if (error && !(error instanceof ApiError)) say(error.message);
		else if (error && [0, 429, 503].includes(error.status)) retry(error);
		else if (error && error.status !== 401 && !(error.status === 400 && error.position)) say(error.message);
		later();
	}

	listen('progress', take);
	listen('connection', ({ up }) => {
		if (!up) retry({ status: 0 });
	});
	listen('notice', ({ text, brief }) => {
		say(text, brief ? 'brief' : 'error');
		if (brief) timer = setTimeout(say, 4000);
	});
	state.on('zone', later);
	return { say, busy };
}
