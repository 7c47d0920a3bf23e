# windtrap.server_log: messages of the server's own log become events, from every kind of process and
# from every moment of its life, without one of them making another, and counted where they do not fit.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::UNIX;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('serverlog', conf => <<'CONF');
windtrap.server_log = warning
windtrap.ring_size = 64kB
log_statement = none
log_min_messages = debug1
log_checkpoints = off
compute_query_id = on
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub fails { return ($node->psql($_[1] // 'postgres', $_[0]))[2]; }

my $from_log = "data->>'protocol' = 'postgresql'";

sub count { return query("SELECT count(*) FROM log WHERE $from_log AND ($_[0])"); }

sub comes
{
	my ($where, $n, $name) = @_;
	my $got;
	my $ok = ok(wait_for(sub { ($got = count($where)) == $n }), $name);
	diag("there are $got") if !$ok;
	return $ok;
}

sub event_where
{
	my ($where) = @_;
	wait_for(sub { count($where) > 0 });
	my $data = query("SELECT data FROM log WHERE $from_log AND ($where) ORDER BY event_timestamp DESC LIMIT 1");
	return $data eq '' ? {} : JSON::PP::decode_json($data);
}

sub metric
{
	my ($name) = @_;
	return query("SELECT value::bigint FROM windtrap.metrics WHERE name = '$name' AND label_value = 'server_log'");
}

# All that jsonlog would say of a message.
query(<<'SQL');
CREATE TABLE stock (item text, amount int CHECK (amount >= 0));
CREATE FUNCTION take() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO stock VALUES ('rope', -1); END $$;
SQL
fails(q{SET application_name = 'the shop'; SELECT take();});
my $data = event_where("data->'json'->>'state_code' = '23514'");
my $json = $data->{json};
is($json->{message}, 'new row for relation "stock" violates check constraint "stock_amount_check"', 'an error: its message');
is($json->{detail}, 'Failing row contains (rope, -1).', 'its detail');
like($json->{context}, qr/PL\/pgSQL function take\(\) line 1/, 'its context');
is_deeply([ @$json{qw(error_severity dbname application_name backend_type)} ],
	[ 'ERROR', 'postgres', 'the shop', 'client backend' ], 'its severity, database, application, kind of process');
is($json->{user}, query('SELECT session_user'), 'its user');
ok($json->{pid} > 0 && exists $json->{remote_host} && $json->{query_id} != 0, 'its process, client, query');
ok(!exists $json->{statement}, 'but not its statement');
is($data->{source}, 'postgresql', 'and where it is from');
is(query("SELECT severity, app, message FROM windtrap.events WHERE data->'json'->>'state_code' = '23514'"),
	'error|postgresql|new row for relation "stock" violates check constraint "stock_amount_check"', 'windtrap.events knows what it is');
fails('SELECT nonsense.nonsense FROM stock');
fails('SELECT windtrap.search_sql()');
like(event_where("data->'json'->>'state_code' = '42883'")->{json}{hint}, qr/No function matches/, 'a hint');

# The level, and the statement, by a reload.
query(q{DO $$ BEGIN RAISE WARNING 'first warning'; RAISE NOTICE 'first notice'; END $$});
comes("data->'json'->>'message' = 'first warning'", 1, 'a warning');
alter_system($node, 'windtrap.server_log' => 'notice', 'windtrap.server_log_statement' => 'on');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'notice' }), 'another level');
query(q{DO $$ BEGIN RAISE NOTICE 'second notice'; END $$});
like(event_where("data->'json'->>'message' = 'second notice'")->{json}{statement}, qr/^DO .*second notice/, 'a notice, with its statement');
comes("data->'json'->>'message' = 'first notice'", 0, 'what was below the level is not copied');
alter_system($node, 'windtrap.server_log' => 'fatal', 'windtrap.server_log_statement' => undef);
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'fatal' }), 'a higher one');
fails(q{DO $$ BEGIN RAISE EXCEPTION 'third'; END $$});
# A login that fails, which has no database, and no place among the processes.
like(fails('SELECT 1', 'nowhere'), qr/does not exist/, 'a login that fails');
$data = event_where("data->'json'->>'state_code' = '3D000'");
is_deeply([ @{ $data->{json} }{qw(error_severity message dbname)} ], [ 'FATAL', 'database "nowhere" does not exist', 'nowhere' ], 'is an event');
comes("data->'json'->>'message' = 'third'", 0, 'an error is not, now');
my $idle = $node->background_psql('postgres');
my $idle_pid = $idle->query_safe('SELECT pg_backend_pid()');
query("SELECT pg_terminate_backend($idle_pid)");
like(event_where("data->'json'->>'state_code' = '57P01' AND data->'json'->>'pid' = '$idle_pid'")->{json}{message},
	qr/terminating connection due to administrator command/, 'the end of a session is');
