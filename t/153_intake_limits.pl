# Syslog, RELP and GELF at their limits: addresses that are taken, connections, open files, memory,
# senders that are slow or hang, floods beside HTTP, and bytes that are none of these protocols.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;

use Compress::Zlib ();
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use WindTrap;

my ($taken, $syslog, $relp, $gelf) = map { free_port() } 1 .. 4;
my $holder = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $taken, Listen => 5) or die;
my $node = wt_node('intake_limits', conf => <<"CONF");
windtrap.syslog_listen = 'tcp://127.0.0.1:$taken, 127.0.0.1:$syslog, relp://127.0.0.1:$relp'
windtrap.gelf_listen = '127.0.0.1:$gelf'
windtrap.request_timeout = 2s
CONF
my $port = wt_port($node);
my $begin = log_mark($node);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub rows { return sql('SELECT count(*) FROM log'); }
sub clear { sql('TRUNCATE log; SELECT windtrap.reset_stats()'); return; }
sub intake { return sql("SELECT state, addresses, last_error FROM windtrap.intakes WHERE intake = '$_[0]'"); }
sub counted { return sql("SELECT received, stored, dropped FROM windtrap.intakes WHERE intake = '$_[0]'"); }
sub dropped { return sql("SELECT coalesce((messages_dropped->>'$_[0]')::int, 0) FROM windtrap.stats"); }
sub udp { return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $_[0]) // die; }

sub lines { return join "\n", map { sprintf '{"http":%d,"filler":"%s"}', $_, 'x' x 100 } 1 .. $_[0]; }

# An address that is taken keeps nobody from the others, and is said.
ok(wait_for(sub { intake('syslog_udp') eq "listening|127.0.0.1:$syslog|" }), 'what is free is listened on');
is(intake('syslog_tcp'), "failed|127.0.0.1:$syslog|could not listen on 127.0.0.1:$taken: Address already in use", 'what is taken is said, beside what is not');
is(sql(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), "could not listen on 127.0.0.1:$taken: Address already in use", 'windtrap.status says so, too');
is(http($port, 'GET', '/health')->{status}, 200, 'who sends by HTTP is not sent away for that');
$holder->close;
ok(wait_for(sub { intake('syslog_tcp') =~ /^listening\|127.0.0.1:$taken, 127.0.0.1:$syslog\|$/ || intake('syslog_tcp') =~ /^listening\|127.0.0.1:$syslog, 127.0.0.1:$taken\|$/ }), 'when it is free it is taken') or diag intake('syslog_tcp');
is(sql(q{SELECT last_error FROM windtrap.status WHERE kind = 'worker'}), '', 'and nothing is wrong any more');

# Each message is received, and then stored or dropped.
clear();
my $tcp = connect_to($syslog);
$tcp->send(join '', map { "<13>m $_\n" } 1 .. 100);
udp($syslog)->send('<13>m') for 1 .. 3;
udp($syslog)->send("\n");
udp($gelf)->send('{"short_message":"m"}');
udp($gelf)->send("\x1e\x0fabcdefgh\x07\x02bad");
udp($gelf)->send('no JSON');
ok(wait_for(sub { rows() == 105 }), 'stored') or diag rows();
is(join(' ', map { counted($_) } qw(syslog_tcp syslog_udp gelf_udp)), '100|100|0 3|3|1 2|2|1', 'received, stored, dropped: each by its way');
is(sql('SELECT messages_dropped FROM windtrap.stats'), '{"empty": 1, "malformed_request": 1}', 'dropped, by reason');
is(sql(q{SELECT string_agg(value::int::text, ',' ORDER BY label_value) FROM windtrap.metrics WHERE name = 'messages_stored_total' AND value > 0}), '2,100,3', 'and as metrics');
is(sql('SELECT connections FROM windtrap.intakes WHERE intake = $$syslog_tcp$$'), 1, 'connections are counted');
# What the table refuses, and quarantine too, is dropped; RELP's sender is told.
clear();
sql(q{ALTER TABLE log ADD CONSTRAINT only_good CHECK (data::text !~ 'bad')});
$tcp->send("<13>good\n<13>bad\n");
my $r = connect_to($relp);
my $says = sub { my ($text) = @_; return wait_for(sub { $r->fill(0.1); index($r->{buffer}, $text) >= 0 }); };
$r->send("1 open 14 relp_version=0\n2 syslog 8 <13>good\n3 syslog 7 <13>bad\n");
ok($says->("2 rsp 6 200 OK\n3 rsp 28 500 the log table refuses it\n"), 'RELP: what the table refuses is answered') or diag $r->{buffer};
ok(wait_for(sub { counted('syslog_tcp') eq '2|1|1' && counted('relp') eq '2|1|1' && dropped('table') == 2 }), 'and counted as dropped') or diag counted('syslog_tcp'), counted('relp');
sql('ALTER TABLE log DROP CONSTRAINT only_good');

