# windtrap.emit() and windtrap.emit_durably(): events from SQL that outlive the ROLLBACK of the
# transaction that they come from, whoever ends in between, and what is said where they cannot.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::INET;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Background;

my $node = wt_node('emit', conf => "windtrap.workers = 2\nwindtrap.ring_size = 256kB\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# What psql says of statements that fail; the SQLSTATE comes first.
sub error_of
{
	my ($sql, %o) = @_;
	my ($rc, $out, $err) = $node->psql($o{in} // 'postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:.*?: //gm;
	return $rc == 0 ? "no error: $out" : $err;
}

sub metric
{
	my ($name, $kind) = @_;
	return query("SELECT value::bigint FROM windtrap.metrics WHERE name = '$name'"
		  . (defined $kind ? " AND label_value = '$kind'" : ''));
}

sub count { return query("SELECT count(*) FROM log WHERE $_[0]"); }

sub comes
{
	my ($where, $n, $name, $seconds) = @_;
	my $got;
	my $ok = ok(wait_for(sub { ($got = count($where)) == $n }, $seconds), $name);
	diag("there are $got") if !$ok;
	return $ok;
}

# An event is stored as it is, with who emitted it beside it.
my ($id, $pid) = split /\|/, $node->safe_psql('postgres',
	q{SET application_name = 'the shop'; SELECT windtrap.emit('{"message": "order paid", "order": 4711}'), pg_backend_pid()});
comes("data->>'id' = '$id'", 1, 'an event is stored, by the id that emit() gave');
my $data = JSON::PP::decode_json(query("SELECT data FROM log WHERE data->>'id' = '$id'"));
is_deeply($data->{json}, { message => 'order paid', order => 4711 }, 'as it was given');
is_deeply(
	[ $data->{protocol}, $data->{emit}{severity}, $data->{emit}{application_name}, $data->{emit}{pid}, $data->{emit}{xid} ],
	[ 'emit', 'info', 'the shop', $pid, undef ],
	'with who has emitted it');
is($data->{emit}{user}, query('SELECT session_user'), 'and as whom');
is_deeply([ grep { exists $data->{$_} } qw(ip host method path headers args) ], [], 'and nothing of a request');
is(query("SELECT severity, message, app = session_user FROM windtrap.events WHERE id = '$id'"),
	'info|order paid|t', 'windtrap.events knows what it is');
ok(query("SELECT abs(extract(epoch FROM event_timestamp - (data->>'time')::timestamptz)) < 0.001 AND event_timestamp > now() - interval '1 min' FROM log WHERE data->>'id' = '$id'")
	  eq 't', 'its time is that at which it was emitted');

# The severity is the event's own where it says it, else what emit() is told.
query(q{SELECT windtrap.emit('{"n": "worst"}', 'FATAL'), windtrap.emit('{"n": "own", "level": "debug"}', 'error'),
	windtrap.emit('{"n": "none"}', NULL), windtrap.emit('"a text"', 'warning'), windtrap.emit('[1, 2]')});
comes("data->>'protocol' = 'emit'", 6, 'any JSON is an event');
is(query(q{SELECT string_agg(coalesce(data->'json'->>'n', data->>'json') || ' ' || coalesce(windtrap.severity(data), 'null'), ', ' ORDER BY data->>'id')
	FROM log WHERE data->>'protocol' = 'emit' AND data->>'id' <> '} . $id . q{'}),
	'worst fatal, own debug, none null, a text warning, [1, 2] info', 'severities');

# It outlives what it is a part of.
my $ids = query(q{BEGIN; CREATE TABLE gone (); SELECT windtrap.emit('{"n": "rolled back"}'), windtrap.emit_durably('{"n": "rolled back too"}', 'error'); ROLLBACK});
comes("data->'json'->>'n' LIKE 'rolled back%'", 2, 'events outlive the ROLLBACK');
is(count("data->'json'->>'n' LIKE 'rolled back%' AND (data->'emit'->>'xid')::bigint > 0"), 2, 'and name the transaction');
is(query("SELECT to_regclass('gone')"), '', 'which was rolled back');

query(<<'SQL');
CREATE TABLE account (owner text PRIMARY KEY, amount int CHECK (amount >= 0));
INSERT INTO account VALUES ('ann', 10), ('bob', 10);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM windtrap.emit(jsonb_build_object('audit', TG_OP, 'by', session_user, 'old', to_jsonb(OLD), 'new', to_jsonb(NEW)));
	RETURN NEW;
END $$;
CREATE ROLE auditor;
GRANT EXECUTE ON FUNCTION windtrap.emit, windtrap.emit_durably TO auditor;
ALTER FUNCTION audit() OWNER TO auditor;
CREATE TRIGGER audit BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION audit();
CREATE ROLE clerk LOGIN;
GRANT UPDATE, SELECT ON account TO clerk;
SQL
like(error_of(q{SET SESSION AUTHORIZATION clerk; UPDATE account SET amount = amount - 20 WHERE owner = 'ann'}),
	qr/23514/, 'an attempt that a constraint refuses');
comes("data->'json'->>'audit' = 'UPDATE'", 1, 'is on record, by a trigger of somebody who may emit');
is(query(q{SELECT data->'json'->>'by', data->'emit'->>'user', data->'json'->'new'->>'amount' FROM log WHERE data->'json'->>'audit' = 'UPDATE'}),
	'clerk|clerk|-10', 'and whose it was');
like(error_of(q{SET SESSION AUTHORIZATION clerk; SELECT windtrap.emit('{"forged": true}')}),
	qr/42501.*permission denied for function emit/s, 'who may not emit does not');

# A statement in a READ ONLY transaction may be worth an event, too.
query(q{BEGIN READ ONLY; SELECT windtrap.emit_durably('{"n": "read"}'); COMMIT});
is(count("data->'json'->>'n' = 'read'"), 1, 'a transaction that only reads emits, and durably means that it is there');

# What is wrong with an event is said at once.
like(error_of('SELECT windtrap.emit(NULL)'), qr/22004.*must not be null/s, 'null is no event');
like(error_of(q{SELECT windtrap.emit('{}', 'loud')}), qr/22023.*"loud" is no severity.*trace, debug, info/s, 'a severity that is none');
like(error_of(q{SELECT windtrap.emit(to_jsonb(repeat('x', 70000)))}),
	qr/54000.*as JSON it has 70002 bytes, and 65536 may be emitted.*ring_size/s, 'one that is too large, and the limit');
query(q{SELECT windtrap.emit_durably(to_jsonb(repeat('x', 65000)))});
is(count("length(data->>'json') = 65000"), 1, 'one that is as large as it may be');

# In a database that is not served there is nobody to store it.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION windtrap');
like(error_of(q{SELECT windtrap.emit('{"n": "other"}')}, in => 'other'),
	qr/55000.*stores the events of database "postgres"/s, 'another database is told so');

# What the log table refuses goes into quarantine, and costs nobody else anything.
query(q{ALTER TABLE log ADD CONSTRAINT no_poison CHECK (status = 422 OR data->'json'->>'poison' IS NULL)});
query(q{SELECT windtrap.emit(jsonb_build_object('beside', i) || CASE WHEN i = 5 THEN '{"poison": "yes"}' ELSE '{}'::jsonb END) FROM generate_series(1, 10) AS i});
comes("data->'json' ? 'beside'", 9, 'what the table does not refuse is stored');
comes("status = 422 AND data->>'raw' LIKE '%poison%'", 1, 'what it refuses is in quarantine');
like(query(q{SELECT data->>'error', data->>'protocol', data->'emit'->>'severity' FROM log WHERE status = 422}),
	qr/^the log table refuses this event: .*no_poison.*\|emit\|info$/, 'with why, and who emitted it');
like(error_of(q{SELECT windtrap.emit_durably('{"poison": "yes"}')}), qr/23514.*in quarantine/s, 'who waits is told');
query(q{ALTER TABLE log DROP CONSTRAINT no_poison});
# PostgreSQL takes deeper JSON than is stored, since it is to be dumped and restored.
query(q{SELECT windtrap.emit((repeat('[', 1000) || repeat(']', 1000))::jsonb)});
comes("status = 422 AND data->>'raw' LIKE '[[[%'", 1, 'so is what cannot be stored as an event');

# A trigger of the log table would make an event of each event.
query(<<'SQL');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM windtrap.emit('{"again": 1}'); RETURN NEW; END $$;
CREATE TRIGGER again BEFORE INSERT ON log FOR EACH ROW WHEN (NEW.data->'json' ? 'loop') EXECUTE FUNCTION again();
SELECT windtrap.emit('{"loop": 1}');
SQL
comes("status = 422 AND data->>'error' LIKE '%own processes emit no events%'", 1, 'a trigger of the log table emits none');
query('DROP TRIGGER again ON log');

# Many at a time, and some who are ended in the middle of it: what was emitted is there, once each.
query('CREATE TABLE ledger (id uuid)');
my @many;
for my $i (1 .. 8)
{
	push @many, background($node, "SET client_min_messages = error;
SELECT windtrap.emit(jsonb_build_object('many', $i, 'i', i, 'pad', repeat('x', (i * 37) % 500))) FROM generate_series(1, 1500) AS i;
SELECT windtrap.emit_durably(jsonb_build_object('durably', $i, 'i', i)) FROM generate_series(1, 50) AS i;");
}
my $ended = 0;
my @doomed;
for my $i (1 .. 6)
{
	push @doomed, background($node, "SELECT windtrap.emit(jsonb_build_object('doomed', i, 'pad', repeat('x', 300))) FROM generate_series(1, 1000000) AS i");
	wait_for(sub {
		my $n = query(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'SELECT windtrap.emit(jsonb_build_object(''doomed''%'});
		$ended += $n;
		return $n > 0;
	});
}
finish($_) for @many, @doomed;
ok($ended >= 6, "$ended sessions were ended while they emitted");
is(join('', map { $_->{err} } @many), '', 'nobody else has noticed');
my @given = map { grep { /./ } split /\n/, $_->{out} } @many;
is(scalar @given, 8 * 1550, 'all ids were given');
open my $copy, '>', $node->data_dir . '/ledger' or die;
print $copy map { "$_\n" } @given;
close $copy;
query("COPY ledger FROM '" . $node->data_dir . "/ledger'");
ok(wait_for(sub { query("SELECT count(*) FROM ledger WHERE id::text NOT IN (SELECT data->>'id' FROM log)") == 0 }),
	'each event that was emitted is stored');
is(query("SELECT count(*), count(DISTINCT data->>'id') FROM log WHERE data->'json' ? 'many' OR data->'json' ? 'durably'"),
	'12400|12400', 'and once');
ok(wait_for(sub { metric('ring_bytes') == 0 }), 'the ring is empty');
is(metric('ring_no_room_total', 'emit'), 0, 'nobody was turned away');

# Where nothing can be stored the ring fills: those who emit wait, then they are told, and counted.
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
my $before = metric('ring_written_total', 'emit');
my $full = error_of(q{SET windtrap.emit_timeout = '300ms'; SELECT windtrap.emit(jsonb_build_object('full', i)) FROM generate_series(1, 1000000) AS i});
like($full, qr/53000.*256 kB of others wait.*windtrap\.ring_size/s, 'where the ring is full an error says so');
for my $i (1 .. 3)
{
	error_of(q{SET windtrap.emit_timeout = 0; SELECT windtrap.emit('{"full": "no more"}')});
}
is(metric('ring_no_room_total', 'emit'), 4, 'and it is counted');
my $fitted = metric('ring_written_total', 'emit') - $before;
like(error_of(q{SET windtrap.emit_timeout = 0; SET statement_timeout = '200ms'; SELECT windtrap.emit_durably('{"full": "no more"}')}),
	qr/53000/, 'for emit_durably(), too');
my $waiting = background($node, q{SET windtrap.emit_timeout = '1min'; SELECT windtrap.emit('{"full": "waits"}')});
ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%"waits"%' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid()}) > 0 }),
	'who may wait waits');
$lock->query_safe('ROLLBACK');
comes("data->'json'->>'full' = 'waits'", 1, 'until there is room', 30);
comes("data->'json' ? 'full'", $fitted + 1, 'nothing that was taken is lost', 30);
ok(finish($waiting), 'and is not told of it');

# emit_durably() can be ended while it waits; the event is stored even so.
$lock->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
like(error_of(q{SET statement_timeout = '300ms'; SELECT windtrap.emit_durably('{"n": "impatient"}')}),
	qr/57014.*statement timeout/s, 'a wait ends by statement_timeout');
$lock->query_safe('ROLLBACK');
comes("data->'json'->>'n' = 'impatient'", 1, 'and the event is stored');
# Who holds what the worker waits for would wait for himself.
like(error_of(q{BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE; SELECT windtrap.emit_durably('{"n": "deadlock"}')}),
	qr/40P01.*waits for a lock that this transaction holds/s, 'a deadlock is seen');
comes("data->'json'->>'n' = 'deadlock'", 1, 'and the event is stored');
$lock->quit;

# The worker ends: what was in the ring is stored by the next one.
my @ended = worker_pids($node);
query("SELECT pg_terminate_backend($_)") for @ended;
query(q{SELECT windtrap.emit(jsonb_build_object('restart', i)) FROM generate_series(1, 100) AS i});
comes("data->'json' ? 'restart'", 100, 'events outlive the worker', 30);
# The one that was ended may have stored them at its end.
wait_for(sub { my %ended = map { $_ => 1 } @ended; my @now = worker_pids($node); @now == @ended && !grep { $ended{$_} } @now });

# Who stops the collector is told that there is none, and the last events are stored before.
query(q{SELECT windtrap.emit(jsonb_build_object('stop', i)) FROM generate_series(1, 100) AS i; SELECT windtrap.stop()});
is(count("data->'json' ? 'stop'"), 100, 'what was emitted before the collector was stopped is stored');
like(error_of(q{SELECT windtrap.emit('{}')}), qr/55000.*the collector is stopped.*windtrap\.start\(\)/s, 'then there is nobody to emit to');
query('SELECT windtrap.start()');
is(query(q{SELECT windtrap.emit_durably('{"n": "again"}') IS NOT NULL}), 't', 'and again there is');

# Neither more nor less than what was handed over.
comes("data->>'protocol' = 'emit'", metric('ring_written_total', 'emit'), 'all that was ever handed over is stored, and once');
is(metric('ring_refused_total', 'emit'), 0, 'nothing was dropped');

# kill -9 of a backend starts the server anew, and the ring with it.
my $victim = background($node, "SELECT windtrap.emit(jsonb_build_object('killed', i)) FROM generate_series(1, 1000000) AS i");
wait_for(sub { count("data->'json' ? 'killed'") > 0 });
kill 'KILL', query("SELECT pid FROM pg_stat_activity WHERE query LIKE '%(''killed'', i)%' AND pid <> pg_backend_pid()");
ok(wait_for(sub { accepts($node) && eval { event($port) == 200 } }, 60), 'the server has started anew');
is(query(q{SELECT windtrap.emit_durably('{"n": "after"}') IS NOT NULL}), 't', 'and the ring works');
finish($victim);

# What could not be stored before the collector was sent to another database is none of that one's
# readers' business: it is dropped, by name and number, and who waits for it is told.
$lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
my $mark = log_mark($node);
query(q{SELECT windtrap.emit(jsonb_build_object('left', i)) FROM generate_series(1, 5) AS i});
my $left = background($node, q{SELECT windtrap.emit_durably('{"left": 6}')});
ok(wait_for(sub { metric('ring_written_total', 'emit') >= 6 && query(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%"left"%' AND state = 'active' AND pid <> pg_backend_pid()}) > 0 }), 'events that cannot be stored');
alter_system($node, 'windtrap.database' => 'other');
ok(wait_for(sub { count_in_log($node, 'dropped event [0-9a-f-]{36}, which was emitted in a database that is not served any more', $mark) == 6 }, 30), 'in another database the collector says which it drops')
  or diag count_in_log($node, 'dropped event', $mark);
is(metric('ring_refused_total', 'emit'), 6, 'and counts them');
ok(!finish($left), 'who waits for one is told');
$lock->query_safe('ROLLBACK');
$lock->quit;
is(count("data->'json' ? 'left'"), 0, 'they are not there');
is($node->safe_psql('other', 'SELECT count(*) FROM log'), 0, 'nor in the other one');
alter_system($node, 'windtrap.database' => undef);
# Events may be taken by who is about to leave the other one still.
ok(wait_for(sub { eval { query(q{SELECT windtrap.emit_durably('{"n": "back"}') IS NOT NULL}) eq 't' } }, 30), 'it comes back, and stores what is emitted here');
$node->stop;

# Who cannot listen stores what is emitted even so.
my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
$node->append_conf('postgresql.conf', "windtrap.listen_addresses = '127.0.0.1'\nwindtrap.port = " . $taken->sockport . "\n");
$node->start;
ok(wait_for(sub { query("SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND state = 'failed'") > 0 }), 'a worker whose port is taken');
is(query(q{SET statement_timeout = '20s'; SELECT windtrap.emit_durably('{"n": "no port"}') IS NOT NULL}), 't', 'stores what is emitted');
$node->stop;

# A collector that is started by windtrap.start() alone.
my $late = wt_node('late', preload => 0);
$late->safe_psql('postgres', 'CREATE EXTENSION windtrap');
like(($late->psql('postgres', q{SELECT windtrap.emit('{}')}))[2], qr/no collector stores events of this database/, 'without a collector there is nobody to emit to');
$late->safe_psql('postgres', 'SELECT windtrap.start()');
$late->safe_psql('postgres', q{BEGIN; SELECT windtrap.emit_durably('{"n": 1}'); ROLLBACK});
is($late->safe_psql('postgres', "SELECT count(*) FROM log WHERE data->'json'->>'n' = '1'"), 1, 'without preload events are emitted as well');
is($late->safe_psql('postgres', "SELECT value FROM windtrap.metrics WHERE name = 'ring_written_total' AND label_value = 'emit'"), 1, 'and counted');
$late->stop;

done_testing();
