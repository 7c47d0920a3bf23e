# Collectors are restarted, one after the other, under load: no request is cut off or refused,
# neither of those who speak to a worker that ends, nor behind a load balancer.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;

use Balancer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

# Who comes by a proxy is nobody of this machine, and would need a token.
my %nodes = map { $_ => wt_node("rolling_$_", conf => "windtrap.auth = none\n") } qw(a b);
my %ports = map { $_ => wt_port($nodes{$_}) } qw(a b);

sub count { return $nodes{ $_[0] }->safe_psql('postgres', 'SELECT count(*) FROM log'); }

# Ends a load: every request has been acknowledged, and what it has sent is there once in all
# of the log tables together.
sub is_whole
{
	my ($load, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $codes = $load->stop;
	my (%stored, %sent);

	my $ok = is(join(' ', sort keys %$codes), '200', "$name: no request was cut off or refused")
	  || diag join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
	/^(\S+) 200 / and $sent{$1} = 1 for split /\n/, slurp_file($load->{ledger});
	for my $node (values %nodes)
	{
		$stored{$_}++
		  for split /\n/, $node->safe_psql('postgres', "SELECT data->'json'->>'id' FROM log WHERE data->'json'->>'id' LIKE '$load->{name}-%'");
	}
	cmp_ok(scalar(keys %sent), '>', 500, "$name: of " . keys(%sent) . ' events');
	is(scalar(grep { !$stored{$_} } keys %sent), 0, "$name: none is missing");
	is(scalar(grep { $stored{$_} > 1 } keys %stored), 0, "$name: none is there twice");
	return $ok;
}

# Restarts a node; it has events of the load again when this is over.
sub restart
{
	my ($which, $load, $how, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($load->wait_for_more(300), "$name: under load") or return;
	$how->($nodes{$which});
	ok(ready($ports{$which}), "$name: it serves again");
	my $n = count($which);
	ok(wait_for(sub { count($which) > $n + 50 }), "$name: and events come to it");
	return;
}

sub restart_fast { return $_[0]->restart; }

sub drain_and_restart
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{SELECT windtrap.drain('4 s')});
	return restart_fast($node);
}

#
# A worker that ends
#
for my $fresh (0, 1)
{
	my $name = $fresh ? 'a connection for each request' : 'connections that are kept';
	my $load = start_load($ports{a}, connections => 32, fresh => $fresh);

	for (1 .. 6)
	{
		ok($load->wait_for_more(200), "$name: under load");
		my ($pid) = worker_pids($nodes{a});
		kill 'TERM', $pid;
		ok(wait_for(sub { my ($now) = worker_pids($nodes{a}); $now && $now != $pid }), "$name: another worker");
		ok(ready($ports{a}), "$name: which serves");
	}
	restart('a', $load, \&restart_fast, "$name, a restart");
	is_whole($load, $name);
}

# One whose commits wait for a standby: a wait that is broken off would have stored the events.
{
	my $name = 'with a synchronous standby';
	my $primary = wt_node('rolling_primary', init => { allows_streaming => 1 });
	$primary->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('rolling_standby');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'windtrap.port = ' . free_port() . "\n");
	$standby->start;
	alter_system($primary, synchronous_standby_names => 'rolling_standby');
	ok(wait_for(sub { $primary->safe_psql('postgres', q{SELECT string_agg(sync_state, ' ') FROM pg_stat_replication}) eq 'sync' }), $name);
	my $load = start_load(wt_port($primary), connections => 32);
	for (1 .. 6)
	{
		ok($load->wait_for_more(200), "$name: under load");
		my ($pid) = worker_pids($primary);
		kill 'TERM', $pid;
		ok(wait_for(sub { my ($now) = worker_pids($primary); $now && $now != $pid }), "$name: another worker");
	}
	ok($load->wait_for_more(200), "$name: under load");
	my $codes = $load->stop;
	is(join(' ', sort keys %$codes), '200', "$name: no request was cut off or refused")
	  or diag join ', ', map { "$codes->{$_} x $_" } sort keys %$codes;
	is($load->audit($primary), $load->nothing_wrong, "$name: each event is there once");
	$primary->stop;
	$standby->stop;
}

