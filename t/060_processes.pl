# The processes, as they are seen and as they come back: a worker that somebody ends again
# and again serves at once, one that cannot have a slot or a database is told, and a setting
# in a file that is wrong opens no door.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('processes', conf => "include_if_exists = 'changing.conf'\n");
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# A column of the row of a kind of process.
sub status
{
	my ($column, $kind) = @_;
	return query("SELECT $column FROM windtrap.status WHERE kind = '$kind'");
}

sub metric
{
	my ($kind) = @_;
	return query("SELECT value FROM windtrap.metrics WHERE name = 'process_up' AND label_value = '$kind'");
}

sub changing_conf
{
	my ($text) = @_;
	unlink $node->data_dir . '/changing.conf';
	append_to_file($node->data_dir . '/changing.conf', $text) if defined $text;
	return;
}

#
# All are seen
#
ok(wait_for(sub { status('pid IS NOT NULL', 'upkeep') eq 't' }), 'the upkeep has a row with its pid');
is(query(q{SELECT string_agg(DISTINCT kind, ' ' ORDER BY kind) FROM windtrap.status}), 'launcher upkeep worker', 'so have all');
is(status('state', 'launcher'), 'working', 'the launcher works');
is(status('tls', 'worker'), 'f', 'the worker speaks no TLS');
ok(wait_for(sub { metric('upkeep') == 1 }), 'the upkeep is up, as a metric');
is(metric('worker'), 1, 'so is the worker');
is(metric('launcher'), 1, 'and the launcher');

#
# Ended again and again
#
for my $round (1 .. 5)
{
	my ($pid) = worker_pids($node);
	query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()'
		  . " AND backend_type ~ '^windtrap (worker|upkeep)'");
	is(query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker'}), 1, "ended, round $round: the worker has a row");
	ok(wait_for(sub { ((worker_pids($node))[0] // $pid) != $pid && event($port) == 200 }, 3), "ended, round $round: it serves again within 3 s");
	# It is seen to listen before it is ended again.
	wait_for(sub { status('state', 'worker') eq 'listening' });
}
ok(wait_for(sub { status('pid IS NOT NULL', 'upkeep') eq 't' }), 'the upkeep is back, too');

{
	my ($rounds, $seen) = (0, '');
	# Somebody does not let it live: the pauses grow, and the view says so.
	my $until = time + 20;
	while (time < $until && $seen !~ /^restarting/)
	{
		query(q{SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind = 'worker' AND state = 'listening'});
		$rounds++;
		$seen = query(q{SELECT state || ' ' || last_error FROM windtrap.status
			WHERE kind = 'worker' AND state = 'restarting' AND next_start > now() + interval '0.3 s'});
		sleep 0.02;
	}
	like($seen, qr/^restarting the process has ended/, 'ended too often: the view says that it waits, and until when');
}
ok(ready($port, 8), 'and it comes back');

#
# The launcher is ended: those that it has started go on, and the next one takes them over
#
sub end_launcher
{
	my ($what) = @_;
	my $before = status('pid', 'launcher');
	query("SELECT pg_terminate_backend($before)");
	ok(wait_for(sub { my $now = status('pid', 'launcher'); $now ne '' && $now ne $before && status('state', 'launcher') eq 'working' }),
		"$what: another launcher comes");
	return;
}

sub pids { return query(q{SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type ~ '^windtrap (worker|upkeep|forwarder)'}); }

sub take_over
{
	my ($what) = @_;
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE pid IS NOT NULL AND kind <> 'launcher'}) == 4 }), "$what: two workers, the upkeep, a forwarder");
	wait_for(sub { event($port) == 200 });
	my $pids = pids();
	my $load = start_load($port, connections => 8);
	$load->wait_for_more(100);
	for my $round (1 .. 3)
	{
		end_launcher("$what, round $round");
		is(pids(), $pids, "$what, round $round: the others are those that were");
		$load->wait_for_more(100);
	}
	sleep 1.5;    # should it start any of them once more
	is(pids(), $pids, "$what: and stay");
	my $codes = $load->stop;
	is(join(' ', keys %$codes), '200', "$what: $codes->{200} events, all answered 200");
	is($load->audit($node), $load->nothing_wrong, "$what: all of them are there");

	# What it has taken over it looks after.
	for my $kind (qw(worker upkeep forwarder))
	{
		my ($pid) = split /\n/, status('pid', $kind);
		query("SELECT pg_terminate_backend($pid)");
		ok(wait_for(sub { my $now = status(q{string_agg(pid::text, ' ')}, $kind); $now !~ /\b$pid\b/ && ($now =~ tr/ //) == ($kind eq 'worker') && $now ne '' }),
			"$what: a $kind that is ended is started again within 5 s");
	}
	ok(wait_for(sub { event($port) == 200 }), "$what: it serves");
	return;
}

query('CREATE TABLE target (event_timestamp timestamptz, data jsonb, status int)');
alter_system($node, 'windtrap.workers' => 2, 'windtrap.forward_to' => 'target');
take_over('static');
end_launcher('static, again');
alter_system($node, 'windtrap.workers' => undef, 'windtrap.forward_to' => undef);
ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind <> 'launcher'}) == 2 }), 'static: what it has taken over and is not wanted any more goes');
{
	# Stopped, in the moment in which there is none.
	my $before = status('pid', 'launcher');
	query("SELECT pg_terminate_backend($before)");
	is(query('SELECT windtrap.stop()'), 't', 'static: stopped meanwhile');
	is(pids(), '', 'static: none is left');
	ok(wait_for(sub { my $now = status('pid', 'launcher'); $now ne '' && $now ne $before }), 'static: the launcher is back');
	sleep 1.5;
	is(pids(), '', 'static: it starts nobody');
	$before = status('pid', 'launcher');
	query("SELECT pg_terminate_backend($before)");
	like(query('SELECT windtrap.start()'), qr/:$port/, 'static: started, when there is none');
	is(event($port), 200, 'static: it serves');
	is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'windtrap launcher'}), 1, 'static: there is one launcher');
}

