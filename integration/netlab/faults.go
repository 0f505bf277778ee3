package netlab

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// switchRules is the packet filter of the switch. Faults are elements of its sets.
const switchRules = `table bridge lab {
	set cut { type ipv4_addr; }
	set pair { type ipv4_addr . ipv4_addr; }
	set dial { type ipv4_addr . ipv4_addr; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		ip saddr @cut drop
		ip daddr @cut drop
		ip saddr . ip daddr @pair drop
		ip saddr . ip daddr @dial tcp flags & (syn | ack) == syn drop
	}
}
`

// setUpSwitch makes the bridge and its filter.
func (l *Lab) setUpSwitch() error {
	if err := l.onSwitch("link add br0 type bridge\nlink set br0 up\nlink set lo up\n", "ip", "-batch", "-"); err != nil {
		return err
	}
	return l.onSwitch(switchRules, "nft", "-f", "-")
}

// plugIn gives host i, with first process pid, an interface on the switch. Its
// hardware address stays the same over all its lives, or peers would go on sending to
// the dead one until their neighbour tables notice.
func (l *Lab) plugIn(i, pid int) error {
	err := l.onSwitch(fmt.Sprintf(`link add p%[1]d type veth peer name eth0 address 02:77:00:00:%02[2]x:%02[1]x netns %[3]d
link set p%[1]d master br0 up
`, i, l.net, pid), "ip", "-batch", "-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = execIn(ctx, pid, []string{"net"}, Cmd{Args: []string{"ip", "-batch", "-"}, Stdin: strings.NewReader(
		fmt.Sprintf("link set lo up\naddr add %v/24 dev eth0\nlink set eth0 up\n", l.addr(i)))})
	return err
}

// plugOut waits until the interface of a dead host is gone. The kernel takes it away
// with the host's network, a moment after the last process; but for one that was cut off,
// whose connections cannot end, that would take half a minute.
func (l *Lab) plugOut(i int) error {
	port := fmt.Sprintf("p%d", i)
	l.mu.Lock()
	patience := 5 * time.Second
	if l.cut[i] {
		patience = 200 * time.Millisecond
	}
	l.mu.Unlock()
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		if l.onSwitch("", "ip", "link", "show", port) != nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	err := l.onSwitch("", "ip", "link", "del", port)
	if l.onSwitch("", "ip", "link", "show", port) != nil {
		return nil // the kernel was quicker
	}
	return err
}

// Cut drops every packet from and to host i, silently: the carrier stays, and live
// connections go on after Heal if nobody gave them up.
func (l *Lab) Cut(i int) {
	l.t.Helper()
	l.drop(fmt.Sprintf("add element bridge lab cut { %v }\n", l.addr(i)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[i] = true
}

// CutPair drops every packet between hosts i and j: each still reaches all others, so
// who can talk to whom is not transitive.
func (l *Lab) CutPair(i, j int) {
	l.t.Helper()
	l.drop(fmt.Sprintf("add element bridge lab pair { %[1]v . %[2]v, %[2]v . %[1]v }\n", l.addr(i), l.addr(j)))
}

// CutOneWay drops every packet from host i to host j. Packets from j still arrive at
// i, whose acknowledgements are lost.
func (l *Lab) CutOneWay(i, j int) {
	l.t.Helper()
	l.drop(fmt.Sprintf("add element bridge lab pair { %v . %v }\n", l.addr(i), l.addr(j)))
}

// CutDial keeps host i from opening connections to host j. Those that exist go on, and
// j can open connections to i.
func (l *Lab) CutDial(i, j int) {
	l.t.Helper()
	l.drop(fmt.Sprintf("add element bridge lab dial { %v . %v }\n", l.addr(i), l.addr(j)))
}

func (l *Lab) drop(rule string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.onSwitch(rule, "nft", "-f", "-"); err != nil {
		l.t.Fatalf("netlab: %s: %v", strings.TrimSpace(rule), err)
	}
}

// Unplug pulls the cable of host i: like Cut, and the host sees that it has no carrier.
func (l *Lab) Unplug(i int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.onSwitch("", "ip", "link", "set", fmt.Sprintf("p%d", i), "down"); err != nil {
		l.t.Fatalf("netlab: unplug host %d: %v", i, err)
	}
}

// Refuse makes host i answer every attempt to connect to a TCP port, and every packet
// of a live connection to it, with a reset.
func (l *Lab) Refuse(i, port int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hosts[i]
	if err := h.filter(fmt.Sprintf(`table inet lab {
	chain in {
		type filter hook input priority 0; policy accept;
		tcp dport %d reject with tcp reset
	}
}
`, port)); err != nil {
		l.t.Fatalf("netlab: refuse on host %d: %v", i, err)
	}
	l.refused = append(l.refused, h)
}

// filter loads packet filter rules on the host.
func (h *Host) filter(rules string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := h.Exec(ctx, Cmd{Args: []string{"nft", "-f", "-"}, Stdin: strings.NewReader(rules)})
	return err
}

// Heal takes back everything that Cut and its kin, Unplug and Refuse did. Dead hosts
// stay dead and frozen ones frozen.
func (l *Lab) Heal() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.onSwitch("flush set bridge lab cut\nflush set bridge lab pair\nflush set bridge lab dial\n", "nft", "-f", "-"); err != nil {
		l.t.Fatal("netlab: heal:", err)
	}
	clear(l.cut)
	var up strings.Builder
	for _, h := range l.hosts {
		if h.Alive() {
			fmt.Fprintf(&up, "link set p%d up\n", h.index)
		}
	}
	if err := l.onSwitch(up.String(), "ip", "-batch", "-"); err != nil {
		l.t.Fatal("netlab: heal:", err)
	}
	for _, h := range l.refused {
		if !h.Alive() {
			continue // its filter died with it
		}
		if err := h.filter("table inet lab\ndelete table inet lab\n"); err != nil {
			l.t.Fatalf("netlab: heal host %d: %v", h.index, err)
		}
	}
	l.refused = nil
}
