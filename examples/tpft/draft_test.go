package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// makers are the kinds of drafts.
var makers = map[string]func(dir *os.Root, name string, size int64) (*draft, error){
	"unnamed": func(dir *os.Root, name string, size int64) (*draft, error) {
		return new(drafts).create(dir, name, size)
	},
	"named": func(dir *os.Root, name string, size int64) (*draft, error) {
		return (&drafts{named: true}).create(dir, name, size)
	},
	"resumable": func(dir *os.Root, name string, _ int64) (*draft, error) { return new(drafts).resume(dir, name) },
}

func forEachMaker(t *testing.T, f func(t *testing.T, kind string, dir string, root *os.Root)) {
	for kind := range makers {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			f(t, kind, dir, openRoot(t, dir))
		})
	}
}

func TestADraftIsNotSeenBeforeItIsCommittedAndThenWholly(t *testing.T) {
	forEachMaker(t, func(t *testing.T, kind, dir string, root *os.Root) {
		for _, old := range []bool{false, true} {
			var names []string
			if old {
				write(t, filepath.Join(dir, "x"), []byte("a longer old one"))
				names = []string{"x"}
			} else {
				os.Remove(filepath.Join(dir, "x"))
			}
			w, err := makers[kind](root, "x", 3)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.file.WriteString("new"); err != nil {
				t.Fatal(err)
			}
			if kind == "unnamed" {
				expectNames(t, dir, names...)
			}
			if old {
				expectFile(t, filepath.Join(dir, "x"), []byte("a longer old one"))
			}
			if err := w.commit(); err != nil {
				t.Fatal(err)
			}
			expectNames(t, dir, "x")
			expectFile(t, filepath.Join(dir, "x"), []byte("new"))
			w.discard()
			expectNames(t, dir, "x")
		}
	})
}

func TestADiscardedDraftLeavesTheOldFileAndNothingElse(t *testing.T) {
	forEachMaker(t, func(t *testing.T, kind, dir string, root *os.Root) {
		write(t, filepath.Join(dir, "x"), []byte("old"))
		w, err := makers[kind](root, "x", 3)
		if err != nil {
			t.Fatal(err)
		}
		if kind != "resumable" {
			if _, err := w.file.WriteString("new"); err != nil {
				t.Fatal(err)
			}
		}
		w.discard()
		expectNames(t, dir, "x")
		expectFile(t, filepath.Join(dir, "x"), []byte("old"))
	})
}

func TestADraftThatCannotTakeItsPlaceLeavesNothing(t *testing.T) {
	forEachMaker(t, func(t *testing.T, kind, dir string, root *os.Root) {
		w, err := makers[kind](root, "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "x/y"), nil) // a directory takes its place meanwhile
		if err := w.commit(); err == nil {
			t.Error("a draft took the place of a directory")
		}
		expectNames(t, dir, "x", "x/y")
	})
}

func TestADraftIsRefusedWhereNoFileCanBe(t *testing.T) {
	forEachMaker(t, func(t *testing.T, kind, dir string, root *os.Root) {
		if err := os.Mkdir(filepath.Join(dir, "d"), 0o777); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name string
			want error
		}{
			{"d", errIsDirectory}, {".", errIsDirectory},
			{".tpft-0123456789abcdef.tmp", errReserved}, {".x.tpft-partial", errReserved},
		} {
			if w, err := makers[kind](root, tt.name, 0); !errors.Is(err, tt.want) {
				t.Errorf("%q: %v, %v; expected %v", tt.name, w, err, tt.want)
			}
		}
		if w, err := makers[kind](root, strings.Repeat("n", 256), 0); err == nil {
			w.discard()
			if kind == "resumable" {
				t.Error("a name that is too long was taken")
			}
		}
		expectNames(t, dir, "d")
	})
}

