package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/benchmarks/internal/contestant"
	"github.com/tinyproto-go/tinyproto/benchmarks/internal/workload"
)

// sample is a result with all that a table can have.
func sample() result {
	floor := &contestant.Contestant{Name: "floor", Role: contestant.Floor, How: "as little as can be"}
	fresh := &contestant.Contestant{Name: "floor-fresh", Role: contestant.Floor, How: "with slices"}
	ours := &contestant.Contestant{Name: "ours", Role: contestant.Ours, How: "this one"}
	other := &contestant.Contestant{Name: "other", How: "that one", More: "It does more.", Modules: []string{"example.org/a", "example.org/b"}}
	broken := &contestant.Contestant{Name: "broken", How: "badly"}
	absent := &contestant.Contestant{Name: "absent", How: "not at all"}
	w := &workload.Workload{Settings: contestant.Settings{Kind: contestant.OneWay, Size: 1000}, Name: "one-way",
		Title: "One way", Unit: "messages/s", References: []workload.Reference{{Name: "floor", Fresh: "floor-fresh"}, {Name: "nobody"}}}
	return result{
		event: &event{workload: w, entrants: []*contestant.Contestant{floor, fresh, ours, other, broken},
			absent: []absence{{absent, "it has no time"}}},
		values: map[string][]float64{
			"floor":       {1_000_000, 2_000_000, 4_000_000},
			"floor-fresh": {500_000, 500_000, 500_000},
			"ours":        {500_000, 1_800_000, 1_000_000},
			"other":       {50, 100, 20},
			"broken":      {1},
		},
		failed: map[string]error{"broken": errors.New("it lost\na message")},
	}
}

func sampleReport() report {
	return report{results: []result{sample()}, plan: workload.Plan{Duration: time.Second, Processes: 2}, rounds: 3,
		facts: []fact{{"date", "today"}, {"cores", "2"}}}
}

const sampleHow = `Medians of 3 rounds, in which the contestants took turns of 1s, over TCP on the loopback interface, ` +
	`the ends of the connections in two processes. Ratios are to the reference's value of the same round: the median, and in ` +
	`brackets the least and the greatest; a column "fresh" is to the reference that receives each message into a slice of its own. ` +
	`MB/s are millions of bytes of payload. Of every message, the place in the order, the size and the first bytes were verified.

- date: today
- cores: 2

`

func TestTheReportInMarkdown(t *testing.T) {
	var out strings.Builder
	if err := sampleReport().print(&out, true); err != nil {
		t.Fatal(err)
	}
	want := sampleHow + `### One way

| contestant | messages/s | MB/s | of floor | fresh |
|:--|--:|--:|--:|--:|
| floor | 2,000,000 | 2,000 | 1.00 | 4.00 |
| floor-fresh | 500,000 | 500 | 0.25 (0.12 to 0.50) | 1.00 |
| ours | 1,000,000 | 1,000 | 0.50 (0.25 to 0.90) | 2.00 |
| other | 50.0 | 0.1 | 0.00005 (0.00001 to 0.00005) | 0.00010 |
| broken | failed |  |  |  |

### The contestants

- floor: as little as can be.
- floor-fresh: with slices.
- ours: this one.
- other: that one. Made with example.org/a of an unknown version and example.org/b of an unknown version. It does more.
- broken: badly.

### Left out

- absent (one-way): it has no time.
- broken (one-way): it failed: it lost; a message.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestTheReportForATerminal(t *testing.T) {
	var out strings.Builder
	if err := sampleReport().print(&out, false); err != nil {
		t.Fatal(err)
	}
	want := sampleHow + `One way

contestant   messages/s   MB/s                      of floor    fresh
floor         2,000,000  2,000                          1.00     4.00
floor-fresh     500,000    500           0.25 (0.12 to 0.50)     1.00
ours          1,000,000  1,000           0.50 (0.25 to 0.90)     2.00
other              50.0    0.1  0.00005 (0.00001 to 0.00005)  0.00010
broken           failed
`
	if got, _, _ := strings.Cut(out.String(), "\nThe contestants\n"); got != want {
		t.Errorf("report (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestNumbersAreShortAndReadable(t *testing.T) {
	for _, test := range []struct {
		value float64
		want  string
	}{{0, "0.0"}, {1.26, "1.3"}, {99.94, "99.9"}, {99.96, "100"}, {999.6, "1,000"}, {12345, "12,345"}, {1e9, "1,000,000,000"}} {
		if got := numberText(test.value); got != test.want {
			t.Errorf("%v is %q, expected %q", test.value, got, test.want)
		}
	}
	for _, test := range []struct {
		ratio float64
		want  string
	}{{0, "0.00000"}, {0.00001, "0.00001"}, {0.0012, "0.0012"}, {0.012, "0.012"}, {0.5, "0.50"}, {9.94, "9.94"}, {12.34, "12.3"}, {123.4, "123"}} {
		if got := digits(test.ratio); got != test.want {
			t.Errorf("ratio %v is %q, expected %q", test.ratio, got, test.want)
		}
	}
}

func TestTheMedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle(t *testing.T) {
	if got, want := spreadOf([]float64{8, 1, 4, 2}), (spread{3, 1, 8}); got != want {
		t.Errorf("%+v, expected %+v", got, want)
	}
}

func TestRatiosAreThoseOfTheSameRound(t *testing.T) {
	got := ratios([]float64{1, 6, 4}, []float64{2, 3})
	if diff := cmp.Diff([]float64{0.5, 2}, got); diff != "" {
		t.Errorf("ratios (-want +got):\n%s", diff)
	}
}

func TestAPlotIsAnSVGWithTheNamesOfThoseWhoFinished(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	delete(r.values, "broken")
	if err := drawAll(dir, []result{r, {event: &event{workload: &workload.Workload{Name: "nobody"}}}}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "one-way.svg")}, files); diff != "" {
		t.Fatalf("files (-want +got):\n%s", diff)
	}
	svg, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	var words []string
	for d := xml.NewDecoder(svg); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			words = append(words, string(text))
		}
	}
	all := strings.Join(words, "|")
	for _, want := range []string{"One way", "messages/s", "floor-fresh", "ours", "other", "2,000,000", "2 M"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q among the words of the plot: %s", want, all)
		}
	}
	if strings.Contains(all, "broken") {
		t.Error("who failed is drawn")
	}
}
