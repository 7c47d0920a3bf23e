# Alerts: evaluated in a process of their own, told once by an event, by NOTIFY and by a webhook, whatever
# is killed meanwhile.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Alerts;
use WindTrap;

my $receiver_port = free_port();
my $dead_port     = free_port();
my $node = wt_node('alerts', conf => <<'CONF');
windtrap.alert_interval = '200ms'
windtrap.alert_timeout = '1200ms'
max_worker_processes = 16
CONF
my $port = wt_port($node);
my $directory = PostgreSQL::Test::Utils::tempdir();

sub query { return $node->safe_psql('postgres', $_[0]); }

sub shown   { return alert_shows($node, @_); }
sub becomes { return alert_becomes($node, @_); }

# The receiver: a process that answers as a file says, and notes in another what has come.
my $answers  = "$directory/answers";
my $received = "$directory/received";

sub answers_with
{
	my ($what) = @_;

	PostgreSQL::Test::Utils::append_to_file("$answers.new", $what);
	rename "$answers.new", $answers or die;
	return;
}

sub serve
{
	my ($client) = @_;
	my ($head, $body) = ('', '');

	while ($head !~ /\r\n\r\n/)
	{
		sysread($client, $head, 65536, length $head) or return;
	}
	($head, $body) = split /\r\n\r\n/, $head, 2;
	my ($length) = $head =~ /^Content-Length: (\d+)/mi;
	while (length $body < $length)
	{
		sysread($client, $body, 65536, length $body) or return;
	}
	my ($path) = $head =~ /^POST (\S+)/;
	my $answer = $path =~ m{^/hang} ? 'hang' : PostgreSQL::Test::Utils::slurp_file($answers);
	my ($token) = $head =~ /^Authorization: Bearer (\S+)/mi;
	my ($key)   = $head =~ /^Idempotency-Key: (\S+)/mi;

	PostgreSQL::Test::Utils::append_to_file($received,
		JSON::PP->new->canonical->encode(
			{ path => $path, answer => $answer, token => $token, key => $key, body => $body })
		  . "\n");
	if ($answer eq 'hang')
	{
		sleep 60;
		return;
	}
	print $client "HTTP/1.1 $answer Some\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	return;
}

my $receiver;

sub start_receiver
{
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $receiver_port,
		Listen    => 50,
		ReuseAddr => 1) or die "cannot listen: $!";
	$receiver = fork // die;
	if ($receiver == 0)
	{
		$SIG{CHLD} = 'IGNORE';
		setpgrp;
		while (my $client = $listener->accept)
		{
			next if fork;
			close $listener;
			serve($client);
			close $client;
			POSIX::_exit(0);
		}
		POSIX::_exit(0);
	}
	close $listener;
	return;
}

sub stop_receiver
{
	# With those that hang.
	kill 'KILL', -$receiver;
	waitpid $receiver, 0;
	undef $receiver;
	return;
}

END { local $?; stop_receiver() if $receiver }

# What it was sent for a path: each as a hash, its body decoded.
sub received
{
	my ($path) = @_;
	my @all = map { JSON::PP::decode_json($_) } split /\n/,
	  -e $received ? PostgreSQL::Test::Utils::slurp_file($received) : '';

	$_->{json} = JSON::PP::decode_json($_->{body}) for @all;
	return grep { $_->{path} eq $path } @all;
}

# The states that a path was told, and of which the receiver has said that it has taken them.
sub taken
{
	return join ' ', map { $_->{json}{alert}{state} } grep { $_->{answer} == 200 } received(@_);
}

answers_with('200');
start_receiver();
my $url = "http://127.0.0.1:$receiver_port";

# A session that listens.
my $listening = $node->background_psql('postgres');
$listening->query('LISTEN ops');

sub notified
{
	my ($name) = @_;
	my $seen = $listening->query('SELECT 1');

	return $seen;
}


