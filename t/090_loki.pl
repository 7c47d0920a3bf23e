# Loki's pushes, JSON and protobuf.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(encode_utf8);
use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Protocol;
use WindTrap;

my $node = wt_node('loki');
my $port = wt_port($node);
my $path = '/loki/api/v1/push';
my $text = "Gr\x{fc}\x{df}e, \x{4e16}\x{754c} \x{1f680}";
my $proto = 'application/x-protobuf';

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log'); }

sub push_to
{
	my ($body, %o) = @_;
	my $answer = post($port, $body, path => $path, %o);
	return "$answer->{status} $answer->{content}";
}

# Protobuf by hand: a number, a field of bytes, a field of a number.
sub varint { my ($n) = @_; my $s = ''; do { my $b = $n & 127; $n >>= 7; $s .= chr($b | ($n ? 128 : 0)); } while ($n); return $s; }
sub bytes_field { my ($number, $bytes) = @_; return varint($number << 3 | 2) . varint(length $bytes) . $bytes; }
sub int_field { my ($number, $value) = @_; return varint($number << 3) . varint($value); }
sub entry { my ($seconds, $nanos, $line, @pairs) = @_; return bytes_field(2, bytes_field(1, int_field(1, $seconds) . int_field(2, $nanos)) . bytes_field(2, $line) . join '', map { bytes_field(3, bytes_field(1, $_->[0]) . bytes_field(2, $_->[1])) } @pairs); }
sub stream { my ($labels, @entries) = @_; return bytes_field(1, bytes_field(1, $labels) . join '', @entries); }

# Snappy that compresses nothing.
sub snappy
{
	my ($bytes) = @_;
	my $out = varint(length $bytes);
	$out .= chr(61 << 2) . pack('v', length($_) - 1) . $_ for $bytes =~ /(.{1,60000})/gs;
	return $out;
}

