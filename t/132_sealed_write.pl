# Sealed partitions are written as ordinary ones are: a long random sequence of statements, in
# transactions with savepoints, some of them ended by kill -9, does the same to a sealed
# partition as to its twin, which is a heap.  Then what such a sequence does not come by.
#
# WT_SEED=… repeats a sequence.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

# Beneath memcheck as many as take minutes, with each kind of end among the rounds.
my $ROWS = $ENV{WT_VALGRIND} ? 10_000 : 40_000;
my $ROUNDS = $ENV{WT_VALGRIND} ? 5 : 12;
my $seed = $ENV{WT_SEED} // int(rand(1 << 30));
srand $seed;
diag "WT_SEED=$seed";

my $node = wt_node('sealed_write', preload => 0, conf => "fsync = on\nautovacuum = on\n");
$ENV{PGTZ} = 'UTC';

sub query { return $node->safe_psql('postgres', $_[0]); }

sub fails
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	return $err =~ /ERROR:  (\S+): (.*)/ ? "$1 $2" : "it did not fail: $out";
}

query('CREATE EXTENSION windtrap');
# The twin has what the log has, but none of its partitions is ever sealed.
for my $table (qw(log twin))
{
	query(<<"SQL");
SELECT windtrap.create_log_table('$table');
CREATE TABLE ${table}_old PARTITION OF $table
	FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
INSERT INTO $table
SELECT '2020-01-01'::timestamptz + n * interval '2 s',
	jsonb_build_object('n', n, 'json', jsonb_build_object('app', 'app ' || n % 7,
		'message', repeat('x', n % 50) || n), 'price', (n || '.50')::numeric), n % 5
FROM generate_series(1, $ROWS) n;
SQL
}
is(query("SELECT windtrap.seal('log_old')"), $ROWS, 'the partition is sealed');

# All rows of a table's old partition, as one line.
sub content
{
	my ($table) = @_;
	return query(<<"SQL");
SELECT count(*), sum(status), md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE "C"))
FROM $table r WHERE event_timestamp < '2021-01-01'
SQL
}

# ---------------------------------------------------------------- a random sequence

my $next = $ROWS;    # of the numbers of rows

sub pick { return $_[ int rand @_ ]; }

# A condition that holds for a few rows, for many, or for some everywhere.
sub condition
{
	my $n = int rand $next;

	return pick(
		"(data->'n')::int = $n",
		"(data->'n')::int BETWEEN $n AND $n + " . int(rand 30),
		"data->'n' = '$n'",
		"(data->'n')::int BETWEEN $n AND $n + " . int(rand 3000),
		"(data->'n')::int % 977 = " . int(rand 977),
		"status = " . int(rand 6) . " AND data->'json'->>'app' = 'app " . int(rand 7)
		  . "' AND (data->'n')::int % 13 = " . int(rand 13),
		"event_timestamp BETWEEN '2020-01-01 00:00' AND '2020-01-01 00:20' AND status > 2",
		"data \@> '{\"json\": {\"app\": \"app 3\"}}' AND (data->'n')::int % 31 = " . int(rand 31),
		"data ? 'changed' AND status < 4");
}

# Some rows, not many: those whose data are changed.
sub few
{
	my $n = int rand $next;

	return pick("(data->'n')::int BETWEEN $n AND $n + " . int(rand 20),
		"data ? 'changed' AND (data->'n')::int % 5 = " . int(rand 5),
		"(data->'n')::int % 4001 = " . int(rand 4001));
}

