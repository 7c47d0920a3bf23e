# windtrap.stdout: each committed event is one line of JSON on the server's standard output, or
# in a fifo or file.  Nobody who reads slowly, not at all or no more can hold up or fail an
# event: lines are dropped then, counted, and the log says so once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fcntl qw(F_GETFL O_NONBLOCK);
use IO::Handle;
use JSON::PP ();
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;
use Batch;

my $node = wt_node('stdout', conf => "windtrap.workers = 2\nwindtrap.stdout = on\nlog_checkpoints = off\n");
my $port = wt_port($node);
my $postmaster;    # when it is our child
my $dir = PostgreSQL::Test::Utils::tempdir();

sub query { return $node->safe_psql('postgres', $_[0]); }

# Starts the server with this as its standard output; a shell command instead where it is text.
sub start_with
{
	my ($out) = @_;
	$postmaster = fork() // die "fork: $!";
	if ($postmaster == 0)
	{
		open STDERR, '>>', $node->logfile or POSIX::_exit(1);
		open STDIN, '<', '/dev/null' or POSIX::_exit(1);
		$ENV{PGDATA} = $node->data_dir;
		if (!ref $out)
		{
			exec 'sh', '-c', $out or POSIX::_exit(1);
		}
		POSIX::dup2(fileno $out, 1);
		POSIX::close($_) for 3 .. 63;
		exec 'postgres' or POSIX::_exit(1);
	}
	wait_for(sub { -s $node->data_dir . '/postmaster.pid' && ready($port, 1) }, 30) or die 'the server does not start';
	$node->_update_pid(1);
	return;
}

sub stop
{
	$node->stop;
	waitpid $postmaster, 0 if $postmaster;
	undef $postmaster;
	return;
}

# Reads a handle into a file, in a process of its own.
sub start_reader
{
	my ($in, $file) = @_;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	# Whose end of the pipe would keep it open.
	POSIX::close($_) for grep { $_ != fileno $in } 3 .. 63;
	open my $out, '>>', $file or POSIX::_exit(1);
	while (sysread $in, my $bytes, 65536)
	{
		syswrite $out, $bytes;
	}
	POSIX::_exit(0);
}

sub end_reader
{
	kill 'KILL', $_[0];
	waitpid $_[0], 0;
	return;
}

sub lines_of { return -e $_[0] ? (slurp_file($_[0]) =~ tr/\n//) : 0; }
sub written { return query('SELECT sum(stdout_written) FROM windtrap.stats'); }
sub dropped { return query('SELECT sum(stdout_dropped) FROM windtrap.stats'); }
sub trouble { return query(q{SELECT string_agg(DISTINCT stdout_error, '; ') FROM windtrap.status WHERE kind = 'worker'}); }

sub begin_anew
{
	query('TRUNCATE log');
	query('SELECT windtrap.reset_stats()');
	return;
}

# Compares a file's lines with the rows: lines, rows, lines that are no row's data, rows
# without a line.
sub compare
{
	my ($file) = @_;
	return query(<<"SQL");
CREATE TEMP TABLE lines (line text);
\\copy lines FROM '$file' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')
CREATE TEMP TABLE parsed AS SELECT line::jsonb - 'status' AS data, coalesce((line::jsonb->>'status')::int, 0) AS status FROM lines;
SELECT count(p.data), count(l.data), count(p.data) FILTER (WHERE l.data IS NULL), count(l.data) FILTER (WHERE p.data IS NULL)
	FROM parsed p FULL JOIN log l ON p.data->>'id' = l.data->>'id' AND p.data = l.data AND p.status = l.status;
SQL
}

# Under pg_ctl -l standard output is the log file.
{
	is(post_json($port, { where => 'in the log file' })->{status}, 200, 'pg_ctl -l: an event');
	ok(wait_for(sub { count_in_log($node, qr/^\{.*"where":"in the log file".*\}$/m) == 1 }), 'pg_ctl -l: its line is in the log file');
	stop();
}

# A pipe that is read
my ($in, $out);
pipe $in, $out or die;
my $reader = start_reader($in, "$dir/pipe");
start_with($out);
begin_anew();
{
	my ($pid) = worker_pids($node);
	my ($ignored) = slurp_file("/proc/$pid/status") =~ /^SigIgn:\s*([0-9a-f]+)/m;
	ok(hex($ignored) & (1 << (POSIX::SIGPIPE() - 1)), 'SIGPIPE is ignored');
	my $flags = fcntl $out, F_GETFL, 0;
	is($flags & O_NONBLOCK, 0, 'the shared description keeps waiting for its other users');

	my @hostile = (
		'"\u0001\u001b[31m\b\f\n\r\t\u007f\u0080\u0085\u009f\u00a0\u2028\u2029\u2027 \\\\ \" / \ud83d\ude00 é"',
		'{"a\nb\u2028":[1.50,-0,1e400,true,false,null,{},[],[[]],[{"x":[]}]]}', '"' . 'x' x 4096 . '"', '[]', '{}', '17', '""', '[1,[2,{"a":"b"}]]');
	is(post($port, join("\n", @hostile, 'bad', '[1'), type => 'application/x-ndjson')->{status}, 200, 'hostile events');
	is(post($port, '{"a":1}')->{status}, 200, 'an event alone');
	ok(wait_for(sub { lines_of("$dir/pipe") == @hostile + 3 }), 'each event is a line');
	my $n = @hostile + 3;
	is(compare("$dir/pipe"), "$n|$n|0|0", 'each line is the data of a row, and its status where that is not 0');
	my $text = slurp_file("$dir/pipe");
	unlike($text, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]/, 'no control character, no other end of a line');
	unlike($text, qr/": |", |, "/, 'compact') if $text !~ /user-agent":"[^"]*, /;
	is(() = $text =~ /,"status":422\}$/mg, 2, 'quarantined ones too');
	is(written() . '|' . dropped(), "$n|0", 'counted');
}

