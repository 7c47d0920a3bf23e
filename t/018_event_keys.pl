# Events that their protocol gives a key are stored once, whoever sends them in whichever order
# and with whatever beside them: here by CloudEvents, whose key is source and id.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use List::Util qw(shuffle);
use Test::More;

use Batch;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('event_keys', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $json = JSON::PP->new->utf8->canonical;

sub query { return $node->safe_psql('postgres', $_[0]); }

sub events
{
	my ($t, @ids) = @_;
	return $json->encode([ map { { specversion => '1.0', type => 'test', source => "/$t", id => "$_", data => { t => $t, n => $_ } } } @ids ]);
}

# Sends events with these ids; gives the code.
my $type = 'application/cloudevents-batch+json';
sub send_events { return post($port, events(@_), type => $type, timeout => 60)->{status}; }

# Rows of a test, and how many different ids they have.
sub stored { return query(qq{SELECT count(*) || ' ' || count(DISTINCT data->'cloudevents'->>'id') FROM log WHERE data->'cloudevents'->>'source' = '/$_[0]'}); }
sub duplicates { return query('SELECT sum(duplicates) FROM windtrap.stats'); }
sub is_success { return like($_[0], qr/^2/, $_[1]); }

is_success(send_events('a', 1 .. 3), 'three events');
is(stored('a'), '3 3', 'are three rows') or diag query('SELECT data FROM log LIMIT 1');
is_success(send_events('a', 1 .. 3), 'again: success');
is_success(send_events('a', 2 .. 5), 'old and new ones: success');
is(stored('a'), '5 5', 'only the new ones are new rows');
is(duplicates(), 5, 'the others are counted');
is_success(send_events('a', 6, 6, 7, 6), 'the same one several times in a body: success');
is(stored('a'), '7 7', 'is one row');
is_success(send_events('b', 1 .. 3), 'the same ids of another source: success');
is(stored('b'), '3 3', 'are others');
is(query('SELECT count(*), count(fingerprint) FROM windtrap.idempotency_key'), '10|0', 'a row is kept for each');

# At one time, each in an order of its own: nobody waits in a circle.
{
	my $mark = log_mark($node);
	my $deadline = query('SELECT now()');
	for my $round (1 .. 5)
	{
		my @senders = map {
			my @mine = shuffle(1 .. 300);
			my $body = events("crowd $round", @mine);
			in_background(sub { return { status => post($port, $body, type => $type)->{status} }; });
		} 1 .. 10;
		my @codes = map { $_->()->{status} } @senders;
		is(scalar(grep { $_ !~ /^2/ } @codes), 0, "ten senders of the same events, round $round: success") or diag "@codes";
		is(stored("crowd $round"), '300 300', "ten senders of the same events, round $round: each is there once");
	}
	unlike(log_since($node, $mark), qr/deadlock/, 'and nobody waited in a circle');
}

# What the table refuses is in quarantine, and stays the only one.
query(q{ALTER TABLE log ADD CONSTRAINT no_13 CHECK (status = 422 OR data->'json'->>'n' IS DISTINCT FROM '13') NOT VALID});
is_success(send_events('q', 11 .. 15), 'one that the table refuses');
query('ALTER TABLE log DROP CONSTRAINT no_13');
is_success(send_events('q', 11 .. 15), 'again, when it would take it');
is(query(q{SELECT count(*), count(*) FILTER (WHERE status = 422) FROM log WHERE data->'cloudevents'->>'source' = '/q'}), '5|1', 'what is in quarantine is not stored anew');

# What is nowhere leaves no key, and its neighbours do.
query(q{ALTER TABLE log ADD CONSTRAINT none CHECK (status = 0 AND data->'json'->>'n' IS DISTINCT FROM '13') NOT VALID});
my $code = send_events('r', 11, 12, 13, 13, 14);
note "answered $code";
is(stored('r'), '3 3', 'one that the table does not even take into quarantine');
query('ALTER TABLE log DROP CONSTRAINT none');
is_success(send_events('r', 11, 12, 13, 13, 14), 'again, when it takes it: success');
is(stored('r'), '4 4', 'what was nowhere is stored now, once');

# An attempt that fails as a whole leaves no key.
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	$session->query_safe('LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
	is(send_events('l', 1 .. 10), 503, 'while the table is locked');
	$session->query_safe('ROLLBACK');
	$session->quit;
	is_success(send_events('l', 1 .. 10), 'then: success');
	is(stored('l'), '10 10', 'and they are stored');
}

# Expired ones are taken over, forgotten ones are new.
query(q{UPDATE windtrap.idempotency_key SET seen_at = seen_at - interval '1 day'});
is_success(send_events('a', 1 .. 9), 'after the window: success');
is(stored('a'), '16 9', 'all are new');
is_success(send_events('a', 1 .. 9), 'again: success');
is(stored('a'), '16 9', 'none is');

# In pieces, forwarded too, with a crash in the middle.
query('CREATE TABLE target (LIKE log)');
alter_system($node, 'windtrap.forward_to' => 'target');
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.forwarding WHERE state = 'working'}) == 1 }), 'events are forwarded');
query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
	CREATE TRIGGER slow AFTER INSERT ON log EXECUTE FUNCTION slow()});
my @ids = map { $_ % 12_000 } 1 .. 15_000;
my $body = events('p', @ids);
my $first = in_background(sub { exchange($port, $body, type => $type) });
ok(wait_for(sub { query(q{SELECT count(*) FROM log WHERE data->'cloudevents'->>'source' = '/p'}) > 0 }), 'a piece of a long body is committed');
kill 'KILL', (worker_pids($node))[0];
$first->();
ok(wait_for(sub { accepts($node) }) && ready($port), 'after a crash');
query('DROP FUNCTION slow CASCADE');
note stored('p');
is_success(send_events('p', @ids), 'it is sent again: success');
is(stored('p'), '12000 12000', 'and each event is there once');
is_success(send_events('p', 12_000 .. 12_001), 'two more');
ok( wait_for(sub { query(q{SELECT count(*) || ' ' || count(DISTINCT data->'cloudevents'->>'id') FROM target WHERE data->'cloudevents'->>'source' = '/p'}) eq '12002 12002' }, 60),
	'also in the target');

alter_system($node, 'windtrap.idempotency_window' => '0');
ok(wait_for(sub { query('SELECT count(*) FROM windtrap.idempotency_key') == 0 }), 'without a window');
my $before = stored('b');
is_success(send_events('b', 1 .. 3), 'keys are not looked at');
is(stored('b'), '6 3', 'so that what comes again is stored again');

$node->stop;
done_testing();
