package need_test

import (
	"runtime"
	"testing"

	"github.com/signetfs/signet/internal/need"
)

// recorder notes how a test would have ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Skip(...any)           { r.skipped = true; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

// run runs f as a test would be run, in a goroutine of its own.
func run(f func(testing.TB)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func TestMissing(t *testing.T) {
	lacks := func(t testing.TB) { need.Program(t, "no-such-program-anywhere") }
	t.Setenv("CI", "")
	if r := run(lacks); !r.skipped || r.failed {
		t.Errorf("at home: skipped %v, failed %v", r.skipped, r.failed)
	}
	t.Setenv("CI", "true")
	if r := run(lacks); r.skipped || !r.failed {
		t.Errorf("in CI: skipped %v, failed %v", r.skipped, r.failed)
	}
	if r := run(func(t testing.TB) { need.That(t, false, "the impossible") }); !r.failed {
		t.Error("in CI, That(false) did not fail")
	}
}

func TestPresent(t *testing.T) {
	t.Setenv("CI", "true")
	r := run(func(t testing.TB) {
		need.Program(t, "sh")
		need.That(t, true, "nothing")
	})
	if r.skipped || r.failed {
		t.Errorf("skipped %v, failed %v", r.skipped, r.failed)
	}
}
