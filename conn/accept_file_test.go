package conn_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

// fileSizes are below and above what is worth to be spliced, and no multiple of
// what is moved at once.
var fileSizes = []int{0, 1, 20, streamPiece - 1, streamPiece, streamPiece + 1, 2<<20 + 5}

// fileTransports are those that a file is written from differently.
var fileTransports = map[string]func(testing.TB) (net.Conn, net.Conn){
	"tcp":  tcpPair,
	"unix": unixPair,
	"pipe": pipePair,
}

// receiveInto sends messages of these sizes one by one, which the other end
// writes to f, and reports what Done was told of each.
func receiveInto(t testing.TB, a, b *conn.Conn, f *os.File, sizes []int) []caught {
	t.Helper()
	into := make(catcher, len(sizes))
	b.SetAccept(func(size uint32) conn.Placement {
		p := into.accept(size)
		p.Writer = f
		return p
	})
	var all []caught
	for i, size := range sizes {
		if err := a.SendFrom(t.Context(), bytes.NewReader(content(size + i)[i:]), int64(size)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		all = append(all, <-into)
	}
	into.checkNothingMore(t)
	return all
}

// contents are the messages that receiveInto sends, in one piece.
func contents(sizes []int) []byte {
	var all []byte
	for i, size := range sizes {
		all = append(all, content(size + i)[i:]...)
	}
	return all
}

// Messages are written where the file is, and move it on.
func TestMessagesAreWrittenToAFile(t *testing.T) { eachMode(t, testMessagesAreWrittenToAFile) }

func testMessagesAreWrittenToAFile(t *testing.T) {
	for name, transport := range fileTransports {
		for _, c := range []struct {
			name   string
			flag   int
			before string // in the file
			at     int64
			behind string // what stays of it
		}{
			{name: "from its start", flag: os.O_RDWR},
			{name: "from its offset", flag: os.O_RDWR, before: "before", at: 6},
			{name: "over what is there", flag: os.O_RDWR, before: "before", at: 3},
			{name: "at its end, open for appending", flag: os.O_RDWR | os.O_APPEND, before: "before", at: 6},
		} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				leaktest.Check(t)
				x, y := transport(t)
				a, b := joinBounded(t, x, y, nil, nil)
				path := filepath.Join(t.TempDir(), "file")
				if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
					t.Fatal(err)
				}
				f, err := os.OpenFile(path, c.flag, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.Seek(c.at, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				for i, got := range receiveInto(t, a, b, f, fileSizes) {
					if got.err != nil || got.moved != int64(fileSizes[i]) {
						t.Errorf("of %d bytes %d came, %v", got.size, got.moved, got.err)
					}
				}
				sent := contents(fileSizes)
				if at, err := f.Seek(0, io.SeekCurrent); at != c.at+int64(len(sent)) || err != nil {
					t.Errorf("the file is at %d, %v; expected %d", at, err, c.at+int64(len(sent)))
				}
				got, err := os.ReadFile(path)
				want := append([]byte(c.before)[:c.at], sent...)
				if diff := cmp.Diff(summary(want), summary(got)); diff != "" || err != nil {
					t.Errorf("the file (-want +got), %v:\n%s", err, diff)
				}
				shutDown(t, a, b)
			})
		}
	}
}

// What a legacy peer writes before it was asked to is the beginning of the file.
func TestEarlyBytesAreWrittenToAFile(t *testing.T) {
	for name, transport := range fileTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			into := make(catcher, len(fileSizes))
			nc, peer := transport(t)
			_, p := greetPlayed(t, t.Context(), nc, peer, &conn.Options{Accept: func(size uint32) conn.Placement {
				p := into.accept(size)
				p.Writer = f
				return p
			}})
			written := make(chan error, 1)
			go func() { // ends with the messages
				var stream []byte
				for i, size := range fileSizes {
					stream = append(append(stream, offerOf(size)...), content(size + i)[i:]...)
				}
				_, err := p.Write(stream)
				written <- err
			}()
			p.hears(bytes.Repeat([]byte{ok}, len(fileSizes))...)
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			for _, size := range fileSizes {
				if got := <-into; got.err != nil || got.moved != int64(size) {
					t.Errorf("of %d bytes %d came, %v", got.size, got.moved, got.err)
				}
			}
			got, err := os.ReadFile(f.Name())
			if diff := cmp.Diff(summary(contents(fileSizes)), summary(got)); diff != "" || err != nil {
				t.Errorf("the file (-want +got), %v:\n%s", err, diff)
			}
		})
	}
}

// A file that can't be written is a Writer that fails.
func TestAFileThatCannotBeWrittenLeavesTheConnectionAlive(t *testing.T) {
	eachMode(t, testAFileThatCannotBeWrittenLeavesTheConnectionAlive)
}

func testAFileThatCannotBeWrittenLeavesTheConnectionAlive(t *testing.T) {
	for name, transport := range fileTransports {
		for _, c := range []struct {
			name string
			file func(path string) (*os.File, error)
			want error
		}{
			{"closed", func(path string) (*os.File, error) {
				f, err := os.Create(path)
				f.Close()
				return f, err
			}, os.ErrClosed},
			{"open for reading", func(path string) (*os.File, error) {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					return nil, err
				}
				return os.Open(path)
			}, nil},
			{"a directory", func(path string) (*os.File, error) { return os.Open(filepath.Dir(path)) }, nil},
		} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				leaktest.Check(t)
				x, y := transport(t)
				a, b := joinBounded(t, x, y, nil, nil)
				f, err := c.file(filepath.Join(t.TempDir(), "file"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				for _, got := range receiveInto(t, a, b, f, []int{10, 1 << 20, streamPiece, 1}) {
					checkPartial(t, got.err, int64(got.size), 0)
					if c.want != nil && !errors.Is(got.err, c.want) {
						t.Errorf("Done was told %v, expected %v", got.err, c.want)
					}
					if path, ok := errors.AsType[*fs.PathError](got.err); !ok || path.Path != f.Name() {
						t.Errorf("Done was told %v, which does not name %s", got.err, f.Name())
					}
				}
				if got := receiveInto(t, a, b, nil, []int{0}); got[0].err != nil {
					t.Errorf("an empty message: %v", got[0].err)
				}
				shutDown(t, a, b)
			})
		}
	}
}

// A pipe is a file, too, and its reader the one that makes it slow.
func TestMessagesAreWrittenToAPipe(t *testing.T) { eachMode(t, testMessagesAreWrittenToAPipe) }

func testMessagesAreWrittenToAPipe(t *testing.T) {
	for name, transport := range fileTransports {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			x, y := transport(t)
			a, b := joinBounded(t, x, y, nil, nil)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			read := make(chan []byte, 1)
			go func() { // ends with w
				p, _ := io.ReadAll(r)
				read <- p
			}()
			for i, got := range receiveInto(t, a, b, w, fileSizes) {
				if got.err != nil || got.moved != int64(fileSizes[i]) {
					t.Errorf("of %d bytes %d came, %v", got.size, got.moved, got.err)
				}
			}
			w.Close()
			if diff := cmp.Diff(summary(contents(fileSizes)), summary(<-read)); diff != "" {
				t.Errorf("what came through the pipe (-want +got):\n%s", diff)
			}
		})
	}
}
