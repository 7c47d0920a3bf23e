# Answers that are sent as they come into being, files of the page, and who may read: by the
# listener of src/http/ in a server of the tests' own (answer_server.c), which does what it is
# told to, when it is told to.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(realpath);
use IO::Select;
use IPC::Run ();
use List::Util qw(sum0);
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls;
use WindTrap;

use constant REQUEST_TIMEOUT => 3;    # s
use constant MB => 1024 * 1024;

my $top = realpath("$FindBin::RealBin/..");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $binary = "$dir/answer_server";
my @page = sort grep { -f } glob "$top/viewer/*.*";
my %served;

# A warning of the sanitizers ends the server that it is about.
my @sanitize = $ENV{WT_SANITIZE} ? ('-fsanitize=address,undefined', '-fno-sanitize-recover=all') : ();

system("$top/script/embed @page >$dir/page.c") == 0 or BAIL_OUT('the page cannot be embedded');
command('gcc', '-g', '-O1', @sanitize, "-I$top/src", '-o', $binary,
	"$FindBin::RealBin/answer_server.c",
	(grep { !/page_files_embedded/ } glob "$top/src/http/*.c"), "$dir/page.c",
	(map { "$top/src/base/$_.c" } qw(buffer cidr counters file list origins text)),
	qw(-lmicrohttpd -lgnutls -lz));

# Starts one; gives its port.
sub serve
{
	my (@arguments) = @_;
	my $port = free_port();
	my $run = IPC::Run::start([ $binary, $port, REQUEST_TIMEOUT * 1000, @arguments ],
		'<', '/dev/null', '>', \my $out, '2>', "$dir/$port.err");
	$served{$port} = $run;
	wait_for(sub { connect_to($port) }) or BAIL_OUT("the server does not listen: " . slurp_file("$dir/$port.err"));
	return $port;
}

# Ends it; it must end well, whatever it was about, and say nothing.
sub stop
{
	my ($port, $name) = @_;
	my $run = delete $served{$port};
	kill 'TERM', $run->{KIDS}[0]{PID};
	$run->finish;
	is($run->full_result(0) . slurp_file("$dir/$port.err"), 0, $name);
	return;
}

END { $_->kill_kill for values %served; }

my $port = serve();

