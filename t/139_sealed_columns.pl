# What is sealed stays right when the log table's columns are renamed, dropped, added and altered: its
# twin of ordinary partitions goes through the same, and each row compares equal.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('sealed_columns', conf => "windtrap.seal_after = ''\nfsync = off\ntimezone = UTC\n");
my $database = 'postgres';

sub query { return $node->safe_psql($database, $_[0]); }

sub error_of
{
	my ($code, $answer, $error) = $node->psql($database, $_[0]);
	return $code ? $error : "no error: $answer";
}

# For both tables, T.
sub both
{
	my ($sql) = @_;
	query($sql =~ s/\bT(_[a-z])?\b/'events' . ($1 \/\/ '')/ger);
	query($sql =~ s/\bT(_[a-z])?\b/'twin' . ($1 \/\/ '')/ger);
	return;
}

my %key = (time => 'event_timestamp', n => 'n');

# Whole rows, and what is asked of each column.
sub questions
{
	my @columns = split /\n/, query(q{SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname});
	my @all = ('SELECT ' . join(', ', map { "\"$_\"" } @columns) . " FROM T ORDER BY $key{n}, 1::text", "SELECT count(*), count(DISTINCT t::text) FROM T t");
	for my $column (map { "\"$_\"" } @columns)
	{
		my $value = query("SELECT quote_nullable((SELECT $column FROM twin WHERE $column IS NOT NULL ORDER BY $key{n} % 7, $key{n} LIMIT 1)::text)");
		push @all, "SELECT count(*), sum($key{n}), min($key{time}) FROM T WHERE $column = $value", "SELECT count(*), sum($key{n}) FROM T WHERE $column > $value", "SELECT count(*) FROM T WHERE $column IS NULL",
		  "SELECT $column, count(*) FROM T GROUP BY 1 ORDER BY 1", "SELECT $key{n}, $column FROM T ORDER BY $column DESC NULLS LAST, $key{n} LIMIT 30";
	}
	return @all;
}

my $asked = 0;

