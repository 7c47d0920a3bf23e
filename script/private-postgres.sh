# shellcheck shell=bash
# Functions shared by the scripts beside this file: find a PostgreSQL, make a
# private copy of it, build and install windtrap there, run clusters from it.
#
# PostgreSQL finds its lib and share directories relative to its binaries.  So a
# copied bin/ beside symlinks to everything else is a full server of its own, and
# `make install` reaches only the copy: the system's PostgreSQL stays as it is.
#
# Everything is made in one work directory, $WT_WORK:
#   src/     a copy of the sources, and what is built from them
#   stage/   the private PostgreSQL
#   run/     the cluster of script/run, kept from run to run
#   log/     what the servers and the tests said

# The MongoDB server that the tests run against; see script/bootstrap.
MONGOD_VERSION=6.0.5

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The one that Debian's packages are for; another may come first on the path.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

# The newest PostgreSQL on this machine that extensions can be built for;
# PG_MAJOR picks another, PG_CONFIG one that is not a Debian package.
find_pg_config() {
	local config
	if [[ -n ${PG_CONFIG:-} ]]; then
		command -v "$PG_CONFIG"
		return
	fi
	while read -r config; do
		if [[ -e $("$config" --includedir-server)/postgres.h ]]; then
			echo "$config"
			return
		fi
	done < <(compgen -G "/usr/lib/postgresql/${PG_MAJOR:-*}/bin/pg_config" | sort -rV)
	return 1
}

