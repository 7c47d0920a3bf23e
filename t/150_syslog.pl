# Senders that speak no HTTP: syslog by UDP, TCP and RELP, GELF; what is stored of it, what is
# dropped and counted, and that what has been taken is kept until it can be stored.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;

use Compress::Zlib ();
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use WindTrap;

my ($syslog, $relp, $gelf) = (free_port(), free_port(), free_port());
my $node = wt_node('syslog', conf => <<"CONF");
windtrap.syslog_listen = '127.0.0.1:$syslog, relp://127.0.0.1:$relp'
windtrap.gelf_listen = '127.0.0.1:$gelf'
windtrap.request_timeout = '@{[ 2 * $WindTrap::patience ]}s'
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub rows { return sql('SELECT count(*) FROM log'); }
sub clear { sql('TRUNCATE log; SELECT windtrap.reset_stats()'); return; }

sub metric
{
	my ($name, $value) = @_;
	return sql("SELECT value::bigint FROM windtrap.metrics WHERE name = '$name' AND label_value = '$value'");
}

sub udp
{
	my ($port) = @_;
	return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $port) // die;
}

# What became of one message: severity, facility, host, app, procid, msgid, message.
sub stored
{
	my ($bytes) = @_;
	clear();
	udp($syslog)->send($bytes);
	wait_for(sub { rows() == 1 }) or return 'nothing';
	return sql(q{SELECT concat_ws('|', coalesce(j->>'severity', '-'), coalesce(j->>'facility', '-'), coalesce(j->>'host', '-'), coalesce(j->>'app', '-'), coalesce(j->>'procid', '-'), coalesce(j->>'msgid', '-'), j->>'message') FROM (SELECT data->'json' AS j FROM log) AS l});
}

sub time_of { return sql(q{SELECT to_char(event_timestamp AT TIME ZONE 'UTC', 'MM-DD HH24:MI:SS.MS') FROM log}); }

# RFC 5424
is(stored(qq{<165>1 2024-10-11T22:14:15.003Z host.example app 12 ID47 [a\@1 k="v \\"q\\" \\]" l="2"][b] \xEF\xBB\xBFan event}),
	'notice|local4|host.example|app|12|ID47|an event', 'RFC 5424');
is(time_of(), '10-11 22:14:15.003', 'with its own time');
is(sql(q{SELECT data->'json'->>'structured_data' FROM log}), '{"b": {}, "a@1": {"k": "v \"q\" ]", "l": "2"}}', 'and its structured data');
is(sql(q{SELECT concat_ws('|', data->>'protocol', data->>'ip', windtrap.severity(data), windtrap.app(data), windtrap.message(data), windtrap.sender_host(data), data ?| array['path', 'method', 'host', 'headers', 'note']) FROM log}),
	'syslog|127.0.0.1|info|app|an event|host.example|f', 'as all events are looked at');
is(stored('<14>1 - - - - - - '), 'info|user|-|-|-|-|', 'nothing but a priority');
is(stored('<14>1 2024-10-11T22:14:15Z h a 1 m [broken text'), 'info|user|h|-|-|-|a 1 m [broken text', 'structured data that does not end is text');

# RFC 3164 as it is found
my $year = 1900 + (gmtime)[5];
for (
	[ '<132>Nov  6 10:16:23 vm shop[7]: Gr\xFC\xDF', 'warning|local0|vm|shop|7|-|Gr\xFC\xDF' ],
	[ '<132>Nov 26 10:17:24 shop: no host', 'warning|local0|-|shop|-|-|no host' ],
	[ '<134>Nov 26 10:19:40 vm user alice logged in', 'info|local0|vm|-|-|-|user alice logged in' ],
	[ '<134>shop: user alice', 'info|local0|-|shop|-|-|user alice' ],
	[ '<134>2026-11-26T10:09:17Z vm shop[19379]: in', 'info|local0|vm|shop|19379|-|in' ],
	[ '<189>*Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: by console', 'notice|local7|-|%SYS-5-CONFIG_I|-|-|by console' ],
	[ '<0>just text', 'emerg|kern|-|-|-|-|just text' ],
	[ 'no priority: at all', '-|-|-|-|-|-|no priority: at all' ],
	[ '<999>what is it', '-|-|-|-|-|-|<999>what is it' ])
{
	is(stored($_->[0] . "\n"), $_->[1], $_->[0]);
}
is(stored("<13>a\0b\xFFc"), "notice|user|-|-|-|-|a\xEF\xBF\xBDb\xEF\xBF\xBDc", 'what is no text is repaired');
is(stored("<13>Feb 31 10:00:00 h t: m"), 'notice|user|-|-|-|-|Feb 31 10:00:00 h t: m', 'a day that there is not');
stored('<13>' . sql(q{SELECT to_char(now() - interval '1 hour', 'Mon DD HH24:MI:SS')}) . ' h t: m');
is(sql(q{SELECT abs(extract(epoch FROM now() - interval '1 hour' - event_timestamp)) < 30 FROM log}), 't', 'a time without zone is of the collector');

