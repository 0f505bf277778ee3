package fs_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/signetfs/signet/fs"
	"github.com/signetfs/signet/fs/fstest"
)

type registerOp struct {
	write    bool
	register int
	value    int
}

var registerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			r := o.Input.(registerOp).register
			parts[r] = append(parts[r], o)
		}
		var list [][]porcupine.Operation
		for _, p := range parts {
			list = append(list, p)
		}
		return list
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(registerOp); in.write {
			return true, in.value
		}
		return output.(int) == state.(int), state
	},
}

// TestRegisters has programs on three hosts write and read places of one file that they
// open and close all the time, and checks with porcupine that what they see is
// linearizable.
func TestRegisters(t *testing.T) {
	t.Parallel()
	const registers, gap = 6, 1500
	v := fstest.NewVolume(t)
	us := []*user{newUser(t, v.Mount()), newUser(t, v.Mount()), newUser(t, v.Mount())}
	h, ino := us[0].create(root, "f", 0o644)
	for i := range registers {
		us[0].write(h, int64(i*gap), fmt.Sprintf("%012d", 0))
	}
	us[0].close(h)
	var mu sync.Mutex
	var ops []porcupine.Operation
	began := time.Now()
	var wg sync.WaitGroup
	for c := range 3 {
		wg.Go(func() {
			u := us[c]
			rnd := rand.New(rand.NewPCG(uint64(c), rand.Uint64()))
			value := (c + 1) * 1_000_000
			var h fs.Handle
			for range 800 {
				if h != 0 && rnd.IntN(25) == 0 {
					u.close(h)
					h = 0
				}
				if h == 0 {
					h = u.open(ino, syscall.O_RDWR)
				}
				in := registerOp{write: rnd.IntN(3) == 0, register: rnd.IntN(registers)}
				off := int64(in.register * gap)
				got := 0
				call := time.Since(began)
				if in.write {
					value++
					in.value = value
					text := fmt.Sprintf("%012d", value)
					u.Kernel.Wrote(ino, off, []byte(text))
					u.write(h, off, text)
				} else {
					b, err := u.Kernel.Read(t.Context(), u.FS, h, ino, off, 12)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := fmt.Sscanf(string(b), "%d", &got); err != nil {
						t.Errorf("register %d holds %q", in.register, b)
					}
				}
				back := time.Since(began)
				mu.Lock()
				ops = append(ops, porcupine.Operation{ClientId: c, Input: in, Output: got, Call: int64(call), Return: int64(back)})
				mu.Unlock()
			}
			if h != 0 {
				u.close(h)
			}
		})
	}
	wg.Wait()
	if res := porcupine.CheckOperationsTimeout(registerModel, ops, time.Minute); res != porcupine.Ok {
		t.Errorf("the history of %d operations is not linearizable: %v", len(ops), res)
	}
}
