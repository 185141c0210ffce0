module github.com/tinyproto-go/tinyproto/transform/zstd

go 1.26.0

replace github.com/tinyproto-go/tinyproto => ../..

require (
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.3
	github.com/tinyproto-go/tinyproto v0.0.0-00010101000000-000000000000
	golang.org/x/sync v0.24.0
)
