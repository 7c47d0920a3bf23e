# ViewerPage.pm
#	The page of events in a browser, as the tests of it use it: what a person sees and does there.
#
# Core Perl and PostgreSQL::Test only.

package ViewerPage;

use strict;
use warnings;

use Compress::Zlib ();
use File::Path ();
use JSON::PP ();
use MIME::Base64 ();
use Test::More;
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;
use WindTrap;
use Browser;
use Viewer;

# The page of a node in a browser of its own.
sub open
{
	my ($class, $node, @options) = @_;
	my $browser = Browser->start({ listen => 1 }, '--lang=en-US', @options);
	my $self = bless {
		node    => $node,
		browser => $browser,
		origin  => 'http://127.0.0.1:' . viewer_port($node) }, $class;

	$browser->resize(1440, 900);
	# What a page should never do is counted from its very beginning on.
	$browser->devtools('Page.addScriptToEvaluateOnNewDocument', source => <<'JS');
window.wrongs = [];
addEventListener("error", (event) => wrongs.push(`error: ${event.message || event.target?.outerHTML}`), true);
addEventListener("unhandledrejection", (event) => wrongs.push(`rejection: ${event.reason?.stack || event.reason}`));
addEventListener("securitypolicyviolation", (event) => wrongs.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
JS
	return $self;
}

sub browser { return $_[0]{browser}; }

# Runs JavaScript in the page, with what the rest of this file uses of it.
my $prelude = <<'JS';
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const visible = (node) => !!node && node.checkVisibility({ visibilityProperty: true });
const frame = () => new Promise(requestAnimationFrame);
const grid = $("[role=grid]");
const rows = () => $$(".row[data-key]", grid);
JS

sub run { my ($self, $script, @arguments) = @_; return $self->{browser}->run($prelude . $script, @arguments); }

sub until
{
	my ($self, $script, $arguments, $seconds) = @_;
	return $self->{browser}->until($prelude . $script, $arguments, $seconds);
}

# A test that what a script gives becomes true.
sub comes
{
	my ($self, $name, $script, $arguments, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $value = $self->until($script, $arguments, $seconds);

	ok($value, $name) or $self->said($name);
	return $value;
}

# Where a test has failed: what there is to be seen.
sub said
{
	my ($self, $name) = @_;
	diag('the page: ' . eval { $self->run('return location.search + "\n" + document.body.innerText.replace(/\s+/g, " ").slice(0, 700) + "\n" + JSON.stringify(window.wrongs.slice(-2)).slice(0, 600)') } // $@);
	$self->picture('failed ' . $name);
	return;
}

# Loads the page in a state, which is its query string, and waits until it has searched.
sub load
{
	my ($self, $state) = @_;
	$self->{browser}->open_page($self->{origin} . '/' . ($state // ''));
	return $self->searched;
}

# Waits until nothing is being searched any more.
sub searched
{
	my ($self, $seconds) = @_;
	return $self->until(<<'JS', [], $seconds // 40);
if (document.body.dataset.view === "overview") return $("#overview")?.children.length > 0;
return grid && grid.ariaBusy === "false" && (visible($("#welcome")) || $("#query").getAttribute("aria-invalid") === "true" ||
	(!$(".plot.stale") && $("#status [role=status]").textContent && !$("#status").classList.contains("running")));
JS
}

# Types a query and searches for it, as one does with the mouse.
sub search
{
	my ($self, $query) = @_;
	$self->{browser}->click('#query');
	$self->{browser}->press([qw(Control a)], ['Backspace'], $query, ['Enter']);
	$self->until('return !visible($("#suggestions")) && $("#query").value === arguments[0]', [$query]);
	return $self->searched;
}

# The keys, time~id, of the rows that are there, from above.
sub keys_seen { return @{ $_[0]->run('return rows().map((row) => row.dataset.key)') }; }

# How many events the page says that it has counted.
sub total { return $_[0]->run('return +/^([\d,]+) event/.exec($("#status [role=status]").textContent)?.[1].replaceAll(",", "")'); }

# Which part of the page's address says something: q, from, to, event …
sub state { return $_[0]->run('return new URLSearchParams(location.search).get(arguments[0])', $_[1]) // ''; }

# Where an element is: its left, top, width and height.
sub place { return @{ $_[0]->run('const box = $(arguments[0]).getBoundingClientRect(); return [box.left, box.top, box.width, box.height]', $_[1]) }; }

# Clicks on the element with a role's name: ('button', 'Live').
sub press_button
{
	my ($self, $name, $within) = @_;
	my $end = time + 5;

	while (1)
	{
		my $found = $self->until(<<'JS', [ $name, $within // 'body' ]);
$$("[data-found]").forEach((node) => node.removeAttribute("data-found"));
const node = $$("button, [role=button], [role=tab], a", $(arguments[1])).find((each) => visible(each) && ((each.getAttribute("aria-label") || each.textContent).trim().startsWith(arguments[0])));
if (node) node.scrollIntoView({ block: "nearest" });
node?.setAttribute("data-found", "");
return !!node;
JS
		die "there is no button $name" if !$found;
		# One that is drawn anew in between has lost its mark.
		return if eval { $self->{browser}->click('[data-found]', 0); 1 };
		die $@ if $@ !~ /no such element|stale element reference/ || time >= $end;
	}
}

# Where pictures go that somebody may want to look at.
sub pictures
{
	my $directory = ($ENV{WT_WORK} // PostgreSQL::Test::Utils::tempdir()) . '/screenshots';
	File::Path::make_path($directory);
	return $directory;
}

sub picture
{
	my ($self, $name) = @_;
	return $self->{browser}->picture(pictures() . '/' . ($name =~ s/[^a-z0-9]+/-/gir) . '.png');
}

# The same in 256 colours, for a document; gives its size.
sub small_picture
{
	my ($self, $name) = @_;
	my $browser = $self->{browser};
	my $file = pictures() . "/$name.png";
	my $window;

	$browser->picture($file);
	$window = $browser->new_window;
	$browser->open_page('about:blank');
	my ($width, $height, $palette, $pixels) = @{ $browser->run(<<'JS', MIME::Base64::encode_base64(slurp_file($file), '')) };
const image = await createImageBitmap(await (await fetch("data:image/png;base64," + arguments[0])).blob());
const { width, height } = image;
const canvas = new OffscreenCanvas(width, height).getContext("2d");
canvas.drawImage(image, 0, 0);
const colours = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer);
const counts = new Map();
for (const colour of colours) counts.set(colour, (counts.get(colour) || 0) + 1);
const parts = (colour) => [colour & 255, colour >> 8 & 255, colour >> 16 & 255];
const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => parts(colour));
const nearest = new Map([...counts.keys()].map((colour) => {
	const [r, g, b] = parts(colour);
	const far = palette.map(([R, G, B]) => (r - R) ** 2 + (g - G) ** 2 + (b - B) ** 2);
	return [colour, far.indexOf(Math.min(...far))];
}));
const lines = new Uint8Array((width + 1) * height);    // each begins with its filter: none
colours.forEach((colour, i) => lines[i + Math.floor(i / width) + 1] = nearest.get(colour));
const packed = new Uint8Array(await new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
return [width, height, palette.flat(), packed.toBase64 ? packed.toBase64() : btoa(packed.reduce((text, byte) => text + String.fromCharCode(byte), ""))];
JS
	my $chunk = sub { return pack('N', length $_[1]) . $_[0] . $_[1] . pack('N', Compress::Zlib::crc32("$_[0]$_[1]")); };
	my $png = "\x89PNG\r\n\x1a\n" . $chunk->('IHDR', pack 'NNCCCCC', $width, $height, 8, 3, 0, 0, 0)
	  . $chunk->('PLTE', pack 'C*', @$palette) . $chunk->('IDAT', MIME::Base64::decode_base64($pixels)) . $chunk->('IEND', '');
	$browser->close_window($window);
	CORE::open my $out, '>:raw', $file or die "$file: $!";
	print $out $png;
	CORE::close $out or die "$file: $!";
	return length $png;
}

# Tests that the page, since it was last asked, has talked to nobody but its server, and that
# neither it nor the browser had anything to complain of.  but: what may be on the console.  There may be
# an answer of 503 too, which a machine that is too slow gives, and after which the page asks again.
sub is_quiet
{
	my ($self, $name, $but) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $heard = $self->{browser}->heard;

	is_deeply([ grep { !/^\Q$self->{origin}\E\// } @{ $heard->{requests} } ], [], "$name: the page asks nobody but its server");
	is_deeply([ grep { !($but && /$but/ || /the server responded with a status of 503/) } @{ $heard->{console} } ], [], "$name: there is nothing on the console");
	is_deeply($self->run('return window.wrongs'), [], "$name: nothing went wrong in the page");
	return;
}

# Tests that nothing is wider than the window.
sub fits
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $wide = $self->run(<<'JS');
if (document.documentElement.scrollWidth <= innerWidth) return [];
return $$("body *").filter((node) => visible(node) && node.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((node) => node.outerHTML.slice(0, 120));
JS
	is_deeply($wide, [], "$name: nothing is wider than the window");
	return;
}

# Tests that all text can be read: its contrast against what is behind it, as WCAG's AA asks for.
sub is_readable
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $pale = $self->run(<<'JS');
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const light = (colour) => { const [r, g, b] = colour.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (node) => { const all = []; for (; node; node = node.parentElement) all.push(rgba(getComputedStyle(node).backgroundColor)); return all.reverse().reduce((under, colour) => over(colour, under), [255, 255, 255, 1]); };
const found = new Set();
for (const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walker.nextNode();) {
	const node = walker.currentNode.parentElement;
	const box = node.getBoundingClientRect();
	if (!walker.currentNode.data.trim() || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || box.width < 2 || box.height < 2 || node.closest(".offscreen, .mirror, :disabled, [aria-disabled=true]")) continue;
	const style = getComputedStyle(node);
	let opacity = 1;
	for (let each = node; each; each = each.parentElement) opacity *= getComputedStyle(each).opacity;
	const back = behind(node);
	const colour = rgba(node instanceof SVGElement ? style.fill : style.color);
	const front = over([colour[0], colour[1], colour[2], colour[3] * opacity], back);
	const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
	const ratio = (a + 0.05) / (b + 0.05);
	const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
	if (ratio < (large ? 3 : 4.45)) found.add(`${ratio.toFixed(2)} ${node.tagName.toLowerCase()}.${node.getAttribute("class") || ""} in .${node.parentElement.getAttribute("class") || ""} "${walker.currentNode.data.trim().slice(0, 30)}"`);
}
return [...found].slice(0, 10);
JS
	is_deeply($pale, [], "$name: all text can be read");
	return;
}

# Tests that a screen reader has a name for everything that can be used.
sub is_named
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $tree = $self->{browser}->devtools('Accessibility.getFullAXTree');
	my %nodes = map { $_->{nodeId} => $_ } @{ $tree->{nodes} };
	my @nameless;

	for my $node (values %nodes)
	{
		next if $node->{ignored};
		my $role = $node->{role}{value} // '';
		push @nameless, $role
		  if $role =~ /^(button|link|textbox|searchbox|combobox|checkbox|radio|tab|grid|tree|treeitem|listbox|option|dialog|menuitem|spinbutton)$/i && ($node->{name}{value} // '') eq '';
	}
	is_deeply(\@nameless, [], "$name: whatever can be used has a name");
	return;
}

sub close { my ($self) = @_; $self->{browser}->stop; return; }

1;
