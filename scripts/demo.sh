#!/bin/sh
# Three hosts on this machine, a real ring with real mounts, below ./demo:
#
#   demo.sh start   makes it (in place of one that is there), puts the Go source tree in through
#                   host 1, compares what hosts 2 and 3 read, kills host 3, brings it back, and
#                   leaves the ring running
#   demo.sh stop    unmounts, ends the three hosts and no other process; the files stay
#
# Root or an ordinary user with fusermount3. DEMO_SOURCE is another tree to copy, DEMO_PORT the
# port from which on free ones are looked for (7421).
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
demo=$PWD/demo
signet=$PWD/bin/signet
logs=$demo/logs
patience=120 # seconds: how long a step waits for the ring before it gives up

# --- what people see ---------------------------------------------------------

now() { date +%s%3N; } # milliseconds

# seconds MS: as people read them
seconds() { awk -v ms="$1" 'BEGIN { printf ms < 9950 ? "%.2f s" : "%.1f s", ms / 1000 }'; }

# step TEXT begins a step and its clock; took TEXT ends it with a row of the table.
step() {
	doing=$1
	began=$(now)
	[ ! -t 1 ] || printf '%-44s ...' "$1"
}
took() {
	spent=$(($(now) - began))
	[ ! -t 1 ] || printf '\r\033[K'
	printf '%-44s %8s  %s\n' "$doing" "$(seconds "$spent")" "$1"
	doing=
}

# counted TOTAL WHAT reads lines and says how many there were so far.
counted() {
	tty=
	[ -t 1 ] && tty=1
	awk -v total="$1" -v what="$2" -v tty="$tty" -v doing="$doing" '
		BEGIN { every = tty ? 100 : 3000 }
		NR % every == 0 {
			if (tty) printf "\r\033[K%-44s %d of %d %s", doing, NR, total, what
			else printf "    %d of %d %s\n", NR, total, what
			fflush()
		}
		END { if (tty) printf "\r\033[K%-44s", doing }'
}

# fail TEXT [LOG...] says what went wrong, with the ends of the logs that tell why.
fail() {
	{
		echo
		[ -z "${doing:-}" ] || echo "demo: failed: $doing"
		echo "demo: $1"
		shift
		for log in "$@"; do
			[ -s "$log" ] || continue
			echo
			echo "the end of $log:"
			tail -n 15 "$log" | sed 's/^/    /'
		done
		if [ -d "$demo" ]; then
			echo
			echo "All logs: $logs and $demo/h?/log. What runs is left as it is; make demo-stop ends it."
		fi
	} >&2
	exit 1
}

# --- the hosts ---------------------------------------------------------------

state() { echo "$demo/h$1"; }
mnt() { echo "$demo/mnt$1"; }
log() { echo "$demo/h$1/log"; }

# run LOG COMMAND... runs a command that may not fail.
run() {
	to=$logs/$1
	shift
	"$@" >"$to" 2>&1 </dev/null || fail "this command failed: $*" "$to" "$demo"/h?/log
}

