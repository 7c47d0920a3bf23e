# Ledger.pm
#	What the tests that keep a ledger share: a load that goes on through a fault, and the
#	faults of a server.
#
# Core Perl and PostgreSQL::Test only.

package Ledger;

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(under_load kept_through load_over kill_server stop_server freeze_servers thaw_servers start_clients count_done);

# Brings a fault about under a load, which it is given and which goes on after it; gives the
# load and its codes.
sub under_load
{
	my ($port, $name, $fault) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $load = start_load($port);

	ok($load->wait_for_more(300), "$name: under load");
	$fault->($load);
	ok($load->wait_for_more(300), "$name: the load goes on");
	return ($load, load_over($load, $name));
}

# Brings a fault about under a load, and then looks, by $kept->($load, $name), whether what was
# promised is kept.
sub kept_through
{
	my ($port, $kept, $name, $fault) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($load) = under_load($port, $name, $fault);
	$kept->($load, $name);
	return;
}

# Starts so many clients as processes, from 1 on, each of which calls $run; gives their pids.
sub start_clients
{
	my ($n, $run) = @_;
	my @pids;

	for my $client (1 .. $n)
	{
		my $pid = fork() // die "fork: $!";
		if ($pid == 0)
		{
			local $SIG{PIPE} = 'IGNORE';
			eval { $run->($client); 1 } or print STDERR $@;
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
	return @pids;
}

# How many of them have come to their end, which is a file in a directory with how many requests
# they had acknowledged, and in how many tries; gives the sums of these, too.
sub count_done
{
	my ($directory, $n) = @_;
	my ($requests, $tries, $done) = (0, 0, 0);

	for my $client (1 .. $n)
	{
		next if !-e "$directory/done.$client";
		my ($r, $t) = split ' ', slurp_file("$directory/done.$client");
		$requests += $r;
		$tries += $t;
		$done++;
	}
	note "$requests requests, $tries tries";
	return ($requests, $tries, $done);
}

# Ends a load, of at least 500 events; gives how often it was answered each code.
sub load_over
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $codes = $load->stop;

	note "$name: " . join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
	cmp_ok($codes->{200} // 0, '>=', 500, "$name: there were many events");
	return $codes;
}

# Kills a server at any moment, with all of its processes, and starts it; it has to serve
# within so many seconds.
sub kill_server
{
	my ($node, $port, $name, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	sleep rand 0.5;
	kill_group($node);
	$node->start;
	ok(ready($port, $seconds), "$name: serves again");
	return;
}

# Stops it by a mode, and starts it, likewise.
sub stop_server
{
	my ($node, $port, $name, $seconds, $mode) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	cmp_ok(elapsed(sub { $node->stop($mode) }), '<', 5, "$name: within 5 s");
	$node->start;
	ok(ready($port, $seconds), "$name: serves again");
	return;
}

my @frozen;

# Stops all processes of servers, as machines that swap do, until thaw_servers() or the test's end.
sub freeze_servers
{
	for my $node (@_)
	{
		my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
		push @frozen, $postmaster, split ' ', slurp_file("/proc/$postmaster/task/$postmaster/children");
	}
	kill 'STOP', @frozen;
	return;
}

sub thaw_servers
{
	kill 'CONT', @frozen;
	@frozen = ();
	return;
}
END { kill 'CONT', @frozen if @frozen; }

1;
