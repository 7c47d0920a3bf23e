# OddDocuments.pm
#	Rows of a log table as nobody would write them by hand, the same ones for the same seed:
#	what a store of columns could fail to give back exactly.
#
# Core Perl only.

package OddDocuments;

use strict;
use warnings;

# The n-th documents of a run of shapes are alike, so that columns fill up; then comes
# another shape.
use constant ALIKE => 40;

sub new
{
	my ($class, $seed) = @_;
	return bless { state => 88172645463325252 ^ $seed, n => 0, alike => undef }, $class;
}

# 0 to n - 1; a generator of our own (xorshift), since that of Perl differs between systems.
sub random
{
	my ($self, $n) = @_;
	my $x = $self->{state};

	$x ^= $x << 13;
	$x ^= $x >> 7;
	$x ^= $x << 17;
	$self->{state} = $x;
	return ($x >> 11) % $n;
}

sub pick
{
	my $self = shift;
	return $_[ $self->random(scalar @_) ];
}

sub digits
{
	my ($self, $n) = @_;
	return join '', map { $self->random(10) } 1 .. $n;
}

sub hex
{
	my ($self, $n) = @_;
	return join '', map { sprintf '%x', $self->random(16) } 1 .. $n;
}

# What a number can look like in JSON; PostgreSQL keeps the zeros behind the point.
sub number
{
	my ($self) = @_;
	my $kind = $self->random(16);
	my $sign = $self->random(4) ? '' : '-';

	return $sign . $self->random(100) if $kind < 3;
	return $sign . $self->pick('0', '0.0', '0.00', '1.500', '1e10', '1E+5', '1.50e-7', '12e0', '0e-3', '100e-2',
		'1e300', '1e-300', '123456789.123456789', '1e400', '4.9e-324', '0.10', '10', '10.0', '1000000', '1e6')
	  if $kind < 6;
	return $sign
	  . $self->pick('9223372036854775807', '9223372036854775808', '9223372036854775806', '18446744073709551615',
		'18446744073709551616', '4294967295', '4294967296', '2147483648', '999999999999999999', '1000000000000000000',
		'99999999999999999999', '0.9223372036854775807', '92233720368547758.07', '92233720368547758.08')
	  if $kind < 8;
	return $sign . '0.' . '0' x $self->random(30) . $self->digits(1 + $self->random(5)) if $kind < 9;
	return $sign . (1 + $self->random(9)) . $self->digits(20 + $self->random(60)) if $kind < 10;
	return $sign . (1 + $self->random(9)) . $self->digits($self->random(6)) . '.' . $self->digits(1 + $self->random(6))
	  . '0' x $self->random(3)
	  if $kind < 14;
	return (1760000000 + $self->random(1000000)) . '.' . $self->digits(6);
}

# The text of a string, already escaped for JSON.
sub string
{
	my ($self) = @_;
	my $kind = $self->random(30);

	return '' if $kind == 0;
	return $self->pick('a', 'b', 'ab', 'info', 'error', 'Error', 'true', 'null', '0', '1', '1.0', '-0', '{}', '[]', ' ',
		'  ', 'a ', ' a', '\"', '\\\\', '\\\\n', '#', '%', '_', "'", '$1', '\u0001', '\u007f', '\u001f\u001e')
	  if $kind < 4;
	return $self->pick('\u00e4', "\xC3\xA4", '\ud83d\ude00', "\xF0\x9F\x98\x80", "e\xCC\x81", "\xC3\xA9", '\u202e',
		'\ufeff', '\uffff', "\xE6\xB3\xA8\xE6\x96\x87 12 \xE3\x81\xAE", "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82",
		"\xD9\xA1\xD9\xA2\xD9\xA3")
	  if $kind < 6;
	return $self->uuid if $kind < 9;
	return $self->hex($self->pick(1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 64)) if $kind < 11;
	return uc $self->hex($self->pick(2, 8, 16, 32)) if $kind < 12;
	return $self->hex(4) . uc($self->hex(2)) . $self->hex(2) if $kind < 13;
	return $self->time_like if $kind < 17;
	return $self->number if $kind < 19;    # a string, not a number
	return sprintf 'Connection from %d.%d.%d.%d port %s closed', (map { $self->random(256) } 1 .. 4), $self->digits(1 + $self->random(5))
	  if $kind < 23;
	return 'took ' . '0' x $self->random(4) . $self->digits(1 + $self->random(25)) . 'ms (' . $self->digits($self->random(3)) . ') #' . $self->random(10)
	  if $kind < 26;
	return $self->digits($self->random(24)) if $kind < 27;
	return 'x' x $self->pick(1, 100, 127, 128, 199, 200, 201, 255, 256, 257, 1000) if $kind < 28;
	return join $self->pick(' ', '\n', '\t', ', '), map { $self->pick('timeout', 'TIMEOUT', 'port 2', 'worker 07', "K\xC3\xB6ln", '1', '') } 0 .. $self->random(12)
	  if $kind < 29;
	return join '', map { sprintf '\u%04x', 1 + $self->random(0x1ff) } 1 .. 1 + $self->random(20);
}

