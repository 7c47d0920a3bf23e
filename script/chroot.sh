# shellcheck shell=bash
# Functions shared by script/matrix and script/package: chroots with other releases of
# Debian, which debootstrap makes from the mirror that this machine's apt uses, and
# commands in them.  To be read after private-postgres.sh.  Needs root.
#
# A chroot is named by its directory beneath $chroots; nothing is mounted there once a
# command has ended.

chroots=${WT_MATRIX_WORK:-$root/var/matrix}
# Minutes that a command may take there.
chroot_limit=${WT_MATRIX_LIMIT:-90}
known_releases=(bookworm trixie sid)

# Proxies and certificates by which this machine reaches what is fetched; settings of ours.
passed_on=()
while read -r name; do
	case $name in
	*_proxy | *_PROXY | *_CERT | SSL_CERT_* | *_CA_BUNDLE | NODE_EXTRA_CA_CERTS | WT_WITHOUT_MONGO | WT_SANITIZE | PORT)
		passed_on+=("$name=${!name}")
		;;
	esac
done < <(compgen -e)

# choose_releases ARGUMENT…: sets releases to those that the arguments begin with, or to all
# that there are, and others to the arguments after them.
choose_releases() {
	releases=()
	while (($#)) && [[ " ${known_releases[*]} " == *" $1 "* ]]; do
		releases+=("$1")
		shift
	done
	((${#releases[@]} || $# == 0)) || die "unknown release $1; there are ${known_releases[*]}"
	((${#releases[@]})) || releases=("${known_releases[@]}")
	# shellcheck disable=SC2034 # for the caller
	others=("$@")
}

# What makes chroots, and where they are.
enter_chroots() {
	((EUID == 0)) || die "only root can make chroots; sudo $0"
	mkdir -p "$chroots"
	if ! command -v debootstrap >/dev/null; then
		say "installing debootstrap"
		apt-get update -qq
		apt-get install -qq -y --no-install-recommends debootstrap >/dev/null
	fi
}

# The mirror that this machine's apt uses for Debian itself.
find_mirror() {
	# shellcheck disable=SC2016 # for apt-get
	apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Component: main' |
		head -n 1
}

# inside [--with-network] CHROOT COMMAND…: as root in the chroot's /windtrap, in namespaces
# of its own, which take the mounts and whatever still runs with them when the command ends.
inside() {
	local network=(--net) chroot
	if [[ $1 == --with-network ]]; then
		network=()
		shift
	fi
	chroot=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	timeout -s KILL "$((chroot_limit * 60))" \
		unshare --mount --pid --fork --kill-child "${network[@]}" \
		bash -c '
			set -e
			cd "$1"
			mount --rbind /dev dev
			mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
			mount -t proc proc proc
			shift
			exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
				HOME=/root TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:2}" \
				/bin/bash -c "ip link set lo up; cd /windtrap; $1"' \
		matrix "$chroots/$chroot" "$(printf '%q ' "$@")" "${passed_on[@]}" </dev/null
}

# make_chroot RELEASE [CHROOT]: unless it is there.
make_chroot() {
	local release=$1 chroot=${2:-$1} mirror
	[[ ! -d $chroots/$chroot ]] || return 0
	mirror=$(find_mirror)
	[[ -n $mirror ]] || die "this machine's apt names no mirror of Debian; apt-get update may help"
	say "$chroot: making a chroot; its log is $chroots/$chroot.log"
	rm -rf "$chroots/$chroot.new"
	debootstrap --variant=minbase --include=ca-certificates,iproute2 \
		"$release" "$chroots/$chroot.new" "$mirror" >"$chroots/$chroot.log" 2>&1 ||
		{ tail -n 10 "$chroots/$chroot.log" >&2; return 1; }
	mv "$chroots/$chroot.new" "$chroots/$chroot"
}

# prepare CHROOT: the sources, as /windtrap; how this machine gets at the network, and the
# names that Debian's installer writes.
prepare() {
	local chroot=$chroots/$1
	{
		printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$(hostname)"
		printf '::1\tlocalhost ip6-localhost ip6-loopback\n'
		grep -vE 'localhost|^#' /etc/hosts || true
	} >"$chroot/etc/hosts"
	cp -L /etc/resolv.conf "$chroot/etc/resolv.conf"
	[[ ! -e /etc/pip.conf ]] || cp /etc/pip.conf "$chroot/etc"
	apt-config dump | grep -iE '^Acquire::(https?::|Check-)' >"$chroot/etc/apt/apt.conf.d/90machine" || true
	mkdir -p "$chroot/usr/local/share/ca-certificates"
	find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$chroot/usr/local/share/ca-certificates" {} +
	rm -rf "$chroot/windtrap.new"
	copy_sources "$root" "$chroot/windtrap.new"
	# What was fetched there is kept.
	[[ ! -e $chroot/windtrap/var ]] || mv "$chroot/windtrap/var" "$chroot/windtrap.new"
	rm -rf "$chroot/windtrap"
	mv "$chroot/windtrap.new" "$chroot/windtrap"
}
