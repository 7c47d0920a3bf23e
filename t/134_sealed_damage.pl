# A chunk that is damaged is an error that names it, whatever was done to its bytes: never other
# values, never a crash. Nor is one that its owner has made up, with the right checksum.
#
# WT_SEALED_DAMAGES=20000 does so many, WT_SEALED_SEED=7 others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use OddDocuments;

my $damages = $ENV{WT_SEALED_DAMAGES} || 600;
my $seed = $ENV{WT_SEALED_SEED} || 20261126;
my $generator = OddDocuments->new($seed);
my $node = wt_node('sealed_damage', conf => "windtrap.seal_after = ''\nfsync = off\nrestart_after_crash = off\n");

sub query { return $node->safe_psql('postgres', $_[0]); }

query(<<'SQL');
SELECT windtrap.create_log_table();
SELECT count(*) FROM windtrap.upkeep(now() - interval '4 days');
ALTER TABLE log ADD COLUMN n bigint, ADD note text;
CREATE TABLE sent (n bigint, microseconds bigint, data jsonb, status integer);
SQL
my $day = query("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYYMMDD')");
my $partition = "log_$day";

my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
open my $out, '>:raw', $file or die "$file: $!";
$generator->write_rows($out, 2_500);
close $out or die "$file: $!";
query("\\copy sent FROM '$file'");
query(<<"SQL");
INSERT INTO log SELECT ('$day'::date::timestamp AT TIME ZONE 'UTC') + microseconds * interval '1 microsecond', data, coalesce(status, 0), n, 'note ' || n % 9
FROM sent;
SELECT windtrap.seal('$partition');
UPDATE log SET status = 5 WHERE n % 7 = 0;
DELETE FROM log WHERE n % 11 = 0;
UPDATE log SET data = '{"changed":true}' WHERE n % 501 = 0;
CREATE TABLE body AS SELECT chunk, part, body FROM ${partition}_sealed;
SQL
is(query("SELECT string_agg(DISTINCT least(part, 1)::text, ' ') FROM body WHERE part IN (-2, -1, 0) OR part > 0"), '-1 -2 0 1',
	'there are directories, columns and what was changed');

# What is asked; each reads other parts.
my @questions = (
	"SELECT md5(string_agg(event_timestamp::text || coalesce(data::text, '-') || status || n || note, ',' ORDER BY n)) FROM log",
	"SELECT count(*) FROM log",
	"SELECT count(*) FROM log WHERE data->'json'->>'message' LIKE '%port 2%' OR status = 5",
	"SELECT string_agg(coalesce(a, '-') || c, ',' ORDER BY a) FROM (SELECT data->'json'->>'app' AS a, count(*) AS c FROM log GROUP BY 1) g",
	"SELECT md5(string_agg(t::text, ',')) FROM (SELECT * FROM log ORDER BY event_timestamp DESC, n LIMIT 20) t");
my @answers = map { query($_) } @questions;

