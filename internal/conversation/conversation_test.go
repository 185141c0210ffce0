package conversation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/internal/conversation"
)

// doc is a document with these lines of vectors.
func doc(lines ...string) string {
	return "## Test vectors of pipelined mode\n\n" + strings.Join(lines, "\n") +
		"\n\n| S wrote | C wrote | error |\n|---|---|---|\n| nothing | ff | unasked |\n\n## Another section\n    # not read\n"
}

const (
	asks   = "    C -> S   ff | f1545002"
	agrees = "    S -> C   ff | ff 00000004 00000001 00000000"
	grants = "    C -> S   00000005 00000002 00000003 | 00000001 61"
)

func TestItemsAreToldApartByThoseBeforeThem(t *testing.T) {
	talks, rows, err := conversation.Read(doc("    # a title", "    # of two lines", asks, agrees, grants, "    S -> C   ff | f2 | 00000000 | f4 | EOF"))
	if err != nil || len(talks) != 1 {
		t.Fatalf("%d conversations, %v", len(talks), err)
	}
	if diff := cmp.Diff([][]string{{"nothing", "ff", "unasked"}}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	kinds := map[string][]conversation.Kind{}
	for _, end := range []string{"C", "S"} {
		for _, item := range talks[0].Of(end) {
			kinds[end] = append(kinds[end], item.Kind)
		}
	}
	want := map[string][]conversation.Kind{
		"C": {conversation.Hello, conversation.Request, conversation.Granted, conversation.Data},
		"S": {conversation.Hello, conversation.Agreement, conversation.OK, conversation.Ping, conversation.Data, conversation.Bye, conversation.End},
	}
	if diff := cmp.Diff(want, kinds); diff != "" || talks[0].Title != "a title of two lines" {
		t.Errorf("title %q, kinds (-want +got):\n%s", talks[0].Title, diff)
	}
}

func TestWhatIsNoVectorIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"no section":                      "# something else",
		"a line of neither end":           doc("    # title", "    A -> B   ff"),
		"no hex":                          doc("    # title", "    C -> S   xx"),
		"no item":                         doc("    # title", asks, agrees, grants, "    S -> C   f9"),
		"a message of another length":     doc("    # title", asks, agrees, "    C -> S   00000005 00000002 00000003 | 00000002 61"),
		"a signal before the agreement":   doc("    # title", "    C -> S   ff | f4"),
		"a conversation without a title":  doc(asks),
		"a line that is not wholly known": doc("    # title", "    C -> S ff"),
	} {
		if _, _, err := conversation.Read(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