# Who is slow, or does not take its answers, loses its place.
clear();
my $slow = connect_to($syslog);
my $closed = 0;
my $begun = time;
while (time < $begun + 20 && !$closed)
{
	last if !$slow->send('5');
	$slow->fill(0.3);
	$closed = $slow->{closed};
}
ok($closed || !$slow->send('x'), 'a count that comes byte by byte and does not end ends its connection');
$r = connect_to($relp);
$r->send("1 open 14 relp_version=0\n");
ok($says->('1 rsp'), 'RELP: opened');
# More answers than the kernel's buffers and ours hold, and nobody reads them.
$r->{socket}->blocking(0);
my $number = 1;
my $hangs = sub
{
	my $rest = '';
	my $until = time + 30;
	while (time < $until)
	{
		$rest .= join '', map { ++$number . " none 0\n" } 1 .. 1000 if length $rest < 65536;
		my $n = syswrite $r->{socket}, $rest;
		return 1 if !defined $n && !$!{EAGAIN};
		substr($rest, 0, $n // 0) = '';
		sleep 0.05 if !$n;
	}
	return 0;
};
{
	local $SIG{PIPE} = 'IGNORE';
	ok($hangs->(), 'RELP: who does not take its answers loses its connection');
}
ok(dropped('timeout') >= 2, 'both are counted');

# Large messages of many that do not end: they have no more memory than windtrap.max_inflight, and those
# who wait for each other's do not do so for ever.
alter_system($node, 'windtrap.max_inflight' => '4MB');
clear();
my @large = map { connect_to($syslog) } 1 .. 12;
for my $c (@large)
{
	my $until = time + 10;
	my $message = '<13>' . 'x' x 900_000;
	$c->{socket}->blocking(0);
	# As much as it takes.
	while (length $message && time < $until)
	{
		my $n = syswrite $c->{socket}, $message;
		last if !defined $n && !$!{EAGAIN};
		last if !$n;
		substr($message, 0, $n) = '';
	}
}
my $most = 0;
ok(wait_for(sub {
	my $bytes = sql(q{SELECT value FROM windtrap.metrics WHERE name = 'intake_bytes'});
	$most = $bytes if $bytes > $most;
	return (grep { $_->fill(0); $_->{closed} } @large) == @large;
}, 40), 'large messages that do not end: all lose their connections');
cmp_ok($most, '<=', 4 * 1024 * 1024 + 12 * 65536, 'and had no more memory than they may');
ok(wait_for(sub { dropped('timeout') + dropped('overload') == 12 }), 'each is counted') or diag sql('SELECT messages_dropped FROM windtrap.stats');
alter_system($node, 'windtrap.max_inflight' => undef);

# Beyond max_connections they are turned away; the worker has no more descriptors than before.
sub worker { return (worker_pids($node))[0]; }
sub descriptors { my @all = glob '/proc/' . worker() . '/fd/*'; return scalar @all; }
sub open_files { return slurp_file('/proc/' . worker() . '/limits') =~ /^Max open files\s+(\d+)\s+(\d+)/m ? ($1, $2) : die; }
alter_system($node, 'windtrap.max_connections' => 50);
clear();
my $before = descriptors();
my $opened = 0;
for my $round (1 .. 20)
{
	my @all = grep {$_} map { connect_to($round % 2 ? $syslog : $relp) } 1 .. 500;
	$opened += @all;
	my $most = descriptors();
	cmp_ok($most, '<=', $before + 55, "round $round: descriptors are bounded") if $most > $before + 55;
	$_->close for @all;
}
is($opened, 10_000, '10,000 connections');
ok(wait_for(sub { dropped('connections') > 0 && descriptors() <= $before + 5 }), 'most are turned away, all are gone') or diag descriptors(), " $before";
clear();
ok(wait_for(sub { my $c = connect_to($syslog); $c->send("<13>after\n"); $c->close; rows() > 0 }), 'and who comes then is heard');
# Of one address, which is none of this machine's loopback, there are so many.
$tcp->close;
SKIP:
{
	my $probe = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '192.0.2.1', PeerPort => 9);
	my $own = $probe ? $probe->sockhost : '127.0.0.1';
	skip 'this machine has no other address', 2 if $own =~ /^127\./;
	my $wide = free_port();
	alter_system($node, 'windtrap.syslog_listen' => "tcp://$own:$wide, 127.0.0.1:$syslog, relp://127.0.0.1:$relp",
		'windtrap.allowed_senders' => "$own, 127.0.0.1", 'windtrap.max_connections_per_ip' => 3);
	ok(wait_for(sub { intake('syslog_tcp') =~ /\Q$own:$wide\E/ }), 'an address of the network');
	clear();
	my @all = map { connect_to($wide, $own) } 1 .. 7;
	ok(wait_for(sub { sql(q{SELECT connections FROM windtrap.intakes WHERE intake = 'syslog_tcp'}) == 3 && dropped('connections') == 4 }), 'max_connections_per_ip') or diag sql('SELECT * FROM windtrap.intakes');
	$_->close for grep {$_} @all;
	alter_system($node, map { ("windtrap.$_" => undef) } qw(syslog_listen allowed_senders max_connections_per_ip));
}
# The limit on open files is raised for both kinds of connections, and where that cannot be, there are fewer.
SKIP:
{
	skip 'there is no prlimit', 2 if !-x '/usr/bin/prlimit';
	my ($soft, $hard) = open_files();
	my $many = 2000;
	alter_system($node, 'windtrap.max_connections' => $many);
	ok(wait_for(sub { (open_files())[0] >= ($hard < 2 * $many ? $hard : 2 * $many) }), 'the limit on open files is raised');
	my $mark = log_mark($node);
	command('/usr/bin/prlimit', '--pid', worker(), '--nofile=200:200');
	reload($node);
	ok(wait_for(sub { log_since($node, $mark) =~ /holding at most 8 connections of HTTP, and as many of syslog and GELF, not 2000/ }), 'where it cannot be there are fewer connections');
	my @all = grep {$_} map { connect_to($syslog) } 1 .. 30;
	ok(wait_for(sub { sql(q{SELECT connections FROM windtrap.intakes WHERE intake = 'syslog_tcp'}) == 8 && dropped('connections') >= 22 }), 'no more than that are held');
	$_->close for @all;
	alter_system($node, 'windtrap.max_connections' => undef);
	$node->restart;
	ready($port);
}

