package daemon

import (
	"errors"
	"net"
	"syscall"

	"github.com/signetfs/signet"
)

// listenTCP opens a port for the other hosts. chosen says that the command in hand can be
// given another one; else it is where the others look for this host.
func listenTCP(addr string, chosen bool) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	kind, hint := signet.Other, "choose another address with --listen"
	const sought = " The other hosts look for this one there. Only if they reach another address of this machine too, 'signet daemon --detach --listen ADDR' helps"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		kind, hint = signet.Busy, "another program listens there, maybe another host: choose another port with --listen"
		if !chosen {
			hint = "another program listens there, maybe another host: end it ('ss -ltnp' as root shows which it is)." + sought
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		kind, hint = signet.Invalid, "this machine does not have that address: choose one it has with --listen"
		if !chosen {
			hint = "this machine does not have that address: give it back to the machine." + sought
		}
	case errors.Is(err, syscall.EACCES):
		kind, hint = signet.Permission, "ports below 1024 are for root: choose another with --listen"
		if !chosen {
			hint = "ports below 1024 are for root: run this host as root." + sought
		}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return nil, signet.Errorf(kind, "listen on", addr, "%w: %s", err, hint)
}
