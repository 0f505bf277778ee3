package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// verifiedEnv names the variable that says how many times as much fio writes, and how many
// times as long stress-ng works, as when it is not set.
const verifiedEnv = "SIGNET_VERIFIED"

func verifiedTimes(t *testing.T) int {
	s := os.Getenv(verifiedEnv)
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s", verifiedEnv, s)
	}
	return n
}

// verified are ways to write a file that fio reads again and compares, block by block.
// What is given twice counts as given last.
var verified = []struct{ name, options string }{
	{"sequential", "rw=write bs=64k"},
	{"random", "rw=randwrite bs=4k"},
	{"random over what is there", "rw=randwrite bs=16k overwrite=1"},
	{"unaligned", "rw=write bsrange=512-9000 bs_unaligned=1"},
	{"random, unaligned to pages", "rw=randwrite bsrange=512-7680 blockalign=512"},
	{"read and written", "rw=randrw bs=8k overwrite=1"},
	{"verified while it is written", "rw=randwrite bs=4k verify_backlog=32"},
	{"twice", "rw=randwrite bs=16k loops=2"},
	{"direct, sequential", "rw=write direct=1 bs=128k"},
	{"direct, random", "rw=randwrite direct=1 bs=4k"},
	{"libaio", "rw=randwrite ioengine=libaio iodepth=8 bs=8k"},
	{"libaio, direct", "rw=randwrite ioengine=libaio iodepth=8 direct=1 bs=8k"},
	{"io_uring", "rw=randwrite ioengine=io_uring iodepth=8 bs=8k"},
	{"io_uring, direct", "rw=randwrite ioengine=io_uring iodepth=8 direct=1 bs=8k"},
	{"posixaio", "rw=randwrite ioengine=posixaio iodepth=4 bs=16k"},
	{"mmap, sequential", "rw=write ioengine=mmap bs=64k"},
	{"mmap, random", "rw=randwrite ioengine=mmap bs=4k"},
	{"mmap, synced", "rw=randwrite ioengine=mmap bs=16k fsync=16"},
	{"splice", "rw=write ioengine=splice bs=64k"},
	{"sync", "rw=randwrite ioengine=sync bs=16k"},
	{"vsync", "rw=write ioengine=vsync bs=4k"},
	{"pvsync", "rw=randwrite ioengine=pvsync bs=16k"},
	{"pvsync2", "rw=randwrite ioengine=pvsync2 bs=16k"},
	{"O_SYNC", "rw=randwrite sync=1 bs=64k"},
	{"fsync and fdatasync", "rw=randwrite fsync=16 fdatasync=8 bs=64k"},
	{"sync_file_range", "rw=write sync_file_range=write:8 bs=64k"},
	{"fallocate", "rw=randwrite fallocate=posix bs=16k"},
	{"fallocate beyond the end", "rw=randwrite fallocate=keep bs=16k"},
	{"truncated to its size before", "rw=randwrite fallocate=truncate bs=16k"},
	{"four jobs on one file", "rw=randwrite bs=16k numjobs=4 size=1m offset_increment=1m"},
	{"four threads on one file, direct", "rw=randwrite bs=16k thread numjobs=4 size=1m offset_increment=1m direct=1"},
	{"eight files at once", "rw=randwrite bs=16k nrfiles=8"},
	{"cut and written again", "rw=randwrite bs=16k"},
	{"with holes", "rw=randwrite bs=16k"},
}

// between are other uses of a file, after which it is written and verified once more.
var between = map[string][]string{
	"cut and written again": {"truncate -s 1234567 FILE", "truncate -s 3m FILE"},
	"with holes": {
		"fallocate -p -o 4000 -l 300000 FILE", "fallocate -z -n -o 1m -l 100001 FILE", "fallocate -z -o 5m -l 4097 FILE",
		"fio --name=holes --filename=FILE --ioengine=falloc --rw=randtrim --bs=12k --size=4m --io_size=1m",
	},
}

