//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// expectServer checks how the server ended that was sent a signal.
func (k *killing) expectServer(t *testing.T, p *process, sig syscall.Signal) {
	t.Helper()
	want := 0
	if sig == syscall.SIGKILL {
		want = -1
	}
	if status := p.wait(t, soon); status != want || strings.Count(p.stderr.String(), "\n") > 1 {
		t.Errorf("the server ended with status %d and printed %q, expected %d", status, p.stderr.String(), want)
	}
}

// expectInterrupted checks how the client ended that was sent a signal.
func (k *killing) expectInterrupted(t *testing.T, p *process, sig syscall.Signal) int {
	t.Helper()
	status, text := p.wait(t, soon), p.stderr.String()
	name := "x"
	if k.upload {
		name = filepath.Join(k.local, "x")
	}
	wantStatus, want := 1, fmt.Sprintf("tpft: %v signal received: %s was not copied\n", sig, name)
	if sig == syscall.SIGKILL {
		wantStatus, want = -1, ""
	}
	if status != wantStatus || text != want {
		t.Errorf("the client ended with status %d and %q, expected %d and %q", status, text, wantStatus, want)
	}
	return status
}

// broken is what a client says whose server died.
var broken = regexp.MustCompile(`^tpft(\.py)?: .*(reset by peer|[Bb]roken pipe|ended|end of the stream|closed by the peer|unfinished).*\n$`)

// expectClient checks how the client ended whose server died. It may have had
// all: what a process has sent arrives even if it dies.
func (k *killing) expectClient(t *testing.T, p *process) int {
	t.Helper()
	status, text := p.wait(t, soon), p.stderr.String()
	if status != 0 && status != 1 || status == 0 && text != "" || status == 1 && (!broken.MatchString(text) || strings.Contains(text, "shorter")) {
		t.Errorf("the client ended with status %d and %q, expected 1 and that the connection is broken", status, text)
	}
	return status
}

// expectDisconnected waits until a server knows that its client died.
func (k *killing) expectDisconnected(t *testing.T) {
	t.Helper()
	if k.server.name != goTPFT.name {
		return
	}
	k.running.await(t, &k.running.stdout, fmt.Sprintf("%d times that a client disconnected", k.served), func(text string) bool {
		return strings.Count(text, " disconnected") == k.served
	})
}

// expectDestination checks that the destination is as it was, or new as a whole
// if all of it was moved. A receiver in Python is known to do damage.
func (k *killing) expectDestination(t *testing.T, dir string, status int, moved int64) {
	t.Helper()
	if receiver := k.receiver(); receiver.name != goTPFT.name {
		return
	}
	expectNames(t, dir, "x")
	got, err := os.ReadFile(filepath.Join(dir, "x"))
	isOld, isNew := string(got) == "old", bytes.Equal(got, k.data)
	if err != nil || !isOld && !isNew || isOld && status == 0 || isNew && moved < k.fileEnd() {
		t.Errorf("status %d, and the destination has %d bytes, %v, after %d of %d were moved; expected what it was",
			status, len(got), err, moved, k.fileEnd())
	}
}

func (k *killing) receiver() implementation {
	if k.upload {
		return k.server
	}
	return k.client
}
