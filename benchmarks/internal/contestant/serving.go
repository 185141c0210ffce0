package contestant

import (
	"errors"
	"net"
	"sync"
)

// loopback is where all hosts listen, on a free port.
const loopback = "127.0.0.1:0"

// serving are the links of a host.
type serving struct {
	handle  func(Link)
	running sync.WaitGroup

	mu      sync.Mutex
	stopped bool              // guarded by mu
	open    map[Link]struct{} // guarded by mu
}

func newServing(handle func(Link)) *serving {
	return &serving{handle: handle, open: map[Link]struct{}{}}
}

// serve blocks until the handler has returned, and closes the link.
func (s *serving) serve(l Link) {
	if s.add(l) {
		s.handle(l)
		s.remove(l)
	}
	l.Close()
}

func (s *serving) add(l Link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.open[l] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *serving) remove(l Link) {
	s.mu.Lock()
	delete(s.open, l)
	s.mu.Unlock()
	s.running.Done()
}

// stop closes all links and waits for their handlers.
func (s *serving) stop() {
	s.mu.Lock()
	s.stopped = true
	links := make([]Link, 0, len(s.open))
	for l := range s.open {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
	s.running.Wait()
}

// listenTCP starts a host over plain TCP connections. What open returns is a
// link, or an error, with the connection closed.
func listenTCP(handle func(Link), open func(net.Conn) (Link, error)) (*Host, error) {
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		return nil, err
	}
	s := newServing(handle)
	var accepting sync.WaitGroup
	accepting.Go(func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the link, which stop closes
				if link, err := open(nc); err == nil {
					s.serve(link)
				}
			}()
		}
	})
	return &Host{Address: l.Addr().String(), Stop: func() error {
		err := l.Close()
		accepting.Wait()
		s.stop()
		return err
	}}, nil
}

// errOneDirection is the error of a link that is only sent to, or only received from.
var errOneDirection = errors.New("this link has one direction only")