// TestVerified has fio write files on one host in many ways and verify them there. Another
// host has the same bytes then.
func TestVerified(t *testing.T) {
	need.Program(t, "fio")
	r := ring.Start(t, 3)
	times := verifiedTimes(t)
	a, b := r.Host(0), r.Host(1)
	a.Mkdir("/fio")
	for i, v := range verified {
		t.Run(v.name, func(t *testing.T) {
			began := time.Now()
			job := fioJob{name: fmt.Sprintf("fio/%d", i), options: v.options, size: 4 * times}
			job.run(t, a)
			job.wantSame(t, a, b)
			if next := between[v.name]; next != nil {
				for _, c := range next {
					a.Run(time.Minute, strings.Fields(strings.ReplaceAll(c, "FILE", job.name))...)
					job.wantSame(t, a, b)
				}
				job.run(t, b) // which verifies what it wrote into what host a left
				job.wantSame(t, b, a)
			}
			t.Logf("%v", time.Since(began).Round(time.Millisecond))
		})
	}
	t.Run("by all hosts at once", func(t *testing.T) { verifyTogether(t, r, times) })
	r.WantWhole()
}

// verifyTogether has all hosts write parts of one file at the same time: the first
// through its kernel's pages, the others commit each write.
func verifyTogether(t *testing.T, r *ring.Ring, times int) {
	const part = 1
	hosts := r.Hosts()
	whole := fioJob{name: "fio/shared"}
	hosts[0].Run(time.Minute, "truncate", "-s", fmt.Sprintf("%dm", part*times*len(hosts)), whole.name)
	var all sync.WaitGroup
	for i, h := range hosts {
		job := fioJob{name: whole.name, size: part * times, options: fmt.Sprintf("rw=randwrite bs=20k verify_backlog=8 offset=%dm randseed=%d", i*part*times, i)}
		all.Go(func() { job.run(t, h) })
	}
	all.Wait()
	for _, h := range hosts[1:] {
		whole.wantSame(t, hosts[0], h)
	}
}

// fioJob is a run of fio.
type fioJob struct {
	name    string // of its file
	options string
	size    int // of all that it writes, in MiB
}

