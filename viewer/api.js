// Requests to the collector: JSON, and NDJSON line by line as it comes.

import { parse as exactly } from './json.js';
import { emit } from './state.js';

const KEY = 'windtrap.token';

export const token = {
	get: () => sessionStorage.getItem(KEY),
	set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

// status: HTTP's, 0 where no answer came; position: in the query, from 1, or null.
export class ApiError extends Error {
	constructor(status, message, position = null) {
		super(message);
		Object.assign(this, { name: 'ApiError', status, position });
	}
}

export const aborted = (error) => error?.name === 'AbortError';

const LOST = 'The collector cannot be reached.';

export function url(path, params = {}) {
	const query = new URLSearchParams();
	for (const [key, value] of Object.entries(params))
		if (value !== null && value !== undefined && value !== '') query.set(key, value);
	const text = query.toString();
	return '/api/' + path + (text ? '?' + text : '');
}

function lost(error) {
	if (aborted(error)) throw error;
	emit('connection', { up: false });
	throw new ApiError(0, LOST);
}

// The answer to a request, if it is one of 2xx. Throws ApiError, or AbortError.
export async function request(path, params, { signal, method = 'GET', body } = {}) {
	const headers = {};
	if (token.get()) headers.Authorization = 'Bearer ' + token.get();
	if (body !== undefined) headers['Content-Type'] = 'application/json';
	const answer = await fetch(url(path, params), {
		method, headers, signal, cache: 'no-store', credentials: 'same-origin',
		body: body === undefined ? undefined : JSON.stringify(body),
	}).catch(lost);
	emit('connection', { up: true });
	if (answer.ok) return answer;
	const said = await answer.json().catch(() => ({}));
	const error = new ApiError(answer.status, said?.error || `The collector answered ${answer.status}.`, said?.position ?? null);
	if (answer.status === 401 || answer.status === 403) emit('refused', error);
	throw error;
}

export async function get(path, params, options) {
	return (await request(path, params, options)).json().catch(lost);
}

export async function post(path, body, options) {
	return (await request(path, {}, { ...options, method: 'POST', body })).json().catch(lost);
}

// Yields each line of an answer as it comes, parsed. A line {"error"} is thrown;
// so is the end of a connection before that of the answer.
export async function* lines(path, params, options) {
	const answer = await request(path, params, options);
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = [];
	try {
		for (;;) {
			const { done, value } = await reader.read().catch(lost);
			if (done) break;
			const found = value.split('\n');
			for (let i = 0; i < found.length; i++) {
				rest.push(found[i]);
				if (i === found.length - 1) break;
				const line = rest.join('');
				rest = [];
				if (line) yield parse(line);
			}
		}
		const line = rest.join('');
		if (line) yield parse(line);
	} finally {
		reader.cancel().catch(() => {});
	}
}

function parse(line) {
	let value;
	try {
		// Only of events do numbers count as they are written.
		value = /^\{"(?:event|time)"/.test(line) ? exactly(line) : JSON.parse(line);
	} catch {
		throw new ApiError(0, 'The collector\'s answer broke off.');
	}
	if (value.error?.message) throw new ApiError(500, value.error.message, value.error.position ?? null);
	return value;
}

// Waits before the next try: 0.5 s, doubled up to 15 s, a part of it by chance.
export function backoff(tries, signal) {
	const ms = Math.min(15000, 500 * 2 ** tries) * (0.75 + Math.random() / 2);
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		signal?.addEventListener('abort', () => {
			clearTimeout(timer);
			reject(signal.reason);
		}, { once: true });
	});
}