# Many senders and two workers, events of all sizes: lines do not mix.
begin_anew();
end_reader($reader);
$reader = start_reader($in, "$dir/many");
{
	my $load = start_load($port, connections => 16);
	for my $i (1 .. 30)
	{
		my $body = '"' . chr(97 + $i % 26) x (5000 + 30_000 * $i) . '"';
		is(post($port, $body)->{status}, 200, 'a large event') or last;
	}
	$load->wait_for_more(2000);
	$load->stop;
	is($load->audit($node), WindTrap::Load::nothing_wrong(), 'the ledger: events');
	my $rows = query('SELECT count(*) FROM log');
	ok(wait_for(sub { lines_of("$dir/many") == $rows }), 'many senders: all lines arrive') or diag(lines_of("$dir/many") . " of $rows");
	is(compare("$dir/many"), "$rows|$rows|0|0", 'many senders: whole, and none twice');
	is(dropped(), 0, 'many senders: none is dropped');
}
{
	# In pieces, more than a pipe holds at once.
	begin_anew();
	end_reader($reader);
	$reader = start_reader($in, "$dir/batch");
	is(post($port, lines(20_000), type => 'application/x-ndjson')->{status}, 200, 'a large batch');
	ok(wait_for(sub { written() + dropped() == 20_000 }), 'a large batch: written or dropped');
	my $n = written();
	cmp_ok($n, '>', 5000, 'a large batch: lines get through');
	ok(wait_for(sub { lines_of("$dir/batch") == $n }), 'a large batch: those that were written arrive');
}

# A pipe that is full
begin_anew();
my $mark = log_mark($node);
{
	end_reader($reader);
	my $slowest = 0;
	for my $i (1 .. 30)
	{
		my $seconds = elapsed(sub { is(post($port, '"' . 'y' x 900_000 . '"')->{status}, 200, 'full: an event is stored') });
		$slowest = $seconds if $seconds > $slowest;
	}
	within($slowest, 5, 'full: nobody waits');
	ok(wait_for(sub { dropped() > 0 }), 'full: lines are dropped') ;
	like(trouble(), qr/more slowly/, 'full: windtrap.status says so');
	my $pids = query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND stdout_error IS NOT NULL});
	is(count_in_log($node, qr/dropping lines for standard output: it takes lines more slowly/, $mark), $pids, 'full: the log says so once for each worker');
	is(count_in_log($node, qr/^\{/m, $mark), 0, 'full: nothing strays into the log');
	$reader = start_reader($in, "$dir/full");
	ok(wait_for(sub { trouble() eq '' }), 'read again: windtrap.status says so');
	is(count_in_log($node, qr/writing lines to standard output again; \d+ were dropped/, $mark), $pids, 'read again: the log says so once for each worker');
	is(written() + dropped(), 30, 'read again: each line was written or dropped');
	my $n = written();
	ok(wait_for(sub { lines_of("$dir/full") == $n }), 'read again: what was kept arrives');
	is((split /\|/, compare("$dir/full"))[2], 0, 'read again: whole');
}

