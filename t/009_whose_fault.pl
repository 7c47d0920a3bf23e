# Whose fault an error is.  What one event raises when it is alone, while others pass, is its
# own fault, whatever the code; what every event meets is the table's or the server's, and
# nobody is told not to send again for it.  One bad event costs its neighbours nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('fault');
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub count { return query("SELECT count(*) FROM log WHERE $_[0]"); }

sub recreate
{
	query(q{DROP TABLE IF EXISTS log CASCADE; SELECT windtrap.create_log_table(); ALTER TABLE log OWNER TO owner;
		DO $$ DECLARE p regclass; BEGIN
			FOR p IN SELECT relid FROM pg_partition_tree('log') LOOP
				EXECUTE format('ALTER TABLE %s OWNER TO owner', p);
			END LOOP; END $$});
	return;
}

sub batch { return post($port, join('', map { "$_\n" } @_), type => 'application/x-ndjson'); }

# Events that share transactions: all are sent before any is read.
sub post_at_once
{
	my (@events) = @_;
	my @crowd = map { connect_to($port) } @events;

	$crowd[$_]->request($events[$_], headers => ['Content-Type: application/json']) for 0 .. $#events;
	return map { ($crowd[$_]->response(seconds => 30) // { status => 'none' })->{status} } 0 .. $#events;
}

sub how_many { my ($status, @all) = @_; return scalar grep { $_ eq $status } @all; }

query('CREATE ROLE owner; GRANT CREATE, USAGE ON SCHEMA public TO owner');

#
# One bad event, by any code
#
# What the codes mean to PostgreSQL is the server's fault; here one event alone raises them.
for my $code ('0A000', '42P01', '42501', 'XX000', '55000', '55P03', '53100', '57014', '40001', '08006', '58030', '23514')
{
	recreate();
	query(qq{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
			IF new.data->'json' ? 'bad' THEN RAISE EXCEPTION 'no: %', new.data->>'id' USING ERRCODE = '$code'; END IF;
			RETURN new; END \$\$;
		CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()});
	my @status = post_at_once(map { $_ == 7 ? '{"bad":1}' : qq({"n":$_}) } 1 .. 30);
	is(how_many(200, @status), 29, "$code raised for one event: the others are accepted");
	like($status[6], qr/^(422|503)$/, "$code: it alone is not");
	is(count(q{data->'json' ? 'n'}), 29, "$code: they are stored, once each");
	my $answer = batch(map { $_ == 7 ? '{"bad":1}' : qq({"n":$_}) } 1 .. 30);
	is("$answer->{status} " . json_of($answer)->{accepted} . ' ' . json_of($answer)->{rejected},
		'200 29 1', "$code in a batch: it is in quarantine, the others are stored");
	my @alone = map { post($port, '{"bad":1}')->{status} } 1 .. 2;
	is("@alone", '422 422', "$code alone: what is known of it is remembered");
	query('DROP FUNCTION no CASCADE');
}

# Alone it is not known whose fault it is, until others pass in between.
recreate();
query(q{CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		new.event_timestamp := coalesce((new.data->'json'->>'ts')::timestamptz, new.event_timestamp); RETURN new; END $$;
	CREATE TRIGGER no BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION no()});
my @told = map { my $s = post($port, '{"ts":"2020-01-01T00:00:00Z"}')->{status}; event($port); $s } 1 .. 4;
is("@told", '503 503 422 422', 'an event that moves itself to another day: its own fault when others pass in between');
is(http($port, 'GET', '/health')->{status}, 200, 'and /health is well');
query('DROP FUNCTION no CASCADE');

# How many tries one in 500 costs: a sequence counts them, since it is not undone.
recreate();
query(q{CREATE SEQUENCE tries; GRANT ALL ON tries TO owner;
	CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.tries'); RETURN NULL; END $$;
	CREATE TRIGGER tell BEFORE INSERT ON log FOR EACH STATEMENT EXECUTE FUNCTION tell();
	ALTER TABLE log ADD CONSTRAINT good CHECK (NOT data->'json' ? 'bad')});
my $answer = batch(map { $_ == 123 ? '{"bad":1}' : qq({"n":$_}) } 1 .. 500);
is(json_of($answer)->{accepted}, 499, 'one of 500: 499 are stored');
is(json_of($answer)->{rejected}, 1, 'and one is refused');
cmp_ok(query('SELECT last_value FROM tries'), '<=', 20, 'by few tries');

# Many bad ones.
$answer = batch(map { $_ % 2 ? '{"bad":1}' : qq({"m":$_}) } 1 .. 1000);
is(json_of($answer)->{accepted}, 500, 'every other one of 1000: the others are stored');
is(count(q{data->'json' ? 'm'}), 500, 'once each');

#
# What every event meets
#
recreate();
query('ALTER TABLE log ADD COLUMN tenant int NOT NULL');
is(post($port, '{}')->{status}, 503, 'a column without a default that nobody fills: nobody is told not to send again');
is(batch('{"n":1}', '{"n":2}')->{status}, 503, 'nor of a batch');
is(http($port, 'GET', '/health')->{status}, 503, '/health says so');
like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/null value in column "tenant"/, 'windtrap.status too');
query(q{ALTER TABLE log ALTER tenant SET DEFAULT 7; SELECT setval('tries', 1)});
is(event($port), 200, 'with a default they are accepted again');
is(http($port, 'GET', '/health')->{status}, 200, 'and /health is well');
query('ALTER TABLE log ALTER tenant DROP DEFAULT; CREATE TRIGGER tell BEFORE INSERT ON log FOR EACH STATEMENT EXECUTE FUNCTION tell()');
batch(map { qq({"n":$_}) } 1 .. 500);
cmp_ok(query('SELECT last_value FROM tries'), '<=', 8, 'a large batch of which none passes costs few tries');

# A constraint that nobody meets: the events' fault, until all were refused for a while.
recreate();
query('ALTER TABLE log ADD CONSTRAINT never CHECK (status = 7)');
is(post($port, '{"n":0}')->{status}, 422, 'a constraint refuses an event: its own fault');
{
	my $n = 0;
	my $status;
	ok(wait_for(sub { $n++; sleep 0.3; ($status = post($port, qq({"n":$n}))->{status}) == 503 }, 30),
		'a constraint refuses every event for a while: the table\'s');
	cmp_ok($n, '>=', 20, 'after many');
	is(http($port, 'GET', '/health')->{status}, 503, '/health says so');
	like(query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), qr/refuses every event.*"never"/, 'windtrap.status too');
	my $line = qr/could not store events: the log table refuses every event/;
	post($port, qq({"later":$_})) for 1 .. 3;
	is(count_in_log($node, $line), 1, 'the log says it once');
	query('ALTER TABLE log DROP CONSTRAINT never');
	is(event($port), 200, 'without it they are accepted');
	is(http($port, 'GET', '/health')->{status}, 200, 'and /health is well');
}
# The same bad one for ever is one.
query(q{ALTER TABLE log ADD CONSTRAINT good CHECK (NOT data->'json' ? 'bad')});
is(how_many(422, map { sleep 0.02; post($port, '{"bad":"the same"}')->{status} } 1 .. 40), 40, 'one bad event, again and again, is refused');

#
# Row-level security and privileges
#
recreate();
query('REVOKE INSERT ON log FROM owner');
is(post($port, '{}')->{status}, 503, 'no privilege: 503');
query('ALTER TABLE log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY p ON log WITH CHECK (NOT data->\'json\' ? \'bad\')');
is(post($port, '{}')->{status}, 503, 'no privilege, and row-level security: 503');
query('GRANT INSERT ON log TO owner');
is(post($port, '{"bad":1}')->{status}, 422, 'a policy says no: 422');
is(event($port), 200, 'a policy says yes');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
