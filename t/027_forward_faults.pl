# What a forwarder and the views say of a target that cannot be, and of what keeps events from
# being taken at all.

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

my $node = wt_node('faults');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# The log itself, by whatever name: nothing is doubled.
query('CREATE VIEW log_view AS SELECT * FROM log; CREATE VIEW log_view_2 AS SELECT * FROM log_view');
for my $target ('log', 'public."log"', 'log_default', 'log_view', 'log_view_2')
{
	forward_to($node, $target);
	ok(wait_for(sub { query('SELECT state FROM windtrap.forwarding') eq 'failing' }), "$target as a target fails");
	like(query('SELECT last_error FROM windtrap.forwarding'), qr/is the log table, or a part or a view of it/, "$target: why");
	is(event($port, $target), 200, "$target: an event is taken");
}
sleep 1;
is(query('SELECT count(*) FROM log'), 5, 'each event is there once');
forward_to($node);
is(query('SELECT state, lag_events FROM windtrap.forwarding'), 'no target|5', 'without a target what waits is shown');
query('DELETE FROM windtrap.outbox');
is(query('SELECT count(*) FROM windtrap.forwarding'), 0, 'and nothing when nothing does');

# A table that is not there, before there is an event.
forward_to($node, 'missing');
ok(wait_state($node, 'public.missing', 'failing'), 'a target that does not exist fails before the first event');
like(state_of($node, 'public.missing', 'last_error'), qr/"public.missing" does not exist/, 'and says why');
local_target($node, 'missing');
reload($node);
ok(wait_state($node, 'public.missing', 'working'), 'when it is made it works');

# One poison event, by a code that is a server's, is in nobody's way.
query(q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF new.data->'json' ? 'bad' THEN RAISE EXCEPTION 'no' USING ERRCODE = '0A000'; END IF; RETURN new; END $$;
	CREATE TRIGGER no BEFORE INSERT ON missing FOR EACH ROW EXECUTE FUNCTION no()});
is(post($port, '{"bad":1}')->{status}, 200, 'an event that the target refuses by 0A000');
event($port, "good-$_") for 1 .. 5;
ok(wait_for(sub { reload($node); sleep 0.2; query(q{SELECT count(*) FROM missing WHERE data->'json'->>'id' LIKE 'good-%'}) eq '5' }),
	'those after it arrive');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '1' }, 40), 'and it becomes a dead letter');

# A target of which a part is not durable.
query(q{CREATE TABLE parted (event_timestamp timestamptz, data jsonb) PARTITION BY RANGE (event_timestamp);
	CREATE UNLOGGED TABLE parted_rest PARTITION OF parted DEFAULT});
forward_to($node, 'parted');
is(event($port, 'into an unlogged part'), 200, 'an event for a target with an unlogged partition');
ok(wait_state($node, 'public.parted', 'failing'), 'its forwarder fails');
like(state_of($node, 'public.parted', 'last_error'), qr/partition "parted_rest" is not durable/, 'and says why');
is(query('SELECT count(*) FROM parted'), 0, 'nothing goes there');
query('ALTER TABLE parted_rest SET LOGGED');
reload($node);
ok(wait_for(sub { query('SELECT count(*) FROM parted') eq '1' }, 30), 'once it is logged the event arrives');
forward_to($node, 'missing');

# Names as in forward_to; unknown ones are errors.
is(query(qq{SELECT count(*) FROM windtrap.redeliver('$_')}), 1, "redeliver('$_')") for 'missing', 'public.missing', '"missing"', 'MISSING';
my ($rc, undef, $err) = $node->psql('postgres', q{SELECT windtrap.redeliver('unknown')});
like($err, qr/no events are, or were, forwarded to "unknown"/, 'redeliver() to an unknown target is an error');
alter_system($node, 'windtrap.forward_to' => undef);

# What is set for the database is for people's sessions.
my $me = query('SELECT current_user');
query("ALTER DATABASE postgres SET role = 'pg_monitor'; ALTER ROLE $me IN DATABASE postgres SET role = 'pg_monitor';
	ALTER DATABASE postgres SET row_security = off; ALTER DATABASE postgres SET default_transaction_read_only = on");
{
	local $ENV{PGOPTIONS} = '-c role=none -c default_transaction_read_only=off';
	my $before = join ' ', worker_pids($node);
	query('SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind <> $$launcher$$');
	ok(wait_for(sub { my $now = join ' ', worker_pids($node); $now ne '' && $now ne $before }), 'new workers');
	ok(wait_for(sub { event($port) == 200 }), 'role, row_security and read only of the database: events are taken');
	query("ALTER DATABASE postgres RESET ALL; ALTER ROLE $me IN DATABASE postgres RESET ALL");
}

# While the tokens cannot be read, /health and the status say so.
query('ALTER TABLE windtrap.token RENAME COLUMN digest TO moved');
ok(wait_for(sub { post($port, '{}')->{status} == 503 }), 'tokens that cannot be read: 503');
ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 503 }), '/health is 503 too');
like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/tokens cannot be read/, 'windtrap.status says why');
query('ALTER TABLE windtrap.token RENAME COLUMN moved TO digest');
ok(wait_for(sub { event($port) == 200 }), 'when they can be read events are taken');
ok(wait_for(sub { http($port, 'GET', '/health')->{status} == 200 }), 'and /health is well');

$node->stop;
done_testing();
