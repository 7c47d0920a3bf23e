# A bad event of a batch costs its neighbours nothing and does not vanish: it is stored
# with what was sent and why it could not be stored as it is, the answer tells which one it
# was, and after a repair it becomes an event like any other.  The same for events that the
# table refuses.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Digest::MD5 qw(md5_hex);
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

my $node = wt_node('quarantine', conf => <<'CONF');
windtrap.repair = off
windtrap.max_event_size = '4kB'
track_commit_timestamp = on
CONF
my $port = wt_port($node);
my $tag = 0;

sub query { return $node->safe_psql('postgres', $_[0]); }

# What a role is told: rows, or the error.
sub query_as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE $role; $sql");
	return $rc == 0 ? $out : $err;
}

# The rows of the last request that a condition holds for.
sub count
{
	my ($condition) = @_;
	return query("SELECT count(*) FROM log WHERE data->'args'->>'t' = '$tag' AND " . ($condition // 'true'));
}

sub post_tagged
{
	my ($body, %o) = @_;
	$tag++;
	return post($port, $body, path => "/log?t=$tag", %o);
}

# The answer's numbers, and what it lists: index and error of each.
sub told
{
	my ($answer) = @_;
	my $j = json_of($answer);
	my $errors = $j->{errors} // [];
	return (join(' ', $answer->{status}, $j->{accepted} // '-', $j->{rejected} // '-',
			'[' . join(',', sort { $a <=> $b } map { $_->{index} } @$errors) . ']'), map { $_->{error} } @$errors);
}

#
# One bad event among good ones
#
my @bad = (
	# name, the event, error, whether it has no place in an array
	[ 'a comma too many', '{"n":2,}', qr/^bad JSON at line 1, column 8: /, 1 ],
	# In values it could go on in the next line, and it is there that it does not.
	[ 'an object that does not end', '{"n":', qr/^bad JSON at line \d, column \d: /, 1 ],
	[ 'text', 'Nov 23 06:00:00 host daemon: hello', qr/^bad JSON at line 1, column 1: /, 1 ],
	[ 'two objects in a line', '{"n":2} {"n":3}', qr/^bad JSON at line 1, column 9: /, 1 ],
	[ '\u0000', '{"n":2,"s":"a\\u0000b"}', qr/^at line 1, column 14: \\u0000 cannot be stored/ ],
	[ 'a lone surrogate', '{"n":2,"s":"\\ud83d"}', qr/lone surrogate/ ],
	[ 'a NUL', "{\"n\":2,\"s\":\"a\0b\"}", qr/NUL/ ],
	[ 'Latin-1', "{\"n\":2,\"s\":\"caf\xE9\"}", qr/0xe9 is not valid UTF-8/ ],
	[ 'cut UTF-8', "{\"n\":2,\"s\":\"\xE2\x82\"}", qr/is not valid UTF-8/ ],
	[ 'a number bomb', '{"n":1e131071}', qr/more than 4096 digits/ ],
	[ 'many numbers', '{"n":[' . '1e4000,' x 3 . '1e99999]}', qr/more than 4096 digits/ ],
	[ 'depth 600', '{"n":' x 600 . '2' . '}' x 600, qr/deeper than 512 levels/ ],
	[ 'an event that is too large', '{"n":2,"s":"' . 'x' x 5000 . '"}', qr/windtrap\.max_event_size, 4096 bytes/ ],
	[ 'one that is too large and not text', '{"n":2,"s":"' . "\xFF" x 5000 . '"}', qr/windtrap\.max_event_size/ ],);
for my $case (@bad)
{
	my ($name, $event, $message, $not_in_array) = @$case;
	my @bodies = ([ 'lines by type', "{\"n\":1}\n$event\n{\"n\":3}\n", 'application/x-ndjson' ]);
	# A value more on its line is an event more where nobody has said that lines are events.
	push @bodies, [ 'lines', "{\"n\":1}\n$event\n{\"n\":3}\n", 'application/json' ] if $name !~ /two objects/;
	push @bodies, [ 'an array', "[{\"n\":1}, $event ,\n{\"n\":3}]", 'application/json' ] if !$not_in_array;
	for my $form (@bodies)
	{
		my ($what, $body, $type) = @$form;
		my $answer = post_tagged($body, type => $type);
		my ($told, $error) = told($answer);
		is($told, '200 2 1 [1]', "$name in $what: the answer");
		like($error // '', $message, "$name in $what: the error");
		is(query(qq{SELECT string_agg(data->'json'->>'n', ' ' ORDER BY data->>'id') FROM log
				WHERE data->'args'->>'t' = '$tag' AND status = 0}), '1 3', "$name in $what: the others are stored");
		my $text = eval { my $copy = $event; utf8::decode($copy) && $copy !~ /\0/ };
		my $raw = $text ? $event : encode_base64($event, '');
		is( query(qq{SELECT status, data->>'encoding', md5(convert_to(data->>'raw', 'UTF8')), data ? 'json', data->>'path'
				FROM log WHERE data->'args'->>'t' = '$tag' AND status <> 0}),
			join('|', 422, $text ? '' : 'base64', md5_hex($raw), 'f', '/log'),
			"$name in $what: it is in quarantine as it was sent");
		is(query(qq{SELECT data->>'error' FROM log WHERE data->'args'->>'t' = '$tag' AND status = 422}), $error // '',
			"$name in $what: with the same error");
	}
}

# An array that is not JSON is refused as a whole.
for my $case (@bad)
{
	my ($name, $event, $message, $not_in_array) = @$case;
	next if !$not_in_array || $name =~ /two/;
	my $answer = post_tagged("[{\"n\":1},\n$event,{\"n\":3}]");
	is($answer->{status}, 400, "$name in an array: 400");
	like(json_of($answer)->{error}, qr/^bad JSON at line 2, column \d+/, "$name in an array: where");
	is(count(), 0, "$name in an array: nothing is stored");
}

#
# What the answer lists
#
{
	my $answer = post_tagged(join('', map { $_ % 6 == 0 ? "{\"n\":$_}\n" : "bad $_\n" } 0 .. 29), type => 'application/x-ndjson');
	my ($told, @errors) = told($answer);
	is($told, '200 5 25 [1,2,3,4,5,7,8,9,10,11]', '25 bad ones of 30: the first 10 are listed');
	is(count('status = 422'), 25, '25 bad ones of 30: all are in quarantine');
	is(count('status = 0'), 5, '25 bad ones of 30: the good ones are stored');

	$answer = post_tagged("bad\n{\"n\":}\n\n[1\n", type => 'application/x-ndjson');
	($told, @errors) = told($answer);
	is($told, '422 0 3 [0,1,2]', 'nothing but bad ones: 422');
	is(count('status = 422'), 3, 'nothing but bad ones: all are in quarantine');
	$answer = post_tagged('[1e99999,"\\u0000"]');
	($told, @errors) = told($answer);
	is($told, '422 0 2 [0,1]', 'nothing but bad ones in an array: 422');
	is(count('status = 422'), 2, 'nothing but bad ones in an array: all are in quarantine');
	$answer = post_tagged("bad\n", type => 'application/x-ndjson');
	is((told($answer))[0], '422 0 1 [0]', 'one line, as NDJSON: a batch');
	is(count('status = 422'), 1, 'one line, as NDJSON: in quarantine');
	$answer = post_tagged(gzip("{\"n\":1}\nbad\n"), type => 'application/x-ndjson', headers => { 'Content-Encoding' => 'gzip' });
	is((told($answer))[0], '200 1 1 [1]', 'compressed: the same');

	# An error that quotes what was sent is JSON, and text, all the same.
	$answer = post_tagged("{\"n\":1}\n\"\x01\n{\"n\":\\}\n\xFF\n", type => 'application/x-ndjson');
	is((told($answer))[0], '200 1 3 [1,2,3]', 'control characters and worse: the answer is JSON');
	# Many lines of rubbish, quickly.
	my $took = elapsed(sub { $answer = post_tagged("x\n" x 20_000, type => 'application/x-ndjson') });
	is((told($answer))[0], '422 0 20000 [0,1,2,3,4,5,6,7,8,9]', '20,000 bad ones: counted');
	within($took, 5, '20,000 bad ones: quickly');
	is(count('status = 422'), 20_000, '20,000 bad ones: stored');
	query(q{DELETE FROM log WHERE data->>'raw' = 'x'});
}

#
# Single events
#
my @single = (
	[ 'bad JSON', 'application/json', '{"n":', 400 ],
	[ '\u0000', 'application/json', '{"n":"\\u0000"}', 400 ],
	[ 'too large', 'application/json', '"' . 'x' x 5000 . '"', 413 ],
	[ 'text that is not text', 'text/plain', "caf\xE9", 400 ],
	[ 'text that is too large', 'text/plain', 'x' x 5000, 413 ],
	[ 'a form that is not text', 'application/x-www-form-urlencoded', 'a=%ff', 400 ],);
query(q{ALTER TABLE log ADD CONSTRAINT not_refused CHECK ((data->'json' ? 'refuse') IS NOT TRUE)});
for my $case (@single, [ 'refused by the table', 'application/json', '{"refuse":1}', 422 ],)
{
	my ($name, $type, $body, $code) = @$case;
	my $answer = post_tagged($body, type => $type);
	is($answer->{status}, $code, "a single event, $name: $code");
	like($answer->{content}, qr/^\{"error":"[^\n]+"\}\n\z/, "a single event, $name: the error");
	is(count(), 0, "a single event, $name: nothing is stored");
}
alter_system($node, 'windtrap.quarantine_single' => 'on');
ok(wait_for(sub { post_tagged('{"n":'); count() == 1 }), 'windtrap.quarantine_single = on');
for my $case (@single, [ 'refused by the table', 'application/json', '{"refuse":1}', 422 ],)
{
	my ($name, $type, $body, $code) = @$case;
	my $answer = post_tagged($body, type => $type);
	is($answer->{status}, $code, "quarantine_single, $name: $code as before");
	like($answer->{content}, qr/^\{"error":"[^\n]+"\}\n\z/, "quarantine_single, $name: the error");
	my $raw = $body =~ /[\x80-\xFF]/ ? encode_base64($body, '') : $body;
	is(query(qq{SELECT status, md5(data->>'raw') FROM log WHERE data->'args'->>'t' = '$tag'}),
		'422|' . md5_hex($raw), "quarantine_single, $name: it is in quarantine");
}
is(post_tagged('{"n":1}')->{content}, qq({"accepted":1}\n), 'quarantine_single: a good event');
is(count('status = 0'), 1, 'quarantine_single: is stored as ever');
is(post_tagged('')->{status}, 400, 'quarantine_single: an empty body');
is(count(), 0, 'quarantine_single: is no event');

#
# Events that the table refuses
#
my @batch = map { qq({"n":$_,"key":"k$_","severity":"good"}) } 0 .. 499;
my @ways = (
	# name, SQL, the bad event, error
	[ 'CHECK', q{ALTER TABLE log ADD CONSTRAINT severity_is_known CHECK (data->'json'->>'severity' <> 'bad')},
		'{"n":300,"severity":"bad"}', qr/violates check constraint "severity_is_known"/ ],
	[ 'a trigger', q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF new.data->'json'->>'severity' = 'bad' THEN RAISE EXCEPTION 'not "that"'; END IF; RETURN new; END $$;
		CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()},
		'{"n":300,"severity":"bad"}', qr/not "that"/ ],
	[ 'a deferred trigger', q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF new.data->'json'->>'severity' = 'bad' THEN RAISE EXCEPTION 'not even later'; END IF; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER no AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no()},
		'{"n":300,"severity":"bad"}', qr/not even later/ ],
	[ 'a unique index', q{DROP TABLE log; CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int);
		CREATE UNIQUE INDEX one_key ON log ((data->'json'->>'key'))},
		'{"n":300,"key":"k7"}', qr/duplicate key value violates unique constraint "one_key"/ ],);
