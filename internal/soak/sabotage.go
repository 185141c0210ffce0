package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// sabotage is what a server does wrong on purpose, so that one can see that it
// is noticed. The zero value is none.
type sabotage string

const (
	loses   sabotage = "lost"    // some echoes are not sent
	doubles sabotage = "doubled" // some are sent twice
	leaks   sabotage = "leak"    // some connections leave a goroutine, memory and a descriptor
)

var sabotages = []sabotage{"", loses, doubles, leaks}

// rarely is how many times the right thing is done between two wrong ones.
const rarely = 50

var occasion atomic.Uint64

func (s sabotage) now(wanted sabotage) bool { return s == wanted && occasion.Add(1)%rarely == 0 }

// copies is how many times an echo is sent.
func (s sabotage) copies() int {
	switch {
	case s.now(loses):
		return 0
	case s.now(doubles):
		return 2
	}
	return 1
}

var leaked struct {
	sync.Mutex
	memory [][]byte
	files  []*os.File
}

// leak is called for each connection.
func (s sabotage) leak() {
	if !s.now(leaks) {
		return
	}
	go func() { select {} }() // never ends: that is what it is for
	f, err := os.Open(os.DevNull)
	if err != nil {
		return
	}
	leaked.Lock()
	defer leaked.Unlock()
	leaked.memory = append(leaked.memory, make([]byte, 1<<20))
	leaked.files = append(leaked.files, f)
}

func parseSabotage(name string) (sabotage, error) {
	for _, s := range sabotages {
		if string(s) == name {
			return s, nil
		}
	}
	return "", fmt.Errorf("no sabotage is called %q, expected one of %q", name, sabotages)
}
