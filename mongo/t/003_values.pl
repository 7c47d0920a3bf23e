# What is stored, by MongoDB's own word; documents that others have written, which need not
# be proper; memory, which is given back however often a scan begins or fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../../t";

use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Mongo;

my $mongo = Mongo->new;
my $node = PostgreSQL::Test::Cluster->new('values');
$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
$node->start;
my $port = $mongo->port;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION windtrap_mongo;
CREATE SERVER m FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port '$port');
CREATE USER MAPPING FOR CURRENT_USER SERVER m;
CREATE FOREIGN TABLE n (_id text, x jsonb) SERVER m OPTIONS (database 'd', collection 'n');
CREATE FOREIGN TABLE t (_id int, i2 smallint, i4 int, i8 bigint, f float8, n numeric, u uuid, by bytea, at timestamptz, d date, v varchar, j json, nothing text)
	SERVER m OPTIONS (database 'd', collection 't');
CREATE FOREIGN TABLE docs (_id text, __doc jsonb) SERVER m OPTIONS (database 'd', collection 'docs');
SQL

# Numbers by the kind that MongoDB says they are.
my %kinds = (
	int     => [qw(0 1 -1 2147483647 -2147483648 5.0)],
	long    => [qw(2147483648 1700000000000 9223372036854775807 -9223372036854775808)],
	double  => [qw(0.1 1.10 -0.5 1e60 1e308 0.30000000000000004 1e-300)],
	decimal => [qw(9223372036854775808 0.12345678901234567890 1e309 12345678901234567.89 1234567890123456789012345678901234 1e6000)],
	string  => [qw(12345678901234567890123456789012345 0.1234567890123456789012345678901234567)]);
