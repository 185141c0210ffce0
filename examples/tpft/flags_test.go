package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsAndArgumentsMayStandInAnyOrder(t *testing.T) {
	upload := func(change func(*options)) *options {
		o := &options{root: ".", chunk: 4 << 20, maxConns: defaultMaxConns, timeout: 90 * time.Second,
			sources: []place{{path: "a"}}, dest: place{"h:8088", "b"}}
		change(o)
		return o
	}
	server := func(change func(*options)) *options {
		o := &options{listen: "h:8088", root: ".", chunk: 4 << 20, maxConns: defaultMaxConns, timeout: 90 * time.Second}
		change(o)
		return o
	}
	for _, tt := range []struct {
		args string
		want *options
	}{
		{"a h:b", upload(func(*options) {})},
		{"-p a h:b", upload(func(o *options) { o.progress = true })},
		{"--p a h:b", upload(func(o *options) { o.progress = true })},
		{"a -p h:b", upload(func(o *options) { o.progress = true })},
		{"a h:b -p", upload(func(o *options) { o.progress = true })},
		{"--chunk-size 1 a h:b", upload(func(o *options) { o.chunk = 1 })},
		{"-chunk-size=4043309055 a h:b", upload(func(o *options) { o.chunk = 0xf0ffffff })},
		{"a h:b --chunk-size 7", upload(func(o *options) { o.chunk = 7 })},
		{"-- a h:b", upload(func(*options) {})},
		{"-- -p h:b", upload(func(o *options) { o.sources[0].path = "-p" })},
		{"a -- h:b", upload(func(*options) {})},
		{"h:b a", upload(func(o *options) { o.sources[0], o.dest = place{"h:8088", "b"}, place{path: "a"} })},
		{"a c h:b", upload(func(o *options) { o.sources = []place{{path: "a"}, {path: "c"}} })},
		{"-r -c -check -resume a h:b", upload(func(o *options) { o.recursive, o.compress, o.check, o.resume = true, true, true, true })},
		{"-tls -ca x -cert y -key z -timeout 1s a h:b", upload(func(o *options) {
			o.tls, o.ca, o.cert, o.key, o.timeout = true, "x", "y", "z", time.Second
		})},
		{"-l h", server(func(*options) {})},
		{"--l h -v", server(func(o *options) { o.verbose = true })},
		{"-l h:1 -root /x -read-only -max-conns 0", server(func(o *options) {
			o.listen, o.root, o.readOnly, o.maxConns = "h:1", "/x", true, 0
		})},
		{"-l h -tls -cert y -key z", server(func(o *options) { o.tls, o.cert, o.key = true, "y", "z" })},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var out bytes.Buffer
			got, status := parseFlags(strings.Fields(tt.args), &out, &out)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(options{}, place{})); diff != "" || status != 0 || out.Len() > 0 {
				t.Errorf("status %d, printed %q (-want +got):\n%s", status, out.String(), diff)
			}
		})
	}
}

func TestWrongUsageEndsWithStatus2AndSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		reason string
	}{
		{nil, "expected SRC... DST or -l HOST[:PORT], saw 0 arguments"},
		{[]string{"a"}, "saw 1 arguments"},
		{[]string{"a", "b"}, `exactly one of "a" and "b" has to be remote`},
		{[]string{"h:a", "h:b"}, `exactly one of "h:a" and "h:b" has to be remote`},
		{[]string{"a", "h:b", "h:c"}, `exactly one of "h:b" and "h:c"`},
		{[]string{"a", "h:b", "c"}, `exactly one of "a" and "c"`},
		{[]string{"h:a", "i:b", "c"}, "all sources have to be on one server: h:8088 and i:8088"},
		{[]string{"h:a", "h:1:b", "c"}, "all sources have to be on one server"},
		{[]string{"", "h:b"}, "an empty argument is no path"},
		{[]string{":a", "b"}, "no host before the colon"},
		{[]string{"-nonsense"}, "flag provided but not defined: -nonsense"},
		{[]string{"-chunk-size", "0", "a", "h:b"}, "-chunk-size 0: expected 1 to 4043309055 bytes"},
		{[]string{"-chunk-size", "-1", "a", "h:b"}, "-chunk-size -1: expected 1 to"},
		{[]string{"-chunk-size", "4043309056", "a", "h:b"}, "-chunk-size 4043309056: expected 1 to"},
		{[]string{"-chunk-size", "4M", "a", "h:b"}, `invalid value "4M"`},
		{[]string{"-timeout", "0", "a", "h:b"}, "-timeout 0s: expected more than 0"},
		{[]string{"-ca", "x", "a", "h:b"}, "of no use without -tls"},
		{[]string{"-tls", "-cert", "x", "a", "h:b"}, "-cert and -key need each other"},
		{[]string{"-root", "x", "a", "h:b"}, "-root is not for one that copies"},
		{[]string{"-v", "a", "h:b"}, "-v is not for one that copies"},
		{[]string{"-l"}, "flag needs an argument: -l"},
		{[]string{"-l", ""}, "expected HOST[:PORT], saw nothing"},
		{[]string{"-l", "h:x"}, "-l h:x: expected HOST[:PORT]"},
		{[]string{"-l", "h", "a"}, `unexpected argument "a" beside -l`},
		{[]string{"-l", "h", "-p"}, "-p is not for one that serves"},
		{[]string{"-l", "h", "-tls"}, "a server with -tls needs -cert and -key"},
		{[]string{"-l", "h", "-max-conns", "-1"}, "-max-conns -1: expected 0 or more"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), tt.args, &stdout, &stderr)
		text := stderr.String()
		if status != 2 || stdout.Len() > 0 || !strings.Contains(text, tt.reason) || !strings.Contains(text, "usage: tpft -l HOST[:PORT]") {
			t.Errorf("%q: status %d, stdout %q, stderr %q; expected 2, %q and the usage", tt.args, status, stdout.String(), text, tt.reason)
		}
	}
}

func TestHelpGoesToStdoutWithStatus0(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), []string{flag}, &stdout, &stderr)
		if text := stdout.String(); status != 0 || stderr.Len() > 0 || !strings.Contains(text, "usage: tpft") || !strings.Contains(text, "-chunk-size N") {
			t.Errorf("%s: status %d, stderr %q, stdout %q", flag, status, stderr.String(), text)
		}
	}
}
