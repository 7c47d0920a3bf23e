# A wrong clock loses nothing: retention waits until the time is confirmed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep);
use Time::Local qw(timegm);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Clock;

use constant { DAY => 86400, YEARS => 10 * 365 * 86400 };
movable_clock();
my $node = wt_node('clock', conf => "windtrap.retention = '90 days'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }
sub rounds { return query(q{SELECT value FROM windtrap.metrics WHERE name = 'upkeep_last_success_timestamp_seconds'}); }
sub doubted { return query(q{SELECT value FROM windtrap.metrics WHERE name = 'clock_jump'}); }

# A round of upkeep by the process.
sub next_round
{
	my $before = rounds();
	reload($node);
	return wait_for(sub { rounds() ne $before });
}

# A round that began after what was done just before: the clock moved, a setting changed.  The
# first to end may have begun before it, at the reload of the setting say.
sub new_round { return next_round() && next_round(); }

# Today's events, those of two hours ago by which the time is known, and some days before.
is(event($port), 200, 'an event');
query(q{INSERT INTO log SELECT now() - i * interval '1 day' - interval '2 hours', '{}' FROM generate_series(0, 8) i});
ok(wait_for(sub { next_round() && query('SELECT count(*) FROM log_default') eq 0 }), 'events have their partitions');
my $kept = query('SELECT count(*) FROM log');

shift_clock(YEARS);
ok(new_round(), 'a round after the clock has jumped ahead ten years');
is(query('SELECT count(*) FROM log'), $kept, 'nothing is dropped');
is(doubted(), 1, 'metrics say so');
like(log_since($node), qr/nothing is dropped, because the clock has jumped ahead by 525(59|60)\d\d minutes/, 'the log says so');
is(event($port), 200, 'events are taken');
ok(new_round(), 'another round');
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
ok(wait_for(sub { rounds() ne 0 }) && new_round(), 'a round after the restart');
is(query('SELECT count(*) FROM log'), $kept, 'the restart confirms nothing');

shift_clock(0);
ok(new_round(), 'a round after the clock is right again');
is(query('SELECT count(*) FROM log'), $kept, 'everything is there');
is(doubted(), 0, 'and it is believed');

# Ten years back: nothing is old by that time, and events have partitions of theirs.
shift_clock(-(YEARS));
ok(new_round(), 'a round after the clock has been set back ten years');
is(event($port), 200, 'events are taken');
$kept++;
ok(new_round(), 'another round');
is(query(q{SELECT tableoid::regclass FROM log ORDER BY event_timestamp LIMIT 1}),
	query(q{SELECT to_char(now() AT TIME ZONE 'UTC', '"log_"YYYYMMDD')}), 'into a partition of that day');
is(query('SELECT count(*) FROM log'), $kept, 'everything is there');
shift_clock(0);
ok(new_round(), 'a round after the clock is right again');
is(event($port), 200, 'events are taken');
is(query('SELECT count(*) FROM log'), ++$kept, 'everything is there, what came by the wrong time too');
is(doubted(), 1, 'until the time is confirmed');
# What bears a wrong time can be given the right one meanwhile.
query(q{UPDATE log SET event_timestamp = event_timestamp + interval '3650 days' WHERE event_timestamp < now() - interval '9 years'});
query('SELECT windtrap.upkeep(force => true)');
ok(wait_for(sub { doubted() eq 0 }), 'which it is by hand');
is(query('SELECT count(*) FROM log'), $kept, 'everything is there still');
is(query(q{SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname < to_char(now() - interval '9 years', '"log_"YYYYMMDD') AND relname ~ '^log_[0-9]+$'}),
	0, 'the partitions of the wrong time are gone');

# Confirmed by events: so many seconds of them are enough.
alter_system($node, 'windtrap.retention_grace' => '2s');
shift_clock(200 * DAY);
ok(new_round(), 'a jump ahead by 200 days');
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
ok(new_round(), 'another jump');
is(doubted(), 1, 'is in doubt');
query('BEGIN; SELECT windtrap.upkeep(force => true); ROLLBACK');
new_round();
is(doubted(), 1, 'a rehearsal confirms nothing');
query('SELECT windtrap.upkeep(force => true)');
ok(wait_for(sub { doubted() eq 0 }), 'windtrap.upkeep(force => true) does');
is(query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '100 days'}), 0, 'and drops what is old');

# Over borders of days and of local time, beginning with a table that is made just before: events
# are taken all the while, each into the partition of its day, and days are 24 hours in UTC.
for my $case (
	[ 'UTC', 'leap day', 2028, 2, 29 ], [ 'UTC', 'the day after it', 2028, 3, 1 ],
	[ 'Europe/Berlin', 'an hour is left out', 2027, 3, 28, 1 ], [ 'Europe/Berlin', 'an hour is twice', 2027, 10, 31, 1 ],
	[ 'America/Sao_Paulo', 'midnight is left out', 2018, 11, 4, 3 ], [ 'America/Sao_Paulo', 'midnight is twice', 2018, 2, 18, 2 ],
	[ 'Pacific/Apia', 'a day is left out', 2011, 12, 30, 10 ])
{
	my ($zone, $what, $year, $month, $day, $hour) = @$case;
	my $border = timegm(0, 0, $hour // 0, $day, $month - 1, $year);
	my %codes;

	query('SELECT windtrap.stop(); DROP TABLE log');
	set_clock($border - 2);
	alter_system($node, timezone => $zone);
	query('SELECT windtrap.start()');
	my ($before, $after) = (0, 0);
	ok( wait_for(
			sub {
				$codes{ event($port) }++;
				my $passed = query("SELECT now() > to_timestamp($border)");
				$passed eq 't' ? $after++ : $before++;
				$after > 3;
			}),
		"$zone, $what: time goes on");
	cmp_ok($before, '>', 0, "$zone, $what: over the border");
	is(join(' ', keys %codes), 200, "$zone, $what: all events are taken");
	is(query(q{SELECT count(*) FROM log}), $codes{200}, "$zone, $what: and are there");
	is( query(q{SELECT count(*) FROM log WHERE tableoid::regclass::text <> to_char(event_timestamp AT TIME ZONE 'UTC', '"log_"YYYYMMDD')}),
		0, "$zone, $what: each in the partition of its day");
	query('SELECT windtrap.upkeep()');
	is( query(q{SET timezone = 'UTC'; SELECT count(*), count(DISTINCT bound), sum((bound = format('FOR VALUES FROM (%L) TO (%L)',
				to_date(right(relname, 8), 'YYYYMMDD') || ' 00:00:00+00', to_date(right(relname, 8), 'YYYYMMDD') + 1 || ' 00:00:00+00'))::int)
			FROM (SELECT relname, pg_get_expr(relpartbound, oid) AS bound FROM pg_class WHERE relname ~ '^log_[0-9]+$' AND relispartition AND relkind = 'r') p}),
		$hour ? '9|9|9' : '10|10|10', "$zone, $what: days have 24 hours");
}

unlike(log_since($node), qr/terminated by signal|PANIC/, 'nothing has crashed');
$node->stop;
done_testing();
