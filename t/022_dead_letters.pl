# Events that a target refuses are set aside after some tries; the others go on, and the
# refused ones can be sent again.

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

my $node = wt_node('dead');
my $port = wt_port($node);
my $other = PostgreSQL::Test::Cluster->new('central');
$other->init;
$other->start;

sub query { return $node->safe_psql('postgres', $_[0]); }

my $copy = local_target($node, 'copy');
my $remote = remote_target($node, 'central_log', $other);
my $all = local_target($node, 'everything');
my $check = q{CHECK ((data->'json'->>'poison') IS NULL)};
query("ALTER TABLE copy ADD CONSTRAINT poison $check");
$other->safe_psql('postgres', "ALTER TABLE central_log ADD CONSTRAINT poison $check");
ok(forward_to($node, $copy, $remote, $all), 'targets, of which two refuse some events');

#
# Poison in a batch
#
my $n = 300;
my $batch = join '', map { $_ % 100 == 50 ? qq({"n":$_,"poison":true}\n) : qq({"n":$_}\n) } 1 .. $n;
is(post($port, $batch, type => 'application/x-ndjson')->{status}, 200, 'a batch with three bad ones');
ok(drained($node), 'the outbox does not wait for them');
is(query('SELECT count(*) FROM copy'), $n - 3, 'the others are there');
is(query('SELECT count(*) FROM central_log'), $n - 3, 'in both');
is(query('SELECT count(*) FROM everything'), $n, 'a target that takes all has all');
is(query('SELECT count(*) FROM windtrap.dead_letter'), 6, 'the bad ones are set aside');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '6' }, 40),
	'and after some more tries they are dead');
is(query('SELECT DISTINCT tries FROM windtrap.dead_letter'), 3, 'three tries in all');
is( query(q{SELECT string_agg(DISTINCT target, ' ') || '|' || bool_and(data->'json'->>'poison' = 'true') || '|' ||
		bool_and(data->>'id' = id) || '|' || bool_and(status = 0) || '|' || bool_and(last_try > first_try) || '|' ||
		bool_and(error LIKE '%violates check constraint%') FROM windtrap.dead_letter}),
	'public.central_log public.copy|true|true|true|true|true', 'with all that is known of them');
is(query(q{SELECT count(*) FROM windtrap.dead_letter d JOIN log l ON l.data->>'id' = d.id AND (l.event_timestamp, l.data) = (d.event_timestamp, d.data)}),
	6, 'and as they were stored');
ok(wait_for(sub { state_of($node, $copy, 'dead') eq '3' && state_of($node, $remote, 'dead') eq '3' }), 'the view counts them');
is(state_of($node, $all, 'dead'), 0, 'each for itself');
is(state_of($node, $copy), 'working', 'the target works');
like(http($port, 'GET', '/metrics')->{content}, qr/^windtrap_forward_dead_letters\{target="public\.copy"\} 3$/m, 'metrics too');
is(count_in_log($node, qr/public\.copy has refused [123] events?, which stay in windtrap\.dead_letter/) > 0, 1, 'the log says it');

# Again: first in vain, then with the cause removed, then with what was repaired.
is(query(q{SELECT count(*) FROM windtrap.redeliver('public.copy')}), 3, 'redeliver() gives those of a target');
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL AND target = 'public.copy' AND tries = 3}) eq '3' }, 40),
	'they are refused again');
query('ALTER TABLE copy DROP CONSTRAINT poison');
my $one = query(q{SELECT min(id) FROM windtrap.dead_letter WHERE target = 'public.copy'});
is(query("SELECT to_target, id FROM windtrap.redeliver(ids => ARRAY['$one'], target => 'public.copy')"),
	"public.copy|$one", 'redeliver() gives one of them');