# A pipe that nobody reads any more
$mark = log_mark($node);
{
	my @pids = worker_pids($node);
	end_reader($reader);
	close $in;
	close $out;
	begin_anew();
	is(event($port, "closed $_"), 200, 'closed: an event is stored') for 1 .. 10;
	is(query('SELECT count(*) FROM log'), 10, 'closed: all are there');
	is(written() . '|' . dropped(), '0|10', 'closed: lines are dropped');
	ok(wait_for(sub { trouble() eq 'nobody reads it' }), 'closed: windtrap.status says so');
	# It is opened anew a second after, which succeeds for a pipe without a name.
	my $again = time + 1.5;
	wait_for(sub { event($port, 'closed'); time > $again });
	is(trouble(), 'nobody reads it', 'closed: windtrap.status goes on saying so');
	cmp_ok(count_in_log($node, qr/dropping lines for standard output: nobody reads it/, $mark), '<=', 2, 'closed: the log says so once for each worker');
	is("@{[ worker_pids($node) ]}", "@pids", 'closed: the workers live');
	stop();
}

# A pipe whose description cannot be opened anew, as in a container whose pipes are root's;
# what it was told to write before it stops is there.
pipe $in, $out or die;
chmod 0, $out or die;
start_with($out);
begin_anew();
{
	is(post($port, '"' . 'z' x 900_000 . '"')->{status}, 200, "another's pipe, full: an event is stored") for 1 .. 30;
	ok(wait_for(sub { dropped() > 0 }), "another's pipe, full: lines are dropped");
	$reader = start_reader($in, "$dir/borrowed");
	ok(wait_for(sub { trouble() eq '' }), "another's pipe, read");
	is(event($port, "borrowed $_"), 200, "another's pipe: an event is stored") for 1 .. 10;
	ok(wait_for(sub { written() + dropped() == 40 }), "another's pipe: each line was written or dropped");
	my $n = written();
	ok(wait_for(sub { lines_of("$dir/borrowed") == $n }), "another's pipe: what was written arrives");
	is((split /\|/, compare("$dir/borrowed"))[2], 0, "another's pipe: whole");
	is((fcntl $out, F_GETFL, 0) & O_NONBLOCK, 0, "another's pipe: is as it was");
	close $in;
	stop();
	close $out;
	waitpid $reader, 0;
}

# A socket, as under systemd's journal.
socketpair $in, $out, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
start_with($out);
begin_anew();
{
	is(post($port, '"' . 's' x 900_000 . '"')->{status}, 200, 'a socket, full: an event is stored') for 1 .. 30;
	ok(wait_for(sub { dropped() > 0 }), 'a socket, full: lines are dropped');
	$reader = start_reader($in, "$dir/socket");
	ok(wait_for(sub { trouble() eq '' }), 'a socket, read');
	my $load = start_load($port, connections => 8);
	$load->wait_for_more(500);
	$load->stop;
	stop();
	close $out;
	close $in;
	waitpid $reader, 0;
	$node->start;
	ready($port);
	is($load->audit($node), WindTrap::Load::nothing_wrong(), 'a socket: the ledger');
	my ($lines, $rows, $strange) = split /\|/, compare("$dir/socket");
	is($strange, 0, 'a socket: lines are whole');
	my $ids = slurp_file($load->{ledger});
	my %acknowledged = map { /^(\S+) 200 / ? ($1 => 1) : () } split /\n/, $ids;
	delete @acknowledged{ slurp_file("$dir/socket") =~ /"id":"($load->{name}-[^"]+)"/g };
	is(join(' ', keys %acknowledged), '', 'a socket: what was acknowledged before the stop is there');
}

