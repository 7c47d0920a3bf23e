# windtrap.adopt_partitions() takes back what belongs to nothing, each table by itself: what
# cannot be taken back does not keep the others, and is told why.  What an owner has put into
# a table gains nothing by it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Attack;

my $node = wt_node('adopt');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub adopt { return query(q{SET client_min_messages = error; SELECT partition, action, rows, error FROM windtrap.adopt_partitions() ORDER BY 1}); }

# A table like the log's partitions, with rows of that day at that hour.
sub stray
{
	my ($day, %o) = @_;
	my $n = $o{rows} // 1;
	my $at = $o{at} // join '-', $day =~ /^(....)(..)(..)/;
	return "CREATE TABLE log_$day (LIKE log INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
		INSERT INTO log_$day SELECT timestamptz '$at 12:00+00', jsonb_build_object('day', '$day', 'n', n), n FROM generate_series(1, $n) n;";
}

query('CREATE ROLE other');
attack_begin($node);
is(event($port), 200, 'an event');
query('SELECT windtrap.stop()');

#
# What there can be by the names of partitions
#
query(<<"SQL");
GRANT CREATE ON SCHEMA public TO other;
CREATE SCHEMA elsewhere;
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
@{[ map { stray($_) } qw(20260101 20260102_1 20240229 20111230) ]}
@{[ stray('20260103', at => '2026-01-04') ]}
@{[ stray('20260105', rows => 0) ]}
ALTER TABLE log_20260105 DROP COLUMN status, ADD COLUMN status int NOT NULL;
INSERT INTO log_20260105 VALUES ('2026-01-05 12:00+00', '{"day":"20260105"}', 1), ('2026-01-07 12:00+00', '{"day":"20260105"}', 1);
@{[ stray('20260110') ]} ALTER TABLE log_20260110 OWNER TO other;
CREATE VIEW log_20260111 AS SELECT * FROM log WHERE false;
CREATE FOREIGN TABLE log_20260112 (event_timestamp timestamptz, data jsonb, status int) SERVER files OPTIONS (filename '/nowhere');
CREATE TABLE log_20260113 (event_timestamp timestamptz, data text, status int);
CREATE TABLE log_20260114 (LIKE log, more int);
CREATE TABLE log_20260115 (event_timestamp timestamptz, data jsonb);
CREATE TABLE parent (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL) PARTITION BY RANGE (event_timestamp);
CREATE TABLE log_20260116 PARTITION OF parent FOR VALUES FROM ('2026-01-16') TO ('2026-01-17');
CREATE TABLE inherits (LIKE log);
CREATE TABLE log_20260117 () INHERITS (inherits);
@{[ stray('20260118') ]} CREATE TABLE child () INHERITS (log_20260118);
CREATE UNLOGGED TABLE log_20260119 (LIKE log);
CREATE MATERIALIZED VIEW log_20260120 AS SELECT * FROM log WHERE false;
CREATE TABLE log_20260121 (LIKE log) PARTITION BY LIST (status);
CREATE TABLE log_20260230 (LIKE log);
CREATE TABLE elsewhere.log_20260122 (LIKE log);
CREATE TABLE log_2026 (LIKE log);
CREATE TABLE logs_20260123 (LIKE log);
@{[ stray('20260124') ]} CREATE VIEW needs AS SELECT * FROM log_20260124; ALTER TABLE log_20260124 ADD CHECK (status > 0);
INSERT INTO log_20260124 VALUES ('2026-02-01', '{}', 1);
@{[ stray('20260125') ]} ALTER TABLE log_20260125 ADD PRIMARY KEY (event_timestamp);
INSERT INTO log_20260125 VALUES ('2026-02-01', '{}', 1);
CREATE TABLE cites (t timestamptz REFERENCES log_20260125);
SQL
my $before = query('SELECT count(*) FROM log');
my $mine = query('SELECT current_user');
is(adopt(), <<"TEXT" =~ s/\n\z//r, 'each is taken back, or told why not');
public.log_20111230|attached||
public.log_20240229|attached||
public.log_20260101|attached||
public.log_20260102_1|attached||
public.log_20260103|moved|1|
public.log_20260105|moved|2|
public.log_20260110|left alone||it belongs to other, and the log table to $mine
public.log_20260111|left alone||it is a view
public.log_20260112|left alone||it is a foreign table
public.log_20260113|left alone||its columns are not those of the log table
public.log_20260114|left alone||its columns are not those of the log table
public.log_20260115|left alone||its columns are not those of the log table
public.log_20260116|left alone||it is a part of public.parent
public.log_20260117|left alone||it is a part of public.inherits
public.log_20260118|left alone||other tables inherit from it
public.log_20260119|left alone||it is unlogged
public.log_20260120|left alone||it is a materialized view
public.log_20260121|left alone||it is partitioned itself
public.log_20260124|failed||cannot drop table public.log_20260124 because other objects depend on it: view public.needs depends on table public.log_20260124
public.log_20260125|failed||cannot drop table public.log_20260125 because other objects depend on it: constraint cites_t_fkey on table public.cites depends on table public.log_20260125
public.log_20260230|left alone||there is no such day
TEXT
is(query('SELECT count(*) FROM log') - $before, 7, 'all rows of those that were are in the log');
is(query(q{SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'log_20111230'}),
	q{FOR VALUES FROM ('2011-12-30 01:00:00+01') TO ('2011-12-31 01:00:00+01')}, 'for the day of its name');
is(query('SELECT (SELECT count(*) FROM log_20260124) + (SELECT count(*) FROM log_20260125)'), 4, 'those that could not be have theirs');
is(adopt() =~ s/^.*(failed|left alone).*\n?//gmr, '', 'once');
query('DROP VIEW needs; DROP TABLE cites');
like(adopt(), qr/^public\.log_20260124\|moved\|2\|\n\Qpublic.log_20260125|moved|2|\E$/m, 'and are, when they can be');

# In a zone that has left out the day of the name.
query(stray('20111231') . 'DROP TABLE log_20111230;' . stray('20111230'));
like(query(q{SET TimeZone = 'Pacific/Apia'; SELECT name, day FROM windtrap.stray_partitions ORDER BY name::text;
	SELECT partition, action FROM windtrap.adopt_partitions() WHERE action NOT IN ('left alone', 'failed') ORDER BY 1}),
	qr/^log_20111230\|2011-12-30\nlog_20111231\|2011-12-31\npublic.log_20111230\|attached\npublic.log_20111231\|attached$/, 'a day is what its name says in every zone');

# What somebody else is using.
{
	query(stray('20260201') . stray('20260202'));
	my ($in, $out, $err) = ('', '', '');
	my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err);
	$in = "BEGIN; SELECT count(*) FROM log_20260201;\n";
	ok(wait_for(sub { $holder->pump_nb; $out =~ /1/ }), 'somebody reads one');
	my $adopted = adopt();
	like($adopted, qr/^public\.log_20260201\|failed\|\|canceling statement due to lock timeout$/m, 'it is not waited for');
	like($adopted, qr/^public\.log_20260202\|attached\|\|$/m, 'the other one is taken back');
	$in .= "COMMIT;\n\\q\n";
	$holder->finish;
	like(adopt(), qr/^public\.log_20260201\|attached\|\|$/m, 'so is the first when it is free');
}

# Dropped, or made, while it is looked at.
{
	my $stop = time + 5;
	my $ok = 1;
	my ($err, %met) = ('');
	my $churn = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \(join '', ("CREATE TABLE log_20250101 (LIKE log); CREATE TABLE log_20250102 (LIKE log); CREATE TABLE log_20250103 (LIKE log);\n"
			. "DROP TABLE log_20250101; DROP TABLE log_20250102; DROP TABLE log_20250103;\n") x 2000),
		'>', \my $none, '2>', \$err);
	while (time < $stop && $churn->pumpable)
	{
		my ($rc, $out, $why) = $node->psql('postgres', q{SET client_min_messages = error; SELECT action, error FROM windtrap.adopt_partitions() WHERE action <> 'left alone'});
		$ok = 0, diag "$out $why" if $rc != 0 || grep { !/^(attached|moved)\||^failed\|.*(does not exist|lock timeout|lock on)/ } split /\n/, $out;
		$met{$1}++ while $out =~ /^(\w+)/gm;
		$churn->pump_nb;
	}
	$churn->kill_kill;
	ok($ok, "tables that come and go do no harm");
	note join ', ', map { "$_: $met{$_}" } sort keys %met;
	query(q{DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relname ~ '^log_20250' AND relkind = 'r' LOOP EXECUTE format('DROP TABLE %s', t); END LOOP; END $$});
}

