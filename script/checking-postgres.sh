# shellcheck shell=bash
# Beside private-postgres.sh, for script/analyse: builds a PostgreSQL that watches itself, out of
# Debian's source package, once for all work directories and for each kind.
#
# assertions: --enable-cassert brings MEMORY_CONTEXT_CHECKING (what is written past an allocation's
# end) and CLOBBER_FREED_MEMORY.
# valgrind: USE_VALGRIND tells memcheck of each palloc and pfree, and brings the first of these;
# without it memcheck sees the blocks of malloc alone.  Without assertions, which have their own
# target and would make what is slow slower.

# configure_flags KIND: one a line.
configure_flags() {
	# What Debian configures it with that the tests ask for; its procedural languages and LLVM are not.
	printf '%s\n' --enable-debug --enable-tap-tests --with-openssl --with-icu --with-gssapi --with-zstd \
		--with-system-tzdata=/usr/share/zoneinfo "CFLAGS=-O1 -fno-omit-frame-pointer"
	case $1 in
	assertions) echo --enable-cassert ;;
	valgrind) echo "CPPFLAGS=-DUSE_VALGRIND" ;;
	*) die "there is no PostgreSQL for $1" ;;
	esac
}

# build_postgres ROOT KIND: sets BUILT_CONFIG, its pg_config.
build_postgres() {
	local root=$1 kind=$2 user work major top flags as=()
	user=$( ((EUID)) && id -un || echo postgres)
	major=$("$(find_pg_config)" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
	work=$(choose_work_directory "$root" "$user")
	# In its path must be "postgres": without it what is installed would be in other directories.
	if [[ $work == /var/tmp/* ]]; then top=${work%/*/*}; else top=${work%/*}; fi
	top+=/postgresql-$major-$kind
	# shellcheck disable=SC2034 # the caller's
	BUILT_CONFIG=$top/install/bin/pg_config
	((EUID)) || as=(setpriv --reuid postgres --regid postgres --init-groups env "HOME=$top")
	[[ $top != /var/tmp/* ]] || claim_directory "$user"
	"${as[@]}" mkdir -p "$top"
	flags=$(configure_flags "$kind")
	(
		cd "$top" || exit
		flock 9 # two scripts at once must not build over each other
		# The mark says what was built: with other flags it is another server.
		[[ $(cat complete 2>/dev/null) != "$flags" ]] || exit 0
		export -f say fetch_source compile_postgres
		# shellcheck disable=SC2016 # the inner shell's
		"${as[@]}" bash -euo pipefail -c '
			rm -f complete
			fetch_source "$1"
			say "building PostgreSQL for $2, which takes minutes"
			compile_postgres "$1" "$3"
			printf "%s\n" "$3" >complete' - "$major" "$kind" "$flags" || {
			tail -n 20 build.log >&2
			die "PostgreSQL for $kind could not be built; $top/build.log says why"
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

# compile_postgres MAJOR FLAGS.  pgTAP is SQL alone: Debian's.  What memcheck shall not report is in the
# sources, and not installed by them.
compile_postgres() {
	local major=$1 flags
	mapfile -t flags <<<"$2"
	rm -rf install
	(
		cd source || exit
		[[ ! -e GNUmakefile ]] || make -s distclean
		./configure -q --prefix="${PWD%/*}/install" "${flags[@]}"
		make -s -j"$(nproc)"
		make -s install
		make -s -j"$(nproc)" -C contrib
		make -s -C contrib install
		cp src/tools/valgrind.supp "$(../install/bin/pg_config --sharedir)"
	) >build.log 2>&1
	cp "/usr/share/postgresql/$major/extension/pgtap"* "$(install/bin/pg_config --sharedir)/extension"
}
