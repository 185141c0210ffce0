//go:build amd64 || arm64 || loong64 || riscv64

package conn_test

import (
	"crypto/sha256"
	"io"
	"net"
	"os"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// In pipelined mode a Conn reads as much as there is, so reads can't be forbidden to
// show that the kernel copies. But no byte of a file's that is read gets to the
// connection in a process that can't write more than 64 bytes at a time.
func TestNoPayloadByteOfAFileIsWrittenByTheProgramInPipelinedMode(t *testing.T) {
	for _, c := range []struct {
		name   string
		reader func(*os.File) io.Reader
		size   int
		fails  bool
	}{
		{"from a file", func(f *os.File) io.Reader { return f }, copySize, false},
		{"from something else", func(f *os.File) io.Reader { return plain{f} }, copySizeToFail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, child := copyDir(t, c.size)
			if !inChild(t, child) {
				return
			}
			want, _ := fileSum(t, copySource)
			source, _ := copyFiles(t)
			x, y := tcpPair(t)
			forbidWriting(t)
			checkForbidden(t)
			sum := sha256.New()
			arrived := make(chan error, 1)
			a, _ := joinBounded(t, x, y, &conn.Options{Mode: conn.Pipelined}, &conn.Options{Accept: func(uint32) conn.Placement {
				return conn.Placement{Writer: sum, Done: func(_ int64, err error) { arrived <- err }}
			}})
			err := a.SendFrom(t.Context(), c.reader(source), int64(c.size))
			if err == nil {
				err = <-arrived
			}
			if (err != nil) != c.fails {
				t.Errorf("the message: %v; expected that it fails: %t", err, c.fails)
			}
			if got := string(sum.Sum(nil)); !c.fails && got != want {
				t.Error("what arrived is not what the file has")
			}
		})
	}
}

// And none that arrives gets into a file, but for what comes in one piece with its
// size: here nothing does.
func TestNoPayloadByteIsWrittenIntoAFileByTheProgramInPipelinedMode(t *testing.T) {
	for _, c := range []struct {
		name   string
		writer func(*os.File) io.Writer
		size   int
		fails  bool
	}{
		{"into a file", func(f *os.File) io.Writer { return f }, copySize, false},
		{"into something else", func(f *os.File) io.Writer { return plain{f} }, copySizeToFail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, child := copyDir(t, c.size)
			if !inChild(t, child) {
				checkCopied(t, dir, c.size, !c.fails)
				return
			}
			source, target := copyFiles(t)
			nc, peer := tcpPair(t)
			asked, arrived := make(chan struct{}, 1), make(chan error, 1)
			s := newPipelined(t, nc, peer, conn.Options{Accept: func(uint32) conn.Placement {
				asked <- struct{}{}
				return conn.Placement{Writer: c.writer(target), Done: func(_ int64, err error) { arrived <- err }}
			}}, generous)
			forbidWriting(t)
			checkForbidden(t)
			s.peer.says(offerOf(c.size)...)
			<-asked
			if _, err := peer.(*net.TCPConn).ReadFrom(source); err != nil { // which is a sendfile
				t.Fatal(err)
			}
			if err := <-arrived; (err != nil) != c.fails {
				t.Errorf("the message: %v; expected that it fails: %t", err, c.fails)
			}
			s.peer.hears(ok)
		})
	}
}
