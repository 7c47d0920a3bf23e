// Numbers for people.

const plain = new Intl.NumberFormat('en');
const brief = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

// 1,234,567
export const number = (n) => plain.format(n);

// 1.2M, for axes and narrow places
export const compact = (n) => brief.format(n);

// 0.5 as 50 %; what is there but rounds to nothing as < 1 %
export const percent = (share) => (share > 0 && share < 0.005 ? '< 1 %' : Math.round(share * 100) + ' %');

export const plural = (n, one, many = one + 's', form = number) => form(n) + ' ' + (n === 1 ? one : many);

// 12.3 MB, by powers of 1024, as PostgreSQL counts in its settings and pg_size_pretty()
export function bytes(n) {
	const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
	let at = 0;
	for (; Math.abs(n) >= 1023.5 && at < units.length - 1; at++) n /= 1024;
	return (at && n < 99.5 ? n.toFixed(1) : Math.round(n)) + ' ' + units[at];
}

// The collector's words as a sentence: its place in a query is shown otherwise.
export const sentence = (text) => text.replace(/^search, character \d+: /, '').replace(/^./, (first) => first.toUpperCase());
