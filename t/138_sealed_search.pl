# Searching sealed partitions: what windtrap's own functions find in them is what they found before,
# and what events are called is found without reading whole documents.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('sealed_search', preload => 0);

sub query { return $node->safe_psql('postgres', $_[0]); }

query(q{CREATE EXTENSION windtrap; SELECT windtrap.create_log_table()});

#
# What events are called
#
# Documents with all the names that the functions know, and some more, at all the places where they
# look: of each function it is asked by itself, for what another one reads hides what is missing.
my %names;
foreach my $file ("$FindBin::RealBin/../src/views/severity.c", "$FindBin::RealBin/../src/views/fields.c")
{
	my $source = slurp_file($file);
	$names{$_} = 1 foreach grep { !/[%\s\/]/ } $source =~ /"([^"\\\n]{1,30})"/g;
}
my @names = sort keys %names;
cmp_ok(scalar @names, '>', 100, scalar(@names) . ' names');
srand(137);
my @values = ('"error"', '"warn"', '"shop"', '"billing[7]"', '""', '"INFO+2"', '"e"', 3, 7, 17, 20, 30, 60, 300, 20000, 30000, '"4"', 'null', 'true', '[]', '[{"level": "error"}]', '{}',
	'{"level": "fatal", "name": "warning", "levelStr": "debug"}', '{"name": "inner", "level": 20000, "message": "m", "hostname": "h", "container_name": "c", "logger": "l", "host": "i"}', '"x\\u0041 text"');
my @places = ([], ['json'], ['json'], ['json'], [ 'json', 'attributes' ], [ 'json', 'body' ], [ 'json', 'line' ], [ 'json', 'record' ], [ 'json', 'log' ], [ 'otlp', 'resource', 'attributes' ], [ 'loki', 'labels' ], [ 'loki', 'metadata' ], ['hec'], ['cloudevents']);

