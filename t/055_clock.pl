# A wrong clock loses nothing: retention waits until the time is confirmed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $library = "$directory/clock_shift.so";
my $file = "$directory/shift";

plan skip_all => 'a sanitizer wants to be loaded first' if $ENV{WT_SANITIZE};
plan skip_all => 'there is no gcc to build the movable clock with'
  if system("gcc -shared -fPIC -O2 -o $library $FindBin::RealBin/clock_shift.c 2>/dev/null") != 0;

sub shift_clock
{
	my ($seconds) = @_;
	open my $out, -e $file ? '+<' : '>', $file or die "$file: $!";
	binmode $out;
	print $out pack('q<', $seconds);
	close $out;
	return;
}

use constant { DAY => 86400, YEARS => 10 * 365 * 86400 };
shift_clock(0);
local $ENV{CLOCK_SHIFT_FILE} = $file;
local $ENV{LD_PRELOAD} = $library;
my $node = wt_node('clock', conf => "windtrap.retention = '90 days'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }
sub rounds { return query(q{SELECT value FROM windtrap.metrics WHERE name = 'upkeep_last_success_timestamp_seconds'}); }
sub doubted { return query(q{SELECT value FROM windtrap.metrics WHERE name = 'clock_jump'}); }

# A round of upkeep by the process, after the clock has been moved.
sub next_round
{
	my $before = rounds();
	reload($node);
	return wait_for(sub { rounds() ne $before });
}

# Today's events, those of two hours ago by which the time is known, and some days before.
is(event($port), 200, 'an event');
query(q{INSERT INTO log SELECT now() - i * interval '1 day' - interval '2 hours', '{}' FROM generate_series(0, 8) i});
ok(wait_for(sub { next_round() && query('SELECT count(*) FROM log_default') eq 0 }), 'events have their partitions');
my $kept = query('SELECT count(*) FROM log');

shift_clock(YEARS);
ok(next_round(), 'a round after the clock has jumped ahead ten years');
is(query('SELECT count(*) FROM log'), $kept, 'nothing is dropped');
is(doubted(), 1, 'metrics say so');
like(log_since($node), qr/nothing is dropped, because the clock has jumped ahead by 525(59|60)\d\d minutes/, 'the log says so');
is(event($port), 200, 'events are taken');
ok(next_round(), 'another round');
is(query('SELECT count(*) FROM log'), ++$kept, 'an event of the new time alone confirms nothing');
is( query(q{SELECT count(*) FROM pg_class WHERE relname = to_char(now() AT TIME ZONE 'UTC', '"log_"YYYYMMDD')}),
	1, 'today has its partition');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT count(*) FROM windtrap.upkeep() WHERE action = 'dropped'});
is($out, 0, 'by hand nothing is dropped either');
like($err, qr/nothing is dropped.*windtrap\.upkeep\(force => true\)/s, 'and the remedy is told');

$node->restart;
ok(ready($port), 'the server is restarted in the wrong time');
is(event($port), 200, 'an event');
$kept++;
ok(wait_for(sub { rounds() ne 0 }) && next_round(), 'a round after the restart');
is(query('SELECT count(*) FROM log'), $kept, 'the restart confirms nothing');

shift_clock(0);
ok(next_round(), 'a round after the clock is right again');
is(query('SELECT count(*) FROM log'), $kept, 'everything is there');
is(doubted(), 0, 'and it is believed');

# Confirmed by events: so many seconds of them are enough.
alter_system($node, 'windtrap.retention_grace' => '2s');
shift_clock(200 * DAY);
ok(next_round(), 'a jump ahead by 200 days');
is(query('SELECT count(*) FROM log'), $kept, 'nothing is dropped');
is(event($port), 200, 'an event of the new time');
my $begun = query('SELECT count(*) FROM log WHERE event_timestamp < now() - interval \'100 days\'');
ok( wait_for(
		sub {
			next_round();
			query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '100 days'}) < $begun;
		}),
	'which confirms it when it is older than windtrap.retention_grace');
cmp_ok(query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '100 days'}), '>', 0, 'not everything goes at once');
ok( wait_for(
		sub {
			next_round();
			query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '100 days'}) eq 0;
		}),
	'and all of it in some rounds');

# Confirmed by hand.
alter_system($node, 'windtrap.retention_grace' => '1h');
shift_clock(400 * DAY);
ok(next_round(), 'another jump');
is(doubted(), 1, 'is in doubt');
query('BEGIN; SELECT windtrap.upkeep(force => true); ROLLBACK');
next_round();
is(doubted(), 1, 'a rehearsal confirms nothing');
query('SELECT windtrap.upkeep(force => true)');
ok(wait_for(sub { doubted() eq 0 }), 'windtrap.upkeep(force => true) does');
is(query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '100 days'}), 0, 'and drops what is old');
$node->stop;
done_testing();
