# Hostile.pm
#	Events that want a page which shows them to be something else than a page that shows them:
#	to run what is text, to ask another host, to be blinded, to be turned round, to stand still.
#
# Each is a reference to a hash:
#
#	name		what it is
#	body		what is sent, in bytes
#	type		its Content-Type (application/json)
#	headers		more headers
#	message		what the list has to say of it, where that is known
#	path		names that lead to a value which a click filters by, and which it alone has
#
# What is stored of them is in the table, and has to be seen when it is open, value by value.
#
# They say window.hacked = …, ask evil.example for something, or call alert(); a page in which
# none of this comes to pass has shown them as what they are.
#
# Core Perl only.

package Hostile;

use strict;
use warnings;
use utf8;

use Encode ();
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# Bytes of a text.
sub utf8_of { return Encode::encode_utf8($_[0]); }

# An event of members, written as JSON; what is to be seen of it.
sub of
{
	my ($name, $event, %o) = @_;
	return { name => $name, body => $json->encode($event), %o };
}

# One whose body is JSON already.
sub raw
{
	my ($name, $body, %o) = @_;
	return { name => $name, body => $body, %o };
}

# One whose message and a member are a text, which has to be seen as it is.
sub text
{
	my ($name, $text, %o) = @_;
	return of($name, { message => $text, value => $text }, message => $text, path => ['value'], %o);
}

my @tags = (
	'<script>window.hacked = 1; alert(1)</script>',
	'</script><script>window.hacked = 2</script>',
	'<img src=x onerror="window.hacked = 3"><img src=http://evil.example/pixel.png>',
	'"><svg onload="window.hacked = 4"><style>* { display: none }</style>',
	"' onmouseover='window.hacked = 5' style='position:fixed;inset:0;background:url(http://evil.example/x)' x='",
	'<iframe srcdoc="<script>parent.hacked = 6</script>"></iframe><object data=//evil.example/o></object>',
	'<!-- <title>--></title></textarea></style></noscript></template>]]><base href=//evil.example/>',
	'<link rel=stylesheet href=//evil.example/s.css><meta http-equiv=refresh content="0;url=//evil.example/">',
	'<form action=//evil.example/><button autofocus onfocus="window.hacked = 7">log in again</button></form>',
	'&lt;b&gt; &amp;amp; &#0; &#x202e; &nbsp;');
my @expressions = (
	'javascript:window.hacked=8',
	'data:text/html,<script>window.hacked=9</script>',
	'${window.hacked = 10} {{constructor.constructor("window.hacked = 11")()}} #{7*7} <%= 7*7 %>',
	'%s %n %% %00 \\u0000 \\x3cscript\\x3e \\\\ \\"',
	'{"end":{"complete":true}}' . "\n" . '{"error":{"message":"made up"}}' . "\n" . '{"event":{"time":"2026-01-01T00:00:00.000000Z"}}',
	"data: x\n\nevent: y\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b",
	"=HYPERLINK(\"http://evil.example/\")",
	"\e[31mred\e[0m \e]8;;http://evil.example/\a link \e]8;;\a",
	"'; DROP TABLE log; --",
	'http://evil.example/page https://evil.example/ //evil.example/ mailto:x@evil.example');

sub nested
{
	my ($levels, $open, $core, $close) = @_;
	return ($open x $levels) . $core . ($close x $levels);
}

