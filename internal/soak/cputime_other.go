//go:build !unix

package main

import "time"

// cpuTime returns 0: the system does not tell, or not in a portable way.
func cpuTime() time.Duration { return 0 }