# Does a damage, asks, and undoes it: the answer, or the error.
query(<<'SQL');
CREATE FUNCTION ask(damage text, question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
	EXECUTE damage;
	EXECUTE question INTO answer;
	RAISE EXCEPTION SQLSTATE 'WT000' USING MESSAGE = coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SQL

# What became of some damages: [what was done, in SQL, and with what question], and the answer.
sub ask
{
	my (@asked) = @_;
	my $sql = join '', map { "SELECT replace(ask(\$d\$$$_[0]\$d\$, \$q\$$questions[$$_[1]]\$q\$), E'\\n', ' ');\n" } @asked;
	my ($code, $lines, $error) = $node->psql('postgres', "SET max_parallel_workers_per_gather = 0;\n$sql");

	is($code, 0, 'the server lives') or diag(substr $error, 0, 500);
	return split /\n/, $lines;
}

my @parts = map { [ split /\|/ ] } split /\n/, query('SELECT chunk, part, length(body) FROM body ORDER BY 1, 2');
my $table = "${partition}_sealed";

# Bytes that are others, fewer, more, or elsewhere.
{
	my @asked;
	for my $i (0 .. $damages - 1)
	{
		my ($chunk, $part, $length) = @{ $parts[ $generator->random(4) ? $generator->random(scalar @parts) : $generator->pick(grep { $parts[$_][1] <= 0 } 0 .. $#parts) ] };
		my ($other_chunk, $other_part) = @{ $parts[ $generator->random(scalar @parts) ] };
		my $at = $generator->random(3) ? $generator->random($length) : $generator->random($length < 40 ? $length : 40);
		my $where = "WHERE chunk = $chunk AND part = $part";
		my $kind = $generator->random(20);
		my $to =
			$kind < 8 ? "set_bit(body, " . ($at * 8 + $generator->random(8)) . ", 1 - get_bit(body, " . ($at * 8 + $generator->random(8)) . "))"
		  : $kind < 12 ? "set_byte(body, $at, " . $generator->random(256) . ')'
		  : $kind < 14 ? "substring(body FROM 1 FOR $at)"
		  : $kind < 15 ? "body || '\\x00'"
		  : $kind < 16 ? "overlay(body PLACING '\\x" . $generator->hex(16) . "' FROM @{[ $at + 1 ]})"
		  : $kind < 17 ? "substring(body FROM @{[ $at + 2 ]})"
		  : $kind < 19 ? "(SELECT body FROM body WHERE chunk = $other_chunk AND part = $other_part)"
		  : undef;
		# Without a directory there is no chunk, and without a part of changes there were none.
		$to //= "'\\x'" if $part <= 0;
		my $damage = defined $to ? "UPDATE $table SET body = $to $where" : "DELETE FROM $table $where";
		push @asked, [ $damage, $generator->random(2) ? 0 : $generator->random(scalar @questions) ];
	}
	my @became = ask(@asked);
	is(scalar @became, scalar @asked, 'each was answered');
	my (%count, @wrong);
	for my $i (0 .. $#became)
	{
		my ($damage, $question) = @{ $asked[$i] };
		if ($became[$i] eq "WT000 $answers[$question]") { $count{'is not read'}++; }
		elsif ($became[$i] =~ /^XX001 .*chunk \d+ of "$table"/) { $count{'is an error'}++; }
		else { push @wrong, "$damage; $questions[$question]: $became[$i]"; }
	}
	is(join("\n", map { substr $_, 0, 600 } @wrong[ 0 .. ($#wrong < 5 ? $#wrong : 5) ]), '', "damages of seed $seed are errors that name table and chunk, or not read");
	# Not read, or what was there already.
	cmp_ok($count{'is an error'}, '>', $damages / 3, "most of them: $count{'is an error'} of $damages");
	note("not read: $count{'is not read'}");
}

# CRC-32C, as what follows has it right.
my @crc_table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc
{
	my ($bytes) = @_;
	my $crc = 0xFFFFFFFF;
	$crc = ($crc >> 8) ^ $crc_table[ ($crc ^ $_) & 255 ] for unpack 'C*', $bytes;
	return $crc ^ 0xFFFFFFFF;
}

sub sum_of { my ($chunk, $part, $bytes) = @_; return pack 'V', crc($bytes . pack 'l<l<', $chunk, $part); }

# Parts with the right checksum, made by whoever may write to the table.
{
	my %bytes = map { my ($chunk, $part, $hex) = split /\|/; ("$chunk $part" => pack 'H*', $hex) }
	  split /\n/, query("SELECT chunk, part, encode(body, 'hex') FROM body");
	my @keys = sort keys %bytes;
	my $wrong = grep { my ($chunk, $part) = split / /; substr($bytes{$_}, -4) ne sum_of($chunk, $part, substr $bytes{$_}, 0, -4) } @keys;
	is($wrong, 0, 'the checksums are known here, too');
	my @asked;
	for my $i (1 .. $damages)
	{
		my $key = $generator->random(2) ? $generator->pick(grep { / (0|-\d)$/ } @keys) : $generator->pick(@keys);
		my ($chunk, $part) = split / /, $key;
		my $bytes = substr $bytes{$key}, 0, -4;
		for (0 .. $generator->random(3))
		{
			my $at = $generator->random(3) ? $generator->random(length $bytes) : $generator->random(length($bytes) < 60 ? length $bytes : 60);
			my $kind = $generator->random(6);
			if ($kind < 3) { substr($bytes, $at, 1) = chr $generator->random(256); }
			elsif ($kind < 4) { substr($bytes, $at, 4) = $generator->pick("\xFF\xFF\xFF\xFF", "\xFF\xFF\xFF\x7F", "\0\0\0\x80", "\0\0\0\0"); }
			elsif ($kind < 5) { substr($bytes, $at) = ''; }
			else { substr($bytes, $at, 0) = "\x80" x (1 + $generator->random(12)); }
			last if $bytes eq '';
		}
		$bytes .= sum_of($chunk, $part, $bytes);
		push @asked, [ "UPDATE $table SET body = '\\x" . unpack('H*', $bytes) . "' WHERE chunk = $chunk AND part = $part", $generator->random(2) ? 0 : $generator->random(scalar @questions) ];
	}
	my @became = ask(@asked);
	is(scalar @became, scalar @asked, 'parts with the right checksum were answered');
	my %states;
	$states{ substr $_, 0, 5 }++ for @became;
	note(join ' ', map { "$_: $states{$_}" } sort keys %states);
	is(join("\n", map { substr $became[$_], 0, 300 } grep { $became[$_] !~ /^(?:WT000|XX001 .*"$table"|22P02|2203[0-9A-Z]|22003|22021|54000|53200) / } 0 .. $#became), '',
		'by values or errors');
}

is(join("\n", map { query($_) } @questions), join("\n", @answers), 'and all is as it was');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
