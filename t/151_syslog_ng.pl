# syslog-ng as a sender: its BSD and its RFC 5424 destinations, by UDP, TCP and TLS with client
# certificates; two workers that share the addresses.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Utils;
use Test::More;
use WindTrap;

my $root = "$ENV{WT_WORK}/other-clients/syslog-ng";
plan skip_all => 'there is no syslog-ng' if !-x "$root/usr/sbin/syslog-ng";

my ($syslog, $tls, $input, $framed) = map { free_port() } 1 .. 4;
my $node = wt_node('syslog_ng', conf => <<"CONF");
windtrap.workers = 2
windtrap.syslog_listen = '127.0.0.1:$syslog'
CONF
my $data = $node->data_dir;
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub stored { return sql("SELECT string_agg(concat_ws('|', windtrap.severity(data), j->>'facility', j->>'host', j->>'app', j->>'procid', j->>'msgid', j->>'message'), ';' ORDER BY j->>'message') FROM (SELECT data, data->'json' AS j FROM log WHERE data->'json'->>'message' LIKE '$_[0]%') AS l"); }

# An authority; what the server shows, and what the sender does.
sub openssl { return command('openssl', @_); }
openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=authority', '-keyout', "$data/ca.key", '-out', "$data/ca.crt");
for ([ 'server', 'localhost' ], [ 'client', 'shop' ])
{
	my ($file, $name) = @$_;
	openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', "/CN=$name", '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', "$data/$file.key", '-out', "$data/$file.csr");
	openssl('x509', '-req', '-days', '2', '-in', "$data/$file.csr", '-CA', "$data/ca.crt", '-CAkey', "$data/ca.key", '-CAcreateserial', '-copy_extensions', 'copy', '-out', "$data/$file.crt");
}
chmod 0600, glob "$data/*.key";

append_to_file("$dir/main.conf", <<"CONF");
\@version: 3.38
options { keep-hostname(yes); frac-digits(6); };
source s_bsd { network(ip("127.0.0.1") port($input) transport("tcp")); };
source s_ietf { syslog(ip("127.0.0.1") port($framed) transport("tcp")); };
log { source(s_bsd); filter { message("bsd udp"); }; destination { network("127.0.0.1" port($syslog) transport("udp") persist-name("bsd udp")); }; };
log { source(s_bsd); filter { message("bsd tcp"); }; destination { network("127.0.0.1" port($syslog) transport("tcp") persist-name("bsd tcp")); }; };
log { source(s_ietf); filter { message("ietf udp"); }; destination { syslog("127.0.0.1" port($syslog) transport("udp") persist-name("ietf udp")); }; };
log { source(s_ietf); filter { message("ietf tcp"); }; destination { syslog("127.0.0.1" port($syslog) transport("tcp") persist-name("ietf tcp")); }; };
log { source(s_ietf); filter { message("ietf tls"); }; destination { syslog("localhost" port($tls) transport("tls") time-reopen(1)
	tls(ca-file("$data/ca.crt") cert-file("$data/client.crt") key-file("$data/client.key") peer-verify(required-trusted))); }; };
CONF
local $ENV{LD_LIBRARY_PATH} = join ':', "$root/usr/lib/syslog-ng", glob("$root/usr/lib/*-linux-gnu"), glob("$root/lib/*-linux-gnu");
my $daemon = IPC::Run::start([ "$root/usr/sbin/syslog-ng", '-F', '--no-caps', '-f', "$dir/main.conf", '-R', "$dir/persist", '-p', "$dir/pid", '-c', "$dir/control", '--module-path', glob("$root/usr/lib/syslog-ng/3*"), '--stderr' ],
	'<', \undef, '>', \my $said, '2>&1', IPC::Run::timeout(120));
ok(wait_for(sub { $daemon->pump_nb if $daemon->pumpable; connect_to($framed) && connect_to($input) }), 'syslog-ng runs') or diag $said;
my ($bsd, $ietf) = (connect_to($input), connect_to($framed));
my $text = "Gr\xC3\xBC\xC3\x9Fe, \xE4\xB8\x96\xE7\x95\x8C \xF0\x9F\x9A\x80";

sub send_ietf
{
	my ($how) = @_;
	my $message = qq{<165>1 2026-11-06T10:16:23.123456+01:00 vm shop 77 ID47 [a\@1 k="v \\"q\\" \\]"] $how $text};
	$ietf->send(length($message) . " $message");
	return;
}
$bsd->send("<132>Nov  6 10:16:23 vm shop[77]: $_ $text\n") for 'bsd udp', 'bsd tcp';
send_ietf($_) for 'ietf udp', 'ietf tcp';
for my $how ('bsd udp', 'bsd tcp', 'ietf udp', 'ietf tcp')
{
	my $expected = $how =~ /bsd/ ? "warning|local0|vm|shop|77|$how $text" : "info|local4|vm|shop|77|ID47|$how $text";
	ok(wait_for(sub { stored($how) ne '' }), "$how: stored") or diag $said;
	is(stored($how), $expected, "$how: as it was sent");
}
is(sql(q{SELECT DISTINCT (data->'json'->'structured_data'->'a@1'->>'k') || to_char(event_timestamp AT TIME ZONE 'UTC', 'HH24:MI:SS.US') FROM log WHERE data->'json'->>'message' LIKE 'ietf%'}),
	'v "q" ]09:16:23.123456', 'RFC 5424: structured data and time');

