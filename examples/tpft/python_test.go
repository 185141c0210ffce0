package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// foreign is a copy between this program and the peer in Python.
type foreign struct {
	name    string
	address string // of the server
	copy    func(t *testing.T, from, to string, flags ...string)
}

func (f *foreign) remote(path string) string { return f.address + ":" + path }

// startForeign serves a directory in both languages, each for clients of the
// other one.
func startForeign(t *testing.T, root string) []foreign {
	t.Helper()
	_, python := pythonTPFT.serve(t, root)
	return []foreign{
		{"Go client of a Python server", python, func(t *testing.T, from, to string, flags ...string) {
			t.Helper()
			succeed(t, append(flags, from, to)...)
		}},
		{"Python client of a Go server", startServerAt(t, root).address, func(t *testing.T, from, to string, flags ...string) {
			t.Helper()
			pythonTPFT.copy(t, from, to, prefixed("-", flags)...).expectSuccess(t)
		}},
	}
}

// prefixed returns flags that begin with one more dash, but leaves their values.
func prefixed(dash string, flags []string) []string {
	var all []string
	for _, f := range flags {
		if strings.HasPrefix(f, "-") {
			f = dash + f
		}
		all = append(all, f)
	}
	return all
}

// fillSparse makes a file with holes that has, in each MiB and at its end, a
// few bytes that are nowhere else.
func fillSparse(t *testing.T, path string, size int64) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := int64(0); at < size; at += 1 << 20 {
		mark := contents(int(at>>20) + 8)
		if _, err := f.WriteAt(mark[:min(8, size-at)], at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(max(size-1, 0)); err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		if _, err := f.WriteAt([]byte{0xff}, size-1); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// digestOf returns the size and the SHA-256 sum of a file.
func digestOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%d bytes, %x", n, h.Sum(nil))
}

func TestFilesOfAnySizeAreCopiedBetweenGoAndPython(t *testing.T) {
	dir := t.TempDir()
	pairs := startForeign(t, dir)
	for _, size := range []int64{0, 1, defaultChunk - 1, defaultChunk, defaultChunk + 1, 200 << 20} {
		source, there := fillSparse(t, filepath.Join(dir, "source"), size), filepath.Join(dir, "copy")
		want := digestOf(t, source)
		for _, pair := range pairs {
			t.Run(fmt.Sprintf("%d bytes/%s", size, pair.name), func(t *testing.T) {
				for _, tt := range [][2]string{{source, pair.remote("copy")}, {pair.remote("source"), there}} {
					if pair.copy(t, tt[0], tt[1]); digestOf(t, there) != want {
						t.Errorf("%s to %s: arrived %s, expected %s", tt[0], tt[1], digestOf(t, there), want)
					}
					if err := os.Remove(there); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	expectNames(t, dir, "source")
}

func TestAnyChunkSizeIsUnderstoodInEitherLanguage(t *testing.T) {
	dir := t.TempDir()
	for _, pair := range startForeign(t, dir) {
		for _, chunk := range []int64{1, 299, 300, 301, 4043309055} {
			t.Run(pair.name+" in chunks of "+strconv.FormatInt(chunk, 10), func(t *testing.T) {
				source := write(t, filepath.Join(dir, "source"), contents(300))
				write(t, filepath.Join(dir, "copy"), contents(1000)) // is replaced
				pair.copy(t, source, pair.remote("copy"), "-chunk-size", strconv.FormatInt(chunk, 10))
				expectFile(t, filepath.Join(dir, "copy"), contents(300))
			})
		}
	}
	expectNames(t, dir, "copy", "source")
}

// awkward are names that have to be quoted somewhere.
var awkward = []string{"a b", " ", "grüß €.bin", "gru\u0308ß", "日本語", "😀", "a:b", "c\\d", `e"f`, "g'h", "i\nj\t\u007f\u0085", "-p", "%41", "\ufffd\ufeff", "<&>\u2028"}

func TestNamesMeanTheSameInGoAndPython(t *testing.T) {
	root, local := t.TempDir(), t.TempDir()
	for _, pair := range startForeign(t, root) {
		t.Run(pair.name, func(t *testing.T) {
			for _, name := range awkward {
				source := write(t, filepath.Join(local, "d "+name, name), []byte(name))
				pair.copy(t, source, pair.remote(name))
				expectFile(t, filepath.Join(root, name), []byte(name))
				pair.copy(t, pair.remote(name), source+" back")
				expectFile(t, source+" back", []byte(name))
			}
			entries, err := os.ReadDir(root)
			if err != nil || len(entries) != len(awkward) {
				t.Errorf("%d names, %v; expected %d: %v", len(entries), err, len(awkward), entries)
			}
			for _, e := range entries {
				if err := os.Remove(filepath.Join(root, e.Name())); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestAPythonServerIsSentSeveralFilesOverOneConnection(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	p, address := pythonTPFT.serve(t, root, "-v")
	var args, back []string
	for i := range 5 {
		name := "file " + strconv.Itoa(i)
		args = append(args, write(t, filepath.Join(dir, name), contents(i)))
		back = append(back, address+":"+name)
	}
	into := t.TempDir()
	succeed(t, append(args, address+":")...)
	succeed(t, append(back, into)...)
	for i := range 5 {
		expectFile(t, filepath.Join(root, "file "+strconv.Itoa(i)), contents(i))
		expectFile(t, filepath.Join(into, "file "+strconv.Itoa(i)), contents(i))
	}
	// "Connection closed" is said later than the client has ended.
	if n := strings.Count(p.stdout.String(), "Opened connection"); n != 2 {
		t.Errorf("the server saw %d connections, expected 2:\n%s", n, p.stdout.String())
	}
}