# A file, and its rotation
my $file = "$dir/events.log";
alter_system($node, 'windtrap.stdout' => $file);
ok(wait_for(sub { -e $file }), 'a file is made');
is(sprintf('%04o', (stat $file)[2] & 07777), '0600', 'a file: its mode');
begin_anew();
{
	my $load = start_load($port, connections => 8);
	for my $i (1 .. 5)
	{
		$load->wait_for_more(300);
		rename $file, "$file.$i" or die;
		reload($node);
		ok(wait_for(sub { -s $file }), 'a file: after its rotation there is a new one');
	}
	$load->stop;
	is(dropped(), 0, 'a file: nothing is dropped');
	my $rows = query('SELECT count(*) FROM log');
	append_to_file("$dir/all", join '', map { slurp_file($_) } (map { "$file.$_" } 1 .. 5), $file);
	is(compare("$dir/all"), "$rows|$rows|0|0", 'a file: the pieces together are all events');
}
for my $case (
	[ $dir, 'Is a directory' ],
	[ '/dev/null', 'not a fifo or a file' ],
	[ "$dir/none/here", 'No such file' ],
	[ $node->host . '/.s.PGSQL.' . $node->port, 'not a fifo or a file' ])
{
	my ($path, $why) = @$case;
	alter_system($node, 'windtrap.stdout' => $path);
	ok(wait_for(sub { trouble() =~ /$why/ }), "$path is refused: $why") or diag(trouble());
	is(event($port), 200, "$path is refused: events are stored");
}
query("LOAD 'windtrap'; ALTER SYSTEM RESET windtrap.stdout");

# A fifo: without a reader, with one, without it again, with another
{
	my $fifo = "$dir/fifo";
	POSIX::mkfifo($fifo, 0600) or die;
	alter_system($node, 'windtrap.stdout' => $fifo, 'windtrap.workers' => 1);
	ok(wait_for(sub { trouble() eq 'nobody reads it' }), 'a fifo that nobody reads');
	ok(wait_for(sub { worker_pids($node) == 1 }), 'by one worker');
	begin_anew();
	is(event($port), 200, 'a fifo that nobody reads: an event is stored');
	is(dropped(), 1, 'a fifo that nobody reads: its line is dropped');
	for my $i (1 .. 2)
	{
		open my $end, '+<', $fifo or die;
		$reader = start_reader($end, "$dir/fifo$i");
		close $end;
		ok(wait_for(sub { trouble() eq '' }), "a fifo, reader $i: is noticed");
		begin_anew();
		is(event($port, $_), 200, "a fifo, reader $i: an event is stored") for 1 .. 5;
		ok(wait_for(sub { lines_of("$dir/fifo$i") == 5 }), "a fifo, reader $i: lines");
		is(compare("$dir/fifo$i"), '5|5|0|0', "a fifo, reader $i: as the rows");
		end_reader($reader);
		is(event($port, 'gone'), 200, "a fifo, reader $i is gone: an event is stored");
		ok(wait_for(sub { trouble() eq 'nobody reads it' }), "a fifo, reader $i is gone: is said");
	}
	$mark = log_mark($node);
	alter_system($node, 'windtrap.stdout' => 'off');
	ok(wait_for(sub { trouble() eq '' }), 'off');

	is(event($port, 'off'), 200, 'off: an event is stored');
	is(count_in_log($node, qr/lines/, $mark), 0, 'off: nothing is said');

	# Nothing but lines: what is not written is not accepted.
	my $rows = query('SELECT count(*) FROM log');
	alter_system($node, 'windtrap.stdout' => $fifo, 'windtrap.postgres' => 'off');
	ok(wait_for(sub { trouble() eq 'nobody reads it' }), 'lines alone: nobody reads them');
	my $answer = post_json($port, { alone => 1 });
	is($answer->{status}, 503, 'lines alone: an event that nobody reads is not accepted');
	like(json_of($answer)->{error}, qr/could not be written to standard output/, 'lines alone: and it is said why');
	open my $end, '+<', $fifo or die;
	my $reader = start_reader($end, "$dir/alone");
	close $end;
	ok(wait_for(sub { trouble() eq '' }), 'lines alone: a reader');
	is(event($port, $_), 200, 'lines alone: an event') for 1 .. 5;
	ok(wait_for(sub { lines_of("$dir/alone") == 5 }), 'lines alone: is a line');
	is(query('SELECT count(*) FROM log'), $rows, 'lines alone: and no row');
	end_reader($reader);
	alter_system($node, 'windtrap.stdout' => undef, 'windtrap.postgres' => undef);
	ok(wait_for(sub { event($port, 'back') == 200 && query('SELECT count(*) FROM log') > $rows }), 'rows again');
}

