package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/signetfs/signet/cmd/signet/internal/daemon"
)

const defaultPort = "7420"

// hostFlags are what init and join ask of a host that comes to be.
func hostFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "listen", Usage: "listen on `ADDR`", Value: ":" + defaultPort},
		&cli.StringSliceFlag{Name: "advertise", Usage: "tell the other hosts to reach this one at `ADDR` (repeatable)", DefaultText: "from --listen, or this machine's addresses"},
		&cli.StringFlag{Name: "name", Usage: "call this host `NAME`", DefaultText: "the machine's name"},
		&cli.StringFlag{Name: "zone", Usage: "the failure domain this host is in: copies of an object lie in different zones"},
		&cli.StringFlag{Name: "capacity", Usage: "offer at most `SIZE` bytes for objects, such as 500G", DefaultText: "what the disk has"},
		&cli.StringFlag{Name: "mount", Usage: "go on to mount the volume at `MOUNTPOINT`"},
		&cli.StringSliceFlag{Name: "o", Usage: "with --mount: mount `OPTIONS`, see 'signet help mount'"},
	}
}

// hostConfig reads hostFlags.
func hostConfig(c *cli.Context) (daemon.HostConfig, error) {
	var out daemon.HostConfig
	var err error
	if out.Dir, err = stateDir(c); err != nil {
		return out, err
	}
	if out.Listen, err = withPort(c.String("listen"), defaultPort); err != nil {
		return out, usage("--listen %s: %v", c.String("listen"), err)
	}
	_, port, _ := net.SplitHostPort(out.Listen)
	for _, a := range c.StringSlice("advertise") {
		full, err := withPort(a, port)
		if err != nil {
			return out, usage("--advertise %s: %v", a, err)
		}
		if host, _, _ := net.SplitHostPort(full); host == "" || net.ParseIP(host).IsUnspecified() {
			return out, usage("--advertise %s: other hosts cannot reach that address", a)
		}
		out.Advertise = append(out.Advertise, full)
	}
	out.Name, out.Zone = c.String("name"), c.String("zone")
	if out.Name == "" {
		if out.Name, err = os.Hostname(); err != nil {
			return out, fmt.Errorf("the machine has no name (%w): give one with --name", err)
		}
	}
	if s := c.String("capacity"); s != "" {
		if out.Capacity, err = parseSize(s); err != nil {
			return out, usage("--capacity %s: %v", s, err)
		}
	}
	out.Logger = quiet(c.App.ErrWriter)
	return out, nil
}

// withPort completes an address without a port.
func withPort(addr, port string) (string, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		host, p = strings.Trim(addr, "[]"), port
		if strings.Contains(host, ":") && net.ParseIP(host) == nil || host == "" {
			return "", fmt.Errorf("want HOST:PORT, :PORT or HOST")
		}
	}
	if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 && port != defaultPort {
		return "", fmt.Errorf("%q is no port", p)
	}
	return net.JoinHostPort(host, p), nil
}

// parseSize reads a number of bytes such as 500G, 1.5TiB or 4096. Letters mean powers
// of 1024.
func parseSize(s string) (uint64, error) {
	number := strings.TrimRight(strings.ToUpper(strings.TrimSpace(s)), "IB")
	shift := 0
	if n := len(number); n > 0 {
		if i := strings.IndexByte("KMGTP", number[n-1]); i >= 0 {
			shift, number = 10*(i+1), number[:n-1]
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || v > 1<<62/float64(uint64(1)<<shift) {
		return 0, fmt.Errorf("want a number of bytes such as 500G or 2T")
	}
	return uint64(v * float64(uint64(1)<<shift)), nil
}

// size prints a number of bytes for people.
func size(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for ; v >= 1024 && unit < 5; unit++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", v, " KMGTP"[unit])
}