# A statement for a table T, which returns the rows that it has changed as r.
sub statement
{
	my $target = pick('T', 'T', 'T_old');
	my $k = int rand 100;
	my $kind = rand;

	if ($kind < 0.3)
	{
		my $set = pick("status + 1", int(rand 6), "-status", "(data->'n')::int");
		return "UPDATE $target SET status = $set WHERE " . condition();
	}
	return "UPDATE $target SET data = data || '{\"changed\": $k}' WHERE " . few() if $kind < 0.42;
	return "UPDATE $target SET data = data || '{\"changed\": $k}', status = $k WHERE " . few()
	  if $kind < 0.47;
	return "UPDATE $target SET event_timestamp = event_timestamp - interval '1 ms' WHERE " . few()
	  if $kind < 0.52;
	return "DELETE FROM $target WHERE " . (rand() < 0.1 ? condition() : few()) if $kind < 0.67;
	if ($kind < 0.8)
	{
		my ($from, $n) = ($next + 1, 1 + int rand(rand() < 0.1 ? 700 : 10));
		$next += $n;
		return "INSERT INTO $target SELECT '2020-01-01'::timestamptz + (n % 86400) * interval '1 s', "
		  . "jsonb_build_object('n', n, 'late', true), n % 5 FROM generate_series($from, $next) n";
	}
	# Rows that are come by several times.
	if ($kind < 0.9)
	{
		my $n = int rand $next;
		return "UPDATE $target t SET status = status + 10 FROM generate_series($n, $n + 300) a, "
		  . "generate_series(1, 3) WHERE (t.data->'n')::int = a";
	}
	if ($kind < 0.95)
	{
		my $n = int rand $next;
		return "DELETE FROM $target t USING generate_series($n, $n + 40) a, "
		  . "generate_series(1, 2) WHERE (t.data->'n')::int = a";
	}
	return "UPDATE $target SET status = status WHERE " . condition();
}

# The same for both tables; what they say must be equal.
sub on_both
{
	my $sql = statement();
	my $both = '';

	for my $table (qw(log twin))
	{
		(my $own = $sql) =~ s/\bT(_old)?\b/$table . ($1 \/\/ '')/ge;
		my $alias = $own =~ /^(?:UPDATE|DELETE FROM) \S+ t / ? 't' : $own =~ /^(?:UPDATE|INSERT INTO|DELETE FROM) (\S+)/ ? $1 : '';
		$both .= <<"SQL";
WITH r AS ($own RETURNING $alias.event_timestamp, $alias.data, $alias.status)
SELECT 'result', count(*), md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE "C")) FROM r;
SQL
	}
	return $both;
}

# A transaction; $end: what ends it.
sub transaction
{
	my ($end) = @_;
	my $sql = 'BEGIN' . pick('', '', ' ISOLATION LEVEL REPEATABLE READ') . ";\n";
	my @savepoints;

	for (1 .. 1 + int rand 6)
	{
		if (rand() < 0.3)
		{
			push @savepoints, 's' . @savepoints;
			$sql .= "SAVEPOINT $savepoints[-1];\n";
		}
		$sql .= on_both();
		$sql .= pick('RELEASE ', 'ROLLBACK TO ') . splice(@savepoints, int rand @savepoints, @savepoints) . ";\n"
		  if @savepoints && rand() < 0.4;
	}
	return "$sql$end;\n";
}

# Whether each statement said the same of both tables.
sub agree
{
	my ($output) = @_;
	my @lines = grep { /^result/ } split /\n/, $output;

	while (my ($one, $other) = splice @lines, 0, 2)
	{
		return 0 if $one ne ($other // '');
	}
	return 1;
}

my ($rounds, $bad) = (0, '');
for my $round (1 .. $ROUNDS)
{
	for (1 .. 6)
	{
		my $sql = transaction(pick('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'));
		my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 1);

		$bad = "$sql\n$out\n$err" if !$bad && ($rc != 0 || !agree($out));
		last if $bad;
	}
	last if $bad;
	query("SELECT windtrap.erase('log_old')") if $round % 5 == 0;
	query('VACUUM log_old_sealed, log_old_late') if $round % 4 == 0;

	# In the middle of a transaction, or just after one, the server dies.
	if ($round % 3 == 0)
	{
		my $sql = transaction($round % 2 ? 'COMMIT' : 'SELECT 1') . "SELECT 'waiting', pg_sleep(600);\n";
		my ($file, $out, $err) = ($node->basedir . '/victim.sql', '', '');

		append_to_file($file, "SET application_name = 'victim';\n$sql");
		my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ],
			'<', \undef, '>', \$out, '2>', \$err);

		$node->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim' AND wait_event = 'PgSleep'")
		  or die "the transaction does not come to its end: $err";
		$node->stop('immediate');
		$psql->finish;
		unlink $file;
		$node->start;
	}
	my ($log, $twin) = (content('log'), content('twin'));
	$bad = "round $round: $log, not $twin" if $log ne $twin;
	last if $bad;
	$rounds++;
}
is($bad, '', 'whatever is written, a sealed partition has what a heap has');
is($rounds, $ROUNDS, 'to the end of the sequence');
cmp_ok(query("SELECT count(*) FROM log_old_sealed WHERE part < 0"), '>', 0, 'rows of chunks were changed');
cmp_ok(query("SELECT count(*) FROM log_old_late"), '>', 0, 'and there are late rows');

