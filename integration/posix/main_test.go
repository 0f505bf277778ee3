package posix

import (
	"testing"

	"github.com/signetfs/signet/integration/ring"
)

func TestMain(m *testing.M) { ring.Main(m) }
