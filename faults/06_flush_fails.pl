# The disk fails to flush the write-ahead log: EIO.  PostgreSQL panics, since nobody knows what is on the disk then; nobody is
# told that his event is stored, and after the recovery the collector goes on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

plan skip_all => 'there is no strace' if system('strace -o /dev/null true 2>/dev/null') != 0;
plan skip_all => 'a sanitizer cannot be traced' if $ENV{WT_SANITIZE};

my $fault = Fault->new(number => 6, name => 'EIO of fdatasync');
my $rounds = $fault->length(1, 20);
my $node = wt_node('eio', conf => "fsync = on\nwal_writer_delay = 10s\n");
my $port = wt_port($node);
my ($acknowledged, $wrong, $unanswered) = (0, 0, 0);

for my $round (1 .. $rounds)
{
	my $mark = log_mark($node);
	my $load = start_load($port, connections => 16);

	$load->wait_for_more(50);
	my ($pid) = worker_pids($node);
	my $tracer = fork() // die "fork: $!";
	exec 'strace', '-f', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=' . int(between(1, 30)), '-p', $pid
	  or die "strace: $!"
	  if $tracer == 0;
	ok(wait_for(sub { log_since($node, $mark) =~ /PANIC: +could not fdatasync/ }, 60), "round $round: the worker panics");
	waitpid $tracer, 0;
	ok(wait_for(sub { event($port, 'afterwards') == 200 }, 60), "round $round: it serves again");
	ok($load->wait_for_more(50), "round $round: the load goes on");
	my $codes = $load->stop;
	only_answers($codes, '0|200|503', "round $round: no other answer than 200 and 503");
	my ($missing, $double, $refused) = none_wrong($load, $node, "round $round");
	$acknowledged += $codes->{200};
	$unanswered += $codes->{0} // 0;
	$wrong += $missing + $double + $refused;
}
$node->stop;
$fault->result("$rounds times: of $acknowledged events that were acknowledged $wrong missing or doubled; $unanswered were not answered");
