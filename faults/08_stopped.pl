# A worker, and the postmaster, stopped by SIGSTOP for half a minute, and let go on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $fault = Fault->new(number => 8, name => 'SIGSTOP of a worker and of the postmaster');
my $seconds = $fault->length(2, 30);
my $node = wt_node('stopped');
my $port = wt_port($node);
my $load = start_load($port);
my $slowest = 0;

ok($load->wait_for_more(300), 'under load');
for my $whom ('worker', 'postmaster')
{
	my ($pid) = $whom eq 'worker' ? worker_pids($node) : slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	kill 'STOP', $pid;
	my $end = time + $seconds;
	if ($whom eq 'postmaster')
	{
		ok($load->wait_for_more(300), 'events are taken while the postmaster is stopped');
	}
	sleep 0.1 while time < $end;
	kill 'CONT', $pid;
	my $begun = time;
	ok(wait_for(sub { event($port, "after $whom") == 200 }, 30), "$whom: it serves again");
	my $took = time - $begun;
	$slowest = $took if $took > $slowest;
	ok($load->wait_for_more(300), "$whom: the load goes on");
	is((worker_pids($node))[0], $pid, 'it is the same worker') if $whom eq 'worker';
}
my $codes = $load->stop;
only_answers($codes, '0|200|503', 'no other answer than 200 and 503');
my ($missing, $double, $refused) = none_wrong($load, $node);
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
$fault->result(sprintf '%d s each: of %d events that were acknowledged %d missing, %d doubled; one was taken again after %.1f s',
	$seconds, $codes->{200}, $missing, $double, $slowest);
