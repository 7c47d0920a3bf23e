// Which time is shown, and in which zone.

import { button, el, icon } from './dom.js';
import { run } from './search.js';
import { state } from './state.js';
import { bounds, format, fromInput, iso, span, toInput, zoneName } from './time.js';

const RANGES = [['5m', '5 minutes'], ['15m', '15 minutes'], ['1h', 'hour'], ['6h', '6 hours'], ['24h', '24 hours'], ['7d', '7 days'], ['30d', '30 days']];
const UNITS = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' };

const fixed = ({ from, to }) => !!to || Number.isNaN(span(from));

function label(values) {
	if (fixed(values)) {
		const { since, until } = bounds(values);
		const seconds = (ms) => format(ms, ms % 60000 ? 'second' : 'minute');
		const begin = format(since, 'date') + ' ' + seconds(since);
		return begin + ' – ' + (!values.to ? 'now' : format(since, 'date') === format(until, 'date') ? seconds(until) : format(until, 'date') + ' ' + seconds(until));
	}
	const known = RANGES.find(([text]) => text === values.from);
	if (known) return 'Last ' + known[1];
	const [, n, unit] = /^(\d+)(.)$/.exec(values.from);
	return `Last ${n} ${UNITS[unit]}${n === '1' ? '' : 's'}`;
}

export function mount(container) {
	const text = el('span');
	const open = el('button', { type: 'button', class: 'range', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', on: { click: () => (popup.hidden ? show() : hide()) } }, icon('clock'), text, icon('down'));
	const popup = el('div', { class: 'popup ranges', role: 'dialog', 'aria-label': 'Range of time', hidden: true });
	const menu = el('div', { class: 'menu' }, open, popup);
	const again = button('Search again (r)', { icon: 'refresh', on: { click: () => run() } });
	container.append(menu, again);

	function set(patch) {
		hide();
		open.focus();
		const before = state.get();
		state.set({ ...patch, event: '' }, { push: true });
		if (state.get().from === before.from && state.get().to === before.to) run();
	}

	function show() {
		const values = state.get();
		const { since, until } = bounds();
		const field = (name, caption, ms) => el('label', null, caption, el('input', { type: 'datetime-local', name, step: 1, value: toInput(ms), required: name === 'from' }));
		const wrong = el('p', { class: 'wrong', role: 'alert' });
		const zone = (name, caption) => el('label', { class: 'choice' }, el('input', { type: 'radio', name: 'zone', value: name, checked: values.zone === name, on: { change() {
			const shown = [...form.querySelectorAll('input[type=datetime-local]')].map((input) => fromInput(input.value));
			state.set({ zone: name });
			form.querySelectorAll('input[type=datetime-local]').forEach((input, i) => (input.value = Number.isNaN(shown[i]) ? '' : toInput(shown[i])));
			named.textContent = zoneName();
		} } }), caption);
		const named = el('span', null, zoneName());
		const form = el('form', { on: { submit(event) {
			event.preventDefault();
			const from = fromInput(form.elements.from.value);
			const to = form.elements.to.value ? fromInput(form.elements.to.value) : null;
			if (to !== null && to <= from) wrong.textContent = 'The end must come after the beginning.';
			else set({ from: iso(from), to: to === null ? '' : iso(to) });
		} } }, field('from', 'From', since), field('to', 'To, or empty for now', until), wrong, button('Apply', { text: 'Apply', class: 'primary', type: 'submit' }));
		popup.replaceChildren(
			el('div', { class: 'presets' }, RANGES.map(([from, name]) => el('button', { type: 'button', class: 'item', 'aria-current': !fixed(values) && values.from === from ? 'true' : null, on: { click: () => set({ from, to: '' }) } }, 'Last ' + name))),
			el('div', { class: 'custom' }, form, el('fieldset', null, el('legend', null, 'Times are shown in ', named), zone('local', 'Browser’s zone'), zone('utc', 'UTC'), zone('server', 'Collector’s zone'))));
		popup.hidden = false;
		open.setAttribute('aria-expanded', 'true');
		(popup.querySelector('[aria-current]') || popup.querySelector('button')).focus();
	}

	function hide() {
		popup.hidden = true;
		open.setAttribute('aria-expanded', 'false');
	}

	menu.addEventListener('keydown', (event) => {
		if (popup.hidden) return;
		const buttons = [...popup.querySelectorAll('.item')];
		const at = buttons.indexOf(document.activeElement);
		if (event.key === 'Escape') {
			hide();
			open.focus();
		} else if (at >= 0 && (event.key === 'ArrowDown' || event.key === 'ArrowUp'))
			buttons[(at + (event.key === 'ArrowDown' ? 1 : -1) + buttons.length) % buttons.length].focus();
		else return;
		event.preventDefault();
		event.stopPropagation();
	});
	addEventListener('pointerdown', (event) => {
		if (!popup.hidden && !menu.contains(event.target)) hide();
	});
	menu.addEventListener('focusout', (event) => {
		if (event.relatedTarget && !menu.contains(event.relatedTarget)) hide();
	});

	const draw = () => {
		text.textContent = label(state.get());
		open.title = label(state.get()) + ' · ' + zoneName();
		open.setAttribute('aria-label', 'Range of time: ' + text.textContent);
	};
	state.on(['from', 'to', 'zone'], draw);
	draw();
	return { open: show };
}