sub alert
{
	my ($name, %o) = @_;

	query("SELECT windtrap.alert('$name', '$o{query}', '$o{window}', $o{threshold}, "
		  . ($o{channel} ? "'$o{channel}'" : 'NULL') . ', '
		  . ($o{webhook} ? "'$o{webhook}'" : 'NULL')
		  . ", '" . ($o{comparison} // '>=') . "')");
	return;
}

# Events that an alert of this name looks for, and their end.
sub fire  { post_json($port, { app => $_[0], n => $_ }) for 1 .. ($_[1] // 1); return }
sub douse { query("DELETE FROM log WHERE data->'json'->>'app' = '$_[0]'"); return }

# Waits until an alert has been evaluated twice more, from the beginning.
sub evaluated_again
{
	my ($name) = @_;
	my $now = query('SELECT clock_timestamp()');

	for (1 .. 2)
	{
		wait_for(sub { shown($name, "last_evaluated > '$now'") eq 't' }) or return 0;
		$now = shown($name, 'last_evaluated');
	}
	return 1;
}

# What of an alert is in the log: its states, in their order.
sub logged
{
	my ($name) = @_;
	return query("SELECT string_agg(data->'json'->'alert'->>'state', ' ' ORDER BY data->>'id') FROM log "
		  . "WHERE data->>'protocol' = 'alert' AND data->'json'->'alert'->>'name' = '$name'");
}

# Has what waits to be posted tried at once.
sub hurry { query('UPDATE windtrap.alert_delivery SET next_try = now() WHERE next_try IS NOT NULL'); return }

sub pid_of { return query("SELECT pid FROM windtrap.status WHERE kind = '$_[0]'") }

# Kills a process of the server's and waits until that is back.
sub kill_process
{
	my ($pid) = @_;

	kill 'KILL', $pid;
	wait_for(sub { !kill 0, $pid });
	ok(wait_for(sub { accepts($node) && ready($port, 1) }), 'the server is back');
	return;
}

is(query("SELECT count(*) FROM windtrap.status WHERE kind IN ('webhooks')"), 0, 'nobody posts without an alert');
ok(wait_for(sub { pid_of('alerts') eq '' }), 'and nobody counts');

# Firing, told once, in three ways.
PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/webhook.token', "$url/errors?key=s3cret t0ken\n");
chmod 0600, $node->data_dir . '/webhook.token';
alter_system($node, 'windtrap.webhook_token_file' => 'webhook.token');
alert('errors', query => 'app:errors', window => '1 minute', threshold => 2, channel => 'ops',
	webhook => "$url/errors?key=s3cret");
becomes('errors', 'state', 'ok', 'an alert is evaluated');
fire('errors');
ok(evaluated_again('errors') && shown('errors', 'state || last_value') eq 'ok1', 'what is below its threshold does nothing');
fire('errors');
becomes('errors', 'state', 'firing', 'it fires');
ok(wait_for(sub { taken('/errors?key=s3cret') eq 'firing' }), 'its webhook is told');
ok(evaluated_again('errors'), 'it is evaluated again');
is(taken('/errors?key=s3cret'), 'firing', 'and told once');
is(logged('errors'), 'firing', 'in the log too');
my ($first) = received('/errors?key=s3cret');
my $notifications = notified();
is(scalar(() = $notifications =~ /"ops" with payload/g), 1, 'and by NOTIFY');
my ($payload) = $notifications =~ /with payload "(\{.*\})" received/;
is_deeply(JSON::PP::decode_json($payload), $first->{json}, 'which carries the same');
is($first->{key}, $first->{json}{id}, 'the id is that of the request');
is(query("SELECT count(*) FROM windtrap.events WHERE id = '$first->{json}{id}' AND severity = 'error' "
	  . "AND message = data->'json'->>'message' AND source = 'windtrap'"), 1, 'and that of the event');
is($first->{token}, 't0ken', 'the webhook was shown its token');
my $alert = $first->{json}{alert};
delete $alert->{$_} for qw(since evaluated);
is_deeply($alert, { name => 'errors', state => 'firing', value => 2, comparison => '>=', threshold => 2,
		window_seconds => 60, query => 'app:errors' }, 'the notification says what it is about');
is($first->{json}{collector}, 'alerts', 'and which collector tells it');
is(shown('errors', 'webhook'), $url, 'the view shows the receiver, and not its secret');
becomes('errors', "(pending, last_delivered IS NOT NULL, last_told)", '(0,t,firing)', 'and that it was delivered');

# The end of it, once.
douse('errors');
becomes('errors', 'state', 'ok', 'it recovers');
ok(wait_for(sub { taken('/errors?key=s3cret') eq 'firing ok' }), 'which its webhook is told');
ok(evaluated_again('errors') && logged('errors') eq 'firing ok', 'once');
is(query("SELECT string_agg(severity, ' ' ORDER BY id) FROM windtrap.events WHERE data->>'protocol' = 'alert'"), 'error info',
	'as information');

# Silence.
query("SELECT windtrap.silence_alert('errors', '1 hour')");
fire('errors', 3);
becomes('errors', "state || last_value", 'silenced3', 'a silenced alert is evaluated');
ok(evaluated_again('errors') && logged('errors') eq 'firing ok', 'and tells nothing');
query("SELECT windtrap.unsilence_alert('errors')");
becomes('errors', 'state', 'firing', 'when the silence ends');
ok(wait_for(sub { taken('/errors?key=s3cret') eq 'firing ok firing' }), 'it is told that it fires');
query("SELECT windtrap.silence_alert('errors', '1 s')");
douse('errors');
ok(wait_for(sub { taken('/errors?key=s3cret') eq 'firing ok firing ok' }), 'a silence ends by itself, and the end is told');

# What NOTIFY cannot carry.
$listening->query('LISTEN long');
alert('long', query => 'app:long -"' . '\\"' x 2000 . '"', window => '1 minute', threshold => 1, channel => 'long');
fire('long');
becomes('long', 'last_told', 'firing', 'an alert with a long query fires');
my ($long) = notified() =~ /"long" with payload "(\{.*\})" received/;
my $told = JSON::PP::decode_json($long)->{alert};
is("$told->{name} $told->{state} $told->{value}", 'long firing 1', 'which NOTIFY carries');
ok(!exists $told->{query}, 'without the query');
is(query("SELECT length(data->'json'->'alert'->>'query') FROM log WHERE data->'json'->'alert'->>'name' = 'long'"), 4012,
	'and the event with it');
query("SELECT windtrap.drop_alert('long')");
$listening->quit;

# What alerts tell is not counted: neither does it end a dead man's alert nor keep one firing.
alert('dead', query => '@protocol:alert OR app:nobody', window => '1 minute', threshold => 1, comparison => '<');
becomes('dead', 'state', 'firing', 'an alert fires where there is nothing');
ok(evaluated_again('dead') && shown('dead', 'state || last_value') eq 'firing0', 'and its own event does not end that');
ok(query("SELECT count(*) FROM windtrap.search('\@protocol:alert')") > 0, 'though a search finds it');
query("SELECT windtrap.drop_alert('dead')");

# A receiver that does not take it, is not there, or hangs.
alert('hang', query => 'app:retry', window => '10 minutes', threshold => 1, webhook => "$url/hang");
alert('retry', query => 'app:retry', window => '10 minutes', threshold => 1, webhook => "$url/retry");
answers_with('503');
fire('retry');
becomes('retry', 'pending || state', '1firing', 'what is not taken is kept');
ok(wait_for(sub { shown('retry', 'tries') > 1 }), 'and tried again');
is(shown('retry', 'last_error'), 'it has answered 503', 'the view says why');
is(shown('hang', 'pending'), 1, 'another one hangs');
# Between the decision and the delivery.
$node->append_conf('postgresql.conf', 'max_notify_queue_pages = 64') if $node->pg_version >= 17;
$node->stop('immediate');
$node->start;
ok(ready($port), 'the server is back');
is(shown('retry', 'pending'), 1, 'after a crash it is still to be posted');
stop_receiver();
hurry();
ok(wait_for(sub { shown('retry', 'last_error') =~ /^it cannot be connected to: / }), 'nobody listens');
answers_with('hang');
start_receiver();
hurry();
ok(wait_for(sub { scalar(grep { $_->{answer} eq 'hang' } received('/retry')) }), 'it is under way');
answers_with('200');
kill_process(pid_of('webhooks'));
ok(wait_for(sub { taken('/retry') eq 'firing' }), 'after the end of the process that posts it arrives');
becomes('retry', 'pending', 0, 'and is pending no more');
is(scalar(keys %{ { map { $_->{key} => 1 } received('/retry') } }), 1, 'always with the same id');
is(logged('retry'), 'firing', 'it was decided once');
answers_with('400');
douse('retry');
becomes('retry', "pending || ' ' || given_up || ' ' || last_error", '0 1 it has answered 400', 'what a receiver refuses is not tried again');
query("SELECT windtrap.drop_alert(name) FROM windtrap.alerts WHERE name <> 'errors'");
answers_with('200');

# A kill while nothing is firing, and while it is: what was told stays told.
fire('errors', 2);
ok(wait_for(sub { logged('errors') eq 'firing ok firing ok firing' }), 'it fires');
kill_process(pid_of('alerts'));
ok(evaluated_again('errors') && logged('errors') eq 'firing ok firing ok firing', 'and is not told again after a crash');

# A log table that takes no alerts' events.
query(<<'SQL');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN IF NEW.data->>'protocol' = 'alert' THEN RAISE 'no alerts here' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END$$;
CREATE TRIGGER refuse BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
douse('errors');
ok(wait_for(sub { taken('/errors?key=s3cret') =~ / firing ok$/ && shown('errors', 'notify_error') }), 'it is told without an event');
like(shown('errors', 'notify_error'), qr/^no event, which the log table refuses: no alerts here/, 'and says so');
query('DROP TRIGGER refuse ON log');

# A NOTIFY that the server has no room for, since a session that listens does not come to read.
SKIP:
{
	skip 'a queue of notifications is full with 8 GB only (WT_FULL_QUEUE=1 tries it)', 4
	  if $node->pg_version < 17 && !$ENV{WT_FULL_QUEUE};
	my $error;
	my $before = logged('errors');

	my $asleep = $node->background_psql('postgres');
	$asleep->query_safe('LISTEN ops');
	$asleep->query_safe('BEGIN');
	(undef, undef, $error) = $node->psql('postgres', <<'SQL');
SET statement_timeout = '10min';
DO $$BEGIN LOOP PERFORM pg_notify('full', repeat('x', 7900) || i) FROM generate_series(1, 1000) i; COMMIT; END LOOP; END$$
SQL
	like($error, qr/too many notifications in the NOTIFY queue/, 'there is no room for a NOTIFY');
	fire('errors', 2);
	ok(wait_for(sub { logged('errors') eq "$before firing" && taken('/errors?key=s3cret') =~ / ok firing$/ }),
		'all else is told');
	is(shown('errors', 'notify_error'), 'no NOTIFY: too many notifications in the NOTIFY queue', 'and the alert says so');
	$asleep->quit;
	douse('errors');
	becomes('errors', 'state', 'ok', 'and goes on');
}

# An alert that somebody is changing for long keeps no other one waiting.
my $locking = $node->background_psql('postgres');
alert('held', query => 'app:nobody', window => '1 minute', threshold => 1);
becomes('held', 'state', 'ok', 'an alert');
$locking->query_safe("BEGIN; SELECT windtrap.silence_alert('held', '1 hour')");
ok(evaluated_again('errors'), 'others are evaluated while it is held');
$locking->query_safe('COMMIT');
becomes('held', 'state', 'silenced', 'and then it is, too');

# A query that takes too long, of a table whose owner has made it so.
query(<<'SQL');
CREATE ROLE app;
GRANT CREATE ON SCHEMA public TO app;
ALTER TABLE log OWNER TO app;
ALTER TABLE log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY adds ON log FOR INSERT WITH CHECK (true);
CREATE POLICY reads ON log FOR SELECT USING (CASE WHEN data->'json' ? 'slow' THEN pg_sleep(100) IS NOT NULL ELSE true END);
INSERT INTO log VALUES (now() - interval '1 hour', '{"json": {"slow": 1}}', 0);
SQL
alert('slow', query => 'app:slow', window => '2 hours', threshold => 1, webhook => "$url/slow");
becomes('slow', 'reason', 'the query took longer than windtrap.alert_timeout (1200ms)', 'a slow query is an error');
is(shown('slow', 'state'), 'error', 'which the state says');
fire('errors', 2);
becomes('errors', 'state', 'firing', 'others are evaluated');
ok(wait_for(sub { taken('/slow') eq 'error' }), 'it is told when it lasts');
query("DELETE FROM log WHERE data->'json' ? 'slow'");
ok(wait_for(sub { taken('/slow') eq 'error ok' }), 'and its end');

# One that lets nothing cancel it.
query(<<'SQL');
CREATE FUNCTION stubborn() RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN LOOP BEGIN PERFORM pg_sleep(100); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$;
ALTER POLICY reads ON log USING (CASE WHEN data->'json' ? 'slow' THEN stubborn() ELSE true END);
INSERT INTO log VALUES (now() - interval '1 hour', '{"json": {"slow": 1}}', 0);
SQL
becomes('slow', 'reason', 'the process that ran the query has ended: nothing could cancel it', 'a query that cannot be cancelled ends the process');
douse('errors');
becomes('errors', 'state', 'ok', 'and another one evaluates the others');
query("SELECT windtrap.drop_alert('slow')");
query("DELETE FROM log WHERE data->'json' ? 'slow'");

# A table that is locked.
$locking->query_safe('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
becomes('errors', 'reason', 'the log table is locked', 'a locked table is an error');
$locking->quit;
becomes('errors', 'state', 'ok', 'which passes');

# Nothing is left running for nothing.
query("SELECT windtrap.drop_alert(name) FROM windtrap.alerts");
ok(wait_for(sub { query("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'windtrap (alerts|webhooks)'") == 0 }),
	'without alerts there is nobody who counts or posts');
is(query("SELECT count(*) FROM windtrap.status WHERE kind IN ('alerts', 'webhooks')"), 0, 'nor should there be');

stop_receiver();
done_testing();
