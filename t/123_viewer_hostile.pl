# Hostile events are shown as what they are, value by value as they are stored, and remain text: in
# the list, the event, the fields, the histogram, the overview and the address.  Whatever is in them,
# a click on a value finds the event that has it, and the page stays usable.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Encode ();
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Hostile;
use Viewer;
use ViewerPage;

plan skip_all => 'there is no chromium or no chromedriver' if !Browser::programs();

my $node = viewer_node('hostile', conf => "windtrap.max_event_size = '2MB'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# A text of SQL's, undef for null; by way of psql some characters get lost.
sub text_of { return $_[0] eq '' ? undef : Encode::decode_utf8(pack 'H*', substr $_[0], 1); }
sub as_hex { return "coalesce('x' || encode(convert_to($_[0], 'UTF8'), 'hex'), '')"; }

#
# What is shown
#
my @sent = Hostile::events();
for my $i (0 .. $#sent)
{
	my $event = $sent[$i];
	my %headers = ('Content-Type' => $event->{type} // 'application/json', %{ $event->{headers} // {} });
	my $connection = connect_to($port);
	$connection->request($event->{body}, path => "/log?case=$i", headers => [ map { "$_: $headers{$_}" } sort keys %headers ]);
	my $answer = $connection->response;
	is($answer->{status}, 200, "$event->{name}: it is accepted") or diag $answer->{content};
	$connection->close;
}
query("INSERT INTO log VALUES $_") for Hostile::rows();
# What is refused is seen too.
for my $agent ('<img src=http://evil.example/ onerror="window.hacked = 20">', '"><script>alert(3)</script>')
{
	is(post($port, '{"broken', agent => $agent, path => '/log?<b>=</td><script>window.hacked=21</script>')->{status}, 400, 'a request is refused');
}

my @stored = map { my @row = split /\|/, $_, -1; { key => $row[0], case => $row[1], map { ((qw(message app host severity json data))[$_] => text_of($row[ 2 + $_ ])) } 0 .. 5 } }
  split /\n/, query(q{SELECT to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), data->'args'->>'case', }
	  . join(', ', map { as_hex($_) } 'left(message, 1000)', 'left(app, 1000)', 'left(host, 1000)', 'severity', q{(data->'json')::text}, 'data::text')
	  . q{ FROM windtrap.events ORDER BY event_timestamp DESC, id COLLATE "C" DESC NULLS LAST});
is(scalar(grep { $_->{case} ne '' } @stored), scalar @sent, 'all are stored');

my $viewer = ViewerPage->open($node);
my $browser = $viewer->browser;

# What JavaScript has of a page beside the rest: texts as they were before unseen characters
# became signs, and trees as lists of their rows.
my $helpers = <<'JS';
const raw = (node) => [...node.childNodes].map((each) => each.nodeType === 3 ? each.data : each.matches(".unseen") ? String.fromCodePoint(parseInt(each.title.slice(2), 16)) : each.matches("button, .tools, .offscreen") ? "" : raw(each)).join("");
// Opens all that can be opened; of long lists no more than some hundreds.
const openAll = (tree) => {
	for (let more = 0;;) {
		const closed = $("[aria-expanded=false]", tree) || $(".text button.link", tree) || (more++ < 3 && $("button.link", tree));
		if (!closed) return;
		if (closed.matches("button")) closed.click();
		else closed.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
	}
};
const drawn = (tree) => [...tree.children].filter((row) => !$(":scope > button.link", row)).map((row) => {
	const key = $(".key, .index", row);
	return [+row.ariaLevel, key ? raw(key) : null, row.ariaExpanded ? null : raw($(".value", row) || [...row.children].filter((each) => each.matches(".muted")).at(-1))];
});
class Source { constructor(text) { this.text = text; } }
const parse = (text) => JSON.parse(text, (key, value, context) => typeof value === "number" ? new Source(context.source) : value);
const leaf = (value) => typeof value === "string" ? value : value instanceof Source ? value.text : value === null || typeof value === "boolean" ? String(value) : Array.isArray(value) ? (value.length ? null : "[ ]") : Object.keys(value).length ? null : "{ }";
const expected = (value, level = 1, all = []) => {
	if (leaf(value) !== null) all.push([level, null, leaf(value)]);
	else for (const name of Object.keys(value)) {
		all.push([level, name, leaf(value[name])]);
		if (leaf(value[name]) === null) expected(value[name], level + 1, all);
	}
	return all;
};
const differences = (tree, text) => {
	const [is, shall] = [drawn(tree), expected(parse(text))];
	// Where there is more to come: what there is before it.
	const rest = $("button.link", tree);
	if (rest) {
		const at = [...tree.children].indexOf(rest.parentNode);
		const after = is.length - at;
		if (!rest.textContent.endsWith(` of ${(shall.length - after - at).toLocaleString("en")}`)) return [`${rest.textContent} after ${at} of ${shall.length}`];
		is.length = shall.length = at;
	}
	if (is.length !== shall.length) return [`${is.length} rows for ${shall.length}`];
	const same = (a, b, i) => a === b || (i === 1 && a?.endsWith("…") && b.length > 300 && b.startsWith(a.slice(0, -1)));
	return is.map((row, at) => [row, shall[at]]).filter(([a, b]) => a.some((part, i) => !same(part, b[i], i))).map((pair) => pair.map((row) => JSON.stringify(row.map((part) => String(part).slice(0, 60) + " " + String(part).length))).join(" for ")).slice(0, 3);
};
JS

ok($viewer->load('?from=15m&cols=severity&cols=app&cols=host&cols=message'), 'a list of nothing but hostile events');
is($viewer->run('return document.querySelectorAll("body :is(script, img, iframe, object, embed, base, meta, link, style)").length'), 0, 'nothing of them is markup');
is($viewer->total, scalar @stored, 'all are counted');
$viewer->picture('hostile');
$viewer->fits('the list');
$viewer->is_readable('the list');

#
# One after the other, by keyboard
#
$viewer->run('document.activeElement.blur(); scrollTo(0, 0)');
my $slowest = [ 0, '' ];
for my $i (0 .. $#stored)
{
	my $event = $stored[$i];
	my $case = $event->{case} ne '' ? $sent[ $event->{case} ] : undef;
	my $name = $case ? $case->{name} : 'data is ' . substr $event->{data}, 0, 40;
	my $begun = time;

	# "Loading" ends when the whole of a large one has come.
	$browser->press($i == 0 ? ('j', ['Enter']) : 'j');
	my $is_open = $viewer->until(<<'JS', [ $event->{key} ], 20);
return new URLSearchParams(location.search).get("event")?.startsWith(arguments[0] + "~") && visible($("#detail-panel [role=tree]")) && $("#detail time").dateTime === arguments[0];
JS
	ok($is_open, "$name: it is opened") or do { $viewer->said("opening $name"); next; };
	my $seen = $viewer->run($helpers . <<'JS', $event->{json} // ($event->{data} =~ /^[\[{]/ ? 'null' : $event->{data}));
const row = $(".row.active", grid);
const tree = $("#detail-panel [role=tree]");
openAll(tree);
// A message that is cut says so.
return { key: row.dataset.key, cells: [...row.children].slice(1).map((cell) => { const text = raw(cell); return text.length > 1000 ? text.replace(/ …$/, "") : text; }), differences: differences(tree, arguments[0]) };
JS
	my @cells = map { $_ // '' } @$event{qw(severity app host message)};
	is_deeply($seen->{cells}, \@cells, "$name: the list shows what it is");
	is($seen->{cells}[3], $case->{message}, "$name: its message is what was sent") if $case && defined $case->{message} && length $case->{message} < 1000;
	is_deeply($seen->{differences}, [], "$name: so does the tree, value by value");
	my $took = time - $begun;
	$slowest = [ $took, $name ] if $took > $slowest->[0];

	if (!$case)
	{
		$viewer->press_button('JSON', '#detail');
		is($viewer->run($helpers . 'const show = (value) => value instanceof Source ? JSON.rawJSON(value.text) : value; return $("#detail .raw") && raw($("#detail .raw")) === JSON.stringify(JSON.parse(arguments[0], (key, value, context) => typeof value === "number" ? JSON.rawJSON(context.source) : value), null, 2)', $event->{data}),
			JSON::PP::true, "$name: its JSON is that of the row");
		$viewer->press_button('Event', '#detail .tabs');
		$viewer->run('document.activeElement.blur()');
	}
	next if !$case || !$case->{path};

	# The value's button "Only these".
	my $found = $viewer->run($helpers . <<'JS', $case->{path});
const all = [...$("#detail-panel [role=tree]").children];
let at = -1;
for (const [depth, name] of arguments[0].entries()) {
	do at++; while (all[at] && !(+all[at].ariaLevel === depth + 1 && $(".key", all[at]) && raw($(".key", all[at])) === name));
	if (!all[at]) return `there is no ${name}`;
}
all[at].scrollIntoView({ block: "center" });
all[at].focus();
const button = $('.tools [aria-label="Only these"]', all[at]);
if (!button) return "there is no button";
button.click();
return "";
JS
	is($found, '', "$name: its value has a button that filters");
	next if $found ne '';
	my $one = $viewer->until('return grid.ariaBusy === "false" && !$(".plot.stale") && new URLSearchParams(location.search).get("q") && $("#status [role=status]").textContent.startsWith("1 event") && rows().length === 1 && rows()[0].dataset.key', [], 5);
	like($one // '', qr/^\Q$event->{key}\E~/, "$name: which finds it and nothing else") or $viewer->said("filter $name");
	$browser->back;
	$viewer->until('return grid.ariaBusy === "false" && rows().length > 1 && $(".row.active", grid)', []) or $viewer->said("back from $name");
	$viewer->run('document.activeElement.blur()');
}
cmp_ok($slowest->[0], '<', 10, "each is there within seconds; $slowest->[1] takes longest") or diag $slowest->[0];
is($viewer->run('return String(window.hacked) + String(({}).polluted) + Object.prototype.toString.call(1)'), 'undefinedundefined[object Number]', 'nothing of them has run');
$viewer->is_quiet('hostile events');

#
# The rest of the page
#
$viewer->load('?from=15m&by=app&cols=' . join('&cols=', map { HTTP::Tiny->_uri_escape($_) } '"<script>window.hacked = 1; alert(1)</script>"', '"__proto__".polluted', 'message'));
$viewer->comes('the histogram by app has their names', $helpers . 'return $$("#histogram .legend button").some((each) => raw(each).startsWith("<img")) || $$("#histogram .legend button").map(raw)', []);
$browser->click('#fields input');
for my $name ('__proto__', '<script>')
{
	$browser->press([qw(Control a)], $name);
	$viewer->comes("the fields have $name", $helpers . <<'JS', [$name]);
const button = $$("#fields section").find((each) => each.dataset.field.replace(/^"/, "").startsWith(arguments[0]))?.querySelector("button.field");
if (button?.ariaExpanded === "false") button.click();
return button?.closest("section").querySelector(".value-line");
JS
}
$viewer->searched;
$viewer->picture('hostile fields');

$viewer->load('?view=overview');
$viewer->comes('the overview shows what was refused', $helpers . 'return $$("#overview [title]").some((each) => each.title.includes("<img src=http://evil.example/ onerror")) && /POST \/log/.test(raw($("#overview")))') or $viewer->said('overview');
$viewer->picture('hostile overview');
$viewer->fits('the overview');

# An address that somebody was sent.
my $link = '?q=' . HTTP::Tiny->_uri_escape('"<script>window.hacked=30</script>" ' . "\x01") . '&cols=%3Cimg%20src%3Dx%20onerror%3Dalert(4)%3E&cols=__proto__&cols=&event=%3Cb%3E~%22%3E%3Cscript%3E&by=%3Ci%3E&from=javascript:alert(5)&to=%00&zone=constructor&view=__proto__&live=%3Cb%3E&wrap=1&__proto__=x#<script>';
$viewer->load($link);
is($viewer->run('return $("#query").value'), "\"<script>window.hacked=30</script>\" \x01", 'a hostile address: the query is in the box');
$viewer->picture('hostile address');
is($viewer->run('return String(window.hacked) + String(({}).polluted)'), 'undefinedundefined', 'a hostile address: nothing has run');
is($viewer->run('return document.querySelectorAll("body :is(script, img, iframe, object, embed, base, meta, link, style)").length'), 0, 'nothing has become markup');
$viewer->is_quiet('the rest of the page', qr/ 400 \(Bad Request\)/);

$viewer->close;
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