#
# No slot, no database
#
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
ok(ready($port), 'three slots: it serves');
ok(wait_for(sub { status('state', 'upkeep') eq 'failed' }), 'the upkeep has got none: failed');
like(status('last_error', 'upkeep'), qr/no free slot .* raise max_worker_processes/, 'with the remedy');
is(metric('upkeep'), 0, 'it is down, as a metric');
alter_system($node, 'windtrap.database' => 'nowhere');
ok(wait_for(sub { status('last_error', 'launcher') eq 'database "nowhere" does not exist' }), 'a database that does not exist is told');
is(status('state', 'launcher'), 'waiting', 'the launcher waits for it');
alter_system($node, 'windtrap.database' => undef);
ok(ready($port), 'taken back, it serves');

#
# A setting in a file that is wrong
#
changing_conf("windtrap.auth = 'tokens'\nwindtrap.workrs = 2\n");
reload($node);
ok(wait_for(sub { status('last_error', 'launcher') =~ /windtrap\.auth = 'tokens' in changing\.conf line 1 is not valid/ }),
	'a bad value after a reload: the status says so');
like(status('last_error', 'launcher'), qr/windtrap\.workrs in changing\.conf line 2 is no setting/, 'and of a name that is none');
is(event($port), 200, 'what was in force stays');
is(count_in_log($node, qr/LOG:  windtrap: windtrap\.auth = 'tokens'/), 1, 'it stands once in the log');
changing_conf("windtrap.auth = 'token'\n");
reload($node);
ok(wait_for(sub { event($port) == 401 }), 'a good value: a token is needed');
changing_conf("windtrap.auth = 'tokens'\n");
reload($node);
ok(wait_for(sub { status('last_error', 'launcher') =~ /'tokens'/ }), 'a bad one after it');
query(q{SELECT pg_terminate_backend(pid) FROM windtrap.status WHERE kind = 'worker'});
ok(wait_for(sub { event($port) == 401 }), 'the good one stays in force, in a new worker, too');
for my $wrong ("windtrap.auth = 'tokens'", "windtrap.auht = 'token'", "windtrap.allowed_hosts = 'a b'")
{
	changing_conf("$wrong\n");
	$node->restart;
	ok(wait_for(sub { status('state', 'worker') eq 'failed' }), "$wrong, restarted: failed");
	like(status('last_error', 'worker'), qr/^nothing is let in: windtrap\.a.* in changing\.conf line 1 is /, "$wrong: the view says why");
	is(http($port, 'GET', '/health', timeout => 2)->{status}, 599, "$wrong: nobody listens");
}
changing_conf("windtrap.auth = 'tokens'\nwindtrap.auth = 'auto'\nwindtrap.workrs = 2\n");
reload($node);
ok(ready($port), 'a later line that is good counts, and a name far from any guard shuts no door');
is(status('last_error', 'worker'), '', 'all is well with the worker');
changing_conf(undef);
reload($node);
ok(wait_for(sub { status('last_error', 'launcher') eq '' }), 'and with the settings');

# Without preload.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nmax_worker_processes = 12\n");
changing_conf("windtrap.auth = 'tokens'\n");
$node->restart;
my ($code, $out, $err) = $node->psql('postgres', 'SELECT windtrap.start()');
like($err, qr/could not start: nothing is let in: windtrap\.auth = 'tokens'/, 'without preload, start() says so');
changing_conf(undef);
reload($node);
query(q{ALTER DATABASE postgres SET windtrap.auth = 'token'});
($code, $out, $err) = $node->psql('postgres', 'SELECT windtrap.start()');
like($err, qr/windtrap\.auth by ALTER DATABASE has no effect/, 'as of a setting that cannot be one of the database');
query(q{ALTER DATABASE postgres RESET windtrap.auth});
query('SELECT windtrap.start()');
is(event($port), 200, 'taken back, it serves');
alter_system($node, 'windtrap.workers' => 2, 'windtrap.forward_to' => 'target');
take_over('dynamic');
is(query('SELECT windtrap.stop()'), 't', 'dynamic: what it has taken over is stopped');
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^windtrap'}), 0, 'dynamic: and itself');

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
