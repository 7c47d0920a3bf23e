// The page of an empty log: how to send the first event, until it has come.

import { aborted, get, lines, token } from './api.js';
import { button, copyBy, el, icon, shown } from './dom.js';
import { emit } from './state.js';

const POLL = 2000;

// The collector's port on the host by which this page was reached.
function address({ port, tls }) {
	const usual = tls ? 443 : 80;
	return `http${tls ? 's' : ''}://${location.hostname}${port === usual ? '' : ':' + port}/log`;
}

const local = () => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

const snippets = (url, secret) => [
	['curl', [
		`curl ${secret ? '-H "Authorization: Bearer wt_…" ' : ''}-d '{"app":"shop","severity":"info","message":"order paid","order":{"total":99.9}}' ${url}`,
	]],
	['Python', [
		'import requests', '',
		`requests.post("${url}",`,
		...(secret ? ['    headers={"Authorization": "Bearer wt_…"},'] : []),
		'    json={"app": "shop", "severity": "info", "message": "order paid",',
		'          "order": {"total": 99.9}}).raise_for_status()',
	]],
	['JavaScript', [
		`await fetch("${url}", {`,
		'    method: "POST",',
		`    headers: { "Content-Type": "application/json"${secret ? ', Authorization: "Bearer wt_…"' : ''} },`,
		'    body: JSON.stringify({ app: "shop", severity: "info", message: "order paid",',
		'                           order: { total: 99.9 } }),',
		'});',
	]],
];

// Emits 'begun' when the first event has come and somebody goes on to it.
export function mount(container) {
	const control = new AbortController();
	const { signal } = control;
	const title = el('h1', null, 'No events yet');
	const waiting = el('div', { class: 'waiting', role: 'status' }, el('i'), 'Waiting for the first event …');
	const below = el('div');
	container.replaceChildren(el('div', { class: 'welcome' }, title,
		el('p', { class: 'muted' }, 'Send one by HTTP. When the answer is 200 it is in the log table, and here.'), waiting, below));

	function show({ collector }) {
		const secret = !!token.get() || !local();
		below.replaceChildren(...snippets(address(collector), secret).map(([name, text]) => {
			const press = button(`Copy: ${name}`, { icon: 'copy', class: 'small plain', on: { click: () => copyBy(press, text.join('\n')) } });
			return el('section', { class: 'card', 'aria-label': name }, el('header', null, el('h2', null, name), press), el('pre', null, text.join('\n')));
		}),
		secret ? el('p', { class: 'muted' }, 'wt_… is a token for sending: ', el('code', null, 'SELECT windtrap.create_token(\'shop\')')) : '',
		el('p', { class: 'muted' }, 'The same port speaks OpenTelemetry, Elasticsearch, Loki, Splunk HEC, Datadog, GELF, journald and CloudEvents.'));
	}

	async function arrived() {
		let event;
		for await (const line of lines('search', { n: 1, since: '30 days' }, { signal })) event ??= line.event;
		const go = button('Show the events', { text: 'Show the events', class: 'primary', on: { click: () => emit('begun') } });
		title.textContent = 'It works';
		waiting.replaceChildren(icon('check'), el('b', null, 'The first event is here.'), go);
		below.replaceChildren(event ? el('section', { class: 'card', 'aria-label': 'The event' }, el('header', null, el('h2', null, shown(event.message ?? '', { oneLine: true }))),
			el('pre', null, shown(JSON.stringify(event.data?.json, null, 2) ?? event.message ?? ''))) : '');
		go.focus();
	}

	async function watch() {
		while (!signal.aborted) {
			try {
				if (!document.hidden) {
					const session = await get('session', {}, { signal });
					if (!session.empty) return await arrived();
					if (!below.firstChild) show(session);
				}
			} catch (error) {
				if (aborted(error) || error.status === 401 || error.status === 403) return;
			}
			await new Promise((resolve) => setTimeout(resolve, POLL));
		}
	}
	watch();
	return { destroy: () => control.abort() };
}