for my $way (@ways)
{
	my ($name, $sql, $event, $message) = @$way;
	query('DROP TABLE log; SELECT windtrap.create_log_table()');
	query($sql);
	my @events = @batch;
	$events[300] = $event;
	for my $form ([ 'lines', join("\n", @events), 'application/x-ndjson' ], [ 'an array', '[' . join(',', @events) . ']', 'application/json' ])
	{
		my ($what, $body, $type) = @$form;
		query('TRUNCATE log');
		my $answer = post_tagged($body, type => $type);
		my ($told, $error) = told($answer);
		is($told, '200 499 1 [300]', "$name, $what: the answer");
		like($error // '', $message, "$name, $what: the error");
		is(count('status = 0'), 499, "$name, $what: the others are stored");
		is(query(qq{SELECT data->>'raw' FROM log WHERE status = 422 AND data->>'error' = '@{[ ($error // '') =~ s/'/''/gr ]}'}),
			$event, "$name, $what: it is in quarantine");
		is(query(q{SELECT count(*), count(DISTINCT pg_xact_commit_timestamp(xmin)) FROM log}), '500|1',
			"$name, $what: all in one transaction");
	}
	query('DROP FUNCTION IF EXISTS no CASCADE');
}

# Of two events with one key the first one counts.
{
	my $answer = post_tagged(qq({"key":"same","n":1}\n{"key":"other"}\n{"key":"same","n":2}\n));
	is((told($answer))[0], '200 2 1 [2]', 'two events with one key: the second is refused');
}

# Many bad ones of both kinds.
query(q{DROP TABLE log; SELECT windtrap.create_log_table();
	ALTER TABLE log ADD CONSTRAINT severity_is_known CHECK (data->'json'->>'severity' <> 'bad')});
{
	my @events = @batch;
	$events[$_] = qq({"n":$_,"severity":"bad"}) for 0, 250, 499;
	$events[$_] = qq({"n":$_) for 1, 251;
	my $answer = post_tagged(join("\n", @events), type => 'application/x-ndjson');
	is((told($answer))[0], '200 495 5 [0,1,250,251,499]', 'bad ones of both kinds: the answer');
	is(count('status = 0'), 495, 'bad ones of both kinds: the others are stored');
	is(count('status = 422'), 5, 'bad ones of both kinds: all are in quarantine');

	# Each is found by a statement of its own, for as long as its sender waits: fewer beneath memcheck.
	my $n = $ENV{WT_VALGRIND} ? 50 : 500;
	my $took = elapsed(sub { $answer = post_tagged(qq({"severity":"bad"}\n) x $n, type => 'application/x-ndjson') });
	is((told($answer))[0], "422 0 $n [0,1,2,3,4,5,6,7,8,9]", "all $n refused by the table: 422");
	is(count('status = 422'), $n, "all $n refused by the table: all are in quarantine");
	within($took, 5, "all $n refused by the table: quickly");

	# Those who happen to share the transaction.
	my @neighbours = map { connect_to($port) } 1 .. 20;
	my $slow = in_background(sub { return exchange($port, join("\n", @events), path => '/log?t=neighbours') });
	$neighbours[$_]->request(qq({"neighbour":$_})) for 0 .. $#neighbours;
	is(scalar(grep { ($_->response // { status => 0 })->{status} == 200 } @neighbours), 20, 'neighbours of a bad batch: accepted');
	is($slow->()->{status}, 200, 'and the batch too');
}

# The stand-in may be refused as well.
query(q{ALTER TABLE log ADD CONSTRAINT has_json CHECK (data ? 'json') NOT VALID});
{
	my @events = @batch;
	$events[300] = '{"severity":"bad"}';
	my ($told, $error) = told(post_tagged(join("\n", @events), type => 'application/x-ndjson'));
	is($told, '200 499 1 [300]', 'no stand-ins: the answer');
	like($error // '', qr/severity_is_known/, 'no stand-ins: the error is that of the event');
	is(count('status = 0'), 499, 'no stand-ins: the others are stored');
	is(count('status <> 0'), 0, 'no stand-ins: nothing is in quarantine');
	($told, $error) = told(post_tagged(qq({"n":1}\nrubbish\n{"n":2}\n), type => 'application/x-ndjson'));
	is($told, '200 2 1 [1]', 'no stand-ins, bad JSON: the answer');
	is(count(), 2, 'no stand-ins, bad JSON: the others are stored');
	is(post_tagged('{"severity":"bad"}')->{status}, 422, 'no stand-ins, a single event: 422');
	($told) = told(post_tagged(qq({"severity":"bad"}\nrubbish\n), type => 'application/x-ndjson'));
	is($told, '422 0 2 [0,1]', 'no stand-ins, nothing good: 422');
	is(count(), 0, 'no stand-ins, nothing good: nothing is stored');
}

#
# A second try
#
query(q{DROP TABLE log; SELECT windtrap.create_log_table();
	ALTER TABLE log ADD CONSTRAINT severity_is_known CHECK (data->'json'->>'severity' <> 'bad')});
post_tagged(qq({"n":0}\n{"n":1,}\n{"n":2,"s":"\xE9"}\n{"n":3}}\n{"n":4,"severity":"bad"}\n{"n":5,"s":"\xE8"}\n), type => 'application/x-ndjson');
is(query(q{SELECT count(*) FROM windtrap.quarantine}), 5, 'the view has those in quarantine');
is(query(q{SELECT string_agg(raw, ' ' ORDER BY id) FROM windtrap.quarantine WHERE encoding IS NULL}),
	'{"n":1,} {"n":3}} {"n":4,"severity":"bad"}', 'the view has what was sent');
is(query(q{SELECT bool_and(error = data->>'error' AND event_timestamp = (data->>'time')::timestamptz AND id = data->>'id') FROM windtrap.quarantine}),
	't', 'the view has all the rest');

# The ids, by the numbers of the events.
my %raw = split /\n/, query(q{SELECT string_agg(id || E'\n' || coalesce(encoding, '') || raw, E'\n') FROM windtrap.quarantine});
my @id;
for my $id (keys %raw)
{
	my $raw = $raw{$id} =~ s/^base64// ? decode_base64($raw{$id}) : $raw{$id};
	$id[ $1 ] = $id if $raw =~ /"n":(\d)/;
}
my $state = q{SELECT string_agg(coalesce(data->'json'->>'n', 'in quarantine'), ' ' ORDER BY data->'json'->>'n' NULLS LAST) FROM log};
is(query(q{SELECT count(*), count(error) FROM windtrap.retry_quarantined()}), '5|5', 'without a repair all stay');
is(query($state), '0' . ' in quarantine' x 5, 'as they are');
is(query(q{SELECT count(*) FROM windtrap.retry_quarantined('{}')}), 0, 'no ids: none is tried');
is(query(q{SELECT count(*) FROM windtrap.retry_quarantined('{nobody}')}), 0, 'an id that is not there: none is tried');
query(qq{UPDATE log SET data = jsonb_set(data, '{raw}', '"{\\"n\\":1}"') WHERE data->>'id' = '$id[1]'});
query(qq{UPDATE log SET data = jsonb_set(data, '{raw}', '"{\\"n\\":3}"') WHERE data->>'id' = '$id[3]'});
is(query(qq{SELECT id, error FROM windtrap.retry_quarantined(ARRAY['$id[1]'])}), "$id[1]|", 'one that is repaired is moved');
is(query($state), '0 1' . ' in quarantine' x 4, 'it alone');
is( query(qq{SELECT status, data->'json', data ?| '{raw,error,encoding}', data->>'path', data->'args'->>'t', event_timestamp = (data->>'time')::timestamptz
		FROM log WHERE data->>'id' = '$id[1]'}),
	qq(0|{"n": 1}|f|/log|$tag|t), 'and is an event like any other');
# One stays base64, the other becomes text.
query(qq{UPDATE log SET data = jsonb_set(data, '{raw}', to_jsonb(encode('{"n":2}', 'base64'))) WHERE data->>'id' = '$id[2]'});
query(qq{UPDATE log SET data = jsonb_set(data, '{raw}', '"{\\"n\\":5}"') - 'encoding' WHERE data->>'id' = '$id[5]'});
is( query(q{SELECT string_agg(id, ' ' ORDER BY id), string_agg(error, ' ') FROM windtrap.retry_quarantined() WHERE error IS NULL}),
	join(' ', sort @id[ 2, 3, 5 ]) . '|', 'all that are repaired are moved');
is(query($state), '0 1 2 3 5 in quarantine', 'each as what it is now');
is(query(q{SELECT count(*) FROM log WHERE status = 0 AND data ?| '{raw,error,encoding}'}), 0, 'without what stood in for it');
like(query(qq{SELECT id, error FROM windtrap.retry_quarantined()}), qr/^\Q$id[4]\E\|.*severity_is_known/, 'what the table refuses stays, and why');
query('ALTER TABLE log DROP CONSTRAINT severity_is_known');
query(q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'not yet' USING ERRCODE = 'WT001'; END $$;
	CREATE TRIGGER no BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION no()});
is(eval { query(qq{SELECT id, error FROM windtrap.retry_quarantined()}) } // $@, "$id[4]|not yet",
	'what a trigger refuses, with whatever code, stays, and why');
query('DROP FUNCTION no CASCADE');
is(query(qq{SELECT id, error FROM windtrap.retry_quarantined(NULL)}), "$id[4]|", 'what the table accepts now is moved');
is(query($state), '0 1 2 3 4 5', 'all are events');
is(query(q{SELECT count(*) FROM windtrap.quarantine}), 0, 'the view is empty');

# What is no JSON was an event nevertheless.
query(q{ALTER TABLE log ADD CONSTRAINT not_now CHECK (NOT data ? 'json') NOT VALID});
for my $case ([ 'text', 'text/plain', 'hello, world', 'hello, world' ],
	[ 'a form', 'application/x-www-form-urlencoded', 'app=cron&n=1', '{"n": "1", "app": "cron"}' ],
	[ 'a string', 'application/json', '"hello"', 'hello' ],)
{
	my ($name, $type, $body, $event) = @$case;
	is(post_tagged($body, type => $type)->{status}, 422, "$name that the table refuses: 422");
	is(count('status = 422'), 1, "$name that the table refuses: in quarantine");
	query('ALTER TABLE log RENAME CONSTRAINT not_now TO not_later');
	query('ALTER TABLE log DROP CONSTRAINT not_later');
	is(query(qq{SELECT error FROM windtrap.retry_quarantined((SELECT array_agg(data->>'id') FROM log WHERE data->'args'->>'t' = '$tag'))}),
		'', "$name when the table accepts it: moved");
	is(query(qq{SELECT data->>'json' FROM log WHERE data->'args'->>'t' = '$tag'}), $event, "$name when the table accepts it: as it would have been");
	query(q{ALTER TABLE log ADD CONSTRAINT not_now CHECK (NOT data ? 'json') NOT VALID});
}
query('ALTER TABLE log DROP CONSTRAINT not_now');

# A user's own rows of status 422 are none of ours.
query(q{INSERT INTO log VALUES (now(), '{"id":"mine","json":{"a":1}}', 422)});
is(query(q{SELECT count(*) FROM windtrap.quarantine WHERE id = 'mine'}), 0, 'an event that somebody has given the status 422 is no quarantined one');
is(query(q{SELECT count(*) FROM windtrap.retry_quarantined('{mine}')}), 0, 'and is left alone');

#
# Who may
#
query(q{TRUNCATE log; CREATE ROLE nobody; CREATE ROLE reader; CREATE ROLE keeper;
	GRANT SELECT ON log TO reader; GRANT SELECT, UPDATE ON log TO keeper;
	GRANT EXECUTE ON FUNCTION windtrap.retry_quarantined(text[]) TO keeper, reader});
post_tagged(qq({"n":1}\n{"n":2,"secret":}\n), type => 'application/x-ndjson');
like(query_as('nobody', 'SELECT * FROM windtrap.quarantine'), qr/permission denied for table log/, 'without rights on the log: nothing is seen');
is(query_as('reader', 'SELECT raw FROM windtrap.quarantine'), '{"n":2,"secret":}', 'who may read the log sees it');
like(query_as('nobody', 'SELECT * FROM windtrap.retry_quarantined()'), qr/permission denied for function/, 'retry_quarantined() is not for everybody');
query(q{UPDATE log SET data = jsonb_set(data, '{raw}', '"{\"n\":2}"') WHERE status = 422});
like(query_as('reader', 'SELECT * FROM windtrap.retry_quarantined()'), qr/permission denied for table log/, 'and gives nobody more rights than he has');
is(query_as('keeper', 'SELECT error FROM windtrap.retry_quarantined()'), '', 'who may change the log may use it');
is(count('status = 0'), 2, 'and has');
query('ALTER TABLE log ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON log TO reader USING (false)');
post_tagged("bad\n", type => 'application/x-ndjson');
is(query_as('reader', 'SELECT count(*) FROM windtrap.quarantine'), 0, 'row-level security holds for the view');

query('ALTER TABLE log RENAME TO old');
is(query('SELECT count(*) FROM windtrap.quarantine'), 0, 'without a table the view is empty');
is(query('SELECT count(*) FROM windtrap.retry_quarantined()'), 0, 'and there is nothing to try');
query('CREATE SCHEMA "My Schema"');
alter_system($node, 'windtrap."table"' => '"My Schema"."My Log"');
ok( wait_for(sub { post($port, "bad\n{}\n", type => 'application/x-ndjson')->{status} == 200
			  && query(q{LOAD 'windtrap'; SELECT count(*) FROM windtrap.quarantine}) > 0 }),
	'a table of another name and schema');
query(q{UPDATE "My Schema"."My Log" SET data = jsonb_set(data, '{raw}', '{}'::jsonb::text::jsonb) WHERE status = 422});
is(query(q{SELECT count(*) FILTER (WHERE error IS NULL) > 0 AND count(error) = 0 FROM windtrap.retry_quarantined()}), 't', 'is repaired in the same way');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