#
# Draining
#
{
	my $health = sub { http($ports{a}, 'GET', '/health') };
	my ($out, $error) = ('', '');
	my ($session, $other) = map {
		IPC::Run::start([ 'psql', '-XAtq', '-d', $nodes{a}->connstr('postgres'), '-c', "SELECT windtrap.drain('$_')" ],
			'<', '/dev/null', '>', \$out, '2>', \$error)
	} '60 min', '50 min';
	my $calls = sub { $nodes{a}->safe_psql('postgres', "SELECT $_[1] FROM pg_stat_activity WHERE query LIKE 'SELECT windtrap.drain(''$_[0]%'") };

	ok(wait_for(sub { $calls->('', 'count(*)') eq '2' }), 'two drain it');
	ok(wait_for(sub { $health->()->{status} == 503 }), 'while it is drained /health says no');
	like($health->()->{content}, qr/about to stop/, 'and why');
	my $kept = connect_to($ports{a});
	$kept->request('{}');
	my $answer = $kept->response;
	is($answer->{status}, 200, 'an event is taken');
	is($answer->{headers}{connection}, 'close', 'by the last answer of its connection');
	ok($kept->is_closed, 'which is closed');
	$calls->('60', 'pg_cancel_backend(pid)');
	$session->finish;
	is(join(' ', map { $health->()->{status} } 1 .. 5), '503 503 503 503 503', 'one who is cancelled does not end what another one has asked for');
	$calls->('50', 'pg_cancel_backend(pid)');
	ok(wait_for(sub { $health->()->{status} == 200 }), 'one that is cancelled leaves it as it was');
	$kept = connect_to($ports{a});
	$kept->request('{}');
	isnt(lc($kept->response->{headers}{connection} // ''), 'close', 'connections stay open');
	$other->finish;
	is(scalar(() = $error =~ /canceling statement/g), 2, 'both were cancelled');
	for my $duration ('-1 s', '1 day', '2 hours')
	{
		(undef, undef, $error) = $nodes{a}->psql('postgres', "SELECT windtrap.drain('$duration')");
		like($error, qr/can be given from 0 to 3600 s/, "$duration is refused");
	}
	my $took = elapsed(sub { is($nodes{a}->safe_psql('postgres', q{SELECT windtrap.drain('1 s')}), 't', 'at the end of the time') });
	cmp_ok($took, '>=', 1, 'and not before');
	is($health->()->{status}, 599, 'it has stopped');
	is($nodes{a}->safe_psql('postgres', q{SELECT windtrap.drain('1 hour')}), 'f', 'of one that has stopped there is nothing to wait for');
	$nodes{a}->safe_psql('postgres', 'SELECT windtrap.start()');
	is($health->()->{status}, 200, 'and it starts again');
}

#
# Behind a load balancer
#
for my $case ([ nginx => \&restart_fast ], [ haproxy => \&drain_and_restart ], [ haproxy => \&restart_fast ])
{
	my ($program, $how) = @$case;
	my $name = "$program, " . ($how == \&restart_fast ? 'restarted' : 'drained and restarted');

  SKIP: {
		my $balancer = Balancer->start($program, @ports{qw(a b)}) or skip "there is no $program", 1;
		# What is sent again with a key, by another connection.
		my (%keyed, @codes);
		my $key_of = $name =~ s/\W+/-/gr;
		for my $key (map { "$key_of-$_" } (1 .. 20) x 2)
		{
			push @codes, post_json($balancer->port, { keyed => $key }, headers => { 'Idempotency-Key' => $key })->{status};
		}
		is(join(' ', @codes), join(' ', (200) x 40), "$name: with a key, each twice");
		for my $node (values %nodes)
		{
			my $keys = $node->safe_psql('postgres', "SELECT string_agg(data->'json'->>'keyed', ' ') FROM log WHERE data->'json'->>'keyed' LIKE '$key_of-%'");
			isnt($keys, '', "$name: both have some");
			$keyed{$_}++ for split / /, $keys;
		}
		is(join(' ', sort { $a <=> $b } values %keyed), join(' ', (1) x 20), "$name: each is stored once, by one of them");
		my $load = start_load($balancer->port, connections => 32);

		for my $which (qw(a b a b))
		{
			restart($which, $load, $how, "$name: $which");
		}
		is_whole($load, $name) or diag $balancer->said;
		$balancer->stop;
	}
}

$_->stop for values %nodes;
unlike(log_since($_), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed') for values %nodes;
done_testing();
