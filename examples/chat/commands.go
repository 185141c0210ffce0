package main

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	commands = "/nick NAME, /join ROOM, /who, /msg ID TEXT, /help"
	help     = "commands: " + commands + "; to say something that begins with / double it"
)

// parse tells commands, which begin with a slash and a letter or the like,
// from what is said. Of two slashes at the beginning one is taken off.
func parse(body string) (text string, isCommand bool) {
	rest, slash := strings.CutPrefix(body, "/")
	if !slash || strings.HasPrefix(rest, "/") {
		return rest, false
	}
	if first, _ := utf8.DecodeRuneInString(rest); rest == "" || unicode.IsSpace(first) {
		return body, false
	}
	return body, true
}

// carryOut carries out a command and returns what to answer, "" for nothing.
func (c *chat) carryOut(m *member, command string) string {
	word, rest := cut(command)
	switch word {
	case "/nick":
		return c.rename(m, strings.TrimSpace(rest))
	case "/join":
		return c.move(m, strings.TrimSpace(rest))
	case "/who":
		return c.who(m)
	case "/msg":
		return c.whisper(m, strings.TrimLeftFunc(rest, unicode.IsSpace))
	}
	return help
}

// cut splits s at the first space of any kind.
func cut(s string) (word, rest string) {
	i := strings.IndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return s, ""
	}
	_, size := utf8.DecodeRuneInString(s[i:])
	return s[:i], s[i+size:]
}

func (c *chat) rename(m *member, nick string) string {
	switch owner, taken := c.names[nick]; {
	case !isName(nick):
		return "usage: /nick NAME: " + nameRule
	case isID(nick):
		return "a name must not look like an ID"
	case taken && owner != m:
		return "that name is taken"
	}
	delete(c.names, m.nick)
	m.nick = nick
	c.names[nick] = m
	return "you are " + nick + " now"
}

func (c *chat) move(m *member, room string) string {
	if !isName(room) {
		return "usage: /join ROOM: " + nameRule
	}
	m.Exit(m.room)
	m.room = room
	m.Enter(room)
	others := -1
	for _, other := range c.members {
		if other.room == room {
			others++
		}
	}
	return fmt.Sprintf("you are in %s now; others there: %d", room, others)
}

// who lists all members in one line: as many messages could be more than may
// be queued for one member.
func (c *chat) who(asking *member) string {
	list := make([]string, len(c.members))
	for i, m := range c.members {
		list[i] = m.name()
		if m.nick != "" {
			list[i] += " (" + string(m.ID()) + ")"
		}
		list[i] += " in " + m.room
		if m == asking {
			list[i] += ", you"
		}
	}
	return "who is here: " + strings.Join(list, "; ")
}

// whisper sends a text to one member, marked in a way that no name can be.
func (c *chat) whisper(m *member, rest string) string {
	id, text := cut(rest)
	if id == rest {
		return "usage: /msg ID TEXT, with an ID or a name that /who lists"
	}
	to, ok := c.names[id]
	if ok {
		ok = c.hub.Send(context.Background(), to.ID(), []byte("["+m.name()+" to you] "+text)) == nil
	}
	if !ok {
		return "nobody here has that ID or name: /who lists all"
	}
	return ""
}

// What may be the name of a member or a room: it stands in brackets, in a line.
const (
	nameRule   = "printable, at most 32 characters, no spaces or brackets"
	nameLength = 32
)

func isName(s string) bool {
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > nameLength {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Ps, unicode.Pe) // the brackets
	})
}

// idLength is that of a hub.ID, which is of capital letters and digits.
const idLength = 26

// isID reports whether s could be the ID of a member, also of one that has
// left or is still to come.
func isID(s string) bool {
	return len(s) == idLength && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
