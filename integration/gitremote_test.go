package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// gitWho makes git independent of the user's configuration.
const gitWho = `export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; exec 2>&1; `

// gitWork commits $3 times in the clone $2 and pushes each commit, after a rebase if
// somebody else was faster. Each commit adds a file, and a branch of its own.
const gitWork = gitWho + `
who=$1; remote="$PWD/remote.git"; cd "$2"
k=1
while [ $k -le $3 ]; do
	echo "$who $k" >"$who-$k"; git add "$who-$k"; git commit -qm "$who $k"
	n=0
	until git push -q origin main; do
		n=$((n+1)); [ $n -lt 60 ]
		git pull -q --rebase origin main
	done
	echo "pushed after $n"
	git push -q origin HEAD:refs/heads/$who/$k
	if [ $((k % 4)) = 0 ]; then git -C "$remote" gc -q --auto; fi
	k=$((k+1))
done`

// TestGitRemote has programs on three hosts push to one repository at the same time, from
// clones in local directories and on the mount.
func TestGitRemote(t *testing.T) {
	need.Program(t, "git")
	r := ring.Start(t, 3)
	each := 1
	if need.Long(t) {
		each = 30
	}
	mustSh(t, r.Host(0), time.Minute, gitWho+`git init -q --bare -b main remote.git; git -C remote.git config gc.auto 50; git -C remote.git config gc.autoDetach false
		git clone -q remote.git first; cd first; echo 0 >0; git add 0; git commit -qm first; git push -q origin main`)
	var all sync.WaitGroup
	began := time.Now()
	for i, h := range r.Hosts() {
		for who, clone := range map[string]string{"local": t.TempDir() + "/clone", "shared": fmt.Sprint("clone", i)} {
			all.Go(func() {
				// A local clone copies the directory of objects, and fails on any filesystem if there is a push meanwhile.
				if out, err := sh(h, time.Minute, gitWho+`git clone -q --no-local remote.git "$1"; git -C "$1" fsck --full --strict --no-progress`, clone); err != nil {
					t.Errorf("%s: %s: clone: %v\n%s", h.Name(), who, err, out)
					return
				}
				if out, err := sh(h, 8*time.Minute, gitWork, fmt.Sprint(who, i), clone, fmt.Sprint(each)); err != nil {
					t.Errorf("%s: %s: %v\n...%s", h.Name(), who, err, out[max(0, len(out)-3000):])
				}
			})
		}
	}
	all.Wait()
	t.Logf("%d commits from six clones on three hosts in %v", 6*each, time.Since(began).Round(time.Millisecond))
	wantGit(t, r.Host(0), each)
	mustSh(t, r.Host(1), time.Minute, gitWho+`git -C remote.git gc -q --prune=now`)
	for _, h := range r.Hosts() {
		wantGit(t, h, each)
		wantSh(t, h, "", gitWho+`for c in clone*; do git -C $c fsck --full --strict --no-progress --no-dangling; git -C $c pull -q --rebase "$PWD/remote.git" main; git -C $c status --porcelain; done`)
	}
}

// wantGit wants the repository whole, and every commit of all six programs in it once.
func wantGit(t *testing.T, h *ring.Host, each int) {
	t.Helper()
	wantSh(t, h, fmt.Sprintf("%d\n%d\n%d\n%d", 6*each+1, 6*each+1, 6*each+1, 6*each+1), gitWho+`cd remote.git
		git fsck --full --strict --no-progress --no-dangling
		git log --oneline main | wc -l; git log --format=%s main | sort -u | wc -l
		git ls-tree --name-only main | wc -l; git for-each-ref --format='%(refname)' | wc -l
		git for-each-ref --format='%(refname) %(subject)' | while read -r ref name; do
			case $ref in refs/heads/main) ;; *) git cat-file -e "$ref:$(echo $name | tr ' ' -)" ;; esac
		done`)
}
