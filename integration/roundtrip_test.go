package integration

import (
	"testing"
	"time"

	"github.com/signetfs/signet/integration/ring"
	"github.com/signetfs/signet/internal/need"
)

// roundTree makes a tree of all kinds of files: sparse, with several names, without any
// bytes, with odd names, modes, times, attributes and ACLs. $1 is how many directories.
const roundTree = `
mkdir src; cd src
for d in $(seq $1); do
	mkdir -p "d$d/sub dir" "d$d/empty"
	head -c $((d * 3001)) /dev/urandom >d$d/random
	seq $d $((d + 2000)) >"d$d/sub dir/text é"
	truncate -s 3M d$d/sparse; echo middle | dd of=d$d/sparse bs=1 seek=$((d * 70001)) conv=notrunc status=none
	truncate -s 1M d$d/hole
	: >"d$d/$(printf 'new\nline')"; : >d$d/--; chmod 0 d$d/--
	ln d$d/random "d$d/sub dir/random too"; ln d$d/random d$d/random3
	ln d$d/sparse "d$d/sub dir/sparse too"
	ln -s ../nowhere d$d/dangling; ln -s random d$d/link; ln d$d/link d$d/link2
	mkfifo d$d/fifo; mknod d$d/null c 1 3
	setfattr -n user.kind -v "number $d" d$d/random; setfattr -h -n trusted.t -v $d d$d/link
	setfacl -m u:daemon:rw,g:sys:r d$d/random; setfacl -d -m u:daemon:rwx d$d/empty
	chown -h 1:2 d$d/link; chown 3:4 d$d/hole; chmod 4751 d$d/hole; chmod 1777 "d$d/sub dir"
	touch -d '1969-03-04 05:06:07.123456789 UTC' d$d/hole; touch -h -d '2100-01-02 UTC' d$d/dangling; touch -d '2001-01-01 00:00:00.987654321 UTC' d$d/empty
	# rsync takes times of one second for equal but those of regular files.
	touch -h -d '2002-02-02 02:02:02.5 UTC' d$d/fifo d$d/null d$d/link "d$d/sub dir" d$d
done`

// roundShow prints all that there is to be known of the tree $1 that a copy shall have;
// with $2, only what a zip file keeps.
const roundShow = `cd "$1"
if [ -n "$2" ]; then kinds='-type f -o -type d -o -type l'; format='%P|%y|%m|%s|%l\n'; else kinds=-true; format='%P|%y|%m|%n|%s|%T@|%l|%U|%G\n'; fi
find . -mindepth 1 \( $kinds \) \( -type d -printf '%P|%y|%m|%T@\n' -o -printf "$format" \) | { if [ -n "$2" ]; then sed 's/\(|d|[0-9]*\)|.*/\1/'; else cat; fi; } | sort
find . -type f -print0 | sort -z | xargs -0 sha256sum
[ -n "$2" ] || { find . ! -type l -print0 | sort -z | xargs -0 getfacl -n; find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^user|^trusted'; for d in d*; do test $d/random -ef "$d/sub dir/random too"; test $d/random -ef $d/random3; test $d/sparse -ef "$d/sub dir/sparse too"; done; }
`

