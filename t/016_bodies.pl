# What bodies become: encodings, charsets, forms, text with brackets, repairs.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(encode encode_utf8);
use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use WindTrap;

my $node = wt_node('bodies');
my $port = wt_port($node);
my $url = "http://127.0.0.1:$port/log";

sub query { return $node->safe_psql('postgres', $_[0]); }

sub events
{
	return query(q{SELECT coalesce(string_agg(concat(data->'json', CASE WHEN data ? 'repaired' THEN ' repaired' END, CASE WHEN status <> 0 THEN 'bad' END), ' | ' ORDER BY data->>'id'), '') FROM log});
}

# What a body of this type is answered, and what it becomes.
sub becomes
{
	my ($name, $type, $body, $status, $expected, %headers) = @_;
	query('TRUNCATE log');
	my $answer = post($port, $body, type => $type, headers => \%headers);
	is("$answer->{status} " . events(), $status . ' ' . $expected, $name) or note $answer->{content};
}

my $json = 'application/json';
my $text = 'text/plain';
my $form = 'application/x-www-form-urlencoded';

# Content-Encoding
{
	my $raw = raw_deflate('{"ie":10,"jibaff":69,"eajhj":0.9983627118753771,"jb":2121536}');
	is(ord $raw, 0x0D, 'a deflated body that begins as text does');
	becomes('it is inflated', $json, $raw, 200, '{"ie": 10, "jb": 2121536, "eajhj": 0.9983627118753771, "jibaff": 69}', 'Content-Encoding' => 'deflate');
}
becomes("JSON that is declared as $_", $json, '{"a": 1}', 200, '{"a": 1}', 'Content-Encoding' => $_) for qw(deflate gzip zstd identity), ', ,';
becomes("gzip in gzip, declared as '$_'", $json, gzip(gzip('1')), 200, '1', 'Content-Encoding' => $_) for 'gzip, gzip', 'gzip,, identity,gzip';
becomes('gzip that is declared twice', $json, gzip('1'), 200, '1', 'Content-Encoding' => 'gzip, gzip');
becomes('gzip that is padded with zeros', $json, gzip('1') . "\0" x 1000, 200, '1', 'Content-Encoding' => 'gzip');
becomes('gzip with more than zeros behind it', $json, gzip('1') . "\0\0\1", 400, '', 'Content-Encoding' => 'gzip');

# Snappy: a block where it is said, frames by themselves.
becomes('a block of snappy', $json, "\x09\x20" . '{"a": 1}' . "\n", 200, '{"a": 1}', 'Content-Encoding' => 'snappy');
becomes('snappy that is said and is not', $json, '{"a": 1}', 200, '{"a": 1}', 'Content-Encoding' => 'snappy');
becomes('a block that is cut', $text, "\x30\x20abc", 400, '', 'Content-Encoding' => 'snappy');

# Text that begins with brackets, and JSON that is sent as text.
becomes("text: $_", $text, $_, 200, JSON::PP->new->allow_nonref->encode($_))
  for '[7] [INFO] Booting worker', '{} {} x', '[0] [vite] ready', '[2026] {"level":"info"} msg', '{} {}', '[1][2]', '"a" "b"', '[1', '{"a":1} trailing';
