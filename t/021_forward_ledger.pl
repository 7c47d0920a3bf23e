# What was promised arrives, once: clients keep a ledger of what was acknowledged, while a
# forwarder, the server or the target's server is killed at any moment under them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use Ledger;
use WindTrap;

my $node = wt_node('ledger', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $other = PostgreSQL::Test::Cluster->new('central');
$other->init;
$other->append_conf('postgresql.conf', "restart_after_crash = on\n");
$other->start;

sub query { return $node->safe_psql('postgres', $_[0]); }

# A target that doubles would show in: nothing there refuses a second event of one id.
query('CREATE TABLE plain (event_timestamp timestamptz, data jsonb, status int)');
my $copy = local_target($node, 'copy');
my $remote = remote_target($node, 'central_log', $other);
ok(forward_to($node, 'plain', $copy, $remote), 'three targets have their forwarders');

sub promises_are_kept
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok(drained($node), "$name: all is forwarded");
	for my $table (qw(log plain copy central_log))
	{
		is(audit_target($load, $node, $table), $load->nothing_wrong,
			"$name: $table has what was acknowledged, nothing twice, nothing that was refused");
		is(query("SELECT count(*) FROM (SELECT data->>'id' FROM log EXCEPT SELECT data->>'id' FROM $table) AS missing"),
			0, "$name: $table has what the log table has");
	}
	return;
}

sub promises_are_kept_through { return kept_through($port, \&promises_are_kept, @_); }

for my $round (1 .. 3)
{
	my $name = "forwarder killed, round $round";
	my $victim = ('public.plain', $copy, $remote)[ $round - 1 ];

	promises_are_kept_through($name, sub { kill_forwarder($node, $victim, $name) });
}

for my $name (map { "server killed, round $_" } 1 .. 3)
{
	promises_are_kept_through($name, sub { kill_server($node, $port, $name, 10) });
}

# With a backlog, so that whole loads are on their way when it happens.
for my $round (1 .. 3)
{
	my $name = "server killed while catching up, round $round";
	$other->stop('fast');
	my $load = start_load($port);
	ok($load->wait_for_more(8000, 60), "$name: a backlog");
	load_over($load, $name);
	$other->start;
	my $before = query('SELECT count(*) FROM central_log');
	alter_system($node, 'windtrap.workers' => 2);    # a reload ends the pause
	ok(wait_for(sub { $other->safe_psql('postgres', 'SELECT count(*) FROM central_log') > $before }), "$name: it begins");
	kill_group($node);
	$node->start;
	ok(ready($port, 10), "$name: serves again");
	promises_are_kept($load, $name);
}

for my $name (map { "target's server killed, round $_" } 1, 2)
{
	promises_are_kept_through(
		$name,
		sub {
			my ($load) = @_;
			sleep rand 0.5;
			kill_group($other);
			ok($load->wait_for_more(300), "$name: the load goes on without it");
			$other->start;
		});
}

for my $mode (qw(fast immediate))
{
	promises_are_kept_through("stop $mode", sub { stop_server($node, $port, "stop $mode", 10, $mode) });
}

# A transaction that runs for long, and has a number, does not hold forwarding up.
{
	my ($in, $out) = ("BEGIN; CREATE TEMP TABLE t (); SELECT 'begun';\n", '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
	ok(wait_for(sub { $psql->pump_nb; $out =~ /begun/ }), 'a transaction that goes on');
	is(event($port, 'meanwhile'), 200, 'an event meanwhile');
	ok(drained($node, undef, 20), 'is forwarded');
	is(query(q{SELECT count(*) FROM central_log WHERE data->'json'->>'id' = 'meanwhile'}), 1, 'to all');
	$in .= "ROLLBACK;\n\\q\n";
	$psql->finish;
}

# Batches are numbered before they are committed, and not committed in that order.
{
	is(post_json($port, { id => 'numbered' })->{status}, 200, 'an event');
	ok(drained($node), 'is forwarded');
	ok(forward_to($node, 'absent'), 'a target that is not there');
	is(post_json($port, { id => 'first' })->{status}, 200, 'an event');
	query('CREATE TABLE saved AS SELECT n_events, bytes, events FROM windtrap.outbox');
	query('CREATE TABLE absent (data jsonb)');
	reload($node);
	ok(drained($node), 'when it is there, the event arrives');
	query('TRUNCATE absent');
	my ($in, $out) = ("BEGIN; INSERT INTO windtrap.outbox (n_events, bytes, events) TABLE saved; SELECT 'inserted';\n", '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
	ok(wait_for(sub { $psql->pump_nb; $out =~ /inserted/ }), 'a batch that is not committed yet');
	is(post_json($port, { id => 'second' })->{status}, 200, 'one with a larger number that is');
	sleep 1;
	$in .= "COMMIT;\n\\q\n";
	$psql->finish;
	ok(drained($node), 'then the other one is committed too');
	is(query(q{SELECT string_agg(data->'json'->>'id', ' ') FROM absent}), 'first second', 'none was skipped, and the order kept');
}

$node->stop;
$other->stop;
done_testing();