eval { $idle->quit };
alter_system($node, 'windtrap.server_log' => 'off');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'off' }), 'off');
my $written = metric('ring_written_total');
fails('SELECT 1', 'nowhere');
query(q{DO $$ BEGIN RAISE WARNING 'off'; END $$});
is(metric('ring_written_total'), $written, 'nothing is copied');

# Other databases, in other encodings; text that is none; messages that are long.
alter_system($node, 'windtrap.server_log' => 'warning');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'warning' }), 'on again');
query(q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
query(q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin', q{SET client_encoding = 'UTF8'; DO $$ BEGIN RAISE WARNING 'café in latin'; END $$});
is(event_where("data->'json'->>'dbname' = 'latin'")->{json}{message}, "caf\x{e9} in latin", 'a message in another encoding is UTF-8');
$node->safe_psql('bytes', q{DO $$ BEGIN RAISE WARNING '%', E'no text \\xff'; END $$});
is(event_where("data->'json'->>'dbname' = 'bytes'")->{json}{message}, "no text \x{fffd}", 'what is no text is stored even so');
query(q{DO $$ BEGIN RAISE WARNING '%', repeat('ü', 20000); END $$});
$data = event_where("data->'json'->>'message' LIKE 'üüü%'");
is(length $data->{json}{message}, 4096, 'of a long message 8 kB are kept');
is($data->{note}, 'cut to 8 kB: message', 'and it says so');

# What cannot be stored makes no message that would have to be stored: the collector's are left out.
alter_system($node, 'windtrap.server_log' => 'log');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'log' }), 'messages of the server itself');
alter_system($node, 'windtrap.server_log' => 'debug5', 'log_min_messages' => 'debug1');
query(q{CREATE FUNCTION noise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'noise of %', NEW.data->>'id'; RETURN NEW; END $$;
	CREATE TRIGGER noise BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION noise()});
my $mark = log_mark($node);
is(event($port), 200, 'an event whose storing makes noise');
ok(wait_for(sub { count_in_log($node, 'noise of', $mark) > 0 }), 'which is in the log');
query(q{ALTER TABLE log RENAME COLUMN data TO datum});
is(event($port), 503, 'an event that cannot be stored');
ok(wait_for(sub { count_in_log($node, 'windtrap: could not store events', $mark) > 0 }), 'of which the log tells');
query(q{DO $$ BEGIN RAISE WARNING 'meanwhile'; END $$});
query(q{ALTER TABLE log RENAME COLUMN datum TO data; DROP TRIGGER noise ON log});
comes("data->'json'->>'message' = 'meanwhile'", 1, 'what others write meanwhile is stored when it can be');
comes("data->'json'->>'message' LIKE '%noise of%' OR data->'json'->>'message' LIKE 'windtrap:%' OR data->'json'->>'backend_type' LIKE 'windtrap%'",
	0, 'what the collector writes itself is not');
alter_system($node, 'windtrap.server_log' => 'warning', 'log_min_messages' => 'warning');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'warning' }), 'warnings again');
my $calm;
ok(wait_for(sub {
	my $now = metric('ring_written_total');
	my $same = defined $calm && $now == $calm;
	$calm = $now;
	return $same;
}), 'it comes to rest');

# What does not fit is counted, exactly, and nobody waits for it; what is emitted still has room.
ok(wait_for(sub { query("SELECT value FROM windtrap.metrics WHERE name = 'ring_bytes'") eq '0' }), 'the ring is empty');
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
my ($written_before, $dropped_before) = (metric('ring_written_total'), metric('ring_no_room_total'));
my $took = elapsed(sub { query(q{SET client_min_messages = error; DO $$ BEGIN FOR i IN 1 .. 3000 LOOP RAISE WARNING 'flood %', i; END LOOP; END $$}) });
my ($fitted, $dropped) = (metric('ring_written_total') - $written_before, metric('ring_no_room_total') - $dropped_before);
is($fitted + $dropped, 3000, 'each message has fitted, or was counted');
ok($dropped > 2000 && $fitted > 50, "$dropped did not fit");
cmp_ok($took, '<', 20, 'who writes them does not wait');
query(q{SET windtrap.emit_timeout = 0; SELECT windtrap.emit('{"amid": "the flood"}')});
$lock->query_safe('ROLLBACK');
$lock->quit;
comes("data->'json'->>'message' LIKE 'flood %'", $fitted, 'those that have fitted are stored');
is(query("SELECT count(*) FROM log WHERE data->'json' ? 'amid'"), 1, 'and so is what was emitted amid them');

