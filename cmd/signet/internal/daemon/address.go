package daemon

import (
	"net"
)

// maxAddresses is how many addresses a host advertises by itself.
const maxAddresses = 4

// addresses returns where others can reach a host that listens on host:port. If host is
// empty or a wildcard that is every address of this machine that others could reach,
// the one that leads out first; if there is none, the loopback address.
func addresses(host, port string) []string {
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{net.JoinHostPort(host, port)}
	}
	var out []string
	add := func(ip net.IP) {
		a := net.JoinHostPort(ip.String(), port)
		for _, o := range out {
			if o == a {
				return
			}
		}
		if len(out) < maxAddresses {
			out = append(out, a)
		}
	}
	// Connecting a datagram socket sends nothing; it only asks for the route.
	if c, err := net.Dial("udp", "192.0.2.1:9"); err == nil {
		if a, ok := c.LocalAddr().(*net.UDPAddr); ok && a.IP.IsGlobalUnicast() {
			add(a.IP)
		}
		c.Close()
	}
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			add(n.IP)
		}
	}
	if len(out) == 0 {
		out = append(out, net.JoinHostPort("127.0.0.1", port))
	}
	return out
}
