// Who is asking: what the collector says of itself and of the token, the form
// for a token where one is needed, and the sentence where it may not read.

import { ApiError, get, token } from './api.js';
import { emit, listen } from './state.js';
import { $, button, el, icon } from './dom.js';
import { sentence } from './format.js';
import { setServer } from './time.js';

// /api/session's answer; empty before it came.
export let session = {};

let dialog = null;

// Asks what the session may do. Tells whether it may read.
export async function begin() {
	try {
		session = await get('session');
	} catch (error) {
		if (!(error instanceof ApiError) || error.status === 0) throw error;
		return false;
	}
	setServer(session.time_zone, session.now);
	showForget();
	emit('session', session);
	return true;
}

function showForget() {
	$('#forget')?.remove();
	if (token.get())
		$('#session').prepend(button('Forget the token', { icon: 'key', class: 'plain', id: 'forget', on: { click() {
			token.set(null);
			location.reload();
		} } }));
}

function ask(error) {
	if (dialog) {
		$('.wrong', dialog).textContent = error.status === 403 || token.get() ? sentence(error.message) : '';
		return;
	}
	const input = el('input', { type: 'password', id: 'token', name: 'token', class: 'mono', autocomplete: 'off', spellcheck: 'false', placeholder: 'wt_…', required: true, 'aria-describedby': 'token-hint token-wrong' });
	const wrong = el('p', { class: 'wrong', id: 'token-wrong', role: 'alert' }, token.get() ? sentence(error.message) : '');
	const form = el('form', { class: 'body token', on: { async submit(event) {
		event.preventDefault();
		token.set(input.value.trim());
		wrong.textContent = '';
		try {
			await get('session');
		} catch (failed) {
			wrong.textContent = sentence(failed.message);
			token.set(null);
			input.select();
			return;
		}
		location.reload();
	} } },
	el('label', { for: 'token' }, 'Token'),
	el('div', { class: 'line' }, input, button('Open', { text: 'Open', class: 'primary', type: 'submit' })),
	wrong,
	el('p', { class: 'muted', id: 'token-hint' }, 'Made in the database by ', el('code', null, 'SELECT windtrap.create_token(\'my browser\', \'read\')'),
		'. It is kept by this tab alone, until the tab is closed.'));
	dialog = el('dialog', { class: 'narrow', 'aria-labelledby': 'token-title', on: { cancel: (event) => event.preventDefault(), close: () => dialog.showModal() } },
		el('header', null, el('h2', { id: 'token-title' }, icon('key'), 'This collector asks for a token')), form);
	document.body.append(dialog);
	dialog.showModal();
}

listen('refused', (error) => {
	if (error.status === 401 || !session.version) ask(error);
	else emit('notice', { text: error.message });
});
