# Browser.pm
#	A real Chromium without a window, driven by chromedriver in its own protocol (W3C
#	WebDriver: JSON over HTTP), and small servers of web pages for it.
#
# What the test does is what a person does: real clicks, keys and drags, which Chromium takes
# for trusted ones.  What the page does can be listened to: its requests, what it says on its
# console, and what its policy has forbidden it.
#
# The browser runs without its sandbox: in containers, and for root, the kernel does not let
# it make one, and the pages that it sees here are the test's own.
#
# Core Perl only.

package Browser;

use strict;
use warnings;

use Encode ();
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(sleep time);

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

# The keys of WebDriver's that are no characters.
my %keys = (
	Backspace => "\x{E003}",
	Tab       => "\x{E004}",
	Enter     => "\x{E007}",
	Shift     => "\x{E008}",
	Control   => "\x{E009}",
	Alt       => "\x{E00A}",
	Escape    => "\x{E00C}",
	PageUp    => "\x{E00E}",
	PageDown  => "\x{E00F}",
	End       => "\x{E010}",
	Home      => "\x{E011}",
	Left      => "\x{E012}",
	Up        => "\x{E013}",
	Right     => "\x{E014}",
	Down      => "\x{E015}",
	Delete    => "\x{E017}");

# Starts one, with a profile of its own that is empty.  Arguments: more options of Chromium's,
# and before them, where what the page does is to be listened to, { listen => 1 }.
sub start
{
	my ($class, @options) = @_;
	my %o = ref $options[0] ? %{ shift @options } : ();
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
		http => HTTP::Tiny->new(timeout => 150, proxy => undef) }, $class;
	while (<$out>)
	{
		$self->{port} = $1, last if /started successfully on port (\d+)/;
	}
	die 'chromedriver has not started' if !$self->{port};
	my $session = $self->command('POST', '/session', {
		capabilities => { alwaysMatch => {
			timeouts             => { script => 120_000 },
			'goog:chromeOptions' => {
				binary => $chromium,
				args   => [ @quiet, "--user-data-dir=$home/profile", @options ] },
			$o{listen} ? ('goog:loggingPrefs' => { browser => 'ALL', performance => 'ALL' }) : () } } });
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

