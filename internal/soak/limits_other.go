//go:build !unix

package main

import "time"

// raiseFileLimit does nothing: there is no such limit here.
func raiseFileLimit(uint64) error { return nil }

// cpuTime returns 0: the system does not tell, or not in a portable way.
func cpuTime() time.Duration { return 0 }
