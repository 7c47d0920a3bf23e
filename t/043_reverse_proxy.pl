# Behind a real nginx with examples/nginx.conf: events arrive, and the client is who nginx says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use Test::More;

use Balancer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls;
use WindTrap;

my @nginx = Balancer::find_program('nginx');
plan skip_all => 'there is no nginx' if !@nginx;

my $node = wt_node('behind', conf => "windtrap.trusted_proxies = '127.0.0.1, ::1'\n");
my $port = wt_port($node);
my $front = free_port();
my $ca = authority('authority');
my ($cert, $key) = issue($ca, 'server');
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $token = $node->safe_psql('postgres', q{SELECT windtrap.create_token('nginx')});

# The example, with this test's paths, ports and name.
my $server = slurp_file("$FindBin::RealBin/../examples/nginx.conf");
ok($server =~ s/listen 443 ssl/listen 127.0.0.2:$front ssl/, 'its port');
ok($server =~ s/logs\.example\.com;/localhost;/, 'its name');
system('cp', $cert, "$dir/c.crt") == 0 && system('cp', $key, "$dir/c.key") == 0 or die 'cp';
ok($server =~ s/(ssl_certificate +)\S+;/$1$dir\/c.crt;/, 'its certificate');
ok($server =~ s/(ssl_certificate_key +)\S+;/$1$dir\/c.key;/, 'its key');
ok($server =~ s/127\.0\.0\.1:8000/127.0.0.1:$port/, 'its server');
append_to_file("$dir/nginx.conf", Balancer::nginx_conf($dir, $server));
my $running = IPC::Run::start([ @nginx, '-e', "$dir/error.log", '-c', "$dir/nginx.conf" ], '<', '/dev/null', '>', \my $out, '2>', \my $err);
my @curl = ('--cacert', $ca, '--resolve', "localhost:$front:127.0.0.2", '-H', "Authorization: Bearer $token");
my $url = "https://localhost:$front";

ok(wait_for(sub { $running->pump_nb; tls_curl(@curl, "$url/health") =~ /^200/ }), 'nginx passes on') or diag "$err " . slurp_file("$dir/error.log");
is(tls_curl(@curl, '--interface', '127.0.0.7', '-H', 'X-Forwarded-For: 203.0.113.66', '-d', '{"by":"nginx"}', "$url/log"),
	qq(200 {"accepted":1}\n), 'an event through nginx');
is($node->safe_psql('postgres', q{SELECT data->>'ip' FROM log WHERE data->'json' ? 'by'}), '127.0.0.7', 'the client is who nginx says, not who the client says');
my $file = "$dir/lines";
append_to_file($file, join '', map { qq({"n":$_}\n) } 1 .. 50_000);
is(tls_curl(@curl, '-H', 'Content-Type: application/x-ndjson', '--data-binary', "\@$file", "$url/log"), qq(200 {"accepted":50000}\n), 'a large batch');
like(tls_curl('--cacert', $ca, '--resolve', "localhost:$front:127.0.0.2", '-d', '{}', "$url/log"), qr/^401 /, 'without a token: refused, though nginx is of this machine');
kill 'QUIT', slurp_file("$dir/pid") =~ /(\d+)/;
$running->finish;
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
