// Package filelimit raises the limit of open files, for programs that open
// thousands of connections.
package filelimit

// Raise makes sure that this process, and those that it starts from now on,
// may have n files open: it raises the limit where it is lower, the hard limit
// too, which only a privileged process may. The error says how many files are
// needed, what the limits are, and why they cannot be raised. Where the system
// has no such limit, Raise does nothing. It does not block; it is not to be
// called concurrently, as the limit belongs to the process.
func Raise(n uint64) error { return raiseTo(n) }
