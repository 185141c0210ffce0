//go:build !linux

package main

import (
	"errors"
	"os"
)

// Other systems have no files without a name.

func openUnnamed(*os.Root) *os.File { return nil }

func linkAt(*os.File, *os.Root, string) error { return errors.ErrUnsupported }

func preallocate(*os.File, int64, int64) error { return nil }