sub document
{
	my ($n) = @_;
	my %document = (json => {});

	$document{protocol} = ('otlp', 'gelf', 'hec', 'loki')[ rand 4 ] if rand() < 0.5;
	foreach (1 .. 1 + rand 4)
	{
		my $at = \%document;
		foreach my $key (@{ $places[ rand @places ] })
		{
			$at->{$key} = {} if ref($at->{$key} // {}) ne 'HASH' || !exists $at->{$key};
			$at = $at->{$key};
		}
		$at->{ $names[ rand @names ] } = JSON::PP->new->allow_nonref->decode($values[ rand @values ]);
	}
	# Now and then the event, or a part of it, is something else than an object.
	$document{json} = JSON::PP->new->allow_nonref->decode($values[ rand @values ]) if rand() < 0.03;
	$document{ ('otlp', 'loki', 'hec')[ rand 3 ] } = JSON::PP->new->allow_nonref->decode($values[ rand @values ]) if rand() < 0.03;
	return JSON::PP->new->canonical->encode(\%document);
}
query(q{CREATE TABLE names (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status integer) PARTITION BY RANGE (event_timestamp);
	CREATE TABLE names_1 PARTITION OF names FOR VALUES FROM ('2026-11-01') TO ('2026-11-02')});
my $copy = join('', map { my $d = document($_); $d =~ s/\\/\\\\/g; sprintf("2026-11-01 10:%02d:%02d.%06d\t%s\t0\n", $_ / 600, $_ / 10 % 60, $_, $d) } 0 .. 20_000);
query("COPY names FROM stdin;\n$copy\\.\n");
query(q{CREATE TABLE plain AS SELECT * FROM names; SELECT windtrap.seal('names_1')});
foreach my $function ('severity', 'app', 'sender_host')
{
	my $differ = query(qq{SELECT count(*) FROM (SELECT event_timestamp, windtrap.$function(data) AS f FROM names) a FULL JOIN
		(SELECT event_timestamp, windtrap.$function(data) AS f FROM plain) b USING (event_timestamp) WHERE a.f IS DISTINCT FROM b.f});
	is($differ, '0', "windtrap.$function() of parts of documents gives what it gives of the whole");
	cmp_ok(query("SELECT count(DISTINCT windtrap.$function(data)) FROM names"), '>', 3, '... and different things');
	like(query("EXPLAIN SELECT windtrap.$function(data) FROM names"), qr/Documents: (?!whole)\S/, '... which is not read');
	is( query(qq{SET enable_partitionwise_aggregate = on; SELECT count(*) FROM ((SELECT windtrap.$function(data), count(*) FROM names GROUP BY 1) EXCEPT (SELECT windtrap.$function(data), count(*) FROM plain GROUP BY 1)) x}),
		'0', '... counted, it is the same');
}

#
# Functions of search
#
query(join('', map { "CREATE TABLE log_202611$_ PARTITION OF log FOR VALUES FROM ('2026-11-$_ 00:00+00') TO ('2026-11-" . sprintf('%02d', $_ + 1) . " 00:00+00');" } '09' .. '12'));
query(q{INSERT INTO log SELECT '2026-11-10'::timestamptz + n * interval '7 seconds',
	jsonb_build_object('id', 'i' || md5(n::text), 'ip', '10.0.0.' || n % 3, 'headers', jsonb_build_object('user-agent', 'curl/' || n % 4), 'protocol', 'json', 'json', jsonb_build_object(
	'app', (ARRAY['shop', 'mail', 'queue'])[1 + n % 3], 'level', (ARRAY['info', 'warn', 'error', 'debug'])[1 + (hashint4(n) & 3)], 'n', n,
	'order', jsonb_build_object('total', round(n / 7.0, 2)), 'message', 'order ' || n || ' of ' || n % 50 || CASE WHEN n % 1000 = 0 THEN ' timeout' ELSE '' END)), n % 2
FROM generate_series(0, 30000) n});
my @searches = (
	(map { "SELECT * FROM windtrap.search($_, '2026-11-10', '2026-11-13', 50)" } ("''", "'timeout'", "'severity:error app:mail'", "'order.total:>4000'", "'status:1 n:<20'", "'\"order 777 of\"'", "'\@headers.user-agent:curl/3 -severity:info'", "'host:10.0.0.1'", "'id:i' || md5('500')")),
	(map { "SELECT * FROM windtrap.histogram('', '2026-11-10', '2026-11-13', 9, $_)" } ('NULL', "'severity'", "'app'", "'status'", "'\@headers.user-agent'")),
	"SELECT * FROM windtrap.histogram('severity:error', '2026-11-10 05:00', '2026-11-12 03:00', 7)",
	(map { "SELECT * FROM windtrap.top_values('', $_, '2026-11-10', '2026-11-13')" } ("'severity'", "'app'", "'host'", "'status'", "'\@headers.user-agent'", "'n'")),
	"SELECT * FROM windtrap.top_values('timeout', 'app', '2026-11-10', '2026-11-13')", "SELECT name, type FROM windtrap.fields('', '2026-11-10', '2026-11-13')",
	"SELECT count(*), min(id), max(message), count(severity), count(host) FROM windtrap.events WHERE event_timestamp < '2026-11-13' AND event_timestamp >= '2026-11-10'",
	"SELECT severity, count(*) FROM windtrap.events WHERE event_timestamp < '2026-11-13' GROUP BY 1 ORDER BY 1");
my @before = map { query($_) } @searches;
cmp_ok(scalar(grep { $_ ne '' } @before), '==', scalar @before, 'each finds something');
my $sealed = 0;
foreach my $day ('09' .. '12')
{
	$sealed += query("SELECT windtrap.seal('log_202611$day')");
}
is($sealed, 30_001, 'they are sealed');
my @after = map { query($_) } @searches;
is($after[$_], $before[$_], $searches[$_]) foreach 0 .. $#searches;
is( query(q{CREATE FUNCTION pages(size int, OUT n bigint, OUT d bigint) LANGUAGE plpgsql AS $$
	DECLARE t timestamptz; i text; ids text[] := '{}'; page text[]; BEGIN
		LOOP
			SELECT array_agg(id), (array_agg(event_timestamp ORDER BY o DESC))[1], (array_agg(id ORDER BY o DESC))[1] INTO page, t, i
			FROM windtrap.search('app:shop', '2026-11-10', '2026-11-13', size, t, i) WITH ORDINALITY AS s (event_timestamp, id, severity, app, host, message, source, data, status, o);
			EXIT WHEN page IS NULL;
			ids := ids || page;
		END LOOP;
		SELECT count(*), count(DISTINCT x) INTO n, d FROM unnest(ids) x;
	END $$; SELECT * FROM pages(900)}),
	'10001|10001', 'in pages nothing is lost or doubled');

# As the page asks.
my $explain = query(q{SET enable_partitionwise_aggregate = on; EXPLAIN (ANALYZE, VERBOSE) SELECT severity, count(*) FROM windtrap.events WHERE event_timestamp < '2026-11-13' GROUP BY 1});
like($explain, qr/Aggregated Partition: log_2026/, 'severities are counted where the chunks are') or diag $explain;

#
# What is new
#
query(q{SELECT windtrap.create_log_table()});
my $cursor = query(q{SELECT cursor FROM windtrap.tail('') WHERE cursor IS NOT NULL});
ok($cursor, 'the log has sealed partitions, and what is new can be asked for');
my $today = query(q{SELECT 'log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')});
query(q{INSERT INTO log VALUES (now() - interval '2 seconds', '{"id": "first", "json": {"app": "shop"}}', 0)});
my $leaf = query(q{SELECT tableoid::regclass FROM log WHERE data->>'id' = 'first'});
isnt($leaf, '', "it is in $leaf");

