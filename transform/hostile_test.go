package transform_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/transform"
)

// What somebody without the key can do to sealed messages.

func TestEveryFlippedBitOfASealedMessageIsNoticed(t *testing.T) {
	for _, size := range []int{0, 1, 16, 100} {
		sending := transform.NewSeal(testKey)
		msg := content(size)
		// The second message of a sender that is known, and the first of one
		// that is not.
		known, unknown := transform.NewSeal(testKey), transform.NewSeal(testKey)
		expectDecoded(t, known, encode(t, sending, nil), nil)
		sealed := encode(t, sending, msg)
		for bit := range 8 * len(sealed) {
			flipped := slices.Clone(sealed)
			flipped[bit/8] ^= 1 << (bit % 8)
			want := transform.ErrDamaged
			if bit < 8*atSender {
				want = transform.ErrKey
			}
			expectRefused(t, known, flipped, noLimit, want)
			expectRefused(t, unknown, flipped, noLimit, want)
		}
		// None of these changed what comes next.
		expectDecoded(t, known, sealed, msg)
		expectDecoded(t, unknown, sealed, msg)
	}
}

func TestASealedMessageOfAnyOtherLengthIsNoticed(t *testing.T) {
	sealed := encode(t, transform.NewSeal(testKey), content(100))
	receiving := transform.NewSeal(testKey)
	for n := range sealed {
		expectRefused(t, receiving, sealed[:n], noLimit, transform.ErrDamaged)
	}
	for n := range 50 {
		expectRefused(t, receiving, slices.Concat(sealed, make([]byte, n+1)), noLimit, transform.ErrDamaged)
	}
	expectRefused(t, receiving, slices.Concat(sealed, sealed), noLimit, transform.ErrDamaged)
}

// Each part is genuine, but not the whole.
func TestPartsOfTwoSealedMessagesDoNotMix(t *testing.T) {
	a, b := transform.NewSeal(testKey), transform.NewSeal(testKey)
	one, two := encode(t, a, []byte("hello")), encode(t, a, []byte("world"))
	three := encode(t, b, []byte("hello"))
	for _, other := range [][]byte{two, three} {
		for _, cut := range []int{atSender, atCounter, atText, len(one) - 16} {
			for _, mixed := range [][]byte{slices.Concat(one[:cut], other[cut:]), slices.Concat(other[:cut], one[cut:])} {
				if bytes.Equal(mixed, one) || bytes.Equal(mixed, other) {
					continue
				}
				expectRefused(t, transform.NewSeal(testKey), mixed, noLimit, transform.ErrDamaged)
			}
		}
	}
}

func TestAReplayedMessageIsNoticed(t *testing.T) {
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	var all [][]byte
	for n := range 20 {
		all = append(all, encode(t, sending, content(n)))
		expectDecoded(t, receiving, all[n], content(n))
		for _, old := range all {
			expectRefused(t, receiving, old, noLimit, transform.ErrReplay)
		}
	}
	msg := []byte("the next one")
	expectDecoded(t, receiving, encode(t, sending, msg), msg)
}

func TestReorderedMessagesAreNoticed(t *testing.T) {
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	one, two, three := encode(t, sending, []byte("1")), encode(t, sending, []byte("2")), encode(t, sending, []byte("3"))
	expectDecoded(t, receiving, two, []byte("2"))
	expectRefused(t, receiving, one, noLimit, transform.ErrReplay)
	expectDecoded(t, receiving, three, []byte("3"))
}

func TestAReflectedMessageIsNoticed(t *testing.T) {
	s, peer := transform.NewSeal(testKey), transform.NewSeal(testKey)
	sealed := encode(t, s, []byte("hello"))
	expectRefused(t, s, sealed, noLimit, transform.ErrReflected) // before a message of the peer
	expectDecoded(t, s, encode(t, peer, []byte("hi")), []byte("hi"))
	expectRefused(t, s, sealed, noLimit, transform.ErrReflected) // and after
	expectRefused(t, s, encode(t, s, nil), noLimit, transform.ErrReflected)
	expectDecoded(t, peer, sealed, []byte("hello"))
}

