// What is shown, to take along: its SQL, and all that is found as NDJSON or CSV.
//
// A download by a link carries no token, so with one the answer is fetched and goes, piece by
// piece, into a file that the user chose, where the browser can (Chromium, over https or from this
// host). Elsewhere it is collected in a Blob, which browsers keep on disk when it is large.

import { aborted, get, request, token, url } from './api.js';
import { button, copyBy, dialog, el } from './dom.js';
import { bytes } from './format.js';
import { current } from './search.js';
import { state } from './state.js';

const PIECE = 8 * 2 ** 20;

async function sql() {
	const pre = el('pre', { class: 'sql', tabindex: 0 }, 'Loading …');
	const copier = button('Copy', { text: 'Copy', icon: 'copy', class: 'primary', disabled: true, on: { click: () => copyBy(copier, pre.textContent) } });
	dialog('The SQL of what is shown', null, el('p', { class: 'muted' }, 'For psql, Grafana, or any client of PostgreSQL.'), pre, copier);
	try {
		pre.textContent = (await get('sql', current.params)).statement;
		copier.disabled = false;
	} catch (error) {
		pre.textContent = error.message;
	}
}

function exporter() {
	const stopping = new AbortController();
	const said = el('p', { role: 'status' });
	const choice = (value, text, checked) => el('label', null, el('input', { type: 'radio', name: 'format', value, checked }), text);
	const cols = state.get().cols.filter((name) => name !== 'severity');
	const go = button('Download', { text: 'Download', icon: 'download', class: 'primary', type: 'submit' });
	const form = el('form', { class: 'export', on: { async submit(event) {
		event.preventDefault();
		const chosen = new FormData(form).get('format');
		const format = chosen === 'ndjson' ? chosen : 'csv';
		const params = { ...current.params, format, columns: chosen === 'shown' ? ['event_timestamp', 'severity', ...cols].join(',') : '' };
		if (!token.get()) {
			// The browser's own download: as large as it may be, nothing of it is held here.
			el('a', { href: url('export', params), download: nameOf(format) }).click();
			said.textContent = 'The download has begun.';
			return;
		}
		go.disabled = true;
		try {
			const n = await download(params, nameOf(format), stopping.signal, (at) => (said.textContent = bytes(at) + ' …'));
			said.textContent = n === null ? '' : `Done: ${bytes(n)}.`;
		} catch (error) {
			if (!aborted(error)) said.textContent = 'It is not complete. ' + error.message;
		}
		go.disabled = false;
	} } },
	el('p', { class: 'muted' }, 'All events that are found, newest first, also those that are not shown yet.'),
	choice('ndjson', 'NDJSON: event_timestamp, data and status, a line each', true),
	choice('csv', 'CSV: time, severity, app, host, message, status, data'),
	choice('shown', 'CSV of the columns shown: ' + ['time', 'severity', ...cols].join(', ')),
	el('div', { class: 'line' }, go, said));
	dialog('Export', null, form).addEventListener('close', () => stopping.abort());
}

const nameOf = (format) => `events-${current.until.slice(0, 19).replace(/:/g, '')}.${format}`;

// Gives the number of bytes; null where the user chose no file. What breaks off is no file.
async function download(params, name, signal, progress) {
	let file = null;
	if (window.showSaveFilePicker) {
		try {
			file = await (await showSaveFilePicker({ suggestedName: name })).createWritable();
		} catch (error) {
			if (aborted(error)) return null;
		}
	}
	let pieces = [];
	let blob = new Blob();
	let total = 0;
	let held = 0;
	try {
		const reader = (await request('export', params, { signal })).body.getReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			total += value.length;
			progress(total);
			if (file) {
				await file.write(value);
				continue;
			}
			pieces.push(value);
			held += value.length;
			if (held > PIECE) {
				blob = new Blob([blob, ...pieces]);
				pieces = [];
				held = 0;
			}
		}
		await file?.close();
	} catch (error) {
		await file?.abort().catch(() => {});
		throw error;
	}
	if (!file) {
		const href = URL.createObjectURL(new Blob([blob, ...pieces]));
		el('a', { href, download: name }).click();
		setTimeout(() => URL.revokeObjectURL(href), 60000);
	}
	return total;
}

export function mount(container) {
	container.append(
		button('SQL', { icon: 'code', text: 'SQL', class: 'plain', on: { click: sql } }),
		button('Export', { icon: 'download', text: 'Export', class: 'plain', on: { click: exporter } }));
}
