# BRIN indexes know of what has come seconds ago, without VACUUM, so that the last events are
# found without reading all others that are new.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('summaries', conf => "autovacuum = off\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

query(q{SELECT windtrap.create_log_table();
	-- How many pages of the table a look for one instant of a day reads by the index.
	CREATE FUNCTION pages(t timestamptz) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE plan json; n int := 0; part json; BEGIN
		SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0;
		EXECUTE format('EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) SELECT FROM log WHERE event_timestamp = %L', t) INTO plan;
		RETURN (plan->0->'Plan'->>'Lossy Heap Blocks')::int;
	END $$;
	CREATE FUNCTION fill(seconds int, begin_ timestamptz) RETURNS void LANGUAGE sql AS $$
	INSERT INTO log SELECT begin_ + n * interval '1 second', jsonb_build_object('json', repeat('x', 300)), 0 FROM generate_series(1, seconds) n $$});
my $day = query(q{SELECT date_trunc('day', now(), 'UTC')});
query("SELECT fill(40000, '$day')");
my $all = query(q{SELECT sum(pg_relation_size(oid)) / 8192 FROM pg_class WHERE relispartition AND relkind = 'r'});
cmp_ok($all, '>', 1500, "$all pages");
ok($node->poll_query_until('postgres', "SELECT pages('$day'::timestamptz + interval '10 seconds') <= 256"), 'an old event is found by reading one range, and what is not full');
ok($node->poll_query_until('postgres', "SELECT pages('$day'::timestamptz + interval '40000 seconds') <= 256"), 'so is the last one');
my $session = IPC::Run::start([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', 'postgres' ], '<', \my $in, '>', \my $out, IPC::Run::timeout(180));
$in = q{BEGIN; SELECT format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', tableoid::regclass) FROM log LIMIT 1 \gexec
\echo locked
};
$session->pump until $out =~ /locked/;
query("SELECT fill(40000, '$day'::timestamptz + interval '40000 seconds')");
my $filled = query('SELECT clock_timestamp()');
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'summarizing BRIN indexes' AND state = 'idle' AND query_start > '$filled')"), 'it has had its turn');
cmp_ok(query("SELECT pages('$day'::timestamptz + interval '80000 seconds')"), '>', 1000, 'while somebody has the partition locked nothing is done');
is(query(q{SELECT count(*) FROM pg_locks WHERE NOT granted}), 0, 'and nobody waits');
$in .= "COMMIT;\n\\q\n";
$session->finish;
ok($node->poll_query_until('postgres', "SELECT pages('$day'::timestamptz + interval '80000 seconds') <= 256"), 'afterwards it is');
query('TRUNCATE log');
query("SELECT fill(20000, '$day')");
ok($node->poll_query_until('postgres', "SELECT pages('$day'::timestamptz + interval '20000 seconds') <= 256"), 'of a table that has been emptied it begins anew');
unlike(log_since($node), qr/could not summarize/, 'nothing has failed');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
