# Events by TLS: what a client sees of it, who is refused and how, and that slow, rude and
# large ones fare as they do without.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls;
use WindTrap;

my $node = wt_node('tls', create => 0);
my $port = wt_port($node);
my $url = "https://localhost:$port";
my $ca = authority('authority');
my ($cert, $key) = issue($ca, 'server');

sub query { return $node->safe_psql('postgres', $_[0]); }
sub status { return query(q{SELECT state, last_error FROM windtrap.status WHERE kind = 'worker'}); }

# At start, without a key: nothing listens, and nothing falls back to plain.
alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
query('CREATE EXTENSION windtrap');
ok(wait_for(sub { status() =~ /^failed\|could not open the certificate "server.crt": No such file/ }),
	'without its files it does not listen, and says why');
ok(!connect_to($port), 'not even without TLS');
is(count_in_log($node, qr/LOG:  windtrap: could not open the certificate/), 1, 'the log says it once');

install($node, $cert, $key);
chmod 0644, $node->data_dir . '/server.key';
ok(wait_for(sub { status() =~ /others have access to the private key "server.key": its mode is 0644/ }),
	'a key that others may read is refused');
like(log_since($node), qr/HINT:  Its mode must be 0600/, 'with a hint');
chmod 0600, $node->data_dir . '/server.key';
ok(wait_for(sub { status() eq 'listening|' }), 'with its files it listens, by itself');

my @curl = ('--cacert', $ca);
is(tls_curl(@curl, '-d', '{"first":1}', "$url/log"), qq(200 {"accepted":1}\n), 'an event by https');
is(query(q{SELECT data->'json' FROM log}), '{"first": 1}', 'is stored');
like(tls_curl('-d', '{}', "$url/log"), qr/certificate|issuer/, 'who does not trust the authority does not send');
like(tls_curl('-d', '{}', "http://localhost:$port/log"), qr/^400 .*this port speaks TLS/, 'who speaks plain HTTP is told');
is(tls_curl(@curl, '--tls-max', '1.2', '-d', '{"v":12}', "$url/log"), qq(200 {"accepted":1}\n), 'TLS 1.2');
is(tls_curl(@curl, '--tlsv1.3', '-d', '{"v":13}', "$url/log"), qq(200 {"accepted":1}\n), 'TLS 1.3');
unlike(tls_curl(@curl, '--tlsv1.0', '--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0', '-d', '{}', "$url/log"),
	qr/^\d/, 'not TLS 1.1');

# By a Unix-domain socket it stays plain.
my $path = PostgreSQL::Test::Utils::tempdir_short() . '/s';
alter_system($node, 'windtrap.listen_addresses' => "localhost,$path", 'windtrap.tls_min_version' => 'TLSv1.3');
ok(wait_for(sub { -S $path }), 'a Unix-domain socket beside');
is(tls_curl('--unix-socket', $path, '-d', '{"unix":1}', 'http://localhost/log'), qq(200 {"accepted":1}\n), 'is plain');
ok(wait_for(sub { tls_curl(@curl, '--tls-max', '1.2', '-d', '{}', "$url/log") !~ /^\d/ }), 'a reload: not TLS 1.2');
is(tls_curl(@curl, '-d', '{"v":13}', "$url/log"), qq(200 {"accepted":1}\n), 'but 1.3');
alter_system($node, 'windtrap.listen_addresses' => undef, 'windtrap.tls_min_version' => undef);
ok(wait_for(sub { tls_curl(@curl, '--tls-max', '1.2', '-d', '{}', "$url/log") =~ /^200/ }), 'and back');

#
# Large bodies, keep-alive, refusals
#
my $before = query('SELECT count(*) FROM log');
is(tls_client($port, $ca, <<'PY'), '200 200 400 200', 'requests of a connection, large and small ones');
c = https()
codes = []
for body in [b'{"n":1}', b'\n'.join(b'{"n":%d,"s":"%s"}' % (i, b'x' * 1000) for i in range(12000)), b'{', b'{"n":2}']:
    c.request("POST", "/log", body, {"Content-Type": "application/x-ndjson" if len(body) > 1000 else "application/json"})
    r = c.getresponse()
    r.read()
    codes.append(str(r.status))
print(" ".join(codes))
PY
is(query('SELECT count(*) FROM log') - $before, 12_002, 'are all stored');
is(tls_client($port, $ca, <<'PY'), '200 200 200', 'requests sent in one go are answered one by one');
s = connect()
s.sendall(b"".join(b"POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"p\":%d}" % i for i in range(3)))
f = s.makefile("rb")
codes = []
while len(codes) < 3:
    line = f.readline() or sys.exit("closed early")
    if line.startswith(b"HTTP/"):
        codes.append(line.split()[1].decode())
print(" ".join(codes))
PY
is(tls_client($port, $ca, <<'PY'), '200', 'a head that comes in many pieces, and with a long target');
s = connect()
for piece in [b"POST /log?", b"q=" + b"x" * 6000, b"y" * 2000 + b" HT", b"TP/1.1\r\nHo", b"st: localhost\r\nX: ", b"z" * 3000, b"\r\nContent-Length: 2\r\n\r", b"\n{", b"}"]:
    s.sendall(piece)
    time.sleep(0.02)
