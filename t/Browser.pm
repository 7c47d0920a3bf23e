# Browser.pm
#	A real Chromium without a window, driven by chromedriver in its own protocol (W3C
#	WebDriver: JSON over HTTP), and small servers of web pages for it.
#
# The browser runs without its sandbox: in containers, and for root, the kernel does not let
# it make one, and the pages that it sees here are the test's own.
#
# Core Perl only.

package Browser;

use strict;
use warnings;

use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();

use PostgreSQL::Test::Utils;

my $json = JSON::PP->new->utf8->allow_nonref;

# What keeps a browser from talking to anybody but the pages of the test.
my @quiet = qw(--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage
  --no-first-run --no-default-browser-check --disable-background-networking
  --disable-component-update --disable-sync --disable-default-apps --disable-extensions
  --disable-breakpad --metrics-recording-only --no-proxy-server);

# Where both programs are; undef: they are not installed.
sub programs
{
	my @found;

	for my $names ([ 'chromedriver', ], [ 'chromium', 'chromium-browser', 'google-chrome' ])
	{
		my ($path) = grep { -x } map { my $name = $_; map { "$_/$name" } split /:/, $ENV{PATH} } @$names;
		return if !$path;
		push @found, $path;
	}
	return @found;
}

# Starts one, with a profile of its own that is empty.  Arguments: more options of Chromium's.
sub start
{
	my ($class, @options) = @_;
	my ($driver, $chromium) = programs() or die 'there is no chromium, or no chromedriver';
	my $home = PostgreSQL::Test::Utils::tempdir_short();    # the path of a socket begins with it
	my $pid = open(my $out, '-|') // die "fork: $!";

	if ($pid == 0)
	{
		# A group of its own, so that it can be ended with all that it has started.
		setpgrp;
		@ENV{qw(HOME TMPDIR XDG_CONFIG_HOME XDG_CACHE_HOME)} = ($home) x 4;
		open STDERR, '>&', \*STDOUT;
		exec $driver, '--port=0' or POSIX::_exit(1);
	}
	my $self = bless {
		pid  => $pid,
		out  => $out,
		http => HTTP::Tiny->new(timeout => 60, proxy => undef) }, $class;
	while (<$out>)
	{
		$self->{port} = $1, last if /started successfully on port (\d+)/;
	}
	die 'chromedriver has not started' if !$self->{port};
	my $session = $self->command('POST', '/session', {
		capabilities => { alwaysMatch => { 'goog:chromeOptions' => {
			binary => $chromium,
			args   => [ @quiet, "--user-data-dir=$home/profile", @options ] } } } });
	$self->{session} = "/session/$session->{sessionId}";
	return $self;
}

# A command of the protocol; gives its value, dies where it fails.
sub command
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, "http://127.0.0.1:$self->{port}$path",
		$method eq 'POST'
		? {	headers => { 'Content-Type' => 'application/json; charset=utf-8' },
			content => $json->encode($body // {}) }
		: {});
	my $value = eval { $json->decode($answer->{content})->{value} };

	die "chromedriver: $method $path: $answer->{status} "
	  . (ref $value eq 'HASH' ? $value->{message} : $answer->{content}) . "\n"
	  if !$answer->{success};
	return $value;
}

# Loads a page.
sub open_page
{
	my ($self, $url) = @_;
	return $self->command('POST', "$self->{session}/url", { url => $url });
}

# Runs the body of a function in the page, waits for the promise that it returns, if it
# does, and gives the value.
sub run
{
	my ($self, $script, @arguments) = @_;
	return $self->command('POST', "$self->{session}/execute/sync", { script => $script, args => \@arguments });
}

# Clicks on the first element that a CSS selector finds.
sub click
{
	my ($self, $selector) = @_;
	my $found = $self->command('POST', "$self->{session}/element", { using => 'css selector', value => $selector });
	return $self->command('POST', "$self->{session}/element/$_/click") for values %$found;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	eval { $self->command('DELETE', $self->{session}) if $self->{session} };
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	close $self->{out};
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);
	$self->stop;
	return;
}

#
# A server of pages, at an address of this machine and a port of its own; its origin is
# another than that of any other port.
#
package Browser::Pages;

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();

# Pages: path => HTML.
sub serve
{
	my ($class, %pages) = @_;
	my $socket = IO::Socket::INET->new(
		Listen    => 20,
		LocalAddr => '127.0.0.1',
		ReuseAddr => 1) or die "listen: $!";
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		$SIG{TERM} = 'DEFAULT';
		while (1)
		{
			my $client = $socket->accept or next;
			# A browser may open a connection and say nothing on it.
			my $child = fork() // next;
			if ($child)
			{
				close $client;
				1 while waitpid(-1, POSIX::WNOHANG()) > 0;
				next;
			}
			alarm 20;
			answer($client, \%pages);
			POSIX::_exit(0);
		}
	}
	return bless { pid => $pid, port => $socket->sockport }, $class;
}

sub answer
{
	my ($client, $pages) = @_;
	my $request = <$client> // return;
	my ($path) = $request =~ /^GET ([^ ?]*)/;
	my $page = defined $path ? $pages->{$path} : undef;
	my $body = $page // 'there is no such page';

	while (my $line = <$client>) { last if $line =~ /^\r?\n/; }
	print $client 'HTTP/1.1 ' . (defined $page ? '200 OK' : '404 Not Found')
	  . "\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
	  . "Connection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	close $client;
	return;
}

sub port { return $_[0]{port}; }

sub origin { return "http://127.0.0.1:$_[0]{port}"; }

sub DESTROY
{
	my ($self) = @_;
	local $?;
	my $pid = delete $self->{pid} or return;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return;
}

1;
