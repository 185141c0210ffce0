package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto"
)

// startClient starts a client that reads what is written to the pipe.
func startClient(t *testing.T, address string) (*program, *io.PipeWriter) {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return start(t, r, "-connect", address), w
}

func TestTheClientSendsEachLineUntilItsInputEnds(t *testing.T) {
	long := strings.Repeat("x", 6<<20)
	for _, tt := range []struct {
		name, stdin string
		sent        []string
	}{
		{"no input", "", nil},
		{"lines", "hello\nworld\n", []string{"hello", "world"}},
		{"empty lines", "\n\n", []string{"", ""}},
		{"a last line without newline", "a\nb", []string{"a", "b"}},
		{"commands are the server's", "/nick bob\n//x\n", []string{"/nick bob", "//x"}},
		{"bytes as they are", "grüß €\r\n\xff\x00\n", []string{"grüß €\r", "\xff\x00"}},
		{"a line of 6 MiB", long + "\n", []string{long}},
		{"the longest line", strings.Repeat("x", maxLine) + "\n", []string{strings.Repeat("x", maxLine)}},
		{"quit is sent and ends it", "a\nquit\nb\n", []string{"a", "quit"}},
		{"quit without newline", "quit", []string{"quit"}},
		{"almost quit", "quit \nQUIT\n", []string{"quit ", "QUIT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent []string
			var err error
			address := listener(t, func(ctx context.Context, c *tinyproto.Conn) error {
				for msg := range c.Inbox() {
					sent = append(sent, string(msg))
				}
				err = c.Err()
				return nil
			})
			p := start(t, strings.NewReader(tt.stdin), "-connect", address.String())
			p.end(t, 0, "", "")
			address.close()
			if diff := cmp.Diff(tt.sent, sent); diff != "" || err != nil {
				t.Errorf("sent (-want +got), error %v:\n%.500s", err, diff)
			}
		})
	}
}

// served is where a server listens.
type served struct {
	net.Addr
	close func() // returns when its handlers have
}

// listener is a server with a handler of its own.
func listener(t *testing.T, handler tinyproto.Handler) served {
	t.Helper()
	l, err := tinyproto.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := tinyproto.Server{Handler: handler}
	go func() { done <- server.Serve(ctx, l); close(done) }() // ends with cancel
	end := func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return served{l.Addr(), end}
}

func TestTheClientPrintsWhatArrivesInLines(t *testing.T) {
	messages := []string{"[x] hello", "", "grüß €", "two\nlines", "\x1b[31mred", strings.Repeat("x", 1<<20)}
	address := listener(t, func(ctx context.Context, c *tinyproto.Conn) error {
		for _, msg := range messages {
			if err := c.Send(ctx, []byte(msg)); err != nil {
				t.Error(err)
			}
		}
		for range c.Inbox() {
		}
		return nil
	})
	p, stdin := startClient(t, address.String())
	for _, line := range strings.Split(strings.Join(messages, "\n"), "\n") {
		p.stdout.expect(t, line)
	}
	stdin.Close()
	p.end(t, 0, "", "")
}

func TestTwoClientsChat(t *testing.T) {
	_, address := startServer(t)
	a, toA := startClient(t, address)
	io.WriteString(toA, "/nick alice\n")
	a.stdout.expect(t, "** you are alice now")
	b, toB := startClient(t, address)
	io.WriteString(toB, "/nick bob\n")
	b.stdout.expect(t, "** you are bob now")
	if joined := a.stdout.next(t); !strings.HasSuffix(joined, "] **joined the chat") {
		t.Errorf("alice sees %q, expected that somebody joined", joined)
	}
	io.WriteString(toA, "hello bob\n")
	b.stdout.expect(t, "[alice] hello bob")
	io.WriteString(toB, "hello alice\nquit\nnobody sees this\n")
	b.end(t, 0, "", "")
	a.stdout.expect(t, "[bob] hello alice")
	a.stdout.expect(t, "[bob] quit")
	a.stdout.expect(t, "[bob] **left the chat")
	a.cancel()
	a.end(t, 0, "", "")
}

func TestTheServersEndIsOneLineAndStatus1(t *testing.T) {
	server, address := startServer(t)
	p, stdin := startClient(t, address)
	io.WriteString(stdin, "/help\n")
	p.stdout.expect(t, "** "+help)
	server.cancel()
	p.end(t, 1, "", "chat: the server ended the connection\n")
}

// rawServer is a server that does what it is told to its one connection.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with serve, or with l
		defer close(done)
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// untilClosed reads until the other end closes.
func untilClosed(c net.Conn) { io.Copy(io.Discard, c) }