print(answer(s)[0])
PY

alter_system($node, 'windtrap.max_body_size' => '2MB');
for my $case ([ 'Content-Length', 'X: y' ], [ 'chunks', 'Transfer-Encoding: chunked' ])
{
	my ($name, $header) = @$case;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/large-$name";
	append_to_file($file, '[' . '1,' x 4_000_000 . '1]');
	ok(wait_for(sub {
		tls_curl(@curl, '-H', $header, '-H', 'Expect:', '--data-binary', "\@$file", "$url/log") =~ /^413 .*max_body_size/s;
	}), "8 MB with $name: 413 is seen");
}
alter_system($node, 'windtrap.max_body_size' => undef);

# What spins in libmicrohttpd, and framing that it does not see.
for my $case (
	[ 'a chunk extension of 40 KB', q{b"Transfer-Encoding: chunked\r\n\r\nd;" + b"x" * 40000 + b"\r\n{\"a\":1}\r\n0\r\n\r\n"} ],
	[ 'Content-Length and Transfer-Encoding', q{b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"} ],
	[ 'folding', q{b"X: y\n Z: a\r\nContent-Length: 2\r\n\r\n{}"} ])
{
	my ($name, $request) = @$case;
	local our $TODO = known_of_mhd_1($name);
	like(tls_client($port, $ca, <<"PY"), qr/^(400|413)$/, "$name: refused as it is without TLS");
s = connect()
s.sendall(b"POST /log HTTP/1.1\\r\\nHost: localhost\\r\\n" + $request)
try:
    print((answer(s) or ["none"])[0])
except OSError:
    print("none")
PY
}

#
# Slow ones
#
alter_system($node, 'windtrap.request_timeout' => 2 * $WindTrap::patience . 's');
sleep 0.3;
my ($pid) = worker_pids($node);
{
	my @slow = map { connect_to($port) } 1 .. 20;
	# A byte, half a record, a record's head that announces more, and nothing.
	$slow[$_]->send(("\x16", "\x16\x03\x01", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", '')[ $_ % 4 ]) for 0 .. $#slow;
	my $begun = time;
	my $ticks = cpu_ticks($pid);
	sleep 1;
	within(cpu_ticks($pid) - $ticks, 30, 'handshakes that wait do not keep the processor busy');
	within(elapsed(sub { is(tls_curl(@curl, '-d', '{}', "$url/log"), qq(200 {"accepted":1}\n), 'others are served') }),
		1, 'at once');
	$_->is_closed(5) for @slow;
	is(scalar(grep { !$_->{closed} } @slow), 0, 'slow handshakes are ended');
	within(time - $begun, 4, 'at their deadline');
}
like(tls_client($port, $ca, <<'PY'), qr/^408 .*request_timeout.*\|closed$/s, 'a slow body: 408, and the end');
s = connect()
s.sendall(b"POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
a = answer(s)
print(a[0], a[1], end="|")
print("closed" if s.recv(1) == b"" else "open")
PY
# One who has not begun, and one whose handshake is over but for the request.
is(tls_client($port, $ca, <<'PY'), 'closed', 'a handshake without a request: ended at the deadline');
s = connect()
try:
    print("closed" if s.recv(1) == b"" else "open")
except (ConnectionError, ssl.SSLError):
    print("closed")
PY
alter_system($node, 'windtrap.request_timeout' => undef);

for my $garbage ("\x16\x03\x01\x00\x05\x01\0\0\x01xx", "\x16\x20\x20garbage of no version", "\x80\x2e\x01\x00\x02", "\0" x 100, "\xff" x 5000, "\r\n\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n")
{
	my $c = connect_to($port);
	$c->send($garbage);
	$c->is_closed(5);
	ok($c->{closed}, 'garbage: closed');
}
is(tls_curl(@curl, '-d', '{}', "$url/log"), qq(200 {"accepted":1}\n), 'and others are served');

# A crowd of connections that say nothing.
{
	alter_system($node, 'windtrap.max_connections' => 30);
	sleep 0.3;
	my @crowd = map { my $c = connect_to($port); $c->send("\x16") if $_ % 2; $c } 1 .. 60;
	sleep 1.1;
	is(tls_curl(@curl, '-d', '{}', "$url/log"), qq(200 {"accepted":1}\n), 'a full house of them makes room');
	alter_system($node, 'windtrap.max_connections' => undef);
}

#
# On and off
#
{
	my $plain;
	ok(!eval { alter_system($node, 'windtrap.tls_cert_file' => '', 'windtrap.tls_key_file' => ''); 0 }, 'TLS is switched off');
	ok(wait_for(sub { event($port) == 200 }), 'plain connections are served');
	$plain = connect_to($port);
	$plain->request('{"plain":1}');
	is($plain->response->{status}, 200, 'one of them');
	my $busy = connect_to($port);
	$busy->send("POST /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n");
	sleep 0.1;
	alter_system($node, 'windtrap.tls_cert_file' => 'server.crt');
	ok(wait_for(sub { status() eq 'listening|TLS needs both windtrap.tls_cert_file and windtrap.tls_key_file' }), 'half of the settings: refused');
	is(event($port), 200, 'all goes on as before');
	alter_system($node, 'windtrap.tls_key_file' => 'server.key');
	ok(wait_for(sub { tls_curl(@curl, '-d', '{}', "$url/log") =~ /^200/ }), 'TLS is switched on');
	ok($plain->is_closed, 'a plain connection that was idle is closed');
	$busy->send("\r\n{}");
	my $answer = $busy->response // { status => 'none', headers => {} };
	is("$answer->{status} " . ($answer->{headers}{connection} // ''), '200 close', 'one that was sending is served, and then closed');
	isnt(event($port), 200, 'there are no plain ones any more');
}

#
# Certificates of clients
#
my $clients = authority('clients');
my $strangers = authority('strangers');
install($node, $cert, $key);
append_to_file($node->data_dir . '/clients.crt', slurp_file($clients));
alter_system($node, 'windtrap.tls_ca_file' => 'clients.crt');
sub with_certificate
{
	my ($from, $name, %o) = @_;
	my ($c, $k) = issue($from, $name, usage => 'clientAuth', %o);
	return tls_curl(@curl, '--cert', $c, '--key', $k, '-d', qq({"by":"$name"}), "$url/log");
}
ok(wait_for(sub { with_certificate($strangers, 'stranger' . time) =~ /^403 .*no authority of windtrap.tls_ca_file has issued it/ }),
	'a certificate of another authority: 403, and says why');
is(tls_curl(@curl, '-d', '{}', "$url/log"), qq(200 {"accepted":1}\n), 'none: accepted');
is(with_certificate($clients, 'good', subject => '/O=Shop/CN=billing'), qq(200 {"accepted":1}\n), 'a good one: accepted');
is(with_certificate($clients, 'umlaut', subject => '/CN=Zähler 7, Köln'), qq(200 {"accepted":1}\n), 'a name that is not ASCII');
like(with_certificate($clients, 'expired', from => -20, to => -10), qr/^403 .*it has expired/, 'one that has expired');
like(with_certificate($clients, 'early', from => 10, to => 20), qr/^403 .*it is not valid yet/, 'one that is not valid yet');
like(with_certificate($clients, 'purpose', usage => 'serverAuth'), qr/^403 .*not meant for clients/, 'one that is not for clients');
like(with_certificate($clients, 'nameless', subject => '/O=Nobody'), qr/^403 .*common name/, 'one without a name');
like(with_certificate($clients, 'two', subject => '/CN=a/CN=b'), qr/^403 .*common name/, 'one with two');
like(with_certificate($clients, 'control', subject => "/CN=a\tb"), qr/^403 .*common name/, 'one with a control character in it');
is(query(q{SELECT string_agg(data->'json'->>'by', ' ' ORDER BY data->'json'->>'by') FROM log WHERE data->'json' ? 'by'}),
	'good umlaut', 'of the others nothing is stored');
is(query(q{SELECT string_agg(data->>'source', '; ' ORDER BY data->>'source') FROM log}), 'Zähler 7, Köln; billing',
	'their names are stored as source');
is(query(q{SELECT value FROM windtrap.metrics WHERE label_value = 'certificate' AND name ~ 'requests'}), 7, 'they are counted');

#
# The end, with requests under way
#
my $stop = PostgreSQL::Test::Utils::tempdir() . '/stop';
my $client = IPC::Run::start([ 'python3', '-c', <<"PY" ], '>', \my $out, '2>', \my $err);
import ssl, socket, time, os
context = ssl.create_default_context(cafile="$ca")
def connect():
    return context.wrap_socket(socket.create_connection(("127.0.0.1", $port), timeout=20), server_hostname="localhost")
all = [connect() for i in range(10)]
for s in all:
    s.sendall(b"POST /log HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 12\\r\\n\\r\\n{\\"last\\":")
half = socket.create_connection(("127.0.0.1", $port))
half.sendall(b"\\x16\\x03")
open("$stop", "w").close()
while not os.path.exists("$stop.now"):
    time.sleep(0.01)
time.sleep(0.3)
codes = []
for s in all:
    try:
        s.sendall(b"100}")
        codes.append(s.recv(100).decode().split()[1])
    except Exception as e:
        codes.append(type(e).__name__)
print(" ".join(codes))
PY
ok(wait_for(sub { -e $stop }), 'requests under way');
ok(wait_for(sub { query('SELECT sum(bytes_in_flight) FROM windtrap.stats') == 80 }), 'and received in part');
append_to_file("$stop.now", '');
within(elapsed(sub { $node->stop('fast') }), 5, 'the server stops in time');
$client->finish;
is($out, join(' ', ('200') x 10) . "\n", 'and answers them before') or diag $err;
$node->start;
ok(wait_for(sub { tls_curl(@curl, '-d', '{}', "$url/log") =~ /^200/ }), 'after a start it speaks TLS again');
is(query(q{SELECT count(*) FROM log WHERE data->'json' ? 'last'}), 10, 'what was answered is stored');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP|libmicrohttpd failed/, 'nothing has crashed');
done_testing();
