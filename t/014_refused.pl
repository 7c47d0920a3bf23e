# The record of refused requests, windtrap.refused and windtrap.refused_clients: each refusal
# is there with what is known of it, repeats are one row, it is bounded, nothing in it can
# harm who reads it, readers see whole rows while workers write, and it is in memory alone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use WindTrap;

my $node = wt_node('refused', conf => <<'CONF');
windtrap.max_body_size = '1MB'
windtrap.max_event_size = '4kB'
windtrap.request_timeout = '3s'
CONF
my $port = wt_port($node);

sub query { return $node->safe_psql('postgres', $_[0]); }

# The newest rows that the condition selects, once there are so many of them.
sub refused
{
	my ($where, $n) = @_;
	my $rows;
	wait_for(sub {
			$rows = query("SELECT ip, method, path, status, reason, user_agent, times FROM windtrap.refused WHERE $where");
			return (() = $rows =~ /^/mg) >= ($n // 1);
		}, 5);
	return $rows;
}

# Sends bytes on a connection of their own; gives the answer's code, or 'none'.
sub raw
{
	my ($bytes) = @_;
	my $connection = connect_to($port);
	$connection->send($bytes);
	return ($connection->response // { status => 'none' })->{status};
}

# Many requests on one connection at a time, each answered before the next; gives how many
# were answered 404.
sub many
{
	my ($to, $n, $path, $agent) = @_;
	my $connection;
	my $answered = 0;
	for my $i (1 .. $n)
	{
		$connection //= connect_to($to) or return $answered;
		$connection->request(undef, method => 'GET', path => $path->($i), headers => ["User-Agent: $agent"]);
		my $answer = $connection->response;
		$answered++ if $answer && $answer->{status} == 404;
		undef $connection if !$answer || ($answer->{headers}{connection} // '') =~ /close/i;
	}
	return $answered;
}

#
# What is refused, by whom, for what reason
#
is(query('SELECT count(*) FROM windtrap.refused'), 0, 'nothing was refused yet');
is(query('SELECT count(*) FROM windtrap.refused_clients'), 0, 'nobody was refused yet');
my $head = "POST /log HTTP/1.1\r\nHost: localhost\r\nUser-Agent: raw\r\n";
my @cases = (
	# what, path (has to be of its own), how it is provoked, code, method, reason, user agent
	[ 'another path', '/wp-login.php', sub { http($port, 'GET', '/wp-login.php', agent => 'scanner/1.0')->{status} }, 404, 'GET', 'not_found', 'scanner/1.0' ],
	[ 'no user agent', '/nobody', sub { raw("GET /nobody HTTP/1.1\r\nHost: localhost\r\n\r\n") }, 404, 'GET', 'not_found', '' ],
	[ 'an empty user agent', '/empty', sub { raw("GET /empty HTTP/1.1\r\nHost: localhost\r\nuser-agent:\r\n\r\n") }, 404, 'GET', 'not_found', '' ],
	[ 'another method', '/metrics', sub { http($port, 'DELETE', '/metrics', agent => 'x')->{status} }, 405, 'DELETE', 'method', 'x' ],
	[ 'a method that nobody knows', '/brew', sub { raw("BREW-A-VERY-LONG-POT-OF-COFFEE /brew HTTP/1.1\r\nHost: localhost\r\n\r\n") },
		404, 'BREW-A-VERY-LONG-POT', 'not_found', '' ],
	[ 'bad JSON', '/log', sub { post($port, '{"a":', agent => 'bad')->{status} }, 400, 'POST', 'bad_json', 'bad' ],
	[ 'a large event', '/log', sub { post($port, '"' . 'x' x 5000 . '"', agent => 'large')->{status} }, 413, 'POST', 'event_too_large', 'large' ],
	[ 'a large body', '/log', sub { post($port, ' ' x 2_000_000, agent => 'larger')->{status} }, 413, 'POST', 'body_too_large', 'larger' ],
	[ 'two lengths', '/log', sub { raw("${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}") }, 400,
		# Newer ones of libmicrohttpd refuse it before they tell of the headers.
		mhd_before('1.0.4') ? ('POST', 'malformed_request', 'raw') : ('', 'malformed_request', '') ],
	[ 'half a body', '/log', sub { raw("${head}Content-Length: 9\r\n\r\n{") }, 408, 'POST', 'timeout', 'raw' ],
	[ 'large headers', '/large-head', sub { raw("POST /large-head?token=s HTTP/1.1\r\nHost: localhost\r\nX: " . 'x' x 40_000 . "\r\n\r\n") },
		431, '', 'head_too_large', '' ],
	[ 'a query string', '/q', sub { http($port, 'GET', '/q?token=wt_secret', agent => 'q')->{status} }, 404, 'GET', 'not_found', 'q' ],
	[ 'an escaped query string', '/eq', sub { http($port, 'GET', '/eq%3Ftoken=wt_secret', agent => 'q')->{status} }, 404, 'GET', 'not_found', 'q' ],
	[ 'an absolute URI', '/abs', sub { raw("GET http://user:wt_secret\@localhost/abs?wt_secret HTTP/1.1\r\nHost: localhost\r\n\r\n") },
		404, 'GET', 'not_found', '' ],
	[ 'a long path', '/' . 'p' x 199, sub { http($port, 'GET', '/' . 'p' x 5000, agent => 'u' x 500)->{status} }, 404, 'GET', 'not_found', 'u' x 120 ],
);
for my $case (@cases)
{
	my ($what, $path, $provoke, $code, $method, $reason, $agent) = @$case;
	is($provoke->(), $code, "$what: $code");
	is(refused("path = '$path' AND reason = '$reason'"), "127.0.0.1|$method|$path|$code|$reason|$agent|1", "$what: it is in windtrap.refused");
}
is(query('SELECT count(*) FROM windtrap.refused'), scalar @cases, 'and nothing else is');
is(query('SELECT reason, detail FROM windtrap.refused WHERE detail IS NOT NULL'), 'bad_json|line 1, column 6', 'with the place in bad JSON');
is(query(q{SELECT count(*) FROM windtrap.refused WHERE "time" NOT BETWEEN now() - interval '2 min' AND now()}), 0, 'each with the time');
is(query(q{SELECT array_agg("time") = array_agg("time" ORDER BY "time" DESC) FROM windtrap.refused}), 't', 'the newest first');
is(query(q{SELECT user_agent IS NULL FROM windtrap.refused WHERE path IN ('/nobody', '/empty') ORDER BY path}), "f\nt", 'an empty user agent is not none');
is(query(q{SELECT string_agg(reason || ' ' || count, ', ' ORDER BY reason) FROM windtrap.refused_clients WHERE ip = '127.0.0.1'}),
	'bad_json 1, body_too_large 1, event_too_large 1, head_too_large 1, malformed_request 1, method 1, not_found 8, timeout 1',
	'windtrap.refused_clients counts them');
is(query('SELECT count(*) FROM windtrap.refused_clients WHERE last < first OR (count = 1) <> (first = last)'), 0, 'and says when they came');
is(event($port), 200, 'an event');
is(http($port, 'GET', '/health')->{status}, 200, 'and /health');
is(query('SELECT count(*) FROM windtrap.refused'), scalar @cases, 'are not refused');

#
# What must harm nobody
#
{
	my $agent = "esc\x1B[31m\t\\ \xC3\xA9 \xC2\x9B \xE2\x80\xAE \xFF end";
	is(raw("GET /caf\xC3\xA9/\xFE\xC0\xAF\x7F\\ HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404, 'a path that is no text');
	is(refused(q{path LIKE '/caf%'}), "127.0.0.1|GET|/caf\xC3\xA9/\\xfe\\xc0\\xaf\\x7f\\x5c|404|not_found||1", 'is shown as text');
	raw("GET /agent HTTP/1.1\r\nHost: localhost\r\nUser-Agent: $agent\r\n\r\n");
	my $seen = refused(q{user_agent LIKE '%end'});
	like($seen, qr/\\x09\\x5c \xC3\xA9 \\xc2\\x9b \\xe2\\x80\\xae \\xff end/, 'a user agent with controls of terminals is shown without them')
	  or diag $seen;
	# Each of 200 bytes may be the one where a character is cut.
	for my $n (196 .. 200)
	{
		raw('GET /' . 'y' x $n . "\xF0\x9F\x98\x80" x 3 . " HTTP/1.1\r\nHost: localhost\r\n\r\n");
		my $expected = '/' . 'y' x ($n < 199 ? $n : 199);
		like(refused("path LIKE '/yy%' ORDER BY \"time\" DESC LIMIT 1", 1), qr{^127\.0\.0\.1\|GET\|$expected\|404\|}, "a path is cut between characters, at $n");
	}
	raw('GET /' . 'z' x 195 . "\xF0\x9F\x98\x80\xF0\x9F\x98\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is(refused(q{path LIKE '/zz%'}), '127.0.0.1|GET|/' . 'z' x 195 . "\xF0\x9F\x98\x80|404|not_found||1", 'a character that just fits is kept');
	# In databases of other encodings too.
	query(q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
	query(q{CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'});
	for my $database ('latin', 'ascii')
	{
		$node->safe_psql($database, 'CREATE EXTENSION windtrap');
		is($node->safe_psql($database, q{SELECT path FROM windtrap.refused WHERE path LIKE '/caf%'}), '/caf\xc3\xa9/\xfe\xc0\xaf\x7f\x5c', "in database $database it is ASCII");
	}
}

#
# Repeats, and those that they must not wash out
#
{
	is(many($port, 500, sub { $_[0] % 2 ? '/loop' : '/pool' }, 'loop'), 500, 'two loops of one attacker');
	many($port, 1, sub { '/loop' }, 'other');
	is(refused(q{path IN ('/loop', '/pool') ORDER BY path, user_agent}, 3),
		"127.0.0.1|GET|/loop|404|not_found|loop|250\n127.0.0.1|GET|/loop|404|not_found|other|1\n127.0.0.1|GET|/pool|404|not_found|loop|250",
		'are a row each');
	ok(query(q{SELECT count(*) FROM windtrap.refused WHERE path = '/wp-login.php'}) == 1, 'and wash out nobody');
	my $before = query('SELECT sum(count) FROM windtrap.refused_clients');
	my $seconds = elapsed(sub { is(many($port, 5000, sub { "/wrap/$_[0]" }, 'wrap'), 5000, '5,000 different ones') });
	cmp_ok($seconds, '<', 60, 'in bounded time');
	wait_for(sub { query('SELECT sum(count) FROM windtrap.refused_clients') == $before + 5000 });
	is(query(q{SELECT count(*), count(DISTINCT path), min(substr(path, 7)::int), max(substr(path, 7)::int) FROM windtrap.refused WHERE path LIKE '/wrap/%'}),
		'4096|4096|905|5000', 'of which the last 4,096 are there');
	is(query('SELECT count(*) FROM windtrap.refused'), 4096, 'and no other');
	is(query('SELECT sum(count) FROM windtrap.refused_clients'), $before + 5000, 'all are counted');
	is(query('SELECT array_agg(substr(path, 7)::int) = array_agg(substr(path, 7)::int ORDER BY substr(path, 7)::int DESC) FROM windtrap.refused'), 't', 'the newest first');
}
query('SELECT windtrap.reset_stats()');
is(query('SELECT count(*) FROM windtrap.refused'), 4096, 'reset_stats() leaves them');

#
# Two workers write, and a backend reads in a loop
#
{
	alter_system($node, 'windtrap.workers' => 2);
	ok(wait_for(sub { query(q{SELECT count(*) FROM windtrap.status WHERE kind = 'worker' AND state = 'listening'}) == 2 }), 'two workers');
	my $sum = query(q{SELECT sum(count) FROM windtrap.refused_clients});
	my @children;
	for my $c ('a' .. 'd')
	{
		my $pid = fork() // die;
		if ($pid == 0)
		{
			my $ok = 0;
			# New connections now and then, so that both workers get some.
			$ok += many($port, 100, sub { "/$c/$_[0]/" . $c x ($_[0] % 150) }, $c x (1 + $_[0] % 100)) for 1 .. 20;
			POSIX::_exit($ok == 2000 ? 0 : 1);
		}
		push @children, $pid;
	}
	# Of each row the parts belong together, or it is torn.
	query(q{CREATE FUNCTION torn() RETURNS text LANGUAGE plpgsql AS $$
		DECLARE bad text; n int := 0; until timestamptz := clock_timestamp() + interval '2 s';
		BEGIN
			WHILE clock_timestamp() < until LOOP
				SELECT r::text INTO bad FROM windtrap.refused AS r
				WHERE path ~ '^/[a-d]/' AND (path !~ '^/(.)/[0-9]+/\1*$' OR user_agent !~ ('^' || substr(path, 2, 1) || '+$')
					OR length(path) - length(substring(path FROM '^/./[0-9]+/')) <> substring(path FROM '[0-9]+')::int % 150 OR times < 1
					OR ip <> '127.0.0.1' OR method <> 'GET' OR status <> 404 OR reason <> 'not_found')
				LIMIT 1;
				IF bad IS NOT NULL THEN RETURN bad; END IF;
				n := n + 1;
			END LOOP;
			RETURN CASE WHEN n > 3 THEN 'none' ELSE 'too few looks' END;
		END $$});
	is(query('SELECT torn()'), 'none', 'no row is torn');
	my $failed = 0;
	for (@children) { waitpid $_, 0; $failed++ if $?; }
	is($failed, 0, 'all were answered');
	is(query('SELECT torn()'), 'none', 'nor afterwards');
	my $counted = query('SELECT sum(count) FROM windtrap.refused_clients') - $sum;
	cmp_ok($counted, '<=', 8000, 'none is counted twice');
	# A count is dropped where two workers are in each other's way.
	cmp_ok($counted, '>', 7000, 'nearly all are counted');
	alter_system($node, 'windtrap.workers' => 1);
	ok(wait_for(sub { worker_pids($node) == 1 }), 'one worker');
}

#
# It outlives workers, but not the server's memory
#
{
	many($port, 1, sub { '/before' }, 'x');
	refused(q{path = '/before'});
	my ($pid) = worker_pids($node);
	query("SELECT pg_terminate_backend($pid)");
	ok(wait_for(sub { my ($new) = worker_pids($node); $new && $new != $pid && event($port) == 200 }), 'another worker');
	is(refused(q{path = '/before'}), '127.0.0.1|GET|/before|404|not_found|x|1', 'finds what was there');
	many($port, 1, sub { '/after' }, 'x');
	is(refused(q{path = '/after'}), '127.0.0.1|GET|/after|404|not_found|x|1', 'and goes on');

	for my $times (1 .. 2)
	{
		my ($pid) = worker_pids($node);
		kill 'KILL', $pid;
		ok(wait_for(sub { !kill 0, $pid }), "kill -9, $times");
		ok(wait_for(sub { accepts($node) && ready($port, 1) }), 'the server is back');
		is(query('SELECT count(*) FROM windtrap.refused'), 0, 'its memory is another');
		is(query('SELECT count(*) FROM windtrap.refused_clients'), 0, 'that of clients too');
		many($port, 3, sub { '/crashed' }, 'x');
		is(refused(q{path = '/crashed'}), '127.0.0.1|GET|/crashed|404|not_found|x|3', 'and is used');
	}
}

#
# A worker that reads it itself, in a trigger
#
{
	query(q{CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN NEW.status := (SELECT sum(times) FROM windtrap.refused WHERE path = '/crashed'); RETURN NEW; END $$;
		CREATE TRIGGER look BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION look()});
	is(event($port, 'looks') . event($port, 'looks'), '200200', 'a trigger may read it');
	is(query(q{SELECT DISTINCT status FROM log WHERE data->'json'->>'id' = 'looks'}), 3, 'and sees what is there');
	query('DROP TRIGGER look ON log');
	many($port, 1, sub { '/looked' }, 'x');
	is(refused(q{path = '/looked'}), '127.0.0.1|GET|/looked|404|not_found|x|1', 'it is written to after that');
}

#
# Nothing of it is on disk
#
{
	my $canary = 'cAnArY9753';
	http($port, 'GET', "/$canary", agent => $canary);
	post($port, qq({"a":), path => "/log?$canary", agent => $canary);
	# Statements are logged: none names it.
	my $spelled = join "' || '", split /(?=9)/, $canary;
	like(refused("user_agent = '$spelled'", 2), qr{^127\.0\.0\.1\|GET\|/$canary\|}m, 'a canary');
	query('CHECKPOINT');
	unlike(log_since($node), qr/$canary/, 'is not in the log');
	is(query("SELECT count(*) FROM log WHERE position('$spelled' IN log::text) > 0"), 0, 'nor in the table');
	my $found = `grep -rlF $canary '${\ $node->data_dir}' 2>/dev/null`;
	is($found, '', 'nor anywhere in the data directory');
}
$node->stop;
unlike(log_since($node), qr/PANIC|TRAP/, 'nothing has crashed by itself');

#
# Without preload; and without the memory
#
{
	my $other = wt_node('refused_other', preload => 0, conf => "dynamic_shared_memory_type = mmap\nwindtrap.ring_size = 64\n");
	my $to = wt_port($other);
	my $other_query = sub { return $other->safe_psql('postgres', $_[0]) };
	my $paths = sub { return $other_query->('SELECT string_agg(path, $$ $$ ORDER BY path) FROM windtrap.refused') };
	my $segments = $other->data_dir . '/pg_dynshmem';

	$other_query->('CREATE EXTENSION windtrap');
	chmod 0500, $segments or die;
	$other_query->('SELECT windtrap.start()');
	is(many($to, 2, sub { '/lost' }, 'x'), 2, 'without memory: served');
	is(event($to), 200, 'without memory: events too');
	is($paths->(), '', 'without memory: nothing is remembered');
	is(count_in_log($other, qr/does not remember refused requests: could not /), 1, 'without memory: it is said once');
	$other_query->('SELECT windtrap.stop()');
	chmod 0700, $segments or die;

	$other_query->('SELECT windtrap.start()');
	many($to, 2, sub { "/$_[0]" }, 'x');
	ok(wait_for(sub { $paths->() eq '/1 /2' }), 'started without preload: it is remembered');
	$other_query->('SELECT windtrap.stop()');
	is($paths->(), '/1 /2', 'stopped: it can be read');
	$other_query->('SELECT windtrap.start()');
	many($to, 1, sub { '/3' }, 'x');
	ok(wait_for(sub { $paths->() eq '/1 /2 /3' }), 'started again: it goes on');
	is(scalar(grep { -s > 1_600_000 } glob "$segments/*"), 1, 'in the same memory');
	$other->stop;
	$other->start;
	is($other_query->('SELECT count(*) FROM windtrap.refused'), 0, 'the server was restarted: nothing is left');
	$other->stop;
}
done_testing();
