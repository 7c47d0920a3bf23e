# Mongo.pm
#	Real MongoDB servers for the tests: started, stopped, killed, frozen, made to fail.
#
#	my $mongo = Mongo->new;                       one node, no authentication
#	my $mongo = Mongo->new(replica_set => 'rs0'); a replica set of one node
#	    nodes => 3                                ... of three
#	    auth => 1                                 needs user 'admin', password Mongo::PASSWORD
#	    tls => 1                                  requires TLS; see Mongo->certificates
#
#	$mongo->port                                  of its (first) node, on 127.0.0.1
#	$mongo->uri                                   for drivers, with the administrator's password
#	$mongo->command('db', '{"ping":1}')           runs a command; gives the reply, dies on error
#	$mongo->try_command(...)                      ... gives {error, code} on error
#	$mongo->find('db', 'c', '{"a":1}')            documents that match, at most 100,000
#	$mongo->count('db', 'c', '{}')
#	$mongo->fail('alwaysOn', commands => ['insert'], errorCode => 91)     the failpoint failCommand
#	$mongo->fail({times => 1}, commands => ['getMore'], closeConnection => 1)
#	$mongo->heal                                  ends it
#	$mongo->stop  $mongo->start  $mongo->kill9    all nodes; data and port are kept
#	$mongo->freeze  $mongo->thaw                  SIGSTOP, SIGCONT
#
# Commands and filters are JSON texts (MongoDB's extended JSON), because the order of a
# command's members matters.  Replies are what JSON::PP makes of relaxed extended JSON.
# A write that must survive kill9 needs "writeConcern":{"j":true}, or a replica set.
# The server is the one that script/bootstrap fetched, named by WT_MONGOD.

package Mongo;

use strict;
use warnings;

use FindBin;
use File::Basename qw(dirname);
use IPC::Open2;
use IPC::Run ();
use JSON::PP ();
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

use constant PASSWORD => 'p/a@s:s%w?o#r d';

my $serial = 0;
my $json = JSON::PP->new->utf8->canonical;
my $here = dirname(__FILE__);
my %running;    # pids

