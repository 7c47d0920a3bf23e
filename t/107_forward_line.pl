# The line between two collectors is slow, stands still for longer than anybody waits, is cut while events
# are on their way, or after they have come and before that is said: nothing is lost or doubled, who sends to
# the first one notices nothing, and when the line is well the backlog is gone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Clock;
use Forward;
use Relay;
use WindTrap;

my $central = wt_node('central', conf => "windtrap.request_timeout = '3s'\n");
# What is waited for half a minute is not to take so long.
my $is_movable = !$ENV{WT_SANITIZE} && system('gcc --version >/dev/null 2>&1') == 0;
movable_clock() if $is_movable;
my $node = wt_node('first', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $line = Relay->start(wt_port($central));
my $url = 'http://127.0.0.1:' . $line->port . '/log';

sub query { return $node->safe_psql('postgres', $_[0]); }
sub there { return $central->safe_psql('postgres', $_[0]); }

# How long, ms, an event may take that somebody sends meanwhile, on a machine that has more to do.
my $soon = 5000;

# Sends a batch of so many events, which no compression makes much smaller: 400 are some 130 kB.
sub put_random
{
	my ($n, $name) = @_;
	return post($port, join('', map { sprintf qq({"id":"$name-$_","n":"%s"}\n), join '', map { sprintf '%08x', rand 2**32 } 1 .. 75 } 1 .. $n),
		type => 'application/x-ndjson')->{status};
}

# Whether all is there, once, when the line is well again.
my @loads;

sub is_whole
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$line->how;
	my $begun = time;
	ok(drained($node, undef, 120), "$name: when it is well all is forwarded");
	note sprintf '%s: after %.1f s', $name, time - $begun;
	is($_->audit($central), $_->nothing_wrong, "$name: what was acknowledged is there, nothing twice") for @loads;
	is(there('SELECT count(*) || $$ $$ || count(DISTINCT data->>\'id\') FROM log'), query('SELECT count(*) || $$ $$ || count(*) FROM log'), "$name: as many rows, and none twice");
	is(query('SELECT count(*) FROM windtrap.dead_letter'), 0, "$name: and no dead letter");
	return;
}

# Ends a load that went on through something.
sub unnoticed
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(join(' ', sort keys %{ $load->stop }), '200', "$name: who sends events notices nothing");
	cmp_ok($load->slowest, '<', $soon, "$name: and does not wait");
	push @loads, $load;
	return;
}

ok(forward_to($node, $url), 'a target');

#
# Slow
#
{
	my $name = '20 kB/s';
	my $mark = log_mark($node);
	my $passed = $line->noted('passed');
	my $begun = time;

	$line->how(rate => 20_000);
	# More than comes through before the other one has waited long enough.
	is(put_random(400, 'slow'), 200, "$name: a batch");
	my $load = start_load($port, connections => 8, pause => 0.05);
	ok(wait_for(sub { state_of($node, $url, 'last_error') =~ /it has not waited until all had come \(408\)/ }), "$name: the view says that it takes too long")
	  or diag state_of($node, $url, 'last_error');
	ok(wait_for(sub { there(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'slow%'}) > 0 }), "$name: loads become smaller, and come through");
	is(state_of($node, $url, 'lag_events > 0 AND lag_seconds > 0'), 't', "$name: the view says what waits, and for how long");
	ok(wait_state($node, $url, 'working'), "$name: and that it works");
	cmp_ok(($line->noted('passed') - $passed) / (time - $begun), '<', 22_000, "$name: by so much");
	ok($load->wait_for_more(100), "$name: events come in");
	unnoticed($load, $name);
	is_whole($name);
}

#
# Cut when events have come, before that is said
#
{
	my $name = 'answers lost';
	my $known = known_again($central);
	my $mark = log_mark($node);
	my $load = start_load($port, connections => 8, pause => 0.01);

	$line->how(lose_answers => 4);
	ok(wait_for(sub { $line->noted('lost') == 4 }), "$name: four");
	ok($load->wait_for_more(100), "$name: events come in");
	unnoticed($load, $name);
	is_whole($name);
	cmp_ok(known_again($central) - $known, '>=', 4, "$name: what came again was known");
	like(log_since($node, $mark), qr/cannot forward events to \Q$url\E: the connection broke before there was an answer/, "$name: the log says what was wrong");
}

#
# Cut while they are on their way, always after so many bytes
#
{
	my $name = 'cut after 30 kB';
	my $cut = $line->noted('cut');

	$line->how(refuse => 1);
	is(put_random(400, 'cut'), 200, "$name: a batch of four times as much");
	my $load = start_load($port, connections => 8, pause => 0.05);
	ok(wait_state($node, $url, 'failing'), "$name: waits");
	$line->how(cut_after => 30_000);
	ok(wait_for(sub { there(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'cut%'}) eq '400' }, 120), "$name: comes through by smaller loads")
	  or diag query('SELECT * FROM windtrap.forwarding');
	cmp_ok($line->noted('cut'), '>', $cut, "$name: the line was cut");
	unnoticed($load, $name);
	is_whole($name);
}

#
# It stands still
#
{
	my $name = 'stands still';
	my $load = start_load($port, connections => 8, pause => 0.05);

	$line->how(rate => 20_000);
	my $passed = $line->noted('passed');
	is(put_random(200, 'still'), 200, "$name: a batch");
	ok(wait_for(sub { $line->noted('passed') > $passed + 5000 }), "$name: is on its way");
	$line->how(stop => 1);
	ok($load->wait_for_more(200), "$name: events come in");
	unnoticed($load, $name);
	is(state_of($node, $url, 'lag_events > 0 AND lag_seconds > 0'), 't', "$name: the view says what waits, and for how long");
  SKIP:
	{
		skip 'the clock cannot be moved, and this would take half a minute', 2 if !$is_movable;
		shift_clock(0, 60);
		ok(wait_state($node, $url, 'failing'), "$name: nobody waits for ever");
		like(state_of($node, $url, 'last_error'), qr/there is no answer in time/, "$name: the view says why");
	}
	is_whole($name);
	ok(wait_state($node, $url, 'working'), "$name: and works");
	is(state_of($node, $url, 'last_error'), '', "$name: without a word");
}

unlike(log_since($_), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed') for $node, $central;
$node->stop;
$central->stop;
done_testing();
