# Whatever a target's owner puts into his table, what forwards to it gives him no right that
# he has not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Attack;
use Forward;

my $node = wt_node('forward_attack');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

attack_begin($node);

my ($host, $number) = ($node->host, $node->port);
my $columns = 'id text, event_timestamp timestamptz, data jsonb, status int';
my $target = "CREATE TABLE public.target ($columns);";

my @attacks = (
	(   map { { name => "a trigger, $_", sql => "$target CREATE TRIGGER act $_ EXECUTE FUNCTION act()" } }
		'BEFORE INSERT ON target FOR EACH ROW', 'AFTER INSERT ON target FOR EACH ROW',
		'AFTER INSERT ON target FOR EACH STATEMENT'),
	{   name => 'a deferred trigger',
		sql  => "$target CREATE CONSTRAINT TRIGGER act AFTER INSERT ON target DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION act()" },
	{ name => 'a CHECK constraint', sql => "$target ALTER TABLE target ADD CHECK (try_everything(data::text) = 1)" },
	{ name => 'a default', sql => "$target ALTER TABLE target ADD more int DEFAULT try_everything('default')" },
	{ name => 'an index expression', sql => "$target CREATE INDEX ON target ((status + harmless('index')))" },
	{   name => 'a unique index on an expression',
		sql  => "$target CREATE UNIQUE INDEX ON target (id, (status + harmless('index')))" },
	{   name => 'the predicate of a unique index',
		sql  => "$target CREATE UNIQUE INDEX ON target (id) WHERE harmless('predicate') = 1" },
	{   name => 'a partition key',
		sql  => "CREATE TABLE public.target ($columns) PARTITION BY RANGE ((status + harmless('key')));
			CREATE TABLE one PARTITION OF target DEFAULT" },
	{   name => 'a policy',
		sql  => "$target ALTER TABLE target ENABLE ROW LEVEL SECURITY; ALTER TABLE target FORCE ROW LEVEL SECURITY;
			CREATE POLICY p ON target WITH CHECK (try_everything('policy') = 1)" },
	{   name => 'a view',
		sql  => "CREATE VIEW public.target AS SELECT ''::text AS id, NULL::jsonb AS data;
			CREATE TRIGGER act INSTEAD OF INSERT ON target FOR EACH ROW EXECUTE FUNCTION act()" },
	{   name => 'a domain',
		sql  => "CREATE DOMAIN public.d AS jsonb CHECK (try_everything('domain') = 1);
			CREATE TABLE public.target (id text, data public.d)" },
	{   name  => 'a foreign table',
		super => "CREATE EXTENSION IF NOT EXISTS postgres_fdw; DROP SERVER IF EXISTS here CASCADE;
			CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$number', dbname 'postgres');
			CREATE USER MAPPING FOR hostile SERVER here OPTIONS (user 'hostile', password_required 'false');
			GRANT USAGE ON FOREIGN SERVER here TO hostile",
		sql => "CREATE TABLE public.there ($columns, more int);
			CREATE FOREIGN TABLE public.target ($columns, more int DEFAULT try_everything('default'))
				SERVER here OPTIONS (table_name 'there');
			CREATE TRIGGER act BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION act()" },);

my ($only) = @ARGV;
for my $attack (@attacks)
{
	my $name = $attack->{name};
	next if $only && $name !~ /$only/;
	prepare_attack();
	query($attack->{super}) if $attack->{super};
	is(as_role('hostile', $attack->{sql}), '', "$name: prepared");
	as_role('hostile', 'TRUNCATE acts');
	query('SELECT windtrap.create_log_table()');
	forward_to($node, 'public.target');
	is(event($port), 200, "$name: an event");
	ok(drained($node), "$name: it is forwarded") or diag state_of($node, 'public.target', 'last_error');
	check_gains($name);
	alter_system($node, 'windtrap.forward_to' => undef);
	ok(wait_for(sub { query('SELECT count(*) FROM windtrap.forwarding') eq '0' }), "$name: over");
	query('TRUNCATE windtrap.outbox');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
