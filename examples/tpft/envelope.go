package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxEnvelope is the largest envelope in bytes, either way.
const maxEnvelope = 64 << 10

// maxFile is the largest file: beyond it not every reader of JSON is exact.
const maxFile = 1 << 53

// Types of envelopes. The first six are the Python tool's, the others are
// described in PROTOCOL.md.
const (
	typeUpload    = "upload-request"
	typeDownload  = "download-request"
	typeOffer     = "download-confirmation"
	typeConfirmed = "confirmed"
	typeRejected  = "rejected"
	typeClose     = "close"

	typeWorking  = "working"
	typeStat     = "stat-request"
	typeStatus   = "stat"
	typeList     = "list-request"
	typeListing  = "listing"
	typeMkdir    = "mkdir-request"
	typeSumOf    = "sum-request"
	typeSum      = "sum"
	typePartial  = "partial"
	typeContinue = "resume"
)

// envelope is one message of the file transfer protocol.
type envelope struct {
	Type   string          `json:"type"`
	Letter json.RawMessage `json:"letter"`
}

// A letter is what an envelope holds. valid checks it, before it is sent and
// after it was received.
type letter interface{ valid() error }

type (
	uploadRequest struct {
		FileSize        int64  `json:"file_size"`
		DestinationPath string `json:"destination_path"`
		Encoding        string `json:"encoding,omitempty"`
		Resume          bool   `json:"resume,omitempty"`
	}
	downloadRequest struct {
		DownloadPath string `json:"download_path"`
		Offset       int64  `json:"offset,omitempty"`
		Encoding     string `json:"encoding,omitempty"`
	}
	downloadConfirmation struct {
		FileSize int64 `json:"file_size"`
	}
	rejected struct {
		Reason string `json:"reason"`
	}
	nothing     struct{}
	pathRequest struct {
		Path string `json:"path"`
	}
	status struct {
		Kind     string `json:"kind"`
		FileSize int64  `json:"file_size"`
	}
	listing struct {
		Entries []entry `json:"entries"`
		More    bool    `json:"more"`
	}
	entry struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sumRequest struct {
		Path   string `json:"path"`
		Length *int64 `json:"length,omitempty"` // nil: the whole file
	}
	sum struct {
		Length int64  `json:"length"`
		SHA256 string `json:"sha256"`
	}
	resumption struct {
		Offset int64 `json:"offset"`
	}
)

// Kinds of files in a status and a listing.
const (
	kindFile      = "file"
	kindDirectory = "directory"
	kindMissing   = "missing"
	kindSymlink   = "symlink"
	kindOther     = "other"
	kindUnnamable = "unnamable" // its name is not UTF-8
)

func (l *uploadRequest) valid() error {
	return cmp.Or(validSize("file_size", l.FileSize), validPath("destination_path", l.DestinationPath), validEncoding(l.Encoding))
}

func (l *downloadRequest) valid() error {
	return cmp.Or(validPath("download_path", l.DownloadPath), validSize("offset", l.Offset), validEncoding(l.Encoding))
}

func (l *downloadConfirmation) valid() error { return validSize("file_size", l.FileSize) }
func (*rejected) valid() error               { return nil }
func (nothing) valid() error                 { return nil }
func (l *pathRequest) valid() error          { return validPath("path", l.Path) }
func (l *status) valid() error               { return validSize("file_size", l.FileSize) }
func (*listing) valid() error                { return nil }
func (l *resumption) valid() error           { return validSize("offset", l.Offset) }

func (l *sumRequest) valid() error {
	if l.Length != nil {
		if err := validSize("length", *l.Length); err != nil {
			return err
		}
	}
	return validPath("path", l.Path)
}

func (l *sum) valid() error {
	if b, err := hex.DecodeString(l.SHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("sha256: expected 64 hexadecimal digits, saw %.80q", l.SHA256)
	}
	return validSize("length", l.Length)
}

// validSize also notices a field that is missing: it is -1 before decoding.
func validSize(field string, n int64) error {
	if n < 0 || n > maxFile {
		return fmt.Errorf("%s: expected 0 to %d, saw none or %d", field, int64(maxFile), n)
	}
	return nil
}

func validPath(field, path string) error {
	switch {
	case path == "":
		return fmt.Errorf("%s is empty or missing", field)
	case !utf8.ValidString(path):
		return fmt.Errorf("%s %s is not UTF-8, and can't be sent", field, strconv.Quote(path))
	case strings.Contains(path, "\x00"):
		return fmt.Errorf("%s %s contains a zero byte", field, strconv.Quote(path))
	}
	return nil
}

func validEncoding(encoding string) error {
	if encoding != "" && encoding != encodingZstd {
		return fmt.Errorf("encoding: expected %q or none, saw %.80q", encodingZstd, encoding)
	}
	return nil
}

// encode returns the bytes of an envelope: compact, and nothing escaped that
// need not be, but what encoding/json escapes beyond ASCII.
func encode(kind string, l letter) ([]byte, error) {
	if err := l.valid(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Type   string `json:"type"`
		Letter letter `json:"letter"`
	}{kind, l})
	if err != nil {
		return nil, err
	}
	p := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(p) > maxEnvelope {
		return nil, fmt.Errorf("%s of %d bytes is larger than an envelope, %d", kind, len(p), maxEnvelope)
	}
	return p, nil
}

// decode returns an envelope. Its letter is not looked at yet.
func decode(p []byte) (envelope, error) {
	if len(p) > maxEnvelope {
		return envelope{}, fmt.Errorf("expected an envelope of at most %d bytes, saw %d", maxEnvelope, len(p))
	}
	var e envelope
	err := json.Unmarshal(p, &e)
	switch {
	case !utf8.Valid(p):
		err = errors.New("not UTF-8")
	case err == nil && e.Type == "":
		err = errors.New("it has no type")
	}
	if err != nil {
		return envelope{}, fmt.Errorf("expected an envelope in JSON, saw %.80q: %w", p, err)
	}
	return e, nil
}

// open decodes the letter into l, whose sizes are -1 where they must be given.
func (e envelope) open(l letter) error {
	err := json.Unmarshal(e.Letter, l)
	switch {
	case len(e.Letter) == 0:
		err = errors.New("no letter")
	case err == nil && hasLoneSurrogate(e.Letter):
		err = errors.New("a name in it is not Unicode")
	case err == nil:
		err = l.valid()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.Type, err)
	}
	return nil
}

// hasLoneSurrogate looks for escapes such as \udc80, which Python writes for
// a name that is not UTF-8. To encoding/json all of them are the same character.
func hasLoneSurrogate(p []byte) bool {
	for i := 0; i+1 < len(p); i++ {
		if p[i] != '\\' {
			continue
		}
		i++
		r, ok := escaped(p[i-1:])
		if !ok || !utf16.IsSurrogate(r) {
			continue
		}
		low, _ := escaped(p[min(i+5, len(p)):])
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return true
		}
		i += 10
	}
	return false
}

// escaped returns the code unit of a \uXXXX at the beginning of p.
func escaped(p []byte) (rune, bool) {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p[2:6]), 16, 16)
	return rune(n), err == nil
}
