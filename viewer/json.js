// JSON whose numbers stay as they were sent: 12345678901234567890 and 99.90 have no
// like among JavaScript's. Where the browser can (JSON.rawJSON), such a number becomes an
// object that JSON.stringify writes as it came; elsewhere it is the nearest number.

const exact = typeof JSON.rawJSON === 'function';

// Whether the text may hold a number that String() would write differently: asked first,
// as reading with a function for each value takes several times as long.
const UNUSUAL = /[:,[]\s*-?(?:[\d.]{16,}|\d+\.\d*0(?!\d)|0\.0000|[\d.]+[eE])/;

const keep = (key, value, context) =>
	(typeof value === 'number' && context?.source && String(value) !== context.source ? JSON.rawJSON(context.source) : value);

export const parse = (text) => JSON.parse(text, exact && UNUSUAL.test(text) ? keep : undefined);

const isRaw = (value) => exact && JSON.isRawJSON(value);

// What JSON calls the value: object, array, string, number, boolean or null.
export function typeOf(value) {
	if (value === null) return 'null';
	if (Array.isArray(value)) return 'array';
	return isRaw(value) ? 'number' : typeof value;
}

// A value as one text: a string as it is, all else as JSON.
export const textOf = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
