# The tail: an event is given once its transaction has committed, whenever that is, and once; what
# has been changed is no new event; and a look is cheap.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('tail', preload => 0, conf => "max_prepared_transactions = 5\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

query(q{CREATE EXTENSION windtrap; SELECT windtrap.create_log_table();
	-- Looks from the last cursor of this name on, and says what there was, its ids in their order.
	CREATE TABLE cursors (name text PRIMARY KEY, cursor text);
	CREATE FUNCTION look(name text, query text DEFAULT '', max_rows int DEFAULT 10000, OUT ids text, OUT n int, OUT skipped bigint) LANGUAGE plpgsql AS $$
	DECLARE r record; c text; BEGIN
		SELECT cursor INTO c FROM cursors AS x WHERE x.name = look.name;
		n := 0; ids := '';
		FOR r IN SELECT * FROM windtrap.tail(query, c, max_rows) LOOP
			IF r.cursor IS NOT NULL THEN c := r.cursor; skipped := r.skipped;
			ELSE ids := ids || ' ' || coalesce(r.id, '-'); n := n + 1; END IF;
		END LOOP;
		ids := substr(ids, 2);
		INSERT INTO cursors VALUES (name, c) ON CONFLICT ON CONSTRAINT cursors_pkey DO UPDATE SET cursor = c;
	END $$;
	CREATE FUNCTION event(id text, t timestamptz DEFAULT clock_timestamp()) RETURNS void LANGUAGE sql AS
	$$INSERT INTO log VALUES (t, jsonb_build_object('id', id, 'json', jsonb_build_object('n', 1)), 0)$$});

