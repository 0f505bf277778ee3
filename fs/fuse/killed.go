package fuse

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// killed says whether nobody is left to hear the answer to k: its thread is being
// killed, or the mount has ended. The kernel sends the same INTERRUPT for a signal
// that the program handles (Go's own come all the time) and for one that kills, so
// /proc is asked.
func (s *server) killed(k *call) bool {
	return s.calls.ended.Load() || killPending(k.req.PID)
}

// killPending says whether a thread has SIGKILL pending. Linux adds that to all
// threads of a process that any signal kills. False if it cannot be known, as for a
// thread in a PID namespace we cannot see.
func killPending(tid uint32) bool {
	if tid == 0 {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/status")
	if err != nil {
		return false
	}
	for line := range bytes.Lines(b) {
		name, set, _ := bytes.Cut(line, []byte(":"))
		if n := string(name); n != "SigPnd" && n != "ShdPnd" {
			continue
		}
		bits, err := strconv.ParseUint(string(bytes.TrimSpace(set)), 16, 64)
		if err == nil && bits&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}
