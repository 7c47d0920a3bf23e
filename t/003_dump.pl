# What was accepted is what PostgreSQL itself makes of the same text, can be read by all
# of its operators, dumped by pg_dump and restored, in every encoding that is served.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('dump', preload => 0);
my $port = wt_port($node);
my @bodies;        # accepted JSON, by number
my @odd_events;    # what has to be repaired, and what has names that are no usual ones

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# Sends all of @bodies on one connection, pipelined by the dozen; the number of each is in
# its query string.
sub send_bodies
{
	my ($connection) = @_;
	my @codes;

	for (my $i = 0; $i < @bodies; $i += 12)
	{
		my $last = $i + 11 < $#bodies ? $i + 11 : $#bodies;
		$connection->request(
			$bodies[$_],
			path    => "/log?n=$_",
			headers => ['Content-Type: application/json']) for $i .. $last;
		push @codes, ($connection->response // { status => 'none' })->{status}
		  for $i .. $last;
	}
	return grep { $codes[$_] ne '200' } 0 .. $#codes;
}

# The bodies as a table, read by PostgreSQL's own parser.
sub load_bodies
{
	my ($database) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/bodies-$database";

	open my $out, '>:raw', $file or die "$file: $!";
	for my $n (0 .. $#bodies)
	{
		my $body = $bodies[$n];
		$body =~ s/([\\\t\n\r])/{ "\\" => "\\\\", "\t" => "\\t", "\n" => "\\n", "\r" => "\\r" }->{$1}/ge;
		print $out "$n\t$body\n";
	}
	close $out;
	query("CREATE TABLE sent (n int PRIMARY KEY, body text)", $database);
	query("\\copy sent FROM '$file'", $database);
	return;
}

# The numbers of the events for which the condition does not hold; stored is what we
# have made of the event, own what PostgreSQL has.
sub exceptions
{
	my ($condition) = @_;
	return query(<<"SQL");
SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM (
	SELECT n, data, data->'json' AS stored, body::jsonb AS own
	FROM sent JOIN log ON (data->'args'->>'n')::int = n
	UNION ALL
	SELECT n, jsonb_build_object('json', data->'json'->'array'), data->'json'->'array', body::jsonb->'array'
	FROM sent JOIN log ON (data->'args'->>'n')::int = n WHERE body LIKE '{"array":%') e
WHERE ($condition) IS NOT TRUE
SQL
}

# A digest of all that is in a log table.
sub digest
{
	my ($database) = @_;
	return query(
		q{SELECT count(*) || ' ' || md5(string_agg(row(event_timestamp, data, status)::text, ' '
			ORDER BY data->>'id')) FROM log}, $database);
}

# Dumps the database and restores it into one of the same encoding; both must be equal.
sub dump_and_restore
{
	my ($database, $encoding) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$database.sql";

	for my $format ('plain', 'custom')
	{
		my $copy = "${database}_$format";
		query("CREATE DATABASE $copy TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
		$node->command_ok(
			[ 'pg_dump', '-F', $format, '-f', "$file.$format", '-d', $node->connstr($database) ],
			"$database: pg_dump, $format");
		$node->command_ok(
			$format eq 'plain'
			? [ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$file.plain", '-d', $node->connstr($copy) ]
			: [ 'pg_restore', '-e', '-d', $node->connstr($copy), "$file.custom" ],
			"$database: restored, $format");
		is(digest($copy), digest($database), "$database: all events are equal, $format");
		is( query('SELECT count(*) FROM log WHERE data @> \'{"repaired": true}\'', $copy),
			scalar(grep { $$_[3] } @odd_events), "$database: what was repaired among them, $format");
		is( query('SELECT bool_and(data = data::text::jsonb) FROM log', $copy),
			't', "$database: and read back, $format");
	}
	return;
}

#
# Documents
#

# Names and numbers of children around the places where the binary form changes: an
# offset in place of a length at every 32nd child, more than 32 members to sort.
sub object_of
{
	my ($n, $value) = @_;
	return '{' . join(',', map { "\"k$_\":" . $value->($_) } 1 .. $n) . '}';
}

sub array_of
{
	my ($n, $value) = @_;
	return '[' . join(',', map { $value->($_) } 1 .. $n) . ']';
}

my @values = (
	sub { $_[0] },
	sub { '"' . 'v' x ($_[0] % 5) . '"' },
	sub { ('null', 'true', 'false', '1.5', '"x"', '[]', '{}', '[1,"a"]', '{"a":[2]}')[ $_[0] % 9 ] });
for my $n (0 .. 3, 15 .. 17, 31 .. 34, 63 .. 66, 95 .. 98, 127 .. 130, 1000)
{
	push @bodies, map { object_of($n, $_), array_of($n, $_) } @values;
}
push @bodies, object_of(40, sub { object_of(40, sub { array_of(3, $values[2]) }) });
push @bodies, array_of(40, sub { array_of(40, $values[1]) });
push @bodies,
  'null', 'true', 'false', '0', '-0', '""', '[]', '{}', '[[]]', '[{}]', '{"":""}', '{"":{"":[]}}',
  '[[],{},"",null,0,[[]],[{}],{"a":[]}]', "\t{\r\n \"a\" :\t1 }\n", '"\u0001\u001f\u007f"',
  '"\"\\\\\/\b\f\n\r\t"', '"\u00e4\u20ac\ud83d\ude00"', "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"",
  '"\ufeff\ufffe\uffff\udbff\udfff"', "\"\xEF\xBF\xBF\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80\"",
  '{"\u0061":1,"a":2}', '{"a":1,"a":{"b":1},"a":[3]}', '{"b":1,"a":2,"b":{"c":3}}',
  '{"zz":1,"z":2,"aa":3,"":4,"ab":5}', "{\"\xC3\xA4\":1,\"zz\":2,\"\\u00e4\":3}",
  object_of(100, sub { 1 }) =~ s/k\d/k/gr,    # many equal names
  '{"' . 'n' x 10_000 . '":"' . 'v' x 100_000 . '"}', '"' . '\u00e4' x 10_000 . '"',
  '"' . 'x\ny' x 20_000 . '"', '[' x 511 . ']' x 511, '{"a":' x 512 . '1' . '}' x 512,
  '[{"a":' x 255 . '1' . '}]' x 255;
push @bodies, map { "[$_]" }
  '1', '-1', '10', '9999', '10000', '-10000', '123456789012345678', '-123456789012345678',
  '999999999999999999', '1000000000000000000', '1234567890123456789', '9223372036854775807',
  '-9223372036854775808', '9223372036854775808', '18446744073709551616', '0.1', '0.10', '1.0',
  '1.000', '-0.0', '0e0', '0E10', '0.0e-5', '1e5', '1E+5', '1e-5', '-1.5e3', '1.5e-3', '12e0',
  '0.00000000000000000000001', '123456789.123456789', '100000000000000000000.00000000001', '1e400',
  '1e-400', '4.9e-324', '1.7976931348623157e308', '7' x 4096, '-' . '7' x 4096, '0.' . '7' x 4096,
  '7' x 2000 . '.' . '7' x 2000, '1e4095', '1e-4096', '0e4000';

# And what nobody would think of.
{
	my $state = 20261122;
	my $random = sub {
		$state = ($state * 1103515245 + 12345) % 2147483648;
		return int($state / 65536) % $_[0];
	};
	my @strings = ('', 'a', 'b', 'ab', 'app', 'event', 'severity', 'k' x 40, '\n', '\"', '\\\\', '\/',
		'\u00fc', '\u20ac', '\ud83d\ude00', "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", '\u0009x');
	my $string = sub { join '', '"', (map { $strings[ $random->(scalar @strings) ] } 0 .. $random->(4)), '"' };
	my $space = sub { ('', '', '', ' ', "\n", "\t ", "\r\n")[ $random->(7) ] };
	my $number = sub {
		my $text = $random->(2) ? '-' : '';
		$text .= $random->(3) ? 1 + $random->(9) . join '', map { $random->(10) } 0 .. $random->(25) : '0';
		$text .= '.' . join '', map { $random->(10) } 0 .. $random->(12) if $random->(2);
		$text .= ('e', 'E')[ $random->(2) ] . ('', '+', '-')[ $random->(3) ] . $random->(60) if !$random->(4);
		return $text;
	};
	my $value;
	$value = sub {
		my ($depth) = @_;
		my $kind = $random->($depth > 5 ? 5 : 9);
		my $size = $random->(12) == 0 ? $random->(90) : $random->(6);
		my $text =
			$kind < 2 ? $string->()
		  : $kind < 4 ? $number->()
		  : $kind < 5 ? ('null', 'true', 'false')[ $random->(3) ]
		  : $kind < 7 ? '[' . join(',', map { $value->($depth + 1) } 1 .. $size) . $space->() . ']'
		  : '{' . join(',', map {
				$space->() . ($random->(3) ? $string->() : "\"key$_\"") . $space->() . ':' . $value->($depth + 1)
			} 1 .. $size) . $space->() . '}';
		return $space->() . $text . $space->();
	};
	my $n = 0;
	while ($n < 400)
	{
		my $body = $value->(0);
		next if length $body > 100_000 || ($body !~ /^\s*[\[{]/ && $random->(10));
		push @bodies, $body;
		$n++;
	}
}

# An array by itself is a batch of events.
@bodies = map { /^\s*\[/ ? "{\"array\":$_}" : $_ } @bodies;

# Type, body, what becomes of it, and whether it is said to be repaired.
my $fffd = "\xEF\xBF\xBD";
@odd_events = (
	[ 'application/json', '{"a":"\u0000","b":["\ud800","x\udc00y"]}', qq({"a":"$fffd","b":["$fffd","x${fffd}y"]}), 1 ],
	[ 'application/json', '{"\u0000":1,"\ud83d\ude00\ud83d":{"\udfff":[]}}', qq({"$fffd":1,"\\ud83d\\ude00$fffd":{"$fffd":[]}}), 1 ],
	[ 'application/json', '{"\ud800":1,"x":2,"\udfff":3}', qq({"$fffd":3,"x":2}), 1 ],    # one name now
	[ 'application/json', "{\"\xFF\":\"\xE2\x82\",\"k\":\"\xED\xA0\x80\xC0\x80\xF0\x9F\x98\"}",
		qq({"$fffd":"$fffd","k":"$fffd$fffd$fffd$fffd$fffd$fffd"}), 1 ],
	[ 'application/json', '{"' . '\u0000' x 20_000 . '":"' . "\xFF" x 100_000 . '"}',
		'{"' . $fffd x 20_000 . '":"' . $fffd x 100_000 . '"}', 1 ],
	[ 'application/json', object_of(70, sub { '"\ud800"' }), object_of(70, sub { qq("$fffd") }), 1 ],
	[ 'text/plain', "a\0b\xFFc\r\n\\.\n", qq("a${fffd}b${fffd}c\\r\\n\\\\.\\n"), 1 ],
	[ 'application/x-www-form-urlencoded', '%00=%FF&a%ed%a0%80=%00%00&a=', qq({"$fffd":"$fffd","a$fffd$fffd$fffd":"$fffd$fffd","a":""}), 1 ],
	[ 'text/plain; charset=utf-16le', "a\0\x3D\xD8b\0", qq("a${fffd}b"), 1 ],
	[ 'multipart/form-data; boundary=b', "--b\r\nContent-Disposition: form-data; name=\"n\xFF\"\r\n\r\n\0\r\n--b--\r\n",
		qq({"n$fffd":"$fffd"}), 1 ],
	map { [ 'application/json', $_, $_, 0 ] }
	  '{"":1," ":2,"  ":3,"\u00a0":4}', '{"\\\\":1,"\\\\\\\\":2,"\\\\.":3,"\\"":4,"\'":5,"\\\\N":6}',
	  '{"\n":1,"\t":2,"\r":3,"\b":4,"\u0001":5,"\u007f":6,"\u001f\u001e":7}', '{"0":1,"-1":2,"1e5":3,"null":4,"true":5,"{}":6}',
	  '{"$.a":1,"$[*]":2,"@":3,"?":4,"a.b":5,"a,b":6,"{a,b}":7}', '{"\ufeff":1,"\u200b":2,"\u202e":3,"\uffff":4,"\ue000":5}',
	  '{"e\u0301":1,"\u00e9":2}', '{"json":1,"id":2,"time":3,"headers":4,"repaired":"no"}',
	  '{"' . 'k' x 200_000 . '":1,"' . 'k' x 199_999 . '":2}', '{"' . '\ud83d\ude00' x 300 . '":"\ud83d\ude00"}');

# Sends them, and shows that they are stored as they should be.
sub send_odd_events
{
	my ($database) = @_;
	for my $n (0 .. $#odd_events)
	{
		my ($type, $body, $expected, $repaired) = @{ $odd_events[$n] };
		my $name = sprintf '%s: odd event %d, %s', $database, $n, substr $body, 0, 40;
		$name =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
		my $connection = connect_to($port);
		$connection->request($body, path => "/log?odd_event=$n", headers => ["Content-Type: $type"]);
		is(($connection->response // { status => 'none' })->{status}, 200, "$name: accepted");
		# An SQL_ASCII database's own parser knows no escapes beyond ASCII.
		$expected =~ s/\\u(d[89ab]..)\\u(d[c-f]..)/my $c = chr(0x10000 + (hex($1) - 0xD800) * 0x400 + hex($2) - 0xDC00); utf8::encode($c); $c/ge;
		$expected =~ s/\\u((?!00[0-7]).{4})/my $c = chr hex $1; utf8::encode($c); $c/ge;
		$expected =~ s/'/''/g;
		is( query(
				qq{SELECT count(*), bool_and(data->'json' = '$expected'), bool_and(coalesce(data->>'repaired', '') = '@{[ $repaired ? 'true' : '' ]}'),
					bool_and(data->'json' = (data->'json')::text::jsonb AND jsonb_hash(data) = jsonb_hash(data::text::jsonb))
					FROM log WHERE data->'args'->>'odd_event' = '$n'}, $database),
			'1|t|t|t', "$name: stored");
	}
	return;
}

#
# UTF8
#
query('CREATE EXTENSION windtrap');
query('SELECT windtrap.start()');
is(join(' ', map { "$_: " . substr $bodies[$_], 0, 60 } send_bodies(connect_to($port))),
	'', 'all documents are accepted: ' . scalar @bodies);
load_bodies('postgres');
is(query('SELECT count(*) FROM log'), scalar @bodies, 'and stored');

is(exceptions('stored = own'), '', 'each is equal to what PostgreSQL makes of it');
is(exceptions('stored::text = own::text'), '', 'and prints equally');
is(exceptions('jsonb_hash(stored) = jsonb_hash(own)'), '', 'has the same hash');
is(exceptions('stored <= own AND stored >= own'), '', 'and the same place in an order');
is(exceptions('stored @> own AND own @> stored'), '', 'each contains the other');
is(exceptions('pg_column_size(stored) = pg_column_size(own)'), '', 'and is as large');
is( exceptions(
		q{jsonb_typeof(own) <> 'object' OR NOT EXISTS (SELECT FROM jsonb_each(own) e
			WHERE stored->key IS DISTINCT FROM value OR NOT stored ? key
				OR stored->>key IS DISTINCT FROM own->>key
				OR NOT stored @> jsonb_build_object(key, value)
				OR data->'json'->key IS DISTINCT FROM value
				OR data #> ARRAY['json', key] IS DISTINCT FROM value)}),
	'', 'every member is found by its name');
is( exceptions(
		q{jsonb_typeof(own) <> 'array' OR NOT EXISTS (SELECT FROM jsonb_array_elements(own)
			WITH ORDINALITY e(value, i) WHERE stored->(i - 1)::int IS DISTINCT FROM value
				OR stored->(i - 1 - jsonb_array_length(own))::int IS DISTINCT FROM value
				OR NOT stored @> jsonb_build_array(value))}),
	'', 'every element by its index');
is( exceptions(
		q{jsonb_typeof(own) <> 'object' OR NOT stored ? 'no such name' AND stored->'no such name' IS NULL
			AND ARRAY(SELECT jsonb_object_keys(stored)) = ARRAY(SELECT jsonb_object_keys(own))}),
	'', 'and no other member');
is( exceptions(
		q{ARRAY(SELECT jsonb_path_query(stored, '$.**')) = ARRAY(SELECT jsonb_path_query(own, '$.**'))}),
	'', 'everything beneath is equal');
is(exceptions('jsonb_strip_nulls(stored) = jsonb_strip_nulls(own) AND stored || stored = own || own'),
	'', 'what is made of it is equal');
is(exceptions('data = data::text::jsonb AND jsonb_hash(data) = jsonb_hash(data::text::jsonb)'),
	'', 'and so is the whole row');
is(exceptions('pg_column_size(data || own) = pg_column_size(data::text::jsonb || own)'),
	'', 'to the byte');

# What surrounds the event: bytes that are no text.
{
	my $connection = connect_to($port);
	my @odd = (
		[ '/log?odd=%00a%ff%fe&%00=%ed%a0%80', [], q{data->'args'},
			"{\"odd\": \"\x{fffd}a\x{ff}\x{fe}\", \"\x{fffd}\": \"\x{ed}\x{a0}\x{80}\"}" ],
		[ '/log?odd=caf%C3%A9&x=%F0%9F%98%80', [], q{data->'args'->>'odd'}, "caf\x{e9}" ],
		[ '/log?odd=%zz%4&=novalue&&&a=b=c', [], q{data->'args'},
			'{"": "novalue", "a": "b=c", "odd": "%zz%4"}' ],
		[ "/log?odd=\xE9", [], q{data->'args'->>'odd'}, "\x{e9}" ],
		[ '/log?odd=' . '&' x 500 . join('&', map { "k$_=$_" } 1 .. 500), [],
			q{(SELECT count(*) FROM jsonb_each(data->'args'))}, '501' ],
		[ '/log?odd', ["X-Odd: Andr\xE9"], q{data->'headers'->>'x-odd'}, "Andr\x{e9}" ],
		[ '/log?odd', ["X-Odd: Andr\xC3\xA9"], q{data->'headers'->>'x-odd'}, "Andr\x{e9}" ],
		[ '/log?odd', [ "X-Odd: \xE9", "X-Odd: \xC3\xA9" ], q{data->'headers'->>'x-odd'}, "\x{e9}, \x{e9}" ],
		[ '/log?odd', [ "X-Odd: \xED\xA0\x80\xF4\x90\x80\x80" ], q{length(data->'headers'->>'x-odd')}, '7' ],
		[ '/log?odd', ['X-Odd: "\\u0000\\'], q{data->'headers'->>'x-odd'}, '"\\u0000\\' ],
		[ '/log?odd', ['X-Odd:'], q{data->'headers'->>'x-odd'}, '' ],
		[ '/log?odd', [ map { "X-$_: $_" } 1 .. 90 ],
			q{(SELECT count(*) FROM jsonb_each(data->'headers') WHERE key LIKE 'x-%')}, '90' ],
		[ '/log?odd', [ ('X-Odd: v') x 90 ], q{length(data->'headers'->>'x-odd')}, '268' ],);
	for my $case (@odd)
	{
		my ($path, $headers, $expression, $expected) = @$case;
		utf8::encode($expected);
		$connection = connect_to($port);
		$connection->request('{"odd":true}', path => $path, headers => $headers);
		my $name = substr "$path @$headers", 0, 60;
		$name =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
		is(($connection->response(seconds => 3) // { status => 'none' })->{status}, 200, "$name: accepted");
		is( query("SELECT $expression FROM log WHERE data->'args' ? 'odd' ORDER BY data->>'id' DESC LIMIT 1"),
			$expected, "$name: stored");
	}
	# Who brings no token must name this machine.
	my $token = query(q{SELECT windtrap.create_token('odd')});
	$connection = connect_to($port);
	$connection->send("POST /log?odd HTTP/1.1\r\nHost: caf\xE9.example\r\nX-API-Key: $token\r\nContent-Length: 2\r\n\r\n{}");
	is($connection->response->{status}, 200, 'a strange host: accepted');
	is( query(q{SELECT data->>'host' FROM log WHERE data->>'host' LIKE '%example'}),
		"caf\xC3\xA9.example", 'a strange host: stored');
	query('DELETE FROM windtrap.token');
}
send_odd_events('postgres');
is( query(q{SELECT count(*) FROM log WHERE data <> data::text::jsonb
		OR jsonb_hash(data) <> jsonb_hash(data::text::jsonb)}),
	0, 'all rows can be read and written back');
dump_and_restore('postgres', 'UTF8');
is(query('SELECT windtrap.stop()'), 't', 'stopped');

#
# SQL_ASCII
#
query("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
query('CREATE EXTENSION windtrap', 'ascii');
like(query('SELECT windtrap.start()', 'ascii'), qr/:$port/, 'SQL_ASCII: it starts');
{
	my $connection = connect_to($port);
	is(join(' ', send_bodies($connection)), '', 'SQL_ASCII: all documents are accepted');
	$connection->request('{"odd":1}', path => '/log?odd=%00%ff', headers => ["X-Odd: Andr\xE9"]);
	is($connection->response->{status}, 200, 'SQL_ASCII: odd bytes, too');
}
send_odd_events('ascii');
is(query('SELECT count(*) FROM log', 'ascii'), @bodies + 1 + @odd_events, 'SQL_ASCII: and stored');
is( query(q{SELECT count(*) FROM log WHERE data->'json'->>0 IS DISTINCT FROM NULL AND data <> data::text::jsonb}, 'ascii'),
	0, 'SQL_ASCII: all rows can be read and written back');
dump_and_restore('ascii', 'SQL_ASCII');
is(query('SELECT windtrap.stop()', 'ascii'), 't', 'SQL_ASCII: stopped');

#
# LATIN1
#
query("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
query('CREATE EXTENSION windtrap', 'latin');
{
	my ($code, $out, $err) = $node->psql('latin', 'SELECT windtrap.start()');
	isnt($code, 0, 'LATIN1: it does not start');
	like($err, qr/encoding of database "latin" is LATIN1: WindTrap needs UTF8 or SQL_ASCII/,
		'LATIN1: and says why');
	like(log_since($node), qr/windtrap: .*"latin".*LATIN1/, "LATIN1: in the server's log, too");
	is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'windtrap%'}),
		0, 'LATIN1: nothing is left running');
	is(query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker'}, 'latin'), 0, 'LATIN1: nothing in the view');
}

$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