# ---------------------------------------------------------------- triggers, functions

# Runs the same for both; gives what both say.
sub both
{
	my ($sql) = @_;
	my @said;

	for my $table (qw(log twin))
	{
		(my $own = $sql) =~ s/\bT(_old)?\b/$table . ($1 \/\/ '')/ge;
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$own", on_error_stop => 0);
		$err =~ s/psql:<stdin>:\d+: //g;
		# In whatever order they come.
		push @said, join "\n", sort(split /\n/, $out), sort(split /\n/, $err);
	}
	return @said;
}

sub same
{
	my ($name, $sql) = @_;
	my ($log, $twin) = both($sql);

	is($log, $twin, $name);
	return $log;
}

query(<<'SQL');
CREATE TABLE notes (id serial, line text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO notes (line) VALUES (concat_ws(' ', TG_WHEN, TG_OP, OLD.data->'n', OLD.status, NEW.data->'n', NEW.status));
	RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 70 THEN RETURN NULL; END IF;
	IF NEW.status = 71 THEN NEW.data = NEW.data || '{"by trigger": true}'; END IF;
	RETURN NEW;
END $$;
SQL
for my $table (qw(log twin))
{
	query(<<"SQL");
CREATE TRIGGER a_change BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION change();
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON $table FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH ROW EXECUTE FUNCTION note();
SQL
}
like(same('triggers see the old and the new rows', <<'SQL'), qr/AFTER UPDATE/, 'and fire');
TRUNCATE notes;
INSERT INTO T VALUES ('2020-01-01 12:00', '{"n": 1000001}', 1), ('2020-01-01 12:00', '{"n": 1000002}', 70);
UPDATE T SET status = 17 WHERE (data->'n')::int BETWEEN 100 AND 120 OR data->'n' = '1000001';
UPDATE T SET status = 71 WHERE (data->'n')::int BETWEEN 100 AND 103 RETURNING *;
UPDATE T SET status = 70 WHERE (data->'n')::int BETWEEN 100 AND 120;
DELETE FROM T WHERE (data->'n')::int BETWEEN 118 AND 121 RETURNING data, status;
SELECT line FROM notes ORDER BY line;
SQL
for my $table (qw(log twin))
{
	query("DROP TRIGGER a_change ON $table; DROP TRIGGER before_row ON $table; DROP TRIGGER after_row ON $table");
}

query(<<'SQL');
CREATE FUNCTION of_status(t regclass, s int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s WHERE status = $1 AND event_timestamp < ''2021-01-01''', t) INTO n USING s;
	RETURN n;
END $$;
CREATE FUNCTION of_status_stable(t regclass, s int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s WHERE status = $1 AND event_timestamp < ''2021-01-01''', t) INTO n USING s;
	RETURN n;
END $$;
SQL
# None that chance has given these before.
query("UPDATE $_ SET status = 0 WHERE status BETWEEN 555 AND 600") for qw(log twin);
like(same('functions see what the statement has changed so far', <<'SQL'), qr{^3\|0$}m, 'row for row');
UPDATE T SET status = 555 WHERE (data->'n')::int BETWEEN 9000 AND 9020 RETURNING of_status('T', 555), of_status_stable('T', 555);
DELETE FROM T WHERE status = 555 RETURNING of_status('T', 555), of_status_stable('T', 555);
UPDATE T SET status = of_status('T', 557)::int + 556 WHERE (data->'n')::int BETWEEN 210 AND 214 RETURNING status;
SQL

query(<<'SQL');
CREATE FUNCTION sum_of_log() RETURNS bigint LANGUAGE plpgsql VOLATILE
SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0 SET min_parallel_table_scan_size = 0 AS $$
BEGIN RETURN (SELECT sum(status) FROM log_old); END $$;
SQL
like(query('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; EXPLAIN SELECT sum(status) FROM log_old'),
	qr/Gather/, 'several processes can read a sealed partition');
is(query(<<'SQL'), "f\n1", 'a plan for several processes reads in one what is being changed');
SELECT sum_of_log() IS NULL;
WITH u AS (UPDATE log SET status = status + 0 WHERE (data->'n')::int BETWEEN 9100 AND 9110 RETURNING sum_of_log() AS s) SELECT count(DISTINCT s) FROM u;
SQL

query(<<'SQL');
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.status = 600 THEN
		-- A neighbour, which the statement does not come by.
		EXECUTE format('UPDATE %s SET status = 601 WHERE data->''n'' = to_jsonb($1)', TG_ARGV[0])
			USING (NEW.data->'n')::int + 1000;
	ELSIF NEW.status = 610 THEN
		-- One that it comes by later.
		EXECUTE format('UPDATE %s SET status = 611 WHERE data->''n'' = to_jsonb($1)', TG_ARGV[0])
			USING (NEW.data->'n')::int + 1;
	ELSIF NEW.status = 620 THEN
		-- What is undone again.
		BEGIN
			EXECUTE format('UPDATE %s SET status = 621 WHERE (data->''n'')::int > $1 - 20', TG_ARGV[0])
				USING (NEW.data->'n')::int + 1000;
			EXECUTE format('DELETE FROM %s WHERE (data->''n'')::int > 2000', TG_ARGV[0]);
			PERFORM 1 / 0;
		EXCEPTION WHEN division_by_zero THEN
		END;
	ELSIF NEW.status = 630 THEN
		-- Those that it has come by, in what is a subtransaction but not undone.
		BEGIN
			EXECUTE format('UPDATE %s SET status = status + 1 WHERE status BETWEEN 630 AND 660', TG_ARGV[0]);
		EXCEPTION WHEN division_by_zero THEN
		END;
	END IF;
	RETURN NEW;
END $$;
SQL
for my $table (qw(log twin))
{
	query("CREATE TRIGGER meddle BEFORE UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION meddle('$table')");
}
same('a trigger changes other rows', <<'SQL');
UPDATE T SET status = 600 WHERE (data->'n')::int BETWEEN 300 AND 310;
SELECT status, count(*) FROM T WHERE status BETWEEN 600 AND 699 GROUP BY 1 ORDER BY 1;
SQL
# Of eleven in a row what was deleted above has left none out.
my $first = query(<<'SQL');
SELECT min(n) FROM (SELECT (data->'n')::int AS n, lead((data->'n')::int, 10) OVER (ORDER BY (data->'n')::int) AS last FROM twin) AS row
WHERE n >= 320 AND last = n + 10
SQL
like(same('a trigger changes rows that the statement is to change', <<"SQL"), qr/27000/, 'which is refused');
UPDATE T SET status = 610 WHERE (data->'n')::int BETWEEN $first AND $first + 10;
SELECT status, count(*) FROM T WHERE status BETWEEN 600 AND 699 GROUP BY 1 ORDER BY 1;
SQL
same('a trigger changes rows in vain', <<'SQL');
UPDATE T SET status = 620 WHERE (data->'n')::int BETWEEN 340 AND 350;
SELECT status, count(*) FROM T WHERE status BETWEEN 600 AND 699 GROUP BY 1 ORDER BY 1;
SQL
same('a trigger changes rows that the statement has changed', <<'SQL');
UPDATE T SET status = 630 WHERE (data->'n')::int BETWEEN 360 AND 370;
SELECT status, count(*) FROM T WHERE status BETWEEN 600 AND 699 GROUP BY 1 ORDER BY 1;
SQL
for my $table (qw(log twin))
{
	query("DROP TRIGGER meddle ON $table");
}
# Which row of them has which depends on the order in which they were come by.
query("UPDATE $_ SET status = 6 WHERE status BETWEEN 600 AND 699") for qw(log twin);
is(content('log'), content('twin'), 'after all that both are the same');

# ---------------------------------------------------------------- statements of other kinds

same('several parts of a statement change the same rows', <<'SQL');
WITH d AS (DELETE FROM T WHERE (data->'n')::int BETWEEN 400 AND 402 RETURNING status),
	u AS (UPDATE T SET status = -7 WHERE (data->'n')::int BETWEEN 403 AND 405 RETURNING data),
	i AS (INSERT INTO T VALUES ('2020-01-01 13:00', '{"n": 1000003}', 3) RETURNING status)
SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM u), (SELECT count(*) FROM i),
	(SELECT count(*) FROM T WHERE (data->'n')::int BETWEEN 400 AND 405 OR data->'n' = '1000003');
