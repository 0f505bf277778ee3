package integration

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/netlab"
	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// postgres is a server's data in a directory of the volume, used by one host at a time.
type postgres struct {
	t    *testing.T
	path string // of its programs
}

// as runs what follows as the server's user, who finds its socket beside the data.
func (p *postgres) as() string {
	return `export PATH="` + p.path + `:$PATH" PGHOST="$PWD/pg/data" PGDATA="$PWD/pg/data" PGDATABASE=postgres LC_ALL=C HOME=/; cd pg; exec setpriv --reuid=postgres --regid=postgres --clear-groups `
}

// do runs a shell script as that user.
func (p *postgres) do(h *ring.Host, script string) string {
	p.t.Helper()
	began := time.Now()
	out := mustSh(p.t, h, 3*time.Minute, p.as()+`sh -euc "$1" 2>&1`, script)
	p.t.Logf("%s: %.60q in %v", h.Name(), script, time.Since(began).Round(time.Millisecond))
	return out
}

// start starts the server and returns when it answers. One whose postmaster was killed
// may have to wait for the end of the rest of it.
func (p *postgres) start(h *ring.Host) *netlab.Process {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		server := background(h, p.as()+`postgres -c listen_addresses= -c unix_socket_directories="$PGDATA" -c log_checkpoints=off -c max_wal_size=64MB`)
		for {
			if _, err := sh(h, time.Minute, p.as()+`pg_isready -q`); err == nil {
				return server
			}
			select {
			case <-server.Done():
			case <-time.After(100 * time.Millisecond):
				continue
			}
			break
		}
		p.t.Logf("%s: %s", h.Name(), strings.TrimSpace(server.Log()))
	}
	p.t.Fatalf("%s: the server does not start", h.Name())
	return nil
}

func (p *postgres) stop(h *ring.Host, server *netlab.Process) {
	p.t.Helper()
	p.do(h, `pg_ctl stop -s -m fast`)
	ended(p.t, server)
	if bad := server.Log(); strings.Contains(bad, "PANIC") || strings.Contains(bad, "ERROR") {
		p.t.Errorf("%s: the server says\n%s", h.Name(), bad)
	}
}

// check wants the four sums of pgbench to be equal, and all tables and indexes in order.
func (p *postgres) check(h *ring.Host) {
	p.t.Helper()
	if got := p.do(h, `psql -XAtc "select count(*)=100000, sum(abalance)=(select sum(bbalance) from pgbench_branches), sum(abalance)=(select sum(tbalance) from pgbench_tellers),
		sum(abalance)=(select coalesce(sum(delta),0) from pgbench_history) from pgbench_accounts"`); got != "t|t|t|t" {
		p.t.Errorf("%s: the sums are %s", h.Name(), got)
	}
	p.do(h, `pg_amcheck --install-missing --heapallindexed --parent-check postgres`)
}

// killed kills the server while it works, and wants every transaction that it had
// committed when it is back.
func (p *postgres) killed(h *ring.Host, server *netlab.Process) *netlab.Process {
	p.t.Helper()
	p.do(h, `psql -XAtqc "drop table if exists said; create table said(k int primary key)"`)
	says := background(h, p.as()+`sh -c 'k=1; while [ $k -lt 100000 ]; do printf "insert into said values(%d); \\\\echo %d\n" $k $k; k=$((k+1)); done | psql -XAtq'`)
	load := background(h, p.as()+`pgbench -n -c 2 -T 60`)
	await(p.t, "50 commits", func() bool { return strings.Count(says.Log(), "\n") > 50 })
	server.Kill()
	ended(p.t, server)
	ended(p.t, says)
	ended(p.t, load)
	last := 0
	for line := range strings.Lines(says.Log()) {
		if k, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			last = k
		}
	}
	began := time.Now()
	server = p.start(h)
	p.t.Logf("killed after %d commits; there again after %v", last, time.Since(began).Round(time.Millisecond))
	// One more may have been committed and not said.
	if got := p.do(h, `psql -XAtqc "select count(*)=max(k), max(k)-`+fmt.Sprint(last)+` from said"`); got != "t|0" && got != "t|1" {
		p.t.Errorf("%s: of %d commits: %s", h.Name(), last, got)
	}
	p.check(h)
	return server
}

