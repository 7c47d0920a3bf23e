# Two collectors: one forwards to the other over HTTP.  Each row is there once, as it was, whoever
# is killed; who may not forward, and a server that is set up otherwise, are told in plain words.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(abs_path);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Forward;
use Ledger;
use Tls;
use WindTrap;

my $node = wt_node('sender', conf => "windtrap.workers = 2\n");
my $port = wt_port($node);
my $central = wt_node('central', conf => "windtrap.workers = 2\n");
my $central_port = wt_port($central);
my $url = "http://127.0.0.1:$central_port/log";

sub query { return $node->safe_psql('postgres', $_[0]); }
sub there { return $central->safe_psql('postgres', $_[0]); }

sub promises_are_kept
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	reload($node);    # which ends a pause
	ok(drained($node), "$name: all is forwarded");
	is($load->audit($central), $load->nothing_wrong, "$name: it has what was acknowledged, nothing twice, nothing that was refused");
	is(there('SELECT count(*) - count(DISTINCT data->>\'id\') FROM log'), 0, "$name: no row is there twice");
	ok(rows_as_sent($central) eq rows_as_sent($node), "$name: they are those of the first, as they are");
	return;
}

sub promises_are_kept_through { return kept_through($port, \&promises_are_kept, @_); }

# On this machine, before there is a token.
ok(forward_to($node, $url), 'a target');
ok(wait_state($node, $url, 'working'), 'works');
is(post($port, qq({"n":1.50,"b":"ü","a":[]}\n{"bad\n"text"\n), type => 'application/x-ndjson')->{status}, 200, 'events, one of them bad');
ok(drained($node), 'are forwarded');
is(rows_as_sent($central), rows_as_sent($node), 'they are there as they were, the stand-in, too');

#
# Killed
#
for my $name (map { "forwarder killed, round $_" } 1, 2)
{
	promises_are_kept_through($name, sub { kill_forwarder($node, $url, $name) });
}
promises_are_kept_through('server killed', sub { kill_server($node, $port, 'server killed', 10) });
for my $name (map { "central killed, round $_" } 1, 2)
{
	promises_are_kept_through($name, sub { kill_server($central, $central_port, $name, 10) });
}
promises_are_kept_through('central stopped', sub { stop_server($central, $central_port, 'central stopped', 10, 'fast') });
{
	my $name = 'central killed while it is catching up';
	$central->stop('fast');
	my $load = start_load($port);
	is(put_batch($port, 15_000, "large $_"), 200, "$name: a batch") for 1 .. 3;
	load_over($load, $name);
	$central->start;
	ok(ready($central_port), "$name: it is there");
	my $before = there('SELECT count(*) FROM log');
	reload($node);
	ok(wait_for(sub { there('SELECT count(*) FROM log') > $before }), "$name: it begins");
	kill_group($central);
	$central->start;
	ok(ready($central_port), "$name: it is back");
	promises_are_kept($load, $name);
}

#
# In a circle of two: each has the other's rows, and its own once.
#
{
	ok(forward_to($central, "http://127.0.0.1:$port/log"), 'circle: back');
	is(post($_, '{"t":"circle"}')->{status}, 200, 'circle: an event') for $port, $central_port;
	# There, back, and what has come back.
	ok(drained($_), 'circle: all is forwarded') for $node, $central, $node;
	my $rows = q{SELECT count(*), count(DISTINCT data->>'id') FROM log WHERE data->'json'->>'t' = 'circle'};
	is(query($rows), '2|2', 'circle: the first has each once');
	is(there($rows), '2|2', 'circle: the other one, too');
	is(state_of($central, "http://127.0.0.1:$port/log", 'delivered') > 0, 1, 'circle: what has come back was taken');
	alter_system($central, 'windtrap.forward_to' => undef);
	query(q{DELETE FROM log WHERE data->'json'->>'t' = 'circle'});
	there(q{DELETE FROM log WHERE data->'json'->>'t' = 'circle'});
}

#
# Who may
#
{
	my $mark = log_mark($node);
	my $ingest = there(q{SELECT windtrap.create_token('ingest', scope => 'ingest')});
	my $forward = there(q{SELECT windtrap.create_token('forward', scope => 'forward')});
	my $write = sub {
		my ($text) = @_;
		open my $out, '>', $node->data_dir . '/token' or die $!;
		print $out "$text\n";
		close $out;
		chmod 0600, $node->data_dir . '/token';
		return reload($node);
	};
	my $gives = sub {
		my ($pattern) = @_;
		return 1 if wait_for(sub { return 1 if state_of($node, $url, 'last_error') =~ $pattern; reload($node); sleep 0.2; 0 });
		diag state_of($node, $url, 'last_error');
		return 0;
	};

	is(event($port, 'token'), 200, 'a token is needed: an event is taken');
	ok($gives->(qr/wants a token of scope forward.*\(401\)/), 'a token is needed: the reason is given');
	$write->($ingest);
	alter_system($node, 'windtrap.forward_token_file' => 'token');
	ok($gives->(qr/scope forward \(403\)/), 'one of another scope: the reason is given');
	$write->('wt_unknown');
	ok($gives->(qr/does not know the token.*\(401\)/), 'an unknown one: the reason is given');
	$write->($forward);
	ok(drained($node), 'the right one: it is forwarded');
	there(q{SELECT windtrap.revoke_token('forward')});
	is(event($port, 'revoked'), 200, 'revoked: an event is taken');
	ok($gives->(qr/does not know the token.*\(401\)/), 'revoked: the reason is given');
	$write->(there(q{SELECT windtrap.create_token('again', scope => 'forward')}));
	ok(drained($node), 'a new one: it is forwarded');
	unlike(log_since($node, $mark), qr/wt_[A-Za-z0-9]{10}/, 'no token is in the log');

	# One that keeps no keys could not keep what is promised.
	alter_system($central, 'windtrap.idempotency_window' => 0);
	ok(wait_for(sub { there('SHOW windtrap.idempotency_window') eq '0' }), 'without its window');
	is(event($port, 'window'), 200, 'without its window: an event is taken');
	ok($gives->(qr/idempotency_window/), 'without its window: the reason is given');
	alter_system($central, 'windtrap.idempotency_window' => undef);
	reload($node);
	ok(drained($node), 'with it: it is forwarded');
	ok(rows_as_sent($central) eq rows_as_sent($node), 'all of it');
}

# A circle of one.
{
	my $self = "http://127.0.0.1:$port/log";
	alter_system($node, 'windtrap.forward_token_file' => undef);
	my $before = query('SELECT count(*) FROM log');
	ok(forward_to($node, $self), 'itself as a target');
	is(event($port, 'circle'), 200, 'an event is taken');
	ok(wait_for(sub { state_of($node, $self, 'last_error') =~ /leads back/ }), 'and the reason is given why it is not forwarded')
	  or diag state_of($node, $self, 'last_error');
	is(query('SELECT count(*) FROM log'), $before + 1, 'it is there once');
}

#
# TLS, and a server that hangs
#
{
	my $ca = abs_path(authority('ca'));
	install($central, issue($ca, 'server'));
	alter_system($central, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
	my $secure = "https://localhost:$central_port/log";
	alter_system($node, 'windtrap.forward_token_file' => 'token', 'windtrap.forward_ca_file' => $ca);
	ok(forward_to($node, $secure), 'a target with TLS');
	is(put_batch($port, 1000, 'secure'), 200, 'TLS: a batch');
	ok(drained($node), 'TLS: is forwarded');
	is(there(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'secure%'}), 1000, 'TLS: is there');
	kill 'STOP', worker_pids($central);
	is(put_batch($port, 100, 'hang'), 200, 'hangs: a batch');
	ok(wait_for(sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE query = 'waiting for the target' AND state = 'active'}) eq '1' }), 'hangs: it is waited for');
	cmp_ok(elapsed(sub { $node->stop('fast') }), '<', 5, 'hangs: a shutdown does not wait');
	kill 'CONT', worker_pids($central);
	$node->start;
	ok(ready($port), 'it goes on');
	ok(drained($node), 'and all is forwarded');
	is(there(q{SELECT count(*) FROM log WHERE data->'json'->>'id' LIKE 'hang%'}), 100, 'once');
}

unlike(log_since($_), qr/terminated by signal [^9]|PANIC|TRAP/, 'nothing has crashed') for $node, $central;
$node->stop;
$central->stop;
done_testing();
