// Times as people read them, in the browser's zone, UTC or the collector's.
// The API's times are UTC with 6 digits of a second: 2026-11-26T12:00:00.123456Z.

import { state } from './state.js';

const UNITS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const formatters = new Map();
const here = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
let serverZone = 'UTC';
let offset = 0;

// What /api/session says of the collector: its zone, and how far its clock is from this one.
export function setServer(zone, now) {
	try {
		new Intl.DateTimeFormat('en', { timeZone: zone });
		serverZone = zone;
	} catch {
		serverZone = 'UTC';
	}
	const ahead = Date.parse(now) - Date.now();
	offset = Math.abs(ahead) > 1000 ? ahead : 0;
}

// Milliseconds since 1970 by the collector's clock.
export const now = () => Date.now() + offset;

export const iso = (ms) => new Date(ms).toISOString();

// The IANA name of the zone shown.
export function zoneName() {
	const zone = state.get().zone;
	return zone === 'utc' ? 'UTC' : zone === 'server' ? serverZone : here;
}

// Year, month, day, hour, minute, second of a moment in the zone shown, as texts.
function parts(ms, zone = zoneName()) {
	if (!formatters.has(zone))
		formatters.set(zone, new Intl.DateTimeFormat('en-GB', {
			timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit',
			hour: '2-digit', minute: '2-digit', second: '2-digit', weekday: 'short',
		}));
	return Object.fromEntries(formatters.get(zone).formatToParts(ms).map(({ type, value }) => [type, value]));
}

const moment = (time) => (typeof time === 'number' ? time : Date.parse(time));

// `time`: of the API, or milliseconds. style: 'minute' 12:00, 'second' 12:00:00,
// 'milli' 12:00:00.123, 'day' 11-26, 'weekday' Thu 11-26, 'date' 2026-11-26,
// 'minutes' 2026-11-26 12:00, 'row' 11-26 12:00:00.123, 'full' 2026-11-26 12:00:00.123456.
export function format(time, style = 'full') {
	const ms = moment(time);
	if (!Number.isFinite(ms)) return String(time);
	const p = parts(ms);
	const milli = String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, '0');
	const clock = `${p.hour}:${p.minute}`;
	const day = `${p.month}-${p.day}`;
	switch (style) {
	case 'minute': return clock;
	case 'second': return `${clock}:${p.second}`;
	case 'milli': return `${clock}:${p.second}.${milli}`;
	case 'day': return day;
	case 'weekday': return `${p.weekday} ${day}`;
	case 'date': return `${p.year}-${day}`;
	case 'minutes': return `${p.year}-${day} ${clock}`;
	case 'row': return `${day} ${clock}:${p.second}.${milli}`;
	default: {
		const digits = typeof time === 'string' ? /\.(\d+)Z?$/.exec(time)?.[1] : null;
		return `${p.year}-${day} ${clock}:${p.second}.${digits || milli}`;
	}
	}
}

// Milliseconds of a span as in the address: 15m, 1h, 7d. NaN where it is none.
export function span(text) {
	const found = /^(\d+)([smhdw])$/.exec(text);
	return found ? found[1] * UNITS[found[2]] : NaN;
}

// 850 ms, 1.2 s, 3 min, 2 h, 5 d
export function duration(ms) {
	if (ms < 1000) return Math.round(ms) + ' ms';
	if (ms < 6e4) return (ms / 1e3).toFixed(ms < 1e4 && ms % 1000 ? 1 : 0) + ' s';
	if (ms < 36e5) return Math.round(ms / 6e4) + ' min';
	if (ms < 48 * 36e5) return +(ms / 36e5).toFixed(1) + ' h';
	return Math.round(ms / 864e5) + ' d';
}

export const ago = (time) => duration(Math.max(0, now() - moment(time))) + ' ago';

// How far the zone is from UTC at that moment, in milliseconds.
export function shift(ms) {
	const p = parts(ms);
	return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(ms / 1000) * 1000;
}

// A moment as an input of type datetime-local has it, in the zone shown, and back.
export const toInput = (ms) => new Date(ms + shift(ms)).toISOString().slice(0, 19);

export function fromInput(text) {
	const wall = Date.parse(text + 'Z');
	if (Number.isNaN(wall)) return NaN;
	const first = wall - shift(wall);
	return wall - shift(first); // twice, for the hours in which clocks are put forward or back
}

// since and until in milliseconds of what the state says.
export function bounds({ from, to } = state.get()) {
	const end = to ? Date.parse(to) : now();
	const until = Number.isNaN(end) ? now() : end;
	const length = span(from);
	const start = Number.isNaN(length) ? Date.parse(from) : until - length;
	const since = Math.max(0, Number.isNaN(start) ? until - UNITS.h : start);
	return { since, until: Math.max(until, since + 1) }; // of what is to come there is nothing yet
}