# HTTP and senders of messages take turns: neither has to wait for all of the other's. A body waits
# for 4 s at most, and storing all that is sent before it takes longer.
clear();
sub slow_down { return sql(q{CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
	CREATE TRIGGER slow AFTER INSERT ON log FOR EACH STATEMENT EXECUTE FUNCTION slow()}); }
slow_down();
my @flood = map { connect_to($syslog) } 1 .. 60;
$_->send(join '', map { "<13>flood $_\n" } 1 .. 1000) for @flood;
ok(wait_for(sub { (split /\|/, counted('syslog_tcp'))[0] == 60_000 && rows() > 2000 }), 'a flood of messages');
my $already = rows();
my $answer = post($port, lines(60), type => 'application/x-ndjson');
is($answer->{status}, 200, 'a body is stored beside it') or diag $answer->{content}, rows();
cmp_ok(rows() - $already, '<', (60_000 - $already) / 2, 'before most of what was there first');
sql('DROP FUNCTION slow CASCADE');
ok(wait_for(sub { rows() == 60_060 }, 60), 'all of these are stored') or diag rows();
$_->close for @flood;
clear();
slow_down();
my @bodies = map {
	my $c = connect_to($port);
	$c->request(lines(1000), headers => ['Content-Type: application/x-ndjson']);
	$c;
} 1 .. 60;
$tcp = connect_to($syslog);
$tcp->send(join '', map { "<13>beside $_\n" } 1 .. 1000);
my $beside = q{SELECT count(*) FROM log WHERE data->'json'->>'message' LIKE 'beside%'};
ok(wait_for(sub { sql($beside) == 1000 }), 'messages are stored beside a flood of bodies') or diag sql($beside);
cmp_ok(rows(), '<', 30_000, 'before most of these');
sql('DROP FUNCTION slow CASCADE');
$_->response(seconds => 30) for @bodies;
$_->close for @bodies;
$tcp->close;