# TCP: counted and in lines, in whatever pieces.
clear();
my $tcp = connect_to($syslog);
$tcp->send("<13>one\n<13>two\r\n<14>1 - h a - - - th");
$tcp->send("ree\n  second line\n11 <13>fo\nur!!9 <13>five\n<13>six\0\n\n<13>se");
ok(wait_for(sub { rows() == 6 }), 'six messages by TCP') or diag rows();
$tcp->close;
ok(wait_for(sub { rows() == 7 }), 'and one that has no end but that of the connection');
is(sql(q{SELECT string_agg(replace(data->'json'->>'message', E'\n', '/'), '|' ORDER BY data->>'id') FROM log}),
	"one|two|three/  second line|fo/ur!!|five|six|se", 'each as it was sent, in order');
is(metric('windtrap_messages_received_total', 'syslog_tcp') || metric('messages_received_total', 'syslog_tcp'), 7, 'they are counted');

# What is hostile is refused, counted, and costs nobody else anything.
clear();
$tcp = connect_to($syslog);
$tcp->send('99999999999 <13>x');
ok($tcp->is_closed(10), 'a count beyond all bounds ends its connection');
$tcp = connect_to($syslog);
$tcp->send('500 <13>x');
ok($tcp->is_closed(15), 'so does a message that is not complete in time');
$tcp = connect_to($syslog);
$tcp->send('<13>' . 'x' x 3_000_000 . "\n<13>after\n");
ok(wait_for(sub { rows() == 2 }), 'a line of 3 MB, and the one after it');
is(sql(q{SELECT string_agg(status || ':' || coalesce(data->'json'->>'message', length(data->>'raw')::text), '|' ORDER BY status) FROM log}), '0:after|422:1048576', 'of which the beginning is in quarantine');
is(metric('messages_dropped_total', 'malformed_request') . metric('messages_dropped_total', 'timeout'), '11', 'and these are counted');
alter_system($node, 'windtrap.allowed_senders' => '192.0.2.0/24');
clear();
ok(wait_for(sub { udp($syslog)->send('<13>x'); metric('messages_dropped_total', 'address') > 0 }), 'who may not send is dropped, and counted');
ok(connect_to($syslog)->is_closed(10), 'and has no connection');
alter_system($node, 'windtrap.allowed_senders' => undef);
ok(wait_for(sub { udp($syslog)->send('<13>x'); rows() > 0 }), 'until he may');

# Datagrams that the kernel drops while the worker does not read are counted, each.
clear();
my ($worker) = worker_pids($node);
my $n = 40000;
my $sender = udp($syslog);
kill 'STOP', $worker;
$sender->send('<13>' . 'x' x 500) for 1 .. $n;
kill 'CONT', $worker;
ok(wait_for(sub { metric('messages_received_total', 'syslog_udp') + metric('messages_dropped_total', 'overload') == $n }, 60), 'every datagram is received or dropped');
ok(metric('messages_dropped_total', 'overload') > 0, 'some are dropped');
ok(wait_for(sub { rows() == metric('messages_received_total', 'syslog_udp') }, 60), 'and those that are received are stored');

# What TCP has taken is kept until the table takes it.
clear();
sql('ALTER TABLE log RENAME TO hidden; CREATE VIEW log AS SELECT 1 AS nothing');
$tcp = connect_to($syslog);
$tcp->send(join '', map { "<13>kept $_\n" } 1 .. 3000);
udp($syslog)->send('<13>kept 3001');
ok(wait_for(sub { metric('messages_received_total', 'syslog_tcp') > 0 }), 'taken while nothing can be stored');
sql('DROP VIEW log; ALTER TABLE hidden RENAME TO log');
ok(wait_for(sub { rows() == 3001 }, 60), 'all is stored when it can be') or diag rows();
is(sql(q{SELECT count(DISTINCT data->'json'->>'message') FROM log}), 3001, 'each once');

