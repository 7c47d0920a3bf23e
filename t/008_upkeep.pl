# The upkeep in its own process: it works by itself, events never wait for it, and it
# lives and dies as the workers do.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('upkeep', conf => "windtrap.retention_grace = 0\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub upkeep_pid
{
	my ($n) = @_;
	return ($n // $node)->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'windtrap upkeep'");
}

# The partition of today, or of a day from it; by its bounds, since names vary.
sub partition
{
	my ($days) = @_;
	return query(<<"SQL");
SELECT coalesce(max(c.oid::regclass::text), '') FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
WHERE inhparent = 'log'::regclass
	AND pg_get_expr(relpartbound, c.oid) LIKE
		to_char((now() AT TIME ZONE 'UTC')::date + $days, '"FOR VALUES FROM (''"YYYY-MM-DD%')
SQL
}

# As the server says it in this session's zone.
$ENV{PGTZ} = 'UTC';

# Takes today's partition away, as if it had never been made; gives its new name.
sub lose_today
{
	my $today = partition(0);
	my $lost = 'lost_' . query('SELECT count(*) FROM pg_class');

	query(<<"SQL");
SET lock_timeout = '20s';
BEGIN;
ALTER TABLE log DETACH PARTITION $today;
ALTER TABLE $today RENAME TO $lost;
COMMIT;
SQL
	return $lost;
}

# Waits until each of some loads has gone on for so many events.
sub more
{
	my ($events, @loads) = @_;
	for my $load (@loads)
	{
		$load->wait_for_more($events);
	}
	return;
}

sub default_rows { return query('SELECT count(*) FROM log_default'); }

#
# By itself
#
is(event($port), 200, 'the first event makes the table');
ok(wait_for(sub { upkeep_pid() =~ /^\d+$/ }), 'the process of the upkeep is there');
{
	my $tomorrow = partition(1);
	query("DROP TABLE $tomorrow");
	query(q{INSERT INTO log SELECT now() - i * interval '3 days', '{"old":true}' FROM generate_series(1, 10) i});
	is(default_rows(), 10, 'events of other days are in the default partition');
	reload($node);
	ok(wait_for(sub { partition(1) eq $tomorrow }), 'a partition that is missing is made');
	ok(wait_for(sub { default_rows() eq 0 }), 'and what was in the default one moved');
	is(query(q{SELECT count(*) FROM log WHERE data = '{"old":true}'}), 10, 'nothing is lost');
	like(log_since($node), qr/created partition public\.log_\d{8}, moved 1 rows into it/, 'the log says so');
}
is( query(q{SELECT count(*) FROM pg_locks WHERE pid = } . upkeep_pid()),
	0, 'it holds no lock while it sleeps');

#
# Under load
#
{
	# Connections whose events come in one batch, and one that comes alone.
	my @loads = (start_load($port, connections => 16, pause => 0.005),
		start_load($port, connections => 1, pause => 0.003));
	my $mark = log_mark($node);
	my @lost;

	more(100, @loads);
	for my $i (1 .. 5)
	{
		push @lost, lose_today();
		more(50, @loads);
		ok(default_rows() > 50, "round $i: events go to the default partition");
		reload($node);
		ok(wait_for(sub { partition(0) ne '' }), "round $i: until today has one again");
		is(query(q{SELECT count(*) FROM log_default WHERE event_timestamp < now() + interval '7 days'}),
			0, "round $i: they are moved to it");
		more(50, @loads);
	}

	# Old partitions, and old rows in the default one.
	for my $day (40 .. 49)
	{
		query(<<"SQL");
CREATE TABLE old_$day (LIKE log INCLUDING ALL);
INSERT INTO old_$day SELECT date_trunc('day', now(), 'UTC') - interval '$day days', '{"old":true}' FROM generate_series(1, 1000);
ANALYZE old_$day;
DO \$\$ BEGIN
	SET LOCAL lock_timeout = '20s';
	EXECUTE format('ALTER TABLE log ATTACH PARTITION old_$day FOR VALUES FROM (%L) TO (%L)',
		date_trunc('day', now(), 'UTC') - interval '$day days', date_trunc('day', now(), 'UTC') - interval '$day days' + interval '24 hours');
END \$\$;
INSERT INTO log SELECT now() - interval '400 days', '{"old":true}' FROM generate_series(1, 100);
SQL
	}
	alter_system($node, 'windtrap.retention' => '30 days');
	ok(wait_for(sub { reload($node); query(q{SELECT count(*) FROM log WHERE event_timestamp < now() - interval '31 days'}) eq 0 }, 60),
		'what is older than windtrap.retention goes');
	is(count_in_log($node, qr/dropped partition public\.old_4\d: \d+ kB, about 1000 rows/, $mark), 10, 'with a log line for each partition');
	like(log_since($node, $mark), qr/deleted 1000 rows past windtrap\.retention from the default partition/, 'and one for the rows of the default one');
	more(100, @loads);
	my @codes;
	for my $load (@loads)
	{
		push @codes, $load->stop;
	}
	for my $table (@lost)
	{
		query("INSERT INTO log TABLE $table");
	}
	for my $load (@loads)
	{
		my $codes = shift @codes;
		is(join(' ', keys %$codes), '200', "$codes->{200} events, all answered 200");
		is($load->audit($node), $load->nothing_wrong, 'and all of them are there, once');
		cmp_ok($load->slowest, '<', 1000, 'none of them had to wait long: ' . $load->slowest . ' ms');
	}
}

#
# Somebody holds a lock
#
for my $case (
	[ 'a report', 'BEGIN; SELECT count(*) FROM log' ],
	[ 'a report on one partition', 'BEGIN; SELECT count(*) FROM old_50' ],
	[ 'a lock against schema changes', q{BEGIN; LOCK TABLE log IN SHARE UPDATE EXCLUSIVE MODE; SELECT count(*) FROM log} ])
{
	my ($name, $sql) = @$case;
	query(<<"SQL");
CREATE TABLE old_50 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
SQL
	my $session = $node->background_psql('postgres');
	my $load = start_load($port, connections => 16, pause => 0.005);
	my $mark = log_mark($node);

	$session->query_safe($sql);
	$load->wait_for_more(200);
	reload($node);
	ok(wait_for(sub { count_in_log($node, qr/upkeep of log could not finish/, $mark) }), "$name: it gives up");
	# How it waits until it tries again is the same whatever has failed.
	my $alone = $name eq 'a report';
	reload($node) if !$alone;
	ok(wait_for(sub { query('SELECT max(times) >= 2 FROM windtrap.upkeep_failures') eq 't' }), "$name: and tries again");
	is(count_in_log($node, qr/upkeep of log could not finish/, $mark), 1, "$name: it says so once");
	is(query(q{SELECT count(*) FROM pg_class WHERE relname = 'old_50'}), 1, "$name: nothing is done");
	my $codes = $load->stop;
	is(join(' ', keys %$codes), '200', "$name: $codes->{200} events are answered 200");
	cmp_ok($load->slowest, '<', 600, "$name: none has to wait: " . $load->slowest . ' ms');
	$session->query_safe('COMMIT');
	$session->quit;
	reload($node) if !$alone;
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_class WHERE relname = 'old_50'}) eq 0 }, 40), "$name: until it can");
}

