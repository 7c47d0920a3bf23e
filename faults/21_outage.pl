# Targets of forwarding are away for minutes: half of the time their machines stand still, half of the time nobody listens.
# Events are taken all the while as fast as without forwarding, and afterwards both targets have each once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch qw(percentile);
use Forward;
use Ledger;
use WindTrap;

my $fault = Fault->new(number => 21, name => 'outage of two targets of forwarding');
my $seconds = $fault->length(8, ($ENV{WT_MINUTES} // 10) * 60);
my $turn = $fault->length(2, 10);
my $node = wt_node('sender');
# Forwards nothing: what an event takes there is what it takes without.
my $alone = wt_node('alone');
my $central = wt_node('central');
my $remote = PostgreSQL::Test::Cluster->new('remote');
$remote->init;
$remote->append_conf('postgresql.conf', "max_connections = 30\n");
$remote->start;
my $url = 'http://127.0.0.1:' . wt_port($central) . '/log';
my $table = remote_target($node, 'central_log', $remote);

# The sender and the other one in turns, for so long; what each one's events have taken, in ms, by turn, and all codes.
my $ledger = PostgreSQL::Test::Utils::tempdir() . '/ledger';
my %codes;

sub in_turns
{
	my ($long) = @_;
	my $until = time + $long;
	my (@with, @without);

	while (time < $until)
	{
		for my $at ($node, $alone)
		{
			my $load = start_load(wt_port($at), connections => 16, pause => 0.04);
			sleep $turn;
			my $its = $load->stop;
			my $text = slurp_file($load->{ledger});

			push @{ $at == $node ? \@with : \@without }, [ $text =~ / (\d+)$/mg ];
			next if $at != $node;
			append_to_file($ledger, $text);
			$codes{$_} += $its->{$_} for keys %$its;
		}
	}
	return (\@with, \@without);
}

sub median { return (sort { $a <=> $b } @_)[ @_ / 2 ] }

sub p99 { return median(map { percentile(99, @$_) } @_) }

ok(forward_to($node, $url, $table), 'two targets');
in_turns($turn);
ok(drained($node), 'both get events');

my (@with, @without);
my @kinds = rand() < 0.5 ? qw(hangs refuses) : qw(refuses hangs);
for my $kind (@kinds)
{
	if ($kind eq 'hangs')
	{
		freeze_servers($central, $remote);
	}
	else
	{
		$_->stop('immediate') for $central, $remote;
	}
	my ($w, $o) = in_turns($seconds / 2);
	push @with, @$w;
	push @without, @$o;
	ok(wait_for(sub { $node->safe_psql('postgres', 'SELECT count(*) FROM windtrap.forwarding WHERE lag_events > 0') eq '2' }), "$kind: both are behind");
	if ($kind eq 'hangs')
	{
		thaw_servers();
	}
	else
	{
		$_->start for $central, $remote;
	}
}
is(join(' ', sort keys %codes), '200', 'every event is taken, before and while they are away');
my $waiting = $node->safe_psql('postgres', 'SELECT max(lag_events) FROM windtrap.forwarding');
my $over = time;
ok(drained($node, undef, 300), 'afterwards all is forwarded');
my $caught_up = time - $over;

# All loads by one name.
my $audit = bless { ledger => $ledger, name => 'load%', pid => 0 }, 'WindTrap::Load';
my %wrong;
for my $at ([ 'here', $node, 'log' ], [ 'WindTrap', $central, 'log' ], [ 'table', $remote, 'central_log' ])
{
	my ($name, $server, $log) = @$at;
	$wrong{$name} = $audit->audit($server, table => $log);
	is($wrong{$name}, WindTrap::Load::nothing_wrong(), "$name: none is missing, double, or refused and there");
}
is($central->safe_psql('postgres', q{SELECT count(*) - count(DISTINCT data->>'id') FROM log}), 0, 'no row is in the other WindTrap twice');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$_->stop for $node, $alone, $central, $remote;
my ($p99, $p99_without) = (p99(@with), p99(@without));
$fault->result(sprintf '%s and %s, %d s: of %d events that were acknowledged (no other answer) %d missing or doubled here, in another WindTrap and in a table by postgres_fdw; %d waited, and were there %.0f s later; median of p99 by turns of %d s: %d ms, without forwarding %d ms (%.2f)',
	@kinds, $seconds, $codes{200}, eval { my $n = 0; $n += $_ for map { split /\|/ } values %wrong; $n }, $waiting, $caught_up, $turn, $p99, $p99_without, $p99 / ($p99_without || 1));
