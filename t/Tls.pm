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

our @EXPORT = qw(authority issue install tls_curl tls_client cpu_ticks descriptors);

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

	IPC::Run::run([ 'curl', '-sS', '-m', 20, '-w', "\n%{http_code}", @arguments ],
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
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    return context.wrap_socket(s, server_hostname="localhost", **o)
def https():
    return http.client.HTTPSConnection("localhost", port, timeout=20, context=context)
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

sub cpu_ticks
{
	my @f = split ' ', slurp_file("/proc/$_[0]/stat");
	return $f[13] + $f[14];
}

sub descriptors { return scalar(() = glob "/proc/$_[0]/fd/*"); }

1;