# Columns that the log fills itself.
{
	query(<<"SQL");
DO \$\$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relname ~ '^log_2026' AND relkind IN ('r', 'p') AND NOT relispartition LOOP EXECUTE format('DROP TABLE %s CASCADE', t); END LOOP; END \$\$;
DROP TABLE log CASCADE;
CREATE TABLE log (event_timestamp timestamptz, data jsonb, status int, app text GENERATED ALWAYS AS (data->>'app') STORED,
	n bigint GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (event_timestamp);
CREATE TABLE log_default PARTITION OF log DEFAULT;
CREATE TABLE log_20260301 (event_timestamp timestamptz, data jsonb, status int, app text, n bigint);
INSERT INTO log_20260301 VALUES ('2026-03-01 12:00+00', '{"app":"a"}', 7, 'a', 42);
SQL
	like(adopt(), qr/^public\.log_20260301\|moved\|1\|$/m, 'columns that are generated, and an identity');
	is(query(q{SELECT app, n, status FROM log}), 'a|42|7', 'are what they were');
	query('DROP TABLE log CASCADE');
}

#
# What an owner has slipped in: each attack is what the owner does before
#
my $log = q{CREATE TABLE log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL) PARTITION BY RANGE (event_timestamp);
	CREATE TABLE log_default PARTITION OF log DEFAULT;};
