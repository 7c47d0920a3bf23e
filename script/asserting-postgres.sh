# shellcheck shell=bash
# Beside private-postgres.sh, for script/analyse: builds a PostgreSQL with assertions out of
# Debian's source package, once for all work directories.
#
# --enable-cassert brings MEMORY_CONTEXT_CHECKING (what is written past an allocation's end) and
# CLOBBER_FREED_MEMORY.

# build_asserting_postgres ROOT: sets ASSERTING_CONFIG, its pg_config.
build_asserting_postgres() {
	local root=$1 user work major top as=()
	user=$( ((EUID)) && id -un || echo postgres)
	major=$("$(find_pg_config)" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
	work=$(choose_work_directory "$root" "$user")
	# In its path must be "postgres": without it what is installed would be in other directories.
	if [[ $work == /var/tmp/* ]]; then top=${work%/*/*}; else top=${work%/*}; fi
	top+=/postgresql-$major-assertions
	# shellcheck disable=SC2034 # the caller's
	ASSERTING_CONFIG=$top/install/bin/pg_config
	((EUID)) || as=(setpriv --reuid postgres --regid postgres --init-groups env "HOME=$top")
	[[ $top != /var/tmp/* ]] || claim_directory "$user"
	"${as[@]}" mkdir -p "$top"
	(
		cd "$top" || exit
		flock 9 # two scripts at once must not build over each other
		[[ ! -e complete ]] || exit 0
		export -f say fetch_source compile_postgres
		# shellcheck disable=SC2016 # the inner shell's
		"${as[@]}" bash -euo pipefail -c 'fetch_source "$1"; compile_postgres "$1"; : >complete' - "$major" || {
			tail -n 20 build.log >&2
			die "PostgreSQL with assertions could not be built; $top/build.log says why"
		}
	) 9<"${top%/*}"
}

# Into source/, by lists of packages of its own: the system's may name no sources.  Debian's
# archive for security does not keep all of them, so that an earlier version is good enough.
fetch_source() {
	local major=$1 file version options
	[[ ! -e source/configure ]] || return 0
	say "fetching the sources of postgresql-$major"
	rm -rf apt postgresql-* source
	mkdir -p apt/lists/partial apt/cache/archives/partial apt/parts
	for file in /etc/apt/sources.list.d/*.sources; do
		[[ ! -e $file ]] || sed 's/^Types: .*/Types: deb-src/' "$file" >"apt/parts/${file##*/}"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ ! -e $file ]] || sed -n 's/^deb /deb-src /p' "$file" >"apt/parts/${file##*/}"
	done
	[[ ! -e apt/parts/sources.list ]] || mv apt/parts/sources.list apt/parts/system.list
	options=(-qq -o "Dir::State::lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt/cache"
		-o "Dir::Etc::sourceparts=$PWD/apt/parts" -o Dir::Etc::sourcelist=/dev/null)
	apt-get "${options[@]}" update
	while read -r version; do
		apt-get "${options[@]}" source "postgresql-$major=$version" >build.log 2>&1 || continue
		mv postgresql-*/ source
		rm -rf apt
		return 0
	done < <(apt-cache "${options[@]}" showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -urV)
	return 1
}

# With what Debian configures it with that the tests ask for; its procedural languages and LLVM
# are not.  pgTAP is SQL alone: Debian's.
compile_postgres() {
	local major=$1
	rm -rf install
	say "building PostgreSQL with assertions, which takes minutes"
	(
		cd source || exit
		./configure -q --prefix="${PWD%/*}/install" --enable-cassert --enable-debug --enable-tap-tests \
			--with-openssl --with-icu --with-gssapi --with-zstd --with-system-tzdata=/usr/share/zoneinfo \
			CFLAGS='-O1 -fno-omit-frame-pointer'
		make -s -j"$(nproc)"
		make -s install
		make -s -j"$(nproc)" -C contrib
		make -s -C contrib install
	) >build.log 2>&1
	cp "/usr/share/postgresql/$major/extension/pgtap"* "$(install/bin/pg_config --sharedir)/extension"
}
