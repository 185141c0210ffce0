package conn_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinyproto-go/tinyproto/conn"
)

// shelf is a Source that keeps what it is told.
type shelf struct {
	t testing.TB

	mu      sync.Mutex
	waiting []string
	open    []string // fetched, and their fate not known
	fates   []string
	over    func() bool // whether nothing may be fetched any more
	told    chan struct{}
}

func newShelf(t testing.TB, messages ...string) *shelf {
	return &shelf{t: t, waiting: messages, told: make(chan struct{}, 1<<12)}
}

func (s *shelf) Next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over() {
		s.t.Error("fetched from after Done")
	}
	if len(s.waiting) == 0 {
		return nil, false
	}
	msg := s.waiting[0]
	s.waiting = s.waiting[1:]
	s.open = append(s.open, msg)
	return []byte(msg), true
}

func (s *shelf) Sent(msg []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 || string(msg) != s.open[0] {
		s.t.Errorf("told of %q, while %q are open", string(msg), s.open)
		return
	}
	s.open = s.open[1:]
	s.fates = append(s.fates, string(msg)+fateOf(err))
	s.told <- struct{}{}
}

// fateOf names what an error says of a message.
func fateOf(err error) string {
	var names []string
	for name, known := range map[string]error{"too large": conn.ErrTooLarge, "closed": conn.ErrClosed, "in doubt": conn.ErrInDoubt,
		"transform": conn.ErrTransform} {
		if errors.Is(err, known) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch {
	case err == nil:
		return ""
	case len(names) == 0:
		return ": " + err.Error()
	}
	return ": " + strings.Join(names, ", ")
}

// put puts messages on the shelf and says so.
func (s *shelf) put(c *conn.Conn, messages ...string) {
	s.mu.Lock()
	s.waiting = append(s.waiting, messages...)
	s.mu.Unlock()
	c.Notify()
}

// state is how many wait and how many are open.
func (s *shelf) state() (waiting, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), len(s.open)
}

// check compares the fates so far, and whether there are messages besides.
func (s *shelf) check(fates ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(fates, s.fates); diff != "" {
		s.t.Errorf("fates (-expected +told):\n%s", diff)
	}
}

func attend(t testing.TB, c *conn.Conn, s *shelf) {
	t.Helper()
	done := c.Done() // a Source must not ask for it
	s.over = func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	if err := c.Attend(s); err != nil {
		t.Fatal(err)
	}
}

func series(name string, n int) []string {
	var messages []string
	for i := range n {
		messages = append(messages, fmt.Sprint(name, " ", i))
	}
	return messages
}
