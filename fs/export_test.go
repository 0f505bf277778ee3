package fs

// Held returns the bytes of memory that dirty data holds, the bytes being put, and
// how many nodes and dirty ones there are.
func (f *FS) Held() (memory, puts int64, nodes, dirty int) {
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	f.puts.mu.Lock()
	defer f.puts.mu.Unlock()
	f.dirty.mu.Lock()
	defer f.dirty.mu.Unlock()
	f.nodes.mu.Lock()
	defer f.nodes.mu.Unlock()
	return f.memory.used, f.puts.used, len(f.nodes.of), len(f.dirty.of)
}

// DropAhead forgets what was read ahead.
func (f *FS) DropAhead() { f.ahead = newBlocks(f.limits.Cache) }
