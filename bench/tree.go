package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tree does to a real tree what people do: unpack it, copy it, search it, remove it.
func tree(ctx context.Context, w *work) error {
	from := w.tree
	if from == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("go env GOROOT: %w; or name a tree with -tree", err)
		}
		from = filepath.Join(strings.TrimSpace(string(out)), "src/internal")
	}
	archive := filepath.Join(w.options.dir, "tree.tar")
	if err := command(ctx, "tar", "-C", filepath.Dir(from), "-cf", archive, filepath.Base(from)); err != nil {
		return err
	}
	defer os.Remove(archive)
	files, err := countFiles(from)
	if err != nil {
		return err
	}
	base := filepath.Base(from)
	steps := []struct {
		name string
		args []string
		cold bool
	}{
		{"tar -x", []string{"tar", "-C", w.dir, "-xf", archive}, false},
		{"cp -a from elsewhere", []string{"cp", "-a", from, filepath.Join(w.dir, "copy")}, false},
		{"cp -a within", []string{"cp", "-a", filepath.Join(w.dir, base), filepath.Join(w.dir, "clone")}, false},
		{"grep -r, cold", []string{"grep", "-rc", "no such words", filepath.Join(w.dir, base)}, true},
		{"grep -r, warm", []string{"grep", "-rc", "no such words", filepath.Join(w.dir, base)}, false},
		{"find -size, warm", []string{"find", filepath.Join(w.dir, base), "-size", "+100M"}, false},
		{"rm -r", []string{"rm", "-r", filepath.Join(w.dir, base)}, false},
	}
	for _, s := range steps {
		if s.cold && !dropCaches() {
			continue
		}
		began := time.Now()
		if err := command(ctx, s.args...); err != nil {
			return err
		}
		w.record(s.name, "files/s", true, float64(files)/time.Since(began).Seconds())
	}
	return nil
}

// command runs a program. That grep finds nothing is no error.
func command(ctx context.Context, args ...string) error {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	var wrong bytes.Buffer
	c.Stderr = &wrong
	err := c.Run()
	if args[0] == "grep" && c.ProcessState != nil && c.ProcessState.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(wrong.Bytes()))
	}
	return nil
}

func countFiles(dir string) (int, error) {
	n := 0
	err := filepath.WalkDir(dir, func(_ string, _ os.DirEntry, err error) error {
		n++
		return err
	})
	return n, err
}
