# Splunk's HTTP Event Collector.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Protocol;
use WindTrap;

my $node = wt_node('hec');
my $port = wt_port($node);
my $path = '/services/collector/event';

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log'); }

sub send_event
{
	my ($body, %o) = @_;
	my $answer = http($port, 'POST', $o{path} // $path, body => $body, headers => $o{headers} // { Authorization => 'Splunk x' });
	return "$answer->{status} $answer->{content}";
}

# Real clients: their events, times, and what surrounds them.
my $n = 0;
for my $name (grep { capture($_) =~ m{^\S+ /services/collector} } captures(''))
{
	clear();
	my $answer = replay($port, $name);
	is($answer->{status}, 200, "$name is answered 200");
	next if capture($name) =~ /^OPTIONS/;
	is($answer->{content} =~ s/,"ackId":\d+//r, '{"text":"Success","code":0}', 'in the words of a success');
	my @rows = rows($node);
	ok(@rows > 0, 'it is stored');
	$n += @rows;
	for (@rows)
	{
		is($_->{data}{protocol}, 'hec', 'as what it is');
		ok(defined $_->{data}{json} && !exists $_->{data}{error}, 'its event is there');
		next if $name =~ /_raw/;
		my $time = $_->{data}{hec}{time};
		ok(abs($_->{time} - $time * 1e6) <= 1, 'with its own time');
	}
}
is($n, 3 * 4 + 3 + 3 + 3 + 3, 'three events of each client');

clear();
replay($port, 'docker-splunk-002');
is_deeply([ map { $_->{data}{json}{line} } rows($node) ],
	[ 'user alice logged in', { level => 'warn', message => "Gr\x{fc}\x{df}e, \x{4e16}\x{754c} \x{1f680}", order => { id => 42 } }, "Error: cannot charge card\n    at x.js:1" ],
	"the events of Docker's driver");
is((rows($node))[0]{time}, 1795687884832057, 'a time in a string, to the microsecond');

clear();
replay($port, 'sng48-d_splunk_raw-001');
my $row = row_of($node);
is($row->{data}{json}, '2026-11-26T10:16:36+00:00 vm shop[77]: user alice logged in', 'a raw line');
is_deeply($row->{data}{hec}, { index => 'main', source => 'syslog-ng', sourcetype => 'syslog' }, 'its surroundings are in the query string');

# The raw endpoint: lines, and lines that go on.
clear();
is(send_event(qq(one\n{"a":1}\r\n\nError: x\n  at a.js:1\n\tat b.js:2\n{"broken\n), path => '/services/collector/raw?index=a%20b'), '200 {"text":"Success","code":0}', 'raw text');
is_deeply([ map { $_->{data}{json} } rows($node) ], [ 'one', { a => 1 }, "Error: x\n  at a.js:1\n\tat b.js:2", '{"broken' ], 'is an event a line');
is((rows($node))[0]{data}{hec}{index}, 'a b', 'a parameter is unescaped');

# What surrounds an event; what the object says wins.
clear();
send_event('{"event":{"m":1},"host":"a","fields":{"k":["v"]},"sourcetype":"s"}{"event":"text","index":null}', path => "$path?host=b&index=main");
is_deeply([ map { $_->{data}{hec} } rows($node) ],
	[ { host => 'a', fields => { k => ['v'] }, sourcetype => 's', index => 'main' }, { host => 'b', index => undef } ], 'the object before the query string');

# Bad items are kept, and cost their neighbours nothing.
clear();
is(send_event('{"event":1}{"x":2}[3]{"event":4}'), '200 {"text":"Success","code":0}', 'a batch with bad ones is a success');
is(count_of($node, 'status = 0'), 2, 'the good ones are stored');
is(join(' ', map { $_->{data}{raw} } rows($node, 'status = 422')), '{"x":2} 3', 'the bad ones are in quarantine');
clear();
is(send_event('{"event":1}{"event":'), '200 {"text":"Success","code":0}', 'a batch that is cut') or diag;
is(count_of($node, 'status = 0') . count_of($node, 'status = 422'), '11', 'one is stored, one is kept');

# Refusals in its words.
is(send_event(''), '400 {"text":"No data","code":5}', 'no data');
like(send_event('hello there'), qr/^400 \{"text":"Invalid data format: .*","code":6\}$/, 'no JSON at all');
is(http($port, 'GET', '/services/collector/health')->{content}, '{"text":"HEC is healthy","code":17}', 'it is healthy');
is(http($port, 'OPTIONS', "$path/1.0")->{status}, 200, 'OPTIONS is answered 200');
is(http($port, 'GET', $path)->{status}, 405, 'GET is refused');
is(http($port, 'POST', '/services/collector/mint', body => 'x')->{status}, 404, 'another path is not there');

# Channels.
like(send_event('{"event":1}', headers => { 'X-Splunk-Request-Channel' => 'c' }), qr/^200 \{"text":"Success","code":0,"ackId":\d+\}$/, 'a channel gets an ackId');
is(send_event('{"acks":[1,22]}', path => '/services/collector/ack?channel=c'), '200 {"acks":{"1":true,"22":true}}', 'what is asked of is stored');
like(send_event('{"acks":1}', path => '/services/collector/ack?channel=c'), qr/^400 .*"code":6/, 'a bad question');

# Compressed bodies.
clear();
is(send_event(gzip('{"event":"z"}'), headers => {}), '200 {"text":"Success","code":0}', 'gzip without a word');
is(row_of($node)->{data}{json}, 'z', 'is inflated');

# Tokens.
my $token = $node->safe_psql('postgres', "SELECT windtrap.create_token('splunk', scope => 'ingest')");
my $reader = $node->safe_psql('postgres', "SELECT windtrap.create_token('reader', scope => 'read')");
ok(wait_for(sub { send_event('{"event":1}') =~ /^403 / }), 'from now on a token is needed');
like(send_event('{"event":1}'), qr/^403 \{"text":"Invalid token: .*","code":4\}$/, 'one that is wrong');
like(send_event('{"event":1}', headers => { Accept => '*/*' }), qr/^401 \{"text":"Token is required: .*","code":2\}$/, 'none');
like(send_event('{"event":1}', headers => { Authorization => "Splunk $reader" }), qr/^403 .*"code":1\}$/, 'one that may not send');
clear();
like(send_event('{"event":1}', headers => { Authorization => "Splunk $token" }), qr/^200 /, 'one that is right');
like(row_of($node)->{data}{headers}{authorization} // '[redacted]', qr/redacted/, 'is not stored');
is(http($port, 'OPTIONS', "$path/1.0")->{status}, 200, 'OPTIONS needs none');
is(http($port, 'GET', '/services/collector/health/1.0')->{status}, 200, 'nor does the question for its health');

done_testing();