ok(wait_for(sub { query("SELECT count(*) FROM copy WHERE id = '$one'") eq '1' }), 'which arrives');
is(query(q{SELECT count(*) FROM windtrap.dead_letter WHERE target = 'public.copy'}), 2, 'and is no dead letter any more');
is(query('SELECT count(*) FROM windtrap.redeliver()'), 5, 'redeliver() gives all');
ok(wait_for(sub { query('SELECT count(*) FROM copy') eq $n }), 'a target whose check is gone takes them');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '3' }, 40), 'the other one does not');
query(q{UPDATE windtrap.dead_letter SET data = data #- '{json,poison}'; SELECT windtrap.redeliver()});
ok(wait_for(sub { query('SELECT count(*) FROM central_log') eq $n }), 'until they are repaired');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter') eq '0' }), 'no dead letter is left');
ok(wait_for(sub { state_of($node, $remote, 'dead') eq '0' }), 'the view says so');
is(query('SELECT count(*) FROM everything'), $n, 'a target that had them has them once');
is(state_of($node, $remote, 'delivered'), $n, 'delivered are as many as there are');
is(query('SELECT count(*) FROM windtrap.redeliver()'), 0, 'nothing to send again');

# Poison one by one, in between; and an event too large for an index.
query('CREATE INDEX ON everything ((data->\'json\'->>\'long\'))');
query("ALTER TABLE copy ADD CONSTRAINT poison $check NOT VALID");
my $long = join '', map { chr(97 + int rand 26) } 1 .. 20000;
is(event($port, 'x'), 200, 'an event') for 1 .. 3;
is(post($port, '{"poison":1}')->{status}, 200, 'a bad one');
is(post($port, qq({"long":"$long"}))->{status}, 200, 'one that is too large for an index');
is(event($port, 'y'), 200, 'an event');
ok(drained($node), 'the outbox does not wait for them');
is(query(q{SELECT count(*) FROM everything WHERE data->'json'->>'id' IN ('x', 'y')}), 4, 'what came after is there');
like(query(q{SELECT string_agg(target || ': ' || error, ' ' ORDER BY target) FROM windtrap.dead_letter}),
	qr/public.central_log: .*public.copy: .*public.everything: .*index row/, 'three have refused one each');

# A target that is down does not use up the tries of those that wait for their next one.
{
	ok(wait_for(sub { query('SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL') eq '3' }, 40), 'all are dead');
	$other->stop('fast');
	query(q{SELECT windtrap.redeliver('public.central_log')});
	ok(wait_state($node, $remote, 'failing'), 'the target is down');
	sleep 2;
	is(query(q{SELECT tries FROM windtrap.dead_letter WHERE target = 'public.central_log'}), 0, 'no try was used up');
	$other->start;
	ok(wait_for(sub { query(q{SELECT tries FROM windtrap.dead_letter WHERE target = 'public.central_log'}) eq '3' }, 60), 'then they are');
	is(state_of($node, $remote), 'working', 'and the target works');
}

# A target that refuses everything is not fed event by event into the dead letters at once.
{
	query('DELETE FROM windtrap.dead_letter');
	my $mark = log_mark($node);
	query('ALTER TABLE copy ADD CONSTRAINT none CHECK (status = 7) NOT VALID');
	is(put_batch($port, 500, 'none'), 200, 'a batch for a target that takes none of it');
	ok(wait_state($node, $copy, 'failing'), 'its forwarder says that it fails');
	like(state_of($node, $copy, 'last_error'), qr/refuses every event.*violates check constraint "none"/, 'and why');
	is(query('SELECT count(*) FROM windtrap.dead_letter'), 0, 'nothing is set aside yet');
	query('ALTER TABLE copy DROP CONSTRAINT none');
	ok(drained($node), 'when it takes them again, they arrive');
	is(query(q{SELECT count(*) FROM copy WHERE data->'json'->>'id' LIKE 'none%'}), 500, 'all of them');
}

# Nor is a long row of bad events waited for for ever.
{
	query("ALTER TABLE copy DROP CONSTRAINT poison, ADD CONSTRAINT poison $check NOT VALID");
	my $bad = join '', map { qq({"poison":$_}\n) } 1 .. 100;
	is(post($port, $bad, type => 'application/x-ndjson')->{status}, 200, 'a hundred bad ones');
	is(event($port, 'behind'), 200, 'and a good one behind them');
	ok(drained($node, undef, 120), 'the outbox becomes empty');
	is(query(q{SELECT count(*) FROM copy WHERE data->'json'->>'id' = 'behind'}), 1, 'the good one is there');
}

# One that has been given another id, which it had wrong, say, is sent once and is in nobody's way.
# The hundred may still be tried.
{
	my $renamed = q{target = 'public.copy' AND data::text LIKE '%"renamed"%'};
	my $mark = state_of($node, $copy, 'delivered');
	is(post($port, '{"poison":"renamed"}')->{status}, 200, 'a bad one');
	ok(wait_for(sub { query("SELECT count(*) FROM windtrap.dead_letter WHERE next_try IS NULL AND $renamed") eq '1' }, 40), 'is dead');
	query(qq{UPDATE windtrap.dead_letter SET data = jsonb_build_object('id', gen_random_uuid(), 'json', 'renamed') WHERE $renamed;
		SELECT windtrap.redeliver('public.copy')});
	is(event($port, 'after it'), 200, 'a good one');
	ok(drained($node, $copy), 'the outbox does not wait for it');
	is(query("SELECT count(*) FROM windtrap.dead_letter WHERE $renamed"), 0, 'it has been accepted');
	is(query(q{SELECT count(*) FROM copy WHERE data->>'json' = 'renamed'}), 1, 'and is there');
	is(state_of($node, $copy, 'delivered'), $mark + 2, 'it was sent once');
}

# What another server refuses only when it commits is found, too.
{
	$other->safe_psql('postgres', q{CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN IF NEW.data->''json'' ? ''late'' THEN RAISE ''too late''; END IF; RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER late AFTER INSERT ON central_log DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION late()});
	is(post($port, join('', map { $_ == 60 ? qq({"late":1}\n) : qq({"id":"commit-$_"}\n) } 1 .. 100), type => 'application/x-ndjson')->{status},
		200, 'a batch with one that is refused at the commit');
	ok(drained($node), 'the outbox does not wait for it');
	is(query(q{SELECT count(*) FROM central_log WHERE data->'json'->>'id' LIKE 'commit-%'}), 99, 'the others are there');
	is(query(q{SELECT string_agg(error, ' ') FROM windtrap.dead_letter WHERE data->'json' ? 'late'}), 'too late', 'it is set aside');
	is(state_of($node, $remote), 'working', 'and the target works');
}

$node->stop;
$other->stop;
done_testing();
