package transform_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/transform"
)

// question is a line for testdata/twin.py, which knows the formats from their
// documentation alone.
type question struct {
	Do      []string `json:"do"`
	Data    string   `json:"data"`
	Level   int      `json:"level"`
	Key     string   `json:"key"`
	Sender  string   `json:"sender"`
	Counter uint64   `json:"counter"`
}

// askPython has Python answer all questions, in one process.
func askPython(t *testing.T, questions []question) (answers [][]byte) {
	t.Helper()
	path, err := exec.LookPath("python3")
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI has to test against Python, which is not here: %v", err)
	default:
		t.Skipf("the twin needs python3, which is not here: %v", err)
	}
	var lines bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&lines).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "-B", "testdata/twin.py")
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = &lines, &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Python: %v\n%s", err, complaints.String())
	}
	for line := range strings.Lines(string(out)) {
		answers = append(answers, unhex(t, strings.TrimSuffix(line, "\n")))
	}
	if len(answers) != len(questions) {
		t.Fatalf("Python answered %d of %d questions", len(answers), len(questions))
	}
	return answers
}

// messages are small where Python has to encrypt, block by block.
func messages(largest int) [][]byte {
	r := rand.New(rand.NewPCG(8, 8))
	all := [][]byte{nil}
	for _, fill := range contents {
		for range 5 {
			msg := make([]byte, 1+r.IntN(largest))
			fill(r, msg)
			all = append(all, msg)
		}
	}
	return all
}

// twins are what Python does for each transform, to encode and to decode. The
// steps of a chain are in the order in which it does them.
var twins = map[string]struct {
	ours           func() conn.Transform
	encode, decode []string
	largest        int
}{
	"zlib":      {func() conn.Transform { return &transform.Zlib{} }, []string{"compress"}, []string{"decompress"}, 100_000},
	"seal":      {func() conn.Transform { return transform.NewSeal(testKey) }, []string{"seal"}, []string{"open"}, 300},
	"zlib seal": {func() conn.Transform { return chains["zlib seal"]() }, []string{"compress", "seal"}, []string{"open", "decompress"}, 300},
	"seal zlib": {func() conn.Transform { return chains["seal zlib"]() }, []string{"seal", "compress"}, []string{"decompress", "open"}, 300},
}

func TestPythonDecodesWhatWeEncode(t *testing.T) {
	for name, twin := range twins {
		t.Run(name, func(t *testing.T) {
			ours, msgs := twin.ours(), messages(twin.largest)
			var questions []question
			for _, msg := range msgs {
				encoded := hex.EncodeToString(encode(t, ours, msg))
				questions = append(questions, question{Do: twin.decode, Data: encoded, Key: hex.EncodeToString(testKey[:])})
			}
			for i, answer := range askPython(t, questions) {
				if !bytes.Equal(answer, msgs[i]) {
					t.Errorf("Python decoded %.100x, expected %.100x", answer, msgs[i])
				}
			}
		})
	}
}

func TestWeDecodeWhatPythonEncodes(t *testing.T) {
	for name, twin := range twins {
		t.Run(name, func(t *testing.T) {
			ours, msgs := twin.ours(), messages(twin.largest)
			var questions []question
			for i, msg := range msgs {
				questions = append(questions, question{
					Do: twin.encode, Data: hex.EncodeToString(msg), Level: i % 10, // 0 only stores
					Key:     hex.EncodeToString(testKey[:]),
					Sender:  fmt.Sprintf("%032x", 0xabcdef),
					Counter: 1 << i,
				})
			}
			for i, answer := range askPython(t, questions) {
				expectDecoded(t, ours, answer, msgs[i])
			}
		})
	}
}

func TestPythonDecodesEachZlibLevel(t *testing.T) {
	msg := content(5000)
	var questions []question
	for level := -2; level <= 9; level++ {
		encoded := hex.EncodeToString(encode(t, &transform.Zlib{Level: level}, msg))
		questions = append(questions, question{Do: []string{"decompress"}, Data: encoded})
	}
	for i, answer := range askPython(t, questions) {
		if !bytes.Equal(answer, msg) {
			t.Errorf("level %d: Python decoded %.100q, expected %.100q", i-2, answer, msg)
		}
	}
}
