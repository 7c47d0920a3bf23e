# A renewed certificate: a reload picks it up, while connections that are open go on and
# nothing that was answered is lost; one that is not fit for use changes nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Tls;
use WindTrap;

my $ca = authority('authority');
my @first = issue($ca, 'first', subject => '/CN=first');
my @second = issue($ca, 'second', subject => '/CN=second');
my @third = issue($ca, 'third', subject => '/CN=third');
my $node = wt_node('renewal', create => 0);
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }
sub last_error { return query(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}); }

# The name in the certificate that new connections see; '': there is no handshake.
sub shown
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'openssl', 's_client', '-connect', "127.0.0.1:$port", '-servername', 'localhost', '-CAfile', $ca ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	return $out =~ /^subject=CN ?= ?(\S+)/m ? $1 : '';
}

install($node, @first);
alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
query('CREATE EXTENSION windtrap');
ok(wait_for(sub { shown() eq 'first' }), 'the first certificate');

my $load = tls_load($port, $ca);
my $audit = $load->{audit};
ok($audit->wait_for_more(100), 'a load by TLS');

# Only the files' contents change.
install($node, @second);
sleep 0.2;
is(shown(), 'first', 'new files: nothing before a reload');
reload($node);
ok(wait_for(sub { shown() eq 'second' }), 'a reload: the second certificate');
ok($audit->wait_for_more(100), 'the load goes on');

# Unfit ones.
my $data = $node->data_dir;
my $mark = log_mark($node);
install($node, $third[0], $second[1]);
reload($node);
ok(wait_for(sub { last_error() =~ /"server.key" does not fit the certificate "server.crt"/ }), 'a key that does not fit: in the status');
is(shown(), 'second', 'the one before stays in use');
sleep 2.2;
is(count_in_log($node, qr/LOG:  windtrap: the private key/, $mark), 1, 'the log says it once, however often it is tried');
install($node, @third);
ok(wait_for(sub { shown() eq 'third' }), 'the key follows: taken without another reload');
ok(wait_for(sub { last_error() eq '' }), 'and nothing is wrong any more');
for my $case (
	[ 'an empty certificate', sub { append_to_file("$data/empty", ''); ("$data/empty", $second[1]) }, qr/could not use the certificate/ ],
	[ 'no PEM', sub { append_to_file("$data/text", 'x' x 500); ("$data/text", $second[1]) }, qr/could not use the certificate/ ],
	[ 'an encrypted key', sub { command('openssl', 'pkey', '-in', $second[1], '-aes256', '-passout', 'pass:x', '-out', "$data/enc"); ($second[0], "$data/enc") }, qr/is encrypted/ ],)
{
	my ($name, $files, $message) = @$case;
	install($node, $files->());
	reload($node);
	ok(wait_for(sub { last_error() =~ $message }), "$name: said") or diag last_error();
	is(shown(), 'third', "$name: the one before stays");
}
install($node, @first);
unlink "$data/server.crt";
reload($node);
ok(wait_for(sub { last_error() =~ /could not open the certificate "server.crt"/ }), 'no certificate: said');
# Not ::1, which may be open already: localhost is both where /etc/hosts says so.
my $addresses = query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'});
alter_system($node, 'windtrap.listen_addresses' => 'localhost,127.0.0.2');
sleep 0.3;
is(query(q{SELECT addresses FROM windtrap.status WHERE kind = 'worker'}), $addresses, 'no other socket is opened as long as that is so');
install($node, @first);
ok(wait_for(sub { shown() eq 'first' && last_error() eq '' }), 'all is well again');
alter_system($node, 'windtrap.listen_addresses' => undef);

# Many times.
my ($pid) = worker_pids($node);
my ($descriptors, $memory);
for my $round (1 .. 300)
{
	install($node, $round % 2 ? @second : @third);
	reload($node) if $round % 10 == 0;
	kill 'HUP', $pid;
	sleep 0.005;
	($descriptors, $memory) = (descriptors($pid), memory($pid)) if $round == 50;
}
ok(wait_for(sub { shown() eq 'third' }), '300 reloads with certificates in turn: the last one is shown');
memory_ok(memory($pid), $memory + 2048, 'memory is flat');
ok($audit->wait_for_more(100), 'the load goes on');
my ($out, $err) = tls_load_over($load);
is($out, "opened 6\n", 'connections that were open have stayed open, and no request failed') or diag $err;
is($audit->audit($node), WindTrap::Load::nothing_wrong(), 'all that was answered is there, once');
cmp_ok(descriptors($pid), '<=', $descriptors, 'descriptors are flat');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