#
# It is killed while it moves rows
#
{
	my $rows = 120_000;
	my $load = start_load($port, connections => 4, pause => 0.002);

	query("INSERT INTO log SELECT date_trunc('day', now(), 'UTC') - interval '12 hours' - interval '6 days', jsonb_build_object('n', n, 'fill', repeat('x', 200)) FROM generate_series(1, $rows) n");
	my $pid = upkeep_pid();
	reload($node);
	ok(wait_for(sub { query("SELECT state || ' ' || query FROM pg_stat_activity WHERE pid = $pid") eq 'active maintaining partitions' }), 'it is at work');
	sleep 0.1;
	my $offset = -s $node->logfile;
	kill 'KILL', $pid;
	# Not before it has noticed: until then it answers as if nothing had happened.
	my $noticed = sub { PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset) =~ /reinitializing/ };
	ok(wait_for($noticed, 60) && wait_for(sub { accepts($node) && ready($port, 1) }, 60),
		'the server is back');
	ok(wait_for(sub { query("SELECT count(*) FROM log_default WHERE data ? 'n'") eq 0 }, 60), 'and the rows are moved');
	is(query("SELECT count(*) || ' ' || count(DISTINCT data->'n') FROM log WHERE data ? 'n'"), "$rows $rows", 'each of them once');
	is(query(q{SELECT count(*) FROM pg_class WHERE relname LIKE 'log\_%' AND NOT relispartition AND relkind = 'r' AND relname !~ '^log_default'}), 0, 'nothing half made is left');
	$load->wait_for_more(100);
	$load->stop;
	is($load->audit($node), $load->nothing_wrong, 'nothing that was acknowledged is lost');
}

