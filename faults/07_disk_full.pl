# The disk of the table, and that of the write-ahead log, are full under load, and have room again.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;
use SmallDisk;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $fault = Fault->new(number => 7, name => 'disk full: the table, the write-ahead log');
my $rounds = $fault->length(1, 5);
my ($heap, $wal) = (small_disk(), small_disk());
my $node = wt_node('full', conf => "fsync = on\nmax_wal_size = 64MB\nmin_wal_size = 32MB\nrestart_after_crash = on\n");
my $port = wt_port($node);
my ($acknowledged, $refused, $wrong, $slowest) = (0, 0, 0, 0);

# The load's end: what was acknowledged is there.
sub audited
{
	my ($load, $name) = @_;
	my $codes = $load->stop;

	only_answers($codes, '0|200|503', "$name: no other answer than 200 and 503");
	my ($missing, $double, $there) = none_wrong($load, $node, $name);
	$acknowledged += $codes->{200};
	$refused += $codes->{503} // 0;
	$wrong += $missing + $double + $there;
	return;
}

# From when there is room on.
sub serves_again
{
	my ($name, $since) = @_;

	ok(wait_for(sub { event($port, 'afterwards') == 200 }, 60), "$name: it serves again");
	my $took = time - $since;
	$slowest = $took if $took > $slowest;
	return;
}

move_table($node, $heap);
for my $round (1 .. $rounds)
{
	my $name = "the table, round $round";
	my $load = start_load($port, connections => 16, pause => 0.002);

	ok($load->wait_for_more(200), "$name: under load");
	fill_disk($heap);
	ok(wait_for(sub { ($load->codes->{503} // 0) > 100 }, 60), "$name: events are refused");
	my $answer = post_json($port, { refused => 1 });
	is($answer->{status}, 503, "$name: with 503");
	like($answer->{headers}{'retry-after'} // '', qr/^[0-9]+$/, "$name: and when to try again");
	like(http($port, 'GET', '/health')->{content}, qr/No space left|could not extend/, "$name: /health says why");
	unlink "$heap/ballast";
	serves_again($name, time);
	ok($load->wait_for_more(200), "$name: the load goes on");
	audited($load, $name);
}
unlike(log_since($node), qr/PANIC|terminated by signal/, 'the table: nothing has crashed');

ok(move_log($node, $wal), 'the write-ahead log is on a small disk');
for my $round (1 .. $rounds)
{
	my $name = "the write-ahead log, round $round";
	my $mark = log_mark($node);
	my $load = start_load($port, connections => 16);

	ok($load->wait_for_more(200), "$name: under load");
	fill_disk($wal);
	ok(panics_of_full_log($node, $mark), "$name: PostgreSQL panics");
	unlink "$wal/ballast";
	my $since = time;
	# It may have given up meanwhile.
	wait_for(sub { event($port, 'afterwards') == 200 }, 5) or do { $node->kill9; $node->start(fail_ok => 1) };
	serves_again($name, $since);
	ok($load->wait_for_more(200), "$name: the load goes on");
	audited($load, $name);
}
$node->stop;
$fault->result("$rounds times each: of $acknowledged events that were acknowledged $wrong missing or doubled; $refused refused; taken again within " . sprintf('%.1f s', $slowest) . ' of there being room');
