# Thin: every target is a command that a person could type.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

gofumpt     := mvdan.cc/gofumpt@v0.12.0
staticcheck := honnef.co/go/tools/cmd/staticcheck@v0.8.2
golangci    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Whatever this machine sets, our own programs are built the same way.
export GOFLAGS := -buildvcs=false
export GOTOOLCHAIN := local

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/safebox
tools := $(cache)/tools
seconds ?= 30

# Pinned packages that lie beside the checkout spare the mirrors; whatever the
# place, only the hash counts.
inputs := $(patsubst %,--inputs %,$(abspath $(wildcard ../shared/inputs)))

.PHONY: build demo test check fuzz bench reproduce reproduce-all cross-check setup clean tools

build: ## bin/safebox and bin/safebox-host
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/safebox ./cmd/safebox-host

setup: ## what tests and demo need, by apt
	ci/setup

demo: setup build ## the whole story on this machine
	bin/safebox demo $(inputs)

test: setup ## all tests, real boots included; nothing is skipped
	ci/test

check: tools ## format, vet, linters, tidy modules, import rules, scripts
	ci/setup check
	ci/check $(tools)

fuzz: ## every fuzz target for $(seconds) seconds
	ci/fuzz $(seconds)

bench: ## benchmarks, as ratios to a stated peer
	go test -run '^$$' -bench . ./...

reproduce: setup ## two clones under different conditions, compared byte for byte
	ci/reproduce $(inputs)

reproduce-all: setup ## the same for every format, and with the kernel built twice
	ci/reproduce --full $(inputs)

cross-check: setup ## mkosi as the second builder, and a boot of its disk (root)
	ci/cross-check $(inputs)

tools: $(tools)/gofumpt-$(notdir $(gofumpt)) $(tools)/staticcheck-$(notdir $(staticcheck)) $(tools)/golangci-lint-$(notdir $(golangci))

# The version is in the stamp's name, so that a new pin installs the new tool.
define install
	mkdir -p $(tools)
	GOFLAGS= GOBIN=$(tools) go install $(1)
	touch $@
endef
$(tools)/gofumpt-$(notdir $(gofumpt)):
	$(call install,$(gofumpt))
$(tools)/staticcheck-$(notdir $(staticcheck)):
	$(call install,$(staticcheck))
$(tools)/golangci-lint-$(notdir $(golangci)):
	$(call install,$(golangci))

clean:
	rm -rf bin out
