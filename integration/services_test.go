package integration

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// redis starts a server with its data in a directory of the mount, and waits for it.
func redis(t *testing.T, h *ring.Host, dir, fsync string) *netlab.Process {
	t.Helper()
	p := background(h, `cd "$1"; rm -f sock; exec redis-server --dir "$PWD" --port 0 --unixsocket "$PWD/sock" --save '' --appendonly yes --appendfsync "$2"`, dir, fsync)
	await(t, "redis", func() bool {
		out, _ := sh(h, time.Minute, `redis-cli -s "$1/sock" ping 2>&1`, dir)
		select {
		case <-p.Done():
			t.Fatalf("%s: redis-server has ended\n%s", h.Name(), p.Log())
		default:
		}
		return out == "PONG"
	})
	return p
}

// TestRedis kills a server while it is written to, with its host or without, and starts it
// again where its data are, or on another host: every write that it had acknowledged is there.
func TestRedis(t *testing.T) {
	need.Program(t, "redis-server", "redis-cli", "redis-check-aof")
	r := ring.Start(t, 3)
	rounds := 1
	if need.Long(t) {
		rounds = 10
	}
	// What a server wrote outlives the server; what it synced outlives the host.
	for _, way := range []struct {
		fsync string
		host  bool
	}{{"everysec", false}, {"always", true}} {
		for n := range rounds {
			h, next := r.Host(2), r.Host(2)
			dir := fmt.Sprintf("redis-%s-%t-%d", way.fsync, way.host, n)
			h.Mkdir("/" + dir)
			p := redis(t, h, dir, way.fsync)
			says := background(h, `k=1; while [ $k -lt 100000 ]; do echo "set k$k $k"; if [ $k = 200 ]; then echo bgrewriteaof; fi; k=$((k+1)); done | redis-cli -s "$1/sock"`, dir)
			await(t, "1000 writes", func() bool { return strings.Count(says.Log(), "OK") > 1000 })
			if way.host {
				h.Kill()
				next = r.Host(1)
			} else {
				p.Kill()
			}
			ended(t, p)
			ended(t, says)
			said := strings.Count(says.Log(), "OK\n")
			began := time.Now()
			p = redis(t, next, dir, way.fsync)
			t.Logf("%s, host killed: %t: %d writes; there again after %v", way.fsync, way.host, said, time.Since(began).Round(time.Millisecond))
			out := mustSh(t, next, time.Minute, `k=1; while [ $k -le $2 ]; do echo "get k$k"; k=$((k+1)); done | redis-cli -s "$1/sock" | awk '$1 != NR { print "k" NR " is " $1 }' | head -n 20
				redis-cli -s "$1/sock" dbsize`, dir, fmt.Sprint(said))
			if out != fmt.Sprint(said) && out != fmt.Sprint(said+1) {
				t.Errorf("of %d writes: %s", said, out)
			}
			mustSh(t, next, time.Minute, `redis-cli -s "$1/sock" shutdown; redis-check-aof "$1/appendonlydir/appendonly.aof.manifest"`, dir)
			ended(t, p)
			if way.host {
				h.Boot()
			}
		}
	}
}

// lmdbCount adds to a number in an LMDB, $1 times, and a key for each step.
const lmdbCount = `
import lmdb, os, sys
env = lmdb.open("lmdb", map_size=1<<24)
for k in range(int(sys.argv[1])):
    with env.begin(write=True) as t:
        n = int(t.get(b"n") or b"0") + 1
        t.put(b"n", b"%d" % n)
        t.put(b"%d" % n, b"%d %d" % (os.getpid(), k) + os.urandom(500))
    with env.begin() as t:
        n = int(t.get(b"n"))
        assert t.stat()["entries"] == n + 1, (t.stat(), n)
`

// lmdbCheck reads all of it.
const lmdbCheck = `
import lmdb
with lmdb.open("lmdb", map_size=1<<24).begin() as t:
    n = int(t.get(b"n"))
    assert t.stat()["entries"] == n + 1
    assert all(len(t.get(b"%d" % k)) > 500 for k in range(1, n + 1))
    print(n)
`

