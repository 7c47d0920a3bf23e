# What a MongoDB that fails, hangs or dies does to a query: an error and soon, never a part
# of the rows, never a wait that cannot be cancelled; and the next statement works again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../../t";

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Mongo;

my $mongo = Mongo->new;
my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
$node->start;
my $port = $mongo->port;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION windtrap_mongo;
CREATE SERVER m FOREIGN DATA WRAPPER windtrap_mongo
	OPTIONS (address '127.0.0.1', port '$port', server_selection_timeout_ms '1000', socket_timeout_ms '20000');
CREATE USER MAPPING FOR CURRENT_USER SERVER m;
CREATE FOREIGN TABLE t (_id int, v text) SERVER m OPTIONS (database 'd', collection 't');
CREATE FOREIGN TABLE again (_id int, v text) SERVER m OPTIONS (database 'd', collection 'again', on_duplicate 'ignore');
INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;
SQL
my $backend = $node->background_psql('postgres', on_error_stop => 0);

# Runs SQL in the session that all of this happens in; gives output and errors.
sub ask
{
	my ($sql) = @_;
	$backend->{stderr} = '';
	my $out = $backend->query($sql);
	return $out . $backend->{stderr};
}

my $pid = ask('SELECT pg_backend_pid()');
is(ask('SELECT count(*), sum(_id) FROM t'), '20000|200010000', 'everything is read');

# A getMore that fails is an error, however it fails.
$mongo->fail({ times => 1 }, commands => ['getMore'], errorCode => 43);
like(ask('SELECT count(v) FROM t'), qr/ERROR: +could not read from MongoDB collection "d.t"/,
	'a cursor that is lost mid-scan is an error');
$mongo->fail({ times => 2 }, commands => ['getMore'], closeConnection => 1);
like(ask('SELECT count(v) FROM t'), qr/ERROR/, 'a connection that closes mid-scan is an error');
$mongo->heal;
is(ask('SELECT count(v) FROM t'), '20000', 'the next statement has a new connection');

# A server that dies mid-scan, and comes back.
ask("BEGIN; DECLARE c CURSOR FOR SELECT * FROM t");
is(ask('FETCH 1 FROM c'), '1|' . 'x' x 100, 'a scan has begun');
$mongo->kill9;
like(ask('FETCH ALL FROM c'), qr/ERROR/, 'a server that is killed mid-scan is an error');
ask('ROLLBACK');
my $begun = time;
like(ask('SELECT count(v) FROM t'), qr/ERROR: +could not connect to MongoDB/,
	'a server that is down is an error');
cmp_ok(time - $begun, '<', 10, '... after server_selection_timeout_ms');
$mongo->start;
is(ask('SELECT count(v) FROM t'), '20000', 'it is found again at once');
$mongo->stop;
$mongo->start;
is(ask('SELECT count(v) FROM t'), '20000',
	'a connection that the server has closed is made anew, without an error');

# What was written is there after a crash of a server by itself, at once and not 100 ms later.
for my $id (-1, -2, -3)
{
	is(ask("INSERT INTO t VALUES ($id, 'durable')"), '', "row $id is written");
	$mongo->kill9;
	$mongo->start;
	is(ask("SELECT v FROM t WHERE _id = $id"), 'durable', "row $id has survived the crash that followed");
	ask("DELETE FROM t WHERE _id = $id");
}

# The wait for a server that comes back within the time is not an error.
$node->safe_psql('postgres', "ALTER SERVER m OPTIONS (SET server_selection_timeout_ms '20000')");
$mongo->kill9;
{
	my $other = $node->background_psql('postgres');
	$other->query_until(qr/asked/, "\\echo asked\nSELECT count(v) FROM t;\n");
	sleep 0.3;
	$mongo->start;
	is($other->query('SELECT 1'), "20000\n1", 'a statement waits for its server');
	$other->quit;
}

