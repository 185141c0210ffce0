# The commands of this project. Each works on a fresh machine with Go alone,
# but for the cross-language tests of `make test`, which need python3.

GO ?= go
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 1m
DURATION ?= 30m
CONNECTIONS ?= 5000
SEEDS ?= 20000
FROM ?= 1

# Every directory with a go.mod of its own.
MODULES = $(patsubst %/go.mod,%,$(shell git ls-files --cached --others --exclude-standard -- 'go.mod' '*/go.mod' | sed 's,^,./,'))

.PHONY: help demo test large check bench compare fuzz cover verify measure soak sim

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

compare: ## this library and others side by side, with one and with two processes; plots go to benchmarks/plots
	cd benchmarks && $(GO) run . -markdown -plots plots
	cd benchmarks && $(GO) run . -markdown -processes 2

fuzz: ## each fuzz target for FUZZTIME (1m)
	@for m in $(MODULES); do (cd $$m && for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$f" && $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done) || exit 1; done

cover: ## statement coverage of the packages
	$(GO) test -coverprofile=cover.out . ./conn ./flow ./hub ./transform ./wire
	$(GO) tool cover -func=cover.out | tail -1

verify: ## search the models of the protocol; needs spin and gcc
	@$(GO) run ./internal/verifymodel $(RUNS)

soak: ## CONNECTIONS (5000) that come and go for DURATION (30m), restarts of the server; accounts for every message
	$(GO) run ./internal/soak -duration $(DURATION) -connections $(CONNECTIONS)

sim: ## SEEDS (20000) simulated runs, from the seed FROM (1) on: faults on a network in memory; nothing may be lost silently
	$(GO) run ./internal/sim -seeds $(SEEDS) -from $(FROM)

.PHONY: attack faults
attack: DURATION = 10s
attack: CONNECTIONS = 10000
attack: ## what hostile peers cost a server and its honest clients: CONNECTIONS (10000) of each kind, for DURATION (10s)
	$(GO) run ./internal/attack -conns $(CONNECTIONS) -duration $(DURATION)

faults: DURATION = 1m
faults: ## processes killed, stopped and starved, a network that mistreats bytes: each for DURATION (1m)
	$(GO) test -count=1 -race -v -timeout 0 ./internal/faults -duration $(DURATION)
