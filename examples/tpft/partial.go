package main

import (
	"os"
	"syscall"
)

// resume opens the draft that an interrupted copy to a name in dir has left
// behind, or makes one that would be. Nobody else can meanwhile.
func (d *drafts) resume(dir *os.Root, name string) (*draft, error) {
	for {
		w, err := begin(dir, name)
		if err != nil {
			return nil, err
		}
		w.temp, w.keep = "."+name+".tpft-partial", true
		if info, err := dir.Lstat(w.temp); err == nil {
			if err := regular(info); err != nil {
				return nil, err
			}
		}
		w.file, err = dir.OpenFile(w.temp, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o666)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(w.file)
		if err != nil {
			w.discard()
			return nil, err
		}
		if !locked {
			w.file.Close()
			return nil, errLocked
		}
		if w.isInPlace() {
			return w, nil
		}
		w.file.Close() // the one who had it has committed it
	}
}

// length returns how many bytes have arrived.
func (w *draft) length() (int64, error) {
	info, err := w.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// goOn has the next bytes go behind the first offset ones, all in all size.
func (w *draft) goOn(offset, size int64) error {
	if err := w.file.Truncate(offset); err != nil {
		return err
	}
	if _, err := w.file.Seek(offset, 0); err != nil {
		return err
	}
	return preallocate(w.file, offset, size)
}