# Cancelling.  The limit leaves room for a slow machine; what is waited for takes 5 s.
sub cancelled
{
	my ($name, $sql) = @_;
	$begun = time;
	my $answer = ask("SET statement_timeout = 500; $sql");
	my $took = time - $begun;
	like($answer, qr/ERROR: +canceling statement due to statement timeout/, "$name: cancelled");
	cmp_ok($took, '<', 2, sprintf '%s: soon (%.2f s)', $name, $took);
	ask('SET statement_timeout = 0');
	return;
}

for my $case (
	[ 'find', 'find', 'SELECT count(v) FROM t' ],
	[ 'getMore', 'getMore', 'SELECT count(v) FROM t' ],
	[ 'insert', 'insert', q{INSERT INTO again VALUES (1, 'a')} ],
	[ 'update', 'update', q{UPDATE t SET v = 'y' WHERE _id = 1} ],
	[ 'delete', 'delete', 'DELETE FROM again WHERE _id = 77' ],
	[ 'analyze', 'aggregate', 'ANALYZE t' ],
	[ 'import', 'listCollections', 'IMPORT FOREIGN SCHEMA d FROM SERVER m INTO public' ])
{
	my ($name, $command, $sql) = @$case;
	ask(q{INSERT INTO again VALUES (77, 'z')});
	$mongo->fail('alwaysOn', commands => [$command], blockConnection => 1, blockTimeMS => 5000);
	cancelled($name, $sql);
	$mongo->heal;
}
is(ask('SELECT count(v) FROM t'), '20000', 'and the next statement works');

# A frozen server: it accepts connections, and says nothing.
$mongo->freeze;
cancelled('frozen, with a connection', 'SELECT count(v) FROM t');
cancelled('frozen, without one', 'SELECT count(v) FROM t');
$mongo->thaw;
is(ask('SELECT count(v) FROM t'), '20000', 'and thawed');
$node->safe_psql('postgres', "ALTER SERVER m OPTIONS (SET socket_timeout_ms '1000')");
is(ask('SELECT count(v) FROM t'), '20000', 'a changed option holds from the next statement on');
$mongo->freeze;
$begun = time;
like(ask('SELECT count(v) FROM t'), qr/ERROR/, 'a frozen server is an error after socket_timeout_ms');
# libmongoc reads once more, over new connections, which wait for connect_timeout_ms.
cmp_ok(time - $begun, '<', 20, '... and attempts at a new connection');
$mongo->thaw;
$node->safe_psql('postgres', "ALTER SERVER m OPTIONS (SET socket_timeout_ms '20000')");

# A connection that has been idle for so long that libmongoc looks at its server again first.
{
	my $address = '127.0.0.1:' . $mongo->port;
	$node->safe_psql('postgres', <<"SQL");
CREATE SERVER idle FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (uri 'mongodb://$address/?heartbeatFrequencyMS=500');
CREATE USER MAPPING FOR CURRENT_USER SERVER idle;
CREATE FOREIGN TABLE idle (_id int) SERVER idle OPTIONS (database 'd', collection 't');
SQL
	is(ask('SELECT count(*) FROM idle'), '20000', 'a connection');
	sleep 0.6;
	$mongo->freeze;
	cancelled('frozen, with a connection that has been idle', 'SELECT count(*) FROM idle');
	$mongo->thaw;
	is(ask('SELECT count(*) FROM idle'), '20000', 'and thawed');
}

# Others do not wait for the server either: who drops a database waits for every process.
{
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	$other->query('SELECT count(v) FROM t');
	$mongo->freeze;
	$other->query_until(qr/asked/, "\\echo asked\nSELECT count(v) FROM t;\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(v)%'}),
		'a statement waits for a frozen server');
	$begun = time;
	$node->safe_psql('postgres', 'DROP DATABASE other');
	cmp_ok(time - $begun, '<', 10, 'a database can be dropped meanwhile');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(v)%'}),
		'1', 'which ends no statement');
	$mongo->thaw;
	is($other->query('SELECT 1'), "20000\n1", 'it has its result');
	$other->quit;
}