# RELP: answered when it is stored.
clear();
my $r = connect_to($relp);
my $says = sub {
	my ($text) = @_;
	return wait_for(sub { $r->fill(0.1); index($r->{buffer}, $text) >= 0 });
};
$r->send("1 open 49 relp_version=0\nrelp_software=test\ncommands=syslog\n");
ok($says->("1 rsp 60 200 OK\nrelp_version=0"), 'RELP: opened') or diag $r->{buffer};
$r->send("2 syslog 7 <13>one\n3 syslog 11 <13>two\nmor\n");
ok($says->("2 rsp 6 200 OK\n3 rsp 6 200 OK\n"), 'RELP: answered');
is(rows(), 2, 'RELP: by then stored');
$r->send("4 close 0\n");
ok($says->("4 rsp 0\n0 serverclose 0\n"), 'RELP: closed');
$r = connect_to($relp);
$r->send("1 syslog 3 abc\n");
ok($r->is_closed(10), 'RELP: nothing without open');

# GELF
clear();
my $json = '{"version":"1.1","host":"h","short_message":"s","level":3,"timestamp":1700000000.5}';
udp($gelf)->send($json);
udp($gelf)->send(Compress::Zlib::memGzip($json));
my $zlib = Compress::Zlib::compress($json);
my $half = int(length($zlib) / 2);
udp($gelf)->send("\x1e\x0f12345678\x01\x02" . substr $zlib, $half);
udp($gelf)->send("\x1e\x0f12345678\x00\x02" . substr $zlib, 0, $half);
my $g = connect_to($gelf);
$g->send("$json\0$json\0");
ok(wait_for(sub { rows() == 5 }), 'GELF: plain, gzip, zlib in chunks, TCP') or diag rows();
is(sql(q{SELECT DISTINCT windtrap.severity(data) || '|' || extract(epoch FROM event_timestamp)::numeric(12, 1) FROM log}), 'error|1700000000.5', 'GELF: level and time');
udp($gelf)->send(Compress::Zlib::memGzip('{"a":"' . 'x' x 40_000_000 . '"}'));
udp($gelf)->send("\x1e\x0fabcdefgh\x00\x02never");
udp($gelf)->send("\x1e\x0fabcdefgh\x07\x02bad");
ok(wait_for(sub { metric('messages_dropped_total', 'body_too_large') == 1 && metric('messages_dropped_total', 'timeout') == 1 && metric('messages_dropped_total', 'malformed_request') == 1 }, 30), 'GELF: a bomb, and what is never complete, are counted');