// run runs the job on a host. All it wrote must have been read again and be right.
func (j *fioJob) run(t *testing.T, h *ring.Host) {
	t.Helper()
	args := []string{"fio", "--name=job", "--output-format=json", "--verify=crc32c", "--verify_fatal=1", "--verify_dump=0",
		"--ioengine=psync", "--fallocate=none", fmt.Sprintf("--size=%dm", j.size)}
	if !strings.Contains(j.options, "nrfiles") {
		args = append(args, "--filename="+j.name)
	} else {
		h.Mkdir("/" + j.name)
		args = append(args, "--directory="+j.name)
	}
	for _, o := range strings.Fields(j.options) {
		args = append(args, "--"+o)
	}
	out, err := h.Try(2*time.Minute, args...)
	if err != nil {
		t.Errorf("%s: %v: %v\n%s", h.Name(), args, err, out[:min(len(out), 3000)])
		return
	}
	var report struct {
		Jobs []struct {
			Error       int
			Read, Write struct {
				Bytes uint64 `json:"io_bytes"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out[max(0, strings.Index(out, "{\n")):]), &report); err != nil || len(report.Jobs) == 0 {
		t.Fatalf("%s: %v: no report: %v\n%s", h.Name(), args, err, out[:min(len(out), 3000)])
	}
	var read, written uint64
	for _, job := range report.Jobs {
		read, written = read+job.Read.Bytes, written+job.Write.Bytes
		if job.Error != 0 {
			t.Errorf("%s: %v: error %d", h.Name(), args, job.Error)
		}
	}
	if written == 0 || read < written {
		t.Errorf("%s: %v: %d bytes written, %d verified", h.Name(), args, written, read)
	}
}

// wantSame checks that two hosts read the same.
func (j *fioJob) wantSame(t *testing.T, a, b *ring.Host) {
	t.Helper()
	sums := make([]string, 2)
	for i, h := range []*ring.Host{a, b} {
		sums[i] = h.Run(time.Minute, "sh", "-c", `find "$1" -type f | sort | xargs sha256sum; find "$1" -type f | sort | xargs stat -c "%n %s %Y %b"`, "sh", j.name)
	}
	if sums[0] != sums[1] {
		t.Errorf("%s has\n%s%s has\n%s", a.Name(), sums[0], b.Name(), sums[1])
	}
}

// stressors are those of stress-ng that use a filesystem, as many at once as stand in a row.
var stressors = []string{
	"hdd iomix revio seek",
	"fallocate fpunch punch-hole filename",
	"sendfile splice copy-file readahead",
	"dir dirdeep dirmany getdent",
	"dentry rename link symlink",
	"flock lockf lockofd locka",
	"xattr utime chmod chown",
	"mmap msync msyncmany fault",
	"aio aiol io-uring sync-file",
	"access fstat open touch",
	"mknod chdir metamix unlink",
	"fcntl inotify handle dup",
	"io fanotify lease tee",
	"fiemap inode-flags chattr verity",
	"file-ioctl filerace full seal",
}

// TestStress runs those stressors on one host, while another lists and reads what they
// make. stress-ng itself verifies what it can.
func TestStress(t *testing.T) {
	need.Program(t, "stress-ng")
	r := ring.Start(t, 2)
	h := r.Host(0)
	seconds := strconv.Itoa(verifiedTimes(t))
	known := strings.Fields(h.Run(time.Minute, "stress-ng", "--stressors"))
	h.Mkdir("/stress")
	for _, row := range stressors {
		t.Run(row, func(t *testing.T) {
			args := []string{"stress-ng", "--temp-path", "stress", "--verify", "--timeout", seconds + "s", "--oomable",
				"--hdd-bytes", "4m", "--iomix-bytes", "4m", "--revio-bytes", "4m", "--seek-size", "4m", "--fallocate-bytes", "4m",
				"--readahead-bytes", "4m", "--mmap-bytes", "4m", "--mmap-file", "--msync-bytes", "4m", "--sync-file-bytes", "4m",
				"--fiemap-bytes", "4m", "--dirdeep-bytes", "4m"}
			for _, s := range strings.Fields(row) {
				if !slices.Contains(known, s) {
					t.Logf("%s: this stress-ng has none", s)
					continue
				}
				args = append(args, "--"+s, "1")
			}
			began := time.Now()
			done := make(chan struct{})
			var other sync.WaitGroup
			other.Go(func() { lookOn(r.Host(1), done) })
			out, err := h.Try(5*time.Minute, args...)
			close(done)
			other.Wait()
			if err != nil || strings.Contains(out, "fail:") {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, "not supported") || strings.Contains(line, "skipp") {
					t.Log(strings.TrimSpace(line))
				}
			}
			t.Logf("%v", time.Since(began).Round(time.Millisecond))
		})
	}
	for _, h := range r.Hosts() {
		h.WantNames("/stress")
	}
	r.WantWhole()
}

// lookOn looks at everything on a host, again and again. What it finds may be gone.
func lookOn(h *ring.Host, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(100 * time.Millisecond):
		}
		_, _ = h.Try(time.Minute, "sh", "-c", `timeout 10 find stress -type f -size -8000k 2>/dev/null | head -n 50 | xargs -r timeout 10 cat >/dev/null 2>&1`)
	}
}

// loads are programs that do much and verify it themselves, beside a local filesystem.
// dbench plays what it has recorded of clients of a file server, and ends with an error if a
// call has another result than it had then. Of the recording the beginning is taken, up to a
// moment at which nothing is open.
var loads = []job{
	{name: "dbench", needs: []string{"dbench"}, parts: []onHost{
		{0, `awk 'NR == 1 { print; next } /NTCreateX.*_OK$/ { n++ } /^Close/ { n-- } { print } NR >= 711 && n == 0 { exit }' /usr/share/dbench/client.txt >load
			mkdir d; dbench -D d -c load -t $((2 * $2)) 2 >said || { cat said; exit 1; }; grep Throughput said >&2; if grep -i -e fail -e error -e expected said | grep -v semaphore; then exit 1; fi
			for what in NTCreateX Close WriteX Qpathinfo Qfileinfo Find; do grep -E "^ $what +[1-9]" said >/dev/null; done`},
		{1, `find d -type f | wc -l`},
	}},
	{name: "fio", needs: []string{"fio"}, parts: []onHost{
		{0, `fio --name=w --filename=f --rw=randwrite --bsrange=4k-64k --size=$((8 * $2))m --verify=crc32c --verify_fatal=1 --do_verify=1 --end_fsync=1 --randseed=7 --allrandrepeat=1 --output=said; grep -o 'err= *[0-9]*' said; stat -c %s f; sha256sum f >sum`},
		{1, `sha256sum -c sum; fio --name=w --filename=f --rw=randread --bs=4k --size=$((8 * $2))m --output=said; grep -o 'err= *[0-9]*' said`},
	}},
	{name: "stress-ng", needs: []string{"stress-ng"}, parts: []onHost{
		{0, `for s in dir:50 dentry:200 rename:100 utime:20; do n=$((${s#*:} * $2)); s=${s%:*}; stress-ng --temp-path . --$s 2 --$s-ops $n --verify --no-rand-seed >said 2>&1 || { cat said; exit 1; }; grep -o 'successful run completed' said; done; ls -A`},
	}},
}
