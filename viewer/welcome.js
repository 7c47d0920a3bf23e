// The page of an empty log: how to send the first event, until it has come.

import { aborted, get, lines, token } from './api.js';
import { announce, button, copy, el, icon, shown } from './dom.js';
import { emit } from './state.js';

const POLL = 2000;

// Where the collector takes events: the port is its own, the host that by which this page was reached.
function address({ collector = {} }) {
	const { protocol, hostname } = location;
	const usual = collector.tls ? 443 : 80;
	const scheme = collector.port ? (collector.tls ? 'https:' : 'http:') : protocol;
	return `${scheme}//${hostname}${collector.port && collector.port !== usual ? ':' + collector.port : ''}/log`;
}

const isLocal = (host) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);

function snippets(url, needsToken) {
	return [
		['curl', `curl ${needsToken ? '-H "Authorization: Bearer wt_…" ' : ''}-d '{"app":"shop","severity":"info","message":"order paid","order":{"id":4711,"total":99.9}}' ${url}`],
		['Python', `import requests

requests.post("${url}",${needsToken ? '\n              headers={"Authorization": "Bearer wt_…"},' : ''}
			  json={"app": "shop", "severity": "info", "message": "order paid",
					"order": {"id": 4711, "total": 99.9}}).raise_for_status()`],
		['JavaScript', `await fetch("${url}", {
	method: "POST",
	headers: { "Content-Type": "application/json"${needsToken ? ', "Authorization": "Bearer wt_…"' : ''} },
	body: JSON.stringify({ app: "shop", severity: "info", message: "order paid",
						   order: { id: 4711, total: 99.9 } }),
});`],
	];
}

// `session` is the answer of /api/session, asked for where it is not given. When somebody
// goes on to the events, 'begun' is emitted.
export function mount(container, { session } = {}) {
	const control = new AbortController();
	const { signal } = control;
	const waiting = el('div', { class: 'waiting', role: 'status' }, el('i', { 'aria-hidden': 'true' }), 'Waiting for the first event …');
	const arrived = el('div');
	const examples = el('div');
	container.replaceChildren(el('div', { class: 'welcome' },
		el('h1', { tabindex: '-1' }, 'No events yet'),
		el('p', { class: 'muted' }, 'Send one, in any way that speaks HTTP. When the answer is 200, it is in the log table, and here.'),
		waiting, arrived, examples));

	function show(found) {
		const needsToken = !!token.get() || !isLocal(location.hostname);
		examples.replaceChildren(...snippets(address(found), needsToken).map(([name, text]) => {
			const press = button(`Copy the ${name} example`, { icon: 'copy', text: 'Copy', class: 'small', 'aria-label': `Copy the ${name} example`, on: { async click() {
				announce((await copy(text)) ? 'Copied.' : 'It could not be copied.');
				press.lastChild.textContent = 'Copied';
				setTimeout(() => (press.lastChild.textContent = 'Copy'), 1500);
			} } });
			return el('section', { class: 'card', 'aria-label': name }, el('header', null, el('h2', null, name), press), el('pre', { tabindex: '0', role: 'group', 'aria-label': `${name} example` }, text));
		}), needsToken ? el('p', { class: 'muted' }, 'In place of ', el('code', null, 'wt_…'), ' goes a token for sending: ', el('code', null, 'SELECT windtrap.create_token(\'my app\')'), '.') : '',
		el('p', { class: 'muted' }, 'The same port speaks OpenTelemetry, Elasticsearch, Loki, Splunk HEC, Datadog, GELF and journald.'));
	}

	async function first() {
		for await (const { event } of lines('search', { n: 1, since: '30 days' }, { signal })) if (event) return event;
		return null;
	}

	function celebrate(event) {
		const go = button('Show the events', { text: 'Show the events', class: 'primary', on: { click: () => emit('begun') } });
		waiting.replaceChildren(icon('check'), el('b', null, 'The first event is here.'), go);
		if (event)
			arrived.replaceChildren(el('section', { class: 'card arrived', 'aria-label': 'The first event' }, el('header', null, el('h2', null, shown(event.message ?? '', { oneLine: true }))),
				el('pre', null, shown(event.data ? JSON.stringify(event.data.json, null, 2) : event.message ?? ''))));
		examples.hidden = true;
		container.querySelector('h1').textContent = 'It works';
		go.focus();
	}

	async function watch() {
		while (!signal.aborted) {
			if (!document.hidden)
				try {
					const found = await get('session', {}, { signal });
					if (!examples.firstChild) show(found);
					if (!found.empty) return celebrate(await first());
				} catch (error) {
					if (aborted(error) || error.status === 401 || error.status === 403) return;
				}
			await new Promise((resolve) => setTimeout(resolve, POLL));
		}
	}

	if (session?.collector) show(session);
	watch();
	return { destroy() {
		control.abort();
		container.replaceChildren();
	} };
}