my $made = q{CREATE TABLE log_20260101 (LIKE log); INSERT INTO log_20260101 VALUES ('2026-01-01 12:00+00', '{}', 1);};
my $outside = q{INSERT INTO log_20260101 VALUES ('2026-01-05 12:00+00', '{}', 1);};
my @attacks = (
	{ name => 'an index expression', sql => "$log$made$outside CREATE INDEX ON log_20260101 ((status + harmless('index')))", acts => 0 },
	{ name => 'an index expression of the log', sql => "$log CREATE INDEX ON log ((status + harmless('index'))); $made" },
	{ name => 'an index expression of the log, moved', sql => "$log CREATE INDEX ON log ((status + harmless('index'))); $made$outside" },
	{ name => 'a CHECK constraint of the table', sql => "$log$made ALTER TABLE log_20260101 ADD CHECK (try_everything('check') = 1)", acts => 0 },
	{ name => 'a CHECK constraint of the log', sql => "$log ALTER TABLE log ADD CHECK (try_everything('check') = 1); $made$outside" },
	{ name => 'a default', sql => "$log$made$outside ALTER TABLE log ADD COLUMN more int DEFAULT try_everything('default')" },
	{ name => 'a generated column', sql => "$log ALTER TABLE log ADD COLUMN more int GENERATED ALWAYS AS (status + harmless('generated')) STORED; $made$outside" =~ s/VALUES \('(.*?)', '\{\}', 1\)/(event_timestamp, data, status) VALUES ('$1', '{}', 1)/gr },
	{ name => 'a policy', sql => "$log$made$outside ALTER TABLE log_20260101 ENABLE ROW LEVEL SECURITY; ALTER TABLE log_20260101 FORCE ROW LEVEL SECURITY;
		CREATE POLICY p ON log_20260101 USING (try_everything('policy') = 1)", acts => 0, fails => qr/row-level security/ },
	(   map { { name => "a trigger, $_", sql => "$log CREATE TRIGGER act $_ EXECUTE FUNCTION act(); $made$outside" } }
		  'BEFORE INSERT ON log FOR EACH ROW', 'AFTER INSERT ON log FOR EACH ROW', 'AFTER INSERT ON log' ),
	{ name => 'a deferred trigger', sql => "$log CREATE CONSTRAINT TRIGGER act AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION act(); $made$outside" },
	{ name => 'a rule', sql => "$log$made$outside CREATE RULE r AS ON INSERT TO log DO ALSO SELECT try_everything('rule')" },
	{ name => 'a rule of the table', sql => "$log$made$outside CREATE RULE r AS ON DELETE TO log_20260101 DO ALSO SELECT try_everything('rule')", acts => 0 },
	{ name => 'a type with a cast', acts => 0, left_alone => 1,
		sql => qq{$log CREATE TYPE trap AS (a int);
			CREATE FUNCTION to_jsonb(t trap) RETURNS jsonb LANGUAGE sql AS \$\$ SELECT pg_catalog.to_jsonb(public.try_everything('cast')) \$\$;
			CREATE CAST (trap AS jsonb) WITH FUNCTION to_jsonb(trap) AS IMPLICIT;
			CREATE TABLE log_20260101 (event_timestamp timestamptz, data trap, status int); INSERT INTO log_20260101 VALUES ('2026-01-01 12:00+00', ROW(1), 1)} },
	{ name => 'a partition key', sql => qq{CREATE TABLE log (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL)
		PARTITION BY RANGE ((CASE harmless('key') WHEN 1 THEN event_timestamp ELSE event_timestamp END)); CREATE TABLE log_default PARTITION OF log DEFAULT; $made} },
	{ name => 'a function in pg_temp', acts => 0, fails => qr/cannot create temporary objects/,
		sql => qq{CREATE FUNCTION plant() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
				CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; RETURN new; END \$\$;
			$log CREATE TRIGGER plant BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION plant(); $made$outside} },);

my $session = q{SELECT current_user, session_user, current_setting('search_path'), current_setting('TimeZone'),
	current_setting('session_replication_role'), current_setting('row_security'), current_setting('lock_timeout')};
my $untouched = query($session);

for my $attack (@attacks)
{
	my $name = $attack->{name};
	my ($out, $err) = ('', '');

	prepare_attack();
	is(as_role('hostile', $attack->{sql}), '', "$name: prepared");
	# One that has nothing of the kind is beside it.
	is(as_role('hostile', q{CREATE TABLE log_20260109 (LIKE log_20260101); INSERT INTO log_20260109 SELECT '2026-01-09 12:00+00', data, status FROM log_20260101 LIMIT 1}), '', "$name: and another")
	  if !$attack->{left_alone} && $attack->{sql} !~ /GENERATED|POLICY/;
	as_role('hostile', 'TRUNCATE acts');
	$node->psql('postgres', "SET client_min_messages = error;\nSELECT partition, action, error FROM windtrap.adopt_partitions();\n$session",
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	if ($attack->{fails})
	{
		like("$out$err", $attack->{fails}, "$name: fails");
	}
	elsif ($attack->{left_alone})
	{
		like($out, qr/left alone/, "$name: is left alone");
	}
	else
	{
		is($err, '', "$name: works");
		like($out, qr/^public\.log_20260101\|(attached|moved)\|$/m, "$name: is taken back");
		like($out, qr/^public\.log_20260109\|(attached|moved)\|$/m, "$name: so is the other")
		  if $attack->{sql} !~ /GENERATED/;
	}
	like($out, qr/^\Q$untouched\E$/m, "$name: the caller's session is as before");
	check_gains($name, acts => $attack->{acts});
}

# A table by the name of a partition that is not the log's owner's is not even looked into.
prepare_attack();
query('SELECT windtrap.create_log_table()');
is(as_role('hostile', q{CREATE TABLE log_20260101 (event_timestamp timestamptz NOT NULL, data jsonb NOT NULL, status int NOT NULL DEFAULT try_everything('default'),
	CHECK (try_everything('check') = 1)); CREATE INDEX ON log_20260101 ((status + harmless('index')));
	CREATE TRIGGER act BEFORE INSERT OR DELETE OR UPDATE ON log_20260101 FOR EACH ROW EXECUTE FUNCTION act();
	INSERT INTO log_20260101 VALUES ('2026-01-01 12:00+00', '{}', 1);
	GRANT ALL ON log_20260101 TO PUBLIC; TRUNCATE acts}), '', "somebody else's: prepared");
like(adopt(), qr/^public\.log_20260101\|left alone\|\|it belongs to hostile/m, "somebody else's: is left alone");
check_gains("somebody else's", acts => 0);
is(query('SELECT count(*) FROM acts'), 0, "somebody else's: nothing has run");
is(query('SELECT count(*) FROM log'), 0, "somebody else's: nothing is in the log");

# Who may: only who owns the log, and he without a superuser's help too.
query('GRANT EXECUTE ON FUNCTION windtrap.adopt_partitions() TO hostile');
like(as_role('hostile', 'SELECT windtrap.adopt_partitions()'), qr/must be owner of table log/, 'nobody else may');
prepare_attack();
query('GRANT EXECUTE ON FUNCTION windtrap.adopt_partitions() TO hostile');
is(as_role('hostile', "$log$made SELECT partition, action FROM windtrap.adopt_partitions()"), 'public.log_20260101|attached', 'the owner may');

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
done_testing();
