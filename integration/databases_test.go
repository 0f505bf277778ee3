package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// sh runs a shell script in the root of a host's mount.
func sh(h *ring.Host, bound time.Duration, script string, args ...string) (string, error) {
	out, err := h.Try(bound, append([]string{"sh", "-euc", script, "sh"}, args...)...)
	return strings.TrimSpace(out), err
}

// mustSh is sh for a script that must succeed.
func mustSh(t *testing.T, h *ring.Host, bound time.Duration, script string, args ...string) string {
	t.Helper()
	out, err := sh(h, bound, script, args...)
	if err != nil {
		t.Fatalf("%s: %v\n...%s", h.Name(), err, out[max(0, len(out)-3000):])
	}
	return out
}

// wantSh wants a script to print that.
func wantSh(t *testing.T, h *ring.Host, want, script string, args ...string) {
	t.Helper()
	if got := mustSh(t, h, time.Minute, script, args...); got != want {
		t.Errorf("%s: %s\nprints %.500q, want %q", h.Name(), script, got, want)
	}
}

// background starts a shell script in the root of a host's mount. The script's exec makes
// the process the program itself.
func background(h *ring.Host, script string, args ...string) *netlab.Process {
	return h.Lab().Start("program", netlab.Cmd{Args: append([]string{"sh", "-euc", `cd "$0"; ` + script, h.Mountpoint()}, args...)})
}

// await waits for a condition, for a minute at most.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after a minute", what)
		}
	}
}

// ended waits for the end of a killed program.
func ended(t *testing.T, p *netlab.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("a killed program has not ended after 20 s")
	}
}

const (
	sqliteTables = `create table counter(n integer); insert into counter values(0);
		create table log(who text, k integer, n integer unique, pad blob, primary key(who, k));`

	// step is a transaction. Its number must be one that no other had.
	sqliteStep = `BEGIN IMMEDIATE; UPDATE counter SET n=n+1; INSERT INTO log SELECT '$1',$k,n,randomblob(700) FROM counter; COMMIT; SELECT 'done $k';`

	// One program that makes $2 transactions in the database $3, and one program for each; $4 is
	// the kind of journal. SQLite does not queue: who asks for a lock again and again may find it
	// taken each time, so the first pauses between its transactions.
	sqliteKept  = `{ echo .bail on; echo .timeout 20000; echo "pragma journal_mode=$4;"; k=1; while [ $k -le $2 ]; do echo "` + sqliteStep + `"; echo .shell sleep 0.02; k=$((k+1)); done; } | sqlite3 "$3" 2>&1`
	sqliteFresh = `k=1; while [ $k -le $2 ]; do sqlite3 -bail -cmd '.timeout 20000' -cmd "pragma journal_mode=$4" "$3" "` + sqliteStep + `" 2>&1; k=$((k+1)); done`
)

