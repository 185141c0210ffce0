package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvelopesHaveExactlyTheBytesOfThePythonTool(t *testing.T) {
	length := int64(0)
	for _, tt := range []struct {
		kind   string
		letter letter
		want   string
	}{
		{typeUpload, &uploadRequest{FileSize: 1, DestinationPath: "up-one"}, `{"type":"upload-request","letter":{"file_size":1,"destination_path":"up-one"}}`},
		{typeUpload, &uploadRequest{DestinationPath: "<&>'/ ~\x7f"}, `{"type":"upload-request","letter":{"file_size":0,"destination_path":"<&>'/ ~` + "\x7f" + `"}}`},
		{typeUpload, &uploadRequest{DestinationPath: "\"\\\n\r\t\b\f\x01\x1f"}, `{"type":"upload-request","letter":{"file_size":0,"destination_path":"\"\\\n\r\t\b\f\u0001\u001f"}}`},
		{typeDownload, &downloadRequest{DownloadPath: "big"}, `{"type":"download-request","letter":{"download_path":"big"}}`},
		{typeDownload, &downloadRequest{DownloadPath: "grüß€"}, `{"type":"download-request","letter":{"download_path":"grüß€"}}`},
		{typeOffer, &downloadConfirmation{10485760}, `{"type":"download-confirmation","letter":{"file_size":10485760}}`},
		{typeConfirmed, nothing{}, `{"type":"confirmed","letter":{}}`},
		{typeRejected, &rejected{"no"}, `{"type":"rejected","letter":{"reason":"no"}}`},
		{typeClose, nothing{}, `{"type":"close","letter":{}}`},

		{typeUpload, &uploadRequest{FileSize: 1, DestinationPath: "x", Encoding: "zstd", Resume: true}, `{"type":"upload-request","letter":{"file_size":1,"destination_path":"x","encoding":"zstd","resume":true}}`},
		{typeDownload, &downloadRequest{DownloadPath: "x", Offset: 5, Encoding: "zstd"}, `{"type":"download-request","letter":{"download_path":"x","offset":5,"encoding":"zstd"}}`},
		{typeWorking, nothing{}, `{"type":"working","letter":{}}`},
		{typeStat, &pathRequest{"."}, `{"type":"stat-request","letter":{"path":"."}}`},
		{typeStatus, &status{kindFile, 3}, `{"type":"stat","letter":{"kind":"file","file_size":3}}`},
		{typeList, &pathRequest{"d"}, `{"type":"list-request","letter":{"path":"d"}}`},
		{typeListing, &listing{Entries: []entry{{"a", kindFile}}, More: true}, `{"type":"listing","letter":{"entries":[{"name":"a","kind":"file"}],"more":true}}`},
		{typeMkdir, &pathRequest{"d"}, `{"type":"mkdir-request","letter":{"path":"d"}}`},
		{typeSumOf, &sumRequest{Path: "x"}, `{"type":"sum-request","letter":{"path":"x"}}`},
		{typeSumOf, &sumRequest{Path: "x", Length: &length}, `{"type":"sum-request","letter":{"path":"x","length":0}}`},
		{typeSum, &sum{1, strings.Repeat("ab", 32)}, `{"type":"sum","letter":{"length":1,"sha256":"` + strings.Repeat("ab", 32) + `"}}`},
		{typePartial, &sum{1, strings.Repeat("ab", 32)}, `{"type":"partial","letter":{"length":1,"sha256":"` + strings.Repeat("ab", 32) + `"}}`},
		{typeContinue, &resumption{0}, `{"type":"resume","letter":{"offset":0}}`},
	} {
		got, err := encode(tt.kind, tt.letter)
		if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tt.kind, err, diff)
		}
	}
}

func TestWhatNoEnvelopeCanHoldIsAnErrorBeforeItIsSent(t *testing.T) {
	for _, tt := range []struct {
		letter letter
		want   string
	}{
		{&uploadRequest{DestinationPath: "a\xff"}, `destination_path "a\xff" is not UTF-8`},
		{&uploadRequest{DestinationPath: "\xed\xb2\x80"}, "is not UTF-8"},
		{&uploadRequest{DestinationPath: "a\x00b"}, `destination_path "a\x00b" contains a zero byte`},
		{&uploadRequest{DestinationPath: ""}, "destination_path is empty"},
		{&uploadRequest{FileSize: -1, DestinationPath: "a"}, "file_size: expected 0 to 9007199254740992, saw none or -1"},
		{&uploadRequest{FileSize: 1<<53 + 1, DestinationPath: "a"}, "file_size: expected 0 to"},
		{&uploadRequest{DestinationPath: strings.Repeat("a", maxEnvelope)}, "larger than an envelope, 65536"},
		{&downloadRequest{DownloadPath: "\xff"}, "download_path"},
		{&pathRequest{"\x00"}, "path"},
		{&sumRequest{Path: "\xff"}, "path"},
	} {
		got, err := encode("x", tt.letter)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %.80q, error %v; expected an error with %q", tt.letter, got, err, tt.want)
		}
	}
}

