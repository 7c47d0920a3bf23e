# A retry is never a second row: what comes again with its Idempotency-Key is acknowledged as
# the first time, over several workers, over crashes, for bodies that are committed in pieces;
# what was not stored leaves no key.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use Batch;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('idempotency', init => { allows_streaming => 1 }, conf => "windtrap.workers = 2\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# Sends a body with a key; gives "code body".
sub keyed
{
	my ($key, $body, %o) = @_;
	my $answer = post($port, $body, %o, headers => { 'Idempotency-Key' => $key, %{ $o{headers} // {} } });
	$answer->{content} =~ s/\n\z//;
	return "$answer->{status} $answer->{content}";
}

my $ndjson = 'application/x-ndjson';

sub rows_of { return query(qq{SELECT count(*) FROM log WHERE data->'json'->>'t' = '$_[0]'}); }
sub n_keys { return query('SELECT count(*) FROM windtrap.idempotency_key'); }

# As the collector makes it of a key that comes without token.
sub hash_of { return qq{encode(substr(sha256('\\x0000'::bytea || '$_[0]'::bytea), 1, 16), 'hex')::uuid}; }

#
# One event
#
is(keyed('one', '{"t":"one"}'), '200 {"accepted":1}', 'the first time');
is(keyed('one', '{"t":"one"}'), '200 {"accepted":1,"duplicate":1}', 'again') for 1 .. 4;
is(rows_of('one'), 1, 'is one row');
is(keyed('two', '{"t":"one"}'), '200 {"accepted":1}', 'with another key');
is(event($port), 200, 'without one');
is(rows_of('one'), 2, 'is another row');
is(query(q{SELECT sum(duplicates), sum(events_accepted) FROM windtrap.stats}), '4|3', 'duplicates are counted, and not as accepted');
is(query(q{SELECT value FROM windtrap.metrics WHERE name = 'duplicates_total'}), 4, 'also for /metrics');
is(query(q{SELECT count(*) FROM windtrap.idempotency_key WHERE key = } . hash_of('one') . q{ AND events = 1 AND rejected = 0}),
	1, 'what is kept of a key is a hash, and what became of the request');

is(keyed('one', '{"t":"other"}'), '422 {"error":"this Idempotency-Key came with another body before: use another key"}', 'another body');
is(keyed('one', '{"t":"one"}', type => 'text/html'), '422 {"error":"this Idempotency-Key came with another body before: use another key"}', 'another type of body');
is(rows_of('other'), 0, 'is not stored');
is(query(q{SELECT value FROM windtrap.metrics WHERE name = 'requests_refused_total' AND label_value = 'idempotency_key'}), 2, 'and is counted');

is(keyed('k' x 255, '{"t":"long"}'), '200 {"accepted":1}', 'a key of 255 bytes');
is(keyed('k' x 256, '{"t":"long"}'), '400 {"error":"Idempotency-Key has 256 bytes: it must have 1 to 255"}', 'one of 256 bytes');
{
	my $c = connect_to($port);
	$c->request('{"t":"long"}', headers => ['Idempotency-Key:']);
	is($c->response->{status}, 400, 'an empty one');
}
is(rows_of('long'), 1, 'are refused');

#
# Batches
#
my $batch = qq({"t":"batch","n":1}\nnot JSON\n{"t":"batch","n":3}\n);
my $rest = qr/"rejected":1,"errors":\[\{"index":1,"error":"bad JSON[^"]*"\}\]\}/;
like(keyed('batch', $batch, type => $ndjson), qr/^200 \{"accepted":2,$rest$/, 'a batch');
like(keyed('batch', $batch, type => $ndjson), qr/^200 \{"accepted":2,"duplicate":3,$rest$/, 'again: the same answer');
is(query(q{SELECT count(*), count(*) FILTER (WHERE status = 422) FROM log WHERE data->>'raw' = 'not JSON' OR data->'json'->>'t' = 'batch'}),
	'3|1', 'all is there once, quarantine included');
like(keyed('array', '[{"t":"array"},'), qr/^400 /, 'a body that is refused as a whole');
is(keyed('array', '[{"t":"array"}]'), '200 {"accepted":1}', 'leaves no key');
my $bad = "bad\nbad\n";
my $all_bad = keyed('all bad', $bad, type => $ndjson);
like($all_bad, qr/^422 \{"accepted":0,"rejected":2,/, 'a batch of which all goes into quarantine');
(my $again = keyed('all bad', $bad, type => $ndjson)) =~ s/"duplicate":2,//;
is($again, $all_bad, 'again: the same answer');
is(query(q{SELECT count(*) FROM log WHERE data->>'raw' = 'bad'}), 2, 'and once in quarantine');

#
# What the table refuses
#
query(q{ALTER TABLE log ADD CONSTRAINT no_13 CHECK (status = 422 OR data->'json'->>'n' IS DISTINCT FROM '13')});
like(keyed('13', '{"t":"13","n":13}'), qr/^422 .*no_13/, 'an event that the table refuses');
is(query('SELECT count(*) FROM windtrap.idempotency_key WHERE key = ' . hash_of('13')), 0, 'leaves no key');
my $mixed = join '', map { qq({"t":"mixed","n":$_}\n) } 11 .. 15;
like(keyed('mixed', $mixed, type => $ndjson), qr/^200 \{"accepted":4,"rejected":1,"errors":\[\{"index":2,/, 'one of a batch');
alter_system($node, 'windtrap.quarantine_single' => 'on');
ok(wait_for(sub { keyed('single 13', '{"t":"s13","n":13}') =~ /^422 / && query(q{SELECT count(*) FROM log WHERE status = 422 AND data->>'raw' LIKE '%s13%'}) }),
	'one that goes into quarantine by itself');
like(keyed('single 13', '{"t":"s13","n":13}'), qr/^422 \{"error":"the log table refuses this event/, 'again: refused, as before');
is(query(q{SELECT count(*) FROM log WHERE data->>'raw' LIKE '%s13%'}), 1, 'and once in quarantine');
alter_system($node, 'windtrap.quarantine_single' => undef);
query('ALTER TABLE log DROP CONSTRAINT no_13');
is(keyed('13', '{"t":"13","n":13}'), '200 {"accepted":1}', 'what was nowhere is stored when the table takes it');
is(keyed('mixed', $mixed, type => $ndjson), '200 {"accepted":4,"duplicate":5,"rejected":1,"errors":[]}', 'what is in quarantine is not stored anew');
is(rows_of('mixed'), 4, 'nor are its neighbours');

# A table that does not even take what stands in for them.
query(q{ALTER TABLE log ADD CONSTRAINT no_422 CHECK (status = 0 AND data->'json'->>'n' IS DISTINCT FROM '13') NOT VALID});
like(keyed('nowhere', qq({"t":"nowhere","n":1}\n{"t":"nowhere","n":13}\n), type => $ndjson), qr/^200 \{"accepted":1,"rejected":1,/, 'an event of a batch that is nowhere');
like(keyed('nowhere', qq({"t":"nowhere","n":1}\n{"t":"nowhere","n":13}\n), type => $ndjson), qr/^200 \{"accepted":1,"duplicate":1,"rejected":1,|^200 \{"accepted":1,"duplicate":2,"rejected":1,/, 'is rejected as before');
like(keyed('all nowhere', qq({"n":13}\n{"n":13}\n), type => $ndjson), qr/^422 \{"accepted":0,"rejected":2,|^503/, 'a batch of which nothing is anywhere');
is(query('SELECT count(*) FROM windtrap.idempotency_key WHERE key = ' . hash_of('all nowhere')), 0, 'leaves no key');
query('ALTER TABLE log DROP CONSTRAINT no_422');
is(rows_of('nowhere'), 1, 'one is there');

#
# At one time: in one transaction, and in those of two workers
#
for my $round (1 .. 5)
{
	my @c = map { connect_to($port) } 1 .. 40;
	$_->request(qq({"t":"crowd $round"}), headers => ["Idempotency-Key: crowd $round"]) for @c;
	my %answers;
	$answers{ $_ ? "$_->{status} $_->{content}" : 'none' }++ for map { $_->response } @c;
	is_deeply(\%answers, { qq(200 {"accepted":1}\n) => 1, qq(200 {"accepted":1,"duplicate":1}\n) => 39 }, "40 at one time, round $round: one is new");
	is(rows_of("crowd $round"), 1, "40 at one time, round $round: one row");
}
{
	my @c = map { connect_to($port) } 1 .. 20;
	$c[$_]->request(qq({"t":"quarrel","n":$_}), headers => ['Idempotency-Key: quarrel']) for 0 .. 19;
	my %codes;
	$codes{ $_ ? $_->{status} : 'none' }++ for map { $_->response } @c;
	is_deeply(\%codes, { 200 => 1, 422 => 19 }, '20 other bodies with one key at one time: one is stored');
	is(rows_of('quarrel'), 1, 'and is one row');
}

# One whose first transaction does not end waits for it, for a while, and its neighbours do not
# pay for that.
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	$session->query_safe('INSERT INTO windtrap.idempotency_key (key, seen_at) VALUES (' . hash_of('stuck') . ', now())');
	my @c = map { connect_to($port) } 1 .. 8;
	my $begun = time;
	$_->request('{"t":"stuck"}', headers => ['Idempotency-Key: stuck']) for @c;
	my @others = map { connect_to($port) } 1 .. 8;
	$_->request('{"t":"beside"}') for @others;
	my @answers = map { $_->response } @c, @others;
	within(time - $begun, 4, 'a key that is being stored elsewhere is waited for, not too long');
	is(join(' ', map { $_->{status} } @answers[ 0 .. 7 ]), join(' ', (503) x 8), 'then it is to be sent again');
	is(join(' ', map { $_->{status} } @answers[ 8 .. 15 ]), join(' ', (200) x 8), 'others are stored');
	is(http($port, 'GET', '/health')->{status}, 200, 'and all is well');
	$session->query_safe('ROLLBACK');
	is(keyed('stuck', '{"t":"stuck"}'), '200 {"accepted":1}', 'when that one has not been stored it is');
	$session->quit;
	is(rows_of('stuck') . ' ' . rows_of('beside'), '1 8', 'all is there once');
}

#
# Who sends it
#
{
	my %token = map { $_ => query("SELECT windtrap.create_token('$_', source => '$_')") } qw(shop bank);
	my $as = sub { return (headers => { Authorization => "Bearer $token{ $_[0] }" }); };
	ok(wait_for(sub { event($port) == 401 }), 'tokens are needed');
	is(keyed('shared', '{"t":"shared"}', $as->('shop')), '200 {"accepted":1}', 'a key of one source');
	is(keyed('shared', '{"t":"shared"}', $as->('bank')), '200 {"accepted":1}', 'the same key of another source is another');
	is(keyed('shared', '{"t":"shared"}', $as->('shop')), '200 {"accepted":1,"duplicate":1}', 'and of the first one the same');
	query("SELECT windtrap.revoke_token('$_')") for keys %token;
	query('DELETE FROM windtrap.token');
	ok(wait_for(sub { event($port) == 200 }), 'no token is needed');
}

# A trigger of whoever owns the log has no say in what is a duplicate.
query(q{CREATE ROLE keeper; GRANT CREATE ON SCHEMA public TO keeper; ALTER TABLE log OWNER TO keeper;
	SET ROLE keeper;
	CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		BEGIN DELETE FROM windtrap.idempotency_key; EXCEPTION WHEN insufficient_privilege THEN RAISE LOG 'kept out'; END;
		RETURN NULL; END$$;
	CREATE TRIGGER forget AFTER INSERT ON log EXECUTE FUNCTION forget()});
my $mark = log_mark($node);
is(keyed('guarded', '{"t":"guarded"}'), '200 {"accepted":1}', 'the owner of the log would forget keys');
ok(wait_for(sub { log_since($node, $mark) =~ /kept out/ }), 'and may not');
is(keyed('guarded', '{"t":"guarded"}'), '200 {"accepted":1,"duplicate":1}', 'so it is known');
query('DROP FUNCTION forget CASCADE');

#
# Time
#
query(q{UPDATE windtrap.idempotency_key SET seen_at = seen_at - interval '1 day' WHERE key IN (} . hash_of('one') . ', ' . hash_of('mixed') . ')');
is(keyed('one', '{"t":"later"}'), '200 {"accepted":1}', 'after the window it is new, whatever the body');
is(keyed('one', '{"t":"later"}'), '200 {"accepted":1,"duplicate":1}', 'and known from then on');
my $n = n_keys();
alter_system($node, 'windtrap.idempotency_window' => '12h');
ok(wait_for(sub { n_keys() == $n - 1 }), 'the upkeep forgets those from before the window');
is(keyed('one', '{"t":"later"}'), '200 {"accepted":1,"duplicate":1}', 'and no others');
alter_system($node, 'windtrap.idempotency_window' => '0');
ok(wait_for(sub { n_keys() == 0 }), 'without a window all are forgotten');
ok(wait_for(sub { keyed('off', '{"t":"off"}') eq '200 {"accepted":1}' && keyed('off', '{"t":"off"}') eq '200 {"accepted":1}' }) , 'and keys are not looked at');
is(keyed('k' x 300, '{"t":"off"}'), '200 {"accepted":1}', 'nor their length');
is(n_keys(), 0, 'nor kept');
alter_system($node, 'windtrap.idempotency_window' => undef);
ok(wait_for(sub { keyed('on', '{"t":"on"}') && n_keys() == 1 }), 'with a window they are');

#
# In pieces, with a crash in the middle, to a target as well
#
query('CREATE TABLE target (LIKE log)');
alter_system($node, 'windtrap.forward_to' => 'target');
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.forwarding WHERE state = 'working'}) == 1 }), 'events are forwarded');
for my $round (1 .. 3)
{
	my $body = join '', map { qq({"t":"pieces $round","n":$_}\n) } 1 .. 20_000;
	query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
		CREATE TRIGGER slow AFTER INSERT ON log EXECUTE FUNCTION slow()});
	my $first = in_background(sub { exchange($port, $body, headers => ["Idempotency-Key: pieces $round"]) });
	ok(wait_for(sub { rows_of("pieces $round") > 0 }), "round $round: a piece is committed");
	kill 'KILL', (worker_pids($node))[0];
	my $answer = $first->();
	ok(wait_for(sub { accepts($node) }), "round $round: the server is back");
	query('DROP FUNCTION slow CASCADE');
	my $before = rows_of("pieces $round");
	note "round $round: $answer->{status}, $before of 20,000";
	ok(ready($port), "round $round: the collector is back");
	is(keyed("pieces $round", $body, type => $ndjson, timeout => 60),
		sprintf('200 {"accepted":20000%s}', $before ? qq(,"duplicate":$before) : ''), "round $round: sent again, it goes on where it was");
	is(query(qq{SELECT count(*), count(DISTINCT data->'json'->>'n') FROM log WHERE data->'json'->>'t' = 'pieces $round'}), '20000|20000', "round $round: every event is there once");
	is(keyed("pieces $round", $body, type => $ndjson, timeout => 60), '200 {"accepted":20000,"duplicate":20000}', "round $round: and once more");
	ok(wait_for(sub { query(qq{SELECT count(*) || '|' || count(DISTINCT data->'json'->>'n') FROM target WHERE data->'json'->>'t' = 'pieces $round'}) eq '20000|20000' }, 60),
		"round $round: and once in the target");
}
is(keyed('forwarded', '{"t":"forwarded"}'), '200 {"accepted":1}', 'one event');
is(keyed('forwarded', '{"t":"forwarded"}'), '200 {"accepted":1,"duplicate":1}', 'again');
is(event($port, 'the last'), 200, 'and another one');
ok(wait_for(sub { query(q{SELECT count(*) FROM target WHERE data->'json'->>'id' = 'the last'}) == 1 }), 'are forwarded');
is(query(q{SELECT count(*) FROM target WHERE data->'json'->>'t' = 'forwarded'}), 1, 'once');
alter_system($node, 'windtrap.forward_to' => undef);

# Two senders of one long body at one time.
{
	my $body = join '', map { qq({"t":"both","n":$_}\n) } 1 .. 12_000;
	my @both = map { in_background(sub { exchange($port, $body, headers => ['Idempotency-Key: both']) }) } 1 .. 4;
	my @codes = map { $_->()->{status} } @both;
	is(scalar(grep { !/^(200|503)$/ } @codes), 0, 'a long body from four senders at one time: no other answer than 200 and 503') or diag "@codes";
	like(keyed('both', $body, type => $ndjson), qr/^200 \{"accepted":12000,"duplicate":/, 'and once more');
	is(query(q{SELECT count(*), count(DISTINCT data->'json'->>'n') FROM log WHERE data->'json'->>'t' = 'both'}), '12000|12000', 'every event is there once');
}

# A crash forgets nothing.
$node->stop('immediate');
$node->start;
ok(ready($port), 'after a crash');
is(keyed('on', '{"t":"on"}'), '200 {"accepted":1,"duplicate":1}', 'a key is known');

#
# Synchronous standbys: what is committed here and not there is no success, sent again neither
#
alter_system($node, synchronous_standby_names => 'nobody');
ok( wait_for(sub { (my $a = post($port, '{"t":"probe"}', timeout => 10))->{content} =~ /no synchronous standby/ }),
	'a standby is missing');
like(keyed('standby', '{"t":"standby"}', timeout => 10), qr/^503 /, 'the first time') for 1 .. 4;
alter_system($node, synchronous_standby_names => undef);
ok(wait_for(sub { event($port) == 200 }), 'it is not needed any more');
like(keyed('standby', '{"t":"standby"}'), qr/^200 /, 'sent again it is acknowledged');
is(rows_of('standby'), 1, 'and is one row');

$node->stop;
done_testing();
