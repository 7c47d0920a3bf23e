# shellcheck shell=bash
# Functions shared by the tests beside this file, which script/package runs as root, each in a
# chroot that has just been made, without a network: commands are taken from the documents as
# they stand there, and packages from /packages, and of before from /packages/before.

say() { printf '   %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

[[ -e /etc/windtrap-package ]] || die "this installs and removes packages: script/package runs it in a chroot"

# The version of PostgreSQL that Debian has here.  An image has installed its packages.
major=
if [[ -d /packages ]]; then
	major=$(cd /packages && echo postgresql-*-windtrap_*.deb)
	major=${major#postgresql-}
	major=${major%%-*}
fi

# block FILE SECTION LANGUAGE NUMBER: the text of that fenced block beneath that heading.
block() {
	local text
	text=$(awk -v section="$2" -v language="$3" -v number="$4" '
		/^ *```/ { if (fenced) fenced = 0; else { fenced = 1; wanted = here && $0 ~ "```" language "$" && ++found == number; next } }
		!fenced && /^#+ / { title = $0; sub(/^#+ /, "", title); here = title == section }
		fenced && wanted' "/windtrap/$1")
	[[ $text ]] || die "$1 has no block $4 of $3 in \"$2\""
	# The documents speak of Debian 12.
	sed "s/\<15\>/$major/g" <<<"$text"
}

# run_block FILE SECTION NUMBER: commands of a shell.  One that fails ends the test.
run_block() {
	local commands
	commands=$(block "$1" "$2" sh "$3") || exit
	printf '%s\n' "$commands" | sed 's/^/   $ /'
	bash -euo pipefail -c "$commands"
}

# run_sql_block FILE SECTION NUMBER [DATABASE [USER]]
run_sql_block() {
	local statements
	statements=$(block "$1" "$2" sql "$3") || exit
	printf '%s\n' "$statements" | sed 's/^/   # /'
	sql "$statements" "${@:4}"
}

# sql STATEMENTS [DATABASE [CLUSTER]]: as a superuser, each by itself.
sql() {
	runuser -u postgres -- psql -XAtq ${3:+--cluster "$3"} -d "${2:-postgres}" -v ON_ERROR_STOP=1 <<<"$1"
}

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || die "waited in vain for: $*"
		sleep 0.2
	done
}

# is WHAT IS SHOULD_BE
is() {
	[[ $2 == "$3" ]] || die "$1: it is '$2' and should be '$3'"
	say "ok: $1"
}

# A package of the server's starts the cluster that it makes; systemd does that, or the init
# script.  Without either nobody does.
start_cluster() {
	pg_lsclusters -h | grep -q "^$major *main .* online" || pg_ctlcluster "$major" main start
}
