package main

import (
	"io/fs"
	"os"
	"syscall"
)

// files is where files are opened: an [os.Root], or everywhere.
type files interface {
	Stat(name string) (fs.FileInfo, error)
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
}

// everywhere is for paths that the user of the program has chosen.
type everywhere struct{}

func (everywhere) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (everywhere) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// openSource opens a regular file to be sent, and returns its size. A FIFO
// does not block it, and a device is not opened.
func openSource(root files, name string) (*os.File, int64, error) {
	info, err := root.Stat(name)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err = f.Stat()
	if err == nil {
		err = regular(info) // it may be another one by now
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// openDirectory opens a directory below root as a root of its own.
func openDirectory(root *os.Root, name string) (*os.Root, error) {
	// With "." behind it whatever else is there is an error at once, and a FIFO
	// does not block.
	return root.OpenRoot(name + "/.")
}

// kindOf returns the kind of a file as the envelopes name it.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return kindFile
	case mode.IsDir():
		return kindDirectory
	case mode&fs.ModeSymlink != 0:
		return kindSymlink
	}
	return kindOther
}
