package transform_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/transform"
)

// Where the parts of a sealed message begin.
const (
	atSender  = 4
	atCounter = 20
	atText    = 28
)

// vectors are messages that a sender a0a1...af has sealed with the key
// 000102...1f. They were made by two other implementations: testdata/twin.py,
// and HKDF and AESGCM of Python's package cryptography.
var vectors = []struct {
	message string
	counter uint64
	sealed  string
}{
	{"hello", 1, "e91fb3f3a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0000000000000001bab4c3ace0ec7f83c12e48bf7e0685265f95bd90a0"},
	{"", 2, "e91fb3f3a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0000000000000002b5d378b2b5dc72bf99d73ad95bad045f"},
	{"last", 1<<64 - 1, "e91fb3f3a0a1a2a3a4a5a6a7a8a9aaabacadaeafffffffffffffffff533d75144af4694b77152565b0f3d62a20c8c0d6"},
}

// vectorKey is 000102...1f.
func vectorKey() (key [32]byte) {
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestSealOpensWhatOthersMade(t *testing.T) {
	receiving := transform.NewSeal(vectorKey())
	for _, v := range vectors {
		expectDecoded(t, receiving, unhex(t, v.sealed), []byte(v.message))
	}
}

func TestASealedMessageHasTheDocumentedParts(t *testing.T) {
	sending := transform.NewSeal(vectorKey())
	var sender []byte
	for counter := range uint64(300) {
		msg := content(int(counter))
		sealed := encode(t, sending, msg)
		if len(sealed) != len(msg)+transform.Overhead || transform.Overhead != 44 {
			t.Fatalf("%d bytes became %d, expected 44 more", len(msg), len(sealed))
		}
		if got, want := sealed[:atSender], unhex(t, vectors[0].sealed)[:atSender]; !bytes.Equal(got, want) {
			t.Errorf("the key check is %x, expected %x", got, want)
		}
		if sender == nil {
			sender = sealed[atSender:atCounter]
		}
		if got := sealed[atSender:atCounter]; !bytes.Equal(got, sender) {
			t.Errorf("the sender is %x, expected %x as before", got, sender)
		}
		if got := binary.BigEndian.Uint64(sealed[atCounter:]); got != counter+1 {
			t.Errorf("the counter is %d, expected %d", got, counter+1)
		}
		if len(msg) > 8 && bytes.Contains(sealed, msg[:8]) {
			t.Errorf("%q can be read in %q", msg, sealed)
		}
	}
}

func TestNoTwoSealsAreTheSameSender(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		sealed := encode(t, transform.NewSeal(testKey), []byte("the same"))
		seen[string(sealed[atSender:atCounter])] = true
		seen[string(sealed[atText:])] = true
	}
	if len(seen) != 200 {
		t.Errorf("100 senders have %d IDs and texts in all, expected 200", len(seen))
	}
}

func TestTheSameMessageNeverLooksTheSame(t *testing.T) {
	sending := transform.NewSeal(testKey)
	first, second := encode(t, sending, make([]byte, 64)), encode(t, sending, make([]byte, 64))
	for at := atText; at+8 <= len(first); at += 8 {
		if bytes.Equal(first[at:at+8], second[at:at+8]) {
			t.Errorf("bytes %d to %d of both are %x", at, at+8, first[at:at+8])
		}
	}
}

func TestBothEndsSealAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	a, b := transform.NewSeal(testKey), transform.NewSeal(testKey)
	for range 200 {
		msg := content(r.IntN(200))
		if r.IntN(2) == 0 {
			a, b = b, a
		}
		expectDecoded(t, b, encode(t, a, msg), msg)
	}
}

func TestAGapIsNormal(t *testing.T) {
	sending, receiving := transform.NewSeal(testKey), transform.NewSeal(testKey)
	for n := range 100 {
		msg := []byte(fmt.Sprint("message ", n))
		sealed := encode(t, sending, msg)
		if n%7 == 3 {
			expectDecoded(t, receiving, sealed, msg)
		}
	}
}

func TestASealOfOneKeyDoesNotOpenAnother(t *testing.T) {
	for bit := range 256 {
		key := testKey
		key[bit/8] ^= 1 << (bit % 8)
		expectRefused(t, transform.NewSeal(key), encode(t, transform.NewSeal(testKey), []byte("hello")), noLimit, transform.ErrKey)
	}
}

func TestASealWithoutAKeyFails(t *testing.T) {
	var s transform.Seal
	if out, err := s.Encode([]byte("dst"), nil); !errors.Is(err, transform.ErrKey) || string(out) != "dst" {
		t.Errorf("Encode returned %q, %v; expected its dst and ErrKey", out, err)
	}
	expectRefused(t, &s, encode(t, transform.NewSeal([32]byte{}), nil), noLimit, transform.ErrKey)
}

// Go's strictest mode does not let a program choose its nonces.
func TestASealThatMayNotEncryptSaysSo(t *testing.T) {
	const strict = "TRANSFORM_TEST_STRICT"
	if os.Getenv(strict) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", strict+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("in the strict mode: %v\n%s", err, out)
		}
		return
	}
	s := transform.NewSeal(testKey)
	out, err := s.Encode([]byte("dst"), nil)
	if !errors.Is(err, transform.ErrKey) || !strings.Contains(fmt.Sprint(err), "FIPS") || string(out) != "dst" {
		t.Errorf("Encode returned %q, %v; expected its dst and ErrKey with the reason", out, err)
	}
	expectRefused(t, s, make([]byte, 100), noLimit, transform.ErrKey)
}

func TestASealErrorSaysWhatWasExpectedAndSeen(t *testing.T) {
	key := vectorKey()
	sealed := unhex(t, vectors[0].sealed)
	after := func(first []byte) *transform.Seal {
		s := transform.NewSeal(key)
		expectDecoded(t, s, first, []byte("hello"))
		return s
	}
	other := transform.NewSeal(key)
	fromOther := encode(t, other, []byte("hello"))
	reflecting := transform.NewSeal(key)
	changed := slices.Clone(sealed)
	changed[atText] ^= 1
	const a0 = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	for _, v := range []struct {
		seal    *transform.Seal
		encoded []byte
		want    string
	}{
		{transform.NewSeal(key), sealed[:10], "seal: damaged message: 10 bytes, expected at least 44"},
		{transform.NewSeal(key), changed, "seal: damaged message: 49 bytes, numbered 1, are not what a sender " + a0 + " has sealed"},
		{transform.NewSeal(key), encode(t, transform.NewSeal([32]byte{}), nil), "seal: wrong key: its check is bcca7ed6, expected e91fb3f3"},
		{after(sealed), sealed, "seal: message repeated or out of order: number 1, expected one above 1"},
		{after(sealed), fromOther, fmt.Sprintf("seal: message of another sender: %x, expected %s", fromOther[atSender:atCounter], a0)},
		{reflecting, encode(t, reflecting, nil), "seal: message of our own came back: number 1 of 1"},
		{new(transform.Seal), sealed, "seal: wrong key: none was given, expected one from NewSeal"},
	} {
		_, err := v.seal.Decode(nil, v.encoded, noLimit)
		if err == nil {
			t.Errorf("no error, expected %q", v.want)
			continue
		}
		if diff := cmp.Diff(v.want, err.Error()); diff != "" {
			t.Errorf("the error (-want +got):\n%s", diff)
		}
	}
	_, err := transform.NewSeal(key).Decode(nil, sealed, 4)
	if want := "seal: message too long: 5 bytes, expected at most 4"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, expected %s", err, want)
	}
}