sub same
{
	my ($name) = @_;
	my @questions = questions();
	my $wrong = '';
	# Aggregates of partitions in every other one.
	my $settings = ++$asked % 2 ? 'SET enable_partitionwise_aggregate = on;' : '';
	my ($sealed, $heap) = map { my $table = $_; query($settings . join(';', map { s/\bT\b/$table/gr . "; SELECT '--'" } @questions)) } 'events', 'twin';
	my @sealed = split /^--$/m, $sealed;
	my @heap = split /^--$/m, $heap;
	for my $i (0 .. $#questions)
	{
		next if ($sealed[$i] // '') eq ($heap[$i] // '');
		my @s = split /\n/, $sealed[$i] // '';
		my @h = split /\n/, $heap[$i] // '';
		my ($k) = grep { ($s[$_] // '') ne ($h[$_] // '') } 0 .. ($#h > $#s ? $#h : $#s);
		$wrong .= "$questions[$i]\n  sealed: " . ($s[$k] // '') . "\n  heap:   " . ($h[$k] // '') . "\n";
	}
	is($wrong, '', $name);
	return;
}

my $next = 10_000;

# Late rows, changed ones, deleted ones; each in all hours.
sub change
{
	my ($others) = @_;
	my ($names, $values) = @{ $others // [ '', '' ] };
	my $from = $next;
	$next += 30;
	both(<<"SQL");
INSERT INTO T ($key{time}, "$key{data}", $key{n}$names) SELECT '2026-11-01 00:00:10+00'::timestamptz + i * interval '7 minutes', '{"json":{"late":true}}', $from + i$values FROM generate_series(0, 24) i;
UPDATE T SET "$key{status}" = "$key{status}" + 1000 WHERE $key{n} % 97 = @{[ $from % 13 ]};
UPDATE T SET "$key{data}" = '{"json":{"app":"changed"}}' WHERE $key{n} % 89 = @{[ $from % 11 ]};
DELETE FROM T WHERE $key{n} % 101 = @{[ $from % 17 ]};
SQL
	return;
}

# All chunks are written anew, with what is late.
sub rewrite
{
	query("SELECT windtrap.erase(oid) FROM pg_class WHERE relkind = 'f' AND relname ~ '^events_'");
	return;
}


@key{qw(data status)} = qw(data status);
for my $table ('events', 'twin')
{
	query(<<"SQL");
CREATE TABLE $table (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status integer NOT NULL DEFAULT 0, n bigint, note text, other text, amount integer) PARTITION BY RANGE (event_timestamp);
CREATE TABLE ${table}_default PARTITION OF $table DEFAULT;
CREATE TABLE ${table}_a PARTITION OF $table FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-11-01 01:00+00');
CREATE TABLE ${table}_b PARTITION OF $table FOR VALUES FROM ('2026-11-01 01:00+00') TO ('2026-11-01 02:00+00');
CREATE TABLE ${table}_c PARTITION OF $table FOR VALUES FROM ('2026-11-01 02:00+00') TO ('2026-11-01 03:00+00');
INSERT INTO $table SELECT '2026-11-01 00:00+00'::timestamptz + i * interval '3 s', jsonb_build_object('json', jsonb_build_object('app', 'app' || i % 3, 'n', i)), i % 5, i, 'note ' || i % 4, CASE WHEN i % 3 > 0 THEN 'other ' || i % 6 END, i / 10
FROM generate_series(0, 3599) i;
SQL
}
query("SELECT windtrap.seal('events_$_')") for qw(a b);
same('sealed');
change();
same('changed');

#
# Renamed
#
both('ALTER TABLE T RENAME note TO remark; ALTER TABLE T RENAME status TO state');
$key{status} = 'state';
same('columns are renamed');
change([ ', remark', ", 'a remark'" ]);
same('and written to');
both('ALTER TABLE T RENAME remark TO swap; ALTER TABLE T RENAME other TO remark; ALTER TABLE T RENAME swap TO other');
same('two have changed their names');
change([ ', remark, other', ", 'one', 'two'" ]);
same('and are written to');
both('ALTER TABLE T RENAME data TO event; ALTER TABLE T RENAME event_timestamp TO at');
@key{qw(time data)} = qw(at event);
same('the columns of every log are renamed');
change();
same('and written to');
rewrite();
same('and erased');
is(query("SELECT count(*) FROM events WHERE event->'json'->>'app' = 'app1' AND at < '2026-11-01 00:10+00'"), query("SELECT count(*) FROM twin WHERE event->'json'->>'app' = 'app1' AND at < '2026-11-01 00:10+00'"), 'paths and times are found');
both('ALTER TABLE T RENAME event TO data; ALTER TABLE T RENAME at TO event_timestamp; ALTER TABLE T RENAME state TO status');
@key{qw(time data status)} = qw(event_timestamp data status);
same('and back');

#
# Dropped, and added again
#
both('ALTER TABLE T DROP COLUMN remark');
both("ALTER TABLE T ADD COLUMN remark text DEFAULT 'new'");
same('a column of the same name is another one');
change([ ', remark', ", 'late'" ]);
both("UPDATE T SET remark = 'changed' WHERE n % 71 = 0");
both("ALTER TABLE T ALTER remark SET DEFAULT 'newer'");
same('and is written to');
rewrite();
same('and erased');
both('ALTER TABLE T DROP COLUMN remark');
both('ALTER TABLE T ADD COLUMN remark integer');
same('and again, of another type');
change([ ', remark', ', 7' ]);
rewrite();
same('and written');
both('ALTER TABLE T DROP COLUMN status');
both('ALTER TABLE T ADD COLUMN status integer NOT NULL DEFAULT 5');
same('another status');
change();
same('is changed');
rewrite();
same('and erased');
both("ALTER TABLE T ADD COLUMN more text COLLATE \"C\" DEFAULT 'm', ADD COLUMN less numeric(10, 2)");
same('more are added');
query("SELECT windtrap.seal('events_c')");
same('and one is sealed that has them');
change([ ', more, less', ", 'l', 1.5" ]);
same('and they are written to');

#
# Generated
#
both("ALTER TABLE T ADD COLUMN app text GENERATED ALWAYS AS (data->'json'->>'app') STORED, ADD COLUMN twice bigint GENERATED ALWAYS AS (status * 2 + n) STORED");
same('generated columns');
change();
same('are computed of what was changed');
rewrite();
same('and of what was erased');
both('ALTER TABLE T RENAME app TO application; ALTER TABLE T RENAME status TO state');
$key{status} = 'state';
same('and renamed');
both('ALTER TABLE T RENAME state TO status');
$key{status} = 'status';

#
# Another type
#
both('ALTER TABLE T DROP COLUMN twice');
both('ALTER TABLE T ALTER amount TYPE bigint, ALTER more TYPE varchar, ALTER less TYPE numeric(12, 2)');
same('another type');
change([ ', amount, more', ", 5000000000, 'x'" ]);
same('is written');
both('ALTER TABLE T ALTER amount TYPE numeric, ALTER more TYPE text, ALTER less TYPE numeric, ALTER status TYPE bigint');
change([ ', amount, more, less', ", 0.50, 'longer than twenty letters', 1.230" ]);
rewrite();
both('ALTER TABLE T ALTER amount TYPE text, ALTER less TYPE text');
same('and others, step by step');
change([ ', amount', ", 'much'" ]);
same('are written');

# A cast that would make something else of a value than its text is refused, as long as there are sealed rows.
both(<<'SQL');
ALTER TABLE T ADD COLUMN yes boolean DEFAULT true, ADD COLUMN ratio float8, ADD COLUMN since timestamptz DEFAULT '2026-11-01 23:30+00', ADD COLUMN short numeric(6, 2);
UPDATE T SET yes = n % 2 = 0, ratio = n / 7.0, short = n / 8.0 WHERE n % 3 = 0
SQL
rewrite();
same('columns whose text is not what casts make');
for ([ 'yes', 'text' ], [ 'ratio', 'integer' ], [ 'ratio', 'real' ], [ 'ratio', 'text' ], [ 'since', 'date' ], [ 'since', 'text' ], [ 'short', 'numeric(6, 1)' ], [ 'short', 'integer' ], [ 'n', 'integer' ],
	[ 'other', 'varchar(4)' ])
{
	my ($column, $type) = @$_;

	like(error_of("ALTER TABLE events ALTER $column TYPE $type"), qr/the sealed partition "events_a" could not be read any more: its column "$column".*HINT:  SELECT windtrap\.unseal\('public\.events_a'\) first/s, "$column is not made $type");
}
like(error_of('ALTER TABLE events ALTER yes TYPE text USING yes::text'), qr/"events_[abc]" is not a table/, 'nor by an expression: PostgreSQL refuses that');
{
	query('CREATE TABLE plain (event_timestamp timestamptz NOT NULL, data jsonb, status integer, yes boolean) PARTITION BY RANGE (event_timestamp)');
	query("CREATE TABLE plain_a PARTITION OF plain FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-11-01 01:00+00'); INSERT INTO plain VALUES ('2026-11-01 00:00+00', '{}', 0, true)");
	query("SELECT windtrap.seal('plain_a')");
	like(error_of('ALTER TABLE plain DROP COLUMN data'), qr/"plain_a" could not be read any more: it has lost its column data/, 'the document is not dropped');
	like(error_of('ALTER TABLE plain ALTER data TYPE json'), qr/"plain_a" could not be read any more: its column "data" is not of type jsonb/, 'nor altered');
	query('ALTER EVENT TRIGGER windtrap_sealed_altered DISABLE');
	like(error_of("ALTER TABLE events ALTER yes TYPE text"), qr/could not be read any more/, 'it is refused before other partitions are rewritten');
	query('ALTER EVENT TRIGGER windtrap_sealed_rewritten DISABLE');
	query('ALTER TABLE plain DROP COLUMN data');
	like(error_of('SELECT count(*) FROM plain'), qr/the sealed partition "plain_a" cannot be used: it has lost its column data/, 'without event triggers it is, and nothing is read');
	query("ALTER TABLE plain ADD COLUMN data jsonb; ALTER FOREIGN TABLE plain_a ALTER COLUMN data OPTIONS (ADD column_name 'data')");
	is(query("SELECT yes, data FROM plain; INSERT INTO plain VALUES ('2026-11-01 00:00+00', 0, false, '[]'); DELETE FROM plain WHERE data = '[]'"), 't|{}', 'until another column is put in its place');
	query('ALTER TABLE plain ALTER yes TYPE text');
	for ('SELECT count(*) FROM plain', "INSERT INTO plain (event_timestamp, yes) VALUES ('2026-11-01 00:00+00', 'no')", "DELETE FROM plain", "SELECT windtrap.unseal('plain_a')", "SELECT windtrap.erase('plain_a')")
	{
		like(error_of($_), qr/the sealed partition "plain_a" cannot be used: its column "yes" is of type text, and stored as boolean.*HINT:  As texts of the new type its rows are read when "plain_a_late" has that type, too/s, "without event triggers: $_");
	}
	query('ALTER TABLE plain_a_late ALTER yes TYPE text');
	is(query("SELECT windtrap.unseal('plain_a'); SELECT yes FROM plain"), "1\nt", 'until it is said that its texts are to be read');
	query('DROP TABLE plain; ALTER EVENT TRIGGER windtrap_sealed_altered ENABLE ALWAYS; ALTER EVENT TRIGGER windtrap_sealed_rewritten ENABLE ALWAYS');
}

#
# Added, and given another default: what it is in sealed rows stays
#
both('ALTER TABLE T ADD COLUMN first integer DEFAULT 1, ADD COLUMN none integer');
# In one transaction, whose time it is.
query("SET timezone = 'Asia/Tokyo'; BEGIN; ALTER TABLE events ADD COLUMN added timestamptz DEFAULT now(), ADD COLUMN wall timestamp DEFAULT localtimestamp; ALTER TABLE twin ADD COLUMN added timestamptz DEFAULT now(), ADD COLUMN wall timestamp DEFAULT localtimestamp; COMMIT");
both('ALTER TABLE T ALTER first SET DEFAULT 2, ALTER none SET DEFAULT 2, ALTER added DROP DEFAULT, ALTER wall DROP DEFAULT');
query('VACUUM FULL events_default');
both('ALTER TABLE T ALTER first TYPE bigint, ALTER none TYPE bigint');
same('other defaults are of other rows');
like(error_of('ALTER TABLE events ADD COLUMN chance float8 DEFAULT random()'), qr/column "chance" cannot be added with that default: what it is in rows of the sealed partition "events_[abc]" would not be known\nHINT:  Add it without a default/, 'one that differs by row is refused');

# Those who read can write to it: in the statement, and beside a cursor.
both("ALTER TABLE T ADD COLUMN kind text DEFAULT 'k'");
both('INSERT INTO T (event_timestamp, data, n) SELECT event_timestamp, data, n + 100000 FROM T WHERE n % 500 = 1');
both('ALTER TABLE T ADD COLUMN kind2 text');
both('BEGIN; DECLARE c CURSOR FOR SELECT * FROM T; FETCH 3 FROM c; INSERT INTO T (event_timestamp, data, n) SELECT event_timestamp, data, n + 200000 FROM T WHERE n % 500 = 2; FETCH 3 FROM c; COMMIT');
same('rows are inserted where the same session reads');

#
# On a partition alone
#
for my $table ('events', 'twin')
{
	my $foreign = $table eq 'events' ? 'FOREIGN ' : '';
	query("ALTER TABLE $table DETACH PARTITION ${table}_b");
	query("ALTER ${foreign}TABLE ${table}_b RENAME other TO words; ALTER TABLE $table RENAME other TO words");
	query("ALTER ${foreign}TABLE ${table}_b DROP COLUMN less; ALTER ${foreign}TABLE ${table}_b ADD COLUMN less text");
	query("ALTER TABLE $table ATTACH PARTITION ${table}_b FOR VALUES FROM ('2026-11-01 01:00+00') TO ('2026-11-01 02:00+00')");
}
same('altered while it was no partition');
change([ ', words', ", 'w'" ]);
same('and written to');

#
# Dumped and restored
#
{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
	$node->command_ok([ 'pg_dump', '-F', 'custom', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
	query('CREATE DATABASE copy TEMPLATE template0');
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('copy'), $dump ], 'restored');
	$database = 'copy';
	same('restored');
	both('ALTER TABLE T RENAME words TO other; ALTER TABLE T DROP COLUMN more');
	both("ALTER TABLE T ADD COLUMN more text DEFAULT 'more'");
	same('and altered');
	change([ ', more', ", 'less'" ]);
	rewrite();
	same('and written to');
	query("SELECT windtrap.unseal('events_a')");
	same('and unsealed');
	$database = 'postgres';
}

#
# Unsealed
#
query("SELECT windtrap.unseal('events_$_')") for qw(a b c);
same('unsealed');
is(query("SELECT count(*) FROM pg_class WHERE relname ~ '_(sealed|late)\$'"), 0, 'and nothing is left');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