# Real clients.
my %expected = ('log4j2-loki-005' => 0, 'log4j2-gelf-tcp-004' => 0, 'py-loki_handler-001' => 1, 'py-loki_handler-002' => 1, 'py-loki_handler-003' => 1, 'rust-loki-001' => 2);
my $texts = 0;
for my $name (grep { capture($_) =~ m{^POST /loki/api/v1/push} } captures(''))
{
	clear();
	my $answer = replay($port, $name);
	is("$answer->{status} $answer->{content}", '204 ', "$name is stored");
	my @rows = rows($node);
	is(scalar @rows, $expected{$name} // 3, 'as many lines as there are');
	for (@rows)
	{
		my $event = $_->{data};
		is($event->{protocol}, 'loki', 'as what they are');
		like($event->{loki}{labels}{level} // $event->{loki}{labels}{severity}, qr/^(info|warn|error)/i, 'with their labels');
		ok($_->{time} > 1.7e15 && !exists $event->{note}, 'and their own time');
		my $line = ref $event->{json} ? $event->{json}{msg} // $event->{json}{message} : $event->{json};
		like($line, qr/user alice logged in|\Q$text\E|cannot charge card/, 'the line is the event');
		$texts++ if $line =~ /\Q$text\E/;
	}
}
ok($texts >= 8, "the text of $texts clients that is not ASCII");

clear();
replay($port, 'go-slog-loki-001');
is_deeply([ map { $_->{data}{loki}{labels} } (rows($node))[0, 1] ], [ { level => 'INFO' }, { level => 'WARN', order__id => '42', order__items => '[a b]', order__paid => 'true' } ], 'labels as text');
like(join(' ', values %{ (rows($node))[2]{data}{loki}{labels} }), qr/goroutine 1 \[running\]:\nruntime/, 'escapes in them');
clear();
replay($port, 'node-winston-loki-001');
is_deeply((rows($node))[1]{data}{loki}, { labels => { level => 'warn', app => 'shop' }, metadata => { order => '{"id":42,"items":["a","b"],"paid":true}', level => 'warn' } }, 'metadata');
clear();
replay($port, 'logback-loki-001');
my $row = (rows($node))[0];
is("$row->{time} $row->{data}{loki}{tenant}", '1795688395700016 t1', 'time and tenant');

# JSON, in any order.
clear();
is(push_to('{"streams":[{"values":[["1795688395700016431","a"],["1795688395700016432","{\"x\":\"\\\\u00fc\\\\n\"}",{"t":"1"}],["1795688395700016433","{no json"]],"stream":{"app":"s"}},{"stream":{},"values":[]},{"stream":{"b":"c"},"values":[["0","last"]]}],"more":{}}'), '204 ', 'JSON with its members in another order');
is_deeply([ map { [ $_->{data}{json}, $_->{data}{loki} ] } rows($node) ],
	[ [ 'a', { labels => { app => 's' } } ], [ { x => "\x{fc}\n" }, { labels => { app => 's' }, metadata => { t => '1' } } ], [ '{no json', { labels => { app => 's' } } ], [ 'last', { labels => { b => 'c' } } ] ], 'lines and labels');
clear();
is(push_to('{"streams":[{"labels":"{app=\"s\", level=\"a\\\\\"b\"}","entries":[{"ts":"2026-11-26T10:00:00.5+01:00","line":"old"}]}]}', path => '/api/prom/push'), '204 ', 'the old form');
$row = row_of($node);
is_deeply([ $row->{time}, $row->{data}{json}, $row->{data}{loki}{labels} ], [ 1795683600500000, 'old', { app => 's', level => 'a"b' } ], 'is read');

# Protobuf.
clear();
my $body = stream('{ app="x" , b="\u00fc\x41\101\U0001f680" }', entry(1795688395, 700016431, 'one'), entry(1795688395, 1000, '{"a":1}', [ k => 'v' ]), entry(1795688395, 2000, 'three'));
is(push_to(snappy($body), type => $proto), '204 ', 'protobuf');
is_deeply([ map { [ $_->{time}, $_->{data}{json}, $_->{data}{loki}{metadata} ] } rows($node) ], [ [ 1795688395700016, 'one', undef ], [ 1795688395000001, { a => 1 }, { k => 'v' } ], [ 1795688395000002, 'three', undef ] ], 'lines, times, metadata');
is((rows($node))[2]{data}{loki}{labels}{b}, "\x{fc}AA\x{1f680}", 'labels with escapes');
clear();
is(push_to(gzip(snappy($body)), type => $proto, headers => { 'Content-Encoding' => 'gzip' }), '204 ', 'gzip around it');
is(push_to(snappy($body), type => $proto, headers => { 'Content-Encoding' => 'snappy' }), '204 ', 'snappy, said so');
is(count_of($node), 6, 'all of them');

# Bad input: the one event, or a clear error.
clear();
is(push_to(snappy(stream('{app=', entry(1795688395, 0, 'a')) . stream('{app="b"}', entry(1795688395, 0, 'b'))), type => $proto), '204 ', 'labels that cannot be read');
is_deeply([ map { [ $_->{data}{loki}{labels}, $_->{data}{note} // '' ] } rows($node) ], [ [ '{app=', 'the labels or the metadata of the line cannot be read' ], [ { app => 'b' }, '' ] ], 'are kept as text');
clear();
my $cut = entry(1795688395, 0, 'cut');
is(push_to(snappy(stream('{}', entry(1795688395, 0, 'a'), substr($cut, 0, -1)) . stream('{}', entry(1795688395, 0, 'b'))), type => $proto), '204 ', 'an entry that is cut');
is(join(' ', map { $_->{data}{json} // 'kept' } sort { $a->{status} <=> $b->{status} } rows($node)), 'a b kept', 'costs its neighbours nothing');
is(count_of($node, q{data->>'encoding' = 'base64' OR data ? 'raw'}), 1, 'and is in quarantine');
is(push_to('{"streams":[{"stream":{},"values":[["1","a"],5,["1"],["1",{"x":1}],["1","b"]]}]}'), '204 ', 'entries that are none');
is(count_of($node, q{data->'json' IN ('"a"', '"b"') AND status = 0}), 4, 'nor do these');
clear();
like(push_to(substr(snappy($body), 0, -1), type => $proto), qr/^400 .*compressed body is corrupt/, 'snappy that is cut is refused');
like(push_to(snappy("\x0a\xff"), type => $proto), qr/^400 the body is broken/, 'protobuf that is none');
like(push_to(varint(64 << 20) . "\0x" . pack('Cv', 63 << 2 | 2, 1) x (1 << 20), type => $proto), qr/^413 /, 'a bomb');
like(push_to(varint(1 << 30) . "\0x", type => $proto), qr/^400 /, 'one that cannot be as long as it says');
like(push_to('{"streams":'), qr/^400 /, 'JSON that is cut');
like(push_to('{"x":1}'), qr/^400 /, 'JSON without streams');
like(push_to(''), qr/^400 /, 'nothing');
is(push_to('{"streams":[]}'), '204 ', 'no streams');
is(count_of($node), 0, 'nothing of it is stored');
my $answer = http($port, 'GET', '/ready');
is("$answer->{status} $answer->{content}", "200 ready\n", 'it is ready');
is(http($port, 'GET', $path)->{status}, 405, 'GET is refused');

# Many lines, of which each is another stream.
clear();
is(push_to(snappy(join '', map { stream(qq({n="$_"}), entry(1795688395, 1000 * $_, "line $_")) } 1 .. 20_000), type => $proto, timeout => 60), '204 ', '20,000 streams');
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE data->>'json' = 'line ' || (data->'loki'->'labels'->>'n')) FROM log}), '20000|20000', 'each with its own labels');

done_testing();
