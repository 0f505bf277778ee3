package ring

import (
	"bytes"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ops is what an agent can do. The system calls are made directly, not through package
// os, which makes others besides.
var ops = map[Op]func(*agent, *Call, *Reply) error{
	OpPing:  func(*agent, *Call, *Reply) error { return nil },
	OpClose: func(_ *agent, q *Call, _ *Reply) error { return unix.Close(q.FD) },
	OpSync:  func(_ *agent, q *Call, _ *Reply) error { return unix.Fsync(q.FD) },
	OpTruncFD: func(_ *agent, q *Call, _ *Reply) error {
		return unix.Ftruncate(q.FD, q.Len)
	},
	OpMkdir:  func(_ *agent, q *Call, _ *Reply) error { return unix.Mkdir(q.root+q.Path, q.Mode) },
	OpUnlink: func(a *agent, q *Call, _ *Reply) error { return unix.Unlink(q.root + q.Path) },
	OpRmdir:  func(a *agent, q *Call, _ *Reply) error { return unix.Rmdir(q.root + q.Path) },
	OpRename: func(a *agent, q *Call, _ *Reply) error {
		return unix.Renameat2(unix.AT_FDCWD, q.root+q.Path, unix.AT_FDCWD, q.root+q.To, uint(q.Flags))
	},
	OpLink:    func(a *agent, q *Call, _ *Reply) error { return unix.Link(q.root+q.Path, q.root+q.To) },
	OpSymlink: func(a *agent, q *Call, _ *Reply) error { return unix.Symlink(q.To, q.root+q.Path) },
	OpChmod:   func(a *agent, q *Call, _ *Reply) error { return unix.Chmod(q.root+q.Path, q.Mode) },
	OpChown: func(a *agent, q *Call, _ *Reply) error {
		return unix.Lchown(q.root+q.Path, int(q.Off), int(q.Len))
	},
	OpTruncate: func(a *agent, q *Call, _ *Reply) error { return unix.Truncate(q.root+q.Path, q.Len) },
	OpTimes: func(a *agent, q *Call, _ *Reply) error {
		t := unix.NsecToTimespec(q.Off * 1e9)
		return unix.UtimesNanoAt(unix.AT_FDCWD, q.root+q.Path, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
	},
	OpSetXattr: func(a *agent, q *Call, _ *Reply) error {
		return unix.Lsetxattr(q.root+q.Path, q.To, q.Data, q.Flags)
	},
	OpDelXattr: func(a *agent, q *Call, _ *Reply) error { return unix.Lremovexattr(q.root+q.Path, q.To) },
	OpOpen: func(a *agent, q *Call, r *Reply) (err error) {
		r.FD, err = unix.Open(q.root+q.Path, q.Flags|unix.O_CLOEXEC, q.Mode)
		return err
	},
	OpRead: func(_ *agent, q *Call, r *Reply) error {
		b := make([]byte, q.Len)
		n, err := unix.Pread(q.FD, b, q.Off)
		r.Data = b[:max(0, n)]
		return err
	},
	OpWrite: func(_ *agent, q *Call, r *Reply) error {
		n, err := unix.Pwrite(q.FD, q.Data, q.Off)
		r.N = int64(n)
		return err
	},
	OpStatFD: func(_ *agent, q *Call, r *Reply) error {
		var st unix.Stat_t
		err := unix.Fstat(q.FD, &st)
		r.Stat = statOf(&st)
		return err
	},
	OpStat: func(a *agent, q *Call, r *Reply) error {
		var st unix.Stat_t
		err := unix.Lstat(q.root+q.Path, &st)
		r.Stat = statOf(&st)
		return err
	},
	OpSpace: func(a *agent, q *Call, _ *Reply) error {
		var st unix.Statfs_t
		return unix.Statfs(q.root+q.Path, &st)
	},
	OpReadlink: func(a *agent, q *Call, r *Reply) error {
		b := make([]byte, 4096)
		n, err := unix.Readlink(q.root+q.Path, b)
		r.Data = b[:max(0, n)]
		return err
	},
	OpGetXattr: func(a *agent, q *Call, r *Reply) error {
		b := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(q.root+q.Path, q.To, b)
		r.Data = b[:max(0, n)]
		return err
	},
	OpMknod: func(_ *agent, q *Call, _ *Reply) error { return unix.Mknod(q.root+q.Path, q.Mode, int(q.Off)) },
	OpXattrs: func(_ *agent, q *Call, r *Reply) error {
		b := make([]byte, 64<<10)
		n, err := unix.Llistxattr(q.root+q.Path, b)
		r.Data = b[:max(0, n)]
		return err
	},
	OpAllocate: func(_ *agent, q *Call, _ *Reply) error {
		return unix.Fallocate(q.FD, uint32(q.Flags), q.Off, q.Len)
	},
	OpCopy: func(_ *agent, q *Call, r *Reply) error {
		from, to := q.Off, q.Off
		n, err := unix.CopyFileRange(q.FD, &from, q.FD2, &to, int(q.Len), 0)
		r.N = int64(n)
		return err
	},
	OpSeek: func(_ *agent, q *Call, r *Reply) (err error) {
		r.N, err = unix.Seek(q.FD, q.Off, q.Flags)
		return err
	},
	OpMap: (*agent).mapFile,
	OpPeek: func(a *agent, q *Call, r *Reply) error {
		r.Data = bytes.Clone(a.mapped(q)[q.Off : q.Off+q.Len])
		return nil
	},
	OpPoke:     func(a *agent, q *Call, _ *Reply) error { copy(a.mapped(q)[q.Off:], q.Data); return nil },
	OpMapSync:  func(a *agent, q *Call, _ *Reply) error { return unix.Msync(a.mapped(q), unix.MS_SYNC) },
	OpResident: (*agent).resident,
	OpUnmap:    (*agent).unmap,
	OpNames:    (*agent).names,
	OpSyncDir:  (*agent).syncDir,
	OpLoad:     (*agent).load,
	OpSave:     (*agent).save,
	OpSaveSync: (*agent).save,
	OpFlock:    func(_ *agent, q *Call, _ *Reply) error { return unix.Flock(q.FD, q.Flags) },
	OpFcntl: func(_ *agent, q *Call, _ *Reply) error {
		return unix.FcntlFlock(uintptr(q.FD), q.Flags, &unix.Flock_t{Type: int16(q.Mode), Start: q.Off, Len: q.Len})
	},
}

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Ino: st.Ino, Mode: st.Mode, Nlink: uint64(st.Nlink), UID: st.Uid, GID: st.Gid, Size: st.Size, Blocks: st.Blocks,
		Mtime: st.Mtim.Sec, MtimeNsec: st.Mtim.Nsec, Ctime: st.Ctim.Sec, CtimeNs: st.Ctim.Nsec,
	}
}