# Bytes that are none of these protocols, or begin as they do; the same ones again with WT_SEED.
my $seed = $ENV{WT_SEED} // int rand 2**31;
srand $seed;
note "WT_SEED=$seed";
my @good = ("<13>Nov 26 10:00:00 vm shop[7]: text\n", "33 <13>1 - vm shop 7 ID [a\@1 k=\"v\"] x", "1 open 14 relp_version=0\n2 syslog 8 <13>good\n3 close 0\n",
	"{\"version\":\"1.1\",\"short_message\":\"s\",\"timestamp\":1700000000.5}\0", Compress::Zlib::memGzip('{"short_message":"s"}'), Compress::Zlib::compress('{"short_message":"s"}'));
my @bad = ("\0" x 5000, "\xFF" x 5000, '<' x 5000, '9' x 5000, '999999999 <13>', "1 open 999999999 x", '4294967295 syslog 4294967295 x', "2 syslog -1 x\n", '<13>' . "\xED\xA0\x80\xF8\xC0" x 100,
	"1 syslog 0\n" x 1000, "\n" x 20000, '{' x 5000, '[' x 5000, "\x1e\x0f", "\x1e\x0f" . 'x' x 8 . "\x00\x80", "\x1e\x0f" . 'x' x 8 . "\x00\x00", "\x16\x03\x01\x02\x00\x01\x00", "GET / HTTP/1.1\r\n\r\n");
for (1 .. 200)
{
	my $bytes = $good[ rand @good ];
	substr($bytes, rand length $bytes, int rand 4) = join '', map { chr int rand 256 } 1 .. int rand 6 for 1 .. 1 + int rand 4;
	push @bad, substr $bytes, 0, 1 + int rand length $bytes;
}
clear();
my ($udp_syslog, $udp_gelf) = (udp($syslog), udp($gelf));
for my $bytes (@bad)
{
	for my $where ($syslog, $relp, $gelf)
	{
		my $c = connect_to($where) or next;
		my $cut = int rand length $bytes;
		$c->send(substr $bytes, 0, $cut);
		$c->send(substr $bytes, $cut);
		$c->close;
	}
	$_->send($bytes) for $udp_syslog, $udp_gelf;
}
ok(wait_for(sub { sql(q{SELECT sum(connections) FROM windtrap.intakes}) == 0 && sql(q{SELECT value FROM windtrap.metrics WHERE name = 'intake_bytes'}) == 0 }, 40), 'bad bytes: nothing is left of them') or diag sql('SELECT * FROM windtrap.intakes');
is(sql(q{SELECT count(*) FROM windtrap.intakes WHERE received <> stored + (CASE WHEN intake = 'relp' THEN received - stored ELSE 0 END)}), 0, 'what was received is stored') or diag sql('SELECT * FROM windtrap.intakes');
is(sql(q{SELECT sum(stored) - (SELECT count(*) FROM log) FROM windtrap.intakes}), 0, 'as many rows as are counted');
is(sql(q{SELECT count(*) FROM log WHERE convert_from(convert_to(data::text, 'UTF8'), 'UTF8') <> data::text}), 0, 'all of it is text');
clear();
udp($syslog)->send('<13>still here');
ok(wait_for(sub { rows() == 1 }), 'afterwards it serves');
unlike(log_since($node, $begin), qr/terminated by signal|PANIC|TRAP/, 'no process has come to harm');
$node->stop;
done_testing();
