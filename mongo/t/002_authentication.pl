# Who we are and whom we talk to: SCRAM, X.509, TLS with its certificates; and that a
# password is seen by nobody, whatever it holds and whatever fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../../t";

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Mongo;

my $mongo = Mongo->new(replica_set => 'rs0', auth => 1, tls => 1);
my $node = PostgreSQL::Test::Cluster->new('authentication');
$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
# Whatever is logged, no password may be in it; but for the statement that sets it.
$node->append_conf('postgresql.conf', "log_min_messages = debug1\nlog_statement = none\nlog_min_error_statement = panic\n");
$node->start;
my $password = Mongo::PASSWORD;
my $port = $mongo->port;
my $subject = 'CN=client,OU=tests,O=windtrap';

$mongo->command('admin', qq({"createUser":"one","pwd":"$password","roles":["root"],"mechanisms":["SCRAM-SHA-1"]}));
$mongo->command('admin', qq({"createUser":"sha256","pwd":"$password","roles":["root"],"mechanisms":["SCRAM-SHA-256"]}));
$mongo->command('admin', qq({"createUser":"reader","pwd":"$password","roles":[{"role":"read","db":"d"}]}));
$mongo->command('d', qq({"createUser":"local","pwd":"$password","roles":["readWrite"]}));
$mongo->command('$external', qq({"createUser":"$subject","roles":[{"role":"readWrite","db":"d"}]}));
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION windtrap_mongo;
CREATE SERVER m FOREIGN DATA WRAPPER windtrap_mongo
	OPTIONS (address 'localhost', port '$port', replica_set 'rs0', ssl 'true', ca_file '$mongo->{ca}',
		server_selection_timeout_ms '1500', connect_timeout_ms '1000', read_preference 'primary', write_concern 'majority');
CREATE USER MAPPING FOR CURRENT_USER SERVER m;
CREATE FOREIGN TABLE t (_id int, v text) SERVER m OPTIONS (database 'd', collection 't');
SQL