sub look { return query(q{SELECT ids FROM look('} . ($_[0] // 'a') . "', '" . ($_[1] // '') . "')"); }
sub insert { return "SELECT event('$_[0]');"; }


#
# What is new
#
is(look(), '', 'it begins now, with nothing');
query(insert('1'));
is(look(), '1', 'what is committed is given');
is(look(), '', 'once');
query(insert('2') . insert('3') . q{INSERT INTO log VALUES (clock_timestamp(), '{"json":"no id"}', 0)});
is(look(), '2 3 -', 'oldest first, also without an id');
query(insert('4'));
is(look('a', 'id:5'), '', 'what the query does not find is not given');
is(look(), '', 'nor later: its time has been looked at');
is(query(q{SELECT count(*) FROM windtrap.tail(query => 'id:1')}), 1, 'without a cursor there is a cursor alone');
query('BEGIN; ' . insert('rolled back') . ' ROLLBACK');
is(look(), '', 'what is rolled back is never given');
is(query('BEGIN; ' . insert('own') . q{ SELECT ids FROM look('a'); COMMIT}) =~ s/\n//gr, '', 'nor, yet, what is not committed');
is(look(), 'own', 'but afterwards');

#
# Transactions that commit in another order
#
my ($x, $y, $z) = map { Session->new($node) } 1 .. 3;
$x->run('BEGIN;' . insert('x1'));
$y->run('BEGIN;' . insert('y1'));
query(insert('z1'));
is(look(), 'z1', 'others do not wait for those that are under way');
$y->run('COMMIT;');
is(look(), 'y1', 'one that began earlier');
$x->run(insert('x2'));
query(insert('z2'));
is(look(), 'z2', 'another one comes before');
$x->run(insert('x3') . 'COMMIT;');
is(look(), 'x1 x2 x3', 'and the first of all comes last, whole');
# An id is given to a transaction when it first writes: this one began long before, and its events are stamped then.
$x->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM log;');
query(insert('z3'));
is(look(), 'z3', 'a transaction that has not written yet holds up nothing');
$x->run(q{SELECT event('x4', now());});
is(look(), '', 'nor does one that has');
$x->run('COMMIT;');
is(look(), 'x4', 'its event, which is older than the cursor, is given');

#
# Subtransactions
#
$x->run('BEGIN; SAVEPOINT a;' . insert('s1') . 'SAVEPOINT b;' . insert('s2') . 'ROLLBACK TO b;' . insert('s3') . 'RELEASE a; SAVEPOINT c;' . insert('s4'));
query(insert('z4'));
is(look(), 'z4', 'of a transaction with savepoints nothing before its end');
$x->run('COMMIT;');
is(look(), 's1 s3 s4', 'then what it has not undone');
# More than 64: PostgreSQL does not keep the ids of so many at hand.
query(q{CREATE FUNCTION many(prefix text, n int) RETURNS void LANGUAGE plpgsql AS $$BEGIN FOR i IN 1 .. n LOOP
	BEGIN PERFORM event(prefix || i); IF i % 3 = 0 THEN RAISE 'no'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$});
$x->run(q{BEGIN; SELECT many('m', 300);});
$y->run(q{BEGIN; SELECT many('k', 100);});
query(insert('z5'));
is(look(), 'z5', 'of one with hundreds neither');
is(look(), '', 'nor at the next look');
$y->run('COMMIT;');
query(insert('z6'));
is(look(), join(' ', (map { "k$_" } grep { $_ % 3 } 1 .. 100), 'z6'), 'all of the one that ends');
is(query(q{SELECT cursor FROM cursors WHERE name = 'a'}) =~ /^t1(\.[0-9a-f]+(-[0-9a-f]+)?)+$/ ? 1 : 0, 1, 'a cursor is for URLs');
$x->run('COMMIT;');
is(look(), join(' ', map { "m$_" } grep { $_ % 3 } 1 .. 300), 'all of the other');
is(look(), '', 'once');
# So many that a cursor has no room for them: others in between.
$x->run('BEGIN;');
foreach my $i (1 .. 700) { $x->run("SAVEPOINT s; SELECT event('r$i'); RELEASE s;"); $y->run("SELECT event('q$i');"); }
my $few = query(q{SELECT n FROM look('a')});
cmp_ok($few, '<', 700, 'with gaps in hundreds of places the last ones wait');
cmp_ok($few, '>', 200, "$few do not");
query(insert('z7'));
$x->run('COMMIT;');
is(query(q{SELECT n FROM look('a')}), 1401 - $few, 'and come when there are none');
is(look(), '', 'once');

#
# Prepared transactions
#
look();
$x->run('BEGIN; ' . insert('p1') . " PREPARE TRANSACTION 'p';");
query(insert('z8'));
is(look(), 'z8', 'what is prepared is not committed');
is(look(), '', 'still not');
query(q{COMMIT PREPARED 'p'});
is(look(), 'p1', 'and is given when it is');

#
# Changes
#
query(q{SELECT event('old' || n, clock_timestamp() - interval '15 seconds') FROM generate_series(1, 10) n});
like(look(), qr/^old1 old2 .*old10$/, 'events that are late by seconds');
query(q{UPDATE log SET status = 1 WHERE data->>'id' LIKE 'old%'});
is(look(), '', 'an event that is changed is not new');
$x->run(q{BEGIN; UPDATE log SET status = 2 WHERE data->>'id' LIKE 'old%';});
query(insert('u1'));
is(look(), 'u1', 'nor while that is under way');
$x->run('COMMIT;');
is(look(), '', 'nor when it is done');
query(insert('u2') . q{UPDATE log SET status = 3 WHERE data->>'id' = 'u2'; UPDATE log SET status = 4 WHERE data->>'id' = 'u2'});
is(look(), 'u2', 'one that is changed before it is seen is seen');
query('BEGIN;' . insert('u3') . q{UPDATE log SET status = 5 WHERE data->>'id' = 'u3'; COMMIT});
is(look(), 'u3', 'also by its own transaction');
query(q{DELETE FROM log WHERE data->>'id' = 'u1'; SELECT FROM log FOR UPDATE; VACUUM FREEZE log});
is(look(), '', 'neither deletions, locks nor VACUUM make anything new');
query(insert('f1') . q{VACUUM FREEZE log});
is(look(), 'f1', 'what is frozen before it is seen is seen');

#
# Beyond the room that there is
#
query(q{INSERT INTO log SELECT date_trunc('second', now()), jsonb_build_object('id', 'n' || to_char(n, 'FM00000')), 0 FROM generate_series(1, 10000) n});
is( query(q{WITH t AS (SELECT * FROM windtrap.tail('', (SELECT cursor FROM cursors WHERE name = 'a'), 100)) SELECT count(id), min(id), max(id), max(skipped),
	(SELECT count(*) FROM windtrap.search('', max(skipped_since), max(skipped_until), 10000)) >= 9900 FROM t}), '100|n09901|n10000|9900|t',
	'of 10,000 events of one instant the newest are given, and where the others are found');
is(query(q{SELECT n, skipped FROM look('a')}), '10000|0', 'or all of them');

#
# What cannot be
#
my $error = sub { return ($node->psql('postgres', $_[0]))[2]; };
like($error->("SELECT * FROM windtrap.tail('', '$_')"), qr/is no cursor of windtrap\.tail\(\)/, "no cursor: $_")
  foreach ('', 'x', 't1', 't1.1.1.1', 't1.1.1.1.1.', 't1.1.1.1.1.0', 't1.1.1.1.1.2', 't1.1.1.1.1.1-1', 't1.11111111111111111.1.1.1', 't1.1.7fffffffffffffff.1.1', 't1.1.1.1.1x', 't1.1.1.1.1.-1', 't1.5.1.1.1.' . join('.', (1) x 301));
like($error->("SELECT * FROM windtrap.tail('', 't1.ffffffffff.1.1.1')"), qr/of another server/, 'nor one of another server');
like($error->("SELECT * FROM windtrap.tail(max_rows => 0)"), qr/max_rows is a number/, 'no room at all');
like($error->("SELECT * FROM windtrap.tail('a:')"), qr/search, character/, 'a query that is none');
like($error->(q{SELECT windtrap.tail_row('1', 'log'::regclass, '(0,1)', now())}), qr/is for windtrap\.tail\(\) alone/, 'its helper does not work alone');
query(q{CREATE ROLE nobody; CREATE ROLE tenant; GRANT SELECT ON log TO tenant; ALTER TABLE log ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON log TO tenant USING (data->>'id' = 'mine')});
my $cursor = query(q{SELECT cursor FROM windtrap.tail()});
query(insert('mine') . insert('theirs'));
is(query("SET ROLE tenant; SELECT string_agg(id, ' ') FROM windtrap.tail('', '$cursor')"), 'mine', 'with the row security of who asks');
like($error->("SET ROLE nobody; SELECT * FROM windtrap.tail('', '$cursor')"), qr/permission denied for table log/, 'and his rights');
query(q{ALTER TABLE log RENAME TO log_table; CREATE VIEW log AS SELECT * FROM log_table});
like($error->("SELECT * FROM windtrap.tail('', '$cursor')"), qr/cannot be told.*\n.*Ask windtrap\.search/s, 'of a view nothing is new');
query(q{DROP VIEW log});
is(query("SELECT count(id), count(cursor) FROM windtrap.tail('', '$cursor')"), '0|1', 'of no table neither');
query(q{ALTER TABLE log_table RENAME TO log; ALTER TABLE log DISABLE ROW LEVEL SECURITY});
$_->stop foreach $x, $y, $z;

#
# Ledger: many who write, in every way, and all that they commit is given once
#
look('ledger');
query(q{CREATE TABLE given (id text); CREATE SEQUENCE numbers});
my $script = $node->basedir . '/write.sql';
append_to_file($script, <<'SQL');
\set k random(1, 6)
\set pause random(0, 30)
\if :k = 1
INSERT INTO log SELECT clock_timestamp(), jsonb_build_object('id', 'l' || nextval('numbers')), 0 FROM generate_series(1, 20);
\elif :k = 2
BEGIN;
SELECT event('l' || nextval('numbers'));
\sleep :pause ms
SAVEPOINT a;
SELECT event('l' || nextval('numbers'));
ROLLBACK TO a;
SELECT event('l' || nextval('numbers'));
RELEASE a;
COMMIT;
\elif :k = 3
BEGIN;
SELECT event('l' || nextval('numbers'));
\sleep :pause ms
ROLLBACK;
\elif :k = 4
SELECT many('l' || nextval('numbers') || '_', 80);
\elif :k = 5
UPDATE log SET status = status + 1 WHERE data->>'id' LIKE 'old%';
\else
SELECT event('l' || nextval('numbers'));
\endif
SQL
my $writers = IPC::Run::start([ 'pgbench', '-n', '-f', $script, '-c', '8', '-j', '2', '-T', '8', '-h', $node->host, '-p', $node->port, '-U', $node->safe_psql('postgres', 'SELECT current_user'), 'postgres' ], '>', \my $bench_out, '2>', \my $bench_error);
my $looks = 0;
my $end = time + 9;
my $take = q{INSERT INTO given SELECT unnest(string_to_array(ids, ' ')) FROM look('ledger') WHERE n > 0};
while (time < $end) { query($take); $looks++; }
$writers->finish or diag($bench_error);
query($take);
is(query(q{SELECT count(*) > 500, count(*) - count(DISTINCT id) FROM given}), 't|0', "in $looks looks nothing is given twice");
is(query(q{SELECT count(*) FROM (SELECT data->>'id' FROM log WHERE data->>'id' LIKE 'l%' EXCEPT SELECT id FROM given) x}), 0, 'and all that was committed is given, of ' . query('SELECT count(*) FROM given'));
is(query(q{SELECT count(*) FROM (SELECT id FROM given EXCEPT SELECT data->>'id' FROM log) x}), 0, 'and nothing else');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

# A session in the background, which is told one thing after another.
package Session;

sub new
{
	my ($class, $on) = @_;
	my $self = bless { in => '', out => '' }, $class;
	$self->{run} = IPC::Run::start([ 'psql', '-XqAt', '-h', $on->host, '-p', $on->port, '-d', 'postgres' ], '<', \$self->{in}, '>', \$self->{out}, '2>&1', IPC::Run::timeout(180));
	return $self;
}

sub send { my ($self, $sql) = @_; $self->{in} .= "$sql\n\\echo done\n"; return; }

sub wait
{
	my ($self) = @_;
	$self->{run}->pump until $self->{out} =~ /^done$/m;
	my $out = $self->{out};
	$self->{out} = '';
	die $out if $out =~ /ERROR/;
	return $out;
}

sub run { my ($self, $sql) = @_; $self->send($sql); return $self->wait; }
sub stop { my ($self) = @_; $self->{in} .= "\\q\n"; $self->{run}->finish; return; }