func (a *agent) mapFile(q *Call, r *Reply) error {
	prot, flags := unix.PROT_READ, unix.MAP_SHARED
	switch q.Flags {
	case 1:
		prot |= unix.PROT_WRITE
	case 2:
		flags = unix.MAP_PRIVATE
	}
	b, err := unix.Mmap(q.FD, 0, int(q.Len), prot, flags)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	a.maps[a.next] = b
	r.Map = a.next
	return nil
}

func (a *agent) mapped(q *Call) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.maps[q.Map]
}

func (a *agent) unmap(q *Call, _ *Reply) error {
	b := a.mapped(q)
	a.mu.Lock()
	delete(a.maps, q.Map)
	a.mu.Unlock()
	return unix.Munmap(b)
}

// resident asks which pages of a mapping are in the kernel's page cache.
func (a *agent) resident(q *Call, r *Reply) error {
	b := a.mapped(q)
	page := unix.Getpagesize()
	r.Data = make([]byte, (len(b)+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&r.Data[0])))
	for i := range r.Data {
		r.Data[i] &= 1
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func (a *agent) names(q *Call, r *Reply) error {
	fd, err := unix.Open(q.root+q.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, 64<<10)
	for {
		n, err := unix.ReadDirent(fd, b)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		_, _, r.Names = unix.ParseDirent(b[:n], -1, r.Names)
	}
	slices.Sort(r.Names)
	return nil
}

func (a *agent) syncDir(q *Call, _ *Reply) error {
	fd, err := unix.Open(q.root+q.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

func (a *agent) load(q *Call, r *Reply) (err error) {
	fd, err := unix.Open(q.root+q.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() {
		if e := unix.Close(fd); err == nil {
			err = e
		}
	}()
	b := make([]byte, 1<<20)
	for {
		n, err := unix.Read(fd, b)
		if err != nil || n == 0 {
			return err
		}
		r.Data = append(r.Data, b[:n]...)
	}
}

func (a *agent) save(q *Call, r *Reply) (err error) {
	fd, err := unix.Open(q.root+q.Path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|q.Flags, q.Mode)
	if err != nil {
		return err
	}
	defer func() {
		if e := unix.Close(fd); err == nil {
			err = e
		}
	}()
	for b := q.Data; len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err != nil {
			return err
		}
		if n == 0 {
			return syscall.EIO
		}
		b = b[n:]
		r.N += int64(n)
	}
	if q.Op == OpSaveSync {
		return unix.Fsync(fd)
	}
	return nil
}
