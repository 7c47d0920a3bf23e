# The disk of a server that events are forwarded to is full, that of its table and that of its write-ahead log: the sender takes
# events all the while, says why they do not go on, and when there is room again the other one gets each of them, once.

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
use Forward;
use WindTrap;

my $fault = Fault->new(number => 7, name => 'disk full at the server that events are forwarded to');
my $rounds = $fault->length(1, 5);
my $small = small_disk();
mkdir "$small/$_" or die "$small/$_: $!" for qw(heap wal);

my $node = wt_node('sender');
my $port = wt_port($node);
my $central = wt_node('central', conf => "fsync = on\nmax_wal_size = 32MB\nmin_wal_size = 32MB\n");
my $central_port = wt_port($central);
my $url = "http://127.0.0.1:$central_port/log";
my ($acknowledged, $wrong, $slowest) = (0, 0, 0);

sub there { return $central->safe_psql('postgres', $_[0]) }

# Fills the small file system, has $shows come true, gives it room again, and looks at what has come of the events.
sub filled
{
	my ($name, $shows) = @_;
	my $load = start_load($port, connections => 16, pause => 0.002);

	ok($load->wait_for_more(200), "$name: under load");
	fill_disk($small);
	$shows->($name);
	ok($load->wait_for_more(500), "$name: the sender takes events");
	unlink "$small/ballast";
	my $begun = time;
	# A server whose write-ahead log had no room at its recovery either has given up.
	if (!wait_for(sub { event($central_port, 'afterwards') == 200 }, 10))
	{
		$central->kill9;
		$central->start;
	}
	ok(wait_for(sub { event($central_port, 'afterwards') == 200 }, 60), "$name: the other one serves again");
	my $took = time - $begun;
	$slowest = $took if $took > $slowest;
	my $codes = $load->stop;
	only_answers($codes, '200', "$name: the sender gives no other answer than 200");
	reload($node);    # which ends a pause
	ok(drained($node, undef, 120), "$name: all is forwarded");
	my ($missing, $double, $refused) = none_wrong($load, $central, "$name: there");
	is(there(q{SELECT count(*) - count(DISTINCT data->>'id') FROM log}), 0, "$name: no row is there twice");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM windtrap.dead_letter'), 0, "$name: none has become a dead letter");
	$acknowledged += $codes->{200} // 0;
	$wrong += $missing + $double + $refused;
	return;
}

move_table($central, "$small/heap");
ok(forward_to($node, $url), 'a target');
for my $round (1 .. $rounds)
{
	filled("the table, round $round", sub {
			my ($name) = @_;
			ok(wait_for(sub { state_of($node, $url, 'last_error') =~ /503/ }, 60), "$name: the sender says that it is not taken");
			like(http($central_port, 'GET', '/health')->{content}, qr/No space left|could not extend/, "$name: the other one says why");
		});
}
unlike(log_since($central), qr/PANIC|terminated by signal/, 'the table: nothing has crashed');

ok(move_log($central, "$small/wal"), 'the write-ahead log is on a small disk');
for my $round (1 .. $rounds)
{
	my $mark = log_mark($central);

	filled("the write-ahead log, round $round", sub {
			my ($name) = @_;
			ok(panics_of_full_log($central, $mark), "$name: the other one panics");
		});
}
$node->stop;
$central->stop;
$fault->result(sprintf "%d times each, its table and its write-ahead log: of %d events that were acknowledged by the sender %d missing or doubled there; it served again within %.1f s of there being room",
	$rounds, $acknowledged, $wrong, $slowest);
