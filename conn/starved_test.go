package conn_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
)

// slowToReturn is a transport without buffers whose Write of the k-th OK returns
// only when the reader, which runs meanwhile, has parsed the k+1st offer.
type slowToReturn struct {
	net.Conn
	mu     sync.Mutex
	parses *sync.Cond
	oks    int
	came   int // bytes that Read returned
	parsed int // came, when Read was called
}

func (s *slowToReturn) Read(p []byte) (int, error) {
	s.mu.Lock()
	s.parsed = s.came
	s.parses.Broadcast()
	s.mu.Unlock()
	n, err := s.Conn.Read(p)
	s.mu.Lock()
	s.came += n
	if err != nil {
		s.came = 1 << 30
		s.parsed = s.came
		s.parses.Broadcast()
	}
	s.mu.Unlock()
	return n, err
}

func (s *slowToReturn) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.came > 1 && p[0] == 0xff { // not the hello
		s.oks++
		for s.parsed < 1+4*(s.oks+1) {
			s.parses.Wait()
		}
	}
	return n, err
}

func TestEmptyMessagesOfThePeerDoNotKeepOursFromBeingOffered(t *testing.T) {
	ours, peer := net.Pipe()
	transport := &slowToReturn{Conn: ours}
	transport.parses = sync.NewCond(&transport.mu)
	made := make(chan *conn.Conn, 1)
	go func() { // ends when both have greeted
		c, err := conn.New(t.Context(), transport, &conn.Options{InboxBuffer: 2000})
		if err != nil {
			t.Error(err)
		}
		made <- c
	}()
	greeted := make(chan error, 1)
	go func() { // ends with the hello
		_, err := peer.Write([]byte{0xff})
		greeted <- err
	}()
	b := make([]byte, 1)
	if _, err := io.ReadFull(peer, b); err != nil {
		t.Fatal(err)
	}
	if err := <-greeted; err != nil {
		t.Fatal(err)
	}
	c := <-made
	defer c.Close()
	defer peer.Close()
	go func() { // ends with the connection
		for range c.Inbox() {
		}
	}()
	for empties := range 1000 {
		if _, err := peer.Write(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if empties == 10 {
			go c.Send(t.Context(), []byte("x")) // ends with the connection
		}
		if _, err := io.ReadFull(peer, b); err != nil {
			t.Fatal(err)
		}
		if b[0] != 0xff {
			t.Logf("offered after %d empty messages", empties)
			return
		}
	}
	t.Error("not offered while the peer sent 1000 empty messages")
}
