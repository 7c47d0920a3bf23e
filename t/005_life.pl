# Under preload: whatever happens to the extension, the table, the database and the
# server, the collector neither crashes nor hangs nor loops; it says what is wrong, and
# serves again when it can.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('life', create => 0, init => { allows_streaming => 1 },
	conf => "include_if_exists = 'changing.conf'\n");
my $port = wt_port($node);

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

sub sentence { return json_of(http($port, 'GET', '/health', timeout => 5))->{error} // ''; }

# Hundredths of a second that processes have worked.
sub cpu_time
{
	my $sum = 0;
	for my $pid (@_)
	{
		my @fields = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr;
		$sum += $fields[11] + $fields[12];
	}
	return $sum;
}

sub our_pids
{
	return split /\n/,
	  query(q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%'});
}

# An event is accepted within so many seconds.
sub serves
{
	my ($name, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $code;

	ok(wait_for(sub { ($code = event($port, $name)) == 200 }, $seconds // 5), "$name: serves")
	  or diag "the last answer was $code: " . sentence();
	return;
}

# Nothing but 200 and 503 was answered, and each 200 is true.
sub nobody_was_misled
{
	my ($load, $name, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $codes = $load->stop;
	my @bad = grep { !/^(200|503)$/ } keys %$codes;

	is(join(' ', map { "$_: $codes->{$_}" } @bad), '', "$name: only 200 and 503");
	is($load->audit($node, %o), $load->nothing_wrong, "$name: and they are true") if !$o{gone};
	return $codes;
}

#
# Without the extension, and without anybody who has connected to the server before: the
# first connection builds caches that the launcher cannot rely on.
#
ok( wait_for(sub { log_since($node) =~ /waiting for CREATE EXTENSION windtrap in database "postgres"/ }),
	'without the extension it waits');
{
	my @pids = our_pids();
	my $before = cpu_time(@pids);
	sleep 2.5;
	cmp_ok(cpu_time(@pids) - $before, '<=', 5, 'using no CPU');
	is(join(' ', our_pids()), join(' ', @pids), 'with no restart');
	is(count_in_log($node, qr/waiting for CREATE EXTENSION/), 1, 'and one line in the log');
}
query('CREATE EXTENSION windtrap');
cmp_ok(elapsed(sub { ready($port) }), '<', 2, 'serving begins within 2 s of CREATE EXTENSION');
serves('at first');
$node->stop;
$node->start;
ok(ready($port, 5), 'after a restart it serves, before anybody has connected to the server');
is(count_in_log($node, qr/FATAL/), 0, 'and nothing has failed');

{
	my $mark = log_mark($node);
	append_to_file($node->data_dir . '/changing.conf', "windtrap.listen_addresses = 'not, , good'\n");
	reload($node);
	ok( wait_for(sub { log_since($node, $mark) =~ /invalid value for parameter "windtrap.listen_addresses".*\n.*An address is missing/ }),
		'a bad value in the file is reported');
	serves('with the old value');
	unlink $node->data_dir . '/changing.conf';
	reload($node);
}

#
# Databases
#
query('CREATE DATABASE other');
cmp_ok(elapsed(sub { query('DROP DATABASE other') }), '<', 1.5, 'DROP DATABASE of another one, idle');
{
	my $load = start_load($port);
	query('CREATE DATABASE other STRATEGY wal_log');
	$load->wait_for_more(200);
	cmp_ok(elapsed(sub { query('DROP DATABASE other') }), '<', 2, 'DROP DATABASE of another one, under load');
	ok($load->wait_for_more(200), 'the load goes on');
	is(join(' ', keys %{ nobody_was_misled($load, 'DROP DATABASE') }), '200', 'and not one request failed');
}

#
# The extension
#
{
	my $load = start_load($port, connections => 16, pause => 0.005);
	my ($pid) = worker_pids($node);
	$load->wait_for_more(100);
	query('DROP EXTENSION windtrap');
	ok(wait_for(sub { event($port) == 503 }), 'DROP EXTENSION: 503');
	my $answer = post($port, '{}');
	like(json_of($answer)->{error} // '', qr/extension windtrap is not installed/, 'which says why');
	ok($answer->{headers}{'retry-after'}, 'and when to try again');
	like(sentence(), qr/extension windtrap is not installed/, '/health says so, too');
	query('CREATE EXTENSION windtrap');
	serves('CREATE EXTENSION once more', 2);
	ok($load->wait_for_more(100), 'the load goes on');
	is(join(' ', worker_pids($node)), $pid, 'the worker is the same');
	nobody_was_misled($load, 'DROP EXTENSION');
}

#
# The table
#
{
	my $load = start_load($port, connections => 16);
	$load->wait_for_more(100);
	query('DROP TABLE log');
	serves('DROP TABLE');
	ok($load->wait_for_more(100), 'DROP TABLE: the load goes on');
	is(query(q{SELECT relkind FROM pg_class WHERE relname = 'log'}), 'p', 'DROP TABLE: there is a new one');
	nobody_was_misled($load, 'DROP TABLE', gone => 1);
}
{
	my $load = start_load($port, connections => 16);
	$load->wait_for_more(100);
	query('ALTER TABLE log RENAME TO old_log');
	serves('RENAME');
	ok($load->wait_for_more(100), 'RENAME: the load goes on');
	my $there = query(q{SELECT to_regclass('log') IS NOT NULL}) eq 't';
	nobody_was_misled($load, 'RENAME',
		table => $there ? '(SELECT * FROM old_log UNION ALL SELECT * FROM log) AS logs' : 'old_log');
	query('DROP TABLE old_log');
}
{
	my $load = start_load($port, connections => 16);
	$load->wait_for_more(100);
	query(q{ALTER TABLE log ADD COLUMN note text DEFAULT 'none'});
	ok($load->wait_for_more(100), 'ADD COLUMN: the load goes on');
	query('CREATE INDEX ON log ((data->>\'id\'))');
	ok($load->wait_for_more(100), 'CREATE INDEX: the load goes on');
	query('ALTER TABLE log DROP COLUMN note');
	ok($load->wait_for_more(100), 'DROP COLUMN: the load goes on');
	query('ALTER TABLE log RENAME COLUMN data TO payload');
	ok(wait_for(sub { event($port) == 503 }), 'a column that is missing: 503');
	like(sentence(), qr/column "data"/, 'a column that is missing: /health says so');
	like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/column "data"/, 'and the view');
	query('ALTER TABLE log RENAME COLUMN payload TO data');
	serves('a column that is back');
	is(http($port, 'GET', '/health')->{status}, 200, 'a column that is back: /health is well');
	is(query(q{SELECT last_error IS NULL FROM windtrap.status WHERE kind = 'worker'}), 't', 'and so is the view');
	nobody_was_misled($load, 'ALTER TABLE');
	is(count_in_log($node, qr/could not store events: .*column "data"/), 1, 'it stands once in the log');
}
{
	query('DROP SCHEMA public CASCADE');
	is(event($port), 503, 'no schema: 503');
	query('CREATE SCHEMA public');
	serves('CREATE SCHEMA');
	query('CREATE EXTENSION IF NOT EXISTS windtrap');    # should it have gone with the schema
	serves('a schema that is back');
}
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
	my $load = start_load($port, connections => 8);
	my ($answer, $health);
	my $took = elapsed(sub { $answer = post($port, '{"locked":1}') });
	is($answer->{status}, 503, 'a table that is locked: 503');
	cmp_ok($took, '<', 4, 'a table that is locked: after little time');
	like(json_of($answer)->{error}, qr/lock/, 'a table that is locked: says why');
	$took = elapsed(sub { $health = http($port, 'GET', '/health') });
	like($health->{status}, qr/^(200|503)$/, 'a table that is locked: /health answers');
	cmp_ok($took, '<', 3, 'a table that is locked: within 3 s');
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	serves('a table that is free again', 3);
	nobody_was_misled($load, 'a table that is locked');
	is(query(q{SELECT count(*) FROM log WHERE data->'json' ? 'locked'}), 0, 'what was answered 503 is not stored');
}

#
# Signals
#
{
	my $load = start_load($port);
	my ($pid) = worker_pids($node);
	$load->wait_for_more(100);
	query("SELECT pg_cancel_backend($pid) FROM generate_series(1, 200), LATERAL (SELECT pg_sleep(0.002)) s");
	ok($load->wait_for_more(200), 'pg_cancel_backend: the load goes on');
	is(join(' ', worker_pids($node)), $pid, 'pg_cancel_backend: the worker is the same');
	nobody_was_misled($load, 'pg_cancel_backend');

	$load = start_load($port);
	$load->wait_for_more(100);
	query("SELECT pg_terminate_backend($pid)");
	ok(wait_for(sub { join(' ', worker_pids($node)) =~ /^(?!$pid$)\d+$/ }), 'pg_terminate_backend: there is a new worker');
	serves('pg_terminate_backend');
	ok($load->wait_for_more(100), 'pg_terminate_backend: the load goes on');
	my $codes = $load->stop;
	is($load->audit($node), $load->nothing_wrong, 'pg_terminate_backend: every acknowledged event is there once');
}
{
	my ($pid) = worker_pids($node);
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my $second = free_port();
	# Files of the database come and go as PostgreSQL likes.
	my $descriptors = sub {
		return scalar grep { (readlink($_) // '') =~ /^(socket|anon_inode|pipe):/ } glob "/proc/$pid/fd/*";
	};
	my $load = start_load($port, connections => 32);
	$load->wait_for_more(200);
	my $before = $descriptors->();
	for my $i (1 .. 200)
	{
		open my $conf, '>', $node->data_dir . '/changing.tmp' or die $!;
		printf $conf "windtrap.max_body_size = %d\nwindtrap.request_timeout = %ds\n", 1e6 + $i, 20 + $i;
		printf $conf "windtrap.redact_headers = 'x-%d'\nwindtrap.store_headers = %s\n", $i, $i % 2 ? 'all' : 'host';
		printf $conf "windtrap.max_connections = %d\nwindtrap.port = %d\n", 100 + $i, $i % 10 < 5 ? $port : $second;
		printf $conf "windtrap.listen_addresses = '%s'\n", $i % 20 < 10 ? 'localhost' : '127.0.0.1, 127.0.0.2';
		close $conf;
		rename $node->data_dir . '/changing.tmp', $node->data_dir . '/changing.conf';
		kill 'HUP', $postmaster;
		sleep 0.01;
	}
	unlink $node->data_dir . '/changing.conf';
	kill 'HUP', $postmaster;
	ok(ready($port, 5), '200 reloads: it listens as before');
	ok($load->wait_for_more(100), '200 reloads: the load goes on');
	ok(wait_for(sub { $descriptors->() == $before }), '200 reloads: descriptors are flat')
	  or diag $descriptors->() . " instead of $before";
	is(join(' ', worker_pids($node)), $pid, '200 reloads: the worker is the same');
	is(join(' ', keys %{ nobody_was_misled($load, '200 reloads') }), '200', '200 reloads: not one request failed');
}

#
# A standby
#
{
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	my $standby_port = set_port($standby, free_port());
	$standby->append_conf('postgresql.conf', "windtrap.port = $standby_port\n");
	$standby->start;
	is(event($port, 'to the standby'), 200, 'an event on the primary');
	$node->wait_for_catchup($standby);
	is( $standby->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' = 'to the standby'}),
		1, 'is replicated');
	is(http($standby_port, 'GET', '/health')->{status}, 599, 'nobody listens on the standby');
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker'}), 0, 'the view works there');
	my ($code, $out, $err) = $standby->psql('postgres', 'SELECT windtrap.start()');
	like($err, qr/cannot start on a standby/, 'nor can it be started');
	$standby->promote;
	ok(ready($standby_port, 5), 'after promotion it serves');
	is(event($standby_port, 'promoted'), 200, 'events are accepted');
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' = 'promoted'}),
		1, 'and stored');
	$standby->stop;
	unlike(log_since($standby), qr/terminated by signal|PANIC|TRAP/, 'the standby has not crashed');
}

#
# Its own database
#
alter_system($node, 'windtrap.database' => 'later');
ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 599 }), 'another database: the old one is no longer served');
ok(wait_for(sub { log_since($node) =~ /waiting for database "later" to be created/ }), 'it waits for the database');
sleep 1.5;
is(count_in_log($node, qr/waiting for database "later"/), 1, 'with one line in the log');
for my $round (1, 2)
{
	query('CREATE DATABASE later');
	query('CREATE EXTENSION windtrap', 'later');
	ok(ready($port, 5), "created, round $round: it serves");
	serves("created, round $round");
	my $load = start_load($port, connections => 16);
	ok($load->wait_for_more(100), "created, round $round: under load");
	my $mark = log_mark($node);
	my $took = elapsed(sub { query('DROP DATABASE later WITH (FORCE)') });
	cmp_ok($took, '<', 5, "DROP DATABASE WITH (FORCE), round $round: is done");
	$load->stop;
	ok(wait_for(sub { log_since($node, $mark) =~ /waiting for database "later"/ }), "round $round: it waits once more");
	sleep 2.5;
	# The worker and the upkeep may each find that out for themselves, once.
	cmp_ok(count_in_log($node, qr/FATAL/, $mark), '<=', 3, "round $round: there is no restart loop");
	is(scalar(my @pids = our_pids()), 1, "round $round: only the launcher is there");
}

cmp_ok(elapsed(sub { $node->stop }), '<', 5, 'the server stops in time');
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