func TestTheClientFailsWithOneLineAtOnce(t *testing.T) {
	greet := func(hello string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, hello); c.(*net.TCPConn).CloseWrite(); untilClosed(c) }
	}
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		says  string
	}{
		{"CONLIMIT", greet("\xfe"), "connection limit"},
		{"zeros", greet(strings.Repeat("\x00", 254)), "refused"},
		{"end of stream", greet(""), "refused"},
		{"another protocol", greet("220 ready\r\n"), "does not speak tinyproto"},
		{"an end", greet("\xff"), "the server ended the connection"},
		{"a reset", func(c net.Conn) {
			exchange(t, c, "ff", "ff")
			c.(*net.TCPConn).SetLinger(0)
		}, "reset"},
		{"a broken protocol", greet("\xff\xf5"), "protocol violation"},
		{"an end amid a message", greet("\xff\x00\x00\x00\x02h"), "1 of 2 payload bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := startClient(t, rawServer(t, tt.serve)) // nobody types anything
			if line := p.stderr.next(t); !strings.HasPrefix(line, "chat: ") || !strings.Contains(line, tt.says) {
				t.Errorf("stderr %q, expected it to say %q", line, tt.says)
			}
			p.end(t, 1, "", "")
		})
	}
	t.Run("an end while a line waits to be accepted", func(t *testing.T) {
		p, stdin := startClient(t, rawServer(t, func(c net.Conn) {
			exchange(t, c, "ff", "ff00000005")
		}))
		io.WriteString(stdin, "hello\n")
		if line := p.stderr.next(t); !strings.Contains(line, "message of 5 bytes") || !strings.Contains(line, "not sent") {
			t.Errorf("stderr %q, expected what was not sent", line)
		}
		p.end(t, 1, "", "")
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		p, _ := startClient(t, l.Addr().String())
		if line := p.stderr.next(t); !strings.Contains(line, "refused") {
			t.Errorf("stderr %q, expected that it was refused", line)
		}
		p.end(t, 1, "", "")
	})
	t.Run("a line over the limit", func(t *testing.T) {
		_, address := startServer(t)
		p := start(t, strings.NewReader(strings.Repeat("x", maxLine+1)), "-connect", address)
		p.stderr.expect(t, "chat: a line is longer than 16777216 bytes")
		p.end(t, 1, "", "")
	})
}

func TestTheClientEndsWhenToldToWhateverItWaitsFor(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		serve       func(c net.Conn, reached func())
	}{
		{"a greeting", "", func(c net.Conn, reached func()) {
			exchange(t, c, "", "ff")
			reached()
			untilClosed(c)
		}},
		{"input", "", func(c net.Conn, reached func()) {
			exchange(t, c, "ff", "ff")
			reached()
			untilClosed(c)
		}},
		{"an answer", "hello\n", func(c net.Conn, reached func()) {
			exchange(t, c, "ff", "ff00000005")
			reached()
			untilClosed(c)
		}},
		{"the rest of a message", "", func(c net.Conn, reached func()) {
			exchange(t, c, "ff00000005", "ffff")
			reached()
			untilClosed(c)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // because it waits for the grace period
			reached := make(chan struct{})
			p, stdin := startClient(t, rawServer(t, func(c net.Conn) {
				c.SetDeadline(time.Now().Add(bound))
				tt.serve(c, func() { close(reached) })
			}))
			if tt.stdin != "" {
				io.WriteString(stdin, tt.stdin)
			}
			select {
			case <-reached:
			case <-time.After(bound):
				t.Fatal("the client does not come so far")
			}
			p.cancel()
			p.end(t, 0, "", "")
		})
	}
}

func TestTheClientEndsWhenToldToAlsoIfNobodyReadsItsOutput(t *testing.T) {
	t.Parallel() // because it waits for the grace period
	_, address := startServer(t)
	bob := join(t, address)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	unread, stdout := io.Pipe()
	defer unread.Close() // ends its last write
	stdin, typing := io.Pipe()
	defer typing.Close()
	status := make(chan int, 1)
	go func() { status <- run(ctx, []string{"-connect", address}, stdin, stdout, newPrinted()) }() // ends with cancel
	bob.hear(t)                                                                                    // that it joined
	for range 3 {
		bob.say(t, "hello")
	}
	unread.Read(make([]byte, 1)) // so it is in the middle of the first
	cancel()
	select {
	case got := <-status:
		if got != 0 {
			t.Errorf("status %d, expected 0", got)
		}
	case <-time.After(bound):
		t.Fatalf("the client did not end within %v", bound)
	}
}

func TestWhatATerminalWouldObeyIsQuoted(t *testing.T) {
	for msg, want := range map[string]string{
		"":                         "",
		"plain, with\ta tab":       "plain, with\ta tab",
		"grüß €, 日本語 🙂 👩‍👧":        "grüß €, 日本語 🙂 👩‍👧",
		`"a\b"`:                    `"a\b"`,
		"\x1b]0;title\a":           `\x1b]0;title\a`,
		"a\r\nb":                   `a\r\nb`,
		"\x00\x7f":                 `\x00\x7f`,
		"\u009b2J":                 `\u009b2J`,
		"\x9b2J\xff":               `\x9b2J\xff`,
		"\xe6\x97":                 `\xe6\x97`,
		"the sign itself: \ufffd.": "the sign itself: \ufffd.",
	} {
		if got := harmless([]byte(msg)); got != want {
			t.Errorf("%q is printed as %q, expected %q", msg, got, want)
		}
	}
}
