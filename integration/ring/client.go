package ring

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// errLost is the end of a call whose host died: it may or may not have been carried out.
var errLost = errors.New("the host is dead, or died during the call")

// client talks to one life of an agent.
type client struct {
	conn net.Conn

	mu      sync.Mutex // guards:
	waiting map[uint64]chan *Reply
	last    uint64
	lost    bool

	out     sync.Mutex // held while a call is written
	encoder *gob.Encoder
	buffer  *bufio.Writer
}

func newClient(conn net.Conn) *client {
	c := &client{conn: conn, waiting: map[uint64]chan *Reply{}, buffer: bufio.NewWriter(conn)}
	c.encoder = gob.NewEncoder(c.buffer)
	go c.read()
	return c
}

// read hands out answers until the agent is gone.
func (c *client) read() {
	in := gob.NewDecoder(bufio.NewReader(c.conn))
	for {
		r := new(Reply)
		if in.Decode(r) != nil {
			break
		}
		c.mu.Lock()
		ch := c.waiting[r.ID]
		delete(c.waiting, r.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
	for _, ch := range c.waiting {
		close(ch)
	}
	clear(c.waiting)
}

// errHung is the end of a call that was not answered in time.
var errHung = errors.New("no answer")

// call makes a call and waits for its answer for at most bound.
func (c *client) call(q Call, bound time.Duration) (*Reply, error) {
	ch := make(chan *Reply, 1)
	c.mu.Lock()
	if c.lost {
		c.mu.Unlock()
		return nil, errLost
	}
	c.last++
	q.ID = c.last
	c.waiting[q.ID] = ch
	c.mu.Unlock()
	c.out.Lock()
	err := c.encoder.Encode(&q)
	if err == nil {
		err = c.buffer.Flush()
	}
	c.out.Unlock()
	if err != nil {
		return nil, errLost
	}
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case r, ok := <-ch:
		if !ok {
			return nil, errLost
		}
		return r, nil
	case <-timer.C:
		return nil, errHung
	}
}

// isIdle says whether a thread waits for nothing but work from its own runtime.
func isIdle(stack string) bool {
	return strings.Contains(stack, "futex") || strings.Contains(stack, "epoll")
}

// threads says where in the kernel the threads of a process wait, those that wait for
// a filesystem first of all.
func threads(pid int) string {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	out := ""
	for _, t := range tasks {
		stack, _ := os.ReadFile(filepath.Join(t, "stack"))
		if s := string(stack); s != "" && !isIdle(s) {
			out += fmt.Sprintf("thread %s:\n%s", filepath.Base(t), s)
		}
	}
	return out
}