func TestTheModeOfAnExistingFileIsKept(t *testing.T) {
	forEachMaker(t, func(t *testing.T, kind, dir string, root *os.Root) {
		path := write(t, filepath.Join(dir, "x"), []byte("old"))
		fresh, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []fs.FileMode{0o600, 0o751, 0o666} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			commit(t, kind, root, "x")
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("mode %v, %v; expected %v", info.Mode(), err, mode)
			}
		}
		commit(t, kind, root, "new")
		if info, err := os.Stat(filepath.Join(dir, "new")); err != nil || info.Mode() != fresh.Mode() {
			t.Errorf("a new file has mode %v, %v; expected %v, as the umask says", info.Mode(), err, fresh.Mode())
		}
	})
}

func commit(t *testing.T, kind string, root *os.Root, name string) {
	t.Helper()
	w, err := makers[kind](root, name, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAKilledProgramLeftIsSweptAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	leftover := filepath.Join(dir, ".tpft-0123456789abcdef.tmp")
	write(t, leftover, []byte("x"))
	for _, other := range []string{".tpft-0123456789abcdef.tmp2", ".tpft-0123456789abcde.tmp", "tpft-0123456789abcdef.tmp", ".y.tpft-partial"} {
		write(t, filepath.Join(dir, other), []byte("x"))
	}
	if err := os.Mkdir(filepath.Join(dir, ".tpft-1123456789abcdef.tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	// Somebody else is at work on this one.
	inUse, err := (&drafts{named: true}).create(root, "other", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.discard()
	if _, err := os.Lstat(leftover); err == nil {
		t.Error("the leftover is still there")
	}

	write(t, leftover, []byte("x"))
	w, err := new(drafts).create(root, "x", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.discard()
	names := []string{inUse.temp, ".tpft-0123456789abcde.tmp", ".tpft-0123456789abcdef.tmp2", ".tpft-1123456789abcdef.tmp", ".y.tpft-partial", "tpft-0123456789abcdef.tmp"}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(leftover); err == nil {
		t.Error("the leftover is still there")
	}
}

func TestADirectoryIsSweptOnceAsLongAsItStaysTheSame(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	leftover := filepath.Join(dir, ".tpft-0123456789abcdef.tmp")
	var d drafts
	make := func(dir string) {
		w, err := d.create(openRoot(t, dir), "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		w.discard()
	}
	make(dir)
	write(t, leftover, nil)
	make(dir)
	if _, err := os.Lstat(leftover); err != nil {
		t.Errorf("the directory was swept again: %v", err)
	}
	make(other)
	make(dir)
	if _, err := os.Lstat(leftover); err == nil {
		t.Error("the leftover is still there")
	}
}

func TestAResumableDraftKeepsWhatArrivedAndIsLockedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	var d drafts
	w, err := d.resume(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.resume(root, "x"); !errors.Is(err, errLocked) {
		t.Errorf("a second one: %v, expected %v", err, errLocked)
	}
	if err := w.goOn(0, 6); err != nil {
		t.Fatal(err)
	}
	w.file.WriteString("new")
	w.discard()
	expectNames(t, dir, ".x.tpft-partial")

	w, err = d.resume(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.length(); n != 3 || err != nil {
		t.Errorf("%d bytes have arrived, %v; expected 3", n, err)
	}
	if err := w.goOn(3, 6); err != nil {
		t.Fatal(err)
	}
	w.file.WriteString("est")
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
	expectNames(t, dir, "x")
	expectFile(t, filepath.Join(dir, "x"), []byte("newest"))
}

func TestASymbolicLinkIsNotTakenForAResumableDraft(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "victim"), []byte("old"))
	if err := os.Symlink("victim", filepath.Join(dir, ".x.tpft-partial")); err != nil {
		t.Fatal(err)
	}
	if _, err := new(drafts).resume(openRoot(t, dir), "x"); !errors.Is(err, errNotRegular) {
		t.Errorf("%v, expected %v", err, errNotRegular)
	}
	expectFile(t, filepath.Join(dir, "victim"), []byte("old"))
}
