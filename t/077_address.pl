# An address that follows the primary, by keepalived with the configuration of
# examples/high-availability: three hosts, which are network namespaces on one bridge. The primary
# is stopped, its standby promoted, and who sends to the address notices a gap alone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use Balancer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my @keepalived = Balancer::find_program('keepalived');
plan skip_all => 'there is no keepalived' if !@keepalived;
plan skip_all => 'a sanitizer wants to be loaded first' if $ENV{WT_SANITIZE};
my $dir = PostgreSQL::Test::Utils::tempdir_short();
plan skip_all => 'there is no gcc'
  if system("gcc -shared -fPIC -o $dir/no_groups.so $FindBin::RealBin/no_groups.c 2>$dir/gcc") != 0;

# The hosts: a and b have an address each, and this one is where the bridge is. All of it is this
# user's own, and goes with the process that holds it.
my $hosts = <<'SH';
set -e
mount -t tmpfs none /run
ip link set lo up
ip link add br0 type bridge
ip addr add 10.0.0.254/24 dev br0
ip link set br0 up
for host in a:1 b:2; do
	name=${host%:*}
	ip netns add "$name"
	ip link add "v$name" type veth peer name eth0 netns "$name"
	ip link set "v$name" master br0 up
	ip -n "$name" link set lo up
	ip -n "$name" link set eth0 up
	ip -n "$name" addr add "10.0.0.${host#*:}/24" dev eth0
done
echo there
exec sleep 600
SH
# No lexical handle: that would be closed, and its process waited for, before END.
my $holder = open(our $said, '-|', 'unshare', '-Urnm', 'sh', '-c', "exec 2>$dir/hosts\n$hosts") // die "unshare: $!";
my %keepalived;

END
{
	my $status = $?;
	kill 'TERM', $_ for values(%keepalived), $holder // ();
	$? = $status;
}
if ((<$said> // '') ne "there\n")
{
	plan skip_all => 'there are no network namespaces to be had: ' . (slurp_file("$dir/hosts") =~ s/\n.*//sr);
}

# A command at a host; undef: where the bridge is.
sub at
{
	my ($host, @command) = @_;
	return ('nsenter', '-t', $holder, '-U', '-n', '-m', '--preserve-credentials',
		$host ? ('nsenter', "--net=/run/netns/$host") : (), @command);
}

# Starts a server at a host. A server of root's would not start: there it is this user.
sub start_at
{
	my ($host, $node) = @_;
	command(at($host, 'unshare', '-U', "--map-user=$<", '--map-group=' . (split ' ', $()[0],
			'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, 'start'));
	$node->_update_pid(1);
	return;
}

# Who has the address.
sub holders
{
	return join ' ', grep { command(at($_, 'ip', '-br', 'addr', 'show', 'eth0')) =~ m{ 10\.0\.0\.10/24 } } qw(a b);
}

# Sends an event to the address, once; gives the code, 0 for none.
sub send_there
{
	my ($name) = @_;
	my $code = '';
	IPC::Run::run([ at(undef, 'curl', '-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}', '-d', qq({"id":"$name"}), 'http://10.0.0.10:8000/log') ],
		'<', '/dev/null', '>', \$code);
	return $code + 0;
}

#
# The configuration
#
my $example = slurp_file("$FindBin::RealBin/../examples/high-availability/keepalived.conf");
# What is root's is nobody's here.
$example =~ s/^ *enable_script_security\n//m or die 'enable_script_security';
$example =~ s/script_user nobody/script_user root/ or die 'script_user';
for my $case ([ 'the example', $example, 1 ], [ 'one with a mistake', $example =~ s/interval/intervall/r, 0 ])
{
	my ($name, $text, $good) = @$case;
	my $file = "$dir/conf.$good";
	append_to_file($file, $text);
	my $output = '';
	IPC::Run::run([ at('a', 'setsid', '-w', @keepalived, '-t', '-l', '-f', $file) ], '<', '/dev/null', '>&', \$output);
	note $output;
	# It is root who may write to where curl is; that he is nobody here is all that there is to say.
	my @said = grep { !/Unsafe permissions found for script|insecure scripts|NOTICE|^\s*$/ } split /\n/, $output;
	is(@said ? 0 : 1, $good, "$name: keepalived -t " . ($good ? 'finds nothing wrong' : 'says so'));
}

#
# Two servers
#
my %node = map { $_ => PostgreSQL::Test::Cluster->new("address_$_") } qw(a b);
$node{a}->init(allows_streaming => 1, extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
$node{a}->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'windtrap'
windtrap.listen_addresses = '*'
windtrap.port = 8000
windtrap.auth = none
windtrap.seal_after = ''
CONF
start_at('a', $node{a});
$node{a}->safe_psql('postgres', 'CREATE EXTENSION windtrap');
$node{a}->backup('base');
$node{b}->init_from_backup($node{a}, 'base', has_streaming => 1);
start_at('b', $node{b});

for my $host (qw(a b))
{
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>', "$dir/keepalived.$host";
		open STDERR, '>&', \*STDOUT;
		exec at($host, 'env', "LD_PRELOAD=$dir/no_groups.so", @keepalived, '-n', '-l', '-D', '-P', '-p', "$dir/$host.pid", '-r', "$dir/$host.vrrp", '-f', "$dir/conf.1");
	}
	$keepalived{$host} = $pid;
}
ok(wait_for(sub { holders() eq 'a' }, 60), 'the address is where the primary is');
ok(wait_for(sub { send_there('first') == 200 }), 'an event is taken there');
is($node{a}->safe_psql('postgres', q{SELECT count(*) > 0 FROM log WHERE data->'json'->>'id' = 'first'}), 't', 'by the primary');

$node{a}->stop('fast');
isnt(send_there('between'), 200, 'the primary is stopped: none is taken');
ok(wait_for(sub { holders() eq '' }, 60), 'the address is taken from it, and nobody else has it');
$node{b}->safe_psql('postgres', 'SELECT pg_promote()');
ok(wait_for(sub { holders() eq 'b' }, 60), 'the standby is promoted: the address is there');
ok(wait_for(sub { send_there('second') == 200 }), 'and events are taken again');
is($node{b}->safe_psql('postgres', q{SELECT string_agg(DISTINCT data->'json'->>'id', ' ' ORDER BY data->'json'->>'id') FROM log}), 'first second', 'those of before are there, too');

# As its standby: it has the address no more.
$node{a}->append_conf('postgresql.conf', 'primary_conninfo = ' . "'host=" . $node{b}->host . ' port=' . $node{b}->port . "'\nrecovery_target_timeline = latest\n");
append_to_file($node{a}->data_dir . '/standby.signal', '');
start_at('a', $node{a});
ok(wait_for(sub { $node{b}->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'}) eq '1' }, 60), 'the old primary comes back as a standby');
is(send_there('third'), 200, 'events are taken');
is(holders(), 'b', 'and the address stays');

for my $host (qw(a b))
{
	kill 'TERM', $keepalived{$host};
	waitpid delete $keepalived{$host}, 0;
	note slurp_file("$dir/keepalived.$host");
}
$node{$_}->stop('fast') for qw(a b);
done_testing();
