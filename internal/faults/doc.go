// Package faults has tests alone: a server and its clients, each in a process
// of its own, are killed, stopped, starved of descriptors, given a wall clock
// that jumps, and joined by a network that mistreats their bytes. Whoever is not
// hit must notice nothing.
// The scenarios last about a second each, or as long as the flag -duration says:
//
//	go test ./internal/faults -duration 10m -timeout 0
package faults
