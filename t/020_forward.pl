# Events go on to other tables: an ordinary one, one of another server, several at once, each
# at its own pace; and what a user sees of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use WindTrap;

my $node = wt_node('forward');
my $port = wt_port($node);
my $other = PostgreSQL::Test::Cluster->new('central');
$other->init;
$other->start;

sub query { return $node->safe_psql('postgres', $_[0]); }

#
# Columns are filled by name
#
is(query('SELECT count(*) FROM windtrap.forwarding'), 0, 'nothing is forwarded at first');
is(event($port, 'before'), 200, 'an event before there is a target');
is(query('SELECT count(*) FROM windtrap.outbox'), 0, 'the outbox is not used then');

my $copy = local_target($node, 'copy');
query('CREATE TABLE odd (status smallint, note text DEFAULT \'none\', "_id" text UNIQUE,
	"__doc" jsonb, data json, event_timestamp timestamp, id bigserial)');
ok(forward_to($node, $copy, 'odd'), 'two targets have their forwarders');
is(post($port, '{"hello":"world","n":1.50}')->{status}, 200, 'an event');
ok(drained($node), 'it is forwarded, and the outbox is empty');
is( query('SELECT count(*) FROM copy JOIN log ON log.data->>\'id\' = copy.id::text
		AND (log.event_timestamp, log.data, log.status) = (copy.event_timestamp, copy.data, copy.status)'),
	1, 'an ordinary table has the row as the log table has it');
is( query(q{SELECT o.status, o.note, o._id = l.data->>'id', o.data::jsonb = l.data, o.id,
		o.__doc - 'event_timestamp' = l.data || jsonb_build_object('_id', l.data->'id', 'status', 0),
		(o.__doc->'event_timestamp'->>'$date')::timestamptz = date_trunc('milliseconds', l.event_timestamp)
		FROM odd o, log l WHERE l.data->'json' ? 'hello'}),
	'0|none|t|t|1|t|t', 'columns are filled by name and converted; others have their defaults');
is(query(q{SELECT count(*) FROM copy WHERE data->'json'->>'id' = 'before'}),
	0, 'what was stored before is not forwarded');

# A batch, with events in quarantine and one that the log table refuses.
query(q{ALTER TABLE log ADD CHECK ((data->'json'->>'refuse') IS NULL)});
is(post($port, qq({"k":1}\n{"bad json\n{"refuse":1}\n{"k":2}\n), type => 'application/x-ndjson')->{status},
	200, 'a batch with bad events');
ok(drained($node), 'it is forwarded');
is(query(q{SELECT string_agg(status || coalesce(data->'json'->>'k', '') , ' ' ORDER BY id) FROM copy WHERE data ? 'raw' OR data->'json' ? 'k'}),
	query(q{SELECT string_agg(status || coalesce(data->'json'->>'k', '') , ' ' ORDER BY data->>'id') FROM log WHERE data ? 'raw' OR data->'json' ? 'k'}),
	'with its stand-ins in quarantine');
is(query(q{SELECT count(*) FROM copy WHERE status = 422}), 2, 'which are two');

# What is deleted or changed in the log table is forwarded as it was stored.
query(q{CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN DELETE FROM log WHERE data->''json'' ? ''fleeting''; RETURN NULL; END';
	CREATE TRIGGER change AFTER INSERT ON log EXECUTE FUNCTION change()});
is(post($port, '{"fleeting":1}')->{status}, 200, 'an event that is deleted at once');
ok(drained($node), 'and forwarded');
is(query(q{SELECT (SELECT count(*) FROM log WHERE data->'json' ? 'fleeting') || '|' || count(*) FROM copy WHERE data->'json' ? 'fleeting'}),
	'0|1', 'is in the target alone');
query('DROP FUNCTION change CASCADE');

#
# Another server, under load, with several workers; the order is the outbox's
#
my $remote = remote_target($node, 'central_log', $other);
alter_system($node, 'windtrap.workers' => 3);
ok(forward_to($node, $copy, $remote), 'a target on another server');
{
	my $load = start_load($port);
	ok($load->wait_for_more(3000), 'load');
	$load->stop;
	ok(drained($node), 'all is forwarded');
	for my $table (qw(log copy central_log))
	{
		is(audit_target($load, $node, $table), $load->nothing_wrong, "$table has each event once");
	}
	is(state_of($node, $remote, "state || '|' || lag_events || '|' || lag_seconds || '|' || dead || '|' || (last_error IS NULL)"),
		'working|0|0|0|true', 'the view says that it works');
	is(state_of($node, $remote, 'delivered'), query('SELECT count(*) FROM central_log'), 'and how many it has got');
}
is(query(q{SELECT count(*) FROM odd WHERE data->'json'->>'app' = 'ledger'}), 0, 'a target that was removed gets nothing more');

# A target that comes back goes on where it was; what the outbox did not keep for it is gone.
my $had = query('SELECT count(*) FROM odd');
ok(forward_to($node, $copy, $remote, 'odd'), 'a target comes back');
is(post($port, '{"back":1}')->{status}, 200, 'an event');
ok(drained($node), 'is forwarded');
is(query('SELECT count(*) FROM odd'), $had + 1, 'the target has it, and nothing twice');

#
# Another server is down: the others go on, and so does ingest
#
{
	my $mark = log_mark($node);
	$other->stop('fast');
	is(event($port, 'down'), 200, 'server down: events are taken');
	ok(wait_state($node, $remote, 'failing'), 'server down: its forwarder says so');
	is(put_batch($port, 50, 'down'), 200, 'server down: a batch is taken');
	ok(drained($node, $copy), 'server down: the others get it');
	is(query(q{SELECT count(*) FROM copy WHERE data->'json'->>'id' LIKE 'down%'}), 51, 'server down: all of it');
	is(state_of($node, $copy), 'working', 'server down: the others work');
	isnt(state_of($node, $remote, 'last_error'), '', 'server down: the view gives the reason');
	is(state_of($node, $remote, 'lag_events'), 51, 'server down: and how much it lacks');
	cmp_ok(state_of($node, $remote, 'lag_seconds'), '>', 0, 'server down: and for how long');
	my $metrics = http($port, 'GET', '/metrics')->{content};
	like($metrics, qr/^windtrap_forward_working\{target="public\.central_log"\} 0$/m, 'metrics: it fails');
	like($metrics, qr/^windtrap_forward_working\{target="public\.copy"\} 1$/m, 'metrics: the other works');
	like($metrics, qr/^windtrap_forward_lag_events\{target="public\.central_log"\} 51$/m, 'metrics: the lag');
	like($metrics, qr/^windtrap_outbox_bytes [1-9]/m, 'metrics: the outbox is not empty');
	sleep 3;
	$other->start;
	ok(drained($node), 'server up: it catches up by itself');
	is(query(q{SELECT count(*) FROM central_log WHERE data->'json'->>'id' LIKE 'down%'}), 51, 'server up: nothing is missing');
	is(count_in_log($node, qr/cannot forward events to public\.central_log/, $mark), 1, 'one line says that it fails');
	is(count_in_log($node, qr/forwarding events to public\.central_log again/, $mark), 1, 'and one that it works again');
}

# A removed target holds nothing back.
$other->stop('fast');
is(put_batch($port, 20, 'held'), 200, 'a batch');
ok(drained($node, $copy), 'one has it');
cmp_ok(query('SELECT count(*) FROM windtrap.outbox'), '>', 0, 'the outbox keeps it for another');
ok(forward_to($node, $copy), 'which is removed');
ok(drained($node), 'then the outbox is empty');
$other->start;

#
# The target's table itself
#
{
	query('DROP TABLE copy');
	is(put_batch($port, 10, 'dropped'), 200, 'table dropped: events are taken');
	ok(wait_state($node, $copy, 'failing'), 'table dropped: its forwarder says so');
	like(state_of($node, $copy, 'last_error'), qr/relation "public.copy" does not exist/, 'table dropped: and why');
	local_target($node, 'copy');
	ok(drained($node), 'table there again: it goes on');
	is(query('SELECT count(*) FROM copy'), 10, 'table there again: with what came meanwhile');
	query('DROP TABLE copy; CREATE TABLE copy (nothing int)');
	is(event($port, 'no column'), 200, 'no such columns: events are taken');
	ok(wait_state($node, $copy, 'failing'), 'no such columns: its forwarder says so');
	# It may have looked while there was no table.
	ok(wait_for(sub { state_of($node, $copy, 'last_error') =~ /none of the columns/ }), 'no such columns: and why');
	query('ALTER TABLE copy ADD status int');
	reload($node);
	ok(drained($node), 'one of them is there: it goes on');
	query('DROP TABLE copy; CREATE UNLOGGED TABLE copy (data jsonb)');
	is(event($port, 'unlogged'), 200, 'unlogged: events are taken');
	ok(wait_state($node, $copy, 'failing'), 'unlogged: its forwarder says so');
	query('ALTER TABLE copy SET LOGGED');
	reload($node);
	ok(drained($node), 'logged: it goes on');
}

# A target belongs to somebody, and its triggers have his rights and no more.
{
	query(q{CREATE ROLE keeper; CREATE SCHEMA kept AUTHORIZATION keeper;
		SET ROLE keeper;
		CREATE TABLE kept.log (id uuid PRIMARY KEY, data jsonb, who text DEFAULT current_user);
		CREATE FUNCTION kept.grab() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN BEGIN ALTER ROLE keeper SUPERUSER; EXCEPTION WHEN OTHERS THEN NEW.data := to_jsonb(SQLERRM); END; RETURN NEW; END';
		CREATE TRIGGER grab BEFORE INSERT ON kept.log FOR EACH ROW EXECUTE FUNCTION kept.grab();});
	ok(forward_to($node, 'kept.log'), 'a target of another role');
	is(event($port, 'kept'), 200, 'an event');
	ok(drained($node), 'is forwarded');
	is(query('SELECT who FROM kept.log'), 'keeper', 'with its owner\'s rights');
	like(query('SELECT data FROM kept.log'), qr/must be superuser|permission denied to alter role/, 'and with no others');
}

#
# Stops
#
{
	query('ALTER TABLE kept.log DISABLE TRIGGER grab');
	query(q{CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(100); RETURN NEW; END';
		CREATE TRIGGER hang BEFORE INSERT ON kept.log FOR EACH ROW EXECUTE FUNCTION hang()});
	is(event($port, 'hang'), 200, 'an event for a target that hangs');
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap forwarder' AND wait_event = 'PgSleep'}) eq '1' }),
		'it hangs');
	cmp_ok(elapsed(sub { query('SELECT windtrap.stop()') }), '<', 5, 'stop() does not wait for it');
	is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap forwarder'}), 0, 'and it is gone');
	query('SELECT windtrap.start()');
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap forwarder' AND wait_event = 'PgSleep'}) eq '1' }),
		'it hangs again');
	cmp_ok(elapsed(sub { $node->stop('fast') }), '<', 5, 'nor does the server');
	$node->start;
	ok(ready($port), 'the server is back');
	query('DROP FUNCTION hang CASCADE');
	# It was waiting in a statement that is not there any more.
	my $pid = forwarder_pid($node, 'kept.log');
	query("SELECT pg_terminate_backend($pid)") if $pid;
	ok(drained($node), 'and what was on its way arrives');
	is(query(q{SELECT count(*) FROM kept.log WHERE data->'json'->>'id' = 'hang'}), 1, 'once');
}

# Nothing has crashed.
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
$other->stop;
done_testing();
