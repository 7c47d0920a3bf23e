# Tls.pm
#	What the tests of TLS share beside WindTrap.pm: certificates by openssl, requests by
#	curl, and a load client in Python that keeps a ledger.
#
# Core Perl, openssl, curl, and python3 with its standard library only.

package Tls;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use WindTrap;

our @EXPORT = qw(authority issue install tls_curl tls_client tls_load tls_load_over cpu_ticks
  descriptors);

my $dir = PostgreSQL::Test::Utils::tempdir();
my $serial = 0;

sub new_key
{
	my ($name) = @_;
	command('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
		'-out', "$dir/$name.key");
	chmod 0600, "$dir/$name.key";
	return "$dir/$name.key";
}

# A certificate authority; gives the path of its certificate.
sub authority
{
	my ($name) = @_;
	my $key = new_key($name);
	command('openssl', 'req', '-x509', '-new', '-key', $key, '-out', "$dir/$name.crt", '-days', 30,
		'-subj', "/CN=$name", '-addext', 'basicConstraints=critical,CA:TRUE',
		'-addext', 'keyUsage=critical,keyCertSign,cRLSign');
	return "$dir/$name.crt";
}

# A certificate by an authority; gives the paths of certificate and key.  Options: subject,
# usage (serverAuth), from and to (days from now).
sub issue
{
	my ($ca, $name, %o) = @_;
	my $key = new_key($name);
	my $usage = $o{usage} // 'serverAuth';
	my @time = gmtime(time + ($o{to} // 30) * 86400);
	my @from = gmtime(time + ($o{from} // -1) * 86400);
	my $stamp = sub { sprintf '%04d%02d%02d%02d%02d%02dZ', $_[5] + 1900, $_[4] + 1, @_[ 3, 2, 1, 0 ] };

	append_to_file("$dir/$name.ext",
		"[v3]\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=$usage\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n");
	command('openssl', 'req', '-new', '-utf8', '-key', $key, '-out', "$dir/$name.csr",
		'-subj', $o{subject} // '/CN=localhost');
	# Only "openssl ca" takes dates of the past.
	append_to_file("$dir/$name.cnf", <<"CNF");
[ca]
default_ca = d
[d]
database = $dir/$name.index
new_certs_dir = $dir
serial = $dir/$name.serial
default_md = sha256
policy = p
unique_subject = no
string_mask = utf8only
[p]
commonName = optional
organizationName = optional
CNF
	append_to_file("$dir/$name.index", '');
	append_to_file("$dir/$name.serial", sprintf "%06d\n", 1000 + ++$serial);
	command('openssl', 'ca', '-batch', '-notext', '-utf8', '-config', "$dir/$name.cnf", '-cert', $ca,
		'-keyfile', $ca =~ s/crt$/key/r, '-in', "$dir/$name.csr", '-out', "$dir/$name.crt",
		'-extfile', "$dir/$name.ext", '-extensions', 'v3', '-preserveDN',
		'-startdate', $stamp->(@from), '-enddate', $stamp->(@time));
	return ("$dir/$name.crt", "$dir/$name.key");
}

# Puts certificate and key where the server reads them, as a renewal does.
sub install
{
	my ($node, $cert, $key) = @_;
	my $data = $node->data_dir;
	for ([ $cert, 'server.crt', 0644 ], [ $key, 'server.key', 0600 ])
	{
		my ($from, $to, $mode) = @$_;
		open my $out, '>', "$data/$to.new" or die "$to: $!";
		print $out slurp_file($from);
		close $out;
		chmod $mode, "$data/$to.new";
		rename "$data/$to.new", "$data/$to" or die "$to: $!";
	}
	return;
}

# curl; gives "code answer", or what it says went wrong.
sub tls_curl
{
	my (@arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'curl', '-sS', '-m', 20 * $WindTrap::patience, '-w', "\n%{http_code}", @arguments ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	return $err if $out !~ s/\n(\d\d\d)\z// || $1 eq '000';
	return "$1 $out";
}

# A program in Python with a TLS context `context` (which trusts the authority), `port`, and
# connect(); gives what it prints.
sub tls_client
{
	my ($port, $ca, $program) = @_;
	return python('-c', <<"PY" . $program);
import http.client, json, os, socket, ssl, sys, time
port = $port
context = ssl.create_default_context(cafile="$ca")
def connect(**o):
    s = socket.create_connection(("127.0.0.1", port), timeout=20 * $WindTrap::patience)
    return context.wrap_socket(s, server_hostname="localhost", **o)
def https():
    return http.client.HTTPSConnection("localhost", port, timeout=20 * $WindTrap::patience, context=context)
def answer(s):
    "The next answer on a socket: code and body; None: there is none."
    f = s.makefile("rb")
    line = f.readline().decode()
    if not line:
        return None
    length = 0
    while True:
        h = f.readline().decode().strip()
        if not h:
            break
        if h.lower().startswith("content-length:"):
            length = int(h.split(":")[1])
    return int(line.split()[1]), f.read(length).decode()
PY
}

# Starts senders with six connections that stay open and two that are new each time, with a token if one is given; {audit} is
# their ledger.  The end is tls_load_over().
sub tls_load
{
	my ($port, $ca, $token) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my ($ledger, $end) = ("$directory/ledger", "$directory/end");
	my %load = (end => $end, out => '', err => '', audit => bless({ ledger => $ledger, name => 'tls' }, 'WindTrap::Load'));

	$token //= '';
	$load{run} = IPC::Run::start([ 'python3', '-c', <<"PY" ], '<', '/dev/null', '>', \$load{out}, '2>', \$load{err});
import http.client, os, ssl, threading, time
context = ssl.create_default_context(cafile="$ca")
context.check_hostname = False
headers = {"Content-Type": "application/json"}
if "$token":
    headers["Authorization"] = "Bearer $token"
lock = threading.Lock()
ledger = open("$ledger", "w", buffering=1)
opened = 0
def send(number, keep):
    global opened
    c = None
    serial = 0
    while not os.path.exists("$end"):
        serial += 1
        id = "tls-%d-%d" % (number, serial)
        begun = time.time()
        try:
            if c is None:
                c = http.client.HTTPSConnection("127.0.0.1", $port, timeout=10, context=context)
                c.connect()
                with lock:
                    opened += keep
            c.request("POST", "/log", '{"id":"%s"}' % id, headers)
            r = c.getresponse()
            r.read()
            code = r.status
        except Exception as e:
            code = 0
            print(number, serial, repr(e))
            c = None
        with lock:
            ledger.write("%s %d %d\\n" % (id, code, (time.time() - begun) * 1000))
        if not keep and c:
            c.close()
            c = None
        time.sleep(0.002)
threads = [threading.Thread(target=send, args=(i, i < 6)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print("opened", opened)
PY
	return \%load;
}

# Ends them; gives what went wrong and how many connections of those that stay open were opened, and their standard error.
sub tls_load_over
{
	my ($load) = @_;

	append_to_file($load->{end}, '');
	$load->{run}->finish;
	return ($load->{out}, $load->{err});
}

sub cpu_ticks
{
	my @f = split ' ', slurp_file("/proc/$_[0]/stat");
	return $f[13] + $f[14];
}

sub descriptors { return scalar(() = glob "/proc/$_[0]/fd/*"); }

1;