SELECT count(*), sum(status) FROM T WHERE (data->'n')::int BETWEEN 400 AND 405 OR data->'n' = '1000003';
SQL
same('a cursor sees what was there when it was opened', <<'SQL');
BEGIN;
DECLARE c CURSOR FOR SELECT data->'n', status FROM T WHERE (data->'n')::int BETWEEN 420 AND 430 ORDER BY event_timestamp;
FETCH 2 FROM c;
UPDATE T SET status = 42 WHERE (data->'n')::int BETWEEN 420 AND 425;
UPDATE T SET data = data || '{"x": 1}' WHERE data->'n' = '426';
DELETE FROM T WHERE data->'n' = '427';
FETCH ALL FROM c;
COMMIT;
SELECT count(*), sum(status) FROM T WHERE (data->'n')::int BETWEEN 420 AND 430;
SQL
same('prepared statements', <<'SQL');
PREPARE u(int, int) AS UPDATE T SET status = status + $2 WHERE (data->'n')::int = $1 RETURNING status;
EXECUTE u(440, 1); EXECUTE u(441, 1); EXECUTE u(440, 2); EXECUTE u(440, 3); EXECUTE u(440, 4); EXECUTE u(440, 5); EXECUTE u(440, 6);
SQL
same('COPY', <<'SQL');
COPY T (event_timestamp, data) FROM stdin;
2020-01-01 14:00:00	{"n": 1000010}
2020-01-01 14:00:01	{"n": 1000011}
\.
COPY T_old (event_timestamp, data, status) FROM stdin;
2020-01-01 14:00:02	{"n": 1000012}	4
\.
SELECT event_timestamp, data, status FROM T WHERE (data->'n')::int BETWEEN 1000010 AND 1000012 ORDER BY 1;
SQL
same('rows move in from other partitions', <<'SQL');
INSERT INTO T VALUES (now(), '{"n": 1000020}', 2);
UPDATE T SET event_timestamp = '2020-01-01 15:00' WHERE data->'n' = '1000020' RETURNING *;
SELECT event_timestamp, data, status FROM T_old WHERE data->'n' = '1000020';
SQL
like(fails("UPDATE log SET event_timestamp = now() WHERE data->'n' = '500'"),
	qr/^23514 a row of sealed partition "log_old" cannot be moved/, 'but not out');