# What a query says as the user that the options name; "ok", or its errors.
sub as
{
	my ($options, $sql) = @_;
	my ($out, $err) = ('', '');
	$node->safe_psql('postgres', "DROP USER MAPPING FOR CURRENT_USER SERVER m;
		CREATE USER MAPPING FOR CURRENT_USER SERVER m OPTIONS ($options)");
	$node->psql('postgres', $sql // q{INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING; SELECT 'ok' FROM t LIMIT 1},
		stdout => \$out, stderr => \$err, extra_params => ['-v', 'VERBOSITY=verbose']);
	unlike("$out$err", qr/\Q$password\E|wrong\/pass/, 'no password in what is said');
	return $err =~ /ERROR/ ? $err : $out;
}

sub server { return $node->safe_psql('postgres', "ALTER SERVER m OPTIONS ($_[0])"); }

my $quoted = $password =~ s/'/''/gr;
is(as("username 'admin', password '$quoted'"), 'ok', 'whatever suits the server, with a password of every kind of character');
is(as("username 'one', password '$quoted', auth_mechanism 'SCRAM-SHA-1'"), 'ok', 'SCRAM-SHA-1');
is(as("username 'sha256', password '$quoted', auth_mechanism 'SCRAM-SHA-256'"), 'ok', 'SCRAM-SHA-256');
like(as("username 'sha256', password '$quoted', auth_mechanism 'SCRAM-SHA-1'"), qr/28000/, '... not with the other mechanism');
like(as("username 'admin', password 'wrong/pass\@word'"), qr/28000/, 'a wrong password');
like(as("username 'nobody', password 'wrong/pass\@word'"), qr/28000/, 'an unknown user');
like(as("username 'admin'"), qr/28000/, 'a user without a password');
like(as("password 'x'"), qr/28000/, 'a password without a user');
like(as("auth_mechanism 'SCRAM-SHA-256'"), qr/28000/, 'a mechanism without either');
like(as("auth_mechanism 'MONGODB-X509'"), qr/28000/, 'X.509 without a certificate');
# What may upset a library: the backend must live.
for my $odd (qq(\x01), 'é', "\x{c8}\x{a1}", "\x{e2}\x{80}\x{8e}", 'x' x 5000, '%s%n', ',=,=n,')
{
	for my $mechanism ('SCRAM-SHA-1', 'SCRAM-SHA-256')
	{
		my $name = length $odd > 20 ? 'a long one' : $odd;
		like(as("username 'admin', password '$odd', auth_mechanism '$mechanism'"), qr/ERROR/, "password $name, $mechanism");
		like(as("username '$odd', password '$odd', auth_mechanism '$mechanism'"), qr/ERROR/, "user $name, $mechanism");
	}
}
like(as("password_required 'true'"), qr/ERROR: +42501/, 'nobody: not authorised');
like(as("username 'reader', password '$quoted'"), qr/ERROR: +42501/, 'not authorised to write');
is(as("username 'reader', password '$quoted'", q{SELECT 'ok' FROM t LIMIT 1}), 'ok', '... but to read');
like(as("username 'local', password '$quoted'"), qr/28000/, 'a user of another database');
server("ADD authentication_database 'd'");
is(as("username 'local', password '$quoted'"), 'ok', '... whom authentication_database finds');
server('DROP authentication_database');

# A client certificate.
server("ADD pem_file '$mongo->{client_pem}'");
is(as("auth_mechanism 'MONGODB-X509'"), 'ok', 'X.509, by the subject of the certificate');
is(as("auth_mechanism 'MONGODB-X509', username '$subject'"), 'ok', '... or by its name');
server("SET pem_file '$mongo->{ca}'");
like(as("username 'admin', password '$quoted'"), qr/ERROR.*certificate and key/s, 'a file without a key');
server("SET pem_file '/nowhere'");
like(as("username 'admin', password '$quoted'"), qr/ERROR.*certificate and key/s, 'a file that is not there');
server('DROP pem_file');

# The server's certificate.
my $admin = "username 'admin', password '$quoted'";
server("SET ca_file '$mongo->{other_ca}'");
like(as($admin), qr/ERROR.*certificate.*not accepted/s, 'a server of an authority that is not trusted');
server("ADD weak_cert_validation 'true'");
is(as($admin), 'ok', '... unless it is told not to look');
server('DROP weak_cert_validation, DROP ca_file');
like(as($admin), qr/ERROR.*certificate.*not accepted/s, 'nor is it one that the system trusts');
server("ADD ca_file '/nowhere'");
like(as($admin), qr/ERROR.*certificate authorities/s, 'no authorities');
server("SET ca_file '$mongo->{ca}'");
server("SET address '127.0.0.1', DROP replica_set");
is(as($admin), 'ok', 'an IP address that the certificate has');
server("SET address '127.0.0.2'");
like(as($admin), qr/ERROR/, 'an address where nobody is');
server("SET address 'localhost', ADD replica_set '" . 'x' x 1000 . "'");
like(as($admin), qr/ERROR: +08001/, 'a replica set of a long name');
server("SET replica_set 'other'");
like(as($admin), qr/ERROR: +08001/, 'a replica set of another name');
server("SET ssl 'false', DROP replica_set");
like(as($admin), qr/ERROR/, 'a server that wants TLS');
server("DROP address, DROP port");
server("DROP ssl");
server("ADD uri 'mongodb://localhost:$port/?replicaSet=rs0&tls=true'");
is(as($admin), 'ok', 'the same by a connection string');

# Retryable writes of a replica set: a connection that breaks is no matter.
$mongo->fail({ times => 1 }, commands => ['insert'], closeConnection => 1);
is(as($admin, q{INSERT INTO t SELECT i, 'retried' FROM generate_series(100, 199) i; SELECT count(*) FROM t WHERE v = 'retried'}),
	'100', 'an insert whose connection breaks is done again, once');
$mongo->fail({ times => 1 }, commands => ['find'], closeConnection => 1);
is(as($admin, q{SELECT count(*) FROM t WHERE v = 'retried'}), '100', 'and so is a query');
$mongo->heal;

# A server that accepts a connection and then does not shake hands.
$mongo->freeze;
my $begun = time;
like(as($admin, q{SET statement_timeout = 500; SELECT * FROM t}), qr/ERROR: +57014/, 'waiting for TLS can be cancelled');
cmp_ok(time - $begun, '<', 4, '... at once');
$mongo->thaw;
is(as($admin), 'ok', 'and thawed');

# A write concern that is not met: stored, but not as was asked for.
server("SET write_concern '3'");
like(as($admin, q{INSERT INTO t VALUES (500, 'unsafe')}), qr/ERROR: +40003.*stored nevertheless/s, 'too few servers for the write concern');
server("SET write_concern 'majority'");
is(as($admin, q{DELETE FROM t WHERE _id = 500 RETURNING v}), 'unsafe', '... and the document is there');

# A user who is no superuser has to bring what he authenticates with.
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE u LOGIN;
GRANT USAGE ON FOREIGN SERVER m TO u;
GRANT SELECT ON t TO u;
CREATE USER MAPPING FOR u SERVER m OPTIONS (username 'reader', password '$quoted');
SQL
is($node->safe_psql('postgres', 'SET ROLE u; SELECT count(*) FROM t'), '101', 'a user with his own name and password');
is($node->safe_psql('postgres', q{SET ROLE u; SELECT umoptions IS NULL FROM pg_user_mappings WHERE usename = 'postgres'}), 't',
	'who does not see those of others');
# A view is read as its owner.
$node->safe_psql('postgres', 'CREATE VIEW w AS SELECT * FROM t; GRANT SELECT ON w TO u; DROP USER MAPPING FOR u SERVER m');
is($node->safe_psql('postgres', 'SET ROLE u; SELECT count(*) FROM w'), '101', "a view is read as its owner");

my $explain = $node->safe_psql('postgres', 'EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM t');
unlike($explain, qr/\Q$password\E|admin/, 'EXPLAIN shows no credentials');
unlike(slurp_file($node->logfile), qr/\Q$password\E|wrong\/pass/, 'nor does the log');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'nothing has crashed');
$node->stop;
done_testing();