# Every kind of process, and a start, which has no worker yet.
alter_system($node, 'windtrap.server_log' => 'log', 'log_checkpoints' => 'on', 'log_min_messages' => 'warning');
ok(wait_for(sub { query('SHOW log_checkpoints') eq 'on' }), 'messages of other processes');
query('CHECKPOINT');
ok(wait_for(sub { count("data->'json'->>'backend_type' = 'checkpointer'") > 0 }), 'of the checkpointer');
$node->stop;
$node->start;
ok(ready($port), 'the server starts');
ok(wait_for(sub { count("data->'json'->>'backend_type' = 'startup' AND data->'json'->>'message' LIKE 'database system was shut down%'") > 0 }),
	'what the startup process wrote before there was a worker is stored');
$node->stop('immediate');
$node->start;
ok(ready($port), 'after a crash, too');
ok(wait_for(sub { count("data->'json'->>'message' LIKE 'database system was not properly shut down%'") > 0 }), 'of which it tells');

# The postmaster's own: what it writes before there is a ring, while there is one, and when that is
# about to go, with all that lies there.
sub of_postmaster { return "data->'json'->>'backend_type' = 'postmaster' AND data->'json'->>'message' LIKE '$_[0]'"; }
ok(wait_for(sub { count(of_postmaster('starting PostgreSQL%')) > 0 }), 'the postmaster: its starts');
query('TRUNCATE log');
reload($node);
ok(wait_for(sub { count(of_postmaster('received SIGHUP%')) == 1 }), 'the postmaster: what it is told');
my $victim = $node->background_psql('postgres', on_error_stop => 0);
my $victim_pid = $victim->query_safe('SELECT pg_backend_pid()');
kill 'KILL', $victim_pid;
eval { $victim->quit };
ok(wait_for(sub { accepts($node) && count(of_postmaster("server process (PID $victim_pid) was terminated by signal 9%")) == 1 }, 40), 'the postmaster: what ended the server\'s processes');
ok(wait_for(sub { count(of_postmaster('all server processes terminated; reinitializing')) == 1 }), 'the postmaster: and what it did then');
is(query(q{SELECT data->'json'->>'error_severity', data->>'source', (data->'json'->>'pid')::int <> }.$victim_pid.q{ FROM log WHERE data->'json'->>'message' LIKE 'server process%'}), 'LOG|postgresql|t', 'the postmaster: with its own pid');
is(count(of_postmaster('received SIGHUP%')), 1, 'the postmaster: nothing that was stored before is stored again');

# Sessions that cannot even begin.
alter_system($node, 'windtrap.server_log' => 'fatal');
ok(wait_for(sub { query('SHOW windtrap.server_log') eq 'fatal' }), 'only what is fatal');
sub raw_session
{
	my ($packet) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "socket: $!";
	syswrite $socket, pack('N', length($packet) + 4) . $packet;
	return $socket;
}
my $strange = raw_session(pack('N', 99 << 16));
ok(wait_for(sub { count("data->'json'->>'message' LIKE 'unsupported frontend protocol%'") > 0 }), 'a client that speaks something else');
my $startup = pack('N', 3 << 16) . join("\0", 'user', query('SELECT session_user'), 'database', 'postgres', '', '');
my @held = map { raw_session($startup) } 1 .. 40;
ok(wait_for(sub { count_in_log($node, 'too many clients already') > 0 }), 'more clients than there are places');
close $_ for @held;
ok(wait_for(sub { accepts($node) && count("data->'json'->>'state_code' = '53300'") > 0 }), 'are told so by an event, too');
is(query(q{SELECT windtrap.emit_durably('{"n": "end"}') IS NOT NULL}), 't', 'the ring works');
$node->stop;

# Without preload the setting does nothing, and the log says so.
my $late = wt_node('unloaded', preload => 0, conf => "windtrap.server_log = warning\n");
$late->safe_psql('postgres', 'CREATE EXTENSION windtrap');
$late->safe_psql('postgres', 'SELECT windtrap.start()');
ok(wait_for(sub { count_in_log($late, 'server_log does nothing, since windtrap is not in shared_preload_libraries') == 1 }), 'without preload the log says that it does nothing');
$late->stop;

# The process that writes the log has let go of the server's memory.
my $logger = wt_node('logger', conf => "logging_collector = on\nlog_min_messages = debug1\nwindtrap.server_log = debug1\n");
$logger->safe_psql('postgres', 'SELECT pg_rotate_logfile()');
$logger->stop;
# It is the last one to end.
ok(wait_for(sub { grep { slurp_file($_) =~ /logger shutting down/ } $logger->logfile, glob $logger->data_dir . '/log/*' }),
	'it goes on to its end');
$logger->start;
ok(ready(wt_port($logger)), 'and so does the server');
ok(!(grep { slurp_file($_) =~ /terminated by signal|was not properly shut down/ } glob $logger->data_dir . '/log/*'), 'which has not crashed');
$logger->stop;

done_testing();