like(fails("INSERT INTO log_old VALUES ('2020-01-02 00:00', '{}', 0)"), qr/^23514/,
	'what is inserted into the partition must belong there');
like(fails("INSERT INTO log VALUES ('2020-01-01 00:00', NULL, 0)"), qr/^23502/,
	'columns that are not null stay so');
like(fails("UPDATE log SET status = NULL WHERE data->'n' = '500'"), qr/^23502/, 'in rows of chunks as well');
same('constraints are checked', <<'SQL');
ALTER TABLE T ADD CONSTRAINT small CHECK (status < 1000000000) NOT VALID;
UPDATE T SET status = 1000000001 WHERE data->'n' = '500';
INSERT INTO T VALUES ('2020-01-01 00:00', '{"n": 0}', 1000000002);
ALTER TABLE T DROP CONSTRAINT small;
SQL

# ---------------------------------------------------------------- policies

query(<<'SQL');
CREATE ROLE reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON log, twin TO reader;
SQL
for my $table (qw(log twin))
{
	query(<<"SQL");
ALTER TABLE $table ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON $table FOR SELECT TO reader USING (data->'json'->>'app' = 'app 3');
CREATE POLICY put ON $table FOR INSERT TO reader WITH CHECK (status = 1);
CREATE POLICY change ON $table FOR UPDATE TO reader USING (status < 5) WITH CHECK (status < 3);
CREATE POLICY remove ON $table FOR DELETE TO reader USING (status = 2);
SQL
}
like(same('policies hold for rows of chunks and late ones', <<'SQL'), qr/42501/, 'also for what is written');
SET ROLE reader;
SELECT count(*) FROM T WHERE event_timestamp < '2021-01-01';
INSERT INTO T VALUES ('2020-01-01 16:00', '{"n": 1000030, "json": {"app": "app 3"}}', 1);
INSERT INTO T VALUES ('2020-01-01 16:00', '{"n": 1000031, "json": {"app": "app 3"}}', 2);
UPDATE T SET status = 2 WHERE (data->'n')::int BETWEEN 600 AND 650;
UPDATE T SET status = 4 WHERE (data->'n')::int BETWEEN 600 AND 650;
UPDATE T SET status = 4 WHERE data->'n' = '1000030';
WITH d AS (DELETE FROM T WHERE (data->'n')::int BETWEEN 600 AND 700 RETURNING data) SELECT count(*) FROM d;
RESET ROLE;
SELECT count(*), sum(status) FROM T WHERE event_timestamp < '2021-01-01';
SQL
for my $table (qw(log twin))
{
	query("ALTER TABLE $table DISABLE ROW LEVEL SECURITY");
	query("DROP POLICY $_ ON $table") for qw(see put change remove);
}