# Of all versions, in both cases, and what only looks like one.
sub uuid
{
	my ($self) = @_;
	my $version = $self->pick(7, 7, 7, 7, 4, 1, 0);
	my $head = $version == 7 && $self->random(4) ? sprintf('%012x', 1_763_000_000_000 + $self->random(100_000)) : $self->hex(12);
	my $uuid = join '-', substr($head, 0, 8), substr($head, 8), $version . $self->hex(3), $self->pick('8', '9', 'a', 'b', 'c', '0') . $self->hex(3), $self->hex(12);
	my $kind = $self->random(12);

	return uc $uuid if $kind == 0;
	return ucfirst $uuid if $kind == 1;
	return $uuid =~ s/-//gr if $kind == 2;
	return "{$uuid}" if $kind == 3;
	return substr $uuid, 0, 35 if $kind == 4;
	return "$uuid " if $kind == 5;
	return $uuid =~ s/.$/g/r if $kind == 6;
	return $uuid;
}

# Times as events have them, and what is no time.
sub time_like
{
	my ($self) = @_;
	my $kind = $self->random(14);
	my $date = sprintf '2026-%02d-%02d', 1 + $self->random(12), 1 + $self->random(28);
	my $time = sprintf '%02d:%02d:%02d', $self->random(24), $self->random(60), $self->random(60);

	return "${date}T$time" . '.' . $self->digits($self->pick(1, 3, 6, 6, 6, 9)) . $self->pick('Z', '+00:00', '+02:00', '-0330', 'z') if $kind < 5;
	return "${date}T${time}Z" if $kind < 7;
	return "$date $time" if $kind < 8;
	return $self->pick('2026-02-30T12:00:00Z', '2026-13-01T00:00:00.000Z', '2026-01-01T24:00:00.000Z', '2026-01-01T23:59:60.000000Z',
		'0000-00-00T00:00:00Z', '9999-12-31T23:59:59.999999Z', '-2026-01-01T00:00:00Z', '10000-01-01T00:00:00.000000Z',
		'2026-1-1T1:1:1Z', '2026-01-01T00:00:00.Z', '2026-01-01T00:00:00.0000000Z', '2026-01-01t00:00:00z', '0001-01-01T00:00:00.000Z',
		'2026-01-01T00:00:00.000000+24:00', '1969-12-31T23:59:59.999999Z', '2024-02-29T00:00:00Z', '2023-02-29T00:00:00Z')
	  if $kind < 11;
	return "${date}T$time" if $kind < 12;
	return $date;
}

sub key
{
	my ($self) = @_;
	return $self->pick('a', 'b', 'aa', 'id', 'time', 'message', 'severity', 'app', 'host', 'level', 'json', 'k', 'x.y', '$.a', '', ' ', '0', '1',
		"\xC3\xA4", '\u00e4', '\ud83d\ude00', '\"', '\\\\', '\u0001', 'A', 'request_id', 'raw', 'error', 'status', 'event_timestamp')
	  if $self->random(4);
	return 'k' . $self->random(50);
}

sub value
{
	my ($self, $depth) = @_;
	my $kind = $self->random($depth > 6 ? 12 : 18);

	return '"' . $self->string . '"' if $kind < 6;
	return $self->number if $kind < 10;
	return $self->pick('null', 'true', 'false', '{}', '[]') if $kind < 12;
	my $size = $self->random(40) ? $self->random(5) : $self->random(80);
	return '[' . join($self->pick(',', ', '), map { $self->value($depth + 1) } 1 .. $size) . ']' if $kind < 15;
	return $self->object($size, $depth + 1);
}

sub object
{
	my ($self, $size, $depth) = @_;
	return '{' . join(',', map { '"' . $self->key . '":' . $self->value($depth) } 1 .. $size) . '}';
}