# An own directory per checkout, major version and kind of build, so that none
# of them meets the object files of another.
choose_work_directory() {
	local root=$1 owner=$2 kind
	kind=$("$(find_pg_config)" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
	[[ -z ${WT_SANITIZE:-} ]] || kind+=-sanitize
	# script/analyse's: another build of the same version.
	[[ -z ${WT_KIND:-} ]] || kind+=-$WT_KIND
	# The postgres user cannot read below /root, and make cannot live with odd paths.
	if ((EUID == 0)) || [[ $root =~ [^[:alnum:]/._+-] ]]; then
		echo "/var/tmp/windtrap-$owner/$(basename "$root" | tr -c '[:alnum:]\n' _)-$(cksum <<<"$root" | cut -d' ' -f1)/$kind"
	else
		echo "$root/var/$kind"
	fi
}

# Where the mongod of the tests is, and whether it is there yet or not: of whatever
# version is wanted, see script/bootstrap, and for all work directories in one place.
choose_mongod() {
	local work
	work=$(choose_work_directory "$1" "$2")
	if [[ $work == /var/tmp/* ]]; then
		work=${work%/*/*}
	else
		work=${work%/*}
	fi
	echo "$work/mongod-$MONGOD_VERSION/mongod"
}

# Anybody may write in /var/tmp: make the user's directory there, and use nothing that
# somebody else has put in its place.
claim_directory() {
	local user=$1 top=/var/tmp/windtrap-$1
	[[ -e $top || -L $top ]] || install -d -o "$user" "$top"
	[[ ! -L $top && $(stat -c %U "$top") == "$user" ]] ||
		die "$top belongs to somebody else; remove it and try again"
}

# Brings $2 up to date with the sources in $1, keeping what was built there:
# times are kept, so make rebuilds what changed; files that vanished are removed.
# The rest of the arguments is a prefix for the commands that write.
copy_sources() {
	local from=$1 to=$2 list
	shift 2
	list=$(mktemp)
	(
		cd "$from" || exit
		{
			{ [[ -e .git ]] && git ls-files -coz --exclude-standard 2>/dev/null; } ||
				find . \( -path ./.git -o -path ./var \) -prune -o ! -type d -printf '%P\0'
		} | LC_ALL=C sort -zu | while IFS= read -r -d '' file; do
			# git also lists what was deleted and not yet committed.
			[[ ! -e $file ]] || printf '%s\0' "$file"
		done
	) >"$list"
	"$@" mkdir -p "$to"
	tar -C "$from" --no-recursion --null --verbatim-files-from -T "$list" -c |
		"$@" tar -C "$to" --no-same-owner -x
	if [[ -e $to.list ]]; then
		LC_ALL=C comm -z13 "$list" "$to.list" | (cd "$to" && "$@" xargs -r0 rm -f --)
	fi
	"$@" tee "$to.list" <"$list" >/dev/null
	rm -f "$list"
}

# copy_fetched ROOT WORK NAME [PREFIX …]: what script/bootstrap has put into var/NAME, once.
copy_fetched() {
	local root=$1 work=$2 name=$3
	shift 3
	if [[ -e $root/var/$name/complete && ! -e $work/$name/complete ]]; then
		tar -C "$root/var" -c "$name" | "$@" tar -C "$work" --no-same-owner -x
	fi
}

# Goes on with the calling script inside the work directory.  PostgreSQL refuses
# to run as root; root's part therefore is done by the postgres user.
enter_work_directory() {
	local root script user without fetched as=() options=()
	script=$(realpath "$0")
	root=$(dirname "$(dirname "$script")")
	if [[ -n ${WT_WORK:-} && $root == "$WT_WORK/src" ]]; then
		cd "$root" || exit
		return
	fi

	[[ ${script##*/} != test ]] || options=(--test)
	# A MongoDB server is fetched for those who use one.
	without=${WT_WITHOUT_MONGO:-}
	case "${script##*/} ${1:-}" in
	"test " | "test mongo" | "test tap") ;;
	*) [[ " $* " == *" --mongo "* ]] || without=1 ;;
	esac
	WT_WITHOUT_MONGO=$without "$root/script/bootstrap" "${options[@]}"
	user=$( ((EUID)) && id -un || echo postgres)
	WT_WORK=$(choose_work_directory "$root" "$user")
	WT_MONGOD=$(choose_mongod "$root" "$user")
	export WT_WORK WT_MONGOD
	umask 022
	# setpriv, not runuser: it leaves no parent behind that would cut short the
	# clean-up after a signal.
	((EUID)) || as=(setpriv --reuid postgres --regid postgres --init-groups env "HOME=$WT_WORK")
	[[ $WT_WORK != /var/tmp/* ]] || claim_directory "$user"
	# postgres may not be allowed to be where root is.
	cd /
	copy_sources "$root" "$WT_WORK/src" "${as[@]}"
	# What script/bootstrap has fetched is not of the sources.
	[[ ! -d $root/var/npm ]] ||
		tar -C "$root/var" -c npm | "${as[@]}" tar -C "$WT_WORK" --no-same-owner -x
	if [[ -e $root/var/clients/stamp ]] && ! cmp -s "$root/var/clients/stamp" "$WT_WORK/clients/stamp"; then
		"${as[@]}" rm -rf "$WT_WORK/clients"
		tar -C "$root/var" -c clients | "${as[@]}" tar -C "$WT_WORK" --no-same-owner -x
	fi
	for fetched in elastic-clients other-clients syslog-clients balancers; do
		copy_fetched "$root" "$WT_WORK" "$fetched" "${as[@]}"
	done
	exec "${as[@]}" "$WT_WORK/src/${script#"$root"/}" "$@"
}

# The caller's settings for psql and locale would change what is tested.
clean_environment() {
	local name
	while read -r name; do
		[[ $name == PG_* ]] || unset "$name"
	done < <(compgen -v PG)
	export LC_ALL=C.UTF-8
}

# Makes $WT_WORK/stage, unless it is there and as new as what it was made from.
stage_postgres() {
	local config stage=$WT_WORK/stage bin dir stamp
	config=$(find_pg_config)
	bin=$("$config" --bindir)
	stamp=$(
		cksum <"${BASH_SOURCE[0]}"
		ls -l --time-style=full-iso "$bin"
		find "$("$config" --pkglibdir)" "$("$config" --sharedir)" | sort | cksum
		[[ -z ${WT_VALGRIND:-} ]] || suppressions "$config" | xargs -d '\n' cksum
	)
	STAGED_CONFIG=$stage$bin/pg_config
	export PATH="$stage$bin:$PATH"
	mkdir -p "$WT_WORK/log" "$WT_WORK/sanitizer" "$WT_WORK/valgrind"
	[[ $(cat "$stage/stamp" 2>/dev/null) != "$stamp" ]] || return 0

	say "staging a private copy of $("$config" --version)"
	rm -rf "$stage"
	mkdir -p "$stage$bin"
	# Copies: through a symlink the server would find its way back to the original.
	cp -a "$bin/." "$stage$bin"
	for dir in "$("$config" --pkglibdir)" "$("$config" --sharedir)"; do
		mkdir -p "$stage$dir"
		cp -rs "$dir/." "$stage$dir"
	done
	rm -rf "$stage$("$config" --pkglibdir)/bitcode"
	for dir in "$("$config" --includedir)" "$("$config" --includedir-server)" "$("$config" --localedir)"; do
		if [[ ! -e $stage$dir ]]; then
			mkdir -p "$(dirname "$stage$dir")"
			ln -s "$dir" "$stage$dir"
		fi
	done
	# A windtrap that the system has must not stand in for the one under test.
	find "$stage" -name 'windtrap*' -type l -delete
	[[ -z ${WT_SANITIZE:-} ]] || wrap_server_for_sanitizer "$stage$bin"
	[[ -z ${WT_VALGRIND:-} ]] || wrap_server_for_valgrind "$stage$bin" "$config"
	echo "$stamp" >"$stage/stamp"
}

# A server that was not built with the sanitizer must have its runtime preloaded.
# That is done for the server alone, by a wrapper: psql and the shells are spared.
# The first's reports go to files, the second's to the server's log; abort makes
# the postmaster see a crash.
wrap_server_for_sanitizer() {
	local bin=$1
	mv "$bin/postgres" "$bin/postgres.real"
	# The runtime wakes at the first malloc.  If a library's constructor makes that
	# one in bindtextdomain, with libc's lock held, the runtime calls gettext in its
	# turn and the lock is never free again.  So it is woken before all constructors.
	# The other runtime would read its options at its first report only, when the
	# server has written its process title over the environment.
	gcc -shared -fPIC -O0 -Wl,-z,initfirst -o "$bin/wake.so" -x c - <<-WAKE
		#include <stdlib.h>
		__attribute__((constructor)) static void wake(void) { free(malloc(1)); }
		const char *__ubsan_default_options(void)
		{ return "print_stacktrace=1:abort_on_error=1"; }
	WAKE
	cat >"$bin/postgres" <<-WRAPPER
		#!/bin/bash
		export LD_PRELOAD='$(gcc -print-file-name=libasan.so) $bin/wake.so $(gcc -print-file-name=libubsan.so)'
		export ASAN_OPTIONS='detect_leaks=0:abort_on_error=1:log_path=$WT_WORK/sanitizer/asan'
		# Under the wrapper's name, by which pg_ctl restart starts it again.
		exec -a '$bin/postgres' '$bin/postgres.real' "\$@"
	WRAPPER
	chmod 755 "$bin/postgres"
}

# What memcheck shall not report: PostgreSQL's list, which comes with its sources, and ours.
suppressions() { printf '%s\n' "$("$1" --sharedir)/valgrind.supp" "$PWD/test/valgrind.supp"; }

# Memcheck beneath the postmaster and all that it forks; psql, the shells and what makes a cluster are
# spared.  Findings go to files.  No --error-exitcode: a backend that ends by 2 makes the postmaster
# restart all others, in the middle of what they might find.
wrap_server_for_valgrind() {
	local bin=$1 config=$2 file copy options=()
	mv "$bin/postgres" "$bin/postgres.real"
	while read -r file; do
		copy=$bin/$(cksum <"$file" | cut -d ' ' -f 1).supp
		cp "$file" "$copy"
		options+=("--suppressions='$copy'")
	done < <(suppressions "$config")
	# A program finds its installation by argv[0], and pg_ctl restart starts what that was: it must be
	# the wrapper, and valgrind would give the name of what it runs.  The library is loaded into the shell
	# that Debian's valgrind is, too, and leaves that alone; what the server starts shall not have it.
	gcc -shared -fPIC -O1 -Wall -Werror -o "$bin/name.so" -x c - <<-NAME
		#include <stdlib.h>
		#include <string.h>
		static char name[] = "$bin/postgres"; /* the server writes its title over it */
		__attribute__((constructor)) static void take_name(int argc, char **argv)
		{
			if (argc == 0 || strcmp(argv[0], "$bin/postgres.real") != 0)
				return;
			argv[0] = name;
			unsetenv("LD_PRELOAD");
		}
	NAME
	# A file for each process, which no later process with the same number begins anew.
	cat >"$bin/postgres" <<-WRAPPER
		#!/bin/bash
		case \${1:-} in
		--boot | --single | --check | --describe-config | -V | --version)
			exec -a '$bin/postgres' '$bin/postgres.real' "\$@" ;;
		esac
		export LD_PRELOAD='$bin/name.so' WT_STARTED=\$EPOCHREALTIME
		exec valgrind --quiet --leak-check=no --track-origins=yes --num-callers=30 --error-limit=no \\
			--gen-suppressions=all --vgdb=no --fair-sched=try ${options[*]} \\
			--log-file='$WT_WORK/valgrind/%q{WT_STARTED}-%p' '$bin/postgres.real' "\$@"
	WRAPPER
	chmod 755 "$bin/postgres"
}

