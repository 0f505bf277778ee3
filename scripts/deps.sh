#!/bin/sh
# The programs besides Go that the tests call, and the Debian packages that have them; of
# those that every system has (coreutils, util-linux, tar, diff, awk) none is named.
#
#   deps.sh install   install what is missing (root), after saying what
#   deps.sh ensure    the same as root; as an ordinary user say what is missing and go on
#   deps.sh long      ensure, and what only the long tests need (npm: 360 packages more)
#   deps.sh race      succeed if the race detector can be used (it needs a C compiler)
set -eu

# program:package[:why]
wanted='
gcc:gcc:the race detector
fusermount3:fuse3:mounting as an ordinary user, and mount -t fuse.signet
mount:mount:mounting by mount(8) and /etc/fstab
ip:iproute2:hosts as network namespaces
nft:nftables:faults in the network
make:make:installing, and the demo
git:git:work on a mount
sqlite3:sqlite3:work on a mount
python3:python3:system calls that no command makes
setfacl:acl:ACLs
setfattr:attr:extended attributes
mkfs.ext4:e2fsprogs:comparing a mount with ext4
setpriv:util-linux:other users
fio:fio:verified I/O
stress-ng:stress-ng:many kinds of calls at once, verified
pg_ctlcluster:postgresql:a database server on a mount
redis-server:redis-server:the same
rsync:rsync:copies of trees
cpio:cpio:the same
zip:zip:the same
unzip:unzip:the same
restic:restic:backups
dbench:dbench:the load of a file server
'

# What make test-long needs besides: 150 MB.
wanted_long='
node:nodejs:installing packages
npm:npm:the same
'

has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

missing() {
	echo "$wanted" | while IFS=: read -r program package why; do
		[ -n "$program" ] || continue
		has "$program" || echo "$package"
	done
	[ -e /usr/include/stdlib.h ] || echo libc6-dev
	[ -e /usr/lib/python3/dist-packages/lmdb ] || echo python3-lmdb
}

install() {
	if ! has apt-get; then
		echo "This is not Debian: install by hand what these packages hold: $*" >&2
		exit 1
	fi
	echo "Installing the Debian packages: $*"
	DEBIAN_FRONTEND=noninteractive
	RUNLEVEL=1 # no package starts its server
	export DEBIAN_FRONTEND RUNLEVEL
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@"
}

# fusermount3 finds mounts in /etc/mtab. An installed system has it; a bare tree may not.
mtab() {
	[ "$(id -u)" != 0 ] || [ -e /etc/mtab ] || ln -sf ../proc/self/mounts /etc/mtab
}

device() {
	[ -e /dev/fuse ] && return
	echo "There is no /dev/fuse: load the module (modprobe fuse), or pass the device into this container." >&2
}

[ "${1:-}" != long ] || wanted=$wanted$wanted_long
lack=$(missing | sort -u | tr '\n' ' ')
case ${1:-} in
install)
	if [ -z "$lack" ]; then
		echo "Every Debian package that the tests need is there."
	elif [ "$(id -u)" != 0 ]; then
		echo "Missing Debian packages: $lack" >&2
		echo "Install them as root: apt-get install $lack" >&2
		exit 1
	else
		# shellcheck disable=SC2086 # a list of words
		install $lack
	fi
	mtab
	device
	;;
ensure | long)
	if [ "$(id -u)" = 0 ]; then
		# shellcheck disable=SC2086
		[ -z "$lack" ] || install $lack
		mtab
	else
		echo "Not root: tests that need network namespaces, mounts of other users or packet filters are skipped;"
		echo "the list with reasons is at the end. Everything else runs."
		[ -z "$lack" ] || echo "Missing Debian packages (as root: make deps): $lack"
	fi
	device
	;;
race)
	has gcc && [ -e /usr/include/stdlib.h ]
	;;
*)
	echo "usage: deps.sh install | ensure | long | race" >&2
	exit 2
	;;
esac
