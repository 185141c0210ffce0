package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	up, left = "\x1b[A", "\x1b[D"
	ctrlD    = "\x04"
)

// openClient starts a client in a terminal, and returns who else is there.
func openClient(t *testing.T) (server *program, bob *peer, c *console) {
	t.Helper()
	server, address := startServer(t)
	bob = join(t, address)
	bob.say(t, "/nick bob")
	bob.hear(t)
	c = openConsole(t, address)
	if joined := bob.hear(t); !strings.HasSuffix(joined, "] **joined the chat") {
		t.Fatalf("heard %q, expected that the client joined", joined)
	}
	c.sees(t, "> ")
	if c.isAsItWas(t) {
		t.Fatal("the terminal is as it was: nothing here could show that it is restored")
	}
	return server, bob, c
}

func TestTheLineBeingTypedStaysWhileMessagesArrive(t *testing.T) {
	_, bob, c := openClient(t)
	c.types(t, "half of")
	c.sees(t, "> half of")
	bob.say(t, "hello")
	c.sees(t, "[bob] hello", "> half of")
	c.types(t, " a line")
	c.sees(t, "[bob] hello", "> half of a line")
	c.types(t, strings.Repeat(left, len("line")))
	bob.say(t, "two\nlines, \x1b[2Jand more")
	c.sees(t, "[bob] hello", `[bob] two\nlines, \x1b[2Jand more`, "> half of a |line")
	c.types(t, "long ")
	c.sees(t, "[bob] hello", `[bob] two\nlines, \x1b[2Jand more`, "> half of a long |line")
	c.types(t, "\r")
	c.sees(t, "[bob] hello", `[bob] two\nlines, \x1b[2Jand more`, "> half of a long line", "> ")
	if said := bob.hear(t); !strings.HasSuffix(said, "] half of a long line") {
		t.Errorf("the client said %q", said)
	}
}

func TestALineOfSeveralRowsStaysToo(t *testing.T) {
	_, bob, c := openClient(t)
	typed := strings.Repeat("0123456789", 15)
	c.types(t, typed)
	rows := []string{"> " + typed[:58], typed[58:118], typed[118:]}
	c.sees(t, rows...)
	bob.say(t, strings.Repeat("x", 100))
	message := "[bob] " + strings.Repeat("x", 100)
	c.sees(t, append([]string{message[:60], message[60:]}, rows...)...)
	c.types(t, "\r")
	if said := bob.hear(t); !strings.HasSuffix(said, "] "+typed) {
		t.Errorf("the client said %q", said)
	}
}

func TestAWideLineLeavesNothingBehind(t *testing.T) {
	_, bob, c := openClient(t)
	c.types(t, "日本語")
	c.sees(t, "> 日本語")
	// A real terminal moves on by two columns for each of these. The editor does
	// not know, and this one here neither; but what counts is that it is told to
	// begin at the margin.
	bob.say(t, "hello")
	c.sees(t, "[bob] hello", "> 日本語")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(c.output, wipe+"[bob] hello") {
		t.Errorf("the terminal is told %q, expected that the row is wiped first", c.output)
	}
}

func TestHistoryBringsBackWhatWasSent(t *testing.T) {
	_, bob, c := openClient(t)
	c.types(t, "one\r")
	bob.hear(t)
	c.types(t, "two\r")
	bob.hear(t)
	c.types(t, "thr")
	c.sees(t, "> one", "> two", "> thr")
	c.types(t, up+up)
	c.sees(t, "> one", "> two", "> one")
	bob.say(t, "hello")
	c.sees(t, "> one", "> two", "[bob] hello", "> one")
	c.types(t, "!\r")
	if said := bob.hear(t); !strings.HasSuffix(said, "] one!") {
		t.Errorf("the client said %q", said)
	}
}

