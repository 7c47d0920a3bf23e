// Of a long list the page holds only the rows that are to be seen and a few around them.
// Rows are of one height, or (`varying`) of their own: estimated until they were drawn.

const AROUND = 300; // pixels beyond the edges that are drawn too, so that scrolling finds them

// Heights of all rows, as a Fenwick tree: the sum of the first n, and the row at y, in log n steps.
class Heights {
	constructor(items, estimate) {
		const sums = new Float64Array(items.length + 1);
		for (let i = 1; i <= items.length; i++) {
			sums[i] += items[i - 1].height || estimate;
			const above = i + (i & -i);
			if (above <= items.length) sums[above] += sums[i];
		}
		this.sums = sums;
	}

	add(index, more) {
		for (let i = index + 1; i < this.sums.length; i += i & -i) this.sums[i] += more;
	}

	top(index) {
		let y = 0;
		for (let i = index; i > 0; i -= i & -i) y += this.sums[i];
		return y;
	}

	at(y) {
		let index = 0;
		for (let step = 2 ** Math.floor(Math.log2(this.sums.length)); step >= 1; step /= 2)
			if (index + step < this.sums.length && this.sums[index + step] <= y) {
				index += step;
				y -= this.sums[index];
			}
		return index;
	}
}

export class Virtual {
	// scroller: what scrolls; canvas: within it, has the height of all rows, beneath a head that
	// stays (headHeight()). draw(item, index): an element for an item, an object of the list's.
	constructor(scroller, canvas, { draw, headHeight, scrolled }) {
		Object.assign(this, { scroller, canvas, draw, headHeight, items: [], rowHeight: 24, varying: false, heights: null, pending: 0 });
		this.drawn = new Map(); // item → element
		this.y = 0; // as of the last drawing: asking again after it would make the browser lay out
		this.page = 0; // height of what is to be seen; resized() says when it is another one
		scroller.addEventListener('scroll', () => {
			this.render();
			scrolled();
		}, { passive: true });
	}

	top(index) {
		return this.varying ? this.heights.top(index) : index * this.rowHeight;
	}

	at(y) {
		const index = this.varying ? this.heights.at(Math.max(0, y)) : Math.floor(y / this.rowHeight);
		return Math.max(0, Math.min(this.items.length - 1, index));
	}

	get total() {
		return this.top(this.items.length);
	}

	resized() {
		this.page = Math.max(0, this.scroller.clientHeight - this.headHeight());
		this.later();
	}

	// Takes over how high rows are, and forgets how they were drawn.
	layout({ rowHeight, varying }) {
		const anchor = this.anchor();
		for (const item of this.items) item.height = 0;
		Object.assign(this, { rowHeight, varying });
		this.redraw();
		this.resized();
		this.measure();
		this.hold(anchor && { ...anchor, within: 0 });
	}

	redraw() {
		for (const element of this.drawn.values()) element.remove();
		this.drawn.clear();
	}

	// Draws one row anew.
	renew(item) {
		this.drawn.get(item)?.remove();
		this.drawn.delete(item);
		this.later();
	}

	// The list is another one, or longer. What is to be seen stays where it is, but at the very top.
	update(items) {
		const anchor = this.scroller.scrollTop > 0 ? this.anchor() : null;
		this.items = items;
		this.measure();
		if (anchor && items[anchor.index] !== anchor.item) this.hold(anchor);
		this.later();
	}

	measure() {
		this.heights = this.varying ? new Heights(this.items, this.rowHeight) : null;
		this.canvas.style.height = this.total + 'px';
	}

	anchor() {
		if (!this.items.length) return null;
		const index = this.at(this.scroller.scrollTop);
		return { item: this.items[index], index, within: this.scroller.scrollTop - this.top(index) };
	}

	hold(anchor) {
		const index = anchor ? this.items.indexOf(anchor.item) : -1;
		if (index >= 0) this.scroller.scrollTop = this.top(index) + anchor.within;
		this.later();
	}

	// Brings a row into sight with as little scrolling as possible.
	reveal(index) {
		for (let round = 0; round < (this.varying ? 3 : 1); round++) { // measured only when drawn
			const top = this.top(index);
			const bottom = this.top(index + 1);
			if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
			else if (bottom > this.scroller.scrollTop + this.page) this.scroller.scrollTop = bottom - this.page;
			this.render();
		}
	}

	later() {
		this.pending ||= requestAnimationFrame(() => this.render());
	}

	render() {
		cancelAnimationFrame(this.pending);
		this.pending = 0;
		const { items, drawn, scroller, canvas } = this;
		const y = this.y = scroller.scrollTop;
		const first = this.at(y - AROUND);
		const last = items.length ? this.at(y + this.page + AROUND) : -1;
		const wanted = new Set();
		for (let i = first; i <= last; i++) wanted.add(items[i]);
		for (const [item, element] of drawn)
			if (!wanted.has(item)) {
				element.remove();
				drawn.delete(item);
			}
		let after = null; // rows stand in the order of the list, for screen readers and selections
		for (let i = last; i >= first; i--) {
			let element = drawn.get(items[i]);
			if (!element) drawn.set(items[i], element = this.draw(items[i], i));
			if (element.parentNode !== canvas || element.nextSibling !== after) canvas.insertBefore(element, after);
			after = element;
			element.ariaRowIndex = i + 2; // the head is the first row
		}
		if (this.varying) this.fit(first, last);
		for (let i = first; i <= last; i++) {
			const to = `translateY(${this.top(i)}px)`;
			const { style } = drawn.get(items[i]);
			if (style.transform !== to) style.transform = to;
		}
	}

	// Measures rows that have been drawn for the first time, and keeps what is to be seen where it is.
	fit(first, last) {
		const anchor = this.anchor();
		let changed = false;
		const found = [];
		for (let i = first; i <= last; i++) if (!this.items[i].height) found.push([i, this.drawn.get(this.items[i]).offsetHeight]);
		for (const [i, height] of found) {
			this.items[i].height = height;
			if (height !== this.rowHeight) this.heights.add(i, height - this.rowHeight);
			changed ||= height !== this.rowHeight;
		}
		if (!changed) return;
		this.canvas.style.height = this.total + 'px';
		const to = this.top(anchor.index) + anchor.within;
		if (anchor.index > first && Math.abs(to - this.scroller.scrollTop) > 1) this.scroller.scrollTop = to;
	}
}
