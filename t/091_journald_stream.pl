# systemd-journal-upload with a backlog: one body without an end, of which each entry is stored
# soon after it has come, whatever becomes of the rest.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Protocol;
use Tls;
use WindTrap;

my $timeout = 3;    # s
my $node = wt_node('stream', conf => <<"CONF");
max_wal_size = '4GB'
windtrap.max_body_size = '1MB'
windtrap.request_timeout = '${timeout}s'
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub in_flight { return query('SELECT sum(bytes_in_flight) FROM windtrap.stats'); }

# How many entries are stored, each counted once.
sub stored
{
	my ($name) = @_;
	return query("SELECT count(DISTINCT data->'json'->>'__CURSOR') FROM log WHERE data->'json'->>'RUN' = '$name'");
}

# Entries of a run, from number to number, as the journal exports them.
my $padding = join ' ', ('to be, or not to be') x 27;

sub entries
{
	my ($name, $from, $to) = @_;
	return join '', map {
		"__CURSOR=s=$name;i=$_\n__REALTIME_TIMESTAMP=" . (1795687200000000 + $_)
		  . "\nPRIORITY=6\nRUN=$name\nMESSAGE=$_ $padding\nDATA\n" . pack("Q<", 11) . "a\n\nb=c\n\nd=e\n\n"
	} $from .. $to;
}