sub state_of { return json_of(http($_[0] // $port, 'GET', '/api/state')); }
sub say_all  { return http($port, 'POST', "/api/$_[0]", body => $_[1] // '')->{status}; }

# A request on a connection of its own, whose answer is read by hand.
sub ask
{
	my ($target, %o) = @_;
	my $c = connect_to($o{port} // $port);
	my $version = $o{version} // '1.1';
	$c->send(join "\r\n", ($o{method} // 'GET') . " $target HTTP/$version", 'Host: localhost',
		@{ $o{headers} // [] }, '', '');
	return $c;
}

# Reads until what has come matches; false: it does not, and nothing more comes.
sub read_until
{
	my ($c, $pattern, $seconds) = @_;
	my $until = time + ($seconds // 10);
	while ($c->{buffer} !~ $pattern)
	{
		return 0 if time > $until || (!$c->fill($until - time) && $c->{closed});
	}
	return 1;
}

# The content of a chunked answer that is complete, without its trailer; undef: it is not.
sub unchunked
{
	my ($bytes) = @_;
	my $content = '';
	while ($bytes =~ s/\A([0-9a-fA-F]+)\r\n//)
	{
		my $n = hex $1;
		return $bytes =~ /\A\r\n/ ? $content : undef if $n == 0;
		return undef if length $bytes < $n + 2;
		$content .= substr $bytes, 0, $n;
		return undef if substr($bytes, $n, 2) ne "\r\n";
		substr($bytes, 0, $n + 2) = '';
	}
	return undef;
}

# The digits that the server sends.
sub digits
{
	my ($n) = @_;
	my $block = join '', map { int($_ * $_ / 7) % 10 } 0 .. 9999;
	return substr $block x (1 + $n / 10000), 0, $n;
}

# Line by line.
{
	my $c = ask('/api/hold?begin=one;');
	ok(read_until($c, qr/\r\n\r\n.*one;/s), 'the first bytes come at once');
	like($c->{buffer}, qr/^HTTP\/1\.1 200 OK\r\n/, 'with a head');
	like($c->{buffer}, qr/^Transfer-Encoding: chunked\r\n/m, '… chunked');
	like($c->{buffer}, qr/^X-Held: yes\r\n/m, '… with headers of the answer');
	like($c->{buffer}, qr/^Cache-Control: no-store\r\n/m, '… kept by nobody');
	like($c->{buffer}, qr/^X-Content-Type-Options: nosniff\r\n/m, '… taken for nothing else');
	for my $word (qw(two three))
	{
		is(say_all('say', "$word;"), 200, 'something is appended');
		ok(elapsed(sub { read_until($c, qr/$word;/) }) < 1, '… and comes at once');
	}
	$c->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is(say_all('say', 'four;'), 200, 'a request behind it does not disturb');
	ok(read_until($c, qr/four;/), '… what is still to come');
	unlike($c->{buffer}, qr/HTTP.*HTTP/s, '… and waits for its turn');
	is(state_of()->{held}, 1, 'one is held');
	say_all('end');
	ok(read_until($c, qr/\{"status":"ok"\}/), 'after its end the request behind it is answered');
	my ($body) = $c->{buffer} =~ /\A.*?\r\n\r\n(.*)HTTP/s;
	is(unchunked($body), 'one;two;three;four;', 'all has come, and its end');
	is(state_of()->{held}, 0, 'none is held');
}

# Resting for longer than request_timeout, which is for who does not read.
{
	my $c = ask('/api/hold?begin=one;');
	read_until($c, qr/one;/);
	sleep REQUEST_TIMEOUT + 1;
	is(state_of()->{held}, 1, 'an answer may rest');
	say_all('say', 'two;');
	ok(read_until($c, qr/two;/), '… and goes on');
	say_all('end');
	ok(read_until($c, qr/\r\n0\r\n\r\n\z/), '… to its end');
}

# Clients that leave.
{
	my $left = state_of()->{left};
	my $c = ask('/api/hold?begin=one;');
	read_until($c, qr/one;/);
	$c->close;
	sleep 1;    # whoever asks wakes the server
	is(state_of()->{left}, $left + 1, 'a client that leaves is missed, though nothing else comes');

	$c = ask('/api/hold?begin=one;');
	read_until($c, qr/one;/);
	shutdown $c->{socket}, 1;
	ok(wait_for(sub { state_of()->{left} == $left + 2 }), '… and one that closes its half');
	ok($c->is_closed(5) || $c->{closed}, '… whose connection ends');

	$c = ask('/api/hold', method => 'HEAD');
	ok(wait_for(sub { state_of()->{left} == $left + 3 }), '… and one that asks for the head alone');
	$c->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok(read_until($c, qr/\r\n\r\nHTTP\/1\.1 200.*\{"status":"ok"\}/s), '… who can go on with his connection');

	# Reset, not closed.
	$c = ask('/api/hold?begin=one;');
	read_until($c, qr/one;/);
	setsockopt $c->{socket}, SOL_SOCKET, Socket::SO_LINGER(), pack('ii', 1, 0);
	$c->close;
	ok(wait_for(sub { state_of()->{left} == $left + 4 }), '… and one that resets');

	# In the middle of what is on its way: the listener is the first to notice.
	$c = ask('/api/bytes?' . 30 * MB);
	wait_for(sub { my $waits = state_of()->{backlog}; sleep 0.2; $waits > 0 && state_of()->{backlog} == $waits });
	sysread $c->{socket}, my $bytes, 1000;
	$c->close;
	ok(wait_for(sub { state_of()->{left} == $left + 5 }), '… and one that does so in its middle');

	# In a query that gives the listener no turn.
	$c = ask('/api/query');
	sleep 0.5;    # that it runs cannot be asked for: nobody is answered
	my $begun = time;
	$c->close;
	ok(wait_for(sub { state_of()->{cancelled} == 1 }), 'a signal handler sees that a client leaves');
	ok(time - $begun < 5, '… at once');
	is(state_of()->{held}, 0, 'none is held');
	is(state_of()->{unanswered}, 1, 'nothing is left of them');
}

# Much of it.
for my $n (0, 1, 16 * 1024 - 1, 16 * 1024, 3 * MB + 7)
{
	my $answer = http($port, 'GET', "/api/bytes?$n");
	ok($answer->{content} eq digits($n), "$n bytes come as they are");
	$answer = http($port, 'GET', "/api/bytes?$n", headers => { 'Accept-Encoding' => 'br, gzip;q=0.5' });
	is($answer->{headers}{'content-encoding'}, 'gzip', '… compressed too');
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'gzip', '-dc' ], '<', \$answer->{content}, '>', \$out, '2>', \$err);
	ok($out eq digits($n), '… and whole') or diag($err);
}
{
	my $c = ask('/api/bytes?3000', headers => ['Accept-Encoding: gzip;q=0, identity']);
	read_until($c, qr/\r\n0\r\n\r\n\z/);
	unlike($c->{buffer}, qr/^Content-Encoding/m, 'who refuses gzip does not get it');

	$c = ask('/api/bytes?1000000', version => '1.0');
	1 while $c->fill(5);
	my ($head, $content) = split /\r\n\r\n/, $c->{buffer}, 2;
	unlike($head, qr/^Transfer-Encoding/mi, 'HTTP/1.0 knows no chunks');
	ok($c->{closed} && $content eq digits(1_000_000), '… its answer ends with the connection');
}

# What is compressed comes as soon as what is not.
{
	my $c = ask('/api/hold?begin=one;', headers => ['Accept-Encoding: gzip']);
	my $z = IO::Uncompress_later->new($c);
	is($z->next, 'one;', 'a line that is compressed comes at once');
	say_all('say', 'two;');
	is($z->next, 'two;', '… and the next one');
	say_all('end');
	ok(read_until($c, qr/\r\n0\r\n\r\n\z/), '… and the end');
}

# Who reads slowly gets all; who does not read is cut off; neither costs memory.
{
	my $c = ask('/api/bytes?' . 30 * MB);
	my $got = 0;
	my $most = 0;
	my $begun = time;
	while (time - $begun < 2 * REQUEST_TIMEOUT)
	{
		my $n = sysread $c->{socket}, my $bytes, 12 * 1024;
		last if !$n;
		$got += $n;
		my $backlog = state_of()->{backlog};
		$most = $backlog if $backlog > $most;
		sleep 0.1;
	}
	ok($most > 0 && $most < MB, "for who reads slowly little waits ($most bytes)");
	cmp_ok(state_of()->{held}, '==', 1, '… but for longer than request_timeout');
	while (my $n = sysread $c->{socket}, my $bytes, MB) { $got += $n; last if substr($bytes, -5) eq "0\r\n\r\n"; }
	cmp_ok($got, '>', 30 * MB, '… and he gets all of it');

	my $left = state_of()->{left};
	$c = ask('/api/bytes?' . 30 * MB);
	my $took = elapsed(sub { wait_for(sub { state_of()->{left} == $left + 1 }, 20) });
	cmp_ok($took, '<', REQUEST_TIMEOUT + 3, 'who does not read is cut off');
	cmp_ok($took, '>', REQUEST_TIMEOUT - 1, '… not at once');
}

# Aborted: nobody takes it for whole.
for my $version ('1.0', '1.1')
{
	my $c = ask('/api/hold?begin=one;', version => $version);
	read_until($c, qr/one;/);
	say_all('abort');
	my $n = sysread $c->{socket}, my $bytes, 1000;
	ok(!defined $n && $!{ECONNRESET}, "an answer by HTTP/$version that is aborted ends with a reset")
	  or diag(defined $n ? "$n bytes" : $!);
}
{
	# In the middle of what a client does not read.
	my $c = ask('/api/hold');
	wait_for(sub { state_of()->{held} == 1 });
	say_all('say', 'x' x (8 * MB));
	cmp_ok(state_of()->{backlog}, '>', MB, 'much waits');
	say_all('abort');
	my ($n, $got) = (1, 0);
	$got += $n while ($n = sysread $c->{socket}, my $bytes, MB);
	ok(!defined $n && $got < 8 * MB, 'it is cut off in its middle');
	ok(wait_for(sub { state_of()->{unanswered} == 1 }), '… and nothing is left of it');
}

# The page.
{
	my $plain = slurp_file("$top/viewer/index.html");
	my $answer = http($port, 'GET', '/');
	ok($answer->{content} eq $plain, 'the root is the page');
	is($answer->{headers}{'content-type'}, 'text/html; charset=utf-8', '… HTML');
	is($answer->{headers}{'cache-control'}, 'no-cache', '… asked for anew');
	like($answer->{headers}{'content-security-policy'}, qr/default-src 'self'.*frame-ancestors 'none'/,
		'… running nothing but its own');
	is($answer->{headers}{'x-frame-options'} // '', '', '… by that alone');
	my $etag = $answer->{headers}{etag};
	like($etag, qr/^W\/"[0-9a-f]{24}"$/, '… with a tag');
	is(http($port, 'HEAD', '/')->{headers}{'content-length'}, length $plain, 'HEAD says its length');

	my $zipped = http($port, 'GET', '/', headers => { 'Accept-Encoding' => 'gzip' });
	IPC::Run::run([ 'gzip', '-dc' ], '<', \$zipped->{content}, '>', \my $out);
	ok($out eq $plain, 'compressed it is the same');
	is($zipped->{headers}{etag}, $etag, '… with the same tag');

	for my $known ($etag, substr($etag, 2), "\"a\" ,$etag", '*')
	{
		my $c = ask('/', headers => ["If-None-Match: $known"]);
		$c->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
		ok(read_until($c, qr/\A(HTTP\/1\.1 304 .*?\r\n\r\n)HTTP\/1\.1 200.*"ok"/s), "$known is known: 304, and no body");
		like($c->{buffer}, qr/^ETag: \Q$etag\E\r\n/m, '… with the tag');
	}
	for my $unknown ('"a"', $etag . 'b', substr($etag, 0, -1), '')
	{
		is(http($port, 'GET', '/', headers => { 'If-None-Match' => $unknown })->{status}, 200, "\"$unknown\" is not");
	}
	for my $file (@page)
	{
		my ($name) = $file =~ /([^\/]+)$/;
		ok(http($port, 'GET', "/$name")->{content} eq slurp_file($file), "/$name is served");
	}
	for my $path (qw(/../viewer/index.html /%2e%2e/style.css /./style.css //style.css /style.css/ /style.css%00
		/STYLE.CSS /viewer/style.css /index /%69ndex.html /etc/passwd))
	{
		my $c = ask($path);
		my $status = $c->response->{status};
		ok($status == 404 || $status == 400, "$path is nothing");
	}
	is(http($port, 'GET', '/?q=%22a%22&view=events')->{status}, 200, 'the page has a query string');
	is(http($port, 'POST', '/')->{status}, 405, 'nothing is sent to it');
	is(http($port, 'PUT', '/style.css')->{headers}{allow}, 'GET, HEAD, OPTIONS', '… nor to its files');
	is(http($port, 'POST', '/api/hold')->{headers}{allow}, 'GET, HEAD, OPTIONS', '… nor to what is read');
	is(http($port, 'GET', '/api/say')->{headers}{allow}, 'POST, OPTIONS', 'what is sent to is not read');
	is(http($port, 'POST', '/log')->{status}, 404, 'and there is no path for events');
}

# Pages of others, where the door is open to this machine; windtrap.cors_origins is "*" here.
sub status_for
{
	my ($method, $path, %headers) = @_;
	return http($port, $method, $path, headers => \%headers)->{status};
}
for my $case ([ GET => '/api/state' ], [ POST => '/api/say' ])
{
	my ($method, $path) = @$case;
	is(status_for($method, $path, Origin => 'http://evil.example'), 403, "$method by a page of others");
	is(status_for($method, $path, Origin => 'null'), 403, '… by one that hides');
	is(status_for($method, $path, Origin => "http://127.0.0.1:1"), 403, '… by one of another port');
	is(status_for($method, $path, Origin => "http://127.0.0.1:$port"), 200, '… by the own one');
	is(status_for($method, $path, 'Sec-Fetch-Site' => 'cross-site'), 403, '… as a picture of a page of others');
	is(status_for($method, $path, 'Sec-Fetch-Site' => 'same-site'), 403, '… of a neighbour');
	is(status_for($method, $path, 'Sec-Fetch-Site' => 'same-origin'), 200, '… of the own one');
	is(status_for($method, $path, 'Sec-Fetch-Site' => 'none'), 200, '… by the user himself');
	is(status_for($method, $path, 'X-Forwarded-For' => '192.0.2.1'), 401, '… by a proxy, without a token');
	my $c = connect_to($port);
	$c->send("$method $path HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n");
	is($c->response->{status}, 421, '… by a page whose name points here');
}
stop($port, 'the server ends well');

# Who may, where there are tokens.
$port = serve('tokens');
for my $case ([ '', 401, 401 ], [ 'nobody', 401, 401 ], [ 'read', 200, 403 ], [ 'ingest', 403, 403 ], [ 'all', 200, 200 ])
{
	my ($token, $reads, $changes) = @$case;
	my %headers = $token ? (Authorization => "Bearer $token") : ();
	is(status_for('GET', '/api/state', %headers), $reads, "with the token \"$token\" reading is $reads");
	is(status_for('POST', '/api/say', %headers), $changes, "… and changing $changes");
	is(status_for('GET', '/', %headers), 200, '… and everybody gets the page');
}
like(http($port, 'POST', '/api/say', headers => { Authorization => 'Bearer read' })->{content}, qr/scope is not all/,
	'who lacks the scope is told which');

# Stopped in the middle of answers, of which some rest and some are on their way.
{
	my %headers = (headers => ['Authorization: Bearer all']);
	my @held = map { ask('/api/hold?begin=one;', %headers) } 1 .. 3;
	read_until($_, qr/one;/) for @held;
	my $busy = ask('/api/bytes?' . 30 * MB, %headers);
	ok(read_until($busy, qr/\r\n\r\n/), 'answers are on their way');
	stop($port, 'the server ends well in their middle');
	for my $c (@held) { 1 while $c->fill(5); }
	is(scalar(grep { $_->{closed} } @held), 3, '… and so do they');
	unlike($held[0]{buffer}, qr/\r\n0\r\n\r\n\z/, '… as what is not whole');
}

# By TLS.
SKIP:
{
	my ($cert, $key) = eval { issue(authority('stream'), 'viewer') };
	skip('there is no openssl', 1) if !$cert;
	$port = serve($cert, $key);
	my $url = "https://127.0.0.1:$port";
	is(command('curl', '-sk', "$url/api/bytes?300000"), digits(300_000), 'by TLS all comes, too');
	is(command('curl', '-sk', '--compressed', "$url/api/bytes?300000"), digits(300_000), '… compressed');
	my $curl = IPC::Run::start([ 'curl', '-skN', "$url/api/hold?begin=one;" ], '>', \my $out);
	$curl->pump until $out =~ /one;/;
	command('curl', '-sk', '-d', 'two;', "$url/api/say");
	$curl->pump until $out =~ /two;/;
	is($out, 'one;two;', '… line by line');
	$curl->kill_kill;
	ok( wait_for(sub { command('curl', '-sk', "$url/api/state") =~ /"held":0,.*"left":1,/ }),
		'… and a client that leaves is missed');
	stop($port, '… and the server ends well');
}

done_testing();

# What a chunked answer in gzip has said so far, a piece at a time.
package IO::Uncompress_later;

use strict;
use warnings;
use Compress::Raw::Zlib;

sub new
{
	my ($class, $connection) = @_;
	my ($z) = Compress::Raw::Zlib::Inflate->new(-WindowBits => WANT_GZIP);
	main::read_until($connection, qr/\r\n\r\n/);
	$connection->{buffer} =~ s/\A.*?\r\n\r\n//s;
	return bless { connection => $connection, z => $z }, $class;
}

sub next
{
	my ($self) = @_;
	my $c = $self->{connection};
	my $text = '';
	my $until = Time::HiRes::time + 5;
	while ($text eq '' && Time::HiRes::time < $until)
	{
		while ($c->{buffer} =~ s/\A([0-9a-f]+)\r\n//i)
		{
			my $n = hex $1;
			while (length $c->{buffer} < $n + 2) { return if !$c->fill(5); }
			my $bytes = substr $c->{buffer}, 0, $n + 2, '';
			$self->{z}->inflate(substr($bytes, 0, $n), my $more);
			$text .= $more // '';
		}
		$c->fill(0.5) if $text eq '';
	}
	return $text;
}
