# The viewer: its processes, what it answers and whom, that nothing runs with more rights than the
# log table's owner has, and that neither slow queries nor clients that leave or do not read keep
# anybody waiting.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('viewer', create => 0);
my $collector = wt_port($node);
my $port = free_port();

sub query { return $node->safe_psql('postgres', $_[0]); }

sub encoded { return join '&', map { my $v = $_[1]{$_}; $v =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ge; "$_=$v" } sort keys %{ $_[1] }; }

# An answer; parameters are bytes.
sub get
{
	my ($path, $parameters, %o) = @_;
	my $query = $parameters ? '?' . encoded(undef, $parameters) : '';
	return http($o{port} // $port, $o{method} // 'GET', "/api/$path$query", %o);
}

# The lines of an answer, each {what => {…}}.
sub lines { return map { JSON::PP->new->utf8->decode($_) } split /\n/, get(@_)->{content}; }
sub bearer { return (headers => { Authorization => "Bearer $_[0]" }); }

sub viewers { return query("SELECT count(*) FROM windtrap.status WHERE kind = 'viewer' AND state = '$_[0]'"); }
sub listens { return wait_for(sub { get('session')->{status} == 200 }); }

#
# Processes
#
query('CREATE EXTENSION windtrap');
ok(ready($collector), 'the collector listens');
is(viewers('listening'), 0, 'there is no viewer unless one is asked for');
alter_system($node, 'windtrap.viewer_port' => $port);
ok(listens(), 'on a reload it listens');
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM windtrap.status WHERE kind = 'viewer' AND state = 'listening' AND port = $port"), 'by two processes');
is(query("SELECT string_agg(worker::text, ' ' ORDER BY worker) FROM windtrap.status WHERE kind = 'viewer'"), '1 2', 'which have numbers');
is(query("SELECT value FROM windtrap.metrics WHERE name = 'process_up' AND label_value = 'viewer'"), 1, 'and are in the metrics');
is(http($port, 'GET', '/health')->{status}, 200, '/health is there');
is(http($port, 'POST', '/log', body => '{}')->{status}, 404, 'no event is taken by this port');
is(get('nothing')->{status}, 404, 'what is not there is 404');
is(get('search', {}, method => 'DELETE')->{status}, 405, 'what cannot be done is 405');
is(http($collector, 'GET', '/api/session')->{status}, 404, 'nor is anything shown by the port of events');
my $session = json_of(get('session'));
is_deeply([ @$session{qw(empty may_resolve time_zone)} ], [ JSON::PP::true, JSON::PP::true, 'Europe/Berlin' ], 'a session begins with an empty log');
is_deeply($session->{collector}{port}, $collector, 'and says where events are sent to');

#
# What is answered
#
post_json($collector, { app => 'shop', msg => "paid \x{fc}nd \"so\"", severity => 'info', order => { total => 5 } });
post_json($collector, { app => 'shop', msg => 'no funds', severity => 'error', order => { total => 12 } });
post_json($collector, { app => 'mail', msg => 'x' x 2000, big => 'y' x 9000 });
my @lines = lines('search', { q => 'app:shop', columns => 'order.total,ip' });
is(scalar @lines, 3, 'a search finds') or diag(explain(\@lines));
is_deeply([ map { $_->{event}{severity} } @lines[ 0, 1 ] ], [ 'error', 'info' ], 'the newest first');
is($lines[1]{event}{message}, "paid \x{fc}nd \"so\"", 'texts are what was sent');
is_deeply($lines[0]{event}{columns}, { 'order.total' => '12', ip => '127.0.0.1' }, 'columns that are asked for come along');
is_deeply($lines[0]{event}{data}{json}{order}, { total => 12 }, 'and the whole event');
is_deeply([ @{ $lines[2]{end} }{qw(complete rows next)} ], [ JSON::PP::true, 2, undef ], 'it says that this is all');
like($lines[0]{event}{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'times are of one form');
my ($large) = lines('search', { q => 'app:mail' });
ok(!exists $large->{event}{data} && $large->{event}{size} > 9000, 'long data are left out');
ok($large->{event}{message_cut} && length $large->{event}{message} == 1000, 'long messages are cut');
my ($whole) = lines('event', { time => $large->{event}{time}, id => $large->{event}{id} });
is(length $whole->{data}{json}{big}, 9000, 'an event by itself is whole');
my @page = lines('search', { n => 1 });
@page = map { [ lines('search', { n => 1, %$_ }) ] } $page[1]{end}{next};
is($page[0][0]{event}{message}, 'no funds', 'the next page goes on');

@lines = lines('histogram', { buckets => 10 });
is($lines[0]{histogram}{buckets}, 10, 'a histogram begins with its form');
is_deeply([ sort map { $_->[1] // '' } map { @{ $_->{counts} // [] } } @lines ], [ '', 'error', 'info' ], 'counts by severity');
is($lines[-1]{end}{total}, 3, 'and ends with the sum');
my $top = json_of(get('top', { field => 'app' }));
is_deeply($top->{values}, [ { value => 'shop', count => 2, share => 0.6667 }, { value => 'mail', count => 1, share => 0.3333 } ], 'the most frequent values');
my ($field) = grep { $_->{name} eq 'order.total' } @{ json_of(get('fields'))->{fields} };
is_deeply($field, { name => 'order.total', share => 0.667, example => '12', type => 'number' }, 'the fields that there are');
my $sql = json_of(get('sql', { q => "app:shop it's" }));
is(query("SELECT count(*) FROM windtrap.events WHERE $sql->{condition} OR app = 'mail'"), 1, 'a condition is SQL');
is(query($sql->{statement} =~ s/app:.*//r), '', 'and so is the statement');
is_deeply([ map { [ split /,/ ] } split /\r\n/, get('export', { format => 'csv', q => 'app:shop', columns => 'app,order.total,"no such"' })->{content} ],
	[ [ 'app', 'order.total', '"""no such"""' ], [ 'shop', '12' ], [ 'shop', '5' ] ], 'an export as CSV');
my $export = get('export', { q => 'app:shop' });
is(scalar(() = $export->{content} =~ /^\{"event_timestamp":/mg), 2, 'as lines of JSON');
like($export->{headers}{'content-disposition'}, qr/^attachment; filename="events.ndjson"$/, 'to be saved');
alter_system($node, track_functions => 'all');
my $counted = q{SELECT coalesce((SELECT calls FROM pg_stat_user_functions WHERE schemaname = 'windtrap' AND funcname = 'worker_stats'), 0)};
my $overview = json_of(get('overview'));
ok(wait_for(sub { get('search', { q => 'nothing_of_this' }); query($counted) > 0 }), 'an overview asks for the counters');
is(query($counted), 1, 'once');
alter_system($node, track_functions => undef);
is_deeply([ @{$overview}{qw(events_total quarantined retention)} ], [ 3, 0, undef ], 'an overview');
ok(scalar(grep { $_->{kind} eq 'viewer' } @{ $overview->{workers} }) == 2 && @{ $overview->{partitions} } > 8 && $overview->{size} > 0, 'with processes and partitions');

#
# What comes
#
sub follow
{
	my ($parameters) = @_;
	my $c = connect_to($port);
	$c->send('GET /api/tail?' . encoded(undef, $parameters) . " HTTP/1.0\r\nHost: localhost\r\n\r\n");
	return $c;
}
# The lines that have come, when one is like this.
sub followed
{
	my ($c, $like) = @_;
	wait_for(sub { $c->{buffer} =~ $like || ($c->fill(0.1), 0) });
	return map { JSON::PP->new->utf8->decode($_) } grep { /^\{.*\}$/ } split /\n/, $c->{buffer};
}
my $follower = follow({ q => 'app:live', columns => 'n' });
ok((followed($follower, qr/"cursor"/))[0]{cursor}, 'who follows is told where he is');
post_json($collector, { app => 'live', n => 1 });
post_json($collector, { app => 'other', n => 2 });
query(q{INSERT INTO log VALUES (now() - interval '5 s', '{"id":"by-sql","json":{"app":"live","n":3}}', 0)});
my @came = followed($follower, qr/by-sql.*"cursor"/s);
is(join(' ', sort map { $_->{event}{columns}{n} } grep { $_->{event} } @came), '1 3', 'events come, also those that were inserted by SQL with an older time');
my ($cursor) = map { $_->{cursor} } grep { $_->{cursor} } reverse @came;
$follower->close;
post_json($collector, { app => 'live', n => 4 });
$follower = follow({ q => 'app:live', columns => 'n', after => $cursor });
is(join(' ', map { $_->{event}{columns}{n} } grep { $_->{event} } followed($follower, qr/"cursor"/)), '4', 'who was gone goes on where he was');
query(q{INSERT INTO log SELECT now() - n * interval '1 us', jsonb_build_object('id', 'm' || n, 'json', jsonb_build_object('app', 'live', 'n', n)), 0 FROM generate_series(1, 900) n});
@came = followed($follower, qr/"skipped".*"cursor"/s);
my ($skipped) = map { $_->{skipped} } grep { $_->{skipped} } @came;
is($skipped->{count} + grep({ $_->{event} && $_->{event}{id} =~ /^m/ } @came), 900, 'of many at a time some are counted alone');
my %is_shown = map { $_->{event}{id} => 1 } grep { $_->{event} } @came;
is(scalar(grep { $_->{event} && !$is_shown{ $_->{event}{id} } } lines('search', { q => 'app:live', since => $skipped->{since}, until => $skipped->{until}, n => 1000 })), $skipped->{count}, 'and can be searched for');
$follower->close;
is(get('tail', { after => 'nonsense' })->{status}, 400, 'a cursor that is none is refused');
query(q{DELETE FROM log WHERE windtrap.app(data) IN ('live', 'other')});

#
# What is wrong
#
my $wrong = get('search', { q => "größe:\"x\" severity:loud" });
is($wrong->{status}, 400, 'a wrong query is 400');
is_deeply(json_of($wrong), { error => 'search, character 20: expected trace, debug, info, warning, error or fatal', position => 20 }, 'with its place, in characters');
foreach ([ 'search', { since => 'yesterdayish' }, qr/^since is a time/ ], [ 'search', { n => 1001 }, qr/^n is a number from 1 to 1000/ ],
	[ 'search', { columns => 'a..b' }, qr/^field, character 3: / ], [ 'histogram', { since => '-infinity' }, qr/needs a beginning/ ],
	[ 'histogram', { buckets => 'x' }, qr/^buckets is a number/ ], [ 'top', {}, qr/^the parameter field is needed/ ],
	[ 'search', { q => "\xff" }, qr/not UTF-8/ ], [ 'search', { q => 'a:~(' }, qr/regular expression/ ], [ 'export', { format => 'xml' }, qr/^format is ndjson or csv/ ],
	[ 'event', {}, qr/^the parameter time is needed/ ])
{
	my ($path, $parameters, $expected) = @$_;
	my $answer = get($path, $parameters);
	ok($answer->{status} == 400 && json_of($answer)->{error} =~ $expected, "$path: " . json_of($answer)->{error}) or diag(explain($answer));
}
is(query("SELECT count(*) FROM windtrap.refused WHERE path LIKE '/api/%' AND status = 400"), 0, 'who mistypes is not among those that were refused');

#
# The status
#
my @found = map { { time => $_->{event}{time}, id => $_->{event}{id} } } grep { $_->{event} } lines('search', { q => 'app:shop' });
sub set_status { my ($body, %o) = @_; return http($port, 'POST', '/api/status', body => ref $body ? JSON::PP->new->utf8->encode($body) : $body, %o); }
is_deeply(json_of(set_status({ status => 7, events => \@found })), { updated => 2 }, 'the status of events is set');
is(query("SELECT string_agg(status::text, ' ' ORDER BY status) FROM log"), '0 7 7', 'in the table, of these alone');
query("INSERT INTO log SELECT '2026-01-01 00:00+00', jsonb_build_object('json', n), 0 FROM generate_series(1, 3) n");
is_deeply(json_of(set_status({ status => 1, events => [ { time => '2026-01-01T00:00:00.000000Z' }, $found[0] ] })), { updated => 4 }, 'also of those without an id');
foreach ([ 'no json', qr/json/ ], [ '[]', qr/^expected/ ], [ '{"status":1}', qr/^expected/ ], [ '{"status":"1","events":[]}', qr/^expected/ ],
	[ '{"status":1,"events":[{"id":"x"}]}', qr/^expected/ ], [ '{"status":1,"events":[{"time":"x"}]}', qr/timestamp/ ], [ '{"status":99999999999,"events":[]}', qr/range/ ],
	[ { status => 1, events => [ map { $found[0] } 1 .. 1001 ] }, qr/at most 1000/ ])
{
	my $answer = set_status($_->[0]);
	ok($answer->{status} == 400 && json_of($answer)->{error} =~ $_->[1], 'refused: ' . Encode::encode('UTF-8', json_of($answer)->{error})) or diag(explain($answer));
}
query("DELETE FROM log WHERE event_timestamp < '2026-02-01'");

#
# Who may
#
my %token = map { $_ => query("SELECT windtrap.create_token('$_', '$_')") } qw(ingest read all);
is(get('search')->{status}, 401, 'since there is a token, one is needed');
is(get('search', {}, bearer('wt_' . 'x' x 43))->{status}, 401, 'and a right one');
is(get('search', {}, bearer($token{ingest}))->{status}, 403, 'who may send may not read');
is(get('search', {}, bearer($token{read}))->{status}, 200, 'who may read may');
is(json_of(get('session', undef, bearer($token{read})))->{may_resolve}, JSON::PP::false, 'but not change');
is(set_status({ status => 3, events => \@found }, bearer($token{read}))->{status}, 403, 'what he sets is refused');
is(query('SELECT count(*) FROM log WHERE status = 3'), 0, 'and not set');
is(json_of(set_status({ status => 3, events => \@found }, bearer($token{all})))->{updated}, 2, 'who may all may');
is(http($port, 'GET', '/', bearer('wt_wrong'))->{status}, 200, 'the page itself is for everybody');
query("SELECT windtrap.revoke_token('read')");
is(get('search', {}, bearer($token{read}))->{status}, 401, 'a revoked token lets nobody in');
query('DELETE FROM windtrap.token');
ok(listens(), 'without tokens it is open again');

#
# Somebody else's table, who wants more
#
query(q{CREATE ROLE eve; CREATE SCHEMA eve AUTHORIZATION eve; CREATE TABLE secret (t text); INSERT INTO secret VALUES ('secret');
GRANT CREATE ON SCHEMA public TO eve;
SET ROLE eve;
CREATE TABLE eve.log (event_timestamp timestamptz, data jsonb, status int);
CREATE TABLE eve.written (t text);
INSERT INTO eve.log VALUES (now(), '{"id":"1","json":{"app":"eve"}}', 0);
-- What each statement of a policy, or of a trigger, is told.
CREATE FUNCTION eve.try(what text) RETURNS text LANGUAGE plpgsql AS $$BEGIN EXECUTE what; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END$$;
CREATE FUNCTION eve.spy(place text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE LOG 'spy % as % of %, left: %', place, current_user, session_user, coalesce(current_setting('eve.left', true), 'nothing');
	RAISE LOG 'spy % role: %', place, eve.try('SET ROLE postgres');
	RAISE LOG 'spy % authorization: %', place, eve.try('RESET SESSION AUTHORIZATION');
	RAISE LOG 'spy % super: %', place, eve.try('ALTER ROLE eve SUPERUSER');
	RAISE LOG 'spy % secret: %', place, eve.try('SELECT count(*) FROM public.secret');
	RAISE LOG 'spy % write: %', place, eve.try('INSERT INTO eve.written VALUES (1)');
	RAISE LOG 'spy % read write: %', place, eve.try('SET TRANSACTION READ WRITE');
	RAISE LOG 'spy % temp: %', place, eve.try('CREATE TEMP TABLE x ()');
	PERFORM set_config('eve.left', place, false), set_config('search_path', 'eve', false), set_config('statement_timeout', '0', false);
	PERFORM pg_advisory_lock(4711);
	RETURN true;
END$$;
-- What stands in for the system's names, were it looked for there.
CREATE FUNCTION public.coalesce_spy() RETURNS text LANGUAGE sql AS 'SELECT 1::text';
CREATE FUNCTION eve.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM eve.spy('name'); RETURN 'object'; END$$;
ALTER TABLE eve.log ENABLE ROW LEVEL SECURITY; ALTER TABLE eve.log FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON eve.log USING (eve.spy('policy'));
CREATE FUNCTION eve.on_update() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM eve.spy('trigger'); RETURN NEW; END$$;
CREATE TRIGGER t BEFORE UPDATE ON eve.log FOR EACH ROW EXECUTE FUNCTION eve.on_update();
CREATE CONSTRAINT TRIGGER d AFTER UPDATE ON eve.log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.on_update()});
my $mark = log_mark($node);
alter_system($node, '"windtrap.table"' => 'eve.log');
ok($node->poll_query_until('postgres', "SELECT prosrc LIKE '%eve.log%' FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc"), 'the table is another one');
foreach my $path (qw(search histogram top fields export event session))
{
	my $answer = get($path, { field => 'app', time => 'now' });
	is($answer->{status}, 200, "$path of a table that is somebody else's") or diag($answer->{content});
}
is((lines('search'))[0]{event}{app}, 'eve', 'it is found');
my $log = log_since($node, $mark);
my %said;
$said{$1}{$2}++ while $log =~ /LOG: +spy (\w+) (.+)/g;
is_deeply([ grep { !/^as eve of \w+, left: (nothing)?$/ } grep { /^as / } keys %{ $said{policy} } ], [], 'what its owner has made runs as he, and finds nothing of what it has set');
cmp_ok(scalar(grep { /^as / } keys %{ $said{policy} }), '>=', 1, 'it did run');
is_deeply([ sort grep { /done$/ } keys %{ $said{policy} } ], [], 'and nothing that it tries is done');
is(query('SELECT count(*) FROM eve.written'), 0, 'a search does not write');
is(query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock is left');
is($said{name}, undef, 'and no name is looked for in his schema');
$mark = log_mark($node);
my ($his) = lines('search');
is(json_of(set_status({ status => 5, events => [ { time => $his->{event}{time}, id => '1' } ] }))->{updated}, 1, 'the status is set there, too');
%said = ();
$log = log_since($node, $mark);
$said{$1}{$2}++ while $log =~ /LOG: +spy (trigger) (.+)/g;
is_deeply([ sort grep { /done$/ && !/^(write|read write):/ } keys %{ $said{trigger} } ], [], 'by triggers that gain nothing');
is_deeply([ grep { /^as / && !/^as eve/ } keys %{ $said{trigger} } ], [], 'and are the owner, deferred ones as well');
is(query("SELECT rolsuper FROM pg_roles WHERE rolname = 'eve'"), 'f', 'who is still no superuser');

query('SET ROLE eve; DROP POLICY p ON eve.log; DROP TRIGGER t ON eve.log; DROP TRIGGER d ON eve.log; CREATE POLICY q ON eve.log USING (1 / (status - 5) > 0)');
my $failed = get('search');
is($failed->{status}, 503, 'an error of a policy is nobody else\'s fault');
like(log_since($node, $mark), qr/windtrap: a query of the viewer failed: division by zero/, 'and is in the log');
query('SET ROLE eve; DROP POLICY q ON eve.log; ALTER TABLE eve.log RENAME TO t; CREATE VIEW eve.log AS SELECT now() AS event_timestamp, to_jsonb(secret) AS data, 0 AS status FROM public.secret');
$failed = get('search');
ok($failed->{status} == 503 && $failed->{content} !~ /"secret"/ && $failed->{content} =~ /permission denied/, 'a view shows no more than its owner may see') or diag(explain($failed));
query('SET ROLE eve; DROP VIEW eve.log; ALTER TABLE eve.t RENAME TO log');

#
# Time
#
query('CREATE FUNCTION eve.slow(s float8) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(s); RETURN true; END$$; ALTER FUNCTION eve.slow OWNER TO eve; SET ROLE eve; CREATE POLICY s ON eve.log USING (eve.slow(30))');
alter_system($node, 'windtrap.viewer_timeout' => '500ms');
foreach my $path (qw(search histogram top fields))
{
	my $answer;
	my $s = elapsed(sub { $answer = get($path, { field => 'app' }); });
	is($answer->{status}, 503, "$path that takes too long is 503");
	like(json_of($answer)->{error}, qr/took longer than windtrap\.viewer_timeout \(500ms\)|too much to do/, 'and says so');
	cmp_ok($s, '<', 10, "after $s s");
}
alter_system($node, 'windtrap.viewer_timeout' => '60s');
my $running = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap viewer' AND state = 'active' AND query LIKE 'viewer: %'";
my $leaver = connect_to($port);
$leaver->send("GET /api/fields HTTP/1.1\r\nHost: localhost\r\n\r\n");
ok($node->poll_query_until('postgres', "SELECT ($running) = 1"), 'a query runs');
$leaver->close;
my $s = elapsed(sub { ok(wait_for(sub { query($running) == 0 }, 10), 'when its client leaves it ends'); });
cmp_ok($s, '<', 3, "after $s s");

$leaver = connect_to($port);
$leaver->send("GET /api/fields HTTP/1.1\r\nHost: localhost\r\n\r\n");
ok($node->poll_query_until('postgres', "SELECT ($running) = 1"), 'a query runs');
alter_system($node, 'windtrap.viewer_port' => 0);
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM windtrap.status WHERE kind = 'viewer'"), 'without a port there is no viewer, whatever runs');
is(get('session')->{status}, 599, 'and nobody listens');
$leaver->close;
query('SET ROLE eve; DROP POLICY s ON eve.log');
alter_system($node, 'windtrap.viewer_port' => $port, '"windtrap.table"' => undef, 'windtrap.viewer_timeout' => undef, 'windtrap.viewers' => 1);
ok(listens(), 'with one there is');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM windtrap.status WHERE kind = 'viewer' AND state = 'listening'"), 'as many as are wanted');
ok($node->poll_query_until('postgres', "SELECT prosrc LIKE '%public.log%' FROM pg_proc WHERE oid = 'windtrap.log_rows'::regproc"), 'the table is the first one');
my $other = free_port();
alter_system($node, 'windtrap.viewer_port' => $other);
ok(wait_for(sub { get('session', undef, port => $other)->{status} == 200 }), 'another port needs a reload alone');
is(get('session')->{status}, 599, 'the first one is closed');
alter_system($node, 'windtrap.viewer_port' => $collector);
ok($node->poll_query_until('postgres', "SELECT last_error LIKE '%Address already in use%' OR last_error LIKE '%port%' FROM windtrap.status WHERE kind = 'viewer'"), 'the port of events is not taken from them');
is(get('session', undef, port => $other)->{status}, 200, 'and what was goes on');
is(event($collector), 200, 'as does the collector');
alter_system($node, 'windtrap.viewer_port' => $port);
ok(listens(), 'and back');

#
# Many that follow
#
my @followers = map { my $c = connect_to($port); $c->send("GET /api/tail HTTP/1.0\r\nHost: localhost\r\n\r\n"); $c } 1 .. 100;
is(scalar(grep { followed($_, qr/"cursor"/) } @followers), 100, 'a hundred can follow');
is(get('tail')->{status}, 503, 'one more is told to come later');
is(get('search')->{status}, 200, 'and others have their turn');
$_->close foreach @followers;
ok(wait_for(sub { my $c = follow({}); my @came = followed($c, qr/"cursor"|"error"/); $c->close; @came && $came[0]{cursor} }), 'when they have left there is room');

#
# Much, and who does not read it
#
query(q{INSERT INTO log SELECT now() - n * interval '1 ms', jsonb_build_object('id', 'x' || n, 'json', jsonb_build_object('n', n, 'pad', repeat(md5(n::text), 10))), 0 FROM generate_series(1, 60000) n;
INSERT INTO log SELECT date_trunc('second', now()) - interval '2 min', jsonb_build_object('json', jsonb_build_object('same', n % 100)), 0 FROM generate_series(1, 3000) n; ANALYZE log});
my $sleeper = connect_to($port);
$sleeper->send("GET /api/export HTTP/1.1\r\nHost: localhost\r\n\r\n");
ok($sleeper->fill(10), 'an export begins');
my %seen;
my $whole_export = get('export', undef, timeout => 120);
is($whole_export->{status}, 200, 'another one is not kept waiting by a client that does not read');
my $n = 0;
for (split /\n/, $whole_export->{content}) { my $e = JSON::PP->new->decode($_); $n++; $seen{ $e->{data}{id} // 'none' }++; }
is($n, query("SELECT count(*) FROM log WHERE event_timestamp >= now() - interval '1 day'"), 'all is in it');
is($seen{none}, 3000, 'those of one instant without an id too');
is(scalar(grep { $_ ne 'none' && $seen{$_} > 1 } keys %seen), 0, 'nothing twice');
cmp_ok(query("SELECT max(pg_catalog.pg_stat_get_backend_pid(b)) FROM pg_stat_get_backend_idset() b LIMIT 1"), '>', 0, 'nothing has crashed');
my $viewer = query("SELECT pid FROM windtrap.status WHERE kind = 'viewer'");
my ($kb) = slurp_file("/proc/$viewer/status") =~ /^VmHWM:\s+(\d+)/m;
my ($shared) = slurp_file("/proc/$viewer/status") =~ /^RssShmem:\s+(\d+)/m;
SKIP:
{
	skip 'not measured under the sanitizers', 1 if $ENV{WT_SANITIZE};
	cmp_ok($kb - $shared, '<', 80_000, 'it is never all in memory: ' . ($kb - $shared) . ' kB');
}
$sleeper->close;

# Of one instant, without anything that tells them apart but what they are: how often they are read.
query(q{INSERT INTO log SELECT '2026-11-03 12:00+00', jsonb_build_object('json', jsonb_build_object('same', n, 'pad', repeat('x', 250))), 0 FROM generate_series(1, 100000) n;
VACUUM (ANALYZE) log});
my ($instant) = split /\n/, query(q{SELECT DISTINCT tableoid FROM log WHERE event_timestamp = '2026-11-03 12:00+00'});
my $reads = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables WHERE relid = $instant";
my $read_before = query($reads);
my $instant_export = get('export', { since => '2026-11-03', until => '2026-11-04' }, timeout => 120);
%seen = ();
$seen{$_}++ foreach $instant_export->{content} =~ /"same": (\d+)/g;
is(scalar keys %seen, 100_000, '100,000 rows of one instant are exported')
  or diag "$instant_export->{status}: ", substr($instant_export->{content}, -500);
is(scalar(grep { $_ > 1 } values %seen), 0, 'none twice');
my ($reported, $last_reported) = (-1, -2);
# It reports what it has read once a second, when it has something to do.
while ($reported != $last_reported || $reported < 100_000)
{
	sleep 1.1;
	get('overview');
	($last_reported, $reported) = ($reported, query($reads) - $read_before);
}
cmp_ok($reported, '<', 10 * 100_000, 'and are not read again for each piece that is sent');
note "$reported rows read";
query(q{DELETE FROM log WHERE event_timestamp = '2026-11-03 12:00+00'});

#
# Processes that end
#
kill 'TERM', $viewer;
ok(wait_for(sub { my $now = query("SELECT pid FROM windtrap.status WHERE kind = 'viewer' AND state = 'listening'"); $now && $now != $viewer }), 'a viewer that is ended is started again');
ok(listens(), 'and listens');
$viewer = query("SELECT pid FROM windtrap.status WHERE kind = 'viewer'");
kill 'KILL', $viewer;
ok(wait_for(sub { accepts($node) && listens() && query("SELECT pid FROM windtrap.status WHERE kind = 'viewer'") != $viewer }, 60), 'one that is killed as well');
ok(ready($collector), 'the collector is there');

query('DROP EXTENSION windtrap');
my $gone = get('search');
ok($gone->{status} == 503 && json_of($gone)->{error} =~ /extension windtrap is not installed/, 'without the extension it is 503') or diag(explain($gone));
ok(wait_for(sub { get('search')->{status} == 599 }, 30), 'later nobody listens');
query('DROP TABLE log; CREATE EXTENSION windtrap');
ok(listens(), 'with it, it is back');
query('DROP TABLE IF EXISTS log');
is(json_of(get('session'))->{empty}, JSON::PP::true, 'a table that is not there is an empty log');
my $none = get('search');
ok($none->{status} == 503 && json_of($none)->{error} =~ /there is no table public\.log/, 'of which nothing is found') or diag(explain($none));

#
# Without preload, and in a database whose texts can be anything
#
my $plain_port = free_port();
my $plain = wt_node('plain_viewer', preload => 0, conf => "windtrap.viewer_port = $plain_port\nwindtrap.database = 'any'\n");
$plain->safe_psql('postgres', q{CREATE DATABASE "any" ENCODING 'SQL_ASCII' TEMPLATE template0});
$plain->safe_psql('any', 'CREATE EXTENSION windtrap; SELECT windtrap.start()');
ok(wait_for(sub { get('session', undef, port => $plain_port)->{status} == 200 }), 'without preload it begins with windtrap.start()');
$plain->safe_psql('any', q{INSERT INTO log VALUES (now(), ('{"id":"bytes","json":{"app":"x","msg":"a' || chr(200) || 'b"}}')::jsonb, 0)});
is_deeply([ map { $_->{event}{message} } (lines('search', {}, port => $plain_port))[0] ], [ "a\x{FFFD}b" ], 'what is no UTF-8 is shown as U+FFFD');
is((json_of(get('top', { field => 'msg' }, port => $plain_port))->{values} // [])->[0]{value}, "a\x{FFFD}b", 'in counts too');
$plain->safe_psql('any', q{INSERT INTO log SELECT '2026-11-20 12:00+00', ('{"id":"' || chr(200) || n || chr(64 + n) || '","json":{"n":' || n || '}}')::jsonb, 0 FROM generate_series(1, 20) n;
INSERT INTO log SELECT '2026-11-20 12:00+00', jsonb_build_object('id', 'ascii' || n, 'json', jsonb_build_object('n', 20 + n)), 0 FROM generate_series(1, 20) n});
my %page = (since => '2026-11-20', until => '2026-11-21', n => 7);
my @numbers;
for (1 .. 20)
{
	my @found = lines('search', { map { $_ => $page{$_} } grep { defined $page{$_} } keys %page }, port => $plain_port);
	my $end = (pop @found)->{end};
	push @numbers, map { $_->{event}{data}{json}{n} } grep { $_->{event} } @found;
	last if !$end->{next};
	%page = (%page, %{ $end->{next} });
}
is_deeply([ sort { $a <=> $b } @numbers ], [ 1 .. 40 ], 'pages go on behind ids that are no UTF-8, and behind others after these');
is(get('search', { before_time => 'now', before_bytes => $_ }, port => $plain_port)->{status}, 400, "$_ are no bytes of an id") for ('c', 'xx');
$plain->safe_psql('any', 'SELECT windtrap.stop()');
is(get('session', undef, port => $plain_port)->{status}, 599, 'and ends with windtrap.stop()');
$plain->stop;

$node->stop;
$log = log_since($node);
unlike($log, qr/PANIC|TRAP|Assert/, 'nothing has crashed by itself');
is(scalar(() = $log =~ /was terminated by signal/g), scalar(() = $log =~ /was terminated by signal 9/g), 'but what was killed');
done_testing();
