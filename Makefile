# Gust: build, run, test. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X gust/internal/version.Version=$(VERSION)
GOLANGCI_VERSION := v2.13.2
TOOLS := $(CURDIR)/.tools
LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

export CGO_ENABLED ?= 0

.PHONY: help build run test test-short sim lint bench bench-peers faults fuzz clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/gust
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gust ./cmd/gust

run: build ## Build, start the daemon with the examples, and watch the order pipeline live (Ctrl-C stops)
	./bin/gust standalone --trigger order_pipeline

test: ## Install what the tests need and run all of them, race detector on
	./scripts/test-tools.sh $(TOOLS)
	PATH="$(TOOLS)/python/bin:$$PATH" CGO_ENABLED=1 GUST_TEST_TOOLS=$(TOOLS) GUST_TEST_FULL=1 go test -race -timeout 9m ./...

test-short: ## Run the tests that need nothing but Go
	go test ./...

sim: ## Play HISTORIES (default 1000000) random histories of the engine; a failure names its seed
	GUST_SIM_HISTORIES=$(or $(HISTORIES),1000000) go test -count=1 -timeout 0 -run '^TestHistories$$' -v ./runner/simtest

lint: $(LINT) ## Check style, imports and layering
	CGO_ENABLED=0 $(LINT) run ./...
	go mod tidy -diff

$(LINT):
	GOBIN=$(TOOLS) CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

bench: build ## Measure throughput, latency and footprint (BENCH=quick for a run of about a minute)
	./scripts/bench-tools.sh $(TOOLS)
	GUST_TEST_TOOLS=$(TOOLS) go run ./bench -profile $(or $(BENCH),full) -gust bin/gust

bench-peers: build ## Do the same work by Gust, Airflow and Dagu, which are installed first (an hour)
	./scripts/bench-tools.sh $(TOOLS)
	./scripts/bench-peers.sh
	GUST_TEST_TOOLS=$(TOOLS) go run ./bench -only peers -gust bin/gust

faults: ## Drive the daemon through FAULTS (default 1000) random faults; SEED=n replays one sequence
	GUST_TEST_FAULTS=$(or $(FAULTS),1000) GUST_TEST_SEED=$(SEED) go test ./cmd/gust/daemontest -run '^TestFaults$$' -v -count 1 -timeout 60m

fuzz: ## Fuzz every parser for FUZZTIME (default 20s) each
	./scripts/fuzz.sh $(or $(FUZZTIME),20s)

clean: ## Remove build products and downloaded tools
	rm -rf bin $(TOOLS)
