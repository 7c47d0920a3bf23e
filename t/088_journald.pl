# systemd-journal-upload.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use WindTrap;

my $node = wt_node('journald');
my $port = wt_port($node);

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log, windtrap.idempotency_key'); }

sub upload
{
	my ($body, %o) = @_;
	my $answer = post($port, $body, path => '/upload', type => $o{type} // 'application/vnd.fdo.journal');
	return "$answer->{status} $answer->{content}";
}

# A field in the binary form; the length may lie.
sub field { return "$_[0]\n" . pack('Q<', $_[2] // length $_[1]) . "$_[1]\n"; }

# Real clients.
for my $name (captures('jup'))
{
	clear();
	my $answer = replay($port, $name);
	# curl asks whether it may send; the capture goes on without waiting.
	is($answer->{status}, 100, "$name may go on") if $answer->{status} == 100;
	ok(wait_for(sub { count_of($node) == 3 }), 'three entries');
	my @rows = rows($node);
	is($rows[0]{data}{json}{MESSAGE}, 'user alice logged in', 'the first');
	is($rows[1]{data}{json}{MESSAGE}, "Gr\x{fc}\x{df}e, \x{4e16}\x{754c} \x{1f680}", 'the second');
	like($rows[2]{data}{json}{MESSAGE}, qr/^cannot charge card\n/, 'one of several lines');
	is($rows[0]{time}, 1795687200000000, 'with its own time');
	is($rows[0]{data}{protocol}, 'journald', 'as what they are');
}

clear();
is(upload("A=1\nB=x\nA=2\nA=3\n_SOURCE_REALTIME_TIMESTAMP=1795687200000005\n__REALTIME_TIMESTAMP=1795687200000000\n\n\nM=" . "last"), "202 OK.\n", 'two entries');
my @rows = rows($node);
is_deeply([ $rows[0]{data}{json}{A}, $rows[0]{data}{json}{B} ], [ [ 1, 2, 3 ], 'x' ], 'a key that is repeated is an array');
is($rows[0]{time}, 1795687200000005, "the source's time wins");
is($rows[1]{data}{json}{M}, 'last', 'the last line needs no end');

clear();
is(upload("A=1\n" . field(MESSAGE => "a\n\nb=c\0d") . "\n"), "202 OK.\n", 'bytes in a field');
is(row_of($node)->{data}{json}{MESSAGE}, "a\n\nb=c\x{fffd}d", 'are repaired');

# Bad input.
for ([ "A=1\n\nB=2\n" . field(MESSAGE => 'x', 2**60), 'a field of 2^60 bytes' ], [ "A=1\n\nMESSAGE\n\1\2", 'a body that is cut in a length' ],
	[ "A=1\n\n" . field(MESSAGE => 'hello', 3), 'a length that is wrong' ], [ "A=1\n\nWORD\n", 'a line that is none' ],
	[ "A=1\n\n" . join('', map {"F$_=\n"} 1 .. 2000) . "\n", 'an entry of 2,000 fields' ])
{
	my ($body, $name) = @$_;
	clear();
	is(upload($body), "202 OK.\n", $name);
	is(count_of($node, 'status = 0') . count_of($node, 'status = 422'), '11', 'the good one is stored, the rest is kept');
}
is(upload("\n"), "202 OK.\n", 'nothing at all');
is((split / /, upload('x', type => 'text/plain'))[0], 404, 'another type is not its own');

done_testing();
