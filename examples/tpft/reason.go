package main

import (
	"io/fs"
	"os"
)

// plain returns what went wrong, without the path that an error of package os
// says it happened to: it may be one that the peer should not learn.
func plain(err error) string {
	for {
		switch e := err.(type) {
		case *fs.PathError:
			err = e.Err
		case *os.LinkError:
			err = e.Err
		case *os.SyscallError:
			err = e.Err
		default:
			return err.Error()
		}
	}
}

// maxReason is the longest reason that is sent, in bytes: with all of them
// escaped it still fits an envelope.
const maxReason = 8 << 10

// reject makes the rejection of a request for a path, named as the peer did.
func reject(doing, path string, err error) *rejection {
	reason := doing + " " + path + ": " + plain(err)
	if len(reason) > maxReason {
		reason = reason[:maxReason/2] + "..." + reason[len(reason)-maxReason/2:]
	}
	return &rejection{reason}
}
