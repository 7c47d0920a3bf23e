# Ledger.pm
#	What the tests that keep a ledger share: a load that goes on through a fault, and the
#	faults of a server.
#
# Core Perl and PostgreSQL::Test only.

package Ledger;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Time::HiRes qw(sleep);

use WindTrap;

our @EXPORT = qw(under_load load_over kill_server stop_server);

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

1;
