package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
)

// peer is a member as the server sees it.
type peer struct {
	*tinyproto.Conn
	id string
}

var you = regexp.MustCompile(`([A-Z0-9]{26})\)? in [^;]+, you`)

// join connects a member and waits until the server and the others know it.
func join(t *testing.T, address string, others ...*peer) *peer {
	t.Helper()
	p := dial(t, address)
	p.say(t, "/who")
	list := p.hear(t)
	found := you.FindStringSubmatch(list)
	if found == nil {
		t.Fatalf("/who says %q, expected an ID that is mine", list)
	}
	p.id = found[1]
	for _, other := range others {
		other.expect(t, "["+p.id+"] **joined the chat")
	}
	return p
}

// dial connects a member whose ID nobody needs.
func dial(t *testing.T, address string) *peer {
	t.Helper()
	c, err := tinyproto.Dial(context.Background(), address, &tinyproto.DialOptions{
		Conn: tinyproto.Options{MaxMessage: maxLine + maxName},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{Conn: c}
}

func (p *peer) say(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := p.Send(ctx, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) hear(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	msg, err := p.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

// expect waits for the next message, which must be this one.
func (p *peer) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.hear(t); got != want {
		t.Fatalf("%s heard %.200q, expected %.200q", p.id, got, want)
	}
}

// leave ends the connection.
func (p *peer) leave(t *testing.T) {
	t.Helper()
	if err := shutdown(p.Conn); err != nil {
		t.Error(err)
	}
}

func TestAMessageGoesToAllOthersAsIDAndText(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	c := join(t, address, a, b)
	for _, text := range []string{"hello", "", "grüß dich €", "two\nlines", "\xff\x00\x1b", "/", "/ not a command", " /who",
		"quit", strings.Repeat("x", maxLine)} {
		a.say(t, text)
		for _, other := range []*peer{b, c} {
			other.expect(t, "["+a.id+"] "+text)
		}
	}
	b.say(t, "none of it came back")
	a.expect(t, "["+b.id+"] none of it came back")
}

func TestJoiningAndLeavingIsToldToTheOthers(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a) // which looks at what a hears
	c := join(t, address, a, b)
	c.leave(t)
	for _, other := range []*peer{a, b} {
		other.expect(t, "["+c.id+"] **left the chat")
	}
	b.NetConn().(*net.TCPConn).SetLinger(0) // a reset
	b.Close()
	a.expect(t, "["+b.id+"] **left the chat")
	join(t, address, a)
}

func TestTheServerLogsEachConnection(t *testing.T) {
	server, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	a.leave(t)
	b.expect(t, "["+a.id+"] **left the chat")
	b.leave(t)
	for _, want := range []string{
		"[INFO] New connection opened from " + a.LocalAddr().String(),
		"[INFO] New connection opened from " + b.LocalAddr().String(),
		"[INFO] Connection closed from " + a.LocalAddr().String(),
		"[INFO] Connection closed from " + b.LocalAddr().String(),
	} {
		server.stdout.expect(t, want)
	}
	server.cancel()
	server.end(t, 0, "", "")
}

func TestTheServerServesOnAUnixSocket(t *testing.T) {
	address := "unix://" + t.TempDir() + "/socket"
	server := start(t, nil, "-listen", address)
	server.stderr.expect(t, "listening on "+address)
	a := join(t, address)
	join(t, address, a)
}

func TestAMemberThatDoesNotReadIsEvictedAndDelaysNobody(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	deaf := join(t, address, a, b)
	left := "[" + deaf.id + "] **left the chat"
	for n := 0; ; n++ {
		text := fmt.Sprint(n)
		a.say(t, text)
		heard := b.hear(t)
		if heard == left {
			b.expect(t, "["+a.id+"] "+text)
			break
		}
		if want := "[" + a.id + "] " + text; heard != want {
			t.Fatalf("heard %q, expected %q", heard, want)
		}
		if n > 1000 {
			t.Fatalf("%d messages wait for a member that does not read", n)
		}
	}
	a.expect(t, left)
}

func TestWhatIsQueuedWhenTheServerEndsStillArrives(t *testing.T) {
	server, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	var want []string
	for n := range 20 {
		a.say(t, fmt.Sprint(n))
		want = append(want, fmt.Sprintf("[%s] %d", a.id, n))
	}
	a.say(t, "/who")
	a.hear(t) // so the server has passed them on
	server.cancel()
	select {
	case <-a.Done(): // nothing waits for a, so it is the first to go
	case <-time.After(bound):
		t.Fatalf("a is still there after %v", bound)
	}
	var got []string
	for msg := range b.Inbox() {
		got = append(got, string(msg))
	}
	if diff := cmp.Diff(want, got); diff != "" || b.Err() != nil {
		t.Errorf("what arrived (-want +got), error %v:\n%s", b.Err(), diff)
	}
	select {
	case status := <-server.status:
		if status != 0 {
			t.Errorf("status %d, expected 0", status)
		}
	case <-time.After(bound):
		t.Fatalf("the server is still there after %v", bound)
	}
}

func TestTheServerEndsWhateverItsMembersDo(t *testing.T) {
	t.Parallel() // because it waits for the grace period
	server, address := startServer(t)
	var opened []string
	wait := func() {
		t.Helper()
		address, ok := strings.CutPrefix(server.stdout.next(t), "[INFO] New connection opened from ")
		if !ok {
			t.Fatal("a connection closed before the end")
		}
		opened = append(opened, address)
	}
	joinRaw := func() net.Conn {
		t.Helper()
		c := dialRaw(t, address)
		exchange(t, c, "ff", "ff")
		wait()
		return c
	}
	dialRaw(t, address) // never greets
	joinRaw()           // says nothing
	silent := joinRaw() // never answers an offer
	exchange(t, silent, "00000004", "ff")
	exchange(t, silent, "2f77686f", "000000") // the reply to /who

	a := join(t, address)
	wait()
	deaf := joinRaw() // accepts a message and does not read it
	deafID, _, _ := strings.Cut(strings.TrimPrefix(a.hear(t), "["), "]")
	large := strings.Repeat("x", maxLine-100) // more than the system holds for it
	a.say(t, "/msg "+deafID+" "+large)
	exchange(t, deaf, "", fmt.Sprintf("%08x", len("["+a.id+" to you] "+large)))
	exchange(t, deaf, "ff", "")
	go func() {
		for range a.Inbox() { // ends with the server
		}
	}()
	for range 20 { // stop in the middle of a message; nothing waits for the last
		half := joinRaw()
		exchange(t, half, "00000064", "ff")
		exchange(t, half, "7878", "")
	}

	began := time.Now()
	server.cancel()
	select {
	case status := <-server.status:
		if status != 0 {
			t.Errorf("status %d, expected 0", status)
		}
	case <-time.After(bound):
		t.Fatalf("the server is still there after %v", bound)
	}
	if took := time.Since(began); took > 3*grace {
		t.Errorf("the end took %v, expected about %v", took, grace)
	}
	var closed []string
	for _, line := range strings.Split(strings.TrimSpace(server.stdout.rest()), "\n") {
		closed = append(closed, strings.TrimPrefix(line, "[INFO] Connection closed from "))
	}
	slices.Sort(opened)
	slices.Sort(closed)
	if diff := cmp.Diff(opened, closed); diff != "" {
		t.Errorf("connections closed (-opened +closed):\n%s", diff)
	}
}

// dialRaw connects without the library.
func dialRaw(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(bound))
	return c
}

// exchange writes bytes to c and expects others, both in hex.
func exchange(t *testing.T, c net.Conn, write, expect string) {
	t.Helper()
	var out, want []byte
	fmt.Sscanf(write, "%x", &out)
	fmt.Sscanf(expect, "%x", &want)
	if _, err := c.Write(out); err != nil {
		t.Fatalf("writing %s: %v", write, err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("after %s: read %x, %v; expected %s", write, got, err, expect)
	}
}
