# The commands of this project. Each works on a fresh machine with Go alone,
# but for the cross-language tests of `make test`, which need python3.

GO ?= go
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 1m

# Every directory with a go.mod of its own.
MODULES = $(patsubst %/go.mod,%,$(shell git ls-files --cached --others --exclude-standard -- 'go.mod' '*/go.mod' | sed 's,^,./,'))

.PHONY: help demo test large check bench fuzz cover measure

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## an echo server and a client exchange the lines of a text
	@$(GO) run ./examples/demo

test: ## all tests of all modules, with the race detector
	@for m in $(MODULES); do (cd $$m && echo "== $$m" && $(GO) test -race ./...) || exit 1; done

large: ## the largest message there is (4 GB), streamed in one process of 64 MiB (Linux)
	TINYPROTO_TEST_LARGE=1 $(GO) test -count=1 -v -run '^TestALargeMessageNeedsLittleMemory$$' ./conn

check: ## gofmt, vet, staticcheck and tidy modules
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:" $$unformatted; exit 1; }
	@for m in $(MODULES); do (cd $$m && echo "== $$m" && $(GO) vet ./... && $(STATICCHECK) ./... && $(GO) mod tidy -diff) || exit 1; done

bench: ## round trips and throughput against hand-written loops, and memory per idle connection
	$(GO) run ./internal/benchratio
	$(GO) run ./internal/idlememory

measure: ## tpft against io.Copy over a bare connection
	$(GO) run ./examples/tpft/measure

fuzz: ## each fuzz target for FUZZTIME (1m)
	@for m in $(MODULES); do (cd $$m && for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$f" && $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done) || exit 1; done

cover: ## statement coverage of the packages
	$(GO) test -coverprofile=cover.out . ./conn ./flow ./hub ./transform ./wire
	$(GO) tool cover -func=cover.out | tail -1
