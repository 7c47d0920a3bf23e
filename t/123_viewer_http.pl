# The viewer as HTTP sees it: heads, requests one behind the other, versions, compression, TLS, and
# clients that read slowly or not at all.  What t/118 asks of the listener alone is asked of the
# process here.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tls;
use Viewer;
use WindTrap;

use constant REQUEST_TIMEOUT => 3;    # s
use constant ROWS => 30_000;

my $node = wt_node('viewer_http', conf => "windtrap.request_timeout = '@{[ REQUEST_TIMEOUT ]}s'\nwindtrap.viewers = 1\n");
my $port = free_port();
alter_system($node, 'windtrap.viewer_port' => $port);
ready(wt_port($node));
ok(ready($port), 'the viewer listens');
$node->safe_psql('postgres', <<"SQL");
INSERT INTO log (event_timestamp, data)
SELECT now() - i * interval '1 ms', jsonb_build_object('json', jsonb_build_object('app', 'shop', 'n', i, 'text', repeat(md5(i::text), 16)))
FROM generate_series(1, @{[ ROWS ]}) i
SQL

# Sends a request on a connection of its own.
sub ask
{
	my ($target, %o) = @_;
	my $c = connect_to($port);
	$c->send(join "\r\n", ($o{method} // 'GET') . " $target HTTP/" . ($o{version} // '1.1'), 'Host: localhost',
		@{ $o{headers} // [] }, '', '');
	return $c;
}

sub read_until
{
	my ($c, $pattern) = @_;
	my $until = time + 20;
	while ($c->{buffer} !~ $pattern)
	{
		return 0 if time > $until || (!$c->fill($until - time) && $c->{closed});
	}
	return 1;
}

# How many rows lines have, and whether the last one says that they are all.
sub rows_and_end
{
	my @lines = map { JSON::PP->new->utf8->decode($_) } split /\n/, $_[0];
	my $end = pop @lines;
	return (scalar(grep { $_->{event} } @lines), $end->{end} ? $end->{end}{rows} : undef);
}

# The page.
{
	my $answer = http($port, 'GET', '/?q=app:shop');
	is($answer->{status}, 200, 'the page is served');
	like($answer->{content}, qr/^<!doctype html>/i, '… as HTML');
	my $c = ask('/', headers => ["If-None-Match: $answer->{headers}{etag}"]);
	$c->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok(read_until($c, qr/\AHTTP\/1\.1 304 [^{<]*\r\n\r\nHTTP\/1\.1 200 .*\{"status":"ok"\}/s), 'who knows it is told 304');
	for my $path (qw(/../postgresql.conf /%2e%2e/PG_VERSION /..%2fPG_VERSION /.git/config //index.html /api /api/ /api/../index.html /API/session))
	{
		like(ask($path)->response->{status}, qr/^40[04]$/, "$path is nothing");
	}
}

# Heads.
for my $target ('/api/session', '/api/search', '/api/export?format=csv', '/api/tail', '/api/top?field=app')
{
	my $c = ask($target, method => 'HEAD');
	$c->send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok(read_until($c, qr/\AHTTP\/1\.1 200 [^{]*\r\n\r\nHTTP\/1\.1 200 .*\{"status":"ok"\}/s), "HEAD $target has no body")
	  or diag($c->{buffer});
}
for my $q ('format=csv%0d%0aX-Split:%20yes', 'q=%0d%0aX-Split:%20yes', 'columns=a%0d%0aX-Split:%20yes', 'since=%0d%0a%0d%0aX-Split:%20yes')
{
	for my $call (qw(export search))
	{
		my $c = ask("/api/$call?n=1&$q", version => '1.0');
		read_until($c, qr/\r\n\r\n/);
		my ($head) = $c->{buffer} =~ /\A(.*?)\r\n\r\n/s;
		unlike($head, qr/X-Split/, "no header comes of $call?$q");
		$c->close;
	}
}

# One behind the other, and the old version.
{
	my $c = ask('/api/search?n=500&q=app:shop');
	$c->send("GET /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok(read_until($c, qr/\r\n0\r\n\r\nHTTP\/1\.1 200 .*"time_zone"/s), 'a request behind a search is answered after it');

	$c = ask('/api/search?n=500&q=app:shop', version => '1.0');
	1 while $c->fill(10);
	my ($head, $lines) = split /\r\n\r\n/, $c->{buffer}, 2;
	unlike($head, qr/^Transfer-Encoding/mi, 'HTTP/1.0 gets no chunks');
	is_deeply([ rows_and_end($lines) ], [ 500, 500 ], '… but all lines');

	my $zipped = http($port, 'GET', '/api/search?n=500&q=app:shop', headers => { 'Accept-Encoding' => 'gzip' });
	is($zipped->{headers}{'content-encoding'}, 'gzip', 'who takes gzip gets it');
	IPC::Run::run([ 'gzip', '-dc' ], '<', \$zipped->{content}, '>', \my $plain);
	is_deeply([ rows_and_end($plain) ], [ 500, 500 ], '… with all lines');
}

# Who closes the half of his connection by which he sends.
{
	my $c = ask('/api/tail', version => '1.0');
	ok(read_until($c, qr/"cursor"/), 'somebody follows');
	shutdown($c->{socket}, 1);
	ok(wait_for(sub { $c->fill(0.5); $c->{closed} }), '… and counts as having left when he closes his half of the connection');
}

# Who reads slowly, and who does not read, of some 20 MB.
{
	my $c = ask('/api/export', version => '1.0');
	my $got = '';
	my $begun = time;
	my $longest = 0;
	while (time - $begun < 2 * REQUEST_TIMEOUT)
	{
		last if !sysread $c->{socket}, $got, 12 * 1024, length $got;
		my $took = elapsed(sub { http($port, 'GET', '/api/session') });
		$longest = $took if $took > $longest;
		sleep 0.1;
	}
	within($longest, 2, 'others are answered while somebody reads slowly');
	1 while sysread $c->{socket}, $got, 1024 * 1024, length $got;
	my ($head, $content) = split /\r\n\r\n/, $got, 2;
	is($content =~ tr/\n//, ROWS, 'who reads slowly gets all rows');

	$c = ask('/api/export', version => '1.0');
	read_until($c, qr/\r\n\r\n/);
	my $held = length $c->{buffer};
	sleep 2 * REQUEST_TIMEOUT;    # in which nothing is read
	my $n;
	$held += $n while $n = sysread $c->{socket}, my $bytes, 1024 * 1024;
	ok(!defined $n && $held < length $got, "who does not read is cut off ($held bytes)");
	is(http($port, 'GET', '/api/session')->{status}, 200, '… and others are answered');
}

# By TLS.
SKIP:
{
	my ($cert, $key) = eval { issue(authority('viewer'), 'server') };
	skip('there is no openssl', 1) if !$cert;
	install($node, $cert, $key);
	my $tail = open_stream($port, 'tail');
	my $export = open_stream($port, 'export');
	ok($tail->line->{cursor} && $export->text, 'a tail and an export begin without TLS');
	alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
	my $url = "https://127.0.0.1:$port";
	ok(wait_for(sub { eval { command('curl', '-skf', "$url/health") } }), 'the viewer speaks TLS after a reload');
	$node->safe_psql('postgres', q{INSERT INTO log VALUES (now(), '{"id":"by-sql"}', 0)});
	is($tail->line->{event}{id}, 'by-sql', 'what was begun without goes on: a tail');
	my $n = 1;
	$n++ while defined $export->text(20);
	ok($export->over, '… and an export');
	is($n, ROWS, '… to its end');
	$tail->close;
	$node->safe_psql('postgres', q{DELETE FROM log WHERE data->>'id' = 'by-sql'});
	is_deeply([ rows_and_end(command('curl', '-sk', '--compressed', "$url/api/search?n=700&q=app:shop")) ],
		[ 700, 700 ], 'a search by TLS');
	my $rows = () = command('curl', '-sk', "$url/api/export") =~ /^\{/mg;
	is($rows, ROWS, 'an export by TLS');
	my $curl = IPC::Run::start([ 'curl', '-skN', "$url/api/tail" ], '>', \my $out, IPC::Run::timeout(30));
	$curl->pump until $out =~ /cursor|progress/ || !$curl->pumpable;
	command('curl', '-skf', '-H', 'Content-Type: application/json', '-d', '{"app":"new"}', "https://127.0.0.1:" . wt_port($node) . '/log');
	ok(eval { $curl->pump until $out =~ /"app":"new"/; 1 }, 'what comes is shown to who follows by TLS') or diag($out);
	alter_system($node, 'windtrap.tls_cert_file' => '', 'windtrap.tls_key_file' => '');
	ok(wait_for(sub { http($port, 'GET', '/api/session')->{status} == 200 }), 'without TLS after another reload');
	$node->safe_psql('postgres', q{INSERT INTO log VALUES (now(), '{"id":"later"}', 0)});
	ok(eval { $curl->pump until $out =~ /"id":"later"/; 1 }, '… who follows by it goes on') or diag($out);
	$curl->kill_kill;
}
$node->stop('fast');
done_testing();