// postgresHow runs what follows as the server's user, with the server's data in ./data. It waits
// for whoever it starts.
const postgresHow = `bin=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/pg_amcheck | tail -n 1)"); if [ ! -d data ]; then mkdir -m 700 data; chown postgres: data; fi
cd data; export PATH="$bin:$PATH" PGHOST="$PWD" PGDATA="$PWD" PGDATABASE=postgres LC_ALL=C HOME=/ n=$((20000 * $2))
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
begin() { as pg_ctl start -s -w -t 50 -l log -o '-c listen_addresses= -c unix_socket_directories=. -c max_wal_size=64MB'; }
finish() { as pg_ctl stop -s -m fast; as pg_checksums --check | grep 'Bad checksums'; if grep -E 'PANIC|ERROR' log; then exit 1; fi; }
all() { as psql -XAtc "select count(*), md5(string_agg(t::text, ',' order by k)) from t"; as pg_amcheck --install-missing --heapallindexed --parent-check postgres; }
`

// database is used by one host after the other.
var database = []job{
	{name: "PostgreSQL", needs: []string{"setpriv"}, long: true, parts: []onHost{
		{0, postgresHow + `as initdb -k -N --wal-segsize=1 -A trust -U postgres --no-instructions >/dev/null; begin
			as psql -XAtqc "create table t as select k, md5(k::text) v from generate_series(1, $n) k" -c "create unique index i on t(k)" -c "create index j on t(v)"; all; finish`},
		{1, postgresHow + `begin; all; as psql -XAtq -c "update t set v = v || 'x' where k % 3 = 0" -c "delete from t where k % 5 = 0" -c vacuum
			as psql -XAtqc "begin" -c "delete from t" -c "rollback"; all; as pg_dump | grep -v '^.\(un\)\?restrict' | sha256sum; finish`},
		{2, postgresHow + `begin; all; as psql -XAtqc "vacuum full t" -c "reindex table t" -c "cluster t using i"; all; as pg_dump -Fc -f dump; as createdb copy; as pg_restore -d copy dump
			PGDATABASE=copy all; finish`},
		{0, postgresHow + `begin; all; as dropdb copy; finish`},
	}},
}

// TestPostgres has a database server keep its data on a mount, killed while it works, and
// then on another host's.
func TestPostgres(t *testing.T) {
	need.Root(t)
	need.Program(t, "setpriv")
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_amcheck")
	need.That(t, len(found) > 0, "PostgreSQL (make deps installs it)")
	p := &postgres{t: t, path: filepath.Dir(found[len(found)-1])}
	r := ring.StartWith(t, ring.Config{Hosts: 3, Mount: "allow_other"})
	kills, load := 1, "-t 50"
	if need.Long(t) {
		kills, load = 8, "-T 30"
	}
	one, two := r.Host(0), r.Host(1)
	mustSh(t, one, time.Minute, `mkdir pg; chown postgres: pg; chmod 700 pg`)
	p.do(one, `initdb -k -N --wal-segsize=1 -A trust -U postgres --no-instructions`)
	server := p.start(one)
	p.do(one, `pgbench -q -i -s 1`)
	p.do(one, `pgbench -n -c 2 `+load)
	for range kills {
		server = p.killed(one, server)
	}
	p.stop(one, server)
	p.do(one, `pg_checksums --check`)

	p.do(two, `pg_checksums --check`)
	server = p.start(two)
	p.check(two)
	p.do(two, `pgbench -n -c 2 `+load)
	p.check(two)
	p.stop(two, server)
	p.do(one, `pg_checksums --check`)
}
