package integration

// resticHow is how restic is called here: it asks for no password, and keeps its cache
// beside its repository. It stores absolute paths, which differ between hosts (a mount has
// a place of its own on each), so what a snapshot follows is named. It notes the device of
// directories, too, which each mount has one of its own of, and calls them changed elsewhere.
// (Snapshots are found in the repository: each call of restic takes half a second for its key.)
const resticHow = `export RESTIC_REPOSITORY=repo RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=cache; last() { ls -t repo/snapshots | head -n 1; }
backup() { restic backup --json --host one "$@" src | python3 -c '
import json, sys
s = [json.loads(l) for l in sys.stdin][-1]
print(*[f"{k}={s[k]}" for k in ("files_new", "files_changed", "files_unmodified")], s["dirs_changed"] if sys.argv[1:] else "")' $all; }
all=
`

// backups keep the source and the repository on the mount: one host makes a backup, another
// verifies all of it, a third restores it. A host that has not made the first backup finds
// that no file has changed, by inode numbers, sizes and times. (Attributes of symlinks, and that
// two names are one symlink, restic does not keep, on any filesystem.)
var backups = []job{
	{name: "restic", needs: []string{"restic", "python3", "setfacl", "setfattr"}, parts: []onHost{
		{0, `t=$2; set -- "$t"; set +x; (` + roundTree + `
			); set -x; rm src/*/link2; setfattr -h -x trusted.t src/*/link; ` + resticHow + `restic init -q; backup; all=all; backup --parent $(last)`},
		{1, resticHow + `backup --parent $(last); restic check --read-data | tail -n 1`},
		{2, `set +x; ` + resticHow + `restic restore -q --target dst $(last); show() { (` + roundShow + `); }; show src "" >one; show dst/src "" >two; cmp one two; wc -l <one; rm -r dst`},
		{0, resticHow + `first=$(last); echo more >>src/d1/random; chmod 600 src/d1/hole; rm src/d1/random3; mv src/d1/sub\ dir src/d1/moved; ln -s nowhere src/new
			backup --parent $first; restic diff $first $(last) | grep '^[-+MUT] '`},
		{1, resticHow + `restic forget -q --group-by host --keep-last 1 --prune; restic check --read-data | tail -n 1`},
		{2, resticHow + `restic restore -q --target dst latest; diff -r --no-dereference -x null -x fifo src dst/src; ls repo/snapshots | wc -l; ls repo/locks`},
	}},
}