func TestAMessageOfAnotherConnectionIsNoticed(t *testing.T) {
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	elsewhere := transform.NewSeal(testKey)
	for n := range 5 {
		expectDecoded(t, receiving, encode(t, sending, content(n)), content(n))
		expectRefused(t, receiving, encode(t, elsewhere, content(n)), noLimit, transform.ErrSender)
	}
}

// A forged message must not decide who the sender is.
func TestTheFirstGenuineSenderIsTheOne(t *testing.T) {
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	sealed := encode(t, sending, []byte("hello"))
	forged := slices.Clone(sealed)
	forged[atSender] ^= 1
	expectRefused(t, receiving, forged, noLimit, transform.ErrDamaged)
	expectDecoded(t, receiving, sealed, []byte("hello"))
}

func TestNothingOfARefusedMessageIsReleased(t *testing.T) {
	secret := bytes.Repeat([]byte("secret! "), 20)
	sending, receiving, elsewhere := transform.NewSeal(testKey), transform.NewSeal(testKey), transform.NewSeal(testKey)
	sealed := encode(t, sending, secret)
	expectDecoded(t, receiving, sealed, secret)
	changed := slices.Clone(encode(t, sending, secret))
	changed[len(changed)-1] ^= 1
	own := encode(t, receiving, secret)
	for name, refused := range map[string][]byte{
		"replayed":  sealed,
		"changed":   changed,
		"reflected": own,
		"foreign":   encode(t, elsewhere, secret),
	} {
		dst := make([]byte, 0, 1000)
		if _, err := receiving.Decode(dst, refused, noLimit); err == nil {
			t.Errorf("%s: no error", name)
		}
		if bytes.Contains(dst[:cap(dst)], []byte("secret!")) {
			t.Errorf("%s: the memory behind dst holds %q", name, dst[:len(secret)])
		}
	}
}

func TestATooLongSealedMessageTakesNoMemory(t *testing.T) {
	const limit = 1 << 20
	sealed := encode(t, transform.NewSeal(testKey), make([]byte, 16*limit))
	receiving := transform.NewSeal(testKey)
	taken := allocated(func() { expectTooLong(t, receiving, sealed, limit) })
	if most := uint64(64 << 10); taken > most {
		t.Errorf("%d bytes were allocated, expected at most %d", taken, most)
	}
}

// A Seal is for one connection. One that is shared by mistake must not be worse
// than one that fails: two messages with one number would give the key away.
func TestConcurrentMessagesHaveNumbersOfTheirOwn(t *testing.T) {
	shared := transform.NewSeal(testKey)
	var mu sync.Mutex
	seen := map[string]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { // ends with its messages
			for range 100 {
				sealed, err := shared.Encode(nil, []byte("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[string(sealed[atCounter:atText])] = true
				mu.Unlock()
				if _, err := shared.Decode(nil, sealed, noLimit); !errors.Is(err, transform.ErrReflected) {
					t.Errorf("Decode failed with %v, expected ErrReflected", err)
				}
			}
		})
	}
	all.Wait()
	if len(seen) != 800 {
		t.Errorf("800 messages have %d numbers", len(seen))
	}
}

// A change may undo the one before.
func TestNoChangeIsTakenForAMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	for range 5000 {
		genuine := encode(t, sending, content(r.IntN(100)))
		changed := slices.Clone(genuine)
		for range 1 + r.IntN(4) {
			switch at := r.IntN(len(changed)); r.IntN(3) {
			case 0:
				changed[at] ^= byte(1 + r.IntN(255))
			case 1:
				changed = slices.Delete(changed, at, at+1)
			case 2:
				changed = slices.Insert(changed, at, byte(r.Uint32()))
			}
		}
		out, err := receiving.Decode(nil, changed, noLimit)
		if err == nil && !bytes.Equal(changed, genuine) {
			t.Fatalf("%x was taken for %q", changed, out)
		}
	}
}