sub new
{
	my ($class, %o) = @_;
	my $mongod = $ENV{WT_MONGOD} // '';
	-x $mongod or die "there is no MongoDB at '$mongod'; run script/bootstrap";

	my $self = bless { %o, mongod => $mongod, nodes => $o{nodes} // 1 }, $class;
	# Short, because the path of a socket must be.
	$self->{dir} = PostgreSQL::Test::Utils::tempdir_short();
	$serial++;
	my $host = $o{tls} ? 'localhost' : '127.0.0.1';
	$self->{host} = $host;
	for my $n (0 .. $self->{nodes} - 1)
	{
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my $data = "$self->{dir}/m$serial-$n";
		mkdir $data or die "$data: $!";
		push @{ $self->{members} }, { port => $port, data => $data };
	}
	if ($o{auth} && $o{replica_set})
	{
		$self->{key} = "$self->{dir}/key$serial";
		open my $out, '>', $self->{key} or die $!;
		print $out 'windtrapwindtrapwindtrap';
		close $out;
		chmod 0600, $self->{key};
	}
	$self->certificates if $o{tls};
	$self->start;
	if ($o{replica_set})
	{
		my @members = map { qq({"_id":$_,"host":"$host:$self->{members}[$_]{port}"}) }
		  0 .. $self->{nodes} - 1;
		$self->command('admin',
			qq({"replSetInitiate":{"_id":"$o{replica_set}","members":[)
			  . join(',', @members)
			  . '],"settings":{"electionTimeoutMillis":1000,"heartbeatIntervalMillis":200}}}',
			direct => 1, anonymous => 1);
		$self->await_primary(anonymous => 1);
	}
	if ($o{auth})
	{
		my $password = $json->encode([PASSWORD]);
		$password =~ s/^\[|\]$//g;
		$self->command('admin',
			qq({"createUser":"admin","pwd":$password,"roles":["root"],)
			  . '"mechanisms":["SCRAM-SHA-1","SCRAM-SHA-256"]}', anonymous => 1);
	}
	return $self;
}

sub port { return $_[0]{members}[ $_[1] // 0 ]{port}; }
sub host { return $_[0]{host}; }

# host:port of all nodes, separated by commas.
sub hosts { my ($self) = @_; return join ',', map { "$self->{host}:$_->{port}" } @{ $self->{members} }; }

sub uri
{
	my ($self, %o) = @_;
	my @options;
	my $who = '';

	if ($self->{auth} && !$o{anonymous})
	{
		(my $password = PASSWORD) =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;
		$who = "admin:$password@";
		push @options, 'authSource=admin';
	}
	push @options, "replicaSet=$self->{replica_set}" if $self->{replica_set} && !$o{direct};
	push @options, 'directConnection=true' if $o{direct};
	push @options, 'tls=true', "tlsCAFile=$self->{ca}", "tlsCertificateKeyFile=$self->{client_pem}"
	  if $self->{tls};
	my $hosts = $o{direct} ? "$self->{host}:" . $self->port($o{node}) : $self->hosts;
	return "mongodb://$who$hosts/?" . join('&', @options);
}

# Starts what is not running; returns when every node accepts connections.
sub start
{
	my ($self) = @_;
	for my $m (@{ $self->{members} })
	{
		next if $m->{pid};
		my @command = (
			$self->{mongod},
			'--dbpath', $m->{data}, '--port', $m->{port},
			'--bind_ip', '127.0.0.1', '--unixSocketPrefix', $m->{data},
			'--logpath', "$m->{data}/log", '--logappend',
			'--pidfilepath', "$m->{data}/pid",
			'--wiredTigerCacheSizeGB', '0.25',
			'--setParameter', 'enableTestCommands=1',
			'--setParameter', 'diagnosticDataCollectionEnabled=false',
			'--syncdelay', '1', '--fork');
		push @command, '--replSet', $self->{replica_set}, '--oplogSize', '64'
		  if $self->{replica_set};
		push @command, $self->{key} ? ('--keyFile', $self->{key}) : '--auth' if $self->{auth};
		push @command, '--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', $self->{server_pem},
		  '--tlsCAFile', $self->{ca}, '--tlsAllowConnectionsWithoutCertificates',
		  '--setParameter', 'authenticationMechanisms=SCRAM-SHA-1,SCRAM-SHA-256,MONGODB-X509'
		  if $self->{tls};
		my $out = '';
		IPC::Run::run(\@command, '<', '/dev/null', '>', \$out, '2>&1')
		  or die "mongod did not start: $out; its log is $m->{data}/log";
		($m->{pid}) = PostgreSQL::Test::Utils::slurp_file("$m->{data}/pid") =~ /(\d+)/;
		$running{ $m->{pid} } = 1;
	}
	$self->await_primary if $self->{replica_set} && $self->{initiated};
	return;
}

sub await_primary
{
	my ($self, %o) = @_;
	my $until = time + 30;

	while (time < $until)
	{
		my $hello = $self->try_command('admin', '{"hello":1}', %o, fast => 1);
		if ($hello->{isWritablePrimary})
		{
			$self->{initiated} = 1;
			return;
		}
		sleep 0.05;
	}
	die 'the replica set has no primary';
}

sub signal
{
	my ($self, $signal) = @_;
	kill $signal, map { $_->{pid} // () } @{ $self->{members} };
	return;
}

sub freeze { return $_[0]->signal('STOP'); }
sub thaw   { return $_[0]->signal('CONT'); }
sub kill9  { return $_[0]->end('KILL'); }
sub stop   { return $_[0]->end('TERM'); }

sub end
{
	my ($self, $signal) = @_;
	my $until = time + 30;

	$self->signal('CONT') if $signal ne 'KILL';
	$self->signal($signal);
	for my $m (@{ $self->{members} })
	{
		my $pid = delete $m->{pid} or next;
		# It is not our child any more, so it cannot be waited for.
		while (kill 0, $pid)
		{
			time < $until or die "mongod $pid does not end";
			sleep 0.02;
		}
		delete $running{$pid};
	}
	return;
}

my ($admin_in, $admin_out, $admin_pid);

sub admin
{
	my ($line) = @_;
	if (!$admin_pid)
	{
		my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
		$admin_pid = open2($admin_out, $admin_in, $python, "$here/mongo_admin.py");
	}
	print $admin_in "$line\n";
	$admin_in->flush;
	my $answer = readline $admin_out;
	defined $answer or die 'mongo_admin.py has ended; is python3-pymongo installed?';
	return $json->decode($answer);
}

# Options: direct (to one node, whatever its state), node (which), anonymous.
sub try_command
{
	my ($self, $database, $command, %o) = @_;
	my $uri = $self->uri(%o);
	$command =~ s/\s*\n\s*/ /g;
	return admin(qq({"uri":) . JSON::PP->new->allow_nonref->encode($uri)
		  . qq(,"database":"$database","command":$command}));
}

sub command
{
	my ($self, @arguments) = @_;
	my $reply = $self->try_command(@arguments);
	die "MongoDB: $reply->{error}" if exists $reply->{error};
	return $reply;
}

sub find
{
	my ($self, $database, $collection, $filter, $sort) = @_;
	$filter //= '{}';
	$sort //= '{"_id":1}';
	my $reply = $self->command($database,
		qq({"find":"$collection","filter":$filter,"sort":$sort,"batchSize":100000,"singleBatch":true}));
	return @{ $reply->{cursor}{firstBatch} };
}

sub count
{
	my ($self, $database, $collection, $filter) = @_;
	$filter //= '{}';
	my $reply = $self->command($database, qq({"aggregate":"$collection",
		"pipeline":[{"\$match":$filter},{"\$count":"n"}],"cursor":{}}));
	return ($reply->{cursor}{firstBatch}[0] // { n => 0 })->{n};
}

# The failpoint failCommand: mode is 'alwaysOn' or a hash ({times => 1}, {skip => 2});
# data as MongoDB has it: errorCode, closeConnection, blockConnection, blockTimeMS,
# writeConcernError, namespace; commands is short for failCommands.
sub fail
{
	my ($self, $mode, %data) = @_;
	$data{failCommands} = delete $data{commands};
	for my $flag (qw(closeConnection blockConnection))
	{
		$data{$flag} = JSON::PP::true if $data{$flag};
	}
	my $text = JSON::PP->new->allow_nonref->canonical->encode($mode);
	$self->command('admin', qq({"configureFailPoint":"failCommand","mode":$text,"data":)
		  . JSON::PP->new->canonical->encode(\%data) . '}', direct => 1);
	return;
}

sub heal
{
	my ($self) = @_;
	$self->command('admin', '{"configureFailPoint":"failCommand","mode":"off"}', direct => 1);
	return;
}

# Makes an authority and certificates: {ca}, {server_pem} for localhost and 127.0.0.1,
# {client_pem} with subject CN=client,OU=tests,O=windtrap, {other_ca}, whom nobody trusts.
sub certificates
{
	my ($self) = @_;
	my $d = $self->{dir};
	my $run = sub {
		my $out = '';
		IPC::Run::run([@_], '<', '/dev/null', '>', \$out, '2>&1') or die "@_: $out";
	};

	for my $name (qw(ca other_ca))
	{
		$run->('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
			'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', "/CN=$name",
			'-keyout', "$d/$name.key", '-out', "$d/$name.crt");
		$self->{$name} = "$d/$name.crt";
	}
	my %subject = (server => '/O=windtrap/OU=servers/CN=localhost', client => '/O=windtrap/OU=tests/CN=client');
	for my $name (qw(server client))
	{
		$run->('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
			'-nodes', '-subj', $subject{$name}, '-keyout', "$d/$name.key", '-out', "$d/$name.csr");
		open my $out, '>', "$d/$name.ext" or die $!;
		print $out "subjectAltName=DNS:localhost,IP:127.0.0.1\n" if $name eq 'server';
		print $out "extendedKeyUsage=${name}Auth\n";
		close $out;
		$run->('openssl', 'x509', '-req', '-in', "$d/$name.csr", '-CA', "$d/ca.crt", '-CAkey',
			"$d/ca.key", '-CAcreateserial', '-days', '30', '-extfile', "$d/$name.ext",
			'-out', "$d/$name.crt");
		open my $pem, '>', "$d/$name.pem" or die $!;
		print $pem PostgreSQL::Test::Utils::slurp_file("$d/$name.key"),
		  PostgreSQL::Test::Utils::slurp_file("$d/$name.crt");
		close $pem;
		chmod 0600, "$d/$name.pem";
		$self->{"${name}_pem"} = "$d/$name.pem";
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->kill9;
	return;
}

END
{
	# A test that died must leave nothing running.
	local $?;
	kill 'KILL', keys %running;
	if ($admin_pid)
	{
		close $admin_in;
		waitpid $admin_pid, 0;
	}
}

1;
