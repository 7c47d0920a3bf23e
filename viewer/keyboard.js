// Keys of the page: one table, which help shows.

const keys = [];

// Calls fn(event) at a key ('j', 'Enter', '?') unless somebody types. `what` is
// what help says of it, null for nothing; `when` tells whether it counts now; the one
// registered last is asked first. fn giving false leaves the key to others.
export function key(name, what, fn, { group = 'Page', when = null } = {}) {
	keys.push({ name, what, fn, group, when });
}

export const all = () => keys.filter(({ what }) => what);

const typing = (node) => node.closest?.('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]');

addEventListener('keydown', (event) => {
	if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
	if (typing(event.target) || document.querySelector('dialog[open]')) return;
	// Enter and blank belong to what has the focus, where it can be pressed.
	if ((event.key === 'Enter' || event.key === ' ') && event.target.closest?.('button, a, summary, [role=button], [role=treeitem], [role=option]')) return;
	for (const { name, fn, when } of [...keys].reverse())
		if (name === event.key && (!when || when()) && fn(event) !== false) {
			event.preventDefault();
			return;
		}
});
