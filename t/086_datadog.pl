# Datadog's logs.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Batch;
use Protocol;
use WindTrap;

my $node = wt_node('datadog');
my $port = wt_port($node);

sub clear { return $node->safe_psql('postgres', 'TRUNCATE log'); }

# Real clients.
for my $name (grep { /datadog/ } captures(''))
{
	clear();
	is(replay($port, $name)->{status}, 202, "$name is taken");
	my @rows = rows($node);
	is(scalar @rows, 3, 'three events');
	is($rows[0]{data}{protocol}, 'datadog', 'as what they are');
	is($rows[1]{data}{json}{message}, "Gr\x{fc}\x{df}e, \x{4e16}\x{754c} \x{1f680}", 'with their text');
	is($rows[0]{data}{headers}{'dd-api-key'}, '[redacted]', 'without their key');
}
is((rows($node))[0]{data}{json}{service}, 'shop', 'and their service');

clear();
my $ms = int(time * 1000) - 5000;
is(post($port, qq([{"message":"a","timestamp":$ms,"status":"error"},{"message":"b"}]), path => '/api/v2/logs?ddtags=env:prod')->{content}, '{}', 'an array');
is((rows($node))[0]{time}, $ms * 1000, 'with its own time');
is((rows($node))[0]{data}{args}{ddtags}, 'env:prod', 'and its tags');
is(post($port, '{"message":"c"}', path => '/v1/input')->{status}, 202, 'the old path');
is(post($port, 'plain text', type => 'text/plain', path => '/v1/input')->{status}, 202, 'text');
is(post($port, '[{"message":', path => '/v1/input')->{status}, 400, 'an array that is no JSON is refused');
is(http($port, 'GET', '/api/v1/validate')->{content}, '{"valid":true}', 'while no key is needed, any is valid');

# Keys.
my $token = $node->safe_psql('postgres', "SELECT windtrap.create_token('dd', scope => 'ingest')");
ok(wait_for(sub { http($port, 'GET', '/api/v1/validate')->{status} == 403 }), 'from now on a key is needed');
my $answer = post($port, '[]', path => '/api/v2/logs', headers => { 'DD-API-KEY' => 'wrong' });
is($answer->{status}, 403, 'a wrong key is forbidden');
is(json_of($answer)->{errors}[0]{title}, 'Forbidden', 'in its words');
is(http($port, 'GET', '/api/v1/validate', headers => { 'DD-API-KEY' => $token })->{content}, '{"valid":true}', 'the right one is valid');
clear();
is(post($port, '{"message":"in the path"}', path => "/v1/input/$token?service=x")->{status}, 202, 'a key in the path');
is(row_of($node)->{data}{path}, '/v1/input/' . '*' x length $token, 'is stored with stars');
is(post($port, '{}', path => '/v1/input/wrong-key')->{status}, 403, 'a wrong one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM windtrap.refused WHERE path LIKE '%wrong-key%'}), 0, 'is not remembered either');

done_testing();
