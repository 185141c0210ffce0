//go:build !unix

package filelimit

func raiseTo(uint64) error { return nil }
