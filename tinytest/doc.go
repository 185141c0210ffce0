// Package tinytest is a network in memory, for tests of programs that talk over
// connections: with delays, small buffers and cut streams, stalls, partitions
// and resets, all of it drawn from a seed and driven by the clock, so that in a
// bubble of testing/synctest an hour's partition takes no time. It needs nothing
// but the standard library, and knows nothing of tinyproto: what it makes are a
// [net.Listener] and [net.Conn]s.
//
//	func TestAnEchoSurvivesAStalledLink(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			n := tinytest.NewNetwork(tinytest.Config{
//				Seed:       1,
//				Conditions: tinytest.Conditions{Latency: 30 * time.Millisecond, Buffer: 64 << 10},
//			})
//			l, err := n.Listen("server")
//			if err != nil {
//				t.Fatal(err)
//			}
//			ctx, cancel := context.WithCancel(t.Context())
//			served := make(chan error)
//			server := &tinyproto.Server{Handler: echo}
//			go func() { served <- server.Serve(ctx, l) }() // ends with ctx
//
//			nc, err := n.Dial(ctx, "server")
//			if err != nil {
//				t.Fatal(err)
//			}
//			c, err := conn.New(ctx, nc, nil) // as tinyproto.Dial does
//			if err != nil {
//				t.Fatal(err)
//			}
//			n.Link(tinytest.Dialer, "server").Stall(tinytest.Both, time.Minute)
//			// Send, Receive, and see that it took a minute.
//			cancel()
//			<-served
//		})
//	}
//
// # Names and links
//
// Somebody listens on a name, and somebody else dials it, from a name of their
// own. All connections from one name to another share a [Link], and with it
// their [Conditions] and what goes wrong with them. What a test does to one link
// leaves the others alone, so give each client a name with [Network.DialFrom].
// Without listening and dialling, [Network.Pair] returns the two ends of a
// connection.
//
// # Bubbles
//
// In a bubble of testing/synctest, make the network inside it. Everything that
// waits here waits in a way that the bubble knows (for a [sync.Cond], a channel
// or a timer), so its clock goes on, and a deadlock is found. The package starts
// no goroutines, but for timers that fire: when all ends of the connections are
// closed, nothing is left. Outside of a bubble all of it works by the real clock.
//
// # What a seed decides
//
// Jitter, and where the stream is cut. Each direction of each connection draws
// from a source of its own, so that what one connection does changes nothing for
// another. The order in which goroutines run that can run at the same moment is
// Go's, and no seed decides it: a program that depends on it behaves differently
// from run to run here, too.
//
// # What it is not
//
// It has no packets, so none are lost, repeated or damaged: it is a network as
// TCP shows it. There is one keep-alive but no retransmission timeout: nothing
// but [Conn.SetKeepAliveConfig] gives up a connection over a partition. A
// connection of this package is no *net.TCPConn: code that asks for the type,
// as for a fast path by system calls, takes its other path.
package tinytest