# ---------------------------------------------------------------- columns that come later

same('a column that the partition has got since', <<'SQL');
ALTER TABLE T ADD COLUMN note text DEFAULT 'none';
INSERT INTO T VALUES ('2020-01-01 17:00', '{"n": 1000040}', 1, 'late');
INSERT INTO T VALUES ('2020-01-01 17:00', '{"n": 1000041}', 1);
UPDATE T SET note = 'changed' WHERE (data->'n')::int IN (700, 1000041) RETURNING *;
UPDATE T SET status = status + 1 WHERE (data->'n')::int IN (700, 701, 1000040, 1000041) RETURNING *;
SELECT note, count(*) FROM T WHERE event_timestamp < '2021-01-01' GROUP BY 1 ORDER BY 1;
ALTER TABLE T ALTER COLUMN status TYPE bigint;
UPDATE T SET status = status + 5000000000 WHERE (data->'n')::int IN (701, 702, 1000041);
SELECT data->'n', status, note FROM T WHERE status > 5000000000 ORDER BY 1;
INSERT INTO T VALUES ('2020-01-01 17:00', '{"n": 1000042}', 6000000000) RETURNING *;
SQL
is(query("SELECT count(*) FROM log WHERE event_timestamp < '2021-01-01'"),
	query("SELECT count(*) FROM twin WHERE event_timestamp < '2021-01-01'"), 'no row is lost by that');

# What the late table lacks, where no event trigger has seen to that, it gets when it is needed, and by nothing less.
my $columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'log_old_late'::regclass AND attnum > 0 AND NOT attisdropped";
my $columns_before = query($columns);
query('ALTER EVENT TRIGGER windtrap_sealed_altered DISABLE; ALTER TABLE log ADD COLUMN mark text; ALTER TABLE twin ADD COLUMN mark text; ALTER EVENT TRIGGER windtrap_sealed_altered ENABLE ALWAYS');
query("EXPLAIN UPDATE log SET mark = 'x' WHERE data->'n' = '703'");
is(query($columns), $columns_before, 'EXPLAIN of an UPDATE changes nothing');
same('a plan from before a column was added', <<'SQL');
PREPARE m AS UPDATE T SET mark = 'x' WHERE data->'n' = '703' RETURNING mark;
EXECUTE m; EXECUTE m; EXECUTE m; EXECUTE m; EXECUTE m; EXECUTE m; EXECUTE m;
SQL
is(query($columns), "$columns_before mark", 'the UPDATE does');
query('ALTER TABLE log DROP COLUMN mark; ALTER TABLE twin DROP COLUMN mark');

query('ALTER TABLE log RENAME COLUMN note TO remark');
query("INSERT INTO log VALUES ('2020-01-01 17:00', '{\"n\": 1000043}', 1, 'renamed')");
like(query('SELECT string_agg(DISTINCT remark, \' \') FROM log_old'), qr/changed/, 'rows keep what is in a column that is renamed');
is(query("SELECT remark FROM log WHERE data->'n' = '1000043'"), 'renamed', 'and get more of it');
query("DELETE FROM log WHERE data->'n' = '1000043'");
query('ALTER TABLE log RENAME COLUMN remark TO note');

# ---------------------------------------------------------------- TRUNCATE

same('TRUNCATE is undone', <<'SQL');
BEGIN;
TRUNCATE T_old;
SELECT count(*) FROM T WHERE event_timestamp < '2021-01-01';
INSERT INTO T VALUES ('2020-01-01 18:00', '{"n": 1}', 1);
ROLLBACK;
SELECT count(*) FROM T WHERE event_timestamp < '2021-01-01';
SQL
same('TRUNCATE of all', <<'SQL');
TRUNCATE T;
INSERT INTO T VALUES ('2020-01-01 18:00', '{"n": 1}', 1);
UPDATE T SET status = 2 RETURNING data, status;
SELECT count(*) FROM T;
SQL
$node->stop;
done_testing();
