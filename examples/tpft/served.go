package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// served is the tree of files that a server serves. Its methods may be called
// concurrently.
type served struct {
	root  *os.Root
	names [][]string // the elements of its absolute paths, as given and without symbolic links
}

func openServed(dir string) (*served, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &served{root: root, names: [][]string{elements(absolute)}}
	if real, err := filepath.EvalSymlinks(absolute); err == nil && real != absolute {
		s.names = append(s.names, elements(real))
	}
	return s, nil
}

// elements splits a path. What does not matter is left out.
func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(e string) bool { return e == "" || e == "." })
}

var errOutside = errors.New("outside the directory that is served")

// relative returns a client's path relative to the root: an absolute one has
// to begin with that of the root. Whether it leaves the root on its way, by
// ".." or a symbolic link, is seen when it is used.
func (s *served) relative(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return path, nil
	}
	all := elements(path)
	for _, name := range s.names {
		if len(all) >= len(name) && slices.Equal(all[:len(name)], name) {
			rest := strings.Join(all[len(name):], "/")
			switch {
			case rest == "":
				rest = "."
			case strings.HasSuffix(path, "/"):
				rest += "/"
			}
			return rest, nil
		}
	}
	return "", errOutside
}

// open opens a regular file to be sent.
func (s *served) open(path string) (*os.File, int64, error) {
	name, err := s.relative(path)
	if err != nil {
		return nil, 0, err
	}
	return openSource(s.root, name)
}

// maxLinks is how many symbolic links a path may end in, one leading to the next.
const maxLinks = 40

// locate returns the directory and the name of a file that is to be written,
// behind all symbolic links, none of which may leave the root. The caller
// closes the directory.
func (s *served) locate(path string) (*os.Root, string, error) {
	name, err := s.relative(path)
	if err != nil {
		return nil, "", err
	}
	for range maxLinks {
		i := strings.LastIndexByte(name, '/')
		parent, last := name[:i+1], name[i+1:]
		if last == "" || last == "." || last == ".." {
			return nil, "", errIsDirectory
		}
		dir, err := openDirectory(s.root, "./"+parent)
		if err != nil {
			return nil, "", err
		}
		info, err := dir.Lstat(last)
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			return dir, last, nil // if it can't be looked at, whoever writes it will see
		}
		target, err := dir.Readlink(last)
		dir.Close()
		switch {
		case err != nil:
			return nil, "", err
		case strings.HasPrefix(target, "/"):
			return nil, "", errOutside
		}
		name = parent + target
	}
	return nil, "", errors.New("too many symbolic links")
}
