// Puts the page together and begins.

import { backoff } from './api.js';
import * as columns from './columns.js';
import * as detail from './detail.js';
import { $, button, el } from './dom.js';
import * as exporting from './export.js';
import * as fields from './fields.js';
import * as help from './help.js';
import * as histogram from './histogram.js';
import { key } from './keyboard.js';
import * as list from './list.js';
import * as range from './range.js';
import { run, stop } from './search.js';
import * as searchbox from './searchbox.js';
import { begin, session } from './session.js';
import { listen, state } from './state.js';
import * as status from './status.js';
import * as tail from './tail.js';

const VIEWS = [['events', 'Events'], ['overview', 'Overview']];
const PARTS = { list, detail, fields, tail, columns, export: exporting };

const nav = $('.views');
let overview = null;

function title() {
	const { q, view } = state.get();
	document.title = (view === 'overview' ? 'Overview · ' : q ? q.slice(0, 60) + ' · ' : '') + 'WindTrap';
}

async function view() {
	const { view: name } = state.get();
	document.body.dataset.view = name;
	$('#events-view').hidden = name !== 'events';
	$('#overview').hidden = name !== 'overview';
	$('.skip').href = name === 'events' ? '#list' : '#overview';
	nav.replaceChildren(...VIEWS.map(([to, text]) => el('a', { href: state.link({ view: to }), 'aria-current': to === name ? 'page' : null, on: { click(event) {
		if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
		event.preventDefault();
		state.set({ view: to }, { push: true });
	} } }, text)));
	title();
	if (name === 'overview') {
		if (!overview) {
			overview = {};
			overview = (await import('./overview.js')).mount($('#overview')) || {};
		}
	} else if (overview) {
		overview.destroy?.();
		overview = null;
		$('#overview').replaceChildren();
	}
}

async function welcome() {
	const box = $('#welcome');
	const shown = (await import('./welcome.js')).mount(box);
	box.hidden = false;
	const off = listen('begun', () => {
		off();
		shown?.destroy?.();
		box.replaceChildren();
		box.hidden = true;
		run();
	});
}

async function main() {
	$('#session').append(button('Keys and queries (?)', { icon: 'help', class: 'plain', on: { click: help.show } }));
	const notice = status.mount($('#status'), $('#notice'));
	view();
	for (let tries = 0; ; tries++) {
		try {
			if (!(await begin())) return;
			break;
		} catch (error) {
			notice.say(error.message + ' Trying again …', 'lost');
			await backoff(tries);
		}
	}
	notice.say('');
	const box = searchbox.mount($('#search'));
	const time = range.mount($('#range'));
	const body = document.body;
	const fieldsButton = button('Fields', { icon: 'fields', class: 'only-narrow', 'aria-expanded': 'false', 'aria-controls': 'fields', on: { click: () => showFields(!body.hasAttribute('data-fields')) } });
	const showFields = (yes) => {
		body.toggleAttribute('data-fields', yes);
		fieldsButton.setAttribute('aria-expanded', String(yes));
	};
	$('#range').append(fieldsButton);
	listen('search', () => showFields(false));
	const bars = histogram.mount($('#histogram'));
	for (const [name, part] of Object.entries(PARTS)) part.mount($('#' + name));

	const inEvents = () => state.get().view === 'events';
	// Before what searches: the list and the histogram ask for as much as there is room for.
	state.on(['view', 'q', 'from', 'to', 'cols', 'zone', 'event', 'live', 'by', 'wrap'], view);
	// What is not seen is not searched.
	let due = true;
	const look = () => {
		if (!inEvents()) return;
		if (due) run();
		due = false;
	};
	state.on(['q', 'from', 'to'], () => {
		due = true;
		look();
	});
	state.on('view', look);
	state.on(['view', 'q'], title);
	key('/', 'Search', () => box.focus(), { when: inEvents });
	key('r', 'Search again', () => run(), { when: inEvents });
	key('s', 'Stop the search', stop, { when: inEvents });
	key('d', 'Range of time', time.open, { when: inEvents });
	key('h', 'To the histogram', bars.focus, { when: inEvents });
	key('z', 'Zoom out', bars.zoomOut, { when: inEvents });
	key('1', 'Events', () => state.set({ view: 'events' }, { push: true }));
	key('2', 'Overview', () => state.set({ view: 'overview' }, { push: true }));
	key('?', 'Keys and queries', help.show);
	look();
	if (session.empty) welcome();
}

main();