// TestRoundTrips copies a tree on one host, by several programs, and compares on another.
func TestRoundTrips(t *testing.T) {
	need.Root(t)
	need.Program(t, "rsync", "tar", "cpio", "zip", "unzip", "setfacl", "setfattr")
	r := ring.Start(t, 3)
	dirs := "2"
	if need.Long(t) {
		dirs = "40"
	}
	one, two, three := r.Host(0), r.Host(1), r.Host(2)
	mustSh(t, one, 2*time.Minute, roundTree, dirs)
	whole, some := mustSh(t, one, 2*time.Minute, roundShow, "src", ""), mustSh(t, two, 2*time.Minute, roundShow, "src", "zip")
	outside := t.TempDir()
	for _, way := range []struct{ name, script, to, kept string }{
		{"rsync", `rsync -aHAXS src/ dst.rsync`, "dst.rsync", ""},
		{"rsync from the mount and back", `rsync -aHAXS src/ "$1"/copy; rsync -aHAXS --inplace "$1"/copy/ dst.back`, "dst.back", ""},
		{"tar", `tar -C src --acls --xattrs --xattrs-include='*' -H posix -cSf a.tar .; mkdir dst.tar; tar -C dst.tar --acls --xattrs --xattrs-include='*' -xpSf a.tar`, "dst.tar", ""},
		{"cp", `cp -a src dst.cp`, "dst.cp", ""},
		{"zip", `cd src; find . \( -type f -o -type d -o -type l \) ! -name "$(printf 'new\nline')" -print | zip -qy ../a.zip -@; cd ..; unzip -qK a.zip -d dst.zip; for d in src/*; do : >"dst.zip/${d#src/}/$(printf 'new\nline')"; done`, "dst.zip", "zip"},
		{"cpio", `mkdir dst.cpio; cd src; find . -mindepth 1 -print0 | cpio -0 -o --quiet -H newc >../a.cpio; cd ../dst.cpio; cpio -i -d -m --sparse --no-absolute-filenames --quiet <../a.cpio`, "dst.cpio", "zip"},
	} {
		began := time.Now()
		if out, err := sh(two, 4*time.Minute, way.script+" 2>&1", outside); err != nil {
			t.Errorf("%s: %v\n%s", way.name, err, out)
			continue
		}
		took := time.Since(began).Round(time.Millisecond)
		want := whole
		if way.kept != "" {
			want = some
		}
		if got := mustSh(t, three, 2*time.Minute, roundShow, way.to, way.kept); got != want {
			t.Errorf("%s: %s", way.name, ring.Difference([]byte(got), []byte(want)))
		}
		t.Logf("%s in %v; %s", way.name, took, mustSh(t, three, time.Minute, `du -sk src "$1" | tr '\n' ' '`, way.to))
	}
	// The second time there is nothing to do, whichever host looks, by times or by bytes.
	wantSh(t, three, "", `rsync -aHAXS --delete -i src/ dst.rsync`)
	wantSh(t, one, "", `rsync -aHAXSc --delete -i src/ dst.rsync`)
	wantSh(t, two, "", `rsync -aHAXS --delete -i "$1"/copy/ dst.back; rsync -aHAXSc --delete -i src/ dst.tar; rsync -aHAXSc --delete -i dst.cp/ src`, outside)
}

// archives pack a tree on one host, unpack it on another and compare on the third: the same
// as TestRoundTrips in small, beside a local filesystem.
var archives = []job{
	archive("rsync", "", `rsync -aHAXS src/ dst`, `rsync -aHAXSc --delete -i src/ dst`),
	archive("tar, sparse", "", `tar -C src --acls --xattrs --xattrs-include='*' -H posix -cSf a.tar .; mkdir dst; tar -C dst --acls --xattrs --xattrs-include='*' -xpSf a.tar`, `tar -C dst -df a.tar`),
	archive("cpio", "zip", `mkdir dst; cd src; find . -mindepth 1 -print0 | cpio -0 -o --quiet -H newc >../a.cpio; cd ../dst; cpio -i -d -m --sparse --no-absolute-filenames --quiet <../a.cpio`, `cpio --list --quiet <a.cpio | wc -l`),
	archive("zip", "zip", `rm src/*/new*; cd src; find . \( -type f -o -type d -o -type l \) -print | zip -qy ../a.zip -@; cd ..; unzip -qK a.zip -d dst`, `unzip -tq a.zip`),
	archive("cp", "", `cp -a src dst`, `rsync -aHAXSc --delete -i dst/ src`),
}

// archive is a job that copies a tree; kept says what of it is to be found in the copy, and
// verify prints what does not depend on time.
func archive(name, kept, script, verify string) job {
	return job{name: name, needs: []string{"rsync", "cpio", "zip", "unzip", "setfacl", "setfattr"}, parts: []onHost{
		{0, `t=$2; set +x; set -- "$t"; ` + roundTree},
		{1, script},
		{2, `set +x; show() { (` + roundShow + `); }; show src "` + kept + `" >one; show dst "` + kept + `" >two; cmp one two; wc -l <one; ` + verify},
	}}
}
