# The page of events, live: what is committed appears, however much it is, in whatever order it is
# committed, and whatever becomes of the connection meanwhile.

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

my $node = viewer_node('live', conf => "max_prepared_transactions = 2\n");
my $port = wt_port($node);
my $viewer = ViewerPage->open($node);
my $browser = $viewer->browser;

sub query { return $node->safe_psql('postgres', $_[0]); }

# Events with these messages, sent and stored.
sub send_events
{
	for my $message (@_)
	{
		is(post_json($port, { app => 'live', severity => 'info', message => $message })->{status}, 200, "$message is sent");
	}
	return;
}

# A row with a message, waited for.
sub appears
{
	my ($name, $message, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $viewer->comes($name, 'return rows().some((row) => $(".message", row)?.textContent === arguments[0])', [$message], $seconds // 10);
}

# The messages that are in the list, from above, by scrolling through it; and how many more it
# says that there are.
sub all_messages
{
	return $viewer->run(<<'JS');
const seen = new Map();
const gaps = new Map();
for (grid.scrollTop = 0;;) {
	await frame();
	await frame();
	for (const row of $$(".row", grid)) {
		if (row.dataset.key) seen.set(row.id, $(".message", row).textContent);
		else if (row.matches(".gap")) gaps.set(row.id, +/([\d,]+) more/.exec(row.textContent)[1].replaceAll(",", ""));
	}
	const before = grid.scrollTop;
	grid.scrollTop += grid.clientHeight * 0.8;
	if (grid.scrollTop === before) break;
}
grid.scrollTop = 0;
await frame();
return { messages: [...seen.values()], more: [...gaps.values()].reduce((a, b) => a + b, 0) };
JS
}

send_events('the very first');
$viewer->load('?live=1&from=1h');
appears('what was there is shown', 'the very first');
$viewer->comes('it is live', 'return $("#tail").dataset.connection === "live"');

#
# One event, and many
#
my $begun = time;
send_events('right now');
appears('an event appears', 'right now', 5);
note(sprintf 'after %.2f s', time - $begun);
is($viewer->run('return $(".message", rows()[0]).textContent'), 'right now', 'at the top');
query(q{INSERT INTO log SELECT now(), jsonb_build_object('id', '0197-' || n, 'json', jsonb_build_object('app', 'burst', 'severity', 'debug', 'message', 'burst ' || n)), 0 FROM generate_series(1, 10000) n});
send_events('after the burst');
appears('what comes after 10,000 events of one instant appears', 'after the burst', 20);
my $all = all_messages();
my %bursts = map { $_ => 1 } grep { /^burst/ } @{ $all->{messages} };
is(scalar(keys %bursts) + $all->{more}, 10_000, 'each of those is shown or counted');
is(scalar(grep { /^burst/ } @{ $all->{messages} }), scalar keys %bursts, 'none of them twice');
$viewer->picture('tail');
SKIP:
{
	skip 'nothing was left out', 2 if !$all->{more};
	$viewer->comes('what was counted has a button', <<'JS');
for (grid.scrollTop = 0;; grid.scrollTop += grid.clientHeight * 0.8) {
	await frame(); await frame();
	const gap = $(".row.gap button", grid);
	if (gap) { gap.click(); return true; }
	if (grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1) return false;
}
JS
	$viewer->searched;
	cmp_ok($viewer->total, '>=', 10_000, 'which leads to them');
}

#
# In the order in which it is committed
#
$viewer->load('?live=1&from=1h&q=app:live');
$viewer->comes('it is live again', 'return $("#tail").dataset.connection === "live"');
query(q{BEGIN; INSERT INTO log SELECT clock_timestamp(), jsonb_build_object('id', '0197-late-' || n, 'json', jsonb_build_object('app', 'live', 'message', 'committed late ' || n)), 0 FROM generate_series(1, 3) n; PREPARE TRANSACTION 'late'});
send_events(map { "while it is open $_" } 1 .. 3);
appears('events appear while a transaction is open that has begun before', 'while it is open 3');
is($viewer->run('return rows().some((row) => row.textContent.includes("committed late"))'), JSON::PP::false, 'that one\'s do not yet');
query(q{COMMIT PREPARED 'late'});
appears('they appear when it is committed', "committed late $_") for 1 .. 3;
is_deeply([ map { /^(committed late|while)/ ? $1 : () } @{ $viewer->run('return rows().map((row) => $(".message", row).textContent)') } ], [ ('while') x 3, ('committed late') x 3 ],
	'at their place in time');
send_events('another app cannot be seen');
is(post_json($port, { app => 'quiet', message => 'of another app' })->{status}, 200, 'an event that is not searched for');
send_events('the next one');
appears('only what is searched for is shown', 'the next one');
is($viewer->run('return rows().some((row) => row.textContent.includes("of another app"))'), JSON::PP::false, 'and nothing else');

#
# Who scrolls down reads
#
send_events(map { "filling $_" } 1 .. 60);
appears('enough to scroll', 'filling 60');
$browser->wheel('[role=grid]', 500);
$viewer->comes('scrolled down', 'return grid.scrollTop > 100');
my $reading = $viewer->run('const box = grid.getBoundingClientRect(); return rows().filter((row) => row.getBoundingClientRect().top > box.top + 40).slice(0, 5).map((row) => [row.dataset.key, Math.round(row.getBoundingClientRect().top)])');
send_events(map { "held back $_" } 1 .. 3);
$viewer->comes('who has scrolled down is told how many are new', 'return visible($(".chip")) && $(".chip").textContent.includes("3 new events")');
is_deeply($viewer->run('return arguments[0].map(([key]) => [key, Math.round(rows().find((row) => row.dataset.key === key).getBoundingClientRect().top)])', $reading), $reading, 'and what is being read stays where it is');
$viewer->picture('tail paused');
$browser->click('.chip');
appears('a click shows them', "held back $_") for 1 .. 3;

#
# Ended by the collector
#
query('ALTER TABLE windtrap.token RENAME digest TO hidden');
$viewer->comes('why the stream has ended is said', 'return /tokens cannot be checked at the moment/i.test($("#tail").innerText)');
query('ALTER TABLE windtrap.token RENAME hidden TO digest');
$viewer->comes('and not any more when it goes on', 'return $("#tail").dataset.connection === "live" && !/tokens/.test($("#tail").innerText)', [], 20);
send_events('after it was ended');
appears('what comes is shown again', 'after it was ended');

#
# Lost, and found again
#
is(query(q{SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'windtrap viewer'}), 't', 'the viewers are ended');
send_events('while the viewer is away');
appears('the viewers end: their return is noticed, and nothing is lost', 'while the viewer is away', 30);

$node->stop('fast');
$viewer->comes('the server is stopped: the page says so', 'return /lost/i.test($("#tail").innerText + $("#notice").innerText)');
$viewer->comes('and offers to try at once', 'return visible($("#tail .link")) && $("#tail .link").textContent.includes("Try now")');
$viewer->picture('lost');
$viewer->is_readable('lost');
$node->start;
ready($port);
send_events('while nobody listened');
ready(viewer_port($node));
send_events('since it is back');
# The page may find the way back by itself first: looked for and pressed in one.
$viewer->run('const now = $("#tail .link"); if (visible(now)) now.click()');
appears('it goes on where it was', 'while nobody listened', 30);
appears('and is live', 'since it is back');
$viewer->comes('nothing says any more that it is lost', 'return !/lost/i.test($("#tail").innerText + $("#notice").innerText)', [], 20);
is_deeply([ grep { /^(while the viewer|while nobody|since)/ } @{ $viewer->run('return rows().map((row) => $(".message", row).textContent)') } ],
	[ 'since it is back', 'while nobody listened', 'while the viewer is away' ], 'each of them once, in their order');

# The network is gone, and comes back; the events of that time too.
$browser->offline(1);
send_events('while offline');
$viewer->press_button('Search again', '#range');
$viewer->comes('without a network the page says so', 'return /lost/i.test($("#notice").innerText + $("#tail").innerText)');
$browser->offline(0);
appears('with it, it goes on', 'while offline', 30);
$viewer->comes('and says nothing any more', 'return !/lost/i.test($("#tail").innerText + $("#notice").innerText)', [], 20);
# A table of which what is new cannot be told.
query('ALTER TABLE log RENAME TO log_table; CREATE VIEW log AS SELECT * FROM log_table');
$viewer->load('?live=1&from=1h');
$viewer->comes('of a view the page says that there is no live', 'return /what is new in "log" cannot be told/i.test($("#notice").innerText)');
$viewer->comes('and goes on without', 'return $("#tail").dataset.connection === "off" && $("button.live").getAttribute("aria-pressed") === "false" && rows().length > 5');
query('DROP VIEW log; ALTER TABLE log_table RENAME TO log');

$viewer->is_quiet('live', qr/net::ERR|Failed to load resource|50[13]/);

$viewer->close;
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
