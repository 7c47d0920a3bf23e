# The page of events in a browser, as people use it: from the empty log to the first event, searches,
# the histogram, filters by click, links, long lists, the keyboard alone, resolving, export, the
# overview and tokens; light and dark, on a desk and on a telephone.
#
# Pictures of it are left in screenshots/ of the work directory.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Viewer;
use ViewerPage;

plan skip_all => 'there is no chromium or no chromedriver' if !Browser::programs();

my $node = viewer_node('page');
my $port = wt_port($node);
my $viewer = ViewerPage->open($node);
my $browser = $viewer->browser;

sub query { return $node->safe_psql('postgres', $_[0]); }

my $is_wrong = qr/ 400 \(Bad Request\)/;    # what the browser says of a wrong query

#
# From the empty log to the first event
#
$viewer->load('');
$viewer->comes('an empty log says how to send', 'return visible($("#welcome")) && $("#welcome pre")');
my $curl = $viewer->run('return $("#welcome pre").textContent');
like($curl, qr{^curl [^']*'\{[^']*\}'[\s\\]+http://127\.0\.0\.1:$port/log$}, 'by a command that can be copied') or $viewer->said('welcome');
$viewer->picture('welcome');
$viewer->is_readable('welcome');
$viewer->is_named('welcome');
like(command('sh', '-c', "$curl -sS --noproxy '*'"), qr/^\{"accepted":1\}/, 'the command works');
$viewer->comes('the page sees the first event', 'return $("#welcome").innerText.includes("The first event")');
$viewer->press_button('Show the events', '#welcome');
$viewer->comes('and shows it', 'return !visible($("#welcome")) && rows().length === 1');
is($viewer->run('return $(".message", rows()[0]).textContent'), 'order paid', 'as it was sent');
$viewer->load('?view=overview');
$viewer->comes('the overview counts one event as one', 'return $("#overview [aria-label=Accepted] p")?.textContent === "1 event"') or $viewer->said('overview');
$viewer->is_quiet('the first event');

#
# A day of a shop
#
my ($rc, $out, $error) = $node->psql('postgres', slurp_file("$FindBin::RealBin/shop_events.sql") =~ s/:count/20000/gr);
is($rc, 0, 'a day of a shop') or diag $error;
my ($from, $to) = split /\|/, query(q{SELECT to_char(t - interval '25 hours', f), to_char(t + interval '2 minutes', f)
	FROM (SELECT date_trunc('minute', now() AT TIME ZONE 'UTC') AS t, 'YYYY-MM-DD"T"HH24:MI:SS.000"Z"' AS f) x});
my $range = "from=$from&to=$to";

# How many events a condition of SQL's is true of, in the range of the page.
sub count
{
	my ($condition) = @_;
	my ($since, $until) = ($viewer->state('from'), $viewer->state('to'));
	return query("SELECT count(*) FROM windtrap.events WHERE event_timestamp >= '$since' AND event_timestamp < '$until' AND ($condition)");
}

$viewer->load('');
cmp_ok(scalar $viewer->keys_seen, '>', 20, 'the last hour is shown');
$viewer->load("?$range");
is($viewer->total, count('true'), 'a whole day is counted');
like($viewer->run('return $("#histogram .chart").getAttribute("aria-label")'), qr/^Events over time, [\d,]+ from /, 'the histogram says what it shows');
is($viewer->run('return $$("#histogram .bars").filter((path) => path.getBBox().height > 0).length'), 6, 'it has bars of each severity');
$viewer->comes('the fields are listed with their values', 'return $("#fields [data-field=app]")?.textContent.includes("payments")');
$viewer->comes('all of them', 'return $("#fields [data-field=host] .value-line")');
$viewer->picture('light');
$viewer->is_readable('light');
$viewer->is_named('the list');
$browser->prefer('dark');
$viewer->picture('dark');
$viewer->is_readable('dark');
my $dark = $viewer->run('return getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)');
cmp_ok((sort { $b <=> $a } @$dark[0 .. 2])[0], '<', 64, 'where the system is dark the page is dark');
$browser->prefer('light');
$viewer->is_quiet('the list');

#
# Searches
#
$viewer->search('severity:>=error app:payments');
is($viewer->total, count(q{severity IN ('error', 'fatal') AND app = 'payments'}), 'a search by typing');
is_deeply($viewer->run('return [...new Set(rows().map((row) => row.dataset.sev))].sort()'), [qw(error fatal)], 'shows what it says');
is($viewer->state('q'), 'severity:>=error app:payments', 'the address has the query');
$viewer->search('"did not answer"');
is($viewer->total, count(q{message LIKE '%did not answer%'}), 'a phrase');
$viewer->search('nothing_has_this_word');
$viewer->comes('nothing is found: the page says so', 'return grid.innerText.includes("No events found")');
$viewer->search('');
is($viewer->total, count('true'), 'everything again');

# What is wrong is said under the word.
$viewer->search('app:shop severity:loud -mailer');
$viewer->comes('a wrong query: what was expected', 'return visible($("#wrong")) && $("#wrong").textContent.includes("xpected trace, debug, info, warning, error or fatal")');
is($viewer->run('return $(".fault").textContent'), 'loud', 'beneath the word at fault');
is($viewer->run('return $("#query").getAttribute("aria-invalid") + " " + $("#query").getAttribute("aria-describedby")'), 'true wrong', 'a screen reader is told too');
$viewer->picture('wrong');
$viewer->search('app:shop severity:info -mailer');
is($viewer->run('return $("#wrong").textContent + ($(".fault") ? "fault" : "")'), '', 'corrected: it is gone');
is($viewer->total, count(q{severity = 'info' AND app = 'shop' AND message NOT LIKE '%mailer%'}), 'and the query is run');

# Completion.
$browser->click('#query');
$browser->press([qw(Control a)], ['Backspace'], 'cust');
$viewer->comes('fields are completed', 'return $$("#suggestions [role=option]").some((each) => each.textContent.startsWith("customer.country"))');
$browser->press([qw(Control a)], ['Backspace'], 'customer.country:');
$viewer->comes('values are completed', 'return $$("#suggestions [role=option]").some((each) => each.textContent.startsWith("AT"))');
$browser->press('A');
$viewer->comes('the more is typed, the fewer', 'return $$("#suggestions [role=option]").length === 1');
$browser->press(['Down'], ['Enter']);
like($viewer->run('return $("#query").value'), qr/^customer\.country:AT ?$/, 'a value is taken by keyboard');
$browser->press(['Enter']);
$viewer->searched;
is($viewer->total, count(q{data->'json'->'customer'->>'country' = 'AT'}), 'and searched for');
$browser->press([qw(Control a)], ['Backspace']);
$viewer->comes('what was searched before is offered', 'return $$("#suggestions [role=option]").some((each) => each.textContent.startsWith("\"did not answer\""))')
  or $viewer->run('return 1');
$viewer->search('');
$viewer->is_quiet('searches', $is_wrong);

#
# The histogram
#
my ($left, $top, $width, $height) = $viewer->place('#histogram .chart');
my ($all, $y) = ($viewer->total, $top + $height / 2);
$browser->hover($left + $width * 0.6, $y);
$viewer->comes('pointing at a bar says its time and counts', 'return visible($("#histogram .tip")) && /\d\d:\d\d.*total/s.test($("#histogram .tip").innerText)');
$browser->drag([ $left + $width * 0.4, $y ], [ $left + $width * 0.5, $y ], [ $left + $width * 0.6, $y ]);
$viewer->comes('dragging over it changes the range', 'return new URLSearchParams(location.search).get("from") > arguments[0]', [$from]);
$viewer->searched;
my ($dragged_from, $dragged_to) = ($viewer->state('from'), $viewer->state('to'));
my $dragged = $viewer->total;
cmp_ok($dragged, '<', $all, 'to less');
is($dragged, count('true'), 'all of what is in it');
is_deeply([ grep { $_ lt $dragged_from || $_ ge $dragged_to } $viewer->keys_seen ], [], 'the list shows what is in it');
$viewer->comes('the range says which it is', 'return /\d{4}-\d\d-\d\d \d\d:\d\d/.test($("#range button.range").textContent)');
$browser->back;
$viewer->comes('back', 'return new URLSearchParams(location.search).get("from") === arguments[0]', [$from]);
$viewer->searched;
is($viewer->total, $all, 'back: the whole again');
$browser->forward;
$viewer->comes('forward', 'return new URLSearchParams(location.search).get("from") === arguments[0]', [$dragged_from]);
$viewer->searched;
is($viewer->total, $dragged, 'forward: the part again');
$browser->back;
$viewer->searched;
$viewer->press_button('error', '#histogram');
$viewer->searched;
is($viewer->total, count(q{severity = 'error'}), 'a click on a severity shows it alone');
$viewer->press_button('error', '#histogram');
$viewer->searched;
is($viewer->total, $all, 'another one all of them again');
$browser->run('document.querySelector("#histogram select").focus()');
$viewer->run('const select = $("#histogram select"); select.value = "app"; select.dispatchEvent(new Event("change"))');
$viewer->comes('by app', 'return $("#histogram .legend").textContent.includes("payments") && new URLSearchParams(location.search).get("by") === "app"');
$viewer->run('const select = $("#histogram select"); select.value = "severity"; select.dispatchEvent(new Event("change"))');
$viewer->searched;

# Another range, by its menu, and other zones.
$viewer->press_button('Range of time', '#range');
$viewer->press_button('Last 6 hours', '#range');
$viewer->comes('a range of the menu', 'return new URLSearchParams(location.search).get("from") === "6h"');
$viewer->searched;
my $time_of = sub { return $viewer->run('return $(".time", rows()[1]).textContent.match(/\d\d:\d\d/)[0]'); };
my $local = $time_of->();
$viewer->load('?from=6h&zone=server');
my ($berlin, $utc) = split /\|/, query(q{SELECT to_char(now() AT TIME ZONE 'Europe/Berlin', 'HH24'), to_char(now() AT TIME ZONE 'UTC', 'HH24')});
my $hour = substr $time_of->(), 0, 2;
cmp_ok(($berlin - $hour) % 24, '<=', 1, 'times in the collector\'s zone');
$viewer->load('?from=6h&zone=utc');
$hour = substr $time_of->(), 0, 2;
cmp_ok(($utc - $hour) % 24, '<=', 1, 'times in UTC');

#
# An event, and filters by click
#
$viewer->load("?$range");
$viewer->run('rows().find((row) => / placed by /.test(row.textContent)).dataset.pick = ""');
$browser->click('[data-pick]');
$viewer->comes('a click opens an event', 'return visible($("#detail [role=tree]"))');
$viewer->comes('it says what the row says', 'return $("#detail .said").textContent === $(".message", $(".row[aria-selected=true]")).textContent');
$viewer->picture('detail');
$viewer->is_readable('the event');
$viewer->is_named('the event');
$browser->prefer('dark');
$viewer->picture('detail dark');
$viewer->is_readable('the event, dark');
$browser->prefer('light');

# Points at a member of the event, and clicks on what appears beside it.
sub filter
{
	my ($name, $button) = @_;
	$viewer->run(<<'JS', $name);
$$("[data-member]").forEach((node) => node.removeAttribute("data-member"));
const row = $$("#detail-panel [role=treeitem]").find((each) => $(".key", each)?.textContent === arguments[0]);
row.scrollIntoView({ block: "center" });
row.dataset.member = "";
JS
	my ($x, $y, $w, $h) = $viewer->place('[data-member]');
	$browser->hover($x + 40, $y + $h / 2);
	my $value = $viewer->run('return $("[data-member] .value").textContent');
	$viewer->press_button($button, '[data-member]');
	$viewer->searched;
	return $value;
}
my $host = filter('host', 'Only these');
is($viewer->total, count("data->'json'->>'host' = '$host'"), 'only these of a value of the event');
my $severity = filter('severity', 'Not these');
is($viewer->total, count("data->'json'->>'host' = '$host' AND data->'json'->>'severity' <> '$severity'"), 'not these of another one');
$browser->back;
$browser->back;
$viewer->searched;
is($viewer->total, $all, 'back twice: all of them');
$viewer->press_button('payments', '#fields [data-field=app]');
$viewer->searched;
is($viewer->total, count(q{app = 'payments'}), 'a click on a value of a field');
$viewer->comes('which is marked', 'return $$("#fields [data-field=app] [aria-pressed=true]").some((each) => each.textContent.includes("payments"))');
$viewer->comes('beside the severities that are left', 'return $("#fields [data-field=severity] .value-line [aria-label^=\"Not these\"]") !== null');
$viewer->run('const minus = $("#fields [data-field=severity] .value-line [aria-label^=\"Not these\"]"); minus.dataset.minus = ""; minus.scrollIntoView({ block: "center" })');
$severity = $viewer->run('return $("[data-minus]").closest(".value-line").querySelector("bdi").textContent');
$browser->click('[data-minus]');
$viewer->searched;
is($viewer->total, count("app = 'payments' AND severity IS DISTINCT FROM '$severity'"), 'and on one that is not wanted');
$viewer->comes('beside the hosts', 'return $("#fields [data-field=host] [aria-label^=\"Column of the list\"]") !== null');
$viewer->run('$("#fields [data-field=host] [aria-label^=\"Column of the list\"]").dataset.column = ""');
$browser->click('[data-column]');
$viewer->comes('a field becomes a column', 'return $$("[role=columnheader]", grid).some((each) => each.textContent.startsWith("host")) && /^payments-\d$/.test(rows()[0].children[2].textContent)');
$viewer->is_quiet('filters');

#
# A link
#
$viewer->load("?$range&q=" . 'severity:error' . '&cols=host&cols=order.total&cols=message&wrap=1');
$browser->click('.row[data-key]:nth-child(5)');
$viewer->comes('an event is open', 'return visible($("#detail [role=tree]"))');
my $look = <<'JS';
return [location.search, $("#query").value, $("#range button.range").textContent, $$("[role=columnheader]", grid).map((each) => each.textContent), rows().slice(0, 12).map((each) => each.dataset.key + each.textContent),
	$("#detail").innerText, grid.classList.contains("wrap"), $$("[aria-selected=true]", grid).map((each) => each.dataset.key)];
JS
my $here = $viewer->run($look);
my $address = $viewer->run('return location.href');
my $window = $browser->new_window;
$browser->resize(1440, 900);
$browser->open_page($address);
$viewer->searched;
$viewer->comes('a link opens the event too', 'return visible($("#detail [role=tree]"))');
is_deeply($viewer->run($look), $here, 'a link shows the same to somebody else');
$browser->close_window($window);
$browser->press(['Escape']);
$viewer->comes('the event is closed', 'return !visible($("#detail"))');
$browser->back;
$viewer->comes('back opens it again', 'return visible($("#detail")) && $("#detail .said").textContent === arguments[0]', [ $viewer->run('return $(".message", $(".row.active")).textContent') ]);

#
# Long lists
#
$viewer->load("?$range");
my $read = $browser->run(<<'JS', 5000);
const grid = document.querySelector("[role=grid]");
const frame = () => new Promise(requestAnimationFrame);
const keys = new Set();
let most = 0;
const order = [];
const until = performance.now() + 90000;
while (keys.size < arguments[0] && performance.now() < until) {
	for (const row of grid.querySelectorAll(".row[data-key]")) if (!keys.has(row.dataset.key)) { keys.add(row.dataset.key); order.push(row.dataset.key); }
	most = Math.max(most, grid.querySelectorAll(".row").length);
	grid.scrollTop += grid.clientHeight * 0.8;
	await frame();
	await frame();
}
return { order, most };
JS
my @wanted = split /\n/, query(<<"SQL");
SELECT to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '~' || (data->>'id') FROM log
WHERE event_timestamp >= '$from' AND event_timestamp < '$to' ORDER BY event_timestamp DESC, data->>'id' COLLATE "C" DESC LIMIT 5000
SQL
is(scalar @{ $read->{order} } >= 5000, 1, 'scrolling down brings 5000 rows') or diag scalar @{ $read->{order} };
is_deeply([ @{ $read->{order} }[ 0 .. 4999 ] ], \@wanted, 'none of them missing, none twice, newest first');
cmp_ok($read->{most}, '<', 120, 'only those that are to be seen are drawn');

# In the range, which on a slow machine is over by now.
query(qq{INSERT INTO log SELECT least(now(), '$to') - n * interval '1 ms', jsonb_build_object('id', 'bulk' || lpad(n::text, 6, '0'), 'json', jsonb_build_object('app', 'bulk', 'severity', 'info', 'message', 'row ' || n)), 0 FROM generate_series(1, 30000) n});
$viewer->load("?$range&q=app:bulk");
my $loaded = $browser->run(<<'JS');
const grid = document.querySelector("[role=grid]");
const foot = grid.querySelector(".foot");
const until = performance.now() + 90000;
while (!foot.textContent.includes("That is all") && performance.now() < until) {
	grid.scrollTop = grid.scrollHeight;
	await new Promise((done) => setTimeout(done, 20));
}
return foot.textContent.match(/That is all: ([\d,]+)/)?.[1] || document.querySelector("#status").innerText;
JS
is($loaded, '30,000', '30,000 rows are loaded');
my $scrolled = $browser->run(<<'JS');
const grid = document.querySelector("[role=grid]");
const frame = () => new Promise(requestAnimationFrame);
const times = [];
let most = 0;
let empty = 0;
let last = await frame();
for (let i = 0; i < 100; i++) {
	grid.scrollTop = i < 50 ? grid.scrollHeight * i / 50 : grid.scrollTop - 240;
	const now = await frame();
	times.push(now - last);
	last = now;
	const rows = [...grid.querySelectorAll(".row[data-key]")];
	most = Math.max(most, rows.length);
	const box = grid.getBoundingClientRect();
	await 0;
	if (!document.elementFromPoint(box.left + 300, box.top + box.height / 2)?.closest(".row[data-key]")) empty++;
}
times.sort((a, b) => a - b);
return { most, empty, median: times[50], longest: times.at(-1) };
JS
note("30,000 rows: a frame took $scrolled->{median} ms, at most $scrolled->{longest} ms");
cmp_ok($scrolled->{most}, '<', 120, 'of them only those that are to be seen are drawn');
is($scrolled->{empty}, 0, 'wherever one scrolls to there are rows');
cmp_ok($scrolled->{longest}, '<', 1000, 'it scrolls smoothly');
query(q{DELETE FROM log WHERE data->'json'->>'app' = 'bulk'});

#
# By keyboard alone
#
$viewer->load("?$range");
$browser->press('/', 'severity:fatal', ['Enter']);
$viewer->comes('/ and a query', 'return new URLSearchParams(location.search).get("q") === "severity:fatal"');
$viewer->searched;
$browser->press(['Escape']);
$browser->press('jjj');
$viewer->comes('j goes down', 'return rows().findIndex((row) => row.matches(".active")) === 2');
$browser->press('k');
$viewer->comes('k goes up', 'return rows().findIndex((row) => row.matches(".active")) === 1');
$browser->press(['Enter']);
$viewer->comes('Enter opens', 'return visible($("#detail [role=tree]")) && $(".row.active").ariaSelected === "true"');
my $opened = $viewer->state('event');
$browser->press('j');
$viewer->comes('j opens the next one', 'return new URLSearchParams(location.search).get("event") === rows()[2].dataset.key && $("#detail time").dateTime === rows()[2].dataset.key.split("~")[0]');
$browser->press(['Escape']);
$viewer->comes('Escape closes', 'return !visible($("#detail"))');
$browser->press('?');
$viewer->comes('? says which keys there are', 'return visible($("dialog[open]")) && $("dialog").innerText.includes("Live on or off")');
$viewer->picture('help');
$viewer->is_readable('help');
$browser->press(['Escape']);
$viewer->comes('Escape closes that too', 'return !$("dialog[open]")');
$browser->press('h', ['End'], ['Left'], [qw(Shift Left)], ['Enter']);
$viewer->comes('the histogram by keyboard', 'return new URLSearchParams(location.search).get("from") > arguments[0]', [$from]);
$browser->press('2');
$viewer->comes('2 shows the overview', 'return visible($("#overview"))');
$browser->press('1');
$viewer->comes('1 shows the events', 'return visible(grid)');
$browser->press('t');
$viewer->comes('t is live', 'return $("#tail [aria-pressed=true]")');
$browser->press('t');
$viewer->comes('and not any more', 'return $("#tail [aria-pressed=false]")');
$browser->press(['Tab']);
$viewer->comes('what has the focus can be seen', <<'JS');
const style = getComputedStyle(document.activeElement);
return document.activeElement !== document.body && (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none");
JS

#
# Resolving
#
$viewer->load("?$range&q=severity:fatal");
$browser->click('.row[data-key]:nth-child(2)');
$viewer->press_button('Resolve', '#detail');
$viewer->comes('an event is resolved', 'return $("#detail").innerText.includes("Reopen")');
my ($id) = $viewer->state('event') =~ /~(.*)/;
is(query("SELECT status FROM log WHERE data->>'id' = '$id'"), 1, 'in the table');
$viewer->comes('the row says so', 'return $(".row[aria-selected=true]").matches(".done")');
$viewer->press_button('Reopen', '#detail');
$viewer->comes('and open again', 'return $("#detail").innerText.includes("Resolve")');
is(query("SELECT status FROM log WHERE data->>'id' = '$id'"), 0, 'in the table too');

#
# To take along
#
$viewer->load("?$range&q=severity:error&cols=host&cols=message");
my $errors = count(q{severity = 'error'});
$viewer->press_button('SQL', '#export');
$viewer->comes('its SQL', 'return $("dialog .sql")?.textContent.startsWith("SELECT")');
my $sql = $viewer->run('return $("dialog .sql").textContent') =~ s/;\s*\z//r;
is(scalar(() = query($sql) =~ /^\d{4}-/mg), $errors, 'which finds the same in psql') or diag $sql;
$viewer->picture('sql');
$browser->press(['Escape']);
my $downloads = PostgreSQL::Test::Utils::tempdir();
$browser->download_to($downloads);
for my $choice ('ndjson', 'shown')
{
	my $format = $choice eq 'ndjson' ? $choice : 'csv';
	$viewer->press_button('Export', '#export');
	$viewer->comes("export as $format", 'return visible($("dialog[open] form.export"))');
	$browser->click("dialog input[value=$choice]");
	$viewer->press_button('Download', 'dialog');
	my ($file);
	ok(wait_for(sub { ($file) = grep { -s && !/crdownload/ } glob "$downloads/*.$format"; $file }), "$format: a file comes");
	my @lines = split /\n/, slurp_file($file // '/dev/null');
	is(scalar @lines, $errors + ($format eq 'csv'), "$format: with all that is found");
	if ($format eq 'csv') { like($lines[0], qr/^event_timestamp,severity,host,message\r?$/, 'csv: its columns'); }
	else { is_deeply([ sort keys %{ (eval { JSON::PP->new->utf8->decode($lines[-1]) }) // {} } ], [qw(data event_timestamp status)], 'ndjson: whole events'); }
	$viewer->picture("export $format");
	$browser->press(['Escape']);
}
$viewer->is_quiet('to take along');

#
# The overview
#
is(post($port, '{"broken', agent => 'a broken sender')->{status}, 400, 'a request is refused');
$viewer->load('?view=overview');
$viewer->comes('the overview has the processes', 'return /worker/.test($("#overview").innerText) && /viewer/.test($("#overview").innerText)') or $viewer->said('overview');
$viewer->comes('and what was refused', 'return $("#overview [aria-label=\"The last refused requests\"]").innerText.includes("POST /log")') or $viewer->said('overview');
$viewer->comes('and charts', 'return $$("#overview svg path").some((path) => path.getBBox().width > 50)') or $viewer->said('overview');
$viewer->picture('overview');
$viewer->is_readable('overview');
$viewer->is_named('overview');
$browser->prefer('dark');
$viewer->picture('overview dark');
$viewer->is_readable('overview, dark');
$browser->prefer('light');
$viewer->is_quiet('overview');

#
# On a telephone
#
$browser->resize(380, 760, 2);
$viewer->comes('the overview on a telephone', 'return innerWidth === 380');
$viewer->fits('the overview on a telephone');
$viewer->picture('overview narrow');
$viewer->load("?$range");
$viewer->fits('the list on a telephone');
$viewer->comes('all that the histogram shows has its name there', <<'JS');
const legend = $("#histogram .legend");
const box = legend.getBoundingClientRect();
return legend.children.length === 6 && legend.scrollWidth <= legend.clientWidth && [...legend.children].every((each) => each.getBoundingClientRect().right <= box.right + 1 && each.getBoundingClientRect().bottom <= box.bottom + 1);
JS
$viewer->picture('narrow');
$browser->click('.row[data-key]:nth-child(2)');
$viewer->comes('an event on a telephone', 'return visible($("#detail [role=tree]"))');
$viewer->fits('an event on a telephone');
$viewer->picture('detail narrow');
$browser->press(['Escape']);
$browser->press('?');
$viewer->comes('help on a telephone', 'return visible($("dialog[open]"))');
$viewer->fits('help on a telephone');
$browser->press(['Escape']);
$browser->resize(1440, 900);

#
# The picture of the README
#
$viewer->load('?from=3h&q=order&cols=app&cols=host&cols=message');
$viewer->run('rows().find((row) => /payment of order/.test(row.textContent))?.click()');
$viewer->comes('a picture', 'return $("#fields [data-field=host] .value-line") && visible($("#detail [role=tree]")) && $("#detail").innerText.includes("did not answer")') or $viewer->said('viewer');
cmp_ok($viewer->small_picture('viewer'), '<=', 200 * 1024, 'the picture of the README is no burden');

#
# With tokens
#
my %token = map { $_ => query("SELECT windtrap.create_token('page $_', '$_')") } qw(read all ingest);
$browser->open_page("$viewer->{origin}/?$range");
$viewer->comes('where a token is needed, there is a form', 'return visible($("dialog[open] #token"))');
$viewer->picture('token');
$viewer->is_readable('token');
$viewer->is_named('token');
$browser->click('#token');
$browser->press('wt_wrong', ['Enter']);
$viewer->comes('a wrong one: it says so', 'return visible($("#token-wrong")) && $("#token-wrong").textContent.length > 10');
$browser->press([qw(Control a)], $token{ingest}, ['Enter']);
$viewer->comes('one that may only send: it says so', 'return /read|scope/.test($("#token-wrong").textContent)');
$browser->press([qw(Control a)], $token{read}, ['Enter']);
$viewer->comes('one that may read: the events are there', 'return !$("dialog[open]") && grid && rows().length > 20');
$viewer->searched;
is($viewer->total, count('true'), 'all of them');
is($viewer->run('return JSON.stringify([Object.values(sessionStorage).includes(arguments[0]), Object.values(localStorage).join().includes(arguments[0]), document.cookie, location.href.includes(arguments[0])])', $token{read}),
	'[true,false,"",false]', 'the token is kept in the session, and nowhere else');
is_deeply($browser->cookies, [], 'there are no cookies');
$browser->click('.row[data-key]:nth-child(2)');
$viewer->comes('an event', 'return visible($("#detail [role=tree]"))');
is($viewer->run('return $("#detail").innerText.includes("Resolve")'), JSON::PP::false, 'it may not resolve');
$browser->reload;
$viewer->searched;
cmp_ok(scalar $viewer->keys_seen, '>', 20, 'loaded again: the token is still known');
$window = $browser->new_window;
$browser->resize(1440, 900);
$browser->open_page("$viewer->{origin}/?$range");
$viewer->comes('another session has to have its own', 'return visible($("dialog[open] #token"))');
$browser->click('#token');
$browser->press($token{all}, ['Enter']);
$viewer->comes('one that may do all', 'return !$("dialog[open]") && grid && rows().length > 20');
$browser->click('.row[data-key]:nth-child(2)');
$viewer->press_button('Resolve', '#detail');
$viewer->comes('may resolve', 'return $("#detail").innerText.includes("Reopen")');
$viewer->press_button('Export', '#export');
$browser->press(['Escape']);
$browser->close_window($window);
query(q{SELECT windtrap.revoke_token('page read')});
$viewer->press_button('Search again', '#range');
$viewer->comes('a token that is revoked: there is a form again', 'return visible($("dialog[open] #token"))');
$viewer->is_quiet('tokens', qr/ 40[13] \(/);

$viewer->close;
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
