package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPlaceIsRemoteIfItHasAColonWithNoSlashBefore(t *testing.T) {
	for _, tt := range []struct {
		arg  string
		want place
	}{
		{"a", place{"", "a"}},
		{"a/b", place{"", "a/b"}},
		{"./a:b", place{"", "./a:b"}},
		{"/a:b", place{"", "/a:b"}},
		{"a/b:1:c", place{"", "a/b:1:c"}},
		{"-", place{"", "-"}},
		{"[a]", place{"", "[a]"}},
		{"[a/b]:c", place{"", "[a/b]:c"}},
		{"host:file", place{"host:8088", "file"}},
		{"host:", place{"host:8088", ""}},
		{"host:/", place{"host:8088", "/"}},
		{"host:a b", place{"host:8088", "a b"}},
		{"host:grüß€.bin", place{"host:8088", "grüß€.bin"}},
		{"host:123", place{"host:8088", "123"}},
		{"host:123:file", place{"host:123", "file"}},
		{"host:123:", place{"host:123", ""}},
		{"host:0123:file", place{"host:123", "file"}},
		{"host:65535:file", place{"host:65535", "file"}},
		{"host:8088:123:file", place{"host:8088", "123:file"}},
		{"host:1a:file", place{"host:8088", "1a:file"}},
		{"host:-1:file", place{"host:8088", "-1:file"}},
		{"host::file", place{"host:8088", ":file"}},
		{"host:./123:file", place{"host:8088", "./123:file"}},
		{"127.0.0.1:9:x", place{"127.0.0.1:9", "x"}},
		{"[::1]:file", place{"[::1]:8088", "file"}},
		{"[::1]:", place{"[::1]:8088", ""}},
		{"[::1]:9:file", place{"[::1]:9", "file"}},
		{"[::1]:9", place{"[::1]:8088", "9"}},
		{"[::1]:9:1:2", place{"[::1]:9", "1:2"}},
		{"[fe80::1%eth0]:/x", place{"[fe80::1%eth0]:8088", "/x"}},
	} {
		got, err := parsePlace(tt.arg)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(place{})); diff != "" || err != nil {
			t.Errorf("%q: error %v (-want +got):\n%s", tt.arg, err, diff)
		}
	}
}

func TestAPlaceThatCannotBeMeantIsAnError(t *testing.T) {
	for _, arg := range []string{"", ":", ":a", "::1:a", "[::1", "[::1]", "[::1]a:b", "[host]:a", "[1.2.3.4]:a", "host]:a",
		"host:0:a", "host:00:a", "host:65536:a", "host:99999999999999999999:a", "[::1]:0:a"} {
		if got, err := parsePlace(arg); err == nil {
			t.Errorf("%q is %+v, expected an error", arg, got)
		}
	}
}

func TestTheAddressToServeOnHasAPortOrTheDefaultOne(t *testing.T) {
	for _, tt := range []struct{ arg, want string }{
		{"host", "host:8088"},
		{"host:1", "host:1"},
		{"127.0.0.1:0", "127.0.0.1:0"},
		{":9", ":9"},
		{":", ""},
		{"::1", "[::1]:8088"},
		{"[::1]", "[::1]:8088"},
		{"[::1]:9", "[::1]:9"},
		{"fe80::1%eth0", "[fe80::1%eth0]:8088"},
		{"", ""},
		{"host:", ""},
		{"host:x", ""},
		{"host:70000", ""},
		{"host:1:2", ""},
		{"[::1", ""},
		{"tls://host:1", ""},
	} {
		got, err := listenAddress(tt.arg)
		if got != tt.want || (err == nil) == (tt.want == "") {
			t.Errorf("%q is %q, %v; expected %q", tt.arg, got, err, tt.want)
		}
	}
}

func TestTheLastElementOfARemotePathIsItsNameUnlessItIsNone(t *testing.T) {
	for path, want := range map[string]string{
		"a": "a", "a/b": "b", "/a/b": "b", "a/b/": "b", "a//b//": "b", "": "", "/": "", ".": "", "a/..": "", "a/.": "", "..": "", "...": "...",
	} {
		if got := base(path); got != want {
			t.Errorf("base of %q is %q, expected %q", path, got, want)
		}
	}
	for _, tt := range []struct{ dir, name, want string }{
		{"", "a", "a"}, {"d", "a", "d/a"}, {"d/", "a", "d/a"}, {"/", "a", "/a"}, {"d", "", "d"},
	} {
		if got := join(tt.dir, tt.name); got != tt.want {
			t.Errorf("%q in %q is %q, expected %q", tt.name, tt.dir, got, tt.want)
		}
	}
}