# A port that swallows.
$node->safe_psql('postgres', <<'SQL');
CREATE SERVER nowhere FOREIGN DATA WRAPPER windtrap_mongo
	OPTIONS (address '10.255.255.1', connect_timeout_ms '60000', server_selection_timeout_ms '60000');
CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere;
CREATE FOREIGN TABLE n (_id int) SERVER nowhere;
SQL
{
	$begun = time;
	my $answer = ask('SET statement_timeout = 500; SELECT * FROM n');
	ok(time - $begun < 3, 'a connection that is not answered can be cancelled');
	like($answer, qr/ERROR/, '... or is refused at once where there is no way to it');
	ask('SET statement_timeout = 0');
}

# A retry after a kill: what was stored without an answer is not stored twice.
{
	ask('TRUNCATE again');
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	$other->query_until(qr/asked/,
		"\\echo asked\nINSERT INTO again SELECT i, repeat('x', 500) FROM generate_series(1, 100000) i;\n");
	my $until = time + 30;
	sleep 0.01 while $mongo->count('d', 'again') < 5000 && time < $until;
	$mongo->kill9;
	$other->query('SELECT 1');
	$mongo->start;
	my $before = $mongo->count('d', 'again');
	cmp_ok($before, '<', 100000, "killed while it was receiving ($before documents)");
	ask("INSERT INTO again SELECT i, repeat('x', 500) FROM generate_series(1, 100000) i");
	is(ask('SELECT count(*), count(DISTINCT _id), min(_id), max(_id) FROM again'),
		'100000|100000|1|100000', 'sent again, it is there once');
	$other->quit;
}

# Errors of writing.
$mongo->command('d', '{"create":"checked","validator":{"v":{"$ne":"bad"}}}');
$mongo->command('d', '{"createIndexes":"checked","indexes":[{"key":{"v":1},"name":"v_1","unique":true}]}');
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE checked (_id int, v text) SERVER m OPTIONS (database 'd', on_duplicate 'ignore');
SQL
like(ask(q{\set VERBOSITY verbose
INSERT INTO checked SELECT i, CASE i WHEN 5 THEN 'bad' ELSE 'good' || i END FROM generate_series(1, 10) i}),
	qr/ERROR: +23514: .*Document failed validation.*DETAIL: +The document has _id 5/s,
	'a refused document is a check violation that names it');
is(ask('SELECT count(*) FROM checked'), '9', '... and keeps no other back');
like(ask(q{INSERT INTO checked VALUES (11, 'good1')}), qr/ERROR: +23505: .*index: v_1/s,
	'a duplicate of another index than _id is no duplicate that is ignored');
is(ask(q{INSERT INTO checked VALUES (1, 'else')}), '', '... unlike one of _id');
is(ask(q{INSERT INTO checked VALUES (11, 'good1') ON CONFLICT DO NOTHING RETURNING _id}), '',
	'ON CONFLICT DO NOTHING means any index');
$mongo->fail({ times => 1 }, commands => ['insert'], errorCode => 13);
like(ask(q{INSERT INTO checked VALUES (20, 'x')}), qr/ERROR: +42501/, 'not authorised');
$mongo->heal;
$node->safe_psql('postgres', "ALTER SERVER m OPTIONS (ADD write_concern '3')");
like(ask(q{INSERT INTO checked VALUES (21, 'y')}), qr/ERROR/,
	'a write concern that cannot be met is an error');
$node->safe_psql('postgres', 'ALTER SERVER m OPTIONS (DROP write_concern)');

is(ask('SELECT pg_backend_pid()'), $pid, 'all of that in one backend, which is alive');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'and no other has crashed');
$backend->quit;
$node->stop;
done_testing();
