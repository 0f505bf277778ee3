package daemon

import (
	"errors"
	"net"
	"syscall"

	"github.com/signetfs/signet"
)

// listenTCP opens a port for the other hosts.
func listenTCP(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	kind, hint := signet.Other, "choose another address with --listen"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		kind, hint = signet.Busy, "another program listens there, maybe another host: choose another port with --listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		kind, hint = signet.Invalid, "this machine does not have that address: choose one it has with --listen"
	case errors.Is(err, syscall.EACCES):
		kind, hint = signet.Permission, "ports below 1024 are for root: choose another with --listen"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return nil, signet.Errorf(kind, "listen on", addr, "%w: %s", err, hint)
}