# Builds, and installs in the stage.  Without bitcode, which only the JIT uses.
build_windtrap() {
	local options=(-s "PG_CONFIG=$STAGED_CONFIG" with_llvm=no)
	[[ -z ${WT_SANITIZE:-} ]] ||
		options+=('COPT=-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1')
	# As optimized as usual, whatever that server is: gcc warns of other things otherwise.
	[[ -z ${WT_KIND:-} ]] || options+=('COPT=-O2')
	local have_mongoc=1
	pkg-config --exists libmongoc-1.0 || pkg-config --exists mongoc2 || have_mongoc=
	[[ $have_mongoc ]] || say "without windtrap_mongo: there is no libmongoc"
	say "building${WT_SANITIZE:+ with the address and undefined-behaviour sanitizers}"
	(
		flock 9 # two scripts at once must not build over each other
		make "${options[@]}" -j"$(nproc)"
		[[ ! $have_mongoc ]] || make -C mongo "${options[@]}" -j"$(nproc)"
		# What is not a symlink is ours; remove what an earlier version installed.
		find "$WT_WORK/stage" -type f ! -path "${STAGED_CONFIG%/*}/*" ! -path "$WT_WORK/stage/stamp" -delete
		make "${options[@]}" install
		[[ ! $have_mongoc ]] || make -C mongo "${options[@]}" install
	) 9<"$WT_WORK"
}

