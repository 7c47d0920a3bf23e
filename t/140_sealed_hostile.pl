# Chunks with the right checksums whose contents lie (lying_chunks.c), which their owner may have
# made: whatever is asked of them is an answer, or an error that names table and chunk, in
# bounded time and memory.  And nobody reads by them what he may not.
#
# WT_SEALED_LIES=5000 does so many, WT_SEALED_SEED=7 others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(realpath);
use IPC::Run ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use OddDocuments;

my $lies = $ENV{WT_SEALED_LIES} || 30;
my $seed = $ENV{WT_SEALED_SEED} || 20261127;
my $top = realpath("$FindBin::RealBin/..");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $liar = "$dir/lying_chunks";

ok(IPC::Run::run([ 'gcc', '-std=gnu11', '-O1', '-g', "-I$top/src", '-o', $liar, "$FindBin::RealBin/lying_chunks.c",
		glob("$top/src/column/*.c"), '-lzstd' ]), 'what lies is built');

my $node = wt_node('sealed_hostile', conf => "windtrap.seal_after = ''\nfsync = off\nrestart_after_crash = off\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

# The error of a statement.
sub error_of
{
	my (undef, undef, $error) = $node->psql('postgres', $_[0], on_error_stop => 1);
	return $error || 'no error';
}

query(<<'SQL');
SELECT windtrap.create_log_table();
SELECT count(*) FROM windtrap.upkeep(now() - interval '4 days');
ALTER TABLE log ADD COLUMN n bigint, ADD note text, ADD span int4range;
CREATE TABLE sent (n bigint, microseconds bigint, data jsonb, status integer);
SQL
my $day = query("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYYMMDD')");
my $partition = "log_$day";
my $chunks = "${partition}_sealed";

open my $rows, '>:raw', "$dir/rows" or die "$dir/rows: $!";
OddDocuments->new($seed)->write_rows($rows, 150);
close $rows or die "$dir/rows: $!";
query("\\copy sent FROM '$dir/rows'");
query(<<"SQL");
INSERT INTO log SELECT ('$day'::date::timestamp AT TIME ZONE 'UTC') + microseconds * interval '1 microsecond', data, coalesce(status, 0), n,
	'note ' || n % 9, int4range(n::int, n::int + 9)
FROM sent WHERE length(data::text) < 2000 OR n % 40 = 0 AND length(data::text) < 20000;
SELECT windtrap.seal('$partition');
UPDATE log SET status = 5 WHERE n % 7 = 0;
DELETE FROM log WHERE n % 11 = 0;
UPDATE log SET data = '{"changed":true}' WHERE n % 51 = 0;
CREATE TABLE body AS SELECT chunk, part, body FROM $chunks;
SQL
my $chunk = query('SELECT min(chunk) FROM body');
is(query('SELECT count(DISTINCT chunk) FROM body'), 1, 'there is a chunk');

# What is done to it; each by itself.
my @deeds = (
	'SELECT md5(string_agg(t::text, $$,$$)) FROM log t',
	'SELECT count(*) FROM log',
	q{SELECT count(*) FROM log WHERE data->'json'->>'message' LIKE '%port 2%' OR status = 5},
	q{SELECT count(*) FROM log WHERE data @> '{"json": {"app": "shop"}}' OR note ILIKE 'NOTE 3' OR n < 30},
	q{SELECT count(*) FROM log WHERE (data->'json'->>'duration')::numeric > 3 OR span @> 7},
	q{SELECT string_agg(a || c, ',') FROM (SELECT data->'json'->>'app' AS a, note, count(*) AS c, min(event_timestamp), max(status) FROM log GROUP BY 1, 2) g},
	q{SELECT string_agg(t || ':' || c, ',') FROM (SELECT date_trunc('hour', event_timestamp) AS t, count(*) AS c, max(event_timestamp) FROM log GROUP BY 1) g},
	# Of a chunk of which nothing was changed since: by its dictionaries.
	"DELETE FROM $chunks WHERE part < 0; SELECT DISTINCT data->'host' FROM log; SELECT count(DISTINCT data->'json'->>'app') FROM log; SELECT note, count(*) FROM log GROUP BY 1",
	'SELECT string_agg(t::text, $$,$$) FROM (SELECT * FROM log ORDER BY event_timestamp DESC LIMIT 20) t',
	q{SELECT count(*) FROM log WHERE event_timestamp > now() - interval '60 hours' AND event_timestamp < now() - interval '50 hours'},
	'SELECT string_agg(DISTINCT ctid::text || tableoid || xmin, $$,$$) FROM log WHERE n < 50',
	q{SELECT count(*) FROM windtrap.search('connection', now() - interval '9 days', now(), 50)},
	q{SELECT string_agg(t::text, ',') FROM windtrap.fields('', now() - interval '9 days', now()) t},
	'UPDATE log SET status = 7 WHERE n % 2 = 0',
	q{UPDATE log SET data = data || '{"x": 1}' WHERE n % 3 = 0},
	'DELETE FROM log WHERE n % 5 = 0',
	'SELECT count(*) FROM (SELECT FROM log WHERE n % 4 = 0 FOR UPDATE) t',
	'ANALYZE log',
	"SELECT windtrap.erase('$partition')",
	"SELECT windtrap.unseal('$partition')",
	q{SELECT count(*) FROM windtrap.upkeep(now())});

query(<<'SQL');
CREATE FUNCTION attempt(deed text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; context text;
BEGIN
	IF deed LIKE 'SELECT%' THEN EXECUTE deed INTO answer; ELSE EXECUTE deed; END IF;
	RAISE EXCEPTION SQLSTATE 'WT000' USING MESSAGE = 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RETURN SQLSTATE || ' ' || SQLERRM || ' ' || context;
END $$;
CREATE TABLE deed (n integer, deed text);
CREATE TABLE lie (n integer, part integer, body bytea);
SQL
{
	open my $file, '>', "$dir/deeds" or die;
	print $file "$_\t$deeds[$_]\n" for 0 .. $#deeds;
	close $file;
	query("\\copy deed FROM '$dir/deeds'");
}

# Makes chunks that lie; what they lie about.
sub make_lies
{
	my (@arguments) = @_;
	my $parts = query('SELECT part || $$ $$ || encode(body, $$hex$$) FROM body') . "\n";
	my ($out, $error, @about);

	IPC::Run::run([ $liar, $chunk, @arguments ], '<', \$parts, '>', \$out, '2>', \$error) or die $error;
	open my $file, '>', "$dir/lies" or die;
	for (split /\n/, $out)
	{
		if (/^lie(.*)/) { push @about, $1; }
		elsif (/^(-?\d+) (.*)/) { print $file "$#about\t$1\t\\\\x$2\n"; }
	}
	close $file;
	query("TRUNCATE lie");
	query("\\copy lie FROM '$dir/lies'");
	return @about;
}

# Puts a lie in the chunk's place, does everything to it, and undoes it: [number of the deed, what came of it] each.
sub believe
{
	my ($lie, $deeds) = @_;
	my ($code, $lines, $error) = $node->psql('postgres', <<"SQL");
SET statement_timeout = '60s';
SET enable_partitionwise_aggregate = on;
SET max_parallel_workers_per_gather = 0;
BEGIN;
DELETE FROM $chunks;
INSERT INTO $chunks SELECT $chunk, part, body FROM lie WHERE n = $lie;
SELECT n || '|' || replace(attempt(deed), E'\\n', ' ') FROM deed WHERE $deeds ORDER BY n;
ROLLBACK;
SQL
	is($code, 0, "the server lives after lie $lie") or diag(substr $error, 0, 500);
	return map { [ split /\|/, $_, 2 ] } split /\n/, $lines;
}

# The chunk is named, but where PostgreSQL itself finds that rows are not fit for the partition.
my $fine = qr/^(?:WT000 |\w{5} .*chunk \d+ of "$chunks"|XX001 .*"$chunks"|(?:23502|23514) .*"$partition)/;

{
	my @about = make_lies($seed, $lies);
	my (@wrong, %states);

	is(scalar @about, $lies, 'chunks that lie');
	for my $lie (0 .. $#about)
	{
		for (believe($lie, 'true'))
		{
			my ($deed, $became) = @$_;
			$states{ substr $became, 0, 5 }++;
			push @wrong, "seed @{[ $seed + $lie ]} ($about[$lie]): $deeds[$deed]: " . substr $became, 0, 400 if $became !~ $fine;
		}
	}
	note(join ' ', map { "$_: $states{$_}" } sort keys %states);
	is(join("\n", @wrong), '', 'what comes of them are answers, or errors that name table and chunk');
}

# A small chunk that asks for much: the same large text, or key, in documents of many shapes.
for my $what ('constant', 'keys')
{
	make_lies($what, 1);
	cmp_ok(query('SELECT sum(length(body)) FROM lie'), '<', 20_000, "$what: a small chunk");
	my $peak = query(<<"SQL");
SET max_parallel_workers_per_gather = 0;
BEGIN;
DELETE FROM $chunks;
INSERT INTO $chunks SELECT $chunk, part, body FROM lie;
DO \$\$ BEGIN PERFORM sum(pg_column_size(data)) FROM log; EXCEPTION WHEN data_corrupted THEN NULL; END \$\$;
ROLLBACK;
SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s*(\\d+)')::int / 1024;
SQL
	cmp_ok($peak, '<', 1000, "$what: $peak MB are enough for it") if !$ENV{WT_SANITIZE};
}

# A part without a body, which the owner of the table can allow.
for ([ -3, 'UPDATE log SET status = 1' ], [ -1, 'SELECT count(*) FROM log' ], [ 0, 'SELECT count(*) FROM log' ], [ 1, 'SELECT count(data) FROM log WHERE data::text <> $$$$' ])
{
	my ($part, $deed) = @$_;
	like(error_of(<<"SQL"), qr/chunk $chunk of "$chunks" is damaged/, "part $part is NULL");
BEGIN;
ALTER TABLE $chunks ALTER body DROP NOT NULL;
INSERT INTO $chunks VALUES ($chunk, $part, NULL) ON CONFLICT (chunk, part) DO UPDATE SET body = NULL;
$deed;
SQL
}

#
# Others
#
query(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE alice;
CREATE SCHEMA "odd "" ; DROP" AUTHORIZATION mallory;
GRANT EXECUTE ON FUNCTION windtrap.seal(regclass), windtrap.unseal(regclass), windtrap.erase(regclass) TO mallory, alice;
SET ROLE mallory;
CREATE TABLE "odd "" ; DROP".log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status integer NOT NULL DEFAULT 0, note text)
	PARTITION BY RANGE (event_timestamp);
CREATE TABLE "odd "" ; DROP"."one's ""day""; --" PARTITION OF "odd "" ; DROP".log FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
CREATE TABLE "odd "" ; DROP".two PARTITION OF "odd "" ; DROP".log FOR VALUES FROM ('2026-01-02') TO ('2026-01-03');
INSERT INTO "odd "" ; DROP".log SELECT timestamptz '2026-01-01 12:00' + n * interval '1 s', jsonb_build_object('n', n), 0, 'note' || n FROM generate_series(1, 300) n;
SQL
my $odd = q{"odd "" ; DROP"."one's ""day""; --"};
my $quoted = q{'"odd "" ; DROP"."one''s ""day""; --"'};
my $odd_log = q{"odd "" ; DROP".log};

# Operators, functions and tables that come first in the caller's path, or are temporary ones.
my $shadows = <<'SQL';
CREATE FUNCTION "odd "" ; DROP".trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR "odd "" ; DROP".= (LEFTARG = text, RIGHTARG = text, FUNCTION = "odd "" ; DROP".trap);
CREATE FUNCTION "odd "" ; DROP".trap(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE OPERATOR "odd "" ; DROP".= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = "odd "" ; DROP".trap);
CREATE FUNCTION "odd "" ; DROP".count() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
SQL
query("SET ROLE mallory; $shadows");
my $path = q{SET search_path = "odd "" ; DROP", pg_catalog, public; CREATE TEMP TABLE pg_class (oid oid); CREATE TEMP TABLE two (n integer); CREATE TEMP TABLE log (n integer)};
query("SET ROLE mallory; $path; SELECT windtrap.seal($quoted)");
is(query("SET ROLE mallory; $path; SELECT pg_catalog.count(*) FROM $odd_log"), 300, 'odd names, and what stands in the path, are in nobody\'s way');
query("SET ROLE mallory; $path; DELETE FROM $odd_log WHERE (data->>'n')::int > 290; SELECT windtrap.erase($quoted)");
query("SET ROLE mallory; $path; SELECT windtrap.unseal($quoted); SELECT windtrap.seal($quoted)");
is(query("SELECT count(*) FROM $odd_log"), 290, 'sealed, erased, unsealed, and sealed again');

# What belongs to somebody else.
query("GRANT CREATE ON SCHEMA public TO mallory; GRANT USAGE ON SCHEMA \"odd \"\" ; DROP\" TO alice");
for my $verb ('seal', 'unseal', 'erase')
{
	like(error_of("SET ROLE mallory; SELECT windtrap.$verb('$partition')"), qr/must be owner/, "$verb: not what belongs to another");
	query("SET ROLE mallory; CREATE FUNCTION public.by_mallory_$verb(regclass) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT windtrap.$verb(\$1)'");
	like(error_of("SET ROLE alice; SELECT public.by_mallory_$verb('$partition')"), qr/must be owner/, "$verb: nor by a function of one's own");
}
like(error_of("SET ROLE mallory; CREATE FOREIGN TABLE mine (event_timestamp timestamptz, data jsonb) SERVER windtrap_sealed OPTIONS (chunks '$chunks', late '${partition}_late')"),
	qr/permission denied for foreign server/, 'nobody makes a sealed partition by himself');
query("GRANT USAGE ON FOREIGN SERVER windtrap_sealed TO mallory");
for my $name ($chunks, "public.$chunks", "pg_temp.$chunks")
{
	query("SET ROLE mallory; CREATE FOREIGN TABLE public.mine (event_timestamp timestamptz, data jsonb, status integer) SERVER windtrap_sealed OPTIONS (chunks '$name', late '${partition}_late')");
	like(error_of("SET ROLE mallory; SELECT * FROM public.mine"), qr/cannot be used: (?:its table of chunks, .* belongs to somebody else|its table of chunks is missing)/, "$name is another's");
	query("DROP FOREIGN TABLE public.mine");
}
like(error_of("SET ROLE mallory; CREATE TEMP TABLE $chunks (chunk integer, part integer, body bytea, PRIMARY KEY (chunk, part)); CREATE TEMP TABLE ${partition}_late (event_timestamp timestamptz);
	CREATE FOREIGN TABLE public.mine (event_timestamp timestamptz, data jsonb) SERVER windtrap_sealed OPTIONS (chunks '$chunks', late '${partition}_late'); SELECT count(*) FROM public.mine"),
	qr/belongs to somebody else/, 'a temporary table does not stand in for it');
like(error_of("SET ROLE mallory; ALTER FOREIGN TABLE $odd OPTIONS (SET chunks '$chunks'); SELECT count(data), pg_catalog.pg_sleep(0) FROM $odd_log"), qr/^no error/,
	'where the tables are recorded, names say nothing');
query("ALTER TABLE $odd_log OWNER TO mallory");

# Rows of her own that lie are as harmless in her hands.
query("SET ROLE mallory; CREATE TABLE public.hers (chunk integer, part integer, body bytea, PRIMARY KEY (chunk, part)); CREATE TABLE public.late (event_timestamp timestamptz, data jsonb, status integer);
	CREATE FOREIGN TABLE public.all_hers (event_timestamp timestamptz, data jsonb, status integer) SERVER windtrap_sealed OPTIONS (chunks 'hers', late 'late')");
for my $body ("''", "'\\x00'", "decode(repeat('ff', 5000), 'hex')", 'NULL')
{
	like(error_of("SET ROLE mallory; BEGIN; ALTER TABLE public.hers ALTER body DROP NOT NULL; INSERT INTO public.hers VALUES (2147483647, 0, $body); SELECT * FROM public.all_hers"),
		qr/chunk 2147483647 of "hers" is damaged/, "a body of hers: $body");
}
like(error_of("SET ROLE mallory; INSERT INTO public.hers VALUES (-1, 0, ''); SELECT * FROM public.all_hers"), qr/chunk of a negative number/, 'a chunk of a negative number');
query("DELETE FROM public.hers; ALTER TABLE public.hers OWNER TO postgres");
like(error_of("SET ROLE mallory; SELECT * FROM public.all_hers"), qr/belongs to somebody else/, 'what was hers and is no more');
like(error_of("SET ROLE mallory; CREATE VIEW public.v AS SELECT 1 AS chunk, 2 AS part, ''::bytea AS body;
	ALTER FOREIGN TABLE public.all_hers OPTIONS (SET chunks 'v'); SELECT * FROM public.all_hers"), qr/"v" is no table of chunks/, 'nor is a view one');

# A type whose check is a function of hers, which who reads the table did not ask for.
{
	query(<<"SQL");
SET ROLE mallory;
CREATE FUNCTION public.spy(integer) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN RAISE NOTICE 'checked by %', current_user; RETURN true; END \$\$;
CREATE DOMAIN public.spied AS integer CHECK (public.spy(VALUE));
ALTER TABLE $odd_log ADD COLUMN x public.spied[];
ALTER FOREIGN TABLE $odd ALTER COLUMN x OPTIONS (ADD missing '{1}');
SQL
	my (undef, $answer, $said) = $node->psql('postgres', "SELECT DISTINCT x FROM $odd_log");
	is($answer, '{1}', 'a column of her type');
	unlike($said, qr/checked by postgres/, 'her function gets nobody else\'s rights');
	like($said, qr/checked by mallory/, 'it is called as her');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
