//go:build !unix || aix || solaris

package main

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func inherit(f *os.File, old os.FileInfo) { f.Chmod(old.Mode().Perm()) }
