package filelimit

import (
	"testing"

	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