func TestEnvelopesAreReadInEveryFormThatPythonMayWrite(t *testing.T) {
	want := uploadRequest{FileSize: 3, DestinationPath: "grüß€ 😀"}
	for _, text := range []string{
		`{"type":"upload-request","letter":{"file_size":3,"destination_path":"grüß€ 😀"}}`,
		`{"type":"upload-request","letter":{"file_size":3,"destination_path":"gr\u00fc\u00df\u20ac \ud83d\ude00"}}`,
		`{"type":"upload-request","letter":{"file_size":3,"destination_path":"gr\u00FC\u00DF\u20AC \uD83D\uDE00"}}`,
		` { "letter" : { "destination_path": "gr\u00fcß€ 😀", "new": [1], "file_size" : 3 } , "type": "upload-request" , "x": {} } `,
	} {
		e, err := decode([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := uploadRequest{FileSize: -1}
		if err := e.open(&got); err != nil || e.Type != typeUpload || got != want {
			t.Errorf("%s is %q, %+v, %v; expected %+v", text, e.Type, got, err, want)
		}
	}
}

func TestWhatIsNoEnvelopeIsNamed(t *testing.T) {
	for _, text := range []string{"", "x", "null", "7", `"close"`, "[]", "{}", `{"type":""}`, `{"type":7}`, `{"letter":{}}`,
		`{"type":"close","letter":{}}x`, `{"type":"close","letter":{}}{}`, `{"type":"close","letter":{}`, "{\"type\":\"\xff\"}",
		`{"type":"close","x":"` + strings.Repeat("a", maxEnvelope) + `"}`, strings.Repeat("[", maxEnvelope)} {
		if e, err := decode([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "expected an envelope") {
			t.Errorf("%.80q is %+v, %v; expected an error", text, e, err)
		}
	}
}

func TestALetterWithImpossibleValuesIsAnError(t *testing.T) {
	for _, letter := range []string{
		`null`, `7`, `"x"`, `[]`, `{}`,
		`{"destination_path":"a"}`, `{"file_size":null,"destination_path":"a"}`,
		`{"file_size":-1,"destination_path":"a"}`, `{"file_size":1e3,"destination_path":"a"}`, `{"file_size":1.5,"destination_path":"a"}`,
		`{"file_size":"1","destination_path":"a"}`, `{"file_size":true,"destination_path":"a"}`,
		`{"file_size":9007199254740993,"destination_path":"a"}`, `{"file_size":99999999999999999999,"destination_path":"a"}`,
		`{"file_size":1}`, `{"file_size":1,"destination_path":""}`, `{"file_size":1,"destination_path":null}`, `{"file_size":1,"destination_path":7}`,
		`{"file_size":1,"destination_path":"a\u0000b"}`,
		`{"file_size":1,"destination_path":"a\udc80"}`, `{"file_size":1,"destination_path":"\ud83dx"}`, `{"file_size":1,"destination_path":"\ud83d\ud83d"}`,
		`{"file_size":1,"destination_path":"a","encoding":"gzip"}`, `{"file_size":1,"destination_path":"a","resume":1}`,
	} {
		e, err := decode([]byte(`{"type":"upload-request","letter":` + letter + `}`))
		if err != nil {
			t.Errorf("%s: %v", letter, err)
			continue
		}
		got := uploadRequest{FileSize: -1}
		if err := e.open(&got); err == nil {
			t.Errorf("%s is %+v, expected an error", letter, got)
		}
	}
	if err := (envelope{Type: "x"}).open(&uploadRequest{}); err == nil {
		t.Error("no letter at all is none, expected an error")
	}
}

func TestABackslashBeforeAnEscapeIsNoSurrogate(t *testing.T) {
	for text, want := range map[string]bool{
		`"\\udc80"`: false, `"\\\udc80"`: true, `"\ud83d\ude00"`: false, `"\ude00\ud83d"`: true, `"\ud83d\ude00\ude00"`: true,
		`"\ud83d\\ude00"`: true, `"\ud83d"`: true, `"\u0041"`: false, `"\ud7ff\ue000"`: false,
	} {
		if got := hasLoneSurrogate([]byte(text)); got != want {
			t.Errorf("%s has a lone surrogate: %v, expected %v", text, got, want)
		}
	}
}

// Whatever is decoded can be opened or not, without a panic, and what is
// opened is encoded so that it is decoded to the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"type":"upload-request","letter":{"file_size":1,"destination_path":"up-one"}}`,
		`{"type":"download-request","letter":{"download_path":"gr\u00fc\u00df\u20ac.bin","offset":3,"encoding":"zstd"}}`,
		`{"type":"rejected","letter":{"reason":"[Errno 2] No such file or directory: 'missing'"}}`,
		`{"type":"listing","letter":{"entries":[{"name":"\udc80","kind":"file"}],"more":false}}`,
		`{"type":"close","letter":{}}`, `{"type":"x"}`, `{"type":"x","letter":"\ud83d\\"}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		e, err := decode(p)
		if err != nil {
			return
		}
		for _, new := range []func() letter{
			func() letter { return &uploadRequest{FileSize: -1} }, func() letter { return &downloadRequest{} },
			func() letter { return &downloadConfirmation{-1} }, func() letter { return &rejected{} },
			func() letter { return &pathRequest{} }, func() letter { return &status{FileSize: -1} }, func() letter { return &listing{} },
			func() letter { return &sumRequest{} }, func() letter { return &sum{Length: -1} }, func() letter { return &resumption{-1} },
		} {
			l := new()
			if e.open(l) != nil {
				continue
			}
			again, err := encode(e.Type, l)
			if err != nil {
				if len(p) > maxEnvelope/8 { // it may grow by escaping
					continue
				}
				t.Fatalf("%T from %q can't be encoded: %v", l, p, err)
			}
			e2, err := decode(again)
			if err != nil || e2.Type != e.Type {
				t.Fatalf("%q was encoded as %q, which is of type %q, %v", p, again, e2.Type, err)
			}
			l2 := new()
			if err := e2.open(l2); err != nil {
				t.Fatalf("%q was encoded as %q: %v", p, again, err)
			}
			if third, _ := encode(e2.Type, l2); !bytes.Equal(again, third) {
				t.Fatalf("%q was encoded as %q and then as %q", p, again, third)
			}
		}
	})
}