# field NAME FILE: a value of a JSON file of which there is only one of that name
field() { sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2" | head -n 1; }

# ask HOST writes its status to logs/status.json.
ask() { "$signet" status --state "$(state "$1")" --json >"$logs/status.json" 2>"$logs/status.err" </dev/null; }

# healthy HOST waits until all is well as that host sees it.
healthy() {
	until=$(($(now) + patience * 1000))
	until ask "$1" && grep -q '"healthy": *true' "$logs/status.json"; do
		[ "$(now)" -lt $until ] || {
			"$signet" status --state "$(state "$1")" >"$logs/status.txt" 2>&1 </dev/null || true
			fail "the ring did not get healthy within $patience s" "$logs/status.txt" "$demo"/h?/log
		}
		sleep 0.1
	done
}

# process HOST: the number of the process that holds the host's state directory, or held it
process() { head -n 1 "$(state "$1")/lock" 2>/dev/null || true; }

# ours PID HOST: is that process the host still? Numbers of processes come again.
ours() { [ -n "$1" ] && tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" | grep -qxF -- "$(state "$2")"; }

mounted() { awk '{ print $2 }' /proc/self/mounts | grep -qxF -- "$(printf %s "$1" | sed 's/ /\\040/g')"; }

# gone PID waits for the end of a process.
gone() { timeout 60 tail --pid="$1" -s 0.1 -f /dev/null; }

# --- stop --------------------------------------------------------------------

stop() {
	ended=0
	for i in 1 2 3; do
		pid=$(process $i)
		if ours "$pid" $i; then
			kill "$pid"
			ended=$((ended + 1))
		fi
	done
	for i in 1 2 3; do
		pid=$(process $i)
		if ours "$pid" $i && ! gone "$pid"; then
			echo "host $i (process $pid) did not end by itself within 60 s, so it is killed; see $(log $i)" >&2
			kill -9 "$pid"
			gone "$pid" || true
		fi
		unmount $i
	done
	[ $ended = 0 ] || echo "Stopped $ended hosts. What they keep is still below $demo."
}

# unmount HOST takes away a mount that its host left behind.
unmount() {
	mounted "$(mnt "$1")" || return 0
	if [ "$(id -u)" = 0 ]; then
		umount -l "$(mnt "$1")" || true
	else
		fusermount3 -u -z "$(mnt "$1")" || true
	fi
	! mounted "$(mnt "$1")" || fail "cannot unmount $(mnt "$1"): was it mounted by another user?"
}

# --- start -------------------------------------------------------------------

check() {
	[ -x "$signet" ] || fail "there is no $signet: run make demo, which builds it"
	source=${DEMO_SOURCE:-$("$go" env GOROOT)/src}
	source=$(cd "$source" && pwd -P) || fail "there is no tree to copy in $source: name one with DEMO_SOURCE"
	if [ ! -e /dev/fuse ]; then
		[ "$(id -u)" != 0 ] || modprobe fuse 2>/dev/null || true
		[ -e /dev/fuse ] || fail "there is no /dev/fuse: load the kernel's module (as root: modprobe fuse), or pass the device into this container"
	fi
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || fail "this user may not open /dev/fuse: as root, chmod 666 /dev/fuse, which is what udev does"
	[ "$(id -u)" = 0 ] || command -v fusermount3 >/dev/null ||
		fail "fusermount3 is missing, and ordinary users need it to mount: as root, apt-get install fuse3"
	# Three copies of the tree, and the hosts keep 5 % of the disk free.
	need=$(($(du -sk "$source" | cut -f 1) * 4 + 524288))
	have=$(df -Pk . | awk 'NR == 2 { print int($4 - $2 * 0.06) }')
	[ "$have" -ge $need ] || fail "there is too little space on this disk: the demo needs $((need / 1024)) MiB beside the twentieth that its hosts keep free"
}

# port AFTER: the next port on which nobody listens
port() {
	p=$(($1 + 1))
	while cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v p="$(printf ':%04X' $p)" '
		$4 == "0A" && substr($2, length($2) - 4) == p { found = 1 } END { exit !found }'; do
		p=$((p + 1))
	done
	echo $p
}

# odds makes a few things that are not plain files of a source tree.
odds() {
	mkdir -p "$1/a directory/ünïcödé ☃"
	printf 'a file with spaces in its name\n' >"$1/a directory/a file"
	printf '#!/bin/sh\necho hello from the ring\n' >"$1/hello"
	chmod 750 "$1/hello"
	ln -s "a directory/a file" "$1/symlink"
	ln "$1/hello" "$1/hard link"
	: >"$1/empty"
	chmod 400 "$1/empty"
	head -c 20000000 /dev/urandom >"$1/twenty megabytes"
}

# list DIR: everything in a tree: kind, mode, size, time, target, name, and digests. Who
# owns it as well, if we may give files away.
list() (
	cd "$1"
	owner=
	[ "$(id -u)" != 0 ] || owner='%U:%G '
	find . \( -type d -printf "d %m $owner%T@ %p\n" \) -o \( -type l -printf "l $owner%p -> %l\n" \) -o \
		-printf "%y %m $owner%s %T@ %p\n"
	find . -type f -print0 | xargs -0 sha256sum
)
both() {
	list "$1"
	list "$2"
}

# copy FROM TO: as cp -a, with progress
copy() {
	{
		cp -a -v "$1" "$2" 2>"$logs/cp.err" || echo "cp: exit $?" >>"$logs/cp.err"
	} | counted "$files" files
	[ ! -s "$logs/cp.err" ] || fail "cp -a $1 $2 failed" "$logs/cp.err" "$demo"/h?/log
}

fill() {
	odds "$demo/odds"
	files=$(find "$source" | wc -l)
	step "$files files come in through host 1 (cp -a)"
	copy "$source" "$(mnt 1)/go-src"
	ms=$(($(now) - began))
	copy "$demo/odds" "$(mnt 1)/odds"
	took "$((files * 1000 / ms)) files/s, $(du -sm --apparent-size "$source" | cut -f 1) MiB"
	both "$source" "$demo/odds" | LC_ALL=C sort >"$demo/list.original"
}

compare() {
	step "host $1 reads everything, for the first time"
	both "$(mnt "$1")/go-src" "$(mnt "$1")/odds" 2>"$logs/read$1.err" | tee "$demo/list" | counted $((files * 2)) "names and digests"
	[ ! -s "$logs/read$1.err" ] || fail "host $1 cannot read everything" "$logs/read$1.err" "$(log "$1")"
	LC_ALL=C sort "$demo/list" >"$demo/list.host$1"
	if ! cmp -s "$demo/list.original" "$demo/list.host$1"; then
		diff "$demo/list.original" "$demo/list.host$1" >"$logs/differences" || true
		fail "host $1 does not read what was written (<: the original, >: host $1)" "$logs/differences" "$(log "$1")"
	fi
	[ "$(mnt "$1")/odds/hello" -ef "$(mnt "$1")/odds/hard link" ] || fail "host $1 does not see the hard link"
	took "the same: names, modes, times, links, contents"
}

# lose kills host 3 while the others work.
lose() {
	rounds=200
	ask 3 || fail "host 3 does not answer" "$logs/status.err" "$(log 3)"
	pid=$(process 3)
	ours "$pid" 3 || fail "process $pid is not host 3 any more" "$(log 3)"
	mkdir "$(mnt 1)/meanwhile"
	role=
	[ "$(field leader "$logs/status.json")" != "$(field self "$logs/status.json")" ] || role=", the leader,"
	step "host 3$role is killed (kill -9)"
	kill -9 "$pid"
	before=$(now)
	echo "written right after" >"$(mnt 1)/meanwhile/first" || fail "host 1 cannot write any more" "$(log 1)"
	took "the next write on host 1 took $(($(now) - before)) ms"

	step "hosts 1 and 2 go on writing and reading"
	worst=0 n=0
	before=$(now)
	while [ $n -lt $rounds ]; do
		n=$((n + 1))
		echo "round $n" >"$(mnt 1)/meanwhile/$n" || fail "host 1 cannot write any more" "$(log 1)"
		read -r got <"$(mnt 2)/meanwhile/$n" || fail "host 2 cannot read what host 1 wrote" "$(log 2)"
		[ "$got" = "round $n" ] || fail "host 2 read '$got' and not 'round $n'" "$(log 2)"
		after=$(now)
		[ $((after - before)) -le $worst ] || worst=$((after - before))
		before=$after
	done
	took "$rounds files written on 1, read on 2; longest pause $worst ms"
	step "and something large, through host 2"
	head -c 64000000 /dev/urandom >"$(mnt 2)/meanwhile/large" || fail "host 2 cannot write any more" "$(log 2)"
	took "64 MB"
	missed=$(list "$(mnt 2)/meanwhile" | LC_ALL=C sort | sha256sum)
}

# back brings host 3 back.
back() {
	step "host 3 comes back (signet mount)"
	run mount3 "$signet" mount --state "$(state 3)" "$(mnt 3)"
	took "mounted"
	step "host 3 has caught up (signet status)"
	healthy 3
	took "healthy: every object has its $(field copies "$logs/status.json") copies again"
	step "host 3 reads what it missed"
	[ "$(list "$(mnt 3)/meanwhile" | LC_ALL=C sort | sha256sum)" = "$missed" ] || fail "host 3 does not read what was written while it was away" "$(log 3)"
	took "the same"
}

finish() {
	echo
	echo "All of it took $(seconds $(($(now) - started))). The ring is running, mounted at"
	for i in 1 2 3; do echo "    $(mnt $i)"; done
	cat <<END

Try, for example:
    echo hello > demo/mnt1/hello; cat demo/mnt3/hello
    bin/signet status --state demo/h1
    bin/signet stat --state demo/h2 "demo/mnt2/odds/twenty megabytes"
    kill -9 \$(cat demo/h2/lock); ls demo/mnt3; bin/signet mount --state demo/h2 demo/mnt2
To stop it:
    make demo-stop
END
}

start() {
	started=$(now)
	check
	stop
	rm -rf --one-file-system "$demo" || fail "cannot clear $demo away: does it belong to another user?"
	(umask 077 && mkdir -p "$logs")
	trap 'echo; echo "Interrupted. What runs is left as it is; make demo-stop ends it."; exit 130' INT TERM
	echo "Three hosts on this machine, below $demo. make demo-stop ends them at any time."
	echo

	step "host 1 begins a ring (signet init)"
	p1=$(port $((${DEMO_PORT:-7421} - 1))) p2=$(port "$p1") p3=$(port "$p2")
	run init "$signet" init --state "$(state 1)" --listen "127.0.0.1:$p1" --advertise "127.0.0.1:$p1" --replicas 3
	mkdir "$(mnt 1)" "$(mnt 2)" "$(mnt 3)"
	run mount1 "$signet" mount --state "$(state 1)" "$(mnt 1)"
	took "mounted, port $p1"
	for i in 2 3; do
		step "host $i joins with a token (signet join)"
		eval "p=\$p$i"
		run token "$signet" token create --state "$(state 1)" --json
		field token "$logs/token" >"$demo/token"
		run "join$i" "$signet" join --state "$(state $i)" --listen "127.0.0.1:$p" --advertise "127.0.0.1:$p" --token-file "$demo/token"
		rm "$demo/token" "$logs/token"
		run "mount$i" "$signet" mount --state "$(state $i)" "$(mnt $i)"
		took "mounted, port $p"
	done
	step "the ring is healthy (signet status)"
	healthy 1
	took "three hosts, $(field copies "$logs/status.json") copies of everything"
	fill
	compare 2
	compare 3
	lose
	back
	finish
}

case ${1:-} in
start) start ;;
stop)
	stop
	[ $ended != 0 ] || echo "No demo is running."
	;;
*)
	sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
