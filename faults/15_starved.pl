# What the collector needs is not to be had: descriptors, the port, slots for its processes; or all connections of the server are
# taken.  It waits without keeping the processor busy, and serves when it can.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fault;

use IO::Socket::INET;
use List::Util qw(first);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls qw(cpu_ticks);
use WindTrap;

plan skip_all => 'a sanitizer has descriptors and time of its own' if $ENV{WT_SANITIZE};

my $fault = Fault->new(number => 15, name => 'no descriptors, port, slots or connections');
my $seconds = $fault->length(1, 30);
my $node = wt_node('starved', conf => "include_if_exists = 'changing.conf'\n");
my $port = wt_port($node);
my @figures;

sub query { return $node->safe_psql('postgres', $_[0]) }

sub changing_conf
{
	open my $out, '>', $node->data_dir . '/changing.conf' or die $!;
	print $out $_[0];
	close $out;
	return;
}

# How much of one processor the collector's processes take meanwhile, in per cent, those that come and go included: they are
# counted for the postmaster, which is counted too.
sub busy
{
	my ($name, $least) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my $pids = sub { return split ' ', slurp_file("/proc/$postmaster/task/$postmaster/children") };
	my $ours = sub { return grep { (eval { slurp_file("/proc/$_/cmdline") } // '') =~ /windtrap/ } $pids->() };
	my $ended = sub { my @f = split ' ', slurp_file("/proc/$postmaster/stat"); return $f[13] + $f[14] + $f[15] + $f[16] };
	my (%before, $sum);

	my ($begun, $of_ended) = (time, $ended->());
	$before{$_} = eval { cpu_ticks($_) } // 0 for $ours->();
	sleep $seconds;
	$sum = $ended->() - $of_ended;
	my @now = $ours->();
	$sum += (eval { cpu_ticks($_) } // 0) - ($before{$_} // 0) for @now;
	# At 100 ticks a second.
	my $percent = $sum / (time - $begun);
	cmp_ok(scalar @now, '>=', $least, "$name: processes are there");
	cmp_ok($percent, '<', 5, "$name: the processor is not kept busy");
	push @figures, sprintf '%s %.1f %%', $name, $percent;
	return;
}

# Descriptors: the fewest that PostgreSQL starts with.
{
	my $name = 'descriptors';
	$node->stop;
	my $least = first {
		system('bash', '-c', "ulimit -n $_ && exec pg_ctl -D '" . $node->data_dir . "' -l '" . $node->logfile . "' -w start >/dev/null 2>&1") == 0
	}
	64, 72, 80, 96;
	ok($least, "$name: it starts with few of them");
	note "ulimit -n $least";
	ok(ready($port), "$name: it serves");
	my @idle = map { connect_to($port) } 1 .. 100;
	busy("ulimit -n $least", 2);
	$_ && $_->close for @idle;
	my $load = start_load($port, connections => 32);
	ok($load->wait_for_more(100, 60), "$name: events are taken");
	my $codes = $load->stop;
	only_answers($codes, '0|200|503', "$name: no other answer than 200 and 503");
	is($load->audit($node), $load->nothing_wrong, "$name: none is missing, double, or refused and there");
	ok(wait_for(sub { event($port) == 200 }), "$name: it serves");
	system('pg_ctl', '-D', $node->data_dir, '-m', 'fast', '-w', '-s', 'stop') == 0 or die 'stop';
}

# The port.
{
	my $name = 'port taken';
	my $squatter = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "listen: $!";
	my $mark = log_mark($node);
	$node->start;
	ok(wait_for(sub { query(q{SELECT string_agg(last_error, ' ') FROM windtrap.status}) =~ /Address already in use/ }), "$name: the view says so");
	busy($name, 1);
	cmp_ok(count_in_log($node, qr/Address already in use/, $mark), '<=', 3 + $seconds, "$name: the log is not filled");
	$squatter->close;
	my $took = elapsed(sub { ok(wait_for(sub { event($port) == 200 }, 70), "$name: when it is free, it serves") });
	$figures[-1] .= sprintf ' (served %.1f s after it was free)', $took;
}

# Slots.
for my $slots (1, 2)
{
	my $name = "max_worker_processes = $slots";
	my $mark = log_mark($node);
	changing_conf("max_worker_processes = $slots\n");
	$node->restart;
	is(query('SHOW max_worker_processes'), $slots, "$name: so few");
	is(http($port, 'GET', '/health', timeout => 2)->{status}, 599, "$name: nobody listens");
	busy($name, 0);
	cmp_ok(count_in_log($node, qr/slot|max_worker_processes/, $mark), '<=', 6, "$name: the log is not filled");
	cmp_ok(count_in_log($node, qr/too many background workers|no free slot/, $mark), '>=', 1, "$name: but says so");
}
changing_conf('');
$node->restart;
ok(ready($port), 'with slots it serves');

# Connections.
{
	my @sessions;
	while (@sessions < 60)
	{
		my $session = eval { $node->background_psql('postgres', on_error_stop => 0) } or last;
		push @sessions, $session;
		last if $node->psql('postgres', 'SELECT 1') != 0;
	}
	isnt($node->psql('postgres', 'SELECT 1'), 0, 'all connections are taken');
	is(event($port), 200, 'an event is stored all the same');
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my ($worker) = grep { slurp_file("/proc/$_/cmdline") =~ /windtrap worker/ } split ' ', slurp_file("/proc/$pid/task/$pid/children");
	kill 'TERM', $worker;
	ok(wait_for(sub { !kill 0, $worker }) && wait_for(sub { event($port) == 200 }), 'also by a worker that is started then');
	busy('connections taken', 2);
	$_->quit for @sessions;
}
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
$node->stop;
$fault->result("of a processor's time: " . join(', ', @figures));