#
# Life
#
{
	my $pid = upkeep_pid();
	my $mark = log_mark($node);

	query("SELECT pg_cancel_backend($pid)");
	query('SELECT pg_reload_conf()');
	sleep 1;
	is(upkeep_pid(), $pid, 'a cancel in its sleep does nothing');
	query("SELECT pg_terminate_backend($pid)");
	ok(wait_for(sub { my $new = upkeep_pid(); $new ne '' && $new ne $pid }), 'when it is terminated it is started again');
	query('DROP EXTENSION windtrap');
	query('DROP TABLE log');
	sleep 3;
	ok(upkeep_pid(), 'without the extension it waits');
	is(query(q{SELECT count(*) FROM pg_class WHERE relname LIKE 'log%' AND relkind = 'p'}), 0, 'and does nothing');
	query('CREATE EXTENSION windtrap');
	ok(ready($port), 'the extension is back');
	is(event($port), 200, 'so is the table');
	unlike(log_since($node, $mark), qr/ERROR|FATAL|PANIC/, 'without an error');

	my $took = elapsed(sub { query('SELECT windtrap.stop()') });
	is(upkeep_pid(), '', 'windtrap.stop() ends it too');
	cmp_ok($took, '<', 5, 'soon');
	query('SELECT windtrap.start()');
	ok(wait_for(sub { upkeep_pid() ne '' }), 'windtrap.start() starts it');
}

# A fast stop while it waits for a lock.
{
	query(q{CREATE TABLE old_50 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')});
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('BEGIN; SELECT count(*) FROM log');
	reload($node);
	ok(wait_for(sub { query("SELECT query FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'windtrap upkeep'") eq 'maintaining partitions' }), 'it tries for a lock');
	cmp_ok(elapsed(sub { $node->stop('fast') }), '<', 5, 'a fast stop takes less than 5 s');
	eval { $session->quit };
	$node->start;
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_class WHERE relname = 'old_50'}) eq 0 }), 'after the start it does what was left');
}

# Its database is dropped.
{
	query('CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION windtrap; SELECT windtrap.create_log_table()');
	alter_system($node, 'windtrap.database' => 'other');
	ok(wait_for(sub { query("SELECT datname FROM pg_stat_activity WHERE backend_type = 'windtrap upkeep'") eq 'other' }), 'it moves to another database');
	cmp_ok(elapsed(sub { query('DROP DATABASE other WITH (FORCE)') }), '<', 5, 'which can be dropped');
	sleep 2;
	is(upkeep_pid(), '', 'then there is none');
	alter_system($node, 'windtrap.database' => undef);
	ok(wait_for(sub { upkeep_pid() ne '' }), 'and in the old one again one');
}
$node->stop;
unlike(log_since($node), qr/PANIC|TRAP|segfault|signal 11|signal 6/, 'nothing has crashed by itself');

#
# There is no slot for it
#
{
	# PostgreSQL's own launcher of logical replication has one.
	my $small = wt_node('small', conf => "max_worker_processes = 3\n");
	is(event(wt_port($small)), 200, 'without a slot for the upkeep events are stored');
	sleep 4;
	is(count_in_log($small, qr/no free slot for a background worker \(windtrap upkeep\)/), 1, 'and the log says once what is missing');
	is(upkeep_pid($small), '', 'there is none');
	is(event(wt_port($small)), 200, 'events still are');
	$small->stop;
}
done_testing();
