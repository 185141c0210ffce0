package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"syscall"
)

// drafts makes drafts. One goroutine uses it.
type drafts struct {
	named bool        // make no unnamed ones even where it is possible
	swept fs.FileInfo // the last directory that was swept
}

// draft is a file that is not in its place yet. Whatever becomes of it, what
// is there stays as it is until commit has put the whole draft in its place.
type draft struct {
	file *os.File    // owned
	dir  *os.Root    // borrowed: the directory of its place
	name string      // its place
	temp string      // what it is called meanwhile; "" if it has no name at all
	keep bool        // it may be resumed: discard leaves it where it is, unless it is empty
	old  fs.FileInfo // what it replaces; nil if nothing
	over bool        // it was committed or discarded
}

// Names of drafts. Others may not be given such a name: it would be swept away.
var (
	tempName    = regexp.MustCompile(`^\.tpft-[0-9a-f]{16}\.tmp$`)
	partialName = regexp.MustCompile(`^\..+\.tpft-partial$`)
)

// isReserved reports whether a name is for drafts alone.
func isReserved(name string) bool { return tempName.MatchString(name) || partialName.MatchString(name) }

// Reasons why a file can't be put somewhere.
var (
	errIsDirectory = errors.New("is a directory")
	errNotRegular  = errors.New("not a regular file")
	errReserved    = errors.New("names like this are reserved for files that have not arrived wholly")
	errLocked      = errors.New("another transfer to it is in progress")
)

// create makes a draft for a name in dir, with room for size bytes where the
// system can reserve it.
func (d *drafts) create(dir *os.Root, name string, size int64) (*draft, error) {
	w, err := begin(dir, name)
	if err != nil {
		return nil, err
	}
	d.sweep(dir)
	if !d.named {
		w.file = openUnnamed(dir)
	}
	if w.file == nil {
		if err := w.openNamed(); err != nil {
			return nil, err
		}
	}
	if err := preallocate(w.file, 0, size); err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

// begin checks that a file may be put at a name in dir.
func begin(dir *os.Root, name string) (*draft, error) {
	if isReserved(name) {
		return nil, errReserved
	}
	old, err := existing(dir, name)
	if err != nil {
		return nil, err
	}
	return &draft{dir: dir, name: name, old: old}, nil
}

// existing returns what is at a name, nil if nothing is. It must be a regular
// file that may be written to.
func existing(dir *os.Root, name string) (fs.FileInfo, error) {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0) // a FIFO that took its place must not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	return info, regular(info)
}

func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errIsDirectory
	case !info.Mode().IsRegular():
		return errNotRegular
	}
	return nil
}

// openNamed makes an empty file with a random name, and locks it so that
// nobody takes it for a leftover.
func (w *draft) openNamed() error {
	for {
		w.temp = randomName()
		f, err := w.dir.OpenFile(w.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		w.file = f
		locked, err := tryLock(f)
		if locked && w.isInPlace() || err != nil { // no locks: nobody can take it for a leftover
			return nil
		}
		f.Close() // somebody did before it was locked
	}
}

func randomName() string { return fmt.Sprintf(".tpft-%016x.tmp", rand.Uint64()) }

// isInPlace reports whether the draft's temporary name still is that of its file.
func (w *draft) isInPlace() bool {
	named, err := w.dir.Lstat(w.temp)
	if err != nil {
		return false
	}
	info, err := w.file.Stat()
	return err == nil && os.SameFile(named, info)
}

// commit puts the draft in its place, once all of it is on the disk. It fails
// or succeeds as a whole, and ends the draft.
func (w *draft) commit() error {
	defer w.discard()
	if w.old != nil {
		inherit(w.file, w.old)
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.install(); err != nil {
		return err
	}
	w.temp, w.keep = "", false
	return syncDirectory(w.dir)
}

// install gives the draft its name.
func (w *draft) install() error {
	if w.temp == "" {
		if w.old == nil {
			if err := linkAt(w.file, w.dir, w.name); !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		temp := randomName()
		if err := linkAt(w.file, w.dir, temp); err != nil {
			return err
		}
		w.temp = temp
	}
	return w.dir.Rename(w.temp, w.name)
}

// discard removes the draft. After commit it does nothing.
func (w *draft) discard() {
	if w.over {
		return
	}
	w.over = true
	defer w.file.Close()
	if w.temp == "" {
		return
	}
	if info, err := w.file.Stat(); w.keep && err == nil && info.Size() > 0 {
		w.file.Truncate(info.Size()) // gives back what was reserved
		return
	}
	w.dir.Remove(w.temp)
}

// syncDirectory has the names in dir written to the disk, where the file
// system can.
func syncDirectory(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// sweep removes from dir what programs that were killed have left behind: the
// files with a name of a draft that nobody has locked. It does it once as
// long as the directory stays the same, or many files would take long.
func (d *drafts) sweep(dir *os.Root) {
	info, err := dir.Stat(".")
	if err != nil || d.swept != nil && os.SameFile(d.swept, info) {
		return
	}
	d.swept = info
	f, err := dir.Open(".")
	if err != nil {
		return
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(256)
		for _, name := range names {
			if tempName.MatchString(name) {
				removeLeftover(dir, name)
			}
		}
		if err != nil {
			return
		}
	}
}

func removeLeftover(dir *os.Root, name string) {
	info, err := dir.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if locked, _ := tryLock(f); locked {
		dir.Remove(name)
	}
}