func TestTheTerminalIsRestored(t *testing.T) {
	ended := "chat: the server ended the connection"
	for _, tt := range []struct {
		name   string
		end    func(t *testing.T, server *program, c *console)
		status int
		after  []string
	}{
		{"after quit", func(t *testing.T, _ *program, c *console) { c.types(t, "\x15quit\r") }, 0, []string{"> quit", ""}},
		{"at the end of the input", func(t *testing.T, _ *program, c *console) {
			c.types(t, "\x15")
			c.sees(t, "> ")
			c.types(t, ctrlD)
		}, 0, []string{">", ""}},
		{"after Ctrl-C", func(t *testing.T, _ *program, c *console) { c.types(t, "\x03") }, 0, []string{"> half", ""}},
		{"after SIGINT", func(t *testing.T, _ *program, c *console) { c.cmd.Process.Signal(syscall.SIGINT) }, 0, []string{"> half", ""}},
		{"after SIGTERM", func(t *testing.T, _ *program, c *console) { c.cmd.Process.Signal(syscall.SIGTERM) }, 0, []string{"> half", ""}},
		{"after SIGHUP", func(t *testing.T, _ *program, c *console) { c.cmd.Process.Signal(syscall.SIGHUP) }, 0, []string{"> half", ""}},
		{"after the server's end", func(t *testing.T, server *program, c *console) { server.cancel() }, 1, []string{"> half", ended, ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, _, c := openClient(t)
			c.types(t, "half")
			c.sees(t, "> half")
			tt.end(t, server, c)
			c.ends(t, tt.status)
			c.sees(t, tt.after...)
		})
	}
}

func TestCtrlCEndsTheClientWhileALineWaits(t *testing.T) {
	t.Parallel() // because it waits for the grace period
	waiting := make(chan struct{})
	c := openConsole(t, rawServer(t, func(nc net.Conn) {
		exchange(t, nc, "ff", "ff00000005")
		close(waiting)
		untilClosed(nc)
	}))
	c.sees(t, "> ")
	c.types(t, "hello\rand more\rand")
	<-waiting
	c.sees(t, "> hello", "> and more", "> and") // typing goes on
	c.types(t, "\x03")
	c.ends(t, 0)
	c.sees(t, "> hello", "> and more", "> and", "")
}

func TestATerminalThatCannotBeWrittenAllOverIsLeftAsItIs(t *testing.T) {
	const message, quoted = "\x1b[2Jhello", `\x1b[2Jhello`
	setup := func(t *testing.T, change func(*exec.Cmd)) (*peer, *console) {
		_, address := startServer(t)
		bob := join(t, address)
		bob.say(t, "/nick bob")
		bob.hear(t)
		c := openConsole(t, address, change)
		bob.hear(t) // that it joined
		return bob, c
	}
	t.Run("output alone", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		bob, c := setup(t, func(cmd *exec.Cmd) { cmd.Stdin = r })
		bob.say(t, message)
		c.sees(t, "[bob] "+quoted, "")
		if !c.isAsItWas(t) {
			t.Error("the terminal was changed")
		}
		w.Close()
		c.ends(t, 0)
	})
	t.Run("input alone", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		bob, c := setup(t, func(cmd *exec.Cmd) { cmd.Stdout = w })
		w.Close()
		bob.say(t, message)
		got := make([]byte, len("[bob] "+message+"\n"))
		r.SetReadDeadline(time.Now().Add(bound))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "[bob] "+message+"\n" {
			t.Errorf("stdout %q, %v; expected the message as it is", got, err)
		}
		if !c.isAsItWas(t) {
			t.Error("the terminal was changed")
		}
		c.types(t, ctrlD)
		c.ends(t, 0)
	})
	t.Run("a dumb one", func(t *testing.T) {
		bob, c := setup(t, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "TERM=dumb") })
		bob.say(t, message)
		c.sees(t, "[bob] "+quoted, "")
		if !c.isAsItWas(t) {
			t.Error("the terminal was changed")
		}
		c.types(t, ctrlD)
		c.ends(t, 0)
	})
}
