# Balancer.pm
#	Load balancers of Debian's, with the configurations of examples/high-availability, in front
#	of collectors of the tests' own.
#
# Core Perl and PostgreSQL::Test only.

package Balancer;

use strict;
use warnings;

use FindBin;
use IPC::Run ();

use PostgreSQL::Test::Utils;
use WindTrap;

my $examples = "$FindBin::RealBin/../examples/high-availability";

# The command that runs a program: one that is installed, or what script/bootstrap has unpacked;
# nothing where there is none.
sub find_program
{
	my ($name) = @_;
	my $unpacked = ($ENV{WT_WORK} // "$FindBin::RealBin/../var") . "/balancers/$name";

	for my $path (map { "$_/$name" } '/usr/sbin', '/usr/bin', '/usr/local/sbin')
	{
		return ($path) if -x $path;
	}
	return if !-x "$unpacked/usr/sbin/$name";
	my ($triplet) = map { s{.*/}{}r } glob "$unpacked/usr/lib/*-linux-gnu*";
	$triplet //= '';
	return ('env', "LD_LIBRARY_PATH=$unpacked/usr/lib/$triplet:$unpacked/lib/$triplet", "$unpacked/usr/sbin/$name");
}

# What nginx is to be started with: a configuration of servers, in the foreground, with all of its
# files in a directory.
sub nginx_conf
{
	my ($dir, $servers) = @_;
	return <<"CONF";
daemon off;
master_process off;
pid $dir/pid;
error_log $dir/error.log;
events { }
http {
access_log off;
client_body_temp_path $dir/body;
proxy_temp_path $dir/proxy;
fastcgi_temp_path $dir/fastcgi;
uwsgi_temp_path $dir/uwsgi;
scgi_temp_path $dir/scgi;
$servers
}
CONF
}

# Starts nginx or haproxy in front of two ports, with as little changed in its example as can be;
# undef where there is no such program.  {port} is where it listens.
sub start
{
	my ($class, $name, @ports) = @_;
	my @command = find_program($name) or return;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	my $port = free_port();
	my $conf = slurp_file($name eq 'nginx' ? "$examples/nginx.conf" : "$examples/haproxy.cfg");

	$conf =~ s/10\.0\.0\.$_:8000/127.0.0.1:$ports[$_ - 1]/ or die "$name: server $_" for 1, 2;
	$conf =~ s/(listen |bind )(:?)8080/${1}127.0.0.1:$port/ or die "$name: its port";
	$conf = nginx_conf($dir, $conf) if $name eq 'nginx';
	append_to_file("$dir/conf", $conf);
	append_to_file("$dir/error.log", '');
	push @command, $name eq 'nginx' ? ('-e', "$dir/error.log", '-c', "$dir/conf") : ('-db', '-f', "$dir/conf");
	my $self = bless { port => $port, dir => $dir, out => '' }, $class;
	$self->{running} = IPC::Run::start(\@command, '<', '/dev/null', '>&', "$dir/output");
	return $self if wait_for(sub { http($port, 'GET', '/health', timeout => 5)->{status} == 200 });
	die "$name does not serve: " . $self->said;
}

sub port { return $_[0]{port}; }

# What it has said.
sub said
{
	my ($self) = @_;
	return slurp_file("$self->{dir}/error.log") . (-e "$self->{dir}/output" ? slurp_file("$self->{dir}/output") : '');
}

sub stop
{
	my ($self) = @_;
	return if !$self->{running};
	$self->{running}->signal('TERM');
	$self->{running}->finish;
	delete $self->{running};
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop;
	return;
}

1;
