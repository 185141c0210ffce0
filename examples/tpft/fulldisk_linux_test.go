package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// onFullDisk is a copy to a disk that has too little room.
type onFullDisk struct {
	server, client implementation
	upload         bool
	flags          []string
	data           []byte // that is copied
}

func fullDiskCases() (all []onFullDisk) {
	for _, upload := range []bool{true, false} {
		for _, flags := range [][]string{nil, {"-c"}, {"-resume"}, {"-resume", "-c", "-check"}} {
			all = append(all, onFullDisk{goTPFT, goTPFT, upload, flags, nil})
		}
		all = append(all, onFullDisk{goTPFT, pythonTPFT, upload, nil, nil}, onFullDisk{pythonTPFT, goTPFT, upload, nil, nil})
	}
	return all
}

func (c *onFullDisk) String() string {
	if c.upload {
		return fmt.Sprintf("upload of a %s client to a %s server %v", c.client.name, c.server.name, c.flags)
	}
	return fmt.Sprintf("download of a %s client from a %s server %v", c.client.name, c.server.name, c.flags)
}

func (c *onFullDisk) receiver() implementation {
	if c.upload {
		return c.server
	}
	return c.client
}

func (c *onFullDisk) resumes() bool { return slices.Contains(c.flags, "-resume") }

func TestAFileThatTheDiskHasNoRoomForIsRefused(t *testing.T) {
	isolated(t, func(t *testing.T) {
		testTooLarge(t, true)
	})
}

func TestAFileThatTheDiskHasNoRoomForIsRefusedWhereNoneCanBeReserved(t *testing.T) {
	isolated(t, func(t *testing.T) {
		withoutFallocate(t)
		testTooLarge(t, false)
	})
}

func testTooLarge(t *testing.T, reserves bool) {
	disk := mountSmall(t)
	for _, c := range fullDiskCases() {
		t.Run(c.String(), func(t *testing.T) {
			p, next := c.start(t, disk, 2<<20, nil)
			c.expectNoRoom(t, p, disk, reserves)
			next(t)
		})
	}
}

func TestRoomThatIsReservedNobodyElseCanTake(t *testing.T) {
	isolated(t, func(t *testing.T) {
		disk := mountSmall(t)
		for _, c := range fullDiskCases() {
			t.Run(c.String(), func(t *testing.T) {
				p, next := c.start(t, disk, 500_000, func() { fill(t, disk) })
				if c.receiver().name != goTPFT.name { // reserves nothing
					c.expectNoRoom(t, p, disk, true)
				} else {
					p.expectSuccess(t)
					expectFile(t, filepath.Join(disk, "x"), c.data)
				}
				next(t)
			})
		}
	})
}

func TestRoomThatSomebodyElseTakesMeanwhileEndsACopy(t *testing.T) {
	isolated(t, func(t *testing.T) {
		withoutFallocate(t)
		disk := mountSmall(t)
		for _, c := range fullDiskCases() {
			t.Run(c.String(), func(t *testing.T) {
				p, next := c.start(t, disk, 500_000, func() { fill(t, disk) })
				c.expectNoRoom(t, p, disk, false)
				next(t)
			})
		}
	})
}

// fill takes all the room that there is.
func fill(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("filling the disk: %v, expected %v", err, syscall.ENOSPC)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// start copies a file of this size to the disk, where an old one is. When half
// of it is on its way, meanwhile is called, unless it is nil. next checks that
// the server still serves.
func (c *onFullDisk) start(t *testing.T, disk string, size int, meanwhile func()) (p *process, next func(*testing.T)) {
	t.Helper()
	other := t.TempDir()
	c.data = contents(size)
	write(t, filepath.Join(other, "x"), c.data)
	write(t, filepath.Join(disk, "x"), contents(100_000))
	root, local := other, disk
	if c.upload {
		root, local = disk, other
	}
	_, address := c.server.serve(t, root)
	copyFile := func(address string, flags ...string) *process {
		from, to := address+":x", filepath.Join(local, "x")
		if c.upload {
			from, to = to, from
		}
		return c.client.copy(t, from, to, flags...)
	}
	next = func(t *testing.T) {
		os.Remove(filepath.Join(disk, "filler"))
		write(t, filepath.Join(other, "x"), contents(1000))
		copyFile(address).expectSuccess(t)
		expectFile(t, filepath.Join(disk, "x"), contents(1000))
		expectNames(t, disk, "x")
	}
	if meanwhile != nil {
		r := startRelay(t, address)
		r.direction(c.upload).when(int64(size)/2, meanwhile)
		return copyFile(r.address, c.flags...), next
	}
	return copyFile(address, c.flags...), next
}

// expectNoRoom checks that the copy ends with the reason, and that nothing is
// left of it, nor changed, but by Python, and what may be resumed.
func (c *onFullDisk) expectNoRoom(t *testing.T, p *process, disk string, reserves bool) {
	t.Helper()
	reason := "no space left on device"
	switch {
	case c.receiver().name == goTPFT.name:
	case c.upload:
		reason = "reset by peer|[Bb]roken pipe|ended" // it says nothing and leaves
	default:
		reason = "No space left on device"
	}
	p.expectFailure(t, bound, reason)
	if c.receiver().name != goTPFT.name {
		os.Remove(filepath.Join(disk, "x"))
		return
	}
	expectFile(t, filepath.Join(disk, "x"), contents(100_000))
	os.Remove(filepath.Join(disk, "filler"))
	if c.resumes() && !reserves {
		partial := filepath.Join(disk, ".x.tpft-partial")
		got, err := os.ReadFile(partial)
		if err == nil && len(got) == 0 || !bytes.HasPrefix(c.data, got) {
			t.Errorf("%d bytes are kept for the next -resume, expected some of the file's first ones", len(got))
		}
		if err != nil && len(c.data) > 1<<20 { // a smaller one can be all in memory still
			t.Errorf("%v, expected that what has arrived is kept for the next -resume", err)
		}
		os.Remove(partial)
	}
	expectNames(t, disk, "x")
	if used := 1<<20 - free(t, disk); used > 100_000+2*4096 {
		t.Errorf("%d bytes of the disk are in use, expected those of the old file alone: what arrived is still open", used)
	}
}
