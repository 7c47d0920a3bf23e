# The server that events are forwarded to is killed, its standby promoted, and its address moves: what
# the first collector was told is there, and nothing twice, also what the old primary took and could not
# answer. With a standby that the primary does not wait for, what that had not got is missing, and the
# first collector's log closes the gap.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use Balancer;
use Forward;
use Ledger;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Relay;
use WindTrap;

my $node = wt_node('first', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $db1 = wt_node('db1', init => { allows_streaming => 1 }, conf => "hot_standby = on\nwal_keep_size = 256MB\n");

# A standby of a server, which streams.
sub standby_of
{
	my ($primary, $name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup("for_$name");
	$standby->init_from_backup($primary, "for_$name", has_streaming => 1);
	set_port($standby, free_port());
	$standby->append_conf('postgresql.conf', 'windtrap.port = ' . wt_port($standby) . "\n");
	$standby->start;
	return $standby;
}

# Lets it take over.
sub promote
{
	my ($standby, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$standby->safe_psql('postgres', 'SELECT pg_promote()');
	ok(ready(wt_port($standby)), "$name: it is promoted, and listens");
	return;
}

# A balancer is none of whom the collector knows, so it takes a token.
my $token = $db1->safe_psql('postgres', q{SELECT windtrap.create_token('first', scope => 'forward')});
append_to_file($node->data_dir . '/forward.token', "$token\n");
chmod 0600, $node->data_dir . '/forward.token';
alter_system($node, 'windtrap.forward_token_file' => 'forward.token');

#
# A standby that the primary waits for
#
my $db2 = standby_of($db1, 'db2');
alter_system($db1, synchronous_standby_names => 'db2');
ok(wait_for(sub { $db1->safe_psql('postgres', 'SELECT sync_state FROM pg_stat_replication') eq 'sync' }), 'a synchronous standby');

# One address: a balancer, where there is one, which asks /health; else it is moved by hand.
my $balancer = Balancer->start('haproxy', wt_port($db1), wt_port($db2));
note $balancer ? 'by haproxy' : 'by hand';
my $line = Relay->start($balancer ? $balancer->port : wt_port($db1));
my $url = 'http://127.0.0.1:' . $line->port . '/log';
ok(forward_to($node, $url), 'the address is a target');

my $load = start_load($port, connections => 16, pause => 0.01);
ok(wait_for(sub { $db1->safe_psql('postgres', 'SELECT count(*) FROM log') > 300 }), 'killed: events are forwarded');
# What it has taken is not told: its answer is on the way when it dies.
$line->how(lose_answers => 1, then_refuse => 1);
ok(wait_for(sub { $line->noted('lost') == 1 }), 'killed: an answer is lost');
kill_group($db1);
my $killed = time;
ok($load->wait_for_more(100), 'killed: events come in meanwhile');
ok(wait_state($node, $url, 'failing'), 'killed: the view says that it fails');
cmp_ok(state_of($node, $url, 'lag_events'), '>', 0, 'killed: and what waits');
is(known_again($db2) + 0, 0, 'killed: the standby has been sent nothing');
promote($db2, 'killed');
$line->how($balancer ? () : (to => wt_port($db2)));
ok($load->wait_for_more(100), 'killed: events come in afterwards');
my $codes = $load->stop;
is(join(' ', sort keys %$codes), '200', 'killed: all were taken, before, meanwhile and after');
ok(drained($node, undef, 120), 'killed: all is forwarded');
note sprintf 'after %.1f s', time - $killed;
is($load->audit($db2), $load->nothing_wrong, 'killed: the new one has what was acknowledged, nothing twice');
ok(rows_as_sent($db2) eq rows_as_sent($node), 'killed: as it is');
cmp_ok(known_again($db2), '>', 0, 'killed: what the old one had taken and not answered was known to the new one');
$balancer->stop if $balancer;
$line->how(to => wt_port($db2));

#
# One that it does not wait for
#
my $db3 = standby_of($db2, 'db3');
is(put_batch($port, 100, 'before'), 200, 'not waited for: a batch');
ok(drained($node), 'not waited for: is forwarded');
ok(wait_for(sub { $db3->safe_psql('postgres', q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'before%'}) eq '100' }), 'not waited for: the standby has it');
# From here on it is behind.
alter_system($db3, primary_conninfo => 'host=127.0.0.1 port=1');
ok(wait_for(sub { $db2->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication') eq '0' }), 'not waited for: it hears nothing more');
my $behind = query_time();
is(put_batch($port, 100, 'behind'), 200, 'not waited for: another batch');
ok(drained($node), 'not waited for: the primary acknowledges it alone');
kill_group($db2);
promote($db3, 'not waited for');
$line->how(to => wt_port($db3));
is(put_batch($port, 100, 'after'), 200, 'not waited for: a batch afterwards');
ok(drained($node), 'not waited for: is forwarded');
is($db3->safe_psql('postgres', q{SELECT string_agg(DISTINCT split_part(data->'json'->>'id', '-', 1), ' ' ORDER BY split_part(data->'json'->>'id', '-', 1)) FROM log
		WHERE data->'json'->>'id' ~ '^(before|behind|after)-'}), 'after before', 'not waited for: what it had not got is not there');

# By what docs/forwarding.md has for that, from a while before on.
{
	my ($sql) = slurp_file("$FindBin::RealBin/../docs/forwarding.md") =~ /^(\s*SELECT json_build_object.*?);/ms;
	ok($sql && $sql =~ s/'2026-[^']*'/'$behind'::timestamptz - interval '1 hour'/, 'by hand: the query of docs/forwarding.md') or diag $sql;
	my $rows = $node->safe_psql('postgres', $sql);
	my $n = () = $rows =~ /^/mg;
	my $answer = post(wt_port($db3), $rows, type => 'application/vnd.windtrap.rows+ndjson', headers => { Authorization => "Bearer $token" });
	is($answer->{status}, 200, 'by hand: what the first one has is sent again');
	is(json_of($answer)->{accepted}, $n, 'by hand: all of it is accepted');
}
ok(rows_as_sent($db3) eq rows_as_sent($node), 'by hand: and each is there once, as it is');

sub query_time { return $node->safe_psql('postgres', 'SELECT now()'); }

unlike(log_since($_), qr/terminated by signal [^9]|PANIC|TRAP/, $_->name . ': nothing has crashed') for $node, $db1, $db2, $db3;
$node->stop;
$db3->stop;
done_testing();
