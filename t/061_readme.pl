# README's queries, each as it stands there, over events as odd as people send them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('readme');
my $port = wt_port($node);

post_json($port, $_) foreach
  { app => 'shop', order => 4711, ms => 12, severity => 'error', url => '/a', items => [ { price => 101 } ] },
  { app => 'shop', order => 'none', ms => 'slow', severity => {}, items => 'no' },
  { app => [], ms => { n => 1 }, order => undef, items => [ 1, undef, { price => 'dear' } ] },
  [ 'a text', 7, undef, [ [] ], {} ];
post($port, '{"bad', type => 'application/x-ndjson');
$node->safe_psql('postgres', q{CREATE TABLE orders (id int PRIMARY KEY, customer text); INSERT INTO orders VALUES (4711, 'c'), (4712, 'd')});

my $readme = slurp_file("$FindBin::RealBin/../README.md");
my ($section) = $readme =~ /^## Query\n(.*?)^## /ms;
my @queries = map { split /;\n(?=--|\z|[A-Z])/ } $section =~ /^```sql\n(.*?)^```/msg;
push @queries, $section =~ /^( {4}SELECT [^;]*);/mg;
cmp_ok(scalar @queries, '>', 10, 'there are queries');
foreach my $query (@queries)
{
	my ($rc, undef, $error) = $node->psql('postgres', $query);
	my ($name) = $query =~ /(?:-- )?(.+)/;

	is($error, '', $name);
}
is($node->safe_psql('postgres', (grep { /slowest/ } @queries)[0]), '/a|12', 'what is no number does not count as one');
is($node->safe_psql('postgres', (grep { /today's errors/ } @queries)[0]), 'shop|1', 'errors by application');
is($node->safe_psql('postgres', (grep { /JOIN log/ } @queries)[0]) =~ s/\|.*//sr, 'c', 'events beside business data');
is($node->safe_psql('postgres', q{SELECT status FROM log WHERE data->'json'->>'url' = '/a'}), 1, 'errors are marked as resolved');
$node->stop;
done_testing();