# Events as a service sends them, whose values now and then are of another kind than before.
sub service_event
{
	my ($self) = @_;
	my $odd = sub { $self->random(60) ? $_[0] : $self->value(3) };
	my @members = (
		'"id":' . $odd->('"' . $self->uuid . '"'),
		'"time":' . $odd->('"' . $self->time_like . '"'),
		'"host":' . $odd->($self->pick('"db1"', '"db2"', '"db1.example.org"', '"DB1"')),
		'"json":{' . join(',',
			'"app":' . $odd->($self->pick('"shop"', '"mailer"', '"cart"')),
			'"severity":' . $odd->($self->pick('"info"', '"error"', '"warning"', '"Info"')),
			'"message":' . $odd->('"' . $self->string . '"'),
			'"seconds":' . $odd->($self->random(10) . '.' . $self->digits($self->pick(2, 2, 2, 3))),
			'"count":' . $odd->($self->random(100000)),
			($self->random(3) ? ('"user":{"id":' . $odd->($self->digits(5) =~ s/^0+(?=.)//r) . ',"tags":' . $odd->('["a",1]') . '}') : ())) . '}');

	return '{' . join(',', @members) . '}';
}

sub nested
{
	my ($self, $depth) = @_;
	my ($open, $close) = ('', '');

	for (1 .. $depth)
	{
		my $is_array = $self->random(2);
		$open .= $is_array ? '[' : '{"' . $self->pick('a', 'b') . '":';
		$close = ($is_array ? ']' : '}') . $close;
	}
	return $open . $self->value(9) . $close;
}

# The next document, as JSON text in UTF-8.
sub document
{
	my ($self) = @_;
	my $n = $self->{n}++;
	my $kind = $self->random(100);

	$self->{alike} = $self->random(4) if $n % ALIKE == 0;
	return $self->service_event if $self->{alike} && $kind < 80;
	return $self->object($self->random(7), 1) if $kind < 55;
	return $self->value(0) if $kind < 70;    # of any kind, scalars too
	# What is quarantined, and what came as text.
	return '{"id":"' . $self->uuid . '","error":"' . $self->string . '","raw":"' . $self->string . '","json":null}' if $kind < 75;
	# A shape of its own.
	return "{\"shape\":{\"s$n\":" . $self->value(3) . "},\"t$n\":" . $self->number . '}' if $kind < 90;
	return $self->object(20 + $self->random(80), 2) if $kind < 91;
	return $self->nested(2 + $self->random(30)) if $kind < 94;
	return $self->pick('{}', '[]', '""', 'null', 'true', 'false', '0', '-0', '0.0', '{"":""}', '{"":{}}', '[[]]', '[{}]', '{"a":{}}', '{"a":[]}',
		'{"a":null}', '{"a":{"b":{}}}', '{"a":{"b":null},"b":1}', '{"b":1,"a":2,"aa":3,"":4}', '{"a":1,"a":{"b":1},"a":[3]}', '{"a.b":1,"a":{"b":1}}');
}

# What is not made in numbers: large, deep and wide documents.
sub large
{
	my ($self) = @_;
	return (
		'"' . 'x' x 1_000_000 . '"',
		'{"message":"' . join(' ', map { $self->hex(8) } 1 .. 110_000) . '","id":1}',
		'{"message":"' . 'line 1\n' x 150_000 . '"}',
		'{"' . 'k' x 100_000 . '":"' . 'v' x 1_000_000 . '"}',
		'{"n":' . '7' x 20_000 . '.' . '3' x 10_000 . '}',
		'{"n":-0.' . '0' x 10_000 . '10}',
		'[' x 500 . ']' x 500,
		'{"a":' x 500 . '1.0' . '}' x 500,
		'{' . join(',', map { "\"k$_\":$_" } 1 .. 5_000) . '}',
		'[' . join(',', 1 .. 20_000) . ']',
		'[' . join(',', map { "{\"a\":\"" . $self->string . '"}' } 1 .. 1_000) . ']',
		'{' . join(',', map { "\"o$_\":{\"p\":{\"q$_\":\"" . $self->string . '"}}' } 1 .. 1_000) . '}');
}

# Writes so many rows (number, time, data, status) for COPY; times ascend for the most part, a
# microsecond to half a second apart, from a time in ms on.
sub write_rows
{
	my ($self, $out, $rows) = @_;
	my @large = $self->large;
	my $microseconds = 0;

	for my $n (0 .. $rows - 1)
	{
		my $data = $n % 97 == 50 && @large ? shift @large : $self->document;
		my $status = $self->pick(0, 0, 0, 0, 0, 1, 2, -1, 2147483647, -2147483648, '\N');
		my $step = $self->random(100);

		$microseconds += $step < 5 ? 0 : $step < 10 ? 1 : $step < 90 ? $self->random(5_000) : $self->random(20_000);
		$data =~ s/\\/\\\\/g;
		print {$out} join("\t", $n, $self->random(300) ? $microseconds : $self->random(1 + $microseconds), $data, $status), "\n";
	}
	return;
}

1;
