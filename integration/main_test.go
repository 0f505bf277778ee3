package integration

import (
	"os"
	"testing"

	"github.com/signetfs/signet/integration/ring"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(strangerEnv); addr != "" {
		playStranger(addr)
		return
	}
	if dir := os.Getenv(canaryEnv); dir != "" {
		playCanary(dir)
		return
	}
	if dir := os.Getenv(watchEnv); dir != "" {
		playWatcher(dir)
		return
	}
	ring.Main(m)
}
