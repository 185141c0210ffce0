package main

import (
	"crypto/rand"
	"strings"
	"testing"
)

const (
	aName = "usage: /nick NAME: " + nameRule
	aRoom = "usage: /join ROOM: " + nameRule
	aText = "usage: /msg ID TEXT, with an ID or a name that /who lists"
)

func TestTheServerAnswersCommandsToTheirSenderAlone(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	long := strings.Repeat("ä", nameLength)
	for _, tt := range []struct{ command, reply string }{
		{"/help", help},
		{"/help me", help},
		{"/dance", help},
		{"/Nick bob", help},
		{"/who", "who is here: " + a.id + " in lobby, you; " + b.id + " in lobby"},
		{"/who\r", "who is here: " + a.id + " in lobby, you; " + b.id + " in lobby"},
		{"/nick", aName},
		{"/nick  ", aName},
		{"/nick two words", aName},
		{"/nick [a]", aName},
		{"/nick a\u202eb", aName},
		{"/nick a\nb", aName},
		{"/nick \xff", aName},
		{"/nick " + long + "ä", aName},
		{"/nick " + a.id, "a name must not look like an ID"},
		{"/nick " + b.id, "a name must not look like an ID"},
		{"/nick " + long, "you are " + long + " now"},
		{"/nick \t alice ", "you are alice now"},
		{"/nick alice", "you are alice now"},
		{"/who", "who is here: alice (" + a.id + ") in lobby, you; " + b.id + " in lobby"},
		{"/join", aRoom},
		{"/join a room", aRoom},
		{"/join kitchen", "you are in kitchen now; others there: 0"},
		{"/join kitchen", "you are in kitchen now; others there: 0"},
		{"/who", "who is here: alice (" + a.id + ") in kitchen, you; " + b.id + " in lobby"},
		{"/join lobby", "you are in lobby now; others there: 1"},
		{"/msg", aText},
		{"/msg " + b.id, aText},
		{"/msg nobody hello", "nobody here has that ID or name: /who lists all"},
	} {
		a.say(t, tt.command)
		a.expect(t, "** "+tt.reply)
	}
	a.say(t, "this is the first that b hears")
	b.expect(t, "[alice] this is the first that b hears")
}

func TestANickTakesThePlaceOfTheID(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	c := join(t, address, a, b)
	a.say(t, "/nick alice")
	a.hear(t)
	a.say(t, "hello")
	for _, other := range []*peer{b, c} {
		other.expect(t, "[alice] hello")
	}

	b.say(t, "/nick alice")
	b.expect(t, "** that name is taken")
	a.say(t, "/nick al")
	a.hear(t)
	b.say(t, "/nick alice") // nobody's now
	b.expect(t, "** you are alice now")
	b.say(t, "hello")
	a.expect(t, "[alice] hello")
	c.expect(t, "[alice] hello")

	b.leave(t)
	a.expect(t, "[alice] **left the chat")
	c.expect(t, "[alice] **left the chat")
	c.say(t, "/nick alice") // nobody's again
	c.expect(t, "** you are alice now")
	c.say(t, "/nick "+b.id) // as if it were still here
	c.expect(t, "** a name must not look like an ID")
}

func TestWhatIsTypedGoesToThoseInTheRoom(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	c := join(t, address, a, b)
	for _, p := range []*peer{a, b} {
		p.say(t, "/join kitchen")
		p.hear(t)
	}
	a.say(t, "in the kitchen")
	b.expect(t, "["+a.id+"] in the kitchen")
	d := join(t, address, a, b, c) // is told to those in other rooms, too
	d.say(t, "in the lobby")
	c.expect(t, "["+d.id+"] in the lobby")
	d.leave(t)
	for _, other := range []*peer{a, b, c} {
		other.expect(t, "["+d.id+"] **left the chat")
	}
	b.say(t, "/join lobby")
	b.expect(t, "** you are in lobby now; others there: 1")
	a.say(t, "alone in the kitchen")
	b.say(t, "back in the lobby")
	c.expect(t, "["+b.id+"] back in the lobby")
	c.say(t, "so you are")
	b.expect(t, "["+c.id+"] so you are")
	c.say(t, "/msg "+a.id+" still there?")
	a.expect(t, "["+c.id+" to you] still there?")
}

func TestMsgReachesOneMemberByIDAndByNick(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	c := join(t, address, a, b)
	b.say(t, "/nick bob")
	b.hear(t)
	for _, to := range []string{b.id, "bob"} {
		a.say(t, "/msg "+to+"  two  spaces ")
		b.expect(t, "["+a.id+" to you]  two  spaces ")
	}
	b.say(t, "/msg "+a.id+" /who")
	a.expect(t, "[bob to you] /who")
	b.say(t, "/msg bob myself")
	b.expect(t, "[bob to you] myself")
	b.leave(t)
	a.expect(t, "[bob] **left the chat")
	c.expect(t, "[bob] **left the chat") // and nothing before that
	for _, to := range []string{b.id, "bob"} {
		a.say(t, "/msg "+to+" gone?")
		a.expect(t, "** nobody here has that ID or name: /who lists all")
	}
}

func TestTwoSlashesSayOne(t *testing.T) {
	_, address := startServer(t)
	a := join(t, address)
	b := join(t, address, a)
	for said, heard := range map[string]string{"//who": "/who", "//": "/", "///": "//", "// x": "/ x"} {
		a.say(t, said)
		b.expect(t, "["+a.id+"] "+heard)
	}
}

func TestNoNameLooksLikeAnID(t *testing.T) {
	for range 1000 { // as hub.ID says, and makes them
		if id := rand.Text(); !isID(id) {
			t.Fatalf("%q is an ID and is taken for a name", id)
		}
	}
	for _, name := range []string{"bob", strings.Repeat("a", idLength), strings.Repeat("A", idLength-1), strings.Repeat("A", idLength+1)} {
		if isID(name) {
			t.Errorf("%q is taken for an ID", name)
		}
	}
}