# The logging collector
{
	$node->stop;
	$node->append_conf('postgresql.conf', "logging_collector = on\nlog_directory = '$dir/collected'\nlog_filename = 'server.log'\n");
	alter_conf("windtrap.stdout = on");
	$node->start;
	ready($port);
	ok(wait_for(sub { trouble() =~ /logging collector.*path of a fifo or file/ }), 'the logging collector: on is refused, and it is said what to do');
	is(event($port), 200, 'the logging collector: events are stored');
	like(slurp_file("$dir/collected/server.log"), qr/LOG: .*dropping lines for standard output: .*logging collector/, 'the logging collector: its log says so');
	unlike(slurp_file("$dir/collected/server.log"), qr/^\{/m, 'the logging collector: no line in its log');
	alter_system($node, 'windtrap.stdout' => '/dev/stderr');
	ok(wait_for(sub { trouble() =~ /pipe of the logging collector/ }), 'the logging collector: nor by another name');
	alter_system($node, 'windtrap.stdout' => "$dir/beside");
	ok(wait_for(sub { trouble() eq '' }), 'the logging collector: a path is taken');
	is(event($port, 'beside'), 200, 'the logging collector: an event');
	ok(wait_for(sub { lines_of("$dir/beside") == 1 }), 'the logging collector: its line is there');
	$node->stop;
	$node->append_conf('postgresql.conf', "logging_collector = off\n");
}

# A file that cannot grow, as on a full disk: the line that it takes in part is completed
# when there is room again.
{
	my $limit = 24 * 1024 * 1024;
	alter_conf("windtrap.stdout = '$dir/limited'");
	open my $f, '>', "$dir/limited" or die;
	truncate $f, $limit - 100 or die;
	close $f;
	start_with("ulimit -f " . $limit / 512 . "; exec postgres");
	begin_anew();
	is(event($port, "limit $_"), 200, 'a full disk: an event is stored') for 1 .. 5;
	is(dropped(), 4, 'a full disk: lines are dropped but for the one that was begun');
	like(trouble(), qr/could not write to it: File too large/, 'a full disk: is said');
	my $begun = substr slurp_file("$dir/limited"), $limit - 100;
	truncate "$dir/limited", 0 or die;
	ok(wait_for(sub { trouble() eq '' }), 'a full disk, room again: is said');
	is(event($port, 'room'), 200, 'a full disk, room again: an event is stored');
	ok(wait_for(sub { lines_of("$dir/limited") == 2 }), 'a full disk, room again: lines');
	append_to_file("$dir/limited.whole", $begun . slurp_file("$dir/limited"));
	is((split /\|/, compare("$dir/limited.whole"))[2], 0, 'a full disk, room again: the line that was begun is whole');
	is(written() . '|' . dropped(), '2|4', 'a full disk: counted');
	stop();
}

# Without a standard output the number 1 is something else's.
{
	alter_conf('windtrap.stdout = on');
	start_with('exec postgres >&-');
	ok(wait_for(sub { trouble() =~ /started without a standard output/ }), 'no standard output: is said');
	is(event($port, "none $_"), 200, 'no standard output: an event is stored') for 1 .. 5;
	stop();
	start_with('exec postgres >/dev/null');
	ok(wait_for(sub { trouble() =~ /a device that nobody reads/ }), 'standard output to /dev/null: is said');
	stop();
}

unlike(log_since($node), qr/terminated by signal|PANIC|TRAP/, 'nothing has crashed');
done_testing();

# Sets something while the server is down.
sub alter_conf
{
	my ($line) = @_;
	my $auto = $node->data_dir . '/postgresql.auto.conf';
	my $text = slurp_file($auto) =~ s/^windtrap\.stdout.*\n//mr;
	open my $f, '>', $auto or die;
	print $f $text;
	close $f;
	$node->append_conf('postgresql.conf', "$line\n");
	return;
}
