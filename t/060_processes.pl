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
ok(wait_for(sub { status('pid IS NOT NULL', 'upkeep') eq 't' }, 5), 'the upkeep is back, too');

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
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nmax_worker_processes = 8\n");
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

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
