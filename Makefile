# make         builds bin/signet
# make help    lists the rest

GO       ?= go
PREFIX   ?= /usr/local
SBINDIR  ?= /sbin
FUZZTIME ?= 10s
BENCH    ?= .
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

TOOL := $(GO) tool -modfile=tools/go.mod
RACE  = $(shell scripts/deps.sh race && echo -race)

.PHONY: build help test test-quick test-long lint bench gobench fuzz demo demo-stop deps install clean toolchain

build: toolchain ## build bin/signet, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/signet ./cmd/signet

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

toolchain:
	@GO='$(GO)' scripts/check-go.sh

test: toolchain ## what CI runs: deps if something is missing, lint, all tests with the race detector
	@scripts/deps.sh ensure
	@$(MAKE) --no-print-directory lint run-tests

# A step of its own, so that the check for a C compiler comes after deps.
.PHONY: run-tests
run-tests:
	@$(if $(RACE),,$(if $(filter true,$(CI)),echo 'no C compiler, so no race detector, and CI=true' >&2; exit 1,echo 'no C compiler: the tests run without the race detector'))
	$(GO) run ./internal/runtests $(RACE) -tags=faults -timeout=45m -each=10m ./...

test-quick: toolchain ## the short tests without the race detector, for the edit loop
	$(GO) test -short ./...

test-long: toolchain ## all tests at their full length: databases, git, kills (LONG='-run TestSqlite' for some)
	@scripts/deps.sh long
	SIGNET_LONG=1 SIGNET_KILLS=$${SIGNET_KILLS:-200} $(GO) test $(RACE) -tags=faults -count=1 -timeout=2h $(LONG) ./integration/...

lint: toolchain ## gofmt, vet, staticcheck, and the house rules (imports, budgets, seams)
	@echo gofmt -l .
	@bad=$$($$($(GO) env GOROOT)/bin/gofmt -l $$($(GO) list -f '{{.Dir}}/*.go' ./...)) && \
		if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags faults ./...
	$(TOOL) staticcheck ./...
	$(GO) test ./internal/house

bench: build ## the mount beside a local directory, one run: table and JSON (BENCHFLAGS: see go run ./bench -h)
	$(GO) run ./bench $(BENCHFLAGS)

gobench: toolchain ## Go benchmarks; compare two runs with: go tool -modfile=tools/go.mod benchstat OLD NEW
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: toolchain ## every fuzz target for FUZZTIME (10s)
	GO='$(GO)' scripts/fuzz.sh $(FUZZTIME)

demo: build ## three hosts on this machine, below ./demo, left running
	scripts/demo.sh start

demo-stop: ## stop them and unmount
	scripts/demo.sh stop

deps: ## install the Debian packages that the tests need (root)
	@scripts/deps.sh install

# Needs no Go, which the PATH of sudo seldom has: make builds, sudo make install installs.
install: ## what make has built: PREFIX/bin/signet, and links to it in SBINDIR for mount(8)
	@[ -x bin/signet ] || { echo 'There is no bin/signet to install: run make first.' >&2; exit 1; }
	install -D -m 0755 bin/signet '$(DESTDIR)$(PREFIX)/bin/signet'
	install -d '$(DESTDIR)$(SBINDIR)'
	ln -sf '$(PREFIX)/bin/signet' '$(DESTDIR)$(SBINDIR)/mount.signet'
	ln -sf '$(PREFIX)/bin/signet' '$(DESTDIR)$(SBINDIR)/mount.fuse.signet'

clean: ## what was built
	rm -rf bin
	$(GO) clean -testcache
