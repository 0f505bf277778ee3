package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// fills writes random bytes to a file until that fails, or 100 MiB are there. It says which calls
// failed with what, and whether a second fsync succeeded.
const fills = `import errno,os,random,sys
said=[]
def tried(what,fn):
    try: fn(); return True
    except OSError as e: said.append(what+" "+errno.errorcode[e.errno])
f=os.open("big",os.O_RDWR|os.O_CREAT|os.O_EXCL)
r=random.Random(1); blocks=[]
while len(blocks)<100:
    blocks.append(r.randbytes(1<<20))
    if not tried("write",lambda: os.pwrite(f,blocks[-1],len(blocks)-1<<20)): break
tried("fsync",lambda: os.fsync(f))
again=tried("fsync again",lambda: os.fsync(f))
tried("close",lambda: os.close(f))
print(" ".join(said)); print(again)
`

// holds says how much of the big file is as it was written; of the rest nothing may be there.
const holds = `import random
r=random.Random(1); kept=0
with open("big","rb") as f:
    while True:
        b=f.read(1<<20)
        if not b: break
        w=r.randbytes(1<<20)
        for i in range(0,len(b),4096):
            if b[i:i+4096]==w[i:i+4096]: kept+=4096
            else: assert not any(b[i:i+4096]),i
print(kept>>20)
`

// TestFullRing fills the disks of a ring. Who wrote what found no room is told so, once for each
// loss; what did find room is there, other files are as they were, and when the large one is removed there is
// room again.
func TestFullRing(t *testing.T) {
	need.Program(t, "python3")
	r := ring.StartWith(t, ring.Config{Hosts: 3, Offer: "48M"})
	one, two := r.Host(0), r.Host(1)
	shell(t, one, `dd if=/dev/urandom of=small bs=64k count=64 conv=fsync status=none`)
	sum := shell(t, two, `sha256sum small`)

	out := shell(t, one, `exec python3 -c "$1"`, fills)
	said, again, _ := strings.Cut(strings.TrimSpace(out), "\n")
	// What was on its way when the write was told may fail after that: then the fsync is told, too.
	if !slices.Contains([]string{"write ENOSPC", "fsync ENOSPC", "write ENOSPC fsync ENOSPC"}, said) || again != "True" {
		t.Errorf("a file that does not fit: %q; fsync again: %s", said, again)
	}
	kept := shell(t, two, `exec python3 -c "$1"`, holds)
	t.Logf("%s; %s MiB of the file are there", said, strings.TrimSpace(kept))
	if strings.TrimSpace(kept) == "0" {
		t.Error("nothing is there of a file for most of which there was room")
	}
	for _, h := range r.Hosts() {
		if got := shell(t, h, `sha256sum small`); got != sum {
			t.Errorf("%s: the other file is another now", h.Name())
		}
	}
	shell(t, two, `mkdir d; : >d/empty; mv d/empty d/name; rmdir d 2>/dev/null && exit 1; rm -r d`)

	shell(t, two, `rm big`)
	began := time.Now()
	free := func(what string) func() error {
		return func() error {
			n := strings.TrimSpace(shell(t, one, `echo $(($(stat -f -c "%`+what+`*%S" .)>>20))`))
			if mib, err := strconv.Atoi(n); err != nil || mib < 30 {
				return fmt.Errorf("%s MiB are free", n)
			}
			return nil
		}
	}
	r.Eventually(time.Minute, "its bytes count as free", free("f"))
	if !need.Long(t) {
		return
	}
	r.Eventually(3*time.Minute, "there is room again", free("a")) // docs/posix.md, "statfs", says why not at once
	t.Logf("there was room again after %v", time.Since(began).Round(time.Millisecond))
	shell(t, one, `dd if=/dev/urandom of=next bs=1M count=16 conv=fsync status=none`)
	if got := shell(t, two, `sha256sum small; sha256sum <next | wc -l`); got != sum+"1\n" {
		t.Errorf("in the end: %q", got)
	}
}