# By TLS: who has no certificate of the authority is turned away.
alter_system($node, 'windtrap.tls_cert_file' => 'server.crt', 'windtrap.tls_key_file' => 'server.key', 'windtrap.tls_ca_file' => 'ca.crt',
	'windtrap.syslog_listen' => "127.0.0.1:$syslog, tls://127.0.0.1:$tls");
ok(wait_for(sub { sql(q{SELECT count(*) FROM windtrap.intakes WHERE intake = 'syslog_tls' AND state = 'listening'}) == 2 }), 'both workers listen by TLS');
send_ietf('ietf tls');
ok(wait_for(sub { stored('ietf tls') ne '' }), 'ietf tls: stored') or diag $said;
is(stored('ietf tls'), "info|local4|vm|shop|77|ID47|ietf tls $text", 'ietf tls: as it was sent');
is(sql(q{SELECT data->>'source' FROM log WHERE data->'json'->>'message' LIKE 'ietf tls%'}), 'shop', 'whose certificate says who it is');
my $out = '';
eval { IPC::Run::run([ 'openssl', 's_client', '-quiet', '-connect', "127.0.0.1:$tls" ], '<', \"<13>by nobody\n", '>', \$out, '2>&1', IPC::Run::timeout(20)) };
ok(wait_for(sub { sql(q{SELECT count(*) FROM windtrap.stats WHERE (messages_dropped->>'certificate')::int = 1}) > 0 }), 'without a certificate there is nothing to be sent, which is counted');
is(stored('by nobody'), '', 'and nothing is stored');

# Two workers share datagrams and connections, by the sender's port; chunks of GELF meet in one.
my $gelf = free_port();
alter_system($node, 'windtrap.gelf_listen' => "127.0.0.1:$gelf");
ok(wait_for(sub { sql(q{SELECT count(*) FROM windtrap.intakes WHERE intake LIKE 'gelf%' AND state = 'listening'}) == 4 }), 'both listen for GELF');
for my $i (1 .. 40)
{
	my $udp = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $gelf) or die;
	my $json = qq({"version":"1.1","host":"h","short_message":"chunked $i"});
	my $id = sprintf '%08d', $i;
	$udp->send("\x1e\x0f$id\x02\x03" . substr $json, 30);
	$udp->send("\x1e\x0f$id\x00\x03" . substr $json, 0, 10);
	$udp->send("\x1e\x0f$id\x01\x03" . substr $json, 10, 20);
	my $tcp = connect_to($syslog);
	$tcp->send("<13>connection $i\n");
	$tcp->close;
}
ok(wait_for(sub { sql(q{SELECT count(DISTINCT data->'json'->>'short_message') FROM log WHERE data->'json'->>'short_message' LIKE 'chunked%'}) == 40 }), 'chunks: all are put together')
  or diag sql('SELECT * FROM windtrap.intakes');
ok(wait_for(sub { sql(q{SELECT count(*) FROM log WHERE data->'json'->>'message' LIKE 'connection%'}) == 40 }), 'connections: all are heard');
is(sql(q{SELECT string_agg(intake || worker, ',' ORDER BY intake, worker) FROM windtrap.intakes WHERE received > 0 AND intake IN ('gelf_udp', 'syslog_tcp')}), 'gelf_udp1,gelf_udp2,syslog_tcp1,syslog_tcp2', 'by both workers');

# Both move to a narrower address that overlaps the one before.
alter_system($node, 'windtrap.gelf_listen' => "*:$gelf");
ok(wait_for(sub { sql(qq{SELECT count(*) FROM windtrap.intakes WHERE intake LIKE 'gelf%' AND addresses LIKE '0.0.0.0:%'}) == 4 }), 'both listen everywhere');
alter_system($node, 'windtrap.gelf_listen' => "127.0.0.1:$gelf");
ok(wait_for(sub { sql(qq{SELECT count(*) FROM windtrap.intakes WHERE intake LIKE 'gelf%' AND addresses = '127.0.0.1:$gelf' AND state = 'listening'}) == 4 }), 'and on one address again')
  or diag sql('SELECT * FROM windtrap.intakes');
$daemon->signal('TERM');
$daemon->finish;
$node->stop;
done_testing();
