# examples/grafana: each query of the dashboard, with its variables and macros put in as Grafana
# does it, run by a role that windtrap.grant_read() lets read and do nothing else.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Encode ();
use JSON::PP ();
use POSIX qw(strftime);
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('grafana');
my $port = wt_port($node);
my $json = JSON::PP->new->utf8;
my $folder = "$FindBin::RealBin/../examples/grafana";
my $dashboard = $json->decode(slurp_file("$folder/windtrap.json"));

sub query { return $node->safe_psql('postgres', $_[0]); }

# What the reading role is given; an error in the second place.
sub read_as_grafana
{
	my ($sql) = @_;
	my ($rc, $out, $error) = $node->psql('postgres', $sql, extra_params => [ '-U', 'grafana', '-v', 'VERBOSITY=verbose' ]);

	return $rc == 0 ? ($out, '') : ('', $error);
}

#
# What Grafana makes of a query
#
my ($from, $to) = map { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_)) } -3600, 60;

# Variables, as the page puts them in: the PostgreSQL data source doubles the single quotes of a text,
# and makes a list of constants of several; what a variable has for "All" is taken as it is.
sub interpolated
{
	my ($sql, %variables) = @_;
	my $format = sub {
		my ($value) = @_;
		return join(',', map { "'" . s/'/''/gr . "'" } @$value) if ref $value eq 'ARRAY';
		return $$value if ref $value eq 'SCALAR';
		return $value =~ s/'/''/gr;
	};
	unlike($sql, qr/\$\{\w+:/, 'no format stands in for what the data source does itself');
	return $sql =~ s/\$(\w+)|\$\{(\w+)\}/my $name = $1 \/\/ $2; exists $variables{$name} ? $format->($variables{$name}) : $&/ger;
}

# Macros, as the server puts them in afterwards, in what a variable held, too.
sub expanded
{
	my ($sql) = @_;
	my $unknown;

	$sql =~ s/\$([_a-zA-Z0-9]+)\(([^)]*)\)/
		my ($name, $of) = ($1, $2);
		$name eq '__timeFrom' ? "'$from'" : $name eq '__timeTo' ? "'$to'"
		: $name eq '__timeFilter' ? "$of BETWEEN '$from' AND '$to'" : do { $unknown = $name; '' }/ge;
	return defined $unknown ? undef : $sql;
}

my %all = (query => '', app => \'NULL', severity => 'all');

# Rows of a query, and its columns with their types.
sub run
{
	my ($sql, %variables) = @_;
	my $final = expanded(interpolated($sql, %all, %variables)) // return (undef, undef, 'unknown macro');
	my ($rows, $error) = read_as_grafana("SELECT coalesce(json_agg(x), '[]') FROM ($final) x");

	return (undef, undef, $error) if $error;
	my ($columns) = read_as_grafana("$final \\gdesc");
	return ($json->decode($rows), [ map { [ split /\|/ ] } split /\n/, $columns ], '');
}

my %panels = map { $_->{title} => $_ } @{ $dashboard->{panels} };
my %variables = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };
sub sql_of { return $panels{ $_[0] }{targets}[0]{rawSql}; }
sub rows_of { my ($title, @variables) = @_; my ($rows, undef, $error) = run(sql_of($title), @variables); diag $error if $error; return $rows // []; }
sub total { return rows_of('Events', @_)->[0]{events}; }

#
# Events
#
my $odd = q{it's "q" \\o/ $x};
my @sent = (
	(map { { app => 'shop', level => 'info', message => "order $_ paid", host => 'a' } } 1 .. 6),
	(map { { app => 'shop', level => 'error', message => 'out of memory', host => 'a' } } 1 .. 2),
	{ app => $odd, level => 'warning', message => q{it's a "quoted" C:\temp\x}, host => 'b' },
	{ message => 'says nothing of itself', host => 'b' });
is(post($port, join("\n", map { $json->encode($_) } @sent), type => 'application/x-ndjson')->{status}, 200, 'events are sent');
is(post($port, '{"bad', type => 'application/x-ndjson')->{status} =~ /^[24]/ ? 1 : 0, 1, 'and one that is none');
is(http($port, 'GET', '/nowhere')->{status}, 404, 'a request is refused');
my $stored = query('SELECT count(*) FROM windtrap.events');
my $quarantined = query('SELECT count(*) FROM windtrap.quarantine');

# The role is made as docs and README say, by one statement beside CREATE ROLE.
like(slurp_file("$folder/README.md"), qr/SELECT windtrap\.grant_read\('grafana'\)/, 'the role is made as it is documented');
query('CREATE ROLE grafana LOGIN');
like((read_as_grafana('SELECT FROM windtrap.events'))[1], qr/42501/, 'a role may read nothing of itself');
query(q{SELECT windtrap.grant_read('grafana')});

#
# Each query, with nothing chosen
#
my $count = 0;
foreach my $panel (@{ $dashboard->{panels} })
{
	foreach my $target (@{ $panel->{targets} // [] })
	{
		my ($rows, $columns, $error) = run($target->{rawSql});
		my %type = map { @$_ } @{ $columns // [] };

		$count++;
		is($error, '', "$panel->{title}: runs");
		if ($target->{format} eq 'time_series')
		{
			is($type{time}, 'timestamp with time zone', "$panel->{title}: has a time");
			is($type{metric}, 'text', "$panel->{title}: a name for each series");
			is(join(',', grep { !/^(time|metric)$/ } keys %type), 'events', "$panel->{title}: and a number");
			is(join("\n", map { $_->{time} } @$rows), join("\n", sort map { $_->{time} } @$rows), "$panel->{title}: in the order of time, as it must be");
		}
		# A number of PostgreSQL's type numeric is one to Grafana too, a time only with its zone.
		unlike(join(' ', values %type), qr/without time zone|json|bytea/, "$panel->{title}: types that Grafana shows");
	}
}
cmp_ok($count, '>', 10, 'there are queries');
is($dashboard->{schemaVersion}, 39, 'the dashboard has a version that Grafana knows');
is_deeply([ grep { ($_->{datasource}{uid} // '') ne '${datasource}' } grep { $_->{type} ne 'row' } @{ $dashboard->{panels} } ], [], 'each panel asks the data source that is chosen');

my ($rows, $columns) = run(sql_of('Latest events'));
is_deeply([ map { $_->[0] } @$columns[0 .. 2] ], [ 'time', 'body', 'level' ], 'the logs panel takes the first time, the first text and the level');
is(scalar @$rows, $stored, 'and gets all events');
is_deeply([ map { $_->{time} } @$rows ], [ reverse sort map { $_->{time} } @$rows ], 'the newest first');

my %by_severity;
$by_severity{ $_->{metric} } += $_->{events} * 3660 / 100 foreach @{ rows_of('Events a second') };
is(sprintf('%.3f', $by_severity{info}), '6.000', 'events a second by severity, times their seconds, are the events');
is(sprintf('%.3f', $by_severity{error}), '2.000', 'of errors, too');
is(total(), $stored, 'their sum');
is(sprintf('%.4f', rows_of('Errors')->[0]{errors}), sprintf('%.4f', 2 / $stored), "errors' share");
is_deeply(rows_of('Applications')->[0], { app => 'shop', count => 8 }, 'applications');
is_deeply([ map { [ @$_{qw(message count)} ] } @{ rows_of('Most frequent errors') } ], [ [ 'out of memory', 2 ] ], 'the most frequent errors');
is(rows_of('In quarantine')->[0]{events}, $quarantined, 'what is in quarantine');
is_deeply([ map { [ @$_{qw(path status)} ] } grep { $_->{path} eq '/nowhere' } @{ rows_of('Last refused requests') } ], [ [ '/nowhere', 404 ] ], 'the requests that were refused');
cmp_ok(rows_of('Refused requests')->[0]{requests}, '>=', 1, 'and how many');
ok((grep { $_->{process} =~ /^worker 1/ && $_->{state} eq 'listening' } @{ rows_of('Processes') }) == 1, 'the processes');
is(rows_of(q{Forwarding's lag})->[0]{lag}, 0, 'nothing is forwarded');

#
# Variables
#
my ($apps) = run($variables{app}{query});
is_deeply([ sort map { $_->{__text} } @$apps ], [ sort 'shop', $odd ], 'applications to choose from');
my %value = map { $_->{__text} => $_->{__value} } @$apps;
is(total(app => [ $value{shop} ]), 8, 'one application');
is(total(app => [ $value{$odd} ]), 1, 'one of an odd name');
is(total(app => [ @value{ 'shop', $odd } ]), 9, 'several');
is(total(app => []), $stored, 'none');
is($variables{app}{allValue}, ${ $all{app} }, 'all');
my %severity = map { /^\s*(.+)\s:\s(.+)$/ ? ($1, $2) : () } split /,/, $variables{severity}{query};
is_deeply({ map { $_->{text} => $_->{value} } @{ $variables{severity}{options} } }, \%severity, 'severities to choose from');
is(total(severity => $severity{all}), $stored, 'all severities');
is(total(severity => $severity{'warning and worse'}), 3, 'a severity');
is(total(severity => $severity{none}), $stored - 9, 'no severity');
is(total(query => 'paid', app => [ $value{shop} ], severity => $severity{'error and worse'}), 0, 'all of them together');
is(total(query => 'paid OR memory', severity => $severity{'error and worse'}), 2, 'an OR is one in parentheses');

# Search texts as people type them.
is(total(query => '"out of memory"'), 2, 'a phrase');
is(total(query => q{"it's a"}), 1, 'a single quote');
is(total(query => q{message:"it's a \"quoted\" C:\\\\temp\\\\x"}), 1, 'quotes and backslashes');
is(total(query => '-app:shop'), $stored - 8, 'a not');
is(total(query => "   "), $stored, 'blanks');
is(total(query => 'message:~^order\s[1-3]'), 3, 'a regular expression');

# And as an attacker does: text, or an error of the search's; in no case something else.
my @hostile = (q{'}, q{''}, q{'''}, q{\\'}, q{\\}, q{\\\\'}, q{"}, q{""'}, q{'; DROP TABLE log; --}, q{'); DELETE FROM log; --},
	q{' || (SELECT pg_sleep(9)) || '}, q{')); SELECT 1/0; --}, q{$$}, q{$x$'$x$}, q{$__timeFrom}, q{${app}}, q{[[app]]}, q{a) OR (b}, q{)}, q{(},
	q{()}, q{/*}, q{--}, q{E'\\''}, q{U&'\\0027'}, "a\nb", q{%}, q{_}, q{:x}, q{:'x'}, q{?}, q{$1}, q{\\x}, q{\\gexec}, q{\\! touch x},
	"\x{2019}", 'x' x 4090, q{app:"} . q{'} x 100 . q{"}, q{OR}, q{NOT}, q{severity:loud}, q{n:>'});
foreach my $hostile (@hostile)
{
	my $name = Encode::encode('UTF-8', substr($hostile =~ s/\n/\\n/gr, 0, 40));
	my $tag = 'tag' . length $hostile;
	my ($rc, $expected, $told) = $node->psql('postgres',
		"SELECT count(*) FROM windtrap.search(CASE WHEN btrim(\$$tag\$$hostile\$$tag\$) = '' THEN '' ELSE '(' || btrim(\$$tag\$$hostile\$$tag\$) || ')' END, '$from', '$to', 10000)");
	my (undef, undef, $error) = run(sql_of('Latest events'), query => $hostile);

	if ($rc == 0)
	{
		is(total(query => $hostile), $expected, "$name: is text");
		is($error, '', "$name: the logs panel, too");
	}
	else
	{
		like($error, qr/ERROR: +(42601|22023): search, character/, "$name: is told of by the search");
	}
}
# Grafana looks for macros in what a variable holds, too.  That is an error at worst: what comes
# outside of quotes is the time.
foreach my $macro ('$__timeFrom()', q{a $__timeTo() b}, '$__timeFilter(x)', '$nosuch(1)')
{
	my (undef, undef, $error) = run(sql_of('Events'), query => $macro);
	like($error, qr/42601|22023|unknown macro/, "$macro: an error");
}
is(query('SELECT count(*) FROM windtrap.events'), $stored, 'all of it is still there');

#
# The role
#
foreach my $sql (q{INSERT INTO log (data) VALUES ('{}')}, 'UPDATE log SET status = 1', 'DELETE FROM log', 'TRUNCATE log', 'SELECT FROM windtrap.token',
	'SELECT FROM windtrap.tokens', 'SELECT windtrap.stop()', 'SELECT windtrap.reset_stats()', q{SELECT windtrap.discard_quarantined('{}')},
	q{SELECT windtrap.grant_read('grafana')}, 'SELECT FROM windtrap.outbox', q{SELECT pg_read_file('PG_VERSION')}, 'CREATE TABLE windtrap.x ()',
	'SELECT setting FROM pg_settings WHERE 1 / (SELECT count(*) FROM pg_settings WHERE name = $$data_directory$$) > 0')
{
	like((read_as_grafana($sql))[1], qr/42501|22012/, "may not: $sql");
}
is((read_as_grafana(q{SELECT count(query) FROM pg_stat_activity WHERE query NOT IN ('<insufficient privilege>', '') AND usename <> 'grafana'}))[0], 0, 'nor read what others ask');
query(q{INSERT INTO log VALUES ('2020-01-01', '{"json": {"message": "old"}}', 0); CREATE TABLE log_20200102 PARTITION OF log FOR VALUES FROM ('2020-01-02') TO ('2020-01-03');
	INSERT INTO log VALUES ('2020-01-02', '{"json": {"message": "in a partition that is new"}}', 0)});
is((read_as_grafana(q{SELECT count(*) FROM windtrap.search('', '2020-01-01', '2020-01-03')}))[0], 2, 'it reads partitions that came later');

# Another table, in a schema of its own.
query(q{CREATE SCHEMA "my logs"; SELECT windtrap.create_log_table('"my logs"."Events"')});
$node->append_conf('postgresql.conf', q{windtrap.table = '"my logs"."Events"'});
$node->reload;
ok(wait_for(sub { query('SELECT windtrap.log_rows()') eq '' }), 'the table is another');
like((read_as_grafana('SELECT FROM windtrap.events'))[1], qr/42501/, 'which may not be read yet');
query(q{SELECT windtrap.grant_read('grafana')});
is_deeply([ read_as_grafana('SELECT count(*) FROM windtrap.events') ], [ '0', '' ], 'until it is granted');

# A name that needs quotes; who is not allowed to grant; and back.
query('CREATE ROLE "a; b""c" LOGIN; CREATE ROLE other');
query(q{SELECT windtrap.grant_read('"a; b""c"')});
is(query(q{SELECT has_table_privilege('a; b"c', '"my logs"."Events"', 'SELECT')}), 't', 'a role of an odd name');
query(q{GRANT EXECUTE ON FUNCTION windtrap.grant_read TO other});
my (undef, undef, $error) = $node->psql('postgres', q{SET ROLE other; SELECT windtrap.grant_read('other')});
like($error, qr/permission denied/, 'who calls it grants what he may grant, and no more');
query('DROP OWNED BY grafana; DROP ROLE grafana');
is(query(q{SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE grantee <> 0 AND pg_get_userbyid(grantee) LIKE 'unknown%'}), 0, 'DROP OWNED BY takes it back');
$node->stop;

my $bare = wt_node('grafana_bare', preload => 0);
(undef, undef, $error) = $bare->psql('postgres', q{CREATE EXTENSION windtrap; CREATE ROLE grafana; SELECT windtrap.grant_read('grafana')});
like($error, qr/there is no log table that could be read yet.*HINT.*create_log_table/s, 'without a table it says so');
$bare->stop;
done_testing();
