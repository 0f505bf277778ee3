package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// TestGetcwd asks for the working directory beside a program that walks a path through it
// and one that makes and removes files, on this host and on another: git, make and shells do
// not expect that to fail.
func TestGetcwd(t *testing.T) {
	need.Program(t, "python3")
	r := ring.Start(t, 2)
	shell(t, r.Host(0), `mkdir work other; echo x >work/f`)
	const changes = `import os,sys
for i in range(400):
    n="other/%s%d"%(sys.argv[1],i)
    os.close(os.open(n,os.O_CREAT|os.O_EXCL|os.O_WRONLY))
    if i%2: os.rename(n,n+"r"); n+="r"
    os.unlink(n)
`
	const asks = `import os,subprocess,sys
n=failed=0
top=os.getcwd()
walker=subprocess.Popen([sys.executable,"-c","import os\nwhile True: os.stat('work/f')"])
changer=subprocess.Popen([sys.executable,"-c",sys.argv[1],"a"])
os.chdir("work")
while changer.poll() is None:
    for i in range(100):
        n+=1
        try: assert os.getcwd()==top+"/work"
        except FileNotFoundError: failed+=1
assert walker.poll() is None and changer.returncode==0
walker.kill(); walker.wait()
print("%d of %d failed"%(failed,n))
`
	elsewhere := make(chan error, 1)
	go func() {
		_, err := r.Host(1).Try(time.Minute, "python3", "-c", changes, "b")
		elsewhere <- err
	}()
	out := shell(t, r.Host(0), `exec python3 -c "$1" "$2"`, asks, changes)
	t.Log(strings.TrimSpace(out))
	if err := <-elsewhere; err != nil {
		t.Error(err)
	}
	// It is 0, unless a host lost its lease for a moment and had all names forgotten once.
	var failed, n int
	if _, err := fmt.Sscanf(out, "%d of %d failed", &failed, &n); err != nil || failed*1000 > n {
		t.Errorf("getcwd(2): %s (%v)", out, err)
	}
}
