package e2e

import (
	"strings"
	"testing"
)

// Test-only inits that kill a process of the machine.
const (
	killKeeper = "./guest/boot/boottest/kill/keeper"
	killInit   = "./guest/boot/boottest/kill/init"
	killWorker = "./guest/boot/boottest/kill/worker"
	oomWorker  = "./guest/boot/boottest/oom"
)

// TestDeathOfKeeperAndInit: without one of them nothing of the machine is left.
func TestDeathOfKeeperAndInit(t *testing.T) {
	for init, want := range map[string]string{killKeeper: "keeper-exited", killInit: "powered off after"} {
		t.Run(init[strings.LastIndexByte(init, '/')+1:], func(t *testing.T) {
			t.Parallel()
			a := launch(t, launchOptions{init: init})
			if err := a.healthy(t); err != nil {
				t.Fatal(err)
			}
			if said := a.endsItself(t); !strings.Contains(said, want) {
				t.Errorf("got %q, want %q", said, want)
			} else {
				t.Logf("refused: %s", said)
			}
		})
	}
}

// TestDeathOfWorker: a worker that is killed, by somebody or for its memory,
// takes its job with it and nothing else: the API answers, and the receipt says
// what happened.
func TestDeathOfWorker(t *testing.T) {
	for init, trap := range map[string]string{killWorker: "killed", oomWorker: "memory"} {
		t.Run(trap, func(t *testing.T) {
			t.Parallel()
			a := launch(t, launchOptions{init: init, shards: t.TempDir()})
			p := newParty(t, init)
			p.attest(a)
			p.seal(a)
			p.write("spin.wasm", module(t, spin))
			p.grant(a, "spin", "0-0", "spin.wasm")
			p.trapped(a, "spin", trap)
		})
	}
}
