package transform_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
)

// chain applies transforms as a connection does.
type chain []conn.Transform

func (c chain) Encode(dst, src []byte) (out []byte, err error) {
	for _, tr := range c {
		if src, err = tr.Encode(nil, src); err != nil {
			return dst, err
		}
	}
	return append(dst, src...), nil
}

func (c chain) Decode(dst, src []byte, limit int) (out []byte, err error) {
	for _, tr := range slices.Backward(c) {
		if src, err = tr.Decode(nil, src, limit); err != nil {
			return dst, err
		}
	}
	return append(dst, src...), nil
}

var otherKey = [32]byte([]byte("another key, as long as the rest"))

var chains = map[string]func() chain{
	"none":      func() chain { return nil },
	"zlib":      func() chain { return chain{&transform.Zlib{}} },
	"seal":      func() chain { return chain{transform.NewSeal(testKey)} },
	"zlib seal": func() chain { return chain{&transform.Zlib{}, transform.NewSeal(testKey)} },
	"seal zlib": func() chain { return chain{transform.NewSeal(testKey), &transform.Zlib{}} },
	"seal seal": func() chain { return chain{transform.NewSeal(testKey), transform.NewSeal(otherKey)} },
	"zlib seal zlib seal": func() chain {
		return chain{&transform.Zlib{Level: 1}, transform.NewSeal(otherKey), &transform.Zlib{}, transform.NewSeal(testKey)}
	},
}

func TestAChainIsUndoneInReverse(t *testing.T) {
	for name, make1 := range chains {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			a, b := make1(), make1()
			for range 20 {
				msg := content(r.IntN(5000))
				expectDecoded(t, b, encode(t, a, msg), msg)
				expectDecoded(t, a, encode(t, b, msg), msg)
			}
		})
	}
}

func TestAChainOfAnotherOrderIsNoticed(t *testing.T) {
	for _, v := range []struct {
		sent, expected string
		want           error
	}{
		{"zlib seal", "seal zlib", transform.ErrDamaged},
		{"seal zlib", "zlib seal", transform.ErrKey},
		{"none", "zlib", transform.ErrDamaged},
		{"none", "seal seal", transform.ErrKey},
		{"zlib", "zlib seal", transform.ErrDamaged}, // too short to be sealed
		{"zlib seal", "zlib", transform.ErrDamaged},
		{"zlib seal", "seal seal", transform.ErrKey},
	} {
		t.Run(v.sent+" for "+v.expected, func(t *testing.T) {
			encoded := encode(t, chains[v.sent](), []byte(strings.Repeat("x", 50)))
			expectRefused(t, chains[v.expected](), encoded, noLimit, v.want)
		})
	}
}

func TestWhatIsCompressedBeforeItIsSealedIsShorter(t *testing.T) {
	msg := bytes.Repeat([]byte("again and "), 1000)
	compressed := encode(t, chains["zlib seal"](), msg)
	noise := encode(t, chains["seal zlib"](), msg)
	if len(compressed) > len(msg)/10 || len(noise) < len(msg) {
		t.Errorf("%d bytes became %d compressed first and %d sealed first", len(msg), len(compressed), len(noise))
	}
}