// sqliteWriters runs two programs on each host, which count in a database at the same time,
// and readers meanwhile, to which no transaction may ever look half done. It returns how
// many transactions were committed.
func sqliteWriters(t *testing.T, hosts []*ring.Host, db, mode string, each int) int {
	var writers, readers sync.WaitGroup
	var mu sync.Mutex
	committed := 0
	ctx, stop := context.WithCancel(context.Background())
	for i, h := range hosts {
		for who, script := range map[string]string{"kept": sqliteKept, "fresh": sqliteFresh} {
			writers.Go(func() {
				out, err := sh(h, 4*time.Minute, script, fmt.Sprint(who, i), fmt.Sprint(each), db, mode)
				n := strings.Count(out, "done")
				if err != nil || n != each {
					t.Errorf("%s: %s: %d transactions of %d: %v\n...%s", h.Name(), who, n, each, err, out[max(0, len(out)-300):])
				}
				mu.Lock()
				committed += n
				mu.Unlock()
			})
		}
		readers.Go(func() {
			for ctx.Err() == nil {
				out, err := sh(h, time.Minute, `sqlite3 -bail -cmd '.timeout 20000' "$1" 'select (select n from counter)-(select count(*) from log)' 2>&1`, db)
				if err != nil || out != "0" {
					t.Errorf("%s: a reader sees %q: %v", h.Name(), out, err)
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	return committed
}

// wantSqlite wants a whole database that holds so many transactions.
func wantSqlite(t *testing.T, h *ring.Host, db string, n int) {
	t.Helper()
	wantSh(t, h, fmt.Sprintf("ok\n%d|%d|%d|%d", n, n, n, n),
		`sqlite3 -bail -cmd '.timeout 20000' "$1" 'pragma integrity_check; select (select n from counter), count(*), max(n), count(distinct n) from log'`, db)
}

// TestSqlite has programs on three hosts write to one database at the same time.
func TestSqlite(t *testing.T) {
	need.Program(t, "sqlite3")
	r := ring.Start(t, 3)
	long := need.Long(t)
	for mode, each := range map[string]int{"delete": 5, "truncate": 3, "persist": 3} {
		if long {
			each *= 20
		}
		t.Run(mode, func(t *testing.T) {
			db := mode + ".db"
			mustSh(t, r.Host(0), time.Minute, `sqlite3 "$1" "$2"`, db, sqliteTables)
			began := time.Now()
			n := sqliteWriters(t, r.Hosts(), db, mode, each)
			t.Logf("%d transactions by six programs on three hosts in %v", n, time.Since(began).Round(time.Millisecond))
			for _, h := range r.Hosts() {
				wantSqlite(t, h, db, n)
			}
		})
	}
	t.Run("WAL, in turns", func(t *testing.T) { sqliteTurns(t, r) })
	t.Run("killed", func(t *testing.T) { sqliteKilled(t, r) })
	t.Run("WAL", func(t *testing.T) { sqliteWAL(t, r) })
}

// sqliteKilled kills a program in the middle of a transaction of which a part is in the
// database already, by itself or together with its host. Another host rolls it back.
func sqliteKilled(t *testing.T, r *ring.Ring) {
	mustSh(t, r.Host(0), time.Minute, `sqlite3 killed.db "$1"`, sqliteTables+
		`with recursive k(i) as (select 1 union all select i+1 from k where i<300) insert into log select 'first',i,i,randomblob(700) from k; update counter set n=300`)
	want := mustSh(t, r.Host(0), time.Minute, `sqlite3 killed.db .dump | sha256sum`)
	hosts := []bool{false}
	if need.Long(t) {
		hosts = append(hosts, true)
	}
	for _, host := range hosts {
		p := background(r.Host(1), `{ echo 'pragma cache_size=5; begin immediate; update log set n=-n, pad=randomblob(700); delete from log where k%3=0; select "half";'; sleep 1000; } | sqlite3 killed.db`)
		await(t, "half of a transaction", func() bool { return strings.Contains(p.Log(), "half") })
		mustSh(t, r.Host(1), time.Minute, `test -s killed.db-journal`)
		if out, err := sh(r.Host(2), time.Minute, `sqlite3 -bail killed.db 'update counter set n=0' 2>&1`); err == nil || !strings.Contains(out, "locked") {
			t.Errorf("a second transaction beside one: %q, %v", out, err)
		}
		if host {
			r.Host(1).Kill()
		} else {
			p.Kill()
		}
		ended(t, p)
		began := time.Now()
		wantSqlite(t, r.Host(2), "killed.db", 300)
		t.Logf("rolled back after %v", time.Since(began).Round(time.Millisecond))
		wantSh(t, r.Host(0), want, `test ! -e killed.db-journal; sqlite3 killed.db .dump | sha256sum`)
		if host {
			r.Host(1).Boot()
		}
		wantSh(t, r.Host(1), want, `sqlite3 killed.db .dump | sha256sum`)
	}
}

// sqliteWAL has one host use a database with a write-ahead log, whose index is memory that
// programs share, which no two hosts can. A second host is refused, and harms nothing; when
// the first has ended, the second can go on.
func sqliteWAL(t *testing.T, r *ring.Ring) {
	one, two := r.Host(0), r.Host(1)
	mustSh(t, one, time.Minute, `sqlite3 wal.db "$1"`, "pragma journal_mode=wal; "+sqliteTables)
	// Who comes and goes leaves no log behind. This one stays, so that the log does.
	stays := background(one, `{ echo 'select count(*)>=0, "open" from log;'; sleep 1000; } | sqlite3 wal.db`)
	await(t, "a database is open", func() bool { return strings.Contains(stays.Log(), "open") })
	n := sqliteWriters(t, slices.Repeat([]*ring.Host{one}, 2), "wal.db", "wal", 8)
	mustSh(t, one, time.Minute, `test -s wal.db-wal`)
	for _, try := range []string{
		`sqlite3 -bail wal.db 'select count(*) from log'`, `sqlite3 -bail -readonly wal.db 'select count(*) from log'`,
		`sqlite3 -bail wal.db 'update counter set n=-1'`, `sqlite3 -bail wal.db 'pragma journal_mode=delete; update counter set n=-1'`,
		`sqlite3 -bail -cmd 'pragma locking_mode=exclusive' wal.db 'update counter set n=-1'`,
	} {
		out, err := sh(two, time.Minute, try+" 2>&1")
		if err == nil {
			t.Errorf("%s beside another host succeeds: %q", try, out)
		}
		t.Logf("%s: %q", try, out)
	}
	wantSqlite(t, one, "wal.db", n)
	stays.Kill()
	ended(t, stays)
	wantSqlite(t, two, "wal.db", n)
	wantSqlite(t, two, "wal.db", n)
	wantSqlite(t, one, "wal.db", n)
}

// sqliteTurns has programs on two hosts, each of which makes one transaction in a database
// with a write-ahead log. Who finds the other host there fails; what was committed stays.
func sqliteTurns(t *testing.T, r *ring.Ring) {
	mustSh(t, r.Host(0), time.Minute, `sqlite3 turns.db "$1"`, "pragma journal_mode=wal; "+sqliteTables)
	const each = 8
	var all sync.WaitGroup
	var done [2]int
	for i := range done {
		all.Go(func() {
			out, err := sh(r.Host(i), 3*time.Minute, `k=1; while [ $k -le $2 ]; do sqlite3 -bail -cmd '.timeout 2000' turns.db "`+sqliteStep+`" 2>&1 || true; sleep 0.05; k=$((k+1)); done`, fmt.Sprint("turn", i), fmt.Sprint(each))
			done[i] = strings.Count(out, "done")
			if bad := strings.Contains(out, "malformed") || strings.Contains(out, "corrupt"); bad || err != nil {
				t.Errorf("%s: %v\n%s", r.Host(i).Name(), err, out)
			}
		})
	}
	all.Wait()
	t.Logf("%d and %d transactions of %d each", done[0], done[1], each)
	for _, h := range r.Hosts() {
		wantSqlite(t, h, "turns.db", done[0]+done[1])
	}
}
