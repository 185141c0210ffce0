//go:build !unix

package main

import "time"

// raiseFileLimit does nothing where there is no such limit.
func raiseFileLimit(uint64) error { return nil }

func cpuTime() time.Duration { return 0 }

func yieldToOthers() {}
