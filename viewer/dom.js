// Elements of the page. Text goes into it by text nodes alone, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
	for (const [key, value] of Object.entries(props || {})) {
		if (value === undefined || value === null || value === false) continue;
		if (key === 'on') for (const [name, fn] of Object.entries(value)) node.addEventListener(name, fn);
		else if (key === 'dataset') Object.assign(node.dataset, value);
		else if (key === 'style') for (const [name, to] of Object.entries(value)) node.style.setProperty(name, to);
		else if (key === 'value' || key === 'checked' || key === 'indeterminate') node[key] = value;
		else node.setAttribute(key, value === true ? '' : value);
	}
	node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
	return node;
}

// An element. props: attributes by name (null, undefined and false leave one out),
// `on`: listeners, `dataset`, `style` by the CSSOM; strings become text.
export function el(tag, props, ...children) {
	return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
	return fill(document.createElementNS(SVG, tag), props, children);
}

const ICONS = {
	search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14',
	zoomout: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14M5 7h4',
	close: 'M4 4l8 8M12 4l-8 8',
	plus: 'M8 3v10M3 8h10',
	minus: 'M3 8h10',
	down: 'M4 6l4 4 4-4',
	right: 'M6 4l4 4-4 4',
	left: 'M10 4L6 8l4 4',
	up: 'M4 10l4-4 4 4',
	clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3.2l2 1.6',
	play: 'M5 3.5v9l7.5-4.5z',
	stop: 'M4.5 4.5h7v7h-7z',
	help: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM6.2 6.2a1.9 1.9 0 1 1 2.7 1.9c-.6.3-.9.7-.9 1.3M8 11.6v.1',
	copy: 'M6 6h7.5v7.5H6zM10 6V2.5H2.5V10H6',
	download: 'M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13.5h10',
	columns: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
	wrap: 'M2.5 4h11M2.5 8h8.7a2.2 2.2 0 1 1 0 4.4H8.5M10 10.6l-1.8 1.8L10 14.2M2.5 12.4h3',
	code: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5',
	check: 'M3 8.5l3.2 3.2L13 4.8',
	link: 'M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7L8 4.3M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.3 9a2.6 2.6 0 0 0 3.7 3.7l1-1',
	refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13.2 2v3h-3',
	fields: 'M2.5 3.5h11M2.5 8h7M2.5 12.5h4',
	warning: 'M8 2.2L14.3 13.5H1.7zM8 6.4v3.4M8 11.7v.1',
	key: 'M5.5 13a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM7.5 8.2L13.2 2.5M11 4.7l1.8 1.8',
};

// A drawing of 16 by 16 in the text's colour, hidden from screen readers.
export function icon(name) {
	return svg('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));
}

// A button of an icon alone, or with text: `label` says what it does.
export function button(label, { icon: name, text, class: classes = '', ...props } = {}) {
	return el('button', { type: 'button', class: classes, title: text === label ? null : label, 'aria-label': text === label ? null : label, ...props },
		name && icon(name), text && el('span', null, text));
}

// What does not show or changes how the rest shows: controls but line feed and
// tab, blanks without width, marks and overrides of the writing direction,
// lone surrogates, tags.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]|[\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

// Signs that all fonts have.
const SIGNS = { '\n': '↵', '\t': '⇥' };

// The text of an event as it is: each such character a visible sign, the whole
// isolated, so that it cannot turn what stands beside it. With `oneLine` line
// feeds and tabs are signs too.
export function shown(text, { oneLine = false } = {}) {
	const box = el('bdi', { class: 'shown' });
	const all = String(text);
	let from = 0;
	const sign = (at, length) => {
		if (at > from) box.append(all.slice(from, at));
		const code = all.codePointAt(at);
		const name = 'U+' + code.toString(16).toUpperCase().padStart(4, '0');
		box.append(el('span', { class: 'unseen', title: name }, SIGNS[all[at]] || name));
		from = at + length;
	};
	for (const found of all.matchAll(oneLine ? new RegExp(UNSEEN.source + '|[\\n\\t]', 'gu') : UNSEEN)) {
		// Variation selectors and joiners belong to emoji where they follow one.
		if (/[\u200d\ufe0e\ufe0f]/.test(found[0]) && found.index > 0 && /\p{Extended_Pictographic}|\ufe0f|\p{Emoji_Modifier}/u.test(all.slice(Math.max(0, found.index - 2), found.index))) continue;
		sign(found.index, found[0].length);
	}
	if (from < all.length) box.append(all.slice(from));
	return box;
}

export const $ = (selector, within = document) => within.querySelector(selector);

// Says something to screen readers.
export function announce(text) {
	$('#announce').textContent = text;
}

// Puts text into the clipboard; where the browser has none (http on another
// host than this one) by a selection. Tells whether it could.
async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const area = el('textarea', { class: 'offscreen', value: text });
		($('dialog[open]') || document.body).append(area);
		area.select();
		const done = document.execCommand('copy');
		area.remove();
		return done;
	}
}

// Copies a text by a button, which shows for a while whether it could.
export async function copyBy(pressed, text) {
	const done = await copy(text);
	const [before, sign] = [pressed.querySelector('.icon'), icon(done ? 'check' : 'warning')];
	announce(done ? 'Copied' : 'It could not be copied');
	before.replaceWith(sign);
	setTimeout(() => sign.replaceWith(before), 1500);
}

// Opens a dialog, with a button that closes it; a click beside it does too. It is gone when closed.
export function dialog(title, classes, ...content) {
	const box = el('dialog', { class: classes, 'aria-labelledby': 'dialog-title', on: { close: () => box.remove(), click: ({ target }) => target === box && box.close() } },
		el('header', null, el('h2', { id: 'dialog-title' }, title), button('Close', { icon: 'close', class: 'plain', on: { click: () => box.close() } })),
		el('div', { class: 'body' }, content));
	document.body.append(box);
	box.showModal();
	return box;
}
