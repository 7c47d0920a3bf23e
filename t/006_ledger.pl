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
use Ledger;
use WindTrap;

my $node = wt_node('ledger');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Brings a fault about under load; what must be true after every one.
sub promises_are_kept
{
	my ($name, $fault) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($load, $codes) = under_load($port, $name, $fault);

	is(join(' ', grep { !/^(0|200|503)$/ } keys %$codes), '', "$name: no other answer than 200 and 503");
	is($load->audit($node), $load->nothing_wrong,
		"$name: acknowledged ones are there, none is twice, refused ones are not there");
	return;
}

# The worker is killed: the server restarts once.
for my $round (1, 2)
{
	my $name = "worker killed, round $round";
	my $mark = log_mark($node);

	promises_are_kept(
		$name,
		sub {
			my ($pid) = worker_pids($node);
			kill 'KILL', $pid;
			my $killed = time;
			ok(wait_for(sub { log_since($node, $mark) =~ /terminated by signal 9/ }), "$name: seen");
			ok(wait_for(sub { event($port, "after kill $round") == 200 }), "$name: serves again");
			cmp_ok(time - $killed, '<', 5, "$name: within 5 s");
		});
	is(count_in_log($node, qr/terminated by signal/, $mark), 1, "$name: one crash");
	is(count_in_log($node, qr/all server processes terminated; reinitializing/, $mark), 1, "$name: one restart");
}

for my $name (map { "server killed, round $_" } 1, 2)
{
	promises_are_kept($name, sub { kill_server($node, $port, $name, 5) });
}

for my $mode (qw(fast immediate smart))
{
	my $mark = log_mark($node);

	promises_are_kept("stop $mode", sub { stop_server($node, $port, "stop $mode", 5, $mode) });
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
promises_are_kept(
	'stop()',
	sub {
		cmp_ok(elapsed(sub { query('SELECT windtrap.stop()') }), '<', 5, 'stop(): within 5 s');
		is(event($port), 599, 'stop(): nobody listens');
		query('SELECT windtrap.start()');
		is(event($port), 200, 'start(): serves');
	});

$node->stop;
done_testing();
