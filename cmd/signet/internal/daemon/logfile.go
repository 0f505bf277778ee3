package daemon

import (
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// The log of a daemon in the background: DIR/log, and DIR/log.1, the part before.
const (
	logFile = "log"
	maxLog  = 8 << 20
)

// LogPath returns the path of the log of a state directory.
func LogPath(dir string) string { return filepath.Join(dir, logFile) }

// OpenLog opens the log of a state directory for appending.
func OpenLog(dir string) (*os.File, error) {
	return os.OpenFile(LogPath(dir), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// LogWriter writes to standard error, which is the log of a state directory, and
// begins a new file when that has grown to maxLog. Standard error stays the log, so
// that what the runtime says of a crash is in it too.
type LogWriter struct {
	Dir string

	mu   sync.Mutex // held while writing
	size int64
}

// Write implements io.Writer.
func (w *LogWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size == 0 {
		if st, err := os.Stderr.Stat(); err == nil {
			w.size = st.Size()
		}
	}
	if w.size+int64(len(b)) > maxLog {
		w.rotate()
	}
	n, err := os.Stderr.Write(b)
	w.size += int64(n)
	return n, err
}

func (w *LogWriter) rotate() {
	path := LogPath(w.Dir)
	if os.Rename(path, path+".1") != nil {
		return
	}
	f, err := OpenLog(w.Dir)
	if err != nil {
		return
	}
	defer f.Close()
	for _, fd := range []int{1, 2} {
		if unix.Dup3(int(f.Fd()), fd, 0) != nil {
			return
		}
	}
	w.size = 0
}
