# Many sessions change the same rows of a sealed partition at once, while its chunks are
# rewritten: each change counts once, and no row is lost or doubled.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $ROWS = 40_000;
my $node = wt_node('sealed_changes', preload => 0);

$ENV{PGTZ} = 'UTC';

sub query { return $node->safe_psql('postgres', $_[0]); }

query(<<"SQL");
CREATE EXTENSION windtrap;
SELECT windtrap.create_log_table('log');
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
INSERT INTO log
SELECT '2020-01-01'::timestamptz + n * interval '2 s', jsonb_build_object('n', n, 'times', 0), 0
FROM generate_series(1, $ROWS) n;
-- What each transaction that has committed did.
CREATE TABLE did (what text, n bigint);
SQL
query("SELECT windtrap.seal('log_old')");

my %scripts = (
	status => <<'SQL',
\set n random(1, 40)
WITH u AS (UPDATE log SET status = status + 1 WHERE (data->'n')::int % 1000 = :n RETURNING 1)
INSERT INTO did SELECT 'status', count(*) FROM u;
SQL
	data => <<'SQL',
\set n random(1, 400)
WITH u AS (UPDATE log SET data = jsonb_set(data, '{times}', to_jsonb((data->'times')::int + 1))
	WHERE (data->'n')::int BETWEEN :n * 100 - 1 AND :n * 100 RETURNING 1)
INSERT INTO did SELECT 'times', count(*) FROM u;
SQL
	delete => <<'SQL',
\set n random(1, 40000)
WITH u AS (DELETE FROM log WHERE data->'n' = to_jsonb(:n) RETURNING (data->'times')::int AS times, status)
INSERT INTO did SELECT 'deleted', count(*) FROM u UNION ALL SELECT 'status', -sum(status) FROM u
	UNION ALL SELECT 'times', -sum(times) FROM u;
SQL
	late => <<'SQL',
\set n random(1, 80000)
BEGIN;
INSERT INTO log SELECT '2020-01-01'::timestamptz + :n * interval '1 s',
	jsonb_build_object('n', 100000 + (random() * 1000000000)::int, 'times', 0), 0
	FROM generate_series(1, 10);
INSERT INTO did VALUES ('late', 10);
COMMIT;
SQL
	lock => <<'SQL',
\set n random(1, 40)
BEGIN;
SELECT count(*) FROM (SELECT status FROM log WHERE (data->'n')::int = :n * 999 FOR UPDATE) AS locked;
WITH u AS (UPDATE log SET status = status + 1 WHERE (data->'n')::int = :n * 999 RETURNING 1)
INSERT INTO did SELECT 'status', count(*) FROM u;
COMMIT;
SQL
	queue => <<'SQL',
\set n random(1, 4000)
WITH u AS (UPDATE log SET status = status + 1 WHERE data->'n' IN
		(SELECT data->'n' FROM log WHERE (data->'n')::int % 4000 >= :n ORDER BY event_timestamp
			LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING 1)
INSERT INTO did SELECT 'status', count(*) FROM u;
SQL
	savepoint => <<'SQL',
\set n random(1, 40)
BEGIN;
SAVEPOINT s;
UPDATE log SET status = status + 1000 WHERE (data->'n')::int % 1000 = :n;
ROLLBACK TO s;
WITH u AS (UPDATE log SET status = status + 1 WHERE (data->'n')::int % 1000 = :n RETURNING 1)
INSERT INTO did SELECT 'status', count(*) FROM u;
COMMIT;
SQL
);
my @files;

for my $name (sort keys %scripts)
{
	push @files, '-f', $node->basedir . "/$name.sql";
	append_to_file($files[-1], $scripts{$name});
}

# Those that must be run again are: a chunk was rewritten, a row moved, a deadlock.
my ($out, $err) = ('', '');
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '6', '-j', '2', '-t', '60', '--max-tries', '1000', '--random-seed', '7',
		@files, $node->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err);
my ($erased, $counted, $wrong) = (0, 0, 0);

while ($bench->pump_nb)
{
	my ($rc) = $node->psql('postgres', "SELECT windtrap.erase('log_old')");

	$erased++ if $rc == 0;
	# One snapshot: what was done and what there is must agree at every moment.
	$wrong++ if query(<<"SQL") ne 't';
SELECT (SELECT count(*) FROM log) =
	$ROWS + (SELECT coalesce(sum(CASE what WHEN 'late' THEN n ELSE -n END), 0) FROM did
		WHERE what IN ('late', 'deleted'))
SQL
	$counted++;
}
ok($bench->finish, 'all transactions were carried out') or diag "$out\n$err";
like($out, qr/actually processed: 360\/360/, 'each of them') or diag "$out\n$err";
note $out;
is(count_in_log($node, 'deadlock detected'), 0, 'none of them blocks another for ever');
is($wrong, 0, "readers see all rows at all times ($counted times)");
cmp_ok($erased, '>', 0, 'meanwhile chunks were rewritten');
for my $what (qw(status times))
{
	my $sum = $what eq 'status' ? 'sum(status)' : "sum((data->'times')::int)";

	is(query("SELECT $sum FROM log"), query("SELECT sum(n) FROM did WHERE what = '$what'"),
		"each change of $what counts once");
}
is(query("SELECT count(*), count(DISTINCT data->'n') FROM log WHERE (data->'n')::int <= $ROWS"),
	query("SELECT $ROWS - sum(n), $ROWS - sum(n) FROM did WHERE what = 'deleted'"), 'no row is doubled');

# ---------------------------------------------------------------- a crash

$node->stop('immediate');
$node->start;
is(query("SELECT sum(status) FROM log"), query("SELECT sum(n) FROM did WHERE what = 'status'"),
	'after a crash as well');
$node->stop;
done_testing();