# Real senders
SKIP:
{
	skip 'there is no logger', 1 if !-x '/usr/bin/logger';
	clear();
	command('/usr/bin/logger', '-n', '127.0.0.1', '-P', $syslog, '-d', '-t', 'shop', '-p', 'local0.warning', "Gr\xC3\xBC\xC3\x9Fe");
	command('/usr/bin/logger', '-n', '127.0.0.1', '-P', $syslog, '-T', '-t', 'shop', '--rfc3164', 'two');
	command('/usr/bin/logger', '-n', '127.0.0.1', '-P', $syslog, '-T', '--octet-count', '-t', 'shop', 'three');
	ok(wait_for(sub { rows() == 3 }), 'logger: three messages') or diag rows();
	is(sql(q{SELECT string_agg(concat_ws(':', data->'json'->>'app', windtrap.severity(data), data->'json'->>'message'), '|' ORDER BY data->>'id') FROM log}),
		"shop:warning:Gr\xC3\xBC\xC3\x9Fe|shop:info:two|shop:info:three", 'logger: as they were logged');
}
SKIP:
{
	my $root = "$ENV{WT_WORK}/syslog-clients/rsyslog";
	my ($libraries) = glob "$root/usr/lib/*/rsyslog";
	skip 'there is no rsyslog', 1 if !$libraries;
	clear();
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $input = free_port();
	PostgreSQL::Test::Utils::append_to_file("$dir/rsyslog.conf", <<"CONF");
global(workDirectory="$dir")
module(load="imudp")
module(load="omrelp")
input(type="imudp" address="127.0.0.1" port="$input")
action(type="omfwd" target="127.0.0.1" port="$syslog" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
action(type="omfwd" target="127.0.0.1" port="$syslog" protocol="udp")
action(type="omrelp" target="127.0.0.1" port="$relp" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList")
CONF
	local $ENV{LD_LIBRARY_PATH} = join ':', glob("$root/usr/lib/*-linux-gnu"), glob("$root/lib/*-linux-gnu");
	my $daemon = IPC::Run::start([ "$root/usr/sbin/rsyslogd", '-n', '-C', '-f', "$dir/rsyslog.conf", '-i', "$dir/pid", '-M', $libraries ], '<', \undef, '>', \my $out, '2>&1');
	my $send = udp($input);
	ok(wait_for(sub { $send->send('<13>Nov 26 10:00:00 vm shop[7]: probe'); rows() >= 3 }), 'rsyslog runs') or diag $out;
	my @n = map { sql("SELECT count(*) FROM log WHERE data->'json'->>'message' ~ 'probe' AND data->'json'->>'app' = 'shop'") } 1;
	ok($n[0] >= 3, 'rsyslog: by TCP, UDP and RELP');
	# The server is killed again and again: what RELP's sender was told is stored, and the rest
	# is sent again.
	for my $round (1 .. 2)
	{
		$send->send("<13>Nov 26 10:00:00 vm shop[7]: ledger $round-$_"), select undef, undef, undef, 0.001 for 1 .. 300;
		kill_group($node);
		$node->start;
		ready(wt_port($node));
	}
	my $count = q{SELECT count(DISTINCT data->'json'->>'message') FROM log WHERE data->'json'->>'message' ~ 'ledger'};
	ok(wait_for(sub { sql($count) == 600 }, 60), 'rsyslog, omrelp: all is there after kill -9') or diag sql($count);
	# A message that the log table refuses, and quarantine too, is given up by rsyslog, and is in nobody's way.
	sql(q{SELECT windtrap.reset_stats(); ALTER TABLE log ADD CONSTRAINT no_poison CHECK (data->'json'->>'message' !~ 'poison' AND coalesce(data->>'raw', '') !~ 'poison') NOT VALID});
	my $of_relp = q{FROM windtrap.intakes WHERE intake = 'relp'};
	$send->send('<13>Nov 26 10:00:00 vm shop[7]: poison');
	ok(wait_for(sub { sql("SELECT dropped $of_relp") eq '1' }), 'rsyslog: a message that is refused') or diag sql('SELECT * FROM windtrap.intakes');
	my $stored = sql("SELECT stored $of_relp");
	ok(wait_for(sub { $send->send('<13>Nov 26 10:00:00 vm shop[7]: antidote'); sql("SELECT stored $of_relp") >= $stored + 3 }, 30), 'rsyslog: goes on behind it');
	is(sql("SELECT dropped $of_relp"), 1, 'rsyslog: and does not send it again');
	sql('ALTER TABLE log DROP CONSTRAINT no_poison');
	$daemon->signal('TERM');
	$daemon->finish;
}

# A stop stores what has been taken.
clear();
$tcp = connect_to($syslog);
$tcp->send(join '', map { "<13>last $_\n" } 1 .. 500);
$node->restart;
ok(ready(wt_port($node)), 'started again');
is(rows(), 500, 'what had been sent before the stop is stored');

# TLS, with the listener's certificate.
SKIP:
{
	skip 'there is no openssl', 2 if !-x '/usr/bin/openssl';
	my $tls = free_port();
	my $data = $node->data_dir;
	command('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', "$data/tls.key", '-out', "$data/tls.crt");
	chmod 0600, "$data/tls.key";
	clear();
	alter_system($node, 'windtrap.tls_cert_file' => 'tls.crt', 'windtrap.tls_key_file' => 'tls.key',
		'windtrap.syslog_listen' => "tls://127.0.0.1:$tls");
	ok(wait_for(sub { connect_to($tls) }), 'TLS is listened for after a reload');
	my $said = '';
	eval { IPC::Run::run([ 'openssl', 's_client', '-quiet', '-no_ign_eof', '-connect', "127.0.0.1:$tls" ], '<', \"<13>by tls\n", '>', \$said, '2>&1', IPC::Run::timeout(20)) };
	ok(wait_for(sub { sql(q{SELECT string_agg(data->'json'->>'message', '|') FROM log}) eq 'by tls' }), 'TLS: stored') or diag $said;
	sql('SELECT windtrap.reset_stats()');
	my ($silent, $plain) = (connect_to($tls), connect_to($tls));
	$plain->send("<13>not by tls\n");
	ok(wait_for(sub { $plain->fill(0.1); $plain->{closed} }), 'TLS: who speaks none is turned away');
	ok($silent->is_closed(15), 'TLS: and so is who does not begin, after request_timeout');
	is(metric('messages_dropped_total', 'malformed_request') . metric('messages_dropped_total', 'timeout'), '11', 'TLS: both are counted');
}
$node->stop;
done_testing();
