# What was promised arrives at another WindTrap, once, with all that it had: clients keep a ledger of
# what was acknowledged, while the forwarder, the server or the other one is killed at any moment
# under them.

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
use OtherCentral;
use WindTrap;

my $node = wt_node('sender', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $other = OtherCentral->new;
my $url = 'http://127.0.0.1:' . $other->port . '/log';

sub query { return $node->safe_psql('postgres', $_[0]); }

query('CREATE TABLE central (event_timestamp timestamptz, data jsonb, status int)');

# What it has got, in a table of its own.
sub look_there
{
	my $file = $other->file('rows');
	# No byte of JSON is one of these.
	query(qq{TRUNCATE central; CREATE TEMP TABLE line (row jsonb);
		COPY line FROM '$file' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02');
		INSERT INTO central SELECT (row->>'event_timestamp')::timestamptz, row->'data', (row->>'status')::int FROM line});
	return;
}

sub promises_are_kept
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	reload($node);    # which ends a pause
	ok(drained($node), "$name: all is forwarded");
	look_there();
	is(audit_target($load, $node, 'central'), $load->nothing_wrong,
		"$name: it has what was acknowledged, nothing twice, nothing that was refused");
	is(query('SELECT count(*) FROM (TABLE log EXCEPT ALL TABLE central) AS missing'), 0, "$name: each row of the log table");
	is(query('SELECT count(*) FROM (TABLE central EXCEPT ALL TABLE log) AS more'), 0, "$name: as it is, and no other");
	ok(!-e $other->file('different'), "$name: what was sent again was the same");
	return;
}

sub promises_are_kept_through { return kept_through($port, \&promises_are_kept, @_); }

# So many requests have been answered since.
sub requests { return scalar $other->noted('requests'); }

ok($other->start, 'a server');
ok(forward_to($node, $url), 'has its forwarder');

for my $name (map { "forwarder killed, round $_" } 1 .. 3)
{
	promises_are_kept_through($name, sub { kill_forwarder($node, $url, $name) });
}

for my $name (map { "server killed, round $_" } 1, 2)
{
	promises_are_kept_through($name, sub { kill_server($node, $port, $name, 10) });
}

for my $name (map { "the other one killed, round $_" } 1, 2)
{
	promises_are_kept_through(
		$name,
		sub {
			my ($load) = @_;
			sleep rand 0.5;
			$other->kill;
			ok($load->wait_for_more(300), "$name: the load goes on without it");
			ok($other->start, "$name: it is back");
		});
}

for my $mode (qw(fast immediate))
{
	promises_are_kept_through("stop $mode", sub { stop_server($node, $port, "stop $mode", 10, $mode) });
}

# With a backlog, so that one load is under way and the next is read ahead when it happens.
my %victims = (
	'the server'    => sub { kill_group($node); $node->start; return ready($port, 10) },
	'the forwarder' => sub {
		my $pid = forwarder_pid($node, $url);
		kill 'KILL', $pid;
		# The server restarts all of its processes then.
		return wait_for(sub { (eval { forwarder_pid($node, $url) } || $pid) ne $pid });
	},
	'the other one' => sub { $other->kill; return $other->start });
for my $victim (sort keys %victims)
{
	my $name = "$victim killed while catching up";
	$other->how(status => 503);
	my $load = start_load($port);
	is(put_batch($port, 12_000, "$victim $_"), 200, "$name: a batch") for 1 .. 3;
	ok($load->wait_for_more(1000, 60), "$name: a backlog");
	load_over($load, $name);
	my $before = requests();
	$other->how(hang => 0.2);
	reload($node);
	ok(wait_for(sub { requests() >= $before + 2 }), "$name: it begins");
	ok($victims{$victim}->(), "$name: it is back");
	$other->how();
	promises_are_kept($load, $name);
	is(query(qq{SELECT count(*) FROM central WHERE data->'json'->>'id' LIKE '$victim%'}), 36_000, "$name: the batches, too");
}

# Without a log table the outbox alone makes the promise.
alter_system($node, 'windtrap.postgres' => 'off');
$other->kill;
is(put_batch($port, 500, 'only there'), 200, 'not kept here: a batch');
kill_server($node, $port, 'not kept here', 10);
ok($other->start, 'not kept here: the other one is back');
reload($node);
ok(drained($node), 'not kept here: all is forwarded');
look_there();
is(query(q{SELECT count(*) || ' ' || count(DISTINCT data->>'id') FROM central WHERE data->'json'->>'id' LIKE 'only there%'}), '500 500', 'not kept here: once');

$node->stop;
$other->kill;
done_testing();
