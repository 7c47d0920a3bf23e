# A 2xx is a promise.  Clients keep a ledger of what they were promised while the worker,
# or the whole server, is killed or stopped under them; after each fault every event that
# was acknowledged is there, once, and the service comes back by itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('ledger');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# What must be true after every fault.
sub promises_are_kept
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $codes = $load->stop;

	note "$name: " . join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
	cmp_ok($codes->{200} // 0, '>=', 500, "$name: there were many events");
	is(join(' ', grep { !/^(0|200|503)$/ } keys %$codes), '', "$name: no other answer than 200 and 503");
	is($load->audit($node), $load->nothing_wrong,
		"$name: acknowledged ones are there, none is twice, refused ones are not there");
	return;
}

#
# The worker is killed: the server restarts once
#
for my $round (1, 2)
{
	my $load = start_load($port);
	my ($pid) = worker_pids($node);
	my $mark = log_mark($node);

	ok($load->wait_for_more(500), "worker killed, round $round: under load");
	kill 'KILL', $pid;
	my $killed = time;
	ok(wait_for(sub { log_since($node, $mark) =~ /terminated by signal 9/ }), "worker killed, round $round: seen");
	ok(wait_for(sub { event($port, "after kill $round") == 200 }, 10), "worker killed, round $round: serves again");
	cmp_ok(time - $killed, '<', 5, "worker killed, round $round: within 5 s");
	ok($load->wait_for_more(200), "worker killed, round $round: the load goes on");
	promises_are_kept($load, "worker killed, round $round");
	is(count_in_log($node, qr/terminated by signal/, $mark), 1, "worker killed, round $round: one crash");
	is(count_in_log($node, qr/all server processes terminated; reinitializing/, $mark),
		1, "worker killed, round $round: one restart");
}

#
# The server is killed, with all of its processes
#
for my $round (1, 2)
{
	my $load = start_load($port);

	ok($load->wait_for_more(500), "server killed, round $round: under load");
	sleep rand 0.5;
	kill_group($node);
	$node->start;
	ok(ready($port, 5), "server killed, round $round: serves again");
	ok($load->wait_for_more(200), "server killed, round $round: the load goes on");
	promises_are_kept($load, "server killed, round $round");
}

#
# The server is stopped
#
for my $mode (qw(fast immediate smart))
{
	my $load = start_load($port);
	my $mark = log_mark($node);

	ok($load->wait_for_more(500), "stop $mode: under load");
	my $took = elapsed(sub { $node->stop($mode) });
	cmp_ok($took, '<', 5, "stop $mode: within 5 s");
	$node->start;
	ok(ready($port, 5), "stop $mode: serves again");
	ok($load->wait_for_more(200), "stop $mode: the load goes on");
	promises_are_kept($load, "stop $mode");
	unlike(log_since($node, $mark), qr/terminated by signal|PANIC|libmicrohttpd failed/, "stop $mode: nothing has crashed");
}

# A graceful stop answers all that it has received: whoever had sent a whole request has
# an answer.
{
	query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END';
		CREATE TRIGGER slow AFTER INSERT ON log EXECUTE FUNCTION slow()});
	my @waiting = map { connect_to($port) } 1 .. 50;
	$waiting[$_]->request(qq({"waiting":$_})) for 0 .. $#waiting;
	sleep 0.1;
	my $took = elapsed(sub { $node->stop('fast') });
	cmp_ok($took, '<', 5, 'stop with 50 waiting: within 5 s');
	my @codes = map { ($_->response(seconds => 1) // { status => 'none' })->{status} } @waiting;
	is(scalar(grep { /^(200|503)$/ } @codes), 50, 'stop with 50 waiting: each has its answer')
	  or diag join ' ', @codes;
	$node->start;
	is( query(q{SELECT count(*) FROM log WHERE data->'json' ? 'waiting'}),
		scalar(grep { $_ eq '200' } @codes),
		'stop with 50 waiting: and the answers are true');
	query('DROP FUNCTION slow CASCADE');
	ok(ready($port), 'and it serves again');
}

# A worker that is stopped from within is as careful as one that goes with the server.
{
	my $load = start_load($port);
	ok($load->wait_for_more(500), 'stop(): under load');
	cmp_ok(elapsed(sub { query('SELECT windtrap.stop()') }), '<', 5, 'stop(): within 5 s');
	is(event($port), 599, 'stop(): nobody listens');
	query('SELECT windtrap.start()');
	is(event($port), 200, 'start(): serves');
	ok($load->wait_for_more(200), 'start(): the load goes on');
	promises_are_kept($load, 'stop()');
}

$node->stop;
done_testing();
