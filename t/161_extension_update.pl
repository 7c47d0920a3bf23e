# ALTER EXTENSION windtrap UPDATE, from each version that there is a way from: under load, with tokens and
# events of before, and afterwards nothing differs from what CREATE EXTENSION makes.  As long as 1.0 is the only
# version, and so that the comparison is known to see what is missing, there is one more: 0.9, which lacks
# what two pieces of the script make, and is updated by these pieces.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my @later = qw(refused grant_read);
my $sharedir = `$ENV{PG_CONFIG} --sharedir` if $ENV{PG_CONFIG};
$sharedir //= `pg_config --sharedir`;
chomp $sharedir;
my $directory = "$sharedir/extension";
-w $directory or plan skip_all => "$directory is not ours to write to";

my ($version) = slurp_file("$directory/windtrap.control") =~ /^default_version = '(.*)'/m;
my $script = slurp_file("$directory/windtrap--$version.sql");
my $update = '';
for my $piece (map { slurp_file("$FindBin::RealBin/../sql-src/$_.sql") } @later)
{
	my $at = index $script, $piece;
	$at >= 0 or die 'a piece is not in the script';
	substr($script, $at, length $piece) = '';
	$update .= $piece;
}
my %made = ("windtrap--0.9.sql" => $script, "windtrap--0.9--$version.sql" => $update);
END { local $?; unlink map { "$directory/$_" } keys %made }
append_to_file("$directory/$_", $made{$_}) for keys %made;

my $node = wt_node('update', conf => "windtrap.auth = none\n", create => 0);
my $port = wt_port($node);

sub query { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

# What the extension consists of, without what is another one in each database: as pg_upgrade would make it, which
# is all of it, with comments, privileges and which tables are dumped.
sub members
{
	my ($database) = @_;
	my ($dump, $error) = run_command([ 'pg_dump', '--binary-upgrade', '--schema-only', '-T', 'public.*', '-d', $node->connstr($database) ]);
	die $error if $error;
	$dump =~ s/^(SELECT pg_catalog\.binary_upgrade_set_next_.*|SET relfrozenxid = .*|\\(un)?restrict .*)$//mg;
	$dump =~ s/^(WHERE oid = )'[0-9]+'/$1/mg;
	# The tables that are dumped; by their names below.
	$dump =~ s/(binary_upgrade_create_empty_extension\(.*)'\{[0-9,]+\}'/$1/;
	my $dumped = query(q{SELECT string_agg(t::regclass || ' ' || condition, ', ' ORDER BY t::regclass::text)
		FROM pg_extension, unnest(extconfig, extcondition) AS c (t, condition) WHERE extname = 'windtrap'}, $database);
	return [ "dumped: $dumped", sort grep { !/Type: SEQUENCE SET/ } split /^--\n-- Name: /m, $dump ];
}

# What is in one list, and not in the other.
sub differences
{
	my ($before, $after) = @_;
	my (%before, %after);
	@before{@$before} = (1) x @$before;
	@after{@$after} = (1) x @$after;
	return ((map { "- $_" } grep { !$after{$_} } @$before), map { "+ $_" } grep { !$before{$_} } @$after);
}

query('CREATE DATABASE fresh');
query('CREATE EXTENSION windtrap', 'fresh');
my $fresh = members('fresh');
like("@$fresh", qr/windtrap\.\Q$_\E/, "the comparison knows $_") for qw(refused grant_read token events);

for my $old (split /\n/, query(qq{SELECT source FROM pg_extension_update_paths('windtrap') WHERE target = '$version' AND path IS NOT NULL ORDER BY 1}))
{
	my $name = "from $old";

	query("CREATE EXTENSION windtrap VERSION '$old'");
	ok(ready($port), "$name: it collects");
	isnt(scalar(differences($fresh, members('postgres'))), 0, "$name: something is missing");
	query(q{SELECT windtrap.create_token('before')});
	my $load = start_load($port, connections => 8);
	ok($load->wait_for_more(200), "$name: under load");
	query('ALTER EXTENSION windtrap UPDATE');
	ok($load->wait_for_more(200), "$name: it goes on");
	is(join(' ', keys %{ $load->stop }), '200', "$name: no request was refused");
	is($load->audit($node), $load->nothing_wrong, "$name: each event is there once");
	is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'windtrap'}), $version, "$name: to $version");
	is(join("\n", differences($fresh, members('postgres'))), '', "$name: nothing differs from a new one");
	is(query('SELECT string_agg(name, $$ $$) FROM windtrap.token'), 'before', "$name: with the token of before");
	query('SELECT windtrap.stop()');
	query('DROP EXTENSION windtrap');
	query('DROP TABLE log');
}

$node->stop;
done_testing();
