# Forward.pm
#	What the tests of forwarding share: targets of several kinds, and looking how far a
#	forwarder is.
#
# Core Perl and PostgreSQL::Test only.

package Forward;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(
  forward_to state_of drained wait_state forwarder_pid kill_forwarder rows_as_sent known_again local_target remote_target audit_target
  put_batch
);

# Sets windtrap.forward_to, and waits until each has its forwarder.
sub forward_to
{
	my ($node, @targets) = @_;
	alter_system($node, 'windtrap.forward_to' => join ', ', @targets);
	my $wanted = @targets;
	return wait_for(
		sub {
			$node->safe_psql('postgres',
				q{SELECT count(*) FILTER (WHERE pid IS NOT NULL AND state <> 'starting') || '|' || count(*) FROM windtrap.forwarding WHERE target IS NOT NULL})
			  eq "$wanted|$wanted";
		});
}

sub state_of
{
	my ($node, $target, $column) = @_;
	$column //= 'state';
	return $node->safe_psql('postgres',
		"SELECT $column FROM windtrap.forwarding WHERE target = '$target'");
}

sub wait_state
{
	my ($node, $target, $state, $seconds) = @_;
	return wait_for(sub { state_of($node, $target) eq $state }, $seconds // 60);
}

# Waits until a target, or all of them, has got all that there is.
sub drained
{
	my ($node, $target, $seconds) = @_;
	my $where = $target ? "WHERE target = '$target'" : '';
	return 1
	  if wait_for(
		sub {
			$node->safe_psql('postgres',
				"SELECT sum(lag_events) FROM windtrap.forwarding $where") eq '0'
			  && (
				$target
				|| $node->safe_psql('postgres', 'SELECT count(*) FROM windtrap.outbox') eq '0');
		},
		$seconds // 120);
	diag $node->safe_psql('postgres', 'SELECT * FROM windtrap.forwarding');
	diag $node->safe_psql('postgres', 'SELECT id, created, n_events, bytes FROM windtrap.outbox ORDER BY id LIMIT 5');
	diag $node->safe_psql('postgres', 'SELECT * FROM windtrap.outbox_position');
	return 0;
}

sub forwarder_pid { return state_of(@_, 'pid'); }

# kill -9 of a target's forwarder, at some moment; waits until it is gone.
sub kill_forwarder
{
	my ($node, $target, $name) = @_;

	sleep rand 0.5;
	my $pid = forwarder_pid($node, $target);
	kill 'KILL', $pid;
	ok(wait_for(sub { !kill 0, $pid }), "$name: it is gone");
	return;
}

# The rows of a server's log, by what they were before they were forwarded.
sub rows_as_sent
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{SELECT extract(epoch FROM event_timestamp), status, data - 'via' FROM log ORDER BY data->>'id'});
}

# How many events a server has known again, and not stored once more.
sub known_again
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{SELECT value FROM windtrap.metrics WHERE name = 'duplicates_total'});
}

# An ordinary table with an id, in the database of the events.
sub local_target
{
	my ($node, $name) = @_;
	$node->safe_psql('postgres',
		"CREATE TABLE $name (id uuid PRIMARY KEY, event_timestamp timestamptz, data jsonb, status int)");
	return $name =~ /\./ ? $name : "public.$name";
}

# A table on another server, by postgres_fdw.
sub remote_target
{
	my ($node, $name, $other) = @_;
	my $host = $other->host;
	my $port = $other->port;

	$other->safe_psql('postgres',
		"CREATE TABLE $name (id text PRIMARY KEY, event_timestamp timestamptz, data jsonb, status int)");
	$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SERVER server_of_$name FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '$host', port '$port', dbname 'postgres', batch_size '1000');
CREATE USER MAPPING FOR CURRENT_USER SERVER server_of_$name;
CREATE FOREIGN TABLE $name (id text, event_timestamp timestamptz, data jsonb, status int)
	SERVER server_of_$name;
SQL
	return "public.$name";
}

# What a load's ledger says of a target: acknowledged events that it has not got, those that it
# has twice, and those that were refused and are there.
sub audit_target
{
	my ($load, $node, $table) = @_;
	return $load->audit($node, table => $table);
}

# Sends a batch of so many events in one request; gives the answer's code.
sub put_batch
{
	my ($port, $n, $name) = @_;
	return post($port, join('', map { qq({"id":"$name-$_","n":$_}\n) } 1 .. $n),
		type => 'application/x-ndjson')->{status};
}

1;