for my $kind (sort keys %kinds)
{
	for my $number (@{ $kinds{$kind} })
	{
		$node->safe_psql('postgres', "INSERT INTO n VALUES ('$number', '{\"v\": $number}')");
		is($mongo->count('d', 'n', qq({"_id":"$number","x.v":{"\$type":"$kind"}})), 1, "$number is stored as $kind");
	}
}
$node->safe_psql('postgres', q{INSERT INTO t VALUES (1, 1, 1, 1, 1, 1, '01234567-89ab-cdef-0123-456789abcdef', '\x00', now(), now(), 'x', '[1]')});
is($mongo->count('d', 't', '{"_id":{"$type":"int"},"i2":{"$type":"int"},"i4":{"$type":"int"},"i8":{"$type":"long"},"f":{"$type":"double"},
	"n":{"$type":"int"},"u":{"$type":"binData"},"by":{"$type":"binData"},"at":{"$type":"date"},"d":{"$type":"date"},"v":{"$type":"string"},
	"j":{"$type":"array"},"nothing":{"$exists":false}}'), 1, 'the columns of a table are stored as what they are');

# Written by others: deep, doubled, not UTF-8.
PostgreSQL::Test::Utils::system_or_bail('python3', '-c', <<'PYTHON', $mongo->uri);
import sys, struct, pymongo
from bson.raw_bson import RawBSONDocument
collection = pymongo.MongoClient(sys.argv[1]).d.docs
def element(kind, name, value):
    return bytes([kind]) + name + b"\0" + value
def string(text):
    return struct.pack("<i", len(text) + 1) + text + b"\0"
def document(*elements):
    body = b"".join(elements) + b"\0"
    return struct.pack("<i", len(body) + 4) + body
deep = document(element(16, b"n", struct.pack("<i", 1)))
for i in range(150):
    deep = document(element(3, b"d", deep))
for name, *elements in (
        (b"deep", element(3, b"d", deep)),
        (b"double", element(16, b"x", struct.pack("<i", 1)), element(16, b"x", struct.pack("<i", 2))),
        (b"latin", element(2, b"x", string(b"gr\xfc\xdf"))),
        (b"nul", element(2, b"x", string(b"a\0b"))),
        (b"kinds", element(1, b"nan", struct.pack("<d", float("nan"))), element(6, b"undefined", b""),
         element(13, b"code", string(b"f()")), element(14, b"symbol", string(b"s")),
         element(15, b"scoped", struct.pack("<i", 4 + 4 + 4 + 5) + string(b"f()") + document()),
         element(12, b"pointer", string(b"c") + bytes(12)))):
    collection.insert_one(RawBSONDocument(document(element(2, b"_id", string(name)), *elements)))
PYTHON
sub ask
{
	my ($out, $err) = ('', '');
	$node->psql('postgres', $_[0], stdout => \$out, stderr => \$err);
	return $err || $out;
}
is(ask(q{SELECT __doc #>> (array_fill('d'::text, ARRAY[151]) || '{n}'::text[]) FROM docs WHERE _id = 'deep'}), '1', 'a document of 150 levels');
is(ask(q{SELECT __doc FROM docs WHERE _id = 'double'}), '{"x": 2, "_id": "double"}', 'of two members of one name the last');
like(ask(q{SELECT __doc FROM docs WHERE _id = 'latin'}), qr/ERROR: +invalid byte sequence.*_id "latin"/s, 'what is not UTF-8 is an error that names the document');
like(ask(q{SELECT __doc FROM docs WHERE _id = 'nul'}), qr/ERROR: +invalid byte sequence.*_id "nul"/s, 'and so is a NUL');
is(ask(q{SELECT __doc - '_id' FROM docs WHERE _id = 'kinds'}),
	'{"nan": {"$numberDouble": "NaN"}, "code": {"$code": "f()"}, "scoped": {"$code": "f()", "$scope": {}}, "symbol": {"$symbol": "s"}, '
	  . '"pointer": {"$dbPointer": {"$id": {"$oid": "000000000000000000000000"}, "$ref": "c"}}, "undefined": {"$undefined": true}}',
	'what BSON no longer has');

# A database of another encoding: names and values are UTF-8 in MongoDB.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin', <<"SQL");
SET client_encoding = 'UTF8';
CREATE EXTENSION windtrap_mongo;
CREATE SERVER m FOREIGN DATA WRAPPER windtrap_mongo OPTIONS (port '$port');
CREATE USER MAPPING FOR CURRENT_USER SERVER m;
CREATE FOREIGN TABLE l (_id text, "größe" text, j jsonb) SERVER m OPTIONS (database 'd', collection 'latin');
INSERT INTO l VALUES ('ü', 'ß', '{"ä": "ö"}');
SQL
is($mongo->count('d', 'latin', qq({"_id":"\\u00fc","gr\\u00f6\\u00dfe":"\\u00df","j.\\u00e4":"\\u00f6"})), 1, 'LATIN1 is written as UTF-8');
is($node->safe_psql('latin', q{SET client_encoding = 'UTF8'; SELECT * FROM l WHERE _id = 'ü' AND "größe" IN ('ß') AND j->>'ä' = 'ö'}),
	'ü|ß|{"ä": "ö"}', '... and read back');
$mongo->command('d', qq({"insert":"latin","documents":[{"_id":"euro","j":"\\u20ac"}]}));
like((eval { $node->safe_psql('latin', q{SELECT j FROM l WHERE _id = 'euro'}) } // $@), qr/no equivalent in encoding "LATIN1"/,
	'what the encoding does not have is an error');

# Memory: of rescans, of errors in the middle of a scan, of chunks.
my $backend = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $backend->query('SELECT pg_backend_pid()');
sub resident
{
	my ($pages) = slurp_file("/proc/$pid/statm") =~ /^\d+ (\d+)/;
	return $pages * 4;    # kB
}
my $work = <<'SQL';
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT count(*) FROM generate_series(1, 3000) i JOIN t ON t._id = i;
DO $$ BEGIN FOR i IN 1 .. 200 LOOP BEGIN PERFORM __doc FROM docs; EXCEPTION WHEN character_not_in_repertoire THEN NULL; END; END LOOP; END $$;
BEGIN; INSERT INTO docs SELECT 'm' || i, jsonb_build_object('x', repeat('x', 500)) FROM generate_series(1, 20000) i; DELETE FROM docs WHERE _id = 'm1'; ROLLBACK;
TRUNCATE t;
SELECT count(__doc) FROM docs WHERE _id NOT IN ('latin', 'nul', 'x');
SQL
# Not the truncation of what the scans read.
$work =~ s/TRUNCATE t;\n//;
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE docs OPTIONS (ADD on_duplicate $$ignore$$)');
$backend->query($work) for 1 .. 2;
my $before = resident();
$backend->query($work) for 1 .. 4;
my $grown = resident() - $before;
SKIP:
{
	skip 'sanitizers keep what is freed', 1 if $ENV{WT_SANITIZE};
	cmp_ok($grown, '<', 8192, "a session does not grow by what it has done ($grown kB)");
}
$backend->quit;

# A process that gets no more memory: libbson would abort it.
SKIP:
{
	skip 'no prlimit, or a sanitizer', 2 if $ENV{WT_SANITIZE} || !-x '/usr/bin/prlimit';
	$node->safe_psql('postgres', q{CREATE FOREIGN TABLE big (_id int, v text) SERVER m OPTIONS (database 'd', collection 'big');
		INSERT INTO big SELECT i, repeat('x', 5000000) FROM generate_series(1, 8) i});
	my $poor = $node->background_psql('postgres', on_error_stop => 0);
	$poor->query('SELECT count(*) FROM n');
	my $poor_pid = $poor->query('SELECT pg_backend_pid()');
	my ($size) = slurp_file("/proc/$poor_pid/status") =~ /VmSize:\s*(\d+) kB/;
	PostgreSQL::Test::Utils::system_or_bail('prlimit', '--pid', $poor_pid, '--as=' . ($size + 8192) * 1024 . ':unlimited');
	$poor->{stderr} = '';
	$poor->query('SELECT sum(length(v)) FROM big');
	like($poor->{stderr}, qr/ERROR: +out of memory/, 'too little memory is an error');
	PostgreSQL::Test::Utils::system_or_bail('prlimit', '--pid', $poor_pid, '--as=unlimited:unlimited');
	is($poor->query('SELECT sum(length(v)), pg_backend_pid() FROM big'), "40000000|$poor_pid", '... which the session survives');
	$poor->quit;
}

# A backend that is told to end does so while it waits.
$mongo->fail('alwaysOn', commands => ['find'], blockConnection => 1, blockTimeMS => 5000);
my $waiting = $node->background_psql('postgres', on_error_stop => 0);
$pid = $waiting->query('SELECT pg_backend_pid()');
$waiting->query_until(qr/asked/, "\\echo asked\nSELECT * FROM n;\n");
sleep 0.3;
my $begun = time;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
my $until = time + 10;
sleep 0.02 while kill(0, $pid) && time < $until;
cmp_ok(time - $begun, '<', 3, 'pg_terminate_backend ends it in the middle of a wait');
$mongo->heal;
eval { $waiting->quit };

# The server stops at once too.
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'nothing has crashed');
$node->stop('fast');
done_testing();
