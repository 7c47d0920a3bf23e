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

// In this order they ask when a search begins: the events are what one waits for.
const PARTS = { list, histogram, detail, fields, tail, columns, export: exporting };

const links = [['events', 'Events'], ['overview', 'Overview']].map(([view, text]) => el('a', { dataset: { view }, on: { click(event) {
	if (event.ctrlKey || event.metaKey || event.shiftKey) return;
	event.preventDefault();
	state.set({ view }, { push: true });
} } }, text));
let overview = null;

// Follows the state: which view there is, the links to both and the title.
async function show({ view, q } = state.get()) {
	const events = view === 'events';
	document.title = (events ? q && q.slice(0, 60) + ' · ' : 'Overview · ') + 'WindTrap';
	document.body.dataset.view = view;
	$('#events-view').hidden = !events;
	$('#overview').hidden = events;
	$('.skip').href = events ? '#list' : '#overview';
	for (const link of links) {
		link.href = state.link({ view: link.dataset.view });
		link.ariaCurrent = link.dataset.view === view ? 'page' : null;
	}
	if (!events && !overview) {
		overview = {};
		const { mount } = await import('./overview.js');
		if (state.get().view === view) overview = mount($('#overview'));
		else overview = null;
	} else if (events && overview) {
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
	$('.views').append(...links);
	show();
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
	const mounted = new Map(Object.entries(PARTS).map(([name, part]) => [name, part.mount($('#' + name))]));
	const bars = mounted.get('histogram');

	const inEvents = () => state.get().view === 'events';
	// Before what searches: the list and the histogram ask for as much as there is room for.
	state.on(['view', 'q', 'from', 'to', 'cols', 'zone', 'event', 'live', 'by', 'wrap'], () => show());
	// What is not seen is not searched.
	let due = true;
	const look = () => {
		if (!due || !inEvents()) return;
		due = false;
		run();
	};
	state.on(['q', 'from', 'to'], () => {
		due = true;
		look();
	});
	state.on('view', look);
	for (const [name, what, fn] of [['/', 'Search', box.focus], ['r', 'Search again', run], ['s', 'Stop the search', () => notice.busy() && stop()], ['d', 'Range of time', time.open],
		['h', 'To the histogram', bars.focus], ['z', 'Zoom out', bars.zoomOut]]) key(name, what, () => fn(), { when: inEvents });
	key('1', 'Events', () => state.set({ view: 'events' }, { push: true }));
	key('2', 'Overview', () => state.set({ view: 'overview' }, { push: true }));
	key('?', 'Keys and queries', help.show);
	look();
	if (session.empty) welcome();
}

main();
