package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// membersPerRoom is how many copies of a message there are, about.
const membersPerRoom = 8

// member takes part in a chat, in one room.
func (v *visit) member() error {
	return v.chat([]string{"evict", "block", "drop-newest", "drop-oldest"}[v.rng.IntN(4)], 0)
}

// slowMember does not keep up, in a hub that does something about that at once.
func (v *visit) slowMember() error {
	return v.chat([]string{"evict", "drop-newest", "drop-oldest"}[v.rng.IntN(3)], upTo(v.rng, 2*time.Second))
}

func (v *visit) chat(hub string, slowness time.Duration) error {
	share := 110 // of 1000 clients; all hubs together
	rooms := max(1, v.fleet.connections*share/1000/len(policies)/membersPerRoom)
	i := intro{Service: serviceMember, Hub: hub, Room: 1 + v.rng.IntN(rooms)}
	if err := v.connect(v.buffers(), i); err != nil {
		return err
	}
	from := map[uint64]*sequence{v.session | fromServer: &v.from}
	joined := []uint64{roomSender(everywhere), roomSender(fmt.Sprint(i.Room))}
	received := v.receiving(func(msg []byte) {
		pause(slowness, v.leave, v.over)
		sender := senderOf(msg)
		if from[sender] == nil && slices.Contains(joined, sender) {
			// It begins with whatever number the room has come to.
			from[sender] = &sequence{from: sender, next: numberOf(msg)}
		}
		s := from[sender]
		if s == nil {
			v.take(len(msg), fmt.Errorf("a message of %#x for a member of room %d: %w", sender, i.Room, errForeign))
			return
		}
		v.take(len(msg), s.take(msg))
	})
	for {
		size := max(headerSize, sizes(v.rng, 32<<10))
		if !v.fleet.turns.wait(membersPerRoom*costOf(size), v.leave, v.over, v.Done()) {
			break
		}
		if v.send(context.Background(), compose(v.session, v.sender, size)) != nil {
			break
		}
		v.sender++
	}
	e := v.drawEnd()
	if e == finish {
		e = depart // the others go on to send
	}
	v.end(e, nil)
	received.Wait()
	v.note(func(a *account) {
		for _, sender := range joined {
			if s := from[sender]; s != nil {
				a.Gaps += s.gaps
			}
		}
	})
	v.handIn()
	return nil
}