# The same again and again until it gives a true value, also while pages are being loaded; undef:
# it has not after so many seconds.
sub until
{
	my ($self, $script, $arguments, $seconds) = @_;
	my $end = time + ($seconds // 30);

	while (1)
	{
		my $value = eval { $self->run($script, @{ $arguments // [] }) };
		die $@ if !defined $value && $@ =~ /unexpected alert/;
		return $value if $value && !(JSON::PP::is_bool($value) && !$$value);
		if (time >= $end)
		{
			warn $@ if !defined $value && $@;
			return;
		}
		sleep 0.03;
	}
}

# The first element that a CSS selector finds, as WebDriver names it.
sub element
{
	my ($self, $selector) = @_;
	my $found = $self->command('POST', "$self->{session}/element", { using => 'css selector', value => $selector });
	return (values %$found)[0];
}

# Clicks on the first element that a CSS selector finds, waiting for it for so many seconds.  What
# the page draws anew between the finding and the click is found again.
sub click
{
	my ($self, $selector, $seconds) = @_;
	my $end = time + ($seconds // 5);

	while (1)
	{
		my $clicked = eval { $self->command('POST', "$self->{session}/element/" . $self->element($selector) . '/click'); 1 };
		return if $clicked;
		die $@ if $@ !~ /no such element|stale element reference/ || time >= $end;
		sleep 0.03;
	}
}

# Presses keys, one after the other, where the focus is: a text is typed, a reference to a list
# holds what is pressed together: ([qw(Control a)], 'app:shop', ['Enter']).
sub press
{
	my ($self, @strokes) = @_;
	my @actions;

	for my $stroke (@strokes)
	{
		for my $chord (ref $stroke ? $stroke : map { [$_] } split //, $stroke)
		{
			my @pressed = map { $keys{$_} // $_ } @$chord;
			push @actions, map { { type => 'keyDown', value => $_ } } @pressed;
			push @actions, map { { type => 'keyUp',   value => $_ } } reverse @pressed;
		}
	}
	return $self->command('POST', "$self->{session}/actions",
		{ actions => [ { type => 'key', id => 'keyboard', actions => \@actions } ] });
}

# The mouse, at places of the window in CSS pixels: goes to the first one, is pressed there,
# goes on to the others, and is let go.
sub drag
{
	my ($self, $from, @to) = @_;
	my $go = sub { { type => 'pointerMove', duration => $_[1], origin => 'viewport', x => int $_[0][0], y => int $_[0][1] } };

	return $self->pointer($go->($from, 0), { type => 'pointerDown', button => 0 },
		(map { $go->($_, 40) } @to), { type => 'pointerUp', button => 0 });
}

# Moves the mouse there.
sub hover
{
	my ($self, $x, $y) = @_;
	return $self->pointer({ type => 'pointerMove', duration => 0, origin => 'viewport', x => int $x, y => int $y });
}

sub pointer
{
	my ($self, @actions) = @_;
	return $self->command('POST', "$self->{session}/actions",
		{ actions => [ { type => 'pointer', id => 'mouse', parameters => { pointerType => 'mouse' }, actions => \@actions } ] });
}

# Turns the wheel over the first element that a CSS selector finds, by so many pixels.
sub wheel
{
	my ($self, $selector, $pixels) = @_;
	my $element = { 'element-6066-11e4-a52e-4f735466cecf' => $self->element($selector) };

	return $self->command('POST', "$self->{session}/actions",
		{ actions => [ { type => 'wheel', id => 'wheel', actions => [
			{ type => 'scroll', duration => 0, origin => $element, x => 0, y => 0, deltaX => 0, deltaY => $pixels } ] } ] });
}

# A window of its own, which shares no session with the others, and is the one that all
# that follows is about; gives the name of the one before, for show_window.
sub new_window
{
	my ($self) = @_;
	my $before = $self->command('GET', "$self->{session}/window");
	my $window = $self->command('POST', "$self->{session}/window/new", { type => 'tab' });

	$self->show_window($window->{handle});
	return $before;
}

sub show_window
{
	my ($self, $window) = @_;
	$self->command('POST', "$self->{session}/window", { handle => $window });
	return $self->devtools('Page.bringToFront');    # what is hidden is not drawn
}

# Closes the window, and goes back to another.
sub close_window
{
	my ($self, $window) = @_;
	$self->command('DELETE', "$self->{session}/window");
	return $self->show_window($window);
}

sub back    { return $_[0]->command('POST', "$_[0]{session}/back"); }
sub forward { return $_[0]->command('POST', "$_[0]{session}/forward"); }
sub reload  { return $_[0]->command('POST', "$_[0]{session}/refresh"); }
sub cookies { return $_[0]->command('GET',  "$_[0]{session}/cookie"); }

# A command of Chromium's DevTools protocol.
sub devtools
{
	my ($self, $command, %parameters) = @_;
	return $self->command('POST', "$self->{session}/goog/cdp/execute", { cmd => $command, params => \%parameters });
}

# The window's inner size in CSS pixels, and how many of the screen's one of them takes.
sub resize
{
	my ($self, $width, $height, $scale) = @_;
	return $self->devtools('Emulation.setDeviceMetricsOverride',
		width => $width, height => $height, deviceScaleFactor => $scale // 1, mobile => JSON::PP::false);
}

# What the system prefers: light or dark.
sub prefer
{
	my ($self, $scheme) = @_;
	return $self->devtools('Emulation.setEmulatedMedia',
		features => [ { name => 'prefers-color-scheme', value => $scheme } ]);
}

# Whether the browser has a network.
sub offline
{
	my ($self, $offline) = @_;
	$self->devtools('Network.enable');
	return $self->devtools('Network.emulateNetworkConditions',
		offline => $offline ? JSON::PP::true : JSON::PP::false,
		latency => 0, downloadThroughput => -1, uploadThroughput => -1);
}

# Where files go that are downloaded from now on.
sub download_to
{
	my ($self, $directory) = @_;
	return $self->devtools('Browser.setDownloadBehavior', behavior => 'allow', downloadPath => $directory);
}

# What is seen in the window, as a PNG in a file.
sub picture
{
	my ($self, $file) = @_;
	my $png = MIME::Base64::decode_base64($self->command('GET', "$self->{session}/screenshot"));

	open my $out, '>:raw', $file or die "$file: $!";
	print $out $png;
	close $out or die "$file: $!";
	return length $png;
}

# What was heard since it was last asked for, where it listens: the addresses that the pages
# have asked for, and what the console has of warnings and errors, those of the browser's own
# among them (a policy that forbids something, a file that is not there).
sub heard
{
	my ($self) = @_;
	my (@requests, @console);

	for my $entry (@{ $self->command('POST', "$self->{session}/se/log", { type => 'performance' }) })
	{
		my $message = $json->decode(Encode::encode_utf8($entry->{message}))->{message};
		push @requests, $message->{params}{request}{url} if $message->{method} eq 'Network.requestWillBeSent';
		push @requests, $message->{params}{url} if $message->{method} eq 'Network.webSocketCreated';
	}
	for my $entry (@{ $self->command('POST', "$self->{session}/se/log", { type => 'browser' }) })
	{
		push @console, "$entry->{level}: $entry->{message}" if $entry->{level} ne 'INFO' && $entry->{level} ne 'DEBUG';
	}
	# The browser has pages of its own.
	return { requests => [ grep { !/^(chrome|data|blob|about):/ } @requests ], console => \@console };
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
