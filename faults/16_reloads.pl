# Reloads by the hundred, under a load by TLS that shows a token, while tokens are made and revoked, certificates exchanged, and
# limits, workers and addresses change.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Tls;
use WindTrap;

my $fault = Fault->new(number => 16, name => 'reloads with tokens, certificates, limits, workers and addresses changing');
my $reloads = $fault->length(40, 1000);
my $ca = authority('authority');
my @certificates = map { [ issue($ca, $_, subject => "/CN=$_") ] } qw(first second);
my $node = wt_node('reloads', create => 0, conf => "include_if_exists = 'changing.conf'\nwindtrap.viewer_port = " . free_port() . "\n");
my $port = wt_port($node);
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

sub query { return $node->safe_psql('postgres', $_[0]) }

# By process of those that stay: kind, memory in kB, descriptors that are not PostgreSQL's files, which come and go.
sub processes
{
	my %of = (postmaster => $postmaster);

	for (split /\n/, query(q{SELECT kind, coalesce(worker, 0), pid FROM windtrap.status WHERE pid IS NOT NULL}))
	{
		my ($kind, $n, $pid) = split /\|/;
		$of{"$kind $n"} = $pid;
	}
	return {
		map {
			my $pid = $of{$_};
			$_ => {
				pid         => $pid,
				memory      => eval { memory($pid) } // 0,
				descriptors => scalar(grep { (readlink($_) // '') =~ /^(socket|anon_inode|pipe):/ } glob "/proc/$pid/fd/*") }
		} keys %of };
}

sub code
{
	my ($token) = @_;
	my $answer = tls_curl('--cacert', $ca, '-H', "Authorization: Bearer $token", '-d', '{"probe":1}', "https://127.0.0.1:$port/log");
	return $answer =~ /^(\d{3}) / ? $1 : $answer;
}

install($node, @{ $certificates[0] });
alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
query('CREATE EXTENSION windtrap');
my $token = query(q{SELECT windtrap.create_token('load')});
ok(wait_for(sub { code($token) eq '200' }), 'it serves');

my $load = tls_load($port, $ca, $token);
ok($load->{audit}->wait_for_more(50), 'under load');
my ($made, $wrong, $last, $early) = (0, 0);
for my $n (1 .. $reloads)
{
	open my $conf, '>', $node->data_dir . '/changing.tmp' or die $!;
	printf $conf "windtrap.max_body_size = %d\nwindtrap.max_event_size = %d\n", between(1e5, 1e7), between(2e4, 9e4);
	printf $conf "windtrap.max_inflight = '%dMB'\nwindtrap.request_timeout = '%ds'\n", between(32, 128), between(20, 60);
	printf $conf "windtrap.max_connections = %d\nwindtrap.max_connections_per_ip = %d\n", between(100, 2000), between(0, 300);
	# Workers come and go, which takes longer than a reload.
	printf $conf "windtrap.workers = %d\n", 1 + int($n / 20) % 3;
	printf $conf "windtrap.listen_addresses = '%s'\n", pick('127.0.0.1', '127.0.0.1, 127.0.0.2');
	close $conf;
	rename $node->data_dir . '/changing.tmp', $node->data_dir . '/changing.conf';
	install($node, @{ $certificates[ $n % 2 ] });
	kill 'HUP', $postmaster;
	if ($n % 10 == 0)
	{
		my $rate = pick('', ', rate => 1000');
		my $new = query("SELECT windtrap.create_token('t$n'$rate)");
		$made++;
		$wrong++ if code($new) ne '200';
		query("SELECT windtrap.revoke_token('t$n')");
		$wrong++ if code($new) ne '401';
		$wrong++ if $last && code($last) ne '401';
		$last = $new;
	}
	sleep between(0.01, 0.1);
	$early = processes() if $n == int($reloads / 4);
}
is($wrong, 0, 'each token lets in until it is revoked, and at once');
ok(wait_for(sub { code($token) eq '200' }), 'it serves as before');
ok($load->{audit}->wait_for_more(50), 'the load goes on');
my ($out, $err) = tls_load_over($load);
like($out, qr/\Aopened \d+\n\z/, 'no request failed') or diag $out, $err;
my $codes = $load->{audit}->codes;
is(join(' ', sort keys %$codes), '200', 'none was refused');
my ($missing, $double, $refused) = none_wrong($load->{audit}, $node);

# What those that were there a quarter of the way on, and are there, have more.
sub grown
{
	my $late = processes();
	return map { [ $_, map { my $what = $_; $what } ($late->{$_}{memory} - $early->{$_}{memory}, $late->{$_}{descriptors} - $early->{$_}{descriptors}) ] }
	  sort grep { $early->{$_} && $early->{$_}{pid} == $late->{$_}{pid} } keys %$late;
}
# Connections that were closed, and sockets of workers that end, are gone soon.
wait_for(sub { !grep { $_->[2] > 2 } grown() });
my @grown = grown();
note "$_->[0]: memory $_->[1] kB, descriptors $_->[2] more" for @grown;
cmp_ok(scalar @grown, '>=', 4, 'processes are the same');
is(join(', ', map { "$_->[0]: $_->[2]" } grep { $_->[2] > 2 } @grown), '', 'descriptors are flat');
my ($most) = sort { $b <=> $a } map { $_->[1] } @grown;
cmp_ok($most, '<', 2048, 'memory is flat, kB') if !$ENV{WT_SANITIZE};
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed|was terminated by|exit code [2-9]/, 'nothing has crashed');
my $restarts = count_in_log($node, qr/all server processes terminated/);
is($restarts, 0, 'the server has not restarted');
$node->stop;
$fault->result(sprintf '%d reloads, %d tokens made and revoked: of %d events that were acknowledged (no other answer, no request that failed) %d missing, %d doubled; restarts of the server: %d; memory of a process grew by %d kB at most, descriptors by %d',
	$reloads, $made, $codes->{200}, $missing, $double, $restarts, $most, (sort { $b <=> $a } map { $_->[2] } @grown)[0]);