# A request whose body goes on until end_of it.
sub begin
{
	my (%o) = @_;
	my $connection = connect_to($port) or return;
	$connection->send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.fdo.journal\r\n"
		  . join('', map {"$_\r\n"} @{ $o{headers} // [] })
		  . ($o{length} ? "Content-Length: $o{length}\r\n\r\n" : "Transfer-Encoding: chunked\r\n\r\n"));
	return $connection;
}

sub chunk { my ($connection, $bytes) = @_; return $connection->send(sprintf("%x\r\n", length $bytes) . "$bytes\r\n"); }

sub end_of { my ($connection, %o) = @_; $connection->send("0\r\n\r\n"); return answer($connection, %o); }

sub answer
{
	my ($connection, %o) = @_;
	my $answer = $connection->response(seconds => $o{seconds} // 60) // { status => 0, content => '' };
	$connection->close;
	return $answer;
}

# All of a run in one request, whose chunks do not end where entries do; gives the answer.
sub upload
{
	my ($name, $n, %o) = @_;
	my $connection = begin(%o) or return { status => 0, content => 'not connected' };
	my $waiting = '';
	for (my $i = 1; $i <= $n; $i += 100)
	{
		$waiting .= entries($name, $i, $i + 99 < $n ? $i + 99 : $n);
		while (length $waiting > 30_011)
		{
			chunk($connection, substr $waiting, 0, 30_011, '') or return answer($connection, %o);
			sleep $o{pause} if $o{pause};
		}
	}
	chunk($connection, $waiting);
	return end_of($connection, %o);
}

# 60 MB, while others send too.
{
	my $n = 100_000;
	cmp_ok($n * length entries('long', 1, 1), '>', 60_000_000, 'a long body');
	upload('warm', 5000);
	my ($pid) = worker_pids($node);
	my $watch = watch_memory($pid);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/done';
	my $uploaded = in_background(sub {
		my $begun = time;
		my $answer = upload('long', $n, seconds => 120);
		append_to_file($file, 'done');
		return { %$answer, seconds => time - $begun };
	});
	my $other = connect_to($port);
	my (@ms, %codes);
	while (!-s $file)
	{
		my $begun = time;
		$other->request('{"probe":1}', headers => ['Content-Type: application/json']);
		$codes{ ($other->response(seconds => 20) // { status => 0 })->{status} }++;
		push @ms, 1000 * (time - $begun);
		sleep 0.005;
	}
	my $answer = $uploaded->();
	is("$answer->{status} $answer->{content}", "202 OK.\n", 'it is taken');
	is(stored('long'), $n, 'all of its entries are stored');
	is(count_of($node, "data->'json'->>'RUN' = 'long'"), $n, 'each of them once');
	is(count_of($node, "data->'json'->>'RUN' = 'long' AND (data->'json'->>'DATA' <> E'a\\n\\nb=c\\n\\nd=e' OR data->'json'->>'MESSAGE' NOT LIKE '% to be' OR status <> 0)"),
		0, 'as they were sent');
	is(join(' ', keys %codes), '200', 'all others are answered 200');
	note sprintf '%.1f s; others: %d, median %.0f ms, 99 %% %.0f ms, max %.0f ms', $answer->{seconds}, scalar @ms,
	  map { percentile($_, @ms) } 50, 99, 100;
	cmp_ok(percentile(99, @ms), '<', 1000, 'others are answered soon');
	my $peak = peak_memory($watch);
	note sprintf 'memory grew by %.1f MB', $peak / 1024;
	memory_ok($peak, 16 * 1024, 'memory does not grow with it');
	is(in_flight(), 0, 'nothing of it is left in memory');
}

# With Content-Length.
{
	my $body = entries('counted', 1, 4000);
	my $connection = begin(length => length $body);
	$connection->send($body);
	is(answer($connection)->{status}, 202, 'a body of 2 MB whose length is known');
	is(stored('counted'), 4000, 'is stored');
}

# What cannot be read costs the entries before and behind it nothing.
{
	my $connection = begin();
	chunk($connection, entries('bad', 1, 3000) . "__CURSOR=broken\nDATA\n" . pack('Q<', 3) . "hello\n\n" . entries('bad', 3001, 6000)
		. "__CURSOR=absurd\nDATA\n" . ('x' x 2_000_000) . "\n\n" . entries('bad', 6001, 7000));
	is(end_of($connection)->{status}, 202, 'entries that are none, within a long body');
	is(stored('bad'), 7000, 'the good ones are stored');
	my $raw = q{SELECT string_agg(CASE data->>'encoding' WHEN 'base64' THEN decode(data->>'raw', 'base64') ELSE convert_to(data->>'raw', 'UTF8') END, '' ORDER BY data->>'id') AS raw FROM log WHERE status = 422};
	is(query("SELECT length(raw) || ' ' || encode(substr(raw, 1, 21), 'escape') FROM ($raw) AS t"),
		length("__CURSOR=broken\nDATA\n........hello\n\n__CURSOR=absurd\nDATA\n\n\n") + 2_000_000 . " __CURSOR=broken\nDATA\n", 'the bad ones are kept');
	query('TRUNCATE log');
}

# What the table refuses is told at the end; what is behind it is stored.
{
	query(q{ALTER TABLE log ADD CONSTRAINT no_i CHECK (status <> 422 AND data->'json'->>'__CURSOR' <> 's=check;i=2500')});
	my $answer = upload('check', 6000);
	is($answer->{status}, 400, 'an entry that the table refuses');
	like($answer->{content}, qr/the log table refuses this event: .*no_i/, 'is told at the end');
	is(stored('check'), 5999, 'all others are stored');
	query('ALTER TABLE log DROP CONSTRAINT no_i');
}

# An entry that is too large ends the request; what was before it is stored.
{
	my $connection = begin();
	chunk($connection, entries('large', 1, 3000) . "__CURSOR=large\nDATA\n" . pack('Q<', 2_000_000));
	chunk($connection, 'x' x 10_000) or last for 1 .. 200;
	my $answer = end_of($connection);
	is($answer->{status}, 413, 'an entry beyond max_body_size');
	like($answer->{content}, qr/^an event is larger than windtrap.max_body_size, 1048576 bytes\n$/, 'is refused');
	is(stored('large'), 3000, 'those before it are stored');
	my $nearly = entries('nearly', 1, 1);
	$nearly =~ s/MESSAGE=/'LONG=' . 'x' x 1_000_000 . "\nMESSAGE="/e;
	$connection = begin();
	chunk($connection, entries('nearly', 2, 1500) . $nearly . entries('nearly', 1501, 3000));
	is(end_of($connection)->{status}, 202, 'one of nearly that size');
	is(stored('nearly') + count_of($node, q{status = 422 AND data->>'raw' LIKE '%s=nearly;i=1' || chr(10) || '%'}), 3000, 'is stored');
	ok(wait_for(sub { in_flight() == 0 }), 'nothing of it is left in memory');
}

# Compressed, it is one body like any other.
{
	my $packed = gzip(entries('gzip', 1, 1000));
	my $connection = begin(headers => ['Content-Encoding: gzip']);
	chunk($connection, $packed);
	is(end_of($connection)->{status}, 202, 'a compressed body');
	is(stored('gzip'), 1000, 'is stored');
	$connection = begin(headers => ['Content-Encoding: gzip']);
	chunk($connection, gzip(entries('gzip2', 1, 3000)));
	is(end_of($connection)->{status}, 413, 'one that is inflated to more than max_body_size is refused');
}

# Slow senders.
{
	my $connection = begin();
	my $begun = time;
	my $seen = 0;
	for (my $i = 1; time < $begun + 2 * $timeout; $i++)
	{
		my $entry = entries('slow', $i, $i);
		chunk($connection, substr $entry, 0, 100, '');
		chunk($connection, $entry);
		$seen = 1 if $i > 1 && !$seen && stored('slow') > 0;
		sleep 0.2;
	}
	ok($seen, 'who sends slowly has entries stored before all have come');
	is(end_of($connection)->{status}, 202, 'and may take longer than request_timeout');

	$connection = begin();
	chunk($connection, entries('stops', 1, 10));
	sleep 1.1;
	chunk($connection, substr entries('stops', 11, 11), 0, 100);
	my $answer;
	my $took = elapsed(sub { $answer = answer($connection, seconds => 3 * $timeout) });
	is($answer->{status}, 408, 'who stops is ended');
	cmp_ok($took, '<', $timeout + 2, 'after request_timeout');
	is(stored('stops'), 10, 'what was complete is stored');

	$connection = begin();
	chunk($connection, entries('trickle', 1, 1) . '__CURSOR=');
	$took = elapsed(sub { while (!$connection->fill(0.3)) { chunk($connection, 'x'); } });
	is(answer($connection)->{status}, 408, 'who sends bytes, but no entry, is ended');
	cmp_ok($took, '<', 2 * $timeout + 3, 'after request_timeout');
}

# A connection that is gone.
{
	my $connection = begin();
	chunk($connection, entries('gone', 1, 5000));
	ok(wait_for(sub { stored('gone') > 1000 }), 'a piece is stored');
	$connection->close;
	ok(wait_for(sub { in_flight() == 0 }), 'what was behind it is dropped when the sender is gone');
	is(query('SELECT count(*) > 1000 FROM log'), 't', 'what was stored stays');
}

# More streams than there is memory for.
{
	query('TRUNCATE log');
	alter_system($node, 'windtrap.max_inflight' => '1MB', 'windtrap.request_timeout' => '30s');
	my ($pid) = worker_pids($node);
	my $watch = watch_memory($pid);
	my @senders = map { my $i = $_; in_background(sub { return upload("many$i", 6000) }) } 1 .. 12;
	my %codes;
	for my $i (1 .. 12)
	{
		my $answer = $senders[ $i - 1 ]->();
		$codes{ $answer->{status} }++;
		is(stored("many$i"), 6000, 'who is told 202 is stored') if $answer->{status} == 202;
	}
	note join ', ', map {"$codes{$_} x $_"} sort keys %codes;
	is(join(' ', grep { !/^(202|503)$/ } keys %codes), '', 'each of many is answered');
	cmp_ok($codes{202} // 0, '>', 0, 'and some are done');
	memory_ok(peak_memory($watch), 32 * 1024, 'with bounded memory');
	ok(wait_for(sub { in_flight() == 0 }), 'and none is left');

	# Where storing takes its time, whoever has begun waits for his turn.
	query(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END';
		CREATE TRIGGER slow AFTER INSERT ON log FOR EACH STATEMENT EXECUTE FUNCTION slow()});
	my @begun = map { begin() } 1 .. 12;
	chunk($begun[ $_ - 1 ], entries("slowly$_", 1, 1)) for 1 .. 12;
	sleep 1.1;
	chunk($begun[ $_ - 1 ], substr entries("slowly$_", 2, 2), 0, 100) for 1 .. 12;
	ok(wait_for(sub { count_of($node, "data->'json'->>'RUN' LIKE 'slowly%'") == 12 }), 'twelve have begun');
	@senders = map {
		my $i = $_;
		in_background(sub {
			chunk($begun[ $i - 1 ], substr(entries("slowly$i", 2, 2), 100) . entries("slowly$i", 3, 6000));
			return end_of($begun[ $i - 1 ]);
		})
	} 1 .. 12;
	is(join(' ', map { $_->()->{status} } @senders), join(' ', (202) x 12), 'none of them is sent away');
	is(count_of($node, "data->'json'->>'RUN' LIKE 'slowly%'"), 12 * 6000, 'and all is stored');
	query('DROP FUNCTION slow CASCADE');
	alter_system($node, 'windtrap.max_inflight' => undef);
}

# A worker that is killed.
{
	my $n = 60_000;
	my $mark = log_mark($node);
	my $first = in_background(sub { return upload('killed', $n, pause => 0.01) });
	ok(wait_for(sub { stored('killed') > 10_000 }, 60), 'a part is stored');
	my ($pid) = worker_pids($node);
	kill 'KILL', $pid;
	is($first->()->{status}, 0, 'a worker that is killed answers nothing');
	ok(wait_for(sub { accepts($node) }), 'the server is back') && ready($port);
	my $kept = stored('killed');
	cmp_ok($kept, '>=', 10_000, 'what was stored is there');
	cmp_ok($kept, '<', $n, 'it was in the middle');
	is(upload('killed', $n, seconds => 120)->{status}, 202, 'it is sent again');
	is(stored('killed'), $n, 'and all is there');
	is(count_of($node, "data->'json'->>'RUN' = 'killed'"), $n, 'each of them once');
}

# The real one.
SKIP:
{
	my ($remote, $uploader) = map {"/lib/systemd/systemd-journal-$_"} 'remote', 'upload';
	skip 'there is no systemd-journal-upload', 3 if !-x $remote || !-x $uploader;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my $n = 20_000;
	my $export = join '', map {
		sprintf "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=6c7c6013a26343b29e964691ff25d04c\nRUN=real\nMESSAGE=%s\n\n",
		  1795687200000000 + $_, 1000 + $_, "$_ $padding"
	} 1 .. $n;
	my ($out, $err) = ('', '');
	my $made = eval { IPC::Run::run([ $remote, '--output', "$directory/backlog.journal", '-' ], '<', \$export, '>', \$out, '2>', \$err, IPC::Run::timeout(60)) };
	skip "systemd-journal-remote makes no journal: $err", 3 if !$made;
	my $sent = eval {
		IPC::Run::run([ $uploader, "--url=http://127.0.0.1:$port", "--file=$directory/backlog.journal", "--save-state=$directory/state", "--follow=no" ],
			'<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	};
	ok($sent, 'systemd-journal-upload sends a backlog') or diag $err;
	is(stored('real'), $n, 'all of which is stored');
	like(slurp_file("$directory/state"), qr/^LAST_CURSOR=/m, 'and it knows how far it is');
}

# By TLS.
{
	my $ca = authority('authority');
	install($node, issue($ca, 'server'));
	alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key');
	my $directory = PostgreSQL::Test::Utils::tempdir();
	append_to_file("$directory/good", entries('tls', 1, 20_000));
	append_to_file("$directory/large", entries('tls2', 1, 5000) . "DATA\n" . pack('Q<', 20_000_000) . 'x' x 20_000_000);
	my $send = sub {
		return tls_curl('--cacert', $ca, '-H', 'Transfer-Encoding: chunked', '-H', 'Content-Type: application/vnd.fdo.journal',
			'--data-binary', "\@$directory/$_[0]", "https://localhost:$port/upload");
	};
	my $answer;
	ok(wait_for(sub { ($answer = $send->('good')) =~ /^202/ }), 'by TLS') or diag $answer;
	is(stored('tls'), 20_000, 'it is stored');
	like($send->('large'), qr/^413 an event is larger/, 'and refused');
	is(stored('tls2'), 5000, 'in part');
	alter_system($node, 'windtrap.tls_cert_file' => undef, 'windtrap.tls_key_file' => undef);
	ok(wait_for(sub { event($port) == 200 }), 'plain again');
}

# Stopping the server.
{
	my $connection = begin();
	my $file = PostgreSQL::Test::Utils::tempdir() . '/stopping';
	my $answered = in_background(sub {
		my $i = 0;
		local $SIG{PIPE} = 'IGNORE';
		while (chunk($connection, entries('stop', $i + 1, $i + 50))) { $i += 50; last if $connection->fill(0); }
		return answer($connection, seconds => 5);
	});
	ok(wait_for(sub { stored('stop') > 3000 }), 'one is in progress');
	my $took = elapsed(sub { $node->stop('fast') });
	my $answer = $answered->();
	note "$answer->{status} $answer->{content}";
	cmp_ok($took, '<', 6, 'the server stops');
	is($answer->{status}, 503, 'who sends is told') ;
	my ($told) = $answer->{content} =~ /the first (\d+) events of this request are stored/;
	$node->start;
	is(stored('stop'), $told // 'not told', 'and how much is stored');
}

$node->stop;
unlike(log_since($node), qr/PANIC|TRAP/, 'nothing has crashed');
done_testing();