sub events
{
	my $loop = 0;
	my @events;

	push @events, map { text('a tag, ' . ++$loop, $_) } @tags;
	push @events, map { text('an expression, ' . ++$loop, $_) } @expressions;
	push @events,
	  of('tags everywhere', {
			app => $tags[0], host => $tags[2], severity => $tags[3], message => $tags[1], event => $tags[4],
			$tags[0] => $tags[5], $tags[3] => { $tags[2] => [ $tags[6], { $tags[4] => $tags[7] } ] } },
		message => $tags[1], path => [ $tags[0] ]),

	  # What turns lines round, hides, or is not to be seen.
	  text('bidirectional overrides', "pay \x{202E}001 EUR\x{202C} to \x{2066}\x{2067}evil\x{2069} end"),
	  text('an override that does not end', "\x{202E}\x{202D}\x{2067}\x{2068}\x{202B}start and no end"),
	  text('right to left', 'خطأ في الدفع: order 4711 שגיאה "12.50"'),
	  text('nothing to be seen', "a\x{200B}b\x{200D}c\x{2060}d\x{FEFF}e\x{00AD}f\x{034F}g\x{180E}h\x{3164}i"),
	  text('controls', join '', 'controls ', map { chr } 1 .. 8, 11, 12, 14 .. 31, 127 .. 159),
	  text('ends of lines', "one\ntwo\r\nthree\rfour\x{2028}five\x{2029}six\x{85}seven\n\n\n\n\n\n\n\n\n\n\n\neight\ttab"),
	  text('emoji', '👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇩🇪 👍🏽 e' . "\x{301}" . ' ﷽ 漢字 ｆｕｌｌ'),
	  text('marks upon marks', 'z' . "\x{300}\x{316}\x{489}" x 300 . ' after them'),
	  text('private and no characters', "\x{E000}\x{FFFC}\x{10FFFF}\x{1FFFE}\x{FDD0} end"),
	  raw('a NUL, which is stored as U+FFFD', '{"message":"a\u0000b","value":"nul \u0000 here","k\u0000y":1}',
		message => "a\x{FFFD}b", path => ['value']),
	  raw('half of a surrogate', '{"message":"lone \ud800 and \udfff","value":"\ude00\ud83d"}',
		message => "lone \x{FFFD} and \x{FFFD}", path => ['value']),
	  raw('bytes that are not UTF-8', "{\"message\":\"bytes \xff and \xc0\xaf and \xf8\",\"value\":\"\xe9t\xe9\"}",
		path => ['value']),
	  raw('escapes that need none', '{"message":"\u003cscript\u003ewindow.hacked = 12\u003c\/script\u003e","value":"\u0022\u005c\u002f"}',
		message => '<script>window.hacked = 12</script>', path => ['value']),

	  # What is long, many or deep.
	  of('a string of a megabyte', { message => 'megabyte', value => 'x<b>' x 250_000 }, message => 'megabyte'),
	  of('a message of a megabyte', { message => 'wide ' . 'w' x 1_000_000 }),
	  of('a message of many lines', { message => 'lines ' . "line <i>\n" x 50_000 }),
	  of('a long word', { message => 'W' x 20_000, app => 'A' x 5000, host => 'H' x 5000 }),
	  of('a long name', { message => 'long name', 'k' x 100_000 => 'its value' }, message => 'long name'),
	  of('10,000 members', { message => 'many members', map { sprintf('k%05d', $_) => $_ } 1 .. 10_000 }, message => 'many members'),
	  of('10,000 elements', { message => 'many elements', list => [ 1 .. 10_000 ] }, message => 'many elements'),
	  raw('500 objects within each other', '{"message":"deep","a":' . nested(500, '{"a":', '"core"', '}') . '}', message => 'deep'),
	  raw('500 arrays within each other', '{"message":"deep arrays","a":' . nested(500, '[', '"core"', ']') . '}', message => 'deep arrays'),

	  # Names of JavaScript's own.
	  raw('names of a prototype', '{"message":"prototype","__proto__":{"polluted":"proto value"},"constructor":{"prototype":{"polluted":1},"name":"ctor"},'
		  . '"toString":"to string","valueOf":1,"hasOwnProperty":null,"then":"then value","toJSON":"to json","length":-1,"__defineGetter__":2,"prototype":{"x":3}}',
		message => 'prototype',
		path => ['__proto__', 'polluted']),
	  raw('a prototype as app', '{"message":"proto app","app":"__proto__","host":"constructor","severity":"toString","event":"hasOwnProperty"}',
		message => 'proto app'),
	  raw('members that are not what their names say', '{"message":{"toString":1,"valueOf":2},"app":[],"host":{"__proto__":null},"severity":[1],"event":null,"time":"never","id":{}}'),
	  raw('a message that is an array', '{"message":[1,[2,{"three":null}]],"level":99}'),
	  raw('a message that is a number', '{"message":1e400,"app":12345678901234567890,"host":true,"severity":-1}'),

	  # Names that a path has to quote.
	  raw('a name that is empty', '{"message":"empty name","":{"":"nothing twice"}}', message => 'empty name', path => ['', '']),
	  of('names to be quoted', {
			message => 'quoted names', 'a.b' => { 'c d' => { 'q"uo\'te' => { 'back\\slash' => { "new\nline" => { '@headers' => { '-x' => { 'a:b*' => 'at the end' } } } } } } } },
		message => 'quoted names',
		path => [ 'a.b', 'c d', 'q"uo\'te', 'back\\slash', "new\nline", '@headers', '-x', 'a:b*' ]),
	  of('values that are queries', { message => 'a query', value => '(app:x OR -y*) "z\\" AND NOT >=5 ~^a' },
		message => 'a query', path => ['value']),
	  of('names of fields', { message => 'field names', status => 'mine', id => 'mine too', ip => 'x', source => 'y', OR => 'or value', '@json' => { x => 1 } },
		message => 'field names', path => ['OR']),
	  raw('numbers', '{"message":"numbers","big":12345678901234567890,"long":0.1000000000000000055,"odd":9007199254740993,"minus":-0,"zero":1.50,"huge":1e400,"tiny":1e-40}',
		message => 'numbers', path => ['big']),
	  raw('names twice', '{"message":"twice","a":1,"a":"the last one","A":"another"}', message => 'twice', path => ['a']),

	  # What is no object.
	  raw('a number',          '-12.50'),
	  raw('true',              'true'),
	  raw('null',              'null'),
	  raw('a string',          $json->encode('just <b>text</b>'), message => 'just <b>text</b>'),
	  raw('an empty string',   '""'),
	  raw('an empty object',   '{}'),
	  raw('an array in one',   '[[1,["two",{"<i>":[]}]]]'),
	  raw('an empty array in one', '[[]]'),
	  raw('a text',            utf8_of("plain <u>text</u>\nof two lines"), type => 'text/plain', message => "plain <u>text</u>\nof two lines"),
	  raw('a form',            'message=%3Cscript%3Ewindow.hacked%3D13%3C%2Fscript%3E&value=%00%ff%3Cb%3E&__proto__=x', type => 'application/x-www-form-urlencoded',
		message => '<script>window.hacked=13</script>'),

	  # What comes with a request.
	  of('headers', { message => 'headers' },
		message => 'headers', headers => {
			'User-Agent' => '<script>window.hacked = 14</script>', Referer => 'javascript:window.hacked=15', 'X-Tag' => '"><img src=x onerror=alert(2)>',
			__proto__ => 'header', 'X-Bytes' => "\xff\xfe", 'Accept-Language' => utf8_of("\x{202E}ed") });
	return @events;
}

# Rows of the log table that somebody else has inserted, as SQL: of data's of every kind, with
# ids that are none.
sub rows
{
	return map { "(now(), $_, 0)" }
	  q{'5'}, q{'0'}, q{'""'}, q{'false'}, q{'null'}, q{'[]'}, q{'"a string <b>"'}, q{'{}'}, q{'{"json":null}'},
	  q{'{"id":"<b>''~&?#%/\\\\","json":{"message":"an id of its own"}}'},
	  q{'{"id":{"a":1},"json":{"message":"an id that is an object"}}'},
	  q{'{"json":{"message":"no id"},"headers":5,"ip":[],"time":{},"__proto__":{"x":1}}'},
	  q{'{"json":{"message":"the same without an id"},"n":1}'}, q{'{"json":{"message":"the same without an id"},"n":2}'};
}

1;
