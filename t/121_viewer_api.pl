# The viewer's API, as its page and scripts use it: pages of a search that lose and double nothing, budgets
# and where to go on, counts that add up, exports of what SQL gives, tails that miss nothing, and
# clients who leave, read slowly, come all at once or send what nobody should.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Encode ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use Attacks;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Viewer;
use WindTrap;

my $node = viewer_node('viewer_api');
my $port = viewer_port($node);
my $collector = wt_port($node);
my $json = JSON::PP->new->utf8->canonical;

sub query { return $node->safe_psql('postgres', Encode::encode('UTF-8', $_[0])); }
sub quoted { return "'" . ($_[0] =~ s/'/''/gr) . "'"; }
sub sent_as_text { return $json->encode($_[0]); }

# Lines of a kind.
sub of { my ($kind, @lines) = @_; return map { exists $_->{$kind} ? $_->{$kind} : () } @lines; }

my @pids = viewer_pids($node);
is(scalar @pids, 2, 'two processes show what there is');
my $mark = log_mark($node);
foreach my $pid (@pids)
{
	is((split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\)//sr)[16], 10, 'and let those who store events go first');
	like(slurp_file("/proc/$pid/autogroup"), qr/ nice 10$/, 'also where Linux shares out time between sessions') if -e "/proc/$pid/autogroup" && slurp_file("/proc/$pid/autogroup") ne '';
}

#
# Events of one instant, among others
#
my %day = (since => '2026-11-01T00:00:00Z', until => '2026-11-02T00:00:00Z');
query(q{INSERT INTO log SELECT '2026-11-01 12:00+00', jsonb_build_object('id', 'i' || md5(n::text), 'json', jsonb_build_object('n', n)), 0
	FROM generate_series(1, 10000) n;
INSERT INTO log SELECT '2026-11-01 12:00+00'::timestamptz + (n - 500) * interval '1 microsecond',
	jsonb_build_object('id', 'i' || md5((n + 20000)::text), 'json', jsonb_build_object('n', n + 20000)), 0 FROM generate_series(1, 1000) n;
INSERT INTO log SELECT '2026-11-01 12:00+00'::timestamptz + (n / 10 - 5) * interval '1 microsecond',
	jsonb_build_object('json', jsonb_build_object('n', n + 30000)), 0 FROM generate_series(0, 99) n;
ANALYZE log});

foreach my $n (97, 1000)
{
	my ($answers, @lines) = follow($port, 'search', %day, n => $n);
	my @events = of('event', @lines);
	my %seen = map { $_->{data}{json}{n} => 1 } @events;

	is(scalar @events, 11_100, "in pages of $n nothing is doubled");
	is(scalar keys %seen, 11_100, "in pages of $n nothing is lost");
	cmp_ok($answers, '>=', 11_000 / $n, "they are pages of $n");
	is_deeply([ map { $_->{time} } @events ], [ reverse sort map { $_->{time} } @events ], 'the newest first');
}
is(query(q{SELECT count(*) FROM log WHERE event_timestamp = '2026-11-01 12:00+00' AND NOT data ? 'id'}), 10, 'some have no id');
my ($answers, @lines) = follow($port, 'search', %day, q => 'n:>20000', n => 7);
is(scalar of('event', @lines), 1100, 'pages of those that a query finds');
is(scalar(grep { !defined $_->{id} } of('event', @lines)), 100, 'those without an id, too');

my $first = end_of(api($port, 'search', %day, n => 10));
is_deeply($first->{complete}, JSON::PP::false, 'a page says that it is not all');
is($first->{rows}, 10, 'and how many it has');
is_deeply([ sort keys %{ $first->{next} } ], [ 'before_id', 'before_time' ], 'and how to go on');
my $last = end_of(api($port, 'search', %day, q => 'n:20001'));
is_deeply([ @$last{qw(complete rows next)} ], [ JSON::PP::true, 1, undef ], 'or that there is no more');
is($last->{searched_to}, '2026-11-01T00:00:00.000000Z', 'all has been searched down to the beginning');

# An event: as the table and windtrap.events have it.
my @odd = (
	{ app => 'shop', level => 'error', message => "a \"quoted\" message,\nof two lines; with ümläuts and 世界", order => { total => 99.5 }, host => 'a-1' },
	{ app => '=1+1', level => 'info', message => '=HYPERLINK("http://example.com";"x")', note => "\t-2+3", list => [ 1, [ 2, {} ] ] },
	{ app => '@SUM(A1)', message => ' leading, and trailing ', empty => '', nothing => undef, yes => JSON::PP::true },
	{ message => 'x' x 1500 },
	{ message => 'large', text => 'y' x 20_000 },
	{ nothing => 'said' }, 'a text', [ 1, 2 ], 17, undef);
is(post($collector, join("\n", map { sent_as_text($_) } @odd), type => 'application/x-ndjson')->{status}, 200, 'events of all kinds are sent');
is(post($collector, '{"n": 1.10, "big": 123456789012345678901234567890, "e": 1e400, "a\u0000b": "<script>alert(1)</script>"}')->{status}, 200, 'and numbers');
my %now = (since => '10 minutes');
my @text = split /\n/, api($port, 'search', %now)->{content};
my @found = of('event', map { $json->decode($_) } @text);
is(scalar @found, @odd + 1, 'they are found');
foreach my $text (grep { /^\{"event"/ } @text)
{
	my $event = $json->decode($text)->{event};
	my $value = quoted(Encode::decode('UTF-8', $text)) . '::jsonb';
	is( query(qq{SELECT string_agg(name, ' ') FROM (
		SELECT name FROM windtrap.events e, LATERAL (VALUES
			('time', to_jsonb(to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))), ('id', to_jsonb(id)),
			('severity', to_jsonb(severity)), ('app', to_jsonb(app)), ('host', to_jsonb(host)), ('message', to_jsonb(left(message, 1000))),
			('source', to_jsonb(source)), ('ip', data->'ip'), ('status', to_jsonb(status)),
			('data', CASE WHEN octet_length(data::text) <= 8192 THEN data END),
			('size', CASE WHEN octet_length(data::text) > 8192 THEN to_jsonb(octet_length(data::text)) END),
			('message_cut', CASE WHEN length(message) > 1000 THEN to_jsonb(true) END)) v (name, value)
		WHERE id = '$event->{id}' AND coalesce(value, 'null')::text <> coalesce($value->'event'->name, 'null')::text) x}),
		'', 'each member is as SQL has it: ' . substr($event->{message}, 0, 30) =~ s/\n/ /gr);
}
my ($large) = grep { $_->{message} eq 'large' } @found;
cmp_ok($large->{size}, '>', 20_000, 'a large one has its size');
ok(!exists $large->{data}, 'and not itself');
my ($whole) = lines_of(api($port, 'event', time => $large->{time}, id => $large->{id}));
is(length $whole->{data}{json}{text}, 20_000, 'it is to be had whole');
is(scalar(() = lines_of(api($port, 'event', time => '2026-11-01T12:00:00Z'))), 10, 'those of an instant that have no id are to be had together');
is(scalar(() = lines_of(api($port, 'event', time => $large->{time}, id => 'nosuch'))), 0, 'one that is not there is none');

my ($columns) = of('event', lines_of(api($port, 'search', %now, q => 'app:shop', columns => 'order.total,nosuch,app,@headers.content-type')));
is_deeply($columns->{columns}, { 'order.total' => '99.5', nosuch => undef, app => 'shop', '@headers.content-type' => 'application/x-ndjson' }, 'columns');
my ($cut) = of('event', lines_of(api($port, 'search', %now, q => 'message:large', columns => 'text')));
is(length $cut->{columns}{text}, 1000, 'they are cut');

#
# Counts
#
foreach my $case ([ '', 60 ], [ 'n:>5000', 7 ], [ 'n:<0', 10 ], [ '', 1 ], [ 'n:>20000', 1000 ])
{
	my ($q, $buckets) = @$case;
	my ($n, @counts) = follow($port, 'histogram', %day, q => $q, buckets => $buckets, by => 'severity');
	my $head = shift(@counts)->{histogram};
	my %count;

	$count{ $_->[0] } += $_->[2] foreach map { @$_ } of('counts', @counts);
	my %sql = map { split /\|/ } split /\n/, query('SELECT o, c FROM (SELECT row_number() OVER (ORDER BY bucket) - 1 AS o, sum(count) AS c FROM windtrap.histogram('
		. quoted($q) . qq{, '$day{since}', '$day{until}', $buckets) GROUP BY bucket) x WHERE c > 0});
	is($head->{buckets}, $buckets, "a histogram of $buckets");
	is_deeply(\%count, \%sql, "$q: has what windtrap.histogram() has");
	my $total = 0;
	$total += $_ foreach values %count;
	my (undef, @events) = follow($port, 'search', %day, q => $q, n => 1000);
	is($total, scalar of('event', @events), "$q: and in all what a search finds");
}
my (undef, @by_severity) = follow($port, 'histogram', %now, buckets => 3, by => 'severity');
my @by = map { @$_ } of('counts', @by_severity);
my %by;
$by{ $_->[1] // 'null' } += $_->[2] foreach @by;
is_deeply(\%by, { error => 1, info => 1, null => @odd - 1 }, 'by severity') or diag explain \%by;

my $top = json_of(api($port, 'top', %now, field => 'app'));
my %top = map { ($_->{value} // 'null') => $_->{count} } @{ $top->{values} };
is_deeply(\%top, { map { split /\|/ } split /\n/, query(q{SELECT coalesce(value, 'null'), count FROM windtrap.top_values('', 'app', now() - interval '10 minutes')}) }, 'the most frequent values');
is($top->{total}, scalar @found, 'of how many');
my ($shop) = grep { ($_->{value} // '') eq 'shop' } @{ $top->{values} };
cmp_ok(abs($shop->{share} - 1 / @found), '<', 0.001, 'with their share');
is($top->{complete}, JSON::PP::true, 'and that this is all');

my %fields = map { $_->{name} => $_ } @{ json_of(api($port, 'fields', %now))->{fields} };
is(join(' ', sort keys %fields), Encode::decode('UTF-8', query(q{SELECT string_agg(name, ' ' ORDER BY name COLLATE "C") FROM windtrap.fields('', now() - interval '10 minutes')})), 'fields');
is($fields{'order.total'}{example}, '99.5', 'with an example');
is($fields{'order.total'}{type}, 'number', 'and a type');

my $sql = json_of(api($port, 'sql', %now, q => 'app:shop order.total:>5'));
is($sql->{condition}, query(q{SELECT windtrap.search_sql('app:shop order.total:>5')}), 'the condition');
like(query($sql->{statement}), qr/of two lines; with/, 'and a statement that can be pasted');
foreach my $q ('', q{it's "a" \\\\ b}, '@json.status:5 OR -x', 'größe:世界')
{
	my $statement = json_of(api($port, 'sql', %day, q => $q))->{statement};
	my ($rc, undef, $error) = $node->psql('postgres', Encode::encode('UTF-8', $statement // 'none'));
	is($error, '', 'the statement of: ' . Encode::encode('UTF-8', $q));
}

#
# A search of longer than its time: what it has, and where to go on
#
my %slow = (since => '2026-11-05T00:00:00Z', until => '2026-11-06T00:00:00Z');
query(q{INSERT INTO log SELECT '2026-11-05 00:00+00'::timestamptz + n * interval '7 seconds', jsonb_build_object('id', 's' || n, 'json',
	jsonb_build_object('n', n, 'text', repeat(md5(n::text) || ' ', 2000), 'found', CASE WHEN n IN (20, 9000, 12000) THEN 'needle' END)), 0
	FROM generate_series(1, 12000) n; ANALYZE log});
my $worked = cpu_of(@pids);
my $answer = api($port, 'search', %slow, q => 'needle');
# Of the processes: how long they wait for a processor is not theirs to say.
cmp_ok(cpu_of(@pids) - $worked, '<', 6, 'a search that takes long answers in its time');
my $end = end_of($answer);
is($end->{complete}, JSON::PP::false, 'it says that this is not all');
is_deeply([ keys %{ $end->{next} // {} } ], ['until'], 'and until where to go on');
is($end->{next}{until}, $end->{searched_to}, 'which is where it is');
cmp_ok(scalar of('progress', lines_of($answer)), '>=', 1, 'its progress is told');
my ($several, @needles) = follow($port, 'search', %slow, q => 'needle');
is(join(' ', map { $_->{id} } of('event', @needles)), 's12000 s9000 s20', 'in the end all is found');
cmp_ok($several, '>', 1, 'by several requests');
my (undef, @slow_counts) = follow($port, 'histogram', %slow, q => 'needle', buckets => 60);
my $n_needles = 0;
$n_needles += $_->[2] foreach map { @$_ } of('counts', @slow_counts);
is($n_needles, 3, 'and counted');

# Rows and progress come as they are found, be it that a processor that is waited for takes all of the time.
my @kinds;
for (1 .. 10)
{
	my $stream = open_stream($port, 'search', %slow, q => 'needle');
	@kinds = ();
	while (my $line = $stream->line(60)) { push @kinds, keys %$line; }
	last if @kinds > 2;
}
like("@kinds", qr/^event progress .*end$/, 'the first row is sent by itself, and does not wait for the end');

# Others are served meanwhile, also by the process that searches: before any of the long ones is done,
# be it that this test does not have to wait for a processor itself.
my @slow_ones;
my $is_before;
for (1 .. 10)
{
	$_->close foreach @slow_ones;
	@slow_ones = map { open_stream($port, 'search', %slow, q => 'needle') } 1 .. 4;
	$_->line(30) foreach @slow_ones;
	my @quick = map { elapsed(sub { api($port, 'search', %now, n => 5) }) } 1 .. 2;
	note sprintf 'beside four long ones: %.3f and %.3f s', @quick;
	$is_before = grep { my $s = $_; my $end; while (my $line = $s->line(0.01)) { $end = $line->{end}; } !$end } @slow_ones;
	last if $is_before;
}
ok($is_before, 'a search that takes long keeps the next one waiting for a slice at most');

# Who leaves ends his query.
$_->close foreach @slow_ones;
ok( wait_for(sub { my $cpu = cpu_of(@pids); sleep 0.5; cpu_of(@pids) - $cpu < 0.05 }), 'who leaves in the middle ends his search');

#
# Export
#
my $export = api($port, 'export', %now);
is($export->{headers}{'content-type'} =~ s/;.*//r, 'application/x-ndjson', 'an export is NDJSON');
like($export->{headers}{'content-disposition'}, qr/^attachment; *filename="?[\w.-]+\.(ndjson|jsonl)/, 'to be kept');
is( query('SELECT count(*) FROM (VALUES ' . join(',', map { '(' . quoted(Encode::decode('UTF-8', $_)) . '::jsonb)' } split /\n/, $export->{content})
	. q{) x (l) JOIN log ON log.event_timestamp = (l->>'event_timestamp')::timestamptz AND log.data::text = (l->'data')::text AND log.status = (l->>'status')::int}),
	@odd + 1, 'each line is a row as it is');
is(scalar(split /\n/, $export->{content}), @odd + 1, 'and there are no others');

my $csv = api($port, 'export', %now, format => 'csv');
is($csv->{headers}{'content-type'} =~ s/;.*//r, 'text/csv', 'or CSV');
# PostgreSQL reads it.
my $file = PostgreSQL::Test::Utils::tempdir() . '/export.csv';
PostgreSQL::Test::Utils::append_to_file($file, $csv->{content});
query(qq{CREATE TABLE exported (event_timestamp timestamptz, severity text, app text, host text, message text, status int, data jsonb);
	COPY exported FROM '$file' (FORMAT csv, HEADER)});
like($csv->{content}, qr/\Aevent_timestamp,severity,app,host,message,status,data\r?\n/, 'with a header');
is( query(q{SELECT count(*) FROM exported x JOIN windtrap.events e USING (event_timestamp, data) WHERE (x.message, x.app, x.severity, x.host) IS NOT DISTINCT FROM (e.message, e.app, e.severity, e.host)}),
	@odd + 1, 'with commas, quotation marks and line ends in their values');
is(query(q{SELECT string_agg(app, ' ' ORDER BY app COLLATE "C") FROM exported}), '=1+1 @SUM(A1) shop', 'values that are formulas to some programs are left as they are');
my $some = api($port, 'export', %now, format => 'csv', columns => 'order.total,message', q => 'app:shop');
like($some->{content}, qr/\Aorder\.total,message\r?\n99\.5,"a ""quoted"" message,\nof two lines; with/, 'columns of one\'s own');

# 200,000 rows, read slowly.
my %many = (since => '2026-11-10T00:00:00Z', until => '2026-11-11T00:00:00Z');
query(q{INSERT INTO log SELECT '2026-11-10 00:00+00'::timestamptz + n * interval '0.4 seconds', jsonb_build_object('id', 'm' || n, 'json',
	jsonb_build_object('n', n, 'message', repeat('m', 300))), 0 FROM generate_series(1, 200000) n; ANALYZE log});
my %memory = map { $_ => own_memory($_) } @pids;
my $exporting = open_stream($port, 'export', %many);
$exporting->head;
my $most = 0;
my $lines = 0;
for (1 .. 40)
{
	$exporting->text(10) && $lines++ for 1 .. 5;
	foreach my $pid (@pids)
	{
		my $more = own_memory($pid) - $memory{$pid};
		$most = $more if $more > $most;
	}
	sleep 0.05;
}
is(api($port, 'search', %now, n => 5)->{status}, 200, 'others are served meanwhile');
while (defined $exporting->text(20))
{
	$lines++;
	next if $lines % 20_000;
	foreach my $pid (@pids)
	{
		my $more = own_memory($pid) - $memory{$pid};
		$most = $more if $more > $most;
	}
}
is($lines, 200_000, 'all 200,000 rows come');
ok($exporting->over, 'and an end');
SKIP:
{
	skip 'not measured under the sanitizers', 1 if $ENV{WT_SANITIZE};
	# A fourth of what is sent; what a process has beside its buffers varies by what it did before.
	cmp_ok($most, '<', 24 << 20, 'no process holds them');
}
note sprintf '%.1f MB at most', $most / (1 << 20);

#
# Tail
#
# Reads lines until the condition holds; gives them all.
sub tailed
{
	my ($stream, $condition, $seconds) = @_;
	my $until = time + ($seconds // 15);
	my @lines;

	while (time < $until)
	{
		my $line = $stream->line($until - time) // last;
		push @lines, $line;
		last if $condition->(@lines);
	}
	return @lines;
}

sub insert_now
{
	my ($from, $to, $also) = @_;
	query(qq{INSERT INTO log SELECT @{[ $also // 'now()' ]}, jsonb_build_object('id', 't' || lpad(n::text, 6, '0'), 'json', jsonb_build_object('tail', n)), 0 FROM generate_series($from, $to) n});
}
sub ids { return join ' ', map { $_->{id} } of('event', @_); }

my $tail = open_stream($port, 'tail', q => 'tail:*');
is($tail->head->{status}, 200, 'a tail begins');
insert_now(1, 3);
my $insert_begun = time;
my @tailed = tailed($tail, sub { of('event', @_) >= 3 && exists $_[-1]{cursor} });
is(join(' ', sort split / /, ids(@tailed)), 't000001 t000002 t000003', 'what is committed comes');
note sprintf 'after %.2f s', time - $insert_begun;
my ($cursor) = reverse of('cursor', @tailed);
ok(defined $cursor, 'with a cursor');
is(ids(tailed($tail, sub { 0 }, 2)), '', 'once');

# Through the collector's own door.
post_json($collector, { tail => 'posted' });
@tailed = tailed($tail, sub { of('event', @_) >= 1 });
is((of('event', @tailed))[0]{data}{json}{tail}, 'posted', 'what is sent comes');

# One that was begun before and is committed late.
my ($in, $out) = ('', '');
my $late = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, IPC::Run::timeout(60));
$in .= q{BEGIN; INSERT INTO log SELECT now(), jsonb_build_object('id', 'late' || n, 'json', jsonb_build_object('tail', 'late')), 0 FROM generate_series(1, 3) n; SELECT 'begun';} . "\n";
$late->pump until $out =~ /begun/;
insert_now(11, 12);
@tailed = tailed($tail, sub { of('event', @_) >= 2 && exists $_[-1]{cursor} });
is(join(' ', sort split / /, ids(@tailed)), 't000011 t000012', 'what is committed comes while another transaction is open');
($cursor) = reverse of('cursor', @tailed);
insert_now(13, 13);
push @tailed, tailed($tail, sub { of('event', @_) >= 1 && exists $_[-1]{cursor} });
sleep 1;
$in .= "COMMIT; SELECT 'committed';\n";
$late->pump until $out =~ /committed/;
$late->kill_kill;
@tailed = tailed($tail, sub { of('event', @_) >= 3 && exists $_[-1]{cursor} });
is(join(' ', sort split / /, ids(@tailed)), 'late1 late2 late3', 'what is committed late comes, too');

# Who loses his connection goes on with a cursor.
($cursor) = reverse of('cursor', @tailed);
$tail->close;
insert_now(21, 29);
$tail = open_stream($port, 'tail', q => 'tail:*', after => $cursor);
@tailed = tailed($tail, sub { of('event', @_) >= 9 && exists $_[-1]{cursor} });
is(join(' ', sort split / /, ids(@tailed)), join(' ', map { "t0000$_" } 21 .. 29), 'with the last cursor nothing is lost or doubled');
is(ids(tailed($tail, sub { 0 }, 2)), '', 'nor comes once more');

# 10,000 of one timestamp, in several transactions: 500 a second, the others counted.
($cursor) = reverse of('cursor', @tailed);
insert_now(100_000, 100_999, q{'2026-11-15 12:00+00'::timestamptz});
insert_now(200_000, 204_999, q{(SELECT date_trunc('second', now()))});
query(q{INSERT INTO log SELECT event_timestamp, jsonb_build_object('id', 'u' || n, 'json', jsonb_build_object('tail', n)), 0
	FROM (SELECT max(event_timestamp) AS event_timestamp FROM log WHERE data->>'id' = 't200000') x, generate_series(1, 5000) n});
my $sum = sub { my $n = of('event', @_); $n += $_->{count} foreach of('skipped', @_); return $n; };
@tailed = tailed($tail, sub { $sum->(@_) >= 10_000 && exists $_[-1]{cursor} }, 40);
# A thousand lie far back, and nobody who looks at what happens now waits for them.
my $drawn = of('event', @tailed);
cmp_ok($sum->(@tailed), '>=', 10_000, 'of 10,000 of one timestamp all come, or are counted');
cmp_ok($sum->(@tailed), '<=', 11_000, 'none twice');
note "$drawn drawn";
my %reached = map { $_->{id} => 1 } of('event', @tailed);
foreach my $skipped (of('skipped', @tailed))
{
	my (undef, @them) = follow($port, 'search', q => 'tail:*', since => $skipped->{since}, until => $skipped->{until}, n => 1000);
	$reached{ $_->{id} } = 1 foreach of('event', @them);
}
is(scalar(grep { /^(t20|u)/ } keys %reached), 10_000, 'and those that were counted are to be had by a search');
$tail->close;

# A tail that finds nothing says that it is alive, and 20 of them slow nobody.
my @tails = map { open_stream($port, 'tail', q => 'tail:nosuch') } 1 .. 20;
$_->head foreach @tails;
ok((grep { my $s = $_; my @l = tailed($s, sub { exists $_[-1]{cursor} }, 12); @l == 1 } @tails) == 20, 'signs of life');
$worked = cpu_of(@pids);
is(scalar(grep { event($collector) == 200 } 1 .. 20), 20, 'ingest goes on beside them');
is(api($port, 'search', %now, n => 5)->{status}, 200, 'and searches');
note sprintf '%.2f s of CPU time meanwhile', cpu_of(@pids) - $worked;
$_->close foreach @tails;

#
# Many at once
#
my @crowd = map { open_stream($port, 'histogram', %many, buckets => 10 + $_) } 1 .. 50;
my @totals;
foreach my $one (@crowd)
{
	my $end;
	my $head = $one->head(60);
	push(@totals, 'told'), next if $head && $head->{status} == 503;
	while (my $line = $one->line(60)) { $end = $line->{end} if $line->{end}; }
	push @totals, $end ? ($end->{complete} ? $end->{total} : 'cut') : 'none';
}
# Where processors are short some are told that there is too much to do.
is(scalar(grep { $_ ne 'none' } @totals), 50, '50 at once are all answered');
cmp_ok(scalar(grep { $_ ne 'told' } @totals), '>=', 10, 'most of them with what they asked for');
is(scalar(grep { /^\d+$/ && $_ != 200_000 } @totals), 0, 'and rightly');
note join ' ', @totals;

#
# What nobody should send
#
# Queries: each is refused with the sentence and the place that SQL has for it, or finds what SQL finds.
my @pieces = ('', 'a', '"', '"a', '"a"', '\\', "'", "''", '$$', ';', '--', '/*', '(', ')', '()', ':', '*', '-', 'OR', 'AND', 'NOT', 'n:', 'n:>', 'n:~', 'n:~(', 'n:~[',
	'severity:x', 'status:x', 'n:>5', 'a.b.c:d', '"a.b":c', '@', '@x:', '@json.n:1', "\x{1F600}", "\x{202E}", "\t", "\n", "\x01", '%', '_', '\\u0000', '{', '}', '$."x"', 'n:1e999',
	'n:99999999999999999999999999', 'n:-', 'n:"', 'n:~(a)\\1', 'status:99999999999999');
my @hostile = (@pieces, map { my $a = $_; map { "$a $_" } @pieces[ 1, 3, 5, 6, 14, 19, 22, 30 ] } @pieces[ 1 .. 20 ]);
push @hostile, 'x' x 4096, 'x' x 4097, '(' x 33 . 'a' . ')' x 33, join(' ', ('a') x 101), "'; DROP TABLE log; --", "\\'; SELECT pg_sleep(10); --",
	'message:~' . '(a+)+' x 60, join('.', ('a') x 17) . ':1', "n:>'1", 'app:$1', 'app:%s%n', "a\x{0}b";
cmp_ok(scalar @hostile, '>=', 200, 'there are hostile queries');
my %wrong;
foreach my $q (@hostile)
{
	my $answer = api($port, 'search', %now, q => $q);
	my ($rc, $expected, $error) = (0, '', '');

	if ($q =~ /\0/) { $wrong{$q} = "a NUL: $answer->{status}" if $answer->{status} != 400; next; }
	($rc, $expected, $error) = $node->psql('postgres', Encode::encode('UTF-8', "SELECT count(*) FROM windtrap.search(" . quoted($q) . ", now() - interval '10 minutes')"));
	if ($rc == 0)
	{
		$wrong{$q} = "$answer->{status} $answer->{content}" if $answer->{status} != 200 || scalar(of('event', lines_of($answer))) != $expected;
	}
	else
	{
		my $told = json_of($answer);
		my ($sentence, $position) = Encode::decode('UTF-8', $error) =~ /ERROR: +(search, character (\d+): .*)/;
		$wrong{$q} = "$answer->{status} $answer->{content}, SQL: $error"
		  if $answer->{status} != 400 || ($sentence // '') ne ($told->{error} // '') || ($position // 0) != ($told->{position} // 0);
	}
}
is_deeply(\%wrong, {}, 'each is refused as SQL refuses it, or finds what SQL finds') or diag explain \%wrong;

# Parameters, as they are sent: t/attacks/viewer.txt has them, with the codes that they get.
my %refused;
foreach my $attack (attacks('viewer.txt', 3))
{
	my ($name, $codes, $request) = @$attack;
	my $c = connect_to($port);
	my ($method, $target, $body) = split / /, $request, 3;
	my $sent = "$method $target HTTP/1.1\r\nHost: localhost\r\n" . (defined $body ? "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body" : "\r\n");
	$c->send($sent);
	my $answer = $c->response(seconds => 20);
	my $status = $answer ? $answer->{status} : 'none';

	$refused{$name} = "$status, not $codes: " . ($answer ? $answer->{content} : '') if $status !~ /^($codes)$/;
	if ($status =~ /^4/)
	{
		# Such a path libmicrohttpd 1.0 refuses by itself.
		next if $name eq 'a NUL in a path' && !mhd_before('1.0.0') && $answer->{content} =~ /^<html>/;
		my $error = json_of($answer)->{error} // '';
		$refused{$name} = "no sentence: $answer->{content}" if $error !~ /\w+ \S+/;
		$refused{$name} = "not for people: $error" if $error =~ /ereport|SPI|\.c\b|pg_catalog/;
	}
	$c->close;
}
is_deeply(\%refused, {}, 'each bad parameter is refused with a sentence') or diag explain \%refused;

is(http($port, 'POST', '/log', body => '{}', headers => { 'Content-Type' => 'application/json' })->{status}, 404, 'the viewer takes no events');
is(http($collector, 'GET', '/api/search')->{status}, 404, 'the collector shows none');
is(http($port, 'POST', '/api/search', body => '{}')->{status}, 405, 'a search is not posted');

#
# What is changed, and who may
#
my $mine = (of('event', lines_of(api($port, 'search', %now, q => 'app:shop'))))[0];
my $resolve = sub {
	my ($body, %headers) = @_;
	return http($port, 'POST', '/api/status', body => $json->encode($body), headers => { 'Content-Type' => 'application/json', %headers });
};
my $which = { time => $mine->{time}, id => $mine->{id} };
is_deeply(json_of($resolve->({ status => 7, events => [$which] })), { updated => 1 }, 'an event gets a status');
is(query(qq{SELECT string_agg(status::text, ' ') FROM log WHERE data->>'id' = '$mine->{id}'}), 7, 'it alone');
is_deeply(json_of($resolve->({ status => 1, events => [ { time => $mine->{time}, id => 'nosuch' } ] })), { updated => 0 }, 'one that is not there gets none');
is($resolve->({ status => 1, events => [ ($which) x 1001 ] })->{status}, 400, 'more than 1,000 at once are refused');
foreach my $bad ('x', [], {}, { status => 'x', events => [] }, { status => 1.5, events => [$which] }, { status => 1, events => [ {} ] }, { status => 1e12, events => [$which] },
	{ status => 1, events => [ { time => 'x', id => 'y' } ] }, { status => 1, events => 'all' })
{
	is($resolve->($bad)->{status}, 400, 'refused: ' . $json->allow_nonref->encode($bad));
}

my $session = json_of(api($port, 'session'));
is_deeply([ @$session{qw(may_resolve time_zone empty)} ], [ JSON::PP::true, 'Europe/Berlin', JSON::PP::false ], 'a session');
is($session->{collector}{port}, $collector, 'where events are sent to');
my $overview = json_of(api($port, 'overview'));
is_deeply([ grep { !exists $overview->{$_} } qw(now workers stats forwarding outbox partitions size retention quarantined refused refused_total events_total) ], [], 'an overview');

my %token = map { $_ => query("SELECT windtrap.create_token('$_', scope => '$_')") } qw(read ingest all);
ok( wait_for(sub { api($port, 'search', %now)->{status} == 401 }), 'with tokens, without one');
foreach my $path (qw(search histogram top?field=app fields sql tail overview export session event?time=2026-11-01))
{
	my $bare = http($port, 'GET', "/api/$path");
	is($bare->{status}, 401, "$path: 401");
	like(json_of($bare)->{error}, qr/token/, "$path: with a sentence");
	is(http($port, 'GET', "/api/$path", headers => { Authorization => "Bearer $token{ingest}" })->{status}, 403, "$path: 403 for who may send alone");
	next if $path eq 'tail';
	my $in_address = http($port, 'GET', "/api/$path" . ($path =~ /\?/ ? '&' : '?') . "token=$token{all}");
	is($in_address->{status}, 401, "$path: a token in the address, which histories keep, is none");
	unlike(json_of($in_address)->{error}, qr/\?token=/, "$path: nor is it asked for there");
	is(http($port, 'GET', "/api/$path", headers => { Authorization => "Bearer $token{$_}" })->{status}, 200, "$path: for $_") foreach qw(read all);
}
is($resolve->({ status => 2, events => [$which] }, Authorization => "Bearer $token{$_}")->{status}, $_ eq 'all' ? 200 : 403, "a status by $_") foreach qw(ingest read all);
is($resolve->({ status => 2, events => [$which] })->{status}, 401, 'or by nobody');

is_deeply([ viewer_pids($node) ], \@pids, 'the processes are the ones that they were');
is(count_in_log($node, qr/(?:PANIC|FATAL|terminated by signal|TRAP)/, $mark), 0, 'nothing has failed');
is(count_in_log($node, qr/ERROR: .*(?:cache lookup|unexpected|invalid memory|out of memory)/, $mark), 0, 'nor is anything said that should not be');
$node->stop;
done_testing();
