#!/bin/sh
# Proves that "make test" works on a machine that has nothing but Go, make and git: makes
# a bare Debian tree, copies the committed state of this repository into it and runs
# .ci/run there with CI=true. Root; takes some minutes and 2 GB. The Debian mirror is the
# one this machine uses, or $MIRROR; modules come from this machine's cache first.
#
#   fresh-tree.sh [-k] DIR [COMMAND...]   the tree is DIR/tree; -k keeps one that is there
set -eu
keep=
[ "${1:-}" != -k ] || { keep=1; shift; }
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
dir=$1
shift
[ $# -gt 0 ] || set -- .ci/run
repo=$(cd "$(dirname "$0")/.." && pwd)
tree=$dir/tree
goroot=$(go env GOROOT)
modules=$(go env GOMODCACHE)/cache/download
proxy=$(go env GOPROXY)
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)}

[ -n "$keep" ] || rm -rf "$tree"
mkdir -p "$dir"
if [ ! -e "$tree/etc/debian_version" ]; then
	debootstrap --variant=minbase --include=make,git,ca-certificates bookworm "$tree" "$mirror"
fi
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
rm -rf "$tree/src"
git clone -q "$repo" "$tree/src"
mkdir -p "$tree/usr/local/go" "$tree/modules"

export tree goroot modules proxy
exec unshare --mount --pid --fork --kill-child --propagation private sh -eu -c '
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mount -t sysfs sysfs "$tree/sys"
mount --bind -o ro "$goroot" "$tree/usr/local/go"
mount --bind -o ro "$modules" "$tree/modules"
exec chroot "$tree" env -i HOME=/root CI=true TERM=dumb \
	PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	GOPROXY="file:///modules,$proxy" GOTOOLCHAIN=local \
	sh -c "cd /src && \"\$@\"" sh "$@"' sh "$@"