# start_mongod DATA [OPTION ...]: a MongoDB of its own for the caller, without
# authentication, on a free port of 127.0.0.1; sets mongo_port.
start_mongod() {
	local data=$1
	shift
	mkdir -p "$data"
	mongo_port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	"$WT_MONGOD" --dbpath "$data" --port "$mongo_port" --bind_ip 127.0.0.1 \
		--unixSocketPrefix "$data" --logpath "$data/log" --logappend --pidfilepath "$data/pid" \
		--wiredTigerCacheSizeGB 0.25 --setParameter enableTestCommands=1 \
		--setParameter diagnosticDataCollectionEnabled=false --syncdelay 1 \
		--fork "$@" >"$data.start" ||
		{ tail -n 5 "$data.start" "$data/log" >&2; die "MongoDB did not start"; }
}

stop_mongod() {
	local pid
	pid=$(cat "$1/pid" 2>/dev/null) && [[ -n $pid ]] || return 0
	kill "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

# init_cluster DATA: only its owner can reach the socket, so no password is needed.
init_cluster() {
	initdb -D "$1" -U postgres -A trust -E UTF8 --no-instructions -N >"$WT_WORK/log/initdb.log" ||
		{ cat "$WT_WORK/log/initdb.log" >&2; die "initdb failed"; }
}

# start_cluster DATA SOCKET_DIRECTORY LOG [SETTING=VALUE ...]
start_cluster() {
	local data=$1 sockets=$2 log=$3 setting options
	shift 3
	options="-c listen_addresses='' -c unix_socket_directories='$sockets'"
	for setting in "$@"; do
		options+=" -c $setting"
	done
	pg_ctl -D "$data" -l "$log" -o "$options" -w -s start ||
		{ tail -n 30 "$log" >&2; die "the server did not start; its log is $log"; }
}

# A server that does not stop when asked is a bug of ours; say so, but stop it.
stop_cluster() {
	[[ -e $1/postmaster.pid ]] || return 0
	pg_ctl -D "$1" -m fast -t "${PGCTLTIMEOUT:-30}" -s stop && return 0
	pg_ctl -D "$1" -m immediate -s stop || true
	echo "${0##*/}: the server had to be stopped the hard way" >&2
	return 1
}