// TestLMDB has several programs of one host write to an LMDB, whose readers share memory:
// another host is refused meanwhile, and finds everything afterwards.
func TestLMDB(t *testing.T) {
	const python = "/usr/bin/python3" // which has Debian's modules
	need.That(t, exec.Command(python, "-c", "import lmdb").Run() == nil, "LMDB for Python (make deps installs it)")
	r := ring.Start(t, 2)
	each := 30
	if need.Long(t) {
		each = 3000
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if out, err := r.Host(0).Try(4*time.Minute, python, "-c", lmdbCount, fmt.Sprint(each)); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	dies := background(r.Host(0), `exec /usr/bin/python3 -c "$1" 1000000`, lmdbCount)
	count := func(h *ring.Host) (n int) {
		fmt.Sscan(h.Run(time.Minute, python, "-c", lmdbCheck), &n)
		return n
	}
	await(t, "another program writes", func() bool { return count(r.Host(0)) > 3*each })
	if out, err := sh(r.Host(1), time.Minute, `exec /usr/bin/python3 -c "$1" 2>&1`, lmdbCheck); err == nil {
		t.Errorf("a second host beside one: %q", out)
	} else {
		t.Logf("a second host: %s", out[strings.LastIndex(out, "\n")+1:])
	}
	dies.Kill()
	ended(t, dies)
	n := count(r.Host(1))
	if again := count(r.Host(0)); again != n || n <= 3*each {
		t.Errorf("%d and %d steps, of at least %d", n, again, 3*each)
	}
}

// deliver puts $2 messages into a Maildir, as $1, each at once; every other one by rename.
const deliver = `
import os, sys
who, n = sys.argv[1], int(sys.argv[2])
for k in range(n):
    name = "%s.%d" % (who, k)
    with open("mail/tmp/" + name, "xb") as f:
        f.write(b"From: %s\n\n" % name.encode() * (1 + k % 50))
        f.flush()
        os.fsync(f.fileno())
    if k % 2:
        os.rename("mail/tmp/" + name, "mail/new/" + name)
    else:
        os.link("mail/tmp/" + name, "mail/new/" + name)
        os.unlink("mail/tmp/" + name)
`

// collect reads messages as $1 and marks them as seen, until $2 are there in all. It prints
// those that were its own.
const collect = `
import os, sys, time
me, total = sys.argv[1], int(sys.argv[2])
while len(os.listdir("mail/cur")) < total:
    for name in os.listdir("mail/new"):
        try:
            os.rename("mail/new/" + name, "mail/cur/" + name + ":2,S" + me)
        except FileNotFoundError:
            continue
        text = open("mail/cur/" + name + ":2,S" + me, "rb").read()
        assert text == b"From: %s\n\n" % name.encode() * (1 + int(name.split(".")[1]) % 50), (name, text)
        print(name)
    time.sleep(0.02)
`

// TestMaildir has programs on three hosts deliver messages, and others there collect them:
// each message is read once, whole.
func TestMaildir(t *testing.T) {
	need.Program(t, "python3")
	r := ring.Start(t, 3)
	each := 25
	if need.Long(t) {
		each = 1000
	}
	mustSh(t, r.Host(0), time.Minute, `mkdir -p mail/tmp mail/new mail/cur`)
	var want, got []string
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for i := range 6 {
		h, who := r.Host(i%3), fmt.Sprint("m", i)
		for k := range each {
			want = append(want, fmt.Sprintf("%s.%d", who, k))
		}
		all.Go(func() {
			if out, err := h.Try(5*time.Minute, "python3", "-c", deliver, who, fmt.Sprint(each)); err != nil {
				t.Errorf("%s: %v\n%s", h.Name(), err, out)
			}
		})
		if i%2 == 1 {
			continue
		}
		all.Go(func() {
			out, err := h.Try(5*time.Minute, "python3", "-c", collect, who, fmt.Sprint(6*each))
			if err != nil {
				t.Errorf("%s: %v\n%s", h.Name(), err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, strings.Fields(out)...)
		})
	}
	all.Wait()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d messages of %d: %.500q", len(got), len(want), got)
	}
	for _, h := range r.Hosts() {
		wantSh(t, h, fmt.Sprintf("0\n0\n%d", len(want)), `for d in tmp new cur; do ls mail/$d | wc -l; done`)
	}
	t.Logf("%d messages in %v", len(want), time.Since(began).Round(time.Millisecond))
}

// services are servers and libraries that rely on fsync, locks, renames and mapped files,
// beside a local filesystem. What they do under kills, TestRedis, TestLMDB and TestMaildir
// see to.
var services = []job{
	{name: "Redis", needs: []string{"redis-server", "redis-cli"}, parts: []onHost{
		{0, redisOnce + `serve always; set +x; for i in $(seq $((500 * $2))); do echo "set k$i $i"; done | redis-cli -s sock | sort | uniq -c; set -x; redis-cli -s sock bgrewriteaof
			until redis-cli -s sock info persistence | grep -q 'aof_rewrite_in_progress:0'; do sleep 0.02; done; redis-cli -s sock incrby k1 41; finish`},
		{1, redisOnce + `redis-check-aof appendonlydir/appendonly.aof.manifest | tail -n 1; serve everysec; redis-cli -s sock dbsize; redis-cli -s sock get k1; redis-cli -s sock get k500; finish`},
	}},
	{name: "LMDB", parts: []onHost{
		{0, lmdbHow + `for i in 1 2; do /usr/bin/python3 -c "$count" $((50 * $2)) & pids="$pids $!"; done; for p in $pids; do wait $p; done`},
		{1, lmdbHow + `/usr/bin/python3 -c "$check"; /usr/bin/python3 -c "$count" $((20 * $2))`},
		{2, lmdbHow + `/usr/bin/python3 -c "$check"; ls lmdb; stat -c %s lmdb/lock.mdb`},
	}},
	{name: "Maildir", needs: []string{"python3"}, parts: []onHost{
		{0, `mkdir -p mail/tmp mail/new mail/cur; pids=; deliver='` + deliver + `'; for i in 1 2 3; do python3 -c "$deliver" m$i $((50 * $2)) & pids="$pids $!"; done; for p in $pids; do wait $p; done; ls mail/new | wc -l`},
		{1, `python3 -c '` + collect + `' a $((150 * $2)) | sort | sha256sum`},
		{2, `ls mail/cur | wc -l; ls mail/cur | sort | sha256sum; find mail/tmp mail/new -type f; (cd mail/cur; find . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum`},
	}},
}

const redisOnce = `serve() { redis-server --dir "$PWD" --port 0 --unixsocket "$PWD/sock" --save '' --appendonly yes --appendfsync $1 >log 2>&1 & server=$!; trap 'kill -9 $server' EXIT; until [ "$(redis-cli -s sock ping 2>&1)" = PONG ]; do kill -0 $server; sleep 0.02; done; }
finish() { redis-cli -s sock shutdown; wait $server; trap - EXIT; }
`

const lmdbHow = "pids=; count='" + lmdbCount + "'; check='" + lmdbCheck + "'\n"