sub look
{
	my ($query) = @_;
	my @rows = split /\n/, query(qq{SELECT coalesce(id, '') || '=' || coalesce(cursor, '') FROM windtrap.tail($query, '$cursor')});
	my ($last) = $rows[-1] =~ /^=(.*)$/;
	$cursor = $last;
	return join(' ', map { (split /=/)[0] } grep { /^[^=]/ } @rows);
}
is(look("''"), 'first', 'a new event');
query("SELECT windtrap.seal('$leaf')");
is(query("SELECT relkind FROM pg_class WHERE oid = '$leaf'::regclass"), 'f', 'its partition is sealed');
is(look("''"), '', 'what was sealed is not new');
query(q{INSERT INTO log VALUES (now() - interval '20 seconds', '{"id": "late", "json": {"app": "shop"}}', 0)});
is(look("'app:shop'"), 'late', 'what comes late into a sealed partition is');
is(look("''"), '', 'once');
query(q{UPDATE log SET status = 1 WHERE data->>'id' = 'first'});
is(look("''"), '', 'a row that is changed is not');
is(query(q{SELECT xmin <> '2' FROM log WHERE data->>'id' = 'late'}), 't', 'a late row has its xmin');
query(q{UPDATE log SET data = data || '{"changed": true}', status = 2 WHERE data->>'id' IN ('first', 'late')});
is(look("''"), '', 'nor are rows whose data are changed');

# Rows that go from one table to another, between two looks, before the first one and after it.
sub late { my ($id) = @_; query(qq{INSERT INTO log VALUES (now() - interval '20 seconds', '{"id": "$id", "json": {"app": "shop"}}', 0)}); return; }

my $earlier = $cursor;
late('merged');
query(q{ALTER SYSTEM SET windtrap.seal_after = '100 years'; SELECT pg_reload_conf(); SELECT windtrap.start()});
ok(wait_for(sub { query("SELECT pg_reload_conf(), windtrap.upkeep()"); query("SELECT NOT EXISTS (SELECT FROM ${leaf}_late)") eq 't' }, 60), 'late rows are taken into chunks');
query(q{SELECT windtrap.stop(); ALTER SYSTEM SET windtrap.seal_after = ''; SELECT pg_reload_conf()});
is(look("''"), 'merged', 'one that has not been seen yet is given');
is(look("''"), '', 'once');
late('late 2');
query(q{DELETE FROM log WHERE data->>'id' = 'first'; SELECT windtrap.erase('} . $leaf . q{')});
is(look("''"), 'late 2', 'chunks are written anew');
late('late 3');
query("SELECT windtrap.unseal('$leaf')");
is(query("SELECT relkind FROM pg_class WHERE oid = '$leaf'::regclass"), 'r', 'the partition is unsealed');
is(look("''"), 'late 3', 'late rows that were seen are not given again, another is');
late('fresh');
query("SELECT windtrap.seal('$leaf')");
is(look("''"), 'fresh', 'what comes right before its partition is sealed is given');
query("SELECT windtrap.unseal('$leaf'); SELECT windtrap.seal('$leaf'); SELECT windtrap.unseal('$leaf')");
is(look("''"), '', 'once');
$cursor = $earlier;
is(join(' ', sort split / (?=late|merged|fresh)/, look("''")), 'fresh late 2 late 3 merged', 'after an earlier look all of them');

done_testing();