becomes('text of several lines', $text, "{} {} x\n[1] y", 200, '"{} {} x\n[1] y"');
becomes('an object as text', $text, qq({\n"a":1\n}\n), 200, '{"a": 1}');
becomes('an array as text', $text, '[{"a":1},2]', 200, '{"a": 1} | 2');
becomes('lines as text', $text, qq({"a":1}\n{"a":2}\n), 200, '{"a": 1} | {"a": 2}');
becomes('lines as text, the second bad', $text, qq({"a":1}\n{"a":\n{"a":3}), 200, '{"a": 1} | bad | {"a": 3}');
becomes('lines as text, the first bad', $text, qq({"a":\n{"a":2}\n), 200, 'bad | {"a": 2}');
becomes('objects of several lines as text', $text, qq({\n"a":1}\n{\n"a":2}\n), 200, '{"a": 1} | {"a": 2}');
becomes('an array that is longer than a text may be', $text, '[' . join(',', ('"' . 'x' x 999_999 . '"') x 2) . ']', 200, join ' | ', ('"' . 'x' x 999_999 . '"') x 2);
becomes('arrays one after the other as JSON', $json, '[][]', 400, '');
becomes('arrays with events likewise', $json, '[1][2]', 400, '');
becomes('objects likewise', $json, '{}{}', 400, '');
becomes('objects on lines', $json, "{}\n{}{}", 200, '{} | {} | {}');
becomes("objects of curl's default type", $form, '{}{}', 200, '{} | {}');

# Records
becomes('json-seq', 'application/json-seq', qq(\x1E{"a":\n1}\n\x1E\x1E[2]\n\x1Ebad\n\x1E"3"\n), 200, '{"a": 1} | [2] | bad | "3"');

# Forms
becomes('a form that is none', $form, 'disk full: 100% used, a+b', 200, '"disk full: 100% used, a+b"');
becomes('a form without an equals sign', $form, 'a+b', 200, '"a+b"');
becomes('a form with blanks', $form, 'a = b', 200, '"a = b"');
becomes('a form that ends with a line feed', $form, "a=b+c\n", 200, '{"a": "b c"}');
becomes('a form whose escapes are none', "$form; charset=iso-8859-1", '%7Ba=%%341&b=%4%31', 200, '{"b": "%41", "{a": "%41"}');
becomes('a form in Latin-1', "$form; charset=iso-8859-1", "a=caf%E9&b=\xE9", 200, encode_utf8(qq({"a": "caf\x{e9}", "b": "\x{e9}"})));

# Charsets
my $cafe = encode_utf8(qq("caf\x{e9}"));
becomes("text in $_", "$text; charset=$_", encode($_, "caf\x{e9}"), 200, $cafe) for 'iso-8859-1', 'ISO-8859-15', 'windows-1252', 'utf-8', 'UTF-16', 'UTF-16LE', 'UTF-32';
# Letters with which a mark could be joined: the charsets of Vietnamese, Hebrew and Hong Kong hold them back.
becomes("the last letter in $$_[0]", "$text; charset=$$_[0]", $$_[1], 200, encode_utf8(qq("$$_[2]")))
  for [ 'windows-1258', 'Hoa', 'Hoa' ], [ 'windows-1255', "\xE0", "\x{5d0}" ], [ 'big5-hkscs', "\x88\x66", "\x{ca}" ];
becomes('a letter, and what is none', "$text; charset=windows-1258", "Hoa\x8Ae", 200, encode_utf8(qq("Hoa\x{fffd}e" repaired)));
becomes("JSON in $_", "$json;charset=\"$_\"", encode($_, "\"caf\x{e9}\""), 200, $cafe) for 'iso-8859-1', 'UTF-16', 'UTF-16BE', 'UTF-32LE';
becomes('Latin-1 that happens to be UTF-8', "$text; charset=latin1", "\xC3\xA4", 200, encode_utf8("\"\x{c3}\x{a4}\""));
becomes('UTF-16 that its mark shows', $json, "\xFF\xFE" . encode('UTF-16LE', '{"a":1}'), 200, '{"a": 1}');
becomes('an unknown charset', "$text; charset=$_", 'x', 415, '') for 'klingon', 'utf-7', 'utf-16//translit', 'iso-8859-99';
becomes('ASCII that is UTF-8', "$text; charset=us-ascii", encode_utf8("caf\x{e9}"), 200, $cafe);
becomes('lines in Latin-1', 'application/x-ndjson; charset=latin1', "\"\xE9\"\n1", 200, encode_utf8("\"\x{e9}\" | 1"));
becomes('half a surrogate in UTF-16', "$json; charset=utf-16le", encode('UTF-16LE', '["a",') . "\"\0\x3D\xD8\"\0]\0", 200, '"a" | "' . "\xEF\xBF\xBD" . '" repaired');

# Forms with files
{
	my $body = sub { join("\r\n", '--b', @_, '--b--', '') };
	my $multipart = 'multipart/form-data; boundary=b';
	becomes('multipart', $multipart, $body->('Content-Disposition: form-data; name="a"', '', '1', '--b', 'Content-Disposition: form-data; name="f"; filename="x.bin"', 'Content-Type: image/png', '', "\0\xFF"), 200,
		'{"a": "1", "f": {"type": "image/png", "base64": "AP8=", "filename": "x.bin"}}');
	becomes("multipart: $$_[0]", $$_[2] // $multipart, $$_[1], 400, '')
	  for [ 'no name', $body->('X: y', '', '1') ], [ 'no end', "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1" ], [ 'no boundary', 'x', 'multipart/form-data' ],
	  [ 'a boundary in a head', $body->('Content-Disposition: form-data; name="a"', '--b', 'Content-Disposition: form-data; name="c"', '', '1') ],
	  [ 'another boundary', $body->('Content-Disposition: form-data; name=a', '', '1'), 'multipart/form-data; boundary=c' ], [ 'nothing', '--b--' ];
	query('TRUNCATE log');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/note.txt';
	append_to_file($file, 'hello');
	is(command('curl', '-sS', '-F', 'a=1', '-F', 'a=2', '-F', 'b=', '-F', "f=\@$file", $url), '{"accepted":1}', 'curl -F');
	is(events(), '{"a": ["1", "2"], "b": "", "f": {"type": "text/plain", "base64": "aGVsbG8=", "filename": "note.txt"}}', 'is an object');
	query('TRUNCATE log');
	is( python('-c', <<'PYTHON', $url), "200", 'requests with files');
import requests, sys
print(requests.post(sys.argv[1], data={"a": "1"}, files={"f": ("\u00e9.bin", b"\x00\x01", "x/y")}).status_code)
PYTHON
	is(events(), encode_utf8(qq({"a": "1", "f": {"type": "x/y", "base64": "AAE=", "filename": "\x{e9}.bin"}})), 'is an object too');
}

# Repairs
my $bad = "\xEF\xBF\xBD";
my @broken = (
	[ 'a lone surrogate', $json, '{"a":"x\ud83d"}', qq({"a": "x$bad"}) ], [ '\u0000', $json, '"\u0000"', qq("$bad") ],
	[ 'Latin-1', $json, "\"\\nx\xE9y\"", qq("\\nx${bad}y") ], [ 'a sequence that is cut', $json, "\"\xE2\x82 \xF0\x9F\x98\"", qq("$bad $bad") ],
	[ 'a surrogate in UTF-8', $json, "\"\xED\xA0\x80\"", qq("$bad$bad$bad") ], [ 'a name', $json, "{\"\xFF\":1,\"\xFE\":2}", qq({"$bad": 2}) ],
	[ 'a NUL in text', $text, "a\0b\xFF", qq("a${bad}b$bad") ], [ 'a form', $form, 'a=%ff&b=%00', qq({"a": "$bad", "b": "$bad"}) ],
	[ 'much of it', $json, '["' . join('","', ("\\t\xFF") x 3000) . '"]', join(' | ', (qq("\\t$bad")) x 3000), 1 ],);
for (@broken)
{
	my ($name, $type, $body, $event) = @$_;
	becomes("$name is repaired", $type, $body, 200, join ' | ', map { "$_ repaired" } split / \| /, $event);
}
becomes('a control character in a string', $json, "\"\0\"", 400, '');
becomes('bytes outside of strings', $json, "[\xFF]", 400, '');
alter_system($node, 'windtrap.repair' => 'off');
ok(wait_for(sub { post($port, '"\u0000"')->{status} == 400 }), 'windtrap.repair = off');
for (@broken)
{
	my ($name, $type, $body, undef, $batch) = @$_;
	next if $batch;
	becomes("$name is refused without", $type, $body, 400, '');
}

# Quarantine's way back
query('TRUNCATE log');
post($port, qq({"n":1,}\n"\\u0000"\n{"n":3,}), type => 'application/x-ndjson');
my ($one, $two, $three) = split /\n/, query('SELECT id FROM windtrap.quarantine ORDER BY id');
like(query(qq[SELECT error FROM windtrap.retry_quarantined('$one', '{"n":')]), qr/bad JSON/, 'a repaired text that is no better');
is(query(qq{SELECT raw FROM windtrap.quarantine WHERE id = '$one'}), '{"n":1,}', 'leaves the event as it was');
is(query(qq{SELECT id, error FROM windtrap.retry_quarantined('$one', '{"n":1}')}), "$one|", 'a repaired text');
is(query(q{SELECT count(*) FROM windtrap.retry_quarantined('nobody', '1')}), 0, 'an id that is not there');
is(query(qq{SELECT windtrap.discard_quarantined(ARRAY['$one', '$two', 'nobody'])}), 1, 'an event in quarantine is discarded, others are not');
is(events(), '{"n": 1} | bad', 'what is left');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
